#include "gateway/cap.h"

#include <expat.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CAP_NAMESPACE "urn:oasis:names:tc:emergency:cap:1.2"
enum { SEPARATOR = '|', MS_PER_MINUTE = 60000 };

/* ---- reading --------------------------------------------------------------------------------- */

enum place { IN_ALERT, IN_INFO, IN_AREA, PLACE_COUNT };

struct reader {
    XML_Parser parser;
    struct cap_alert *alert;
    struct cap_info info; /* the one being read */
    int depth;
    char *text; /* where characters go; NULL: nowhere */
    size_t text_cap;
    char *err;
};

struct field {
    enum place place;
    const char *name;
    size_t offset, cap; /* into struct cap_alert or cap_info */
};
#define ALERT_FIELD(name, member)                                                                  \
    { IN_ALERT, name, offsetof(struct cap_alert, member), sizeof ((struct cap_alert *)0)->member }
#define INFO_FIELD(place, name, member)                                                            \
    { place, name, offsetof(struct cap_info, member), sizeof ((struct cap_info *)0)->member }
static const struct field FIELDS[] = {
    ALERT_FIELD("identifier", identifier), ALERT_FIELD("sender", sender),
    ALERT_FIELD("sent", sent), ALERT_FIELD("status", status), ALERT_FIELD("msgType", msg_type),
    ALERT_FIELD("scope", scope), INFO_FIELD(IN_INFO, "language", language),
    INFO_FIELD(IN_INFO, "category", category), INFO_FIELD(IN_INFO, "event", event),
    INFO_FIELD(IN_INFO, "urgency", urgency), INFO_FIELD(IN_INFO, "severity", severity),
    INFO_FIELD(IN_INFO, "certainty", certainty), INFO_FIELD(IN_INFO, "expires", expires),
    INFO_FIELD(IN_INFO, "headline", headline), INFO_FIELD(IN_INFO, "description", description),
    INFO_FIELD(IN_INFO, "instruction", instruction), INFO_FIELD(IN_AREA, "areaDesc", areas),
};

static void stop(struct reader *r, const char *why)
{
    if (!r->err[0])
        snprintf(r->err, CAP_ERR_LEN, "%s", why);
    XML_StopParser(r->parser, XML_FALSE);
}

/* The name within CAP 1.2, or NULL: signatures and other additions are passed over. */
static const char *own_name(const char *name)
{
    size_t len = sizeof CAP_NAMESPACE - 1;
    return strncmp(name, CAP_NAMESPACE, len) == 0 && name[len] == SEPARATOR ? name + len + 1 : NULL;
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(ctx, "a document type has no place in an alert");
}

/* The first of its kind counts, but areas are joined. */
static void open_field(struct reader *r, const char *name)
{
    for (size_t i = 0; name && i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        const struct field *f = &FIELDS[i];
        char *base = f->place == IN_ALERT ? (char *)r->alert : (char *)&r->info;
        if ((int)f->place != r->depth - 2 || strcmp(f->name, name) != 0)
            continue;
        r->text = base + f->offset;
        r->text_cap = f->cap;
        size_t len = strlen(r->text);
        if (len > 0 && f->place != IN_AREA)
            r->text = NULL;
        else if (len > 0 && len + 3 < f->cap)
            memcpy(r->text + len, "; ", 3);
    }
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = ctx;
    const char *own = own_name(name);
    (void)attributes;
    r->text = NULL;
    if (++r->depth > CAP_DEPTH_MAX) {
        stop(r, "nested too deeply");
    } else if (r->depth == 1 && (!own || strcmp(own, "alert") != 0)) {
        stop(r, "this is no alert of CAP 1.2");
    } else if (r->depth == 2 && own && strcmp(own, "info") == 0) {
        r->info = (struct cap_info){ .language = "" };
    } else {
        open_field(r, own);
    }
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;
    const char *own = own_name(name);
    r->text = NULL;
    if (r->depth-- != 2 || !own || strcmp(own, "info") != 0)
        return;
    bool vietnamese = strncmp(r->info.language, "vi", 2) == 0;
    if (r->alert->info_count++ == 0 ||
        (vietnamese && strncmp(r->alert->info.language, "vi", 2) != 0))
        r->alert->info = r->info;
}

/* Cuts what is too long at a character's end. */
static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct reader *r = ctx;
    if (!r->text)
        return;
    size_t at = strlen(r->text), room = r->text_cap - 1 - at, take = (size_t)len;
    if (take > room)
        for (take = room; take > 0 && ((uint8_t)text[take] & 0xc0) == 0x80; take--)
            ;
    memcpy(r->text + at, text, take);
    r->text[at + take] = '\0';
    if (take < (size_t)len)
        r->text = NULL;
}

/* Lines and indents of XML are one space each, none at the ends. */
static void squeeze(char *text)
{
    char *out = text;
    for (const char *in = text; *in; in++) {
        bool space = *in == ' ' || *in == '\n' || *in == '\t' || *in == '\r';
        if (!space)
            *out++ = *in;
        else if (out > text && out[-1] != ' ')
            *out++ = ' ';
    }
    while (out > text && out[-1] == ' ')
        out--;
    *out = '\0';
}

/* ---- rules ----------------------------------------------------------------------------------- */

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(word, *list) == 0)
            return true;
    return false;
}

/* 2026-11-22T14:05:00+07:00; Z is not allowed (3.3.2). */
static bool parse_time(const char *text, int64_t *unix_ms_out)
{
    struct tm tm = { .tm_sec = 0 };
    const char *zone = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    unsigned hours, minutes;
    int at = 0;
    if (!zone || (*zone != '+' && *zone != '-') ||
        sscanf(zone + 1, "%2u:%2u%n", &hours, &minutes, &at) != 2 || at != 5 || zone[6] ||
        hours > 14 || minutes > 59)
        return false;
    int64_t offset_s = (int64_t)(hours * 60 + minutes) * 60;
    *unix_ms_out = ((int64_t)timegm(&tm) - (*zone == '+' ? offset_s : -offset_s)) * 1000;
    return true;
}

static const char *check(struct cap_alert *a)
{
    static const char *const STATUSES[] = { "Actual", "Exercise", "System", "Test", "Draft",
                                            NULL };
    static const char *const TYPES[] = { "Alert", "Update", "Cancel", "Ack", "Error", NULL };
    static const char *const SCOPES[] = { "Public", "Restricted", "Private", NULL };
    static const char *const URGENCIES[] = { "Immediate", "Expected", "Future", "Past", "Unknown",
                                             NULL };
    static const char *const SEVERITIES[] = { "Extreme", "Severe", "Moderate", "Minor", "Unknown",
                                              NULL };
    static const char *const CERTAINTIES[] = { "Observed", "Likely", "Possible", "Unlikely",
                                               "Unknown", NULL };
    if (!*a->identifier || strpbrk(a->identifier, " ,<&"))
        return "identifier is missing or has a space, comma, < or &";
    if (!*a->sender || strpbrk(a->sender, " ,<&"))
        return "sender is missing or has a space, comma, < or &";
    if (!parse_time(a->sent, &a->sent_ms))
        return "sent is not a time with its zone, as 2026-11-22T14:05:00+07:00";
    if (!is_one_of(a->status, STATUSES) || !is_one_of(a->msg_type, TYPES) ||
        !is_one_of(a->scope, SCOPES))
        return "status, msgType or scope is missing or none of the words CAP has";
    if (a->info_count == 0)
        return NULL;
    if (!*a->info.category || !*a->info.event)
        return "category or event is missing";
    if (!is_one_of(a->info.urgency, URGENCIES) || !is_one_of(a->info.severity, SEVERITIES) ||
        !is_one_of(a->info.certainty, CERTAINTIES))
        return "urgency, severity or certainty is missing or none of the words CAP has";
    if (*a->info.expires && !parse_time(a->info.expires, &a->expires_ms))
        return "expires is not a time with its zone";
    return NULL;
}

static void squeeze_all(struct cap_alert *a)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        char *base = FIELDS[i].place == IN_ALERT ? (char *)a : (char *)&a->info;
        squeeze(base + FIELDS[i].offset);
    }
}

int cap_parse(const char *xml, size_t len, struct cap_alert *alert_out,
              char err[static CAP_ERR_LEN])
{
    struct reader r = { .alert = alert_out, .err = err };
    err[0] = '\0';
    *alert_out = (struct cap_alert){ .info_count = 0 };
    if (len > CAP_LEN_MAX) {
        snprintf(err, CAP_ERR_LEN, "longer than %d bytes", (int)CAP_LEN_MAX);
        return -1;
    }
    r.parser = XML_ParserCreateNS(NULL, SEPARATOR);
    if (!r.parser) {
        snprintf(err, CAP_ERR_LEN, "out of memory");
        return -1;
    }
    XML_SetUserData(r.parser, &r);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    if (XML_Parse(r.parser, xml, (int)len, 1) != XML_STATUS_OK && !err[0])
        snprintf(err, CAP_ERR_LEN, "line %lu: %s", XML_GetCurrentLineNumber(r.parser),
                 XML_ErrorString(XML_GetErrorCode(r.parser)));
    XML_ParserFree(r.parser);
    if (err[0])
        return -1;
    squeeze_all(alert_out);
    const char *why = check(alert_out);
    if (why)
        snprintf(err, CAP_ERR_LEN, "%s", why);
    return why ? -1 : 0;
}

/* ---- as a directive -------------------------------------------------------------------------- */

/* Takes the last word off, an ellipsis in its place; false: nothing is left. */
static bool drop_word(char *text)
{
    static const char ELLIPSIS[] = "…";
    size_t len = strlen(text), tail = sizeof ELLIPSIS - 1;
    if (len >= tail && strcmp(text + len - tail, ELLIPSIS) == 0)
        text[len - tail] = '\0';
    char *space = strrchr(text, ' ');
    if (!space || (size_t)(space - text) + tail + 1 > REPORT_TEXT_LEN_MAX)
        return false;
    memcpy(space, ELLIPSIS, sizeof ELLIPSIS);
    return true;
}

static void compose(const struct cap_alert *a, char *out, size_t cap)
{
    const struct cap_info *i = &a->info;
    const char *what = *i->headline ? i->headline : i->event;
    const char *then = *i->instruction ? i->instruction : i->description;
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
    if (strcmp(info->severity, "Extreme") == 0)
        return PRIORITY_RESCUE;
    if (strcmp(info->severity, "Severe") == 0)
        return PRIORITY_EVACUATION;
    return strcmp(info->severity, "Moderate") == 0 ? PRIORITY_DAMAGE : PRIORITY_ROUTINE;
}

int cap_directive(const struct cap_alert *alert, int64_t now_ms, struct directive *directive_out,
                  uint8_t *priority_out, char err[static CAP_ERR_LEN])
{
    struct directive d = { .drill = strcmp(alert->status, "Exercise") == 0 };
    uint8_t body[RECORD_BODY_LEN_MAX];
    const char *why = NULL;
    if (!d.drill && strcmp(alert->status, "Actual") != 0)
        why = "a test, a draft or a message between systems: not for people";
    else if (strcmp(alert->msg_type, "Ack") == 0 || strcmp(alert->msg_type, "Error") == 0)
        why = "an answer between systems: not for people";
    else if (alert->info_count == 0)
        why = "it says nothing to people (no info)";
    else if (alert->expires_ms != 0 && alert->expires_ms <= now_ms)
        why = "it has expired";
    if (why) {
        snprintf(err, CAP_ERR_LEN, "%s", why);
        return -1;
    }
    if (alert->expires_ms != 0) /* the minute that has begun still counts */
        d.expires_min = (uint32_t)((alert->expires_ms - KENG_EPOCH_UNIX_S * 1000 + MS_PER_MINUTE -
                                    1) / MS_PER_MINUTE);
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
