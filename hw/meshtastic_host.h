/* meshtastic_host.h - the messages of Meshtastic's stream as a host writes and reads them: what a
 * board is asked, what it says of itself, and whether that is as wanted.  When to ask is the
 * driver's affair (modem_meshtastic.c).
 *
 * Source    As meshtastic.h.
 * Time      Pure; linear in the message.
 * Memory    The caller's.  A packet that was read points into its message.
 * Errors    Readers say false for what is malformed or something else.  A writer must be of
 *           MESHTASTIC_HOST_LEN_MAX; whatever it writes fits (asserted).
 */
#ifndef KENG_HW_MESHTASTIC_HOST_H
#define KENG_HW_MESHTASTIC_HOST_H

#include "hw/meshtastic.h"
#include "hw/pb.h"
#include "proto/airtime.h"

enum {
    MESHTASTIC_HOST_LEN_MAX = 480, /* longest message that is written */
    MESHTASTIC_PART_LEN_MAX = 192, /* longest part of the settings that is understood */
};

/* As a board is to be set. */
struct meshtastic_wanted {
    struct lora_params lora;
    int8_t power_dbm;
    uint32_t region;
};

/* A part of the settings as it was read. */
struct meshtastic_part { bool known; uint16_t len; uint8_t bytes[MESHTASTIC_PART_LEN_MAX]; };

/* What a board said of itself since it was greeted. */
struct meshtastic_board {
    uint32_t node; /* 0: not yet */
    uint32_t version;
    bool managed;  /* it takes no settings from its own line */
    bool channel_known, channel_right;
    struct meshtastic_part device, lora;
};

struct meshtastic_packet {
    uint32_t from, request; /* request: whose answer it is */
    uint64_t channel, port, via_mqtt;
    bool has_rssi;
    int32_t rssi_dbm;
    float snr_db;
    const uint8_t *payload;
    size_t payload_len;
};

struct meshtastic_queue {
    uint64_t result; /* 0: it took the packet, if any */
    uint64_t free_count, size;
    uint32_t packet; /* 0: of none */
};

/* ---- settings ------------------------------------------------------------------------- */

/* As the board takes it: in its float, that is. */
float meshtastic_freq_mhz(uint32_t freq_hz);
/* Takes a message of the answer to the greeting, whichever; false: it is malformed. */
bool meshtastic_board_take(struct meshtastic_board *b, const struct pb_field *said);
/* All that is needed was said. */
bool meshtastic_board_known(const struct meshtastic_board *b);
bool meshtastic_board_right(const struct meshtastic_board *b, const struct meshtastic_wanted *want);
bool meshtastic_lora_right(const struct meshtastic_part *lora,
                           const struct meshtastic_wanted *want);
/* One line: what of a known board is not as wanted. */
void meshtastic_board_tell(const struct meshtastic_board *b, const struct meshtastic_wanted *want,
                           char *text, size_t cap);

/* ---- what goes to the board ----------------------------------------------------------- */

/* Asks for all that it has to say of itself. */
void meshtastic_put_hello(struct pb_writer *w);
/* Asks nothing but how its queue is. */
void meshtastic_put_heartbeat(struct pb_writer *w);
/* A frame for everybody. */
void meshtastic_put_frame(struct pb_writer *w, uint32_t id, const uint8_t *frame, size_t len);
/* A question or an order for the board itself, made by one of the functions below. */
void meshtastic_put_order(struct pb_writer *w, uint32_t node, uint32_t id, uint32_t port,
                          const struct pb_writer *order);
/* For PORT_ADMIN; whatever else the board has set stays. */
void meshtastic_put_device(struct pb_writer *w, const struct meshtastic_board *b);
void meshtastic_put_channel(struct pb_writer *w);
void meshtastic_put_lora(struct pb_writer *w, const struct meshtastic_board *b,
                         const struct meshtastic_wanted *want);
void meshtastic_put_reboot(struct pb_writer *w, uint32_t wait_s);
void meshtastic_put_ask_lora(struct pb_writer *w);
/* For PORT_TELEMETRY. */
void meshtastic_put_ask_count(struct pb_writer *w);

/* ---- what the board says -------------------------------------------------------------- */

/* What a message is about: the field that is not its number. */
bool meshtastic_read(const uint8_t *message, size_t len, struct pb_field *said_out);
bool meshtastic_read_queue(const struct pb_field *said, struct meshtastic_queue *queue_out);
bool meshtastic_read_packet(const struct pb_field *said, struct meshtastic_packet *packet_out);
/* The answer to meshtastic_put_ask_lora; the part stays unknown when it is too long. */
bool meshtastic_read_lora(const struct meshtastic_packet *p, struct meshtastic_part *lora_out);
/* The answer to meshtastic_put_ask_count: packets sent since it started. */
bool meshtastic_read_count(const struct meshtastic_packet *p, uint32_t *count_out);
/* Why a packet was not sent; false for other routing messages. */
bool meshtastic_read_refusal(const struct meshtastic_packet *p, uint64_t *code_out);
/* Static text. */
const char *meshtastic_refusal(uint64_t code);

#endif
