#include "hw/modem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/modem_ebyte.h"
#include "hw/modem_kiss.h"
#include "hw/modem_meshtastic.h"
#include "hw/modem_rak3172.h"
#include "hw/modem_reyax.h"
#include "hw/modem_rnode.h"
#include "hw/modem_tnc.h"
#include "hw/modem_wio_e5.h"

/* In the order in which they are listed.  One line a driver, each under its family. */
static const struct modem_driver *const drivers[] = {
    /* boards with an open KISS firmware */
    &modem_kiss_driver,
    &modem_rnode_driver,
    /* Ebyte */
    &modem_ebyte_e22_driver,
    &modem_ebyte_e220_driver,
    &modem_ebyte_e32_driver,

    /* REYAX */
    &modem_rylr998_driver,
    &modem_rylr498_driver,
    &modem_rylr896_driver,

    /* raw LoRa behind AT commands */
    &modem_rak3172_driver,
    &modem_wio_e5_driver,

    /* mesh firmwares and amateur TNCs */
    &modem_meshtastic_driver,
    &modem_tnc_driver,
};

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

int modem_bad_setting(char text[MODEM_TEXT_LEN], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, MODEM_TEXT_LEN, format, args); /* cut when too long */
    va_end(args);
    return MODEM_ESETTINGS;
}

static struct modem_option *find_option(struct modem_option *known, size_t count, const char *key,
                                        size_t key_len)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(known[i].key) == key_len && memcmp(known[i].key, key, key_len) == 0)
            return &known[i];
    }
    return NULL;
}

static int take_option(struct modem_option *o, const char *value, int len,
                       char text[MODEM_TEXT_LEN])
{
    if (o->text) {
        if (len == 0 || (size_t)len >= o->text_cap)
            return modem_bad_setting(text, "option %s must have 1 to %zu letters", o->key,
                                     o->text_cap - 1);
        memcpy(o->text, value, (size_t)len);
        o->text[len] = '\0';
        return MODEM_OK;
    }
    char *end;
    long v = strtol(value, &end, 0);
    if (len == 0 || end != value + len || v < o->min || v > o->max)
        return modem_bad_setting(text, "option %s must be %ld to %ld, not '%.*s'", o->key,
                                 (long)o->min, (long)o->max, len, value);
    o->value = (int32_t)v;
    return MODEM_OK;
}

int modem_options_read(const struct modem_settings *settings, struct modem_option *known,
                       size_t count, char text[MODEM_TEXT_LEN])
{
    uint32_t seen = 0;
    const char *at = settings->options;
    assert(count <= 32);
    while (*(at += strspn(at, " "))) {
        size_t len = strcspn(at, " ");
        size_t key_len = strcspn(at, "= ");
        struct modem_option *o = find_option(known, count, at, key_len);
        if (!o || key_len == len)
            return modem_bad_setting(text, "'%.*s' is no option of this modem", (int)len, at);
        uint32_t bit = 1u << (o - known);
        if (seen & bit)
            return modem_bad_setting(text, "option %s is given twice", o->key);
        seen |= bit;
        int err = take_option(o, at + key_len + 1, (int)(len - key_len - 1), text);
        if (err != MODEM_OK)
            return err;
        at += len;
    }
    return MODEM_OK;
}

int modem_init(struct modem *m, const struct modem_driver *driver,
               const struct modem_settings *settings, uint64_t now_ms, char text[MODEM_TEXT_LEN])
{
    static const struct { uint8_t line; const char *name; } lines[] = {
        { MODEM_LINE_M0, "M0" }, { MODEM_LINE_M1, "M1" }, { MODEM_LINE_RESET, "RESET" },
        { MODEM_LINE_AUX, "AUX" },
    };
    assert(driver->state_len <= sizeof m->state);
    if (!memchr(settings->options, '\0', sizeof settings->options))
        return modem_bad_setting(text, "the modem's options are too long");
    if (!memchr(settings->amateur_call, '\0', sizeof settings->amateur_call))
        return modem_bad_setting(text, "the amateur call sign is too long");
    if (driver->caps.amateur && !settings->amateur_call[0])
        return modem_bad_setting(text, "%s needs an amateur licence: who holds one says so with "
                                 "amateur_call, their call sign", driver->name);
    if (!driver->caps.amateur && settings->amateur_call[0])
        return modem_bad_setting(text, "%s is no amateur modem: amateur_call has no place here",
                                 driver->name);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (driver->caps.lines_needed & ~settings->lines & lines[i].line)
            return modem_bad_setting(text, "%s needs its wire %s: the settings do not say where "
                                     "it goes", driver->name, lines[i].name);
    }
    m->driver = driver;
    return driver->init(m->state, settings, now_ms, text);
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

bool modem_poll_port(struct modem *m, uint64_t now_ms, struct modem_port *port_out)
{
    return m->driver->poll_port && m->driver->poll_port(m->state, now_ms, port_out);
}

void modem_on_lines(struct modem *m, uint64_t now_ms, uint8_t lines)
{
    if (m->driver->on_lines)
        m->driver->on_lines(m->state, now_ms, lines);
}

bool modem_poll_event(struct modem *m, uint64_t now_ms, struct modem_event *event_out)
{
    return m->driver->poll_event(m->state, now_ms, event_out);
}

int modem_send(struct modem *m, uint64_t now_ms, const uint8_t *frame, size_t len)
{
    if (len == 0 || len > m->driver->caps.mtu_len)
        return MODEM_ELEN;
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

void modem_air(const struct modem *m, struct modem_air *air_out)
{
    m->driver->air(m->state, air_out);
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
