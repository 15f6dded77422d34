/* people.h - `keng-gateway operator` and `keng-gateway audit`, and what they share with the server:
 * the operators' file and the audit trail of one directory.
 *
 * The directory is a node's home, the one the ledger of a receiver without a node lies in, or the
 * one that --people names.
 * Memory    struct people owns a roster and secret keys; people_close() wipes and frees.
 * Errors    people_open: 0 or -1 with one line in err.  people_apply: what stands against it.
 *           Commands: the exit status.
 */
#ifndef KENG_GATEWAY_PEOPLE_H
#define KENG_GATEWAY_PEOPLE_H

#include "gateway/access.h"
#include "gateway/audit.h"
#include "gateway/lang.h"
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

enum people_verb {
    PEOPLE_ADD, PEOPLE_ROLE, PEOPLE_PASSWD, PEOPLE_OFF, PEOPLE_ON, PEOPLE_VERB_COUNT
};
/* "add", "role", "passwd", "off", "on"; PEOPLE_VERB_COUNT: no such. */
enum people_verb people_verb_find(const char *word);

struct people_change {
    enum people_verb verb;
    const char *login;                     /* NULL: not given, as in these: */
    const char *role, *name, *passphrase;
    uint32_t by; /* the operator who changes; 0: the command line */
    int64_t wall_ms;
};
/* Checks it, writes it into the audit trail, then into the operators' file, both durably.  Two
 * programs may change at once.  err is filled for ACCESS_NOT_KEPT alone. */
enum access_fault people_apply(struct people *p, const struct people_change *change,
                               char err[static AUDIT_ERR_LEN]);
/* The same as a command, which asks for the passphrase itself; word: a verb, or "list". */
int people_operator(struct people *p, const char *word, struct people_change *change);
enum lang_text people_fault_text(enum access_fault fault);
int people_audit(struct people *p);

#endif
