/* people.h - `keng-gateway operator` and `keng-gateway audit`, and what they share with the server:
 * the operators' file and the audit trail of one directory.
 *
 * The directory is a node's home, the one the ledger of a receiver without a node lies in, or the
 * one that --people names.
 * Memory    struct people owns a roster and secret keys; people_close() wipes and frees.
 * Errors    people_open: 0 or -1 with one line in err.  Commands: the exit status.
 */
#ifndef KENG_GATEWAY_PEOPLE_H
#define KENG_GATEWAY_PEOPLE_H

#include "gateway/access.h"
#include "gateway/audit.h"
#include "proto/roster.h"

struct people {
    struct access access;
    struct audit audit;
    struct roster roster; /* of the home's commune.keng; keys of those who signed the trail */
    bool has_roster;
};

/* home NULL: no node here.  dir NULL: the home, else where the ledger db lies, which must then be a
 * file. */
int people_open(struct people *p, const char *home, const char *dir, const char *db,
                char err[static AUDIT_ERR_LEN]);
void people_close(struct people *p);
/* For audit_read(): ctx is the struct people. */
const uint8_t *people_audit_key(void *ctx, uint16_t author);

struct people_request {
    const char *verb, *login; /* NULL: not given */
    const char *role, *name;
    int64_t wall_ms;
};
int people_operator(struct people *p, const struct people_request *request);
int people_audit(struct people *p);

#endif
