/* keng_cli.h - what the parts of the command line `keng` share.
 *
 * One table (keng_args.c) drives commands, options, help and the check of what was typed.  Every
 * command gets a filled struct keng and returns the exit status: 0 done, 1 could not be done,
 * 2 wrong input and nothing stored; for 1 and 2 one line was printed to standard error.
 *
 * Memory   struct keng owns what it loaded on demand; keng_free() releases it.
 */
#ifndef KENG_NODE_KENG_CLI_H
#define KENG_NODE_KENG_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "node/client.h"
#include "node/keng_text.h"
#include "proto/catalogue.h"
#include "proto/record.h"

enum {
    KENG_OK = 0,
    KENG_FAILED = 1,
    KENG_WRONG = 2,
    KENG_PATH_LEN_MAX = 1024,
    KENG_CALL_TIMEOUT_MS = 20000,
    KENG_WORDS_LEN = 768, /* one line of help or explanation */
    KENG_REF_LEN = 32,         /* "65534-2097151" and room */
    KENG_TYPED_LEN_MAX = 4096, /* more than any report can hold */
};

enum keng_option {
    OPT_LANG, OPT_HOME, OPT_SOCKET, OPT_DATA, OPT_JSON, OPT_HELP,
    OPT_TEXT, OPT_LINES, OPT_VILLAGE, OPT_EVENT, OPT_HAZARD, OPT_AT, OPT_PRIORITY, OPT_AS,
    OPT_DRILL, OPT_DRY_RUN, OPT_ALL,
    OPT_DIR, OPT_NAME, OPT_CODE, OPT_REGION, OPT_FREQ, OPT_BW, OPT_SF, OPT_CR, OPT_PREAMBLE,
    OPT_EIRP, OPT_NUMBER, OPT_ROLE, OPT_OUT, OPT_AFTER,
    OPT_ASK, OPT_WIRES, OPT_RANGE, OPT_MARGIN, OPT_PORT, OPT_DRIVER, OPT_SETTINGS,
    OPT_AMATEUR, OPT_GAIN, OPT_LOSS, OPT_WRITE, OPT_FRAMES, OPT_SECONDS,
    OPT_COUNT
};

#define KENG_BIT(option) (UINT64_C(1) << (option))

struct keng;

struct keng_command {
    const char *name;
    const char *words; /* other words for it, separated by spaces */
    const char *operands; /* for the usage line */
    uint64_t options;     /* bit for each enum keng_option; the common ones are always there */
    uint64_t required;
    bool takes_operands;
    enum keng_text_id summary;
    int (*run)(struct keng *k);
};

struct keng {
    enum keng_lang lang;
    const struct keng_command *command;
    const char *option[OPT_COUNT]; /* NULL: not given; "" for one without a value */
    const char **operands;
    size_t operand_count;
    char words[KENG_TYPED_LEN_MAX]; /* text that was typed without --text */
    char home[KENG_PATH_LEN_MAX];
    char socket[KENG_PATH_LEN_MAX];
    char data[KENG_PATH_LEN_MAX];
    struct catalogue *catalogue; /* NULL until keng_load_catalogue() */
    struct villages *villages;
    json_t *roster; /* kengd's answer, NULL until keng_load_roster() */
    struct client client;
};

/* A number as text, for arguments of templates: KENG_NUM(5).s lives as long as the statement. */
struct keng_num { char s[24]; };
struct keng_num keng_num(int64_t value);
/* value / 10^decimals, trailing zeros dropped. */
struct keng_num keng_decimal(int64_t value, unsigned decimals);

/* Arguments of a template. */
#define KENG_ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

void keng_say(const struct keng *k, FILE *to, enum keng_text_id id, const char *const *args);
int keng_wrong(const struct keng *k, enum keng_text_id id, const char *const *args);
int keng_failed(const struct keng *k, enum keng_text_id id, const char *const *args);
void keng_print_json(json_t *value); /* steals it */

/* keng_args.c */
const struct keng_command *keng_command_find(const char *word);
const char *keng_option_name(enum keng_option option);
/* Fills k from what was typed.  KENG_OK, or the exit status after saying why. */
int keng_parse(struct keng *k, int argc, char **argv);
int keng_help(struct keng *k);
/* Is text a word of this list?  Case and diacritics do not matter, '_' and ' ' are '-'. */
bool keng_word_in(const char *words, const char *text);
/* A whole number of ASCII digits within the bounds. */
bool keng_parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *value_out);
/* A plain decimal like 921.5 or -12,25 scaled by 10^decimals; false when it has more decimals. */
bool keng_parse_decimal(const char *text, unsigned decimals, int64_t *value_out);
/* Reads a number option; absent leaves *value_out.  KENG_OK or KENG_WRONG after saying why. */
int keng_number_option(const struct keng *k, enum keng_option option, uint64_t min, uint64_t max,
                       uint64_t *value_out);
/* Kind of a report by its English or Vietnamese word, or 0. */
uint8_t keng_kind_find(const char *word);
/* What a person types for a kind, and for each of them. */
const char *keng_kind_word(enum keng_lang lang, uint8_t kind);
void keng_kind_words(enum keng_lang lang, char *buf, size_t cap);
/* keng_help.c: the indicators of a kind. */
int keng_help_kind(struct keng *k, uint8_t kind);

/* keng_load.c: loaded on demand, KENG_OK or the exit status after saying why. */
void keng_free(struct keng *k);
int keng_load_catalogue(struct keng *k);
/* Villages of `dir` or, when there are none, of the data directory; k->villages stays NULL when
 * neither has them. */
int keng_load_villages(struct keng *k, const char *dir);
int keng_connect(struct keng *k);
int keng_call(struct keng *k, json_t *request, json_t **answer_out); /* steals request */
int keng_load_roster(struct keng *k);
/* Now, for names that change; without a clock what holds in the end. */
int64_t keng_now_ms(void);
/* Says from or until when a name is in use: the row does not hold now. */
int keng_wrong_span(const struct keng *k, const char *name, const struct catalogue_row *row);
/* A village by name or number. */
int keng_village(struct keng *k, const char *text, const char *dir, uint32_t *number_out);
/* A whole file or standard input ("-"), NUL-ended, on the heap; NULL after saying why. */
char *keng_read_all(const struct keng *k, const char *path, size_t len_max, size_t *len_out);

/* keng_submit.c: hands a record to kengd and waits until it is durable there.  KENG_OK with kengd's
 * answer, or the exit status after saying why. */
struct keng_draft {
    uint8_t kind;
    const char *priority; /* word for kengd, NULL: the kind's own */
    uint64_t author;      /* AUTHOR_ROOT: kengd chooses */
    const uint8_t *body;
    size_t body_len;
};
int keng_submit(struct keng *k, const struct keng_draft *draft, json_t **answer_out);

/* A text or number of a JSON object; "" and 0 when it is not there. */
static inline const char *keng_string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "" : s;
}

static inline int64_t keng_integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* keng_view.c: how things are called; pure. */
enum keng_state { STATE_STORED, STATE_CARRIED, STATE_RECEIVED, STATE_READ, STATE_COUNT };
bool keng_state_find(const char *word, enum keng_state *state_out);
const char *keng_state_icon(enum keng_state state);
enum keng_text_id keng_review_text(const char *word);
enum keng_text_id keng_kind_text(uint8_t kind);
enum keng_text_id keng_role_text(const char *role);
enum keng_text_id keng_modem_text(const char *state);
/* How long ago, in words.  Clocks may differ by two minutes without remark. */
void keng_age(enum keng_lang lang, int64_t age_s, char *buf, size_t cap);
/* "09:02 21/11" in Vietnam's time (UTC+7) of Unix seconds. */
void keng_clock(int64_t unix_s, char *buf, size_t cap);
/* "30/06/2026" */
void keng_day(int64_t unix_s, char *buf, size_t cap);
/* Bytes of the frame that carries one unencrypted record of lane 0 alone. */
size_t keng_frame_len(uint32_t seq, size_t body_len);
/* 32 hex digits in groups of four, for reading aloud. */
enum { KENG_FINGERPRINT_LEN = 40 };
void keng_fingerprint(const uint8_t network_id[KENG_NETWORK_ID_LEN],
                      char fingerprint_out[KENG_FINGERPRINT_LEN]);
/* Time until which an author waits before advice helps more than patience. */
enum { KENG_ADVICE_AGE_S = 3 * 3600, KENG_WAITING_AGE_S = 10 * 60 };

/* keng_message.c: records in words, with the names that keng_load_*() loaded, numbers otherwise. */
void keng_author_name(struct keng *k, uint16_t author, char *buf, size_t cap);
void keng_village_name(const struct keng *k, uint32_t village, int64_t at_ms, char *buf,
                       size_t cap);
/* Adds to object what the record in hex says; the keys are those of keng(1). */
void keng_message_decode(struct keng *k, const char *hex, json_t *object);
/* How long ago this node got it. */
int64_t keng_message_age_s(const json_t *message, int64_t now_s);
/* Adds what the commune's newest review of a report of this box says beyond its word. */
void keng_message_decode_answer(struct keng *k, json_t *report);
void keng_message_print(struct keng *k, const json_t *message, int64_t now_s);

/* keng_show.c: what makes numbers into names; without a catalogue reports are still shown. */
int keng_load_names(struct keng *k);
bool keng_is_local(const struct keng *k, int64_t author);
/* The decoded form without the raw bytes. */
void keng_decode_in_place(struct keng *k, json_t *message);
/* keng_inbox.c: is this for the people at this box? */
bool keng_is_for_inbox(const struct keng *k, const json_t *record);

int keng_run_report(struct keng *k);
int keng_run_status(struct keng *k);
int keng_run_inbox(struct keng *k);
int keng_run_confirm(struct keng *k);
int keng_run_watch(struct keng *k);
int keng_run_roster(struct keng *k);
int keng_run_node(struct keng *k);
int keng_run_import(struct keng *k);
int keng_run_init(struct keng *k);
int keng_run_profile(struct keng *k);
int keng_run_enroll(struct keng *k);
int keng_run_revoke(struct keng *k);
int keng_run_cert(struct keng *k);
int keng_run_modem(struct keng *k);
/* keng_setup.c */
int keng_modem_set_up(struct keng *k);
int keng_run_help(struct keng *k);

#endif
