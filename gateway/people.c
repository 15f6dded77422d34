#include "gateway/people.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bundle.h"

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

static void list_operators(const struct people *p)
{
    for (size_t i = 0; i < p->access.operator_count; i++) {
        const struct access_operator *o = &p->access.operators[i];
        printf("%u %s %s%s %s\n", (unsigned)o->number, o->login, access_role_name(o->role),
               o->disabled ? " (off)" : "", o->name);
    }
}

static bool somebody_administers(const struct access *a)
{
    for (size_t i = 0; i < a->operator_count; i++)
        if (a->operators[i].role == ACCESS_ADMIN && !a->operators[i].disabled)
            return true;
    return false;
}

static const char *const VERBS[PEOPLE_VERB_COUNT] = { "add", "role", "passwd", "off", "on" };

enum people_verb people_verb_find(const char *word)
{
    int verb = 0;
    while (verb < PEOPLE_VERB_COUNT && strcmp(word, VERBS[verb]) != 0)
        verb++;
    return (enum people_verb)verb;
}

static bool takes_passphrase(enum people_verb verb)
{
    return verb == PEOPLE_ADD || verb == PEOPLE_PASSWD;
}

/* Changes the list in memory. */
static enum access_fault change_list(struct access *a, const struct people_change *c)
{
    enum access_role role = c->role ? access_role_find(c->role) : ACCESS_NOBODY;
    struct access_operator *o = access_operator_find(a, c->login);
    enum access_fault fault = ACCESS_GOOD;
    if (c->verb == PEOPLE_ADD)
        fault = access_operator_add(a, c->login, c->name ? c->name : c->login, role, &o);
    else if (!o)
        fault = ACCESS_UNKNOWN;
    else if (c->verb == PEOPLE_ROLE && role == ACCESS_NOBODY)
        fault = ACCESS_BAD_ROLE;
    else if (c->verb == PEOPLE_ROLE)
        o->role = role;
    else if (c->verb != PEOPLE_PASSWD)
        o->disabled = c->verb == PEOPLE_OFF;
    if (fault == ACCESS_GOOD && takes_passphrase(c->verb))
        fault = access_hash(c->passphrase ? c->passphrase : "", o->hash);
    return fault;
}

static enum access_fault write_change(struct people *p, const struct people_change *c,
                                      char err[static AUDIT_ERR_LEN])
{
    char action[AUDIT_ACTION_LEN], object[AUDIT_OBJECT_LEN];
    const struct access_operator *o = access_operator_find(&p->access, c->login);
    snprintf(action, sizeof action, "operator-%s", VERBS[c->verb]);
    snprintf(object, sizeof object, "%u %s %s", (unsigned)o->number, o->login,
             access_role_name(o->role));
    return audit_add(&p->audit, c->by, action, object, c->wall_ms, err) == 0 &&
                   access_save(&p->access, err) == 0 ? ACCESS_GOOD : ACCESS_NOT_KEPT;
}

/* Nobody else reads the list, changes it and writes it back meanwhile.  A file of its own: the list
 * itself is replaced, and its directory is locked by kengd. */
static int lock_list(const struct people *p, char err[static AUDIT_ERR_LEN])
{
    char path[ACCESS_PATH_LEN + 8];
    snprintf(path, sizeof path, "%s.lock", p->access.path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX) == 0)
        return fd;
    snprintf(err, AUDIT_ERR_LEN, "%.150s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

enum access_fault people_apply(struct people *p, const struct people_change *c,
                               char err[static AUDIT_ERR_LEN])
{
    static struct access before; /* large; changes are made one at a time */
    enum access_fault fault = ACCESS_NOT_KEPT;
    int lock = lock_list(p, err);
    if (lock < 0)
        return fault;
    if (access_refresh(&p->access, err) == 0) {
        bool had_admin = somebody_administers(&p->access);
        before = p->access;
        fault = change_list(&p->access, c);
        if (fault == ACCESS_GOOD && had_admin && !somebody_administers(&p->access))
            fault = ACCESS_NO_ADMIN;
        if (fault == ACCESS_GOOD)
            fault = write_change(p, c, err);
        else
            snprintf(err, AUDIT_ERR_LEN, "not enough memory");
        if (fault != ACCESS_GOOD)
            p->access = before;
    }
    close(lock);
    return fault;
}

enum lang_text people_fault_text(enum access_fault fault)
{
    static_assert(LANG_FAULT_NOT_KEPT - LANG_FAULT_LOGIN == (int)ACCESS_NOT_KEPT - ACCESS_BAD_LOGIN,
                  "one text for each");
    return (enum lang_text)(LANG_FAULT_LOGIN + ((int)fault - (int)ACCESS_BAD_LOGIN));
}

static int read_and_apply(struct people *p, struct people_change *c)
{
    char line[ACCESS_PASSPHRASE_LEN_MAX + 2] = "", err[AUDIT_ERR_LEN];
    if (takes_passphrase(c->verb)) {
        if (!read_passphrase(line, sizeof line))
            return fail(EXIT_FAILURE, "no passphrase was given on standard input");
        c->passphrase = line;
    }
    enum access_fault fault = people_apply(p, c, err);
    sodium_memzero(line, sizeof line);
    if (fault == ACCESS_GOOD)
        return EXIT_SUCCESS;
    return fault == ACCESS_NOT_KEPT
               ? fail(EXIT_FAILURE, err)
               : fail(EXIT_USAGE, lang_text(lang_of_environment(), people_fault_text(fault)));
}

int people_operator(struct people *p, const char *word, struct people_change *c)
{
    if (strcmp(word, "list") == 0 && !c->login) {
        list_operators(p);
        return EXIT_SUCCESS;
    }
    c->verb = people_verb_find(word);
    if (c->verb == PEOPLE_VERB_COUNT || !c->login)
        return fail(EXIT_USAGE, "usage: keng-gateway operator add|role|passwd|off|on LOGIN --home "
                    "DIR [--role ROLE] [--name NAME], or: operator list");
    return read_and_apply(p, c);
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
