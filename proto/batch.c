#include "proto/batch.h"

#include <assert.h>
#include <sodium.h>

#include "proto/sign.h"

/* The CR LF and the 0x1a catch a copy made in "text mode"; 0x01 is the format's version. */
static const uint8_t magic[BATCH_MAGIC_LEN] = { 'K', 'E', 'N', 'G', 0x01, 0x0d, 0x0a, 0x1a };
static const char sign_domain[] = "keng batch v1"; /* the final NUL is part of it */

enum {
    COUNT_OFFSET = BATCH_HEADER_LEN - 4,
    ENTRY_LEN_MIN = 1 + 1, /* a length byte and a record of one byte: bounds a claimed count */
    MESSAGE_LEN = sizeof sign_domain + KENG_HASH_LEN,
};

/* What the signature covers, so that a file of any size is signed over 46 bytes. */
static void signed_message(const uint8_t *bytes, size_t len,
                           uint8_t message_out[static MESSAGE_LEN])
{
    memcpy(message_out, sign_domain, sizeof sign_domain);
    crypto_generichash(message_out + sizeof sign_domain, KENG_HASH_LEN, bytes, len, NULL, 0);
}

bool batch_is(const uint8_t *bytes, size_t len)
{
    return len >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

int batch_open(struct batch_reader *r, const uint8_t *bytes, size_t len)
{
    if (len < BATCH_HEADER_LEN + KENG_SIG_LEN || len > BATCH_FILE_LEN_MAX)
        return BATCH_EFORM;
    if (!batch_is(bytes, len))
        return BATCH_EFORM;

    struct bytes_reader in = bytes_reader(bytes + BATCH_MAGIC_LEN,
                                          len - BATCH_MAGIC_LEN - KENG_SIG_LEN);
    struct batch_header header = { .number = 0 };
    const uint8_t *network_id = read_bytes(&in, KENG_NETWORK_ID_LEN);
    const uint8_t *root_key = read_bytes(&in, KENG_KEY_LEN);
    header.source = read_u16(&in);
    header.number = read_u32(&in);
    header.created_min = read_u32(&in);
    header.count = read_u32(&in);
    assert(!in.failed); /* the length was checked above */
    if (header.source == AUTHOR_NONE || header.count > bytes_left(&in) / ENTRY_LEN_MIN)
        return BATCH_EFORM;

    uint8_t expected_id[KENG_NETWORK_ID_LEN];
    network_id_of_root(root_key, expected_id);
    if (memcmp(expected_id, network_id, sizeof expected_id) != 0)
        return BATCH_EROOT;

    memcpy(header.network_id, network_id, sizeof header.network_id);
    memcpy(header.root_key, root_key, sizeof header.root_key);
    *r = (struct batch_reader){
        .header = header, .records = in, .left = header.count, .bytes = bytes, .len = len,
    };
    return BATCH_OK;
}

int batch_next(struct batch_reader *r, const uint8_t **record_out, size_t *len_out)
{
    if (r->left == 0) /* bytes that no count speaks of mean that the count is wrong */
        return r->records.failed || bytes_left(&r->records) > 0 ? BATCH_EFORM : 0;

    size_t len = (size_t)read_varint(&r->records, RECORD_LEN_MAX);
    const uint8_t *record = read_bytes(&r->records, len);
    if (record == NULL || len == 0) {
        r->records.failed = true;
        return BATCH_EFORM;
    }
    r->left--;
    *record_out = record;
    *len_out = len;
    return 1;
}

int batch_verify(const struct batch_reader *r, const uint8_t source_key[static KENG_KEY_LEN])
{
    uint8_t message[MESSAGE_LEN];
    size_t signed_len = r->len - KENG_SIG_LEN;

    signed_message(r->bytes, signed_len, message);
    int bad = crypto_sign_verify_detached(r->bytes + signed_len, message, sizeof message,
                                          source_key);
    return bad ? BATCH_ESIG : BATCH_OK;
}

int batch_begin(struct batch_builder *b, uint8_t *buf, size_t cap,
                const struct batch_header *header)
{
    if (cap < BATCH_HEADER_LEN + KENG_SIG_LEN)
        return BATCH_EFULL;

    struct bytes_writer w = bytes_writer(buf, cap - KENG_SIG_LEN);
    write_bytes(&w, magic, sizeof magic);
    write_bytes(&w, header->network_id, KENG_NETWORK_ID_LEN);
    write_bytes(&w, header->root_key, KENG_KEY_LEN);
    write_u16(&w, header->source);
    write_u32(&w, header->number);
    write_u32(&w, header->created_min);
    write_u32(&w, 0);
    assert(!w.failed && bytes_written(&w) == BATCH_HEADER_LEN);
    *b = (struct batch_builder){ .w = w };
    return BATCH_OK;
}

int batch_add(struct batch_builder *b, const uint8_t *record, size_t len)
{
    if (len == 0 || len > RECORD_LEN_MAX)
        return BATCH_EFORM;
    if (bytes_room(&b->w) < varint_len(len) + len)
        return BATCH_EFULL;
    write_varint(&b->w, len);
    write_bytes(&b->w, record, len);
    b->count++;
    return BATCH_OK;
}

size_t batch_finish(struct batch_builder *b, const uint8_t secret_key[static KENG_SIG_LEN])
{
    uint8_t message[MESSAGE_LEN];
    size_t signed_len = bytes_written(&b->w);

    store32_be(b->w.start + COUNT_OFFSET, b->count);
    signed_message(b->w.start, signed_len, message);
    crypto_sign_detached(b->w.start + signed_len, NULL, message, sizeof message, secret_key);
    return signed_len + KENG_SIG_LEN;
}

const char *batch_strerror(int err)
{
    switch ((enum batch_err)err) {
    case BATCH_OK:
        return "no error";
    case BATCH_EFORM:
        return "not a whole batch file";
    case BATCH_EROOT:
        return "network id is not that of the root key";
    case BATCH_ESIG:
        return "signature is not the source's";
    case BATCH_EFULL:
        return "batch is full";
    }
    return "unknown error";
}
