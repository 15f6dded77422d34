/* exchange.h - what the two ends of the upward sync sign in one exchange over HTTP (PROTOCOL.md,
 * 9.2).
 *
 * Who asks draws a nonce; who answers signs nonce, question, status and answer with a key of the
 * commune's roster.  So an answer of anybody else, of another time or to another question says
 * nothing, whatever stands between both ends.  Who asks for records signs his question too.
 *
 * Time      One hash of the body and one signature.
 * Errors    bool: does it hold?
 */
#ifndef KENG_PROTO_EXCHANGE_H
#define KENG_PROTO_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

enum {
    EXCHANGE_NONCE_LEN = 16,
    EXCHANGE_PLACE_LEN = 64, /* where the way down goes on, NUL included */
    EXCHANGE_SIGNED_LEN = 6 + 2 * KENG_SIG_LEN + 1, /* "65534:", hex and NUL */
};

struct exchange {
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint8_t nonce[EXCHANGE_NONCE_LEN];
    const char *question; /* path and query from /v1/ on, without nonce and from */
};

struct exchange_answer {
    unsigned status; /* as in HTTP */
    const char *next; /* "": none */
    const void *body;
    size_t body_len;
};

/* Small letters, digits and hyphens, not too many: it stands in addresses and headers. */
bool exchange_is_place(const char *text);
/* Written as "NUMBER:HEX": who signed, and the signature. */
void exchange_sign_question(const struct exchange *x, uint16_t author,
                            const uint8_t secret_key[static KENG_SIG_LEN],
                            char text_out[static EXCHANGE_SIGNED_LEN]);
void exchange_sign_answer(const struct exchange *x, const struct exchange_answer *answer,
                          uint16_t author, const uint8_t secret_key[static KENG_SIG_LEN],
                          char text_out[static EXCHANGE_SIGNED_LEN]);
/* Reads that form; whether it holds depends on the author's key. */
bool exchange_parse(const char *text, uint16_t *author_out, uint8_t sig_out[static KENG_SIG_LEN]);
bool exchange_verify_question(const struct exchange *x, uint16_t author,
                              const uint8_t key[static KENG_KEY_LEN],
                              const uint8_t sig[static KENG_SIG_LEN]);
bool exchange_verify_answer(const struct exchange *x, const struct exchange_answer *answer,
                            uint16_t author, const uint8_t key[static KENG_KEY_LEN],
                            const uint8_t sig[static KENG_SIG_LEN]);

#endif
