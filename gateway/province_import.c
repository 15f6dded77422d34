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
    enum language language;
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

static int complain(const struct province_import *how, const char *path, const char *why)
{
    return province_complain_of(how->language, EXIT_FAILURE, LANG_P_FILE_ERROR, LANG_WORD(path),
                                LANG_WORD(why));
}

static void keep_notice(void *ctx, bool fault, const char *text)
{
    struct telling *t = ctx;
    if (t->verdicts)
        fprintf(t->verdicts, "%s: %s%s\n", t->path,
                fault ? "" : lang_text(t->language, LANG_P_NOTE), text);
    if (t->shown_count < SHOWN_COUNT_MAX)
        snprintf(t->shown[t->shown_count], IMPORT_NOTICE_LEN, "%s", text);
    t->shown_count++;
}

static void print_shown(const struct telling *t)
{
    unsigned count = t->shown_count < SHOWN_COUNT_MAX ? t->shown_count : SHOWN_COUNT_MAX;
    for (unsigned i = 0; i < count; i++)
        printf("  %s\n", t->shown[i]);
    if (t->shown_count > count) {
        printf("  ");
        province_say(t->language, LANG_P_MORE_VERDICTS, LANG_NUMBER(t->shown_count - count));
        printf("\n");
    }
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
    char left[32], words[128];
    snprintf(left, sizeof left, "%" PRIu64 ":%02u", left_s / 60, (unsigned)(left_s % 60));
    lang_fill(t->language, LANG_P_BAR, words, sizeof words, LANG_NUMBER(record_count),
              LANG_NUMBER(record_count * 1000 / (uint64_t)spent_ms), LANG_WORD(left));
    fprintf(stderr, "\r[%s] %3u %%  %s%s", bar,
            file_len ? (unsigned)(done_len * 100 / file_len) : 100, words, ended ? "   \n" : "   ");
    fflush(stderr);
}

static void print_counts(const struct telling *t, const uint64_t counts[LEDGER_VERDICT_COUNT])
{
    province_say(t->language, LANG_P_COUNTS, LANG_WORD(t->path), LANG_NUMBER(counts[LEDGER_NEW]),
                 LANG_NUMBER(counts[LEDGER_DUPLICATE]), LANG_NUMBER(counts[LEDGER_SUPERSEDED]));
    for (unsigned v = LEDGER_BAD_BODY; v < LEDGER_VERDICT_COUNT; v++)
        if (counts[v])
            printf(", %" PRIu64 " %s", counts[v], lang_verdict(t->language, v));
}

/* ---- a file of sections ---- */

static int run_sections(const struct province_import *how, int fd, struct telling *t)
{
    struct import_options options = {
        .thread_count = how->thread_count, .now_ms = clock_ms(CLOCK_REALTIME),
        .verify_only = how->verify_only, .language = how->language, .ctx = t,
        .notice = keep_notice, .progress = draw_bar,
    };
    struct import_result result;
    t->bar = isatty(STDERR_FILENO);
    t->began_ms = clock_ms(CLOCK_MONOTONIC);
    if (import_run(how->ledger, fd, &options, &result) < 0)
        return complain(how, t->path, db_error(how->ledger->db));
    if (result.section_count == 0)
        return complain(how, t->path, lang_batch_error(how->language, LEDGER_BATCH_EFORM));
    print_counts(t, result.counts);
    if (result.checkpoint_size > 0)
        province_say(how->language, LANG_P_COMPLETE, LANG_NUMBER(result.checkpoint_size));
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
    if (bundle_read(how->language, t->path, &bytes, &len, err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    how->ledger->via = DB_VIA_FILE;
    int put = ledger_put_batch(how->ledger, bytes, len, clock_ms(CLOCK_REALTIME), false, &result,
                               &sig_ok);
    free(bytes);
    if (put == LEDGER_BATCH_ETRUST)
        return province_complain_of(how->language, EXIT_FAILURE, LANG_P_NOT_TRUSTED,
                                    LANG_WORD(t->path));
    if (put < 0)
        return complain(how, t->path, put > LEDGER_BATCH_EFORM
                                          ? db_error(how->ledger->db)
                                          : lang_batch_error(how->language, put));
    uint64_t counts[LEDGER_VERDICT_COUNT];
    uint32_t refused = 0;
    for (int v = 0; v < LEDGER_VERDICT_COUNT; v++) {
        counts[v] = result.counts[v];
        refused += v >= LEDGER_BAD_BODY ? result.counts[v] : 0;
    }
    print_counts(t, counts);
    printf("%s%s\n", result.truncated ? lang_text(how->language, LANG_P_REST_UNREADABLE) : "",
           sig_ok ? "" : lang_text(how->language, LANG_P_FILE_SIGNATURE));
    for (uint32_t i = 0; i < result.count; i++) {
        char text[IMPORT_NOTICE_LEN];
        if (result.verdicts[i] < LEDGER_BAD_BODY)
            continue;
        lang_fill(how->language, LANG_P_RECORD, text, sizeof text, LANG_NUMBER(i + 1),
                  LANG_WORD(lang_verdict(how->language, result.verdicts[i])));
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
        return complain(how, path, lang_text(how->language, LANG_P_NO_MEMORY));
    t->path = path;
    t->language = how->language;
    int status = EXIT_SUCCESS;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        status = complain(how, path, strerror(errno));
    if (fd >= 0 && how->verdicts_path && !(t->verdicts = fopen(how->verdicts_path, "ae")))
        status = complain(how, how->verdicts_path, strerror(errno));
    if (status == EXIT_SUCCESS)
        status = is_one_batch(fd) ? run_batch(how, t) : run_sections(how, fd, t);
    if (t->verdicts && fclose(t->verdicts) != 0)
        status = complain(how, how->verdicts_path, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(t);
    return status;
}
