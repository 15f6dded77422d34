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
        { "an expiry without zone", HEAD SENT KIND "<info>" WORDS
          "<expires>2026-11-23T02:00:00</expires></info>" TAIL, "expires" },
        { "eighteen deep", HEAD "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "deep" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if (parse(CASES[i].xml) != -1 || !strstr(err, CASES[i].why))
            fail_msg("%s: %s", CASES[i].name, err);
    }
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
        cmocka_unit_test(test_cap_refuses_what_is_not_for_people),
        cmocka_unit_test(test_cap_fits_the_air),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
