#include "hw/keng_air.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum {
    WORD_COUNT_MAX = 5,
    LINE_LEN_MAX = 256,
    GARBAGE_LEN_MAX = 1000,
    HANG_S_MAX = 86400,
    SLOW_MS_MAX = 60000,
};

struct words {
    char line[LINE_LEN_MAX];
    const char *word[WORD_COUNT_MAX];
    unsigned count;
};

static bool split(const char *line, struct words *w)
{
    size_t len = strlen(line);
    if (len >= sizeof w->line)
        return false;
    memcpy(w->line, line, len + 1);
    memset(w->word, 0, sizeof w->word); /* a word left out is NULL */
    w->count = 0;
    char *at = w->line;
    while (*at) {
        at += strspn(at, " \t\r");
        if (!*at)
            break;
        if (w->count == WORD_COUNT_MAX)
            return false;
        w->word[w->count++] = at;
        at += strcspn(at, " \t\r");
        if (*at)
            *at++ = '\0';
    }
    return w->count > 0;
}

static struct keng_air_modem *find_modem(struct keng_air *ka, const char *name, char *text)
{
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        if (strcmp(ka->config.modems[i].name, name) == 0)
            return &ka->modems[i];
    }
    (void)snprintf(text, KENG_AIR_TEXT_LEN, "no modem is called '%s'", name);
    return NULL;
}

static struct keng_air_modem *find_plugged(struct keng_air *ka, const char *name, char *text)
{
    struct keng_air_modem *m = find_modem(ka, name, text);
    if (m && m->master_fd < 0) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "'%s' is not plugged in", name);
        return NULL;
    }
    return m;
}

static bool parse_number(const char *word, double min, double max, double *out, char *text)
{
    char *end;
    double v = strtod(word, &end);
    if (end == word || *end != '\0' || !(v >= min && v <= max)) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "'%s' must be a number from %g to %g", word, min,
                       max);
        return false;
    }
    *out = v;
    return true;
}

static bool parse_on_off(const char *word, bool *on_out, char *text)
{
    bool on = strcmp(word, "on") == 0;
    if (!on && strcmp(word, "off") != 0) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "'%s' must be on or off", word);
        return false;
    }
    *on_out = on;
    return true;
}

/* ---- commands: 0, or -1 with text ---------------------------------------------------- */

typedef int (*command_fn)(struct keng_air *ka, const char *const *args, char *text);

static int do_unplug(struct keng_air *ka, const char *const *args, char *text)
{
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m)
        return -1;
    keng_air_unplug(ka, m);
    return 0;
}

static int do_replug(struct keng_air *ka, const char *const *args, char *text)
{
    struct keng_air_modem *m = find_modem(ka, args[0], text);
    if (!m)
        return -1;
    const char *link = args[1] ? args[1] : m->link;
    if (!keng_air_name_valid(link)) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "'%s' cannot be the name of a port", link);
        return -1;
    }
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        if (&ka->modems[i] != m && strcmp(ka->modems[i].link, link) == 0) {
            (void)snprintf(text, KENG_AIR_TEXT_LEN, "'%s' is the port of another modem", link);
            return -1;
        }
    }
    if (m->master_fd >= 0)
        keng_air_unplug(ka, m);
    memmove(m->link, link, strlen(link) + 1);
    return keng_air_plug(ka, m, text);
}

static int restart(struct keng_air *ka, const char *name, bool factory, char *text)
{
    struct keng_air_modem *m = find_plugged(ka, name, text);
    if (!m)
        return -1;
    emu_restart(&m->emu, ka->now_us, factory);
    return 0;
}

static int do_reboot(struct keng_air *ka, const char *const *args, char *text)
{
    return restart(ka, args[0], false, text);
}

static int do_brownout(struct keng_air *ka, const char *const *args, char *text)
{
    return restart(ka, args[0], true, text);
}

static int do_cutline(struct keng_air *ka, const char *const *args, char *text)
{
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m)
        return -1;
    emu_cut_line(&m->emu);
    return 0;
}

static int do_slow(struct keng_air *ka, const char *const *args, char *text)
{
    double ms;
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m || !parse_number(args[1], 0, SLOW_MS_MAX, &ms, text))
        return -1;
    emu_slow(&m->emu, (uint32_t)(ms * 1000));
    return 0;
}

static int do_stubborn(struct keng_air *ka, const char *const *args, char *text)
{
    bool on;
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m || !parse_on_off(args[1], &on, text))
        return -1;
    emu_stubborn(&m->emu, on);
    return 0;
}

static int do_garbage(struct keng_air *ka, const char *const *args, char *text)
{
    double len;
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m || !parse_number(args[1], 1, GARBAGE_LEN_MAX, &len, text))
        return -1;
    emu_garbage(&m->emu, ka->now_us, (size_t)len);
    return 0;
}

static int do_hang(struct keng_air *ka, const char *const *args, char *text)
{
    double s;
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m || !parse_number(args[1], 0, HANG_S_MAX, &s, text))
        return -1;
    emu_hang(&m->emu, ka->now_us + (uint64_t)(s * 1e6));
    return 0;
}

static int do_link(struct keng_air *ka, const char *const *args, char *text)
{
    bool on;
    struct keng_air_modem *a = find_modem(ka, args[0], text);
    struct keng_air_modem *b = a ? find_modem(ka, args[1], text) : NULL;
    if (!b || !parse_on_off(args[2], &on, text))
        return -1;
    if (a == b) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "a link needs two modems");
        return -1;
    }
    int err = air_set_link(ka->air, ka->now_us, a->index, b->index, on);
    if (err == AIR_OK)
        err = air_set_link(ka->air, ka->now_us, b->index, a->index, on);
    if (err != AIR_OK) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "%s", air_strerror(err));
        return -1;
    }
    return 0;
}

static int do_node(struct keng_air *ka, const char *const *args, char *text)
{
    bool on;
    struct keng_air_modem *m = find_plugged(ka, args[0], text);
    if (!m || !parse_on_off(args[1], &on, text))
        return -1;
    air_set_on(ka->air, ka->now_us, m->index, on);
    return 0;
}

static int do_loss(struct keng_air *ka, const char *const *args, char *text)
{
    double p;
    if (!parse_number(args[0], 0, 1, &p, text))
        return -1;
    air_set_frame_loss(ka->air, (uint32_t)lround(p * AIR_PPM));
    return 0;
}

static int do_quit(struct keng_air *ka, const char *const *args, char *text)
{
    (void)args;
    (void)text;
    ka->quit = true;
    return 0;
}

static char *stats(struct keng_air *ka)
{
    json_t *root = json_object();
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        const struct keng_air_modem *m = &ka->modems[i];
        struct air_counts c;
        air_radio_counts(ka->air, i, &c);
        json_t *o = json_pack(
            "{s:b,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "plugged", m->master_fd >= 0,
            "tx_frames", (json_int_t)c.tx_frames, "tx_bytes", (json_int_t)c.tx_bytes,
            "airtime_us", (json_int_t)c.tx_airtime_us, "tx_cut", (json_int_t)c.tx_cut,
            "rx_frames", (json_int_t)c.rx_frames, "collided", (json_int_t)c.collided,
            "half_duplex_lost", (json_int_t)c.half_duplex_lost,
            "below_sensitivity", (json_int_t)c.below_sensitivity,
            "not_listening", (json_int_t)c.not_listening, "dropped", (json_int_t)c.dropped,
            "damaged", (json_int_t)c.flipped, "violations", (json_int_t)m->violation_count);
        if (json_object_set_new(root, m->config->name, o) < 0) {
            json_decref(root);
            return NULL;
        }
    }
    char *line = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    return line;
}

static const struct command {
    const char *name;
    unsigned arg_count, optional_count;
    const char *usage;
    command_fn run;
} commands[] = {
    { "unplug", 1, 0, "unplug NAME", do_unplug },
    { "replug", 1, 1, "replug NAME [PORT]", do_replug },
    { "reboot", 1, 0, "reboot NAME", do_reboot },
    { "brownout", 1, 0, "brownout NAME", do_brownout },
    { "garbage", 2, 0, "garbage NAME BYTES", do_garbage },
    { "cutline", 1, 0, "cutline NAME", do_cutline },
    { "hang", 2, 0, "hang NAME SECONDS", do_hang },
    { "slow", 2, 0, "slow NAME MILLISECONDS", do_slow },
    { "stubborn", 2, 0, "stubborn NAME on|off", do_stubborn },
    { "link", 3, 0, "link NAME NAME on|off", do_link },
    { "node", 2, 0, "node NAME on|off", do_node },
    { "loss", 1, 0, "loss PROBABILITY", do_loss },
    { "quit", 0, 0, "quit", do_quit },
};

static char *answer(int result, const char *text)
{
    char buf[KENG_AIR_TEXT_LEN + 8];
    (void)snprintf(buf, sizeof buf, result == 0 ? "ok" : "error %s", text);
    return strdup(buf);
}

char *keng_air_control(struct keng_air *ka, const char *line)
{
    struct words w;
    char text[KENG_AIR_TEXT_LEN] = "";
    if (!split(line, &w))
        return answer(-1, "expected: unplug, replug, reboot, brownout, garbage, cutline, hang, "
                      "slow, stubborn, link, node, loss, stats or quit");
    if (strcmp(w.word[0], "stats") == 0 && w.count == 1)
        return stats(ka);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *c = &commands[i];
        if (strcmp(w.word[0], c->name) != 0)
            continue;
        if (w.count < 1 + c->arg_count || w.count > 1 + c->arg_count + c->optional_count) {
            (void)snprintf(text, sizeof text, "usage: %s", c->usage);
            return answer(-1, text);
        }
        return answer(c->run(ka, w.word + 1, text), text);
    }
    (void)snprintf(text, sizeof text, "unknown command '%.40s'", w.word[0]);
    return answer(-1, text);
}
