/* access.h - who may use the console: one operator passphrase, sessions, and form tokens.
 *
 * The passphrase is kept as an Argon2id string in a file that `keng-gateway passwd` writes.
 * Without one, everybody who reaches the console is the operator, and the program listens on
 * loopback only.
 *
 * Time      Checking a passphrase takes tens of milliseconds on purpose; tries are counted before
 *           that, per address and in all, so that guessing does not stall the console.
 * Memory    Fixed.  Sessions live in memory: a restart logs everybody out.
 */
#ifndef KENG_GATEWAY_ACCESS_H
#define KENG_GATEWAY_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ACCESS_SESSION_COUNT_MAX = 16,
    ACCESS_ADDRESS_COUNT_MAX = 32,
    ACCESS_HASH_LEN = 128,
    ACCESS_TOKEN_LEN = 32,
    ACCESS_TOKEN_HEX_LEN = 2 * ACCESS_TOKEN_LEN + 1,
    ACCESS_IDLE_MS_MAX = 30 * 60 * 1000,
    ACCESS_AGE_MS_MAX = 12 * 60 * 60 * 1000,
    ACCESS_TRIES_PER_ADDRESS = 5, /* come back one every ACCESS_TRY_MS */
    ACCESS_TRIES_IN_ALL = 20,
    ACCESS_TRY_MS = 12000,
    ACCESS_PASSPHRASE_LEN_MIN = 12,
    ACCESS_PASSPHRASE_LEN_MAX = 256,
    ACCESS_ERR_LEN = 256,
};

struct access_session {
    uint8_t token_hash[32]; /* the token itself is only in the browser */
    int64_t started_ms, used_ms;
    bool used;
};

struct access_bucket {
    uint32_t address;
    int64_t refilled_ms;
    unsigned tries_left;
    bool used;
};

struct access {
    char passphrase_hash[ACCESS_HASH_LEN]; /* "": no passphrase is asked for */
    uint8_t secret[32];
    struct access_session sessions[ACCESS_SESSION_COUNT_MAX];
    struct access_bucket buckets[ACCESS_ADDRESS_COUNT_MAX], all;
};

/* passphrase_file may be NULL.  0, or -1 with one line in err. */
int access_init(struct access *a, const char *passphrase_file, char err[static ACCESS_ERR_LEN]);
/* The line `passwd` writes.  0, or -1 with one line in err. */
int access_hash(const char *passphrase, char hash_out[static ACCESS_HASH_LEN],
                char err[static ACCESS_ERR_LEN]);

/* May this request see the console?  cookie is the whole Cookie header. */
bool access_allowed(struct access *a, const char *cookie, bool secure, int64_t now_ms);
/* Checks a passphrase; on success the Set-Cookie line. */
bool access_login(struct access *a, const char *passphrase, uint32_t address, bool secure,
                  int64_t now_ms, char *set_cookie_out, size_t cap);
void access_logout(struct access *a, const char *cookie, bool secure);

/* Token that our own forms carry; it belongs to the session. */
void access_form_token(const struct access *a, const char *cookie, bool secure,
                       char token_out[static ACCESS_TOKEN_HEX_LEN]);
bool access_form_token_ok(const struct access *a, const char *cookie, bool secure,
                          const char *token);
/* The value of one cookie, or false. */
bool access_cookie(const char *cookie, const char *name, char *value_out, size_t cap);

#endif
