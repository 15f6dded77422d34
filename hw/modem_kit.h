/* modem_kit.h - what every driver holds and does alike: events on their way to the caller, bytes
 * on their way to the port, counters.
 *
 * Time      Constant, but for copying.
 * Memory    struct modem_kit is a part of the driver's state; it may be moved.
 * Errors    None.  One input may push at most MODEM_KIT_ROOM events: a driver takes the next
 *           byte or deadline only while modem_kit_has_room.
 */
#ifndef KENG_HW_MODEM_KIT_H
#define KENG_HW_MODEM_KIT_H

#include "hw/modem.h"

enum {
    MODEM_KIT_OUT_LEN = 1024,
    MODEM_KIT_EVENT_COUNT = 8,
    MODEM_KIT_ROOM = 5,
};

struct modem_kit {
    struct modem_stats stats;
    uint16_t out_at, out_len;
    uint8_t out[MODEM_KIT_OUT_LEN];
    uint8_t event_first, event_count;
    struct modem_event events[MODEM_KIT_EVENT_COUNT];
};

bool modem_kit_has_room(const struct modem_kit *kit);
/* A new event, empty but for its type, to be filled in before anything else. */
struct modem_event *modem_kit_push(struct modem_kit *kit, enum modem_event_type type);
bool modem_kit_poll_event(struct modem_kit *kit, struct modem_event *event_out);
/* One line; cut when too long. */
void modem_kit_say(struct modem_event *ev, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* All of the bytes go to the port, or none: the port has taken nothing for a while. */
bool modem_kit_put(struct modem_kit *kit, const void *bytes, size_t len);
/* The same for one KISS frame. */
bool modem_kit_put_kiss(struct modem_kit *kit, uint8_t type, const uint8_t *payload, size_t len);
size_t modem_kit_poll_output(struct modem_kit *kit, uint8_t *buf, size_t cap);
/* Bytes which the caller has not taken. */
size_t modem_kit_output_len(const struct modem_kit *kit);
bool modem_kit_has_output(const struct modem_kit *kit);
void modem_kit_drop_output(struct modem_kit *kit);

#endif
