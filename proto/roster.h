/* roster.h - who may write: the commune's enrolled authors, as the root's log states them.
 *
 * The root (author 0) signs roster entries and profiles as records in its own log; this is
 * the table they add up to.  A record counts only after roster_verify() held.
 *
 * Memory   struct roster owns one heap table (roster_init/roster_free).
 * Errors   enum roster_verdict; hostile records change nothing.
 */
#ifndef KENG_PROTO_ROSTER_H
#define KENG_PROTO_ROSTER_H

#include "proto/record.h"
#include "proto/report.h"

struct roster_author {
    struct roster_entry entry; /* proto/report.h; number, key, role, village, name, revoked_after */
    uint32_t entry_seq;        /* number of the root's record that said so: newest wins */
};

struct roster {
    uint8_t root_key[KENG_KEY_LEN];
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    struct roster_author *authors; /* sorted by number */
    size_t author_count, author_cap;
    struct profile profile; /* proto/report.h */
    uint32_t profile_seq;   /* 0: none seen yet */
    /* 1 + the last good number of the root's own log, as somebody above it says; 0: all are good.
     * Set before records are applied. */
    uint32_t root_revoked_after;
};

enum roster_verdict {
    ROSTER_VALID = 0,       /* signature holds and the author is enrolled */
    ROSTER_EFORM = -1,      /* not a record */
    ROSTER_EUNKNOWN = -2,   /* author not in the roster */
    ROSTER_ESIG = -3,       /* signature is not that author's */
    ROSTER_EREVOKED = -4,   /* valid signature, but past the author's last good number */
    ROSTER_EROLE = -5,      /* this author may not write this kind */
    ROSTER_EBODY = -6,      /* roster or profile body not readable, or a key enrolled twice */
    ROSTER_ENOMEM = -7,
};

void roster_init(struct roster *r, const uint8_t root_key[static KENG_KEY_LEN]);
void roster_free(struct roster *r);

/* NULL if not enrolled.  Author 0 has no entry. */
const struct roster_author *roster_find(const struct roster *r, uint16_t number);
/* The key records of this author must be signed with, or NULL. */
const uint8_t *roster_key(const struct roster *r, uint16_t number);

/* Form, signature, role.  view_out is filled whenever the form was good. */
int roster_verify(const struct roster *r, const uint8_t *bytes, size_t len,
                  struct record_view *view_out);
/* Applies a verified record of the root's log (other records: no effect).  Order does not matter:
 * for one number the entry with the higher record number wins, but a key never changes. */
int roster_apply(struct roster *r, const struct record_view *view);

const char *roster_strerror(int verdict);

#endif
