#include "proto/exchange.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/record.h"

static const uint8_t LABEL_QUESTION[] = "keng question v1"; /* with its zero byte */
static const uint8_t LABEL_ANSWER[] = "keng answer v1";

enum {
    COMMON_LEN = KENG_NETWORK_ID_LEN + 2 + EXCHANGE_NONCE_LEN + KENG_HASH_LEN,
    QUESTION_LEN = sizeof LABEL_QUESTION + COMMON_LEN,
    ANSWER_LEN = sizeof LABEL_ANSWER + COMMON_LEN + 2 + 2 * KENG_HASH_LEN,
};

static void write_hash(struct bytes_writer *w, const void *bytes, size_t len)
{
    uint8_t hash[KENG_HASH_LEN];
    crypto_generichash(hash, sizeof hash, bytes, len, NULL, 0);
    write_bytes(w, hash, sizeof hash);
}

static void write_common(struct bytes_writer *w, const struct exchange *x, uint16_t author)
{
    write_bytes(w, x->network_id, sizeof x->network_id);
    write_u16(w, author);
    write_bytes(w, x->nonce, sizeof x->nonce);
    write_hash(w, x->question, strlen(x->question));
}

static void question_image(const struct exchange *x, uint16_t author,
                           uint8_t out[static QUESTION_LEN])
{
    struct bytes_writer w = bytes_writer(out, QUESTION_LEN);
    write_bytes(&w, LABEL_QUESTION, sizeof LABEL_QUESTION);
    write_common(&w, x, author);
    assert(!w.failed && bytes_written(&w) == QUESTION_LEN);
}

static void answer_image(const struct exchange *x, const struct exchange_answer *answer,
                         uint16_t author, uint8_t out[static ANSWER_LEN])
{
    struct bytes_writer w = bytes_writer(out, ANSWER_LEN);
    write_bytes(&w, LABEL_ANSWER, sizeof LABEL_ANSWER);
    write_common(&w, x, author);
    write_u16(&w, (uint16_t)answer->status);
    write_hash(&w, answer->next, strlen(answer->next));
    write_hash(&w, answer->body, answer->body_len);
    assert(!w.failed && bytes_written(&w) == ANSWER_LEN);
}

static void put_signed(uint16_t author, const uint8_t *image, size_t len,
                       const uint8_t *secret_key, char text_out[static EXCHANGE_SIGNED_LEN])
{
    uint8_t sig[KENG_SIG_LEN];
    crypto_sign_detached(sig, NULL, image, len, secret_key);
    int at = snprintf(text_out, EXCHANGE_SIGNED_LEN, "%u:", (unsigned)author);
    sodium_bin2hex(text_out + at, EXCHANGE_SIGNED_LEN - (size_t)at, sig, sizeof sig);
}

void exchange_sign_question(const struct exchange *x, uint16_t author,
                            const uint8_t secret_key[static KENG_SIG_LEN],
                            char text_out[static EXCHANGE_SIGNED_LEN])
{
    uint8_t image[QUESTION_LEN];
    question_image(x, author, image);
    put_signed(author, image, sizeof image, secret_key, text_out);
}

void exchange_sign_answer(const struct exchange *x, const struct exchange_answer *answer,
                          uint16_t author, const uint8_t secret_key[static KENG_SIG_LEN],
                          char text_out[static EXCHANGE_SIGNED_LEN])
{
    uint8_t image[ANSWER_LEN];
    answer_image(x, answer, author, image);
    put_signed(author, image, sizeof image, secret_key, text_out);
}

bool exchange_is_place(const char *text)
{
    size_t len = strspn(text, "0123456789abcdefghijklmnopqrstuvwxyz-");
    return text[len] == '\0' && len < EXCHANGE_PLACE_LEN;
}

bool exchange_parse(const char *text, uint16_t *author_out, uint8_t sig_out[static KENG_SIG_LEN])
{
    uint32_t author = 0;
    size_t at = 0, len;
    for (; text[at] >= '0' && text[at] <= '9' && at < 5; at++)
        author = author * 10 + (uint32_t)(text[at] - '0');
    if (at == 0 || text[at] != ':' || author > AUTHOR_MAX ||
        strlen(text + at + 1) != 2 * (size_t)KENG_SIG_LEN ||
        sodium_hex2bin(sig_out, KENG_SIG_LEN, text + at + 1, 2 * (size_t)KENG_SIG_LEN, NULL, &len,
                       NULL) != 0 || len != KENG_SIG_LEN)
        return false;
    *author_out = (uint16_t)author;
    return true;
}

bool exchange_verify_question(const struct exchange *x, uint16_t author,
                              const uint8_t key[static KENG_KEY_LEN],
                              const uint8_t sig[static KENG_SIG_LEN])
{
    uint8_t image[QUESTION_LEN];
    question_image(x, author, image);
    return crypto_sign_verify_detached(sig, image, sizeof image, key) == 0;
}

bool exchange_verify_answer(const struct exchange *x, const struct exchange_answer *answer,
                            uint16_t author, const uint8_t key[static KENG_KEY_LEN],
                            const uint8_t sig[static KENG_SIG_LEN])
{
    uint8_t image[ANSWER_LEN];
    answer_image(x, answer, author, image);
    return crypto_sign_verify_detached(sig, image, sizeof image, key) == 0;
}
