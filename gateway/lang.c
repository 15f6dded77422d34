#include "gateway/lang.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utf8proc.h>

#include "gateway/assets.h"
#include "gateway/ledger.h"
#include "proto/batch.h"
#include "node/keng_text.h"
#include "proto/report.h"


static const char *const ENGLISH[LANG_TEXT_COUNT] = {
#define LANG_ROW(id, english) [LANG_##id] = english,
    LANG_TEXTS(LANG_ROW)
    LANG_PROVINCE_TEXTS(LANG_ROW)
#undef LANG_ROW
};

/* A number of the compiled catalogue: msgfmt writes little-endian. */
static uint32_t mo_number(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* The catalogue is sorted by English text; it is part of this program and needs no checks. */
static const char *mo_find(const char *mo, const char *english)
{
    enum { COUNT_AT = 8, SOURCES_AT = 12, TRANSLATIONS_AT = 16, PAIR_LEN = 8, OFFSET_AT = 4 };
    const char *sources = mo + mo_number(mo + SOURCES_AT);
    const char *translations = mo + mo_number(mo + TRANSLATIONS_AT);
    uint32_t low = 0, high = mo_number(mo + COUNT_AT);
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = strcmp(english, mo + mo_number(sources + middle * PAIR_LEN + OFFSET_AT));
        if (order == 0)
            return mo + mo_number(translations + middle * PAIR_LEN + OFFSET_AT);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return english;
}

const char *lang_text(enum language language, enum lang_text text)
{
    return language == LANG_VI ? mo_find(asset_vi_mo, ENGLISH[text]) : ENGLISH[text];
}

const char *lang_fill_args(enum language language, enum lang_text text,
                           const struct lang_arg *args, size_t count, char *buf, size_t cap)
{
    enum { NUMBER_LEN = 24 };
    char numbers[LANG_ARG_COUNT_MAX][NUMBER_LEN];
    const char *words[LANG_ARG_COUNT_MAX + 1] = { NULL };
    for (size_t i = 0; i < count && i < LANG_ARG_COUNT_MAX; i++) {
        snprintf(numbers[i], NUMBER_LEN, "%" PRIu64, args[i].number);
        words[i] = args[i].word ? args[i].word : numbers[i];
    }
    text_fill(lang_text(language, text), words, buf, cap);
    return buf;
}

static const char *get_variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

enum language lang_of_environment(void)
{
    return text_lang_find(get_variable, NULL) == KENG_VI ? LANG_VI : LANG_EN;
}

const char *lang_said(const char *english)
{
    /* Under the empty text a catalogue has its own header. */
    return *english && lang_of_environment() == LANG_VI ? mo_find(asset_vi_mo, english) : english;
}

const char *lang_code(enum language language)
{
    return language == LANG_EN ? "en" : "vi";
}

bool lang_find(const char *code, enum language *language_out)
{
    for (int i = 0; i < LANG_COUNT; i++) {
        if (strcmp(code, lang_code((enum language)i)) == 0) {
            *language_out = (enum language)i;
            return true;
        }
    }
    return false;
}

enum catalogue_language lang_catalogue(enum language language)
{
    return language == LANG_EN ? CATALOGUE_EN : CATALOGUE_VI;
}

const char *lang_kind(enum language language, uint8_t kind)
{
    if (kind < RECORD_DAMAGE || kind > RECORD_NOTE)
        return NULL;
    return lang_text(language, (enum lang_text)(LANG_KIND_DAMAGE + (kind - RECORD_DAMAGE)));
}

const char *lang_priority(enum language language, uint8_t priority)
{
    if (priority >= PRIORITY_COUNT)
        priority = PRIORITY_ROUTINE;
    return lang_text(language, (enum lang_text)(LANG_PRIORITY_ROUTINE + priority));
}

const char *lang_review(enum language language, uint8_t state)
{
    if (state > REVIEW_JOINED)
        state = 0;
    return lang_text(language, (enum lang_text)(LANG_STATE_WAITING + state));
}

const char *lang_role(enum language language, unsigned role)
{
    if (role > ROSTER_OPERATOR)
        role = 0;
    return lang_text(language, (enum lang_text)(LANG_ROLE_ROOT + (int)role));
}

static_assert(LANG_P_VERDICT_BAD_ROLE - LANG_P_VERDICT_NEW == LEDGER_VERDICT_COUNT - 1,
              "in the order of enum ledger_verdict");

const char *lang_verdict(enum language language, unsigned verdict)
{
    return verdict < LEDGER_VERDICT_COUNT
               ? lang_text(language, (enum lang_text)(LANG_P_VERDICT_NEW + (int)verdict))
               : ledger_verdict_name((enum ledger_verdict)verdict);
}

const char *lang_batch_error(enum language language, int err)
{
    switch (err) {
    case LEDGER_BATCH_EROOT:
    case BATCH_EROOT:
        return lang_text(language, LANG_P_BATCH_ROOT);
    case LEDGER_BATCH_ETRUST:
        return lang_text(language, LANG_P_BATCH_TRUST);
    case LEDGER_BATCH_ESOURCE:
        return lang_text(language, LANG_P_BATCH_SOURCE);
    case LEDGER_BATCH_ESIG:
    case BATCH_ESIG:
        return lang_text(language, LANG_P_BATCH_SIG);
    default:
        return lang_text(language, LANG_P_BATCH_FORM);
    }
}

const char *lang_item(enum language language, const struct catalogue_item *item, uint8_t kind,
                      uint32_t number, char buf[static LANG_ITEM_LEN])
{
    const char *word = lang_kind(language, kind);
    if (item)
        return language == LANG_EN ? item->name_en : item->name_vi;
    snprintf(buf, LANG_ITEM_LEN, "%s %u (%s)", word ? word : "?", (unsigned)number,
             lang_text(language, LANG_NOT_IN_CATALOGUE));
    return buf;
}

const char *lang_verdict_named(enum language language, const char *name)
{
    enum ledger_verdict verdict = ledger_verdict_find(name);
    return verdict < LEDGER_VERDICT_COUNT ? lang_verdict(language, verdict) : name;
}

void lang_time_full(int64_t unix_ms, char text_out[static LANG_TIME_LEN])
{
    time_t local_s = (time_t)(unix_ms / 1000 + VIETNAM_OFFSET_S);
    struct tm tm;
    if (!gmtime_r(&local_s, &tm) || strftime(text_out, LANG_TIME_LEN, "%H:%M %d/%m/%Y", &tm) == 0)
        snprintf(text_out, LANG_TIME_LEN, "?");
}

void lang_time(int64_t unix_ms, char text_out[static LANG_TIME_LEN])
{
    lang_time_full(unix_ms, text_out);
    char *year = strrchr(text_out, '/');
    if (year)
        *year = '\0';
}

void lang_time_utc(int64_t unix_ms, char text_out[static LANG_TIME_LEN])
{
    time_t at_s = (time_t)(unix_ms / 1000);
    struct tm tm;
    if (!gmtime_r(&at_s, &tm) || strftime(text_out, LANG_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        snprintf(text_out, LANG_TIME_LEN, "?");
}

void lang_time_local(int64_t unix_ms, char text_out[static LANG_TIME_LEN])
{
    time_t local_s = (time_t)(unix_ms / 1000 + VIETNAM_OFFSET_S);
    struct tm tm;
    if (!gmtime_r(&local_s, &tm) || strftime(text_out, LANG_TIME_LEN, "%Y-%m-%dT%H:%M", &tm) == 0)
        text_out[0] = '\0';
}

bool lang_time_parse(const char *text, int64_t *unix_ms_out)
{
    struct tm tm = { .tm_sec = 0 };
    const char *end = strptime(text, "%Y-%m-%dT%H:%M", &tm);
    char again[LANG_TIME_LEN];
    if (!end || *end)
        return false;
    *unix_ms_out = ((int64_t)timegm(&tm) - VIETNAM_OFFSET_S) * 1000;
    lang_time_local(*unix_ms_out, again);
    return strcmp(again, text) == 0; /* the 31st of February is no day */
}

size_t lang_width(const char *text)
{
    size_t width = 0;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
    while (left > 0) {
        utf8proc_int32_t code;
        utf8proc_ssize_t len = utf8proc_iterate((const utf8proc_uint8_t *)text, left, &code);
        if (len <= 0) { /* ill-formed: a terminal shows one mark per byte */
            len = 1;
            width++;
        } else {
            width += (size_t)utf8proc_charwidth(code);
        }
        text += len;
        left -= len;
    }
    return width;
}
