/* kengd - the node daemon: owns the modem and the store, speaks over the air and on a Unix socket,
 * and on no network. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "node/node.h"
#include "node/radio.h"
#include "node/server.h"

enum {
    EXIT_USAGE = 2,
    SPEED_MAX = 1000,
    POLL_MS_MAX = 60000,
};

static const char DEFAULT_HOME[] = "/var/lib/keng";

/* What a modem has to send. */
struct sending {
    uint32_t tx_id; /* the frame the modem has; 0: none */
    struct mesh_tx tx;
    bool radio_ready;
    char said[MODEM_TEXT_LEN]; /* the modem's last complaint in the log */
};

/* A radio, a side of the node and what goes from one to the other have the same index. */
struct daemon {
    struct node node;
    struct radio radios[SETTINGS_MODEM_COUNT_MAX];
    struct sending sendings[SETTINGS_MODEM_COUNT_MAX];
    struct server server;
    int signal_fd, lock_fd;
    unsigned speed;
};

static const char USAGE[] =
    "Usage: kengd [--home DIR] [--speed N]\n"
    "\n"
    "The node daemon of Keng: keeps, carries and confirms signed reports over a LoRa modem.\n"
    "\n"
    "  --home DIR   the node's files, made by `keng enroll` (default: $KENG_HOME or\n"
    "               /var/lib/keng)\n"
    "  --speed N    run the clock N times faster, 1 to 1000: for drills with emulated modems\n"
    "               (keng-air); refused on a real serial port, where the law's hour counts\n"
    "  --version    print the protocol version and leave\n"
    "  --help       print this and leave\n"
    "\n"
    "Files in DIR: kengd.conf, commune.keng, network.key, identity/N.key, store.db, numbers,\n"
    "kengd.sock.  See kengd(8).\n";

/* Monotonic also through sleep, and the same for every process of one boot: so that what was sent
 * before a restart keeps its age.  Faster by --speed. */
static uint64_t now_ms(const struct daemon *d)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    uint64_t us = (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
    return us * d->speed / 1000;
}

/* ---- the radio and the core ------------------------------------------------------------- */

static void set_radio_ready(struct daemon *d, size_t side, uint64_t at_ms)
{
    struct sending *s = &d->sendings[side];
    bool ready = d->radios[side].state == RADIO_READY;
    if (ready != s->radio_ready)
        mesh_set_modem(d->node.sides[side].mesh, at_ms, ready);
    if (!ready)
        s->tx_id = 0;
    s->radio_ready = ready;
}

static void tx_done(struct daemon *d, size_t side, uint64_t at_ms, enum mesh_tx_result result)
{
    struct sending *s = &d->sendings[side];
    if (s->tx_id != 0)
        mesh_on_tx_done(d->node.sides[side].mesh, at_ms, s->tx_id, result);
    s->tx_id = 0;
}

/* For whoever watches the air. */
static void show_heard(struct daemon *d, size_t side, const struct modem_event *ev,
                       enum mesh_verdict verdict)
{
    const struct radio *radio = &d->radios[side];
    if (!server_monitored(&d->server))
        return;
    json_t *json = node_json_frame("heard", ev->frame, ev->len);
    json_object_set_new(json, "modem", json_string(d->node.settings.modems[side].name));
    json_object_set_new(json, "verdict", json_string(mesh_verdict_name(verdict)));
    json_object_set_new(json, "airtime_us", json_integer(modem_airtime_us(&radio->modem, ev->len)));
    if (ev->has_signal && radio->driver->caps.has_rssi)
        json_object_set_new(json, "rssi_dbm", json_integer(ev->rssi_dbm));
    if (ev->has_signal && radio->driver->caps.has_snr)
        json_object_set_new(json, "snr_db", json_real(ev->snr_db_x4 / 4.0));
    server_frame(&d->server, json);
}

static void show_sent(struct daemon *d, size_t side, const struct modem_event *ev)
{
    static const char *const results[] = { [MODEM_TX_SENT] = "sent", [MODEM_TX_FAILED] = "failed",
                                           [MODEM_TX_UNKNOWN] = "unknown" };
    const struct sending *s = &d->sendings[side];
    if (!server_monitored(&d->server) || s->tx_id == 0)
        return;
    json_t *json = node_json_frame("sent", s->tx.bytes, s->tx.len);
    json_object_set_new(json, "modem", json_string(d->node.settings.modems[side].name));
    json_object_set_new(json, "verdict", json_string(results[ev->tx_result]));
    json_object_set_new(json, "airtime_us", json_integer(ev->airtime_us));
    server_frame(&d->server, json);
}

/* The core charges what this modem takes, its own overhead included; longer frames than it can
 * send are refused. */
static void set_airtime(struct daemon *d, size_t side)
{
    const struct radio *radio = &d->radios[side];
    uint32_t airtime_us[FRAME_LEN_MAX + 1] = { 0 };
    size_t mtu_len = radio->driver->caps.mtu_len;
    for (size_t len = 1; len <= FRAME_LEN_MAX; len++)
        airtime_us[len] = modem_airtime_us(&radio->modem, len < mtu_len ? len : mtu_len);
    mesh_set_airtime(d->node.sides[side].mesh, airtime_us);
}

/* Once, however often it is tried again: it stays in the status. */
static void complain(struct daemon *d, size_t side, const char *text)
{
    struct sending *s = &d->sendings[side];
    const char *name = d->node.settings.modems[side].name;
    if (strcmp(s->said, text) == 0)
        return;
    snprintf(s->said, sizeof s->said, "%s", text);
    fprintf(stderr, "<4>kengd: modem: %s%s%s\n", name, name[0] ? ": " : "", text);
}

static void on_modem_event(struct daemon *d, size_t side, uint64_t at_ms,
                           const struct modem_event *ev)
{
    struct mesh *mesh = d->node.sides[side].mesh;
    switch (ev->type) {
    case MODEM_EV_READY:
        set_airtime(d, side);
        d->sendings[side].said[0] = '\0';
        fprintf(stderr, "<6>kengd: modem ready on %s\n", d->radios[side].path);
        break;
    case MODEM_EV_RX: {
        struct mesh_rx_meta meta = { .rssi_dbm = ev->rssi_dbm, .snr_db_x4 = ev->snr_db_x4 };
        show_heard(d, side, ev, mesh_on_frame(mesh, at_ms, ev->frame, ev->len, &meta));
        break;
    }
    case MODEM_EV_TX_DONE:
        show_sent(d, side, ev);
        tx_done(d, side, at_ms, MESH_TX_SENT);
        break;
    case MODEM_EV_REFUSED:
        tx_done(d, side, at_ms, MESH_TX_REFUSED);
        break;
    case MODEM_EV_SPENT:
        node_spend(&d->node, side, at_ms, ev->airtime_us);
        break;
    case MODEM_EV_MISMATCH:
    case MODEM_EV_SILENT:
    case MODEM_EV_FAULT:
        complain(d, side, ev->text);
        break;
    }
}

static void hear(struct daemon *d, size_t side, uint64_t at_ms)
{
    struct modem_event ev;
    radio_step(&d->radios[side], at_ms);
    while (radio_poll_event(&d->radios[side], at_ms, &ev)) {
        on_modem_event(d, side, at_ms, &ev);
        node_drain(&d->node, at_ms); /* between events: staging room for the next frame's records */
    }
    set_radio_ready(d, side, at_ms);
}

static void speak(struct daemon *d, size_t side, uint64_t at_ms)
{
    struct sending *s = &d->sendings[side];
    while (s->tx_id == 0 && mesh_poll_tx(d->node.sides[side].mesh, at_ms, &s->tx)) {
        s->tx_id = s->tx.tx_id;
        if (radio_send(&d->radios[side], at_ms, s->tx.bytes, s->tx.len) != MODEM_OK) {
            tx_done(d, side, at_ms, MESH_TX_REFUSED);
            set_radio_ready(d, side, at_ms);
        }
        node_drain(&d->node, at_ms);
    }
}

/* Everything that can be done now is done: the modems' news, the cores' wishes, frames out. */
static void work(struct daemon *d, uint64_t at_ms)
{
    for (size_t i = 0; i < d->node.side_count; i++)
        hear(d, i, at_ms);
    node_drain(&d->node, at_ms);
    for (size_t i = 0; i < d->node.side_count; i++)
        speak(d, i, at_ms);
}

static uint64_t next_deadline(const struct daemon *d)
{
    uint64_t at_ms = MESH_NEVER;
    for (size_t i = 0; i < d->node.side_count; i++) {
        uint64_t mesh_ms = mesh_next_deadline(d->node.sides[i].mesh);
        uint64_t radio_ms = radio_next_deadline(&d->radios[i]);
        at_ms = mesh_ms < at_ms ? mesh_ms : at_ms;
        at_ms = radio_ms < at_ms ? radio_ms : at_ms;
    }
    return at_ms;
}

static int wait_ms(const struct daemon *d, bool more)
{
    uint64_t at_ms = next_deadline(d), now = now_ms(d);
    if (more || at_ms <= now)
        return 0;
    /* Rounded up: waking a moment too early would only mean to wake twice. */
    uint64_t wait = (at_ms - now + d->speed - 1) / d->speed;
    return wait > POLL_MS_MAX ? POLL_MS_MAX : (int)wait;
}

/* Returns the signal that ended it. */
static int run(struct daemon *d)
{
    struct pollfd fds[SERVER_CLIENT_COUNT_MAX + 2 + 2 * SETTINGS_MODEM_COUNT_MAX];
    bool more = false;
    for (;;) {
        size_t own = 0;
        fds[own++] = (struct pollfd){ .fd = d->signal_fd, .events = POLLIN };
        for (size_t i = 0; i < d->node.side_count; i++) {
            fds[own].fd = radio_fd(&d->radios[i], &fds[own].events);
            fds[own++].revents = 0;
            fds[own++] = (struct pollfd){ .fd = radio_lines_fd(&d->radios[i]), .events = POLLIN };
        }
        size_t count = server_poll_fds(&d->server, fds + own);
        if (poll(fds, own + count, wait_ms(d, more)) < 0 && errno != EINTR)
            fprintf(stderr, "<3>kengd: poll: %s\n", strerror(errno));
        struct signalfd_siginfo info;
        if ((fds[0].revents & POLLIN) && read(d->signal_fd, &info, sizeof info) == sizeof info)
            return (int)info.ssi_signo;
        uint64_t at_ms = now_ms(d);
        server_step(&d->server, at_ms, fds + own, count);
        work(d, at_ms);
        more = server_flush(&d->server);
    }
}

/* ---- start ---------------------------------------------------------------------------------- */

/* One kengd for a home: two would write the same numbers. */
static int lock_home(const char *home)
{
    int fd = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(stderr, "<3>kengd: %s: %s; `keng enroll --out %s` makes it\n", home,
                strerror(errno), home);
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        fprintf(stderr, "<3>kengd: another kengd runs in %s\n", home);
        close(fd);
        return -1;
    }
    return fd;
}

/* The law of the band that a frequency lies in, as the root signed it; else that of the region. */
static struct region region_of(const struct profile *p, uint32_t freq_hz)
{
    for (size_t i = 0; i < p->band_count; i++)
        if (freq_hz >= p->bands[i].lo_hz && freq_hz <= p->bands[i].hi_hz)
            return p->bands[i];
    return p->bands[0]; /* zero where there is none */
}

/* A text of kengd.conf into the room that a modem has for it. */
static bool fits(char *to, size_t cap, const char *text, const char *key)
{
    int len = snprintf(to, cap, "%s", text);
    if (len >= 0 && (size_t)len < cap)
        return true;
    fprintf(stderr, "<3>kengd: kengd.conf: %s is too long\n", key);
    return false;
}

static int open_radio(struct daemon *d, size_t side)
{
    struct radio *radio = &d->radios[side];
    const struct profile *p = &d->node.roster.profile;
    const struct settings_modem *s = &d->node.settings.modems[side];
    bool gateway = d->node.settings.gateway;
    struct lora_params lora = settings_lora(s, &p->lora);
    int power_dbm = p->eirp_dbm - s->antenna_gain_dbi + s->cable_loss_db;
    if (power_dbm < INT8_MIN || power_dbm > INT8_MAX || !lora_params_valid(&lora)) {
        fprintf(stderr, "<3>kengd: kengd.conf: %u Hz wide, SF%u, %d dBm at the modem: that cannot"
                " be\n", lora.bw_hz, lora.sf, power_dbm);
        return -1;
    }
    struct radio_config config = {
        .path = s->port, .driver = s->driver, .wires = s->lines,
        .settings = modem_settings_default(&lora, (int8_t)power_dbm),
        .region = region_of(p, lora.freq_hz),
        .use = { .antenna_gain_dbi_x100 = 100 * s->antenna_gain_dbi,
                 .cable_loss_db_x100 = 100 * s->cable_loss_db, .gateway = gateway,
                 .duty_e4 = gateway ? p->duty_gateway_e4 : p->duty_node_e4,
                 .window_s = p->duty_window_s },
    };
    if (!fits(config.settings.options, sizeof config.settings.options, s->options, "options") ||
        !fits(config.settings.amateur_call, sizeof config.settings.amateur_call, s->amateur_call,
              "amateur_call"))
        return -1;
    if (radio_init(radio, &config, now_ms(d)) < 0) {
        fprintf(stderr, "<3>kengd: %s\n", radio->text);
        return -1;
    }
    if (radio->state == RADIO_UNLAWFUL)
        fprintf(stderr, "<3>kengd: %s\n", radio->text);
    radio->real_ports_refused = d->speed != 1;
    return 0;
}

static int open_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on files is a full disk, not a death */
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int start(struct daemon *d, const char *home)
{
    char text[NODE_TEXT_LEN], path[SETTINGS_PATH_LEN + 32];
    d->lock_fd = lock_home(home);
    if (d->lock_fd < 0)
        return -1;
    d->signal_fd = open_signals();
    if (d->signal_fd < 0) {
        fprintf(stderr, "<3>kengd: signalfd: %s\n", strerror(errno));
        return -1;
    }
    if (node_open(&d->node, home, d->speed, now_ms(d), text) < 0) {
        fprintf(stderr, "<3>kengd: %s\n", text);
        return -1;
    }
    for (size_t i = 0; i < d->node.side_count; i++)
        if (open_radio(d, i) < 0)
            return -1;
    if (d->node.settings.socket[0])
        snprintf(path, sizeof path, "%s", d->node.settings.socket);
    else
        snprintf(path, sizeof path, "%s/kengd.sock", home);
    if (server_open(&d->server, path, &d->node, d->radios, text) < 0) {
        fprintf(stderr, "<3>kengd: %s: %s\n", path, text);
        return -1;
    }
    return 0;
}

static int parse(int argc, char **argv, const char **home, unsigned *speed)
{
    static const struct option options[] = {
        { "home", required_argument, NULL, 'H' }, { "speed", required_argument, NULL, 's' },
        { "version", no_argument, NULL, 'V' },    { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        char *end;
        long value;
        switch (option) {
        case 'H':
            *home = optarg;
            break;
        case 's':
            value = strtol(optarg, &end, 10);
            if (*end || end == optarg || value < 1 || value > SPEED_MAX) {
                fprintf(stderr, "kengd: --speed takes a whole number from 1 to %d, not \"%s\"\n",
                        SPEED_MAX, optarg);
                return EXIT_USAGE;
            }
            *speed = (unsigned)value;
            break;
        case 'V':
            printf("kengd, protocol %d\n", KENG_PROTOCOL_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            fputs(USAGE, stdout);
            return EXIT_SUCCESS;
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "kengd: what is \"%s\"? See kengd --help\n", argv[optind]);
        return EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv)
{
    static struct daemon d;
    const char *home = getenv("KENG_HOME") ? getenv("KENG_HOME") : DEFAULT_HOME;
    d.speed = 1;
    d.lock_fd = d.signal_fd = d.server.fd = -1;
    d.node.numbers.fd = -1;
    int status = parse(argc, argv, &home, &d.speed);
    if (status >= 0)
        return status;
    setvbuf(stderr, NULL, _IOLBF, 0);
    umask(0077);
    mallopt(M_ARENA_MAX, 1);
    /* Secret keys live in this process: no core dump of it. */
    if (sodium_init() < 0 || setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }) < 0) {
        fprintf(stderr, "<3>kengd: cannot set up a safe process\n");
        return EXIT_FAILURE;
    }
    if (strlen(home) >= SETTINGS_PATH_LEN) {
        fprintf(stderr, "kengd: --home is too long\n");
        return EXIT_USAGE;
    }
    status = EXIT_FAILURE;
    if (start(&d, home) == 0) {
        fprintf(stderr, "<6>kengd: node %u of %s: %lld records, waiting on %s\n",
                d.node.settings.node, d.node.roster.profile.name,
                (long long)store_record_count(d.node.store), d.server.path);
        int ended_by = run(&d);
        fprintf(stderr, "<6>kengd: ended by signal %d, everything accepted is on disk\n", ended_by);
        status = EXIT_SUCCESS;
        server_close(&d.server);
        for (size_t i = 0; i < d.node.side_count; i++)
            radio_close(&d.radios[i], now_ms(&d));
    }
    node_close(&d.node);
    return status;
}
