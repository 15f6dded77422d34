/* Bodies: what is accepted is canonical, so that writing it again gives the same bytes.  The first
 * byte chooses the message. */
#include "proto/report.h"
#include "tests/fuzz/fuzz.h"

/* What totals read of it is what it says. */
static void check_figures(const struct report *report, const uint8_t *body, size_t len)
{
    struct report_figure figures[REPORT_FIGURE_COUNT_MAX];
    FUZZ_CHECK(report->figure_count <= REPORT_FIGURE_COUNT_MAX);
    FUZZ_CHECK(report_figures(body, len, figures) == report->figure_count);
    for (size_t i = 0; i < report->figure_count; i++)
        FUZZ_CHECK(figures[i].code == report->figures[i].code &&
                   figures[i].value == report->figures[i].value);
}

static void fuzz_report(const uint8_t *data, size_t len)
{
    static union {
        struct report report;
        struct ack ack;
        struct review review;
        struct directive directive;
        struct roster_entry entry;
        struct profile profile;
        struct receipt receipt;
        struct signoff signoff;
        struct unit unit;
    } u;
    uint8_t again[RECORD_BODY_LEN_MAX];
    int made = -1;
    if (len == 0)
        return;
    const uint8_t *body = data + 1;
    size_t body_len = len - 1;
    switch (data[0] % 9) {
    case 0:
        if (report_decode(body, body_len, &u.report) != REPORT_OK)
            return;
        FUZZ_CHECK(u.report.text[u.report.text_len] == '\0');
        check_figures(&u.report, body, body_len);
        made = report_encode(&u.report, again, sizeof again);
        break;
    case 1:
        if (ack_decode(body, body_len, &u.ack) != REPORT_OK)
            return;
        made = ack_encode(&u.ack, again, sizeof again);
        break;
    case 2:
        if (review_decode(body, body_len, &u.review) != REPORT_OK)
            return;
        FUZZ_CHECK(u.review.ref_count >= 1 && u.review.text[u.review.text_len] == '\0');
        made = review_encode(&u.review, again, sizeof again);
        break;
    case 3:
        if (directive_decode(body, body_len, &u.directive) != REPORT_OK)
            return;
        made = directive_encode(&u.directive, again, sizeof again);
        break;
    case 4:
        if (roster_entry_decode(body, body_len, &u.entry) != REPORT_OK)
            return;
        made = roster_entry_encode(&u.entry, again, sizeof again);
        break;
    case 5:
        if (profile_decode(body, body_len, &u.profile) != REPORT_OK)
            return;
        made = profile_encode(&u.profile, again, sizeof again);
        break;
    case 6:
        if (receipt_decode(body, body_len, &u.receipt) != REPORT_OK)
            return;
        made = receipt_encode(&u.receipt, again, sizeof again);
        break;
    case 7:
        if (signoff_decode(body, body_len, &u.signoff) != REPORT_OK)
            return;
        made = signoff_encode(&u.signoff, again, sizeof again);
        break;
    default:
        if (unit_decode(body, body_len, &u.unit) != REPORT_OK)
            return;
        made = unit_encode(&u.unit, again, sizeof again);
        break;
    }
    FUZZ_CHECK(made >= 0 && (size_t)made == body_len && memcmp(again, body, body_len) == 0);
}

FUZZ_TARGET(fuzz_report)
