#include "hw/lines.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/gpio.h>

#include "hw/modem.h"

enum { WORD_LEN = 24, PIN_MAX = 65535 };

__attribute__((format(printf, 3, 4)))
static int fail(char *text, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, LINES_TEXT_LEN, format, args); /* cut when too long */
    va_end(args);
    return err;
}

/* ---- words ------------------------------------------------------------------------ */

static const char *const line_names[LINES_COUNT] = { "m0", "m1", "reset", "aux" };

static const struct { const char *name; unsigned bit; bool input; } signals[] = {
    { "dtr", TIOCM_DTR, false }, { "rts", TIOCM_RTS, false }, { "cts", TIOCM_CTS, true },
    { "dsr", TIOCM_DSR, true },  { "dcd", TIOCM_CD, true },   { "ri", TIOCM_RI, true },
};

static bool find_signal(const char *name, bool input, unsigned *bit_out)
{
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (strcmp(signals[i].name, name) == 0 && signals[i].input == input) {
            *bit_out = signals[i].bit;
            return true;
        }
    }
    return false;
}

static bool find_offset(const char *word, unsigned *offset_out)
{
    char *end;
    unsigned long v = strtoul(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != '\0' || v > PIN_MAX)
        return false;
    *offset_out = (unsigned)v;
    return true;
}

/* "m0=17", "m1=!rts" */
static int take_wire(struct lines *l, const char *word, char *text)
{
    unsigned index = 0;
    const char *value = strchr(word, '=');
    while (index < LINES_COUNT && (!value || strncmp(word, line_names[index],
                                                     (size_t)(value - word)) != 0 ||
                                   line_names[index][value - word] != '\0'))
        index++;
    if (index == LINES_COUNT)
        return fail(text, LINES_EWORDS, "lines: '%s' is no wire; m0, m1, reset and aux are", word);
    uint8_t line = (uint8_t)(1u << index);
    if (l->present & line)
        return fail(text, LINES_EWORDS, "lines: %s is given twice", line_names[index]);
    value++;
    if (*value == '!') {
        l->inverted |= line;
        value++;
    }
    bool ok = l->kind == LINES_PORT ? find_signal(value, line == MODEM_LINE_AUX, &l->pin[index])
                                    : find_offset(value, &l->pin[index]);
    if (!ok)
        return fail(text, LINES_EWORDS, "lines: %s cannot go to '%s'", line_names[index], value);
    l->present |= line;
    return LINES_OK;
}

static int take_wires(struct lines *l, const char *at, char *text)
{
    while (*(at += strspn(at, " "))) {
        char word[WORD_LEN];
        size_t len = strcspn(at, " ");
        if (len >= sizeof word)
            return fail(text, LINES_EWORDS, "lines: '%.*s' is no wire", (int)len, at);
        memcpy(word, at, len);
        word[len] = '\0';
        int err = take_wire(l, word, text);
        if (err != LINES_OK)
            return err;
        at += len;
    }
    if (l->present == 0)
        return fail(text, LINES_EWORDS, "lines: no wire is named");
    return LINES_OK;
}

int lines_parse(const char *words, struct lines *lines_out, char text[LINES_TEXT_LEN])
{
    struct lines l = { .fd = -1 };
    const char *path = strchr(words, ':');
    size_t path_len = 0;
    *lines_out = l;
    if (words[0] == '\0')
        return LINES_OK;
    if (strncmp(words, "gpio:", 5) == 0)
        l.kind = LINES_GPIO;
    else if (strncmp(words, "port:", 5) == 0)
        l.kind = LINES_PORT;
    else if (strncmp(words, "socket:", 7) == 0)
        l.kind = LINES_SOCKET;
    else
        return fail(text, LINES_EWORDS, "lines: must begin with gpio:, port: or socket:");
    path++;
    if (l.kind != LINES_PORT) {
        path_len = l.kind == LINES_GPIO ? strcspn(path, " ") : strlen(path);
        if (path_len == 0 || path_len >= sizeof l.path)
            return fail(text, LINES_EWORDS, "lines: the path is missing or too long");
        memcpy(l.path, path, path_len);
    }
    if (l.kind == LINES_SOCKET) {
        l.present = MODEM_LINES_OUT | MODEM_LINE_AUX; /* the emulated modem ignores others */
    } else {
        int err = take_wires(&l, path + path_len, text);
        if (err != LINES_OK)
            return err;
    }
    *lines_out = l;
    return LINES_OK;
}

/* ---- the three kinds --------------------------------------------------------------- */

static int open_gpio(struct lines *l, char *text)
{
    struct gpio_v2_line_request request = { .consumer = "keng" };
    struct gpio_v2_line_config_attribute *attr = &request.config.attrs[0];
    uint64_t outputs = 0;
    uint64_t low = 0;
    for (unsigned i = 0; i < LINES_COUNT; i++) {
        if (!(l->present >> i & 1))
            continue;
        uint64_t bit = 1ull << request.num_lines;
        request.offsets[request.num_lines++] = l->pin[i];
        outputs |= MODEM_LINES_OUT >> i & 1 ? bit : 0;
        low |= l->inverted >> i & 1 ? bit : 0;
    }
    /* Outputs by the attribute, the one input by the request's own flags. */
    request.config.flags = GPIO_V2_LINE_FLAG_INPUT | GPIO_V2_LINE_FLAG_EDGE_RISING |
                           GPIO_V2_LINE_FLAG_EDGE_FALLING;
    if (outputs != 0) {
        attr->attr.id = GPIO_V2_LINE_ATTR_ID_FLAGS;
        attr->attr.flags = GPIO_V2_LINE_FLAG_OUTPUT;
        attr->mask = outputs;
        request.config.attrs[1].attr.id = GPIO_V2_LINE_ATTR_ID_OUTPUT_VALUES;
        request.config.attrs[1].attr.values = low; /* all unset */
        request.config.attrs[1].mask = outputs;
        request.config.num_attrs = 2;
    }
    int chip = open(l->path, O_RDWR | O_CLOEXEC);
    if (chip < 0)
        return fail(text, LINES_EOPEN, "lines: %s: %s", l->path, strerror(errno));
    int err = ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request);
    int why = errno;
    (void)close(chip); /* the request has a descriptor of its own */
    if (err < 0)
        return fail(text, LINES_EOPEN, "lines: %s: the pins cannot be had: %s", l->path,
                    strerror(why));
    l->fd = request.fd;
    int flags = fcntl(l->fd, F_GETFL);
    if (flags < 0 || fcntl(l->fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail(text, LINES_EOPEN, "lines: %s: %s", l->path, strerror(errno));
    return LINES_OK;
}

static int open_socket(struct lines *l, char *text)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    static_assert(sizeof addr.sun_path >= sizeof l->path, "the path fits");
    memcpy(addr.sun_path, l->path, sizeof l->path);
    l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0 || connect(l->fd, (const struct sockaddr *)&addr, sizeof addr) < 0)
        return fail(text, LINES_EOPEN, "lines: %s: %s", l->path, strerror(errno));
    return LINES_OK;
}

int lines_open(struct lines *lines, int port_fd, char text[LINES_TEXT_LEN])
{
    int signals_now;
    int err = LINES_OK;
    lines->inputs = 0;
    if (lines->kind == LINES_GPIO)
        err = open_gpio(lines, text);
    else if (lines->kind == LINES_SOCKET)
        err = open_socket(lines, text);
    else if (lines->kind == LINES_PORT && ioctl(port_fd, TIOCMGET, &signals_now) < 0)
        err = fail(text, LINES_EOPEN, "lines: this port has no DTR and RTS: %s", strerror(errno));
    if (err != LINES_OK)
        lines_close(lines);
    return err;
}

int lines_fd(const struct lines *lines)
{
    return lines->fd;
}

static int set_gpio(struct lines *l, uint8_t levels)
{
    struct gpio_v2_line_values values = { 0 };
    unsigned at = 0;
    for (unsigned i = 0; i < LINES_COUNT; i++) {
        if (!(l->present >> i & 1))
            continue;
        if (MODEM_LINES_OUT >> i & 1) {
            values.mask |= 1ull << at;
            values.bits |= (uint64_t)(levels >> i & 1) << at;
        }
        at++;
    }
    if (values.mask == 0)
        return LINES_OK;
    return ioctl(l->fd, GPIO_V2_LINE_SET_VALUES_IOCTL, &values) < 0 ? LINES_EGONE : LINES_OK;
}

static int set_port(const struct lines *l, int port_fd, uint8_t levels)
{
    int bits;
    if (ioctl(port_fd, TIOCMGET, &bits) < 0)
        return LINES_EGONE;
    for (unsigned i = 0; i < LINES_COUNT; i++) {
        if (!((l->present & MODEM_LINES_OUT) >> i & 1))
            continue;
        bits &= ~(int)l->pin[i];
        if (levels >> i & 1)
            bits |= (int)l->pin[i];
    }
    return ioctl(port_fd, TIOCMSET, &bits) < 0 ? LINES_EGONE : LINES_OK;
}

int lines_set(struct lines *lines, int port_fd, uint8_t outputs)
{
    uint8_t levels = outputs ^ lines->inverted;
    switch (lines->kind) {
    case LINES_NONE: break;
    case LINES_GPIO: return set_gpio(lines, levels);
    case LINES_PORT: return set_port(lines, port_fd, levels);
    case LINES_SOCKET:
        /* A stream of single bytes to a program that reads: full means that it hangs. */
        return send(lines->fd, &outputs, 1, MSG_NOSIGNAL) == 1 ? LINES_OK : LINES_EGONE;
    }
    return LINES_OK;
}

static int read_gpio(struct lines *l, uint8_t *inputs_out)
{
    struct gpio_v2_line_event events[16];
    struct gpio_v2_line_values values = { 0 };
    ssize_t n;
    unsigned before = 0;
    while ((n = read(l->fd, events, sizeof events)) > 0) {} /* what they tell is read below */
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        return LINES_EGONE;
    for (uint8_t line = 1; line < MODEM_LINE_AUX; line = (uint8_t)(line << 1))
        before += (l->present & line) != 0;
    values.mask = 1ull << before;
    if (ioctl(l->fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
        return LINES_EGONE;
    *inputs_out = values.bits & values.mask ? MODEM_LINE_AUX : 0;
    return LINES_OK;
}

static int read_socket(struct lines *l, uint8_t *inputs_out)
{
    uint8_t bytes[64];
    ssize_t n;
    *inputs_out = l->inputs;
    while ((n = recv(l->fd, bytes, sizeof bytes, 0)) > 0)
        *inputs_out = bytes[n - 1] & MODEM_LINE_AUX;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? LINES_OK : LINES_EGONE;
}

int lines_read(struct lines *lines, int port_fd, uint8_t *inputs_out, bool *changed_out)
{
    int bits;
    int err = LINES_OK;
    uint8_t inputs = 0;
    bool wired = lines->present & MODEM_LINE_AUX;
    if (wired && lines->kind == LINES_GPIO)
        err = read_gpio(lines, &inputs);
    else if (wired && lines->kind == LINES_SOCKET)
        err = read_socket(lines, &inputs);
    else if (wired && lines->kind == LINES_PORT && ioctl(port_fd, TIOCMGET, &bits) < 0)
        err = LINES_EGONE;
    else if (wired && lines->kind == LINES_PORT)
        inputs = bits & (int)lines->pin[LINES_COUNT - 1] ? MODEM_LINE_AUX : 0;
    if (err != LINES_OK)
        return err;
    if (wired && lines->kind != LINES_SOCKET)
        inputs ^= lines->inverted & MODEM_LINE_AUX;
    *changed_out = inputs != lines->inputs;
    *inputs_out = lines->inputs = inputs;
    return LINES_OK;
}

void lines_close(struct lines *lines)
{
    if (lines->fd >= 0)
        (void)close(lines->fd); /* the descriptor is gone whatever it returns */
    lines->fd = -1;
}
