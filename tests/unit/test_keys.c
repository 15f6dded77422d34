/* Keys of a place above communes: whose they are, what they may say, and that no number is used
 * twice when a ledger was restored. */
#include "tests/unit/test_gateway_kit.h"

#include <sys/stat.h>

#include "gateway/keys.h"

enum { PROVINCE = 28, OTHER = 29 };

struct place {
    char dir[KIT_PATH_LEN], home[KIT_PATH_LEN + 16], identity[KIT_PATH_LEN + 32];
    struct kit kit;
    struct db *db;
    struct ledger ledger;
    struct keys keys;
};

static void write_commune(struct place *p, enum roster_role role, uint32_t revoked_after)
{
    struct kit_record log[8];
    char path[KIT_PATH_LEN + 32];
    size_t len, count = kit_root_log(&p->kit, log);
    log[count++] = kit_enrol(&p->kit, PROVINCE, role, 0, "Tỉnh", revoked_after);
    uint8_t *bytes = kit_batch(&p->kit, AUTHOR_ROOT, log, count, &len);
    snprintf(path, sizeof path, "%s/commune.keng", p->home);
    kit_write_file(path, bytes, len);
    free(bytes);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char path[KIT_PATH_LEN + 64], err[HOME_ERR_LEN];
    assert_non_null(p);
    kit_make_dir(p->dir);
    kit_init(&p->kit, 1);
    snprintf(p->home, sizeof p->home, "%s/home", p->dir);
    snprintf(p->identity, sizeof p->identity, "%s/identity", p->home);
    assert_int_equal(mkdir(p->home, 0700), 0);
    assert_int_equal(mkdir(p->identity, 0700), 0);
    snprintf(path, sizeof path, "%s/%d.key", p->identity, PROVINCE);
    assert_int_equal(home_write_secret(path, p->kit.secret_keys[PROVINCE], KENG_SIG_LEN, err), 0);
    p->db = kit_open_db(p->dir, "a.db");
    assert_int_equal(ledger_init(&p->ledger, p->db), 0);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    keys_free(&p->keys);
    ledger_free(&p->ledger);
    db_close(p->db);
    kit_remove_dir(p->identity);
    kit_remove_dir(p->home);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static int add_homes(struct place *p, const char *dir)
{
    char err[BUNDLE_ERR_LEN];
    return keys_add_homes(&p->keys, &p->ledger, dir, KIT_NOW_MS, err);
}

static struct db_outgoing outgoing_directive(const char *text,
                                             uint8_t body[static RECORD_BODY_LEN_MAX])
{
    struct directive directive = { .text_len = strlen(text) };
    memcpy(directive.text, text, directive.text_len + 1);
    int len = directive_encode(&directive, body, RECORD_BODY_LEN_MAX);
    assert_true(len > 0);
    return (struct db_outgoing){ .commune = 1, .text = text, .kind = RECORD_DIRECTIVE,
                                 .priority = PRIORITY_EVACUATION, .body = body,
                                 .body_len = (size_t)len };
}

static int direct(struct place *p, const char *text, struct record_ref *ref_out,
                  char err[static BUNDLE_ERR_LEN])
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct db_outgoing outgoing = outgoing_directive(text, body);
    return keys_write(&p->keys, &p->ledger, &outgoing, KIT_NOW_MS, ref_out, err);
}

static void test_keys_finds_homes_in_a_directory(void **state)
{
    struct place *p = *state;
    assert_int_equal(add_homes(p, p->dir), -1); /* no commune.keng in any yet */
    assert_int_equal(add_homes(p, "/nowhere"), -1);
    write_commune(p, ROSTER_OPERATOR, 0);
    assert_int_equal(add_homes(p, p->dir), 0);
    assert_int_equal(p->keys.count, 1);
    const struct keys_entry *key = keys_find(&p->keys, &p->ledger.communes[0]);
    assert_non_null(key);
    assert_int_equal(key->identity.number, PROVINCE);
    assert_int_equal(add_homes(p, p->home), 0); /* a home itself does as well */
    assert_int_equal(p->keys.count, 2);
}

static void test_keys_answers_only_as_gateway_or_operator(void **state)
{
    static const struct { enum roster_role role; uint32_t revoked_after; bool want; } CASES[] = {
        { ROSTER_GATEWAY, 0, true }, { ROSTER_OPERATOR, 0, true }, { ROSTER_MEMBER, 0, false },
        { ROSTER_NODE, 0, false }, { ROSTER_OPERATOR, 5, false },
    };
    struct place *p = *state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct record_ref ref;
        char err[BUNDLE_ERR_LEN];
        write_commune(p, CASES[i].role, CASES[i].revoked_after);
        assert_int_equal(add_homes(p, p->home), 0);
        const struct keys_entry *key = keys_find(&p->keys, &p->ledger.communes[0]);
        if ((key != NULL) != CASES[i].want)
            fail_msg("role %d, revoked %u", (int)CASES[i].role, (unsigned)CASES[i].revoked_after);
        assert_int_equal(direct(p, "Sơ tán", &ref, err), CASES[i].want ? 0 : -1);
        keys_free(&p->keys);
    }
}

static void test_keys_another_key_under_the_number_is_none(void **state)
{
    struct place *p = *state;
    memcpy(p->kit.public_keys[PROVINCE], p->kit.public_keys[OTHER], KENG_KEY_LEN);
    write_commune(p, ROSTER_OPERATOR, 0);
    assert_int_equal(add_homes(p, p->home), 0);
    assert_null(keys_find(&p->keys, &p->ledger.communes[0]));
}

static int keep_record(void *ctx, const struct db_record *record)
{
    struct kit_record *kept = ctx;
    memcpy(kept->bytes, record->bytes, record->len);
    kept->len = record->len;
    return 0;
}

/* A number that may be out there never names another directive. */
static void test_keys_waits_for_what_a_restored_ledger_lacks(void **state)
{
    struct place *p = *state;
    struct record_ref ref;
    struct kit_record second;
    char err[BUNDLE_ERR_LEN];
    write_commune(p, ROSTER_OPERATOR, 0);
    assert_int_equal(add_homes(p, p->home), 0);
    assert_int_equal(direct(p, "một", &ref, err), 0);
    assert_int_equal(direct(p, "hai", &ref, err), 0);
    assert_int_equal(ref.seq, 2);
    assert_int_equal(ref.author, PROVINCE);
    assert_int_equal(db_record_variants(p->db, 1, &ref, keep_record, &second), 0);

    keys_free(&p->keys);
    ledger_free(&p->ledger);
    db_close(p->db);
    p->db = kit_open_db(p->dir, "b.db"); /* the ledger of before; the home is today's */
    assert_int_equal(ledger_init(&p->ledger, p->db), 0);
    assert_int_equal(add_homes(p, p->home), 0);
    assert_int_equal(direct(p, "ba", &ref, err), -1);
    assert_non_null(strstr(err, "28-2"));
    assert_int_equal(kit_put(&p->kit, &p->ledger, &second), LEDGER_NEW); /* from below */
    assert_int_equal(direct(p, "ba", &ref, err), 0);
    assert_int_equal(ref.seq, 3);
}

static int count_outgoing(void *ctx, const struct db_outgoing *outgoing)
{
    unsigned *counts = ctx;
    counts[*outgoing->error != '\0']++;
    return 0;
}

/* What the console queued is written once, and what cannot be is told with its reason. */
static void test_keys_writes_the_queue(void **state)
{
    struct place *p = *state;
    uint8_t body[RECORD_BODY_LEN_MAX];
    unsigned counts[2] = { 0, 0 };
    int64_t before, after, id;
    write_commune(p, ROSTER_OPERATOR, 0);
    assert_int_equal(add_homes(p, p->home), 0);
    assert_int_equal(db_record_last_arrival(p->db, &before), 0);
    struct db_outgoing outgoing = outgoing_directive("Sơ tán", body), review = outgoing;
    struct db_outgoing foreign = outgoing, damage = outgoing;
    review.kind = RECORD_REVIEW; /* as an older program queued it: no body, but state and text */
    review.ref = (struct record_ref){ .author = KIT_ANNA, .seq = 1 };
    review.state = REVIEW_SEEN;
    review.body_len = 0;
    foreign.commune = 7; /* of which there is no key here: somebody else's to write */
    damage.kind = RECORD_ROSTER; /* is not his to write */
    assert_int_equal(db_outgoing_add(p->db, &foreign, &id), 0);
    assert_int_equal(db_outgoing_add(p->db, &outgoing, &id), 0);
    assert_int_equal(db_outgoing_add(p->db, &damage, &id), 0);
    assert_int_equal(db_outgoing_add(p->db, &review, &id), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(keys_write_queue(&p->keys, &p->ledger, KIT_NOW_MS), 0);
    assert_int_equal(db_record_last_arrival(p->db, &after), 0);
    assert_int_equal(after, before + 2);
    assert_int_equal(db_outgoing_list(p->db, count_outgoing, counts), 0);
    assert_int_equal(counts[0], 1);
    assert_int_equal(counts[1], 1);
}

int main(void)
{
#define KEYS_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        KEYS_TEST(test_keys_finds_homes_in_a_directory),
        KEYS_TEST(test_keys_answers_only_as_gateway_or_operator),
        KEYS_TEST(test_keys_another_key_under_the_number_is_none),
        KEYS_TEST(test_keys_waits_for_what_a_restored_ledger_lacks),
        KEYS_TEST(test_keys_writes_the_queue),
    };
    setenv("KENG_LANG", "en", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
