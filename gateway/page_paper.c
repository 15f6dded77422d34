/* What makes a quick report a letter once it is printed: heading, title and signature as official
 * letters have them, with blanks for what the office writes by hand.  On a screen none of it shows.
 *
 * Source    Decree 30/2020/NĐ-CP on clerical work, appendix I.
 */
#include <string.h>

#include "gateway/console_page.h"
#include "gateway/quick.h"

static void put_dated(const struct page *p, const struct quick *q)
{
    char day[LANG_TIME_LEN], words[2 * DB_NAME_LEN];
    lang_time_local(q->signed_ms ? q->signed_ms : p->view->wall_ms, day); /* 2026-11-22T14:05 */
    day[4] = day[7] = day[10] = '\0';
    lang_fill(p->view->language, LANG_PAPER_DATED, words, sizeof words,
              LANG_WORD(q->commune_name), LANG_WORD(day + 8), LANG_WORD(day + 5), LANG_WORD(day));
    strbuf_put_html(p->out, words);
}

void page_put_paper_head(const struct page *p, const struct quick *q)
{
    char office[2 * DB_NAME_LEN];
    /* On each sheet: nobody may take an exercise or a draft that lies about for the real thing. */
    if (q->drill || q->number == 0)
        strbuf_putf(p->out, "<p class=\"paper each\">%s</p>",
                    page_text(p, q->drill ? LANG_PAPER_DRILL : LANG_PAPER_DRAFT));
    strbuf_put(p->out, "<div class=\"paper heads\"><div><p class=\"caps\">");
    lang_fill(p->view->language, LANG_PAPER_OFFICE, office, sizeof office,
              LANG_WORD(q->commune_name));
    strbuf_put_html(p->out, office);
    strbuf_putf(p->out, "</p><p class=\"caps ruled\"><b>%s</b></p><p>%s</p></div><div>"
                        "<p class=\"caps\"><b>%s</b></p><p class=\"ruled\"><b>%s</b></p><p><i>",
                page_text(p, LANG_PAPER_COMMAND), page_text(p, LANG_PAPER_NUMBER),
                page_text(p, LANG_PAPER_STATE), page_text(p, LANG_PAPER_MOTTO));
    put_dated(p, q);
    strbuf_put(p->out, "</i></p></div></div>\n");
}

void page_put_paper_foot(const struct page *p, const struct quick *q)
{
    strbuf_putf(p->out, "<div class=\"paper heads foots\"><div><p><b><i>%s</i></b></p><p>%s</p>"
                        "</div><div><p class=\"caps\"><b>%s</b></p><p><i>%s</i></p>"
                        "<p class=\"name\"><b>",
                page_text(p, LANG_PAPER_TO), page_text(p, LANG_PAPER_TO_WHOM),
                page_text(p, LANG_PAPER_ON_BEHALF), page_text(p, LANG_PAPER_SIGN_HERE));
    strbuf_put_html(p->out, q->signer);
    strbuf_put(p->out, "</b></p></div></div>\n");
}
