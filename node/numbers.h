/* numbers.h - the highest numbers local authors may have used, beside the store.
 *
 * The store says which numbers were used.  A store that lost rows (a restored image, a lying card)
 * would say too little, and a number would be used twice.  So each block of numbers is written
 * here, in another file, before the first of it is used.
 *
 * File: two slots of 512 bytes, written in turn, fsynced; the valid slot with the higher
 * generation counts.  Each slot: "KNUM" 4, generation 4, count 4, entries (author 2, lane 1,
 * zero 1, number 4), BLAKE2b-128 of all that.  A torn write leaves the other slot.
 */
#ifndef KENG_NODE_NUMBERS_H
#define KENG_NODE_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBERS_COUNT_MAX = 56, NUMBERS_TEXT_LEN = 256 };

struct numbers_entry {
    uint32_t number;
    uint16_t author;
    uint8_t lane;
};

struct numbers {
    int fd;
    uint32_t generation;
    size_t count;
    struct numbers_entry entries[NUMBERS_COUNT_MAX];
};

/* Opens or creates path.  0, or -1 with text: unreadable, or both slots damaged. */
int numbers_open(struct numbers *n, const char *path, char text[static NUMBERS_TEXT_LEN]);
void numbers_close(struct numbers *n);
/* 0 when none was reserved. */
uint32_t numbers_get(const struct numbers *n, uint16_t author, uint8_t lane);
/* Durable when it returns 0; -1: not written, nothing changed, errno says why. */
int numbers_put(struct numbers *n, uint16_t author, uint8_t lane, uint32_t number);

#endif
