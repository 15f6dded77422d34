/* batch.h - signed batches of records: what goes up by HTTPS, onto a USB stick, and what
 * `keng init` and `keng enroll` write.  One format for all of them (PROTOCOL.md, "Batch"):
 *
 *   magic        8   "KENG" 01 0D 0A 1A
 *   network_id   32
 *   root_key     32  whose network id it must be
 *   source       2   author who made the batch; 0: the root itself
 *   number       4   per source, rising
 *   created_min  4   minutes since the Kẻng epoch, a claim
 *   count        4   records that follow
 *   records      each: length, LEB128; the record's bytes
 *   signature    64  Ed25519 of source over "keng batch v1\0" and BLAKE2b-256 of all before
 *
 * Integers are big-endian.  A batch is self-contained: a gateway puts the root's log (profile
 * and roster) into the first batch for a receiver; a receiver that lacks an entry says so.
 *
 * Memory   The reader borrows the bytes; the builder writes into the caller's buffer.
 * Errors   Negative enum batch_err; good records beside bad ones stay readable.
 */
#ifndef KENG_PROTO_BATCH_H
#define KENG_PROTO_BATCH_H

#include "proto/bytes.h"
#include "proto/record.h"

enum {
    BATCH_MAGIC_LEN = 8,
    BATCH_HEADER_LEN = BATCH_MAGIC_LEN + KENG_NETWORK_ID_LEN + KENG_KEY_LEN + 2 + 4 + 4 + 4,
    BATCH_LEN_TARGET = 24 * 1024,      /* what an outbox aims at for one PUT */
    BATCH_LEN_MAX = 64 * 1024,         /* what a receiver accepts in one PUT */
    BATCH_FILE_LEN_MAX = 64 << 20,     /* one file may be longer than one PUT */
};

enum batch_err {
    BATCH_OK = 0,
    BATCH_EFORM = -1,  /* no magic, truncated, or a length that cannot be */
    BATCH_EROOT = -2,  /* network id is not that of the root key */
    BATCH_ESIG = -3,   /* signature is not the source's */
    BATCH_EFULL = -4,  /* the buffer cannot take this record and the signature */
};

struct batch_header {
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint8_t root_key[KENG_KEY_LEN];
    uint32_t number;
    uint32_t created_min;
    uint32_t count;
    uint16_t source;
};

struct batch_reader {
    struct batch_header header;
    struct bytes_reader records; /* internal */
    uint32_t left;               /* records not yet read */
    const uint8_t *bytes;
    size_t len;
};

/* Do the bytes begin as a batch does? */
bool batch_is(const uint8_t *bytes, size_t len);
/* Reads the header and checks form and root (not the signature, which needs the roster). */
int batch_open(struct batch_reader *r, const uint8_t *bytes, size_t len);
/* Next record: 1 and its bytes, 0 at the end, BATCH_EFORM when the rest cannot be read. */
int batch_next(struct batch_reader *r, const uint8_t **record_out, size_t *len_out);
/* Is the signature that of source_key?  BATCH_OK or BATCH_ESIG. */
int batch_verify(const struct batch_reader *r, const uint8_t source_key[static KENG_KEY_LEN]);

struct batch_builder {
    struct bytes_writer w;
    uint32_t count;
};

/* Starts a batch in buf.  header->count is ignored. */
int batch_begin(struct batch_builder *b, uint8_t *buf, size_t cap,
                const struct batch_header *header);
/* Appends a record; BATCH_EFULL leaves the batch as it was. */
int batch_add(struct batch_builder *b, const uint8_t *record, size_t len);
/* Writes count and signature.  Returns the whole length. */
size_t batch_finish(struct batch_builder *b, const uint8_t secret_key[static KENG_SIG_LEN]);

const char *batch_strerror(int err);

#endif
