/* keng_submit.c - hands a record to kengd and waits until it is durable there. */
#include "node/keng_cli.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>
#include <time.h>

enum {
    SUBMIT_DEADLINE_MS = 60000, /* a daemon that is being restarted is back long before */
    CONNECT_GRACE_MS = 4000,    /* for the first connection: nothing is at stake yet */
    RETRY_PAUSE_MS = 200,
    ONCE_LEN = 24,
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static json_t *submit_request(const struct keng_draft *draft, const char *once)
{
    char hex[2 * RECORD_BODY_LEN_MAX + 1];

    sodium_bin2hex(hex, sizeof hex, draft->body, draft->body_len);
    json_t *request = json_pack("{s:s,s:s,s:s,s:s}", "do", "submit", "kind",
                                record_kind_name(draft->kind), "body", hex, "once", once);
    if (draft->priority != NULL)
        json_object_set_new(request, "priority", json_string(draft->priority));
    if (draft->author != AUTHOR_ROOT)
        json_object_set_new(request, "author", json_integer((json_int_t)draft->author));
    return request;
}

/* What kengd refuses with, and whose fault that is. */
static const struct refusal {
    const char *code;
    bool passes; /* asking again helps */
    bool ours;   /* what was typed is wrong */
    enum keng_text_id text; /* FAILED: kengd's own words */
} refusals[] = {
    { "bad-request", false, true, TEXT_FAILED },
    { "bad-body", false, true, TEXT_FAILED },
    { "unknown-author", false, true, TEXT_REFUSED_AUTHOR },
    { "revoked", false, false, TEXT_REFUSED_REVOKED },
    { "too-long", false, true, TEXT_REFUSED_LONG },
    { "store-full", false, false, TEXT_REFUSED_FULL },
    { "disk", false, false, TEXT_REFUSED_DISK },
    { "again", true, false, TEXT_REFUSED_BUSY },
    { "busy", true, false, TEXT_REFUSED_BUSY },
    { "behind", true, false, TEXT_REFUSED_BEHIND },
    { "", false, false, TEXT_FAILED }, /* a code of a later version */
};

static const struct refusal *find_refusal(const json_t *answer)
{
    const char *code = json_string_value(json_object_get(answer, "code"));
    const struct refusal *r = refusals;

    while (r->code[0] != '\0' && (code == NULL || strcmp(r->code, code) != 0))
        r++;
    return r;
}

/* Says why kengd did not take the report. */
static int refused(const struct keng *k, const struct refusal *r)
{
    const char *why = r->text == TEXT_FAILED ? k->client.err : text_get(k->lang, r->text);

    return r->ours ? keng_wrong(k, TEXT_WRONG_REFUSED, KENG_ARGS(why))
                   : keng_failed(k, TEXT_FAILED_REFUSED, KENG_ARGS(why));
}

/* An answer that was lost is asked for again with the same token, so that kengd cannot make two
 * records of one draft. */
int keng_submit(struct keng *k, const struct keng_draft *draft, json_t **answer_out)
{
    int64_t start_ms = now_ms();
    bool asked = false;
    uint8_t random[ONCE_LEN / 2];
    char once[ONCE_LEN + 1];

    randombytes_buf(random, sizeof random);
    sodium_bin2hex(once, sizeof once, random, sizeof random);
    for (;;) {
        const struct refusal *refusal = NULL;
        int why = 0;
        if (k->client.fd >= 0 || client_open(&k->client, k->socket) == 0) {
            asked = true;
            if (client_call(&k->client, submit_request(draft, once),
                            KENG_CALL_TIMEOUT_MS, answer_out) == 0)
                return KENG_OK;
            refusal = *answer_out == NULL ? NULL : find_refusal(*answer_out);
            json_decref(*answer_out);
            *answer_out = NULL;
        } else {
            why = errno;
        }
        bool too_late = now_ms() - start_ms >= (asked ? SUBMIT_DEADLINE_MS : CONNECT_GRACE_MS);
        if (refusal != NULL && (!refusal->passes || too_late))
            return refused(k, refusal);
        if (too_late && asked)
            return keng_failed(k, TEXT_FAILED_UNSURE, KENG_ARGS(k->client.err));
        if (too_late)
            return keng_failed(k, TEXT_FAILED_NO_DAEMON, KENG_ARGS(k->socket, strerror(why)));
        pause_ms(RETRY_PAUSE_MS);
    }
}
