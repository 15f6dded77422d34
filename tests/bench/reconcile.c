/* reconcile.c - what it costs two nodes with 10,000 records to find and mend d differences.
 *
 *   reconcile                 the table, then one line for each goal; exit status 1 when short
 *   reconcile frames [SEED]   one run of each, with every frame that was on air
 *
 * Two real cores with a store in memory were apart for an hour, come within hearing at SF7 without
 * loss, and run until each knows that the other holds what it holds.  Control is every byte on
 * air except d times a record with its length byte: frame heads, links, summaries, and also
 * any record sent twice.  It is counted until the holdings are equal (d = 0: until both know it).
 *
 *   newest   one node lacks the last records of some logs
 *   middle   each lacks half of the d, in the middle of logs
 *
 * The other methods are not run: their payload is what was measured of them with 1,000 records,
 * a lower bound for 10,000, and heads of our frames are added, as few as would do.  Sketches stand
 * in the table but not in the goal: their figure holds only for who knows d beforehand.
 * Signatures are checksums of the same length; the core only ever sees yes or no.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/frame.h"
#include "tests/support/net.h"

enum {
    RECORD_COUNT = 10000,
    ROOM_COUNT = RECORD_COUNT + 1000,
    BODY_LEN = 24, /* a coded report of three figures */
    NODE_COUNT = 2,
    AUTHOR_FIRST = NODE_COUNT + 1, /* the two who meet wrote nothing themselves */
    AUTHOR_COUNT_MAX = 400,
    D_MAX = 100,
    SEED_COUNT = 10,
    DUTY_E4 = 100,
    GOAL_TIMES = 2,    /* control at most so many times that of the best method */
    FRAME_RECORDS = 2, /* so many of these records fit a frame */
    D_COUNT = 4,
    PATTERN_COUNT = 2, /* newest, middle */
};
#define US_PER_S 1000000ull
#define APART_US (3600 * US_PER_S)
#define LIMIT_US (6 * 3600 * US_PER_S)
#define PIECE_US 50000ull

struct shape { uint32_t author_count, log_len; };

static const struct shape shapes[] = { { 40, 250 }, { 400, 25 } };

static const char *const patterns[PATTERN_COUNT] = { "newest", "middle" };
static const uint32_t differences[D_COUNT] = { 0, 1, 10, 100 };

enum { PER_AUTHOR = -1, VECTOR_BASE_LEN = 10, VECTOR_AUTHOR_LEN = 2, DIGEST_LEN = 8 };

/* A method's payload in bytes, both directions, by pattern and d. */
struct method {
    const char *name;
    int payload_len[PATTERN_COUNT][D_COUNT]; /* PER_AUTHOR: grows with them */
    bool foreknown; /* works only for who knows d beforehand */
};

static const struct method methods[] = {
    { "vectors", { { DIGEST_LEN, PER_AUTHOR, PER_AUTHOR, PER_AUTHOR },
                   { DIGEST_LEN, PER_AUTHOR, PER_AUTHOR, PER_AUTHOR } }, false },
    { "ranges", { { 324, 848, 1156, 4372 }, { 324, 969, 5495, 26752 } }, false },
    { "tree", { { 12, 34, 532, 5127 }, { 12, 12, 558, 5342 } }, false },
    { "sketch", { { 4, 4, 40, 400 }, { 4, 4, 40, 400 } }, true },
};
enum { METHOD_COUNT = sizeof methods / sizeof methods[0] };

struct lack { uint16_t author; uint32_t seq; uint8_t node; };

struct run {
    struct net *net;
    struct lack lacks[D_MAX];
    uint32_t d;
    size_t lack_len;  /* the d records with their length bytes */
    bool list;
    bool open;        /* within hearing: from here on it counts */
    uint64_t open_us;
    uint64_t bytes, record_bytes, frames, mended;
    uint64_t equal_us, equal_bytes, equal_frames;
    uint64_t first_us; /* the first frame since they hear each other */
};

enum field {
    CONTROL, FRAMES, EQUAL_S,        /* until the holdings are equal */
    CONTROL_KNOWN, REPEATED, KNOWN_S, /* until both know; repeated: bytes of records sent again */
    FIELD_COUNT,
};

struct result { int value[FIELD_COUNT]; };

/* ---- watching --------------------------------------------------------------------- */

static size_t links_len(struct frame_view v)
{
    const uint8_t *begin = v.links.at;
    struct frame_link link;
    if (!(v.flags & FRAME_FLAG_LINKS))
        return 0;
    while (frame_next_link(&v, &link))
        continue;
    return 1 + (size_t)(v.links.at - begin);
}

static void on_sent(void *ctx, const struct net_node *n, uint64_t start_us, uint64_t end_us)
{
    struct run *r = ctx;
    struct frame_view v;
    const uint8_t *record;
    size_t len, records_len = 0;
    uint32_t count = 0;

    (void)end_us;
    if (!r->open || frame_decode(n->tx.bytes, n->tx.len, &v) != FRAME_OK)
        return; /* what cannot be decoded is a breach of the network's own */
    if (r->first_us == 0)
        r->first_us = start_us;
    size_t link_len = links_len(v), entry_count = v.entry_count;
    while (frame_next_record(&v, &record, &len)) {
        records_len += len + 1;
        count++;
    }
    r->bytes += n->tx.len;
    r->record_bytes += records_len;
    r->frames++;
    if (r->list)
        printf("  %9.2f s  node %u  %3u bytes: head %d, links %zu, summary %zu (%zu entries%s), "
               "records %zu (%u)\n", (double)(start_us - r->open_us) / 1e6, n->number,
               n->tx.len, FRAME_HEADER_LEN, link_len,
               n->tx.len - FRAME_HEADER_LEN - link_len - records_len, entry_count,
               v.sum_count > 0 ? ", sums" : v.flags & FRAME_FLAG_WHOLE ? ", whole" : "",
               records_len, count);
}

static void on_stored(void *ctx, const struct net_node *n, const struct mesh_event *ev,
                      uint32_t order)
{
    struct run *r = ctx;
    (void)n;
    (void)ev;
    (void)order;
    if (!r->open || ++r->mended < r->d)
        return;
    r->equal_us = r->net->now_us;
    r->equal_bytes = r->bytes;
    r->equal_frames = r->frames;
}

/* ---- filling ----------------------------------------------------------------------- */

/* Which records are lacking, and where.  Spread over the authors; where an author has several,
 * the last ones of its log, or evenly inside it. */
static void choose(struct run *r, const struct shape *shape, bool middle)
{
    uint32_t per_author = (r->d + shape->author_count - 1) / shape->author_count;
    for (uint32_t i = 0; i < r->d; i++) {
        uint32_t author = i * shape->author_count / r->d, nth = 0;
        for (uint32_t k = i; k > 0 && (k - 1) * shape->author_count / r->d == author; k--)
            nth++;
        uint32_t seq = shape->log_len - nth;
        if (middle)
            seq = shape->log_len * (nth + 1) / (per_author + 1);
        r->lacks[i] = (struct lack){ .author = (uint16_t)(AUTHOR_FIRST + author), .seq = seq,
                                     .node = middle && i % 2 == 1 ? 0 : 1 };
    }
}

static bool lacking(const struct run *r, uint32_t node, uint32_t author, uint32_t seq)
{
    for (uint32_t i = 0; i < r->d; i++)
        if (r->lacks[i].author == author && r->lacks[i].seq == seq && r->lacks[i].node == node)
            return true;
    return false;
}

static size_t make_record(struct net *net, uint16_t author, uint32_t seq, uint8_t *buf)
{
    uint8_t body[BODY_LEN] = { 0 };
    store32_be(body, author);
    store32_be(body + 4, seq);
    struct record_draft draft = { .ref = { .author = author, .seq = seq }, .kind = RECORD_DAMAGE,
                                  .priority = PRIORITY_DAMAGE, .body = body, .body_len = BODY_LEN };
    return net_sign(net, &draft, buf);
}

static void flush(struct net *net, uint32_t node, struct frame_builder *b, uint8_t *frame)
{
    size_t len = frame_finish(b);
    net_tag(net, 0, frame, len);
    net_inject(net, node, frame, len);
}

/* Everything but what it lacks, through the core's ear; then it is started anew from its rows, as
 * if it had held them for long. */
static void fill(struct run *r, const struct shape *shape, uint32_t node)
{
    struct net *net = r->net;
    struct net_node *n = &net->nodes[node];
    uint8_t frame[FRAME_LEN_MAX], record[RECORD_LEN_MAX];
    struct frame_builder b;
    uint8_t count = 0;

    net_start(net, node);
    mesh_set_modem(n->mesh, (net->now_us - n->clock_base_us) / 1000, false);
    frame_begin(&b, frame, sizeof frame, AUTHOR_FIRST, 0, count++);
    for (uint32_t seq = 1; seq <= shape->log_len; seq++)
        for (uint32_t a = 0; a < shape->author_count; a++) {
            uint16_t author = (uint16_t)(AUTHOR_FIRST + a);
            if (lacking(r, node, author, seq))
                continue;
            size_t len = make_record(net, author, seq, record);
            if (!frame_add_record(&b, record, len)) {
                flush(net, node, &b, frame);
                frame_begin(&b, frame, sizeof frame, AUTHOR_FIRST, 0, count++);
                frame_add_record(&b, record, len);
            }
        }
    flush(net, node, &b, frame);
    net_stop(net, node);
}

static void check_filled(const struct run *r, uint32_t node)
{
    uint32_t lack_count = 0;
    for (uint32_t i = 0; i < r->d; i++)
        lack_count += r->lacks[i].node == node;
    uint32_t held = net_row_count(&r->net->nodes[node].rows);
    if (held == RECORD_COUNT - lack_count && !r->net->breach)
        return;
    fprintf(stderr, "bench-reconcile: node %u holds %u records: %s\n", node + 1, held,
            r->net->breach ? r->net->breach : "not as many as it was given");
    exit(1);
}

/* ---- meeting ------------------------------------------------------------------------ */

static bool knows(const struct net *net, uint32_t node)
{
    struct mesh_neighbour list[MESH_NEIGHBOUR_COUNT_MAX];
    size_t count = mesh_neighbours(net->nodes[node].mesh, list);
    for (size_t i = 0; i < count; i++)
        if (list[i].node == net->nodes[1 - node].number)
            return list[i].in_sync;
    return false;
}

static bool equal(const struct net *net)
{
    struct mesh_stats a, b;
    mesh_stats(net->nodes[0].mesh, &a);
    mesh_stats(net->nodes[1].mesh, &b);
    return a.digest == b.digest && a.records_held == RECORD_COUNT &&
           b.records_held == RECORD_COUNT;
}

static void meet(struct run *r, struct result *out)
{
    struct net *net = r->net;
    uint64_t until_us = r->open_us + LIMIT_US;

    net_run(net, r->open_us);
    r->open = true;
    while (net->now_us < until_us && !(equal(net) && knows(net, 0) && knows(net, 1)))
        if (!net_run(net, net->now_us + PIECE_US))
            break;
    if (net->breach || !equal(net) || !knows(net, 0) || !knows(net, 1)) {
        fprintf(stderr, "bench-reconcile: d = %u: %s\n", r->d,
                net->breach ? net->breach : "not equal in the time given");
        net_print(net, stderr);
        exit(1);
    }
    if (r->d == 0) {
        r->equal_us = net->now_us;
        r->equal_bytes = r->bytes;
        r->equal_frames = r->frames;
        }
    out->value[CONTROL] = (int)(r->equal_bytes - r->lack_len);
    out->value[FRAMES] = (int)r->equal_frames;
    out->value[EQUAL_S] = (int)((r->equal_us - r->first_us) / US_PER_S);
    out->value[CONTROL_KNOWN] = (int)(r->bytes - r->lack_len);
    out->value[REPEATED] = (int)(r->record_bytes - r->lack_len);
    out->value[KNOWN_S] = (int)((net->now_us - r->first_us) / US_PER_S);
}

static struct result measure(const struct shape *shape, uint32_t d, bool middle, uint64_t seed,
                             bool list)
{
    static struct run r;
    static uint8_t side[NODE_COUNT + AUTHOR_COUNT_MAX] = { 1, 2 };
    uint32_t node_count = NODE_COUNT + shape->author_count;
    int32_t *loss = malloc((size_t)node_count * node_count * sizeof *loss);
    struct result out;
    if (!loss)
        abort();
    net_line(node_count, loss);
    struct air_cut cut = { .from_us = 0, .to_us = NET_START_US + APART_US, .side = side };
    struct net_config cfg = net_config_default(node_count, seed);
    cfg.loss_db_x100 = loss;
    cfg.cuts = &cut;
    cfg.cut_count = 1;
    cfg.gateway = node_count;
    cfg.duty_node_e4 = DUTY_E4;
    cfg.record_count_max = 1; /* the authors are names only, and are switched off at once */
    cfg.watch = (struct net_watch){ .ctx = &r, .sent = on_sent, .stored = on_stored };
    r = (struct run){ .d = d, .list = list, .open_us = cut.to_us };
    r.net = net_new(&cfg);
    free(loss);
    for (uint32_t i = 0; i < node_count; i++)
        net_stop(r.net, i);
    r.net->cfg.record_count_max = ROOM_COUNT;
    choose(&r, shape, middle);
    for (uint32_t i = 0; i < d; i++) {
        uint8_t record[RECORD_LEN_MAX];
        r.lack_len += make_record(r.net, r.lacks[i].author, r.lacks[i].seq, record) + 1;
    }
    for (uint32_t i = 0; i < NODE_COUNT; i++) {
        fill(&r, shape, i);
        check_filled(&r, i);
    }
    for (uint32_t i = 0; i < NODE_COUNT; i++)
        net_start(r.net, i);
    meet(&r, &out);
    net_free(r.net);
    return out;
}

/* ---- telling ------------------------------------------------------------------------- */

static int int_order(const void *a, const void *b)
{
    const int *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Each figure by itself; of an even number of runs the worse of the middle two. */
static struct result median(const struct result *results)
{
    struct result out;
    int all[SEED_COUNT];
    for (size_t f = 0; f < FIELD_COUNT; f++) {
        for (size_t i = 0; i < SEED_COUNT; i++)
            all[i] = results[i].value[f];
        qsort(all, SEED_COUNT, sizeof all[0], int_order);
        out.value[f] = all[SEED_COUNT / 2];
    }
    return out;
}

/* A method's control bytes: its payload, in as few of our frames as would hold it, and the heads of
 * those that carry the records.  To know that all is equal takes a frame each way. */
static int method_len(const struct method *method, const struct shape *shape, size_t pattern,
                      size_t i)
{
    int room = FRAME_LEN_MAX - FRAME_HEADER_LEN, len = method->payload_len[pattern][i];
    if (len == PER_AUTHOR)
        len = VECTOR_BASE_LEN + VECTOR_AUTHOR_LEN * (int)shape->author_count;
    int frames = (len + room - 1) / room +
                 ((int)differences[i] + FRAME_RECORDS - 1) / FRAME_RECORDS;
    if (differences[i] == 0 && frames < NODE_COUNT)
        frames = NODE_COUNT;
    return len + frames * FRAME_HEADER_LEN;
}

struct goal { struct result result; const struct method *best; int best_len; };

/* Measures one row and prints it. */
static struct goal row(const struct shape *shape, size_t pattern, size_t i)
{
    static struct result results[SEED_COUNT];
    struct goal goal = { .best_len = INT_MAX };
    for (uint64_t seed = 0; seed < SEED_COUNT; seed++)
        results[seed] = measure(shape, differences[i], pattern == 1, seed + 1, false);
    goal.result = median(results);
    const int *value = goal.result.value;
    printf("%3u x %-3u  %-7s %4u %8d %6d %6d %8d %8d %6d ", shape->author_count, shape->log_len,
           differences[i] == 0 ? "equal" : patterns[pattern], differences[i], value[CONTROL],
           value[FRAMES], value[EQUAL_S], value[CONTROL_KNOWN], value[REPEATED], value[KNOWN_S]);
    for (size_t k = 0; k < METHOD_COUNT; k++) {
        int len = method_len(&methods[k], shape, pattern, i);
        printf(" %7d", len);
        if (!methods[k].foreknown && len < goal.best_len) {
            goal.best_len = len;
            goal.best = &methods[k];
        }
    }
    printf("\n");
    return goal;
}

static void head(void)
{
    printf("Control bytes of two nodes with %d records until they are equal, medians of seeds "
           "1-%d.\n\n", RECORD_COUNT, SEED_COUNT);
    printf("authors x  where      d  control frames      s  control repeated      s ");
    for (size_t k = 0; k < METHOD_COUNT; k++)
        printf(" %7s", methods[k].name);
    printf("\nrecords                    until equal           until both know it     ");
    printf("   at least, control until equal\n");
}

static int all(void)
{
    enum { GOAL_COUNT = sizeof shapes / sizeof shapes[0] * PATTERN_COUNT * D_COUNT };
    struct goal goals[GOAL_COUNT];
    int short_of = 0;

    head();
    for (size_t g = 0; g < GOAL_COUNT; g++) {
        size_t pattern = g / D_COUNT % PATTERN_COUNT;
        if (pattern == 0 || g % D_COUNT > 0) /* nothing is missing anywhere: once is enough */
            goals[g] = row(&shapes[g / D_COUNT / PATTERN_COUNT], pattern, g % D_COUNT);
    }
    printf("\n");
    for (size_t g = 0; g < GOAL_COUNT; g++) {
        const struct shape *shape = &shapes[g / D_COUNT / PATTERN_COUNT];
        size_t pattern = g / D_COUNT % PATTERN_COUNT, i = g % D_COUNT;
        if (pattern > 0 && i == 0)
            continue;
        int control = goals[g].result.value[CONTROL], most = GOAL_TIMES * goals[g].best_len;
        printf("%u authors, %s, d = %u: %d bytes of control (at most %d, twice %s)%s\n",
               shape->author_count, i == 0 ? "equal" : patterns[pattern], differences[i], control,
               most, goals[g].best->name, control > most ? " SHORT" : "");
        short_of += control > most;
    }
    return short_of > 0;
}

static void list_frames(uint64_t seed)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t pattern = 0; pattern < PATTERN_COUNT; pattern++)
            for (size_t i = pattern; i < D_COUNT; i++) {
                printf("%u authors x %u, %s, d = %u\n", shapes[s].author_count,
                       shapes[s].log_len, patterns[pattern], differences[i]);
                struct result r = measure(&shapes[s], differences[i], pattern == 1, seed, true);
                printf("  control %d bytes until equal, %d until both know, %d of records "
                       "repeated\n", r.value[CONTROL], r.value[CONTROL_KNOWN], r.value[REPEATED]);
            }
}

int main(int argc, char **argv)
{
    if (argc >= 2 && argc <= 3 && strcmp(argv[1], "frames") == 0) {
        list_frames(argc == 3 ? strtoull(argv[2], NULL, 10) : 1);
        return 0;
    }
    if (argc != 1) {
        fprintf(stderr, "usage: reconcile [frames [SEED]]\n");
        return 2;
    }
    return all();
}
