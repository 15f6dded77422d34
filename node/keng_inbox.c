/* keng_inbox.c - inbox and confirm: what came for the people at this box, what they read. */
#include "node/keng_cli.h"

#include <string.h>
#include <time.h>

#include "proto/report.h"

enum {
    SHOWN_COUNT = 20,
    ALL_COUNT = 10000,
    PAGE_LIMIT = 200,
};

bool keng_is_for_inbox(const struct keng *k, const json_t *record)
{
    uint8_t kind = record_kind_find(keng_string_of(record, "kind"));

    if (kind == RECORD_DIRECTIVE)
        return json_is_true(json_object_get(record, "for_us"));
    if (kind == RECORD_REVIEW) {
        const json_t *refs = json_object_get(record, "refs");
        for (size_t i = 0; i < json_array_size(refs); i++) {
            if (keng_is_local(k, keng_integer_of(json_array_get(refs, i), "author")))
                return true;
        }
        return false;
    }
    return record_is_report(kind) && !keng_is_local(k, keng_integer_of(record, "author"));
}

static void number_of(const json_t *ref, char number_out[static KENG_REF_LEN])
{
    snprintf(number_out, KENG_REF_LEN, "%lld-%lld", (long long)keng_integer_of(ref, "author"),
             (long long)keng_integer_of(ref, "seq"));
}

/* What this person, or with AUTHOR_ROOT somebody of this box, has confirmed to have read, as keys
 * "author-seq". */
static void note_receipt(const struct keng *k, const json_t *record, uint64_t person, json_t *read)
{
    const json_t *refs = json_object_get(record, "refs");
    int64_t author = keng_integer_of(record, "author");

    if (!json_is_true(json_object_get(record, "read")) ||
        (person == AUTHOR_ROOT ? !keng_is_local(k, author) : author != (int64_t)person))
        return;
    for (size_t i = 0; i < json_array_size(refs); i++) {
        char number[KENG_REF_LEN];
        number_of(json_array_get(refs, i), number);
        json_object_set_new(read, number, json_true());
    }
}

/* Looks at one record of the node; what is for the inbox is appended. */
static void collect_one(struct keng *k, json_t *record, size_t count_max, uint64_t person,
                        json_t *messages, json_t *read)
{
    uint8_t kind = record_kind_find(keng_string_of(record, "kind"));

    if (kind != RECORD_DIRECTIVE && kind != RECORD_REVIEW && kind != RECORD_RECEIPT &&
        !record_is_report(kind))
        return;
    keng_decode_in_place(k, record);
    if (kind == RECORD_RECEIPT)
        note_receipt(k, record, person, read);
    if (!keng_is_for_inbox(k, record))
        return;
    json_array_append(messages, record);
    if (json_array_size(messages) > count_max)
        json_array_remove(messages, 0);
}

/* Everything the node has, page by page; the newest count_max messages for the inbox are kept, and
 * its directives say whether they were confirmed, see note_receipt(). */
static int collect(struct keng *k, size_t count_max, uint64_t person, json_t *messages)
{
    json_t *read = json_object();
    int64_t after = 0;
    size_t got;
    int status;

    do {
        json_t *answer = NULL;
        status = keng_call(k, json_pack("{s:s,s:I,s:i}", "do", "records", "after",
                                        (json_int_t)after, "limit", PAGE_LIMIT), &answer);
        json_t *records = json_object_get(answer, "records");
        got = json_array_size(records);
        for (size_t i = 0; i < got && status == KENG_OK; i++) {
            json_t *record = json_array_get(records, i);
            int64_t arrival = keng_integer_of(record, "arrival");
            if (arrival <= after) /* would ask for the same page for ever */
                status = keng_failed(k, TEXT_FAILED_ANSWER, NULL);
            after = arrival;
            collect_one(k, record, count_max, person, messages, read);
        }
        json_decref(answer);
    } while (got > 0 && status == KENG_OK);
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *message = json_array_get(messages, i);
        char number[KENG_REF_LEN];
        number_of(message, number);
        if (strcmp(keng_string_of(message, "kind"), "directive") == 0)
            json_object_set_new(message, "confirmed",
                                json_boolean(json_object_get(read, number) != NULL));
    }
    json_decref(read);
    return status;
}

int keng_run_inbox(struct keng *k)
{
    json_t *messages = json_array();
    int64_t now_s = (int64_t)time(NULL);
    int status = keng_load_names(k);

    if (status == KENG_OK)
        status = collect(k, k->option[OPT_ALL] != NULL ? ALL_COUNT : SHOWN_COUNT, AUTHOR_ROOT,
                         messages);
    if (status == KENG_OK && k->option[OPT_JSON] != NULL) {
        keng_print_json(json_pack("{s:O}", "messages", messages));
    } else if (status == KENG_OK) {
        if (json_array_size(messages) == 0)
            keng_say(k, stdout, TEXT_NO_MESSAGES, NULL);
        for (size_t i = 0; i < json_array_size(messages); i++)
            keng_message_print(k, json_array_get(messages, i), now_s);
    }
    json_decref(messages);
    return status;
}

/* ---- confirm ------------------------------------------------------------------------------ */

static int confirm_one(struct keng *k, uint64_t author, const json_t *directive)
{
    struct receipt receipt = {
        .read = true, .ref_count = 1,
        .refs = { { .author = (uint16_t)keng_integer_of(directive, "author"),
                    .seq = (uint32_t)keng_integer_of(directive, "seq") } },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int len = receipt_encode(&receipt, body, sizeof body);
    json_t *answer = NULL;

    if (len < 0)
        return keng_failed(k, TEXT_FAILED, KENG_ARGS(report_strerror(len)));
    struct keng_draft draft = { .kind = RECORD_RECEIPT, .author = author, .body = body,
                                .body_len = (size_t)len };
    int status = keng_submit(k, &draft, &answer);
    if (status == KENG_OK && k->option[OPT_JSON] != NULL) {
        json_object_del(answer, "ok");
        keng_print_json(json_incref(answer));
    } else if (status == KENG_OK) {
        char number[KENG_REF_LEN];
        number_of(directive, number);
        keng_say(k, stdout, TEXT_CONFIRMED, KENG_ARGS(number));
    }
    json_decref(answer);
    return status;
}

static const json_t *find_directive(const json_t *messages, const char *wanted)
{
    for (size_t i = json_array_size(messages); i > 0; i--) {
        const json_t *message = json_array_get(messages, i - 1);
        char number[KENG_REF_LEN];
        number_of(message, number);
        if (strcmp(keng_string_of(message, "kind"), "directive") == 0 &&
            strcmp(number, wanted) == 0)
            return message;
    }
    return NULL;
}

/* Those that were named, all of them known before the first is confirmed. */
static int confirm_named(struct keng *k, uint64_t author, const json_t *messages)
{
    int status = KENG_OK;

    for (size_t i = 0; i < k->operand_count; i++) {
        if (find_directive(messages, k->operands[i]) == NULL)
            return keng_wrong(k, TEXT_WRONG_DIRECTIVE, KENG_ARGS(k->operands[i]));
    }
    for (size_t i = 0; i < k->operand_count && status == KENG_OK; i++)
        status = confirm_one(k, author, find_directive(messages, k->operands[i]));
    return status;
}

static int confirm_new(struct keng *k, uint64_t author, const json_t *messages)
{
    int status = KENG_OK;
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(messages) && status == KENG_OK; i++) {
        const json_t *message = json_array_get(messages, i);
        if (!json_is_false(json_object_get(message, "confirmed")))
            continue;
        status = confirm_one(k, author, message);
        count++;
    }
    if (count == 0 && status == KENG_OK && k->option[OPT_JSON] == NULL)
        keng_say(k, stdout, TEXT_NOTHING_TO_CONFIRM, NULL);
    return status;
}

int keng_run_confirm(struct keng *k)
{
    json_t *messages = json_array();
    uint64_t author = AUTHOR_ROOT; /* kengd chooses */
    int status = keng_number_option(k, OPT_AS, 1, AUTHOR_MAX, &author);

    if (status == KENG_OK)
        status = keng_load_names(k);
    if (status == KENG_OK)
        status = collect(k, ALL_COUNT, author, messages); /* two at one box both have to read */
    if (status == KENG_OK)
        status = k->operand_count > 0 ? confirm_named(k, author, messages)
                                      : confirm_new(k, author, messages);
    json_decref(messages);
    return status;
}
