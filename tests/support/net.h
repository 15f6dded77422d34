/* net.h - a small network of real cores on one simulated air, on virtual time.
 *
 * Each node is the real core (node/core), a store in memory whose rows are durable, and a radio
 * of the air model (hw/air).  The loop is the daemon's: feed what happened, make durable and
 * answer, hand over a frame, sleep until the deadline.  A node may crash between any two calls: its
 * core is thrown away, its rows stay, and it is built again from them.
 *
 * Checked after every step, whatever the test is about; a breach is described and the run stops:
 *   - a frame carries only records that are rows of the sender's store, byte for byte
 *   - no (author, lane, number) ever has two contents, unless the test itself forged a second
 *   - the core asks to store a record at most once per node, and none of another commune
 *   - own numbers rise by one, without gaps, within what was reserved durably
 *   - no sliding hour holds more airtime of a node than its budget, by the air's account
 *   - after a drain the next deadline is later than now
 * and by net_complete() at the end: no record whose author was told "stored" is missing anywhere.
 *
 * Time      net->now_us, virtual.  Same config, same calls: same run.
 * Memory    Heap, owned by struct net; net_free() gives all back.
 * Errors    net->breach is NULL or says what went wrong; nothing runs any further then.
 */
#ifndef KENG_TESTS_SUPPORT_NET_H
#define KENG_TESTS_SUPPORT_NET_H

#include <stdio.h>

#include "hw/air.h"
#include "node/core/mesh.h"

enum {
    NET_NODE_COUNT_MAX = 64, /* of the made-up layouts below; a network may have more */
    NET_BUCKET_COUNT = 1024,
    NET_BODY_LEN_MAX = RECORD_BODY_LEN_MAX,
};

#define NET_NO_ORDER UINT32_MAX
/* Where virtual time begins: late enough that the clock of any boot began before it. */
#define NET_START_US (10ull * 3600 * 1000000)

/* Faults, in parts per million. */
struct net_faults {
    uint32_t frame_loss_ppm, bit_flip_ppm, duplicate_ppm;
    uint32_t store_fail_ppm; /* a write that the store refuses */
    uint32_t crash_ppm;      /* at each place where a node may crash */
};

/* What a node's clock shows: only the claims in records depend on it. */
struct net_clock {
    bool none;
    int64_t offset_s;
};

struct net_node;

/* Somebody who watches and changes nothing; any function may be NULL. */
struct net_watch {
    void *ctx;
    void (*sent)(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us);
    void (*heard)(void *ctx, const struct net_node *n, const struct air_event *ev,
                  enum mesh_verdict verdict);
    /* A record is durable.  order: the net_order() it came from, or NET_NO_ORDER. */
    void (*stored)(void *ctx, const struct net_node *n, const struct mesh_event *ev,
                   uint32_t order);
};

struct net_config {
    uint32_t node_count;
    uint64_t seed;
    struct lora_params lora;
    const int32_t *loss_db_x100; /* [sender * node_count + receiver], as in hw/air.h; copied */
    const struct air_cut *cuts;  /* borrowed */
    uint32_t cut_count;
    struct net_faults faults;
    uint32_t gateway;      /* index of the node that acknowledges; node_count: none */
    uint32_t duty_node_e4, duty_gateway_e4;
    uint32_t record_count_max;
    uint32_t village_record_count_max; /* of all but gateways; 0: the same */
    /* Ed25519 and BLAKE2b, or keyed checksums: the core only ever sees yes or no, and thousands of
     * signatures would take most of a test's time under sanitisers. */
    bool real_crypto;

    /* For simulations of more than the made-up layouts; zero is what tests want. */
    const struct air_config *air; /* the whole air instead of loss_db_x100, cuts and the constants
                                   * in net.c; counts, seed and faults are still put in here */
    int32_t eirp_dbm_x100;        /* with `air` */
    uint16_t mtu_len;             /* 0: FRAME_LEN_MAX */
    uint16_t log_count_max;       /* 0: every node may write in several lanes */
    uint32_t window_ms;           /* 0: an hour */
    const uint8_t *gateways;      /* node_count flags, borrowed; NULL: `gateway` alone */
    const uint16_t *communes;     /* node_count, borrowed: each commune has a network key and a
                                   * roster of its own on the one air; NULL: all are of one */
    const struct net_clock *clocks; /* node_count, borrowed; NULL: nobody claims any time */
    struct net_watch watch;
    bool kiss_modem;              /* wait for a free channel as MeshCore's modem does, see net.c */
    bool strict;                  /* nobody forges valid records: what is stored was made here */
};

struct net_row {
    struct record_ref ref;
    uint32_t next; /* in its bucket */
    bool used, own;
    uint16_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};

struct net_rows {
    struct net_row *row;
    uint32_t count, cap;
    uint32_t buckets[NET_BUCKET_COUNT];
};

struct net_charge {
    uint64_t minute_ms; /* of this boot's clock */
    uint32_t airtime_us;
};

struct net_order { /* what a node's user wants said; tried until it is stored */
    uint8_t kind, priority;
    uint16_t body_len;
    uint8_t body[NET_BODY_LEN_MAX];
    uint64_t asked_us;
    uint32_t id;   /* what net_order() returned */
    bool stored;   /* durable, though the node may have died before it could say so */
};

struct net_send { uint64_t start_us, end_us; };

struct net_node {
    struct net *net;
    uint32_t index;
    uint16_t number;        /* node number and author number: index + 1 */
    bool up, restart_due, rebooted, hidden; /* hidden: others' rosters do not have it (yet) */
    bool revoked;           /* past this number, by the roster that all have */
    uint32_t last_good_seq;
    uint64_t restart_us;
    uint64_t clock_base_us; /* the core's clock: now_us - base, as another boot would count */
    void *storage;
    size_t storage_len;
    struct mesh *mesh;

    /* Durable. */
    struct net_rows rows, forks;
    uint32_t *settled;      /* by author: all up to it counts as held */
    uint32_t evicted;
    uint64_t unjudged_us;   /* when it last built a frame */
    uint32_t reserved[LANE_COUNT];
    struct net_charge *charges;
    uint32_t charge_count, charge_cap;

    /* The radio's modem: one frame, listen before talk. */
    bool modem_busy, on_air;
    uint64_t try_us, polite_until_us;
    struct mesh_tx tx;

    struct net_order *orders;
    uint32_t order_count, order_cap;
    bool asked;             /* the first order was submitted, its store is not answered */
    uint64_t ask_again_us;
    int last_err;           /* what mesh_submit said last */

    /* The air's account of this node. */
    struct net_send *sends;
    uint32_t send_count, send_cap, send_first;

    uint32_t stores, store_fail_at; /* fail the n-th write from now on; 0: none */
    uint32_t crashes;
    uint64_t due_us;        /* when it next wants to be looked at */
    uint32_t heap_index;
    bool touched;           /* something happened to it in this step */
    uint64_t rx_before[MESH_RX_COUNT]; /* of the cores that crashed */
};

struct net {
    struct net_config cfg;
    uint64_t now_us, rng;
    struct air *air;
    void *air_storage;
    int32_t *loss;
    struct net_node *nodes;
    uint32_t *heap;             /* nodes by due_us, ties by index */
    uint32_t *touched;          /* nodes to look at in this step */
    uint32_t touched_count, orders_made;
    struct net_rows truth;      /* every record that was ever durable anywhere */
    uint8_t (*keys)[KENG_KEY_LEN];
    uint8_t (*secrets)[KENG_SIG_LEN];
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint64_t steps;
    uint64_t frames, frame_bytes, record_bytes, record_frames, records_sent, frame_airtime_us;
    char *breach;               /* what went wrong, or NULL */
    char breach_text[256];
};

/* SF7, 125 kHz, 4/5. */
struct lora_params net_lora(uint8_t sf);
/* A config without faults, links or duty limit. */
struct net_config net_config_default(uint32_t node_count, uint64_t seed);

struct net *net_new(const struct net_config *cfg);
void net_free(struct net *net);

/* Fills a matrix of node_count squared: each hears its neighbours in the line. */
void net_line(uint32_t node_count, int32_t *loss);
void net_dense(uint32_t node_count, uint64_t seed, int32_t *loss);
/* Nodes at random in a square, links by distance, connected. */
void net_random(uint32_t node_count, uint64_t seed, int32_t *loss);

/* Runs until then, or until a breach.  False on a breach. */
bool net_run(struct net *net, uint64_t until_us);
/* Runs until net_complete(), or until then.  True when complete. */
bool net_run_complete(struct net *net, uint64_t until_us);
/* Do all nodes that are up hold every record that was stored anywhere, with nothing left to ask? */
bool net_complete(const struct net *net);
/* Does every author know that a gateway holds all its lane 0 records? */
bool net_acknowledged(const struct net *net);

/* A node's user wants something said: random bytes of body.  Returns the order's id; an order
 * waits until the node is up and its store takes it. */
uint32_t net_order(struct net *net, uint32_t node, uint8_t kind, uint8_t priority,
                   uint32_t body_len);
void net_crash(struct net *net, uint32_t node, uint64_t back_us);
void net_stop(struct net *net, uint32_t node);
void net_start(struct net *net, uint32_t node);
/* All durable rows gone, as after a new memory card; the note of used numbers may lie elsewhere. */
void net_forget(struct net *net, uint32_t node, bool numbers_too);
/* A node's radio sends these bytes past its core and its account, as a hostile program on it would;
 * false, and nothing sent, while it is off or sending. */
bool net_shout(struct net *net, uint32_t node, const uint8_t *frame, size_t len);
/* Where a node is from now on, for an air that goes by distance. */
void net_move(struct net *net, uint32_t node, struct air_position at);
bool net_is_gateway(const struct net *net, uint32_t node);
bool net_same_commune(const struct net *net, uint32_t a, uint32_t b);
/* Bytes straight into a node's ear. */
enum mesh_verdict net_inject(struct net *net, uint32_t node, const uint8_t *frame, size_t len);
/* A hidden node's roster entry reaches everybody. */
void net_enrol(struct net *net, uint32_t node);
/* Everybody learns, those who are off when they start, up to which number this author counts. */
void net_revoke(struct net *net, uint32_t node, uint32_t last_good_seq);

/* Signs with any node's key what the test made up; returns the record's length. */
size_t net_sign(struct net *net, const struct record_draft *draft, uint8_t *buf);
/* Tags a finished frame in place, as this node's commune does. */
void net_tag(struct net *net, uint32_t node, uint8_t *frame, size_t len);
/* The row of a node, or NULL. */
const struct net_row *net_find(const struct net_rows *rows, const struct record_ref *ref);
uint32_t net_row_count(const struct net_rows *rows);
uint64_t net_rx(const struct net *net, uint32_t node, enum mesh_verdict verdict);
uint64_t net_random_below(struct net *net, uint64_t n);
/* One line for each node, on a breach or when something is missing. */
void net_print(const struct net *net, FILE *out);

#endif
