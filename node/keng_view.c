#include "node/keng_cli.h"

#include <string.h>
#include <time.h>

#include "proto/bytes.h"
#include "proto/limits.h"

static const struct { const char *word, *icon; } states[STATE_COUNT] = {
    [STATE_STORED] = { "stored", "●" },
    [STATE_CARRIED] = { "carried", "●●" },
    [STATE_RECEIVED] = { "received", "●●●" },
    [STATE_READ] = { "read", "✔" },
};

bool keng_state_find(const char *word, enum keng_state *state_out)
{
    for (enum keng_state s = 0; s < STATE_COUNT; s++) {
        if (strcmp(states[s].word, word) == 0) {
            *state_out = s;
            return true;
        }
    }
    return false;
}

const char *keng_state_icon(enum keng_state state)
{
    return states[state].icon;
}

enum keng_text_id keng_review_text(const char *word)
{
    static const struct { const char *word; enum keng_text_id text; } reviews[] = {
        { "question", TEXT_REVIEW_QUESTION }, { "approved", TEXT_REVIEW_APPROVED },
        { "rejected", TEXT_REVIEW_REJECTED }, { "met", TEXT_REVIEW_MET },
        { "corrected", TEXT_REVIEW_CORRECTED }, { "joined", TEXT_REVIEW_JOINED },
    };

    for (size_t i = 0; i < sizeof reviews / sizeof reviews[0]; i++) {
        if (strcmp(reviews[i].word, word) == 0)
            return reviews[i].text;
    }
    return TEXT_REVIEW_SEEN; /* whatever a later version says about it, somebody has read it */
}

enum keng_text_id keng_kind_text(uint8_t kind)
{
    static const struct { uint8_t kind; enum keng_text_id text; } kinds[] = {
        { RECORD_DAMAGE, TEXT_KIND_DAMAGE }, { RECORD_NEEDS, TEXT_KIND_NEEDS },
        { RECORD_EVACUATION, TEXT_KIND_EVACUATION }, { RECORD_RESCUE, TEXT_KIND_RESCUE },
        { RECORD_ACCESS, TEXT_KIND_ACCESS }, { RECORD_SAFE, TEXT_KIND_SAFE },
        { RECORD_NOTE, TEXT_KIND_NOTE }, { RECORD_ROSTER, TEXT_KIND_ROSTER },
        { RECORD_REVIEW, TEXT_KIND_REVIEW }, { RECORD_DIRECTIVE, TEXT_KIND_DIRECTIVE },
        { RECORD_PROFILE, TEXT_KIND_PROFILE }, { RECORD_RECEIPT, TEXT_KIND_RECEIPT },
        { RECORD_SIGNOFF, TEXT_KIND_SIGNOFF },
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].kind == kind)
            return kinds[i].text;
    }
    return record_is_ack(kind) ? TEXT_KIND_ACK : TEXT_KIND_OTHER;
}

enum keng_text_id keng_role_text(const char *role)
{
    if (strcmp(role, "node") == 0)
        return TEXT_ROLE_NODE;
    if (strcmp(role, "gateway") == 0)
        return TEXT_ROLE_GATEWAY;
    if (strcmp(role, "operator") == 0)
        return TEXT_ROLE_OPERATOR;
    return TEXT_ROLE_MEMBER;
}

struct keng_num keng_num(int64_t value)
{
    struct keng_num n;
    snprintf(n.s, sizeof n.s, "%lld", (long long)value);
    return n;
}

struct keng_num keng_decimal(int64_t value, unsigned decimals)
{
    struct keng_num n;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value, power = 1;

    for (; decimals > 0 && rest % 10 == 0; decimals--)
        rest /= 10;
    for (unsigned i = 0; i < decimals; i++)
        power *= 10;
    if (decimals == 0)
        snprintf(n.s, sizeof n.s, "%s%llu", value < 0 ? "-" : "", (unsigned long long)rest);
    else
        snprintf(n.s, sizeof n.s, "%s%llu.%0*llu", value < 0 ? "-" : "",
                 (unsigned long long)(rest / power), (int)decimals,
                 (unsigned long long)(rest % power));
    return n;
}

void keng_age(enum keng_lang lang, int64_t age_s, char *buf, size_t cap)
{
    enum { CLOCK_SLACK_S = 120, MIN_S = 60, HOUR_S = 3600, DAY_S = 86400 };
    enum keng_text_id text = TEXT_AGE_NOW;
    int64_t count = 0;

    if (age_s < -CLOCK_SLACK_S) {
        text = TEXT_AGE_CLOCK;
    } else if (age_s >= 2 * DAY_S) {
        text = TEXT_AGE_DAY;
        count = age_s / DAY_S;
    } else if (age_s >= HOUR_S) {
        text = TEXT_AGE_HOUR;
        count = age_s / HOUR_S;
    } else if (age_s >= MIN_S) {
        text = TEXT_AGE_MIN;
        count = age_s / MIN_S;
    }
    text_fill(text_get(lang, text), KENG_ARGS(keng_num(count).s), buf, cap);
}

void keng_clock(int64_t unix_s, char *buf, size_t cap)
{
    time_t local_s = (time_t)(unix_s + VIETNAM_OFFSET_S);
    struct tm t;

    if (gmtime_r(&local_s, &t) == NULL)
        snprintf(buf, cap, "?");
    else
        snprintf(buf, cap, "%02d:%02d %02d/%02d", t.tm_hour, t.tm_min, t.tm_mday, t.tm_mon + 1);
}

void keng_day(int64_t unix_s, char *buf, size_t cap)
{
    time_t local_s = (time_t)(unix_s + VIETNAM_OFFSET_S);
    struct tm t;

    if (gmtime_r(&local_s, &t) == NULL || strftime(buf, cap, "%d/%m/%Y", &t) == 0)
        snprintf(buf, cap, "?");
}

size_t keng_frame_len(uint32_t seq, size_t body_len)
{
    size_t record_len = 2 + varint_len(seq) + 1 + 3 + body_len + KENG_SIG_LEN;
    return FRAME_HEADER_LEN + 1 + record_len;
}

void keng_fingerprint(const uint8_t network_id[KENG_NETWORK_ID_LEN],
                      char fingerprint_out[KENG_FINGERPRINT_LEN])
{
    enum { SHOWN_LEN = 16 };
    char *at = fingerprint_out;

    for (size_t i = 0; i < SHOWN_LEN; i++) {
        snprintf(at, 4, "%02x%s", network_id[i], i % 2 == 1 && i + 1 < SHOWN_LEN ? " " : "");
        at += strlen(at);
    }
}

enum keng_text_id keng_modem_text(const char *state)
{
    static const struct { const char *state; enum keng_text_id text; } modem_states[] = {
        { "none", TEXT_MODEM_NONE }, { "absent", TEXT_MODEM_ABSENT },
        { "configuring", TEXT_MODEM_CONFIGURING }, { "ready", TEXT_MODEM_READY },
        { "silent", TEXT_MODEM_SILENT }, { "unlawful", TEXT_MODEM_UNLAWFUL },
    };

    for (size_t i = 0; i < sizeof modem_states / sizeof modem_states[0]; i++) {
        if (strcmp(modem_states[i].state, state) == 0)
            return modem_states[i].text;
    }
    return TEXT_MODEM_OTHER;
}
