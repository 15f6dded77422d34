/* console_page.h - what the console's pages are made of; only the pages include it.
 *
 * Literal markup is written by strbuf_put() and strbuf_putf(), all else through strbuf_put_html().
 * Texts of lang.h hold no markup and may be given to strbuf_putf().
 */
#ifndef KENG_GATEWAY_CONSOLE_PAGE_H
#define KENG_GATEWAY_CONSOLE_PAGE_H

#include "gateway/console.h"
#include "gateway/totals.h"
#include "proto/corrections.h"
#include "proto/report.h"

/* State of rendering one page. */
struct page {
    const struct console_view *view;
    struct strbuf *out;
    size_t shown_count;
    bool many_communes;
    int64_t moment_ms; /* villages and indicators are called as they were then; 0: as now */
    unsigned last_rank; /* of the report shown last */
    int64_t last_arrival;
    struct db_rescue calls; /* page_open() looks for them */
};

/* Doctype to <body>, and the links that change the language. */
void page_put_head(const struct console_view *view, const char *title, struct strbuf *out);
void page_put_language_links(const struct console_view *view, struct strbuf *out);
/* Everything before a page's content, with the menu, and what ends it.  live: it is the board,
 * whose content the script fetches anew; on other pages only the calls for help. */
void page_open(struct page *p, const char *title, bool live);
void page_close(const struct page *p);
/* Whose page it is, at the head of a page about one of several communes; a link back to all. */
void page_put_commune(const struct page *p, const char *path, const struct ledger_commune *commune);
/* The same page of each commune, those alone that have a key for us where keyed; false: none. */
bool page_put_communes(const struct page *p, const char *path, bool keyed);
/* Hidden fields every form needs. */
void page_put_token(const struct console_view *view, struct strbuf *out);
const char *page_own_name(const struct console *c);
/* Is this the ledger of keng-gateway demo-data, which holds nothing but a drill? */
bool page_is_training(const struct console *c);

/* Words and names, in the reader's language. */
const char *page_text(const struct page *p, enum lang_text id);
void page_put_text(const struct page *p, enum lang_text id);
void page_put_village(const struct page *p, int64_t commune, uint32_t number);
void page_put_author(const struct page *p, const struct ledger_commune *commune, uint16_t number);
void page_put_time(const struct page *p, int64_t unix_ms);
int64_t page_moment(const struct page *p); /* in whose names it speaks */
const struct catalogue_item *page_find_item(const struct page *p, uint8_t kind, uint32_t code);
void page_put_item_name(const struct page *p, const struct catalogue_item *item, uint8_t kind,
                        uint32_t code);
void page_put_value(const struct page *p, const struct catalogue_item *item, int64_t value);
void page_put_bare_value(const struct page *p, const struct catalogue_item *item, int64_t value);

/* What a form about a report must know of its answers, so that two operators notice each other: the
 * newest in the log and the newest that waits. */
struct page_known {
    int64_t count, outgoing_id;
};
int page_known_get(const struct page *p, int64_t commune, const struct record_ref *ref,
                   struct page_known *known_out);
void page_put_known(const struct page *p, int64_t arrival, const struct page_known *known);
void page_put_review_button(const struct page *p, uint8_t state, const char *class_name);
/* Who answered: the operator by name where he is ours, and the author, once he signed (not
 * AUTHOR_NONE). */
void page_put_reviewer(const struct page *p, const struct ledger_commune *commune, uint16_t author,
                       uint32_t by);

/* page_correct.c: one report with what became of it. */
struct page_subject {
    const struct db_record *record;
    const struct report *report; /* NULL: unreadable */
    const struct corrections *corrections;
};
/* queued: those too that the node did not take yet.  corrections_free() them. */
int page_corrections(const struct console *c, const struct db_record *record, bool queued,
                     struct corrections *corrections_out);
/* Of a figure, or of the village (CORRECTION_VILLAGE), REVIEW_UNKNOWN where he did not say. */
int64_t page_author_value(const struct page_subject *s, uint32_t code);
/* What counted before an arrival; INT64_MAX: counts now. */
int64_t page_counted_value(const struct page_subject *s, uint32_t code, int64_t before_arrival);
/* Old and new of what an answer corrected. */
void page_put_change(const struct page *p, const struct page_subject *s, uint32_t code,
                     int64_t value, int64_t arrival);
/* again: with what was typed into a form that was not taken. */
int page_put_correct_form(const struct page *p, const struct page_subject *s,
                          const struct page_known *known, const char *text, bool again);
/* Only what was changed; LANG_TEXT_COUNT, or what is wrong with it. */
enum lang_text page_read_corrections(const struct console_view *view, const struct page_subject *s,
                                     struct review *review);

/* page_calls.c: the bar and its words, "" without a call. */
const char *page_calls_words(const struct page *p, char buf[static CONSOLE_STATUS_LEN]);
void page_put_calls(const struct page *p);
void page_put_calls_region(const struct page *p);

/* page_board.c: does the list leave anything out? */
bool page_is_filtered(const struct db_list_filter *filter);

/* page_next.c: from one waiting report to the next. */
/* Is the page, or was the form, one of those that lead on? */
bool page_goes_on(const struct console_view *view);
int page_put_next_bar(const struct page *p, const struct db_record *r);
/* What is answered, and the answer waits for the node. */
enum { PAGE_ANSWERED_COUNT_MAX = 512 };
struct page_answered {
    struct { int64_t commune; struct record_ref ref; } list[PAGE_ANSWERED_COUNT_MAX];
    size_t count;
};
int page_answered_get(const struct console *c, struct page_answered *answered_out);
bool page_is_answered(const struct page_answered *a, const struct db_record *r);
/* page_path.c: how far a report has come, step by step; 0 or enum db_err. */
int page_put_path(const struct page *p, const struct db_record *r);

/* page_paper.c: around a quick report that is printed. */
struct quick;
void page_put_paper_head(const struct page *p, const struct quick *q);
void page_put_paper_foot(const struct page *p, const struct quick *q);

/* page_totals.c */
int page_put_totals(const struct page *p, const struct totals_filter *filter);
bool page_commune_wanted(const struct page *p, const struct ledger_commune *commune);

/* page_directives.c: the form of a new directive, filled in. */
struct page_directive {
    const char *text;
    uint8_t priority;
    unsigned hours; /* in force; 0: without end */
    bool receipt, drill;
    uint32_t village; /* these three: 0 for all */
    unsigned role;
    uint16_t person;
};
void page_put_directive_form(const struct page *p, const struct ledger_commune *c,
                             const struct page_directive *d);

/* page_report.c.  A callback with a struct page as ctx. */
int page_put_report(void *ctx, const struct db_record *record);

#endif
