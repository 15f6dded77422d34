/* Requests on the node's socket, one a line, to a real node with a store: each is answered with an
 * object that says whether it was good, and if not, why. */
#include <sodium.h>

#include "node/api.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/commune.h"

static struct api_run {
    struct commune commune;
    struct node node;
    struct radio radio;
    struct api api;
    uint64_t now_ms;
    bool started, answered;
} api_run;

static void judge_answer(json_t *answer)
{
    FUZZ_CHECK(json_is_boolean(json_object_get(answer, "ok")));
    if (json_is_false(json_object_get(answer, "ok"))) {
        FUZZ_CHECK(json_is_string(json_object_get(answer, "code")));
        FUZZ_CHECK(json_string_length(json_object_get(answer, "error")) > 0);
    }
    api_run.answered = true;
    json_decref(answer);
}

static void on_api_answer(void *listener, uint64_t client, json_t *answer)
{
    (void)listener;
    FUZZ_CHECK(client == 1);
    judge_answer(answer);
}

static void on_api_state(void *listener, json_t *state)
{
    (void)listener;
    json_decref(state);
}

static void stop_api(void)
{
    node_close(&api_run.node);
    commune_remove(&api_run.commune);
}

static void start_api(void)
{
    char text[NODE_TEXT_LEN];
    FUZZ_CHECK(sodium_init() >= 0);
    api_run = (struct api_run){ .now_ms = 1000000, .started = true };
    api_run.node = (struct node){ .numbers = { .fd = -1 }, .on_answer = on_api_answer,
                                  .on_state = on_api_state };
    commune_make(&api_run.commune, false);
    FUZZ_CHECK(node_open(&api_run.node, api_run.commune.dir, 1, api_run.now_ms, text) == 0);
    struct radio_config radio = {
        .path = "", .driver = "meshcore-kiss", .wires = "",
        .settings = modem_settings_default(&api_run.node.roster.profile.lora, 14),
    };
    FUZZ_CHECK(radio_init(&api_run.radio, &radio, api_run.now_ms) == 0);
    api_run.api = (struct api){ .node = &api_run.node, .radios = &api_run.radio };
    atexit(stop_api);
}

static void ask_line(const char *line, size_t len)
{
    json_t *answer = NULL;
    int64_t after = -1;
    api_run.answered = false;
    enum api_outcome outcome = api_handle(&api_run.api, ++api_run.now_ms, 1, line, len, &answer,
                                          &after);
    if (outcome == API_WAITS) {
        FUZZ_CHECK(answer == NULL);
        node_drain(&api_run.node, api_run.now_ms);
    } else {
        judge_answer(answer);
    }
    FUZZ_CHECK(api_run.answered);
}

static void fuzz_api(const uint8_t *data, size_t len)
{
    const char *at = (const char *)data, *end = at + len;
    if (!api_run.started)
        start_api();
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        ask_line(at, (size_t)(stop - at));
        at = newline ? newline + 1 : end;
    }
}

FUZZ_TARGET(fuzz_api)
