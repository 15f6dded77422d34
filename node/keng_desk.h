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

/* The key desk --dir, open.  The lock keeps two hands from giving out one number. */
struct desk {
    const char *dir;
    int lock_fd;
    struct home_identity root;
    uint8_t network_key[KENG_NETWORK_KEY_LEN];
    uint8_t *bytes; /* commune.keng */
    size_t len;
    struct batch_reader reader; /* of the bytes at opening */
    struct roster roster;
    uint32_t last_seq;
};

/* Close it in every case. */
int desk_open(const struct keng *k, struct desk *d);
void desk_close(struct desk *d);
/* Signs one more record of the root into commune.keng, which is replaced whole; then d->bytes are
 * the new file's.  Once for an open desk.  body_len: as an encoder returned it, error or not. */
int desk_append(const struct keng *k, struct desk *d, uint8_t kind, const uint8_t *body,
                int body_len);

/* keng_profile.c: the options that make a profile, put into p: what is not named stays as it is
 * or, where there is nothing yet, is the usual.  KENG_OK only for what is lawful. */
int desk_read_profile(const struct keng *k, struct profile *p);
void desk_tell_radio(const struct keng *k, const struct profile *p);

#endif
