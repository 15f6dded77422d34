#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/report.h"

enum { LINE_LEN_MAX = 2048, RANDOM_ROUNDS = 60000 };

static const char vectors_path[] = "proto/vectors/report.txt";

static uint32_t random_state = 20260102;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* ---- one way to decode and encode any kind of body, for the tables below -------------------- */

union any_body {
    struct report report;
    struct ack ack;
    struct review review;
    struct directive directive;
    struct receipt receipt;
    struct signoff signoff;
    struct roster_entry roster_entry;
    struct profile profile;
    struct unit unit;
};

struct body_type {
    const char *name;
    int (*decode)(const uint8_t *body, size_t len, union any_body *out);
    int (*encode)(const union any_body *in, uint8_t *buf, size_t cap);
};

#define BODY_TYPE(type) \
    static int type##_decode_any(const uint8_t *body, size_t len, union any_body *out) \
    { \
        return type##_decode(body, len, &out->type); \
    } \
    static int type##_encode_any(const union any_body *in, uint8_t *buf, size_t cap) \
    { \
        return type##_encode(&in->type, buf, cap); \
    }
BODY_TYPE(report)
BODY_TYPE(ack)
BODY_TYPE(review)
BODY_TYPE(directive)
BODY_TYPE(receipt)
BODY_TYPE(signoff)
BODY_TYPE(roster_entry)
BODY_TYPE(profile)
BODY_TYPE(unit)

static const struct body_type body_types[] = {
    { "report", report_decode_any, report_encode_any },
    { "ack", ack_decode_any, ack_encode_any },
    { "review", review_decode_any, review_encode_any },
    { "directive", directive_decode_any, directive_encode_any },
    { "receipt", receipt_decode_any, receipt_encode_any },
    { "roster_entry", roster_entry_decode_any, roster_entry_encode_any },
    { "profile", profile_decode_any, profile_encode_any },
    { "signoff", signoff_decode_any, signoff_encode_any },
    { "unit", unit_decode_any, unit_encode_any },
};

enum { BODY_TYPE_COUNT = sizeof body_types / sizeof body_types[0] };

/* ---- samples ------------------------------------------------------------------------------ */

static void set_text(char *text, size_t *len_out, const char *s)
{
    *len_out = strlen(s);
    memcpy(text, s, *len_out + 1);
}

static struct report sample_report(void)
{
    struct report r = {
        .village = 3, .event = 7, .hazard = 4, .lat_e5 = 2185012, .lon_e5 = 10675643,
        .figure_count = 3, .figures = { { 20, 3 }, { 22, 300 }, { 90, 25 } },
    };
    set_text(r.text, &r.text_len, "Nhà sập do sạt taluy, còn 2 nhà bếp.");
    return r;
}

static struct ack sample_ack(void)
{
    return (struct ack){
        .log_count = 4, .beyond_count = 3,
        .logs = { { 0, 12 }, { 8, 5 }, { 80, 0 }, { ACK_LOG_MAX, RECORD_SEQ_MAX - 2 } },
        .beyond = { { 1, 7 }, { 1, 9 }, { 3, RECORD_SEQ_MAX } },
    };
}

static struct review sample_review(void)
{
    struct review r = {
        .state = REVIEW_QUESTION, .ref_count = 2,
        .refs = { { .author = 5, .seq = 3 }, { .author = 5, .seq = 4 } },
    };
    set_text(r.text, &r.text_len, "Nhà nào?");
    return r;
}

static struct directive sample_directive(void)
{
    struct directive d = { .village = 2, .expires_min = 4321 };
    set_text(d.text, &d.text_len, "Sơ tán ngay lên trường.");
    return d;
}

static struct review sample_correction(void)
{
    return (struct review){
        .state = REVIEW_CORRECTED, .ref_count = 1, .refs = { { .author = 5, .seq = 3 } },
        .by = 2, .village = 7, .figure_count = 2, .figures = { { 20, 2 }, { 22, 310 } },
    };
}

static struct review sample_joining(void)
{
    return (struct review){
        .state = REVIEW_JOINED, .ref_count = 1, .refs = { { .author = 5, .seq = 3 } },
        .same_as = { .author = 6, .seq = 1 },
    };
}

static struct signoff sample_signoff(void)
{
    return (struct signoff){ .hash = { 1, 2, 3 }, .event = 2, .from_min = 1000, .until_min = 2440,
                             .by = 3, .drill = true };
}

static struct receipt sample_receipt(void)
{
    return (struct receipt){ .read = true, .ref_count = 2,
                             .refs = { { .author = 1, .seq = 5 }, { .author = 1, .seq = 9 } } };
}

static struct roster_entry sample_entry(void)
{
    struct roster_entry e = { .number = 17, .role = ROSTER_MEMBER, .village = 3,
                              .name = "Trưởng thôn Nà Lẹng" };
    memset(e.key, 0xa5, sizeof e.key);
    return e;
}

static struct unit sample_unit(void)
{
    struct unit u = { .code = "01879", .name = "Xã Cao Minh", .into = "01900", .from_day = 181,
                      .until_day = 300, .revoked_after = 7 };
    memset(u.root_key, 7, sizeof u.root_key);
    return u;
}

static struct profile sample_profile(void)
{
    return (struct profile){
        .name = "Xã Suối Mây", .code = "00001", .region = "VN-920",
        .lora = { .freq_hz = 922000000, .bw_hz = 125000, .sf = 9, .cr = 5,
                  .preamble_symbols = 16 },
        .eirp_dbm = 14, .duty_node_e4 = 100, .duty_gateway_e4 = 1000, .duty_window_s = 3600,
        .band_count = 2,
        .bands = { { .lo_hz = 920000000, .hi_hz = 923000000, .erp_max_dbm_x100 = 1400,
                     .duty_node = 100, .duty_gateway = 1000, .window_s = 3600 },
                   { .lo_hz = 433050000, .hi_hz = 434790000, .erp_max_dbm_x100 = -150,
                     .duty_node = 100, .duty_gateway = 1000, .window_s = 3600,
                     .dwell_ms = 400 } },
    };
}

/* ---- tests -------------------------------------------------------------------------------- */

static size_t hex_to_bytes(const char *hex, size_t digits, uint8_t *out, size_t cap)
{
    assert_true(digits % 2 == 0 && digits / 2 <= cap);
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = { hex[2 * i], hex[2 * i + 1], 0 };
        char *end;
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        assert_ptr_equal(end, pair + 2);
    }
    return digits / 2;
}

/* A vector is: type, error (0: must decode and encode to the same), body in hex or '-', remark. */
static void test_report_vectors_decode_to_their_verdicts(void **state)
{
    (void)state;
    FILE *f = fopen(vectors_path, "r");
    if (!f)
        fail_msg("cannot open %s (run from the top of the tree)", vectors_path);
    char line[LINE_LEN_MAX];
    size_t count = 0;
    while (fgets(line, sizeof line, f)) {
        char name[32], hex[1024];
        int want;
        if (line[0] == '#' || line[0] == '\n')
            continue;
        assert_int_equal(sscanf(line, "%31s %d %1023s", name, &want, hex), 3);
        uint8_t body[512], again[512];
        union any_body any;
        size_t len = hex[0] == '-' ? 0 : hex_to_bytes(hex, strlen(hex), body, sizeof body);
        size_t t = 0;
        while (t < BODY_TYPE_COUNT && strcmp(body_types[t].name, name) != 0)
            t++;
        assert_true(t < BODY_TYPE_COUNT);
        int got = body_types[t].decode(body, len, &any);
        if (got != want)
            fail_msg("%s: got %d (%s)", line, got, report_strerror(got));
        if (want == REPORT_OK) {
            assert_int_equal(body_types[t].encode(&any, again, sizeof again), len);
            assert_memory_equal(again, body, len);
        }
        count++;
    }
    fclose(f);
    assert_true(count >= 30);
}

static void test_report_fields_survive(void **state)
{
    (void)state;
    struct report in = sample_report(), out;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    int len = report_encode(&in, buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(report_decode(buf, (size_t)len, &out), REPORT_OK);
    assert_int_equal(out.village, 3);
    assert_int_equal(out.event, 7);
    assert_int_equal(out.hazard, 4);
    assert_int_equal(out.lat_e5, 2185012);
    assert_int_equal(out.lon_e5, 10675643);
    assert_false(out.drill);
    assert_int_equal(out.figure_count, 3);
    assert_memory_equal(out.figures, in.figures, 3 * sizeof in.figures[0]);
    assert_string_equal(out.text, in.text);

    struct report empty = { 0 };
    assert_int_equal(report_encode(&empty, buf, sizeof buf), 0);
    assert_int_equal(report_decode(buf, 0, &out), REPORT_OK);
    assert_int_equal(out.figure_count + out.text_len, 0);
}

static void test_report_corrections_and_joinings_survive(void **state)
{
    uint8_t buf[RECORD_BODY_LEN_MAX];
    struct review review_out, review = sample_correction();
    (void)state;
    int len = review_encode(&review, buf, sizeof buf);
    assert_int_equal(review_decode(buf, (size_t)len, &review_out), REPORT_OK);
    assert_true(review_out.by == 2 && review_out.village == 7);
    assert_int_equal(review_out.figure_count, 2);
    assert_memory_equal(review_out.figures, review.figures, 2 * sizeof review.figures[0]);
    review.village = REVIEW_VILLAGE_AUTHORS;
    review.figures[1].value = REVIEW_UNKNOWN;
    len = review_encode(&review, buf, sizeof buf);
    assert_int_equal(review_decode(buf, (size_t)len, &review_out), REPORT_OK);
    assert_int_equal(review_out.village, REVIEW_VILLAGE_AUTHORS);
    assert_int_equal(review_out.figures[1].value, REVIEW_UNKNOWN);
    review = sample_joining();
    len = review_encode(&review, buf, sizeof buf);
    assert_int_equal(review_decode(buf, (size_t)len, &review_out), REPORT_OK);
    assert_int_equal(review_out.same_as.author, 6);
    assert_int_equal(review_out.same_as.seq, 1);
}

static void test_report_other_bodies_survive(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    struct ack ack = sample_ack(), ack_out;
    int len = ack_encode(&ack, buf, sizeof buf);
    assert_int_equal(ack_decode(buf, (size_t)len, &ack_out), REPORT_OK);
    assert_memory_equal(&ack, &ack_out, sizeof ack);

    struct review review = sample_review(), review_out;
    review.refs[1].lane = 3;
    len = review_encode(&review, buf, sizeof buf);
    assert_int_equal(review_decode(buf, (size_t)len, &review_out), REPORT_OK);
    assert_int_equal(review_out.state, REVIEW_QUESTION);
    assert_int_equal(review_out.refs[1].lane, 3);
    assert_int_equal(review_out.refs[1].seq, 4);
    assert_string_equal(review_out.text, review.text);

    struct directive directive = sample_directive(), directive_out;
    len = directive_encode(&directive, buf, sizeof buf);
    assert_int_equal(directive_decode(buf, (size_t)len, &directive_out), REPORT_OK);
    assert_int_equal(directive_out.expires_min, 4321);
    assert_string_equal(directive_out.text, directive.text);

    directive.role = ROSTER_MEMBER;
    directive.person = 17;
    directive.drill = directive.receipt = true;
    len = directive_encode(&directive, buf, sizeof buf);
    assert_int_equal(directive_decode(buf, (size_t)len, &directive_out), REPORT_OK);
    assert_int_equal(directive_out.role, ROSTER_MEMBER);
    assert_int_equal(directive_out.person, 17);
    assert_true(directive_out.drill && directive_out.receipt);

    struct receipt receipt = sample_receipt(), receipt_out;
    len = receipt_encode(&receipt, buf, sizeof buf);
    assert_int_equal(receipt_decode(buf, (size_t)len, &receipt_out), REPORT_OK);
    assert_true(receipt_out.read);
    assert_int_equal(receipt_out.ref_count, 2);
    assert_int_equal(receipt_out.refs[1].seq, 9);

    struct roster_entry entry = sample_entry(), entry_out;
    len = roster_entry_encode(&entry, buf, sizeof buf);
    assert_int_equal(roster_entry_decode(buf, (size_t)len, &entry_out), REPORT_OK);
    assert_int_equal(entry_out.number, 17);
    assert_int_equal(entry_out.role, ROSTER_MEMBER);
    assert_memory_equal(entry_out.key, entry.key, KENG_KEY_LEN);
    assert_string_equal(entry_out.name, entry.name);

    struct profile profile = sample_profile(), profile_out;
    len = profile_encode(&profile, buf, sizeof buf);
    assert_int_equal(profile_decode(buf, (size_t)len, &profile_out), REPORT_OK);
    assert_int_equal(profile_out.lora.freq_hz, 922000000);
    assert_int_equal(profile_out.eirp_dbm, 14);
    assert_string_equal(profile_out.region, "VN-920");
    assert_int_equal(profile_out.band_count, 2);
    memcpy(profile.bands[0].name, "VN-920", sizeof "VN-920"); /* names are not sent */
    memcpy(profile.bands[1].name, "433.05-434.79", sizeof "433.05-434.79");
    assert_memory_equal(profile_out.bands, profile.bands, 2 * sizeof profile.bands[0]);
}

static void test_report_encoding_refuses_what_is_out_of_range(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    struct report r;

#define REFUSES(error, change) \
    do { \
        r = sample_report(); \
        change; \
        assert_int_equal(report_encode(&r, buf, sizeof buf), error); \
    } while (0)
    REFUSES(REPORT_ERANGE, r.village = REPORT_VILLAGE_MAX + 1);
    REFUSES(REPORT_ERANGE, r.event = REPORT_EVENT_MAX + 1);
    REFUSES(REPORT_ERANGE, r.hazard = REPORT_HAZARD_MAX + 1);
    REFUSES(REPORT_ERANGE, r.lat_e5 = REPORT_LAT_E5_MAX + 1);
    REFUSES(REPORT_ERANGE, r.lon_e5 = -REPORT_LON_E5_MAX - 1);
    REFUSES(REPORT_ERANGE, r.figures[0].code = 0);
    REFUSES(REPORT_ERANGE, r.figures[2].code = REPORT_CODE_MAX + 1);
    REFUSES(REPORT_ERANGE, r.figures[1].value = -1);
    REFUSES(REPORT_ERANGE, r.figures[1].value = REPORT_VALUE_MAX + 1);
    REFUSES(REPORT_EORDER, r.figures[1].code = 20);
    REFUSES(REPORT_EORDER, r.figures[1].code = 19);
    REFUSES(REPORT_ECOUNT, r.figure_count = REPORT_FIGURE_COUNT_MAX + 1);
    REFUSES(REPORT_ETEXT, r.text[0] = '\t');
    REFUSES(REPORT_ETEXT, r.text[0] = '\xff');
    REFUSES(REPORT_ETOOBIG, (memset(r.text, '#', 200), r.text_len = 200));
#undef REFUSES
    r = sample_report();
    int len = report_encode(&r, buf, sizeof buf);
    assert_int_equal(report_encode(&r, buf, (size_t)len - 1), REPORT_EROOM);
    assert_int_equal(report_encode(&r, buf, (size_t)len), len);
}

static void test_report_limits_themselves_are_accepted(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    union any_body out;
    struct report edge = {
        .village = REPORT_VILLAGE_MAX, .event = REPORT_EVENT_MAX, .hazard = REPORT_HAZARD_MAX,
        .lat_e5 = -REPORT_LAT_E5_MAX, .lon_e5 = REPORT_LON_E5_MAX, .figure_count = 2,
        .figures = { { 1, 0 }, { REPORT_CODE_MAX, REPORT_VALUE_MAX } },
    };
    int len = report_encode(&edge, buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(report_decode(buf, (size_t)len, &out.report), REPORT_OK);
    assert_memory_equal(out.report.figures, edge.figures, 2 * sizeof edge.figures[0]);
    edge.lat_e5 = REPORT_LAT_E5_MAX;
    edge.lon_e5 = -REPORT_LON_E5_MAX;
    assert_true(report_encode(&edge, buf, sizeof buf) > 0);

    struct review review = { .state = REVIEW_MET, .ref_count = 1 };
    review.refs[0] = (struct record_ref){
        .author = AUTHOR_MAX, .lane = LANE_COUNT - 1, .seq = RECORD_SEQ_MAX,
    };
    len = review_encode(&review, buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(review_decode(buf, (size_t)len, &out.review), REPORT_OK);
    assert_int_equal(out.review.refs[0].author, AUTHOR_MAX);

    struct directive directive = sample_directive();
    directive.village = REPORT_VILLAGE_MAX;
    directive.expires_min = CREATED_MINUTES_MAX;
    assert_true(directive_encode(&directive, buf, sizeof buf) > 0);

    struct roster_entry entry = sample_entry();
    entry.number = AUTHOR_MAX;
    entry.village = REPORT_VILLAGE_MAX;
    entry.revoked_after = RECORD_SEQ_MAX + 1;
    memset(entry.name, 'x', ROSTER_NAME_LEN_MAX);
    entry.name[ROSTER_NAME_LEN_MAX] = 0;
    len = roster_entry_encode(&entry, buf, sizeof buf);
    assert_true(len > 0);
    assert_int_equal(roster_entry_decode(buf, (size_t)len, &out.roster_entry), REPORT_OK);
    assert_string_equal(out.roster_entry.name, entry.name);

    struct profile profile = sample_profile();
    static const int8_t powers_dbm[] = { PROFILE_EIRP_DBM_MIN, PROFILE_EIRP_DBM_MAX };
    for (size_t i = 0; i < 2; i++) {
        profile.eirp_dbm = powers_dbm[i];
        profile.duty_window_s = i ? PROFILE_WINDOW_S_MAX : PROFILE_WINDOW_S_MIN;
        profile.duty_node_e4 = profile.duty_gateway_e4 = i ? 10000 : 1;
        len = profile_encode(&profile, buf, sizeof buf);
        assert_true(len > 0);
        assert_int_equal(profile_decode(buf, (size_t)len, &out.profile), REPORT_OK);
        assert_int_equal(out.profile.eirp_dbm, powers_dbm[i]);
    }
}

#define REFUSES(type, sample, error, change) \
    do { \
        struct type x = sample; \
        change; \
        assert_int_equal(type##_encode(&x, buf, sizeof buf), error); \
    } while (0)
static void test_report_reviews_say_only_what_belongs_to_their_state(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];

    REFUSES(review, sample_review(), REPORT_ECOUNT, x.ref_count = 0);
    REFUSES(review, sample_review(), REPORT_ERANGE, x.state = (enum review_state)0);
    REFUSES(review, sample_review(), REPORT_ERANGE, x.state = (enum review_state)8);
    REFUSES(review, sample_review(), REPORT_ERANGE, x.refs[0].seq = 0);
    REFUSES(review, sample_review(), REPORT_ERANGE, x.refs[1].author = AUTHOR_NONE);
    REFUSES(review, sample_review(), REPORT_EORDER, x.refs[1].seq = 3);
    REFUSES(review, sample_review(), REPORT_ERANGE, x.by = OPERATOR_MAX + 1);
    REFUSES(review, sample_review(), REPORT_ECOUNT, x.figure_count = 1; x.figures[0].code = 1);
    REFUSES(review, sample_correction(), REPORT_ECOUNT, x.figure_count = 0; x.village = 0);
    REFUSES(review, sample_correction(), REPORT_ERANGE, x.village = REVIEW_VILLAGE_AUTHORS + 1);
    REFUSES(review, sample_review(), REPORT_ECOUNT, x.village = 1);
    REFUSES(review, sample_correction(), REPORT_ERANGE, x.figures[0].value = REVIEW_UNKNOWN - 1);
    REFUSES(review, sample_correction(), REPORT_EORDER, x.figures[1].code = 20);
    REFUSES(review, sample_joining(), REPORT_ERANGE, x.same_as.seq = 0);
    REFUSES(review, sample_joining(), REPORT_ERANGE, x.same_as.lane = 1);
    REFUSES(review, sample_joining(), REPORT_ERANGE, x.same_as = x.refs[0]);
}

static void test_report_other_encoders_refuse_what_is_out_of_range(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    REFUSES(ack, sample_ack(), REPORT_ECOUNT, x.log_count = ACK_LOG_COUNT_MAX + 1);
    REFUSES(ack, sample_ack(), REPORT_ERANGE, x.logs[3].log = ACK_LOG_MAX + 1);
    REFUSES(ack, sample_ack(), REPORT_ERANGE, x.logs[0].held = RECORD_SEQ_MAX + 1);
    REFUSES(ack, sample_ack(), REPORT_EORDER, x.logs[1].log = 0);
    REFUSES(ack, sample_ack(), REPORT_ERANGE, x.beyond[0].seq = 6); /* no gap */
    REFUSES(ack, sample_ack(), REPORT_ERANGE, x.beyond[2].index = 4);
    REFUSES(ack, sample_ack(), REPORT_EORDER, x.beyond[1].seq = 7);
    REFUSES(directive, sample_directive(), REPORT_ERANGE, x.role = 5);
    REFUSES(directive, sample_directive(), REPORT_ERANGE, x.person = AUTHOR_NONE);
    REFUSES(signoff, sample_signoff(), REPORT_ERANGE, x.from_min = 2441);
    REFUSES(signoff, sample_signoff(), REPORT_ERANGE, x.until_min = CREATED_MINUTES_MAX + 1);
    REFUSES(signoff, sample_signoff(), REPORT_ERANGE, x.event = REPORT_EVENT_MAX + 1);
    REFUSES(signoff, sample_signoff(), REPORT_ERANGE, x.by = OPERATOR_MAX + 1);
    REFUSES(receipt, sample_receipt(), REPORT_ECOUNT, x.ref_count = 0);
    REFUSES(receipt, sample_receipt(), REPORT_ERANGE, x.refs[0].lane = 1);
    REFUSES(receipt, sample_receipt(), REPORT_EORDER, x.refs[1].seq = 5);
    REFUSES(directive, sample_directive(), REPORT_ETEXT, x.text_len = 0);
    REFUSES(directive, sample_directive(), REPORT_ERANGE, x.expires_min = CREATED_MINUTES_MAX + 1);
    REFUSES(roster_entry, sample_entry(), REPORT_ERANGE, x.number = AUTHOR_ROOT);
    REFUSES(roster_entry, sample_entry(), REPORT_ERANGE, x.number = AUTHOR_NONE);
    REFUSES(roster_entry, sample_entry(), REPORT_ERANGE, x.role = (enum roster_role)5);
    REFUSES(roster_entry, sample_entry(), REPORT_ERANGE, memset(x.key, 0, sizeof x.key));
    REFUSES(roster_entry, sample_entry(), REPORT_ERANGE, x.revoked_after = RECORD_SEQ_MAX + 2);
    REFUSES(roster_entry, sample_entry(), REPORT_ETEXT, x.name[0] = 0);
    REFUSES(roster_entry, sample_entry(), REPORT_ETEXT, x.name[3] = '\n');
    REFUSES(unit, sample_unit(), REPORT_ERANGE, x.until_day = x.from_day);
    REFUSES(unit, sample_unit(), REPORT_ERANGE, x.from_day = UNIT_DAY_MAX + 1);
    REFUSES(unit, sample_unit(), REPORT_ERANGE, x.revoked_after = RECORD_SEQ_MAX + 2);
    REFUSES(unit, sample_unit(), REPORT_ERANGE, memset(x.root_key, 0, sizeof x.root_key));
    REFUSES(unit, sample_unit(), REPORT_ETEXT, x.code[0] = '\0');
    REFUSES(unit, sample_unit(), REPORT_ETEXT, x.into[0] = 'x');
    REFUSES(unit, sample_unit(), REPORT_ETEXT, x.name[0] = '\0');
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.lora.sf = 13);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.lora.freq_hz = 2400000000u);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.eirp_dbm = 31);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.duty_node_e4 = 0);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.duty_gateway_e4 = 10001);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.duty_window_s = 59);
    REFUSES(profile, sample_profile(), REPORT_ECOUNT, x.band_count = PROFILE_BAND_COUNT_MAX + 1);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.bands[1].lo_hz = x.bands[1].hi_hz);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.bands[0].duty_node = 0);
    REFUSES(profile, sample_profile(), REPORT_ERANGE, x.bands[0].erp_max_dbm_x100 = 10000);
    REFUSES(profile, sample_profile(), REPORT_ETEXT, x.code[0] = 'x');
    REFUSES(profile, sample_profile(), REPORT_ETEXT, x.region[0] = 0);
}

/* The fullest bodies must fit protobuf-c's arena. */
static void test_report_largest_bodies_decode(void **state)
{
    (void)state;
    uint8_t buf[RECORD_BODY_LEN_MAX];
    struct ack ack = { .log_count = 58 }, ack_out;
    for (size_t i = 0; i < ack.log_count; i++)
        ack.logs[i] = (struct ack_log){ (uint32_t)(8 * (i + 1)), 9 };
    for (size_t i = 0; i < 23; i++)
        ack.beyond[ack.beyond_count++] = (struct ack_beyond){ (uint32_t)i, 11 };
    int len = ack_encode(&ack, buf, sizeof buf);
    assert_in_range(len, RECORD_BODY_LEN_MAX - 5, RECORD_BODY_LEN_MAX);
    assert_int_equal(ack_decode(buf, (size_t)len, &ack_out), REPORT_OK);
    assert_memory_equal(&ack, &ack_out, sizeof ack);

    struct report report = { .figure_count = REPORT_FIGURE_COUNT_MAX }, report_out;
    for (size_t i = 0; i < REPORT_FIGURE_COUNT_MAX; i++)
        report.figures[i] = (struct report_figure){ (uint32_t)(i + 1), (int64_t)i * 100 };
    report.text_len = 90;
    memset(report.text, '#', report.text_len);
    len = report_encode(&report, buf, sizeof buf);
    assert_in_range(len, 160, RECORD_BODY_LEN_MAX);
    assert_int_equal(report_decode(buf, (size_t)len, &report_out), REPORT_OK);
    assert_int_equal(report_out.figure_count, REPORT_FIGURE_COUNT_MAX);
    assert_int_equal(report_out.text_len, 90);
}

/* Whatever decodes must encode to the very bytes; nothing may read past the end. */
static void check_hostile(const uint8_t *body, size_t len, size_t *accepted)
{
    for (size_t t = 0; t < BODY_TYPE_COUNT; t++) {
        union any_body any;
        uint8_t again[RECORD_BODY_LEN_MAX];
        uint8_t *exact = malloc(len + 1);
        assert_non_null(exact);
        memcpy(exact, body, len);
        exact = realloc(exact, len > 0 ? len : 1);
        assert_non_null(exact);
        int err = body_types[t].decode(exact, len, &any);
        free(exact);
        assert_in_range(-err, REPORT_OK, -REPORT_ECANON);
        if (err != REPORT_OK)
            continue;
        (*accepted)++;
        assert_int_equal(body_types[t].encode(&any, again, sizeof again), len);
        assert_memory_equal(again, body, len);
    }
}

static void test_report_mutated_and_random_bodies_are_canonical_or_refused(void **state)
{
    (void)state;
    uint8_t seeds[BODY_TYPE_COUNT][RECORD_BODY_LEN_MAX];
    size_t seed_lens[BODY_TYPE_COUNT];
    union any_body any[BODY_TYPE_COUNT];
    size_t accepted = 0;

    memset(any, 0, sizeof any);
    any[0].report = sample_report();
    any[1].ack = sample_ack();
    any[2].review = sample_review();
    any[3].directive = sample_directive();
    any[4].receipt = sample_receipt();
    any[5].roster_entry = sample_entry();
    any[6].profile = sample_profile();
    any[7].signoff = sample_signoff();
    any[8].unit = sample_unit();
    for (size_t t = 0; t < BODY_TYPE_COUNT; t++) {
        int len = body_types[t].encode(&any[t], seeds[t], sizeof seeds[t]);
        assert_true(len > 0);
        seed_lens[t] = (size_t)len;
    }
    for (size_t i = 0; i < RANDOM_ROUNDS; i++) {
        uint8_t body[RECORD_BODY_LEN_MAX + 8];
        size_t t = random_below(BODY_TYPE_COUNT), len = seed_lens[t];
        memcpy(body, seeds[t], len);
        for (uint32_t n = random_below(4); n > 0; n--)
            body[random_below((uint32_t)len)] ^= (uint8_t)(1u << random_below(8));
        if (random_below(4) == 0)
            len = random_below((uint32_t)sizeof body + 1);
        for (size_t k = seed_lens[t]; k < len; k++)
            body[k] = (uint8_t)random_below(256);
        check_hostile(body, len, &accepted);
    }
    assert_true(accepted > 1000);
}

static void test_report_directive_names_whom_it_is_for(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct directive directive;
        bool want;
    } CASES[] = {
        { "all", { .village = 0 }, true },
        { "his village", { .village = 3 }, true },
        { "another village", { .village = 4 }, false },
        { "his role", { .role = ROSTER_MEMBER }, true },
        { "another role", { .role = ROSTER_NODE }, false },
        { "himself", { .person = 17 }, true },
        { "somebody else", { .person = 18 }, false },
        { "his role in another village", { .role = ROSTER_MEMBER, .village = 4 }, false },
    };
    struct roster_entry member = sample_entry();
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (directive_is_for(&CASES[i].directive, &member) != CASES[i].want)
            fail_msg("%s", CASES[i].name);
}

static void test_signoff_survives(void **state)
{
    uint8_t buf[RECORD_BODY_LEN_MAX];
    struct signoff signoff = sample_signoff(), out;
    (void)state;
    int len = signoff_encode(&signoff, buf, sizeof buf);
    assert_int_equal(signoff_decode(buf, (size_t)len, &out), REPORT_OK);
    assert_memory_equal(out.hash, signoff.hash, sizeof out.hash);
    assert_int_equal(out.event, 2);
    assert_int_equal(out.from_min, 1000);
    assert_int_equal(out.until_min, 2440);
    assert_int_equal(out.by, 3);
    assert_true(out.drill);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signoff_survives),
        cmocka_unit_test(test_report_vectors_decode_to_their_verdicts),
        cmocka_unit_test(test_report_fields_survive),
        cmocka_unit_test(test_report_corrections_and_joinings_survive),
        cmocka_unit_test(test_report_other_bodies_survive),
        cmocka_unit_test(test_report_encoding_refuses_what_is_out_of_range),
        cmocka_unit_test(test_report_limits_themselves_are_accepted),
        cmocka_unit_test(test_report_reviews_say_only_what_belongs_to_their_state),
        cmocka_unit_test(test_report_other_encoders_refuse_what_is_out_of_range),
        cmocka_unit_test(test_report_largest_bodies_decode),
        cmocka_unit_test(test_report_directive_names_whom_it_is_for),
        cmocka_unit_test(test_report_mutated_and_random_bodies_are_canonical_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
