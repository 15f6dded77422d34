#include "hw/keng_air.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* ---- the radio behind each modem ------------------------------------------------ */

static int radio_start_tx(void *ctx, uint64_t now_us, const uint8_t *frame, size_t len,
                          const struct lora_params *lora, int8_t power_dbm, uint64_t *end_us_out)
{
    struct keng_air_modem *m = ctx;
    int32_t eirp_x100 = (int32_t)lround((power_dbm + m->config->antenna_dbi) * 100);
    int err = air_start_tx(m->owner->air, now_us, m->index, frame, len, lora, eirp_x100,
                           end_us_out);
    if (err != AIR_OK)
        return err;
    m->tx_lora = *lora;
    m->tx_power_dbm = power_dbm;
    return 0;
}

static bool radio_receiving(void *ctx, uint64_t now_us)
{
    struct keng_air_modem *m = ctx;
    return air_busy(m->owner->air, now_us, m->index);
}

static int16_t radio_rssi_dbm(void *ctx, uint64_t now_us)
{
    struct keng_air_modem *m = ctx;
    return air_rssi_dbm(m->owner->air, now_us, m->index);
}

static void radio_tune(void *ctx, uint64_t now_us, const struct lora_params *lora, uint32_t sync)
{
    struct keng_air_modem *m = ctx;
    /* A restart in mid-frame takes the transmitter down too. */
    air_cut_tx(m->owner->air, now_us, m->index);
    int err = air_tune(m->owner->air, now_us, m->index, lora);
    assert(err == AIR_OK); /* the emulator only keeps valid settings */
    (void)err;
    air_set_sync(m->owner->air, now_us, m->index, sync);
}

/* ---- pseudo-terminals ------------------------------------------------------------ */

static int set_raw(int fd)
{
    struct termios tio;
    if (tcgetattr(fd, &tio) < 0)
        return -1;
    cfmakeraw(&tio);
    if (cfsetispeed(&tio, B115200) < 0 || cfsetospeed(&tio, B115200) < 0)
        return -1;
    return tcsetattr(fd, TCSANOW, &tio);
}

/* Puts a link to target at dir/name in one step, over whatever is there. */
static int put_link(const char *target, const char *dir, const char *name)
{
    char path[KENG_AIR_PATH_LEN], temp[KENG_AIR_PATH_LEN];
    int a = snprintf(path, sizeof path, "%s/%s", dir, name);
    int b = snprintf(temp, sizeof temp, "%s/.%s.new", dir, name);
    if (a < 0 || b < 0 || a >= KENG_AIR_PATH_LEN || b >= KENG_AIR_PATH_LEN) {
        errno = ENAMETOOLONG;
        return -1;
    }
    if (unlink(temp) < 0 && errno != ENOENT)
        return -1;
    if (symlink(target, temp) < 0)
        return -1;
    return rename(temp, path);
}

static void remove_link(const struct keng_air *ka, const struct keng_air_modem *m)
{
    char path[KENG_AIR_PATH_LEN];
    int n = snprintf(path, sizeof path, "%s/%s", ka->dir, m->link);
    if (n > 0 && n < KENG_AIR_PATH_LEN && unlink(path) < 0 && errno != ENOENT)
        (void)fprintf(stderr, "keng-air: %s: %s\n", path, strerror(errno));
}

static int open_pty(struct keng_air_modem *m, char path_out[64])
{
    m->master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (m->master_fd < 0)
        return -1;
    /* Raw before anything is written: a cooked line would echo it back to us. */
    if (grantpt(m->master_fd) < 0 || unlockpt(m->master_fd) < 0 || set_raw(m->master_fd) < 0)
        return -1;
    int err = ptsname_r(m->master_fd, path_out, 64);
    if (err != 0) {
        errno = err;
        return -1;
    }
    /* One slave end stays open: without it the master reads EIO between two hosts. */
    m->slave_fd = open(path_out, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return m->slave_fd < 0 ? -1 : 0;
}

static void close_pty(struct keng_air_modem *m)
{
    if (m->slave_fd >= 0)
        (void)close(m->slave_fd); /* the descriptor is gone whatever it returns */
    if (m->master_fd >= 0)
        (void)close(m->master_fd);
    m->slave_fd = m->master_fd = -1;
    m->out_len = m->in_len = 0;
}

int keng_air_plug(struct keng_air *ka, struct keng_air_modem *m, char text[KENG_AIR_TEXT_LEN])
{
    char path[64];
    if (open_pty(m, path) < 0 || keng_air_lines_open(ka, m) < 0 ||
        put_link(path, ka->dir, m->link) < 0) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "%s/%s: %s", ka->dir, m->link, strerror(errno));
        keng_air_lines_close(ka, m);
        close_pty(m);
        return -1;
    }
    air_set_on(ka->air, ka->now_us, m->index, true);
    emu_restart(&m->emu, ka->now_us, false);
    return 0;
}

void keng_air_unplug(struct keng_air *ka, struct keng_air_modem *m)
{
    air_set_on(ka->air, ka->now_us, m->index, false); /* USB was its power as well */
    close_pty(m);
    remove_link(ka, m);
    keng_air_lines_close(ka, m);
}

/* ---- pumping ---------------------------------------------------------------------- */

static const struct { speed_t speed; uint32_t baud; } bauds[] = {
    { B1200, 1200 },   { B2400, 2400 },     { B4800, 4800 },     { B9600, 9600 },
    { B19200, 19200 }, { B38400, 38400 },   { B57600, 57600 },   { B115200, 115200 },
    { B230400, 230400 }, { B460800, 460800 }, { B921600, 921600 },
};

static uint32_t host_baud(const struct keng_air_modem *m)
{
    struct termios tio;
    if (tcgetattr(m->master_fd, &tio) < 0)
        return 0;
    speed_t speed = cfgetospeed(&tio);
    for (size_t i = 0; i < sizeof bauds / sizeof bauds[0]; i++) {
        if (bauds[i].speed == speed)
            return bauds[i].baud;
    }
    return 0; /* whatever it is, it is not ours */
}

static void read_in(struct keng_air *ka, struct keng_air_modem *m)
{
    size_t room = emu_in_room(&m->emu);
    if (room <= m->in_len)
        return;
    ssize_t n = read(m->master_fd, m->in + m->in_len, room - m->in_len);
    if (n > 0) {
        m->in_len += (size_t)n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        (void)fprintf(stderr, "keng-air: %s: %s\n", m->config->name, strerror(errno));
        ka->quit = true;
    }
}

/* Bytes are read before the wires are looked at: whatever wires they were written by is known
 * then. */
static void pump_in(struct keng_air *ka, struct keng_air_modem *m)
{
    if (!ka->behind) {
        read_in(ka, m);
        keng_air_lines_take(ka, m);
    }
    if (m->in_len == 0 || keng_air_lines_hold_us(ka, m) > ka->now_us)
        return;
    size_t taken = emu_on_bytes(&m->emu, ka->now_us, m->in, m->in_len);
    assert(taken == m->in_len);
    (void)taken;
    m->in_len = 0;
}

/* True when more was taken from the modem. */
static bool pump_out(struct keng_air *ka, struct keng_air_modem *m)
{
    size_t n = emu_poll_output(&m->emu, ka->now_us, m->out + m->out_len,
                                    sizeof m->out - m->out_len);
    m->out_len += n;
    if (m->out_len == 0)
        return false;
    ssize_t written = write(m->master_fd, m->out, m->out_len);
    if (written > 0) {
        m->out_len -= (size_t)written;
        memmove(m->out, m->out + written, m->out_len);
    }
    /* EAGAIN: the host does not read; the line backs up as it would on USB. */
    return n > 0;
}

static void pump_air(struct keng_air *ka)
{
    struct air_event ev;
    while (air_poll_event(ka->air, ka->now_us, &ev)) {
        if (ev.type == AIR_EV_TX_END) {
            keng_air_report_tx(ka, &ev);
            ka->heard_count = 0;
            continue;
        }
        struct keng_air_modem *m = &ka->modems[ev.receiver];
        if (m->master_fd >= 0)
            emu_on_rx(&m->emu, ka->now_us, ev.frame, ev.len, ev.rssi_dbm, ev.snr_db_x4);
        bool repeated = ka->heard_count > 0 && ka->heard[ka->heard_count - 1] == ev.receiver;
        if (!repeated)
            ka->heard[ka->heard_count++] = ev.receiver;
    }
}

void keng_air_pump(struct keng_air *ka)
{
    pump_air(ka);
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        struct keng_air_modem *m = &ka->modems[i];
        if (m->master_fd < 0)
            continue;
        emu_set_host_baud(&m->emu, host_baud(m));
        pump_in(ka, m);
        do
            emu_run(&m->emu, ka->now_us);
        while (pump_out(ka, m));
        keng_air_lines_tell(m); /* what the firmware did to its outputs */
    }
    if (!ka->behind)
        ka->live_us = ka->now_us;
}

uint64_t keng_air_next_us(const struct keng_air *ka)
{
    uint64_t at_us = air_next_event_us(ka->air);
    for (uint32_t i = 0; i < ka->config.modem_count; i++) {
        const struct keng_air_modem *m = &ka->modems[i];
        if (m->master_fd < 0)
            continue;
        uint64_t next_us = emu_next_us(&m->emu);
        uint64_t out_us = m->out_len == 0 ? emu_output_us(&m->emu) : EMU_NEVER;
        at_us = next_us < at_us ? next_us : at_us;
        uint64_t hold_us = m->in_len > 0 ? keng_air_lines_hold_us(ka, m) : EMU_NEVER;
        at_us = hold_us < at_us ? hold_us : at_us;
        at_us = out_us < at_us ? out_us : at_us;
    }
    return at_us;
}

/* ---- start and stop ----------------------------------------------------------------- */

int keng_air_start(struct keng_air *ka, char text[KENG_AIR_TEXT_LEN])
{
    uint32_t count = ka->config.modem_count;
    ka->config.air.seed = ka->seed;
    size_t len = air_storage_len(&ka->config.air);
    ka->air_storage = malloc(len > 0 ? len : 1);
    ka->modems = calloc(count, sizeof *ka->modems);
    ka->heard = calloc(count, sizeof *ka->heard);
    if (!ka->air_storage || !ka->modems || !ka->heard) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "out of memory");
        return -1;
    }
    int err = air_init(ka->air_storage, len, &ka->config.air, &ka->air);
    if (err != AIR_OK) {
        (void)snprintf(text, KENG_AIR_TEXT_LEN, "%s", air_strerror(err));
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct keng_air_modem *m = &ka->modems[i];
        m->owner = ka;
        m->index = i;
        m->config = &ka->config.modems[i];
        m->master_fd = m->slave_fd = m->lines_listen_fd = m->lines_fd = -1;
        memcpy(m->link, m->config->name, sizeof m->link);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct keng_air_modem *m = &ka->modems[i];
        const struct emu_radio radio = { .ctx = m, .start_tx = radio_start_tx, .tune = radio_tune,
                                         .receiving = radio_receiving,
                                         .rssi_dbm = radio_rssi_dbm };
        emu_init(&m->emu, m->config->model, &radio, m->config->quirks,
                 ka->seed * KENG_AIR_MODEM_COUNT_MAX + i, ka->now_us);
        if (keng_air_plug(ka, m, text) < 0)
            return -1;
    }
    return 0;
}

void keng_air_stop(struct keng_air *ka)
{
    for (uint32_t i = 0; ka->modems && i < ka->config.modem_count; i++) {
        if (ka->modems[i].master_fd >= 0) {
            close_pty(&ka->modems[i]);
            remove_link(ka, &ka->modems[i]);
            keng_air_lines_close(ka, &ka->modems[i]);
        }
        free(ka->modems[i].spans);
    }
    free(ka->modems);
    free(ka->heard);
    free(ka->air_storage);
    keng_air_config_free(&ka->config);
}
