#include "gateway/books_export.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/books_findings.h"
#include "gateway/units.h"
#include "proto/limits.h"

enum { WORDS_LEN = 512 };

static const char *code_of(const struct ledger_commune *c)
{
    return c->unit.code[0] ? c->unit.code : c->roster.profile.code;
}

static void make_line(const struct quick *quick, size_t index, struct quick_line *line_out)
{
    const struct books_export *e = quick->source_ctx;
    const struct books_query *q = e->query;
    const struct totals_row *row = &e->books->totals.rows[index];
    const struct ledger_commune *c = ledger_get(q->ledger, row->key.commune);
    bool single = q->ledger->commune_count == 1; /* only then villages have names and places */
    quick_make_line(quick, row, q->catalogue, single ? q->villages : NULL, line_out);
    line_out->event = row->key.event;
    books_village_name(q, row->key.village, line_out->village_name,
                       sizeof line_out->village_name);
    books_commune_name(q, row->key.commune, line_out->commune_name,
                       sizeof line_out->commune_name);
    snprintf(line_out->commune_code, sizeof line_out->commune_code, "%s",
             c ? code_of(books_today(q, c)) : "");
}

static int tell_findings(const struct quick *quick, quick_finding_fn fn, void *ctx)
{
    const struct books_export *e = quick->source_ctx;
    const struct books_query *q = e->query;
    if (q->ledger->commune_count == 0)
        fn(ctx, "", "", lang_text(q->language, LANG_F_NO_COMMUNE));
    return findings_each(q, e->books, fn, ctx);
}

/* ---- how it was made ---- */

struct facts {
    const struct books_query *query;
    quick_fact_fn fn;
    void *ctx;
};

static void tell(const struct facts *f, enum lang_text label, const char *words)
{
    f->fn(f->ctx, lang_text(f->query->language, label), words);
}

static void tell_number(const struct facts *f, enum lang_text label, uint64_t number)
{
    char words[24];
    snprintf(words, sizeof words, "%" PRIu64, number);
    tell(f, label, words);
}

/* A part must not pass for the whole. */
static void tell_question(const struct facts *f)
{
    const struct books_query *q = f->query;
    char name[WORDS_LEN];
    if (!q->commune && !q->village && !q->event && !q->kind)
        tell(f, LANG_P_FACT_ASKED, lang_text(q->language, LANG_P_FACT_ALL));
    if (q->commune)
        tell(f, LANG_COMMUNE, q->commune);
    if (q->village)
        tell_number(f, LANG_P_VILLAGE_NUMBER, q->village);
    if (q->event)
        tell_number(f, LANG_EVENT, q->event);
    if (q->kind) {
        const struct totals_key key = { .kind = q->kind, .code = q->code };
        books_item_name(q, &key, name, sizeof name);
        tell(f, LANG_INDICATOR, name);
    }
}

static void tell_facts(const struct quick *quick, quick_fact_fn fn, void *ctx)
{
    const struct books_export *e = quick->source_ctx;
    const struct books_query *q = e->query;
    const struct facts f = { .query = q, .fn = fn, .ctx = ctx };
    char words[WORDS_LEN];
    if (!q->catalogue)
        tell(&f, LANG_CATALOGUE, lang_text(q->language, LANG_P_FACT_NO_CATALOGUE));
    tell_question(&f);
    tell(&f, LANG_P_FACT_RULE, lang_text(q->language, LANG_P_FACT_RULE_IS));
    tell_number(&f, LANG_P_FACT_COMMUNES, q->ledger->commune_count);
    tell_number(&f, LANG_P_FACT_LINES, quick->line_count);
    /* A URL may hold a password. */
    tell(&f, LANG_P_FACT_DATABASE, !q->database || db_is_url(q->database) ? "PostgreSQL"
                                                                           : q->database);
    tell(&f, LANG_P_FACT_PROGRAM,
         lang_fill(q->language, LANG_P_FACT_PROGRAM_IS, words, sizeof words,
                   LANG_NUMBER(KENG_PROTOCOL_VERSION), LANG_NUMBER(db_newest_version())));
}

void books_export_init(struct books_export *e, const struct books_query *q, const struct books *b)
{
    static const struct quick_source SOURCE = { make_line, tell_findings, tell_facts };
    const struct ledger_commune *only = NULL;
    for (size_t i = 0; i < q->ledger->commune_count; i++) {
        const struct ledger_commune *c = &q->ledger->communes[i];
        if (q->commune ? books_is_named(c, q->commune)
                       : c->is_province || q->ledger->commune_count == 1)
            only = c;
    }
    *e = (struct books_export){
        .query = q, .books = b,
        .quick = { .event = q->event, .until_ms = books_moment(q), .source = &SOURCE,
                   .source_ctx = e, .line_count = b->totals.row_count },
    };
    snprintf(e->quick.commune_name, sizeof e->quick.commune_name, "%s",
             only ? units_name(only) : q->commune ? q->commune : "");
    snprintf(e->quick.commune_code, sizeof e->quick.commune_code, "%s", only ? code_of(only) : "");
    quick_name_catalogue(&e->quick, q->catalogue);
}
