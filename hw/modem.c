#include "hw/modem.h"

#include <assert.h>
#include <string.h>

#include "hw/modem_kiss.h"

static const struct modem_driver *const drivers[] = { &modem_kiss_driver };

const struct modem_driver *modem_driver_at(size_t index)
{
    return index < sizeof drivers / sizeof drivers[0] ? drivers[index] : NULL;
}

const struct modem_driver *modem_driver_find(const char *name)
{
    const struct modem_driver *driver;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++) {
        if (strcmp(driver->name, name) == 0)
            return driver;
    }
    return NULL;
}

struct modem_settings modem_settings_default(const struct lora_params *lora, int8_t power_dbm)
{
    enum {
        SENSE_SYMBOLS = 6,
        STEP_MS = 10,
        SLOT_MS_MIN = 20,
        SLOT_MS_MAX = 2550,
        US_PER_MS = 1000,
    };

    /* A slot must outlast the symbols a receiver needs to notice a preamble.  A wait after
     * winning the slot only widens the gap in which nobody listens: none. */
    uint32_t slot_ms = SLOT_MS_MIN;
    if (lora->bw_hz > 0 && lora->sf <= LORA_SF_MAX)
        slot_ms = SENSE_SYMBOLS * lora_symbol_us(lora) / US_PER_MS;
    slot_ms = (slot_ms + STEP_MS - 1) / STEP_MS * STEP_MS;
    if (slot_ms < SLOT_MS_MIN)
        slot_ms = SLOT_MS_MIN;
    if (slot_ms > SLOT_MS_MAX)
        slot_ms = SLOT_MS_MAX;
    return (struct modem_settings){
        .lora = *lora,
        .power_dbm = power_dbm,
        .csma_persistence = 127,
        .csma_slot_ms = (uint16_t)slot_ms,
        .tx_delay_ms = 0,
        .ping_idle_ms = 0,
    };
}

int modem_init(struct modem *m, const struct modem_driver *driver,
               const struct modem_settings *settings, uint64_t now_ms)
{
    assert(driver->state_len <= sizeof m->state);
    m->driver = driver;
    return driver->init(m->state, settings, now_ms);
}

void modem_on_open(struct modem *m, uint64_t now_ms)
{
    m->driver->on_open(m->state, now_ms);
}

void modem_on_close(struct modem *m, uint64_t now_ms)
{
    m->driver->on_close(m->state, now_ms);
}

size_t modem_on_bytes(struct modem *m, uint64_t now_ms, const uint8_t *buf, size_t len)
{
    return m->driver->on_bytes(m->state, now_ms, buf, len);
}

void modem_on_time(struct modem *m, uint64_t now_ms)
{
    m->driver->on_time(m->state, now_ms);
}

size_t modem_poll_output(struct modem *m, uint64_t now_ms, uint8_t *buf, size_t cap)
{
    return m->driver->poll_output(m->state, now_ms, buf, cap);
}

bool modem_poll_event(struct modem *m, uint64_t now_ms, struct modem_event *event_out)
{
    return m->driver->poll_event(m->state, now_ms, event_out);
}

int modem_send(struct modem *m, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    return m->driver->send(m->state, now_ms, frame, len);
}

bool modem_can_send(const struct modem *m)
{
    return m->driver->can_send(m->state);
}

uint64_t modem_next_deadline(const struct modem *m)
{
    return m->driver->next_deadline(m->state);
}

uint32_t modem_airtime_us(const struct modem *m, size_t len)
{
    return m->driver->airtime_us(m->state, len);
}

void modem_stats(const struct modem *m, struct modem_stats *stats_out)
{
    m->driver->stats(m->state, stats_out);
}

const char *modem_strerror(int err)
{
    switch (err) {
    case MODEM_OK: return "ok";
    case MODEM_ESETTINGS: return "a setting is out of range for this modem";
    case MODEM_ENOTREADY: return "the modem is not configured yet";
    case MODEM_EBUSY: return "the frame before is not done yet";
    case MODEM_ELEN: return "the frame is empty or too long for this modem";
    }
    return "unknown modem error";
}
