/* Alerts: what is taken over can be sent, and written as an alert is read again as the same. */
#include "gateway/cap.h"
#include "tests/fuzz/fuzz.h"

static void write_alert_again(const struct directive *d, uint8_t priority)
{
    static const uint8_t NETWORK[KENG_NETWORK_ID_LEN] = { 1 };
    static struct cap_alert again;
    struct strbuf xml = { .text = NULL };
    char err[CAP_ERR_LEN];
    struct directive back;
    struct cap_outgoing o = { .directive = d, .ref = { .author = 9, .seq = 1 },
                              .priority = priority, .sent_ms = KENG_EPOCH_UNIX_S * 1000,
                              .network_id = NETWORK, .commune_name = "Xã", .commune_code = "",
                              .village = "", .role = "", .person = "" };
    FUZZ_CHECK(cap_write(&o, &xml));
    FUZZ_CHECK(cap_parse(xml.text, xml.len, &again, err) == 0);
    FUZZ_CHECK(cap_directive(&again, 0, &back, &priority, err) == 0);
    FUZZ_CHECK(back.drill == d->drill && back.expires_min == d->expires_min &&
               priority == o.priority);
    strbuf_free(&xml);
}

static void fuzz_cap(const uint8_t *data, size_t len)
{
    static struct cap_alert alert;
    char err[CAP_ERR_LEN] = "";
    struct directive d;
    uint8_t priority, body[RECORD_BODY_LEN_MAX];
    if (cap_parse((const char *)data, len, &alert, err) != 0) {
        FUZZ_CHECK(err[0] && memchr(err, '\0', sizeof err));
        return;
    }
    FUZZ_CHECK(alert.identifier[0] && alert.sender[0]);
    if (cap_directive(&alert, alert.sent_ms, &d, &priority, err) != 0)
        return;
    FUZZ_CHECK(directive_encode(&d, body, sizeof body) > 0 && priority < PRIORITY_COUNT);
    write_alert_again(&d, priority);
}

FUZZ_TARGET(fuzz_cap)
