/* A record's form: what is accepted adds up, and its header has one encoding only. */
#include "proto/record.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_record(const uint8_t *data, size_t len)
{
    struct record_view v;
    if (record_decode(data, len, &v) != RECORD_OK)
        return;
    FUZZ_CHECK(v.header_len + v.body_len + v.sealed_len + KENG_SIG_LEN == len);
    FUZZ_CHECK(v.body == data + v.header_len && v.sig == data + len - KENG_SIG_LEN);
    FUZZ_CHECK(v.ref.seq >= 1 && v.ref.seq <= RECORD_SEQ_MAX && v.ref.author <= AUTHOR_MAX);
    FUZZ_CHECK(v.kind >= 1 && v.kind <= RECORD_KIND_MAX && v.ref.lane < LANE_COUNT);
    if (v.encrypted || v.sealed_len > 0)
        return;
    struct record_draft draft = {
        .ref = v.ref, .kind = v.kind, .priority = v.priority, .clock_set = v.clock_set,
        .created_min = v.created_min, .body = v.body, .body_len = v.body_len,
    };
    uint8_t again[RECORD_LEN_MAX];
    int made = record_encode(&draft, again, sizeof again);
    if (v.body_len > RECORD_BODY_LEN_MAX) { /* others may fill the space of a short header */
        FUZZ_CHECK(made == RECORD_ETOOBIG);
        return;
    }
    FUZZ_CHECK(made >= 0 && (size_t)made + KENG_SIG_LEN == len);
    FUZZ_CHECK(memcmp(again, data, (size_t)made) == 0);
}

FUZZ_TARGET(fuzz_record)
