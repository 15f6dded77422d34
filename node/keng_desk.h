/* keng_desk.h - what `keng init` and the other commands of the key desk share. */
#ifndef KENG_NODE_KENG_DESK_H
#define KENG_NODE_KENG_DESK_H

#include "node/home.h"
#include "node/keng_cli.h"

void desk_join(char out[static KENG_PATH_LEN_MAX], const char *dir, const char *name);
/* Is there room for what desk_join() adds? */
bool desk_path_fits(const char *dir);
/* KENG_FAILED, after one line with the reason from home.h or errno. */
int desk_fail_err(const struct keng *k, const char *err);
int desk_fail_write(const struct keng *k, const char *path);
/* Makes a directory's own name durable: fsync of its parent. */
int desk_sync_parent(const struct keng *k, const char *dir);
/* Minutes since the Kẻng epoch by this computer's clock. */
uint32_t desk_created_now(void);
/* A name for the roster or profile: NFC, one line, not empty.  name_out takes len_max + 1 bytes. */
int desk_read_name(const struct keng *k, const char *text, char *name_out, size_t len_max);
/* Signs one record of the root's log; its length, or 0 when the body cannot be a record. */
size_t desk_sign_record(const struct home_identity *root, const uint8_t *network_id, uint32_t seq,
                        uint8_t kind, const uint8_t *body, size_t body_len,
                        uint8_t record_out[static RECORD_LEN_MAX]);

#endif
