/* keng_enroll.c - `keng enroll`, `revoke` and `cert` at the commune's key desk.
 *
 * The order of writing is what makes a crash harmless: an author's key is durable before the root
 * speaks of it, commune.keng is replaced atomically, and the same `enroll` again finishes what was
 * begun. */
#include "node/keng_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/cert.h"

enum { VILLAGES_LEN_MAX = 4 << 20, PEM_LEN_MAX = 64 * 1024 };

/* ---- the box's home ------------------------------------------------------------------------ */

/* A directory whose name would not survive a power cut would take the keys in it along. */
static int make_dir(const struct keng *k, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return desk_fail_write(k, path);
    return desk_sync_parent(k, path);
}

/* A home that exists must be of this commune and have room for one more key. */
static int check_home(const struct keng *k, const struct desk *d, const char *home, uint16_t number)
{
    char path[KENG_PATH_LEN_MAX], key[64], err[HOME_ERR_LEN];
    struct home_identity ids[HOME_IDENTITY_COUNT_MAX];
    struct batch_reader reader;
    uint8_t *bytes = NULL, network_key[KENG_NETWORK_KEY_LEN];
    int status = KENG_OK;

    desk_join(path, home, "commune.keng");
    if (access(path, F_OK) == 0) {
        if (home_read_commune(home, &bytes, &reader, err) != 0)
            return desk_fail_err(k, err);
        if (memcmp(reader.header.network_id, d->roster.network_id, KENG_NETWORK_ID_LEN) != 0)
            status = keng_wrong(k, TEXT_WRONG_OTHER_NETWORK, KENG_ARGS(home));
        free(bytes);
    }
    desk_join(path, home, "network.key");
    if (status == KENG_OK && access(path, F_OK) == 0) {
        if (home_read_network_key(home, network_key, err) != 0)
            return desk_fail_err(k, err);
        if (sodium_memcmp(network_key, d->network_key, sizeof network_key) != 0)
            status = keng_wrong(k, TEXT_WRONG_OTHER_NETWORK, KENG_ARGS(home));
    }
    desk_join(path, home, "identity");
    if (status != KENG_OK || access(path, F_OK) != 0)
        return status;
    int count = home_read_identities(home, ids, err);
    sodium_memzero(ids, sizeof ids);
    if (count < 0)
        return desk_fail_err(k, err);
    snprintf(key, sizeof key, "identity/%u.key", number);
    desk_join(path, home, key);
    if (count == HOME_IDENTITY_COUNT_MAX && access(path, F_OK) != 0)
        return keng_wrong(k, TEXT_WRONG_HOME_FULL, KENG_ARGS(home, keng_num(count).s));
    return KENG_OK;
}

/* The author's key: one that an interrupted enrolment left is used, not replaced. */
static int make_identity(const struct keng *k, const char *home, uint16_t number,
                         struct home_identity *id_out)
{
    char path[KENG_PATH_LEN_MAX], name[64], err[HOME_ERR_LEN];

    int status = make_dir(k, home);
    desk_join(path, home, "identity");
    if (status == KENG_OK)
        status = make_dir(k, path);
    if (status != KENG_OK)
        return status;
    snprintf(name, sizeof name, "identity/%u.key", number);
    desk_join(path, home, name);
    if (access(path, F_OK) != 0) {
        uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN];
        crypto_sign_keypair(public_key, secret_key);
        int result = home_write_secret(path, secret_key, sizeof secret_key, err);
        sodium_memzero(secret_key, sizeof secret_key);
        if (result != 0)
            return desk_fail_err(k, err);
    }
    return home_read_secret(path, id_out, err) == 0 ? KENG_OK : desk_fail_err(k, err);
}

/* The list of villages, when the desk has one: names instead of numbers on the box. */
static int copy_villages(const struct keng *k, const struct desk *d, const char *home)
{
    char from[KENG_PATH_LEN_MAX], to[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];
    size_t len;

    desk_join(from, d->dir, "villages.csv");
    desk_join(to, home, "villages.csv");
    if (access(from, F_OK) != 0)
        return KENG_OK;
    char *text = keng_read_all(k, from, VILLAGES_LEN_MAX, &len);
    if (text == NULL)
        return KENG_FAILED;
    int result = home_replace_file(to, (const uint8_t *)text, len, 0644, err);
    free(text);
    return result == 0 ? KENG_OK : desk_fail_err(k, err);
}

static int fill_home(const struct keng *k, const struct desk *d, const char *home,
                     const struct roster_entry *entry)
{
    char path[KENG_PATH_LEN_MAX], conf[256], err[HOME_ERR_LEN];
    int result = 0;

    desk_join(path, home, "network.key");
    if (access(path, F_OK) != 0)
        result = home_write_secret(path, d->network_key, sizeof d->network_key, err);
    desk_join(path, home, "commune.keng");
    if (result == 0)
        result = home_replace_file(path, d->bytes, d->len, 0644, err);
    desk_join(path, home, "kengd.conf");
    if (result == 0 && access(path, F_OK) != 0) {
        int len = snprintf(conf, sizeof conf, "node = %u\nrole = \"%s\"\nmodem = \"\"\n"
                           "driver = \"meshcore-kiss\"\nsocket = \"\"\n", entry->number,
                           entry->role == ROSTER_GATEWAY ? "gateway" : "village");
        result = home_replace_file(path, (const uint8_t *)conf, (size_t)len, 0644, err);
    }
    return result == 0 ? copy_villages(k, d, home) : desk_fail_err(k, err);
}

/* ---- enroll, revoke ------------------------------------------------------------------------- */

static int append_entry(const struct keng *k, struct desk *d, const struct roster_entry *entry)
{
    uint8_t body[RECORD_BODY_LEN_MAX];

    return desk_append(k, d, RECORD_ROSTER, body, roster_entry_encode(entry, body, sizeof body));
}

static uint16_t free_number(const struct roster *r, uint16_t from)
{
    uint32_t number = from;

    while (number < AUTHOR_MAX && roster_find(r, (uint16_t)number) != NULL)
        number++;
    return (uint16_t)number;
}

static int wrong_taken(const struct keng *k, const struct desk *d, const struct roster_entry *old)
{
    return keng_wrong(k, TEXT_WRONG_TAKEN,
                      KENG_ARGS(keng_num(old->number).s, old->name,
                                keng_num(free_number(&d->roster, old->number)).s));
}

static int read_entry(struct keng *k, struct roster_entry *entry)
{
    uint64_t number = 0;
    int status = keng_number_option(k, OPT_NUMBER, 1, AUTHOR_MAX, &number);

    entry->number = (uint16_t)number;
    entry->role = roster_role_find(k->option[OPT_ROLE]);
    if (status == KENG_OK && entry->role == 0)
        status = keng_wrong(k, TEXT_WRONG_ROLE, KENG_ARGS(k->option[OPT_ROLE]));
    if (status == KENG_OK)
        status = desk_read_name(k, k->option[OPT_NAME], entry->name, ROSTER_NAME_LEN_MAX);
    if (status == KENG_OK && k->option[OPT_VILLAGE] != NULL)
        status = keng_village(k, k->option[OPT_VILLAGE], k->option[OPT_DIR], &entry->village);
    return status;
}

static void tell_enrolled(const struct keng *k, const struct roster_entry *entry, const char *home,
                          bool before)
{
    char key_hex[2 * KENG_KEY_LEN + 1];
    const char *role = roster_role_name(entry->role);

    if (k->option[OPT_JSON] != NULL) {
        sodium_bin2hex(key_hex, sizeof key_hex, entry->key, sizeof entry->key);
        keng_print_json(json_pack("{s:i,s:s,s:s,s:I,s:s,s:s,s:b}", "number", entry->number, "name",
                                  entry->name, "role", role, "village", (json_int_t)entry->village,
                                  "key", key_hex, "home", home, "new", !before));
        return;
    }
    keng_say(k, stdout, before ? TEXT_ENROLLED_BEFORE : TEXT_ENROLLED,
             KENG_ARGS(keng_num(entry->number).s, entry->name,
                       text_get(k->lang, keng_role_text(role)), home));
}

/* Writes the key, then the roster record, then the rest of the home. */
static int enroll(struct keng *k, struct desk *d, struct roster_entry *entry, const char *home)
{
    const struct roster_author *old = roster_find(&d->roster, entry->number);
    struct home_identity id;
    char path[KENG_PATH_LEN_MAX], name[64];
    int status;

    snprintf(name, sizeof name, "identity/%u.key", entry->number);
    desk_join(path, home, name);
    if (old != NULL && access(path, F_OK) != 0)
        return wrong_taken(k, d, &old->entry);
    status = check_home(k, d, home, entry->number);
    if (status == KENG_OK)
        status = make_identity(k, home, entry->number, &id);
    if (status != KENG_OK)
        return status;
    memcpy(entry->key, id.public_key, sizeof entry->key);
    sodium_memzero(&id, sizeof id);
    if (old != NULL) {
        bool same = memcmp(old->entry.key, entry->key, sizeof entry->key) == 0 &&
                    old->entry.role == entry->role && old->entry.village == entry->village &&
                    strcmp(old->entry.name, entry->name) == 0 && old->entry.revoked_after == 0;
        if (!same)
            return wrong_taken(k, d, &old->entry);
    } else {
        status = append_entry(k, d, entry);
    }
    if (status == KENG_OK)
        status = fill_home(k, d, home, entry);
    if (status == KENG_OK)
        tell_enrolled(k, entry, home, old != NULL);
    return status;
}

int keng_run_enroll(struct keng *k)
{
    struct roster_entry entry = { .number = 0 };
    struct desk d;
    char home[KENG_PATH_LEN_MAX], homes[KENG_PATH_LEN_MAX];
    int status = read_entry(k, &entry);

    if (status != KENG_OK)
        return status;
    status = desk_open(k, &d);
    if (status != KENG_OK)
        goto out;
    if (k->option[OPT_OUT] != NULL && !desk_path_fits(k->option[OPT_OUT])) {
        status = keng_wrong(k, TEXT_WRONG_DESK_DIR, KENG_ARGS(k->option[OPT_OUT]));
        goto out;
    }
    if (k->option[OPT_OUT] != NULL) {
        snprintf(home, sizeof home, "%s", k->option[OPT_OUT]);
    } else {
        char name[32];
        snprintf(name, sizeof name, "homes/%u", entry.number);
        desk_join(home, d.dir, name);
        desk_join(homes, d.dir, "homes");
        status = make_dir(k, homes);
    }
    if (status == KENG_OK)
        status = enroll(k, &d, &entry, home);
out:
    desk_close(&d);
    return status;
}

int keng_run_revoke(struct keng *k)
{
    uint64_t number = 0, after = 0;
    struct desk d;
    char path[KENG_PATH_LEN_MAX];
    int status = keng_number_option(k, OPT_NUMBER, 1, AUTHOR_MAX, &number);

    if (status == KENG_OK)
        status = keng_number_option(k, OPT_AFTER, 0, RECORD_SEQ_MAX, &after);
    if (status != KENG_OK)
        return status;
    status = desk_open(k, &d);
    if (status != KENG_OK)
        goto out;
    const struct roster_author *author = roster_find(&d.roster, (uint16_t)number);
    if (author == NULL) {
        status = keng_wrong(k, TEXT_WRONG_UNKNOWN_NUMBER, KENG_ARGS(k->option[OPT_NUMBER]));
        goto out;
    }
    struct roster_entry entry = author->entry;
    entry.revoked_after = (uint32_t)after + 1;
    if (author->entry.revoked_after != entry.revoked_after)
        status = append_entry(k, &d, &entry);
    if (status != KENG_OK)
        goto out;
    desk_join(path, d.dir, "commune.keng");
    if (k->option[OPT_JSON] != NULL)
        keng_print_json(json_pack("{s:i,s:s,s:I,s:s}", "number", entry.number, "name", entry.name,
                                  "revoked_after", (json_int_t)entry.revoked_after, "file", path));
    else
        keng_say(k, stdout, TEXT_REVOKED,
                 KENG_ARGS(keng_num(entry.number).s, entry.name, keng_num((int64_t)after).s, path));
out:
    desk_close(&d);
    return status;
}

/* ---- cert ----------------------------------------------------------------------------------- */

/* A common name may be anything readable; only what looks like a host also becomes one. */
static bool looks_like_host(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-";

    return name[0] != '\0' && name[strspn(name, allowed)] == '\0';
}

static int write_leaf(const struct keng *k, const char *out, const struct cert_pair *ca,
                      const struct cert_pair *leaf)
{
    const struct { const char *name; const char *pem; size_t len; unsigned mode; } files[] = {
        { "server.key", leaf->key_pem, leaf->key_len, 0600 },
        { "server.crt", leaf->crt_pem, leaf->crt_len, 0644 },
        { "ca.crt", ca->crt_pem, ca->crt_len, 0644 },
    };
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN], fingerprint[CERT_FINGERPRINT_LEN];
    int status = make_dir(k, out);

    for (size_t i = 0; i < sizeof files / sizeof files[0] && status == KENG_OK; i++) {
        desk_join(path, out, files[i].name);
        if (home_replace_file(path, (const uint8_t *)files[i].pem, files[i].len, files[i].mode,
                              err) != 0)
            status = desk_fail_err(k, err);
    }
    if (status != KENG_OK)
        return status;
    int made = cert_fingerprint(leaf->crt_pem, leaf->crt_len, fingerprint);
    if (made != CERT_OK)
        return desk_fail_err(k, cert_strerror(made));
    if (k->option[OPT_JSON] != NULL)
        keng_print_json(json_pack("{s:s,s:s}", "dir", out, "fingerprint", fingerprint));
    else
        keng_say(k, stdout, TEXT_CERT_MADE, KENG_ARGS(out, fingerprint));
    return KENG_OK;
}

int keng_run_cert(struct keng *k)
{
    const char *dir = k->option[OPT_DIR], *out = k->option[OPT_OUT];
    struct cert_pair ca = { .key_pem = NULL }, leaf = { .key_pem = NULL };
    char path[KENG_PATH_LEN_MAX];
    int status = KENG_FAILED;

    if (k->operand_count == 0)
        return keng_wrong(k, TEXT_WRONG_OPERAND_MISSING,
                          KENG_ARGS("keng cert --dir DESK --out DIR NAME [IP|NAME ...]"));
    if (!desk_path_fits(dir) || !desk_path_fits(out))
        return keng_wrong(k, TEXT_WRONG_DESK_DIR, KENG_ARGS(desk_path_fits(dir) ? out : dir));
    desk_join(path, dir, "tls/ca.key");
    ca.key_pem = keng_read_all(k, path, PEM_LEN_MAX, &ca.key_len);
    desk_join(path, dir, "tls/ca.crt");
    if (ca.key_pem != NULL)
        ca.crt_pem = keng_read_all(k, path, PEM_LEN_MAX, &ca.crt_len);
    if (ca.crt_pem == NULL)
        goto out;
    bool named = looks_like_host(k->operands[0]);
    struct cert_request request = {
        .common_name = k->operands[0], .hosts = k->operands + !named,
        .host_count = k->operand_count - !named,
    };
    int made = cert_issue(&ca, &request, (int64_t)time(NULL), &leaf);
    if (made == CERT_ENAME)
        status = keng_wrong(k, TEXT_WRONG_CERT, KENG_ARGS(cert_strerror(made)));
    else if (made != CERT_OK)
        status = desk_fail_err(k, cert_strerror(made));
    else
        status = write_leaf(k, out, &ca, &leaf);
    cert_pair_free(&leaf);
out:
    cert_pair_free(&ca);
    return status;
}
