#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/airtime.h"

/* Reference values computed with Semtech's SX126x driver: coding rate 4/5, explicit header. */
static const struct {
    uint8_t sf;
    uint32_t bw_hz;
    size_t len;
    uint16_t preamble_symbols;
    bool ldro;
    uint32_t want_us;
} references[] = {
    { 7, 125000, 20, 8, false, 56576 },    { 9, 125000, 50, 8, false, 328704 },
    { 10, 125000, 100, 8, false, 1026048 }, { 12, 125000, 50, 8, true, 2301952 },
    { 7, 250000, 200, 8, false, 158848 },  { 9, 250000, 200, 16, false, 518656 },
    { 11, 250000, 100, 16, false, 1009664 }, { 12, 250000, 50, 16, true, 1282048 },
    { 8, 125000, 100, 18, false, 328192 }, { 10, 250000, 200, 18, false, 963584 },
    { 11, 125000, 50, 8, true, 1314816 },  { 12, 125000, 20, 16, true, 1581056 },
    { 5, 125000, 50, 12, false, 33600 },   { 9, 500000, 240, 12, false, 301312 },
};

static void test_airtime_equals_the_reference(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++) {
        struct lora_params p = { .freq_hz = 920250000, .bw_hz = references[i].bw_hz, .cr = 5,
                                 .sf = references[i].sf,
                                 .preamble_symbols = references[i].preamble_symbols };
        assert_true(lora_params_valid(&p));
        assert_int_equal(lora_ldro(&p), references[i].ldro);
        assert_int_equal(lora_airtime_us(&p, references[i].len), references[i].want_us);
    }
}

static void test_airtime_never_falls_with_length_or_coding(void **state)
{
    (void)state;
    for (uint8_t sf = LORA_SF_MIN; sf <= LORA_SF_MAX; sf++) {
        for (uint8_t cr = LORA_CR_MIN; cr <= LORA_CR_MAX; cr++) {
            struct lora_params p = { .freq_hz = 920250000, .bw_hz = 125000, .cr = cr, .sf = sf,
                                     .preamble_symbols = 8 };
            for (size_t len = 1; len <= LORA_PAYLOAD_LEN_MAX; len++) {
                assert_true(lora_airtime_us(&p, len) >= lora_airtime_us(&p, len - 1));
                struct lora_params denser = p;
                denser.cr = LORA_CR_MIN;
                assert_true(lora_airtime_us(&p, len) >= lora_airtime_us(&denser, len));
            }
        }
    }
}

static void test_airtime_refuses_parameters_out_of_range(void **state)
{
    static const struct { const char *name; struct lora_params p; } cases[] = {
        { "SF 4", { .bw_hz = 125000, .preamble_symbols = 8, .sf = 4, .cr = 5 } },
        { "SF 13", { .bw_hz = 125000, .preamble_symbols = 8, .sf = 13, .cr = 5 } },
        { "4/4", { .bw_hz = 125000, .preamble_symbols = 8, .sf = 9, .cr = 4 } },
        { "4/9", { .bw_hz = 125000, .preamble_symbols = 8, .sf = 9, .cr = 9 } },
        { "no bandwidth", { .bw_hz = 0, .preamble_symbols = 8, .sf = 9, .cr = 5 } },
        { "too wide", { .bw_hz = 500001, .preamble_symbols = 8, .sf = 9, .cr = 5 } },
        { "no preamble", { .bw_hz = 125000, .preamble_symbols = 0, .sf = 9, .cr = 5 } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (lora_params_valid(&cases[i].p))
            fail_msg("%s was accepted", cases[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_airtime_equals_the_reference),
        cmocka_unit_test(test_airtime_never_falls_with_length_or_coding),
        cmocka_unit_test(test_airtime_refuses_parameters_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
