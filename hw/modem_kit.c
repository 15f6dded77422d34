#include "hw/modem_kit.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "hw/kiss.h"

bool modem_kit_has_room(const struct modem_kit *kit)
{
    return kit->event_count + MODEM_KIT_ROOM <= MODEM_KIT_EVENT_COUNT;
}

struct modem_event *modem_kit_push(struct modem_kit *kit, enum modem_event_type type)
{
    assert(kit->event_count < MODEM_KIT_EVENT_COUNT);
    unsigned index = (kit->event_first + kit->event_count) % MODEM_KIT_EVENT_COUNT;
    kit->event_count++;
    kit->events[index] = (struct modem_event){ .type = type };
    return &kit->events[index];
}

bool modem_kit_poll_event(struct modem_kit *kit, struct modem_event *event_out)
{
    if (kit->event_count == 0)
        return false;
    *event_out = kit->events[kit->event_first];
    kit->event_first = (uint8_t)((kit->event_first + 1) % MODEM_KIT_EVENT_COUNT);
    kit->event_count--;
    return true;
}

void modem_kit_say(struct modem_event *ev, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(ev->text, sizeof ev->text, format, args); /* cut when too long */
    va_end(args);
}

/* Where the next bytes go; what was taken makes room once all is. */
static uint8_t *out_end(struct modem_kit *kit, size_t *room_out)
{
    if (kit->out_at == kit->out_len)
        kit->out_at = kit->out_len = 0;
    *room_out = (size_t)(MODEM_KIT_OUT_LEN - kit->out_len);
    return kit->out + kit->out_len;
}

bool modem_kit_put(struct modem_kit *kit, const void *bytes, size_t len)
{
    size_t room;
    uint8_t *end = out_end(kit, &room);
    if (len > room)
        return false;
    memcpy(end, bytes, len);
    kit->out_len = (uint16_t)(kit->out_len + len);
    return true;
}

bool modem_kit_put_kiss(struct modem_kit *kit, uint8_t type, const uint8_t *payload, size_t len)
{
    size_t room;
    uint8_t *end = out_end(kit, &room);
    size_t n = kiss_encode(type, payload, len, end, room);
    kit->out_len = (uint16_t)(kit->out_len + n);
    return n > 0;
}

size_t modem_kit_output_len(const struct modem_kit *kit)
{
    return (size_t)(kit->out_len - kit->out_at);
}

size_t modem_kit_poll_output(struct modem_kit *kit, uint8_t *buf, size_t cap)
{
    size_t len = modem_kit_output_len(kit);
    if (len > cap)
        len = cap;
    memcpy(buf, kit->out + kit->out_at, len);
    kit->out_at = (uint16_t)(kit->out_at + len);
    return len;
}

bool modem_kit_has_output(const struct modem_kit *kit)
{
    return modem_kit_output_len(kit) > 0;
}

void modem_kit_drop_output(struct modem_kit *kit)
{
    kit->out_at = kit->out_len = 0;
}
