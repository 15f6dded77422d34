#include "gateway/pack.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

enum { LEVEL = 9 };

struct pack {
    ZSTD_CCtx *in;
    ZSTD_DCtx *out;
    uint8_t packed[SECTION_CONTENTS_LEN_MAX];
};

struct pack *pack_new(void)
{
    struct pack *pack = calloc(1, sizeof *pack);
    if (!pack)
        return NULL;
    pack->in = ZSTD_createCCtx();
    pack->out = ZSTD_createDCtx();
    if (!pack->in || !pack->out) {
        pack_free(pack);
        return NULL;
    }
    return pack;
}

void pack_free(struct pack *pack)
{
    if (!pack)
        return;
    ZSTD_freeCCtx(pack->in);
    ZSTD_freeDCtx(pack->out);
    free(pack);
}

size_t pack_section(struct pack *pack, uint8_t type, uint32_t first, const uint8_t *plain,
                    size_t len, uint8_t buf[static SECTION_LEN_MAX])
{
    struct section s = { .type = type, .first = first, .plain_len = (uint32_t)len,
                         .contents = plain, .len = len };
    assert(len <= SECTION_CONTENTS_LEN_MAX);
    /* Room for one byte less than plain: what is not smaller fails, and stays plain. */
    size_t packed = len == 0 ? 0 : ZSTD_compressCCtx(pack->in, pack->packed, len - 1, plain, len,
                                                     LEVEL);
    if (len > 0 && !ZSTD_isError(packed)) {
        s.contents = pack->packed;
        s.len = packed;
    }
    return section_write(&s, buf, SECTION_LEN_MAX);
}

int pack_open(struct pack *pack, const struct section *section,
              uint8_t plain[static SECTION_CONTENTS_LEN_MAX])
{
    if (section->len == section->plain_len) {
        memcpy(plain, section->contents, section->len);
        return BATCH_OK;
    }
    size_t len = ZSTD_decompressDCtx(pack->out, plain, section->plain_len, section->contents,
                                     section->len);
    return len == section->plain_len ? BATCH_OK : BATCH_EFORM;
}
