/* The whole core against the air: forged frames of members and strangers, a failing store, a modem
 * that comes and goes, time that jumps.  Signatures and tags always hold here, so that the input
 * gets behind them.  Promises: no assert, no endless work, never over the lawful airtime, a record
 * is loaded for the air only after the store said yes. */
#include "node/core/mesh.h"
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

enum {
    MESH_NODE = 3, MESH_RECORDS = 64, MESH_HELD_MAX = 4096, MESH_STEPS_MAX = 20000,
    MESH_WINDOW_MS = 600000, MESH_BUDGET_MS = 6000, MESH_SENT_MAX = 4096,
};

struct held {
    struct record_ref ref;
    size_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};

static struct mesh_run {
    struct mesh *mesh;
    uint64_t now_ms;
    size_t held_count, sent_count;
    struct held held[MESH_HELD_MAX];
    struct { uint64_t at_ms; uint32_t airtime_us; } sent[MESH_SENT_MAX];
    bool disk_fails;
} mesh_run;

static int mesh_fuzz_sign(void *ctx, uint16_t author, uint8_t *buf, size_t len_unsigned)
{
    (void)ctx;
    memset(buf + len_unsigned, (uint8_t)author, KENG_SIG_LEN);
    return 0;
}

static bool mesh_fuzz_verify(void *ctx, const struct record_view *view,
                             const uint8_t key[KENG_KEY_LEN])
{
    (void)ctx;
    (void)view;
    return key[0] != 0xff;
}

static void mesh_fuzz_tag(void *ctx, const uint8_t *head, size_t head_len, const uint8_t *rest,
                          size_t rest_len, uint8_t tag_out[FRAME_TAG_LEN])
{
    (void)ctx;
    (void)head;
    (void)head_len;
    (void)rest;
    (void)rest_len;
    memset(tag_out, 0, FRAME_TAG_LEN);
}

static struct held *find_held(const struct record_ref *ref)
{
    for (size_t i = 0; i < mesh_run.held_count; i++) {
        struct held *h = &mesh_run.held[i];
        if (h->ref.author == ref->author && h->ref.lane == ref->lane && h->ref.seq == ref->seq)
            return h;
    }
    return NULL;
}

static int mesh_fuzz_load(void *ctx, const struct record_ref *ref, uint8_t *buf)
{
    (void)ctx;
    const struct held *h = find_held(ref);
    FUZZ_CHECK(h != NULL); /* asked for what was never made durable */
    memcpy(buf, h->bytes, h->len);
    return (int)h->len;
}

static void keep(const struct mesh_event *ev)
{
    FUZZ_CHECK(find_held(&ev->ref) == NULL && mesh_run.held_count < MESH_HELD_MAX);
    struct held *left = ev->leaves.seq > 0 ? find_held(&ev->leaves) : NULL;
    FUZZ_CHECK(left != NULL || ev->leaves.seq == 0);
    if (left)
        *left = mesh_run.held[--mesh_run.held_count];
    struct record_ref old = ev->ref;
    old.seq = ev->replaces_seq;
    struct held *h = ev->replaces_seq ? find_held(&old) : NULL;
    if (ev->replaces_seq)
        FUZZ_CHECK(h != NULL);
    if (!h)
        h = &mesh_run.held[mesh_run.held_count++];
    h->ref = ev->ref;
    h->len = ev->len;
    memcpy(h->bytes, ev->bytes, ev->len);
}

static void check_air(const struct mesh_tx *tx)
{
    uint64_t sum_us = 0;
    FUZZ_CHECK(mesh_run.sent_count < MESH_SENT_MAX);
    mesh_run.sent[mesh_run.sent_count].at_ms = mesh_run.now_ms;
    mesh_run.sent[mesh_run.sent_count++].airtime_us = tx->airtime_us;
    for (size_t i = 0; i < mesh_run.sent_count; i++)
        if (mesh_run.now_ms - mesh_run.sent[i].at_ms < MESH_WINDOW_MS)
            sum_us += mesh_run.sent[i].airtime_us;
    FUZZ_CHECK(sum_us <= (uint64_t)MESH_BUDGET_MS * 1000);
    struct frame_view v;
    FUZZ_CHECK(frame_decode(tx->bytes, tx->len, &v) == FRAME_OK && v.sender == MESH_NODE);
}

static void drain_mesh(void)
{
    static struct mesh_event ev;
    struct mesh_tx tx;
    int steps = 0;
    bool more = true;
    while (more) {
        more = false;
        while (mesh_poll_event(mesh_run.mesh, mesh_run.now_ms, &ev)) {
            FUZZ_CHECK(++steps < MESH_STEPS_MAX);
            if (ev.type == MESH_EV_STORE && !mesh_run.disk_fails)
                keep(&ev);
            FUZZ_CHECK(mesh_on_persisted(mesh_run.mesh, mesh_run.now_ms, ev.event_id,
                                         !mesh_run.disk_fails) == MESH_OK);
        }
        if (mesh_poll_tx(mesh_run.mesh, mesh_run.now_ms, &tx)) {
            check_air(&tx);
            FUZZ_CHECK(mesh_on_tx_done(mesh_run.mesh, mesh_run.now_ms, tx.tx_id, MESH_TX_SENT) ==
                       MESH_OK);
            more = true;
        }
        FUZZ_CHECK(++steps < MESH_STEPS_MAX);
    }
}

static void start_mesh(bool gateway, void *storage, size_t cap)
{
    struct mesh_config cfg = {
        .outside = { .sign = mesh_fuzz_sign, .verify = mesh_fuzz_verify, .tag = mesh_fuzz_tag,
                     .load = mesh_fuzz_load },
        .lora = { .freq_hz = 922000000, .bw_hz = 125000, .sf = 7, .cr = 5, .preamble_symbols = 16 },
        .seed = 1, .node = MESH_NODE, .gateway = gateway, .mtu_len = FRAME_LEN_MAX,
        .record_count_max = MESH_RECORDS, .log_count_max = 24, .author_count_max = 16,
        .duty_window_ms = MESH_WINDOW_MS, .duty_budget_ms = MESH_BUDGET_MS,
    };
    FUZZ_CHECK(mesh_storage_size(&cfg) > 0 && mesh_storage_size(&cfg) <= cap);
    mesh_run.now_ms = 1000;
    mesh_run.held_count = mesh_run.sent_count = 0;
    mesh_run.disk_fails = false;
    FUZZ_CHECK(mesh_init(storage, cap, &cfg, mesh_run.now_ms, &mesh_run.mesh) == MESH_OK);
    for (uint16_t i = 0; i < 8; i++) {
        struct mesh_author a = { .number = i, .last_good_seq = i == 7 ? 5 : UINT32_MAX,
                                 .local = i == MESH_NODE || i == 4, .key = { (uint8_t)i } };
        a.roles = i == MESH_NODE && gateway ? MESH_ROLE_GATEWAY | MESH_ROLE_REVIEW
                  : i == 2 ? MESH_ROLE_GATEWAY | MESH_ROLE_REVIEW : 0;
        FUZZ_CHECK(mesh_set_author(mesh_run.mesh, &a) == MESH_OK);
    }
    mesh_set_modem(mesh_run.mesh, mesh_run.now_ms, true);
}

static void submit_one(uint8_t op)
{
    static const uint8_t body[] = { 0x1a, 1, 20, 0x22, 1, 3 };
    struct record_draft d = { .ref = { .author = 4 }, .kind = RECORD_DAMAGE,
                              .priority = op & 3, .body = body, .body_len = sizeof body };
    struct record_ref ref;
    for (int tries = 0; tries < 3; tries++) {
        if (mesh_submit(mesh_run.mesh, mesh_run.now_ms, &d, &ref) != MESH_EAGAIN)
            return;
        drain_mesh();
    }
}

/* A frame's bytes as given, with version and tag put right. */
static size_t hear(const uint8_t *data, size_t len)
{
    uint8_t frame[FRAME_LEN_MAX] = { 0 };
    struct mesh_rx_meta meta = { .rssi_dbm = -100, .snr_db_x4 = 4 };
    size_t want = data[0];
    if (want > len - 1)
        want = len - 1;
    if (want < 6)
        return want;
    frame[0] = (uint8_t)(KENG_PROTOCOL_VERSION << 5 | (data[1] & 0x1f));
    size_t frame_len = want - 1 + FRAME_TAG_LEN + 1;
    if (frame_len > sizeof frame)
        frame_len = sizeof frame;
    memcpy(frame + 1 + FRAME_TAG_LEN, data + 2, frame_len - 1 - FRAME_TAG_LEN);
    mesh_on_frame(mesh_run.mesh, mesh_run.now_ms, frame, frame_len, &meta);
    return want;
}

static void fuzz_mesh(const uint8_t *data, size_t len)
{
    static _Alignas(16) uint8_t storage[1 << 20];
    if (len == 0)
        return;
    memset(storage, 0, sizeof storage);
    start_mesh(data[0] & 1, storage, sizeof storage);
    data++;
    for (len--; len > 1 && mesh_run.held_count < MESH_HELD_MAX - 64;) {
        uint8_t op = data[0];
        size_t used = 1;
        data++;
        len--;
        if (op < 0x80)
            used += hear(data, len);
        else if (op < 0xa0)
            mesh_run.now_ms += (uint64_t)(data[0] + 1) * 200;
        else if (op < 0xb0)
            submit_one(data[0]);
        else if (op < 0xc0)
            mesh_set_modem(mesh_run.mesh, mesh_run.now_ms, data[0] & 1);
        else if (op < 0xc8)
            mesh_run.disk_fails = (data[0] & 3) == 0;
        else if (op < 0xd0)
            mesh_run.now_ms += (uint64_t)data[0] << 12;
        drain_mesh();
        data += used;
        len -= used;
    }
    drain_mesh();
}

FUZZ_TARGET(fuzz_mesh)
