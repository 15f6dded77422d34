/* emu_meshtastic.h - a board with Meshtastic's firmware in software: its console, its client API on
 * the serial line, its queue and channel access, its packets on the air.
 *
 * A pure state machine over bytes and virtual time.  It behaves as the firmware does where a host
 * or another board can tell the difference.  It departs from it in this: a channel with a key is
 * enciphered by a stand-in, because only who can read it matters here; boards know each other's
 * names already, unless a test says that they are strangers; and a signature is any
 * 64 bytes, which nobody checks.
 *
 * Source    Facts on the firmware, 2.5 to 2.8: meshtastic.org's pages and observed conversations.
 */
#ifndef KENG_HW_EMU_MESHTASTIC_H
#define KENG_HW_EMU_MESHTASTIC_H

#include "hw/emu.h"
#include "hw/meshtastic.h"

enum {
    EMU_MESHTASTIC_QUEUE_COUNT = 16, /* to the air */
    EMU_MESHTASTIC_HOST_COUNT = 8,   /* packets to the host; more are dropped */
    EMU_MESHTASTIC_HOST_LEN = 360,
    EMU_MESHTASTIC_SEEN_COUNT = 32,
    EMU_MESHTASTIC_RECENT_COUNT = 20,
    EMU_MESHTASTIC_MINUTE_COUNT = 60,
    EMU_MESHTASTIC_MET_COUNT = 16,
};

enum emu_meshtastic_quirk {
    EMU_MESHTASTIC_SIGNS,  /* firmware 2.8 */
    EMU_MESHTASTIC_FLOODS, /* an older one: all its nodes follow, whatever was asked for */
    EMU_MESHTASTIC_LOGS,   /* its log goes to the host as messages, between all others */
};

/* What its flash keeps. */
struct emu_meshtastic_kept {
    uint32_t role, repeat;
    bool managed;
    bool use_preset, tx_enabled, override_duty;
    uint32_t preset, bandwidth, sf, cr, region, hop_limit;
    int32_t power_dbm;
    float offset, freq_mhz;
    uint8_t name_len, key_len;
    uint8_t name[12], key[32];
};

struct emu_meshtastic_air { uint32_t id; uint16_t len; uint8_t bytes[MESHTASTIC_AIR_LEN_MAX]; };
struct emu_meshtastic_host { uint16_t len; uint8_t bytes[EMU_MESHTASTIC_HOST_LEN]; };

/* The firmware's state, in emu->state: tests look into it. */
struct emu_meshtastic {
    bool flashed; /* kept holds something */
    struct emu_meshtastic_kept kept;
    uint32_t node;
    const char *version;

    struct lora_params lora; /* what the radio has */
    uint64_t reboot_at_us;   /* 0: none */
    uint64_t heard_at_us;    /* the host, last */

    /* The client API. */
    struct meshtastic_decoder decoder;
    bool frames_only;   /* a frame has come: no more plain text */
    bool flooding, open; /* it tells its settings; it delivers packets */
    bool heartbeat;
    uint32_t nonce;
    unsigned flood_index;
    uint32_t message_count;
    uint32_t recent[EMU_MESHTASTIC_RECENT_COUNT];
    unsigned recent_count;
    uint8_t host_first, host_count;
    struct emu_meshtastic_host host[EMU_MESHTASTIC_HOST_COUNT];

    /* The air. */
    uint8_t tx_first, tx_count;
    struct emu_meshtastic_air tx[EMU_MESHTASTIC_QUEUE_COUNT];
    bool sending;
    uint64_t tx_timer_us, tx_end_us; /* 0: none is running */
    uint64_t beacon_at_us, introduced_at_us;
    bool strangers;      /* a test may say so: it introduces itself to boards that it meets */
    bool counts_nothing; /* the same: too old to tell how many packets it has sent */
    unsigned met_count;
    uint32_t met[EMU_MESHTASTIC_MET_COUNT];
    uint32_t sent_count;
    uint32_t seen[EMU_MESHTASTIC_SEEN_COUNT];
    unsigned seen_count;
    uint64_t minute; /* the one that is counted */
    uint32_t sent_ms[EMU_MESHTASTIC_MINUTE_COUNT];
};

extern const struct emu_model emu_meshtastic_model;

#endif
