#include "node/keng_cli.h"

#include <sodium.h>
#include <string.h>

#include "proto/corrections.h"
#include "proto/report.h"

/* The roster's line about an author, or NULL. */
static const json_t *find_author(const struct keng *k, uint16_t author)
{
    const json_t *list = json_object_get(k->roster, "authors");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (keng_integer_of(entry, "number") == author)
            return entry;
    }
    return NULL;
}

void keng_author_name(struct keng *k, uint16_t author, char *buf, size_t cap)
{
    const json_t *entry = find_author(k, author);

    if (author == AUTHOR_ROOT)
        snprintf(buf, cap, "%s", text_get(k->lang, TEXT_AUTHOR_ROOT));
    else if (entry != NULL && keng_string_of(entry, "name")[0] != '\0')
        snprintf(buf, cap, "%s", keng_string_of(entry, "name"));
    else
        text_fill(text_get(k->lang, TEXT_AUTHOR_NUMBER), KENG_ARGS(keng_num(author).s), buf, cap);
}

/* What a record says is called as it was when it was written, as far as its clock tells. */
static int64_t moment_of(const struct record_view *v)
{
    return v->clock_set ? (KENG_EPOCH_UNIX_S + (int64_t)v->created_min * 60) * 1000
                        : keng_now_ms();
}

void keng_village_name(const struct keng *k, uint32_t village, int64_t at_ms, char *buf, size_t cap)
{
    const struct village *v = k->villages == NULL ? NULL
                                                  : villages_get(k->villages, village, at_ms);

    if (village == 0)
        snprintf(buf, cap, "%s", "");
    else if (v != NULL)
        snprintf(buf, cap, "%s", v->name);
    else
        text_fill(text_get(k->lang, TEXT_VILLAGE_NUMBER), KENG_ARGS(keng_num(village).s), buf, cap);
}

static void set_village(struct keng *k, const struct record_view *v, uint32_t village,
                        json_t *object)
{
    char name[128];

    if (village == 0) /* the author's own */
        village = (uint32_t)keng_integer_of(find_author(k, v->ref.author), "village");
    keng_village_name(k, village, moment_of(v), name, sizeof name);
    json_object_set_new(object, "village", json_integer(village));
    json_object_set_new(object, "village_name", json_string(name));
}

static json_t *figure_json(const struct keng *k, uint8_t kind, int64_t at_ms,
                           const struct report_figure *f)
{
    const struct catalogue_item *item = k->catalogue == NULL ? NULL
                                        : catalogue_get(k->catalogue, kind, f->code, at_ms);
    char value[CATALOGUE_VALUE_LEN];
    enum catalogue_language lang = k->lang == KENG_VI ? CATALOGUE_VI : CATALOGUE_EN;
    const char *name = item == NULL ? "" : k->lang == KENG_VI ? item->name_vi : item->name_en;
    char unknown[96];

    if (item == NULL) {
        text_fill(text_get(k->lang, TEXT_INDICATOR_NUMBER), KENG_ARGS(keng_num(f->code).s),
                  unknown, sizeof unknown);
        name = unknown;
    }
    if (f->value == REVIEW_UNKNOWN)
        snprintf(value, sizeof value, "%s", text_get(k->lang, TEXT_ANSWER_UNKNOWN));
    else
        catalogue_value_format(item, f->value, lang, true, value, sizeof value);
    return json_pack("{s:I,s:s,s:I,s:i,s:s,s:s}", "number", (json_int_t)f->code, "name", name,
                     "value", (json_int_t)f->value, "decimals", item == NULL ? 0 : item->decimals,
                     "unit", item == NULL ? "" : lang == CATALOGUE_VI ? item->unit
                     : item->unit_en, "shown", value);
}

static bool decode_report(struct keng *k, const struct record_view *v, json_t *object)
{
    struct report r;

    if (report_decode(v->body, v->body_len, &r) != REPORT_OK)
        return false;
    set_village(k, v, r.village, object);
    json_object_set_new(object, "event", json_integer(r.event));
    json_object_set_new(object, "drill", json_boolean(r.drill));
    if (r.hazard != 0) {
        const struct catalogue_hazard *h = k->catalogue == NULL ? NULL
                                           : catalogue_hazard_get(k->catalogue, r.hazard,
                                                                  moment_of(v));
        const char *name = h == NULL ? "" : k->lang == KENG_VI ? h->name_vi : h->name_en;
        json_object_set_new(object, "hazard", json_integer(r.hazard));
        json_object_set_new(object, "hazard_name", json_string(name));
    }
    if (r.lat_e5 != 0 || r.lon_e5 != 0) {
        json_object_set_new(object, "lat_e5", json_integer(r.lat_e5));
        json_object_set_new(object, "lon_e5", json_integer(r.lon_e5));
    }
    json_t *figures = json_array();
    for (size_t i = 0; i < r.figure_count; i++)
        json_array_append_new(figures, figure_json(k, v->kind, moment_of(v), &r.figures[i]));
    json_object_set_new(object, "figures", figures);
    json_object_set_new(object, "text", json_stringn(r.text, r.text_len));
    return true;
}

static json_t *refs_json(const struct record_ref *refs, size_t count)
{
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:i,s:i,s:I}", "author", refs[i].author, "lane",
                                              refs[i].lane, "seq", (json_int_t)refs[i].seq));
    return list;
}

static bool decode_review(const struct record_view *v, json_t *object)
{
    struct review r;

    if (review_decode(v->body, v->body_len, &r) != REPORT_OK)
        return false;
    const char *word = review_state_name(r.state);
    json_object_set_new(object, "review", json_string(word == NULL ? "" : word));
    json_object_set_new(object, "refs", refs_json(r.refs, r.ref_count));
    json_object_set_new(object, "text", json_stringn(r.text, r.text_len));
    return true;
}

/* Does somebody whose key is on this box stand in the address? */
static bool is_for_us(const struct keng *k, const struct directive *d)
{
    const json_t *local = json_object_get(k->roster, "local");

    for (size_t i = 0; i < json_array_size(local); i++) {
        uint16_t number = (uint16_t)json_integer_value(json_array_get(local, i));
        const json_t *author = find_author(k, number);
        struct roster_entry who = {
            .number = number, .role = roster_role_find(keng_string_of(author, "role")),
            .village = (uint32_t)keng_integer_of(author, "village"),
        };
        if (directive_is_for(d, &who))
            return true;
    }
    return false;
}

static bool decode_directive(struct keng *k, const struct record_view *v, json_t *object)
{
    struct directive d;
    char name[128];

    if (directive_decode(v->body, v->body_len, &d) != REPORT_OK)
        return false;
    if (d.village != 0)
        set_village(k, v, d.village, object);
    if (d.role != 0)
        json_object_set_new(object, "role",
                            json_string(roster_role_name((enum roster_role)d.role)));
    if (d.person != 0) {
        keng_author_name(k, d.person, name, sizeof name);
        json_object_set_new(object, "person", json_integer(d.person));
        json_object_set_new(object, "person_name", json_string(name));
    }
    json_object_set_new(object, "drill", json_boolean(d.drill));
    json_object_set_new(object, "for_us", json_boolean(is_for_us(k, &d)));
    json_object_set_new(object, "expires_min", json_integer(d.expires_min));
    json_object_set_new(object, "text", json_stringn(d.text, d.text_len));
    return true;
}

static bool decode_receipt(const struct record_view *v, json_t *object)
{
    struct receipt r;

    if (receipt_decode(v->body, v->body_len, &r) != REPORT_OK)
        return false;
    json_object_set_new(object, "read", json_boolean(r.read));
    json_object_set_new(object, "refs", refs_json(r.refs, r.ref_count));
    return true;
}

/* at_ms_out: when it was written. */
static bool decode_review_hex(const json_t *hex, struct record_ref *ref_out, int64_t *at_ms_out,
                              struct review *review_out)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_view v;
    size_t len = 0;

    if (!json_is_string(hex) ||
        sodium_hex2bin(bytes, sizeof bytes, json_string_value(hex), json_string_length(hex), NULL,
                       &len, NULL) != 0 ||
        record_decode(bytes, len, &v) != RECORD_OK || v.encrypted ||
        review_decode(v.body, v.body_len, review_out) != REPORT_OK)
        return false;
    *ref_out = v.ref;
    *at_ms_out = moment_of(&v);
    return true;
}

/* What stands of all corrections, where it is not what the author said himself. */
static void set_corrections(struct keng *k, const struct corrections *c, json_t *report)
{
    const json_t *figures = json_object_get(report, "figures");
    const struct correction *move = corrections_last(c, CORRECTION_VILLAGE);
    json_t *list = json_array();
    char name[128];

    for (size_t i = 0; i < json_array_size(figures); i++) {
        const json_t *said = json_array_get(figures, i);
        uint32_t code = (uint32_t)keng_integer_of(said, "number");
        const struct correction *last = corrections_last(c, code);
        if (last == NULL || last->value == keng_integer_of(said, "value"))
            continue;
        struct report_figure figure = { code, last->value };
        uint8_t kind = record_kind_find(keng_string_of(report, "kind"));
        json_array_append_new(list, figure_json(k, kind, last->received_ms, &figure));
    }
    if (json_array_size(list) > 0)
        json_object_set(report, "corrections", list);
    json_decref(list);
    if (move == NULL || move->value == REVIEW_VILLAGE_AUTHORS ||
        move->value == keng_integer_of(report, "village"))
        return;
    keng_village_name(k, (uint32_t)move->value, move->received_ms, name, sizeof name);
    json_object_set_new(report, "corrected_village", json_string(name));
}

void keng_message_decode_answer(struct keng *k, json_t *report)
{
    const json_t *hex = json_object_get(report, "corrections_hex");
    struct corrections c = { .list = NULL };
    struct record_ref ref;
    struct review r;
    int64_t at_ms;

    for (size_t i = 0; i < json_array_size(hex); i++)
        if (decode_review_hex(json_array_get(hex, i), &ref, &at_ms, &r) &&
            !corrections_add(&c, &ref, (int64_t)i, at_ms, &r))
            break; /* no memory: what was read is still true */
    corrections_settle(&c);
    set_corrections(k, &c, report);
    corrections_free(&c);
    if (decode_review_hex(json_object_get(report, "review_hex"), &ref, &at_ms, &r) &&
        r.same_as.seq != 0)
        json_object_set_new(report, "same_as", json_sprintf("%u-%u", r.same_as.author,
                                                            r.same_as.seq));
    json_object_del(report, "review_hex");
    json_object_del(report, "corrections_hex");
}

void keng_message_decode(struct keng *k, const char *hex, json_t *object)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_view v;
    char name[128];
    size_t len = 0;
    bool readable = false;

    if (sodium_hex2bin(bytes, sizeof bytes, hex, strlen(hex), NULL, &len, NULL) == 0 &&
        record_decode(bytes, len, &v) == RECORD_OK) {
        keng_author_name(k, v.ref.author, name, sizeof name);
        json_object_set_new(object, "author_name", json_string(name));
        json_object_set_new(object, "len", json_integer((json_int_t)len));
        json_object_set_new(object, "clock_set", json_boolean(v.clock_set));
        json_object_set_new(object, "priority", json_string(record_priority_name(v.priority)));
        if (v.encrypted)
            readable = false;
        else if (record_is_report(v.kind))
            readable = decode_report(k, &v, object);
        else if (v.kind == RECORD_REVIEW)
            readable = decode_review(&v, object);
        else if (v.kind == RECORD_DIRECTIVE)
            readable = decode_directive(k, &v, object);
        else if (v.kind == RECORD_RECEIPT)
            readable = decode_receipt(&v, object);
        else
            readable = true; /* nothing in it is for people */
    }
    json_object_set_new(object, "readable", json_boolean(readable));
}

static void print_text(const char *text)
{
    if (text[0] == '\0')
        return;
    fputs("    “", stdout);
    for (const char *p = text; *p != '\0'; p++) {
        putchar(*p);
        if (*p == '\n')
            fputs("    ", stdout);
    }
    fputs("”\n", stdout);
}

int64_t keng_message_age_s(const json_t *m, int64_t now_s)
{
    int64_t received_ms = keng_integer_of(m, "received_ms");

    /* A state that has just changed comes without the time of arrival; what the box wrote itself
     * was received when it was made. */
    return now_s - (received_ms > 0 ? received_ms / 1000
                    : KENG_EPOCH_UNIX_S + keng_integer_of(m, "created_min") * 60);
}

static void print_headline(struct keng *k, const json_t *m, int64_t now_s)
{
    char when[32], age[64], kind_words[64], unsure[64] = "";
    const char *kind_word = keng_string_of(m, "kind");
    uint8_t kind = record_kind_find(kind_word);
    /* Of a directive it is whom it is for, not where it comes from. */
    const char *village = kind == RECORD_DIRECTIVE ? "" : keng_string_of(m, "village_name");

    keng_clock(KENG_EPOCH_UNIX_S + keng_integer_of(m, "created_min") * 60, when, sizeof when);
    keng_age(k->lang, keng_message_age_s(m, now_s), age, sizeof age);
    text_fill(text_get(k->lang, keng_kind_text(kind)), KENG_ARGS(kind_word), kind_words,
              sizeof kind_words);
    if (json_is_false(json_object_get(m, "clock_set")))
        snprintf(unsure, sizeof unsure, " [%s]", text_get(k->lang, TEXT_CLOCK_UNSURE));
    bool drill = json_is_true(json_object_get(m, "drill"));
    printf("%lld-%lld  %s%s%s%s · %s · %s%s (%s)%s%s\n", (long long)keng_integer_of(m, "author"),
           (long long)keng_integer_of(m, "seq"), keng_string_of(m, "author_name"),
           village[0] == '\0' ? "" : " (", village, village[0] == '\0' ? "" : ")", kind_words,
           when, unsure, age, drill ? " · " : "", drill ? text_get(k->lang, TEXT_DRILL) : "");
}

/* To whom, until when, and what is expected of the reader. */
static void print_address(struct keng *k, const json_t *m, int64_t now_s)
{
    const char *person = keng_string_of(m, "person_name"), *role = keng_string_of(m, "role");
    const char *role_words = role[0] == '\0' ? "" : text_get(k->lang, keng_role_text(role));
    const char *village = keng_string_of(m, "village_name");
    int64_t expires_s = KENG_EPOCH_UNIX_S + keng_integer_of(m, "expires_min") * 60;
    char to[KENG_WORDS_LEN], until[32], number[KENG_REF_LEN];

    snprintf(to, sizeof to, "%s%s%s%s%s", person, person[0] && role[0] ? ", " : "", role_words,
             (person[0] || role[0]) && village[0] ? ", " : "", village);
    fputs("    ", stdout);
    keng_say(k, stdout, TEXT_DIRECTIVE_TO,
             KENG_ARGS(to[0] == '\0' ? text_get(k->lang, TEXT_DIRECTIVE_ALL) : to));
    if (keng_integer_of(m, "expires_min") != 0) {
        keng_clock(expires_s, until, sizeof until);
        fputs("    ", stdout);
        keng_say(k, stdout, expires_s > now_s ? TEXT_DIRECTIVE_UNTIL : TEXT_DIRECTIVE_OVER,
                 KENG_ARGS(until));
    }
    snprintf(number, sizeof number, "%lld-%lld", (long long)keng_integer_of(m, "author"),
             (long long)keng_integer_of(m, "seq"));
    fputs("    ", stdout);
    keng_say(k, stdout, json_is_true(json_object_get(m, "confirmed")) ? TEXT_DIRECTIVE_CONFIRMED
                        : TEXT_DIRECTIVE_CONFIRM, KENG_ARGS(number));
}

void keng_message_print(struct keng *k, const json_t *m, int64_t now_s)
{
    const json_t *figures = json_object_get(m, "figures"), *refs = json_object_get(m, "refs");

    print_headline(k, m, now_s);
    if (!json_is_true(json_object_get(m, "readable")))
        printf("    %s\n", text_get(k->lang, TEXT_UNREADABLE));
    if (keng_string_of(m, "hazard_name")[0] != '\0') {
        fputs("    ", stdout);
        keng_say(k, stdout, TEXT_HAZARD, KENG_ARGS(keng_string_of(m, "hazard_name")));
    }
    for (size_t i = 0; i < json_array_size(figures); i++) {
        const json_t *f = json_array_get(figures, i);
        printf("    %s: %s\n", keng_string_of(f, "name"), keng_string_of(f, "shown"));
    }
    if (json_object_get(m, "lat_e5") != NULL) {
        char place[64];
        snprintf(place, sizeof place, "%s,%s", keng_decimal(keng_integer_of(m, "lat_e5"), 5).s,
                 keng_decimal(keng_integer_of(m, "lon_e5"), 5).s);
        fputs("    ", stdout);
        keng_say(k, stdout, TEXT_PLACE, KENG_ARGS(place));
    }
    if (refs != NULL) {
        printf("    %s:", text_get(k->lang, keng_review_text(keng_string_of(m, "review"))));
        for (size_t i = 0; i < json_array_size(refs); i++)
            printf(" %lld-%lld", (long long)keng_integer_of(json_array_get(refs, i), "author"),
                   (long long)keng_integer_of(json_array_get(refs, i), "seq"));
        putchar('\n');
    }
    print_text(keng_string_of(m, "text"));
    if (strcmp(keng_string_of(m, "kind"), "directive") == 0)
        print_address(k, m, now_s);
}
