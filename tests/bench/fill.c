/* fill.c - puts many signed records into a running kengd, as a cable or a file would.
 *
 *   fill KEYS_HOME SOCKET COUNT [FIRST]
 *
 * The authors are the identities of KEYS_HOME, in turn; each writes coded damage reports with
 * three figures.  FIRST: how many of the same row were put in before.  Prints one line; exit status
 * 1 unless every record was new to the node.
 */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/client.h"
#include "node/home.h"
#include "proto/report.h"
#include "proto/sign.h"

enum { FILL_PER_CALL = 40, FILL_TIMEOUT_MS = 60000 };

struct fill {
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    struct home_identity authors[HOME_IDENTITY_COUNT_MAX];
    int author_count;
};

static int load_keys(const char *dir, struct fill *fill_out)
{
    char err[HOME_ERR_LEN];
    uint8_t *bytes = NULL;
    struct batch_reader commune;

    if (home_read_commune(dir, &bytes, &commune, err) != 0) {
        fprintf(stderr, "fill: %s\n", err);
        return -1;
    }
    memcpy(fill_out->network_id, commune.header.network_id, KENG_NETWORK_ID_LEN);
    free(bytes);
    fill_out->author_count = home_read_identities(dir, fill_out->authors, err);
    if (fill_out->author_count <= 0) {
        fprintf(stderr, "fill: %s\n",
                fill_out->author_count < 0 ? err : "no identity to sign with");
        return -1;
    }
    return 0;
}

/* The index-th record of the whole filling; its length, or -1. */
static int make_record(const struct fill *fill, unsigned index, uint8_t out[RECORD_LEN_MAX])
{
    const struct home_identity *author = &fill->authors[index % (unsigned)fill->author_count];
    struct report report = {
        .event = 1,
        .figure_count = 3,
        .figures = { { 1, index % 30 }, { 2, index % 7 }, { 5, index % 400 } },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    int body_len = report_encode(&report, body, sizeof body);

    if (body_len < 0) {
        fprintf(stderr, "fill: %s\n", report_strerror(body_len));
        return -1;
    }
    struct record_draft draft = {
        .ref = { .author = author->number, .seq = index / (unsigned)fill->author_count + 1 },
        .kind = RECORD_DAMAGE,
        .priority = record_kind_priority(RECORD_DAMAGE),
        .created_min = 400000 + index,
        .body = body,
        .body_len = (size_t)body_len,
    };
    int len = record_encode(&draft, out, RECORD_LEN_MAX);

    if (len < 0) {
        fprintf(stderr, "fill: record_encode: %d\n", len);
        return -1;
    }
    return (int)record_sign(out, (size_t)len, fill->network_id, author->secret_key);
}

/* Sends records first..first + count - 1; how many were new, or -1. */
static int add_some(const struct fill *fill, struct client *client, unsigned first, unsigned count)
{
    json_t *list = json_array(), *answer = NULL, *verdict;
    size_t index;
    int new_count = 0;

    for (unsigned i = 0; i < count; i++) {
        uint8_t record[RECORD_LEN_MAX];
        char hex[2 * RECORD_LEN_MAX + 1];
        int len = make_record(fill, first + i, record);

        if (len < 0) {
            json_decref(list);
            return -1;
        }
        sodium_bin2hex(hex, sizeof hex, record, (size_t)len);
        json_array_append_new(list, json_string(hex));
    }
    int err = client_call(client, json_pack("{s:s, s:o}", "do", "add", "records", list),
                          FILL_TIMEOUT_MS, &answer);
    if (err != 0) {
        fprintf(stderr, "fill: %s\n", client->err);
        json_decref(answer);
        return -1;
    }
    json_array_foreach(json_object_get(answer, "verdicts"), index, verdict) {
        if (json_is_string(verdict) && strcmp(json_string_value(verdict), "new") == 0) {
            new_count++;
        } else {
            fprintf(stderr, "fill: record %zu of this call: %s\n", index,
                    json_is_string(verdict) ? json_string_value(verdict) : "no verdict");
        }
    }
    json_decref(answer);
    return new_count;
}

int main(int argc, char **argv)
{
    struct fill fill;
    struct client client;
    unsigned long want = argc == 4 || argc == 5 ? strtoul(argv[3], NULL, 10) : 0;
    unsigned long first = argc == 5 ? strtoul(argv[4], NULL, 10) : 0;
    unsigned long new_count = 0;

    if (want == 0 || want > 1000000 || first > 1000000) {
        fputs("usage: fill KEYS_HOME SOCKET COUNT [FIRST]\n", stderr);
        return 2;
    }
    if (sodium_init() < 0 || load_keys(argv[1], &fill) != 0)
        return 1;
    if (client_open(&client, argv[2]) != 0) {
        fprintf(stderr, "fill: %s\n", client.err);
        return 1;
    }
    for (unsigned long done = 0; done < want; done += FILL_PER_CALL) {
        unsigned long left = want - done;
        unsigned count = left < FILL_PER_CALL ? (unsigned)left : FILL_PER_CALL;
        int added = add_some(&fill, &client, (unsigned)(first + done), count);

        if (added < 0)
            break;
        new_count += (unsigned long)added;
    }
    client_close(&client);
    printf("fill: %lu of %lu records were new to the node\n", new_count, want);
    return new_count == want ? 0 : 1;
}
