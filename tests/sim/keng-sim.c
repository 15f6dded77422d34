/* keng-sim - would my commune's network carry it?  One scenario on virtual time, or many seeds. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/core/mesh.h"
#include "tests/sim/campaign.h"
#include "tests/sim/sim.h"
#include "tests/sim/svg.h"

enum { EXIT_SHORT = 1, EXIT_USAGE = 2 };

static const char usage_text[] =
    "usage: keng-sim [OPTION]... SCENARIO.json\n"
    "Runs a scenario on the node's own core, on virtual time, and prints what came of it as JSON.\n"
    "  --seed N          the seed of all chance (1)\n"
    "  --seeds A-B       a campaign: every seed from A to B on all processors; medians\n"
    "  --protocol P      keng (what is shipped), or flood:HOPS, a managed flood of 1 to 7 hops\n"
    "  --json            the JSON on one line\n"
    "  --goals           exit status 1 unless everything arrived: gateway 1.0, all 0.999,\n"
    "                    authors' knowledge 0.99; of a campaign the medians, and seeds below\n"
    "                    are named\n"
    "  --explain         where the airtime went, in words, on standard error\n"
    "  --trace FILE      what happened, a line each: seconds, node, event\n"
    "  --dot FILE        who first brought reports to whom, for Graphviz\n"
    "  --svg FILE        a picture of the run: map, links, holders, airtime\n"
    "  --dump-node N     the state of node N at the end, on standard error\n"
    "  --real-crypto     libsodium's signatures instead of keyed checksums\n"
    "  --store N         records that a store takes, gateways' excepted (all there are)\n"
    "  --crash-ppm N     crashes, N in a million, between any two calls of a core\n"
    "  --tree            only the price of a perfect broadcast tree on the links at the start\n"
    "  --help            this\n"
    "Exit status 1: an invariant was broken, or a goal missed; 2: wrong use or scenario.\n";

struct request {
    struct sim_options sim;
    struct campaign campaign;
    bool has_seeds, compact, goals, explain, tree, has_dump;
    const char *trace, *dot, *svg, *path;
};

static int misuse(const char *what, const char *value)
{
    fprintf(stderr, "keng-sim: %s%s%s; see keng-sim --help\n", what, value ? ": " : "",
            value ? value : "");
    return EXIT_USAGE;
}

static bool read_number(const char *text, uint64_t max, char until, uint64_t *out,
                        const char **end_out)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *out = strtoull(text, &end, 10);
    if (end_out)
        *end_out = end;
    return errno == 0 && *end == until && *out <= max;
}

static bool read_seeds(const char *text, struct campaign *c)
{
    const char *dash;
    return read_number(text, UINT32_MAX, '-', &c->first, &dash) &&
           read_number(dash + 1, UINT32_MAX, '\0', &c->last, NULL) && c->first <= c->last;
}

static bool read_protocol(const char *text, uint32_t *hops_out)
{
    uint64_t hops = 0;
    if (strcmp(text, "keng") == 0) {
        *hops_out = 0;
        return true;
    }
    if (strncmp(text, "flood:", 6) != 0 ||
        !read_number(text + 6, SIM_HOPS_MAX, '\0', &hops, NULL) || hops == 0)
        return false;
    *hops_out = (uint32_t)hops;
    return true;
}

enum long_option { O_SEED = 256, O_SEEDS, O_PROTOCOL, O_JSON, O_GOALS, O_EXPLAIN, O_TRACE, O_DOT,
                   O_SVG, O_DUMP, O_REAL, O_STORE, O_CRASH, O_TREE, O_HELP };

static const struct option long_options[] = {
    { "seed", required_argument, NULL, O_SEED }, { "seeds", required_argument, NULL, O_SEEDS },
    { "protocol", required_argument, NULL, O_PROTOCOL }, { "json", no_argument, NULL, O_JSON },
    { "goals", no_argument, NULL, O_GOALS }, { "explain", no_argument, NULL, O_EXPLAIN },
    { "trace", required_argument, NULL, O_TRACE }, { "dot", required_argument, NULL, O_DOT },
    { "svg", required_argument, NULL, O_SVG }, { "dump-node", required_argument, NULL, O_DUMP },
    { "real-crypto", no_argument, NULL, O_REAL }, { "crash-ppm", required_argument, NULL, O_CRASH },
    { "store", required_argument, NULL, O_STORE },
    { "tree", no_argument, NULL, O_TREE }, { "help", no_argument, NULL, O_HELP }, { 0 },
};

/* One option; -1 to go on, or the exit status. */
static int take(struct request *q, int option)
{
    uint64_t n = 0;
    switch (option) {
    case O_SEED:
        if (!read_number(optarg, UINT32_MAX, '\0', &q->sim.seed, NULL))
            return misuse("--seed wants a number", optarg);
        return -1;
    case O_SEEDS:
        q->has_seeds = true;
        return read_seeds(optarg, &q->campaign) ? -1 : misuse("--seeds wants A-B", optarg);
    case O_PROTOCOL:
        return read_protocol(optarg, &q->sim.hops)
                   ? -1 : misuse("--protocol wants keng or flood:1 to flood:7", optarg);
    case O_DUMP:
        if (!read_number(optarg, SCENARIO_NODE_COUNT_MAX - 1, '\0', &n, NULL))
            return misuse("--dump-node wants a node's index", optarg);
        q->has_dump = true;
        q->sim.dump_node = (uint32_t)n;
        return -1;
    case O_STORE:
        if (!read_number(optarg, MESH_RECORD_COUNT_MAX, '\0', &n, NULL) || n == 0)
            return misuse("--store wants a number of records", optarg);
        q->sim.store_count = (uint32_t)n;
        return -1;
    case O_CRASH:
        if (!read_number(optarg, AIR_PPM, '\0', &n, NULL))
            return misuse("--crash-ppm wants 0 to 1000000", optarg);
        q->sim.crash_ppm = (uint32_t)n;
        return -1;
    case O_JSON: q->compact = true; return -1;
    case O_GOALS: q->goals = true; return -1;
    case O_EXPLAIN: q->explain = true; return -1;
    case O_TRACE: q->trace = optarg; return -1;
    case O_DOT: q->dot = optarg; return -1;
    case O_SVG: q->svg = optarg; return -1;
    case O_REAL: q->sim.real_crypto = true; return -1;
    case O_TREE: q->tree = true; return -1;
    case O_HELP: fputs(usage_text, stdout); return 0;
    default: return EXIT_USAGE; /* getopt has said what */
    }
}

static int read_request(int argc, char **argv, struct request *q)
{
    int option, status;
    q->sim.seed = 1;
    while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        status = take(q, option);
        if (status >= 0)
            return status;
    }
    if (argc - optind != 1)
        return misuse("one scenario file is wanted", NULL);
    q->path = argv[optind];
    if (q->has_seeds && (q->trace || q->dot || q->svg || q->has_dump || q->explain))
        return misuse("--seeds is many runs; a look inside wants one --seed", NULL);
    if (q->sim.hops > 0 && (q->has_dump || q->sim.real_crypto || q->sim.crash_ppm > 0 ||
                            q->sim.store_count > 0))
        return misuse("a flood has no core to look into, sign with, fill or crash", NULL);
    return -1;
}

/* ---- doing it ------------------------------------------------------------------------ */

static FILE *open_output(const char *path)
{
    FILE *f = fopen(path, "w");
    if (!f)
        fprintf(stderr, "keng-sim: %s: cannot be written: %s\n", path, strerror(errno));
    return f;
}

static bool close_output(FILE *f, const char *path)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) != 0 || bad) {
        fprintf(stderr, "keng-sim: %s: not written: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

static bool draw(const struct request *q, const struct measure *m)
{
    uint32_t n = m->s->node_count;
    bool ok = true;
    uint8_t *links = calloc((size_t)n * n, 1);
    if (!links || !scenario_links(m->s, q->sim.seed, links))
        abort();
    if (q->dot) {
        FILE *f = open_output(q->dot);
        if (f)
            measure_dot(m, links, f);
        ok = f && close_output(f, q->dot) && ok;
    }
    if (q->svg) {
        FILE *f = open_output(q->svg);
        if (f)
            svg_draw(m, links, f);
        ok = f && close_output(f, q->svg) && ok;
    }
    free(links);
    return ok;
}

static bool goals_met(const struct measure *m)
{
    struct measure_result r;
    measure_result(m, &r);
    return campaign_goals_met(r.gateway_delivery, r.all_delivery, r.author_knows);
}

static int run_once(struct request *q, struct scenario *s)
{
    FILE *trace = NULL;
    if (q->has_dump && q->sim.dump_node >= s->node_count)
        return misuse("--dump-node: there is no such node", NULL);
    if (q->trace && !(trace = open_output(q->trace)))
        return EXIT_USAGE;
    q->sim.trace = trace;
    q->sim.dump = q->has_dump ? stderr : NULL;
    struct measure *m = sim_run(s, &q->sim);
    bool ok = !trace || close_output(trace, q->trace);
    ok = draw(q, m) && ok;
    measure_print(m, q->compact, stdout);
    if (q->explain)
        measure_explain(m, stderr);
    bool good = m->violation_count == 0 && (!q->goals || goals_met(m));
    measure_free(m);
    return !ok ? EXIT_USAGE : good ? 0 : EXIT_SHORT;
}

static int print_tree(const struct request *q, struct scenario *s)
{
    uint8_t *links = calloc((size_t)s->node_count * s->node_count, 1);
    scenario_draw(s, q->sim.seed);
    if (!links || !scenario_links(s, q->sim.seed, links))
        abort();
    printf("{\"name\":\"%s\",\"tree_frames_per_report\":%.3f}\n", s->name, scenario_tree(s, links));
    free(links);
    return 0;
}

int main(int argc, char **argv)
{
    struct request q = { 0 };
    char text[SCENARIO_TEXT_LEN];
    int status = read_request(argc, argv, &q);
    if (status >= 0)
        return status;
    struct scenario *s = scenario_load(q.path, text);
    if (!s) {
        fprintf(stderr, "keng-sim: %s\n", text);
        return EXIT_USAGE;
    }
    if (q.tree) {
        status = print_tree(&q, s);
    } else if (q.has_seeds) {
        q.campaign.options = q.sim;
        q.campaign.path = q.path;
        status = campaign_run(&q.campaign, s, q.compact, q.goals);
    } else {
        status = run_once(&q, s);
    }
    scenario_free(s);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "keng-sim: standard output: not written: %s\n", strerror(errno));
        return EXIT_USAGE;
    }
    return status;
}
