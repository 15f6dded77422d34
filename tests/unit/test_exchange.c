/* What both ends of the upward sync sign: every part of it counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "proto/exchange.h"

struct pair {
    uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN];
};

static struct pair make_pair(uint8_t seed)
{
    struct pair pair;
    uint8_t bytes[32] = { seed };
    assert_int_equal(crypto_sign_seed_keypair(pair.public_key, pair.secret_key, bytes), 0);
    return pair;
}

static struct exchange make_exchange(void)
{
    struct exchange x = { .question = "/v1/have?network=00" };
    memset(x.network_id, 1, sizeof x.network_id);
    memset(x.nonce, 2, sizeof x.nonce);
    return x;
}

static const struct exchange_answer ANSWER = { .status = 200, .next = "7-ab", .body = "{}",
                                               .body_len = 2 };

/* The bytes that PROTOCOL.md, 9.2, names. */
static void test_exchange_signs_what_the_norm_says(void **state)
{
    static const char WANT[] =
        "16:"
        "e2e5d8a77936b31bf0a17d5ec986fdd482c1274e9f9713f177acbb9b2bf81a69"
        "71f05a1b350c7a85f8f97dd371d0976d733d2b7c56801dcdec4bcc922e31db02";
    struct pair pair = make_pair(3);
    struct exchange x = make_exchange();
    char text[EXCHANGE_SIGNED_LEN];
    (void)state;
    exchange_sign_answer(&x, &ANSWER, 16, pair.secret_key, text);
    assert_string_equal(text, WANT);
}

static void test_exchange_notices_every_change(void **state)
{
    struct pair pair = make_pair(3), other = make_pair(4);
    struct exchange x = make_exchange();
    char text[EXCHANGE_SIGNED_LEN], asked[EXCHANGE_SIGNED_LEN];
    uint8_t sig[KENG_SIG_LEN], asked_sig[KENG_SIG_LEN];
    uint16_t author;
    (void)state;
    exchange_sign_answer(&x, &ANSWER, 65534, pair.secret_key, text);
    exchange_sign_question(&x, 65534, pair.secret_key, asked);
    assert_true(exchange_parse(text, &author, sig));
    assert_int_equal(author, 65534);
    assert_true(exchange_parse(asked, &author, asked_sig));
    assert_true(exchange_verify_answer(&x, &ANSWER, author, pair.public_key, sig));
    assert_true(exchange_verify_question(&x, author, pair.public_key, asked_sig));
    assert_false(exchange_verify_answer(&x, &ANSWER, author, other.public_key, sig));
    assert_false(exchange_verify_answer(&x, &ANSWER, 1, pair.public_key, sig));
    assert_false(exchange_verify_question(&x, 1, pair.public_key, asked_sig));
    assert_false(exchange_verify_question(&x, author, pair.public_key, sig));

    struct exchange exchanges[3] = { x, x, x };
    exchanges[0].network_id[31] ^= 1;
    exchanges[1].nonce[0] ^= 1;
    exchanges[2].question = "/v1/have?network=01";
    for (size_t i = 0; i < 3; i++) {
        assert_false(exchange_verify_answer(&exchanges[i], &ANSWER, author, pair.public_key, sig));
        assert_false(exchange_verify_question(&exchanges[i], author, pair.public_key, asked_sig));
    }
    struct exchange_answer answers[4] = { ANSWER, ANSWER, ANSWER, ANSWER };
    answers[0].status = 503;
    answers[1].next = "7-ac";
    answers[2].body = "[]";
    answers[3].body_len = 1;
    for (size_t i = 0; i < 4; i++)
        assert_false(exchange_verify_answer(&x, &answers[i], author, pair.public_key, sig));
}

static void test_exchange_reads_signatures_strictly(void **state)
{
    char hex[2 * KENG_SIG_LEN + 3], text[2 * KENG_SIG_LEN + 32];
    uint8_t sig[KENG_SIG_LEN];
    uint16_t author;
    (void)state;
    memset(hex, 'a', sizeof hex);
    static const struct { const char *format; int len; bool want; } CASES[] = {
        { "1:%.*s", 128, true }, { "65534:%.*s", 128, true }, { "65535:%.*s", 128, false },
        { "99999:%.*s", 128, false }, { "123456:%.*s", 128, false }, { ":%.*s", 128, false },
        { "%.*s", 128, false }, { "-1:%.*s", 128, false }, { "1: %.*s", 127, false },
        { "1:%.*s", 127, false }, { "1:%.*s", 126, false }, { "1:%.*s", 130, false },
        { "1:%.*sx", 127, false }, { "", 0, false },
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const char *at = strchr(CASES[i].format, '%');
        snprintf(text, sizeof text, "%.*s%.*s%s", at ? (int)(at - CASES[i].format) : 0,
                 CASES[i].format, CASES[i].len, hex, at ? at + strlen("%.*s") : "");
        if (exchange_parse(text, &author, sig) != CASES[i].want)
            fail_msg("%s, %d", CASES[i].format, CASES[i].len);
    }
}

static void test_exchange_knows_a_place(void **state)
{
    char text[EXCHANGE_PLACE_LEN + 1];
    static const struct { const char *text; bool want; } CASES[] = {
        { "", true }, { "17-0a9f", true }, { "a b", false }, { "a&b", false }, { "a%0d", false },
        { "a\r\nb", false }, { "A", false }, { "ế", false },
    };
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        if (exchange_is_place(CASES[i].text) != CASES[i].want)
            fail_msg("%s", CASES[i].text);
    memset(text, '7', sizeof text);
    text[EXCHANGE_PLACE_LEN - 1] = '\0';
    assert_true(exchange_is_place(text));
    text[EXCHANGE_PLACE_LEN - 1] = '7';
    text[EXCHANGE_PLACE_LEN] = '\0';
    assert_false(exchange_is_place(text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange_signs_what_the_norm_says),
        cmocka_unit_test(test_exchange_notices_every_change),
        cmocka_unit_test(test_exchange_reads_signatures_strictly),
        cmocka_unit_test(test_exchange_knows_a_place),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
