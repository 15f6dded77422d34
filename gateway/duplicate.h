/* duplicate.h - do two reports tell of the same thing?  A guess with its reasons, for an operator.
 *
 * Two reports of one kind about one village, by different authors and within hours, are compared
 * by figures, place and words.  Nothing is ever joined by this alone.
 * Pure; no memory of its own.
 */
#ifndef KENG_GATEWAY_DUPLICATE_H
#define KENG_GATEWAY_DUPLICATE_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/report.h"

enum {
    DUPLICATE_HOURS_MAX = 12,
    DUPLICATE_SOON_MIN = 30,
    DUPLICATE_NEAR_M = 300,
    DUPLICATE_WORD_COUNT_MIN = 3,
};

/* Reasons, as bits. */
enum duplicate_reason {
    DUPLICATE_FIGURES = 1, /* a figure other than 0 is the same, and none both state differs */
    DUPLICATE_PLACE = 2,   /* within DUPLICATE_NEAR_M of each other */
    DUPLICATE_WORDS = 4,   /* DUPLICATE_WORD_COUNT_MIN words in common, and half of the fewer */
    DUPLICATE_SOON = 8,    /* a call for rescue, within DUPLICATE_SOON_MIN */
};

struct duplicate_report {
    uint16_t author;
    uint8_t kind;
    uint32_t village;
    int64_t received_ms;
    const struct report *report;
};

/* 0: nothing speaks for it. */
unsigned duplicate_reasons(const struct duplicate_report *a, const struct duplicate_report *b);

#endif
