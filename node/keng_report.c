/* keng_report.c - `keng report`: from words to a body, and the body to kengd, once. */
#include "node/keng_cli.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/report.h"
#include "proto/text.h"

enum {
    STDIN_LEN_MAX = 64 * 1024,
    LINES_LEN_MAX = 16 << 20,
};

/* What --priority may be, in both languages. */
static const struct { uint8_t priority; const char *words; } priorities[] = {
    { PRIORITY_ROUTINE, "routine thuong" },
    { PRIORITY_DAMAGE, "damage thiet-hai" },
    { PRIORITY_EVACUATION, "evacuation so-tan" },
    { PRIORITY_RESCUE, "rescue cuu-nan" },
};

struct filing {
    uint8_t kind;
    const char *priority; /* word for kengd, NULL: the kind's own */
    uint64_t author;      /* AUTHOR_ROOT: kengd chooses */
    struct report report;
};

static const char *alias_of(const struct keng *k, const struct catalogue_item *item)
{
    if (k->lang == KENG_VI && item->alias_vi[0] != '\0')
        return item->alias_vi;
    return item->alias_en[0] != '\0' ? item->alias_en : item->code;
}

static int wrong_name(const struct keng *k, uint8_t kind, const char *name)
{
    const struct catalogue_item *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    char words[KENG_WORDS_LEN] = "";
    size_t count = catalogue_suggest(k->catalogue, kind, name, keng_now_ms(), near,
                                     CATALOGUE_SUGGESTION_COUNT_MAX);

    if (count == 0)
        return keng_wrong(k, TEXT_WRONG_NAME, KENG_ARGS(name, keng_kind_word(k->lang, kind)));
    for (size_t i = 0, len = 0; i < count && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i > 0 ? ", " : "",
                                alias_of(k, near[i]));
    return keng_wrong(k, TEXT_WRONG_NAME_NEAR, KENG_ARGS(name, words));
}

static int wrong_value(const struct keng *k, const struct catalogue_item *item, const char *name,
                       const char *value, int err)
{
    char words[KENG_WORDS_LEN] = "";
    const char *unit = k->lang == KENG_VI ? item->unit : item->unit_en;
    if (*unit == '\0')
        unit = text_get(k->lang, TEXT_UNIT_COUNT);

    if (err == CATALOGUE_ESTATE || item->state_count > 0) {
        for (size_t i = 0, len = 0; i < item->state_count && len < sizeof words; i++)
            len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i > 0 ? ", " : "",
                                    k->lang == KENG_VI ? item->states[i].vi : item->states[i].en);
        return keng_wrong(k, TEXT_WRONG_VALUE_STATE, KENG_ARGS(name, value, words));
    }
    if (err == CATALOGUE_ENEGATIVE)
        return keng_wrong(k, TEXT_WRONG_VALUE_NEGATIVE, KENG_ARGS(name, value));
    if (err == CATALOGUE_EDECIMALS && item->decimals == 0)
        return keng_wrong(k, TEXT_WRONG_VALUE_WHOLE, KENG_ARGS(name, value, unit));
    if (err == CATALOGUE_EDECIMALS)
        return keng_wrong(k, TEXT_WRONG_VALUE_DECIMALS,
                          KENG_ARGS(name, value, keng_num(item->decimals).s, unit));
    if (err == CATALOGUE_ERANGE)
        return keng_wrong(k, TEXT_WRONG_VALUE_RANGE, KENG_ARGS(name, value));
    return keng_wrong(k, TEXT_WRONG_VALUE_NUMBER, KENG_ARGS(name, value, unit));
}

/* One NAME=VALUE into its place by code. */
static int add_figure(struct keng *k, struct filing *f, const char *pair)
{
    char name[128];
    size_t name_len = strcspn(pair, "="), at;
    int64_t value;
    struct report *r = &f->report;

    if (pair[name_len] == '\0' || name_len == 0 || name_len >= sizeof name)
        return keng_wrong(k, TEXT_WRONG_PAIR, KENG_ARGS(pair));
    snprintf(name, sizeof name, "%.*s", (int)name_len, pair);
    const char *text = pair + name_len + 1;
    const struct catalogue_item *item = catalogue_find(k->catalogue, f->kind, name, keng_now_ms());
    if (item == NULL)
        return wrong_name(k, f->kind, name);
    if (!catalogue_holds(&item->row, keng_now_ms()))
        return keng_wrong_span(k, name, &item->row);
    int err = catalogue_value_parse(item, text, &value);
    if (err != CATALOGUE_OK)
        return wrong_value(k, item, name, text, err);
    if (r->figure_count == REPORT_FIGURE_COUNT_MAX)
        return keng_wrong(k, TEXT_WRONG_FIGURE_COUNT,
                          KENG_ARGS(keng_num(REPORT_FIGURE_COUNT_MAX).s));
    for (at = r->figure_count; at > 0 && r->figures[at - 1].code >= item->row.number; at--) {
        if (r->figures[at - 1].code == item->row.number)
            return keng_wrong(k, TEXT_WRONG_PAIR_TWICE, KENG_ARGS(name));
    }
    memmove(&r->figures[at + 1], &r->figures[at], (r->figure_count - at) * sizeof r->figures[0]);
    r->figures[at] = (struct report_figure){ .code = item->row.number, .value = value };
    r->figure_count++;
    return KENG_OK;
}

static int read_hazard(struct keng *k, struct report *r)
{
    const struct catalogue_hazard *hazard, *near[CATALOGUE_SUGGESTION_COUNT_MAX];
    const char *name = k->option[OPT_HAZARD];
    char words[KENG_WORDS_LEN] = "";

    int status = name == NULL ? KENG_OK : keng_load_catalogue(k);
    if (name == NULL || status != KENG_OK)
        return status;
    hazard = catalogue_hazard_find(k->catalogue, name, keng_now_ms());
    if (hazard != NULL && !catalogue_holds(&hazard->row, keng_now_ms()))
        return keng_wrong_span(k, name, &hazard->row);
    if (hazard != NULL) {
        r->hazard = hazard->row.number;
        return KENG_OK;
    }
    size_t count = catalogue_hazard_suggest(k->catalogue, name, keng_now_ms(), near,
                                            CATALOGUE_SUGGESTION_COUNT_MAX);
    bool all = count == 0;
    for (size_t i = 0, len = 0; i < (all ? k->catalogue->hazard_count : count) &&
         len < sizeof words; i++) {
        const struct catalogue_hazard *h = all ? &k->catalogue->hazards[i] : near[i];
        if (catalogue_holds(&h->row, keng_now_ms()))
            len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", len > 0 ? ", " : "",
                                    h->alias_vi);
    }
    return keng_wrong(k, TEXT_WRONG_HAZARD, KENG_ARGS(name, words));
}

static int read_place(struct keng *k, struct report *r)
{
    enum { PLACE_DECIMALS = 5, DIGITS_MAX = 9 };
    const char *text = k->option[OPT_AT];
    int64_t degrees[2];
    char part[2][24];

    if (text == NULL)
        return KENG_OK;
    size_t first = strcspn(text, ",");
    bool good = text[first] == ',' && first < sizeof part[0] &&
                strlen(text + first + 1) < sizeof part[1];
    if (good) {
        snprintf(part[0], sizeof part[0], "%.*s", (int)first, text);
        snprintf(part[1], sizeof part[1], "%s", text + first + 1);
    }
    for (size_t i = 0; i < 2 && good; i++) {
        /* A telephone offers more digits than a metre is worth: cut, not refused. */
        char *dot = strchr(part[i], '.');
        if (dot != NULL && strlen(dot) > 1 + PLACE_DECIMALS &&
            dot[1 + strspn(dot + 1, "0123456789")] == '\0')
            dot[1 + PLACE_DECIMALS] = '\0';
        good = keng_parse_decimal(part[i], PLACE_DECIMALS, &degrees[i]);
    }
    if (!good || llabs(degrees[0]) > REPORT_LAT_E5_MAX || llabs(degrees[1]) > REPORT_LON_E5_MAX ||
        (degrees[0] == 0 && degrees[1] == 0))
        return keng_wrong(k, TEXT_WRONG_PLACE, KENG_ARGS(text));
    r->lat_e5 = (int32_t)degrees[0];
    r->lon_e5 = (int32_t)degrees[1];
    return KENG_OK;
}

static int read_priority(struct keng *k, struct filing *f)
{
    const char *word = k->option[OPT_PRIORITY];

    if (word == NULL)
        return KENG_OK;
    for (size_t i = 0; i < sizeof priorities / sizeof priorities[0]; i++) {
        if (keng_word_in(priorities[i].words, word)) {
            f->priority = record_priority_name(priorities[i].priority);
            return KENG_OK;
        }
    }
    return keng_wrong(k, TEXT_WRONG_PRIORITY,
                      KENG_ARGS(word, k->lang == KENG_VI ? "cuu-nan so-tan thiet-hai thuong"
                                                         : "rescue evacuation damage routine"));
}

/* Puts text into the report; line is 0 for --text. */
static int set_text(const struct keng *k, struct report *r, const char *text, size_t len,
                    int64_t line)
{
    size_t nfc_len;
    int err = len > TEXT_INPUT_LEN_MAX ? TEXT_ELEN
              : text_normalise(text, len, r->text, REPORT_TEXT_LEN_MAX, &nfc_len);

    if (err == TEXT_ELEN || err == TEXT_EROOM)
        return line == 0 ? keng_wrong(k, TEXT_WRONG_TEXT_LONG, NULL)
                         : keng_wrong(k, TEXT_WRONG_LINE_LONG, KENG_ARGS(keng_num(line).s));
    if (err != TEXT_OK)
        return line == 0 ? keng_wrong(k, TEXT_WRONG_TEXT_FORM, KENG_ARGS(text_strerror(err)))
                         : keng_wrong(k, TEXT_WRONG_TEXT_LINE,
                                      KENG_ARGS(keng_num(line).s, text_strerror(err)));
    r->text[nfc_len] = '\0';
    r->text_len = nfc_len;
    return KENG_OK;
}

static int read_text(struct keng *k, struct report *r)
{
    const char *text = k->option[OPT_TEXT];
    char *from_stdin = NULL;

    if (text == NULL)
        return KENG_OK;
    size_t len = strlen(text);
    if (strcmp(text, "-") == 0) {
        from_stdin = keng_read_all(k, "-", STDIN_LEN_MAX, &len);
        if (from_stdin == NULL)
            return KENG_FAILED;
        text = from_stdin;
        while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
            len--; /* the line end that every editor and pipe adds is not part of the message */
    }
    int status = set_text(k, r, text, len, 0);
    free(from_stdin);
    return status;
}

/* The kind, of one word or two ("cuu nan"), and where the operands after it begin. */
static int read_kind(struct keng *k, struct filing *f, size_t *at_out)
{
    char words[KENG_WORDS_LEN], two[CATALOGUE_FOLDED_LEN];

    keng_kind_words(k->lang, words, sizeof words);
    if (k->operand_count == 0)
        return keng_wrong(k, TEXT_WRONG_NO_KIND, KENG_ARGS(words));
    *at_out = 1;
    f->kind = keng_kind_find(k->operands[0]);
    if (f->kind == 0 && k->operand_count > 1 &&
        snprintf(two, sizeof two, "%s %s", k->operands[0], k->operands[1]) < (int)sizeof two) {
        *at_out = 2;
        f->kind = keng_kind_find(two);
    }
    if (f->kind == 0)
        return keng_wrong(k, TEXT_WRONG_KIND, KENG_ARGS(k->operands[0], words));
    return KENG_OK;
}

/* Words without --text: all operands of a note, which has no figures, and an operand with blanks,
 * which was typed between quotes; other operands without '=' may be slips of a figure. */
static int read_words(struct keng *k, const struct filing *f, size_t at)
{
    size_t len = 0;
    bool said = k->option[OPT_TEXT] != NULL || k->option[OPT_LINES] != NULL;

    for (size_t i = at; i < k->operand_count; i++) {
        const char *word = k->operands[i];
        if (f->kind != RECORD_NOTE && (strchr(word, '=') != NULL || strchr(word, ' ') == NULL))
            continue;
        if (said || (len > 0 && f->kind != RECORD_NOTE))
            return keng_wrong(k, TEXT_WRONG_TEXT_TWICE, NULL);
        len += (size_t)snprintf(k->words + len, sizeof k->words - len, "%s%s",
                                len > 0 ? " " : "", word);
        if (len >= sizeof k->words)
            return keng_wrong(k, TEXT_WRONG_TEXT_LONG, NULL);
        k->operands[i] = NULL;
    }
    if (len > 0)
        k->option[OPT_TEXT] = k->words;
    return KENG_OK;
}

static int read_filing(struct keng *k, struct filing *f)
{
    uint64_t event = 0;
    size_t at = 0;
    int status = read_kind(k, f, &at);

    if (status == KENG_OK)
        status = read_words(k, f, at);
    if (status != KENG_OK)
        return status;
    if (k->option[OPT_TEXT] != NULL && k->option[OPT_LINES] != NULL)
        return keng_wrong(k, TEXT_WRONG_OPTIONS_EXCLUDE, KENG_ARGS("text", "lines"));
    for (size_t i = at; i < k->operand_count && status == KENG_OK; i++) {
        if (k->operands[i] == NULL) /* was words */
            continue;
        status = keng_load_catalogue(k);
        if (status == KENG_OK)
            status = add_figure(k, f, k->operands[i]);
    }
    if (status == KENG_OK)
        status = read_hazard(k, &f->report);
    if (status == KENG_OK)
        status = read_place(k, &f->report);
    if (status == KENG_OK)
        status = read_priority(k, f);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_EVENT, 0, REPORT_EVENT_MAX, &event);
    if (status == KENG_OK)
        status = keng_number_option(k, OPT_AS, 1, AUTHOR_MAX, &f->author);
    if (status == KENG_OK && k->option[OPT_VILLAGE] != NULL)
        status = keng_village(k, k->option[OPT_VILLAGE], k->home, &f->report.village);
    if (status == KENG_OK)
        status = read_text(k, &f->report);
    f->report.event = (uint32_t)event;
    f->report.drill = k->option[OPT_DRILL] != NULL;
    return status;
}

/* The body of one report; line is 0 for a single one. */
static int encode(const struct keng *k, const struct filing *f, int64_t line,
                  uint8_t body[RECORD_BODY_LEN_MAX], size_t *len_out)
{
    const struct report *r = &f->report;
    int len;

    /* "Nothing to report, all are safe" needs no figure; every other kind says something. */
    if (r->figure_count == 0 && r->text_len == 0 && f->kind != RECORD_SAFE &&
        !(f->kind == RECORD_RESCUE && (r->lat_e5 != 0 || r->lon_e5 != 0)))
        return keng_wrong(k, TEXT_WRONG_EMPTY, NULL);
    len = report_encode(r, body, RECORD_BODY_LEN_MAX);
    if (len == REPORT_ETOOBIG || len == REPORT_EROOM)
        return line == 0 ? keng_wrong(k, TEXT_WRONG_TEXT_LONG, NULL)
                         : keng_wrong(k, TEXT_WRONG_LINE_LONG, KENG_ARGS(keng_num(line).s));
    if (len < 0)
        return keng_wrong(k, TEXT_WRONG_REPORT, KENG_ARGS(report_strerror(len)));
    *len_out = (size_t)len;
    return KENG_OK;
}

/* Says what kengd made of the report. */
static int confirm(const struct keng *k, json_t *answer, const struct filing *f, bool brief)
{
    json_int_t author, seq, lane, len, frame_len;
    char number[64];

    if (json_unpack(answer, "{s:I,s:I,s:I,s:I,s:I}", "author", &author, "lane", &lane, "seq", &seq,
                    "len", &len, "frame_len", &frame_len) != 0) {
        json_decref(answer);
        return keng_failed(k, TEXT_FAILED_ANSWER, NULL);
    }
    json_decref(answer);
    snprintf(number, sizeof number, "%lld-%lld", (long long)author, (long long)seq);
    if (k->option[OPT_JSON] != NULL)
        keng_print_json(json_pack("{s:I,s:I,s:I,s:s,s:I,s:I}", "author", author, "lane", lane,
                                  "seq", seq, "kind", record_kind_name(f->kind), "len", len,
                                  "frame_len", frame_len));
    else
        keng_say(k, stdout, brief ? TEXT_KEPT_SHORT : TEXT_KEPT,
                 KENG_ARGS(number, keng_num(frame_len).s));
    fflush(stdout);
    return KENG_OK;
}

static int file_one(struct keng *k, const struct filing *f, int64_t line)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    size_t body_len = 0;
    json_t *answer = NULL;
    int status = encode(k, f, line, body, &body_len);

    if (status != KENG_OK)
        return status;
    if (k->option[OPT_DRY_RUN] != NULL) {
        size_t frame_len = keng_frame_len(1, body_len);
        if (k->option[OPT_JSON] != NULL)
            keng_print_json(json_pack("{s:s,s:I,s:I}", "kind", record_kind_name(f->kind),
                                      "body_len", (json_int_t)body_len, "frame_len",
                                      (json_int_t)frame_len));
        else
            keng_say(k, stdout, TEXT_DRY_RUN, KENG_ARGS(keng_num((int64_t)frame_len).s));
        return KENG_OK;
    }
    struct keng_draft draft = { .kind = f->kind, .priority = f->priority, .author = f->author,
                                .body = body, .body_len = body_len };
    status = keng_submit(k, &draft, &answer);
    return status == KENG_OK ? confirm(k, answer, f, line > 0) : status;
}

/* Walks the lines of --lines: with store false only checks them, so that a mistake in line 90
 * leaves no 89 reports behind. */
static int walk_lines(struct keng *k, struct filing *f, const char *text, size_t len, bool store,
                      int64_t *count_out)
{
    uint8_t body[RECORD_BODY_LEN_MAX];
    size_t body_len;
    int status = KENG_OK;
    int64_t line = 0, count = 0;

    for (size_t at = 0; at < len && status == KENG_OK;) {
        const char *end = memchr(text + at, '\n', len - at);
        size_t line_len = end == NULL ? len - at : (size_t)(end - (text + at));
        size_t next = at + line_len + 1;
        line++;
        if (line_len > 0 && text[at + line_len - 1] == '\r')
            line_len--;
        if (line_len > 0) {
            status = set_text(k, &f->report, text + at, line_len, line);
            if (status == KENG_OK)
                status = store ? file_one(k, f, line) : encode(k, f, line, body, &body_len);
            if (status == KENG_OK)
                count++;
        }
        at = next;
    }
    *count_out = count;
    return status;
}

static int file_lines(struct keng *k, struct filing *f)
{
    size_t len;
    int64_t count = 0, kept = 0;
    char *text = keng_read_all(k, k->option[OPT_LINES], LINES_LEN_MAX, &len);

    if (text == NULL)
        return KENG_FAILED;
    int status = walk_lines(k, f, text, len, false, &count);
    if (status == KENG_OK && count == 0)
        status = keng_wrong(k, TEXT_WRONG_EMPTY, NULL);
    if (status == KENG_OK)
        status = walk_lines(k, f, text, len, true, &kept);
    free(text);
    return status;
}

int keng_run_report(struct keng *k)
{
    struct filing f = { .author = AUTHOR_ROOT };
    int status = read_filing(k, &f);

    if (status != KENG_OK)
        return status;
    return k->option[OPT_LINES] != NULL ? file_lines(k, &f) : file_one(k, &f, 0);
}
