#include "gateway/access.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/strbuf.h"
#include "node/home.h"

enum {
    ARGON_OPS = 2,
    ARGON_MEMORY_LEN = 19 << 20,
};

static const char *cookie_name(bool secure)
{
    return secure ? "__Host-keng" : "keng";
}

enum access_fault access_hash(const char *passphrase, char hash_out[static ACCESS_HASH_LEN])
{
    size_t len = strlen(passphrase);
    if (len < ACCESS_PASSPHRASE_LEN_MIN || len > ACCESS_PASSPHRASE_LEN_MAX)
        return ACCESS_BAD_PASSPHRASE;
    return crypto_pwhash_str_alg(hash_out, passphrase, len, ARGON_OPS, ARGON_MEMORY_LEN,
                                 crypto_pwhash_ALG_ARGON2ID13) == 0 ? ACCESS_GOOD
                                                                    : ACCESS_NOT_KEPT;
}

/* ---- operators ------------------------------------------------------------------------------ */

static const char *const ROLE_NAMES[] = {
    [ACCESS_NOBODY] = "", [ACCESS_VIEW] = "view", [ACCESS_REVIEW] = "review",
    [ACCESS_SIGN] = "sign", [ACCESS_ADMIN] = "admin",
};

const char *access_role_name(enum access_role role)
{
    return ROLE_NAMES[role];
}

enum access_role access_role_find(const char *name)
{
    for (int i = ACCESS_VIEW; i <= ACCESS_ADMIN; i++)
        if (strcmp(name, ROLE_NAMES[i]) == 0)
            return (enum access_role)i;
    return ACCESS_NOBODY;
}

bool access_is_guarded(const struct access *a)
{
    return a->operator_count > 0;
}

const struct access_operator *access_operator_get(const struct access *a, uint32_t number)
{
    for (size_t i = 0; i < a->operator_count; i++)
        if (a->operators[i].number == number)
            return &a->operators[i];
    return NULL;
}

struct access_operator *access_operator_find(struct access *a, const char *login)
{
    for (size_t i = 0; i < a->operator_count; i++)
        if (strcmp(a->operators[i].login, login) == 0)
            return &a->operators[i];
    return NULL;
}

static bool login_valid(const char *login)
{
    size_t len = strlen(login);
    return len > 0 && len < ACCESS_LOGIN_LEN &&
           strspn(login, "abcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static bool name_valid(const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)name[i] < ' ')
            return false;
    return len > 0 && len < ACCESS_NAME_LEN;
}

enum access_fault access_operator_add(struct access *a, const char *login, const char *name,
                                      enum access_role role,
                                      struct access_operator **operator_out)
{
    if (!login_valid(login))
        return ACCESS_BAD_LOGIN;
    if (!name_valid(name))
        return ACCESS_BAD_NAME;
    if (role == ACCESS_NOBODY)
        return ACCESS_BAD_ROLE;
    if (access_operator_find(a, login))
        return ACCESS_TAKEN;
    if (a->operator_count == ACCESS_OPERATOR_COUNT_MAX)
        return ACCESS_FULL;
    struct access_operator o = { .number = 1, .role = role };
    for (size_t i = 0; i < a->operator_count; i++)
        if (a->operators[i].number >= o.number)
            o.number = (uint16_t)(a->operators[i].number + 1);
    snprintf(o.login, sizeof o.login, "%s", login);
    snprintf(o.name, sizeof o.name, "%s", name);
    a->operators[a->operator_count] = o;
    *operator_out = &a->operators[a->operator_count++];
    return ACCESS_GOOD;
}

/* number role state login hash name */
static bool parse_operator(const char *line, struct access_operator *operator_out)
{
    struct access_operator o = { .number = 0 };
    unsigned number;
    char role[8], state[8];
    int at = 0;
    if (sscanf(line, "%5u %7s %7s %32s %127s %n", &number, role, state, o.login, o.hash,
               &at) != 5 ||
        at == 0 || number == 0 || number > UINT16_MAX || !login_valid(o.login) ||
        !name_valid(line + at) ||
        strncmp(o.hash, crypto_pwhash_argon2id_STRPREFIX,
                strlen(crypto_pwhash_argon2id_STRPREFIX)) != 0)
        return false;
    o.number = (uint16_t)number;
    o.role = access_role_find(role);
    o.disabled = strcmp(state, "off") == 0;
    snprintf(o.name, sizeof o.name, "%s", line + at);
    *operator_out = o;
    return o.role != ACCESS_NOBODY && (o.disabled || strcmp(state, "on") == 0);
}

static int read_operators(const char *path, FILE *file, struct access *into,
                          char err[static ACCESS_ERR_LEN])
{
    char line[512];
    unsigned line_number = 0;
    into->operator_count = 0;
    while (fgets(line, sizeof line, file)) {
        struct access_operator o;
        line_number++;
        line[strcspn(line, "\n")] = '\0';
        if (!parse_operator(line, &o) || into->operator_count == ACCESS_OPERATOR_COUNT_MAX ||
            access_operator_find(into, o.login) || access_operator_get(into, o.number)) {
            snprintf(err, ACCESS_ERR_LEN, "%.150s line %u: this is no operator; restore the file "
                     "or remove the line", path, line_number);
            return -1;
        }
        into->operators[into->operator_count++] = o;
    }
    return 0;
}

int access_refresh(struct access *a, char err[static ACCESS_ERR_LEN])
{
    static struct access fresh; /* large, and nothing of it is kept but the list */
    struct stat st;
    if (!a->path[0])
        return 0;
    if (stat(a->path, &st) != 0) {
        /* A file that vanished opens nothing: those who were asked are asked still. */
        if (errno == ENOENT && a->operator_count == 0)
            return 0;
        snprintf(err, ACCESS_ERR_LEN, "%.150s: %s", a->path, strerror(errno));
        return -1;
    }
    if (st.st_ino == a->inode && st.st_mtim.tv_sec == a->changed.tv_sec &&
        st.st_mtim.tv_nsec == a->changed.tv_nsec)
        return 0;
    FILE *file = fopen(a->path, "re");
    int result = file ? read_operators(a->path, file, &fresh, err) : -1;
    if (!file)
        snprintf(err, ACCESS_ERR_LEN, "%.150s: %s", a->path, strerror(errno));
    else
        fclose(file);
    if (result == 0 && fresh.operator_count == 0) { /* opens nothing either */
        snprintf(err, ACCESS_ERR_LEN, "%.150s: nobody is in it; restore it, or remove it and add "
                 "operators anew", a->path);
        return -1;
    }
    if (result == 0) {
        memcpy(a->operators, fresh.operators, sizeof a->operators);
        a->operator_count = fresh.operator_count;
        a->inode = st.st_ino;
        a->changed = st.st_mtim;
    }
    return result;
}

int access_save(struct access *a, char err[static ACCESS_ERR_LEN])
{
    struct strbuf text = { .text = NULL };
    char why[HOME_ERR_LEN];
    for (size_t i = 0; i < a->operator_count; i++) {
        const struct access_operator *o = &a->operators[i];
        strbuf_putf(&text, "%u %s %s %s %s %s\n", (unsigned)o->number, ROLE_NAMES[o->role],
                    o->disabled ? "off" : "on", o->login, o->hash, o->name);
    }
    int result = text.failed ? -1 : home_replace_file(a->path, (const uint8_t *)text.text, text.len,
                                                      0600, why);
    if (result != 0)
        snprintf(err, ACCESS_ERR_LEN, "%s", text.failed ? "out of memory" : why);
    strbuf_free(&text);
    return result;
}

int access_init(struct access *a, const char *path, char err[static ACCESS_ERR_LEN])
{
    *a = (struct access){ .strangers = { .tries_left = ACCESS_TRIES_OF_STRANGERS } };
    randombytes_buf(a->secret, sizeof a->secret);
    if (path && snprintf(a->path, sizeof a->path, "%s", path) >= (int)sizeof a->path) {
        snprintf(err, ACCESS_ERR_LEN, "the path of the operators' file is too long");
        return -1;
    }
    return access_refresh(a, err);
}

/* ---- cookies -------------------------------------------------------------------------------- */

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

/* A short mark of what the passphrase is now. */
static void mark_of(const struct access_operator *o, uint8_t mark_out[static 16])
{
    crypto_generichash(mark_out, 16, (const uint8_t *)o->hash, strlen(o->hash), NULL, 0);
}

const struct access_operator *access_who(struct access *a, const char *cookie, bool secure,
                                         int64_t now_ms)
{
    static const struct access_operator ANYBODY = { .role = ACCESS_ADMIN };
    uint8_t mark[16];
    if (!access_is_guarded(a))
        return &ANYBODY;
    struct access_session *session = find_session(a, cookie, secure);
    if (!session)
        return NULL;
    const struct access_operator *o = access_operator_get(a, session->operator_number);
    if (o)
        mark_of(o, mark);
    if (!o || o->disabled || memcmp(mark, session->secret_mark, sizeof mark) != 0 ||
        now_ms - session->used_ms > ACCESS_IDLE_MS_MAX ||
        now_ms - session->started_ms > ACCESS_AGE_MS_MAX) {
        session->used = false;
        return NULL;
    }
    session->used_ms = now_ms;
    return o;
}

/* ---- tries ---------------------------------------------------------------------------------- */

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

/* This address's bucket; of those that never logged in, the one that was longest unused makes room
 * for a new one. */
static struct access_bucket *find_bucket(struct access *a, uint64_t address, int64_t now_ms)
{
    struct access_bucket *oldest = NULL;
    for (size_t i = 0; i < ACCESS_ADDRESS_COUNT_MAX; i++) {
        struct access_bucket *b = &a->buckets[i];
        if (b->used && b->address == address)
            return b;
        bool before = !oldest || (oldest->used && !b->used) ||
                      (oldest->used == b->used && oldest->known && !b->known) ||
                      (oldest->used == b->used && oldest->known == b->known &&
                       b->refilled_ms < oldest->refilled_ms);
        if (before)
            oldest = b;
    }
    *oldest = (struct access_bucket){ .address = address, .refilled_ms = now_ms, .used = true,
                                      .tries_left = ACCESS_TRIES_PER_ADDRESS };
    return oldest;
}

static void new_session(struct access *a, const struct access_operator *o,
                                          const char *token, int64_t now_ms)
{
    struct access_session *session = &a->sessions[0];
    for (size_t i = 0; i < ACCESS_SESSION_COUNT_MAX; i++) {
        struct access_session *s = &a->sessions[i];
        if (!s->used || (session->used && s->used_ms < session->used_ms))
            session = s;
    }
    *session = (struct access_session){ .started_ms = now_ms, .used_ms = now_ms, .used = true,
                                        .operator_number = o->number };
    crypto_generichash(session->token_hash, 32, (const uint8_t *)token, strlen(token), NULL, 0);
    mark_of(o, session->secret_mark);
}

/* o NULL: an unknown login takes as long as a known one. */
static enum access_login check_passphrase(struct access *a, const struct access_operator *o,
                                          const char *passphrase, const struct access_peer *peer,
                                          int64_t now_ms)
{
    struct access_bucket *bucket = find_bucket(a, peer->address, now_ms);
    /* Strangers pay twice, so that neither one address nor many can keep the processor busy. */
    if (!take_try(bucket, ACCESS_TRIES_PER_ADDRESS, now_ms) ||
        (!peer->local && !bucket->known &&
         !take_try(&a->strangers, ACCESS_TRIES_OF_STRANGERS, now_ms)))
        return ACCESS_TOO_MANY;
    const char *hash = o ? o->hash : a->operators[0].hash;
    bool right = crypto_pwhash_str_verify(hash, passphrase, strlen(passphrase)) == 0;
    if (!o || o->disabled || !right)
        return ACCESS_WRONG;
    bucket->known = true;
    bucket->tries_left = ACCESS_TRIES_PER_ADDRESS;
    return ACCESS_WELCOME;
}

enum access_login access_confirm(struct access *a, const struct access_operator *who,
                                 const char *passphrase, const struct access_peer *peer,
                                 int64_t now_ms)
{
    return access_is_guarded(a) ? check_passphrase(a, who, passphrase, peer, now_ms)
                                : ACCESS_WELCOME;
}

enum access_login access_login(struct access *a, const char *login, const char *passphrase,
                               const char *cookie, const struct access_peer *peer, int64_t now_ms,
                               char *set_cookie_out, size_t cap)
{
    if (!access_is_guarded(a))
        return ACCESS_TOO_MANY;
    const struct access_operator *o = access_operator_find(a, login);
    enum access_login result = check_passphrase(a, o, passphrase, peer, now_ms);
    if (result != ACCESS_WELCOME)
        return result;
    uint8_t token[ACCESS_TOKEN_LEN];
    char hex[ACCESS_TOKEN_HEX_LEN];
    access_logout(a, cookie, peer->secure);
    randombytes_buf(token, sizeof token);
    sodium_bin2hex(hex, sizeof hex, token, sizeof token);
    new_session(a, o, hex, now_ms);
    snprintf(set_cookie_out, cap, "%s=%s; Path=/; HttpOnly; SameSite=Strict%s",
             cookie_name(peer->secure), hex, peer->secure ? "; Secure" : "");
    sodium_memzero(token, sizeof token);
    sodium_memzero(hex, sizeof hex);
    return ACCESS_WELCOME;
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
    if (access_is_guarded(a) && !hash_cookie(cookie, secure, hash))
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
