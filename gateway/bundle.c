#include "gateway/bundle.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/pack.h"

enum {
    /* So many records fit into a block, whatever they are. */
    BLOCK_RECORD_COUNT_MIN = (BATCH_LEN_TARGET - BATCH_HEADER_LEN - KENG_SIG_LEN) /
                             (RECORD_LEN_MAX + 2),
};

int bundle_read(enum language language, const char *path, uint8_t **bytes_out, size_t *len_out,
                char err[static BUNDLE_ERR_LEN])
{
    FILE *file = fopen(path, "rbe");
    uint8_t *bytes = NULL;
    if (!file) {
        lang_fill(language, LANG_P_FILE_ERROR, err, BUNDLE_ERR_LEN, LANG_WORD(path),
                  LANG_WORD(strerror(errno)));
        return -1;
    }
    int result = -1;
    size_t len = 0, cap = BATCH_LEN_MAX;
    while (len <= BATCH_FILE_LEN_MAX) {
        uint8_t *grown = realloc(bytes, cap);
        if (!grown) {
            lang_fill(language, LANG_P_FILE_ERROR, err, BUNDLE_ERR_LEN, LANG_WORD(path),
                      LANG_WORD(lang_text(language, LANG_P_NO_MEMORY)));
            goto out;
        }
        bytes = grown;
        len += fread(bytes + len, 1, cap - len, file);
        if (len < cap) {
            if (ferror(file))
                lang_fill(language, LANG_P_FILE_ERROR, err, BUNDLE_ERR_LEN, LANG_WORD(path),
                          LANG_WORD(strerror(errno)));
            else
                result = 0;
            goto out;
        }
        cap *= 2;
    }
    lang_fill(language, LANG_P_FILE_LONG, err, BUNDLE_ERR_LEN, LANG_WORD(path),
              LANG_NUMBER(BATCH_FILE_LEN_MAX >> 20));
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

int bundle_trust(struct ledger *l, enum language language, const char *path, int64_t now_ms,
                 int64_t *commune_out, char err[static BUNDLE_ERR_LEN])
{
    uint8_t *bytes;
    size_t len;
    struct batch_reader batch;
    bool known, sig_ok = false;
    if (bundle_read(language, path, &bytes, &len, err) != 0)
        return -1;
    int result = batch_open(&batch, bytes, len);
    /* Only what the root itself signed is a reason to trust that root. */
    if (result == BATCH_OK && (batch.header.source != AUTHOR_ROOT ||
                               batch_verify(&batch, batch.header.root_key) != BATCH_OK))
        result = BATCH_ESIG;
    if (result != BATCH_OK) {
        lang_fill(language, LANG_P_EXPECTED_COMMUNE, err, BUNDLE_ERR_LEN, LANG_WORD(path),
                  LANG_WORD(lang_batch_error(language, result)));
        free(bytes);
        return -1;
    }
    result = db_begin(l->db);
    if (result == 0)
        result = ledger_trust(l, batch.header.root_key, &known);
    if (result == 0)
        result = db_commit(l->db);
    struct ledger_batch_result put = { .count = 0 };
    l->via = DB_VIA_FILE;
    if (result == 0)
        result = ledger_put_batch(l, bytes, len, now_ms, true, &put, &sig_ok);
    if (result == 0) {
        const struct ledger_commune *c = ledger_find(l, batch.header.network_id);
        *commune_out = c ? c->info.id : 0;
        ledger_batch_result_free(&put);
    } else {
        lang_fill(language, result <= LEDGER_BATCH_EFORM ? LANG_P_FILE_ERROR
                                                         : LANG_P_NOT_STORED_WHY,
                  err, BUNDLE_ERR_LEN, LANG_WORD(path),
                  LANG_WORD(result <= LEDGER_BATCH_EFORM ? lang_batch_error(language, result)
                                                         : db_error(l->db)));
        db_rollback(l->db);
    }
    free(bytes);
    return result == 0 ? 0 : -1;
}

/* ---- writing ---- */

struct exporting {
    const struct ledger_commune *commune;
    const struct home_identity *identity;
    FILE *file;
    struct pack *pack;
    int64_t number, count;
    int64_t last_arrival; /* what comes after it is not in this file */
    uint32_t created_min;
    struct batch_builder builder;
    uint32_t first; /* place of the block's first record that has one */
    struct tree tree;
    struct tree_hash *leaves;
    size_t leaf_cap;
    uint8_t plain[BATCH_LEN_TARGET], section[SECTION_LEN_MAX];
};

enum { EXPORT_EFILE = -50 };

static int begin_block(struct exporting *e)
{
    struct batch_header header = { .number = (uint32_t)e->number++, .created_min = e->created_min,
                                   .source = e->identity->number };
    memcpy(header.network_id, e->commune->info.network_id, sizeof header.network_id);
    memcpy(header.root_key, e->commune->info.root_key, sizeof header.root_key);
    e->first = UINT32_MAX;
    return batch_begin(&e->builder, e->plain, sizeof e->plain, &header) == BATCH_OK ? 0
                                                                                   : DB_ENOMEM;
}

static int write_section(struct exporting *e, uint8_t type, uint32_t first, const uint8_t *plain,
                         size_t len)
{
    size_t whole = pack_section(e->pack, type, first, plain, len, e->section);
    return fwrite(e->section, 1, whole, e->file) == whole ? 0 : EXPORT_EFILE;
}

static int end_block(struct exporting *e)
{
    if (e->builder.count == 0)
        return 0;
    size_t len = batch_finish(&e->builder, e->identity->secret_key);
    return write_section(e, SECTION_BLOCK, e->first, e->plain, len);
}

static int add_leaf(struct exporting *e, const struct db_record *record)
{
    if (e->tree.size == e->leaf_cap) {
        size_t cap = e->leaf_cap ? 2 * e->leaf_cap : 1024;
        struct tree_hash *grown = realloc(e->leaves, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        e->leaves = grown;
        e->leaf_cap = cap;
    }
    uint8_t *leaf = e->leaves[e->tree.size].b;
    tree_leaf(record->bytes, record->len, leaf);
    tree_append(&e->tree, leaf);
    return 0;
}

static int export_record(void *ctx, const struct db_record *record)
{
    struct exporting *e = ctx;
    int result = 0;
    if (record->arrival > e->last_arrival)
        return 1;
    if (batch_add(&e->builder, record->bytes, record->len) != BATCH_OK) {
        result = end_block(e);
        if (result == 0)
            result = begin_block(e);
        if (result == 0 && batch_add(&e->builder, record->bytes, record->len) != BATCH_OK)
            result = DB_ENOMEM;
    }
    if (result == 0 && record->position >= 0) {
        if (e->first == UINT32_MAX)
            e->first = (uint32_t)record->position;
        result = add_leaf(e, record);
    }
    e->count++;
    return result;
}

struct proving {
    const struct exporting *exporting;
    uint8_t *bytes;
    size_t len;
    unsigned left;
    uint64_t skip; /* of our earlier checkpoints only the newest are proved */
};

static int count_own(void *ctx, const struct db_checkpoint *c)
{
    struct proving *p = ctx;
    p->skip += c->source == p->exporting->identity->number;
    return 0;
}

static int prove_own(void *ctx, const struct db_checkpoint *c)
{
    struct proving *p = ctx;
    const struct exporting *e = p->exporting;
    if (c->source != e->identity->number || c->size == 0 || c->size > e->tree.size)
        return 0;
    if (p->skip > 0) {
        p->skip--;
        return 0;
    }
    struct checkpoint_proof proof = { .old_size = c->size };
    proof.count = tree_prove(e->leaves, c->size, e->tree.size, proof.hashes);
    p->len = checkpoint_add_proof(&proof, p->len, p->bytes);
    return --p->left == 0;
}

/* Signs what was written. */
static int write_checkpoint(struct exporting *e, struct db *db, struct db_checkpoint *row_out)
{
    uint8_t bytes[CHECKPOINT_LEN_MAX];
    struct checkpoint c = { .source = e->identity->number, .created_min = e->created_min,
                            .size = e->tree.size };
    memcpy(c.network_id, e->commune->info.network_id, sizeof c.network_id);
    memcpy(c.root_key, e->commune->info.root_key, sizeof c.root_key);
    tree_root(&e->tree, c.root);
    struct proving p = { .exporting = e, .bytes = bytes, .left = CHECKPOINT_PROOF_COUNT_MAX };
    p.len = checkpoint_encode(&c, e->identity->secret_key, bytes);
    int result = db_checkpoint_list(db, e->commune->info.id, count_own, &p);
    p.skip = p.skip > CHECKPOINT_PROOF_COUNT_MAX ? p.skip - CHECKPOINT_PROOF_COUNT_MAX : 0;
    if (result == 0)
        result = db_checkpoint_list(db, e->commune->info.id, prove_own, &p);
    *row_out = (struct db_checkpoint){ .commune = e->commune->info.id, .source = c.source,
                                       .size = c.size, .created_min = c.created_min,
                                       .covered = true, .tree = e->tree };
    memcpy(row_out->root, c.root, sizeof row_out->root);
    return result < 0 ? result : write_section(e, SECTION_CHECKPOINT, 0, bytes, p.len);
}

int bundle_take_numbers(struct db *db, int64_t count, int64_t *first_out)
{
    static const char KEY[] = "batch_number";
    int64_t last = 0;
    int result = db_begin(db);
    if (result == 0)
        result = db_meta_get(db, KEY, &last);
    if (result == 0)
        result = db_meta_set(db, KEY, last + count);
    if (result == 0)
        result = db_commit(db);
    if (result < 0)
        db_rollback(db);
    *first_out = last + 1;
    return result;
}

/* A stick may be slow: while it is written nobody waits for the ledger. */
static int write_all(struct exporting *e, struct db *db, struct db_checkpoint *row_out)
{
    int result = begin_block(e);
    if (result == 0)
        result = db_record_all(db, e->commune->info.id, export_record, e);
    if (result >= 0)
        result = end_block(e);
    return result < 0 ? result : write_checkpoint(e, db, row_out);
}

static int prepare(struct exporting *e, struct ledger *l, int64_t commune)
{
    e->commune = ledger_get(l, commune);
    e->pack = pack_new();
    int result = !e->commune ? DB_ENOTFOUND : !e->pack ? DB_ENOMEM : 0;
    if (result == 0)
        result = db_record_last_arrival(l->db, &e->last_arrival);
    return result < 0 ? result
                      : bundle_take_numbers(l->db, e->last_arrival / BLOCK_RECORD_COUNT_MIN + 1,
                                            &e->number);
}

int64_t bundle_export(struct ledger *l, int64_t commune, const struct home_identity *identity,
                      const char *path, int64_t now_ms, char err[static BUNDLE_ERR_LEN])
{
    struct exporting *e = calloc(1, sizeof *e);
    struct db_checkpoint row = { .size = 0 };
    if (!e) {
        snprintf(err, BUNDLE_ERR_LEN, "out of memory");
        return -1;
    }
    e->identity = identity;
    e->created_min = bundle_created_min(now_ms);
    int result = prepare(e, l, commune);
    if (result == 0 && !(e->file = home_replace_begin(path, 0600, err)))
        result = EXPORT_EFILE;
    if (result == 0) {
        result = write_all(e, l->db, &row);
        if (home_replace_end(e->file, path, result == 0, err) != 0 && result == 0)
            result = EXPORT_EFILE;
    }
    /* Kept to prove the next one by; so it comes last, when the file is there. */
    row.received_ms = now_ms;
    if (result == 0)
        result = db_checkpoint_put(l->db, &row);
    if (result < 0 && result != EXPORT_EFILE)
        snprintf(err, BUNDLE_ERR_LEN, "cannot read the database: %s", db_error(l->db));
    int64_t count = result == 0 ? e->count : -1;
    pack_free(e->pack);
    free(e->leaves);
    free(e);
    return count;
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
