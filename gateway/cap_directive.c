#include "gateway/cap.h"

#include <stdio.h>
#include <string.h>

#include "gateway/lang.h"

enum { MS_PER_MINUTE = 60000, HEADLINE_WIDTH_MAX = 160, NETWORK_SHOWN_LEN = 8 };

/* How grave a priority is, and back. */
static const char *const SEVERITIES[PRIORITY_COUNT] = { "Minor", "Moderate", "Severe", "Extreme" };

/* ---- an alert as a directive ----------------------------------------------------------------- */

static const char ELLIPSIS[] = "…";

/* Takes the last word off, an ellipsis in its place; false: nothing is left. */
static bool drop_word(char *text)
{
    size_t len = strlen(text), tail = sizeof ELLIPSIS - 1;
    if (len >= tail && strcmp(text + len - tail, ELLIPSIS) == 0)
        text[len - tail] = '\0';
    char *space = strrchr(text, ' ');
    if (!space || (size_t)(space - text) + tail + 1 > REPORT_TEXT_LEN_MAX)
        return false;
    memcpy(space, ELLIPSIS, sizeof ELLIPSIS);
    return true;
}

/* Is the headline only how the text begins? */
static bool says_again(const char *headline, const char *text)
{
    size_t len = strlen(headline), tail = sizeof ELLIPSIS - 1;
    if (len >= tail && strcmp(headline + len - tail, ELLIPSIS) == 0)
        len -= tail;
    return strncmp(headline, text, len) == 0;
}

static void compose(const struct cap_alert *a, char *out, size_t cap)
{
    const struct cap_info *i = &a->info;
    const char *what = *i->headline ? i->headline : i->event;
    const char *then = *i->instruction ? i->instruction : i->description;
    if (says_again(what, then)) {
        what = then;
        then = "";
    }
    char whole[4 * CAP_TEXT_LEN];
    snprintf(whole, sizeof whole, "%s%s%s%s%s%s", strcmp(a->msg_type, "Cancel") == 0 ? "HỦY: " : "",
             what, *i->areas ? " – " : "", i->areas, *then ? ". " : "", then);
    size_t len = strlen(whole);
    if (len >= cap) /* whole words are dropped below; here only what no record could hold */
        for (len = cap - 1; len > 0 && whole[len] != ' '; len--)
            ;
    memcpy(out, whole, len);
    out[len] = '\0';
}

static uint8_t priority_of(const struct cap_info *info)
{
    for (uint8_t i = 0; i < PRIORITY_COUNT; i++)
        if (strcmp(info->severity, SEVERITIES[i]) == 0)
            return i;
    return PRIORITY_ROUTINE;
}

int cap_directive(const struct cap_alert *alert, int64_t now_ms, struct directive *directive_out,
                  uint8_t *priority_out, char err[static CAP_ERR_LEN])
{
    struct directive d = { .drill = strcmp(alert->status, "Exercise") == 0 };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int64_t expires_min = (alert->expires_ms - KENG_EPOCH_UNIX_S * 1000 + MS_PER_MINUTE - 1) /
                          MS_PER_MINUTE; /* the minute that has begun still counts */
    const char *why = NULL;
    if (!d.drill && strcmp(alert->status, "Actual") != 0)
        why = "a test, a draft or a message between systems: not for people";
    else if (strcmp(alert->msg_type, "Ack") == 0 || strcmp(alert->msg_type, "Error") == 0)
        why = "an answer between systems: not for people";
    else if (alert->info_count == 0)
        why = "it says nothing to people (no info)";
    else if (alert->expires_ms != 0 && alert->expires_ms <= now_ms)
        why = "it has expired";
    else if (alert->expires_ms != 0 && (expires_min <= 0 || expires_min > CREATED_MINUTES_MAX))
        why = "it expires at a time that no record can say";
    if (why) {
        snprintf(err, CAP_ERR_LEN, "%s", why);
        return -1;
    }
    if (alert->expires_ms != 0)
        d.expires_min = (uint32_t)expires_min;
    compose(alert, d.text, sizeof d.text);
    d.text_len = strlen(d.text);
    while (directive_encode(&d, body, sizeof body) < 0) {
        if (!drop_word(d.text)) {
            snprintf(err, CAP_ERR_LEN, "its text cannot be sent");
            return -1;
        }
        d.text_len = strlen(d.text);
    }
    *directive_out = d;
    *priority_out = priority_of(&alert->info);
    return 0;
}

/* ---- a directive as an alert ----------------------------------------------------------------- */

static void put(struct strbuf *out, const char *name, const char *text)
{
    strbuf_putf(out, "<%s>", name);
    strbuf_put_html(out, text);
    strbuf_putf(out, "</%s>\n", name);
}

static void put_time(struct strbuf *out, const char *name, int64_t unix_ms)
{
    char text[LANG_TIME_LEN];
    lang_time_local(unix_ms, text);
    strbuf_putf(out, "<%s>%s:00+07:00</%s>\n", name, text, name);
}

/* The beginning of the text, whole words; the rest stands in the instruction. */
static void put_headline(struct strbuf *out, const char *text)
{
    char line[REPORT_TEXT_LEN_MAX + sizeof ELLIPSIS];
    snprintf(line, sizeof line, "%s", text);
    while (lang_width(line) > HEADLINE_WIDTH_MAX && drop_word(line))
        ;
    put(out, "headline", line);
}

static void put_pair(struct strbuf *out, const char *name, const char *key, const char *value)
{
    strbuf_putf(out, "<%s>\n", name);
    put(out, "valueName", key);
    put(out, "value", value);
    strbuf_putf(out, "</%s>\n", name);
}

static void put_scope(struct strbuf *out, const struct cap_outgoing *o)
{
    char addresses[ROSTER_NAME_LEN_MAX + 3];
    put(out, "scope", *o->person ? "Private" : *o->role ? "Restricted" : "Public");
    if (*o->role && !*o->person)
        put(out, "restriction", o->role);
    snprintf(addresses, sizeof addresses, "\"%s\"", o->person); /* names have spaces */
    if (*o->person)
        put(out, "addresses", addresses);
}

void cap_identifier(const struct cap_outgoing *o, char text_out[static CAP_WORD_LEN])
{
    struct strbuf hex = { .text = NULL };
    strbuf_put_hex(&hex, o->network_id, NETWORK_SHOWN_LEN);
    snprintf(text_out, CAP_WORD_LEN, "keng.%s.%u.%u", hex.text ? hex.text : "",
             (unsigned)o->ref.author, (unsigned)o->ref.seq);
    strbuf_free(&hex);
}

static void put_info(struct strbuf *out, const struct cap_outgoing *o)
{
    static const char *const URGENCIES[PRIORITY_COUNT] = { "Unknown", "Expected", "Immediate",
                                                           "Immediate" };
    const struct directive *d = o->directive;
    uint8_t priority = o->priority < PRIORITY_COUNT ? o->priority : PRIORITY_ROUTINE;
    strbuf_put(out, "<info>\n");
    put(out, "language", "vi-VN");
    put(out, "category", priority == PRIORITY_RESCUE ? "Rescue" : "Safety");
    put(out, "event", "Chỉ đạo của xã");
    put(out, "urgency", URGENCIES[priority]);
    put(out, "severity", SEVERITIES[priority]);
    put(out, "certainty", "Unknown"); /* a directive does not say */
    if (d->expires_min != 0)
        put_time(out, "expires", (KENG_EPOCH_UNIX_S + (int64_t)d->expires_min * 60) * 1000);
    put(out, "senderName", o->commune_name);
    put_headline(out, d->text);
    put(out, "instruction", d->text);
    strbuf_put(out, "<area>\n");
    put(out, "areaDesc", *o->village ? o->village : o->commune_name);
    if (*o->commune_code)
        put_pair(out, "geocode", "VN-DVHC", o->commune_code);
    strbuf_put(out, "</area>\n</info>\n");
}

bool cap_write(const struct cap_outgoing *o, struct strbuf *out)
{
    char identifier[CAP_WORD_LEN];
    cap_identifier(o, identifier);
    *strrchr(identifier, '.') = '\0'; /* the sender: network and author */
    strbuf_put(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                    "<alert xmlns=\"" CAP_NAMESPACE "\">\n");
    strbuf_putf(out, "<identifier>%s.%u</identifier>\n<sender>%s</sender>\n", identifier,
                (unsigned)o->ref.seq, identifier);
    put_time(out, "sent", o->sent_ms);
    put(out, "status", o->directive->drill ? "Exercise" : "Actual");
    put(out, "msgType", "Alert");
    put_scope(out, o);
    put_info(out, o);
    strbuf_put(out, "</alert>\n");
    return !out->failed;
}
