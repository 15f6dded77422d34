#include "gateway/province_missing.h"

#include <inttypes.h>

#include "gateway/units.h"

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

void missing_silent_text(const struct ledger_commune *c, const struct totals *t,
                         enum language language, struct strbuf *out)
{
    uint32_t village = next_silent(c, t, 0);
    if (village == 0)
        return;
    strbuf_putf(out, "%s: %s ", units_name(c),
                language == LANG_EN ? "no figures from villages" : "chưa có số liệu của thôn");
    for (bool first = true; village != 0; village = next_silent(c, t, village), first = false)
        strbuf_putf(out, "%s%u", first ? "" : ", ", (unsigned)village);
    strbuf_put(out, "\n");
}

void missing_silent_json(const struct ledger_commune *c, const struct totals *t,
                         struct strbuf *out)
{
    for (uint32_t village = next_silent(c, t, 0); village != 0;
         village = next_silent(c, t, village)) {
        strbuf_put_comma(out);
        strbuf_putf(out, "{\"commune\":%" PRId64 ",\"village\":%u}", c->info.id,
                    (unsigned)village);
    }
}

/* ---- checkpoints ---- */

struct telling {
    const struct ledger_commune *commune;
    struct strbuf *out;
    int64_t as_of_ms;
    enum language language;
    bool json;
    struct db_checkpoint covered; /* of the source being walked; size 0: none yet */
    struct db_checkpoint open;    /* the newest that is not */
};

static void tell_source(struct telling *t)
{
    uint16_t source = t->covered.size ? t->covered.source : t->open.source;
    uint64_t open = t->open.size > t->covered.size ? t->open.size : 0;
    if (t->covered.size == 0 && open == 0)
        return;
    if (t->json) {
        strbuf_put_comma(t->out);
        strbuf_putf(t->out, "{\"commune\":%" PRId64 ",\"source\":%u,\"covered\":%" PRIu64
                            ",\"signed\":%" PRIu64 "}",
                    t->commune->info.id, (unsigned)source, t->covered.size,
                    open ? open : t->covered.size);
        return;
    }
    const char *name = units_name(t->commune);
    bool english = t->language == LANG_EN;
    strbuf_putf(t->out, english ? "%s, author %u: complete up to %" PRIu64 " records"
                                : "%s, người báo %u: đủ đến bản ghi %" PRIu64,
                name, (unsigned)source, t->covered.size);
    if (open)
        strbuf_putf(t->out, english ? "; signed for %" PRIu64 ", of which not all are here"
                                    : "; đã ký %" PRIu64 " bản ghi, ở đây chưa đủ", open);
    strbuf_put(t->out, "\n");
}

static int walk(void *ctx, const struct db_checkpoint *c)
{
    struct telling *t = ctx;
    if (t->as_of_ms && c->received_ms > t->as_of_ms)
        return 0;
    uint16_t source = t->covered.size ? t->covered.source : t->open.source;
    if (c->source != source) {
        tell_source(t);
        t->covered = t->open = (struct db_checkpoint){ .size = 0 };
    }
    if (c->covered)
        t->covered = *c;
    else
        t->open = *c;
    return 0;
}

static int tell(struct db *db, struct telling *t)
{
    int result = db_checkpoint_list(db, t->commune->info.id, walk, t);
    tell_source(t);
    return result;
}

int missing_checkpoints_text(struct db *db, const struct ledger_commune *c, int64_t as_of_ms,
                             enum language language, struct strbuf *out)
{
    struct telling t = { .commune = c, .out = out, .as_of_ms = as_of_ms, .language = language };
    return tell(db, &t);
}

int missing_checkpoints_json(struct db *db, const struct ledger_commune *c, int64_t as_of_ms,
                             struct strbuf *out)
{
    struct telling t = { .commune = c, .out = out, .as_of_ms = as_of_ms, .json = true };
    return tell(db, &t);
}
