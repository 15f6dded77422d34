/* The boxes and people of the commune: when each was last heard, and what the node hears itself. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "gateway/console_page.h"

/* LoRa still hears at -7.5 dB with SF7 and -20 dB with SF12; rain and leaves take some of it. */
enum { MS_PER_MINUTE = 60000, QUIET_MIN = 60, MINUTES_PER_DAY = 24 * 60, SNR_GOOD_DB = 0,
       SNR_FAIR_DB = -6 };

static void put_age(const struct page *p, int64_t age_min)
{
    if (age_min < 0)
        page_put_text(p, LANG_NEVER);
    else if (age_min >= 2 * MINUTES_PER_DAY)
        strbuf_putf(p->out, "%" PRId64 " %s", age_min / MINUTES_PER_DAY, page_text(p, LANG_DAYS));
    else if (age_min >= 120)
        strbuf_putf(p->out, "%" PRId64 " %s", age_min / 60, page_text(p, LANG_HOURS));
    else
        strbuf_putf(p->out, "%" PRId64 " %s", age_min, page_text(p, LANG_MINUTES));
}

/* ---- by their records ----------------------------------------------------------------------- */

enum { HEARD_COUNT_MAX = 4096 };

struct heard_list {
    struct db_heard list[HEARD_COUNT_MAX]; /* in order of author */
    size_t count;
};

static int note_heard(void *ctx, const struct db_heard *heard)
{
    struct heard_list *h = ctx;
    if (h->count == HEARD_COUNT_MAX)
        return 1;
    h->list[h->count++] = *heard;
    return 0;
}

static const struct db_heard *find_heard(const struct heard_list *h, uint16_t author)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->list[i].author == author)
            return &h->list[i];
    return NULL;
}

static void put_author_row(const struct page *p, const struct ledger_commune *c,
                           const struct roster_entry *e, const struct db_heard *heard)
{
    int64_t age_min = heard && heard->received_ms > 0
                          ? (p->view->wall_ms - heard->received_ms) / MS_PER_MINUTE : -1;
    int64_t missing = heard ? (int64_t)heard->seq - heard->count : 0;
    strbuf_putf(p->out, "<tr><td>%u</td><td>", (unsigned)e->number);
    strbuf_put_html(p->out, e->name);
    strbuf_putf(p->out, "</td><td class=\"extra\">%s%s", lang_role(p->view->language, e->role),
                e->village ? ", " : "");
    if (e->village)
        page_put_village(p, c->info.id, e->village);
    strbuf_put(p->out, "</td><td>");
    put_age(p, age_min);
    strbuf_putf(p->out, "</td><td class=\"value extra\">%" PRId64 "</td><td class=\"value%s\">%"
                        PRId64 "</td></tr>\n", heard ? heard->count : 0, missing > 0 ? " warn" : "",
                missing > 0 ? missing : 0);
}

static int put_commune(const struct page *p, const struct ledger_commune *c)
{
    static struct heard_list heard; /* large; pages are made one at a time */
    heard.count = 0;
    int result = db_record_heard(p->view->console->ledger->db, c->info.id, note_heard, &heard);
    strbuf_put(p->out, "<section><h2>");
    strbuf_put_html(p->out, c->info.name);
    strbuf_putf(p->out, "</h2><p class=\"dim\">%s</p><table><thead><tr><th>%s</th><th>%s</th>"
                        "<th class=\"extra\">%s</th><th>%s</th><th class=\"value extra\">%s</th>"
                        "<th class=\"value\">%s"
                        "</th></tr></thead><tbody>", page_text(p, LANG_NODES_RULE),
                page_text(p, LANG_NUMBER), page_text(p, LANG_NAME), page_text(p, LANG_ROLE),
                page_text(p, LANG_LAST_HEARD), page_text(p, LANG_HELD),
                page_text(p, LANG_MISSING));
    for (size_t i = 0; i < c->roster.author_count; i++)
        put_author_row(p, c, &c->roster.authors[i].entry,
                       find_heard(&heard, c->roster.authors[i].entry.number));
    strbuf_put(p->out, "</tbody></table></section>\n");
    return result < 0 ? result : 0;
}

/* ---- by the node itself --------------------------------------------------------------------- */

static void put_neighbours(const struct page *p)
{
    const struct console *c = p->view->console;
    const struct console_node *node = c->node;
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    if (!node->configured)
        return;
    strbuf_putf(p->out, "<section><h2>%s</h2>", page_text(p, LANG_NEIGHBOURS_TITLE));
    if (!node->connected)
        strbuf_putf(p->out, "<p class=\"alarm\">%s</p>", page_text(p, LANG_NODE_OFF));
    else if (node->neighbour_count <= 0)
        strbuf_putf(p->out, "<p class=\"none\">%s</p>", page_text(p, LANG_NEIGHBOURS_NONE));
    else
        strbuf_putf(p->out, "<table><thead><tr><th>%s</th><th>%s</th><th>%s</th>"
                            "<th>%s</th><th class=\"value extra\">SNR</th>"
                            "<th class=\"value extra\">RSSI</th><th>%s</th>"
                            "</tr></thead><tbody>", page_text(p, LANG_NUMBER),
                    page_text(p, LANG_NAME), page_text(p, LANG_LAST_HEARD),
                    page_text(p, LANG_SIGNAL), page_text(p, LANG_STATE));
    for (size_t i = 0; node->connected && i < node->listed_count; i++) {
        const struct console_neighbour *n = &node->neighbours[i];
        strbuf_putf(p->out, "<tr><td>%u</td><td>", (unsigned)n->number);
        page_put_author(p, own, n->number);
        strbuf_putf(p->out, "</td><td%s>", n->heard_s >= QUIET_MIN * 60 ? " class=\"warn\"" : "");
        put_age(p, n->heard_s / 60);
        strbuf_putf(p->out, "</td><td%s>%s</td><td class=\"value extra\">%.0f dB</td>"
                            "<td class=\"value extra\">%d dBm</td><td>%s</td></tr>\n",
                    n->snr_db < SNR_FAIR_DB ? " class=\"warn\"" : "",
                    page_text(p, n->snr_db >= SNR_GOOD_DB   ? LANG_SIGNAL_GOOD
                                 : n->snr_db >= SNR_FAIR_DB ? LANG_SIGNAL_FAIR
                                                            : LANG_SIGNAL_WEAK),
                    n->snr_db, n->rssi_dbm,
                    page_text(p, n->in_sync ? LANG_IN_SYNC : LANG_NOT_IN_SYNC));
    }
    if (node->connected && node->neighbour_count > 0)
        strbuf_put(p->out, "</tbody></table>");
    strbuf_put(p->out, "</section>\n");
}

void console_page_nodes(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    const struct ledger *l = view->console->ledger;
    int result = 0;
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_NODES), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    put_neighbours(&p);
    for (size_t i = 0; i < l->commune_count && result >= 0; i++)
        if (view->filter.commune == 0 || view->filter.commune == l->communes[i].info.id)
            result = put_commune(&p, &l->communes[i]);
    if (result < 0) {
        strbuf_put(p.out, "<p class=\"alarm\" role=\"alert\">");
        strbuf_put_html(p.out, db_error(l->db));
        strbuf_put(p.out, "</p>");
    }
    strbuf_put(p.out, "</main>\n");
    page_close(&p);
}
