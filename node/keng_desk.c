/* keng_desk.c - a commune's key desk: `keng init`, by which it appears whole, with one rename, and
 * what opens it and appends to the root's log. */
#include "node/keng_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/cert.h"
#include "proto/report.h"
#include "proto/sign.h"
#include "proto/text.h"

void desk_join(char out[static KENG_PATH_LEN_MAX], const char *dir, const char *name)
{
    snprintf(out, KENG_PATH_LEN_MAX, "%.*s/%s", KENG_PATH_LEN_MAX - 64, dir, name);
}

bool desk_path_fits(const char *dir)
{
    return dir[0] != '\0' && strlen(dir) < KENG_PATH_LEN_MAX - 64;
}

int desk_fail_err(const struct keng *k, const char *err)
{
    return keng_failed(k, TEXT_FAILED, KENG_ARGS(err));
}

int desk_fail_write(const struct keng *k, const char *path)
{
    return keng_failed(k, TEXT_FAILED_WRITE, KENG_ARGS(path, strerror(errno)));
}

uint32_t desk_created_now(void)
{
    int64_t minutes = ((int64_t)time(NULL) - KENG_EPOCH_UNIX_S) / 60;

    if (minutes < 0)
        return 0;
    return minutes > CREATED_MINUTES_MAX ? CREATED_MINUTES_MAX : (uint32_t)minutes;
}

int desk_read_name(const struct keng *k, const char *text, char *name_out, size_t len_max)
{
    size_t len = 0;

    if (strlen(text) > TEXT_INPUT_LEN_MAX ||
        text_normalise(text, strlen(text), name_out, len_max, &len) != TEXT_OK || len == 0 ||
        memchr(name_out, '\n', len) != NULL || strspn(text, " ") == strlen(text))
        return keng_wrong(k, TEXT_WRONG_PERSON_NAME, KENG_ARGS(text, keng_num((int64_t)len_max).s));
    name_out[len] = '\0';
    return KENG_OK;
}

size_t desk_sign_record(const struct home_identity *root, const uint8_t *network_id, uint32_t seq,
                          uint8_t kind, const uint8_t *body, size_t body_len,
                          uint8_t record_out[static RECORD_LEN_MAX])
{
    struct record_draft draft = {
        .ref = { .author = AUTHOR_ROOT, .seq = seq }, .kind = kind,
        .priority = record_kind_priority(kind), .clock_set = true,
        .created_min = desk_created_now(), .body = body, .body_len = body_len,
    };
    int len = record_encode(&draft, record_out, RECORD_LEN_MAX);

    return len < 0 ? 0 : record_sign(record_out, (size_t)len, network_id, root->secret_key);
}

/* ---- an open desk ------------------------------------------------------------------------ */

void desk_close(struct desk *d)
{
    if (d->lock_fd >= 0)
        close(d->lock_fd);
    roster_free(&d->roster);
    free(d->bytes);
    sodium_memzero(d, sizeof *d);
    d->lock_fd = -1;
}

static int load_roster(const struct keng *k, struct desk *d)
{
    struct batch_reader r = d->reader;
    struct record_view view;
    const uint8_t *record;
    size_t len;

    roster_init(&d->roster, r.header.root_key);
    while (batch_next(&r, &record, &len) > 0) {
        int verdict = roster_verify(&d->roster, record, len, &view);
        if (verdict == ROSTER_VALID)
            verdict = roster_apply(&d->roster, &view);
        if (verdict != ROSTER_VALID)
            return desk_fail_err(k, roster_strerror(verdict));
        if (view.ref.seq > d->last_seq)
            d->last_seq = view.ref.seq;
    }
    return KENG_OK;
}

int desk_open(const struct keng *k, struct desk *d)
{
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];

    *d = (struct desk){ .dir = k->option[OPT_DIR], .lock_fd = -1 };
    if (!desk_path_fits(d->dir))
        return keng_wrong(k, TEXT_WRONG_DESK_DIR, KENG_ARGS(d->dir));
    d->lock_fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->lock_fd < 0 || flock(d->lock_fd, LOCK_EX) != 0)
        return keng_failed(k, TEXT_FAILED_READ, KENG_ARGS(d->dir, strerror(errno)));
    desk_join(path, d->dir, "root.key");
    if (home_read_secret(path, &d->root, err) != 0 ||
        home_read_network_key(d->dir, d->network_key, err) != 0 ||
        home_read_commune(d->dir, &d->bytes, &d->reader, err) != 0)
        return desk_fail_err(k, err);
    d->len = d->reader.len;
    if (memcmp(d->reader.header.root_key, d->root.public_key, KENG_KEY_LEN) != 0)
        return keng_wrong(k, TEXT_WRONG_OTHER_NETWORK, KENG_ARGS(d->dir));
    return load_roster(k, d);
}

int desk_append(const struct keng *k, struct desk *d, uint8_t kind, const uint8_t *body,
                int body_len)
{
    uint8_t record[RECORD_LEN_MAX];
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];
    struct batch_header header = d->reader.header;
    struct batch_reader r = d->reader;
    struct batch_builder b;
    const uint8_t *old;
    size_t cap = d->len + RECORD_LEN_MAX + 2, len = 0, old_len;

    if (body_len < 0)
        return keng_wrong(k, TEXT_WRONG_REPORT, KENG_ARGS(report_strerror(body_len)));
    len = desk_sign_record(&d->root, header.network_id, d->last_seq + 1, kind, body,
                           (size_t)body_len, record);
    if (len == 0)
        return desk_fail_err(k, report_strerror(REPORT_ETOOBIG));
    uint8_t *bytes = malloc(cap);
    if (bytes == NULL)
        return keng_failed(k, TEXT_FAILED_MEMORY, NULL);
    header.number++;
    header.created_min = desk_created_now();
    int result = batch_begin(&b, bytes, cap, &header);
    while (result == BATCH_OK && batch_next(&r, &old, &old_len) > 0)
        result = batch_add(&b, old, old_len);
    if (result == BATCH_OK)
        result = batch_add(&b, record, len);
    if (result != BATCH_OK) {
        free(bytes);
        return desk_fail_err(k, batch_strerror(result));
    }
    len = batch_finish(&b, d->root.secret_key);
    desk_join(path, d->dir, "commune.keng");
    if (home_replace_file(path, bytes, len, 0644, err) != 0) {
        free(bytes);
        return desk_fail_err(k, err);
    }
    free(d->bytes);
    d->bytes = bytes;
    d->len = len;
    d->last_seq++;
    return KENG_OK;
}

/* ---- init ---------------------------------------------------------------------------------- */

static const char *const desk_files[] = { "root.key", "network.key", "commune.keng", "tls/ca.crt",
                                          "tls/ca.key", "tls/ca.crt.new", "tls/ca.key.new",
                                          "root.key.new", "network.key.new", "commune.keng.new" };

/* Takes away a desk that was never finished: nobody has seen its keys. */
static void remove_unfinished(const char *dir)
{
    char path[KENG_PATH_LEN_MAX];

    for (size_t i = 0; i < sizeof desk_files / sizeof desk_files[0]; i++) {
        desk_join(path, dir, desk_files[i]);
        unlink(path);
    }
    desk_join(path, dir, "tls");
    rmdir(path);
    rmdir(dir);
}

static int write_ca(const struct keng *k, const char *dir, const char *name)
{
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];
    struct cert_pair ca;
    int made = cert_make_ca(name, (int64_t)time(NULL), &ca);

    if (made != CERT_OK)
        return desk_fail_err(k, cert_strerror(made));
    desk_join(path, dir, "tls/ca.key");
    int result = home_replace_file(path, (const uint8_t *)ca.key_pem, ca.key_len, 0600, err);
    desk_join(path, dir, "tls/ca.crt");
    if (result == 0)
        result = home_replace_file(path, (const uint8_t *)ca.crt_pem, ca.crt_len, 0644, err);
    cert_pair_free(&ca);
    return result == 0 ? KENG_OK : desk_fail_err(k, err);
}

/* commune.keng with the profile as the root's first record. */
static int write_first_commune(const struct keng *k, const char *dir,
                               const struct home_identity *root, const struct profile *p)
{
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    uint8_t file[BATCH_HEADER_LEN + RECORD_LEN_MAX + 2 + KENG_SIG_LEN];
    struct batch_header header = { .source = AUTHOR_ROOT, .number = 1,
                                   .created_min = desk_created_now() };
    struct batch_builder b;
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];

    memcpy(header.root_key, root->public_key, sizeof header.root_key);
    network_id_of_root(root->public_key, header.network_id);
    int body_len = profile_encode(p, body, sizeof body);
    if (body_len < 0)
        return keng_wrong(k, TEXT_WRONG_REPORT, KENG_ARGS(report_strerror(body_len)));
    size_t len = desk_sign_record(root, header.network_id, 1, RECORD_PROFILE, body,
                                  (size_t)body_len, record);
    int result = len == 0 ? BATCH_EFORM : batch_begin(&b, file, sizeof file, &header);
    if (result == BATCH_OK)
        result = batch_add(&b, record, len);
    if (result != BATCH_OK)
        return desk_fail_err(k, batch_strerror(result));
    len = batch_finish(&b, root->secret_key);
    desk_join(path, dir, "commune.keng");
    return home_replace_file(path, file, len, 0644, err) == 0 ? KENG_OK : desk_fail_err(k, err);
}

static int fill_desk(const struct keng *k, const char *dir, const struct profile *p,
                     struct home_identity *root)
{
    uint8_t network_key[KENG_NETWORK_KEY_LEN];
    char path[KENG_PATH_LEN_MAX], err[HOME_ERR_LEN];

    crypto_sign_keypair(root->public_key, root->secret_key);
    randombytes_buf(network_key, sizeof network_key);
    desk_join(path, dir, "tls");
    if (mkdir(path, 0700) != 0)
        return desk_fail_write(k, path);
    desk_join(path, dir, "root.key");
    int result = home_write_secret(path, root->secret_key, sizeof root->secret_key, err);
    desk_join(path, dir, "network.key");
    if (result == 0)
        result = home_write_secret(path, network_key, sizeof network_key, err);
    sodium_memzero(network_key, sizeof network_key);
    if (result != 0)
        return desk_fail_err(k, err);
    int status = write_ca(k, dir, p->name);
    return status == KENG_OK ? write_first_commune(k, dir, root, p) : status;
}

int desk_sync_parent(const struct keng *k, const char *dir)
{
    char parent[KENG_PATH_LEN_MAX];
    size_t len = strlen(dir);

    while (len > 1 && dir[len - 1] == '/')
        len--;
    while (len > 0 && dir[len - 1] != '/')
        len--;
    snprintf(parent, sizeof parent, "%.*s", len == 0 ? 1 : (int)len, len == 0 ? "." : dir);
    int fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int result = fd < 0 ? -1 : fsync(fd);
    int status = result == 0 ? KENG_OK : desk_fail_write(k, parent);
    if (fd >= 0)
        close(fd);
    return status;
}

static void tell_desk(const struct keng *k, const char *dir, const struct profile *p,
                      const uint8_t root_key[KENG_KEY_LEN])
{
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    char fingerprint[KENG_FINGERPRINT_LEN], path[KENG_PATH_LEN_MAX];
    char id_hex[2 * KENG_NETWORK_ID_LEN + 1], key_hex[2 * KENG_KEY_LEN + 1];

    network_id_of_root(root_key, network_id);
    keng_fingerprint(network_id, fingerprint);
    if (k->option[OPT_JSON] != NULL) {
        sodium_bin2hex(id_hex, sizeof id_hex, network_id, sizeof network_id);
        sodium_bin2hex(key_hex, sizeof key_hex, root_key, KENG_KEY_LEN);
        keng_print_json(json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "dir", dir, "name", p->name, "code",
                                  p->code, "network_id", id_hex, "root_key", key_hex,
                                  "fingerprint", fingerprint));
        return;
    }
    desk_join(path, dir, "root.key");
    keng_say(k, stdout, TEXT_DESK_MADE, KENG_ARGS(p->name, p->code, dir));
    keng_say(k, stdout, TEXT_DESK_FINGERPRINT, KENG_ARGS(fingerprint));
    desk_tell_radio(k, p);
    keng_say(k, stdout, TEXT_DESK_KEEP, KENG_ARGS(path));
}

int keng_run_init(struct keng *k)
{
    const char *given = k->option[OPT_DIR] == NULL ? "desk" : k->option[OPT_DIR];
    char dir[KENG_PATH_LEN_MAX], unfinished[KENG_PATH_LEN_MAX];
    struct home_identity root;
    struct profile p = { .eirp_dbm = 0 };
    int status = desk_read_profile(k, &p);

    if (status != KENG_OK)
        return status;
    if (!desk_path_fits(given))
        return keng_wrong(k, TEXT_WRONG_DESK_DIR, KENG_ARGS(given));
    snprintf(dir, sizeof dir, "%s", given);
    for (size_t len = strlen(dir); len > 1 && dir[len - 1] == '/'; len--)
        dir[len - 1] = '\0';
    /* Any desk, whole or half: what is there may be the only copy of a commune's key. */
    if (access(dir, F_OK) == 0 && rmdir(dir) != 0)
        return keng_wrong(k, TEXT_WRONG_DESK_EXISTS, KENG_ARGS(dir));
    snprintf(unfinished, sizeof unfinished, "%.*s.new", KENG_PATH_LEN_MAX - 8, dir);
    remove_unfinished(unfinished);
    if (mkdir(unfinished, 0700) != 0)
        return errno == EEXIST ? keng_wrong(k, TEXT_WRONG_DESK_EXISTS, KENG_ARGS(unfinished))
                               : desk_fail_write(k, unfinished);
    status = fill_desk(k, unfinished, &p, &root);
    if (status == KENG_OK && rename(unfinished, dir) != 0)
        status = desk_fail_write(k, dir);
    if (status != KENG_OK)
        remove_unfinished(unfinished);
    else
        status = desk_sync_parent(k, dir);
    if (status == KENG_OK)
        tell_desk(k, dir, &p, root.public_key);
    sodium_memzero(&root, sizeof root);
    return status;
}
