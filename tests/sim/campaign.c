#include "tests/sim/campaign.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKER_COUNT_MAX = 64 };
#define GATEWAY_GOAL 1.0
#define ALL_GOAL 0.999
#define KNOWS_GOAL 0.99
#define ROUNDING 1e-9

struct outcome { /* what a worker writes: one piece, so that pieces never mix */
    uint64_t seed, digest;
    struct measure_result result;
    uint32_t violation_count;
    char violation[MEASURE_TEXT_LEN];
};
_Static_assert(sizeof(struct outcome) <= PIPE_BUF, "a write to the pipe is one piece");

static bool reached(double value, double goal)
{
    return value >= goal - ROUNDING;
}

bool campaign_goals_met(double gateway_delivery, double all_delivery, double author_knows)
{
    return reached(gateway_delivery, GATEWAY_GOAL) && reached(all_delivery, ALL_GOAL) &&
           reached(author_knows, KNOWS_GOAL);
}

/* ---- workers ------------------------------------------------------------------------- */

static void work(const struct campaign *c, struct scenario *s, uint64_t first, uint64_t step,
                 int out)
{
    for (uint64_t seed = first; seed <= c->last; seed += step) {
        struct sim_options options = c->options;
        struct outcome o = { .seed = seed };
        options.seed = seed;
        struct measure *m = sim_run(s, &options);
        measure_result(m, &o.result);
        o.digest = m->digest;
        o.violation_count = m->violation_count;
        if (m->violation_count > 0)
            memcpy(o.violation, m->violations[0], sizeof o.violation);
        measure_free(m);
        if (write(out, &o, sizeof o) != (ssize_t)sizeof o)
            _exit(1);
    }
    _exit(0);
}

static size_t read_whole(int fd, void *buf, size_t len)
{
    size_t have = 0;
    while (have < len) {
        ssize_t n = read(fd, (char *)buf + have, len - have);
        if (n == 0 || (n < 0 && errno != EINTR))
            break;
        if (n > 0)
            have += (size_t)n;
    }
    return have;
}

static uint32_t worker_count(uint64_t seed_count)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t count = processors > 0 ? (uint64_t)processors : 1;
    if (count > WORKER_COUNT_MAX)
        count = WORKER_COUNT_MAX;
    return (uint32_t)(count < seed_count ? count : seed_count);
}

/* Outcomes of all seeds into list, by seed; a seed that never answered keeps seed 0 reports. */
static bool collect(const struct campaign *c, struct scenario *s, struct outcome *list,
                    bool *answered)
{
    uint64_t seeds = c->last - c->first + 1;
    uint32_t workers = worker_count(seeds);
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    (void)fflush(NULL); /* or every worker would write it again */
    for (uint32_t i = 0; i < workers; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return false;
        if (pid == 0) {
            (void)close(ends[0]);
            work(c, s, c->first + i, workers, ends[1]);
        }
    }
    (void)close(ends[1]); /* the last worker's end is then the pipe's end */
    struct outcome o;
    while (read_whole(ends[0], &o, sizeof o) == sizeof o) {
        list[o.seed - c->first] = o;
        answered[o.seed - c->first] = true;
    }
    (void)close(ends[0]);
    while (wait(NULL) > 0 || errno == EINTR)
        continue;
    return true;
}

/* ---- figures ------------------------------------------------------------------------- */

struct figure {
    const char *name;
    size_t offset; /* of a double in measure_result */
    const char *unit;
};

#define FIGURE(field, unit) { #field, offsetof(struct measure_result, field), unit }
#define LATENCY(name, field) { name, offsetof(struct measure_result, field), "s" }
static const struct figure figures[] = {
    FIGURE(gateway_delivery, "share"), FIGURE(all_delivery, "share"), FIGURE(author_knows, "share"),
    FIGURE(frames_per_report, "frames"), FIGURE(airtime_per_report_s, "s"),
    FIGURE(airtime_s, "s"), FIGURE(duty_mean, "share"), FIGURE(duty_max, "share"),
    FIGURE(law_max, "share"), FIGURE(core_memory_bytes, "bytes"),
    LATENCY("latency_gateway_p50", latency_gateway[PRIORITY_COUNT].p50),
    LATENCY("latency_gateway_p95", latency_gateway[PRIORITY_COUNT].p95),
    LATENCY("latency_rescue_p95", latency_gateway[PRIORITY_RESCUE].p95),
    LATENCY("latency_all_p50", latency_all[PRIORITY_COUNT].p50),
    LATENCY("latency_all_p95", latency_all[PRIORITY_COUNT].p95),
};
enum { FIGURE_COUNT = sizeof figures / sizeof figures[0] };

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Every answered seed's figure, sorted; the count. */
static uint64_t gather(const struct outcome *list, const bool *answered, uint64_t seeds,
                       size_t offset, double *values)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < seeds; i++)
        if (answered[i])
            memcpy(&values[count++], (const char *)&list[i].result + offset, sizeof *values);
    qsort(values, count, sizeof *values, by_value);
    return count;
}

static double median(const double *sorted, uint64_t count)
{
    if (count == 0)
        return 0;
    return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static double median_bytes(const struct outcome *list, const bool *answered, uint64_t seeds,
                           double *values)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < seeds; i++)
        if (answered[i])
            values[count++] = (double)list[i].result.bytes_on_air;
    qsort(values, count, sizeof *values, by_value);
    return median(values, count);
}

static void print_json(const struct campaign *c, const struct scenario *s,
                       const struct outcome *list, const bool *answered, double *values)
{
    uint64_t seeds = c->last - c->first + 1;
    const char *comma = "";
    printf("{\"name\":\"%s\",\"protocol\":\"", s->name);
    printf(c->options.hops > 0 ? "flood:%u" : "keng", c->options.hops);
    printf("\",\"seeds\":[%llu,%llu],\"median\":{\"bytes_on_air\":%.0f",
           (unsigned long long)c->first, (unsigned long long)c->last,
           median_bytes(list, answered, seeds, values));
    for (int i = 0; i < FIGURE_COUNT; i++) {
        uint64_t count = gather(list, answered, seeds, figures[i].offset, values);
        printf(",\"%s\":%.6f", figures[i].name, median(values, count));
    }
    printf("},\"lowest\":{");
    for (int i = 0; i < FIGURE_COUNT; i++) {
        uint64_t count = gather(list, answered, seeds, figures[i].offset, values);
        printf("%s\"%s\":%.6f", i ? "," : "", figures[i].name, count ? values[0] : 0);
    }
    printf("},\"highest\":{");
    for (int i = 0; i < FIGURE_COUNT; i++) {
        uint64_t count = gather(list, answered, seeds, figures[i].offset, values);
        printf("%s\"%s\":%.6f", i ? "," : "", figures[i].name, count ? values[count - 1] : 0);
    }
    printf("},\"failing\":[");
    for (uint64_t i = 0; i < seeds; i++)
        if (!answered[i] || list[i].violation_count > 0) {
            printf("%s%llu", comma, (unsigned long long)(c->first + i));
            comma = ",";
        }
    printf("]}\n");
}

static void print_lines(const struct campaign *c, const struct outcome *list, const bool *answered,
                        double *values)
{
    uint64_t seeds = c->last - c->first + 1;
    printf("%-24s %14s %14s %14s\n", "figure", "median", "lowest", "highest");
    for (int i = 0; i < FIGURE_COUNT; i++) {
        uint64_t count = gather(list, answered, seeds, figures[i].offset, values);
        printf("%-24s %14.6f %14.6f %14.6f %s\n", figures[i].name, median(values, count),
               count ? values[0] : 0, count ? values[count - 1] : 0, figures[i].unit);
    }
    printf("bytes_on_air             %14.0f\n", median_bytes(list, answered, seeds, values));
}

/* Delivery is judged by the medians; the worst seed stands beside them. */
static bool print_goals(const struct campaign *c, FILE *out, const struct outcome *list,
                        const bool *answered, uint64_t failing, double *values)
{
    static const double goals[] = { GATEWAY_GOAL, ALL_GOAL, KNOWS_GOAL };
    uint64_t seeds = c->last - c->first + 1;
    bool met = failing == 0;
    for (int i = 0; i < 3; i++) {
        uint64_t count = gather(list, answered, seeds, figures[i].offset, values), below = 0;
        double middle = median(values, count);
        while (below < count && !reached(values[below], goals[i]))
            below++;
        met = met && reached(middle, goals[i]);
        fprintf(out, "%s: %.6f share (%g), lowest %.6f, %llu seeds below\n", figures[i].name,
                middle, goals[i], count ? values[0] : 0, (unsigned long long)below);
    }
    fprintf(out, "seeds that broke an invariant: %llu of %llu seeds (0)\n",
            (unsigned long long)failing, (unsigned long long)seeds);
    return met;
}

int campaign_run(const struct campaign *c, struct scenario *s, bool compact, bool goals)
{
    uint64_t seeds = c->last - c->first + 1, failing = 0;
    struct outcome *list = calloc(seeds, sizeof *list);
    bool *answered = calloc(seeds, sizeof *answered);
    double *values = calloc(seeds, sizeof *values);
    if (!list || !answered || !values || !collect(c, s, list, answered)) {
        fprintf(stderr, "keng-sim: no memory, pipe or process for the campaign\n");
        return 2;
    }
    for (uint64_t i = 0; i < seeds; i++) {
        const struct measure_result *r = &list[i].result;
        bool broken = !answered[i] || list[i].violation_count > 0;
        bool missed = !broken && goals && !campaign_goals_met(r->gateway_delivery, r->all_delivery,
                                                              r->author_knows);
        failing += broken;
        if (broken || missed)
            fprintf(stderr, "keng-sim --seed %llu %s: %s\n", (unsigned long long)(c->first + i),
                    c->path, missed ? "a goal of delivery is missed"
                                    : answered[i] ? list[i].violation : "the run died");
    }
    if (compact)
        print_json(c, s, list, answered, values);
    else
        print_lines(c, list, answered, values);
    bool met = goals ? print_goals(c, compact ? stderr : stdout, list, answered, failing, values)
                     : failing == 0;
    free(list);
    free(answered);
    free(values);
    return met ? 0 : 1;
}
