#include "gateway/books_findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/units.h"

enum {
    LIST_COUNT_MAX = 20, /* lines of one kind */
    OPEN_COUNT_MAX = 5,  /* lines of one kind that stand open on a page */
    RUN_COUNT_MAX = 10,  /* numbers or runs of numbers on a line */
    WORD_LEN = 256,
    LINE_LEN = 1024,
};

/* Where lines go: as text or as a part of a page, the first of each kind, or a row for each. */
struct target {
    struct strbuf *out;
    bool html;
    quick_finding_fn fn; /* NULL: into out */
    void *ctx;
};

/* One kind of findings: a heading before the first of its lines. */
struct listing {
    const struct books_query *query;
    struct target to;
    enum lang_text heading, line, kind;
    uint64_t line_count;
    struct strbuf items; /* of a page: how many there are says whether they stand open */
};

static struct listing list_begin(const struct books_query *q, struct target to,
                                 enum lang_text heading)
{
    /* In lang_province.h the text of a line stands behind its heading, and behind that its kind. */
    return (struct listing){ .query = q, .to = to, .heading = heading,
                             .line = (enum lang_text)(heading + 1),
                             .kind = (enum lang_text)(heading + 2) };
}

static void put_item(struct listing *l, const char *words)
{
    if (!l->to.html) {
        strbuf_putf(l->to.out, "  %s\n", words);
        return;
    }
    strbuf_put(&l->items, "<li>");
    strbuf_put_html(&l->items, words);
    strbuf_put(&l->items, "</li>\n");
}

/* args: the first is the commune. */
static void put_line(struct listing *l, const struct lang_arg *args, size_t count)
{
    char line[LINE_LEN];
    if (l->to.fn) {
        l->line_count++;
        l->to.fn(l->to.ctx, lang_text(l->query->language, l->kind), args[0].word,
                 lang_fill_args(l->query->language, l->line, args, count, line, sizeof line));
        return;
    }
    if (l->line_count == 0 && !l->to.html)
        strbuf_putf(l->to.out, "%s\n", lang_text(l->query->language, l->heading));
    if (l->line_count++ < LIST_COUNT_MAX)
        put_item(l, lang_fill_args(l->query->language, l->line, args, count, line, sizeof line));
}

static void list_end(struct listing *l)
{
    char line[LINE_LEN];
    if (l->line_count > LIST_COUNT_MAX && !l->to.fn)
        put_item(l, lang_fill(l->query->language, LANG_F_MORE, line, sizeof line,
                              LANG_NUMBER(l->line_count - LIST_COUNT_MAX)));
    if (l->items.len > 0) {
        strbuf_putf(l->to.out, "<details%s><summary>%s</summary><ul>\n",
                    l->line_count <= OPEN_COUNT_MAX ? " open" : "",
                    lang_text(l->query->language, l->heading));
        strbuf_put(l->to.out, l->items.text);
        strbuf_put(l->to.out, "</ul></details>\n");
    }
    if (l->items.failed)
        l->to.out->failed = true;
    strbuf_free(&l->items);
}

/* ---- words ---- */

static const char *commune_word(const struct books_query *q, int64_t commune)
{
    const struct ledger_commune *c = ledger_get(q->ledger, commune);
    return c ? units_name(c) : lang_text(q->language, LANG_F_UNKNOWN_COMMUNE);
}

/* "12 (Nguyễn Thị An)": whom to ask. */
static void author_word(const struct books_query *q, int64_t commune, uint16_t author,
                        char word_out[static WORD_LEN])
{
    const struct ledger_commune *c = ledger_get(q->ledger, commune);
    const struct roster_author *known = c ? roster_find(&c->roster, author) : NULL;
    if (known && known->entry.name[0])
        snprintf(word_out, WORD_LEN, "%u (%s)", (unsigned)author, known->entry.name);
    else
        snprintf(word_out, WORD_LEN, "%u", (unsigned)author);
}

/* Numbers in a row: "3, 5-7, ...". */
struct runs {
    char text[LINE_LEN];
    size_t len;
    unsigned count;
};

/* A row for each is whole: what does not fit a line goes on on the next. */
static bool is_full(const struct runs *r, const struct listing *l)
{
    return l->to.fn && r->count == RUN_COUNT_MAX;
}

static void put_run(struct runs *r, uint32_t first, uint32_t last)
{
    const char *comma = r->count ? ", " : "";
    if (++r->count > RUN_COUNT_MAX + 1)
        return;
    if (r->count > RUN_COUNT_MAX)
        r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%s...", comma);
    else if (first == last)
        r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%s%u", comma,
                                   (unsigned)first);
    else
        r->len += (size_t)snprintf(r->text + r->len, sizeof r->text - r->len, "%s%u-%u", comma,
                                   (unsigned)first, (unsigned)last);
}

/* ---- contradictions ---- */

static uint64_t list_differences(const struct books_query *q, const struct totals *t,
                                 struct target to)
{
    struct listing l = list_begin(q, to, LANG_F_DIFFER);
    enum { VALUE, LOW, HIGH, VALUE_COUNT };
    for (size_t i = 0; i < t->row_count; i++) {
        const struct totals_row *row = &t->rows[i];
        char village[WORD_LEN], item[WORD_LEN], values[VALUE_COUNT][CATALOGUE_VALUE_LEN];
        if (row->low == row->high)
            continue;
        books_village_name(q, row->key.village, village, sizeof village);
        books_item_name(q, &row->key, item, sizeof item);
        books_value(q, &row->key, row->value, values[VALUE]);
        books_value(q, &row->key, row->low, values[LOW]);
        books_value(q, &row->key, row->high, values[HIGH]);
        put_line(&l, LANG_ARGS(LANG_WORD(commune_word(q, row->key.commune)), LANG_WORD(village),
                               LANG_WORD(item), LANG_WORD(values[VALUE]), LANG_WORD(values[LOW]),
                               LANG_WORD(values[HIGH]), LANG_NUMBER(row->author_count)));
    }
    list_end(&l);
    return l.line_count;
}

/* ---- forks ---- */

struct forks {
    struct listing listing;
    bool json;
};

static int tell_fork(void *ctx, const struct db_record *r)
{
    struct forks *f = ctx;
    const struct books_query *q = f->listing.query;
    char author[WORD_LEN];
    if (r->variant == 0 || (q->as_of_ms && r->received_ms > q->as_of_ms))
        return 0;
    if (f->json) {
        strbuf_put_comma(f->listing.to.out);
        strbuf_putf(f->listing.to.out,
                    "{\"commune\":%" PRId64 ",\"author\":%u,\"lane\":%u,\"seq\":%u}", r->commune,
                    (unsigned)r->ref.author, (unsigned)r->ref.lane, (unsigned)r->ref.seq);
        return 0;
    }
    author_word(q, r->commune, r->ref.author, author);
    put_line(&f->listing, LANG_ARGS(LANG_WORD(commune_word(q, r->commune)), LANG_WORD(author),
                                    LANG_NUMBER(r->ref.seq)));
    return 0;
}

static int each_fork(struct forks *f)
{
    const struct books_query *q = f->listing.query;
    int result = 0;
    for (size_t i = 0; i < q->ledger->commune_count && result >= 0; i++)
        if (books_is_wanted(q, &q->ledger->communes[i]))
            result = db_record_forks(q->ledger->db, q->ledger->communes[i].info.id, tell_fork, f);
    return result;
}

/* ---- missing numbers ---- */

static uint64_t list_missing(const struct books_query *q, const struct gaps *gaps,
                             struct target to)
{
    struct listing l = list_begin(q, to, LANG_F_MISSING);
    uint64_t missing = 0;
    for (size_t i = 0, next; i < gaps->count; i = next) {
        const struct gap *gap = &gaps->list[i];
        struct runs runs = { .len = 0 };
        char author[WORD_LEN];
        for (next = i; next < gaps->count && gaps->list[next].author == gap->author &&
                       gaps->list[next].commune == gap->commune && !is_full(&runs, &l); next++) {
            put_run(&runs, gaps->list[next].first, gaps->list[next].last);
            missing += gaps->list[next].last - gaps->list[next].first + 1;
        }
        author_word(q, gap->commune, gap->author, author);
        put_line(&l, LANG_ARGS(LANG_WORD(commune_word(q, gap->commune)), LANG_WORD(author),
                               LANG_WORD(runs.text)));
    }
    list_end(&l);
    return missing;
}

/* ---- silence ---- */

/* A village is silent when it has no figure at all, which a part of the figures cannot tell. */
static bool tells_silent(const struct books_query *q)
{
    return !q->village && !q->kind;
}

/* The next silent village above `after`; 0: none. */
static uint32_t next_silent(const struct ledger_commune *c, const struct totals *t, uint32_t after)
{
    uint32_t next = 0;
    for (size_t i = 0; i < c->roster.author_count; i++) {
        const struct roster_entry *entry = &c->roster.authors[i].entry;
        bool speaks = entry->role == ROSTER_MEMBER || entry->role == ROSTER_NODE;
        if (speaks && entry->revoked_after == 0 && entry->village > after &&
            (next == 0 || entry->village < next) &&
            !totals_has_village(t, c->info.id, entry->village))
            next = entry->village;
    }
    return next;
}

static uint64_t list_silent(const struct books_query *q, const struct totals *t,
                            struct target to)
{
    struct listing l = list_begin(q, to, LANG_F_SILENT);
    uint64_t silent = 0;
    for (size_t i = 0; i < q->ledger->commune_count && tells_silent(q); i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        struct runs runs = { .len = 0 };
        uint32_t v = books_is_wanted(q, c) ? next_silent(c, t, 0) : 0;
        while (v != 0) {
            put_run(&runs, v, v);
            silent++;
            v = next_silent(c, t, v);
            if (v != 0 && !is_full(&runs, &l))
                continue;
            put_line(&l, LANG_ARGS(LANG_WORD(units_name(c)), LANG_WORD(runs.text)));
            runs = (struct runs){ .len = 0 };
        }
    }
    list_end(&l);
    return silent;
}

static int note_speaker(void *ctx, const struct db_heard *heard)
{
    bool *spoke = ctx;
    *spoke = *spoke || heard->author != AUTHOR_ROOT;
    return 0;
}

/* Did anybody but its root ever speak?  What was merged or replaced is not asked any more. */
static int is_empty(const struct books_query *q, const struct ledger_commune *c, bool *empty_out)
{
    bool spoke = c->is_province || books_today(q, c) != c;
    int result = spoke ? 0 : db_record_heard(q->ledger->db, c->info.id, note_speaker, &spoke);
    *empty_out = !spoke;
    return result;
}

/* Since when somebody has spoken is not kept: nothing of earlier moments. */
static int list_empty(const struct books_query *q, struct target to, uint64_t *count_out)
{
    struct listing l = list_begin(q, to, LANG_F_EMPTY);
    int result = 0;
    for (size_t i = 0; i < q->ledger->commune_count && !q->as_of_ms && result >= 0; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        bool empty = false;
        if (books_is_wanted(q, c))
            result = is_empty(q, c, &empty);
        if (empty && result >= 0)
            put_line(&l, LANG_ARGS(LANG_WORD(units_name(c))));
    }
    list_end(&l);
    *count_out = l.line_count;
    return result;
}

/* ---- checkpoints ---- */

struct sources {
    struct listing open, forks;
    int64_t commune;
    bool json;
    /* Of the source being walked; newest 0: none yet. */
    uint16_t source;
    uint64_t covered, newest;
    uint64_t source_count, covered_count;
};

static void end_source(struct sources *s)
{
    char author[WORD_LEN];
    if (s->newest == 0)
        return;
    author_word(s->open.query, s->commune, s->source, author);
    s->source_count++;
    s->covered_count += s->covered == s->newest;
    if (s->json) {
        strbuf_put_comma(s->open.to.out);
        strbuf_putf(s->open.to.out, "{\"commune\":%" PRId64 ",\"source\":%u,\"covered\":%" PRIu64
                                 ",\"signed\":%" PRIu64 "}", s->commune, (unsigned)s->source,
                    s->covered, s->newest);
    } else if (s->covered < s->newest) {
        put_line(&s->open, LANG_ARGS(LANG_WORD(commune_word(s->open.query, s->commune)),
                                     LANG_WORD(author), LANG_NUMBER(s->newest),
                                     LANG_NUMBER(s->covered)));
    }
    s->covered = s->newest = 0;
}

/* By source and size: two of one size stand side by side. */
static int walk(void *ctx, const struct db_checkpoint *c)
{
    struct sources *s = ctx;
    char author[WORD_LEN];
    if (s->open.query->as_of_ms && c->received_ms > s->open.query->as_of_ms)
        return 0;
    if (c->source != s->source)
        end_source(s);
    s->source = c->source;
    if (c->size == s->newest && c->size > 0 && !s->json) {
        author_word(s->open.query, s->commune, c->source, author);
        put_line(&s->forks, LANG_ARGS(LANG_WORD(commune_word(s->open.query, s->commune)),
                                      LANG_WORD(author), LANG_NUMBER(c->size)));
    }
    s->newest = c->size;
    if (c->covered)
        s->covered = c->size;
    return 0;
}

static int each_source(struct sources *s)
{
    const struct books_query *q = s->open.query;
    int result = 0;
    for (size_t i = 0; i < q->ledger->commune_count && result >= 0; i++) {
        s->commune = q->ledger->communes[i].info.id;
        if (books_is_wanted(q, &q->ledger->communes[i]))
            result = db_checkpoint_list(q->ledger->db, s->commune, walk, s);
        end_source(s);
    }
    return result;
}

static int note_checkpoint(void *ctx, const struct db_checkpoint *checkpoint)
{
    (void)checkpoint;
    return *(bool *)ctx = true;
}

/* Communes that spoke and of which no checkpoint ever came. */
static int list_unproved(const struct books_query *q, struct target to)
{
    struct listing l = list_begin(q, to, LANG_F_UNPROVED);
    int result = 0;
    for (size_t i = 0; i < q->ledger->commune_count && !q->as_of_ms && result >= 0; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        bool empty = false, any = false;
        if (!books_is_wanted(q, c) || c->is_province)
            continue;
        result = is_empty(q, c, &empty);
        if (result >= 0)
            result = db_checkpoint_list(q->ledger->db, c->info.id, note_checkpoint, &any);
        if (result >= 0 && !empty && !any)
            put_line(&l, LANG_ARGS(LANG_WORD(units_name(c))));
    }
    list_end(&l);
    return result;
}

static int list_sources(const struct books_query *q, struct target to, struct findings *f)
{
    struct strbuf forks = { .text = NULL };
    struct target behind = to;
    behind.out = &forks;
    struct sources s = { .open = list_begin(q, to, LANG_F_OPEN),
                         .forks = list_begin(q, behind, LANG_F_CHECKPOINT_FORKS) };
    char line[LINE_LEN];
    int result = each_source(&s);
    list_end(&s.open);
    list_end(&s.forks);
    if (to.out) {
        strbuf_put(to.out, forks.text ? forks.text : "");
        to.out->failed = to.out->failed || forks.failed;
    }
    if (to.out && s.source_count > 0)
        strbuf_putf(to.out, to.html ? "<p>%s</p>\n" : "%s\n",
                    lang_fill(q->language, LANG_F_COVERED, line, sizeof line,
                              LANG_NUMBER(s.covered_count), LANG_NUMBER(s.source_count)));
    strbuf_free(&forks);
    f->counts[FINDINGS_OPEN] = s.open.line_count;
    f->counts[FINDINGS_FORKS] += s.forks.line_count;
    return result < 0 ? result : list_unproved(q, to);
}

/* ---- refusals ---- */

struct refusals {
    struct listing listing;
    uint64_t count;
};

static int tell_refused(void *ctx, int64_t commune, const char *reason, int64_t count,
                        int64_t last_ms)
{
    struct refusals *r = ctx;
    const struct books_query *q = r->listing.query;
    const struct ledger_commune *c = ledger_get(q->ledger, commune);
    char last[LANG_TIME_LEN];
    if (c ? !books_is_wanted(q, c) : q->commune != NULL)
        return 0;
    lang_time(last_ms, last);
    r->count += (uint64_t)count;
    put_line(&r->listing, LANG_ARGS(LANG_WORD(commune_word(q, commune)),
                                    LANG_WORD(lang_verdict_named(q->language, reason)),
                                    LANG_NUMBER(count), LANG_WORD(last)));
    return 0;
}

/* Refusals are counted, not kept: what they were at a moment is not known. */
static int list_refused(const struct books_query *q, struct target to, struct findings *f)
{
    struct refusals r = { .listing = list_begin(q, to, LANG_F_REFUSED) };
    int result = q->as_of_ms ? 0 : db_refused_list(q->ledger->db, tell_refused, &r);
    list_end(&r.listing);
    f->counts[FINDINGS_REFUSED] = r.count;
    return result;
}

/* ---- all of it ---- */

static int list_all(const struct books_query *q, const struct books *b, struct target to,
                    struct findings *findings_out)
{
    struct findings f = { .counts = { 0 } };
    struct forks forks = { .listing = list_begin(q, to, LANG_F_FORKS) };
    f.counts[FINDINGS_DIFFER] = list_differences(q, &b->totals, to);
    int result = each_fork(&forks);
    list_end(&forks.listing);
    f.counts[FINDINGS_FORKS] = forks.listing.line_count;
    f.counts[FINDINGS_MISSING] = list_missing(q, &b->gaps, to);
    f.counts[FINDINGS_SILENT] = list_silent(q, &b->totals, to);
    if (result >= 0)
        result = list_empty(q, to, &f.counts[FINDINGS_EMPTY]);
    if (result >= 0)
        result = list_sources(q, to, &f);
    if (result >= 0)
        result = list_refused(q, to, &f);
    *findings_out = f;
    return result < 0 ? result : 0;
}

int findings_text(const struct books_query *q, const struct books *b, struct strbuf *out,
                  struct findings *findings_out)
{
    int result = list_all(q, b, (struct target){ .out = out }, findings_out);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}

int findings_html(const struct books_query *q, const struct books *b, struct strbuf *out,
                  struct findings *findings_out)
{
    int result = list_all(q, b, (struct target){ .out = out, .html = true }, findings_out);
    return result < 0 ? result : out->failed ? DB_ENOMEM : 0;
}

int findings_each(const struct books_query *q, const struct books *b, quick_finding_fn fn,
                  void *ctx)
{
    struct findings ignored;
    return list_all(q, b, (struct target){ .fn = fn, .ctx = ctx }, &ignored);
}

void findings_line(const struct books_query *q, const struct findings *f, struct strbuf *out)
{
    static const enum lang_text COUNTS[FINDINGS_KIND_COUNT] = {
        [FINDINGS_DIFFER] = LANG_F_COUNT_DIFFER, [FINDINGS_FORKS] = LANG_F_COUNT_FORKS,
        [FINDINGS_MISSING] = LANG_F_COUNT_MISSING, [FINDINGS_SILENT] = LANG_F_COUNT_SILENT,
        [FINDINGS_EMPTY] = LANG_F_COUNT_EMPTY, [FINDINGS_OPEN] = LANG_F_COUNT_OPEN,
        [FINDINGS_REFUSED] = LANG_F_COUNT_REFUSED,
    };
    char words[WORD_LEN];
    bool any = false;
    for (int kind = 0; kind < FINDINGS_KIND_COUNT; kind++) {
        if (f->counts[kind] == 0)
            continue;
        strbuf_put(out, any ? "; " : lang_text(q->language, LANG_F_LOOK_AT));
        strbuf_put(out, lang_fill(q->language, COUNTS[kind], words, sizeof words,
                                  LANG_NUMBER(f->counts[kind])));
        any = true;
    }
    if (!any)
        strbuf_put(out, lang_text(q->language, q->ledger->commune_count > 0 ? LANG_F_ALL_WELL
                                                                            : LANG_F_NO_COMMUNE));
    strbuf_put(out, "\n");
}

int findings_json(const struct books_query *q, const struct books *b, struct strbuf *out)
{
    struct forks forks = { .listing = { .query = q, .to = { .out = out } }, .json = true };
    struct sources sources = { .open = { .query = q, .to = { .out = out } }, .json = true };
    strbuf_put(out, "\"missing\":[");
    for (size_t i = 0; i < b->gaps.count; i++) {
        strbuf_put_comma(out);
        strbuf_putf(out, "{\"commune\":%" PRId64 ",\"author\":%u,\"first\":%u,\"last\":%u}",
                    b->gaps.list[i].commune, (unsigned)b->gaps.list[i].author,
                    (unsigned)b->gaps.list[i].first, (unsigned)b->gaps.list[i].last);
    }
    strbuf_put(out, "],\n\"forks\":[");
    int result = each_fork(&forks);
    strbuf_put(out, "],\n\"silent\":[");
    for (size_t i = 0; i < q->ledger->commune_count && tells_silent(q); i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        uint32_t village = books_is_wanted(q, c) ? next_silent(c, &b->totals, 0) : 0;
        for (; village != 0; village = next_silent(c, &b->totals, village)) {
            strbuf_put_comma(out);
            strbuf_putf(out, "{\"commune\":%" PRId64 ",\"village\":%u}", c->info.id,
                        (unsigned)village);
        }
    }
    strbuf_put(out, "],\n\"checkpoints\":[");
    if (result >= 0)
        result = each_source(&sources);
    strbuf_put(out, "]");
    return result < 0 ? result : 0;
}
