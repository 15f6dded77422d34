/* commune.h - a small commune and one node's home in a temporary directory, for tests of a real
 * node.
 *
 * Authors: 1 a node and 11 a member, whose keys are at home; 4 a gateway, 5 an operator and 21 a
 * member, whose keys only the test has.  Keys follow from the numbers.
 * Errors   Asserts of cmocka.  Memory: fixed; commune_remove() takes the directory away.
 */
#ifndef KENG_TESTS_SUPPORT_COMMUNE_H
#define KENG_TESTS_SUPPORT_COMMUNE_H

#include "proto/record.h"
#include "proto/report.h"

enum {
    COMMUNE_NODE = 1, COMMUNE_GATEWAY = 4, COMMUNE_OPERATOR = 5, COMMUNE_MEMBER = 11,
    COMMUNE_STRANGER = 21, COMMUNE_PATH_LEN = 128,
};

struct commune {
    char dir[COMMUNE_PATH_LEN];
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    uint32_t root_seq;
};

/* The home of node 1, or of the gateway 4 (whose key is then at home too). */
void commune_make(struct commune *c, bool gateway);
void commune_remove(struct commune *c);
/* DIR/name. */
void commune_path(const struct commune *c, const char *name,
                  char path_out[static COMMUNE_PATH_LEN]);
void commune_write(const struct commune *c, const char *name, const char *text);
/* Signs a record as `author`; its length. */
size_t commune_sign(const struct commune *c, uint16_t author, uint32_t seq, uint8_t kind,
                    const uint8_t *body, size_t body_len, uint8_t out[static RECORD_LEN_MAX]);
/* A damage report's body with one figure; its length. */
size_t commune_damage(uint32_t value, uint8_t body_out[static RECORD_BODY_LEN_MAX]);
/* The gateway's acknowledgement number seq of the first `held` records of the member at home. */
size_t commune_ack(const struct commune *c, uint32_t seq, uint32_t held,
                   uint8_t out[static RECORD_LEN_MAX]);
/* The operator's review number seq of one record. */
/* The root's next word about an author: revoked_after as in a roster entry, 0 takes it back. */
size_t commune_revoke(struct commune *c, uint16_t number, enum roster_role role,
                      uint32_t revoked_after, uint8_t out[static RECORD_LEN_MAX]);
size_t commune_review(const struct commune *c, uint32_t seq, struct record_ref of, int state,
                      const char *text, uint8_t out[static RECORD_LEN_MAX]);
size_t commune_correction(const struct commune *c, uint32_t seq, struct record_ref of,
                          uint32_t village, uint8_t out[static RECORD_LEN_MAX]);

#endif
