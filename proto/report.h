/* report.h - the bodies of records, between bytes and structs.
 *
 * The schema is keng.proto; this module is the only one that includes its generated code.  A body
 * is decoded only after its record's signature was verified.  Decoding is strict: every field
 * within its range, lists ascending and of equal length, texts unpackable, no unknown field, and
 * canonical - encoding the struct again gives the same bytes - so that two bodies are equal
 * exactly when their bytes are.
 *
 * Time      Linear in the body.
 * Memory    Decoded structs own copies.  protobuf-c works in a fixed arena on the stack; a body
 *           that needs more is refused.  No heap; about 16 kB of stack with the text codec.
 * Errors    Encoders return the length, or a negative enum report_err; decoders 0 or a negative
 *           one, and then *_out is not to be used.
 */
#ifndef KENG_PROTO_REPORT_H
#define KENG_PROTO_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"
#include "proto/limits.h"
#include "proto/record.h"
#include "proto/region.h"

enum {
    REPORT_VILLAGE_MAX = 0xffff,
    REPORT_EVENT_MAX = 0xffff,
    REPORT_HAZARD_MAX = 127,
    REPORT_CODE_MAX = 16383,
    REPORT_LAT_E5_MAX = 90 * 100000,
    REPORT_LON_E5_MAX = 180 * 100000,

    ACK_LOG_MAX = AUTHOR_MAX * LANE_COUNT + LANE_COUNT - 1,
    ACK_LOG_COUNT_MAX = RECORD_BODY_LEN_MAX / 2,    /* each takes at least two bytes */
    ACK_BEYOND_COUNT_MAX = RECORD_BODY_LEN_MAX / 2,
    REVIEW_REF_COUNT_MAX = RECORD_BODY_LEN_MAX / 2,
    OPERATOR_MAX = 0xffff, /* numbers of a gateway's operators */

    ROSTER_NAME_LEN_MAX = 48,
    PROFILE_NAME_LEN_MAX = 48,
    PROFILE_CODE_LEN_MAX = 16,
    PROFILE_REGION_LEN_MAX = REGION_NAME_LEN_MAX,
    PROFILE_BAND_COUNT_MAX = 3,
    PROFILE_EIRP_DBM_MIN = -9,
    PROFILE_EIRP_DBM_MAX = 30,
    PROFILE_WINDOW_S_MIN = 60,
    PROFILE_WINDOW_S_MAX = 86400,
    UNIT_DAY_MAX = 0xffff,
};

/* Figures are totals: never negative, never more than this. */
#define REPORT_VALUE_MAX INT64_C(999999999999)

enum report_err {
    REPORT_OK = 0,
    REPORT_EROOM = -1,  /* the output buffer is too small */
    REPORT_ETOOBIG = -2, /* longer than RECORD_BODY_LEN_MAX */
    REPORT_EFORM = -3,  /* bytes that are no such message, or need too much memory */
    REPORT_ERANGE = -4, /* a field out of its range */
    REPORT_EORDER = -5, /* a list not ascending, or with doubles */
    REPORT_ECOUNT = -6, /* lists that belong together differ in length, or too many elements */
    REPORT_ETEXT = -7,  /* a text that is not valid, or not packed as text_pack() packs */
    REPORT_ECANON = -8, /* encoding it again would give other bytes, or an unknown field */
};

struct report_figure {
    uint32_t code; /* catalogue number within the record's kind, 1..REPORT_CODE_MAX */
    int64_t value; /* 0..REPORT_VALUE_MAX, scaled by the catalogue's decimals */
};

/* Kinds 1 to 7. */
struct report {
    uint32_t village; /* 0: the author's own */
    uint32_t event;   /* 0: outside any event */
    uint32_t hazard;  /* 0: not said */
    int32_t lat_e5, lon_e5; /* both 0: not said */
    bool drill;
    size_t figure_count;
    struct report_figure figures[REPORT_FIGURE_COUNT_MAX]; /* codes ascending */
    size_t text_len;
    char text[REPORT_TEXT_LEN_MAX + 1]; /* UTF-8; after decoding NFC and NUL-ended */
};

/* Kinds 25 to 28. */
struct ack_log {
    uint32_t log;  /* author x LANE_COUNT + lane, ascending */
    uint32_t held; /* everything up to this number is held; 0: nothing from the start */
};
struct ack_beyond {
    uint32_t index; /* into logs */
    uint32_t seq;   /* at least held + 2; ascending within an index */
};
struct ack {
    size_t log_count, beyond_count;
    struct ack_log logs[ACK_LOG_COUNT_MAX];
    struct ack_beyond beyond[ACK_BEYOND_COUNT_MAX];
};

/* Kind 17.  A correction may say of a figure that it is not known, and of the village that it is
 * where the author says. */
enum { REVIEW_UNKNOWN = -1, REVIEW_VILLAGE_AUTHORS = REPORT_VILLAGE_MAX + 1 };
enum review_state {
    REVIEW_SEEN = 1,
    REVIEW_QUESTION = 2,
    REVIEW_APPROVED = 3,
    REVIEW_REJECTED = 4,
    REVIEW_MET = 5,
    REVIEW_CORRECTED = 6,
    REVIEW_JOINED = 7,
};
struct review {
    enum review_state state;
    size_t ref_count; /* at least 1 */
    struct record_ref refs[REVIEW_REF_COUNT_MAX]; /* ascending by author, lane, seq */
    struct record_ref same_as; /* joined: the record that stays, of lane 0; else seq 0 */
    uint32_t by;               /* operator at that gateway; 0: the author himself */
    uint32_t village;          /* corrected: what it speaks of; 0: says nothing of it */
    size_t figure_count;       /* corrected: these or a village, of one ref; else 0 */
    struct report_figure figures[REPORT_FIGURE_COUNT_MAX];
    size_t text_len;
    char text[REPORT_TEXT_LEN_MAX + 1];
};

/* Kind 18. */
struct directive {
    uint32_t village;     /* 0: all */
    uint32_t expires_min; /* minutes since KENG_EPOCH_UNIX_S; 0: never */
    unsigned role;        /* enum roster_role; 0: all */
    uint16_t person;      /* author; 0: all */
    bool drill;
    bool receipt;         /* each box is to say that it has it */
    uint32_t by;          /* operator at that gateway; 0: the author himself */
    size_t text_len;      /* at least 1 */
    char text[REPORT_TEXT_LEN_MAX + 1];
};

/* Kind 20. */
struct receipt {
    bool read;
    size_t ref_count; /* at least 1 */
    struct record_ref refs[REVIEW_REF_COUNT_MAX]; /* ascending, lane 0 */
};

/* Kind 21. */
struct signoff {
    uint8_t hash[KENG_HASH_LEN];
    uint32_t event;
    uint32_t from_min, until_min; /* since KENG_EPOCH_UNIX_S; from not after until */
    uint32_t by;                  /* operator at that gateway; 0: the author himself */
    bool drill;
};

/* Kind 16. */
enum roster_role {
    ROSTER_MEMBER = 1,
    ROSTER_NODE = 2,
    ROSTER_GATEWAY = 3,
    ROSTER_OPERATOR = 4,
};
struct roster_entry {
    uint16_t number; /* 1..AUTHOR_MAX */
    enum roster_role role;
    uint32_t village;       /* 0: none */
    uint32_t revoked_after; /* 1 + the last good number of lane 0; 0: not revoked */
    uint8_t key[KENG_KEY_LEN];
    char name[ROSTER_NAME_LEN_MAX + 1]; /* NFC, NUL-ended, not empty, no newline */
};

/* Kind 19. */
struct profile {
    char name[PROFILE_NAME_LEN_MAX + 1];     /* NFC, NUL-ended, not empty, no newline */
    char code[PROFILE_CODE_LEN_MAX + 1];     /* digits, may be empty */
    char region[PROFILE_REGION_LEN_MAX + 1]; /* A-Z 0-9 and '-', not empty */
    struct lora_params lora;
    int8_t eirp_dbm;
    uint16_t duty_node_e4, duty_gateway_e4; /* 1..10000 parts of 10000 */
    uint32_t duty_window_s;
    /* The law, that of `region` first.  Names are not sent: the first is called like region, the
     * others by their edges.  Older profiles have none. */
    size_t band_count;
    struct region bands[PROFILE_BAND_COUNT_MAX];
};

/* Kind 22: what a province's root says of a commune's root. */
struct unit {
    char code[PROFILE_CODE_LEN_MAX + 1]; /* digits, not empty */
    char name[PROFILE_NAME_LEN_MAX + 1]; /* NFC, NUL-ended, not empty, no newline */
    char into[PROFILE_CODE_LEN_MAX + 1]; /* "": into no other */
    uint8_t root_key[KENG_KEY_LEN];
    uint32_t from_day, until_day; /* of Vietnam, since that of the Kẻng epoch; 0: open */
    uint32_t revoked_after;       /* 1 + the last good number of the root's log; 0: not revoked */
};

int report_encode(const struct report *report, uint8_t *buf, size_t cap);
int report_decode(const uint8_t *body, size_t len, struct report *report_out);
/* Only the figures of a body that report_decode() accepted when it came: they are read for totals a
 * hundred thousand at a time.  Returns how many; 0 as well where bytes were damaged since. */
size_t report_figures(const uint8_t *body, size_t len,
                      struct report_figure figures_out[REPORT_FIGURE_COUNT_MAX]);
int ack_encode(const struct ack *ack, uint8_t *buf, size_t cap);
int ack_decode(const uint8_t *body, size_t len, struct ack *ack_out);
int review_encode(const struct review *review, uint8_t *buf, size_t cap);
int review_decode(const uint8_t *body, size_t len, struct review *review_out);
int directive_encode(const struct directive *directive, uint8_t *buf, size_t cap);
int directive_decode(const uint8_t *body, size_t len, struct directive *directive_out);
int receipt_encode(const struct receipt *receipt, uint8_t *buf, size_t cap);
int receipt_decode(const uint8_t *body, size_t len, struct receipt *receipt_out);
int signoff_encode(const struct signoff *signoff, uint8_t *buf, size_t cap);
int signoff_decode(const uint8_t *body, size_t len, struct signoff *signoff_out);
int roster_entry_encode(const struct roster_entry *entry, uint8_t *buf, size_t cap);
int roster_entry_decode(const uint8_t *body, size_t len, struct roster_entry *entry_out);
int profile_encode(const struct profile *profile, uint8_t *buf, size_t cap);
int profile_decode(const uint8_t *body, size_t len, struct profile *profile_out);
int unit_encode(const struct unit *unit, uint8_t *buf, size_t cap);
int unit_decode(const uint8_t *body, size_t len, struct unit *unit_out);

/* Is the author one of those whom village, role and person of a directive name? */
bool directive_is_for(const struct directive *directive, const struct roster_entry *author);

/* English words for a state and a role, or NULL; and back, 0 when there is none. */
const char *review_state_name(enum review_state state);
const char *roster_role_name(enum roster_role role);
enum roster_role roster_role_find(const char *name);

/* Static English text for an enum report_err. */
const char *report_strerror(int err);

#endif
