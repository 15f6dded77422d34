#include "gateway/province_root.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/bundle.h"
#include "gateway/province_say.h"
#include "gateway/strbuf.h"
#include "gateway/units.h"
#include "proto/csv.h"
#include "proto/sign.h"

enum { PATH_LEN_MAX = 4096, UNIT_COUNT_MAX = DB_COMMUNE_COUNT_MAX, LINE_WORDS_LEN = 512 };
enum column { CODE, NAME, FROM, UNTIL, INTO, ROOT, LAST_GOOD, COLUMN_COUNT };
static const char *const COLUMNS[COLUMN_COUNT] = { "code", "name", "from", "until", "into", "root",
                                                   "last_good" };

struct desk {
    int lock_fd;
    struct home_identity root;
    uint8_t *bytes;
    struct batch_reader reader;
    uint32_t last_seq;
};

struct list {
    const char *path;
    enum language language;
    struct unit *units;
    uint32_t *lines;
    size_t count;
};

/* What is wrong on a line of the list. */
#define complain_line(list, line, text, ...)                                                       \
    complain_line_args(list, line, text, LANG_ARGS(__VA_ARGS__))
static int complain_line_args(const struct list *list, uint32_t line, enum lang_text text,
                              const struct lang_arg *args, size_t count)
{
    char words[LINE_WORDS_LEN];
    return province_complain_of(list->language, EXIT_FAILURE, LANG_P_LINE, LANG_WORD(list->path),
                                LANG_NUMBER(line),
                                LANG_WORD(lang_fill_args(list->language, text, args, count, words,
                                                         sizeof words)));
}

static int complain_file(enum language language, const char *path, const char *why)
{
    return province_complain_of(language, EXIT_FAILURE, LANG_P_FILE_ERROR, LANG_WORD(path),
                                LANG_WORD(why));
}

/* ---- the list ---- */

/* 64 hex digits, or the root of a commune.keng that the root itself signed. */
static int read_root(const struct list *list, const char *cell,
                     uint8_t key_out[static KENG_KEY_LEN])
{
    char path[PATH_LEN_MAX], err[BUNDLE_ERR_LEN];
    const char *slash = strrchr(list->path, '/');
    struct batch_reader reader;
    uint8_t *bytes;
    size_t len;
    if (strbuf_parse_hex(cell, key_out, KENG_KEY_LEN))
        return EXIT_SUCCESS;
    int dir_len = slash && cell[0] != '/' ? (int)(slash - list->path) + 1 : 0;
    snprintf(path, sizeof path, "%.*s%s", dir_len, list->path, cell);
    if (bundle_read(list->language, path, &bytes, &len, err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    int opened = batch_open(&reader, bytes, len);
    if (opened == BATCH_OK && (reader.header.source != AUTHOR_ROOT ||
                               batch_verify(&reader, reader.header.root_key) != BATCH_OK))
        opened = BATCH_ESIG;
    if (opened == BATCH_OK)
        memcpy(key_out, reader.header.root_key, KENG_KEY_LEN);
    free(bytes);
    return opened == BATCH_OK ? EXIT_SUCCESS
                              : complain_file(list->language, path,
                                              lang_batch_error(list->language, opened));
}

static bool take_day(const char *cell, uint32_t *day_out)
{
    *day_out = 0;
    return !*cell || units_day_parse(cell, day_out);
}

static int take_row(struct list *list, const struct csv_row *row, const int at[COLUMN_COUNT])
{
    const char *cells[COLUMN_COUNT];
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct unit *unit = &list->units[list->count];
    unsigned line = row->line;
    for (int c = 0; c < COLUMN_COUNT; c++)
        cells[c] = (size_t)at[c] < row->count ? row->cells[at[c]] : "";
    if (list->count == UNIT_COUNT_MAX)
        return complain_line(list, line, LANG_P_LINE_MANY, LANG_NUMBER(UNIT_COUNT_MAX));
    *unit = (struct unit){ .from_day = 0 };
    if (strlen(cells[CODE]) >= sizeof unit->code || strlen(cells[NAME]) >= sizeof unit->name ||
        strlen(cells[INTO]) >= sizeof unit->into)
        return complain_line_args(list, line, LANG_P_LINE_LONG, NULL, 0);
    memcpy(unit->code, cells[CODE], strlen(cells[CODE]) + 1);
    memcpy(unit->name, cells[NAME], strlen(cells[NAME]) + 1);
    memcpy(unit->into, cells[INTO], strlen(cells[INTO]) + 1);
    if (!take_day(cells[FROM], &unit->from_day) || !take_day(cells[UNTIL], &unit->until_day))
        return complain_line_args(list, line, LANG_P_LINE_DAY, NULL, 0);
    if (*cells[UNTIL] && unit->until_day == 0)
        return complain_line_args(list, line, LANG_P_LINE_ENDED, NULL, 0);
    if (*cells[LAST_GOOD]) {
        char *end;
        errno = 0;
        unsigned long number = strtoul(cells[LAST_GOOD], &end, 10);
        if (errno != 0 || *end || *cells[LAST_GOOD] < '0' || *cells[LAST_GOOD] > '9' ||
            number > RECORD_SEQ_MAX)
            return complain_line_args(list, line, LANG_P_LINE_LAST_GOOD, NULL, 0);
        unit->revoked_after = (uint32_t)number + 1;
    }
    if (read_root(list, cells[ROOT], unit->root_key) != EXIT_SUCCESS)
        return EXIT_FAILURE;
    int len = unit_encode(unit, body, sizeof body);
    if (len < 0)
        return complain_line(list, line, LANG_P_LINE_UNIT, LANG_WORD(report_strerror(len)));
    list->lines[list->count++] = line;
    return EXIT_SUCCESS;
}

static bool overlap(const struct unit *a, const struct unit *b)
{
    return (a->until_day == 0 || b->from_day < a->until_day) &&
           (b->until_day == 0 || a->from_day < b->until_day);
}

/* A code means one root on any day, and a root stands in one row. */
static int check_list(const struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct unit *unit = &list->units[i];
        bool found = !unit->into[0];
        for (size_t k = 0; k < list->count; k++) {
            const struct unit *other = &list->units[k];
            found = found || (strcmp(unit->into, other->code) == 0 &&
                              units_stands(other, unit->until_day));
            if (k <= i)
                continue;
            if (memcmp(unit->root_key, other->root_key, KENG_KEY_LEN) == 0)
                return complain_line(list, list->lines[k], LANG_P_LINE_SAME_ROOT,
                                     LANG_NUMBER(list->lines[i]));
            if (strcmp(unit->code, other->code) == 0 && unit->revoked_after == 0 &&
                other->revoked_after == 0 && overlap(unit, other))
                return complain_line(list, list->lines[k], LANG_P_LINE_SAME_CODE,
                                     LANG_WORD(other->code), LANG_NUMBER(list->lines[i]));
        }
        if (unit->into[0] && (unit->until_day == 0 || !found))
            return complain_line(list, list->lines[i], LANG_P_LINE_INTO, LANG_WORD(unit->into));
    }
    return EXIT_SUCCESS;
}

static int read_list(struct list *list)
{
    char err[BUNDLE_ERR_LEN];
    uint8_t *text;
    size_t len;
    struct csv_row row;
    int at[COLUMN_COUNT] = { 0 }, got, status = EXIT_SUCCESS;
    if (bundle_read(list->language, list->path, &text, &len, err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    struct csv_reader reader = csv_reader((const char *)text, len);
    got = csv_read_row(&reader, &row);
    for (int c = 0; c < COLUMN_COUNT && got == 1 && status == EXIT_SUCCESS; c++)
        if ((at[c] = csv_column(&row, COLUMNS[c])) < 0)
            status = province_complain_of(list->language, EXIT_FAILURE, LANG_P_NO_COLUMN,
                                          LANG_WORD(list->path), LANG_WORD(COLUMNS[c]));
    while (got == 1 && status == EXIT_SUCCESS && (got = csv_read_row(&reader, &row)) == 1)
        status = take_row(list, &row, at);
    if (got < 0)
        status = complain_line(list, reader.line, LANG_P_LINE_UNIT, LANG_WORD(csv_strerror(got)));
    free(text);
    if (status == EXIT_SUCCESS && list->count == 0)
        status = province_complain_of(list->language, EXIT_FAILURE, LANG_P_NO_UNIT,
                                      LANG_WORD(list->path));
    return status == EXIT_SUCCESS ? check_list(list) : status;
}

/* ---- the desk ---- */

/* Locked, so that `keng enroll` at the same desk waits. */
static int open_desk(enum language language, const char *dir, struct desk *d)
{
    char path[PATH_LEN_MAX], err[HOME_ERR_LEN];
    d->lock_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (d->lock_fd < 0 || flock(d->lock_fd, LOCK_EX) != 0)
        return complain_file(language, dir, strerror(errno));
    snprintf(path, sizeof path, "%s/root.key", dir);
    if (home_read_secret(path, &d->root, err) != 0 ||
        home_read_commune(dir, &d->bytes, &d->reader, err) != 0)
        return province_complain_as_told(EXIT_FAILURE, err);
    if (memcmp(d->reader.header.root_key, d->root.public_key, KENG_KEY_LEN) != 0)
        return province_complain_of(language, EXIT_FAILURE, LANG_P_OTHER_KEY, LANG_WORD(dir));
    return EXIT_SUCCESS;
}

/* Does the desk's log say this already?  The newest about a root counts. */
static bool is_said(struct desk *d, const struct unit *unit)
{
    struct batch_reader reader = d->reader;
    const uint8_t *record;
    size_t len;
    uint8_t want[RECORD_BODY_LEN_MAX];
    int want_len = unit_encode(unit, want, sizeof want);
    bool said = false;
    while (batch_next(&reader, &record, &len) == 1) {
        struct record_view view;
        struct unit old;
        if (record_decode(record, len, &view) != RECORD_OK)
            continue;
        if (view.ref.seq > d->last_seq)
            d->last_seq = view.ref.seq;
        if (view.kind == RECORD_UNIT && unit_decode(view.body, view.body_len, &old) == REPORT_OK &&
            memcmp(old.root_key, unit->root_key, KENG_KEY_LEN) == 0)
            said = want_len > 0 && view.body_len == (size_t)want_len &&
                   memcmp(view.body, want, view.body_len) == 0;
    }
    return said;
}

static int add_statement(struct desk *d, struct batch_builder *b, const struct unit *unit,
                         uint32_t created_min)
{
    uint8_t body[RECORD_BODY_LEN_MAX], record[RECORD_LEN_MAX];
    struct record_draft draft = {
        .ref = { .author = AUTHOR_ROOT, .seq = ++d->last_seq }, .kind = RECORD_UNIT,
        .priority = record_kind_priority(RECORD_UNIT), .clock_set = true,
        .created_min = created_min, .body = body,
    };
    int body_len = unit_encode(unit, body, sizeof body);
    draft.body_len = body_len > 0 ? (size_t)body_len : 0;
    int len = record_encode(&draft, record, sizeof record);
    if (body_len < 0 || len < 0)
        return BATCH_EFORM;
    return batch_add(b, record, record_sign(record, (size_t)len, d->reader.header.network_id,
                                            d->root.secret_key));
}

static int write_desk(struct desk *d, const char *dir, const struct list *list, int64_t now_ms)
{
    char path[PATH_LEN_MAX], err[HOME_ERR_LEN];
    struct batch_header header = d->reader.header;
    struct batch_reader reader = d->reader;
    struct batch_builder b;
    const uint8_t *old;
    size_t old_len, cap = d->reader.len + list->count * (RECORD_LEN_MAX + 2), added = 0;
    uint8_t *bytes = malloc(cap);
    if (!bytes)
        return province_complain(list->language, EXIT_FAILURE, LANG_P_NO_MEMORY);
    header.number++;
    header.created_min = bundle_created_min(now_ms);
    int result = batch_begin(&b, bytes, cap, &header);
    while (result == BATCH_OK && batch_next(&reader, &old, &old_len) == 1)
        result = batch_add(&b, old, old_len);
    for (size_t i = 0; i < list->count && result == BATCH_OK; i++) {
        if (is_said(d, &list->units[i]))
            continue;
        result = add_statement(d, &b, &list->units[i], header.created_min);
        added++;
    }
    int status = EXIT_SUCCESS;
    snprintf(path, sizeof path, "%s/commune.keng", dir);
    if (result != BATCH_OK)
        status = complain_file(list->language, path, lang_batch_error(list->language, result));
    else if (added > 0 && home_replace_file(path, bytes, batch_finish(&b, d->root.secret_key), 0644,
                                            err) != 0)
        status = province_complain_as_told(EXIT_FAILURE, err);
    free(bytes);
    if (status == EXIT_SUCCESS) {
        province_say(list->language, LANG_P_SIGNED, LANG_WORD(path), LANG_NUMBER(list->count),
                     LANG_NUMBER(added));
        printf("\n");
    }
    return status;
}

int province_sign(enum language language, const char *desk, const char *list_path, int64_t now_ms)
{
    struct list list = { .path = list_path, .language = language,
                         .units = calloc(UNIT_COUNT_MAX, sizeof *list.units),
                         .lines = calloc(UNIT_COUNT_MAX, sizeof *list.lines) };
    struct desk d = { .lock_fd = -1 };
    int status = list.units && list.lines ? read_list(&list)
                                         : province_complain(language, EXIT_FAILURE,
                                                             LANG_P_NO_MEMORY);
    if (status == EXIT_SUCCESS)
        status = open_desk(language, desk, &d);
    if (status == EXIT_SUCCESS)
        status = write_desk(&d, desk, &list, now_ms);
    sodium_memzero(&d.root, sizeof d.root);
    free(d.bytes);
    if (d.lock_fd >= 0)
        close(d.lock_fd);
    free(list.units);
    free(list.lines);
    return status;
}
