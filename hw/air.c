#include "hw/air.h"

#include <assert.h>
#include <math.h>
#include <stdalign.h>
#include <string.h>

enum {
    TX_COUNT_PER_RADIO = 4,
    TX_COUNT_EXTRA = 64,
    DB = 100, /* hundredths of a decibel */
    NOISE_FIGURE_DB = 6,
    THERMAL_DBM_PER_HZ = -174,
    RSSI_DBM_MIN = -128, /* modems report it in a signed byte */
    SNR_DB_X4_MAX = 127,
    WORD_BITS = 64,
    NORMAL_PARTS = 12,
    NORMAL_SIGMAS_MAX = NORMAL_PARTS / 2, /* no draw leads further */
};

/* Purposes of random draws: part of the hash, so that one never repeats another. */
enum draw { DRAW_SHADOW, DRAW_FADING, DRAW_CCA, DRAW_LOSS, DRAW_FLIP, DRAW_FLIP_BIT, DRAW_TWICE };

struct radio {
    bool on, tuned;
    bool moved;      /* no longer where it was at first */
    bool near_known; /* its row of air->near holds for frames of up to near_eirp_dbm_x100 */
    int32_t near_eirp_dbm_x100;
    uint64_t far_frames; /* its frames that those out of reach did not count yet */
    struct lora_params lora;
    uint32_t sync;
    uint64_t listening_since_us;
    uint64_t sending_until_us; /* 0: never sent */
    struct air_position at;
    struct air_counts counts;
};

struct tx {
    uint64_t id, start_us, end_us;
    uint32_t sender;
    int32_t eirp_dbm_x100;
    struct lora_params lora;
    uint32_t sync;
    uint32_t heard_count;
    bool cut;
    bool over; /* its receivers were reported; kept only for what overlapped it */
    uint16_t len;
    uint8_t frame[LORA_PAYLOAD_LEN_MAX];
};

struct pair { uint32_t sender, receiver; };

struct air {
    struct air_config config;
    uint64_t now_us;
    uint64_t next_id;
    struct radio *radios;
    struct tx *txs;           /* in the order of their start */
    uint32_t tx_count;
    uint32_t first;           /* index of the one that ends first; tx_count: none runs */
    uint64_t *near;           /* a bit for each sender and receiver: may it ever be noticed? */
    uint32_t near_words;      /* of a sender's row */
    struct pair *pairs_off;
    uint32_t pair_count;

    /* Reporting in progress. */
    bool reporting;
    uint32_t report_tx;       /* index in txs */
    uint32_t report_radio;    /* next receiver to look at */
    bool repeat;              /* the duplicate of event is due */
    struct air_event event;
    uint8_t frame[LORA_PAYLOAD_LEN_MAX];
};

/* ---- chance ------------------------------------------------------------------ */

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static uint64_t draw(const struct air *air, enum draw what, uint64_t a, uint64_t b)
{
    return mix(mix(mix(air->config.seed + (uint64_t)what) ^ a) + b);
}

static bool chance(const struct air *air, uint32_t ppm, enum draw what, uint64_t a, uint64_t b)
{
    return ppm > 0 && draw(air, what, a, b) % AIR_PPM < ppm;
}

/* Normal with that standard deviation: twelve uniform draws, so that it is all integers. */
static int32_t normal(const struct air *air, int32_t sigma, enum draw what, uint64_t a, uint64_t b)
{
    enum { BITS = 16 };

    if (sigma == 0)
        return 0;
    uint64_t h = draw(air, what, a, b);
    int64_t sum = 0;
    for (unsigned i = 0; i < NORMAL_PARTS; i++) {
        sum += (int64_t)(h >> (64 - BITS));
        h = mix(h);
    }
    sum -= NORMAL_SIGMAS_MAX * ((int64_t)1 << BITS);
    return (int32_t)(sum * sigma / ((int64_t)1 << BITS));
}

/* ---- set up ------------------------------------------------------------------ */

static size_t aligned(size_t len)
{
    size_t step = alignof(max_align_t);
    return (len + step - 1) / step * step;
}

static uint32_t tx_count_max(const struct air_config *config)
{
    if (config->tx_count_max > 0)
        return config->tx_count_max;
    return TX_COUNT_PER_RADIO * config->radio_count + TX_COUNT_EXTRA;
}

static uint32_t near_words(const struct air_config *config)
{
    return (config->radio_count + WORD_BITS - 1) / WORD_BITS;
}

static size_t near_len(const struct air_config *config)
{
    return aligned((size_t)config->radio_count * near_words(config) * sizeof(uint64_t));
}

static bool config_valid(const struct air_config *c)
{
    if (c->radio_count < 1 || c->radio_count > AIR_RADIO_COUNT_MAX)
        return false;
    if (c->model == AIR_MATRIX ? !c->loss_db_x100 : (!c->positions || c->ref_m < 1))
        return false;
    return c->cca_miss_ppm <= AIR_PPM && c->frame_loss_ppm <= AIR_PPM &&
           c->bit_flip_ppm <= AIR_PPM && c->duplicate_ppm <= AIR_PPM &&
           c->shadow_sigma_db_x100 >= 0 && c->fading_sigma_db_x100 >= 0 &&
           c->capture_db_x100 >= 0 && (c->cut_count == 0 || c->cuts);
}

size_t air_storage_len(const struct air_config *config)
{
    if (!config_valid(config))
        return 0;
    return aligned(sizeof(struct air)) + aligned(config->radio_count * sizeof(struct radio)) +
           aligned(tx_count_max(config) * sizeof(struct tx)) + near_len(config) +
           aligned(config->pair_count_max * sizeof(struct pair));
}

int air_init(void *storage, size_t storage_len, const struct air_config *config,
             struct air **air_out)
{
    size_t need = air_storage_len(config);
    if (need == 0)
        return AIR_ECONFIG;
    if (storage_len < need)
        return AIR_ESTORAGE;
    memset(storage, 0, need);
    uint8_t *at = storage;
    struct air *air = storage;
    at += aligned(sizeof(struct air));
    air->radios = (void *)at;
    at += aligned(config->radio_count * sizeof(struct radio));
    air->txs = (void *)at;
    at += aligned(tx_count_max(config) * sizeof(struct tx));
    air->near = (void *)at;
    air->near_words = near_words(config);
    at += near_len(config);
    air->pairs_off = (void *)at;
    air->config = *config;
    air->config.tx_count_max = tx_count_max(config);
    for (uint32_t i = 0; i < config->radio_count; i++) {
        air->radios[i].on = true;
        if (config->model == AIR_LOG_DISTANCE)
            air->radios[i].at = config->positions[i];
    }
    *air_out = air;
    return AIR_OK;
}

static void advance(struct air *air, uint64_t now_us)
{
    assert(now_us >= air->now_us);
    air->now_us = now_us;
}

/* ---- links ------------------------------------------------------------------- */

static int32_t distance_loss_db_x100(const struct air *air, uint32_t sender, uint32_t receiver)
{
    const struct air_config *c = &air->config;
    int64_t dx = (int64_t)air->radios[sender].at.x_m - air->radios[receiver].at.x_m;
    int64_t dy = (int64_t)air->radios[sender].at.y_m - air->radios[receiver].at.y_m;
    double d_m = sqrt((double)dx * (double)dx + (double)dy * (double)dy);
    double ratio = d_m > c->ref_m ? d_m / c->ref_m : 1.0;
    double path = 10.0 * log10(ratio) * c->exponent_x100; /* already times 100 */
    return c->ref_loss_db_x100 + (int32_t)lround(path) +
           normal(air, c->shadow_sigma_db_x100, DRAW_SHADOW, sender, receiver);
}

/* Whatever air_set_link() says. */
static int32_t path_loss_db_x100(const struct air *air, uint32_t sender, uint32_t receiver)
{
    const struct air_config *c = &air->config;
    const int32_t *table = c->loss_db_x100;
    if (c->model == AIR_LOG_DISTANCE)
        table = air->radios[sender].moved || air->radios[receiver].moved ? NULL
                                                                         : c->first_loss_db_x100;
    if (table)
        return table[(size_t)sender * c->radio_count + receiver];
    return distance_loss_db_x100(air, sender, receiver);
}

static uint32_t find_pair(const struct air *air, uint32_t sender, uint32_t receiver)
{
    uint32_t i = 0;
    while (i < air->pair_count &&
           (air->pairs_off[i].sender != sender || air->pairs_off[i].receiver != receiver))
        i++;
    return i;
}

int32_t air_loss_db_x100(const struct air *air, uint32_t sender, uint32_t receiver)
{
    assert(sender < air->config.radio_count && receiver < air->config.radio_count);
    if (find_pair(air, sender, receiver) < air->pair_count)
        return AIR_NO_LINK;
    return path_loss_db_x100(air, sender, receiver);
}

static bool is_cut_apart(const struct air *air, const struct tx *tx, uint32_t receiver)
{
    uint64_t until_us = tx->end_us < air->now_us ? tx->end_us : air->now_us;
    for (uint32_t i = 0; i < air->config.cut_count; i++) {
        const struct air_cut *cut = &air->config.cuts[i];
        uint8_t a = cut->side[tx->sender];
        uint8_t b = cut->side[receiver];
        if (a != 0 && b != 0 && a != b && tx->start_us < cut->to_us && cut->from_us < until_us)
            return true;
    }
    return false;
}

/* Power of a frame at a receiver that is near, or false where there is no link. */
static bool received(const struct air *air, const struct tx *tx, uint32_t receiver,
                     int32_t *power_dbm_x100_out)
{
    int32_t loss = air_loss_db_x100(air, tx->sender, receiver);
    if (loss == AIR_NO_LINK || is_cut_apart(air, tx, receiver))
        return false;
    *power_dbm_x100_out = tx->eirp_dbm_x100 - loss +
                          normal(air, air->config.fading_sigma_db_x100, DRAW_FADING, tx->id,
                                 receiver);
    return true;
}

static bool same_tuning(const struct lora_params *a, const struct lora_params *b)
{
    return a->freq_hz == b->freq_hz && a->bw_hz == b->bw_hz && a->sf == b->sf;
}

int32_t air_noise_dbm_x100(uint32_t bw_hz)
{
    return DB * (THERMAL_DBM_PER_HZ + NOISE_FIGURE_DB) + (int32_t)lround(10.0 * DB * log10(bw_hz));
}

/* ---- who is near --------------------------------------------------------------- */

/* Of a thousand radios in thirty communes most are out of reach of each other.  A sender's row is
 * worked out once, for the strongest frame it sent yet and the luckiest fading; who once moved is
 * near to everybody.  Those far away count a frame too weak to be heard when somebody asks. */

static uint64_t *near_word(const struct air *air, uint32_t sender, uint32_t receiver)
{
    return &air->near[(size_t)sender * air->near_words + receiver / WORD_BITS];
}

static bool is_near(const struct air *air, uint32_t sender, uint32_t receiver)
{
    return *near_word(air, sender, receiver) >> receiver % WORD_BITS & 1;
}

/* The first near receiver from `from` on, or radio_count. */
static uint32_t next_near(const struct air *air, uint32_t sender, uint32_t from)
{
    for (uint32_t at = from; at < air->config.radio_count; at = (at / WORD_BITS + 1) * WORD_BITS) {
        uint64_t word = *near_word(air, sender, at) >> at % WORD_BITS;
        if (word != 0)
            return at + (uint32_t)__builtin_ctzll(word);
    }
    return air->config.radio_count;
}

static bool is_far(const struct air *air, uint32_t sender, uint32_t receiver)
{
    return receiver != sender && !is_near(air, sender, receiver) &&
           path_loss_db_x100(air, sender, receiver) != AIR_NO_LINK;
}

static void settle_far(struct air *air, uint32_t sender)
{
    struct radio *radio = &air->radios[sender];
    for (uint32_t i = 0; radio->far_frames > 0 && i < air->config.radio_count; i++)
        if (is_far(air, sender, i))
            air->radios[i].counts.below_sensitivity += radio->far_frames;
    radio->far_frames = 0;
}

static bool may_be_noticed(const struct air *air, uint32_t sender, uint32_t receiver,
                           int32_t eirp_dbm_x100)
{
    const struct air_config *c = &air->config;
    if (air->radios[sender].moved || air->radios[receiver].moved)
        return true;
    int32_t loss = path_loss_db_x100(air, sender, receiver);
    int64_t most = (int64_t)eirp_dbm_x100 - loss +
                   (int64_t)NORMAL_SIGMAS_MAX * c->fading_sigma_db_x100;
    return loss != AIR_NO_LINK && (most >= c->sensitivity_dbm_x100 ||
                                   most >= c->cca_busy_dbm_x100 ||
                                   most >= air_noise_dbm_x100(LORA_BW_HZ_MIN));
}

static void find_near(struct air *air, uint32_t sender, int32_t eirp_dbm_x100)
{
    struct radio *radio = &air->radios[sender];
    settle_far(air, sender);
    for (uint32_t i = 0; i < air->config.radio_count; i++)
        if (i != sender && may_be_noticed(air, sender, i, eirp_dbm_x100))
            *near_word(air, sender, i) |= (uint64_t)1 << i % WORD_BITS;
    radio->near_known = true;
    radio->near_eirp_dbm_x100 = eirp_dbm_x100;
}

/* It moves for the first time: from now on it is near to everybody. */
static void set_moving(struct air *air, uint32_t index)
{
    for (uint32_t i = 0; i < air->config.radio_count; i++)
        settle_far(air, i);
    air->radios[index].moved = true;
    for (uint32_t i = 0; i < air->config.radio_count; i++)
        if (i != index) {
            *near_word(air, i, index) |= (uint64_t)1 << index % WORD_BITS;
            *near_word(air, index, i) |= (uint64_t)1 << i % WORD_BITS;
        }
}

/* ---- radios ------------------------------------------------------------------ */

int air_tune(struct air *air, uint64_t now_us, uint32_t index, const struct lora_params *lora)
{
    if (index >= air->config.radio_count || !lora_params_valid(lora))
        return AIR_EPARAM;
    advance(air, now_us);
    struct radio *radio = &air->radios[index];
    if (!radio->tuned || !same_tuning(&radio->lora, lora))
        radio->listening_since_us = now_us;
    radio->lora = *lora;
    radio->tuned = true;
    return AIR_OK;
}

void air_set_sync(struct air *air, uint64_t now_us, uint32_t index, uint32_t sync)
{
    assert(index < air->config.radio_count);
    advance(air, now_us);
    struct radio *radio = &air->radios[index];
    if (radio->sync != sync)
        radio->listening_since_us = now_us;
    radio->sync = sync;
}

void air_set_on(struct air *air, uint64_t now_us, uint32_t index, bool on)
{
    assert(index < air->config.radio_count);
    advance(air, now_us);
    struct radio *radio = &air->radios[index];
    if (!on)
        air_cut_tx(air, now_us, index);
    if (on && !radio->on)
        radio->listening_since_us = now_us;
    radio->on = on;
}

int air_set_link(struct air *air, uint64_t now_us, uint32_t sender, uint32_t receiver, bool on)
{
    if (sender >= air->config.radio_count || receiver >= air->config.radio_count)
        return AIR_EPARAM;
    advance(air, now_us);
    uint32_t i = find_pair(air, sender, receiver);
    bool is_off = i < air->pair_count;
    if (on && is_off) {
        air->pairs_off[i] = air->pairs_off[--air->pair_count];
    } else if (!on && !is_off) {
        if (air->pair_count == air->config.pair_count_max)
            return AIR_EFULL;
        air->pairs_off[air->pair_count++] = (struct pair){ sender, receiver };
    }
    return AIR_OK;
}

void air_set_position(struct air *air, uint64_t now_us, uint32_t index, struct air_position at)
{
    assert(index < air->config.radio_count);
    advance(air, now_us);
    struct radio *radio = &air->radios[index];
    if (air->config.model == AIR_LOG_DISTANCE && !radio->moved &&
        (at.x_m != radio->at.x_m || at.y_m != radio->at.y_m))
        set_moving(air, index);
    radio->at = at;
}

void air_set_frame_loss(struct air *air, uint32_t frame_loss_ppm)
{
    assert(frame_loss_ppm <= AIR_PPM);
    air->config.frame_loss_ppm = frame_loss_ppm;
}

/* ---- sending ----------------------------------------------------------------- */

/* The transmission whose end comes first, ties by start; tx_count if none runs. */
static uint32_t first_to_end(const struct air *air)
{
    uint32_t first = air->tx_count;
    for (uint32_t i = 0; i < air->tx_count; i++) {
        if (!air->txs[i].over &&
            (first == air->tx_count || air->txs[i].end_us < air->txs[first].end_us))
            first = i;
    }
    return first;
}

/* Forgets what is over and overlapped nothing that is still on the air. */
static void forget_old(struct air *air)
{
    assert(!air->reporting);
    uint64_t oldest_us = AIR_NEVER;
    for (uint32_t i = 0; i < air->tx_count; i++) {
        if (!air->txs[i].over && air->txs[i].start_us < oldest_us)
            oldest_us = air->txs[i].start_us;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < air->tx_count; i++) {
        if (air->txs[i].over && air->txs[i].end_us <= oldest_us)
            continue;
        if (kept != i)
            air->txs[kept] = air->txs[i];
        kept++;
    }
    air->tx_count = kept;
    air->first = first_to_end(air);
}

int air_start_tx(struct air *air, uint64_t now_us, uint32_t index, const uint8_t *frame,
                 size_t len, const struct lora_params *lora, int32_t eirp_dbm_x100,
                 uint64_t *end_us_out)
{
    if (index >= air->config.radio_count || !lora_params_valid(lora) || len == 0 ||
        len > LORA_PAYLOAD_LEN_MAX)
        return AIR_EPARAM;
    advance(air, now_us);
    struct radio *radio = &air->radios[index];
    if (!radio->on)
        return AIR_EOFF;
    if (air_sending(air, now_us, index))
        return AIR_ESENDING;
    if (air->tx_count == air->config.tx_count_max && !air->reporting)
        forget_old(air);
    if (air->tx_count == air->config.tx_count_max)
        return AIR_EFULL;
    if (!radio->near_known || eirp_dbm_x100 > radio->near_eirp_dbm_x100)
        find_near(air, index, eirp_dbm_x100);
    uint32_t airtime_us = lora_airtime_us(lora, len);
    struct tx *tx = &air->txs[air->tx_count++];
    *tx = (struct tx){
        .id = air->next_id++, .start_us = now_us, .end_us = now_us + airtime_us,
        .sender = index, .eirp_dbm_x100 = eirp_dbm_x100, .lora = *lora, .sync = radio->sync,
        .len = (uint16_t)len,
    };
    memcpy(tx->frame, frame, len);
    radio->sending_until_us = tx->end_us;
    radio->counts.tx_frames++;
    radio->counts.tx_bytes += len;
    radio->counts.tx_airtime_us += airtime_us;
    *end_us_out = tx->end_us;
    air->first = first_to_end(air);
    return AIR_OK;
}

void air_cut_tx(struct air *air, uint64_t now_us, uint32_t index)
{
    assert(index < air->config.radio_count);
    advance(air, now_us);
    for (uint32_t i = 0; i < air->tx_count; i++) {
        struct tx *tx = &air->txs[i];
        if (tx->sender != index || tx->over || tx->end_us <= now_us)
            continue;
        struct air_counts *counts = &air->radios[index].counts;
        counts->tx_airtime_us -= tx->end_us - now_us;
        counts->tx_cut++;
        tx->end_us = now_us;
        tx->cut = true;
        air->radios[index].sending_until_us = now_us;
    }
    air->first = first_to_end(air);
}

bool air_sending(const struct air *air, uint64_t now_us, uint32_t index)
{
    assert(index < air->config.radio_count);
    return now_us < air->radios[index].sending_until_us;
}

/* The strongest frame in the radio's channel that began at or before begun_us. */
static const struct tx *strongest(const struct air *air, uint64_t now_us, uint32_t index,
                                  uint64_t begun_us, int32_t *power_dbm_x100_out)
{
    const struct tx *best = NULL;
    for (uint32_t i = 0; i < air->tx_count; i++) {
        const struct tx *tx = &air->txs[i];
        int32_t power;
        if (tx->end_us <= now_us || tx->start_us > begun_us || tx->sender == index ||
            !same_tuning(&tx->lora, &air->radios[index].lora) ||
            !is_near(air, tx->sender, index) || !received(air, tx, index, &power))
            continue;
        if (!best || power > *power_dbm_x100_out) {
            *power_dbm_x100_out = power;
            best = tx;
        }
    }
    return best;
}

bool air_busy(struct air *air, uint64_t now_us, uint32_t index)
{
    advance(air, now_us);
    if (air_sending(air, now_us, index))
        return true;
    const struct radio *radio = &air->radios[index];
    if (!radio->on || !radio->tuned || now_us < air->config.cca_blind_us)
        return false;
    int32_t power;
    uint64_t begun_us = now_us - air->config.cca_blind_us;
    const struct tx *tx = strongest(air, now_us, index, begun_us, &power);
    if (!tx || power < air->config.cca_busy_dbm_x100)
        return false;
    /* Drawn for the frame: asking again does not help a radio that cannot sense it. */
    return !chance(air, air->config.cca_miss_ppm, DRAW_CCA, tx->id, index);
}

static int16_t round_dbm(int32_t dbm_x100)
{
    int32_t dbm = (dbm_x100 - DB / 2) / DB; /* powers here are negative: rounds to nearest */
    if (dbm < RSSI_DBM_MIN)
        dbm = RSSI_DBM_MIN;
    return (int16_t)(dbm > 0 ? 0 : dbm);
}

int16_t air_rssi_dbm(const struct air *air, uint64_t now_us, uint32_t index)
{
    assert(index < air->config.radio_count);
    const struct radio *radio = &air->radios[index];
    if (!radio->tuned)
        return RSSI_DBM_MIN;
    int32_t noise = air_noise_dbm_x100(radio->lora.bw_hz);
    int32_t power;
    if (!strongest(air, now_us, index, now_us, &power) || power < noise)
        power = noise;
    return round_dbm(power);
}

/* ---- outcome ----------------------------------------------------------------- */

enum outcome { HEARD, NO_LINK, TOO_WEAK, DEAF, HALF_DUPLEX, COLLIDED, DROPPED };

static bool overlaps(const struct tx *a, const struct tx *b)
{
    return a->start_us < b->end_us && b->start_us < a->end_us;
}

/* What other frames do to tx at one receiver. */
static enum outcome interference(const struct air *air, const struct tx *tx, uint32_t receiver,
                                 int32_t power)
{
    enum outcome outcome = HEARD;
    for (uint32_t i = 0; i < air->tx_count; i++) {
        const struct tx *other = &air->txs[i];
        if (other == tx || !overlaps(tx, other))
            continue;
        if (other->sender == receiver)
            return HALF_DUPLEX;
        int32_t other_power;
        if (is_near(air, other->sender, receiver) && same_tuning(&tx->lora, &other->lora) &&
            received(air, other, receiver, &other_power) &&
            other_power >= air->config.sensitivity_dbm_x100 &&
            power < other_power + air->config.capture_db_x100)
            outcome = COLLIDED;
    }
    return outcome;
}

static enum outcome outcome_of(const struct air *air, const struct tx *tx, uint32_t receiver,
                               int32_t *power_dbm_x100_out)
{
    const struct radio *radio = &air->radios[receiver];
    int32_t power;
    if (!received(air, tx, receiver, &power))
        return NO_LINK;
    if (power < air->config.sensitivity_dbm_x100)
        return TOO_WEAK;
    if (!radio->on || !radio->tuned || !same_tuning(&radio->lora, &tx->lora) ||
        radio->sync != tx->sync || radio->listening_since_us > tx->start_us)
        return DEAF;
    enum outcome outcome = interference(air, tx, receiver, power);
    if (outcome == HEARD && chance(air, air->config.frame_loss_ppm, DRAW_LOSS, tx->id, receiver))
        outcome = DROPPED;
    *power_dbm_x100_out = power;
    return outcome;
}

static void count(struct air_counts *counts, enum outcome outcome)
{
    switch (outcome) {
    case HEARD: counts->rx_frames++; break;
    case NO_LINK: break;
    case TOO_WEAK: counts->below_sensitivity++; break;
    case DEAF: counts->not_listening++; break;
    case HALF_DUPLEX: counts->half_duplex_lost++; break;
    case COLLIDED: counts->collided++; break;
    case DROPPED: counts->dropped++; break;
    }
}

uint64_t air_next_event_us(const struct air *air)
{
    if (air->reporting)
        return air->txs[air->report_tx].end_us;
    return air->first < air->tx_count ? air->txs[air->first].end_us : AIR_NEVER;
}

static void fill_event(struct air *air, const struct tx *tx, enum air_event_type type)
{
    air->event = (struct air_event){
        .type = type, .at_us = tx->end_us, .start_us = tx->start_us, .tx_id = tx->id,
        .sender = tx->sender, .cut = tx->cut, .heard_count = tx->heard_count, .len = tx->len,
        .frame = air->frame,
    };
}

static void fill_reception(struct air *air, struct tx *tx, uint32_t receiver, int32_t power)
{
    tx->heard_count++;
    fill_event(air, tx, AIR_EV_RX);
    struct air_event *ev = &air->event;
    struct air_counts *counts = &air->radios[receiver].counts;
    ev->receiver = receiver;
    ev->rssi_dbm = round_dbm(power);
    int32_t snr_x4 = (power - air_noise_dbm_x100(tx->lora.bw_hz)) * 4 / DB;
    ev->snr_db_x4 = (int16_t)(snr_x4 > SNR_DB_X4_MAX ? SNR_DB_X4_MAX : snr_x4);
    memcpy(air->frame, tx->frame, tx->len);
    if (chance(air, air->config.bit_flip_ppm, DRAW_FLIP, tx->id, receiver)) {
        uint64_t bit = draw(air, DRAW_FLIP_BIT, tx->id, receiver) % (8u * tx->len);
        air->frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ev->damaged = true;
        counts->flipped++;
    }
    air->repeat = chance(air, air->config.duplicate_ppm, DRAW_TWICE, tx->id, receiver);
    counts->duplicated += air->repeat;
}

/* The frame at all who are out of reach: too weak, where there is a link at all. */
static void count_far(struct air *air, const struct tx *tx)
{
    bool parted = air->pair_count > 0;
    for (uint32_t i = 0; i < air->config.cut_count && !parted; i++)
        parted = tx->start_us < air->config.cuts[i].to_us &&
                 air->config.cuts[i].from_us < tx->end_us;
    if (tx->cut)
        return;
    if (!parted) {
        air->radios[tx->sender].far_frames++;
        return;
    }
    for (uint32_t i = 0; i < air->config.radio_count; i++)
        if (is_far(air, tx->sender, i) && !is_cut_apart(air, tx, i) &&
            air_loss_db_x100(air, tx->sender, i) != AIR_NO_LINK)
            count(&air->radios[i].counts, TOO_WEAK);
}

/* Looks at receivers until one heard it; false when all were looked at. */
static bool report_next(struct air *air)
{
    struct tx *tx = &air->txs[air->report_tx];
    if (air->repeat) {
        air->repeat = false;
        return true;
    }
    while (!tx->cut) {
        uint32_t receiver = next_near(air, tx->sender, air->report_radio);
        if (receiver == air->config.radio_count)
            break;
        air->report_radio = receiver + 1;
        int32_t power;
        enum outcome outcome = outcome_of(air, tx, receiver, &power);
        count(&air->radios[receiver].counts, outcome);
        if (outcome == HEARD) {
            fill_reception(air, tx, receiver, power);
            return true;
        }
    }
    return false;
}

bool air_poll_event(struct air *air, uint64_t now_us, struct air_event *event_out)
{
    advance(air, now_us);
    if (!air->reporting) {
        if (air_next_event_us(air) > now_us)
            return false;
        air->reporting = true;
        air->report_tx = air->first;
        air->report_radio = 0;
        count_far(air, &air->txs[air->first]);
    }
    if (!report_next(air)) {
        struct tx *tx = &air->txs[air->report_tx];
        memcpy(air->frame, tx->frame, tx->len);
        fill_event(air, tx, AIR_EV_TX_END);
        tx->over = true;
        air->reporting = false;
        forget_old(air);
    }
    *event_out = air->event;
    return true;
}

/* ---- counters ---------------------------------------------------------------- */

static void add_counts(struct air_counts *sum, const struct air_counts *c)
{
    sum->tx_frames += c->tx_frames;
    sum->tx_bytes += c->tx_bytes;
    sum->tx_airtime_us += c->tx_airtime_us;
    sum->tx_cut += c->tx_cut;
    sum->rx_frames += c->rx_frames;
    sum->collided += c->collided;
    sum->half_duplex_lost += c->half_duplex_lost;
    sum->below_sensitivity += c->below_sensitivity;
    sum->not_listening += c->not_listening;
    sum->dropped += c->dropped;
    sum->flipped += c->flipped;
    sum->duplicated += c->duplicated;
}

void air_counts(const struct air *air, struct air_counts *counts_out)
{
    *counts_out = (struct air_counts){ 0 };
    for (uint32_t i = 0; i < air->config.radio_count; i++) {
        struct air_counts one;
        air_radio_counts(air, i, &one);
        add_counts(counts_out, &one);
    }
}

void air_radio_counts(const struct air *air, uint32_t index, struct air_counts *counts_out)
{
    assert(index < air->config.radio_count);
    *counts_out = air->radios[index].counts;
    for (uint32_t i = 0; i < air->config.radio_count; i++)
        if (air->radios[i].far_frames > 0 && is_far(air, i, index))
            counts_out->below_sensitivity += air->radios[i].far_frames;
}

const char *air_strerror(int err)
{
    switch (err) {
    case AIR_OK: return "ok";
    case AIR_ECONFIG: return "a field of the air's config is out of range";
    case AIR_ESTORAGE: return "the air's storage is too short";
    case AIR_EFULL: return "the air remembers no more transmissions or links";
    case AIR_ESENDING: return "this radio is already sending";
    case AIR_EOFF: return "this radio is off";
    case AIR_EPARAM: return "no such radio, or bad LoRa parameters or frame length";
    }
    return "unknown air error";
}
