#include "gateway/people.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bundle.h"
#include "gateway/lang.h"

enum { EXIT_USAGE = 2 };

static int fail(int status, const char *why)
{
    fprintf(stderr, "keng-gateway: %s\n", lang_said(why));
    return status;
}

/* ---- the directory -------------------------------------------------------------------------- */

static int read_roster(struct people *p, const char *home, char err[static AUDIT_ERR_LEN])
{
    struct batch_reader reader;
    uint8_t *bytes;
    const uint8_t *record;
    size_t len;
    struct record_view view;
    char why[HOME_ERR_LEN];
    if (home_read_commune(home, &bytes, &reader, why) < 0) {
        snprintf(err, AUDIT_ERR_LEN, "%s", why);
        return -1;
    }
    roster_init(&p->roster, reader.header.root_key);
    p->has_roster = true;
    while (batch_next(&reader, &record, &len) == 1)
        if (roster_verify(&p->roster, record, len, &view) == ROSTER_VALID)
            roster_apply(&p->roster, &view);
    free(bytes);
    return 0;
}

/* A node's own identity signs the trail, so that whoever holds the roster can check it. */
static int open_trail(struct people *p, const char *home, const char *dir,
                      char err[static AUDIT_ERR_LEN])
{
    struct home_identity identities[HOME_IDENTITY_COUNT_MAX];
    const struct home_identity *chosen = NULL;
    char why[HOME_ERR_LEN] = "no key there is in the commune's roster: enroll one";
    int count = home ? home_read_identities(home, identities, why) : 0;
    if (count > 0)
        chosen = bundle_choose_identity(&p->roster, identities, (size_t)count);
    if (home && !chosen) {
        snprintf(err, AUDIT_ERR_LEN, "%.80s: %.150s", home, why);
        return -1;
    }
    int result = audit_open(&p->audit, dir, chosen, err);
    sodium_memzero(identities, sizeof identities);
    return result;
}

int people_open(struct people *p, const char *home, const char *dir, const char *db,
                char err[static AUDIT_ERR_LEN])
{
    char beside[ACCESS_PATH_LEN], path[ACCESS_PATH_LEN + 16];
    const char *slash = db ? strrchr(db, '/') : NULL;
    *p = (struct people){ .has_roster = false };
    if (!dir && !home && (!db || strstr(db, "://") || strchr(db, '='))) {
        snprintf(err, AUDIT_ERR_LEN, "%s",
                 lang_said("say where the operators are kept: --people DIR"));
        return -1;
    }
    snprintf(beside, sizeof beside, "%.*s", slash ? (int)(slash - db) + 1 : 1, slash ? db : ".");
    if (!dir)
        dir = home ? home : beside;
    snprintf(path, sizeof path, "%.4080s/operators", dir);
    if ((home && read_roster(p, home, err) != 0) || open_trail(p, home, dir, err) != 0 ||
        access_init(&p->access, path, err) != 0) {
        people_close(p);
        return -1;
    }
    return 0;
}

void people_close(struct people *p)
{
    audit_close(&p->audit);
    if (p->has_roster)
        roster_free(&p->roster);
    p->has_roster = false;
}

const uint8_t *people_audit_key(void *ctx, uint16_t author)
{
    const struct people *p = ctx;
    if (author == p->audit.identity.number)
        return p->audit.identity.public_key;
    return p->has_roster ? roster_key(&p->roster, author) : NULL;
}

/* ---- operator ------------------------------------------------------------------------------- */

/* One line from the terminal without echo, or from a pipe. */
static bool read_passphrase(char *line, size_t cap)
{
    struct termios old, quiet;
    bool terminal = tcgetattr(STDIN_FILENO, &old) == 0;
    if (terminal) {
        quiet = old;
        quiet.c_lflag &= (tcflag_t)~ECHO;
        fprintf(stderr, "%s", lang_said("passphrase: "));
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    }
    bool ok = fgets(line, (int)cap, stdin) != NULL;
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &old);
        fprintf(stderr, "\n");
    }
    line[strcspn(line, "\r\n")] = '\0';
    return ok;
}

static int set_passphrase(struct access_operator *o)
{
    char line[ACCESS_PASSPHRASE_LEN_MAX + 2] = "", err[ACCESS_ERR_LEN];
    if (!read_passphrase(line, sizeof line))
        return fail(EXIT_FAILURE, "no passphrase was given on standard input");
    int result = access_hash(line, o->hash, err);
    sodium_memzero(line, sizeof line);
    return result == 0 ? EXIT_SUCCESS : fail(EXIT_USAGE, err);
}

static int list_operators(const struct people *p)
{
    for (size_t i = 0; i < p->access.operator_count; i++) {
        const struct access_operator *o = &p->access.operators[i];
        printf("%u %s %s%s %s\n", (unsigned)o->number, o->login, access_role_name(o->role),
               o->disabled ? " (off)" : "", o->name);
    }
    return EXIT_SUCCESS;
}

static bool somebody_administers(const struct access *a)
{
    for (size_t i = 0; i < a->operator_count; i++)
        if (a->operators[i].role == ACCESS_ADMIN && !a->operators[i].disabled)
            return true;
    return false;
}

/* Changes the list in memory; nothing is written yet. */
static int change_operator(struct people *p, const struct people_request *r)
{
    char err[ACCESS_ERR_LEN];
    enum access_role role = r->role ? access_role_find(r->role) : ACCESS_NOBODY;
    if (strcmp(r->verb, "add") == 0) {
        struct access_operator *o = access_operator_add(&p->access, r->login,
                                                        r->name ? r->name : r->login, role, err);
        return o ? set_passphrase(o) : fail(EXIT_USAGE, err);
    }
    struct access_operator *o = access_operator_find(&p->access, r->login);
    if (!o)
        return fail(EXIT_USAGE, "there is no such operator: see `keng-gateway operator list`");
    if (strcmp(r->verb, "passwd") == 0)
        return set_passphrase(o);
    if (strcmp(r->verb, "role") == 0 && role == ACCESS_NOBODY)
        return fail(EXIT_USAGE, "--role is view, review, sign or admin");
    if (strcmp(r->verb, "role") == 0)
        o->role = role;
    else if (strcmp(r->verb, "off") == 0 || strcmp(r->verb, "on") == 0)
        o->disabled = r->verb[1] == 'f';
    else
        return fail(EXIT_USAGE, "operator takes add, list, role, passwd, off or on");
    return EXIT_SUCCESS;
}

int people_operator(struct people *p, const struct people_request *r)
{
    char err[ACCESS_ERR_LEN], action[AUDIT_ACTION_LEN], object[AUDIT_OBJECT_LEN];
    bool had_admin = somebody_administers(&p->access);
    if (r->verb && strcmp(r->verb, "list") == 0 && !r->login)
        return list_operators(p);
    if (!r->verb || !r->login)
        return fail(EXIT_USAGE, "usage: keng-gateway operator add|role|passwd|off|on LOGIN --home "
                    "DIR [--role ROLE] [--name NAME], or: operator list");
    int status = change_operator(p, r);
    if (status != EXIT_SUCCESS)
        return status;
    if (had_admin && !somebody_administers(&p->access))
        return fail(EXIT_USAGE, "nobody would be left to administer; make another admin first");
    const struct access_operator *o = access_operator_find(&p->access, r->login);
    snprintf(action, sizeof action, "operator-%.14s", r->verb);
    snprintf(object, sizeof object, "%u %s %s", (unsigned)o->number, o->login,
             access_role_name(o->role));
    if (audit_add(&p->audit, 0, action, object, r->wall_ms, err) != 0 ||
        access_save(&p->access, err) != 0)
        return fail(EXIT_FAILURE, err);
    return EXIT_SUCCESS;
}

/* ---- audit ---------------------------------------------------------------------------------- */

static void print_entry(void *ctx, const struct audit_entry *e)
{
    const struct people *p = ctx;
    const struct access_operator *o = access_operator_get(&p->access, e->by);
    time_t at_s = (time_t)(e->unix_ms / 1000);
    struct tm tm;
    char at[32] = "?";
    if (gmtime_r(&at_s, &tm))
        strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("%" PRId64 " %s %s %u %s %s %s\n", e->number, at, e->good ? "good" : "BAD",
           (unsigned)e->author, o ? o->login : "-", e->action, e->object);
}

int people_audit(struct people *p)
{
    char err[AUDIT_ERR_LEN];
    size_t bad_count;
    if (audit_read(&p->audit, 0, people_audit_key, p, print_entry, p, &bad_count, err) != 0)
        return fail(EXIT_FAILURE, err);
    if (bad_count == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, lang_said("keng-gateway: %zu entries do not hold: the file was changed\n"),
                bad_count);
    return EXIT_FAILURE;
}
