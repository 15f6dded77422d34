/* keng-air - emulated LoRa modems on pseudo-terminals that share one air.
 *
 * The main loop, the command line and the control socket's descriptors; see keng_air.h for
 * the rest and keng-air.1 for the user's view.
 */
#include "hw/keng_air.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
    EXIT_USAGE = 2,
    CLIENT_COUNT_MAX = 8,
    CLIENT_LINE_LEN = 512,
    NS_PER_US = 1000,
    US_PER_S = 1000000,
    SPEED_MAX = 1000,
    SEND_WAIT_MS = 200,
};

struct client {
    int fd; /* -1: free */
    size_t len;
    char line[CLIENT_LINE_LEN];
};

struct program {
    struct keng_air ka;
    const char *config_path, *log_path, *control_path;
    double speed;
    uint64_t start_ns;
    int listen_fd;
    struct client clients[CLIENT_COUNT_MAX];
    struct pollfd fds[1 + CLIENT_COUNT_MAX + 3 * KENG_AIR_MODEM_COUNT_MAX];
};

static volatile sig_atomic_t stop_asked;

static void on_signal(int number)
{
    (void)number;
    stop_asked = 1;
}

static const char usage_text[] =
    "usage: keng-air --config FILE [--speed X] [--dir DIR] [--seed N] [--log FILE]\n"
    "                [--control SOCKET]\n"
    "\n"
    "Plays LoRa modems of several kinds that hear each other over one simulated air.\n"
    "Each modem is a serial port DIR/NAME which a node opens like a real one.  Prints\n"
    "'ready' when all ports exist and runs until it is told to end.\n"
    "\n"
    "  --config FILE     which modems there are, who hears whom, what goes wrong (JSON)\n"
    "  --speed X         run X times faster than real time (0.01 to 1000; default 1)\n"
    "  --dir DIR         where the ports appear (default: the current folder)\n"
    "  --seed N          start of the chances drawn; the same seed draws the same (default 1)\n"
    "  --log FILE        write one JSON line for each transmission\n"
    "  --control SOCKET  take orders on a Unix socket, one a line: unplug, replug, reboot,\n"
    "                    brownout, garbage, cutline, hang, slow, stubborn, link, node, loss,\n"
    "                    stats, quit\n"
    "  --help            this text\n"
    "\n"
    "Exit status: 0 fine; 1 a transmission broke the law given in the configuration, or\n"
    "something failed; 2 wrong usage or configuration.\n";

static int wrong_usage(const char *what, const char *value)
{
    (void)fprintf(stderr, "keng-air: %s '%s'; try keng-air --help\n", what, value);
    return EXIT_USAGE;
}

static bool parse_double(const char *word, double min, double max, double *out)
{
    char *end;
    double v = strtod(word, &end);
    if (end == word || *end != '\0' || !(v >= min && v <= max))
        return false;
    *out = v;
    return true;
}

static bool parse_seed(const char *word, uint64_t *out)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(word, &end, 10);
    if (end == word || *end != '\0' || errno != 0 || word[0] == '-')
        return false;
    *out = v;
    return true;
}

/* 0 to go on, 1 after --help, or an exit status. */
static int parse_args(struct program *p, int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "speed", required_argument, NULL, 's' },
        { "dir", required_argument, NULL, 'd' },    { "seed", required_argument, NULL, 'r' },
        { "log", required_argument, NULL, 'l' },    { "control", required_argument, NULL, 'k' },
        { "help", no_argument, NULL, 'h' },         { NULL, 0, NULL, 0 },
    };
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': p->config_path = optarg; break;
        case 'd': p->ka.dir = optarg; break;
        case 'l': p->log_path = optarg; break;
        case 'k': p->control_path = optarg; break;
        case 's':
            if (!parse_double(optarg, 0.01, SPEED_MAX, &p->speed))
                return wrong_usage("--speed takes a number from 0.01 to 1000, not", optarg);
            break;
        case 'r':
            if (!parse_seed(optarg, &p->ka.seed))
                return wrong_usage("--seed takes a whole number, not", optarg);
            break;
        case 'h': (void)fputs(usage_text, stdout); return 1;
        default: (void)fputs("keng-air: try keng-air --help\n", stderr); return EXIT_USAGE;
        }
    }
    if (optind < argc)
        return wrong_usage("unexpected word", argv[optind]);
    if (!p->config_path) {
        (void)fputs("keng-air: --config FILE is needed; try keng-air --help\n", stderr);
        return EXIT_USAGE;
    }
    return 0;
}

/* ---- time -------------------------------------------------------------------------- */

static uint64_t monotonic_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts); /* cannot fail with this clock */
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t virtual_us(const struct program *p)
{
    return (uint64_t)((double)(monotonic_ns() - p->start_ns) * p->speed / NS_PER_US);
}

/* Plays everything due up to now at the virtual moments it falls on. */
static void catch_up(struct program *p)
{
    struct keng_air *ka = &p->ka;
    uint64_t until_us = virtual_us(p);
    uint64_t next_us;
    ka->behind = true;
    while ((next_us = keng_air_next_us(ka)) <= until_us) {
        if (next_us > ka->now_us)
            ka->now_us = next_us;
        keng_air_pump(ka);
        if (keng_air_next_us(ka) <= ka->now_us)
            ka->now_us++; /* a host that writes all the time must not stop the clock */
    }
    if (until_us > ka->now_us)
        ka->now_us = until_us;
    ka->behind = false;
    keng_air_pump(ka);
}

/* ---- control socket ------------------------------------------------------------------ */

static int open_control(struct program *p)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    size_t len = strlen(p->control_path);
    struct stat st;
    if (len >= sizeof addr.sun_path) {
        (void)fprintf(stderr, "keng-air: %s: the path is too long for a socket\n", p->control_path);
        return -1;
    }
    memcpy(addr.sun_path, p->control_path, len + 1);
    /* A socket left by an earlier run is in the way; anything else is not ours to remove. */
    if (lstat(p->control_path, &st) == 0 && S_ISSOCK(st.st_mode) && unlink(p->control_path) < 0)
        goto fail;
    p->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (p->listen_fd < 0 ||
        bind(p->listen_fd, (const struct sockaddr *)&addr, sizeof addr) < 0 ||
        listen(p->listen_fd, CLIENT_COUNT_MAX) < 0)
        goto fail;
    return 0;
fail:
    (void)fprintf(stderr, "keng-air: %s: %s\n", p->control_path, strerror(errno));
    if (p->listen_fd >= 0)
        (void)close(p->listen_fd);
    p->listen_fd = -1; /* whatever is at that path is not ours to remove */
    return -1;
}

static void drop_client(struct client *c)
{
    (void)close(c->fd); /* the descriptor is gone whatever it returns */
    c->fd = -1;
    c->len = 0;
}

static void accept_client(struct program *p)
{
    int fd = accept4(p->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            perror("keng-air: control");
        return;
    }
    struct timeval wait = { .tv_usec = SEND_WAIT_MS * 1000 };
    struct client *c = NULL;
    for (size_t i = 0; i < CLIENT_COUNT_MAX && !c; i++) {
        if (p->clients[i].fd < 0)
            c = &p->clients[i];
    }
    /* A client that does not read its answers may not stop the air for long. */
    if (!c || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0) {
        (void)fputs("keng-air: control: too many clients\n", stderr);
        (void)close(fd);
        return;
    }
    *c = (struct client){ .fd = fd };
}

static void answer_line(struct program *p, struct client *c, const char *line)
{
    char *text = keng_air_control(&p->ka, line);
    size_t len = text ? strlen(text) : 0;
    bool sent = text && send(c->fd, text, len, MSG_NOSIGNAL) == (ssize_t)len &&
                send(c->fd, "\n", 1, MSG_NOSIGNAL) == 1;
    free(text);
    if (!sent)
        drop_client(c);
}

static void serve_client(struct program *p, struct client *c)
{
    ssize_t n = recv(c->fd, c->line + c->len, sizeof c->line - c->len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop_client(c);
        return;
    }
    c->len += (size_t)n;
    char *end;
    while (c->fd >= 0 && (end = memchr(c->line, '\n', c->len)) != NULL) {
        size_t taken = (size_t)(end - c->line) + 1;
        *end = '\0';
        answer_line(p, c, c->line);
        if (c->fd < 0)
            return;
        c->len -= taken;
        memmove(c->line, c->line + taken, c->len);
    }
    if (c->len == sizeof c->line)
        drop_client(c); /* no command is that long */
}

/* ---- loop ----------------------------------------------------------------------------- */

static nfds_t fill_fds(struct program *p)
{
    nfds_t count = 0;
    p->fds[count++] = (struct pollfd){ .fd = p->listen_fd, .events = POLLIN };
    for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
        p->fds[count++] = (struct pollfd){ .fd = p->clients[i].fd, .events = POLLIN };
    for (uint32_t i = 0; i < p->ka.config.modem_count; i++) {
        const struct keng_air_modem *m = &p->ka.modems[i];
        short events = emu_in_room(&m->emu) > m->in_len ? POLLIN : 0;
        if (m->out_len > 0)
            events |= POLLOUT;
        p->fds[count++] = (struct pollfd){ .fd = m->master_fd, .events = events };
        p->fds[count++] = (struct pollfd){ .fd = m->lines_listen_fd, .events = POLLIN };
        p->fds[count++] = (struct pollfd){ .fd = m->lines_fd, .events = POLLIN };
    }
    return count;
}

static int wait_for_work(struct program *p, const sigset_t *unblocked)
{
    nfds_t count = fill_fds(p);
    uint64_t next_us = keng_air_next_us(&p->ka);
    struct timespec wait = { 0 };
    if (next_us != AIR_NEVER) {
        double real_ns = ceil((double)next_us * NS_PER_US / p->speed);
        uint64_t at_ns = p->start_ns + (uint64_t)real_ns;
        uint64_t now_ns = monotonic_ns();
        uint64_t wait_ns = at_ns > now_ns ? at_ns - now_ns : 0;
        wait.tv_sec = (time_t)(wait_ns / 1000000000u);
        wait.tv_nsec = (long)(wait_ns % 1000000000u);
    }
    int n = ppoll(p->fds, count, next_us == AIR_NEVER ? NULL : &wait, unblocked);
    if (n < 0 && errno != EINTR) {
        perror("keng-air: poll");
        return -1;
    }
    if (n <= 0)
        return 0;
    catch_up(p); /* orders act at the moment they come */
    for (size_t i = 0; i < CLIENT_COUNT_MAX; i++) {
        if (p->clients[i].fd >= 0 && p->fds[1 + i].revents != 0)
            serve_client(p, &p->clients[i]);
    }
    if (p->fds[0].revents != 0)
        accept_client(p);
    return 0;
}

static int run(struct program *p)
{
    sigset_t blocked, unblocked;
    struct sigaction action = { .sa_handler = on_signal };
    (void)sigemptyset(&blocked); /* these four cannot fail with these arguments */
    (void)sigaddset(&blocked, SIGTERM);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigemptyset(&action.sa_mask);
    if (sigprocmask(SIG_BLOCK, &blocked, &unblocked) < 0 || sigaction(SIGTERM, &action, NULL) < 0 ||
        sigaction(SIGINT, &action, NULL) < 0) {
        perror("keng-air: signals");
        return -1;
    }
    (void)sigdelset(&unblocked, SIGTERM);
    (void)sigdelset(&unblocked, SIGINT);
    while (!stop_asked && !p->ka.quit) {
        if (wait_for_work(p, &unblocked) < 0)
            return -1;
        catch_up(p);
    }
    return 0;
}

static int start(struct program *p)
{
    char text[KENG_AIR_TEXT_LEN];
    if (keng_air_config_load(p->config_path, &p->ka.config, text) < 0) {
        (void)fprintf(stderr, "keng-air: %s\n", text);
        return EXIT_USAGE;
    }
    if (p->log_path) {
        p->ka.log = fopen(p->log_path, "we");
        if (!p->ka.log) {
            (void)fprintf(stderr, "keng-air: %s: %s\n", p->log_path, strerror(errno));
            return EXIT_FAILURE;
        }
    }
    p->start_ns = monotonic_ns();
    if (keng_air_start(&p->ka, text) < 0) {
        (void)fprintf(stderr, "keng-air: %s\n", text);
        return EXIT_FAILURE;
    }
    if (p->control_path && open_control(p) < 0)
        return EXIT_FAILURE;
    if (puts("ready") == EOF || fflush(stdout) != 0) {
        perror("keng-air: stdout");
        return EXIT_FAILURE;
    }
    return 0;
}

static int finish(struct program *p)
{
    int status = EXIT_SUCCESS;
    keng_air_print_totals(&p->ka, stdout);
    if (keng_air_violation_count(&p->ka) > 0 || p->ka.log_failed)
        status = EXIT_FAILURE;
    if (fflush(stdout) != 0)
        status = EXIT_FAILURE;
    return status;
}

static void release(struct program *p)
{
    keng_air_stop(&p->ka);
    if (p->ka.log && fclose(p->ka.log) != 0)
        perror("keng-air: log");
    for (size_t i = 0; i < CLIENT_COUNT_MAX; i++) {
        if (p->clients[i].fd >= 0)
            drop_client(&p->clients[i]);
    }
    if (p->listen_fd >= 0) {
        (void)close(p->listen_fd);
        if (unlink(p->control_path) < 0 && errno != ENOENT)
            (void)fprintf(stderr, "keng-air: %s: %s\n", p->control_path, strerror(errno));
    }
}

int main(int argc, char **argv)
{
    static struct program p = { .speed = 1, .listen_fd = -1, .ka = { .dir = ".", .seed = 1 } };
    for (size_t i = 0; i < CLIENT_COUNT_MAX; i++)
        p.clients[i].fd = -1;
    int status = parse_args(&p, argc, argv);
    if (status != 0)
        return status == 1 ? EXIT_SUCCESS : status;
    status = start(&p);
    if (status == 0) {
        status = run(&p) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
        int verdict = finish(&p);
        if (status == EXIT_SUCCESS)
            status = verdict;
    }
    release(&p);
    return status;
}
