/* keng_show.c - status, watch, roster, node: what the node knows, in words. */
#include "node/keng_cli.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    SHOWN_COUNT = 20,
    MINE_LIMIT = 200,
    RECONNECT_PAUSE_S = 1,
};

/* What makes numbers into names.  Without a catalogue reports are still shown, by number. */
int keng_load_names(struct keng *k)
{
    int status = keng_load_roster(k);

    if (status == KENG_OK) {
        keng_load_villages(k, k->home);
        keng_load_catalogue(k);
    }
    return status;
}

/* "name (village)" of each number in a list, with commas. */
static void name_list(struct keng *k, const json_t *numbers, char *buf, size_t cap)
{
    size_t len = 0;

    buf[0] = '\0';
    for (size_t i = 0; i < json_array_size(numbers) && len < cap; i++) {
        char name[128];
        keng_author_name(k, (uint16_t)json_integer_value(json_array_get(numbers, i)), name,
                         sizeof name);
        len += (size_t)snprintf(buf + len, cap - len, "%s%s", i > 0 ? ", " : "", name);
    }
}

/* What the answer changes, old and new. */
static void print_answer(const struct keng *k, const json_t *report)
{
    const json_t *corrections = json_object_get(report, "corrections");
    const json_t *figures = json_object_get(report, "figures");

    for (size_t i = 0; i < json_array_size(corrections); i++) {
        const json_t *new = json_array_get(corrections, i);
        const char *was = "?";
        for (size_t f = 0; f < json_array_size(figures); f++) {
            const json_t *old = json_array_get(figures, f);
            if (keng_integer_of(old, "number") == keng_integer_of(new, "number"))
                was = keng_string_of(old, "shown");
        }
        fputs("      ", stdout);
        keng_say(k, stdout, TEXT_ANSWER_FIGURE,
                 KENG_ARGS(keng_string_of(new, "name"), was, keng_string_of(new, "shown")));
    }
    if (keng_string_of(report, "corrected_village")[0] != '\0') {
        fputs("      ", stdout);
        keng_say(k, stdout, TEXT_ANSWER_VILLAGE,
                 KENG_ARGS(keng_string_of(report, "village_name"),
                           keng_string_of(report, "corrected_village")));
    }
    if (keng_string_of(report, "same_as")[0] != '\0') {
        fputs("      ", stdout);
        keng_say(k, stdout, TEXT_ANSWER_SAME, KENG_ARGS(keng_string_of(report, "same_as")));
    }
}

static void print_state(struct keng *k, const json_t *report, int64_t now_s)
{
    enum keng_state state = STATE_STORED;
    char names[KENG_WORDS_LEN], age[64];
    int64_t age_s = keng_message_age_s(report, now_s);
    const json_t *by = json_object_get(report, "received_by");

    keng_state_find(keng_string_of(report, "state"), &state);
    printf("    %s ", keng_state_icon(state));
    switch (state) {
    case STATE_STORED:
        keng_say(k, stdout, TEXT_STATE_STORED, NULL);
        break;
    case STATE_CARRIED:
        name_list(k, json_object_get(report, "carried_by"), names, sizeof names);
        keng_say(k, stdout, TEXT_STATE_CARRIED, KENG_ARGS(names));
        break;
    case STATE_RECEIVED:
        if (json_is_array(by))
            name_list(k, by, names, sizeof names);
        else
            keng_author_name(k, (uint16_t)json_integer_value(by), names, sizeof names);
        keng_say(k, stdout, TEXT_STATE_RECEIVED, KENG_ARGS(names));
        break;
    case STATE_READ:
        printf("%s", text_get(k->lang, keng_review_text(keng_string_of(report, "review"))));
        if (keng_string_of(report, "review_text")[0] != '\0')
            printf(": “%s”", keng_string_of(report, "review_text"));
        putchar('\n');
        print_answer(k, report);
        break;
    case STATE_COUNT:
        break;
    }
    if (state != STATE_STORED && state != STATE_CARRIED)
        return;
    if (age_s >= KENG_WAITING_AGE_S) {
        keng_age(k->lang, age_s, age, sizeof age);
        fputs("      ", stdout);
        keng_say(k, stdout, TEXT_STATE_WAITING, KENG_ARGS(age));
    }
    if (age_s >= KENG_ADVICE_AGE_S)
        printf("      %s\n", text_get(k->lang, TEXT_STATE_ADVICE));
}

/* The decoded form without the raw bytes. */
void keng_decode_in_place(struct keng *k, json_t *message)
{
    json_t *hex = json_incref(json_object_get(message, "hex"));

    json_object_del(message, "hex");
    keng_message_decode(k, json_string_value(hex) == NULL ? "" : json_string_value(hex), message);
    json_decref(hex);
    keng_message_decode_answer(k, message);
}

static void print_node_line(const struct keng *k, const json_t *status)
{
    const json_t *neighbours = json_object_get(status, "neighbours");
    const json_t *airtime = json_object_get(status, "airtime");
    const json_t *modem = json_object_get(status, "modem");
    const json_t *store = json_object_get(status, "store");

    keng_say(k, stdout, TEXT_NODE_LINE,
             KENG_ARGS(keng_num(keng_integer_of(status, "node")).s,
                       keng_num(keng_integer_of(status, "records")).s,
                       keng_num((int64_t)json_array_size(neighbours)).s,
                       keng_decimal(keng_integer_of(airtime, "spent_ms") / 100, 1).s,
                       keng_decimal(keng_integer_of(airtime, "budget_ms") / 100, 1).s,
                       text_get(k->lang, keng_modem_text(keng_string_of(modem, "state")))));
    const json_t *modems = json_object_get(status, "modems");
    for (size_t i = 0; i < json_array_size(modems); i++) {
        const json_t *each = json_array_get(modems, i);
        if (strcmp(keng_string_of(each, "state"), "ready") == 0)
            continue;
        if (i > 0)
            keng_say(k, stdout, TEXT_MODEM_OTHER_STATE,
                     KENG_ARGS(keng_string_of(each, "name"),
                               text_get(k->lang, keng_modem_text(keng_string_of(each, "state")))));
        if (keng_string_of(each, "text")[0] != '\0')
            keng_say(k, stdout, TEXT_MODEM_SAYS, KENG_ARGS(keng_string_of(each, "text")));
    }
    if (strcmp(keng_string_of(store, "state"), "failing") == 0)
        keng_say(k, stdout, TEXT_STORE_FAILING, KENG_ARGS(keng_string_of(store, "text")));
}

/* Drops what is neither new nor asked for: a question waits for its answer however many reports
 * came after the one that it is about. */
static void keep_shown(const struct keng *k, json_t *reports)
{
    if (k->option[OPT_ALL] != NULL)
        return;
    for (size_t i = json_array_size(reports); i > SHOWN_COUNT; i--)
        if (strcmp(keng_string_of(json_array_get(reports, i - 1), "review"), "question") != 0)
            json_array_remove(reports, i - 1);
}

int keng_run_status(struct keng *k)
{
    json_t *mine = NULL, *node = NULL;
    int64_t now_s = (int64_t)time(NULL);
    int status = keng_load_names(k);

    if (status == KENG_OK)
        status = keng_call(k, json_pack("{s:s,s:i}", "do", "mine", "limit", MINE_LIMIT), &mine);
    if (status == KENG_OK)
        status = keng_call(k, json_pack("{s:s}", "do", "status"), &node);
    if (status != KENG_OK)
        goto out;
    json_t *reports = json_object_get(mine, "reports");
    keep_shown(k, reports);
    for (size_t i = 0; i < json_array_size(reports); i++)
        keng_decode_in_place(k, json_array_get(reports, i));
    if (k->option[OPT_JSON] != NULL) {
        json_object_del(node, "ok");
        keng_print_json(json_pack("{s:O,s:O}", "reports", reports, "node", node));
        goto out;
    }
    if (json_array_size(reports) == 0)
        keng_say(k, stdout, TEXT_NO_REPORTS, NULL);
    /* The newest last: it is what a person at a terminal sees first. */
    for (size_t i = json_array_size(reports); i > 0; i--) {
        keng_message_print(k, json_array_get(reports, i - 1), now_s);
        print_state(k, json_array_get(reports, i - 1), now_s);
    }
    print_node_line(k, node);
out:
    json_decref(mine);
    json_decref(node);
    return status;
}

bool keng_is_local(const struct keng *k, int64_t author)
{
    const json_t *local = json_object_get(k->roster, "local");

    for (size_t i = 0; i < json_array_size(local); i++) {
        if (json_integer_value(json_array_get(local, i)) == author)
            return true;
    }
    return false;
}

/* One line of `follow`. */
static void show_followed(struct keng *k, json_t *line, int64_t *after)
{
    json_t *record = json_object_get(line, "record"), *state = json_object_get(line, "state");
    json_t *message = record != NULL ? record : state;
    int64_t now_s = (int64_t)time(NULL);

    if (record != NULL)
        *after = keng_integer_of(record, "arrival");
    if (!json_is_object(message))
        return;
    keng_decode_in_place(k, message);
    if (k->option[OPT_JSON] != NULL) {
        keng_print_json(json_incref(line));
        return;
    }
    if (record != NULL && !keng_is_for_inbox(k, record))
        return;
    keng_message_print(k, message, now_s);
    if (state != NULL)
        print_state(k, state, now_s);
    fflush(stdout);
}

/* Follows until the connection breaks; KENG_OK then, with the reason in k->client.err. */
static int follow(struct keng *k, int64_t *after)
{
    json_t *line = NULL;
    json_t *request = json_pack("{s:s,s:I}", "do", "follow", "after", (json_int_t)*after);

    if (client_call(&k->client, request, KENG_CALL_TIMEOUT_MS, &line) != 0) {
        bool refused = line != NULL;
        json_decref(line);
        return refused ? keng_failed(k, TEXT_FAILED, KENG_ARGS(k->client.err)) : KENG_OK;
    }
    json_decref(line);
    for (;;) {
        int taken = client_take_line(&k->client, &line);
        if (taken < 0)
            return KENG_OK;
        if (taken == 0) {
            poll(&(struct pollfd){ .fd = k->client.fd, .events = POLLIN }, 1, -1);
            continue;
        }
        show_followed(k, line, after);
        json_decref(line);
        if (ferror(stdout)) /* nobody reads any more */
            return KENG_FAILED;
    }
}

int keng_run_watch(struct keng *k)
{
    json_t *answer = NULL;
    int64_t after;
    int status = keng_load_names(k);

    if (status == KENG_OK)
        status = keng_call(k, json_pack("{s:s,s:i,s:i}", "do", "records", "after", 0, "limit", 1),
                           &answer);
    if (status != KENG_OK)
        return status;
    after = keng_integer_of(answer, "last");
    json_decref(answer);
    for (;;) {
        status = follow(k, &after);
        if (status != KENG_OK)
            return status;
        keng_failed(k, TEXT_FAILED_LOST, KENG_ARGS(k->client.err));
        client_close(&k->client);
        while (client_open(&k->client, k->socket) != 0)
            nanosleep(&(struct timespec){ .tv_sec = RECONNECT_PAUSE_S }, NULL);
    }
}

int keng_run_roster(struct keng *k)
{
    int status = keng_load_roster(k);

    if (status != KENG_OK)
        return status;
    if (k->option[OPT_JSON] != NULL) {
        json_object_del(k->roster, "ok");
        keng_print_json(json_incref(k->roster));
        return KENG_OK;
    }
    keng_load_villages(k, k->home);
    const json_t *authors = json_object_get(k->roster, "authors");
    for (size_t i = 0; i < json_array_size(authors); i++) {
        const json_t *a = json_array_get(authors, i);
        char village[128];
        keng_village_name(k, (uint32_t)keng_integer_of(a, "village"), keng_now_ms(), village,
                          sizeof village);
        bool local = keng_is_local(k, keng_integer_of(a, "number"));
        /* None of his records may be good: then it is 0, and present all the same. */
        bool revoked = json_object_get(a, "revoked_after") != NULL;
        printf("%5lld  %s · %s%s%s%s%s%s%s\n", (long long)keng_integer_of(a, "number"),
               keng_string_of(a, "name"),
               text_get(k->lang, keng_role_text(keng_string_of(a, "role"))),
               village[0] == '\0' ? "" : " · ", village,
               local ? " · " : "", local ? text_get(k->lang, TEXT_LOCAL_MARK) : "",
               revoked ? " · " : "", revoked ? text_get(k->lang, TEXT_REVOKED_MARK) : "");
    }
    return KENG_OK;
}

/* One "key: value" a line, keys of nested objects joined by points. */
static void print_tree(const char *prefix, json_t *value)
{
    const char *key;
    json_t *child;

    if (!json_is_object(value)) {
        char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
        bool is_string = json_is_string(value);
        printf("%s: %s\n", prefix, is_string ? json_string_value(value) : text == NULL ? "" : text);
        free(text);
        return;
    }
    json_object_foreach(value, key, child) {
        char name[128];
        snprintf(name, sizeof name, "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".", key);
        print_tree(name, child);
    }
}

int keng_run_node(struct keng *k)
{
    json_t *answer = NULL;
    int status = keng_call(k, json_pack("{s:s}", "do", "status"), &answer);

    if (status != KENG_OK)
        return status;
    json_object_del(answer, "ok");
    if (k->option[OPT_JSON] != NULL) {
        keng_print_json(answer);
        return KENG_OK;
    }
    print_node_line(k, answer);
    print_tree("", answer);
    json_decref(answer);
    return KENG_OK;
}
