/* corrections.h - what the commune's corrections of one report came to, field by field.
 *
 * A correction names only what it changes.  Of each figure, and of the village, the newest of each
 * reviewer that names it counts, of these the one that arrived last (PROTOCOL.md, 4.3).
 * So a correction changes its field when it arrives, unless its reviewer's newer word about that
 * field was here before.
 *
 * Time      n log n in the corrections of the report.
 * Memory    A heap array (corrections_free).
 * Errors    False: memory ran out, and nothing was added.
 */
#ifndef KENG_PROTO_CORRECTIONS_H
#define KENG_PROTO_CORRECTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/report.h"

enum { CORRECTION_VILLAGE = 0 }; /* no indicator has this code */

struct correction {
    int64_t arrival, received_ms; /* of the answer, as its reader keeps them */
    int64_t value;  /* or REVIEW_UNKNOWN; of the village its number or REVIEW_VILLAGE_AUTHORS */
    uint32_t code;  /* CORRECTION_VILLAGE, or what is corrected */
    uint32_t seq, by;
    uint16_t reviewer;
};
struct corrections {
    struct correction *list;
    size_t count, cap;
};

void corrections_free(struct corrections *c);
/* Adds what one answer says; one that corrects nothing adds nothing.  answer: its own number. */
bool corrections_add(struct corrections *c, const struct record_ref *answer, int64_t arrival,
                     int64_t received_ms, const struct review *review);
/* When all are added: leaves what changed its field, in order of arrival. */
void corrections_settle(struct corrections *c);
/* What counts, after corrections_settle(); NULL: the author's word. */
const struct correction *corrections_last(const struct corrections *c, uint32_t code);

#endif
