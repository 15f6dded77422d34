/* node.h - one node: the core, its store, its people, and what became of their reports.
 *
 * The order of work is the core's: feed what happened, make durable what it asks for in one
 * transaction, answer, hand over a frame.  This file knows neither sockets nor serial ports.
 *
 * Time     now_ms: the caller's monotonic clock.  Unix time is read where a record is stamped.
 * Errors   0 or -1 with one line in text for what stops a start; afterwards a failing disk is a
 *          state (node->store_failing), shown and retried, never an exit.
 */
#ifndef KENG_NODE_NODE_H
#define KENG_NODE_NODE_H

#include <jansson.h>

#include "node/core/mesh.h"
#include "node/home.h"
#include "node/numbers.h"
#include "node/settings.h"
#include "node/store.h"

enum {
    NODE_TEXT_LEN = 512,
    NODE_PENDING_COUNT_MAX = 32, /* clients that wait for their submit */
    NODE_OPEN_COUNT_MAX = 512,   /* own reports still on their way */
    NODE_BOOT_ID_LEN = 40,
    NODE_LEDGER_LEN = NODE_BOOT_ID_LEN + SETTINGS_NAME_LEN + 1,
};

enum node_report_state { REPORT_STORED, REPORT_CARRIED, REPORT_RECEIVED, REPORT_READ };

struct node_report {
    struct record_ref ref;
    enum node_report_state state;
    uint16_t carried_by;    /* first known; AUTHOR_NONE */
    uint8_t carrier_count;  /* how many are known to hold it now */
    uint16_t review_by;
    uint8_t review_state;
};

/* A submit on its way to the disk; the answer goes to client. */
struct node_pending {
    bool used, staged, retried;
    uint64_t client;
    char once[STORE_ONCE_LEN_MAX + 1]; /* empty: none */
    struct record_draft draft;
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct record_ref ref;
};

struct node;

/* One modem's side: a core of its own, with its neighbours and its ledger, over the one store. */
struct node_side {
    struct node *node;
    struct mesh *mesh;
    void *storage;
    char ledger[NODE_LEDGER_LEN];
    uint64_t unwritten_ms; /* the oldest minute spent in that the disk did not take; UINT64_MAX */
    uint64_t behind_ms; /* when to offer it again what it had no room for; UINT64_MAX: nothing */
};

struct node {
    struct mesh *mesh; /* of sides[0], which decides what the store keeps */
    struct node_side sides[SETTINGS_MODEM_COUNT_MAX];
    size_t side_count;
    struct store *store;
    struct numbers numbers;
    struct roster roster;
    struct settings settings;
    uint8_t network_key[KENG_NETWORK_KEY_LEN];
    struct home_identity identities[HOME_IDENTITY_COUNT_MAX];
    int identity_count;
    char boot_id[NODE_BOOT_ID_LEN];
    unsigned speed;
    bool store_failing;
    char disk_text[STORE_TEXT_LEN]; /* why, while it is failing */
    bool profile_changed; /* the radio's settings need a restart to take effect */

    struct node_pending pending[NODE_PENDING_COUNT_MAX];
    struct node_report open[NODE_OPEN_COUNT_MAX];
    size_t open_count;
    uint32_t state_changes_seen;
    int64_t last_arrival;
    bool owes;              /* receipts, perhaps: the store knows */
    uint64_t owed_after_ms; /* not before: the last try failed */

    /* The one listener: an answer to a waiting client, a report whose state changed. */
    void *listener;
    void (*on_answer)(void *listener, uint64_t client, json_t *answer);
    void (*on_state)(void *listener, json_t *state);
};

/* Reads HOME, opens the store, restores, imports commune.keng. */
int node_open(struct node *n, const char *home, unsigned speed, uint64_t now_ms,
              char text[static NODE_TEXT_LEN]);
void node_close(struct node *n);

/* A modem has sent by itself for so long: it counts as its node's airtime, durably. */
void node_spend(struct node *n, size_t side, uint64_t now_ms, uint32_t airtime_us);

/* Drains the core: everything durable, every answer given.  Call after each thing fed to it. */
void node_drain(struct node *n, uint64_t now_ms);

/* Queues a submit for client (its answer comes by on_answer); false when all places are taken. */
bool node_submit(struct node *n, uint64_t now_ms, uint64_t client, const struct record_draft *draft,
                 const char *once);
/* The client is gone: its submit still happens, its answer is dropped. */
void node_forget_client(struct node *n, uint64_t client);
/* Does another node hold it, by any of our sides?  The first found, AUTHOR_NONE: none known. */
uint8_t node_carriers(const struct node *n, const struct record_ref *ref,
                      uint16_t carriers_out[MESH_NEIGHBOUR_COUNT_MAX]);
/* A record from a file or a cable; the word for what became of it. */
const char *node_add(struct node *n, uint64_t now_ms, const uint8_t *bytes, size_t len);
bool node_is_local(const struct node *n, uint16_t author);
/* How far an own report has come.  carried_by: what the store remembers. */
void node_report_state(struct node *n, const struct record_ref *ref, uint16_t carried_by,
                       struct node_report *report_out);
int64_t node_unix_ms(void);
/* Has an authority (NTP, GPS) set this machine's clock? */
bool node_clock_set(void);
/* Minutes since the Kẻng epoch, for `created`. */
uint32_t node_created_min(void);

/* node_json.c: what clients see. */
json_t *node_json_hex(const uint8_t *bytes, size_t len);
json_t *node_json_record(const struct store_record *record);
json_t *node_json_report(struct node *n, const struct store_record *record);
/* What a frame on the air says of itself; "node" only where it can be read. */
json_t *node_json_frame(const char *direction, const uint8_t *bytes, size_t len);
json_t *node_json_error(const char *code, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
