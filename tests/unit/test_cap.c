#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/cap.h"

/* An alert written for this test; %s: where a case puts its own. */
#define HEAD                                                                                       \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                                 \
    "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\n"                                     \
    "<identifier>VN-LS-2026-0117</identifier><sender>truc@example.vn</sender>"
#define SENT "<sent>2026-11-22T14:05:00+07:00</sent>"
#define KIND "<status>Actual</status><msgType>Alert</msgType><scope>Public</scope>"
#define WORDS                                                                                      \
    "<category>Met</category><event>Flash flood</event><urgency>Immediate</urgency>"               \
    "<severity>Severe</severity><certainty>Likely</certainty>"
#define INFO "<info><language>vi-VN</language>" WORDS                                              \
    "<expires>2026-11-23T02:00:00+07:00</expires><headline>Lũ quét</headline>"                     \
    "<instruction>Rời khỏi ven\n      suối ngay.</instruction>"                                    \
    "<area><areaDesc>Cao Minh</areaDesc></area><area><areaDesc>Nà Lẹng</areaDesc></area></info>"
#define TAIL "</alert>\n"

static const int64_t SENT_MS = INT64_C(1795331100000); /* 2026-11-22T07:05:00Z */

static struct cap_alert alert;
static char err[CAP_ERR_LEN];

static int parse(const char *xml)
{
    return cap_parse(xml, strlen(xml), &alert, err);
}

static void test_cap_becomes_a_directive(void **state)
{
    struct directive d;
    uint8_t priority;
    (void)state;
    assert_int_equal(parse(HEAD SENT KIND INFO TAIL), 0);
    assert_int_equal(alert.sent_ms, SENT_MS);
    assert_int_equal(cap_directive(&alert, SENT_MS, &d, &priority, err), 0);
    assert_string_equal(d.text, "Lũ quét – Cao Minh; Nà Lẹng. Rời khỏi ven suối ngay.");
    assert_int_equal(priority, PRIORITY_EVACUATION);
    assert_int_equal(d.expires_min, (SENT_MS + 715 * 60000 - KENG_EPOCH_UNIX_S * 1000) / 60000);
    assert_false(d.drill);
    /* When it is over, it is no directive any more. */
    assert_int_equal(cap_directive(&alert, alert.expires_ms, &d, &priority, err), -1);
}

static void test_cap_prefers_vietnamese(void **state)
{
    (void)state;
    assert_int_equal(parse(HEAD SENT KIND "<info><language>en</language>" WORDS
                           "<headline>Flood</headline></info>" INFO TAIL), 0);
    assert_int_equal(alert.info_count, 2);
    assert_string_equal(alert.info.headline, "Lũ quét");
}

static void test_cap_exercise_is_a_drill(void **state)
{
    struct directive d;
    uint8_t priority;
    (void)state;
    assert_int_equal(parse(HEAD SENT "<status>Exercise</status><msgType>Cancel</msgType>"
                           "<scope>Public</scope>" INFO TAIL), 0);
    assert_int_equal(cap_directive(&alert, SENT_MS, &d, &priority, err), 0);
    assert_true(d.drill);
    assert_ptr_equal(strstr(d.text, "HỦY: "), d.text);
}

static void test_cap_refuses_what_is_no_alert(void **state)
{
    static const struct { const char *name, *xml, *why; } CASES[] = {
        { "nothing", "", "no element" },
        { "not well-formed", HEAD SENT KIND INFO, "line" },
        { "of version 1.1", "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.1\"/>", "CAP 1.2" },
        { "another root", "<html/>", "CAP 1.2" },
        { "entities", "<!DOCTYPE alert [<!ENTITY a \"b\">]>" "<alert>&a;</alert>",
          "document type" },
        { "a file from the disk", "<!DOCTYPE alert SYSTEM \"file:///etc/passwd\"><alert/>",
          "document type" },
        { "no identifier", "<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\"/>",
          "identifier" },
        { "no time", HEAD KIND INFO TAIL, "sent" },
        { "a time in Z", HEAD "<sent>2026-11-22T14:05:00Z</sent>" KIND INFO TAIL, "sent" },
        { "a status CAP has not", HEAD SENT "<status>Real</status><msgType>Alert</msgType>"
          "<scope>Public</scope>" INFO TAIL, "status" },
        { "no severity", HEAD SENT KIND "<info><category>Met</category><event>x</event>"
          "<urgency>Past</urgency><certainty>Likely</certainty></info>" TAIL, "severity" },
        { "two severities in one", HEAD SENT KIND "<info><category>Met</category><event>x</event>"
          "<urgency>Past</urgency><severity>Extreme Severe</severity><certainty>Likely</certainty>"
          "</info>" TAIL, "severity" },
        { "an expiry without zone", HEAD SENT KIND "<info>" WORDS
          "<expires>2026-11-23T02:00:00</expires></info>" TAIL, "expires" },
        { "eighteen deep", HEAD SENT KIND "<s:S xmlns:s=\"http://www.w3.org/2000/09/xmldsig#\">"
          "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "deep" },
        { "an unknown element", HEAD "<a/>", "no place" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if (parse(CASES[i].xml) != -1 || !strstr(err, CASES[i].why))
            fail_msg("%s: %s", CASES[i].name, err);
    }
}

/* What the standard says in sentences; what its tables say is tried against a schema
 * (tests/office/cap.py). */
static void test_cap_keeps_to_the_sentences(void **state)
{
    static const struct { const char *from, *to, *why; } CASES[] = {
        { "VN-LS-2026-0117", "VN LS", "identifier" },
        { "VN-LS-2026-0117", "", "identifier" },
        { "VN-LS-2026-0117", "a&amp;b", "identifier" },
        { "truc@example.vn", "a,b", "sender" },
        { "Public", "Private", "addresses" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        static const char WHOLE[] = HEAD SENT KIND INFO TAIL;
        const char *at = strstr(WHOLE, CASES[i].from);
        char xml[4096];
        snprintf(xml, sizeof xml, "%.*s%s%s", (int)(at - WHOLE), WHOLE, CASES[i].to,
                 at + strlen(CASES[i].from));
        if (parse(xml) != -1 || !strstr(err, CASES[i].why))
            fail_msg("%s for %s: %s", CASES[i].to, CASES[i].from, err);
    }
    assert_int_equal(parse(HEAD SENT "<status>Actual</status><msgType>Alert</msgType>"
                           "<scope>Private</scope><addresses>\"Lý Thị Mai\"</addresses>" TAIL), 0);
    assert_string_equal(alert.addresses, "\"Lý Thị Mai\"");
}

static void test_cap_refuses_what_is_not_for_people(void **state)
{
    static const char *const KINDS[] = {
        "<status>Test</status><msgType>Alert</msgType>",
        "<status>Draft</status><msgType>Alert</msgType>",
        "<status>Actual</status><msgType>Ack</msgType>",
    };
    struct directive d;
    uint8_t priority;
    (void)state;
    for (size_t i = 0; i < sizeof KINDS / sizeof KINDS[0]; i++) {
        char xml[4096];
        snprintf(xml, sizeof xml, "%s%s%s<scope>Public</scope>%s%s", HEAD, SENT, KINDS[i], INFO,
                 TAIL);
        assert_int_equal(parse(xml), 0);
        assert_int_equal(cap_directive(&alert, SENT_MS, &d, &priority, err), -1);
    }
    assert_int_equal(parse(HEAD SENT KIND TAIL), 0);
    assert_int_equal(cap_directive(&alert, SENT_MS, &d, &priority, err), -1);
}

static int write_and_read(const struct cap_outgoing *o, struct strbuf *out)
{
    assert_true(cap_write(o, out));
    return cap_parse(out->text, out->len, &alert, err);
}

/* Whatever a directive says, others read an alert that says the same, and so do we. */
static void test_cap_written_is_read_again(void **state)
{
    static const uint8_t NETWORK[KENG_NETWORK_ID_LEN] = { 0xab, 0xcd };
    static const char *const SEVERITIES[] = { "Minor", "Moderate", "Severe", "Extreme" };
    struct directive d = { .expires_min = 500000, .receipt = true }, again;
    struct cap_outgoing o = { .directive = &d, .ref = { .author = 9, .seq = 12 },
                              .sent_ms = SENT_MS, .network_id = NETWORK,
                              .commune_name = "Xã <Cao> & Minh", .commune_code = "01879",
                              .village = "", .role = "", .person = "" };
    uint8_t priority;
    (void)state;
    d.text_len = (size_t)snprintf(d.text, sizeof d.text, "%s",
                                  "Sơ tán ngay <b>\n\"lên\" trường \xef\xbf\xbf");
    for (o.priority = 0; o.priority < PRIORITY_COUNT; o.priority++) {
        struct strbuf out = { .text = NULL };
        d.drill = o.priority % 2;
        assert_int_equal(write_and_read(&o, &out), 0);
        assert_string_equal(alert.identifier, "keng.abcd000000000000.9.12");
        assert_string_equal(alert.sender, "keng.abcd000000000000.9");
        assert_string_equal(alert.scope, "Public");
        assert_int_equal(alert.sent_ms, SENT_MS);
        assert_string_equal(alert.info.severity, SEVERITIES[o.priority]);
        assert_string_equal(alert.info.areas, o.commune_name);
        assert_int_equal(cap_directive(&alert, SENT_MS, &again, &priority, err), 0);
        assert_int_equal(priority, o.priority);
        assert_int_equal(again.expires_min, d.expires_min);
        assert_int_equal(again.drill, d.drill);
        assert_string_equal(again.text, "Sơ tán ngay <b> \"lên\" trường \xef\xbf\xbd\xef\xbf\xbd"
                            "\xef\xbf\xbd – Xã <Cao> & Minh");
        strbuf_free(&out);
    }
    struct strbuf out = { .text = NULL };
    o.person = "Lý Thị Mai";
    o.role = "thành viên";
    assert_int_equal(write_and_read(&o, &out), 0);
    assert_string_equal(alert.scope, "Private");
    assert_string_equal(alert.addresses, "\"Lý Thị Mai\"");
    strbuf_free(&out);
    o.person = "";
    o.village = "Nà Lẹng";
    assert_int_equal(write_and_read(&o, &out), 0);
    assert_string_equal(alert.scope, "Restricted");
    assert_string_equal(alert.info.areas, "Nà Lẹng");
    strbuf_free(&out);
}

/* Long texts are cut at a word, and what comes out always fits a record. */
static void test_cap_fits_the_air(void **state)
{
    enum { WORD_COUNT = 20000 };
    static const char WORD[] = "sạt lở ";
    struct directive d;
    uint8_t priority, body[RECORD_BODY_LEN_MAX];
    char *xml = malloc(CAP_LEN_MAX + 4096);
    (void)state;
    assert_non_null(xml);
    size_t len = (size_t)snprintf(xml, 4096, "%s%s%s<info>%s<headline>Mưa lớn</headline>"
                                  "<description>", HEAD, SENT, KIND, WORDS);
    for (size_t i = 0; i < WORD_COUNT && len + 200 < CAP_LEN_MAX; i++, len += sizeof WORD - 1)
        memcpy(xml + len, WORD, sizeof WORD - 1);
    len += (size_t)snprintf(xml + len, 200, "</description></info>%s", TAIL);
    assert_int_equal(cap_parse(xml, len, &alert, err), 0);
    assert_int_equal(cap_directive(&alert, SENT_MS, &d, &priority, err), 0);
    assert_true(directive_encode(&d, body, sizeof body) > 0);
    assert_true(d.text_len > 150);
    assert_string_equal(d.text + d.text_len - strlen("…"), "…");
    assert_int_equal(cap_parse(xml, CAP_LEN_MAX + 1, &alert, err), -1);
    free(xml);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cap_becomes_a_directive),
        cmocka_unit_test(test_cap_prefers_vietnamese),
        cmocka_unit_test(test_cap_exercise_is_a_drill),
        cmocka_unit_test(test_cap_refuses_what_is_no_alert),
        cmocka_unit_test(test_cap_keeps_to_the_sentences),
        cmocka_unit_test(test_cap_written_is_read_again),
        cmocka_unit_test(test_cap_refuses_what_is_not_for_people),
        cmocka_unit_test(test_cap_fits_the_air),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
