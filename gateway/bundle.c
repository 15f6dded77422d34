#include "gateway/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/batch.h"

enum { MS_PER_MINUTE = 60000, LENGTH_BYTES_MAX = 2 };

/* A target that never answers: what waits for it is everything. */
static const char EXPORT_TARGET[] = "file:";

int bundle_read(const char *path, uint8_t **bytes_out, size_t *len_out,
                char err[static BUNDLE_ERR_LEN])
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = NULL;
    if (!file) {
        snprintf(err, BUNDLE_ERR_LEN, "%s: %s", path, strerror(errno));
        return -1;
    }
    int result = -1;
    size_t len = 0, cap = BATCH_LEN_MAX;
    while (len <= BATCH_FILE_LEN_MAX) {
        uint8_t *grown = realloc(bytes, cap);
        if (!grown) {
            snprintf(err, BUNDLE_ERR_LEN, "%s: out of memory", path);
            goto out;
        }
        bytes = grown;
        len += fread(bytes + len, 1, cap - len, file);
        if (len < cap) {
            if (ferror(file))
                snprintf(err, BUNDLE_ERR_LEN, "%s: cannot be read: %s", path, strerror(errno));
            else
                result = 0;
            goto out;
        }
        cap *= 2;
    }
    snprintf(err, BUNDLE_ERR_LEN, "%s: longer than %d MB, this is no batch file", path,
             BATCH_FILE_LEN_MAX >> 20);
out:
    fclose(file);
    if (result == 0) {
        *bytes_out = bytes;
        *len_out = len;
    } else {
        free(bytes);
    }
    return result;
}

void bundle_fingerprint(const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                        char text_out[static BUNDLE_FINGERPRINT_LEN])
{
    size_t at = 0;
    for (size_t i = 0; i < 16; i++)
        at += (size_t)snprintf(text_out + at, BUNDLE_FINGERPRINT_LEN - at, "%s%02x",
                               i > 0 && i % 2 == 0 ? " " : "", network_id[i]);
}

uint32_t bundle_created_min(int64_t now_ms)
{
    int64_t minutes = (now_ms / 1000 - KENG_EPOCH_UNIX_S) / 60;
    if (minutes < 0)
        return 0;
    return minutes > CREATED_MINUTES_MAX ? CREATED_MINUTES_MAX : (uint32_t)minutes;
}

int bundle_trust(struct ledger *l, const char *path, int64_t now_ms, int64_t *commune_out,
                 char err[static BUNDLE_ERR_LEN])
{
    uint8_t *bytes;
    size_t len;
    struct batch_reader batch;
    bool known, sig_ok = false;
    if (bundle_read(path, &bytes, &len, err) != 0)
        return -1;
    int result = batch_open(&batch, bytes, len);
    /* Only what the root itself signed is a reason to trust that root. */
    if (result == BATCH_OK && (batch.header.source != AUTHOR_ROOT ||
                               batch_verify(&batch, batch.header.root_key) != BATCH_OK))
        result = BATCH_ESIG;
    if (result != BATCH_OK) {
        snprintf(err, BUNDLE_ERR_LEN, "%s: %s; expected a commune.keng as `keng init` writes it",
                 path, batch_strerror(result));
        free(bytes);
        return -1;
    }
    result = db_begin(l->db);
    if (result == 0)
        result = ledger_trust(l, batch.header.root_key, &known);
    if (result == 0)
        result = db_commit(l->db);
    struct ledger_batch_result put = { .count = 0 };
    if (result == 0)
        result = ledger_put_batch(l, bytes, len, now_ms, true, &put, &sig_ok);
    if (result == 0) {
        const struct ledger_commune *c = ledger_find(l, batch.header.network_id);
        *commune_out = c ? c->info.id : 0;
        ledger_batch_result_free(&put);
    } else {
        snprintf(err, BUNDLE_ERR_LEN, "%s: %s%s%s", path,
                 result <= LEDGER_BATCH_EFORM ? ledger_batch_strerror(result) : "",
                 result <= LEDGER_BATCH_EFORM ? "" : "cannot be stored: ",
                 result <= LEDGER_BATCH_EFORM ? "" : db_error(l->db));
        db_rollback(l->db);
    }
    free(bytes);
    return result == 0 ? 0 : -1;
}

static int add_record(void *ctx, const struct db_record *record)
{
    return batch_add(ctx, record->bytes, record->len) == BATCH_OK ? 0 : DB_ENOMEM;
}

int64_t bundle_export(struct ledger *l, int64_t commune, const struct home_identity *identity,
                      const char *path, int64_t now_ms, char err[static BUNDLE_ERR_LEN])
{
    const struct ledger_commune *c = ledger_get(l, commune);
    int64_t target = 0, count = 0, number = 0;
    uint8_t *buf = NULL;
    int result = c ? db_outbox_target(l->db, EXPORT_TARGET, commune, &target) : DB_ENOTFOUND;
    if (result == 0)
        result = db_outbox_count(l->db, target, &count);
    size_t cap = BATCH_HEADER_LEN + (size_t)count * (RECORD_LEN_MAX + LENGTH_BYTES_MAX) +
                 KENG_SIG_LEN;
    if (cap > BATCH_FILE_LEN_MAX)
        cap = BATCH_FILE_LEN_MAX;
    if (result == 0 && !(buf = malloc(cap)))
        result = DB_ENOMEM;
    if (result == 0)
        result = db_meta_get(l->db, "batch_number", &number);
    if (result == 0)
        result = db_meta_set(l->db, "batch_number", ++number);
    struct batch_builder builder;
    if (result == 0) {
        struct batch_header header = { .number = (uint32_t)number, .source = identity->number,
                                       .created_min = bundle_created_min(now_ms) };
        memcpy(header.network_id, c->info.network_id, sizeof header.network_id);
        memcpy(header.root_key, c->info.root_key, sizeof header.root_key);
        if (batch_begin(&builder, buf, cap, &header) != BATCH_OK)
            result = DB_ENOMEM;
    }
    if (result == 0)
        result = db_outbox_waiting(l->db, target, add_record, &builder);
    if (result < 0) {
        snprintf(err, BUNDLE_ERR_LEN, "cannot read the database: %s", db_error(l->db));
        free(buf);
        return -1;
    }
    uint32_t written = builder.count;
    size_t len = batch_finish(&builder, identity->secret_key);
    char why[HOME_ERR_LEN];
    result = home_replace_file(path, buf, len, 0644, why);
    if (result != 0)
        snprintf(err, BUNDLE_ERR_LEN, "%s", why);
    free(buf);
    return result == 0 ? (int64_t)written : -1;
}

const struct home_identity *bundle_choose_identity(const struct roster *roster,
                                                   const struct home_identity *list, size_t count)
{
    static const enum roster_role ORDER[] = { ROSTER_GATEWAY, ROSTER_OPERATOR, ROSTER_NODE,
                                              ROSTER_MEMBER };
    for (size_t r = 0; r < sizeof ORDER / sizeof ORDER[0]; r++) {
        for (size_t i = 0; i < count; i++) {
            const struct roster_author *author = roster_find(roster, list[i].number);
            if (author && author->entry.role == ORDER[r] &&
                memcmp(author->entry.key, list[i].public_key, KENG_KEY_LEN) == 0)
                return &list[i];
        }
    }
    return NULL;
}
