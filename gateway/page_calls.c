/* Calls for help that nobody has answered: a red bar on top of every page, whatever somebody is
 * doing there. */
#include <inttypes.h>
#include <stdio.h>

#include "gateway/console_page.h"

enum { MS_PER_MINUTE = 60000 };

const char *page_calls_words(const struct page *p, char buf[static CONSOLE_STATUS_LEN])
{
    buf[0] = '\0';
    if (p->calls.count > 0)
        snprintf(buf, CONSOLE_STATUS_LEN, "%" PRId64 " %s", p->calls.count,
                 page_text(p, LANG_RESCUE_WAITING));
    return buf;
}

/* The bare list: a filter may hide what is called for. */
void page_put_calls(const struct page *p)
{
    const struct db_rescue *calls = &p->calls;
    char words[CONSOLE_STATUS_LEN];
    if (calls->count == 0)
        return;
    strbuf_putf(p->out, "<a class=\"rescue\" href=\"/?lang=%s%s#r%" PRId64 "\" "
                        "data-count=\"%" PRId64 "\">%s", lang_code(p->view->language),
                p->view->live ? "" : "&amp;static=1", calls->first_arrival, calls->count,
                page_calls_words(p, words));
    int64_t unseen_min = (p->view->wall_ms - calls->first_ms) / MS_PER_MINUTE;
    if (calls->first_ms > 0 && unseen_min >= 1)
        strbuf_putf(p->out, " <span class=\"since\">%s</span>",
                    lang_fill(p->view->language, LANG_UNSEEN, words, sizeof words,
                              LANG_NUMBER(unseen_min)));
    strbuf_put(p->out, "</a>");
}

void page_put_calls_region(const struct page *p)
{
    char words[CONSOLE_STATUS_LEN];
    strbuf_putf(p->out, "<nav id=\"calls\" class=\"jump\" aria-label=\"%s\" data-words=\"%s\">",
                page_text(p, LANG_RESCUE_WAITING), page_calls_words(p, words));
    page_put_calls(p);
    strbuf_put(p->out, "</nav>\n");
}

void console_page_calls(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    answer->content_type = "text/html; charset=utf-8";
    answer->status = 200;
    if (db_rescue_waiting(view->console->ledger->db, &p.calls) < 0)
        console_message(view, 503, LANG_ERR_DISK, answer);
    else
        page_put_calls_region(&p);
}
