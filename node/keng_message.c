#include "node/keng_cli.h"

#include <sodium.h>
#include <string.h>

#include "proto/report.h"

static const char *string_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s == NULL ? "" : s;
}

static int64_t integer_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* The roster's line about an author, or NULL. */
static const json_t *find_author(const struct keng *k, uint16_t author)
{
    const json_t *list = json_object_get(k->roster, "authors");

    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);
        if (integer_of(entry, "number") == author)
            return entry;
    }
    return NULL;
}

void keng_author_name(struct keng *k, uint16_t author, char *buf, size_t cap)
{
    const json_t *entry = find_author(k, author);

    if (author == AUTHOR_ROOT)
        snprintf(buf, cap, "%s", text_get(k->lang, TEXT_AUTHOR_ROOT));
    else if (entry != NULL && string_of(entry, "name")[0] != '\0')
        snprintf(buf, cap, "%s", string_of(entry, "name"));
    else
        text_fill(text_get(k->lang, TEXT_AUTHOR_NUMBER), KENG_ARGS(keng_num(author).s), buf, cap);
}

void keng_village_name(const struct keng *k, uint32_t village, char *buf, size_t cap)
{
    const struct village *v = k->villages == NULL ? NULL : villages_get(k->villages, village);

    if (village == 0)
        snprintf(buf, cap, "%s", "");
    else if (v != NULL)
        snprintf(buf, cap, "%s", v->name);
    else
        text_fill(text_get(k->lang, TEXT_VILLAGE_NUMBER), KENG_ARGS(keng_num(village).s), buf, cap);
}

static void set_village(struct keng *k, uint16_t author, uint32_t village, json_t *object)
{
    char name[128];

    if (village == 0) /* the author's own */
        village = (uint32_t)integer_of(find_author(k, author), "village");
    keng_village_name(k, village, name, sizeof name);
    json_object_set_new(object, "village", json_integer(village));
    json_object_set_new(object, "village_name", json_string(name));
}

static json_t *figure_json(const struct keng *k, uint8_t kind, const struct report_figure *f)
{
    const struct catalogue_item *item = k->catalogue == NULL ? NULL
                                        : catalogue_get(k->catalogue, kind, f->code);
    char value[CATALOGUE_VALUE_LEN];
    enum catalogue_language lang = k->lang == KENG_VI ? CATALOGUE_VI : CATALOGUE_EN;
    const char *name = item == NULL ? "" : k->lang == KENG_VI ? item->name_vi : item->name_en;
    char unknown[32];

    if (item == NULL) {
        snprintf(unknown, sizeof unknown, "#%u", (unsigned)f->code);
        name = unknown;
    }
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
    set_village(k, v->ref.author, r.village, object);
    json_object_set_new(object, "event", json_integer(r.event));
    json_object_set_new(object, "drill", json_boolean(r.drill));
    if (r.hazard != 0) {
        const struct catalogue_hazard *h = k->catalogue == NULL ? NULL
                                           : catalogue_hazard_get(k->catalogue, r.hazard);
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
        json_array_append_new(figures, figure_json(k, v->kind, &r.figures[i]));
    json_object_set_new(object, "figures", figures);
    json_object_set_new(object, "text", json_stringn(r.text, r.text_len));
    return true;
}

static bool decode_review(const struct record_view *v, json_t *object)
{
    struct review r;

    if (review_decode(v->body, v->body_len, &r) != REPORT_OK)
        return false;
    const char *word = review_state_name(r.state);
    json_t *refs = json_array();
    for (size_t i = 0; i < r.ref_count; i++)
        json_array_append_new(refs, json_pack("{s:i,s:i,s:I}", "author", r.refs[i].author, "lane",
                                              r.refs[i].lane, "seq", (json_int_t)r.refs[i].seq));
    json_object_set_new(object, "review", json_string(word == NULL ? "" : word));
    json_object_set_new(object, "refs", refs);
    json_object_set_new(object, "text", json_stringn(r.text, r.text_len));
    return true;
}

static bool decode_directive(struct keng *k, const struct record_view *v, json_t *object)
{
    struct directive d;

    if (directive_decode(v->body, v->body_len, &d) != REPORT_OK)
        return false;
    if (d.village != 0)
        set_village(k, v->ref.author, d.village, object);
    json_object_set_new(object, "expires_min", json_integer(d.expires_min));
    json_object_set_new(object, "text", json_stringn(d.text, d.text_len));
    return true;
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
    int64_t received_ms = integer_of(m, "received_ms");

    /* A state that has just changed comes without the time of arrival; what the box wrote itself
     * was received when it was made. */
    return now_s - (received_ms > 0 ? received_ms / 1000
                    : KENG_EPOCH_UNIX_S + integer_of(m, "created_min") * 60);
}

static void print_headline(struct keng *k, const json_t *m, int64_t now_s)
{
    char when[32], age[64], kind_words[64], unsure[64] = "";
    const char *kind_word = string_of(m, "kind"), *village = string_of(m, "village_name");
    uint8_t kind = record_kind_find(kind_word);

    keng_clock(KENG_EPOCH_UNIX_S + integer_of(m, "created_min") * 60, when, sizeof when);
    keng_age(k->lang, keng_message_age_s(m, now_s), age, sizeof age);
    text_fill(text_get(k->lang, keng_kind_text(kind)), KENG_ARGS(kind_word), kind_words,
              sizeof kind_words);
    if (json_is_false(json_object_get(m, "clock_set")))
        snprintf(unsure, sizeof unsure, " [%s]", text_get(k->lang, TEXT_CLOCK_UNSURE));
    bool drill = json_is_true(json_object_get(m, "drill"));
    printf("%lld-%lld  %s%s%s%s · %s · %s%s (%s)%s%s\n", (long long)integer_of(m, "author"),
           (long long)integer_of(m, "seq"), string_of(m, "author_name"),
           village[0] == '\0' ? "" : " (", village, village[0] == '\0' ? "" : ")", kind_words,
           when, unsure, age, drill ? " · " : "", drill ? text_get(k->lang, TEXT_DRILL) : "");
}

void keng_message_print(struct keng *k, const json_t *m, int64_t now_s)
{
    const json_t *figures = json_object_get(m, "figures"), *refs = json_object_get(m, "refs");

    print_headline(k, m, now_s);
    if (!json_is_true(json_object_get(m, "readable")))
        printf("    %s\n", text_get(k->lang, TEXT_UNREADABLE));
    if (string_of(m, "hazard_name")[0] != '\0') {
        fputs("    ", stdout);
        keng_say(k, stdout, TEXT_HAZARD, KENG_ARGS(string_of(m, "hazard_name")));
    }
    for (size_t i = 0; i < json_array_size(figures); i++) {
        const json_t *f = json_array_get(figures, i);
        printf("    %s: %s\n", string_of(f, "name"), string_of(f, "shown"));
    }
    if (json_object_get(m, "lat_e5") != NULL) {
        char place[64];
        snprintf(place, sizeof place, "%s,%s", keng_decimal(integer_of(m, "lat_e5"), 5).s,
                 keng_decimal(integer_of(m, "lon_e5"), 5).s);
        fputs("    ", stdout);
        keng_say(k, stdout, TEXT_PLACE, KENG_ARGS(place));
    }
    if (refs != NULL) {
        printf("    %s:", text_get(k->lang, keng_review_text(string_of(m, "review"))));
        for (size_t i = 0; i < json_array_size(refs); i++)
            printf(" %lld-%lld", (long long)integer_of(json_array_get(refs, i), "author"),
                   (long long)integer_of(json_array_get(refs, i), "seq"));
        putchar('\n');
    }
    print_text(string_of(m, "text"));
}
