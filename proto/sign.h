/* sign.h - exactly which bytes are signed and tagged (libsodium: Ed25519, BLAKE2b).
 *
 * Every pre-image begins with its own label and a zero byte, so that a signature made for
 * one purpose can never serve another.  sodium_init() is the program's duty, at start.
 */
#ifndef KENG_PROTO_SIGN_H
#define KENG_PROTO_SIGN_H

#include "proto/record.h"

/* Signs in place a record that record_encode() wrote: puts the signature at buf + len_unsigned,
 * where KENG_SIG_LEN bytes must have room.  Returns the whole length.  secret_key is libsodium's
 * 64-byte form. */
size_t record_sign(uint8_t *buf, size_t len_unsigned,
                   const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t secret_key[static KENG_SIG_LEN]);

/* Is the signature that of key, over these bytes in this network? */
bool record_verify(const struct record_view *view,
                   const uint8_t network_id[static KENG_NETWORK_ID_LEN],
                   const uint8_t key[static KENG_KEY_LEN]);

/* BLAKE2b-256 of "keng network v1\0" and the root's public key: names the commune. */
void network_id_of_root(const uint8_t root_key[static KENG_KEY_LEN],
                        uint8_t network_id_out[static KENG_NETWORK_ID_LEN]);

/* First FRAME_TAG_LEN bytes of keyed BLAKE2b-256 over "keng frame v1\0" and the frame without
 * its tag, given as the part before it and the part behind it. */
void frame_tag(const uint8_t network_key[static KENG_NETWORK_KEY_LEN], const uint8_t *head,
               size_t head_len, const uint8_t *rest, size_t rest_len,
               uint8_t tag_out[static FRAME_TAG_LEN]);

#endif
