#include "gateway/import.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/import_internal.h"
#include "gateway/units.h"

enum {
    WINDOW_LEN = 4 * SECTION_LEN_MAX,
    TRANSACTION_RECORD_COUNT = 16384,
};

void import_notice_args(struct import *im, bool fault, enum lang_text text,
                        const struct lang_arg *args, size_t count)
{
    char line[IMPORT_NOTICE_LEN];
    im->result.fault_count += fault;
    if (im->options->notice)
        im->options->notice(im->options->ctx, fault,
                            lang_fill_args(im->options->language, text, args, count, line,
                                           sizeof line));
}

/* ---- the file ---- */

/* Has at least a whole section from `at` on in the window, if the file has one. */
static void fill_window(struct import *im, uint64_t at)
{
    size_t skip = (size_t)(at - im->window_at);
    if (im->at_end || im->window_len - skip >= SECTION_LEN_MAX)
        return;
    memmove(im->window, im->window + skip, im->window_len - skip);
    im->window_len -= skip;
    im->window_at = at;
    while (im->window_len < WINDOW_LEN) {
        ssize_t got = pread(im->fd, im->window + im->window_len, WINDOW_LEN - im->window_len,
                            (off_t)(at + im->window_len));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            import_notice(im, true, LANG_P_AT_CANNOT_READ, LANG_NUMBER(at + im->window_len),
                          LANG_WORD(strerror(errno)));
            im->at_end = true;
            return;
        }
        im->at_end = got == 0;
        if (im->at_end)
            return;
        im->window_len += (size_t)got;
    }
}

static void rewind_file(struct import *im)
{
    im->window_len = 0;
    im->window_at = 0;
    im->at_end = false;
}

/* The section at *at or the next whole one behind it.  1, or 0 at the end. */
static int next_section(struct import *im, bool tell, uint64_t *at, struct section *section_out)
{
    uint64_t damaged_at = 0;
    bool damaged = false;
    for (;;) {
        fill_window(im, *at);
        const uint8_t *bytes = im->window + (*at - im->window_at);
        size_t len = im->window_len - (size_t)(*at - im->window_at);
        if (len == 0)
            break;
        if (section_read(bytes, len, section_out) == BATCH_OK)
            break;
        if (!damaged)
            damaged_at = *at;
        damaged = true;
        *at += section_find(bytes, len, 1);
    }
    bool found = *at < im->window_at + im->window_len;
    if (damaged && tell)
        import_notice(im, true, found ? LANG_P_AT_DAMAGED : LANG_P_AT_DAMAGED_END,
                      LANG_NUMBER(damaged_at), LANG_NUMBER(*at - damaged_at));
    return found;
}

/* ---- the root's records ---- */

static void tell_refusal(struct import *im, uint64_t offset, const struct ledger_checked *k,
                         enum ledger_verdict verdict)
{
    bool formed = k->verdict != LEDGER_MALFORMED;
    import_notice(im, true, LANG_P_AT_RECORD, LANG_NUMBER(offset),
                  LANG_NUMBER(formed ? k->view.ref.author : 0u),
                  LANG_NUMBER(formed ? k->view.ref.seq : 0u),
                  LANG_WORD(lang_verdict(im->options->language, verdict)));
}

static int begin(struct import *im)
{
    int result = im->in_transaction ? 0 : db_begin(im->ledger->db);
    im->in_transaction = result == 0;
    return result;
}

static int commit(struct import *im)
{
    int result = im->in_transaction ? db_commit(im->ledger->db) : 0;
    if (result == 0) {
        im->in_transaction = false;
        im->open_count = 0;
    }
    return result;
}

/* One record by the slow way, with all that follows from it. */
static int put_one(struct import *im, struct ledger_commune *c, const struct ledger_checked *k,
                   const uint8_t *bytes, size_t len, uint64_t offset, bool *clean)
{
    im->ledger->via = DB_VIA_FILE;
    int verdict = ledger_put_checked(im->ledger, c, k, bytes, len, im->options->now_ms);
    if (verdict < 0)
        return verdict;
    im->result.counts[verdict]++;
    im->open_count++;
    if (verdict >= LEDGER_BAD_BODY) {
        tell_refusal(im, offset, k, (enum ledger_verdict)verdict);
        *clean = false;
    }
    return 0;
}

static int put_root_records(struct import *im, const uint8_t *plain, size_t len, uint64_t offset)
{
    struct batch_reader batch;
    const uint8_t *record;
    size_t record_len;
    bool clean;
    if (batch_open(&batch, plain, len) != BATCH_OK)
        return 0; /* told when its turn comes */
    struct ledger_commune *c = ledger_find(im->ledger, batch.header.network_id);
    while (c && batch_next(&batch, &record, &record_len) == 1) {
        struct ledger_checked k;
        if (record_len < RECORD_LEN_MIN || load16_be(record) != AUTHOR_ROOT)
            continue;
        int result = ledger_check(c, record, record_len, &k);
        if (result == 0)
            result = begin(im);
        if (result == 0)
            result = put_one(im, c, &k, record, record_len, offset, &clean);
        if (result < 0)
            return result;
    }
    return 0;
}

/* First pass: whoever is enrolled anywhere in the file is known before anything else is judged. */
static int root_pass(struct import *im)
{
    uint8_t *plain = malloc(SECTION_CONTENTS_LEN_MAX);
    struct section section;
    uint64_t at = 0;
    int result = plain ? 0 : DB_ENOMEM;
    for (; result == 0 && next_section(im, false, &at, &section); at += section.whole_len)
        if (section.type == SECTION_BLOCK && pack_open(im->pack, &section, plain) == BATCH_OK)
            result = put_root_records(im, plain, section.plain_len, at);
    free(plain);
    return result == 0 ? commit(im) : result;
}

/* ---- everything else ---- */

/* Blocks that are written together. */
struct group {
    struct import_block *blocks[IMPORT_GROUP_COUNT];
    bool clean[IMPORT_GROUP_COUNT];
    unsigned count;
};

/* What stands in the way of the block itself. */
static void judge_block(struct import *im, const struct import_block *b, bool *clean)
{
    struct lang_arg at = LANG_NUMBER(b->offset), number = LANG_NUMBER(b->number);
    *clean = b->err == 0 && b->sig_ok && !b->truncated && b->short_count == 0;
    if (b->err != 0)
        import_notice(im, true, LANG_P_AT_BLOCK, at, number,
                      LANG_WORD(lang_batch_error(im->options->language, b->err)));
    else if (!b->sig_ok)
        import_notice(im, true, LANG_P_AT_BLOCK_SIG, at, number, LANG_NUMBER(b->source));
    if (b->truncated)
        import_notice(im, true, LANG_P_AT_BLOCK_CUT, at, number);
    if (b->short_count > 0)
        import_notice(im, true, LANG_P_AT_BLOCK_SHORT, at, number, LANG_NUMBER(b->short_count));
    im->result.counts[LEDGER_MALFORMED] += b->short_count;
    im->result.record_count += b->count + b->short_count;
}

static bool goes_with_others(const struct ledger_checked *k)
{
    return k->verdict == LEDGER_NEW && k->plain;
}

/* Reports go in by the thousand; the index of taken_out runs over them alone. */
static int put_reports(struct import *im, const struct group *g, int64_t commune, bool *taken,
                       struct db_record *rows)
{
    size_t count = 0;
    for (unsigned i = 0; i < g->count; i++) {
        const struct import_block *b = g->blocks[i];
        const char *words = b->words.text;
        for (uint32_t j = 0; b->commune && b->commune->info.id == commune && j < b->count; j++) {
            if (!goes_with_others(&b->checked[j]))
                continue;
            rows[count] = b->checked[j].row;
            rows[count].words = words;
            rows[count].via = DB_VIA_FILE;
            rows[count++].received_ms = im->options->now_ms;
            words += strlen(words) + 1;
        }
    }
    im->open_count += (unsigned)count;
    return im->options->verify_only ? 0 : db_record_bulk(im->ledger->db, rows, count, taken);
}

static bool is_root_record(const struct ledger_checked *k)
{
    return k->verdict != LEDGER_MALFORMED && k->view.ref.author == AUTHOR_ROOT;
}

/* The rest of a block, and those of its reports whose number is taken: duplicates and forks. */
static int put_rest(struct import *im, const struct import_block *b, const bool *taken,
                    size_t *taken_at, bool *clean)
{
    struct ledger_commune *c = ledger_get(im->ledger, b->commune->info.id);
    for (uint32_t i = 0; i < b->count; i++) {
        const struct ledger_checked *k = &b->checked[i];
        bool was_taken = goes_with_others(k) && taken[(*taken_at)++];
        if (is_root_record(k))
            continue; /* judged and counted in the first pass */
        if (b->known || (goes_with_others(k) && !was_taken)) {
            enum ledger_verdict verdict = b->known ? LEDGER_DUPLICATE : LEDGER_NEW;
            im->result.counts[verdict]++;
            ledger_count(im->ledger, verdict);
            continue;
        }
        if (im->options->verify_only && k->verdict == LEDGER_NEW) {
            im->result.counts[LEDGER_NEW]++;
            continue;
        }
        int result = put_one(im, c, k, k->verdict == LEDGER_MALFORMED ? (const uint8_t *)"" :
                             k->view.bytes, k->verdict == LEDGER_MALFORMED ? 0 : k->view.len,
                             b->offset, clean);
        if (result < 0)
            return result;
    }
    return 0;
}

/* One commune's part of a group. */
static int put_commune(struct import *im, struct group *g, int64_t commune, bool *taken,
                       struct db_record *rows)
{
    size_t taken_at = 0;
    int result = put_reports(im, g, commune, taken, rows);
    for (unsigned i = 0; i < g->count && result == 0; i++) {
        struct import_block *b = g->blocks[i];
        if (b->err != 0 || b->commune->info.id != commune)
            continue;
        result = put_rest(im, b, taken, &taken_at, &g->clean[i]);
        if (result == 0 && g->clean[i] && !b->known && !im->options->verify_only)
            result = db_block_put(im->ledger->db, b->hash);
    }
    return result;
}

static int put_group(struct import *im, struct group *g)
{
    enum { ROW_COUNT_MAX = IMPORT_GROUP_COUNT * IMPORT_RECORD_COUNT_MAX };
    struct db_record *rows = malloc(ROW_COUNT_MAX * sizeof *rows);
    bool *taken = calloc(ROW_COUNT_MAX, sizeof *taken);
    int result = rows && taken ? begin(im) : DB_ENOMEM;
    for (unsigned i = 0; i < g->count && result == 0; i++) {
        struct import_block *b = g->blocks[i];
        if (b->err == DB_ENOMEM && !b->commune)
            result = DB_ENOMEM;
        judge_block(im, b, &g->clean[i]);
        im->result.known_block_count += b->known;
        if (result == 0 && b->err == 0)
            result = import_place_block(im, b);
    }
    for (unsigned i = 0; i < g->count && result == 0; i++) {
        bool first = g->blocks[i]->err == 0;
        for (unsigned j = 0; j < i && first; j++)
            first = g->blocks[j]->err != 0 || g->blocks[j]->commune != g->blocks[i]->commune;
        if (first)
            result = put_commune(im, g, g->blocks[i]->commune->info.id, taken, rows);
    }
    if (result == 0 && im->open_count >= TRANSACTION_RECORD_COUNT)
        result = commit(im);
    free(rows);
    free(taken);
    return result;
}

/* Writes up to a group of the oldest blocks; all that are under way if `all`. */
static int write_blocks(struct import *im, struct import_ring *ring, bool all)
{
    do {
        struct group g = { .count = 0 };
        struct import_block *b;
        while (g.count < IMPORT_GROUP_COUNT && (b = ring_wait(ring, g.count)))
            g.blocks[g.count++] = b;
        if (g.count == 0)
            return 0;
        int result = put_group(im, &g);
        uint64_t done_len = g.blocks[g.count - 1]->offset;
        ring_release(ring, g.count);
        if (result < 0)
            return result;
        if (im->options->progress)
            im->options->progress(im->options->ctx, done_len, im->file_len,
                                  im->result.record_count);
    } while (all);
    return 0;
}

static int submit(struct import *im, struct import_ring *ring, uint64_t at,
                  const struct section *section)
{
    struct import_block *b;
    while (!(b = ring_next(ring))) {
        int result = write_blocks(im, ring, false);
        if (result < 0)
            return result;
    }
    size_t head = (size_t)(section->contents - im->window) - (size_t)(at - im->window_at);
    memcpy(b->stored, im->window + (at - im->window_at), section->whole_len);
    b->section = *section;
    b->section.contents = b->stored + head;
    b->offset = at;
    b->number = ++im->block_number;
    crypto_generichash(b->hash, sizeof b->hash, b->stored, section->whole_len, NULL, 0);
    int result = im->options->verify_only ? 0 : db_block_has(im->ledger->db, b->hash, &b->known);
    if (result == 0)
        ring_submit(ring);
    return result;
}

static int block_pass(struct import *im, struct import_ring *ring)
{
    struct section section;
    uint64_t at = 0;
    int result = 0;
    for (; result == 0 && next_section(im, true, &at, &section); at += section.whole_len) {
        im->result.section_count++;
        if (section.type == SECTION_BLOCK) {
            result = submit(im, ring, at, &section);
        } else if (section.type == SECTION_CHECKPOINT) {
            result = write_blocks(im, ring, true);
            if (result == 0)
                result = begin(im);
            if (result == 0)
                result = import_checkpoint(im, &section, at);
        } else {
            import_notice(im, true, LANG_P_AT_LATER, LANG_NUMBER(at), LANG_NUMBER(section.type));
        }
    }
    if (result == 0)
        result = write_blocks(im, ring, true);
    if (result == 0) {
        import_tree_end(im);
        result = commit(im);
    }
    return result;
}

static unsigned processors(void)
{
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : count > IMPORT_THREAD_COUNT_MAX ? IMPORT_THREAD_COUNT_MAX
                                                           : (unsigned)count;
}

int import_run(struct ledger *l, int fd, const struct import_options *options,
               struct import_result *result_out)
{
    struct import im = { .ledger = l, .options = options, .fd = fd };
    struct import_ring ring;
    struct stat st;
    *result_out = im.result;
    if (fstat(fd, &st) == 0)
        im.file_len = (uint64_t)st.st_size;
    im.window = malloc(WINDOW_LEN);
    im.pack = pack_new();
    int result = im.window && im.pack ? root_pass(&im) : DB_ENOMEM;
    rewind_file(&im);
    if (result == 0)
        result = ring_open(&ring, l, options->thread_count ? options->thread_count : processors());
    if (result == 0) {
        result = block_pass(&im, &ring);
        ring_close(&ring);
    }
    if (result < 0) {
        db_rollback(l->db);
        int reloaded = ledger_reload(l);
        result = reloaded < 0 ? reloaded : result;
    } else {
        if (options->progress)
            options->progress(options->ctx, im.file_len, im.file_len, im.result.record_count);
        if (!options->verify_only)
            result = units_apply(l);
    }
    im.result.block_count = im.block_number;
    *result_out = im.result;
    free(im.tree.known);
    free(im.window);
    pack_free(im.pack);
    return result;
}
