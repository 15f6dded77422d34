/* at.h - what drivers of modems with AT commands do alike: lines in and out, one question at a
 * time with time-outs and tries, settings written and read back, one frame at a time.
 *
 * A driver gives its steps, in this order:
 *
 *     0 … check_step - 1           settings are written
 *     check_step … send_step - 1   settings are read back: also before every frame
 *     send_step                    the frame; left out where there is none
 *     send_step + 1 … step_count   what follows: a receiver switched on again
 *
 * A wrong answer to a check means a mismatch while configuring, a restarted modem later.
 *
 * Time      As modem.h says.
 * Memory    struct at comes first in the driver's state.
 * Errors    None beyond those of modem.h.
 */
#ifndef KENG_HW_AT_H
#define KENG_HW_AT_H

#include "hw/modem_kit.h"

enum {
    AT_LINE_LEN = 640, /* longest line of any such modem: a frame of 255 bytes in hex, and more */
    AT_STEP_NONE = 255,
};

/* What a line is to the question that is open. */
enum at_verdict {
    AT_OTHER,   /* nothing */
    AT_MORE,    /* a part of the answer */
    AT_DONE,    /* all of it, and well */
    AT_AGAIN,   /* busy, or the question came through damaged: asked again in a moment */
    AT_WRONG,   /* not as written, or not to be had; said by at_wrong */
    AT_REFUSED, /* the frame will not be sent; said by at_wrong */
    AT_FAILED,  /* the frame was on air at most in part; said by at_wrong */
};

struct at;

struct at_dialect {
    const char *name; /* of the modem, for people */
    uint32_t baud;
    uint8_t check_step, send_step, step_count;
    uint8_t idle_step; /* where a silent modem is asked from */
    uint16_t mtu_len;
    /* Bytes on air for a frame of len. */
    size_t (*air_len)(const struct at *a, size_t len);
    /* The step's question without its line end, NUL-ended; false to leave the step out. */
    bool (*question)(struct at *a, unsigned step, char line[AT_LINE_LEN]);
    /* A line, NUL-ended, which report did not take. */
    enum at_verdict (*answer)(struct at *a, uint64_t now_ms, unsigned step, const char *line);
    /* A line that comes unasked; false for anything else. */
    bool (*report)(struct at *a, uint64_t now_ms, const char *line, size_t len);
    /* Has this line, at its line feed, all its bytes?  NULL: a line feed always ends it. */
    bool (*is_whole)(const char *line, size_t len);
};

struct at {
    struct modem_kit kit;
    const struct at_dialect *dialect;
    struct modem_settings settings;
    struct lora_params lora;
    uint8_t header_len;     /* RNode's header byte before each frame: 1 or 0 */

    uint8_t step, try_count, restart_count;
    bool asked;             /* false: the question waits to be asked again */
    bool answered;          /* for dialects: the first part of the answer has come */
    uint64_t step_until_ms, check_at_ms;
    char why[MODEM_TEXT_LEN];

    uint8_t tx_try_count;
    uint64_t tx_lost_count; /* answers lost when its checks began: later, errors may be stale */
    uint64_t tx_from_ms;    /* waiting: not tried before; on air: the modem has the whole line */
    uint64_t tx_until_ms;   /* its end is estimated; MODEM_NEVER: not yet */

    bool has_signal;        /* told before the frame it belongs to */
    int16_t rssi_dbm, snr_db_x4;

    bool line_over;
    uint16_t line_len;
    uint64_t line_ms;
    char line[AT_LINE_LEN];
};

/* Takes checked settings and what of them is in force. */
void at_init(struct at *a, const struct at_dialect *dialect, const struct modem_settings *settings,
             const struct lora_params *lora);
/* Says why, one line, and returns the verdict. */
enum at_verdict at_say(struct at *a, enum at_verdict verdict, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A frame was heard. */
void at_heard(struct at *a, const uint8_t *frame, size_t len, bool has_signal, int16_t rssi_dbm,
              int16_t snr_db_x4);
/* The modem says that it has started. */
void at_restarted(struct at *a, uint64_t now_ms);

/* ---- modems that send plain LoRa ---------------------------------------------------- */

/* Reads the option `header=rnode`: each frame gets RNode's header byte, and only then do boards
 * with the RNode firmware understand it; without, those that send frames as they are. */
int at_raw_options(struct at *a, const struct modem_settings *settings,
                   char text[MODEM_TEXT_LEN]) __attribute__((warn_unused_result));
/* The frame to be sent in hex, NUL-ended, header included. */
void at_raw_put(struct at *a, char *hex);
/* A frame that came in hex.  Anything else is counted as garbled. */
void at_raw_heard(struct at *a, const char *hex, size_t digit_count, bool has_signal,
                  int16_t rssi_dbm, int16_t snr_db_x4);
size_t at_raw_air_len(const struct at *a, size_t len);
void at_raw_air(const void *state, struct modem_air *air_out);

/* ---- lines -------------------------------------------------------------------------- */

/* Steps over the word, or stays and says false. */
bool at_word(const char **at, const char *word);
/* Steps over a number that fits, or stays and says false. */
bool at_number(const char **at, long min, long max, long *value_out);
/* Is all of the line the word? */
bool at_is(const char *line, const char *word);
/* NUL-ended. */
void at_hex_put(char *hex, const uint8_t *bytes, size_t len);
/* False for an odd or empty count, other letters, or more than cap bytes. */
bool at_hex_take(const char *hex, size_t digit_count, uint8_t *bytes, size_t cap, size_t *len_out);

/* ---- for the driver's table ----------------------------------------------------------- */

void at_on_open(void *state, uint64_t now_ms);
void at_on_close(void *state, uint64_t now_ms);
size_t at_on_bytes(void *state, uint64_t now_ms, const uint8_t *buf, size_t len);
void at_on_time(void *state, uint64_t now_ms);
int at_send(void *state, uint64_t now_ms, const uint8_t *frame, size_t len);
uint64_t at_next_deadline(const void *state);
uint32_t at_airtime_us(const void *state, size_t len);

#define AT_DRIVER_FUNCTIONS                                                                    \
    .on_open = at_on_open, .on_close = at_on_close, .on_bytes = at_on_bytes,                   \
    .on_time = at_on_time, .poll_output = modem_kit_poll_output,                               \
    .poll_event = modem_kit_poll_event, .send = at_send, .can_send = modem_kit_can_send,       \
    .next_deadline = at_next_deadline, .airtime_us = at_airtime_us, .stats = modem_kit_stats

#endif
