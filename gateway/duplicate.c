#include "gateway/duplicate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/words.h"

enum { MS_PER_MINUTE = 60000, WORD_LEN_MIN = 2 };

/* Degrees of latitude are 111.3 km everywhere, of longitude less by the cosine. */
static bool is_near(const struct report *a, const struct report *b)
{
    const double m_per_e5 = 1.113, radians_per_e5 = 3.14159265358979 / 180 / 1e5;
    bool both = (a->lat_e5 || a->lon_e5) && (b->lat_e5 || b->lon_e5);
    double north_m = (a->lat_e5 - b->lat_e5) * m_per_e5;
    double east_m = ((double)a->lon_e5 - b->lon_e5) * m_per_e5 * cos(a->lat_e5 * radians_per_e5);
    return both && hypot(north_m, east_m) <= DUPLICATE_NEAR_M;
}

static bool same_figures(const struct report *a, const struct report *b)
{
    bool same = false;
    for (size_t i = 0; i < a->figure_count; i++) {
        for (size_t k = 0; k < b->figure_count; k++) {
            if (a->figures[i].code != b->figures[k].code)
                continue;
            if (a->figures[i].value != b->figures[k].value)
                return false;
            same = same || a->figures[i].value != 0;
        }
    }
    return same;
}

/* How many words of text also stand in other; both folded, words apart by one blank. */
static size_t common_words(const char *text, const char *other, size_t *count_out)
{
    size_t common = 0;
    *count_out = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        for (const char *at = other; len >= WORD_LEN_MIN && *at;) {
            size_t other_len = strcspn(at, " ");
            if (other_len == len && memcmp(at, text, len) == 0) {
                common++;
                break;
            }
            at += other_len + (at[other_len] == ' ');
        }
        *count_out += len >= WORD_LEN_MIN;
        text += len + (text[len] == ' ');
    }
    return common;
}

static bool same_words(const struct report *a, const struct report *b)
{
    struct strbuf words_a = { .text = NULL }, words_b = { .text = NULL };
    size_t count_a = 0, count_b = 0, common = 0;
    words_fold(a->text, &words_a);
    words_fold(b->text, &words_b);
    if (words_a.text && words_b.text) {
        common = common_words(words_a.text, words_b.text, &count_a);
        (void)common_words(words_b.text, words_a.text, &count_b);
    }
    strbuf_free(&words_a);
    strbuf_free(&words_b);
    size_t fewer = count_a < count_b ? count_a : count_b;
    return common >= DUPLICATE_WORD_COUNT_MIN && 2 * common >= fewer;
}

unsigned duplicate_reasons(const struct duplicate_report *a, const struct duplicate_report *b)
{
    int64_t apart_min = llabs(a->received_ms - b->received_ms) / MS_PER_MINUTE;
    unsigned reasons = 0;
    /* The same author's newer report replaces his older one without anybody's help. */
    if (a->author == b->author || a->kind != b->kind || a->village != b->village ||
        a->report->event != b->report->event || a->report->drill != b->report->drill ||
        apart_min > DUPLICATE_HOURS_MAX * 60)
        return 0;
    if (same_figures(a->report, b->report))
        reasons |= DUPLICATE_FIGURES;
    if (is_near(a->report, b->report))
        reasons |= DUPLICATE_PLACE;
    if (same_words(a->report, b->report))
        reasons |= DUPLICATE_WORDS;
    if (a->kind == RECORD_RESCUE && apart_min <= DUPLICATE_SOON_MIN)
        reasons |= DUPLICATE_SOON;
    return reasons;
}
