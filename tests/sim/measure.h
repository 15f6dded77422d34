/* measure.h - what a simulation counts, whichever protocol ran, and how it is printed.
 *
 * The protocol under test says what happened (measure_filed, _held, _sent …); the figures of
 * tests/sim/README.md come out.  A report is named by its index in the scenario.
 *
 * Time      Microseconds from the scenario's beginning.
 * Memory    Heap: a bit for each report and node, a note for each transmission.
 * Errors    Breaches of an invariant are figures too: measure_violation().
 */
#ifndef KENG_TESTS_SIM_MEASURE_H
#define KENG_TESTS_SIM_MEASURE_H

#include <stdio.h>

#include "tests/sim/scenario.h"

#define MEASURE_NEVER UINT64_MAX
#define MEASURE_NO_NODE UINT32_MAX

enum { MEASURE_VIOLATION_COUNT_MAX = 8, MEASURE_TEXT_LEN = 256 };

struct measure_report {
    bool filed, known; /* durable at its author; its author holds a gateway's acknowledgement */
    uint64_t filed_us, gateway_us, all_us;
    uint32_t held_count; /* nodes that hold it, its author among them */
};

struct measure_send {
    uint64_t start_us, end_us;
    uint16_t len;
};

struct measure_node {
    struct measure_send *sends; /* in the order of their starts */
    uint32_t send_count, send_cap;
    uint32_t held_count;
    uint32_t commune_size; /* nodes of its commune, itself among them */
    uint64_t bytes, airtime_us;
};

/* Where frames and bytes went: for those who want to spend fewer. */
struct measure_waste {
    uint64_t control_frames, report_sends, ack_sends, other_sends;
    uint64_t mixed_frames, mixed_records, mixed_bytes;
    uint64_t summary_bytes, links_bytes, report_bytes, ack_bytes, other_bytes, header_bytes;
    uint64_t heard_new, heard_again; /* receptions of records, by what they were worth */
};

struct measure {
    const struct scenario *s;
    uint64_t seed, digest;
    char protocol[24];
    FILE *trace; /* NULL: none */
    struct measure_report *reports;
    struct measure_node *nodes;
    uint8_t *held;     /* bits: report * node_count + node */
    uint32_t *carried; /* reports first brought from row (sender) to column (receiver) */
    struct air_counts air;
    struct measure_waste waste;
    size_t core_len_max; /* memory of the core of a node, the largest of all; 0: a flood */
    char violations[MEASURE_VIOLATION_COUNT_MAX][MEASURE_TEXT_LEN];
    uint32_t violation_count;
};

/* The figures, worked out. */
struct measure_spread { bool any; double p50, p95, max; };
struct measure_result {
    uint32_t report_count;
    double gateway_delivery, all_delivery, author_knows;
    /* By priority, and last all of them. */
    struct measure_spread latency_gateway[PRIORITY_COUNT + 1], latency_all[PRIORITY_COUNT + 1];
    uint64_t frames, bytes_on_air, collided, half_duplex_lost, below_sensitivity;
    double airtime_s, frames_per_report, airtime_per_report_s, duty_mean, duty_max;
    double core_memory_bytes; /* of a node, the largest of all */
    double law_max; /* largest share of its own limit that any node spent in any window */
};

struct measure *measure_new(const struct scenario *s, uint64_t seed, const char *protocol,
                            FILE *trace);
void measure_free(struct measure *m);

void measure_filed(struct measure *m, uint64_t now_us, uint32_t report);
/* A node other than the author holds it durably; from: who brought it, or MEASURE_NO_NODE. */
void measure_held(struct measure *m, uint64_t now_us, uint32_t report, uint32_t node,
                  uint32_t from);
/* It made room for another and is held no more. */
void measure_left(struct measure *m, uint32_t report, uint32_t node);
void measure_known(struct measure *m, uint32_t report);
void measure_sent(struct measure *m, uint32_t node, uint64_t start_us, uint64_t end_us,
                  const uint8_t *frame, size_t len);
void measure_violation(struct measure *m, const char *text);
/* One line of the trace; nothing when there is none. */
void measure_trace(struct measure *m, uint64_t now_us, uint32_t node, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
bool measure_holds(const struct measure *m, uint32_t report, uint32_t node);
/* Largest share of any sliding window that a node spent sending. */
double measure_duty_max(const struct measure *m, uint32_t node);
/* The same as a share of what the law allows that node; past 1: it broke the law. */
double measure_law_max(const struct measure *m, uint32_t node);

void measure_result(const struct measure *m, struct measure_result *result_out);
/* One JSON object: on one line, or for people. */
void measure_print(const struct measure *m, bool compact, FILE *out);
/* Where the airtime went, in words. */
void measure_explain(const struct measure *m, FILE *out);
/* Graphviz: who first brought reports to whom. */
void measure_dot(const struct measure *m, const uint8_t *links, FILE *out);

#endif
