/* keng_import.c - `keng import`: records of a batch file into the node, as if they were heard. */
#include "node/keng_cli.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "proto/batch.h"

enum {
    ADD_COUNT_MAX = 40,
    ADD_LINE_LEN_MAX = 15 * 1024, /* below the 16 KiB that kengd takes in a line */
};

struct import {
    json_t *verdicts; /* word -> count */
    int64_t record_count;
    bool all_taken;
};

/* Sends what was gathered and counts the verdicts. */
static int flush(struct keng *k, struct import *in, json_t **records)
{
    json_t *answer = NULL;
    size_t count = json_array_size(*records);

    if (count == 0)
        return KENG_OK;
    int status = keng_call(k, json_pack("{s:s,s:o}", "do", "add", "records", *records), &answer);
    *records = json_array();
    if (status != KENG_OK)
        return status;
    const json_t *verdicts = json_object_get(answer, "verdicts");
    if (json_array_size(verdicts) != count) {
        json_decref(answer);
        return keng_failed(k, TEXT_FAILED_ANSWER, NULL);
    }
    for (size_t i = 0; i < count; i++) {
        const char *word = json_string_value(json_array_get(verdicts, i));
        if (word == NULL)
            word = "?";
        json_int_t old = json_integer_value(json_object_get(in->verdicts, word));
        json_object_set_new(in->verdicts, word, json_integer(old + 1));
        if (strcmp(word, "new") != 0 && strcmp(word, "duplicate") != 0 &&
            strcmp(word, "superseded") != 0 && strcmp(word, "settled") != 0)
            in->all_taken = false;
    }
    json_decref(answer);
    return KENG_OK;
}

static int feed(struct keng *k, struct import *in, struct batch_reader *r, const char *path)
{
    char hex[2 * RECORD_LEN_MAX + 1];
    json_t *records = json_array();
    const uint8_t *record;
    size_t len, line_len = 0;
    int more, status = KENG_OK;

    while (status == KENG_OK && (more = batch_next(r, &record, &len)) != 0) {
        if (more < 0) {
            /* What stands before the damage is good, each record by its own signature. */
            status = flush(k, in, &records);
            if (status == KENG_OK)
                status = keng_wrong(k, TEXT_WRONG_FILE, KENG_ARGS(path, batch_strerror(more)));
            break;
        }
        sodium_bin2hex(hex, sizeof hex, record, len);
        if (json_array_size(records) == ADD_COUNT_MAX ||
            line_len + 2 * len + 3 > ADD_LINE_LEN_MAX) {
            status = flush(k, in, &records);
            line_len = 0;
        }
        line_len += 2 * len + 3;
        json_array_append_new(records, json_string(hex));
        in->record_count++;
    }
    if (status == KENG_OK)
        status = flush(k, in, &records);
    json_decref(records);
    return status;
}

/* The key of the batch's source as the node knows it. */
static bool source_key(const struct keng *k, uint16_t source, uint8_t key_out[KENG_KEY_LEN])
{
    const json_t *authors = json_object_get(k->roster, "authors");
    const json_t *commune = json_object_get(k->roster, "commune");
    const char *hex = source == AUTHOR_ROOT
                      ? json_string_value(json_object_get(commune, "root_key")) : NULL;
    size_t len = 0;

    for (size_t i = 0; i < json_array_size(authors) && hex == NULL; i++) {
        const json_t *a = json_array_get(authors, i);
        if (json_integer_value(json_object_get(a, "number")) == source)
            hex = json_string_value(json_object_get(a, "key"));
    }
    return hex != NULL && sodium_hex2bin(key_out, KENG_KEY_LEN, hex, strlen(hex), NULL, &len,
                                         NULL) == 0 && len == KENG_KEY_LEN;
}

static bool is_our_network(const struct keng *k, const struct batch_reader *r)
{
    char hex[2 * KENG_NETWORK_ID_LEN + 1];
    const char *ours = json_string_value(json_object_get(json_object_get(k->roster, "commune"),
                                                         "network_id"));

    sodium_bin2hex(hex, sizeof hex, r->header.network_id, KENG_NETWORK_ID_LEN);
    return ours != NULL && strcmp(ours, hex) == 0;
}

static void print_counts(const struct keng *k, const struct import *in, const char *path)
{
    const char *word;
    json_t *count;

    if (k->option[OPT_JSON] != NULL) {
        keng_print_json(json_pack("{s:s,s:I,s:O}", "file", path, "records",
                                  (json_int_t)in->record_count, "verdicts", in->verdicts));
        return;
    }
    keng_say(k, stdout, TEXT_IMPORTED, KENG_ARGS(path, keng_num(in->record_count).s));
    json_object_foreach(in->verdicts, word, count)
        printf("    %s: %lld\n", word, (long long)json_integer_value(count));
}

static int import_file(struct keng *k, const char *path)
{
    struct import in = { .all_taken = true };
    struct batch_reader r;
    uint8_t key[KENG_KEY_LEN];
    size_t len;
    char *bytes = keng_read_all(k, path, BATCH_FILE_LEN_MAX, &len);

    if (bytes == NULL)
        return KENG_FAILED;
    int err = batch_open(&r, (const uint8_t *)bytes, len);
    int status = KENG_OK;
    bool signature_holds = true;
    if (err != BATCH_OK)
        status = keng_wrong(k, TEXT_WRONG_FILE, KENG_ARGS(path, batch_strerror(err)));
    else if (!is_our_network(k, &r))
        status = keng_wrong(k, TEXT_WRONG_FILE_NETWORK, KENG_ARGS(path));
    else if (source_key(k, r.header.source, key))
        signature_holds = batch_verify(&r, key) == BATCH_OK;
    if (status == KENG_OK) {
        in.verdicts = json_object();
        status = feed(k, &in, &r, path);
        print_counts(k, &in, path);
        json_decref(in.verdicts);
    }
    if (status == KENG_OK && !signature_holds)
        status = keng_failed(k, TEXT_FAILED_BATCH_SIG, KENG_ARGS(path));
    else if (status == KENG_OK && !in.all_taken)
        status = keng_failed(k, TEXT_FAILED_IMPORT, NULL);
    free(bytes);
    return status;
}

int keng_run_import(struct keng *k)
{
    int worst = KENG_OK;

    if (k->operand_count == 0)
        return keng_wrong(k, TEXT_WRONG_OPERAND_MISSING, KENG_ARGS("keng import FILE..."));
    int status = keng_load_roster(k);
    if (status != KENG_OK)
        return status;
    for (size_t i = 0; i < k->operand_count; i++) {
        status = import_file(k, k->operands[i]);
        if (status > worst)
            worst = status;
    }
    return worst;
}
