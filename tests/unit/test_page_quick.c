#include "tests/unit/test_http_kit.h"

#include "gateway/quick.h"

static struct catalogue *catalogue;

static struct reply *post(struct place *p, const char *path, const char *fields)
{
    static char form[4096];
    snprintf(form, sizeof form, "token=%s&%s", hidden(get(p, "/quick?commune=1"), "token"), fields);
    struct ask a = { "POST", path, NULL, form, strlen(form) };
    return ask(p, &a);
}

/* What the form of a draft sends; seen: "" of a new one. */
static struct reply *save(struct place *p, unsigned id, const char *seen, const char *course)
{
    char fields[512];
    snprintf(fields, sizeof fields,
             "id=%u&seen=%s&event=1&from=2026-11-01T00:00&until=2026-11-18T20:00&hazard=0&"
             "basis=received&course=%s", id, seen, course);
    return post(p, "/quick", fields);
}

static struct reply *sign(struct place *p, unsigned id, const char *seen)
{
    char fields[256];
    snprintf(fields, sizeof fields, "id=%u&seen=%s&signer=Chairman", id, seen);
    return post(p, "/quick/sign", fields);
}

static int take_number(void *ctx, const struct db_quick *row)
{
    *(uint32_t *)ctx = row->number;
    return 0;
}

static uint32_t number_of(struct place *p, int64_t id)
{
    uint32_t number = UINT32_MAX;
    assert_int_equal(db_quick_get(p->db, id, take_number, &number), 0);
    return number;
}

static int count_outgoing(void *ctx, const struct db_outgoing *o)
{
    (void)o;
    ++*(unsigned *)ctx;
    return 0;
}

static unsigned outgoing_count(struct place *p)
{
    unsigned count = 0;
    assert_int_equal(db_outgoing_list(p->db, count_outgoing, &count), 0);
    return count;
}

static void put_houses(struct place *p, uint16_t author, uint32_t seq, uint32_t village, int64_t n)
{
    struct report r = { .event = 1, .village = village, .figure_count = 1,
                        .figures = { { 8, n } } };
    struct kit_record record = kit_report(&p->kit, author, seq, RECORD_DAMAGE, &r);
    assert_int_equal(kit_put(&p->kit, &p->ledger, &record), LEDGER_NEW);
}

static int set_up_quick(void **state)
{
    int result = set_up(state);
    struct place *p = *state;
    p->console.catalogue = catalogue;
    kit_put_root_log(&p->kit, &p->ledger);
    put_houses(p, KIT_ANNA, 1, 3, 3);
    return result;
}

/* ---- what one did not see ------------------------------------------------------------------- */

static void test_page_quick_signs_what_was_seen(void **state)
{
    struct place *p = *state;
    char read[2 * KENG_HASH_LEN + 1], form[2 * KENG_HASH_LEN + 1];
    assert_reply("a draft", save(p, 0, "", "what+the+chairman+read"), 303, "");
    snprintf(read, sizeof read, "%s", hidden(get(p, "/quick/read?id=1&lang=en"), "seen"));
    snprintf(form, sizeof form, "%s", hidden(get(p, "/quick?id=1"), "seen"));
    assert_reply("at another desk", save(p, 1, form, "something+else"), 303, "");
    struct reply *r = sign(p, 1, read);
    assert_reply("signed unread", r, 409, "something else");
    assert_non_null(strstr(r->text, "role=\"alert\""));
    assert_int_equal(number_of(p, 1), 0);
    assert_int_equal(outgoing_count(p), 0);
    /* The page that says so is the one to sign from. */
    snprintf(read, sizeof read, "%s", hidden(r, "seen"));
    assert_reply("without a word of what was seen", sign(p, 1, ""), 409, "");
    char nameless[128];
    snprintf(nameless, sizeof nameless, "id=1&signer=&seen=%s", read);
    assert_reply("by nobody", post(p, "/quick/sign", nameless), 400, "họ tên người ký, ngắn");
    assert_int_equal(number_of(p, 1), 0);
    assert_reply("read again", sign(p, 1, read), 303, "");
    assert_int_equal(number_of(p, 1), 1);
    assert_int_equal(outgoing_count(p), 1);
}

/* Figures change, too, under the eyes of who reads them. */
static void test_page_quick_signs_the_figures_that_were_seen(void **state)
{
    struct place *p = *state;
    char read[2 * KENG_HASH_LEN + 1];
    assert_reply("a draft", save(p, 0, "", ""), 303, "");
    snprintf(read, sizeof read, "%s", hidden(get(p, "/quick/read?id=1"), "seen"));
    put_houses(p, KIT_BINH, 1, 5, 4);
    assert_reply("figures came", sign(p, 1, read), 409, "15-1");
    snprintf(read, sizeof read, "%s", hidden(get(p, "/quick/read?id=1"), "seen"));
    assert_reply("read again", sign(p, 1, read), 303, "");
}

static void test_page_quick_overwrites_no_draft_unseen(void **state)
{
    struct place *p = *state;
    char lan[2 * KENG_HASH_LEN + 1];
    assert_reply("a draft", save(p, 0, "", "first"), 303, "");
    snprintf(lan, sizeof lan, "%s", hidden(get(p, "/quick?id=1"), "seen"));
    assert_reply("Pao saves", save(p, 1, lan, "of+Pao"), 303, "");
    struct reply *r = save(p, 1, lan, "of+Lan");
    assert_reply("Lan, who saw none of it", r, 409, ">of Lan</textarea>");
    assert_non_null(strstr(r->text, "<p class=\"words\">of Pao</p>"));
    snprintf(lan, sizeof lan, "%s", hidden(r, "seen"));
    assert_reply("nothing was overwritten", get(p, "/quick/read?id=1"), 200, "of Pao");
    assert_reply("Lan, who saw both", save(p, 1, lan, "of+both"), 303, "");
    assert_reply("is saved", get(p, "/quick/read?id=1"), 200, "of both");
}

/* Signed while somebody was still writing: what he wrote becomes a draft of its own. */
static void test_page_quick_keeps_the_text_when_signed_meanwhile(void **state)
{
    struct place *p = *state;
    char lan[2 * KENG_HASH_LEN + 1];
    assert_reply("a draft", save(p, 0, "", "first"), 303, "");
    snprintf(lan, sizeof lan, "%s", hidden(get(p, "/quick?id=1"), "seen"));
    assert_reply("signed", sign(p, 1, hidden(get(p, "/quick/read?id=1"), "seen")), 303, "");
    struct reply *r = save(p, 1, lan, "of+Lan");
    assert_reply("too late", r, 409, ">of Lan</textarea>");
    assert_string_equal(hidden(r, "id"), "0");
    assert_reply("what is signed stays", get(p, "/quick/read?id=1"), 200, "first");
    assert_reply("a draft there never was", save(p, 77, lan, "x"), 404, "");
}

/* ---- above communes ------------------------------------------------------------------------- */

/* A second commune, and keys for both; whom a page is about is not said to the console. */
static void open_province(struct place *p, struct keys_entry keys[static 2])
{
    struct kit other;
    bool known;
    kit_init(&other, 7);
    assert_int_equal(db_begin(p->db), 0);
    assert_int_equal(ledger_trust(&p->ledger, other.public_keys[0], &known), 0);
    assert_int_equal(db_commit(p->db), 0);
    kit_put_root_log(&other, &p->ledger);
    keys[0] = keys[1] = p->key;
    memcpy(keys[1].network_id, other.network_id, KENG_NETWORK_ID_LEN);
    memcpy(keys[1].identity.public_key, other.public_keys[KIT_OPERATOR], KENG_KEY_LEN);
    p->receiver.keys = (struct keys){ .list = keys, .count = 2, .cap = 2 };
    p->console.keys = &p->receiver.keys;
    p->console.own_commune = 0;
}

static int take_commune(void *ctx, const struct db_outgoing *o)
{
    *(int64_t *)ctx = o->commune;
    return 0;
}

static void test_page_quick_of_two_communes_is_chosen(void **state)
{
    struct place *p = *state;
    struct keys_entry keys[2];
    int64_t commune = 0;
    open_province(p, keys);
    assert_reply("which one", get(p, "/quick"), 200, "\"/quick?commune=2&amp;");
    assert_reply("which one", get(p, "/quick"), 200, "\"/quick?commune=1&amp;");
    assert_reply("its form", get(p, "/quick?commune=1"), 200, "action=\"/quick\"");
    const char fields[] = "commune=1&id=0&event=1&from=2026-11-01T00:00&until=2026-11-18T20:00&"
                          "hazard=0&basis=received&course=above";
    assert_reply("a draft", post(p, "/quick", fields), 303, "");
    p->console.own_commune = 0;
    assert_reply("listed there", get(p, "/quick?commune=1"), 200, "/quick/read?id=1");
    p->console.own_commune = 0;
    struct reply *r = get(p, "/quick/read?id=1");
    assert_reply("to be signed", r, 200, "action=\"/quick/sign\"");
    p->console.own_commune = 0;
    assert_reply("signed", sign(p, 1, hidden(r, "seen")), 303, "");
    assert_int_equal(db_outgoing_list(p->db, take_commune, &commune), 0);
    assert_int_equal(commune, 1);
}

/* From the board of all communes a report is opened, corrected, joined, answered. */
static void test_page_record_of_any_commune_can_be_answered(void **state)
{
    struct place *p = *state;
    struct keys_entry keys[2];
    int64_t commune = 0;
    open_province(p, keys);
    assert_reply("on the board", get(p, "/"), 200, "/record?arrival=6&amp;lang=vi");
    struct reply *r = get(p, "/record?arrival=6");
    assert_reply("opened", r, 200, "name=\"f8\"");
    assert_non_null(strstr(r->text, "name=\"other\""));
    p->console.own_commune = 0;
    assert_reply("answered", post(p, "/review", "arrival=6&state=1&known=0.0"), 303, "");
    assert_int_equal(db_outgoing_list(p->db, take_commune, &commune), 0);
    assert_int_equal(commune, 1);
}

int main(void)
{
    char err[CATALOGUE_ERR_LEN];
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (catalogue_load("seeds/catalogue", &catalogue, err, sizeof err) != 0)
        return 2;
#define QUICK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_quick, tear_down)
    const struct CMUnitTest tests[] = {
        QUICK_TEST(test_page_quick_signs_what_was_seen),
        QUICK_TEST(test_page_quick_signs_the_figures_that_were_seen),
        QUICK_TEST(test_page_quick_overwrites_no_draft_unseen),
        QUICK_TEST(test_page_quick_keeps_the_text_when_signed_meanwhile),
        QUICK_TEST(test_page_quick_of_two_communes_is_chosen),
        QUICK_TEST(test_page_record_of_any_commune_can_be_answered),
    };
    int failed = kit_run_on_both(tests);
    catalogue_free(catalogue);
    return failed;
}
