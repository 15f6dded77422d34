/* Batches: any bytes behind a good start end, and no record reaches out of them. */
#include "proto/batch.h"
#include "proto/sign.h"
#include "tests/fuzz/fuzz.h"

static void walk(const uint8_t *data, size_t len)
{
    struct batch_reader r;
    const uint8_t *record;
    size_t record_len;
    uint32_t count = 0;
    int more;
    if (batch_open(&r, data, len) != BATCH_OK)
        return;
    while ((more = batch_next(&r, &record, &record_len)) == 1) {
        FUZZ_CHECK(record >= data + BATCH_HEADER_LEN && record_len > 0);
        FUZZ_CHECK(record + record_len <= data + len - KENG_SIG_LEN);
        count++;
    }
    FUZZ_CHECK(count <= r.header.count && (more < 0 || count == r.header.count));
    FUZZ_CHECK(batch_next(&r, &record, &record_len) == more); /* the end stays the end */
}

static void fuzz_batch(const uint8_t *data, size_t len)
{
    walk(data, len);
    if (len < BATCH_HEADER_LEN)
        return;
    /* The same with a network id that fits its root key, which no mutation would ever find. */
    uint8_t *mended = malloc(len);
    FUZZ_CHECK(mended != NULL);
    memcpy(mended, data, len);
    network_id_of_root(mended + BATCH_MAGIC_LEN + KENG_NETWORK_ID_LEN, mended + BATCH_MAGIC_LEN);
    walk(mended, len);
    free(mended);
}

FUZZ_TARGET(fuzz_batch)
