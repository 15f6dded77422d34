/* Operators, their file, the counting of tries, and the audit trail. */
#include "tests/unit/test_gateway_kit.h"

#include "gateway/people.h"

static const char PASSPHRASE[] = "bốn từ dễ nhớ lắm";

struct place {
    char dir[KIT_PATH_LEN];
    struct people people;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char err[AUDIT_ERR_LEN];
    assert_non_null(p);
    assert_true(sodium_init() >= 0);
    kit_make_dir(p->dir);
    if (people_open(&p->people, NULL, p->dir, NULL, err) != 0)
        fail_msg("%s", err);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    people_close(&p->people);
    kit_remove_dir(p->dir);
    free(p);
    return 0;
}

static void add(struct access *a, const char *login, enum access_role role)
{
    char err[ACCESS_ERR_LEN];
    struct access_operator *o;
    assert_int_equal(access_operator_add(a, login, "Nguyễn Thị Lan", role, &o), ACCESS_GOOD);
    assert_int_equal(access_hash(PASSPHRASE, o->hash), ACCESS_GOOD);
    assert_int_equal(access_save(a, err), 0);
}

static enum access_login try_it(struct access *a, const char *passphrase, uint32_t address,
                                bool local, int64_t now_ms)
{
    char cookie[256];
    struct access_peer peer = { .address = address, .local = local };
    return access_login(a, "lan", passphrase, "", &peer, now_ms, cookie, sizeof cookie);
}

/* ---- operators ---- */

static void test_access_operators_survive_their_file(void **state)
{
    struct place *p = *state;
    struct access other;
    char err[ACCESS_ERR_LEN];
    add(&p->people.access, "lan", ACCESS_ADMIN);
    add(&p->people.access, "pao", ACCESS_VIEW);
    assert_int_equal(access_init(&other, p->people.access.path, err), 0);
    assert_int_equal(other.operator_count, 2);
    const struct access_operator *pao = access_operator_find(&other, "pao");
    assert_non_null(pao);
    assert_int_equal(pao->number, 2);
    assert_int_equal(pao->role, ACCESS_VIEW);
    assert_string_equal(pao->name, "Nguyễn Thị Lan");
    assert_int_equal(try_it(&other, PASSPHRASE, 1, true, 0), ACCESS_WELCOME);
}

static void test_access_refuses_names_that_would_break_the_file(void **state)
{
    struct place *p = *state;
    static const char *const LOGINS[] = { "", "Lan", "lan lan", "lan\n1", "../lan",
                                          "abcdefghijklmnopqrstuvwxyz0123456789" };
    struct access *a = &p->people.access;
    struct access_operator *o;
    for (size_t i = 0; i < sizeof LOGINS / sizeof LOGINS[0]; i++)
        if (access_operator_add(a, LOGINS[i], "x", ACCESS_VIEW, &o) != ACCESS_BAD_LOGIN)
            fail_msg("'%s' is taken", LOGINS[i]);
    assert_int_equal(access_operator_add(a, "lan", "two\nlines", ACCESS_VIEW, &o),
                     ACCESS_BAD_NAME);
    assert_int_equal(access_operator_add(a, "lan", "x", ACCESS_NOBODY, &o), ACCESS_BAD_ROLE);
    add(a, "lan", ACCESS_VIEW);
    assert_int_equal(access_operator_add(a, "lan", "x", ACCESS_VIEW, &o), ACCESS_TAKEN);
    char hash[ACCESS_HASH_LEN];
    assert_int_equal(access_hash("too short", hash), ACCESS_BAD_PASSPHRASE);
}

static void test_access_damaged_or_missing_file_opens_nothing(void **state)
{
    struct place *p = *state;
    struct access *a = &p->people.access, fresh;
    char err[ACCESS_ERR_LEN];
    add(a, "lan", ACCESS_ADMIN);
    assert_int_equal(access_refresh(a, err), 0);
    static const char *const TEXTS[] = { "", "1 admin on lan plain text\n", "x\n",
                                         "1 king on lan $argon2id$ x\n" };
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        char why[HOME_ERR_LEN];
        assert_int_equal(home_replace_file(a->path, (const uint8_t *)TEXTS[i], strlen(TEXTS[i]),
                                           0600, why), 0);
        assert_int_equal(access_refresh(a, err), -1);
        assert_true(access_is_guarded(a));
        assert_int_equal(access_init(&fresh, a->path, err), -1);
    }
    assert_int_equal(unlink(a->path), 0);
    assert_int_equal(access_refresh(a, err), -1);
    assert_true(access_is_guarded(a));
}

/* ---- tries ---- */

static void test_access_10000_guesses_do_not_shut_the_commune_out(void **state)
{
    struct place *p = *state;
    struct access *a = &p->people.access;
    int64_t now_ms = 1000000;
    unsigned looked_at = 0;
    add(a, "lan", ACCESS_ADMIN);
    assert_int_equal(try_it(a, PASSPHRASE, 77, false, now_ms), ACCESS_WELCOME);
    for (uint32_t i = 0; i < 10000; i++) /* from 500 addresses, within ten seconds */
        looked_at += try_it(a, "wrong wrong wrong", 1000 + i % 500, false, now_ms + i) !=
                     ACCESS_TOO_MANY;
    assert_in_range(looked_at, 1, ACCESS_TRIES_OF_STRANGERS);
    now_ms += 10000;
    assert_int_equal(try_it(a, PASSPHRASE, 5, false, now_ms), ACCESS_TOO_MANY);
    /* The desk itself, and the address that was here before. */
    assert_int_equal(try_it(a, PASSPHRASE, 6, true, now_ms), ACCESS_WELCOME);
    assert_int_equal(try_it(a, PASSPHRASE, 77, false, now_ms), ACCESS_WELCOME);
    /* Nothing is locked for good. */
    now_ms += 2 * ACCESS_TRY_MS;
    assert_int_equal(try_it(a, PASSPHRASE, 5, false, now_ms), ACCESS_WELCOME);
}

static void test_access_sessions_end(void **state)
{
    struct place *p = *state;
    struct access *a = &p->people.access;
    char cookie[256];
    struct access_peer peer = { .address = 1, .local = true };
    add(a, "lan", ACCESS_ADMIN);
    for (int i = 0; i < 4; i++) {
        int64_t now_ms = 1000000;
        assert_int_equal(access_login(a, "lan", PASSPHRASE, "", &peer, now_ms, cookie,
                                      sizeof cookie), ACCESS_WELCOME);
        cookie[strcspn(cookie, ";")] = '\0';
        assert_non_null(access_who(a, cookie, false, now_ms));
        switch (i) {
        case 0: access_logout(a, cookie, false); break;
        case 1: now_ms += ACCESS_IDLE_MS_MAX + 1; break;
        case 2: access_operator_find(a, "lan")->disabled = true; break;
        case 3: assert_int_equal(access_hash("một cụm khác hẳn",
                                             access_operator_find(a, "lan")->hash), ACCESS_GOOD);
        }
        if (access_who(a, cookie, false, now_ms))
            fail_msg("way %d does not end the session", i);
        access_operator_find(a, "lan")->disabled = false;
    }
}

/* ---- audit ---- */

struct seen { size_t count; struct audit_entry last; };

static void see(void *ctx, const struct audit_entry *entry)
{
    struct seen *seen = ctx;
    seen->count++;
    seen->last = *entry;
}

static size_t bad_entries(struct place *p, size_t tail_len, struct seen *seen)
{
    char err[AUDIT_ERR_LEN];
    size_t bad;
    *seen = (struct seen){ .count = 0 };
    if (audit_read(&p->people.audit, tail_len, people_audit_key, &p->people, see, seen, &bad, err))
        fail_msg("%s", err);
    return bad;
}

static char *read_trail(struct place *p, size_t *len_out)
{
    FILE *file = fopen(p->people.audit.path, "re");
    char *text = calloc(1, 64 * 1024);
    assert_non_null(file);
    assert_non_null(text);
    *len_out = fread(text, 1, 64 * 1024 - 1, file);
    fclose(file);
    return text;
}

static void write_trail(struct place *p, const char *text, size_t len)
{
    FILE *file = fopen(p->people.audit.path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, len, file), len);
    fclose(file);
}

static void fill_trail(struct place *p, size_t count)
{
    char err[AUDIT_ERR_LEN];
    for (size_t i = 0; i < count; i++)
        assert_int_equal(audit_add(&p->people.audit, (uint32_t)i, "review",
                                   i % 2 ? "101-5 \"đã\" <b>\nduyệt" : "", KIT_NOW_MS, err), 0);
}

static void test_audit_entries_follow_on_each_other(void **state)
{
    struct place *p = *state;
    struct seen seen;
    assert_int_equal(bad_entries(p, 0, &seen), 0); /* no file yet */
    fill_trail(p, 6);
    assert_int_equal(bad_entries(p, 0, &seen), 0);
    assert_int_equal(seen.count, 6);
    assert_int_equal(seen.last.number, 6);
    assert_int_equal(seen.last.by, 5);
    assert_string_equal(seen.last.object, "101-5 \"đã\" <b>\nduyệt");
    assert_int_equal(bad_entries(p, 800, &seen), 0); /* of a tail the first only leads in */
    assert_in_range(seen.count, 1, 4);
}

static void test_audit_shows_what_was_changed(void **state)
{
    struct place *p = *state;
    struct seen seen;
    size_t len;
    fill_trail(p, 5);
    char *text = read_trail(p, &len);
    for (size_t i = 0; i < len; i += 7) { /* any byte */
        char kept = text[i];
        text[i] = kept == '1' ? '2' : '1';
        write_trail(p, text, len);
        if (bad_entries(p, 0, &seen) == 0)
            fail_msg("byte %zu is not missed", i);
        text[i] = kept;
    }
    char *second = strchr(text, '\n') + 1, *third = strchr(second, '\n') + 1;
    memmove(second, third, strlen(third) + 1); /* a line taken out */
    write_trail(p, text, strlen(text));
    assert_true(bad_entries(p, 0, &seen) > 0);
    free(text);
}

static void test_audit_goes_on_after_half_a_line(void **state)
{
    struct place *p = *state;
    struct seen seen;
    size_t len;
    fill_trail(p, 3);
    char *text = read_trail(p, &len);
    write_trail(p, text, len - 20);
    free(text);
    fill_trail(p, 1);
    assert_int_equal(bad_entries(p, 0, &seen), 0);
    assert_int_equal(seen.count, 3);
    assert_int_equal(seen.last.number, 3);
}

/* ---- the command ---- */

static int run(struct place *p, const char *verb, const char *login, const char *role)
{
    struct people_change change = { .login = login, .role = role, .name = "Lan",
                                    .wall_ms = KIT_NOW_MS };
    return people_operator(&p->people, verb, &change);
}

static void test_people_keep_somebody_who_administers(void **state)
{
    struct place *p = *state;
    struct seen seen;
    add(&p->people.access, "lan", ACCESS_ADMIN);
    add(&p->people.access, "pao", ACCESS_REVIEW);
    assert_int_equal(run(p, "role", "lan", "view"), 2);
    assert_int_equal(p->people.access.operators[0].role, ACCESS_ADMIN); /* nothing is half done */
    assert_int_equal(run(p, "role", "pao", "admin"), 0);
    assert_int_equal(run(p, "off", "lan", NULL), 0);
    assert_int_equal(run(p, "off", "pao", NULL), 2);
    assert_int_equal(run(p, "sing", "pao", NULL), 2);
    assert_int_equal(run(p, "off", "nobody", NULL), 2);
    assert_int_equal(bad_entries(p, 0, &seen), 0);
    assert_int_equal(seen.count, 2);
    assert_string_equal(seen.last.action, "operator-off");
}

static enum access_fault apply(struct place *p, enum people_verb verb, const char *login,
                               const char *passphrase)
{
    char err[AUDIT_ERR_LEN];
    struct people_change change = { .verb = verb, .login = login, .role = "review", .name = "Páo",
                                    .passphrase = passphrase, .by = 1, .wall_ms = KIT_NOW_MS };
    return people_apply(&p->people, &change, err);
}

/* What cannot be kept is not done, in memory neither: a server goes on with it. */
static void test_people_change_all_or_nothing(void **state)
{
    struct place *p = *state;
    struct seen seen;
    add(&p->people.access, "lan", ACCESS_ADMIN);
    assert_int_equal(apply(p, PEOPLE_ADD, "pao", "too short"), ACCESS_BAD_PASSPHRASE);
    assert_int_equal(p->people.access.operator_count, 1);
    assert_int_equal(bad_entries(p, 0, &seen), 0);
    assert_int_equal(seen.count, 0);
    assert_int_equal(apply(p, PEOPLE_ADD, "pao", PASSPHRASE), ACCESS_GOOD);
    assert_int_equal(apply(p, PEOPLE_PASSWD, "nobody", PASSPHRASE), ACCESS_UNKNOWN);
    char trail[AUDIT_PATH_LEN];
    snprintf(trail, sizeof trail, "%s", p->people.audit.path);
    snprintf(p->people.audit.path, sizeof p->people.audit.path, "%.4000s/no/such", p->dir);
    assert_int_equal(apply(p, PEOPLE_OFF, "pao", NULL), ACCESS_NOT_KEPT);
    assert_false(access_operator_find(&p->people.access, "pao")->disabled);
    snprintf(p->people.audit.path, sizeof p->people.audit.path, "%s", trail);
    assert_int_equal(bad_entries(p, 0, &seen), 0);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.last.by, 1);
}

/* Another program changed the list meanwhile: neither change is lost. */
static void test_people_two_programs_change(void **state)
{
    struct place *p = *state;
    char err[ACCESS_ERR_LEN];
    add(&p->people.access, "lan", ACCESS_ADMIN);
    static struct people other;
    other = p->people;
    assert_int_equal(apply(p, PEOPLE_ADD, "pao", PASSPHRASE), ACCESS_GOOD);
    struct people_change change = { .verb = PEOPLE_ADD, .login = "hoa", .role = "view",
                                    .name = "Hoa", .passphrase = PASSPHRASE };
    assert_int_equal(people_apply(&other, &change, err), ACCESS_GOOD);
    assert_int_equal(access_refresh(&p->people.access, err), 0);
    assert_int_equal(p->people.access.operator_count, 3);
    assert_int_equal(access_operator_find(&p->people.access, "hoa")->number, 3);
}

static void test_access_confirm_asks_for_his_own_passphrase(void **state)
{
    struct place *p = *state;
    struct access *a = &p->people.access;
    struct access_peer peer = { .address = 9, .local = true };
    static const struct access_operator ANYBODY = { .role = ACCESS_ADMIN };
    assert_int_equal(access_confirm(a, &ANYBODY, "", &peer, 0), ACCESS_WELCOME);
    add(a, "lan", ACCESS_ADMIN);
    const struct access_operator *lan = access_operator_find(a, "lan");
    assert_int_equal(access_confirm(a, lan, PASSPHRASE, &peer, 0), ACCESS_WELCOME);
    for (int i = 0; i < ACCESS_TRIES_PER_ADDRESS; i++)
        assert_int_equal(access_confirm(a, lan, "một cụm khác hẳn", &peer, 0), ACCESS_WRONG);
    assert_int_equal(access_confirm(a, lan, PASSPHRASE, &peer, 0), ACCESS_TOO_MANY);
}

int main(void)
{
#define ACCESS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(test_access_operators_survive_their_file),
        ACCESS_TEST(test_access_refuses_names_that_would_break_the_file),
        ACCESS_TEST(test_access_damaged_or_missing_file_opens_nothing),
        ACCESS_TEST(test_access_10000_guesses_do_not_shut_the_commune_out),
        ACCESS_TEST(test_access_sessions_end),
        ACCESS_TEST(test_audit_entries_follow_on_each_other),
        ACCESS_TEST(test_audit_shows_what_was_changed),
        ACCESS_TEST(test_audit_goes_on_after_half_a_line),
        ACCESS_TEST(test_people_keep_somebody_who_administers),
        ACCESS_TEST(test_people_change_all_or_nothing),
        ACCESS_TEST(test_people_two_programs_change),
        ACCESS_TEST(test_access_confirm_asks_for_his_own_passphrase),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
