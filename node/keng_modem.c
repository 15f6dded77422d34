/* keng_modem.c - `keng modem`: what is plugged in, what it does, how well a link works. */
#include "node/keng_cli.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hw/probe.h"

enum {
    PORT_COUNT_MAX = 64,
    TEST_FRAMES_DEFAULT = 20,
    TEST_SECONDS_DEFAULT = 300,
    SECONDS_MAX = 86400,
    COUNT_MODULO = 256,
    MS_PER_S = 1000,
};

static const char BY_ID[] = "/dev/serial/by-id";

/* ---- list ------------------------------------------------------------------------------------ */

/* The name under /dev/serial/by-id that leads to path, or path itself. */
static void stable_name(const char *path, char out[static PATH_MAX])
{
    char real[PATH_MAX], target[PATH_MAX];
    DIR *dir = opendir(BY_ID);

    snprintf(out, PATH_MAX, "%s", path);
    for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char link[sizeof BY_ID + sizeof e->d_name];
        snprintf(link, sizeof link, "%s/%s", BY_ID, e->d_name);
        if (e->d_name[0] != '.' && realpath(link, target) != NULL && realpath(path, real) != NULL &&
            strcmp(target, real) == 0) {
            snprintf(out, PATH_MAX, "%s", link);
            break;
        }
    }
    if (dir != NULL)
        closedir(dir);
}

static int run_list(struct keng *k)
{
    static struct serial_port ports[PORT_COUNT_MAX];
    size_t count;

    if (serial_list(ports, PORT_COUNT_MAX, &count) != SERIAL_OK)
        return keng_failed(k, TEXT_FAILED, KENG_ARGS(serial_strerror(SERIAL_EIO)));
    if (count == 0 && k->option[OPT_JSON] == NULL)
        keng_say(k, stdout, TEXT_NO_PORTS, NULL);
    for (size_t i = 0; i < count && i < PORT_COUNT_MAX; i++) {
        const struct serial_port *p = &ports[i];
        const char *hint = p->is_usb ? probe_usb_hint(p->usb_vid, p->usb_pid) : NULL;
        char name[PATH_MAX], usb[16] = "";
        stable_name(p->path, name);
        if (p->is_usb)
            snprintf(usb, sizeof usb, "%04x:%04x", p->usb_vid, p->usb_pid);
        if (k->option[OPT_JSON] != NULL)
            keng_print_json(json_pack("{s:s,s:s,s:s,s:s,s:s}", "port", name, "device", p->path,
                                      "usb", usb, "description", p->description, "hint",
                                      hint == NULL ? "" : hint));
        else
            printf("%s  %s%s%s%s%s\n", name, p->path, usb[0] == '\0' ? "" : "  ", usb,
                   hint == NULL ? p->description[0] == '\0' ? "" : "  " : "  ",
                   hint == NULL ? p->description : hint);
    }
    return KENG_OK;
}

/* ---- probe ----------------------------------------------------------------------------------- */

static int run_probe(struct keng *k)
{
    const char *wires = k->option[OPT_WIRES] == NULL ? "" : k->option[OPT_WIRES];
    enum probe_ask ask = wires[0] != '\0' ? PROBE_SETTINGS
                         : k->option[OPT_ASK] != NULL ? PROBE_ASK : PROBE_LISTEN;
    struct probe_result r;
    char text[SERIAL_TEXT_LEN], heard[2 * PROBE_HEARD_LEN + 1] = "";

    if (k->operand_count != 2)
        return keng_wrong(k, TEXT_WRONG_OPERAND_MISSING, KENG_ARGS("keng modem probe PORT"));
    if (wires[0] != '\0' && k->option[OPT_ASK] != NULL)
        return keng_wrong(k, TEXT_WRONG_OPTIONS_EXCLUDE, KENG_ARGS("ask", "wires"));
    if (probe_port(k->operands[1], wires, ask, &r, text) != SERIAL_OK)
        return keng_failed(k, TEXT_FAILED, KENG_ARGS(text));
    for (size_t i = 0; i < r.heard_len; i++)
        snprintf(heard + 2 * i, 3, "%02x", r.heard[i]);
    if (k->option[OPT_JSON] != NULL)
        keng_print_json(json_pack("{s:s,s:b,s:s,s:s,s:i,s:s}", "port", k->operands[1], "found",
                                  r.driver != NULL, "driver", r.driver == NULL ? "" : r.driver,
                                  "what", r.what == NULL ? "" : r.what, "baud", (int)r.baud,
                                  "heard", heard));
    else if (r.driver != NULL)
        keng_say(k, stdout, TEXT_PROBE_FOUND,
                 KENG_ARGS(k->operands[1], r.what, keng_num(r.baud).s, r.driver));
    else if (r.what != NULL)
        keng_say(k, stdout, TEXT_PROBE_KIND, KENG_ARGS(k->operands[1], r.what,
                                                       keng_num(r.baud).s));
    else
        keng_say(k, stdout, ask == PROBE_LISTEN ? TEXT_PROBE_SILENT : TEXT_PROBE_UNKNOWN,
                 KENG_ARGS(k->operands[1], heard));
    return r.driver != NULL ? KENG_OK : KENG_FAILED;
}

/* ---- show ------------------------------------------------------------------------------------ */

static void show_modem(const struct keng *k, const json_t *modem)
{
    const json_t *s = json_object_get(modem, "settings");
    const json_t *counters = json_object_get(modem, "counters");
    bool closed = json_is_true(json_object_get(s, "closed"));
    const char *key;
    json_t *value;

    const char *name = keng_string_of(modem, "name");
    printf("%s%s", name, name[0] == '\0' ? "" : ": ");
    keng_say(k, stdout, TEXT_MODEM_HEAD,
             KENG_ARGS(keng_string_of(modem, "port"), keng_string_of(modem, "driver"),
                       text_get(k->lang, keng_modem_text(keng_string_of(modem, "state")))));
    if (keng_string_of(modem, "text")[0] != '\0')
        keng_say(k, stdout, TEXT_MODEM_SAYS, KENG_ARGS(keng_string_of(modem, "text")));
    keng_say(k, stdout, closed ? TEXT_MODEM_CLOSED : TEXT_MODEM_RADIO,
             KENG_ARGS(keng_decimal(keng_integer_of(s, "freq_hz"), 6).s,
                       keng_decimal(keng_integer_of(s, "bw_hz"), 3).s,
                       keng_num(keng_integer_of(s, "sf")).s, keng_num(keng_integer_of(s, "cr")).s,
                       keng_num(keng_integer_of(s, "power_dbm")).s,
                       keng_string_of(modem, "region")));
    keng_say(k, stdout, json_is_true(json_object_get(modem, "verified")) ? TEXT_MODEM_VERIFIED
                                                                         : TEXT_MODEM_UNVERIFIED,
             NULL);
    keng_say(k, stdout, TEXT_MODEM_FRAME,
             KENG_ARGS(keng_num(keng_integer_of(modem, "mtu_len")).s,
                       keng_decimal(keng_integer_of(modem, "longest_us") / MS_PER_S, 3).s));
    const json_t *airtime = json_object_get(modem, "airtime");
    keng_say(k, stdout, TEXT_MODEM_AIRTIME,
             KENG_ARGS(keng_decimal(keng_integer_of(airtime, "spent_ms"), 3).s,
                       keng_decimal(keng_integer_of(airtime, "budget_ms"), 3).s,
                       keng_decimal(keng_integer_of(airtime, "window_ms") / MS_PER_S / 6, 1).s));
    printf(" ");
    json_object_foreach((json_t *)(uintptr_t)counters, key, value)
        printf(" %s=%lld", key, (long long)json_integer_value(value));
    putchar('\n');
}

static int run_show(struct keng *k)
{
    json_t *answer = NULL;
    int status = keng_call(k, json_pack("{s:s}", "do", "status"), &answer);

    if (status != KENG_OK)
        return status;
    const json_t *modems = json_object_get(answer, "modems");
    for (size_t i = 0; i < json_array_size(modems); i++) {
        if (k->option[OPT_JSON] != NULL)
            keng_print_json(json_incref(json_array_get(modems, i)));
        else
            show_modem(k, json_array_get(modems, i));
    }
    json_decref(answer);
    return KENG_OK;
}

/* ---- monitor, test ----------------------------------------------------------------------- */

static int64_t now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec;
}

static void print_frame(const struct keng *k, json_t *frame)
{
    bool heard = strcmp(keng_string_of(frame, "direction"), "heard") == 0;
    const json_t *rssi = json_object_get(frame, "rssi_dbm");
    const json_t *snr = json_object_get(frame, "snr_db");
    const json_t *node = json_object_get(frame, "node");
    char clock[KENG_REF_LEN], line[KENG_WORDS_LEN];

    if (k->option[OPT_JSON] != NULL) {
        keng_print_json(json_incref(frame));
        return;
    }
    keng_clock(keng_integer_of(frame, "at_ms") / MS_PER_S, clock, sizeof clock);
    int len = snprintf(line, sizeof line, "%s %s%s%s %3lld B %s ms", clock,
                       keng_string_of(frame, "modem"),
                       keng_string_of(frame, "modem")[0] == '\0' ? "" : " ", heard ? "<-" : "->",
                       (long long)keng_integer_of(frame, "len"),
                       keng_decimal(keng_integer_of(frame, "airtime_us") / MS_PER_S, 0).s);
    if (rssi != NULL)
        len += snprintf(line + len, sizeof line - (size_t)len, " %lld dBm",
                        (long long)json_integer_value(rssi));
    if (snr != NULL)
        len += snprintf(line + len, sizeof line - (size_t)len, " SNR %.1f",
                        json_number_value(snr));
    if (node != NULL)
        len += snprintf(line + len, sizeof line - (size_t)len, " #%lld.%lld records=%lld%s",
                        (long long)json_integer_value(node),
                        (long long)keng_integer_of(frame, "count"),
                        (long long)keng_integer_of(frame, "records"),
                        json_is_true(json_object_get(frame, "summary")) ? " summary" : "");
    printf("%s %s\n", line, keng_string_of(frame, "verdict"));
    fflush(stdout);
}

/* What was learnt about one link while frames went by. */
struct link {
    int64_t node;
    int sound;                 /* frames asked of our own node */
    int heard, missed, last_count;
    int64_t rssi_sum_dbm, rssi_min_dbm, airtime_us, sent_airtime_us;
    double snr_sum_db;
    int rssi_count, snr_count, sent, sent_badly;
};

static void count_frame(struct link *l, const json_t *frame)
{
    const json_t *rssi = json_object_get(frame, "rssi_dbm");
    const json_t *snr = json_object_get(frame, "snr_db");
    const char *verdict = keng_string_of(frame, "verdict");

    if (strcmp(keng_string_of(frame, "direction"), "sent") == 0) {
        l->sent++;
        l->sent_badly += strcmp(verdict, "sent") != 0;
        l->sent_airtime_us += keng_integer_of(frame, "airtime_us");
        return;
    }
    if (strcmp(verdict, "frame") != 0 || keng_integer_of(frame, "node") != l->node)
        return;
    int count = (int)keng_integer_of(frame, "count");
    if (l->heard > 0)
        l->missed += (count - l->last_count - 1 + 2 * COUNT_MODULO) % COUNT_MODULO;
    l->last_count = count;
    l->heard++;
    l->airtime_us += keng_integer_of(frame, "airtime_us");
    if (rssi != NULL) {
        int64_t dbm = json_integer_value(rssi);
        l->rssi_min_dbm = l->rssi_count == 0 || dbm < l->rssi_min_dbm ? dbm : l->rssi_min_dbm;
        l->rssi_sum_dbm += dbm;
        l->rssi_count++;
    }
    if (snr != NULL) {
        l->snr_sum_db += json_number_value(snr);
        l->snr_count++;
    }
}

/* Frames as they go by, for so long (0: for ever) or until the link (NULL: none) is measured. */
static int watch_air(struct keng *k, struct link *l, int64_t for_s)
{
    json_t *line = NULL;
    int64_t end_s = now_s() + for_s;
    json_t *request = json_pack("{s:s,s:i}", "do", "monitor", "sound", l == NULL ? 0 : l->sound);
    int status = keng_call(k, request, &line);

    json_decref(line);
    while (status == KENG_OK && (l == NULL || l->sent < l->sound ||
                                 l->heard + l->missed < l->sound)) {
        int64_t left_s = end_s - now_s();
        if (for_s > 0 && left_s <= 0)
            return KENG_OK;
        int taken = client_take_line(&k->client, &line);
        if (taken < 0)
            return keng_failed(k, TEXT_FAILED_LOST, KENG_ARGS(k->client.err));
        if (taken == 0) {
            poll(&(struct pollfd){ .fd = k->client.fd, .events = POLLIN }, 1,
                 for_s > 0 ? (int)left_s * MS_PER_S : -1);
            continue;
        }
        json_t *frame = json_object_get(line, "frame");
        if (json_is_object(frame) && (l == NULL || k->option[OPT_JSON] == NULL))
            print_frame(k, frame);
        if (json_is_object(frame) && l != NULL)
            count_frame(l, frame);
        json_decref(line);
        if (ferror(stdout)) /* nobody reads any more */
            return KENG_FAILED;
    }
    return status;
}

static int run_monitor(struct keng *k)
{
    uint64_t seconds = 0;
    int status = keng_number_option(k, OPT_SECONDS, 1, SECONDS_MAX, &seconds);

    return status == KENG_OK ? watch_air(k, NULL, (int64_t)seconds) : status;
}

static void tell_link(const struct keng *k, const struct link *l)
{
    int total = l->heard + l->missed;
    int64_t percent = total == 0 ? 0 : 100 * l->heard / total;
    int64_t rssi_dbm = l->rssi_count == 0 ? 0 : l->rssi_sum_dbm / l->rssi_count;
    int64_t snr_db_x10 = l->snr_count == 0 ? 0 : (int64_t)(10 * l->snr_sum_db / l->snr_count);
    int64_t airtime_ms = l->heard == 0 ? 0 : l->airtime_us / l->heard / MS_PER_S;

    if (k->option[OPT_JSON] != NULL) {
        json_t *json = json_pack("{s:I,s:i,s:i,s:I,s:i,s:i,s:I}", "node", (json_int_t)l->node,
                                 "heard", l->heard, "missed", l->missed, "airtime_us",
                                 (json_int_t)(l->heard == 0 ? 0 : l->airtime_us / l->heard), "sent",
                                 l->sent, "sent_badly", l->sent_badly, "sent_airtime_us",
                                 (json_int_t)l->sent_airtime_us);
        if (l->rssi_count > 0) {
            json_object_set_new(json, "rssi_dbm", json_integer(rssi_dbm));
            json_object_set_new(json, "rssi_min_dbm", json_integer(l->rssi_min_dbm));
        }
        if (l->snr_count > 0)
            json_object_set_new(json, "snr_db", json_real((double)snr_db_x10 / 10));
        keng_print_json(json);
        return;
    }
    keng_say(k, stdout, TEXT_TEST_HEARD,
             KENG_ARGS(keng_num(l->node).s, keng_num(l->heard).s, keng_num(total).s,
                       keng_num(percent).s, keng_num(airtime_ms).s));
    if (l->rssi_count > 0)
        keng_say(k, stdout, TEXT_TEST_SIGNAL,
                 KENG_ARGS(keng_num(rssi_dbm).s, keng_num(l->rssi_min_dbm).s,
                           l->snr_count == 0 ? "-" : keng_decimal(snr_db_x10, 1).s));
    keng_say(k, stdout, TEXT_TEST_SENT,
             KENG_ARGS(keng_num(l->sent).s, keng_num(l->sent_badly).s,
                       keng_decimal(l->sent_airtime_us / MS_PER_S, 3).s));
}

static int run_test(struct keng *k)
{
    uint64_t node, frames = TEST_FRAMES_DEFAULT, seconds = TEST_SECONDS_DEFAULT;
    int status = keng_number_option(k, OPT_FRAMES, 1, UINT8_MAX, &frames);

    if (status == KENG_OK)
        status = keng_number_option(k, OPT_SECONDS, 1, SECONDS_MAX, &seconds);
    if (status != KENG_OK)
        return status;
    if (k->operand_count != 2 || !keng_parse_number(k->operands[1], 1, AUTHOR_MAX, &node))
        return keng_wrong(k, TEXT_WRONG_OPERAND_MISSING, KENG_ARGS("keng modem test NODE"));
    struct link l = { .node = (int64_t)node, .sound = (int)frames };
    status = watch_air(k, &l, (int64_t)seconds);
    if (status != KENG_OK)
        return status;
    tell_link(k, &l);
    return l.heard > 0 ? KENG_OK : keng_failed(k, TEXT_TEST_NOTHING, KENG_ARGS(keng_num(l.node).s));
}

/* ---- which of them --------------------------------------------------------------------------- */

int keng_run_modem(struct keng *k)
{
    static const struct {
        const char *word;
        size_t operand_count_max;
        uint64_t options;
        int (*run)(struct keng *k);
    } parts[] = {
        { "list liet-ke", 1, 0, run_list },
        { "probe do", 2, KENG_BIT(OPT_ASK) | KENG_BIT(OPT_WIRES), run_probe },
        { "show xem", 1, 0, run_show },
        { "set-up cai-dat", 2, KENG_BIT(OPT_RANGE) | KENG_BIT(OPT_MARGIN) | KENG_BIT(OPT_PORT) |
          KENG_BIT(OPT_DRIVER) | KENG_BIT(OPT_SETTINGS) | KENG_BIT(OPT_WIRES) |
          KENG_BIT(OPT_AMATEUR) | KENG_BIT(OPT_GAIN) | KENG_BIT(OPT_LOSS) | KENG_BIT(OPT_WRITE),
          keng_modem_set_up },
        { "test thu", 2, KENG_BIT(OPT_FRAMES) | KENG_BIT(OPT_SECONDS), run_test },
        { "monitor theo-doi", 1, KENG_BIT(OPT_SECONDS), run_monitor },
    };

    if (k->operand_count == 0)
        return keng_wrong(k, TEXT_WRONG_OPERAND_MISSING,
                          KENG_ARGS("keng modem list|probe|show|set-up|test|monitor"));
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!keng_word_in(parts[i].word, k->operands[0]))
            continue;
        if (k->operand_count > parts[i].operand_count_max)
            return keng_wrong(k, TEXT_WRONG_OPERAND,
                              KENG_ARGS(k->operands[parts[i].operand_count_max], "modem"));
        for (enum keng_option o = OPT_ASK; o <= OPT_SECONDS; o++) {
            if (k->option[o] != NULL && !(parts[i].options & KENG_BIT(o)))
                return keng_wrong(k, TEXT_WRONG_OPTION, KENG_ARGS(keng_option_name(o), "modem"));
        }
        return parts[i].run(k);
    }
    return keng_wrong(k, TEXT_WRONG_PART, KENG_ARGS(k->operands[0],
                                                    "list probe show set-up test monitor"));
}
