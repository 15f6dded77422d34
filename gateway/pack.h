/* pack.h - sections of a batch file (proto/batch_file.h) and zstd.
 *
 * Time      About 3 ms to pack a full block, 0.1 ms to unpack one.
 * Memory    A context each, kept by the caller for as many blocks as he likes; not for two threads
 *           at once.
 * Errors    Nothing hostile makes unpacking write past what the section declares.
 */
#ifndef KENG_GATEWAY_PACK_H
#define KENG_GATEWAY_PACK_H

#include "proto/batch_file.h"

struct pack;

/* NULL: no memory. */
struct pack *pack_new(void);
void pack_free(struct pack *pack);

/* Writes a whole section around plain contents, packed if that makes them smaller.  Returns its
 * length. */
size_t pack_section(struct pack *pack, uint8_t type, uint32_t first, const uint8_t *plain,
                    size_t len, uint8_t buf[static SECTION_LEN_MAX]);
/* The contents of a section that section_read() gave.  BATCH_OK or BATCH_EFORM. */
int pack_open(struct pack *pack, const struct section *section,
              uint8_t plain[static SECTION_CONTENTS_LEN_MAX]);

#endif
