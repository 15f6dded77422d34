#include "proto/airtime.h"

#include <assert.h>

enum {
    PREAMBLE_SYMBOLS_MAX = 1024,
    LDRO_SYMBOL_US = 16000,
    US_PER_S = 1000000,
    QUARTERS = 4, /* the sync word makes 4.25 or 6.25 symbols: count in quarters */
};

bool lora_params_valid(const struct lora_params *p)
{
    return p->sf >= LORA_SF_MIN && p->sf <= LORA_SF_MAX && p->cr >= LORA_CR_MIN &&
           p->cr <= LORA_CR_MAX && p->bw_hz >= LORA_BW_HZ_MIN && p->bw_hz <= LORA_BW_HZ_MAX &&
           p->preamble_symbols > 0 && p->preamble_symbols <= PREAMBLE_SYMBOLS_MAX;
}

uint32_t lora_symbol_us(const struct lora_params *p)
{
    uint64_t scaled = (uint64_t)US_PER_S << p->sf;
    return (uint32_t)((scaled + p->bw_hz - 1) / p->bw_hz);
}

bool lora_ldro(const struct lora_params *p)
{
    return ((uint64_t)US_PER_S << p->sf) >= (uint64_t)LDRO_SYMBOL_US * p->bw_hz;
}

uint32_t lora_airtime_us(const struct lora_params *p, size_t len)
{
    assert(lora_params_valid(p) && len <= LORA_PAYLOAD_LEN_MAX);
    bool short_sf = p->sf < 7;
    int64_t bits = 8 * (int64_t)len + 16 - 4 * (int64_t)p->sf + (short_sf ? 0 : 8) + 20;
    if (bits < 0)
        bits = 0;
    /* With SF 5 and 6 the optimisation does not change the divisor. */
    int64_t bits_per_group = 4 * ((int64_t)p->sf - (lora_ldro(p) && !short_sf ? 2 : 0));
    int64_t groups = (bits + bits_per_group - 1) / bits_per_group;
    uint64_t quarters = QUARTERS * ((uint64_t)p->preamble_symbols + 8) +
                        (short_sf ? 25 : 17) + QUARTERS * (uint64_t)groups * p->cr;
    uint64_t divisor = (uint64_t)QUARTERS * p->bw_hz;
    return (uint32_t)(((quarters * US_PER_S << p->sf) + divisor - 1) / divisor);
}
