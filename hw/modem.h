/* modem.h - the one interface between a node and a LoRa modem.
 *
 * A driver is a pure state machine over the bytes of a serial port: no I/O, no
 * clock, no heap, no globals.  The caller owns the port (serial.h) and does:
 *
 *     port (re)opened          -> modem_on_open
 *     bytes came from the port -> modem_on_bytes, then drain modem_poll_event
 *     deadline passed          -> modem_on_time, then drain modem_poll_event
 *     after each of these      -> modem_poll_output until 0, write it to the port;
 *                                 modem_poll_port, set what it says (lines.h, serial.h)
 *     an input line changed    -> modem_on_lines
 *     port gone                -> modem_on_close, then drain modem_poll_event
 *     sleep until modem_next_deadline or the next byte
 *
 * A modem is not trusted to hold its settings: after every open, and whenever it
 * seems to have restarted, the driver writes frequency, bandwidth, SF, CR and
 * power, reads them back, and refuses to send until they are equal.
 *
 * Time      now_ms: one monotonic clock of the caller's choosing; never goes back.
 * Memory    All state is in struct modem.  Inputs are copied before return, outputs
 *           are copied into the caller's storage.  Nothing points into struct modem,
 *           so it may be moved; it may not be shared between threads.
 * Errors    0 or a negative enum modem_err for what the caller got wrong.  Bytes
 *           from the port are never an error: events and counters tell.
 * Airtime   Every frame accepted by modem_send ends in exactly one MODEM_EV_TX_DONE
 *           or MODEM_EV_REFUSED, also when the port goes away.  TX_DONE of any
 *           result means the airtime counts as spent; REFUSED means it does not.
 *           What the modem was found to have sent by itself is a MODEM_EV_SPENT.
 */
#ifndef KENG_HW_MODEM_H
#define KENG_HW_MODEM_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"

#define MODEM_NEVER UINT64_MAX

enum {
    MODEM_FRAME_LEN_MAX = LORA_PAYLOAD_LEN_MAX,
    MODEM_TEXT_LEN = 160,   /* event text with its NUL */
    MODEM_STATE_LEN = 8192, /* room for any driver's state */
    MODEM_OPTIONS_LEN = 128,
    MODEM_INTEROP_LEN = 64,
    MODEM_CALL_LEN = 10,    /* a call sign with its -15 and NUL */
};

/* Wires beside the two of the serial port, as bits. */
enum modem_line {
    MODEM_LINE_M0 = 1,    /* to the modem: its mode */
    MODEM_LINE_M1 = 2,
    MODEM_LINE_RESET = 4, /* to the modem: set while it is held in reset */
    MODEM_LINE_AUX = 8,   /* from the modem: set while it is idle */
    MODEM_LINES_OUT = MODEM_LINE_M0 | MODEM_LINE_M1 | MODEM_LINE_RESET,
};

enum modem_err {
    MODEM_OK = 0,
    MODEM_ESETTINGS = -1, /* a setting is out of range for this modem; the text says which */
    MODEM_ENOTREADY = -2, /* not configured and verified (yet, or any more) */
    MODEM_EBUSY = -3,     /* the frame before is not done yet */
    MODEM_ELEN = -4,      /* empty, or longer than caps.mtu_len */
};

enum modem_cca {
    MODEM_CCA_NONE,     /* sends at once: the caller must spread its frames */
    MODEM_CCA_IN_MODEM, /* the modem listens before it talks */
};

/* Whatever the modem is, one send is one frame at the other side, any bytes, never merged or
 * split: a driver of a byte pipe frames, one of a text modem encodes.  mtu_len is what is left. */
struct modem_caps {
    uint16_t mtu_len;         /* largest frame */
    uint8_t overhead_len;     /* bytes that modem and driver add on air to each frame */
    uint8_t tx_pending_count; /* frames it holds before the first is done */
    enum modem_cca cca;
    bool has_rssi, has_snr;   /* with every frame heard; else the event says 0 for the absent one */
    bool reports_tx_done;     /* false: TX_DONE is estimated from the airtime */
    bool reads_back_settings; /* false: READY means written, not verified */
    bool sets_preamble;       /* false: the modem chooses; see READY.lora */
    bool closed;              /* modulation not published: lora.sf and cr are the driver's guess */
    bool amateur;             /* lawful only under an amateur licence: needs amateur_call */
    uint8_t lines_needed;     /* enum modem_line: cannot work without */
    uint8_t lines_used;       /* works better with */
};

struct modem_settings {
    struct lora_params lora;  /* of a closed modem freq_hz only; preamble if caps.sets_preamble */
    int8_t power_dbm;         /* conducted, at the antenna socket */
    uint8_t csma_persistence; /* 0..255: chance (p + 1) / 256 to send in a free slot */
    uint16_t csma_slot_ms;    /* a multiple of 10, 10..2550 */
    uint16_t tx_delay_ms;     /* wait after winning the slot; a multiple of 10, 0..2550 */
    uint32_t ping_idle_ms;    /* ask a silent modem whether it lives; 0: default 60 s */
    uint8_t lines;            /* enum modem_line: which wires there are */
    char amateur_call[MODEM_CALL_LEN]; /* whose amateur licence this is sent under; empty: none */
    char options[MODEM_OPTIONS_LEN]; /* "key=value …" of this driver only; see its header */
};

/* What a driver asks of the port it does not own. */
struct modem_port {
    uint32_t baud;
    uint8_t lines; /* enum modem_line: outputs that are set */
};

/* Where and how loudly this modem will send, and who can hear it. */
struct modem_air {
    struct lora_params lora; /* a closed modem: bw_hz is the widest it may occupy */
    int8_t power_dbm;
    char interop[MODEM_INTEROP_LEN]; /* modems with the same word hear each other */
};

enum modem_event_type {
    MODEM_EV_READY,    /* configured and verified: may send.  lora */
    MODEM_EV_RX,       /* a frame was heard.  frame, len, has_signal, rssi_dbm, snr_db_x4 */
    MODEM_EV_TX_DONE,  /* the outstanding frame is over.  tx_result, airtime_us, text if failed */
    MODEM_EV_REFUSED,  /* the modem rejected the outstanding frame: it was not on air.  text */
    MODEM_EV_SPENT,    /* it has sent something of its own.  airtime_us, at least what it took */
    MODEM_EV_MISMATCH, /* read back differs from what was written; tried again later.  text */
    MODEM_EV_SILENT,   /* no answer any more; tried again later.  text */
    MODEM_EV_FAULT,    /* the modem says or does something it should not.  text */
};

enum modem_tx_result {
    MODEM_TX_SENT,
    MODEM_TX_FAILED,  /* the modem reports failure; it may have been on air in part */
    MODEM_TX_UNKNOWN, /* no answer in the longest possible time, or the modem went away */
};

struct modem_event {
    enum modem_event_type type;
    enum modem_tx_result tx_result;
    uint32_t airtime_us;     /* what to charge: for the frame just done, or what it sent itself */
    struct lora_params lora; /* what is in force, with the modem's own preamble */
    bool has_signal;         /* rssi_dbm and snr_db_x4 are known, as far as caps promise */
    int16_t rssi_dbm;
    int16_t snr_db_x4;
    uint16_t len;
    uint8_t frame[MODEM_FRAME_LEN_MAX];
    char text[MODEM_TEXT_LEN]; /* one line, NUL-ended; empty where there is nothing to say */
};

/* They only grow. */
struct modem_stats {
    uint64_t rx_frames, rx_bytes;
    uint64_t rx_without_signal; /* its signal report was lost */
    uint64_t tx_sent, tx_failed, tx_unknown, tx_refused;
    uint64_t tx_bytes;       /* of frames handed to the modem and not refused */
    uint64_t tx_airtime_us;  /* of frames handed to the modem and not refused */
    uint64_t garbled;        /* pieces of input that are no frame of the protocol */
    uint64_t unexpected;     /* well-formed, but nobody asked */
    uint64_t replies_lost;   /* commands repeated for want of an answer */
    uint64_t configured;     /* times the settings were verified */
    uint64_t restarts_seen;  /* times the modem was found without its settings */
    uint64_t mismatches, silences;
};

struct modem_driver {
    const char *name;        /* in configuration files: "meshcore-kiss" */
    const char *description; /* one line for people */
    uint32_t baud;           /* to open the port with */
    struct modem_caps caps;
    size_t state_len;        /* at most MODEM_STATE_LEN */
    int (*init)(void *state, const struct modem_settings *settings, uint64_t now_ms,
                char text[MODEM_TEXT_LEN]);
    void (*on_open)(void *state, uint64_t now_ms);
    void (*on_close)(void *state, uint64_t now_ms);
    size_t (*on_bytes)(void *state, uint64_t now_ms, const uint8_t *buf, size_t len);
    void (*on_time)(void *state, uint64_t now_ms);
    size_t (*poll_output)(void *state, uint64_t now_ms, uint8_t *buf, size_t cap);
    bool (*poll_event)(void *state, uint64_t now_ms, struct modem_event *event_out);
    int (*send)(void *state, uint64_t now_ms, const uint8_t *frame, size_t len); /* len is lawful */
    bool (*can_send)(const void *state);
    uint64_t (*next_deadline)(const void *state);
    uint32_t (*airtime_us)(const void *state, size_t len);
    void (*air)(const void *state, struct modem_air *air_out);
    void (*stats)(const void *state, struct modem_stats *stats_out);
    /* NULL for a modem with one speed and no wires. */
    bool (*poll_port)(void *state, uint64_t now_ms, struct modem_port *port_out);
    void (*on_lines)(void *state, uint64_t now_ms, uint8_t lines);
};

struct modem {
    const struct modem_driver *driver;
    alignas(max_align_t) uint8_t state[MODEM_STATE_LEN];
};

/* The driver of that name, or NULL. */
const struct modem_driver *modem_driver_find(const char *name);
/* The index-th driver, or NULL past the last: for listing. */
const struct modem_driver *modem_driver_at(size_t index);

/* Sensible channel access for a mesh of signed broadcasts; the rest is the caller's. */
struct modem_settings modem_settings_default(const struct lora_params *lora, int8_t power_dbm);

/* Builds the state, with the port taken as closed.  MODEM_ESETTINGS leaves m unusable and says
 * in text, one line, which setting and why. */
int modem_init(struct modem *m, const struct modem_driver *driver,
               const struct modem_settings *settings, uint64_t now_ms, char text[MODEM_TEXT_LEN])
    __attribute__((warn_unused_result));
/* The port is open: whatever was half-read is forgotten, configuring starts. */
void modem_on_open(struct modem *m, uint64_t now_ms);
/* The port is gone: an outstanding frame ends as MODEM_TX_UNKNOWN. */
void modem_on_close(struct modem *m, uint64_t now_ms);
/* Takes bytes from the port.  Returns how many were taken: fewer than len only when
 * events wait to be drained; drain modem_poll_event and offer the rest again. */
size_t modem_on_bytes(struct modem *m, uint64_t now_ms, const uint8_t *buf, size_t len)
    __attribute__((warn_unused_result));
/* Something may be due; harmless when nothing is. */
void modem_on_time(struct modem *m, uint64_t now_ms);
/* Next bytes to write to the port, at most cap; 0 when there are none.  What was
 * returned must be written, all and in order. */
size_t modem_poll_output(struct modem *m, uint64_t now_ms, uint8_t *buf, size_t cap);
/* The speed and lines the port must have from now on, or false: nothing changed.  After
 * modem_poll_output gave 0.  A driver asks only when what it wrote before must have left the port:
 * the caller sets it at once.  The first after every opening says how to begin. */
bool modem_poll_port(struct modem *m, uint64_t now_ms, struct modem_port *port_out);
/* The input lines as they are: after every opening and when one changed. */
void modem_on_lines(struct modem *m, uint64_t now_ms, uint8_t lines);
/* Next event, or false. */
bool modem_poll_event(struct modem *m, uint64_t now_ms, struct modem_event *event_out);
/* Hands over one frame: MODEM_OK, or nothing was changed. */
int modem_send(struct modem *m, uint64_t now_ms, const uint8_t *frame, size_t len)
    __attribute__((warn_unused_result));
/* Would modem_send of a frame of lawful length be taken now? */
bool modem_can_send(const struct modem *m);
/* When to call modem_on_time if nothing else happens, or MODEM_NEVER. */
uint64_t modem_next_deadline(const struct modem *m);
/* Time on air of a frame of len bytes in this modem, with its overhead and preamble: what
 * the airtime ledger must charge.  Before READY: an upper bound by the settings. */
uint32_t modem_airtime_us(const struct modem *m, size_t len);
/* What the law looks at (law.h), before anything is sent; from modem_init on. */
void modem_air(const struct modem *m, struct modem_air *air_out);
void modem_stats(const struct modem *m, struct modem_stats *stats_out);
/* Static text for an enum modem_err. */
const char *modem_strerror(int err);

/* ---- for drivers ------------------------------------------------------------------ */

/* One key of settings.options.  A number has text NULL; value holds the default before. */
struct modem_option {
    const char *key;
    int32_t min, max, value;
    char *text;      /* a word of at most cap - 1 bytes; untouched when the key is absent */
    size_t text_cap;
};

/* Reads settings->options into known[].  MODEM_ESETTINGS with text for an unknown key, one given
 * twice, or a value out of range. */
int modem_options_read(const struct modem_settings *settings, struct modem_option *known,
                       size_t count, char text[MODEM_TEXT_LEN])
    __attribute__((warn_unused_result));
/* Writes one line into text, cut when too long, and returns MODEM_ESETTINGS. */
int modem_bad_setting(char text[MODEM_TEXT_LEN], const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
