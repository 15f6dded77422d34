#include "gateway/province_import.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "gateway/bundle.h"
#include "gateway/import.h"
#include "proto/batch_file.h"

enum {
    SHOWN_COUNT_MAX = 20,
    BAR_LEN = 24,
    BAR_INTERVAL_MS = 200,
};

struct telling {
    const char *path;
    FILE *verdicts;
    unsigned shown_count;
    char shown[SHOWN_COUNT_MAX][IMPORT_NOTICE_LEN];
    bool bar;
    int64_t began_ms, told_ms;
};

static int64_t clock_ms(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "keng-province: %s: %s\n", path, why);
    return EXIT_FAILURE;
}

static void keep_notice(void *ctx, bool fault, const char *text)
{
    struct telling *t = ctx;
    if (t->verdicts)
        fprintf(t->verdicts, "%s: %s%s\n", t->path, fault ? "" : "note: ", text);
    if (t->shown_count < SHOWN_COUNT_MAX)
        snprintf(t->shown[t->shown_count], IMPORT_NOTICE_LEN, "%s", text);
    t->shown_count++;
}

static void print_shown(const struct telling *t)
{
    unsigned count = t->shown_count < SHOWN_COUNT_MAX ? t->shown_count : SHOWN_COUNT_MAX;
    for (unsigned i = 0; i < count; i++)
        printf("  %s\n", t->shown[i]);
    if (t->shown_count > count)
        printf("  ... and %u more; --verdicts FILE lists all\n", t->shown_count - count);
}

static void draw_bar(void *ctx, uint64_t done_len, uint64_t file_len, uint64_t record_count)
{
    struct telling *t = ctx;
    int64_t now_ms = clock_ms(CLOCK_MONOTONIC);
    bool ended = done_len == file_len;
    if (!t->bar || (!ended && now_ms - t->told_ms < BAR_INTERVAL_MS))
        return;
    t->told_ms = now_ms;
    int64_t spent_ms = now_ms - t->began_ms + 1;
    unsigned filled = file_len ? (unsigned)(done_len * BAR_LEN / file_len) : BAR_LEN;
    uint64_t left_s = done_len ? (uint64_t)spent_ms * (file_len - done_len) / done_len / 1000 : 0;
    char bar[BAR_LEN + 1];
    memset(bar, '.', BAR_LEN);
    memset(bar, '#', filled);
    bar[BAR_LEN] = '\0';
    fprintf(stderr, "\r[%s] %3u %%  %" PRIu64 " records  %" PRIu64 "/s  %" PRIu64 ":%02u left%s",
            bar, file_len ? (unsigned)(done_len * 100 / file_len) : 100, record_count,
            record_count * 1000 / (uint64_t)spent_ms, left_s / 60, (unsigned)(left_s % 60),
            ended ? "   \n" : "   ");
    fflush(stderr);
}

static void print_counts(const char *path, const uint64_t counts[LEDGER_VERDICT_COUNT])
{
    printf("%s: %" PRIu64 " new, %" PRIu64 " duplicate, %" PRIu64 " superseded", path,
           counts[LEDGER_NEW], counts[LEDGER_DUPLICATE], counts[LEDGER_SUPERSEDED]);
    for (int v = LEDGER_BAD_BODY; v < LEDGER_VERDICT_COUNT; v++)
        if (counts[v])
            printf(", %" PRIu64 " %s", counts[v], ledger_verdict_name((enum ledger_verdict)v));
}

/* ---- a file of sections ---- */

static int run_sections(const struct province_import *how, int fd, struct telling *t)
{
    struct import_options options = {
        .thread_count = how->thread_count, .now_ms = clock_ms(CLOCK_REALTIME),
        .verify_only = how->verify_only, .ctx = t, .notice = keep_notice, .progress = draw_bar,
    };
    struct import_result result;
    t->bar = isatty(STDERR_FILENO);
    t->began_ms = clock_ms(CLOCK_MONOTONIC);
    if (import_run(how->ledger, fd, &options, &result) < 0)
        return complain(t->path, db_error(how->ledger->db));
    if (result.section_count == 0)
        return complain(t->path, ledger_batch_strerror(LEDGER_BATCH_EFORM));
    print_counts(t->path, result.counts);
    if (result.checkpoint_size > 0)
        printf("; complete up to its checkpoint over %" PRIu64 " records", result.checkpoint_size);
    printf("\n");
    print_shown(t);
    return result.fault_count == 0 ? EXIT_SUCCESS : PROVINCE_EXIT_REFUSED;
}

/* ---- a single batch, as the key desk writes them ---- */

static int run_batch(const struct province_import *how, struct telling *t)
{
    char err[BUNDLE_ERR_LEN];
    uint8_t *bytes;
    size_t len;
    struct ledger_batch_result result;
    bool sig_ok;
    if (bundle_read(t->path, &bytes, &len, err) != 0) {
        fprintf(stderr, "keng-province: %s\n", err);
        return EXIT_FAILURE;
    }
    how->ledger->via = DB_VIA_FILE;
    int put = ledger_put_batch(how->ledger, bytes, len, clock_ms(CLOCK_REALTIME), false, &result,
                               &sig_ok);
    free(bytes);
    if (put == LEDGER_BATCH_ETRUST)
        return complain(t->path, "its commune is not trusted here; trust it with: keng-province "
                                 "trust COMMUNE.keng");
    if (put < 0)
        return complain(t->path, put > LEDGER_BATCH_EFORM ? db_error(how->ledger->db)
                                                          : ledger_batch_strerror(put));
    uint64_t counts[LEDGER_VERDICT_COUNT];
    uint32_t refused = 0;
    for (int v = 0; v < LEDGER_VERDICT_COUNT; v++) {
        counts[v] = result.counts[v];
        refused += v >= LEDGER_BAD_BODY ? result.counts[v] : 0;
    }
    print_counts(t->path, counts);
    printf("%s%s\n", result.truncated ? "; the rest of the file cannot be read" : "",
           sig_ok ? "" : "; the file's own signature does not hold");
    for (uint32_t i = 0; i < result.count; i++) {
        char text[64];
        if (result.verdicts[i] < LEDGER_BAD_BODY)
            continue;
        snprintf(text, sizeof text, "record %u: %s", (unsigned)i + 1,
                 ledger_verdict_name((enum ledger_verdict)result.verdicts[i]));
        keep_notice(t, true, text);
    }
    print_shown(t);
    bool all_good = refused == 0 && !result.truncated && sig_ok;
    ledger_batch_result_free(&result);
    return all_good ? EXIT_SUCCESS : PROVINCE_EXIT_REFUSED;
}

/* A batch is small and begins with its own magic; anything else is looked through for sections. */
static bool is_one_batch(int fd)
{
    uint8_t head[BATCH_MAGIC_LEN];
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_size <= BATCH_FILE_LEN_MAX &&
           pread(fd, head, sizeof head, 0) == sizeof head && !section_is(head, sizeof head) &&
           batch_is(head, sizeof head);
}

int province_import_file(const struct province_import *how, const char *path)
{
    struct telling *t = calloc(1, sizeof *t);
    if (!t)
        return complain(path, "out of memory");
    t->path = path;
    int status = EXIT_SUCCESS;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        status = complain(path, strerror(errno));
    if (fd >= 0 && how->verdicts_path && !(t->verdicts = fopen(how->verdicts_path, "ae")))
        status = complain(how->verdicts_path, strerror(errno));
    if (status == EXIT_SUCCESS)
        status = is_one_batch(fd) ? run_batch(how, t) : run_sections(how, fd, t);
    if (t->verdicts && fclose(t->verdicts) != 0)
        status = complain(how->verdicts_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(t);
    return status;
}
