/* import.h - a batch file of any size into the ledger: verified on all processors, written by one.
 *
 * The root's records are judged first, wherever they stand.  Then blocks go through a ring: worker
 * threads unpack them and check every signature, the caller's thread writes them in the order of
 * the file and adds up the tree that the file's checkpoint speaks of.  A block of which every
 * record is held is noted with its hash and not verified again: so a second import is quick, and
 * one that was killed goes on where it was.
 *
 * Durable   Some thousand records are one transaction, with their blocks' hashes.
 * Memory    About 25 MB, with SQLite 60, however large the file.
 * Errors    What is wrong with the file are notices, one line each with the place; good records
 *           beside bad ones are kept.  0, or a negative enum db_err: our own disk or memory; then
 *           everything up to the last transaction is kept.
 */
#ifndef KENG_GATEWAY_IMPORT_H
#define KENG_GATEWAY_IMPORT_H

#include "gateway/lang.h"
#include "gateway/ledger.h"

enum { IMPORT_NOTICE_LEN = 256, IMPORT_THREAD_COUNT_MAX = 64 };

struct import_options {
    unsigned thread_count; /* 0: as many as processors */
    int64_t now_ms;        /* received_ms of what is new */
    bool verify_only;      /* store nothing but the root's records */
    enum language language; /* of the notices */
    void *ctx;
    /* What is wrong with the file or a record of it; !fault: only worth knowing. */
    void (*notice)(void *ctx, bool fault, const char *text);
    /* Now and then, and at the end. */
    void (*progress)(void *ctx, uint64_t done_len, uint64_t file_len, uint64_t record_count);
};

struct import_result {
    uint64_t counts[LEDGER_VERDICT_COUNT];
    uint64_t section_count; /* 0: this is no batch file */
    uint64_t record_count, block_count, known_block_count, fault_count;
    uint64_t checkpoint_size; /* of the newest that was covered; 0: none */
    uint64_t place_count;     /* records of the file's tree that were seen in their place */
};

/* fd: a file of sections, which can be read twice. */
int import_run(struct ledger *l, int fd, const struct import_options *options,
               struct import_result *result_out);

#endif
