/* How far a report has come, in the words its author reads in `keng status`: stored, carried,
 * received, read; and whether the receiver above has it. */
#include "gateway/console_page.h"

enum { MS_PER_MINUTE = 60000 };

static void put_step(const struct page *p, bool done, enum lang_text text)
{
    strbuf_putf(p->out, "<li class=\"%s\">%s %s", done ? "ok" : "warn", done ? "✓" : "○",
                page_text(p, text));
}

static int take_first(void *ctx, const struct db_record *r)
{
    int64_t *first_ms = ctx;
    *first_ms = r->received_ms;
    return 1;
}

/* Stored above? */
static int put_above(const struct page *p, const struct db_record *r)
{
    const struct console *c = p->view->console;
    int64_t stands = DB_OUTBOX_WAITS;
    if (!c->sync->configured || r->commune != c->own_commune)
        return 0;
    int result = db_outbox_stands(c->ledger->db, c->sync->target, r->arrival, &stands);
    if (result < 0)
        return result;
    put_step(p, stands == DB_OUTBOX_HELD,
             stands == DB_OUTBOX_HELD      ? LANG_PATH_ABOVE
             : stands == DB_OUTBOX_REFUSED ? LANG_PATH_REFUSED : LANG_PATH_WAITS);
    strbuf_put(p->out, "</li>");
    return 0;
}

int page_put_path(const struct page *p, const struct db_record *r)
{
    int64_t first_ms = 0;
    int result = db_review_log(p->view->console->ledger->db, r->commune, &r->ref, take_first,
                               &first_ms);
    strbuf_putf(p->out, "<ol class=\"path\" aria-label=\"%s\">", page_text(p, LANG_PATH));
    put_step(p, true, LANG_PATH_STORED);
    strbuf_put(p->out, " ");
    page_put_time(p, (KENG_EPOCH_UNIX_S * 1000) + (int64_t)r->created_min * MS_PER_MINUTE);
    strbuf_put(p->out, "</li>");
    put_step(p, true, LANG_PATH_CARRIED);
    if (r->via != DB_VIA_UNKNOWN)
        strbuf_putf(p->out, " %s",
                    page_text(p, (enum lang_text)(LANG_VIA_NODE + (int)r->via - DB_VIA_NODE)));
    strbuf_put(p->out, "</li>");
    put_step(p, true, LANG_PATH_RECEIVED);
    if (r->received_ms > 0) {
        strbuf_put(p->out, " ");
        page_put_time(p, r->received_ms);
    }
    strbuf_put(p->out, "</li>");
    put_step(p, first_ms > 0, first_ms > 0 ? LANG_PATH_READ : LANG_PATH_UNREAD);
    if (first_ms > 0) {
        strbuf_put(p->out, " ");
        page_put_time(p, first_ms);
    }
    strbuf_put(p->out, "</li>");
    if (result >= 0)
        result = put_above(p, r);
    strbuf_put(p->out, "</ol>\n");
    return result < 0 ? result : 0;
}
