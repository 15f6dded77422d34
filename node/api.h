/* api.h - what clients may ask of a node: one JSON request, one JSON answer (node/SOCKET.md).
 *
 * Requests are hostile until checked.  A request that waits for the disk (submit) is answered
 * through node->on_answer; all others at once. */
#ifndef KENG_NODE_API_H
#define KENG_NODE_API_H

#include "node/node.h"
#include "node/radio.h"

struct api {
    struct node *node;
    const struct radio *radios; /* one for each side of the node */
};

enum api_outcome {
    API_ANSWERED, /* *answer_out is the answer, a new reference */
    API_WAITS,    /* the answer comes later */
    API_FOLLOW,   /* *answer_out is the answer, then records after *after_out follow for ever */
    API_MONITOR,  /* *answer_out is the answer, then every frame heard or sent for ever */
};

enum api_outcome api_handle(struct api *api, uint64_t now_ms, uint64_t client, const char *line,
                            size_t len, json_t **answer_out, int64_t *after_out);

#endif
