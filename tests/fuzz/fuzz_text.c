/* Packed text: what unpacks packs to the same bytes; what packs unpacks to its normal form. */
#include "proto/text.h"
#include "tests/fuzz/fuzz.h"

static void fuzz_text(const uint8_t *data, size_t len)
{
    char text[TEXT_LEN_MAX], normal[TEXT_LEN_MAX];
    uint8_t packed[TEXT_PACKED_LEN_MAX];
    size_t text_len, packed_len, normal_len;
    if (text_unpack(data, len, text, sizeof text, &text_len) == TEXT_OK) {
        FUZZ_CHECK(text_pack(text, text_len, packed, sizeof packed, &packed_len) == TEXT_OK);
        FUZZ_CHECK(packed_len == len && (len == 0 || memcmp(packed, data, len) == 0));
    }
    const char *utf8 = (const char *)data;
    if (text_pack(utf8, len, packed, sizeof packed, &packed_len) != TEXT_OK)
        return;
    FUZZ_CHECK(text_normalise(utf8, len, normal, sizeof normal, &normal_len) == TEXT_OK);
    FUZZ_CHECK(packed_len <= normal_len + 1);
    FUZZ_CHECK(text_unpack(packed, packed_len, text, sizeof text, &text_len) == TEXT_OK);
    FUZZ_CHECK(text_len == normal_len &&
               (text_len == 0 || memcmp(text, normal, text_len) == 0));
}

FUZZ_TARGET(fuzz_text)
