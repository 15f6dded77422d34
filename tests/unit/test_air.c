#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hw/air.h"

enum { N = 4, SENSITIVITY_X100 = -12000 };

static const struct lora_params sf9 = { .freq_hz = 920250000, .bw_hz = 125000, .sf = 9, .cr = 5,
                                        .preamble_symbols = 16 };

/* Losses that give, at 14 dBm: 0-1 -86, 1-2 -96, 2-3 -86, 0-2 -106 dBm, 0-3 and 1-3 nothing. */
static const int32_t matrix[N * N] = {
    AIR_NO_LINK, 10000, 12000, AIR_NO_LINK,
    10000, AIR_NO_LINK, 11000, AIR_NO_LINK,
    12000, 11000, AIR_NO_LINK, 10000,
    AIR_NO_LINK, AIR_NO_LINK, 10000, AIR_NO_LINK,
};

static struct air_config base_config(void)
{
    return (struct air_config){ .radio_count = N, .pair_count_max = 4, .seed = 1,
                                .model = AIR_MATRIX, .loss_db_x100 = matrix,
                                .sensitivity_dbm_x100 = SENSITIVITY_X100, .capture_db_x100 = 600,
                                .cca_busy_dbm_x100 = SENSITIVITY_X100 };
}

struct heard { unsigned count; uint32_t receivers[64]; struct air_event last; unsigned ends, cut; };

static struct air *make(const struct air_config *config)
{
    size_t len = air_storage_len(config);
    struct air *air;
    assert_true(len > 0);
    void *storage = malloc(len);
    assert_non_null(storage);
    assert_int_equal(air_init(storage, len, config, &air), AIR_OK);
    assert_ptr_equal(storage, air);
    for (uint32_t i = 0; i < config->radio_count; i++)
        assert_int_equal(air_tune(air, 0, i, &sf9), AIR_OK);
    return air;
}

static uint64_t start_at(struct air *air, uint64_t now_us, uint32_t radio, size_t len,
                         int32_t eirp_dbm_x100)
{
    uint8_t frame[255];
    uint64_t end_us;
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)(radio * 16 + i);
    assert_int_equal(air_start_tx(air, now_us, radio, frame, len, &sf9, eirp_dbm_x100, &end_us),
                     AIR_OK);
    assert_int_equal(end_us, now_us + lora_airtime_us(&sf9, len));
    return end_us;
}

static uint64_t start(struct air *air, uint64_t now_us, uint32_t radio, size_t len)
{
    return start_at(air, now_us, radio, len, 1400);
}

static struct heard listen(struct air *air, uint64_t now_us)
{
    struct heard heard = { 0 };
    struct air_event ev;
    while (air_poll_event(air, now_us, &ev)) {
        if (ev.type == AIR_EV_TX_END) {
            heard.ends++;
            heard.cut += ev.cut;
            continue;
        }
        if (heard.count < sizeof heard.receivers / sizeof heard.receivers[0])
            heard.receivers[heard.count] = ev.receiver;
        heard.count++;
        heard.last = ev;
    }
    return heard;
}

static void test_air_delivers_to_those_in_range_and_to_no_other(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    (void)state;
    uint64_t end_us = start(air, 1000, 0, 50);
    assert_int_equal(air_next_event_us(air), end_us);
    assert_int_equal(listen(air, end_us - 1).ends, 0);
    struct heard heard = listen(air, end_us);
    assert_int_equal(heard.count, 2);
    assert_int_equal(heard.receivers[0], 1);
    assert_int_equal(heard.receivers[1], 2);
    assert_int_equal(heard.last.rssi_dbm, 14 - 120);
    assert_int_equal(heard.last.snr_db_x4, (-10600 - air_noise_dbm_x100(125000)) * 4 / 100);
    assert_int_equal(heard.last.len, 50);
    assert_int_equal(heard.last.frame[49], 49);
    assert_int_equal(heard.ends, 1);
    assert_int_equal(air_next_event_us(air), AIR_NEVER);
    struct air_counts c;
    air_radio_counts(air, 0, &c);
    assert_int_equal(c.tx_airtime_us, lora_airtime_us(&sf9, 50));
    assert_int_equal(c.tx_bytes, 50);
    free(air);
}

static void test_air_keeps_families_apart_which_still_drown_each_other(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    (void)state;
    air_set_sync(air, 0, 0, 7);
    air_set_sync(air, 0, 2, 7);
    struct heard heard = listen(air, start(air, 1000, 0, 50));
    assert_int_equal(heard.count, 1); /* radio 1 has the other word */
    assert_int_equal(heard.receivers[0], 2);
    uint64_t end_us = start(air, 1000000, 0, 50);
    (void)start(air, 1000000, 1, 50); /* 10 dB stronger at radio 2 */
    assert_int_equal(listen(air, end_us).count, 0);
    struct air_counts c;
    air_radio_counts(air, 2, &c);
    assert_int_equal(c.collided, 1);
    assert_int_equal(c.not_listening, 1);
    free(air);
}

static const struct {
    const char *name;
    uint32_t other;          /* the second sender; the first is 0 */
    int shift_percent;       /* when it starts, of the first's airtime; 0 = together */
    uint32_t receiver;
    bool heard_first, heard_other;
    unsigned collided, half_duplex;
} overlaps[] = {
    /* At 2: 0 comes with -106, 1 with -96, 3 with -86. */
    { "stronger by 20 dB survives", 3, 0, 2, false, true, 1, 0 },
    { "stronger by 10 dB survives, begun last", 1, 50, 2, false, true, 1, 1 },
    { "stronger by 10 dB survives, touching", 1, 99, 2, false, true, 1, 1 },
    { "one after the other: both", 1, 100, 2, true, true, 0, 0 },
    { "a sender hears nobody", 1, 30, 1, false, false, 1, 1 },
};

static void test_air_decides_overlaps_by_capture(void **state)
{
    struct air_config config = base_config();
    (void)state;
    for (size_t i = 0; i < sizeof overlaps / sizeof overlaps[0]; i++) {
        struct air *air = make(&config);
        uint64_t airtime_us = lora_airtime_us(&sf9, 50);
        (void)start(air, 0, 0, 50);
        uint64_t from_us = airtime_us * (uint64_t)overlaps[i].shift_percent / 100;
        uint64_t end_us = start(air, from_us, overlaps[i].other, 50);
        bool first = false, other = false;
        struct air_event ev;
        while (air_poll_event(air, end_us, &ev)) {
            bool here = ev.type == AIR_EV_RX && ev.receiver == overlaps[i].receiver;
            first = first || (here && ev.sender == 0);
            other = other || (here && ev.sender == overlaps[i].other);
        }
        struct air_counts c;
        air_radio_counts(air, overlaps[i].receiver, &c);
        if (first != overlaps[i].heard_first || other != overlaps[i].heard_other)
            fail_msg("%s: first %d, other %d", overlaps[i].name, first, other);
        if (overlaps[i].receiver == 2)
            assert_int_equal(c.collided, overlaps[i].collided);
        else
            assert_int_equal(c.half_duplex_lost, overlaps[i].half_duplex);
        free(air);
    }
}

static void test_air_loses_both_of_two_equal_frames(void **state)
{
    static const int32_t equal[9] = { AIR_NO_LINK, 0, 10000, 0, AIR_NO_LINK, 10500, 0, 0, 0 };
    struct air_config config = base_config();
    config.radio_count = 3;
    config.loss_db_x100 = equal; /* at 2: 5 dB apart, 6 dB are needed */
    struct air *air = make(&config);
    (void)state;
    (void)start(air, 0, 0, 20);
    uint64_t end_us = start(air, 10, 1, 20);
    struct heard heard = listen(air, end_us);
    assert_int_equal(heard.count, 0);
    struct air_counts c;
    air_radio_counts(air, 2, &c);
    assert_int_equal(c.collided, 2);
    air_counts(air, &c);
    assert_int_equal(c.half_duplex_lost, 2);
    assert_int_equal(c.tx_frames, 2);
    free(air);
}

static void test_air_collides_with_what_ended_before(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    (void)state;
    /* A long weak frame, a short strong one inside it; polled in between. */
    uint64_t long_end_us = start(air, 0, 0, 200);
    uint64_t short_end_us = start(air, 100000, 3, 5);
    assert_true(short_end_us < long_end_us);
    assert_int_equal(listen(air, short_end_us).count, 1);
    struct heard heard = listen(air, long_end_us);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.receivers[0], 1); /* which does not hear 3 */
    free(air);
}

static void test_air_keeps_other_tunings_apart(void **state)
{
    struct lora_params others[] = { sf9, sf9, sf9 };
    (void)state;
    others[0].sf = 10;
    others[1].freq_hz += 200000;
    others[2].bw_hz = 250000;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct air_config config = base_config();
        struct air *air = make(&config);
        uint64_t end_us, other_end_us;
        uint8_t byte = 7;
        assert_int_equal(air_tune(air, 0, 1, &others[i]), AIR_OK);
        end_us = start(air, 10, 0, 50);
        assert_false(air_busy(air, 20, 1));
        assert_true(air_busy(air, 20, 2));
        assert_int_equal(air_start_tx(air, 20, 3, &byte, 1, &others[i], 1400, &other_end_us),
                         AIR_OK);
        struct heard heard = listen(air, end_us);
        assert_int_equal(heard.count, 1); /* 2 hears 0, undisturbed by 3; 1 is elsewhere */
        assert_int_equal(heard.receivers[0], 2);
        free(air);
    }
}

static void test_air_reaches_no_radio_that_was_off_or_retuned_for_a_part(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    (void)state;
    air_set_on(air, 0, 1, false);
    uint64_t end_us = start(air, 10, 0, 50);
    air_set_on(air, 5000, 1, true);
    assert_int_equal(listen(air, end_us).count, 1);
    struct air_counts c;
    air_radio_counts(air, 1, &c);
    assert_int_equal(c.not_listening, 1);
    end_us = start(air, end_us, 0, 50);
    assert_int_equal(listen(air, end_us).count, 2);
    uint64_t unused_us;
    uint8_t byte = 1;
    air_set_on(air, end_us, 1, false);
    assert_int_equal(air_start_tx(air, end_us, 1, &byte, 1, &sf9, 0, &unused_us), AIR_EOFF);
    free(air);
}

static void test_air_cut_frame_is_heard_by_nobody(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    (void)state;
    (void)start(air, 0, 0, 50);
    air_set_on(air, 1000, 0, false);
    struct heard heard = listen(air, 1000);
    assert_int_equal(heard.count, 0);
    assert_int_equal(heard.ends, 1);
    assert_int_equal(heard.cut, 1);
    struct air_counts c;
    air_counts(air, &c);
    assert_int_equal(c.tx_airtime_us, 1000);
    assert_int_equal(c.tx_cut, 1);
    assert_false(air_sending(air, 1000, 0));
    free(air);
}

static void test_air_links_and_cuts_part_radios(void **state)
{
    static const uint8_t side[N] = { 1, 2, 0, 0 };
    const struct air_cut cut = { .from_us = 1000000, .to_us = 2000000, .side = side };
    struct air_config config = base_config();
    config.cuts = &cut;
    config.cut_count = 1;
    struct air *air = make(&config);
    (void)state;
    assert_int_equal(listen(air, start(air, 0, 0, 50)).count, 2);
    assert_int_equal(listen(air, start(air, 999999, 0, 50)).count, 1); /* the cut touches its end */
    assert_int_equal(listen(air, start(air, 2000000, 0, 50)).count, 2);
    assert_int_equal(air_set_link(air, 3000000, 0, 2, false), AIR_OK);
    struct heard heard = listen(air, start(air, 3000000, 0, 50));
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.receivers[0], 1);
    heard = listen(air, start(air, 4000000, 2, 50)); /* the other way still works */
    assert_int_equal(heard.count, 3);
    assert_int_equal(air_set_link(air, 5000000, 0, 2, true), AIR_OK);
    assert_int_equal(listen(air, start(air, 5000000, 0, 50)).count, 2);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(air_set_link(air, 6000000, i, 3, false), AIR_OK);
    assert_int_equal(air_set_link(air, 6000000, 0, 1, false), AIR_EFULL);
    free(air);
}

static void test_air_carrier_sense_hears_the_channel(void **state)
{
    struct air_config config = base_config();
    config.cca_blind_us = 20000;
    struct air *air = make(&config);
    (void)state;
    uint64_t end_us = start(air, 100000, 0, 50);
    assert_true(air_busy(air, 100000, 0)); /* itself */
    assert_false(air_busy(air, 119999, 1));
    assert_true(air_busy(air, 120000, 1));
    assert_false(air_busy(air, 120000, 3)); /* out of range */
    assert_false(air_busy(air, end_us, 1));
    assert_int_equal(air_rssi_dbm(air, 120000, 3), -117);
    free(air);
    config.cca_miss_ppm = AIR_PPM;
    air = make(&config);
    (void)start(air, 100000, 0, 50);
    assert_false(air_busy(air, 150000, 1));
    free(air);
}

static void test_air_faults_strike_as_often_as_they_are_set(void **state)
{
    struct air_config config = base_config();
    config.frame_loss_ppm = 100000;
    config.bit_flip_ppm = 200000;
    config.duplicate_ppm = 50000;
    struct air *air = make(&config);
    uint64_t now_us = 0;
    unsigned damaged = 0, heard = 0;
    (void)state;
    for (unsigned i = 0; i < 5000; i++) {
        struct air_event ev;
        now_us = start(air, now_us, 0, 20);
        while (air_poll_event(air, now_us, &ev)) {
            if (ev.type != AIR_EV_RX)
                continue;
            unsigned bits = 0;
            for (unsigned j = 0; j < 20; j++)
                bits += (unsigned)__builtin_popcount((unsigned)(ev.frame[j] ^ (uint8_t)j));
            assert_int_equal(bits, ev.damaged ? 1 : 0);
            heard++;
            damaged += ev.damaged;
        }
    }
    struct air_counts c;
    air_counts(air, &c);
    assert_in_range(c.dropped, 850, 1150);       /* of 10000 */
    assert_int_equal(c.rx_frames + c.dropped, 10000);
    assert_in_range(c.flipped, 1600, 2000);      /* of about 9000 */
    assert_in_range(c.duplicated, 350, 550);
    assert_int_equal(heard, c.rx_frames + c.duplicated);
    assert_true(damaged >= c.flipped);
    free(air);
}

/* The same for every storm of one seed, however the air comes by it. */
enum storm_way {
    STORM_PLAIN,
    STORM_TABLE,    /* the losses worked out before */
    STORM_ALL_NEAR, /* everybody has moved, and is back: nobody counts as out of reach */
};

static int32_t *loss_table(const struct air_config *config)
{
    uint32_t n = config->radio_count;
    int32_t *losses = calloc((size_t)n * n, sizeof *losses);
    struct air *air = make(config);
    assert_non_null(losses);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; k < n; k++)
            losses[(size_t)i * n + k] = i == k ? AIR_NO_LINK : air_loss_db_x100(air, i, k);
    free(air);
    return losses;
}

static void move_away_and_back(struct air *air, const struct air_position *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        air_set_position(air, 0, i, (struct air_position){ at[i].x_m + 1, at[i].y_m });
        air_set_position(air, 0, i, at[i]);
    }
}

static uint64_t hash_more(uint64_t hash, const uint64_t *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ parts[i]) * 1099511628211u;
    return hash;
}

static uint64_t hash_counts(const struct air *air, uint32_t count, uint64_t hash)
{
    for (uint32_t i = 0; i < count; i++) {
        struct air_counts c;
        air_radio_counts(air, i, &c);
        const uint64_t parts[] = { c.rx_frames, c.collided, c.half_duplex_lost,
                                   c.below_sensitivity, c.not_listening, c.dropped };
        hash = hash_more(hash, parts, sizeof parts / sizeof parts[0]);
    }
    return hash;
}

/* What happens to the radios in the middle of a storm. */
static void stir(struct air *air, uint64_t now_us, uint32_t count, const struct air_position *at)
{
    enum { LINK_OFF_US = 30030000, LINK_ON_US = 50050000, MOVES_FROM_US = 70000000 };
    if (now_us == LINK_OFF_US || now_us == LINK_ON_US)
        assert_int_equal(air_set_link(air, now_us, 1, 2, now_us == LINK_ON_US), AIR_OK);
    if (now_us >= MOVES_FROM_US)
        air_set_position(air, now_us, count - 1,
                         (struct air_position){ at[0].x_m, (int32_t)(now_us / 10000) });
}

/* Two busy minutes of many radios; returns a hash of everything that happened. */
static uint64_t storm(uint32_t count, uint64_t seed, enum storm_way way,
                      struct air_counts *counts_out)
{
    static uint8_t sides[1000];
    struct air_position *at = calloc(count, sizeof *at);
    assert_non_null(at);
    uint64_t x = 9;
    for (uint32_t i = 0; i < count; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        at[i] = (struct air_position){ (int32_t)(x >> 50), (int32_t)(x >> 36 & 0x3fff) };
        sides[i] = (uint8_t)(i % 3);
    }
    const struct air_cut cut = { 10000000, 20000000, sides };
    struct air_config config = { .radio_count = count, .seed = seed, .model = AIR_LOG_DISTANCE,
                                 .positions = at, .ref_m = 1, .ref_loss_db_x100 = 3170,
                                 .exponent_x100 = 320, .shadow_sigma_db_x100 = 600,
                                 .fading_sigma_db_x100 = 200, .sensitivity_dbm_x100 = -12950,
                                 .capture_db_x100 = 600, .cca_busy_dbm_x100 = -13250,
                                 .cca_miss_ppm = 50000, .frame_loss_ppm = 10000,
                                 .pair_count_max = 1, .cuts = &cut, .cut_count = 1 };
    int32_t *losses = way == STORM_TABLE ? loss_table(&config) : NULL;
    config.first_loss_db_x100 = losses;
    struct air *air = make(&config);
    if (way == STORM_ALL_NEAR)
        move_away_and_back(air, at, count);
    uint64_t hash = 14695981039346656037u;
    for (uint64_t now_us = 0; now_us < 120000000; now_us += 70000) {
        struct air_event ev;
        while (air_poll_event(air, now_us, &ev)) {
            uint64_t parts[] = { ev.type, ev.at_us, ev.sender, ev.receiver, (uint64_t)ev.rssi_dbm,
                                 (uint64_t)ev.snr_db_x4, ev.heard_count };
            hash = hash_more(hash, parts, sizeof parts / sizeof parts[0]);
        }
        stir(air, now_us, count, at);
        x = x * 6364136223846793005u + 1442695040888963407u;
        uint32_t radio = (uint32_t)((x >> 33) % count);
        /* The same radio now weakly, now strongly. */
        int32_t eirp_dbm_x100 = 1400 - 100 * (int32_t)(x >> 40 & 7);
        if (!air_busy(air, now_us, radio))
            (void)start_at(air, now_us, radio, 1 + (size_t)(x >> 20) % 200, eirp_dbm_x100);
    }
    air_counts(air, counts_out);
    hash = hash_counts(air, count, hash);
    free(air);
    free(at);
    free(losses);
    return hash;
}

static void test_air_same_seed_gives_the_same_events(void **state)
{
    struct air_counts a, b, c;
    (void)state;
    uint64_t first = storm(60, 1, STORM_PLAIN, &a);
    assert_true(storm(60, 1, STORM_PLAIN, &b) == first);
    assert_true(storm(60, 2, STORM_PLAIN, &c) != first);
    assert_memory_equal(&a, &b, sizeof a);
    assert_true(a.rx_frames > 1000 && a.collided > 100 && a.below_sensitivity > 1000 &&
                a.half_duplex_lost > 10 && a.dropped > 10);
}

static void test_air_leaves_out_only_whom_no_frame_could_reach(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct air_counts plain, table, near;
        uint64_t hash = storm(200, seed, STORM_PLAIN, &plain);
        assert_true(storm(200, seed, STORM_TABLE, &table) == hash);
        assert_true(storm(200, seed, STORM_ALL_NEAR, &near) == hash);
        assert_memory_equal(&plain, &table, sizeof plain);
        assert_memory_equal(&plain, &near, sizeof plain);
        assert_true(plain.rx_frames > 1000 && plain.below_sensitivity > 100000);
    }
}

static void test_air_holds_a_thousand_radios_in_little_memory(void **state)
{
    struct air_config config = base_config();
    struct air_counts counts;
    struct air_position at[2] = { { 0, 0 }, { 1, 1 } };
    (void)state;
    config.model = AIR_LOG_DISTANCE;
    config.positions = at;
    config.ref_m = 1;
    config.radio_count = 1000;
    assert_in_range(air_storage_len(&config), 1, 4000000);
    (void)storm(1000, 1, STORM_PLAIN, &counts);
    assert_true(counts.rx_frames > 1000);
}

static void test_air_shadowing_is_a_property_of_the_ordered_pair(void **state)
{
    struct air_position at[40];
    for (int32_t i = 0; i < 40; i++)
        at[i] = (struct air_position){ i * 100, 0 };
    struct air_config config = base_config();
    config.radio_count = 40;
    config.model = AIR_LOG_DISTANCE;
    config.positions = at;
    config.ref_m = 1;
    config.exponent_x100 = 300;
    struct air *plain = make(&config);
    config.shadow_sigma_db_x100 = 600;
    struct air *air = make(&config);
    double sum = 0, squares = 0;
    unsigned asymmetric = 0;
    (void)state;
    assert_int_equal(air_loss_db_x100(plain, 0, 10), 9000); /* 1000 m, exponent 3 */
    for (uint32_t i = 0; i < 40; i++) {
        for (uint32_t j = 0; j < 40; j++) {
            double d = air_loss_db_x100(air, i, j) - air_loss_db_x100(plain, i, j);
            assert_int_equal(air_loss_db_x100(air, i, j), air_loss_db_x100(air, i, j));
            asymmetric += air_loss_db_x100(air, i, j) != air_loss_db_x100(air, j, i);
            sum += d;
            squares += d * d;
        }
    }
    assert_true(sum / 1600 > -60 && sum / 1600 < 60);
    assert_true(squares / 1600 > 540.0 * 540 && squares / 1600 < 660.0 * 660);
    assert_true(asymmetric > 1500);
    free(plain);
    free(air);
}

static void test_air_refuses_what_makes_no_sense(void **state)
{
    struct air_config config = base_config();
    struct air *air = make(&config);
    uint8_t frame[256] = { 0 };
    uint64_t end_us;
    struct lora_params bad = sf9;
    bad.sf = 13;
    (void)state;
    assert_int_equal(air_start_tx(air, 0, N, frame, 1, &sf9, 0, &end_us), AIR_EPARAM);
    assert_int_equal(air_start_tx(air, 0, 0, frame, 0, &sf9, 0, &end_us), AIR_EPARAM);
    assert_int_equal(air_start_tx(air, 0, 0, frame, 256, &sf9, 0, &end_us), AIR_EPARAM);
    assert_int_equal(air_start_tx(air, 0, 0, frame, 1, &bad, 0, &end_us), AIR_EPARAM);
    assert_int_equal(air_tune(air, 0, 0, &bad), AIR_EPARAM);
    (void)start(air, 0, 0, 10);
    assert_int_equal(air_start_tx(air, 1, 0, frame, 1, &sf9, 0, &end_us), AIR_ESENDING);
    assert_int_equal(air_init(air, 10, &config, &air), AIR_ESTORAGE);
    free(air);
    config.radio_count = 0;
    assert_int_equal(air_storage_len(&config), 0);
    config = base_config();
    config.frame_loss_ppm = AIR_PPM + 1;
    assert_int_equal(air_storage_len(&config), 0);
    config = base_config();
    config.loss_db_x100 = NULL;
    assert_int_equal(air_storage_len(&config), 0);
    config = base_config();
    config.tx_count_max = 2;
    air = make(&config);
    (void)start(air, 0, 0, 10);
    (void)start(air, 0, 1, 10);
    assert_int_equal(air_start_tx(air, 0, 2, frame, 1, &sf9, 0, &end_us), AIR_EFULL);
    free(air);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_air_keeps_families_apart_which_still_drown_each_other),
        cmocka_unit_test(test_air_delivers_to_those_in_range_and_to_no_other),
        cmocka_unit_test(test_air_decides_overlaps_by_capture),
        cmocka_unit_test(test_air_loses_both_of_two_equal_frames),
        cmocka_unit_test(test_air_collides_with_what_ended_before),
        cmocka_unit_test(test_air_keeps_other_tunings_apart),
        cmocka_unit_test(test_air_reaches_no_radio_that_was_off_or_retuned_for_a_part),
        cmocka_unit_test(test_air_cut_frame_is_heard_by_nobody),
        cmocka_unit_test(test_air_links_and_cuts_part_radios),
        cmocka_unit_test(test_air_carrier_sense_hears_the_channel),
        cmocka_unit_test(test_air_faults_strike_as_often_as_they_are_set),
        cmocka_unit_test(test_air_same_seed_gives_the_same_events),
        cmocka_unit_test(test_air_leaves_out_only_whom_no_frame_could_reach),
        cmocka_unit_test(test_air_holds_a_thousand_radios_in_little_memory),
        cmocka_unit_test(test_air_shadowing_is_a_property_of_the_ordered_pair),
        cmocka_unit_test(test_air_refuses_what_makes_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
