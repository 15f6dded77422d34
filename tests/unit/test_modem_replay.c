/* Conversations with modems, one file each under seeds/modems/DRIVER/, replayed to the driver
 * byte for byte: what it must write, what it is told, what it must make of it.  Every driver of the
 * table has some.  A file has one of these a line, ended by # and a comment:
 *
 *     set KEY=VALUE …      options of the driver; first of all.  Else as the suites set it
 *     at MS                the time since the port was opened; the driver's deadlines come
 *     > BYTES              the driver writes exactly these (hex pairs and "text" with \r \n \0)
 *     < BYTES              the modem says these
 *     send BYTES           the node hands over a frame
 *     = ready | rx BYTES | rx BYTES rssi N snr_x4 N | sent | failed | unknown | refused
 *       | spent | mismatch | silent | fault
 *                          the next event; nothing else may come before
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/emu.h"

enum { LINE_LEN = 2048, OUT_LEN = 4096, OPEN_MS = 1000 };

static struct modem modem;
static uint64_t now_ms;
static char where[600];
static uint8_t out[OUT_LEN]; /* written by the driver, not yet expected */
static size_t out_len;
static bool is_open;

static void take_output(void)
{
    struct modem_port port;
    size_t n;
    do {
        while ((n = modem_poll_output(&modem, now_ms, out + out_len, sizeof out - out_len)) > 0)
            out_len += n;
    } while (modem_poll_port(&modem, now_ms, &port));
    assert_true(out_len < sizeof out);
}

/* Hex pairs and quoted text up to the end or the first other word, which *at then points to. */
static size_t read_bytes(const char **at, uint8_t *buf, size_t cap)
{
    static const char escapes[] = "rn0\"\\", meant[] = "\r\n\0\"\\";
    const char *p = *at;
    size_t len = 0;
    while (*(p += strspn(p, " ")) && len < cap) {
        if (*p == '"') {
            for (p++; *p && *p != '"' && len < cap; p++) {
                const char *e = *p == '\\' && p[1] ? strchr(escapes, *++p) : NULL;
                buf[len++] = (uint8_t)(e ? meant[e - escapes] : *p);
            }
            assert_int_equal(*p++, '"');
        } else if (isxdigit((unsigned char)p[0]) && isxdigit((unsigned char)p[1]) &&
                   (p[2] == ' ' || p[2] == '\0')) {
            buf[len++] = (uint8_t)strtoul(p, NULL, 16);
            p += 2;
        } else {
            break;
        }
    }
    *at = p;
    return len;
}

static void on_at(const char *word)
{
    uint64_t until_ms = OPEN_MS + strtoull(word, NULL, 10);
    uint64_t deadline_ms;
    assert_true(until_ms >= now_ms);
    while ((deadline_ms = modem_next_deadline(&modem)) <= until_ms) {
        if (deadline_ms > now_ms)
            now_ms = deadline_ms;
        modem_on_time(&modem, now_ms);
        take_output();
        if (modem_next_deadline(&modem) <= now_ms)
            break; /* its events come first: the file expects them before it goes on */
    }
    now_ms = until_ms;
    modem_on_time(&modem, now_ms);
}

static void on_written(const char *words)
{
    uint8_t want[OUT_LEN];
    size_t len = read_bytes(&words, want, sizeof want);
    take_output();
    if (len > out_len || memcmp(out, want, len) != 0) {
        print_message("%s: the driver has written:", where);
        for (size_t i = 0; i < out_len; i++)
            print_message(" %02x", out[i]);
        fail_msg("%s: it does not begin with what is expected", where);
    }
    out_len -= len;
    memmove(out, out + len, out_len);
}

static void on_heard(const char *words)
{
    uint8_t buf[LINE_LEN];
    size_t len = read_bytes(&words, buf, sizeof buf);
    if (len == 0 || *words)
        fail_msg("%s: not bytes: %s", where, words);
    assert_int_equal(modem_on_bytes(&modem, now_ms, buf, len), len);
    take_output();
}

static const char *event_name(const struct modem_event *ev)
{
    static const char *const results[] = { "sent", "failed", "unknown" };
    switch (ev->type) {
    case MODEM_EV_READY: return "ready";
    case MODEM_EV_RX: return "rx";
    case MODEM_EV_TX_DONE: return results[ev->tx_result];
    case MODEM_EV_REFUSED: return "refused";
    case MODEM_EV_SPENT: return "spent";
    case MODEM_EV_MISMATCH: return "mismatch";
    case MODEM_EV_SILENT: return "silent";
    case MODEM_EV_FAULT: return "fault";
    }
    return "?";
}

static void on_expected(const char *words)
{
    struct modem_event ev;
    uint8_t want[MODEM_FRAME_LEN_MAX];
    int rssi_dbm, snr_db_x4;
    size_t name_len = strcspn(words, " ");
    if (!modem_poll_event(&modem, now_ms, &ev))
        fail_msg("%s: nothing has come", where);
    if (strlen(event_name(&ev)) != name_len || memcmp(event_name(&ev), words, name_len) != 0)
        fail_msg("%s: came: %s %s", where, event_name(&ev), ev.text);
    words += name_len;
    if (ev.type == MODEM_EV_RX) {
        size_t len = read_bytes(&words, want, sizeof want);
        if (len != ev.len || memcmp(want, ev.frame, len) != 0)
            fail_msg("%s: another frame, of %u bytes", where, ev.len);
        bool has_signal = sscanf(words, "rssi %d snr_x4 %d", &rssi_dbm, &snr_db_x4) == 2;
        assert_true(has_signal == ev.has_signal);
        if (has_signal && (rssi_dbm != ev.rssi_dbm || snr_db_x4 != ev.snr_db_x4))
            fail_msg("%s: rssi %d snr_x4 %d", where, ev.rssi_dbm, ev.snr_db_x4);
    }
    take_output();
}

static void open_modem(const struct modem_driver *driver, const char *options)
{
    struct modem_settings settings = emu_try_settings(emu_model_find(driver->name));
    char text[MODEM_TEXT_LEN];
    if (options) {
        assert_true(strlen(options) < sizeof settings.options);
        memcpy(settings.options, options, strlen(options) + 1);
    }
    now_ms = OPEN_MS;
    if (modem_init(&modem, driver, &settings, now_ms, text) != MODEM_OK)
        fail_msg("%s: %s", where, text);
    modem_on_open(&modem, now_ms);
    is_open = true;
}

static void on_line(const struct modem_driver *driver, char *line)
{
    uint8_t frame[MODEM_FRAME_LEN_MAX];
    char *end = strchr(line, '#');
    size_t len = end ? (size_t)(end - line) : strcspn(line, "\n");
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    line[len] = '\0';
    const char *words = line + strcspn(line, " ");
    size_t word_len = (size_t)(words - line);
    words += strspn(words, " ");
    if (len == 0)
        return;
    if (word_len == 3 && memcmp(line, "set", 3) == 0) {
        assert_false(is_open);
        open_modem(driver, words);
        return;
    }
    if (!is_open)
        open_modem(driver, NULL);
    if (line[0] == '>')
        on_written(words);
    else if (line[0] == '<')
        on_heard(words);
    else if (line[0] == '=')
        on_expected(words);
    else if (memcmp(line, "at ", 3) == 0)
        on_at(words);
    else if (strncmp(line, "send ", 5) == 0)
        assert_int_equal(modem_send(&modem, now_ms, frame,
                                    read_bytes(&words, frame, sizeof frame)), MODEM_OK);
    else
        fail_msg("%s: cannot be read: %s", where, line);
}

static void replay(const struct modem_driver *driver, const char *path)
{
    char line[LINE_LEN];
    struct modem_event ev;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    is_open = false;
    out_len = 0;
    for (unsigned number = 1; fgets(line, sizeof line, f); number++) {
        snprintf(where, sizeof where, "%s:%u", path, number);
        on_line(driver, line);
    }
    fclose(f);
    assert_true(is_open);
    take_output();
    if (out_len > 0 || modem_poll_event(&modem, now_ms, &ev))
        fail_msg("%s: at the end %zu bytes or an event are left", path, out_len);
}

static void test_modem_replay_of_every_conversation_is_understood(void **state)
{
    const struct modem_driver *driver;
    (void)state;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++) {
        char path[512];
        unsigned count = 0;
        snprintf(path, sizeof path, "seeds/modems/%s", driver->name);
        DIR *dir = opendir(path);
        if (!dir)
            fail_msg("%s is missing", path);
        for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "seeds/modems/%s/%.200s", driver->name, e->d_name);
            replay(driver, path);
            count++;
        }
        closedir(dir);
        assert_true(count > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modem_replay_of_every_conversation_is_understood),
    };
    return cmocka_run_group_tests_name("modem_replay", tests, NULL, NULL);
}
