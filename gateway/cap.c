#include "gateway/cap.h"

#include <expat.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define CAP_PREFIX CAP_NAMESPACE "|"
#define SIGNATURE_PREFIX "http://www.w3.org/2000/09/xmldsig#|"
#define SCHEMA_PREFIX "http://www.w3.org/2001/XMLSchema-instance|"
enum { SEPARATOR = '|', CONTAINER_DEPTH_MAX = 4 };

/* ---- what may stand where -------------------------------------------------------------------- */

enum place { NOWHERE, IN_ROOT, IN_ALERT, IN_INFO, IN_PAIR, IN_RESOURCE, IN_AREA };
enum content { TEXT, WORD, TIME, LANGUAGE, INTEGER, DECIMAL };
enum often { ONCE, MAYBE, SOME, ANY }; /* 1, 0..1, 1.., 0.. */

struct element {
    enum place in;
    const char *name;
    enum often often;
    enum place holds; /* NOWHERE: it holds text */
    enum content content;
    const char *words;  /* of a WORD, each with a space behind it */
    size_t offset, cap; /* where it is kept, in struct cap_alert or cap_info; cap 0: it is not */
};
#define KEPT(type, member) offsetof(struct type, member), sizeof ((struct type *)0)->member

/* The standard's tables in its order; it is the order of the elements of an alert, too. */
static const struct element ELEMENTS[] = {
    { IN_ROOT, "alert", ONCE, IN_ALERT, TEXT, NULL, 0, 0 },
    { IN_ALERT, "identifier", ONCE, NOWHERE, TEXT, NULL, KEPT(cap_alert, identifier) },
    { IN_ALERT, "sender", ONCE, NOWHERE, TEXT, NULL, KEPT(cap_alert, sender) },
    { IN_ALERT, "sent", ONCE, NOWHERE, TIME, NULL, KEPT(cap_alert, sent) },
    { IN_ALERT, "status", ONCE, NOWHERE, WORD, "Actual Exercise System Test Draft ",
      KEPT(cap_alert, status) },
    { IN_ALERT, "msgType", ONCE, NOWHERE, WORD, "Alert Update Cancel Ack Error ",
      KEPT(cap_alert, msg_type) },
    { IN_ALERT, "source", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "scope", ONCE, NOWHERE, WORD, "Public Restricted Private ",
      KEPT(cap_alert, scope) },
    { IN_ALERT, "restriction", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "addresses", MAYBE, NOWHERE, TEXT, NULL, KEPT(cap_alert, addresses) },
    { IN_ALERT, "code", ANY, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "note", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "references", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "incidents", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_ALERT, "info", ANY, IN_INFO, TEXT, NULL, 0, 0 },
    { IN_INFO, "language", MAYBE, NOWHERE, LANGUAGE, NULL, KEPT(cap_info, language) },
    { IN_INFO, "category", SOME, NOWHERE, WORD,
      "Geo Met Safety Security Rescue Fire Health Env Transport Infra CBRNE Other ", 0, 0 },
    { IN_INFO, "event", ONCE, NOWHERE, TEXT, NULL, KEPT(cap_info, event) },
    { IN_INFO, "responseType", ANY, NOWHERE, WORD,
      "Shelter Evacuate Prepare Execute Avoid Monitor Assess AllClear None ", 0, 0 },
    { IN_INFO, "urgency", ONCE, NOWHERE, WORD, "Immediate Expected Future Past Unknown ",
      KEPT(cap_info, urgency) },
    { IN_INFO, "severity", ONCE, NOWHERE, WORD, "Extreme Severe Moderate Minor Unknown ",
      KEPT(cap_info, severity) },
    { IN_INFO, "certainty", ONCE, NOWHERE, WORD, "Observed Likely Possible Unlikely Unknown ",
      KEPT(cap_info, certainty) },
    { IN_INFO, "audience", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_INFO, "eventCode", ANY, IN_PAIR, TEXT, NULL, 0, 0 },
    { IN_INFO, "effective", MAYBE, NOWHERE, TIME, NULL, 0, 0 },
    { IN_INFO, "onset", MAYBE, NOWHERE, TIME, NULL, 0, 0 },
    { IN_INFO, "expires", MAYBE, NOWHERE, TIME, NULL, KEPT(cap_info, expires) },
    { IN_INFO, "senderName", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_INFO, "headline", MAYBE, NOWHERE, TEXT, NULL, KEPT(cap_info, headline) },
    { IN_INFO, "description", MAYBE, NOWHERE, TEXT, NULL, KEPT(cap_info, description) },
    { IN_INFO, "instruction", MAYBE, NOWHERE, TEXT, NULL, KEPT(cap_info, instruction) },
    { IN_INFO, "web", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_INFO, "contact", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_INFO, "parameter", ANY, IN_PAIR, TEXT, NULL, 0, 0 },
    { IN_INFO, "resource", ANY, IN_RESOURCE, TEXT, NULL, 0, 0 },
    { IN_INFO, "area", ANY, IN_AREA, TEXT, NULL, 0, 0 },
    { IN_PAIR, "valueName", ONCE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_PAIR, "value", ONCE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_RESOURCE, "resourceDesc", ONCE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_RESOURCE, "mimeType", ONCE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_RESOURCE, "size", MAYBE, NOWHERE, INTEGER, NULL, 0, 0 },
    { IN_RESOURCE, "uri", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_RESOURCE, "derefUri", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_RESOURCE, "digest", MAYBE, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_AREA, "areaDesc", ONCE, NOWHERE, TEXT, NULL, KEPT(cap_info, areas) },
    { IN_AREA, "polygon", ANY, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_AREA, "circle", ANY, NOWHERE, TEXT, NULL, 0, 0 },
    { IN_AREA, "geocode", ANY, IN_PAIR, TEXT, NULL, 0, 0 },
    { IN_AREA, "altitude", MAYBE, NOWHERE, DECIMAL, NULL, 0, 0 },
    { IN_AREA, "ceiling", MAYBE, NOWHERE, DECIMAL, NULL, 0, 0 },
};
enum { ELEMENT_COUNT = sizeof ELEMENTS / sizeof ELEMENTS[0] };

/* ---- values ---------------------------------------------------------------------------------- */

/* Blanks of XML become one space each, none at the ends. */
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

/* 2026-11-22T14:05:00+07:00; Z is not allowed (3.3.2). */
static bool parse_time(const char *text, int64_t *unix_ms_out)
{
    static const char FORM[] = "0000-00-00T00:00:00+00:00";
    unsigned year, month, day, hour, minute, second, zone_hour, zone_minute;
    for (size_t i = 0; i < sizeof FORM; i++) {
        bool good = FORM[i] == '0' ? text[i] >= '0' && text[i] <= '9'
                                   : text[i] == FORM[i] || (FORM[i] == '+' && text[i] == '-');
        if (!good)
            return false;
    }
    if (sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u%*c%2u:%2u", &year, &month, &day, &hour, &minute,
               &second, &zone_hour, &zone_minute) != 8)
        return false;
    struct tm tm = { .tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day,
                     .tm_hour = (int)hour, .tm_min = (int)minute, .tm_sec = (int)second };
    int64_t at_s = timegm(&tm), offset_s = (int64_t)(zone_hour * 60 + zone_minute) * 60;
    bool midnight = hour == 24 && minute == 0 && second == 0; /* the end of a day has two names */
    if (year == 0 || minute > 59 || second > 59 || zone_minute > 59 || offset_s > 14 * 3600 ||
        (!midnight && (hour > 23 || tm.tm_mday != (int)day || tm.tm_mon != (int)month - 1)) ||
        (midnight && (month < 1 || month > 12 || day < 1 || day > 31)))
        return false;
    *unix_ms_out = (at_s - (text[19] == '+' ? offset_s : -offset_s)) * 1000;
    return true;
}

static bool is_number(const char *text, bool decimal)
{
    size_t digits = 0, points = 0;
    for (text += *text == '+' || *text == '-'; *text; text++) {
        digits += *text >= '0' && *text <= '9';
        points += *text == '.';
        if ((*text < '0' || *text > '9') && *text != '.')
            return false;
    }
    return digits > 0 && points <= (decimal ? 1 : 0);
}

/* Up to eight letters, then letters and digits behind hyphens; nothing means English. */
static bool is_language(const char *text)
{
    size_t part_len = 0;
    bool first = true;
    for (const char *c = text; *c; c++) {
        bool letter = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z');
        bool digit = *c >= '0' && *c <= '9';
        if (*c == '-' && part_len > 0) {
            part_len = 0;
            first = false;
        } else if (part_len++ == 8 || !(letter || (digit && !first))) {
            return false;
        }
    }
    return part_len > 0 || !*text;
}

static bool is_word(const char *text, const char *words)
{
    size_t len = strlen(text);
    if (strchr(text, ' ')) /* two of them are none */
        return false;
    for (const char *at = words; *at; at = strchr(at, ' ') + 1)
        if (strncmp(at, text, len) == 0 && at[len] == ' ')
            return true;
    return false;
}

static bool value_holds(const struct element *e, char *text)
{
    int64_t ignored_ms;
    if (e->content == TEXT)
        return true;
    if (e->content == WORD) /* to the letter: not even a space more */
        return is_word(text, e->words);
    squeeze(text);
    switch (e->content) {
    case TIME: return parse_time(text, &ignored_ms);
    case LANGUAGE: return is_language(text);
    case INTEGER: return is_number(text, false);
    case DECIMAL: return is_number(text, true);
    case TEXT:
    case WORD: break;
    }
    return false;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct reader {
    XML_Parser parser;
    struct cap_alert *alert;
    struct cap_info info; /* the one being read */
    struct {
        enum place place;
        int last; /* the element seen last in it; -1: none */
    } open[CONTAINER_DEPTH_MAX + 1];
    int open_count;
    const struct element *reading; /* whose text is being read; NULL: none */
    int depth, foreign_depth; /* foreign: within a signature, which is passed over */
    char text[CAP_TEXT_LEN];
    size_t text_len;
    bool text_cut;
    char *err;
};

__attribute__((format(printf, 2, 3)))
static void stop(struct reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (!r->err[0]) {
        int at = snprintf(r->err, CAP_ERR_LEN, "line %lu: ", XML_GetCurrentLineNumber(r->parser));
        vsnprintf(r->err + at, CAP_ERR_LEN - (size_t)at, format, args);
    }
    va_end(args);
    XML_StopParser(r->parser, XML_FALSE);
}

static void on_doctype(void *ctx, const XML_Char *name, const XML_Char *system,
                       const XML_Char *public, int internal)
{
    (void)name, (void)system, (void)public, (void)internal;
    stop(ctx, "a document type has no place in an alert");
}

/* From the one seen last in the innermost container to this one (ELEMENT_COUNT: its end): what had
 * to stand between them?  False: something did, and was not there. */
static bool nothing_lacks(struct reader *r, int until)
{
    enum place in = r->open[r->open_count - 1].place;
    for (int i = r->open[r->open_count - 1].last + 1; i < until; i++)
        if (ELEMENTS[i].in == in && (ELEMENTS[i].often == ONCE || ELEMENTS[i].often == SOME)) {
            stop(r, "%s is missing", ELEMENTS[i].name);
            return false;
        }
    return true;
}

/* The row of an element that stands in the innermost container, in its order; NULL: it may not. */
static const struct element *place_element(struct reader *r, const char *name)
{
    enum place in = r->open[r->open_count - 1].place;
    int last = r->open[r->open_count - 1].last;
    int i = 0;
    while (i < ELEMENT_COUNT && (ELEMENTS[i].in != in || strcmp(ELEMENTS[i].name, name) != 0))
        i++;
    if (i == ELEMENT_COUNT)
        stop(r, "%.40s has no place here", name);
    else if (i < last)
        stop(r, "%s must stand before %s", name, ELEMENTS[last].name);
    else if (i == last && ELEMENTS[i].often <= MAYBE)
        stop(r, "%s stands there twice", name);
    else if (nothing_lacks(r, i)) {
        r->open[r->open_count - 1].last = i;
        return &ELEMENTS[i];
    }
    return NULL;
}

static bool attributes_hold(struct reader *r, const XML_Char **attributes)
{
    for (; *attributes; attributes += 2) {
        if (r->depth == 1 && strcmp(*attributes, SCHEMA_PREFIX "schemaLocation") == 0)
            continue;
        stop(r, "an alert's elements have no attributes");
        return false;
    }
    return true;
}

static void on_start(void *ctx, const XML_Char *name, const XML_Char **attributes)
{
    struct reader *r = ctx;
    bool own = strncmp(name, CAP_PREFIX, sizeof CAP_PREFIX - 1) == 0;
    bool signature = strncmp(name, SIGNATURE_PREFIX, sizeof SIGNATURE_PREFIX - 1) == 0;
    const struct element *e;
    if (++r->depth > CAP_DEPTH_MAX) {
        stop(r, "nested too deeply");
    } else if (r->foreign_depth > 0) {
        /* of a signature: none of ours */
    } else if (r->depth == 1 && (!own || strcmp(name + sizeof CAP_PREFIX - 1, "alert") != 0)) {
        stop(r, "this is no alert of CAP 1.2");
    } else if (r->reading) {
        stop(r, "%s holds text only", r->reading->name);
    } else if (signature && r->depth == 2) { /* behind everything else */
        if (nothing_lacks(r, ELEMENT_COUNT))
            r->open[r->open_count - 1].last = ELEMENT_COUNT - 1;
        r->foreign_depth = r->depth;
    } else if (!own) {
        stop(r, "an element that is not CAP's has no place here");
    } else if ((e = place_element(r, name + sizeof CAP_PREFIX - 1)) &&
               attributes_hold(r, attributes)) {
        r->text_len = 0;
        r->text_cut = false;
        if (e->holds == NOWHERE) {
            r->reading = e;
        } else {
            r->open[r->open_count].place = e->holds;
            r->open[r->open_count++].last = -1;
        }
        if (e->holds == IN_INFO)
            r->info = (struct cap_info){ .language = "" };
    }
}

/* The first of its kind counts, but areas are joined. */
static void keep(struct reader *r, const struct element *e)
{
    char *kept = (e->in == IN_ALERT ? (char *)r->alert : (char *)&r->info) + e->offset;
    size_t len = strlen(kept);
    squeeze(r->text);
    if (e->cap == 0 || (len > 0 && e->in != IN_AREA))
        return;
    size_t take = strlen(r->text), joint = len > 0 ? 2 : 0;
    if (len + joint >= e->cap)
        return;
    memcpy(kept + len, "; ", joint + 1);
    kept[len + joint] = '\0';
    size_t room = e->cap - 1 - len - joint;
    if (take > room)
        for (take = room; take > 0 && ((uint8_t)r->text[take] & 0xc0) == 0x80; take--)
            ;
    memcpy(kept + len + joint, r->text, take);
    kept[len + joint + take] = '\0';
}

static void end_info(struct reader *r)
{
    bool vietnamese = strncmp(r->info.language, "vi", 2) == 0;
    if (r->alert->info_count++ == 0 ||
        (vietnamese && strncmp(r->alert->info.language, "vi", 2) != 0))
        r->alert->info = r->info;
}

static void on_end(void *ctx, const XML_Char *name)
{
    struct reader *r = ctx;
    (void)name;
    int depth = r->depth--;
    if (r->foreign_depth > 0) {
        if (depth == r->foreign_depth)
            r->foreign_depth = 0;
    } else if (r->reading) {
        const struct element *e = r->reading;
        r->reading = NULL;
        r->text[r->text_len] = '\0';
        if (strlen(r->text) != r->text_len || (r->text_cut && e->content != TEXT) ||
            !value_holds(e, r->text))
            stop(r, e->content == WORD ? "%s is none of the words CAP has"
                    : e->content == TIME ? "%s is not a time with its zone, as "
                                           "2026-11-22T14:05:00+07:00" : "%s cannot be read",
                 e->name);
        else
            keep(r, e);
    } else if (nothing_lacks(r, ELEMENT_COUNT)) {
        enum place place = r->open[--r->open_count].place;
        if (place == IN_INFO)
            end_info(r);
    }
}

/* Cuts what is too long at a character's end. */
static void on_text(void *ctx, const XML_Char *text, int len)
{
    struct reader *r = ctx;
    if (r->foreign_depth > 0 || r->text_cut)
        return;
    for (int i = 0; !r->reading && i < len; i++)
        if (!strchr(" \t\r\n", text[i])) {
            stop(r, "text between elements");
            return;
        }
    size_t room = sizeof r->text - 1 - r->text_len, take = (size_t)len;
    if (!r->reading)
        return;
    if (take > room) {
        r->text_cut = true;
        for (take = room; take > 0 && ((uint8_t)text[take] & 0xc0) == 0x80; take--)
            ;
    }
    memcpy(r->text + r->text_len, text, take);
    r->text_len += take;
}

/* What the standard says in words beside its tables. */
static const char *check(struct cap_alert *a)
{
    if (!*a->identifier || strpbrk(a->identifier, " ,<&"))
        return "identifier is empty or has a space, comma, < or &";
    if (!*a->sender || strpbrk(a->sender, " ,<&"))
        return "sender is empty or has a space, comma, < or &";
    if (strcmp(a->scope, "Private") == 0 && !*a->addresses)
        return "scope is Private, and addresses is missing";
    if (!parse_time(a->sent, &a->sent_ms) ||
        (*a->info.expires && !parse_time(a->info.expires, &a->expires_ms)))
        return "sent or expires is no time";
    return NULL;
}

int cap_parse(const char *xml, size_t len, struct cap_alert *alert_out,
              char err[static CAP_ERR_LEN])
{
    struct reader r = { .alert = alert_out, .err = err, .open_count = 1,
                        .open = { { IN_ROOT, -1 } } };
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
    const char *why = check(alert_out);
    if (why)
        snprintf(err, CAP_ERR_LEN, "%s", why);
    return why ? -1 : 0;
}
