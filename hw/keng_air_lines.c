#include "hw/keng_air.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* A host waits so long for the mode, and while AUX is low, but not for ever; and so long at least
 * for an answer, before it turns to something else. */
enum { HOLD_US = 40000, BUSY_US_MAX = 1000000, PATIENCE_US = 400000 };

static int socket_path(const struct keng_air *ka, const struct keng_air_modem *m,
                       struct sockaddr_un *addr_out)
{
    *addr_out = (struct sockaddr_un){ .sun_family = AF_UNIX };
    int n = snprintf(addr_out->sun_path, sizeof addr_out->sun_path, "%s/%s.lines", ka->dir,
                     m->link);
    if (n > 0 && (size_t)n < sizeof addr_out->sun_path)
        return 0;
    errno = ENAMETOOLONG;
    return -1;
}

int keng_air_lines_open(struct keng_air *ka, struct keng_air_modem *m)
{
    struct sockaddr_un addr;
    if (m->config->model->lines == 0)
        return 0;
    if (socket_path(ka, m, &addr) < 0 || (unlink(addr.sun_path) < 0 && errno != ENOENT))
        return -1;
    m->lines_listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (m->lines_listen_fd < 0 ||
        bind(m->lines_listen_fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
        return -1;
    return listen(m->lines_listen_fd, 1);
}

static void drop_host(struct keng_air_modem *m)
{
    if (m->lines_fd >= 0)
        (void)close(m->lines_fd); /* the descriptor is gone whatever it returns */
    m->lines_fd = -1;
}

void keng_air_lines_close(struct keng_air *ka, struct keng_air_modem *m)
{
    struct sockaddr_un addr;
    drop_host(m);
    if (m->lines_listen_fd < 0)
        return;
    (void)close(m->lines_listen_fd);
    m->lines_listen_fd = -1;
    if (socket_path(ka, m, &addr) == 0 && unlink(addr.sun_path) < 0 && errno != ENOENT)
        (void)fprintf(stderr, "keng-air: %s: %s\n", addr.sun_path, strerror(errno));
}

static void accept_host(struct keng_air_modem *m)
{
    int fd = accept4(m->lines_listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return; /* nobody there */
    drop_host(m); /* the host that came last holds the wires */
    m->lines_fd = fd;
    m->lines_told = (uint8_t)~m->emu.lines_out;
}

void keng_air_lines_take(struct keng_air *ka, struct keng_air_modem *m)
{
    uint8_t bytes[64];
    if (m->lines_listen_fd < 0)
        return;
    accept_host(m);
    ssize_t n;
    while (m->lines_fd >= 0 && (n = recv(m->lines_fd, bytes, sizeof bytes, 0)) != -1) {
        for (ssize_t i = 0; i < n; i++) {
            if (bytes[i] != m->lines_set)
                m->lines_us = ka->now_us;
            /* What came to light with wires at rest was an order before, which nobody took. */
            if (bytes[i] == 0 && m->lines_set != 0 && ka->now_us > ka->live_us + PATIENCE_US)
                m->in_len = 0;
            m->lines_set = bytes[i];
            emu_set_lines(&m->emu, ka->now_us, bytes[i]);
        }
        if (n == 0)
            drop_host(m); /* the wires stay as they were */
    }
}

uint64_t keng_air_lines_hold_us(const struct keng_air *ka, const struct keng_air_modem *m)
{
    bool busy = (m->emu.model->lines & MODEM_LINE_AUX) && !(m->emu.lines_out & MODEM_LINE_AUX);
    if (ka->now_us < m->lines_us + HOLD_US)
        return m->lines_us + HOLD_US;
    return busy && ka->now_us < m->lines_us + BUSY_US_MAX ? m->lines_us + BUSY_US_MAX : ka->now_us;
}

void keng_air_lines_tell(struct keng_air_modem *m)
{
    if (m->lines_fd < 0 || m->lines_told == m->emu.lines_out)
        return;
    if (send(m->lines_fd, &m->emu.lines_out, 1, MSG_NOSIGNAL) == 1)
        m->lines_told = m->emu.lines_out;
    else if (errno != EAGAIN)
        drop_host(m);
}
