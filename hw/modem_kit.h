/* modem_kit.h - what every driver holds and does alike: how far it is with the modem, the one frame
 * that it was given, events on their way to the caller, bytes on their way to the port, counters.
 *
 * Time      Constant, but for copying.
 * Memory    struct modem_kit comes first in the driver's state; it may be moved.
 * Errors    None.  One input may push at most MODEM_KIT_ROOM events: a driver takes the next
 *           byte or deadline only while modem_kit_has_room.
 */
#ifndef KENG_HW_MODEM_KIT_H
#define KENG_HW_MODEM_KIT_H

#include "hw/kiss.h"
#include "hw/modem.h"

enum {
    MODEM_KIT_OUT_LEN = 1024,
    MODEM_KIT_EVENT_COUNT = 8,
    MODEM_KIT_ROOM = 5,
    MODEM_KIT_REST_MS_MAX = 60000,
};

enum modem_kit_mode {
    MODEM_KIT_CLOSED,
    MODEM_KIT_CONFIGURING,
    MODEM_KIT_READY,
    MODEM_KIT_RESTING, /* the modem would not be configured: tried again later */
};

/* Where the frame is that was handed over. */
enum modem_kit_tx {
    MODEM_KIT_TX_NONE,
    MODEM_KIT_TX_WAITING, /* here: the modem is first asked whether it is still set right */
    MODEM_KIT_TX_GIVEN,   /* on its way to the modem, in it, or on the air */
};

struct modem_kit {
    enum modem_kit_mode mode;
    enum modem_kit_tx tx;
    uint32_t tx_airtime_us;
    uint16_t tx_len;
    uint8_t tx_frame[MODEM_FRAME_LEN_MAX];
    uint64_t rest_until_ms;
    uint8_t mismatch_count; /* since it was ready or opened */
    struct modem_stats stats;
    uint16_t out_at, out_len;
    uint8_t out[MODEM_KIT_OUT_LEN];
    uint8_t event_first, event_count;
    struct modem_event events[MODEM_KIT_EVENT_COUNT];
};

bool modem_kit_has_room(const struct modem_kit *kit);
/* A new event, empty but for its type, to be filled in before anything else. */
struct modem_event *modem_kit_push(struct modem_kit *kit, enum modem_event_type type);
/* One line; cut when too long. */
void modem_kit_say(struct modem_event *ev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* It is configured and verified. */
void modem_kit_ready(struct modem_kit *kit, const struct lora_params *lora);
/* It reads back something else, or nothing comes: it is left alone for rest_ms, longer with every
 * further mismatch.  The event is to be filled in. */
struct modem_event *modem_kit_mismatch(struct modem_kit *kit, uint64_t now_ms, uint32_t rest_ms);
struct modem_event *modem_kit_silent(struct modem_kit *kit, uint64_t now_ms, uint32_t rest_ms);
/* A frame was heard; without a signal the two numbers are not looked at. */
void modem_kit_heard(struct modem_kit *kit, const uint8_t *frame, size_t len, bool has_signal,
                     int16_t rssi_dbm, int16_t snr_db_x4);

/* Keeps a frame to be sent, when it can be; else why it cannot, as modem_send says. */
int modem_kit_take(struct modem_kit *kit, bool can_send, const uint8_t *frame, size_t len,
                   uint32_t airtime_us);
/* It goes to the modem. */
void modem_kit_give_tx(struct modem_kit *kit);
/* It was not on the air: it waits again, or is over. */
void modem_kit_take_back_tx(struct modem_kit *kit);
void modem_kit_refuse_tx(struct modem_kit *kit, const char *why);
/* It is over, however that went. */
void modem_kit_end_tx(struct modem_kit *kit, enum modem_tx_result result, const char *why);
/* The port is gone; unsent: the modem cannot have all that makes it send the frame. */
void modem_kit_close(struct modem_kit *kit, bool unsent);

/* All of the bytes go to the port, or none: the port has taken nothing for a while. */
bool modem_kit_put(struct modem_kit *kit, const void *bytes, size_t len);
/* The same for one KISS frame. */
bool modem_kit_put_kiss(struct modem_kit *kit, uint8_t type, const uint8_t *payload, size_t len);
/* Bytes which the caller has not taken. */
size_t modem_kit_output_len(const struct modem_kit *kit);
bool modem_kit_has_output(const struct modem_kit *kit);
/* Takes KISS frames from the port, for as many as there is room; nothing while closed.  on_frame
 * gets the driver's state and finds the frame in the decoder. */
size_t modem_kit_on_kiss(struct modem_kit *kit, struct kiss_decoder *decoder, uint64_t now_ms,
                         const uint8_t *buf, size_t len,
                         void (*on_frame)(void *state, uint64_t now_ms));

uint64_t modem_kit_earlier(uint64_t a_ms, uint64_t b_ms);
/* Plain LoRa, heard by modems of the same family and modulation. */
void modem_kit_air(const char *family, const struct lora_params *lora, int8_t power_dbm,
                   struct modem_air *air_out);

/* ---- for the driver's table ----------------------------------------------------------- */

size_t modem_kit_poll_output(void *state, uint64_t now_ms, uint8_t *buf, size_t cap);
bool modem_kit_poll_event(void *state, uint64_t now_ms, struct modem_event *event_out);
/* Ready, and no frame is under way. */
bool modem_kit_can_send(const void *state);
void modem_kit_stats(const void *state, struct modem_stats *stats_out);

#endif
