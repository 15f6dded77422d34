#include "tests/unit/test_http_kit.h"

static struct reply *post_directive(struct place *p, const char *fields)
{
    static char form[4096];
    snprintf(form, sizeof form, "token=%s&%s", hidden(get(p, "/directives"), "token"), fields);
    struct ask a = { "POST", "/directives?lang=en", NULL, form, strlen(form) };
    return ask(p, &a);
}

static void put(struct place *p, const struct kit_record *r)
{
    assert_int_equal(kit_put(&p->kit, &p->ledger, r), LEDGER_NEW);
}

/* What is wrong is said by its name, and what was written and chosen is still there. */
static void test_page_directives_refusals_say_why(void **state)
{
    struct place *p = *state;
    char text[3 * REPORT_TEXT_LEN_MAX], fields[sizeof text + 128];
    kit_put_root_log(&p->kit, &p->ledger);
    memset(text, 'a', sizeof text);
    text[REPORT_TEXT_LEN_MAX + 1] = '\0';
    static const char CHOSEN[] = "village=0&role=2&person=12&hours=6&priority=1&receipt=1";
    const struct { const char *text, *choices, *why; } CASES[] = {
        { text, CHOSEN, "too long for the air" },
        { text + 300, CHOSEN, "too long for the air" },
        { "", CHOSEN, "is empty, or holds characters" },
        { "a%01b", CHOSEN, "is empty, or holds characters" },
        { "a", "village=0&role=2&person=12&hours=6&priority=99", "A choice of this form" },
        { "a", "role=2&person=12&hours=6&priority=1", "A choice of this form" },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        snprintf(fields, sizeof fields, "%s&text=%s", CASES[i].choices, CASES[i].text);
        struct reply *r = post_directive(p, fields);
        assert_reply(CASES[i].choices, r, 400, CASES[i].why);
        assert_non_null(strstr(r->text, "<option value=\"12\" selected>"));
        assert_non_null(strstr(r->text, "<option value=\"6\" selected>"));
    }
    snprintf(fields, sizeof fields, "%s&text=%.100s", CHOSEN, text);
    assert_reply("just short enough", post_directive(p, fields), 303, "");
    assert_int_equal(p->reviews_added, 1);
}

static struct kit_record receipt_of(struct place *p, uint16_t author, uint32_t seq, bool read,
                                    const uint32_t *of, size_t count)
{
    struct receipt receipt = { .read = read, .ref_count = count };
    uint8_t body[RECORD_BODY_LEN_MAX];
    for (size_t i = 0; i < count; i++)
        receipt.refs[i] = (struct record_ref){ .author = KIT_GATEWAY, .seq = of[i] };
    int len = receipt_encode(&receipt, body, sizeof body);
    assert_true(len > 0);
    return kit_sign(&p->kit, author, seq, RECORD_RECEIPT, 0, body, (size_t)len);
}

/* Whoever confirmed stands there, in whatever order the receipts came, and nobody else. */
static void test_page_directives_names_who_confirmed(void **state)
{
    struct place *p = *state;
    static const uint32_t LATE[] = { 2, 3 }, EARLY[] = { 1 }, NEVER_SENT[] = { 7, 8, 9 };
    struct kit_record r;
    kit_put_root_log(&p->kit, &p->ledger);
    for (uint32_t i = 1; i <= 3; i++) {
        struct directive d = { .text_len = 2, .text = "ab", .receipt = true };
        uint8_t body[RECORD_BODY_LEN_MAX];
        int len = directive_encode(&d, body, sizeof body);
        r = kit_sign(&p->kit, KIT_GATEWAY, i, RECORD_DIRECTIVE, 2, body, (size_t)len);
        put(p, &r);
    }
    r = receipt_of(p, KIT_BINH, 1, true, LATE, 2);
    put(p, &r);
    r = receipt_of(p, KIT_ANNA, 1, true, NEVER_SENT, 3);
    put(p, &r);
    r = receipt_of(p, KIT_ANNA, 2, true, EARLY, 1);
    put(p, &r);
    const char *at = get(p, "/directives?lang=en")->text;
    for (uint32_t i = 3; i >= 1; i--) { /* newest first */
        char number[16];
        snprintf(number, sizeof number, ">9-%u<", (unsigned)i);
        at = strstr(at, number);
        assert_non_null(at);
        const char *read = strstr(at, "<dd>"), *unread = strstr(at, "<dd class=\"warn\">");
        assert_true(read && unread && read < unread);
        const char *anna = strstr(at, "Nguyễn Thị An"), *binh = strstr(at, "Lý Văn Bình");
        assert_true(anna && binh);
        assert_int_equal(anna < unread, i == 1);
        assert_int_equal(binh < unread, i != 1);
    }
}

int main(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
#define PAGE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PAGE_TEST(test_page_directives_refusals_say_why),
        PAGE_TEST(test_page_directives_names_who_confirmed),
    };
    return kit_run_on_both(tests);
}
