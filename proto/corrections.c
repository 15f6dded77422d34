#include "proto/corrections.h"

#include <stdlib.h>

enum { CAP_MIN = REPORT_FIGURE_COUNT_MAX + 1 }; /* what one answer can say */

void corrections_free(struct corrections *c)
{
    free(c->list);
    *c = (struct corrections){ .list = NULL };
}

bool corrections_add(struct corrections *c, const struct record_ref *answer, int64_t arrival,
                     int64_t received_ms, const struct review *review)
{
    struct correction said = {
        .arrival = arrival, .received_ms = received_ms, .by = review->by, .seq = answer->seq,
        .reviewer = answer->author, .code = CORRECTION_VILLAGE, .value = review->village,
    };
    if (review->village == 0 && review->figure_count == 0)
        return true;
    if (c->cap - c->count <= review->figure_count) {
        size_t cap = 2 * c->cap + CAP_MIN;
        struct correction *grown = realloc(c->list, cap * sizeof *grown);
        if (!grown)
            return false;
        c->list = grown;
        c->cap = cap;
    }
    if (review->village != 0)
        c->list[c->count++] = said;
    for (size_t i = 0; i < review->figure_count; i++) {
        said.code = review->figures[i].code;
        said.value = review->figures[i].value;
        c->list[c->count++] = said;
    }
    return true;
}

#define COMPARE(a, b)         \
    do {                      \
        if ((a) != (b))       \
            return (a) < (b) ? -1 : 1; \
    } while (0)

/* By field and reviewer, his newest first. */
static int compare_numbers(const void *left, const void *right)
{
    const struct correction *a = left, *b = right;
    COMPARE(a->code, b->code);
    COMPARE(a->reviewer, b->reviewer);
    COMPARE(b->seq, a->seq);
    return 0;
}

static int compare_arrivals(const void *left, const void *right)
{
    const struct correction *a = left, *b = right;
    COMPARE(a->arrival, b->arrival);
    COMPARE(a->code, b->code);
    return 0;
}

void corrections_settle(struct corrections *c)
{
    size_t kept = 0;
    if (c->count == 0)
        return;
    qsort(c->list, c->count, sizeof *c->list, compare_numbers);
    struct correction last = c->list[0];
    for (size_t i = 0; i < c->count; i++) {
        struct correction said = c->list[i];
        bool newest = i == 0 || said.code != last.code || said.reviewer != last.reviewer;
        if (!newest && said.arrival > last.arrival) /* his newer word was here before */
            continue;
        last = said;
        c->list[kept++] = said;
    }
    c->count = kept;
    qsort(c->list, c->count, sizeof *c->list, compare_arrivals);
}

const struct correction *corrections_last(const struct corrections *c, uint32_t code)
{
    for (size_t i = c->count; i-- > 0;)
        if (c->list[i].code == code)
            return &c->list[i];
    return NULL;
}
