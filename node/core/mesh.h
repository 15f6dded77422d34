/* mesh.h - the protocol core of one node.
 *
 * No I/O, no clock, no heap, no threads, no globals.  The caller feeds what happened
 * (mesh_submit, mesh_on_*), drains what is to be done (mesh_poll_*), then sleeps until
 * mesh_next_deadline() or the next thing that happens.  Same config, same calls, same times:
 * same outputs, byte for byte.
 *
 * Time       now_ms: milliseconds on one monotonic clock of the caller's choosing.  Only
 *            differences matter.  It never goes back (asserted).  MESH_NEVER: no deadline.
 * Memory     The caller owns everything.  Inputs are copied before return; outputs are copied
 *            into the caller's struct.  No pointer outlives a call, except the storage given to
 *            mesh_init().  Every pool has a limit in struct mesh_config and a counter.
 * Durability A record is relayed, acknowledged or counted as held only after the caller said
 *            that its MESH_EV_STORE is durable.  The same holds for numbers (MESH_EV_RESERVE)
 *            and airtime (MESH_EV_CHARGE): durable before use.
 * Errors     0 or a negative enum mesh_err for what the caller got wrong or ran out of.  Bytes
 *            from the air are never an error: they get a verdict and a counter.
 * Asserts    Only for bugs in this program; no bytes from outside reach one.
 * Re-entry   The core calls out only through struct mesh_outside, whose functions must not
 *            call mesh_*().
 */
#ifndef KENG_NODE_CORE_MESH_H
#define KENG_NODE_CORE_MESH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/airtime.h"
#include "proto/limits.h"
#include "proto/record.h"

#define MESH_NEVER UINT64_MAX

enum {
    MESH_NEIGHBOUR_COUNT_MAX = 48, /* one bit each in a 64-bit mask */
    MESH_RECORD_COUNT_MAX = 1 << 20,
    MESH_LOG_COUNT_MAX = 8192,
    MESH_AUTHOR_COUNT_MAX = 4096,
    MESH_STAGED_COUNT_MAX = 16, /* records on their way to the store */
    MESH_WINDOW_MINUTES_MAX = 60,
    MESH_LEDGER_SLACK_MINUTES = 2, /* beyond it: the running one, one for a send that starts late */
};

enum mesh_err {
    MESH_OK = 0,
    MESH_ECONFIG = -1,  /* a config field is out of range */
    MESH_ESTORAGE = -2, /* storage shorter than mesh_storage_size() */
    MESH_EFULL = -3,    /* no free slot; nothing was changed */
    MESH_ETOOBIG = -4,  /* body longer than fits a frame of this modem; nothing was changed */
    MESH_EAGAIN = -5,   /* number or staging slot not free yet: drain, then retry */
    MESH_EUNKNOWN = -6, /* no such author, record, event or transmission */
    MESH_ESIGN = -7,    /* sign() failed; nothing was changed */
    MESH_EREVOKED = -10, /* the root has taken this author back: nobody would believe him */
    MESH_EROLE = -9,    /* this author may not write this kind */
    MESH_EBEHIND = -8,  /* numbers of this author were used that we lack: wait for neighbours */
};

/* What became of a frame, and of each record in it.  Indexes mesh_stats.rx[]. */
enum mesh_verdict {
    MESH_RX_FRAME,          /* a frame of ours, accepted */
    MESH_RX_MALFORMED,      /* frame or record cannot be read */
    MESH_RX_VERSION,        /* another protocol version */
    MESH_RX_FOREIGN,        /* tag is not our network's: dropped before anything else */
    MESH_RX_ECHO,           /* our own node number: a replay or a clone */
    MESH_RX_NEW,            /* record accepted, on its way to the store */
    MESH_RX_DUPLICATE,      /* record known already */
    MESH_RX_SUPERSEDED,     /* a newer record of its lane is held */
    MESH_RX_SETTLED,        /* a gateway has it, and this full store no longer keeps it */
    MESH_RX_UNKNOWN_AUTHOR, /* author not in the roster */
    MESH_RX_REVOKED,        /* past the author's last good number */
    MESH_RX_ROLE,           /* this author may not write this kind */
    MESH_RX_BADSIG,         /* signature does not hold */
    MESH_RX_FORK,           /* second record under one number: kept as evidence */
    MESH_RX_FULL,           /* no room; it will be offered again */
    MESH_RX_COUNT,
};

enum mesh_tx_result {
    MESH_TX_SENT,    /* it left, or may have left: the airtime is spent */
    MESH_TX_REFUSED, /* certainly never on air: the airtime is given back */
};

enum mesh_event_type {
    MESH_EV_STORE,   /* make rec durable; delete `replaces` and `leaves` in the same transaction */
    MESH_EV_RESERVE, /* make `ref.seq` durable as the highest number that (author, lane) may use */
    MESH_EV_CHARGE,  /* make durable: minute_airtime_us were spent in the minute of minute_ms */
    MESH_EV_FORK,    /* keep rec as evidence beside the record of the same number */
    MESH_EV_SETTLE,  /* make durable: in `ref`'s log all up to ref.seq counts as held */
};

enum mesh_role {
    MESH_ROLE_REVIEW = 1,  /* may write reviews and directives */
    MESH_ROLE_GATEWAY = 2, /* may acknowledge, review, direct */
};

struct mesh;

struct mesh_event {
    enum mesh_event_type type;
    uint32_t event_id;
    struct record_ref ref;
    uint32_t replaces_seq; /* STORE in a superseding lane: the older number, 0 none */
    struct record_ref leaves; /* STORE into a full store: what makes room; seq 0: nothing */
    bool settles;          /* and all of its log up to it counts as held: as MESH_EV_SETTLE */
    uint64_t minute_ms;    /* CHARGE: start of the minute, caller's clock */
    uint32_t minute_airtime_us;
    bool own;
    uint16_t from_node; /* who sent it to us; AUTHOR_NONE: made here or read from a file */
    uint16_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};

struct mesh_tx {
    uint32_t tx_id;
    uint32_t airtime_us;
    uint16_t len;
    uint8_t priority;
    uint8_t bytes[FRAME_LEN_MAX];
};

struct mesh_rx_meta {
    int16_t rssi_dbm;
    int16_t snr_db_x4;
};

/* The outside world.  All functions answer at once and must not call back. */
struct mesh_outside {
    void *ctx;
    /* Signs buf[0..len_unsigned) of `author` in place; 0, or negative on failure. */
    int (*sign)(void *ctx, uint16_t author, uint8_t *buf, size_t len_unsigned);
    bool (*verify)(void *ctx, const struct record_view *view, const uint8_t key[KENG_KEY_LEN]);
    void (*tag)(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN]);
    /* A durable record's bytes into buf (RECORD_LEN_MAX); its length, or negative. */
    int (*load)(void *ctx, const struct record_ref *ref, uint8_t *buf);
};

struct mesh_config {
    struct mesh_outside outside;
    struct lora_params lora;
    uint64_t seed;      /* jitter only, never for keys */
    uint16_t node;      /* this node's number, the sender of its frames */
    bool gateway;       /* this node acknowledges, as author `node` */
    bool second;        /* a further core of a box: the first decides what the store keeps */
    uint16_t mtu_len;   /* longest frame of the modem; at least RECORD_LEN_MIN + overhead */
    uint32_t record_count_max; /* when so many are held, each further one pushes one out */
    uint16_t log_count_max;
    uint16_t author_count_max;
    uint32_t duty_window_ms;  /* at most an hour, whole minutes */
    uint32_t duty_budget_ms;  /* lawful airtime in every window; 0: never send */
};

struct mesh_author {
    uint8_t key[KENG_KEY_LEN];
    uint32_t last_good_seq; /* lane 0; UINT32_MAX: not revoked */
    uint16_t number;
    uint8_t roles; /* enum mesh_role */
    bool local;    /* its secret key is here: mesh_submit() may use it */
};

/* How far a record has come, as this node knows. */
struct mesh_record_state {
    bool durable;                                    /* false too when settled and not kept */
    uint8_t carrier_count;                           /* nodes known to hold it */
    uint16_t carriers[MESH_NEIGHBOUR_COUNT_MAX];
    uint16_t gateway; /* whose signed acknowledgement covers it; AUTHOR_NONE: none yet */
};

struct mesh_neighbour {
    uint16_t node;
    uint64_t heard_ms; /* caller's clock */
    int16_t rssi_dbm;
    int16_t snr_db_x4;
    bool in_sync; /* its last digest was ours */
};

struct mesh_stats {
    uint64_t rx[MESH_RX_COUNT];
    uint64_t tx_frames, tx_bytes, tx_airtime_us, tx_records, tx_summaries;
    uint64_t tx_refused_modem, tx_refused_duty; /* a send put off because the law forbade it */
    uint64_t store_failed, load_failed, neighbours_replaced;
    uint64_t evicted; /* records that made room for others */
    uint64_t mixes_kept, mixes_lost; /* heard before they could be taken apart; given up */
    uint32_t records_held, logs_held;
    uint32_t window_airtime_ms, budget_ms; /* spent in the sliding window; allowed */
    uint32_t digest;
    uint32_t state_changes; /* rises whenever some record's state may have changed */
};

/* Bytes mesh_init() needs for cfg, or 0 if cfg is out of range. */
size_t mesh_storage_size(const struct mesh_config *cfg);
/* Builds a node inside storage (aligned as by malloc), which stays the caller's and must stay put.
 * cfg is copied. */
int mesh_init(void *storage, size_t storage_len, const struct mesh_config *cfg, uint64_t now_ms,
              struct mesh **m_out);

/* Adds an author or changes roles, revocation, locality; a known author's key never changes. */
int mesh_set_author(struct mesh *m, const struct mesh_author *author);

/* What was durable before a restart, before any other call but mesh_set_author().
 * In order of arrival; views may be of any lane. */
int mesh_restore_record(struct mesh *m, const struct record_view *view);
/* The highest number made durable by MESH_EV_SETTLE, or by a STORE that settles; after the
 * records. */
int mesh_restore_settled(struct mesh *m, uint16_t author, uint8_t lane, uint32_t seq);
/* The highest number made durable by MESH_EV_RESERVE; after the records. */
int mesh_restore_reserved(struct mesh *m, uint16_t author, uint8_t lane, uint32_t seq);
/* airtime_us were spent age_ms ago (0 if unknown: counts as just now).  Later, too, for what a
 * modem has sent by itself. */
void mesh_restore_airtime(struct mesh *m, uint64_t now_ms, uint64_t age_ms, uint32_t airtime_us);
/* What is booked in the minute of at_ms, 0 if no window counts it any more: to be made durable
 * after mesh_restore_airtime(). */
uint32_t mesh_minute_airtime_us(const struct mesh *m, uint64_t at_ms);
/* A restored acknowledgement takes effect again: call for each durable ack record, in any order. */
void mesh_restore_ack(struct mesh *m, const struct record_view *view);

/* Makes, numbers, signs and stages a record of a local author.  It counts only after its
 * MESH_EV_STORE was answered; a store that fails forgets it, number and all. */
int mesh_submit(struct mesh *m, uint64_t now_ms, const struct record_draft *draft,
                struct record_ref *ref_out);
/* One frame heard on the air; it may hold anything. */
enum mesh_verdict mesh_on_frame(struct mesh *m, uint64_t now_ms, const uint8_t *frame, size_t len,
                                const struct mesh_rx_meta *meta);
/* One record from a file or a cable. */
enum mesh_verdict mesh_on_record(struct mesh *m, uint64_t now_ms, const uint8_t *record,
                                 size_t len);
/* Sends so many frames soon, needful or not, so that others can measure the link: charged like any
 * frame without records, and as late when airtime is short.  A second call replaces the first. */
void mesh_sound(struct mesh *m, uint64_t now_ms, uint8_t frame_count);
/* The modem is done with tx_id. */
int mesh_on_tx_done(struct mesh *m, uint64_t now_ms, uint32_t tx_id, enum mesh_tx_result result);
/* The answer to an event: is it on stable storage? */
int mesh_on_persisted(struct mesh *m, uint64_t now_ms, uint32_t event_id, bool durable);
/* Another core over the same store let go of a record, or, if settles, counts its log as held up
 * to it, record or not. */
void mesh_on_left(struct mesh *m, uint64_t now_ms, const struct record_ref *ref, bool settles);
/* The claim of time put into records the core makes itself (acknowledgements). */
void mesh_set_clock(struct mesh *m, uint32_t created_min, bool clock_set);
/* What a frame of each length takes on the air as this modem sends it: charged from now on.  Until
 * then LoRa's formula for config.lora stands in. */
void mesh_set_airtime(struct mesh *m, const uint32_t airtime_us[FRAME_LEN_MAX + 1]);
/* Is the modem there?  Without one nothing is built or charged. */
void mesh_set_modem(struct mesh *m, uint64_t now_ms, bool ready);

/* Next thing to make durable, or false.  Call until false. */
bool mesh_poll_event(struct mesh *m, uint64_t now_ms, struct mesh_event *event_out);
/* Next frame to send now, or false.  One is outstanding at a time. */
bool mesh_poll_tx(struct mesh *m, uint64_t now_ms, struct mesh_tx *tx_out);
/* When to poll again if nothing else happens.  After a drain at now_ms it is later than now_ms,
 * or MESH_NEVER. */
uint64_t mesh_next_deadline(const struct mesh *m);

bool mesh_record_state(const struct mesh *m, const struct record_ref *ref,
                       struct mesh_record_state *state_out);
/* Neighbours heard so far; returns the count. */
size_t mesh_neighbours(const struct mesh *m, struct mesh_neighbour out[MESH_NEIGHBOUR_COUNT_MAX]);
void mesh_stats(const struct mesh *m, struct mesh_stats *stats_out);
/* 64-bit hash of the protocol state: for tests and bug reports. */
uint64_t mesh_digest(const struct mesh *m);
const char *mesh_strerror(int err);
const char *mesh_verdict_name(enum mesh_verdict verdict);

#endif
