/* keng_desk.c - `keng init`: a commune's key desk, which appears whole, by one rename. */
#include "node/keng_desk.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hw/law.h"
#include "proto/cert.h"
#include "proto/report.h"
#include "proto/sign.h"
#include "proto/text.h"

enum {
    REGIONS_LEN_MAX = 1 << 16,
    BW_HZ_DEFAULT = 125000,
    SF_DEFAULT = 9,
    CR_DEFAULT = 5,
    PREAMBLE_DEFAULT = 16,
    PREAMBLE_MIN = 6,
    PREAMBLE_MAX = 64,
};

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

/* ---- init ---------------------------------------------------------------------------------- */

static int decimal_option(const struct keng *k, enum keng_option option, unsigned decimals,
                          const char *example, int64_t *value)
{
    const char *text = k->option[option];

    if (text == NULL || keng_parse_decimal(text, decimals, value))
        return KENG_OK;
    return keng_wrong(k, TEXT_WRONG_DECIMAL, KENG_ARGS(keng_option_name(option), text, example));
}

/* The law of the region asked for, and of the other bands of its country. */
static int read_law(const struct keng *k, struct profile *p)
{
    const char *name = k->option[OPT_REGION] == NULL ? "VN-920" : k->option[OPT_REGION];
    char path[KENG_PATH_LEN_MAX + 32], why[LAW_TEXT_LEN];
    size_t len;

    snprintf(path, sizeof path, "%s/catalogue/regions.csv", k->data);
    char *table = keng_read_all(k, path, REGIONS_LEN_MAX, &len);
    if (table == NULL)
        return KENG_FAILED;
    int err = law_find(table, len, name, p->bands, PROFILE_BAND_COUNT_MAX, &p->band_count, why);
    free(table);
    if (err == LAW_EUNKNOWN)
        return keng_wrong(k, TEXT_WRONG_REGION, KENG_ARGS(name, path));
    if (err != LAW_OK)
        return keng_failed(k, TEXT_FAILED_DATA, KENG_ARGS(why));
    memcpy(p->region, p->bands[0].name, sizeof p->region);
    p->duty_node_e4 = (uint16_t)p->bands[0].duty_node;
    p->duty_gateway_e4 = (uint16_t)p->bands[0].duty_gateway;
    p->duty_window_s = p->bands[0].window_s;
    return KENG_OK;
}

static int check_law(const struct keng *k, const struct profile *p)
{
    const struct region *band = &p->bands[0];
    /* With a dipole: gains and losses are those of each node, which checks for itself. */
    int32_t eirp_max_dbm = law_power_max_dbm(band, 0, 0);
    char why[LAW_TEXT_LEN];

    if (p->eirp_dbm > eirp_max_dbm)
        return keng_wrong(k, TEXT_WRONG_EIRP,
                          KENG_ARGS(keng_num(PROFILE_EIRP_DBM_MIN).s, keng_num(eirp_max_dbm).s,
                                    k->option[OPT_EIRP]));
    if (!lora_params_valid(&p->lora))
        return keng_wrong(k, TEXT_WRONG_RADIO, NULL);
    struct law_use use = { .lora = p->lora, .power_dbm_x100 = 100 * p->eirp_dbm,
                           .longest_us = lora_airtime_us(&p->lora, FRAME_LEN_MAX) };
    return law_check(band, &use, why) == LAW_OK ? KENG_OK
                                                : keng_wrong(k, TEXT_WRONG_LAW, KENG_ARGS(why));
}

static int read_radio(const struct keng *k, struct profile *p)
{
    int status = read_law(k, p);
    const struct region *band = &p->bands[0];
    int64_t freq_hz = band->lo_hz + (band->hi_hz - band->lo_hz) / 2, bw_hz = BW_HZ_DEFAULT;
    uint64_t sf = SF_DEFAULT, cr = CR_DEFAULT, preamble = PREAMBLE_DEFAULT;

    if (status != KENG_OK)
        return status;
    int64_t eirp_dbm = law_power_max_dbm(band, 0, 0);
    if (eirp_dbm > PROFILE_EIRP_DBM_MAX)
        eirp_dbm = PROFILE_EIRP_DBM_MAX;
    status = decimal_option(k, OPT_FREQ, 6, "921.5", &freq_hz);
    if (status == KENG_OK)
        status = decimal_option(k, OPT_BW, 3, "125", &bw_hz);
    if (status == KENG_OK)
        status = decimal_option(k, OPT_EIRP, 0, "14", &eirp_dbm);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_SF, LORA_SF_MIN, LORA_SF_MAX, &sf);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_CR, LORA_CR_MIN, LORA_CR_MAX, &cr);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_PREAMBLE, PREAMBLE_MIN, PREAMBLE_MAX, &preamble);
    if (status != KENG_OK)
        return status;
    if (eirp_dbm < PROFILE_EIRP_DBM_MIN || eirp_dbm > PROFILE_EIRP_DBM_MAX)
        return keng_wrong(k, TEXT_WRONG_EIRP,
                          KENG_ARGS(keng_num(PROFILE_EIRP_DBM_MIN).s,
                                    keng_num(law_power_max_dbm(band, 0, 0)).s,
                                    k->option[OPT_EIRP]));
    p->eirp_dbm = (int8_t)eirp_dbm;
    p->lora = (struct lora_params){
        .freq_hz = (uint32_t)freq_hz, .bw_hz = (uint32_t)bw_hz, .sf = (uint8_t)sf,
        .cr = (uint8_t)cr, .preamble_symbols = (uint16_t)preamble,
    };
    return check_law(k, p);
}

static int read_profile(const struct keng *k, struct profile *p)
{
    const char *code = k->option[OPT_CODE];
    size_t digits = strspn(code, "0123456789");
    int status = desk_read_name(k, k->option[OPT_NAME], p->name, PROFILE_NAME_LEN_MAX);

    if (status != KENG_OK)
        return status;
    if (digits == 0 || code[digits] != '\0' || digits > PROFILE_CODE_LEN_MAX)
        return keng_wrong(k, TEXT_WRONG_CODE, KENG_ARGS(code, keng_num(PROFILE_CODE_LEN_MAX).s));
    memcpy(p->code, code, digits + 1);
    return read_radio(k, p);
}

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
    keng_say(k, stdout, TEXT_DESK_RADIO,
             KENG_ARGS(keng_decimal(p->lora.freq_hz, 6).s, keng_decimal(p->lora.bw_hz, 3).s,
                       keng_num(p->lora.sf).s, keng_num(p->lora.cr).s, keng_num(p->eirp_dbm).s));
    keng_say(k, stdout, TEXT_DESK_KEEP, KENG_ARGS(path));
}

int keng_run_init(struct keng *k)
{
    const char *given = k->option[OPT_DIR] == NULL ? "desk" : k->option[OPT_DIR];
    char dir[KENG_PATH_LEN_MAX], unfinished[KENG_PATH_LEN_MAX];
    struct home_identity root;
    struct profile p = { .eirp_dbm = 0 };
    int status = read_profile(k, &p);

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
