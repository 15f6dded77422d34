#include "tests/unit/test_gateway_kit.h"

struct place {
    char dir[KIT_PATH_LEN];
    struct kit kit;
    struct db *db;
    struct ledger ledger;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    p->db = kit_open_db(p->dir, "a.db");
    kit_open_ledger(&p->kit, p->db, &p->ledger);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    ledger_free(&p->ledger);
    db_close(p->db);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static int count_record(void *ctx, const struct db_record *record)
{
    (void)record;
    ++*(size_t *)ctx;
    return 0;
}

static size_t count_reports(struct place *p)
{
    size_t count = 0;
    struct db_list_filter filter = db_list_all(1000);
    assert_int_equal(db_record_list(p->db, &filter, count_record, &count), 0);
    return count;
}

static int take_review_state(void *ctx, const struct db_record *record)
{
    *(int *)ctx = record->review_state;
    return 0;
}

static int review_state_of(struct place *p, uint16_t author, uint32_t seq)
{
    int state = -1;
    struct record_ref ref = { .author = author, .seq = seq };
    assert_int_equal(db_record_variants(p->db, 1, &ref, take_review_state, &state), 0);
    return state;
}

static void test_ledger_gives_each_record_its_verdict(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit foreign;
    kit_init(&foreign, 2);
    kit_put_root_log(k, &p->ledger);
    struct kit_record good = kit_damage(k, KIT_ANNA, 1, 1, 3);
    struct kit_record other = kit_damage(k, KIT_ANNA, 1, 1, 4);
    struct kit_record third = kit_damage(k, KIT_ANNA, 1, 1, 5);
    struct kit_record flipped = kit_damage(k, KIT_ANNA, 2, 1, 3);
    flipped.bytes[flipped.len - 1] ^= 1;
    struct kit_record cut = kit_damage(k, KIT_ANNA, 3, 1, 3);
    cut.len = RECORD_LEN_MIN - 1;
    struct kit_record wrong_network = kit_damage(&foreign, KIT_ANNA, 4, 1, 3);
    struct kit_record stranger = kit_damage(k, KIT_STRANGER, 1, 1, 3);
    struct kit_record role = kit_review(k, KIT_ANNA, 5, KIT_BINH, 1, REVIEW_SEEN, "");
    static const uint8_t junk[] = { 0xff, 0xff, 0xff };
    struct kit_record body = kit_sign(k, KIT_ANNA, 6, RECORD_DAMAGE, 1, junk, sizeof junk);
    struct kit_record later = kit_sign(k, KIT_ANNA, 7, 12, 0, junk, sizeof junk);
    struct kit_record forged_root = kit_enrol(k, KIT_STRANGER, ROSTER_MEMBER, 1, "x", 0);
    forged_root.bytes[forged_root.len - 2] ^= 0x10;
    const struct { const char *name; const struct kit_record *record; int want; } CASES[] = {
        { "a good report", &good, LEDGER_NEW },
        { "the same again", &good, LEDGER_DUPLICATE },
        { "other bytes under its number", &other, LEDGER_FORK },
        { "the second half again", &other, LEDGER_DUPLICATE },
        { "a third half", &third, LEDGER_FORK },
        { "a third half is not kept", &third, LEDGER_FORK },
        { "one bit of the signature", &flipped, LEDGER_BAD_SIGNATURE },
        { "cut short", &cut, LEDGER_MALFORMED },
        { "signed for another commune", &wrong_network, LEDGER_BAD_SIGNATURE },
        { "an author nobody enrolled", &stranger, LEDGER_UNKNOWN_AUTHOR },
        { "a member who reviews", &role, LEDGER_BAD_ROLE },
        { "a body that is none", &body, LEDGER_BAD_BODY },
        { "which is kept all the same", &body, LEDGER_DUPLICATE },
        { "a kind of a later version", &later, LEDGER_NEW },
        { "a roster entry the root did not sign", &forged_root, LEDGER_BAD_SIGNATURE },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        int verdict = kit_put(k, &p->ledger, CASES[i].record);
        if (verdict != CASES[i].want)
            fail_msg("%s: %s", CASES[i].name,
                     verdict < 0 ? db_error(p->db)
                                 : ledger_verdict_name((enum ledger_verdict)verdict));
    }
    assert_int_equal(count_reports(p), 3); /* good, its fork, the unreadable one */
}

static void test_ledger_keeps_both_halves_of_a_fork(void **state)
{
    struct place *p = *state;
    size_t count = 0;
    kit_put_root_log(&p->kit, &p->ledger);
    struct kit_record a = kit_damage(&p->kit, KIT_ANNA, 1, 1, 3);
    struct kit_record b = kit_damage(&p->kit, KIT_ANNA, 1, 1, 9);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &a), LEDGER_NEW);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &b), LEDGER_FORK);
    assert_int_equal(db_record_forks(p->db, 1, count_record, &count), 0);
    assert_int_equal(count, 2);
}

struct kin { size_t count; struct db_record newest; };

static int take_kin(void *ctx, const struct db_record *record)
{
    struct kin *kin = ctx;
    if (kin->count++ == 0)
        kin->newest = *record;
    return 0;
}

static void test_ledger_finds_what_its_author_said_of_the_same(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct report other_event = { .event = 2, .figure_count = 1, .figures = { { 1, 5 } } };
    kit_put_root_log(k, &p->ledger);
    const struct kit_record records[] = {
        kit_damage(k, KIT_ANNA, 1, 1, 3), kit_damage(k, KIT_ANNA, 3, 1, 5),
        kit_damage(k, KIT_ANNA, 2, 1, 4), kit_damage(k, KIT_BINH, 4, 1, 9),
        kit_report(k, KIT_ANNA, 5, RECORD_NEEDS, &(struct report){ .figure_count = 0 }),
        kit_report(k, KIT_ANNA, 6, RECORD_DAMAGE, &other_event),
    };
    for (size_t i = 0; i < sizeof records / sizeof records[0]; i++)
        assert_int_equal(kit_put(k, &p->ledger, &records[i]), LEDGER_NEW);
    const struct db_record of = { .commune = 1, .ref = { .author = KIT_ANNA },
                                  .kind = RECORD_DAMAGE };
    struct kin all = { .count = 0 }, one = { .count = 0 };
    assert_int_equal(db_record_kin(p->db, &of, 9, take_kin, &all), 0);
    assert_int_equal(db_record_kin(p->db, &of, 1, take_kin, &one), 0);
    assert_int_equal(all.count, 3);
    assert_int_equal(all.newest.ref.seq, 3);
    assert_int_equal(one.count, 1);
}

static void test_ledger_releases_what_waited_for_its_author(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record one = kit_damage(k, KIT_STRANGER, 1, 1, 3);
    struct kit_record two = kit_damage(k, KIT_STRANGER, 2, 1, 4);
    struct kit_record fake = kit_damage(k, KIT_STRANGER, 3, 1, 5);
    fake.bytes[20] ^= 4;
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(kit_put(k, &p->ledger, &fake), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(count_reports(p), 0);
    struct kit_record entry = kit_enrol(k, KIT_STRANGER, ROSTER_MEMBER, 4, "Người mới", 0);
    assert_int_equal(kit_put(k, &p->ledger, &entry), LEDGER_NEW);
    assert_int_equal(count_reports(p), 2);
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_DUPLICATE);
    assert_int_equal(kit_put(k, &p->ledger, &fake), LEDGER_BAD_SIGNATURE);
}

static int note_arrival(void *ctx, const struct db_record *record)
{
    struct record_ref *list = ctx;
    while (list->seq != 0)
        list++;
    *list = record->ref;
    return 0;
}

/* The node is given what did not come from it, whoever brought the roster. */
static void test_ledger_keeps_the_way_of_what_waited(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct record_ref given[4] = { { .seq = 0 } };
    kit_put_root_log(k, &p->ledger);
    struct kit_record by_cable = kit_damage(k, KIT_STRANGER, 1, 1, 3);
    struct kit_record by_radio = kit_damage(k, KIT_STRANGER, 2, 1, 4);
    struct kit_record entry = kit_enrol(k, KIT_STRANGER, ROSTER_MEMBER, 4, "Người mới", 0);
    p->ledger.via = DB_VIA_WIRE;
    assert_int_equal(kit_put(k, &p->ledger, &by_cable), LEDGER_UNKNOWN_AUTHOR);
    p->ledger.via = DB_VIA_NODE;
    assert_int_equal(kit_put(k, &p->ledger, &by_radio), LEDGER_UNKNOWN_AUTHOR);
    p->ledger.via = DB_VIA_FILE;
    assert_int_equal(kit_put(k, &p->ledger, &entry), LEDGER_NEW);
    assert_int_equal(p->ledger.via, DB_VIA_FILE);
    assert_int_equal(db_record_for_node(p->db, 1, 5, 4, note_arrival, given), 0);
    assert_int_equal(given[0].author, AUTHOR_ROOT);
    assert_int_equal(given[1].seq, 1);
    assert_int_equal(given[2].seq, 0);
}

static int count_pending(void *ctx, const struct db_pending *pending)
{
    (void)pending;
    ++*(size_t *)ctx;
    return 0;
}

static size_t pending_count(struct place *p, uint16_t author)
{
    size_t count = 0;
    assert_int_equal(db_pending_of(p->db, 1, author, count_pending, &count), 0);
    return count;
}

/* Anybody can bring junk under an unknown number; it ends with what he brought himself. */
static void test_ledger_holds_back_a_bounded_number(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    const uint16_t junk = 31;
    kit_put_root_log(k, &p->ledger);
    struct kit_record first = kit_damage(k, KIT_STRANGER, 1, 1, 3);
    struct kit_record second = kit_damage(k, KIT_STRANGER, 2, 1, 4);
    struct kit_record entry = kit_enrol(k, KIT_STRANGER, ROSTER_MEMBER, 4, "Người mới", 0);
    assert_int_equal(kit_put(k, &p->ledger, &first), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(db_begin(p->db), 0);
    struct ledger_commune *c = ledger_find(&p->ledger, k->network_id);
    for (uint32_t seq = 1; seq <= DB_PENDING_COUNT_MAX + 3; seq++) {
        struct kit_record r = kit_damage(k, junk, seq, 1, 3);
        assert_int_equal(ledger_put(&p->ledger, c, r.bytes, r.len, KIT_NOW_MS),
                         LEDGER_UNKNOWN_AUTHOR);
    }
    assert_int_equal(db_commit(p->db), 0);
    assert_int_equal(kit_put(k, &p->ledger, &second), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(kit_put(k, &p->ledger, &second), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(pending_count(p, KIT_STRANGER), 2);
    assert_int_equal(pending_count(p, junk), DB_PENDING_COUNT_MAX - 2);
    assert_int_equal(kit_put(k, &p->ledger, &entry), LEDGER_NEW);
    assert_int_equal(count_reports(p), 2);
}

static void test_ledger_keeps_only_the_newest_of_a_superseding_lane(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    uint8_t body[RECORD_BODY_LEN_MAX];
    kit_put_root_log(k, &p->ledger);
    struct kit_record acks[3];
    for (uint32_t i = 0; i < 3; i++) {
        struct ack ack = { .log_count = 1, .logs = { { KIT_ANNA * LANE_COUNT, i + 1 } } };
        int len = ack_encode(&ack, body, sizeof body);
        assert_true(len > 0);
        acks[i] = kit_sign(k, KIT_GATEWAY, i + 1, RECORD_ACK_FIRST, 0, body, (size_t)len);
    }
    assert_int_equal(kit_put(k, &p->ledger, &acks[1]), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &acks[0]), LEDGER_SUPERSEDED);
    assert_int_equal(kit_put(k, &p->ledger, &acks[2]), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &acks[1]), LEDGER_SUPERSEDED);
    uint32_t newest = 0;
    assert_int_equal(db_record_newest(p->db, 1, KIT_GATEWAY, 1, &newest), 0);
    assert_int_equal(newest, 3);
}

static void test_ledger_refuses_numbers_past_a_revocation(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record revoked = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 3);
    struct kit_record two = kit_damage(k, KIT_ANNA, 2, 1, 3);
    struct kit_record three = kit_damage(k, KIT_ANNA, 3, 1, 3);
    assert_int_equal(kit_put(k, &p->ledger, &revoked), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &three), LEDGER_REVOKED);
}

static int check_figure(void *ctx, const struct db_record *record)
{
    struct record_view view;
    struct report report;
    assert_int_equal(record_decode(record->bytes, record->len, &view), RECORD_OK);
    assert_int_equal(report_decode(view.body, view.body_len, &report), REPORT_OK);
    assert_int_not_equal(report.figures[0].value, *(int64_t *)ctx);
    *(int64_t *)ctx = report.figures[0].value;
    return 0;
}

static size_t count_figures(struct place *p)
{
    size_t count = 0;
    int64_t last = -1;
    assert_int_equal(db_record_reports(p->db, 1, count_record, &count), 0);
    assert_int_equal(db_record_reports(p->db, 1, check_figure, &last), 0);
    return count;
}

/* A thief's reports arrive before the commune hears of the theft. */
static void test_ledger_stops_counting_what_a_revocation_reaches_late(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record one = kit_damage(k, KIT_ANNA, 1, 1, 3);
    struct kit_record two = kit_damage(k, KIT_ANNA, 2, 1, 999);
    struct kit_record other = kit_damage(k, KIT_BINH, 1, 2, 5);
    struct kit_record seen = kit_review(k, KIT_OPERATOR, 1, KIT_BINH, 1, REVIEW_REJECTED, "");
    assert_int_equal(kit_put(k, &p->ledger, &one), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &other), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &seen), LEDGER_NEW);
    assert_int_equal(count_figures(p), 3);
    struct kit_record revoked = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 2);
    assert_int_equal(kit_put(k, &p->ledger, &revoked), LEDGER_NEW);
    assert_int_equal(count_figures(p), 2); /* Anna's first, and Binh's */
    assert_int_equal(review_state_of(p, KIT_BINH, 1), REVIEW_REJECTED);
    struct kit_record operator = kit_enrol(k, KIT_OPERATOR, ROSTER_OPERATOR, 0, "Trực ban", 1);
    assert_int_equal(kit_put(k, &p->ledger, &operator), LEDGER_NEW);
    assert_int_equal(review_state_of(p, KIT_BINH, 1), 0);
    struct kit_record pardoned = kit_enrol(k, KIT_ANNA, ROSTER_MEMBER, 3, "Nguyễn Thị An", 0);
    assert_int_equal(kit_put(k, &p->ledger, &pardoned), LEDGER_NEW);
    assert_int_equal(count_figures(p), 3); /* it was kept all the time */
    assert_int_equal(kit_put(k, &p->ledger, &two), LEDGER_DUPLICATE);
}

/* An export or an import beside a running gateway writes to the same database. */
static void test_ledger_learns_of_authors_another_program_stored(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit_record log[8];
    size_t count = kit_root_log(k, log);
    struct db *db = kit_open_db(p->dir, "a.db");
    struct ledger other;
    assert_int_equal(ledger_init(&other, db), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(kit_put(k, &other, &log[i]), LEDGER_NEW);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    struct kit_record held = kit_damage(k, KIT_BINH, 1, 1, 3);
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(kit_put(k, &p->ledger, &held), LEDGER_UNKNOWN_AUTHOR);
    assert_int_equal(kit_put(k, &p->ledger, &log[3]), LEDGER_DUPLICATE); /* Anna's entry */
    assert_int_equal(count_reports(p), 1);
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_DUPLICATE);
    ledger_free(&other);
    assert_int_equal(ledger_init(&other, db), 0); /* a start finds what waits for a known author */
    assert_int_equal(count_reports(p), 2);
    ledger_free(&other);
    db_close(db);
}

/* The whole of a commune, backwards, in one batch from a source that is enrolled in it. */
static void test_ledger_takes_a_batch_in_any_order(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit_record records[16], backwards[16];
    size_t count = kit_root_log(k, records), len;
    records[count++] = kit_damage(k, KIT_ANNA, 1, 1, 3);
    records[count++] = kit_damage(k, KIT_ANNA, 2, 1, 4);
    records[count++] = kit_damage(k, KIT_BINH, 1, 1, 4);
    for (size_t i = 0; i < count; i++)
        backwards[i] = records[count - 1 - i];
    uint8_t *bytes = kit_batch(k, KIT_GATEWAY, backwards, count, &len);
    struct ledger_batch_result result;
    bool sig_ok;
    assert_int_equal(ledger_put_batch(&p->ledger, bytes, len, 1, true, &result, &sig_ok), 0);
    assert_true(sig_ok);
    assert_int_equal(result.counts[LEDGER_NEW], count);
    ledger_batch_result_free(&result);
    assert_int_equal(ledger_put_batch(&p->ledger, bytes, len, 1, true, &result, &sig_ok), 0);
    assert_int_equal(result.counts[LEDGER_DUPLICATE], count);
    ledger_batch_result_free(&result);
    free(bytes);
}

static void test_ledger_refuses_whole_batches_without_a_trace(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit foreign;
    struct kit_record records[16];
    struct ledger_batch_result result;
    bool sig_ok;
    size_t len;
    kit_init(&foreign, 3);
    size_t count = kit_root_log(k, records);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    uint8_t *no_roster = kit_batch(k, KIT_GATEWAY, &report, 1, &len);
    assert_int_equal(ledger_put_batch(&p->ledger, no_roster, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_ESOURCE);
    free(no_roster);
    uint8_t *bad_sig = kit_batch(k, KIT_GATEWAY, records, count, &len);
    bad_sig[len - 1] ^= 1;
    assert_int_equal(ledger_put_batch(&p->ledger, bad_sig, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_ESIG);
    free(bad_sig);
    uint8_t *stranger = kit_batch(&foreign, AUTHOR_ROOT, &report, 1, &len);
    assert_int_equal(ledger_put_batch(&p->ledger, stranger, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_ETRUST);
    stranger[BATCH_MAGIC_LEN] ^= 1;
    assert_int_equal(ledger_put_batch(&p->ledger, stranger, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_EROOT);
    assert_int_equal(ledger_put_batch(&p->ledger, stranger, 7, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_EFORM);
    free(stranger);
    int64_t last = -1;
    assert_int_equal(db_record_last_arrival(p->db, &last), 0);
    assert_int_equal(last, 0);
    /* The roster in memory was taken back too. */
    assert_null(roster_find(&ledger_find(&p->ledger, k->network_id)->roster, KIT_GATEWAY));
}

/* Whoever cannot sign for an enrolled source makes us check one signature, not a thousand. */
static void test_ledger_judges_nothing_of_what_a_stranger_signed(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    struct kit_record records[200];
    struct ledger_batch_result result;
    bool sig_ok;
    size_t len, count = sizeof records / sizeof records[0];
    kit_put_root_log(k, &p->ledger);
    for (size_t i = 0; i < count; i++) {
        records[i] = kit_enrol(k, KIT_STRANGER, ROSTER_MEMBER, 1, "x", 0);
        records[i].bytes[records[i].len - 2] ^= 0x10;
    }
    const struct roster_author *before = ledger_find(&p->ledger, k->network_id)->roster.authors;
    uint8_t *bytes = kit_batch(k, KIT_GATEWAY, records, count, &len);
    bytes[len - 1] ^= 1;
    assert_int_equal(ledger_put_batch(&p->ledger, bytes, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_ESIG);
    free(bytes);
    bytes = kit_batch(k, KIT_STRANGER, records, count, &len); /* a source nobody enrolled */
    assert_int_equal(ledger_put_batch(&p->ledger, bytes, len, 1, true, &result, &sig_ok),
                     LEDGER_BATCH_ESOURCE);
    free(bytes);
    /* The roster was not even read again. */
    assert_ptr_equal(ledger_find(&p->ledger, k->network_id)->roster.authors, before);
    assert_int_equal(p->ledger.counts[LEDGER_BAD_SIGNATURE], 0);
}

static void test_ledger_knows_its_rosters_after_a_restart(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    ledger_free(&p->ledger);
    db_close(p->db);
    p->db = kit_open_db(p->dir, "a.db");
    assert_int_equal(ledger_init(&p->ledger, p->db), 0);
    struct ledger_commune *c = ledger_find(&p->ledger, k->network_id);
    assert_non_null(c);
    assert_string_equal(c->info.name, "Xã Cao Minh");
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
}

static void test_ledger_shows_the_newest_review(void **state)
{
    struct place *p = *state;
    struct kit *k = &p->kit;
    kit_put_root_log(k, &p->ledger);
    struct kit_record report = kit_damage(k, KIT_ANNA, 1, 1, 3);
    struct kit_record seen = kit_review(k, KIT_OPERATOR, 1, KIT_ANNA, 1, REVIEW_SEEN, "");
    struct kit_record met = kit_review(k, KIT_OPERATOR, 2, KIT_ANNA, 1, REVIEW_MET, "xong");
    assert_int_equal(kit_put(k, &p->ledger, &met), LEDGER_NEW);
    assert_int_equal(kit_put(k, &p->ledger, &seen), LEDGER_NEW); /* late, but older */
    assert_int_equal(kit_put(k, &p->ledger, &report), LEDGER_NEW);
    assert_int_equal(review_state_of(p, KIT_ANNA, 1), REVIEW_MET);
}

/* ---- what the board finds and counts by ---- */

static size_t count_listed(struct place *p, const struct db_list_filter *filter)
{
    size_t count = 0;
    assert_int_equal(db_record_list(p->db, filter, count_record, &count), 0);
    return count;
}

static int take_heard(void *ctx, const struct db_heard *heard)
{
    if (heard->author == KIT_ANNA)
        *(struct db_heard *)ctx = *heard;
    return 0;
}

/* Through the bulk way or one by one: the same copies beside the record. */
static void put_noted(struct place *p, uint32_t seq, const char *text, bool bulk)
{
    struct report report = { .village = 4, .figure_count = 1, .figures = { { 20, 1 } } };
    struct ledger_checked checked;
    struct strbuf words = { .text = NULL };
    bool taken = true;
    snprintf(report.text, sizeof report.text, "%s", text);
    report.text_len = strlen(text);
    struct kit_record r = kit_report(&p->kit, KIT_ANNA, seq, RECORD_DAMAGE, &report);
    if (!bulk) {
        assert_int_equal(kit_put(&p->kit, &p->ledger, &r), LEDGER_NEW);
        return;
    }
    const struct ledger_commune *c = ledger_get(&p->ledger, 1);
    assert_int_equal(ledger_check(c, r.bytes, r.len, &checked), 0);
    assert_true(checked.plain);
    ledger_words(c, &checked.view, &words);
    checked.row.words = words.text;
    checked.row.received_ms = KIT_NOW_MS;
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(db_record_bulk(p->db, &checked.row, 1, &taken), 0);
    assert_int_equal(db_commit(p->db), 0);
    assert_false(taken);
    strbuf_free(&words);
}

static void test_board_finds_reports_by_whichever_way_they_came(void **state)
{
    struct place *p = *state;
    struct db_heard heard = { .seq = 0 };
    kit_put_root_log(&p->kit, &p->ledger);
    /* An answer to 12-3 is here before it. */
    struct kit_record early = kit_review(&p->kit, KIT_OPERATOR, 1, KIT_ANNA, 3, REVIEW_SEEN, "");
    assert_int_equal(kit_put(&p->kit, &p->ledger, &early), LEDGER_NEW);
    put_noted(p, 1, "Nước lên nhanh", false);
    put_noted(p, 3, "Sạt đường", true);
    put_noted(p, 4, "Nước rút", true);
    static const struct {
        const char *words;
        int state;
        int64_t village;
        int priority;
        size_t count;
    } CASES[] = {
        { "", -1, -1, -1, 3 }, { "nuoc", -1, -1, -1, 2 }, { "nguyen thi an", -1, -1, -1, 3 },
        { "12_4", -1, -1, -1, 1 }, { "", 0, -1, -1, 2 }, { "", REVIEW_SEEN, -1, -1, 1 },
        { "", REVIEW_QUESTION, -1, -1, 0 }, { "", REVIEW_REJECTED, -1, -1, 0 },
        { "nuoc", REVIEW_SEEN, -1, -1, 0 }, { "", -1, 4, -1, 3 }, { "", -1, 3, -1, 0 },
        { "", -1, -1, PRIORITY_RESCUE, 0 },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct db_list_filter filter = db_list_all(10);
        filter.words = CASES[i].words;
        filter.state = CASES[i].state;
        filter.village = CASES[i].village;
        filter.priority = CASES[i].priority;
        assert_int_equal(count_listed(p, &filter), CASES[i].count);
    }
    struct db_list_filter all = db_list_all(2);
    int64_t total = 0, waiting = 0;
    assert_int_equal(db_record_count(p->db, &all, &total, &waiting), 0);
    assert_int_equal(total, 2); /* no further than asked */
    all.limit = 10;
    assert_int_equal(db_record_count(p->db, &all, &total, &waiting), 0);
    assert_int_equal(total, 3);
    assert_int_equal(waiting, 2);
    assert_int_equal(db_record_heard(p->db, 1, take_heard, &heard), 0);
    assert_int_equal(heard.count, 3);
    assert_int_equal(heard.seq, 4);
    assert_int_equal(heard.received_ms, KIT_NOW_MS);
}

int main(void)
{
#define LEDGER_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(test_board_finds_reports_by_whichever_way_they_came),
        LEDGER_TEST(test_ledger_gives_each_record_its_verdict),
        LEDGER_TEST(test_ledger_keeps_both_halves_of_a_fork),
        LEDGER_TEST(test_ledger_finds_what_its_author_said_of_the_same),
        LEDGER_TEST(test_ledger_releases_what_waited_for_its_author),
        LEDGER_TEST(test_ledger_keeps_the_way_of_what_waited),
        LEDGER_TEST(test_ledger_holds_back_a_bounded_number),
        LEDGER_TEST(test_ledger_keeps_only_the_newest_of_a_superseding_lane),
        LEDGER_TEST(test_ledger_refuses_numbers_past_a_revocation),
        LEDGER_TEST(test_ledger_takes_a_batch_in_any_order),
        LEDGER_TEST(test_ledger_refuses_whole_batches_without_a_trace),
        LEDGER_TEST(test_ledger_knows_its_rosters_after_a_restart),
        LEDGER_TEST(test_ledger_shows_the_newest_review),
        LEDGER_TEST(test_ledger_stops_counting_what_a_revocation_reaches_late),
        LEDGER_TEST(test_ledger_learns_of_authors_another_program_stored),
        LEDGER_TEST(test_ledger_judges_nothing_of_what_a_stranger_signed),
    };
    return kit_run_on_both(tests);
}
