/* size.c - bytes on air of reference reports, through the very code that sends them.
 *
 * Run from the top of the tree.  Each report is encoded, signed, put into a frame of its own,
 * and read back out of it; what is counted is the frame.  Prints one line for each; exit status 1
 * when a goal is missed or a report does not come back as it went.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/catalogue.h"
#include "proto/frame.h"
#include "proto/report.h"
#include "proto/sign.h"

enum {
    CODED_GOAL = 110,      /* a coded report, signature and all */
    MEDIAN_GOAL = 165,     /* half of what people write */
    AUTHOR = 101,
    SEQ = RECORD_SEQ_MAX,  /* three bytes: the most a number can cost */
    CREATED_MIN = 450000,
    FIGURE_COUNT = 6,
    SAMPLE_COUNT_MAX = 1000,
    LINE_LEN_MAX = 2048,
};

static const char catalogue_dir[] = "seeds/catalogue";
static const char samples_path[] = "seeds/demo/sample-reports-vi.txt";

struct reference {
    const char *name;
    uint8_t kind;
    const char *figures[FIGURE_COUNT][2];
};

static const struct reference references[] = {
    { "damage, 3 indicators", RECORD_DAMAGE,
      { { "nha_sap", "3" }, { "nha_toc_mai", "14" }, { "nha_hu_nang", "5" } } },
    { "damage, 3 indicators, large", RECORD_DAMAGE,
      { { "lua", "120,5" }, { "duong_dat_da", "5000" }, { "uoc_tinh", "1500" } } },
    { "needs, 3 items", RECORD_NEEDS,
      { { "gao", "300" }, { "nuoc_uong", "500" }, { "bat", "30" } } },
    { "evacuation, 6 figures", RECORD_EVACUATION,
      { { "ho", "30" }, { "nguoi", "128" }, { "tre_em", "34" }, { "nguoi_gia", "19" },
        { "khuyet_tat", "3" }, { "mang_thai", "2" } } },
    { "rescue, 2 figures", RECORD_RESCUE, { { "vui_lap", "3" }, { "can_may_xuc", "1" } } },
    { "access, 4 states", RECORD_ACCESS,
      { { "duong", "cắt" }, { "ngam", "nguy hiểm" }, { "dien", "mất" }, { "song", "mất" } } },
    { "safe, 3 figures", RECORD_SAFE,
      { { "nguoi_an_toan", "268" }, { "ho_an_toan", "63" }, { "du_nguoi", "đủ" } } },
};

static uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN];
static uint8_t network_id[KENG_NETWORK_ID_LEN];

static int fail(const char *name, const char *what)
{
    fprintf(stderr, "bench-size: %s: %s\n", name, what);
    return -1;
}

/* Takes the report out of the frame again: does it verify, and is it what was said? */
static int check_frame(const char *name, const uint8_t *frame, size_t len,
                       const struct report *report)
{
    static struct report back;
    struct frame_view frame_view;
    struct record_view view;
    const uint8_t *record;
    size_t record_len;

    if (frame_decode(frame, len, &frame_view) != FRAME_OK ||
        !frame_next_record(&frame_view, &record, &record_len) ||
        record_decode(record, record_len, &view) != RECORD_OK ||
        !record_verify(&view, network_id, public_key))
        return fail(name, "the frame does not give a valid record back");
    if (report_decode(view.body, view.body_len, &back) != REPORT_OK ||
        back.figure_count != report->figure_count ||
        memcmp(back.figures, report->figures, back.figure_count * sizeof back.figures[0]) != 0 ||
        back.text_len != report->text_len || memcmp(back.text, report->text, back.text_len) != 0)
        return fail(name, "the report does not come back as it went");
    return 0;
}

/* The length of a frame that carries nothing but this report, or -1. */
static int frame_len(const char *name, uint8_t kind, const struct report *report)
{
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX], frame[FRAME_LEN_MAX];
    struct frame_builder builder;
    int body_len = report_encode(report, body, sizeof body);
    if (body_len < 0)
        return fail(name, report_strerror(body_len));
    struct record_draft draft = {
        .ref = { .seq = SEQ, .author = AUTHOR }, .kind = kind,
        .priority = record_kind_priority(kind), .created_min = CREATED_MIN,
        .body = body, .body_len = (size_t)body_len,
    };
    int len = record_encode(&draft, record, sizeof record);
    if (len < 0)
        return fail(name, "the record cannot be encoded");
    size_t record_len = record_sign(record, (size_t)len, network_id, secret_key);
    frame_begin(&builder, frame, sizeof frame, 1, 0, 0);
    if (!frame_add_record(&builder, record, record_len))
        return fail(name, "the record does not fit a frame");
    size_t total = frame_finish(&builder);
    return check_frame(name, frame, total, report) < 0 ? -1 : (int)total;
}

static int figure_order(const void *a, const void *b)
{
    const struct report_figure *x = a, *y = b;
    return x->code < y->code ? -1 : x->code > y->code;
}

static int reference_len(const struct catalogue *cat, const struct reference *reference)
{
    const struct catalogue_hazard *hazard = catalogue_hazard_find(cat, "lu_quet", CATALOGUE_LATEST);
    struct report report = { .event = 1 };

    if (!hazard)
        return fail(reference->name, "no such hazard");
    report.hazard = hazard->row.number;
    for (size_t i = 0; i < FIGURE_COUNT && reference->figures[i][0]; i++) {
        const char *const *figure = reference->figures[i];
        struct report_figure *f = &report.figures[report.figure_count++];
        const struct catalogue_item *item = catalogue_find(cat, reference->kind, figure[0],
                                                           CATALOGUE_LATEST);
        if (!item || catalogue_value_parse(item, figure[1], &f->value) < 0)
            return fail(reference->name, figure[0]);
        f->code = item->row.number;
    }
    qsort(report.figures, report.figure_count, sizeof report.figures[0], figure_order);
    return frame_len(reference->name, reference->kind, &report);
}

/* Prints the line; 1 when the goal is missed. */
static int say(const char *name, int value, int goal)
{
    if (value < 0)
        return 1;
    printf("%s: %d bytes on air (at most %d)\n", name, value, goal);
    return value > goal;
}

static int int_order(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* Every sample as a note of its own. */
static int measure_texts(void)
{
    static int lens[SAMPLE_COUNT_MAX];
    static struct report report;
    char line[LINE_LEN_MAX];
    size_t count = 0;
    FILE *f = fopen(samples_path, "r");

    if (!f)
        return fail(samples_path, "cannot be opened: run from the top of the tree") < 0;
    while (count < SAMPLE_COUNT_MAX && fgets(line, sizeof line, f)) {
        report.event = 1;
        report.text_len = strcspn(line, "\n");
        if (report.text_len > REPORT_TEXT_LEN_MAX) {
            fclose(f);
            return fail(samples_path, "a line is too long") < 0;
        }
        memcpy(report.text, line, report.text_len);
        lens[count] = frame_len("text", RECORD_NOTE, &report);
        if (lens[count++] < 0) {
            fclose(f);
            return 1;
        }
    }
    fclose(f);
    if (count == 0)
        return fail(samples_path, "empty") < 0;
    qsort(lens, count, sizeof lens[0], int_order);
    return say("text of the samples, median", lens[count / 2], MEDIAN_GOAL) |
           say("text of the samples, 90th percentile", lens[count * 9 / 10], FRAME_LEN_MAX) |
           say("text of the samples, longest", lens[count - 1], FRAME_LEN_MAX);
}

int main(void)
{
    char err[CATALOGUE_ERR_LEN];
    struct catalogue *cat;
    int missed = 0;

    if (sodium_init() < 0 || crypto_sign_keypair(public_key, secret_key) != 0)
        return fail("libsodium", "cannot start") < 0;
    network_id_of_root(public_key, network_id);
    if (catalogue_load(catalogue_dir, &cat, err, sizeof err) < 0)
        return fail("catalogue", err) < 0;
    for (size_t i = 0; i < sizeof references / sizeof references[0]; i++)
        missed |= say(references[i].name, reference_len(cat, &references[i]), CODED_GOAL);
    catalogue_free(cat);
    missed |= measure_texts();
    return missed;
}
