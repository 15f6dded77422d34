/* console.h - what the operator sees: pages from the ledger, and the few buttons on them.
 *
 * Pages are complete HTML without a script; a small script only refreshes them when an event
 * says so.  Whatever a record, a roster or a request holds is escaped where it is written.
 *
 * Time      Totals and quick reports cost one pass over the commune's reports (below 1 us each).
 * Memory    One buffer per page.  Everything in struct console is borrowed.
 * Errors    Answers with the right status and a sentence in the reader's language.
 */
#ifndef KENG_GATEWAY_CONSOLE_H
#define KENG_GATEWAY_CONSOLE_H

#include "gateway/http.h"
#include "gateway/keys.h"
#include "gateway/lang.h"
#include "gateway/ledger.h"
#include "gateway/people.h"
#include "gateway/templates.h"
#include "proto/catalogue.h"

enum {
    CONSOLE_PAGE_COUNT = 60,          /* reports on one page */
    CONSOLE_TOTALS_ROW_COUNT_MAX = 1500,
    CONSOLE_GAP_COUNT_MAX = 200,
    CONSOLE_STATUS_LEN = 160,
    CONSOLE_WORDS_LEN = 128,
    CONSOLE_NEIGHBOUR_COUNT_MAX = 48,
    CONSOLE_UNSEEN_MIN = 10, /* a report nobody looked at for so long is marked */
};

struct console_neighbour {
    uint16_t number;
    int rssi_dbm;
    int64_t heard_s; /* so long ago */
    double snr_db;
    bool in_sync; /* holds what the node holds, as far as is known */
};

/* The node this gateway serves, as last heard. */
struct console_node {
    bool configured, connected;
    int64_t number, held_count, neighbour_count; /* -1: not said */
    int64_t airtime_used_ms, airtime_allowed_ms; /* -1: not said */
    struct console_neighbour neighbours[CONSOLE_NEIGHBOUR_COUNT_MAX];
    size_t listed_count; /* of them */
    char modem[CONSOLE_STATUS_LEN];
    char error[CONSOLE_STATUS_LEN];
};

/* The way upward. */
struct console_sync {
    bool configured;
    const char *url;
    int64_t target;
    int64_t waiting_count;
    int64_t last_ok_ms; /* 0: never */
    bool troubled; /* the last try did not work, */
    enum lang_text trouble; /* in short, and */
    char error[CONSOLE_STATUS_LEN]; /* what more is known, as it was said */
};

struct map;
struct console {
    struct ledger *ledger;
    struct people *people;
    const struct catalogue *catalogue; /* NULL: numbers are shown as they are */
    const struct villages *villages;   /* NULL: the same; of own_commune, or the only commune */
    const struct templates *templates; /* NULL: none */
    const struct map *map;             /* NULL: no files */
    int64_t own_commune;               /* whom one speaks to; 0: nobody, nothing can be reviewed */
    const struct keys *keys;           /* above communes: whom one could; NULL: there is a node */
    const struct console_node *node;
    struct console_sync *sync;
    const char *const *host_names;
    size_t host_name_count;
    bool enabled; /* false: only the receiver answers */
    void *ctx;
    void (*outgoing_added)(void *ctx);
    void (*send_now)(void *ctx);
};

/* One page or form.  New ones are one row in console.c; a row with a title stands in the menu. */
struct console_view;
struct console_route {
    enum http_method method;
    const char *path;
    enum access_role role; /* what one must be at least */
    int title;             /* enum lang_text, or -1 */
    void (*handle)(const struct console_view *view, struct http_answer *answer);
};
/* Ends with a row whose path is NULL. */
extern const struct console_route console_routes[];

/* Answers everything but the receiver's paths. */
void console_handle(struct console *c, const struct http_request *request, int64_t now_ms,
                    struct http_answer *answer);
/* The event that tells open pages of a new record. */
void console_event(int64_t arrival, struct strbuf *event_out);

/* ---- between console.c and the pages ---- */

struct console_view {
    struct console *console;
    const struct http_request *request;
    enum language language;
    struct db_list_filter filter;
    char words[CONSOLE_WORDS_LEN];  /* as they were typed */
    char folded[CONSOLE_WORDS_LEN]; /* filter.words */
    int64_t arrival; /* of the one record a page is about; 0: none */
    const struct access_operator *who; /* NULL: must log in */
    bool live; /* false: ?static=1, no script */
    char token[ACCESS_TOKEN_HEX_LEN];
    int64_t now_ms;  /* monotonic */
    int64_t wall_ms; /* by this machine's clock, which may be wrong */
};
void console_page_main(const struct console_view *view, struct strbuf *out);
enum console_login { CONSOLE_LOGIN_FIRST, CONSOLE_LOGIN_WRONG, CONSOLE_LOGIN_LATER };
void console_page_login(const struct console_view *view, enum console_login state,
                        struct strbuf *out);
/* Calls for help that nobody has answered, as every page has them on top: for its script. */
void console_page_calls(const struct console_view *view, struct http_answer *answer);
/* One report with all answers, and an answer to it. */
void console_page_record(const struct console_view *view, struct http_answer *answer);
void console_review(const struct console_view *view, struct http_answer *answer);
/* To the next report that waits. */
void console_next(const struct console_view *view, struct http_answer *answer);
/* Totals as of any moment, and the reports behind one figure. */
void console_page_totals(const struct console_view *view, struct http_answer *answer);
void console_page_figure(const struct console_view *view, struct http_answer *answer);
/* Quick reports: drafts and signed ones, one of them to read or print, and its files. */
void console_page_quicks(const struct console_view *view, struct http_answer *answer);
void console_page_quick(const struct console_view *view, struct http_answer *answer);
void console_quick_save(const struct console_view *view, struct http_answer *answer);
void console_quick_sign(const struct console_view *view, struct http_answer *answer);
void console_quick_export(const struct console_view *view, struct http_answer *answer);
/* Boxes and people: when each was last heard. */
void console_page_nodes(const struct console_view *view, struct http_answer *answer);
/* Directives: those that were sent, and a new one. */
void console_page_directives(const struct console_view *view, struct http_answer *answer);
void console_directive(const struct console_view *view, struct http_answer *answer);
/* The map with its list, and what its script asks for. */
void console_page_map(const struct console_view *view, struct http_answer *answer);
void console_map_points(const struct console_view *view, struct http_answer *answer);
void console_map_layer(const struct console_view *view, struct http_answer *answer);
void console_map_tile(const struct console_view *view, struct http_answer *answer);
/* An alert of others becomes a directive. */
void console_page_cap(const struct console_view *view, struct http_answer *answer);
void console_cap(const struct console_view *view, struct http_answer *answer);
/* A directive of ours as an alert for others. */
void console_cap_alert(const struct console_view *view, struct http_answer *answer);
/* A plain decimal number from 0 to max, or fallback. */
int64_t console_number(const char *text, int64_t max, int64_t fallback);
/* Who may use the console, and the newest of the audit trail; one's own passphrase. */
void console_page_people(const struct console_view *view, struct http_answer *answer);
void console_people_change(const struct console_view *view, struct http_answer *answer);
void console_page_account(const struct console_view *view, struct http_answer *answer);
void console_account_change(const struct console_view *view, struct http_answer *answer);
/* Writes into the audit trail; false: it could not, the answer says so, and nothing may be done. */
bool console_audit(const struct console_view *view, const char *action, const char *object,
                   struct http_answer *answer);
/* How to work with all of it. */
void console_page_guide(const struct console_view *view, struct http_answer *answer);
/* Above communes, one speaks to whom the page is about, if there is a key for it. */
void console_speak_to(const struct console_view *view, int64_t commune);
/* A sentence instead of a page. */
void console_message(const struct console_view *view, unsigned status, enum lang_text text,
                     struct http_answer *answer);
struct access_peer console_peer(const struct console_view *view);
/* 303 to a page of ours. */
void console_see_other(struct http_answer *answer, const char *location);
/* 303 to the page a form came from, or to /. */
void console_go_back(const struct console_view *view, struct http_answer *answer);
void console_page_message(const struct console_view *view, const char *message,
                          struct strbuf *out);
/* Where a record is shown as one of those that are answered one by one; not for HTML. */
void console_put_record_location(const struct console_view *view, int64_t arrival,
                                 struct strbuf *out);
/* The present page's query with this language; for links and forms.  whole: with the place in the
 * list, too. */
void console_put_query(const struct console_view *view, enum language language, bool whole,
                       struct strbuf *out);

#endif
