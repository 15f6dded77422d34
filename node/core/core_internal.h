/* core_internal.h - what the files of the core share.  Nobody outside node/core includes it.
 *
 * table.c   logs, records, digest, authors          neigh.c  neighbours and what they hold
 * rx.c      frames and records heard                tx.c     what goes into the next frame
 * turn.c    which records to relay, and when        trickle.c  frames without records
 * ledger.c  airtime over the sliding window         ack.c    a gateway's acknowledgements
 * mix.c     several records in the room of one       evict.c  a full store
 * sums.c    what sums of holdings tell                hearsay.c  what the deaf lack
 * mesh.c    the public calls, the order of work
 */
#ifndef KENG_NODE_CORE_INTERNAL_H
#define KENG_NODE_CORE_INTERNAL_H

#include <assert.h>
#include <string.h>

#include "node/core/mesh.h"
#include "proto/frame.h"

enum {
    SEQ_BLOCK = 1,             /* numbers reserved at a time: people write few, so each one is */
    LEDGER_COUNT = MESH_WINDOW_MINUTES_MAX + MESH_LEDGER_SLACK_MINUTES,
    MS_PER_MINUTE = 60000,
    EVENT_COUNT = MESH_STAGED_COUNT_MAX + 5, /* records; numbers, airtime, forks, settling */
    ACK_PART_COUNT = RECORD_ACK_LAST - RECORD_ACK_FIRST + 1,
    UNCONFIRMED_COUNT_MAX = 32, /* own records nobody is known to hold yet, most urgent kept */
    FRAME_RECORD_COUNT_MAX = 8,
    TX_SLOT_COUNT_MAX = FRAME_RECORD_COUNT_MAX + FRAME_MIX_COUNT_MAX - 1,
    MIX_KEPT_COUNT = 64,       /* mixes heard that cannot be taken apart yet */
    MIX_SENT_COUNT_MAX = 3,    /* what was sent so often in vain goes by itself from then on */

    /* Timers in units of one full frame's airtime, so that every radio setting has its own pace.
     * node/DESIGN.md says how each was chosen, proto/PROTOCOL.md lists them. */

    /* Frames without records: a trickle, and its reasons. */
    TRICKLE_MIN_UNITS = 8,
    TRICKLE_MIN_MS_MIN = 3000,
    TRICKLE_MAX_MS = 900000,
    TRICKLE_MAX_DIFFERENT_MS = 240000, /* while somebody around is known to differ */
    COVER_COUNT = 2,           /* frames like ours that each should hear; more who misses some */
    TRICKLE_CONSISTENT = 1,    /* digests like ours heard before ours is needless */
    QUIET_UNITS = 240,         /* while news comes in, its frames tell what there is to tell */
    HOLE_UNITS = 900,          /* how long a known gap may wait to be told beside records */
    HOLE_QUIET_UNITS = 16,      /* the same when nothing new comes in */
    HOLE_GAP_MS_MAX = 1200000, /* asking again for it doubles up to this while nothing helps */
    HELLO_UNITS = 16,          /* between two greetings of strangers; doubles */
    STRANGER_MS = 60000,       /* how long after it was heard a stranger is greeted */
    GREET_COUNT = 2,           /* so often: the first may be lost */
    LIFE_MS = 1200000,         /* who took something in speaks once in so long, or counts as away */
    RETURN_MS = 1800000,       /* who was not heard for so long may have been elsewhere */
    SILENCE_MS = 7200000,      /* who has said nothing for so long speaks, needless or not */
    WHOLE_AFTER_ROUNDS = 2,    /* brief summaries, since a reset or while full, before the whole */
    WHOLE_AFTER_RESETS = 5,    /* brief summaries before it is told however often things change */
    GREET_LOGS = 36,           /* a stranger is told the whole of so many logs, of more their sum */
    FRAME_LOGS = 80,           /* so many fit a frame: of more than that sums are told first */
    ANSWER_UNITS = 4,          /* a sum that differs is answered within */
    ASKED_UNITS = 64,          /* what the answers show to be missing is asked for at once */
    ANSWER_GAP_UNITS = 8,      /* between two answers; doubles while nothing new comes of them */
    CATCH_UP_LOGS = 8,         /* logs with holes above which a hole filled is not told */
    CHANGED_UNITS = 64,        /* a log counts as lately changed for so long */

    /* Links: whom we hear, and whom our neighbours say they hear. */
    LINKS_FIRST_UNITS = 4,     /* how long a node that has just started gathers them first */
    LINKS_UNITS = 200,         /* how long changed links may wait to be told beside records */
    LINKS_GAP_UNITS = 8,       /* between two statements of them; doubles up to */
    LINKS_GAP_MS_MAX = 120000,
    LINKS_REPEAT = 3,          /* a statement may be lost, and who is not listed is not helped */
    LINKS_RENEW_MS = 900000,   /* after which they are stated again */
    LINKS_TRUST_MS = 2400000,  /* how long we believe that we are not heard */
    VAIN_COUNT = 8,            /* records sent in vain after which we believe it until told else */
    QUALITY_START = 160,       /* of 255: a neighbour heard once */
    QUALITY_GAIN = 8,          /* each frame heard or missed moves the estimate by an eighth */
    QUALITY_LISTED = 64,       /* heard less often: not a link */
    QUALITY_STEP = 48,         /* of the estimate above that, for one step of stated quality */
    QUALITY_RELIED = 1,        /* stated quality from which a frame is taken as heard */
    FRAMES_MISSED_MAX = 32,    /* a larger gap is a restart, or a node that was away */
    NEIGHBOUR_ALIVE_MS = 2 * SILENCE_MS + TRICKLE_MAX_MS,

    /* What a neighbour lacks who does not hear us, told to those whom he hears. */
    HEARSAY_UNITS = 24,        /* told within, by the first of those who could */
    HEARSAY_GAP_MS = 180000,   /* and not again for so long */

    /* Relays: whose turn it is. */
    TURN_COUNT_MAX = 8,
    FEW_COUNT = 12,            /* a relay that helps fewer waits for a word of them */
    FEW_FACTOR_MAX = 4,
    UNSPOKEN_UNITS = 40,       /* looking again whether they have spoken */
    UNSPOKEN_MS_MAX = 600000,  /* how long at most */
    HELPER_COUNT_MAX = 3,      /* so many others who may help them are many */
    TALK_UNITS = 4,            /* who was heard so lately may have more to say */
    NEAR_UNITS = 12,           /* a turn so near is drawn anew when somebody states to lack it */
    SPREAD_UNITS = 4,          /* wider waiting for each time a record was sent before */
    SPREAD_COUNT_MAX = 8,
    HEARD_ENOUGH = 1,          /* further copies before those without stated links have it too */
    STALE_UNITS = 4,           /* a frame may have waited so long in a modem before it was sent */

    /* Own records that nobody is known to hold, and urgent ones of others that nobody is known to
     * have taken on, are repeated: after, doubling, so often. */
    SHOUT_UNITS = 8,
    SHOUT_ROUTINE_UNITS = 100,
    SHOUT_COUNT_MAX = 5,
    SHOUT_SPREAD_UNITS = 24,   /* of many at once: wider waiting for each other one */
    SHOUT_SPREAD_UNITS_MAX = 96,

    ACK_WAIT_UNITS = 12,       /* collect before acknowledging */
    ACK_WAIT_RESCUE_UNITS = 1,
    ACK_GAP_UNITS = 30,        /* between two acknowledgements; grows by half while reports flow */
    ACK_GAP_MS_MAX = 600000,
    ACK_GAP_RESCUE_UNITS = 40,
    ACK_FAR_UNITS = 60,        /* longer where other gateways may be nearer to the author */
    ACK_FAR_SPREAD_UNITS = 120,
    BEHIND_WAIT_MS = 120000,   /* for own records that somebody only claims to hold */
    RECOVER_WAIT_MS = 900000,  /* for the next, once one came back: a relay may wait for its turn */
    RETRY_MS = 1000,           /* after a store that failed */

    PACE_MS = 240000,          /* an author's urgent records, one each so long on the average: */
    PACE_COUNT = 16,           /* each further so many at once cost a class */
    GIVE_UP_MS = 86400000,     /* what a gateway has is asked for so long, by who has room */
    SHARE_PARTS = 8,           /* of a full store no author keeps more than such a part */
};

#define SLOT_NONE UINT32_MAX
#define LOG_NONE UINT16_MAX

enum slot_flags {
    SLOT_USED = 1,
    SLOT_PENDING = 2, /* not durable yet: known, but neither held nor sent */
    SLOT_ACKED = 4,   /* acknowledged one by one, past a gap */
    SLOT_SHOUT = 8,   /* own, and due to be sent whoever is believed to lack it */
    SLOT_LEAVING = 16, /* makes room as soon as what comes is durable: not sent any more */
};

struct slot {
    uint64_t confirmed; /* neighbours that said, or showed, that they hold it */
    uint64_t told;      /* neighbours that probably heard it, from us or from each other */
    uint64_t ready_ms;  /* our turn to relay it; 0: not drawn */
    uint32_t seq, sig_prefix;
    uint32_t hash_next;
    uint32_t said_ms; /* low bits of when it was last on air around here */
    uint32_t order_prev, order_next; /* durable records of one priority, oldest first */
    uint16_t log, acked_by;
    uint8_t len, kind, priority, flags;
    uint8_t heard_count; /* copies overheard since new, or since somebody stated to lack it */
    uint8_t heard_from;  /* index of the neighbour that sent the last of them */
    uint8_t sent_count;
};

struct log {
    uint64_t sum;        /* of a hash of each thing held */
    uint64_t changed_ms;
    uint64_t stated_ms;  /* when we last told what we hold of it */
    uint64_t hole_ms;    /* since when we know that we lack something; 0: nothing known */
    uint64_t paced_ms;   /* when its urgent records would have come at their average pace */
    uint64_t claimed_ms; /* local author: when we learned that more of it exists than we hold */
    uint32_t held;       /* durable without a gap up to here; superseding lane: the newest */
    uint32_t top;        /* highest durable number */
    uint32_t known;      /* highest number anybody claims to hold */
    uint32_t reserved;   /* local author: numbers up to here may be used */
    uint32_t acked;      /* a gateway holds everything up to here */
    uint32_t settled;    /* counts as held up to here, kept or not: a gateway has it */
    uint32_t held_count; /* durable records of it */
    uint32_t newest;     /* superseding lane: slot of the newest */
    uint32_t pending_count;
    uint16_t author, acked_by;
    uint8_t lane;
    bool local;
    bool lost;           /* the store holds less than was numbered: own records are missing */
    bool recovering;     /* local author: its own records came back to it from outside */
    bool forked;         /* evidence of one fork is kept; more would be an attack on the store */
};

struct author_slot {
    struct mesh_author author;
    uint16_t log[LANE_COUNT]; /* LOG_NONE: nothing heard yet */
};

struct neighbour {
    uint64_t heard_ms;
    uint64_t ignored_ms; /* when the first news came since it was last heard; 0: none came */
    uint64_t synced_digest; /* our whole digest when we last noted that it holds what we hold */
    uint64_t links_heard_ms;
    uint64_t hearsay_ms; /* when what it lacks was last told to others, by us or somebody else */
    uint64_t hears; /* our neighbours that it hears well enough, by its own statement */
    uint32_t *held; /* for each log: everything up to this number */
    uint32_t digest; /* as last heard, 24 bits; UINT32_MAX: never */
    uint16_t node;
    int16_t rssi_dbm, snr_db_x4;
    uint8_t room;    /* 0, or 1 + the least class that its store takes */
    uint8_t count;   /* of its last frame heard */
    uint8_t quality; /* share of its frames that we hear, of 255 */
    uint8_t link_count;
    uint8_t vain_count; /* records we sent, and it still states to lack, since it last gained one */
    uint8_t greeted; /* wholes we have sent since it turned up */
    uint8_t covered; /* frames with our digest as it is that it should have heard */
    uint8_t hears_us_quality;
    bool used, summary_known;
    bool links_known; /* it has stated whom it hears */
    bool hears_us;
    bool by_chance;   /* heard once, of many frames or since it is there: a link perhaps */
    bool unanswered;  /* nobody whom it hears well hears it, by its own word */
    bool listed;      /* we counted it among our links when we last stated them */
    struct frame_link links[FRAME_LINK_COUNT_MAX]; /* as it stated them */
};

struct queued_event {
    struct mesh_event ev;
    uint32_t slot;
    uint32_t victim; /* STORE: the slot that makes room, or SLOT_NONE */
    bool used, handed;
};

struct trickle {
    uint64_t interval_ms, fire_ms, end_ms;
    uint32_t rounds;      /* times it fired with a difference around, since the last reset */
    uint32_t since_whole; /* the same, since the whole was last told */
    uint32_t consistent_count;
    uint64_t covered_digest; /* ours when it was last noted who heard it */
    bool fired;
    bool hushed; /* the last time it fired there was no reason to speak */
};

/* Classes of airtime, the least urgent first: frames without records, then records by priority. */
enum { CLASS_STATEMENT, CLASS_RECORD, CLASS_COUNT = CLASS_RECORD + PRIORITY_COUNT };

enum tx_state { TX_IDLE, TX_CHARGING, TX_READY, TX_ON_AIR };

struct tx {
    enum tx_state state;
    uint64_t due_ms;      /* when to look whether a frame is worth building; MESH_NEVER: not */
    uint64_t earliest_ms; /* pause after the last frame */
    uint32_t charge_event_id;
    uint64_t minute;      /* where the charge was booked */
    uint64_t blocked_until_ms; /* no airtime until then for classes below: */
    uint8_t blocked_below;
    struct mesh_tx frame;
    uint64_t digest;      /* that the frame states */
    uint64_t waiting;     /* neighbours whom its mix does not help at once */
    uint8_t slot_count;
    uint8_t plain_count;  /* of these, but for the first, not in the mix if there is one */
    uint32_t slots[TX_SLOT_COUNT_MAX]; /* records in the frame */
    uint32_t seqs[TX_SLOT_COUNT_MAX];  /* a slot may be reused while the frame is on air */
};

/* A mix as it was heard. */
struct kept_mix {
    uint16_t node; /* who sent it */
    uint8_t count;
    struct frame_mixed mixed[FRAME_MIX_COUNT_MAX];
    uint8_t sum[RECORD_LEN_MAX];
};

/* A mix in the making; before partners were found, a single record. */
struct mix_draft {
    uint64_t by;      /* neighbours helped: each lacks one of the records and holds the others */
    uint64_t waiting; /* those who lack more than one */
    uint8_t count, len;
    uint32_t slots[FRAME_MIX_COUNT_MAX];
    uint8_t sum[RECORD_LEN_MAX];
};

struct span { uint32_t from, to; }; /* log numbers, both included */

struct unconfirmed {
    uint32_t slot, seq;
    uint64_t again_ms;
    uint64_t helped; /* a relay: the neighbours it was for; own: all ones */
};

struct mesh {
    struct mesh_config cfg;
    uint64_t now_ms, rng;
    uint64_t digest; /* sum of the logs' sums */
    uint64_t unit_ms;
    uint32_t airtime_us[FRAME_LEN_MAX + 1]; /* by length of the frame */
    uint32_t next_event_id, next_tx_id;
    struct mesh_stats stats;

    struct slot *slots;
    uint32_t *buckets;
    uint32_t bucket_mask, free_slot;
    uint32_t fresh_slot; /* from here on no slot was ever used */
    uint32_t used_count, leaving_count;
    bool settle_dirty; /* there may be numbers to settle */
    uint8_t room; /* as in our last frame: 0, or 1 + the least class that our store takes */
    uint32_t order_first[PRIORITY_COUNT], order_last[PRIORITY_COUNT];

    struct author_slot *authors; /* sorted by number */
    uint16_t author_count;
    struct log *logs;
    uint16_t log_count;
    uint32_t *floors; /* for each log: what every living neighbour is believed to hold */
    uint8_t scratch[RECORD_LEN_MAX];

    struct neighbour neighbours[MESH_NEIGHBOUR_COUNT_MAX];
    struct queued_event events[EVENT_COUNT];
    struct kept_mix mixes[MIX_KEPT_COUNT]; /* the oldest first */
    uint8_t mix_count;
    struct unconfirmed unconfirmed[UNCONFIRMED_COUNT_MAX];
    uint32_t unconfirmed_count;

    struct trickle trickle;
    uint64_t hole_again_ms, hole_gap_ms; /* when to ask again for what is known to be missing */
    uint64_t air_ms;       /* when a record was last on air around here, new or not */
    uint64_t news_ms;      /* when something new was last taken in */
    uint64_t heard_ms;     /* when we last heard one */
    uint64_t sent_ms;      /* when we last sent a frame, */
    uint64_t sent_digest;  /* and what it stated */
    uint64_t links_gap_ms;
    uint64_t hello_gap_ms; /* until strangers are greeted again */
    uint64_t links_ms;     /* when we last stated our links */
    uint64_t links_changed_ms; /* since when they differ from that; 0: they do not */
    uint8_t frame_count, links_left;
    uint64_t answered_ms;  /* when we last heard somebody well who hears us, or nobody at all */
    bool unanswered;       /* we last stated that nobody whom we hear well hears us */
    uint64_t reset_digest; /* our digest when the trickle was last reset */
    bool want_summary;
    uint8_t sound_left;   /* frames of a link test still to be sent */
    uint64_t sums_ms;     /* when we last told sums */
    uint64_t tell_ms;     /* not before then: */
    struct span owed[FRAME_SUM_COUNT_MAX]; /* ranges of logs to tell whole, piece by piece */
    uint8_t owed_count, sum_parts; /* into how many sums to split sum_span; 0: none wanted */
    struct span sum_span;
    bool answering;       /* what is told answers somebody's sums */
    uint64_t answer_again_ms, answer_gap_ms;
    uint64_t hearsay_ms;  /* when to tell others what this neighbour lacks; MESH_NEVER: no need */
    uint8_t hearsay_about;
    struct tx tx;
    bool modem_ready, need_dirty;

    uint32_t ledger_us[LEDGER_COUNT]; /* by minute modulo LEDGER_COUNT */
    uint64_t ledger_minute;           /* newest minute in it */

    uint32_t created_min; /* the claim of time in records the core makes itself */
    bool clock_set;
    uint64_t ack_due_ms, ack_last_ms, ack_gap_ms;
    bool ack_urgent; /* something that cannot wait was taken in since the last */
    uint64_t ack_hash[ACK_PART_COUNT];
};

/* mesh.c */
uint64_t core_random(struct mesh *m);
/* Uniform in [lo, hi]. */
uint64_t core_between(struct mesh *m, uint64_t lo, uint64_t hi);
struct queued_event *core_queue_event(struct mesh *m, enum mesh_event_type type);
bool core_event_queued(const struct mesh *m, enum mesh_event_type type,
                       const struct record_ref *ref);
uint64_t core_mix(uint64_t x);

/* table.c */
void table_init(struct mesh *m);
struct author_slot *table_find_author(const struct mesh *m, uint16_t number);
/* The highest number that counts in a lane of this author: the root has said so.  Records past it
 * are neither held nor asked for, and nobody takes them. */
uint32_t table_last_good(const struct mesh_author *a, uint8_t lane);
uint32_t table_log_end(const struct mesh *m, const struct log *log);
bool table_is_revoked(const struct mesh *m, const struct record_ref *ref);
/* A local author's numbers may have been used further than records are held: they are waited for.
 */
void table_expect_own(struct mesh *m, struct log *log);
struct log *table_find_log(const struct mesh *m, uint16_t author, uint8_t lane);
/* Creates it when the author is known; NULL when not, or no log is free. */
/* As frames name it. */
uint32_t table_log_number(const struct log *log);
struct log *table_get_log(struct mesh *m, uint16_t author, uint8_t lane);
uint16_t table_log_index(const struct mesh *m, const struct log *log);
uint32_t table_find(const struct mesh *m, const struct log *log, uint32_t seq);
bool table_holds(const struct mesh *m, const struct log *log, uint32_t seq);
/* The lowest durable number above `after` in lane 0, or 0; cheap also where gaps are wide. */
uint32_t table_next_held(const struct mesh *m, const struct log *log, uint32_t after);
/* A pending slot, in the hash but not held.  Ask evict_find() before. */
uint32_t table_add(struct mesh *m, struct log *log, const struct record_view *view);
/* The class in which a new record of this log is served; counts it against its author's pace. */
uint8_t table_class(const struct mesh *m, struct log *log, uint8_t priority);
void table_forget(struct mesh *m, uint32_t index);
/* A durable record's bytes into m->scratch.  False, counted, if the store does not give them now:
 * then it is not sent again before somebody states that he lacks it. */
bool table_load(struct mesh *m, uint32_t index);
/* The store said yes: the record now is held. */
void table_commit(struct mesh *m, uint32_t index);
/* From now on every number up to this counts as held: a gateway has said that it holds them. */
void table_settle(struct mesh *m, struct log *log, uint32_t seq);
/* Does the roster call it a gateway, still? */
bool table_is_gateway(const struct mesh *m, uint16_t author);
uint32_t table_digest24(const struct mesh *m, uint16_t sender);

/* neigh.c */
struct neighbour *neigh_find(struct mesh *m, uint16_t node);
/* The same, but one who is not known is taken in. */
struct neighbour *neigh_get(struct mesh *m, uint16_t node);
struct neighbour *neigh_heard(struct mesh *m, const struct frame_view *frame,
                              const struct mesh_rx_meta *meta);
uint64_t neigh_bit(const struct mesh *m, const struct neighbour *n);
uint64_t neigh_alive_mask(const struct mesh *m);
/* The neighbours that a frame of ours may reach: all but those who say that they do not hear us. */
uint64_t neigh_reach_mask(const struct mesh *m);
/* Of those, all for whom records are sent: not who was not heard for long, not even after news,
 * since he is elsewhere; nor who never stated anything: he holds what we hold, for all we know. */
uint64_t neigh_near_mask(const struct mesh *m);
/* The neighbours that by their own word hear a frame of this one. */
uint64_t neigh_hearing(const struct mesh *m, const struct neighbour *sender);
void neigh_on_links(struct mesh *m, struct neighbour *n, struct frame_view *frame);
/* Whom we hear, by rising number; returns the count. */
size_t neigh_links(struct mesh *m, struct frame_link out[FRAME_LINK_COUNT_MAX]);
/* Is anybody whom we hear well still hearing us?  To be asked whenever time has moved on. */
void neigh_note_answer(struct mesh *m);
/* Those among whom we hear differ from what we last stated? */
bool neigh_links_changed(const struct mesh *m);
void neigh_links_stated(struct mesh *m);
void neigh_on_summary(struct mesh *m, struct neighbour *n, struct frame_view *frame);
/* These heard a frame with our digest. */
void neigh_covered(struct mesh *m, uint64_t nodes);
/* These were sent something that they lacked: do they hold it now? */
void neigh_uncovered(struct mesh *m, uint64_t nodes);
/* By its sums it holds all that we hold of these logs; then perhaps all but this; */
void neigh_holds_same(struct mesh *m, struct neighbour *n, uint32_t from, uint32_t to);
void neigh_lacks_one(struct mesh *m, struct neighbour *n, struct log *log, uint32_t seq);
/* or one that we lack. */
void neigh_claims(struct mesh *m, const struct record_ref *ref);
void neigh_on_digest(struct mesh *m, struct neighbour *n, uint32_t digest24);
/* Was the digest it last stated ours as we are now? */
/* We have told all that we hold: whoever has lately turned up, and heard us, knows it. */
void neigh_greeted(struct mesh *m);
bool neigh_in_sync(const struct mesh *m, const struct neighbour *n);
/* This is new here: of those who did not bring it, who says nothing to it? */
void neigh_on_news(struct mesh *m, const struct slot *s);
/* After our holdings changed: who turns out to hold just the same? */
void neigh_recheck(struct mesh *m);
/* Which of the living are believed to lack this record? */
uint64_t neigh_lacking(const struct mesh *m, const struct slot *s, uint64_t alive);
bool neigh_holds(const struct mesh *m, const struct neighbour *n, const struct slot *s);

/* evict.c */
/* Is there room for a record of this log, class and number, and which slot has to make it?
 * SLOT_NONE: there is a place.  False: nothing here is worth less. */
bool evict_find(const struct mesh *m, const struct log *log, uint8_t priority, uint32_t seq,
                uint32_t *victim_out);
/* The victim goes with the STORE that needs its place, in one transaction, or not at all. */
void evict_begin(struct mesh *m, struct queued_event *q, uint32_t victim);
/* It is about to go to the store: has what may be let go of more lightly come up meanwhile? */
void evict_review(struct mesh *m, struct queued_event *q);
void evict_end(struct mesh *m, const struct queued_event *q, bool durable);
/* This slot goes for another reason: whatever it was to make room for has room. */
void evict_forgotten(struct mesh *m, uint32_t index);
/* 0: there is room for everything; else 1 + the least class that there is room for. */
uint8_t evict_room(const struct mesh *m);
/* By its own word the neighbour's store does not take this. */
bool evict_in_vain(const struct mesh *m, const struct neighbour *n, const struct slot *s);
/* Is it better to call this number settled than to make room for its record? */
bool evict_declines(const struct mesh *m, const struct log *log, uint32_t seq);
void evict_settle(struct mesh *m, const struct log *log, uint32_t seq);
/* Settles what is missing and no longer worth asking for. */
void evict_advance(struct mesh *m);

/* sums.c */
void sums_heard(struct mesh *m, struct neighbour *n, struct frame_view *frame);
uint32_t sums_log_count(const struct mesh *m, uint32_t from, uint32_t to);
size_t sums_split(const struct mesh *m, uint32_t from, uint32_t to, size_t part_count,
                  struct frame_sum out[FRAME_SUM_COUNT_MAX]);

/* hearsay.c */
/* This neighbour has stated what it holds: shall others be told what it lacks? */
void hearsay_consider(struct mesh *m, struct neighbour *n);
/* Somebody told what another lacks. */
void hearsay_heard(struct mesh *m, struct frame_view *frame);
/* What it is time to tell may no longer be of use: then it is not told. */
void hearsay_review(struct mesh *m);
/* False, and nothing written, if it does not fit. */
bool hearsay_write(struct mesh *m, struct frame_builder *b);

/* rx.c */
bool rx_role_allows(const struct mesh_author *a, uint8_t kind);
/* A copy of a record held here was on air, sent by this neighbour. */
void rx_note_copy(struct mesh *m, struct slot *s, const struct neighbour *from);
enum mesh_verdict rx_record(struct mesh *m, const uint8_t *bytes, size_t len,
                            struct neighbour *from);

/* mix.c */
/* A frame with a mix was heard: was there something new in it? */
bool mix_heard(struct mesh *m, const struct frame_view *v, struct neighbour *from);
/* This became durable: can a mix heard before be taken apart now? */
void mix_retry(struct mesh *m, const struct slot *s);
/* Adds to a single record others that help other neighbours, room_len the bytes to spare. */
void mix_add_partners(struct mesh *m, struct mix_draft *d, uint64_t reach, size_t room_len);

/* tx.c */
void tx_advance(struct mesh *m);
void tx_on_done(struct mesh *m, enum mesh_tx_result result);
void tx_record_committed(struct mesh *m, uint32_t index, bool own);
/* Somebody's sums differ in these ranges: he is told of them, in finer sums or whole. */
void tell_answered(struct mesh *m); /* another one did */
void tell_answer(struct mesh *m, const struct span *spans, size_t span_count, bool finer);
/* Tells the whole if it has no more logs than that, and its sum otherwise. */
void tell_all(struct mesh *m, uint32_t whole_log_count);
/* When a frame may be sent that tells and carries no record; MESH_NEVER: nothing to tell. */
uint64_t tx_tell_ms(const struct mesh *m);
/* When this class has airtime again: now, unless it was held back. */
uint64_t tx_blocked_until_ms(const struct mesh *m, uint32_t class);
/* Looks again for a frame worth building, wait_ms from now or as soon as we may speak. */
void tx_set_due(struct mesh *m, uint64_t wait_ms);
uint64_t tx_next_deadline(const struct mesh *m);

/* turn.c */
bool turn_slot_current(const struct mesh *m, uint32_t index, uint32_t seq);
void turn_unconfirmed_add(struct mesh *m, uint32_t index);
void turn_unconfirmed_advance(struct mesh *m);
/* It was sent, for these neighbours: it is repeated unless one of them shows that it holds it. */
void turn_unconfirmed_sent(struct mesh *m, uint32_t index, uint64_t helped);
/* Is this an own record of that priority, to be sent whoever is believed to lack it? */
bool turn_shouts(const struct mesh *m, const struct unconfirmed *u, uint32_t priority);
/* Before turn_next_wanted(), whenever beliefs may have changed. */
void turn_find_floors(struct mesh *m, uint64_t reach);
/* Next record of one priority worth sending at or after `at`, and for whom; SLOT_NONE: no more. */
uint32_t turn_next_wanted(const struct mesh *m, uint32_t at, uint64_t reach, uint64_t *by_out);
bool turn_better_wait(struct mesh *m, struct slot *s, uint64_t by);
void turn_consider(struct mesh *m);

/* trickle.c */
void trickle_reset(struct mesh *m);
/* This log misses something that nobody will send by himself: it is asked for as if that had been
 * known for so long. */
void trickle_ask(struct mesh *m, struct log *log, uint64_t patience_units);
void trickle_advance(struct mesh *m);
/* Do we know of something that we lack, and have we waited for it to come by itself and for an
 * answer for so long? */
bool trickle_hole_aged(const struct mesh *m, uint64_t units);

/* ledger.c */
void ledger_turn(struct mesh *m);
uint32_t ledger_spent_ms(const struct mesh *m);
/* May airtime_us be spent now by this class?  parts: its share of the budget in percent. */
bool ledger_allows(const struct mesh *m, uint32_t airtime_us, uint32_t parts);
/* When some of what was spent leaves the window. */
uint64_t ledger_next_relief_ms(const struct mesh *m);
void ledger_book(struct mesh *m, uint32_t airtime_us);
void ledger_refund(struct mesh *m, uint64_t minute, uint32_t airtime_us);

/* ack.c */
void ack_on_commit(struct mesh *m, const struct slot *s);
void ack_advance(struct mesh *m);
void ack_on_failure(struct mesh *m, uint8_t lane);
void ack_apply(struct mesh *m, uint16_t gateway, const uint8_t *body, size_t len);
/* This gateway's key is in other hands: what it said is worth nothing. */
void ack_take_back(struct mesh *m, uint16_t gateway);

#endif
