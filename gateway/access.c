#include "gateway/access.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
    ARGON_OPS = 2,
    ARGON_MEMORY_LEN = 19 << 20,
};

static const char *cookie_name(bool secure)
{
    return secure ? "__Host-keng" : "keng";
}

int access_hash(const char *passphrase, char hash_out[static ACCESS_HASH_LEN],
                char err[static ACCESS_ERR_LEN])
{
    size_t len = strlen(passphrase);
    if (len < ACCESS_PASSPHRASE_LEN_MIN || len > ACCESS_PASSPHRASE_LEN_MAX) {
        snprintf(err, ACCESS_ERR_LEN, "a passphrase has %d to %d bytes: use four or more words",
                 (int)ACCESS_PASSPHRASE_LEN_MIN, (int)ACCESS_PASSPHRASE_LEN_MAX);
        return -1;
    }
    if (crypto_pwhash_str_alg(hash_out, passphrase, len, ARGON_OPS, ARGON_MEMORY_LEN,
                              crypto_pwhash_ALG_ARGON2ID13) != 0) {
        snprintf(err, ACCESS_ERR_LEN, "not enough memory to hash the passphrase");
        return -1;
    }
    return 0;
}

int access_init(struct access *a, const char *passphrase_file, char err[static ACCESS_ERR_LEN])
{
    *a = (struct access){ .all = { .tries_left = ACCESS_TRIES_IN_ALL } };
    randombytes_buf(a->secret, sizeof a->secret);
    if (!passphrase_file)
        return 0;
    FILE *file = fopen(passphrase_file, "re");
    if (!file) {
        snprintf(err, ACCESS_ERR_LEN, "%s: %s (make it with: keng-gateway passwd FILE)",
                 passphrase_file, strerror(errno));
        return -1;
    }
    char line[ACCESS_HASH_LEN] = "";
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (!read || strncmp(line, crypto_pwhash_argon2id_STRPREFIX,
                         strlen(crypto_pwhash_argon2id_STRPREFIX)) != 0) {
        snprintf(err, ACCESS_ERR_LEN, "%s: no Argon2id hash in the first line (make it with: "
                 "keng-gateway passwd FILE)", passphrase_file);
        return -1;
    }
    snprintf(a->passphrase_hash, sizeof a->passphrase_hash, "%s", line);
    return 0;
}

bool access_cookie(const char *cookie, const char *name, char *value_out, size_t cap)
{
    size_t name_len = strlen(name);
    while (*cookie) {
        cookie += strspn(cookie, " ;");
        size_t len = strcspn(cookie, ";");
        if (len > name_len && cookie[name_len] == '=' && memcmp(cookie, name, name_len) == 0) {
            size_t value_len = len - name_len - 1;
            if (value_len >= cap)
                return false;
            memcpy(value_out, cookie + name_len + 1, value_len);
            value_out[value_len] = '\0';
            return true;
        }
        cookie += len;
    }
    return false;
}

static bool hash_cookie(const char *cookie, bool secure, uint8_t hash_out[static 32])
{
    char token[ACCESS_TOKEN_HEX_LEN];
    if (!access_cookie(cookie, cookie_name(secure), token, sizeof token))
        return false;
    crypto_generichash(hash_out, 32, (const uint8_t *)token, strlen(token), NULL, 0);
    return true;
}

static struct access_session *find_session(struct access *a, const char *cookie, bool secure)
{
    uint8_t hash[32];
    if (!hash_cookie(cookie, secure, hash))
        return NULL;
    for (size_t i = 0; i < ACCESS_SESSION_COUNT_MAX; i++)
        if (a->sessions[i].used && sodium_memcmp(a->sessions[i].token_hash, hash, 32) == 0)
            return &a->sessions[i];
    return NULL;
}

bool access_allowed(struct access *a, const char *cookie, bool secure, int64_t now_ms)
{
    if (!a->passphrase_hash[0])
        return true;
    struct access_session *session = find_session(a, cookie, secure);
    if (!session)
        return false;
    if (now_ms - session->used_ms > ACCESS_IDLE_MS_MAX ||
        now_ms - session->started_ms > ACCESS_AGE_MS_MAX) {
        session->used = false;
        return false;
    }
    session->used_ms = now_ms;
    return true;
}

static bool take_try(struct access_bucket *bucket, unsigned tries_max, int64_t now_ms)
{
    int64_t refills = (now_ms - bucket->refilled_ms) / ACCESS_TRY_MS;
    if (refills > 0) {
        bucket->refilled_ms += refills * ACCESS_TRY_MS;
        bucket->tries_left = refills >= tries_max - bucket->tries_left
                                 ? tries_max
                                 : bucket->tries_left + (unsigned)refills;
    }
    if (bucket->tries_left == 0)
        return false;
    bucket->tries_left--;
    return true;
}

/* This address's bucket; the one that was longest unused makes room for a new one. */
static struct access_bucket *find_bucket(struct access *a, uint32_t address, int64_t now_ms)
{
    struct access_bucket *oldest = &a->buckets[0];
    for (size_t i = 0; i < ACCESS_ADDRESS_COUNT_MAX; i++) {
        struct access_bucket *b = &a->buckets[i];
        if (b->used && b->address == address)
            return b;
        if (!b->used || (oldest->used && b->refilled_ms < oldest->refilled_ms))
            oldest = b;
    }
    *oldest = (struct access_bucket){ .address = address, .refilled_ms = now_ms, .used = true,
                                      .tries_left = ACCESS_TRIES_PER_ADDRESS };
    return oldest;
}

bool access_login(struct access *a, const char *passphrase, uint32_t address, bool secure,
                  int64_t now_ms, char *set_cookie_out, size_t cap)
{
    /* Both buckets pay, so that neither one address nor many can keep the processor busy. */
    if (!take_try(find_bucket(a, address, now_ms), ACCESS_TRIES_PER_ADDRESS, now_ms) ||
        !take_try(&a->all, ACCESS_TRIES_IN_ALL, now_ms))
        return false;
    if (!a->passphrase_hash[0] ||
        crypto_pwhash_str_verify(a->passphrase_hash, passphrase, strlen(passphrase)) != 0)
        return false;
    struct access_session *session = &a->sessions[0];
    for (size_t i = 0; i < ACCESS_SESSION_COUNT_MAX; i++) {
        struct access_session *s = &a->sessions[i];
        if (!s->used || (session->used && s->used_ms < session->used_ms))
            session = s;
    }
    uint8_t token[ACCESS_TOKEN_LEN];
    char hex[ACCESS_TOKEN_HEX_LEN];
    randombytes_buf(token, sizeof token);
    sodium_bin2hex(hex, sizeof hex, token, sizeof token);
    *session = (struct access_session){ .started_ms = now_ms, .used_ms = now_ms, .used = true };
    crypto_generichash(session->token_hash, 32, (const uint8_t *)hex, strlen(hex), NULL, 0);
    snprintf(set_cookie_out, cap, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s",
             cookie_name(secure), hex, secure ? "; Secure" : "");
    sodium_memzero(token, sizeof token);
    sodium_memzero(hex, sizeof hex);
    return true;
}

void access_logout(struct access *a, const char *cookie, bool secure)
{
    struct access_session *session = find_session(a, cookie, secure);
    if (session)
        session->used = false;
}

void access_form_token(const struct access *a, const char *cookie, bool secure,
                       char token_out[static ACCESS_TOKEN_HEX_LEN])
{
    uint8_t hash[32] = { 0 }, token[ACCESS_TOKEN_LEN];
    if (a->passphrase_hash[0] && !hash_cookie(cookie, secure, hash))
        memset(hash, 0, sizeof hash);
    crypto_generichash(token, sizeof token, hash, sizeof hash, a->secret, sizeof a->secret);
    sodium_bin2hex(token_out, ACCESS_TOKEN_HEX_LEN, token, sizeof token);
}

bool access_form_token_ok(const struct access *a, const char *cookie, bool secure,
                          const char *token)
{
    char want[ACCESS_TOKEN_HEX_LEN];
    access_form_token(a, cookie, secure, want);
    return strlen(token) == sizeof want - 1 && sodium_memcmp(want, token, sizeof want - 1) == 0;
}
