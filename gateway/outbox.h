/* outbox.h - the way upward: signed batches of what the receiver has not confirmed, by HTTPS PUT.
 *
 * What was confirmed is rows in the database, written only from the receiver's answer; so a cut
 * link, a killed program on either side or an answer that got lost costs a repetition, never a
 * record.  The root's log goes first, then calls for rescue in a batch of their own, then the rest
 * by urgency and arrival.
 * At each start and after each failure the receiver is asked how far it holds each log, and what a
 * restored receiver lost is sent again.  The same question tells whether a batch arrived whose
 * answer did not; if not, the next is made anew, so that what became urgent meanwhile overtakes.
 *
 * After that, and now and then in quiet times, what the receiver holds for this commune and we do
 * not comes down: directives, answers, the roster (receiver.h).  Each record is judged here by the
 * roster like any other; how far was taken is stored after the records are durable.
 *
 * Only an answer that a gateway or an operator of the commune's roster signed, other than we, says
 * anything.  Whatever else answers in the receiver's place is a link that does not work.
 *
 * A batch that does not get through, or that the receiver cannot store, is followed by one of half
 * its length: what is too long for the time between two cuts would be sent for ever.
 *
 * Several links to the same receiver are tried in order of preference, one after the other without
 * a wait; only when none of them worked it backs off, with jitter.  After a while on a lesser link
 * the first is tried again.  Refusals (4xx) are shown and tried again only at the longest interval.
 * Nothing is followed or redirected; a proxy is used only where a link names one.
 *
 * Time      One transfer at a time on the caller's curl multi handle; times are monotonic.
 * Memory    One batch and one answer.
 */
#ifndef KENG_GATEWAY_OUTBOX_H
#define KENG_GATEWAY_OUTBOX_H

#include <curl/curl.h>

#include "gateway/console.h"
#include "gateway/ledger.h"
#include "node/home.h"
#include "proto/batch.h"
#include "proto/exchange.h"

enum {
    OUTBOX_RECORD_COUNT_MAX = BATCH_LEN_TARGET / RECORD_LEN_MIN + 1,
    OUTBOX_ANSWER_LEN_MAX = 4 << 20,
    OUTBOX_INTERVAL_S_DEFAULT = 15,
    /* 15 s to 2 min: a link that comes back for minutes must not be slept through, and asking costs
     * some hundred bytes. */
    OUTBOX_INTERVAL_FACTOR_MAX = 8,
    OUTBOX_DOWN_FACTOR = 4, /* in quiet times the way down is asked every minute */
    OUTBOX_BATCH_LEN_MIN = 2048,
    OUTBOX_BATCH_LEN_STEP = 512, /* longer after each that got through */
    OUTBOX_LINK_COUNT_MAX = 4,
    OUTBOX_LINK_NAME_LEN = 16,
    OUTBOX_INTERFACE_LEN = 32,
    OUTBOX_GATHER_MS = 300,          /* a burst of records goes in one batch */
    OUTBOX_CONNECT_TIMEOUT_S = 15,
    OUTBOX_STALL_TIMEOUT_S = 60,     /* below OUTBOX_SPEED_MIN_BYTES a second, or without a byte */
    OUTBOX_SPEED_MIN_BYTES = 32,     /* 2 kB, the shortest batch, in that time; 2G at its worst */
    OUTBOX_TRANSFER_TIMEOUT_S = 900, /* 24 kB, the longest, at that speed */
    OUTBOX_ERR_LEN = 256,
    OUTBOX_QUESTION_LEN = 256,
};

enum outbox_transfer { OUTBOX_NONE, OUTBOX_ASKING, OUTBOX_PUTTING, OUTBOX_FETCHING };

/* One way to the receiver.  Empty: as the system routes; no proxy. */
struct outbox_link {
    char name[OUTBOX_LINK_NAME_LEN];
    char interface[OUTBOX_INTERFACE_LEN]; /* network interface or own address to leave by */
    char proxy[DB_URL_LEN];               /* http://, https:// or socks5h:// */
};

struct outbox {
    struct ledger *ledger;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    struct console_sync sync;
    char base[DB_URL_LEN]; /* without a slash at the end */
    const char *ca_path;
    struct home_identity identity;
    int64_t commune;
    int64_t interval_ms, backoff_ms, next_ms;
    long stall_timeout_s;
    struct outbox_link links[OUTBOX_LINK_COUNT_MAX];
    unsigned link_count, link; /* the one in use */
    int64_t prefer_ms;         /* when the first link is tried again; while on another */
    enum outbox_transfer transfer, before; /* before: the one that ended last */
    int64_t down_ms;      /* when the way down is asked again */
    bool resting;         /* nothing to do until then, unless something new comes */
    bool asked;           /* the receiver's holdings were compared since the last failure */
    bool root_sent_again; /* the receiver lacked the roster, and got everything again */
    struct strbuf answer;
    char question[OUTBOX_QUESTION_LEN]; /* that is under way, as both ends sign it */
    struct exchange exchange;
    char signature[EXCHANGE_SIGNED_LEN], next[DB_DOWN_LEN], down[DB_DOWN_LEN];
    char curl_err[CURL_ERROR_SIZE];
    uint8_t batch[BATCH_LEN_TARGET];
    size_t batch_len; /* 0: none, or its answer came */
    size_t batch_cap; /* what the next may have */
    char batch_hex[2 * KENG_HASH_LEN + 1];
    int64_t arrivals[OUTBOX_RECORD_COUNT_MAX]; /* of the records in the batch, in its order */
    size_t arrival_count;
};

/* https only, except to this machine itself.  0, or -1 with one line in err. */
int outbox_init(struct outbox *o, struct ledger *l, CURLM *multi, const char *url,
                const char *ca_path, const struct home_identity *identity, int64_t commune,
                int64_t interval_ms, char err[static OUTBOX_ERR_LEN]);
/* Adds the next link in order of preference: NAME[,interface=IF][,proxy=URL]. */
int outbox_add_link(struct outbox *o, const char *text, char err[static OUTBOX_ERR_LEN]);
void outbox_close(struct outbox *o);
/* New records are there.  0 or enum db_err. */
int outbox_kick(struct outbox *o, int64_t now_ms);
/* Somebody pressed "send now". */
void outbox_send_now(struct outbox *o, int64_t now_ms);
/* Starts what is due.  wall_ms: the real clock, for what people read.  0 or enum db_err. */
int outbox_run(struct outbox *o, int64_t now_ms, int64_t wall_ms);
/* Hands over a finished transfer of this outbox's handle. */
int outbox_on_done(struct outbox *o, CURLcode code, int64_t now_ms, int64_t wall_ms);
int64_t outbox_deadline_ms(const struct outbox *o);

#endif
