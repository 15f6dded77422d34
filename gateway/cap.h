/* cap.h - alerts of the Common Alerting Protocol: read, so that they can become directives, and
 * written from directives, for systems beside ours.
 *
 * Whoever sends alerts is not trusted with our memory or time: no document type and so no entities,
 * bounded length, depth and texts.  Names, order, number and values of the elements are judged as
 * the standard's schema does; a signature is passed over.  What an alert means for the village
 * stays an operator's word: this fills in the form of a directive, he reads and sends it.
 *
 * Time      Linear in the text.
 * Memory    Fixed, plus expat's own for CAP_LEN_MAX bytes.
 * Errors    0 or -1 with one line in err; then *alert_out is not to be used.
 * Source    OASIS Common Alerting Protocol 1.2, sections 3.2 (data dictionary) and 3.3.
 */
#ifndef KENG_GATEWAY_CAP_H
#define KENG_GATEWAY_CAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/strbuf.h"
#include "proto/report.h"

#define CAP_NAMESPACE "urn:oasis:names:tc:emergency:cap:1.2"

enum {
    CAP_LEN_MAX = 256 * 1024,
    CAP_DEPTH_MAX = 16,
    CAP_ERR_LEN = 160,
    CAP_WORD_LEN = 128,
    CAP_TEXT_LEN = 4096, /* longer texts are cut: a directive is far shorter */
};

struct cap_info {
    char language[CAP_WORD_LEN], event[CAP_WORD_LEN];
    char urgency[CAP_WORD_LEN], severity[CAP_WORD_LEN], certainty[CAP_WORD_LEN];
    char expires[CAP_WORD_LEN];
    char headline[CAP_TEXT_LEN], description[CAP_TEXT_LEN], instruction[CAP_TEXT_LEN];
    char areas[CAP_TEXT_LEN]; /* all areaDesc, with "; " between */
};

struct cap_alert {
    char identifier[CAP_WORD_LEN], sender[CAP_WORD_LEN], sent[CAP_WORD_LEN];
    char status[CAP_WORD_LEN], msg_type[CAP_WORD_LEN], scope[CAP_WORD_LEN];
    char addresses[CAP_WORD_LEN];
    struct cap_info info; /* the Vietnamese one, else the first */
    size_t info_count;
    int64_t sent_ms, expires_ms; /* expires 0: not said */
};

int cap_parse(const char *xml, size_t len, struct cap_alert *alert_out,
              char err[static CAP_ERR_LEN]);

/* The directive an alert is: to all, short enough for the air, until it expires.  priority by
 * severity.  0, or -1 with err: it has expired, or is not meant for people. */
int cap_directive(const struct cap_alert *alert, int64_t now_ms, struct directive *directive_out,
                  uint8_t *priority_out, char err[static CAP_ERR_LEN]);

/* A directive of ours; "" where it names none. */
struct cap_outgoing {
    const struct directive *directive;
    struct record_ref ref;
    uint8_t priority;
    int64_t sent_ms;
    const uint8_t *network_id; /* KENG_NETWORK_ID_LEN */
    const char *commune_name, *commune_code;
    const char *village, *role, *person;
};
/* The same for ever, by whichever program it is made: network, author and number. */
void cap_identifier(const struct cap_outgoing *outgoing, char text_out[static CAP_WORD_LEN]);
/* Appends the alert; false: out of memory. */
bool cap_write(const struct cap_outgoing *outgoing, struct strbuf *out);

#endif
