/* access.h - who may use the console: named operators with roles, sessions, and form tokens.
 *
 * Operators stand in one file that `keng-gateway operator` writes and that is read again when it
 * changed; passphrases are Argon2id strings.  Without an operator everybody who reaches the console
 * may do everything, and the program listens on loopback only.
 *
 * Lock-out  A wrong passphrase costs a try of its address and one of all strangers together; tries
 *           come back with time, and nothing is ever locked for good.  This machine itself and
 *           addresses that logged in before do not depend on what strangers spend, so that nobody
 *           can shut the commune out of its own console.
 * Time      Checking a passphrase takes tens of milliseconds on purpose; tries are counted before
 *           that, so that guessing does not stall the console.
 * Memory    Fixed.  Sessions live in memory: a restart logs everybody out.
 * Errors    0 or -1 with one line in err; a change of the operators says what stands against it.
 */
#ifndef KENG_GATEWAY_ACCESS_H
#define KENG_GATEWAY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum {
    ACCESS_OPERATOR_COUNT_MAX = 64,
    ACCESS_LOGIN_LEN = 33, /* NUL included, as in all of these */
    ACCESS_NAME_LEN = 64,
    ACCESS_PATH_LEN = 4096,
    ACCESS_SESSION_COUNT_MAX = 64,
    ACCESS_ADDRESS_COUNT_MAX = 64,
    ACCESS_HASH_LEN = 128,
    ACCESS_TOKEN_LEN = 32,
    ACCESS_TOKEN_HEX_LEN = 2 * ACCESS_TOKEN_LEN + 1,
    ACCESS_IDLE_MS_MAX = 30 * 60 * 1000,
    ACCESS_AGE_MS_MAX = 12 * 60 * 60 * 1000,
    ACCESS_TRIES_PER_ADDRESS = 5, /* come back one every ACCESS_TRY_MS */
    ACCESS_TRIES_OF_STRANGERS = 20,
    ACCESS_TRY_MS = 12000,
    ACCESS_PASSPHRASE_LEN_MIN = 12,
    ACCESS_PASSPHRASE_LEN_MAX = 256,
    ACCESS_ERR_LEN = 256,
};

/* Each may do what those before may. */
enum access_role { ACCESS_NOBODY, ACCESS_VIEW, ACCESS_REVIEW, ACCESS_SIGN, ACCESS_ADMIN };

struct access_operator {
    uint16_t number; /* stands in what he signs; never given to another */
    enum access_role role;
    bool disabled;
    char login[ACCESS_LOGIN_LEN]; /* a-z 0-9 . _ - */
    char name[ACCESS_NAME_LEN];
    char hash[ACCESS_HASH_LEN];
};

struct access_session {
    uint8_t token_hash[32]; /* the token itself is only in the browser */
    uint8_t secret_mark[16]; /* of the operator's hash: a new passphrase ends his sessions */
    int64_t started_ms, used_ms;
    uint16_t operator_number;
    bool used;
};

struct access_bucket {
    uint64_t address;
    int64_t refilled_ms;
    unsigned tries_left;
    bool used, known; /* known: somebody logged in from there */
};

struct access {
    char path[ACCESS_PATH_LEN]; /* "": nobody is asked */
    struct timespec changed;    /* the file as it was last read */
    ino_t inode;
    struct access_operator operators[ACCESS_OPERATOR_COUNT_MAX];
    size_t operator_count;
    uint8_t secret[32];
    struct access_session sessions[ACCESS_SESSION_COUNT_MAX];
    struct access_bucket buckets[ACCESS_ADDRESS_COUNT_MAX], strangers;
};

/* From where somebody asks. */
struct access_peer {
    uint64_t address;
    bool local;  /* this machine itself */
    bool secure; /* over TLS */
};

/* path NULL or a file that is not there: no operators yet. */
int access_init(struct access *a, const char *path, char err[static ACCESS_ERR_LEN]);
/* Reads the operators again if their file changed.  What cannot be read leaves the old ones. */
int access_refresh(struct access *a, char err[static ACCESS_ERR_LEN]);
/* Is anybody asked for a passphrase? */
bool access_is_guarded(const struct access *a);
/* NULL: there is none so. */
const struct access_operator *access_operator_get(const struct access *a, uint32_t number);
struct access_operator *access_operator_find(struct access *a, const char *login);
/* What stands against a change of the operators. */
enum access_fault {
    ACCESS_GOOD,
    ACCESS_BAD_LOGIN,
    ACCESS_BAD_NAME,
    ACCESS_BAD_ROLE,
    ACCESS_BAD_PASSPHRASE, /* too short or too long */
    ACCESS_TAKEN,
    ACCESS_FULL,
    ACCESS_UNKNOWN,        /* there is no such operator */
    ACCESS_NO_ADMIN,       /* nobody would be left to administer */
    ACCESS_NOT_KEPT,       /* disk or memory */
};
/* Adds an operator under the next free number; hash is filled in afterwards. */
enum access_fault access_operator_add(struct access *a, const char *login, const char *name,
                                      enum access_role role,
                                      struct access_operator **operator_out);
/* Writes the operators' file, durably. */
int access_save(struct access *a, char err[static ACCESS_ERR_LEN]);
enum access_fault access_hash(const char *passphrase, char hash_out[static ACCESS_HASH_LEN]);
const char *access_role_name(enum access_role role);
enum access_role access_role_find(const char *name); /* ACCESS_NOBODY: no such */

/* Who asks, by the whole Cookie header; NULL: he must log in.  Without operators it is number 0,
 * who may do everything. */
const struct access_operator *access_who(struct access *a, const char *cookie, bool secure,
                                         int64_t now_ms);
enum access_login { ACCESS_WELCOME, ACCESS_WRONG, ACCESS_TOO_MANY };
/* Checks a passphrase; on success the Set-Cookie line of a new session, and the one of the cookie
 * that came along is over. */
enum access_login access_login(struct access *a, const char *login, const char *passphrase,
                               const char *cookie, const struct access_peer *peer, int64_t now_ms,
                               char *set_cookie_out, size_t cap);
void access_logout(struct access *a, const char *cookie, bool secure);
/* Is it really him, who asks for something that a session left open must not give away?  It costs a
 * try like a log-in.  Who is asked for no passphrase is welcome. */
enum access_login access_confirm(struct access *a, const struct access_operator *who,
                                 const char *passphrase, const struct access_peer *peer,
                                 int64_t now_ms);

/* Token that our own forms carry; it belongs to the session. */
void access_form_token(const struct access *a, const char *cookie, bool secure,
                       char token_out[static ACCESS_TOKEN_HEX_LEN]);
bool access_form_token_ok(const struct access *a, const char *cookie, bool secure,
                          const char *token);
/* The value of one cookie, or false. */
bool access_cookie(const char *cookie, const char *name, char *value_out, size_t cap);

#endif
