/* What a browser or an attacker may put into a request: forms, Host, cookies, addresses, and text
 * on its way into a page. */
#include <sys/socket.h>

#include "gateway/access.h"
#include "gateway/http.h"
#include "gateway/strbuf.h"
#include "tests/fuzz/fuzz.h"

static void put_text(const char *text)
{
    struct strbuf html = { .text = NULL }, json = { .text = NULL }, url = { .text = NULL };
    strbuf_put_html(&html, text);
    strbuf_put_json(&json, text);
    strbuf_put_url(&url, text);
    FUZZ_CHECK(!html.failed && !json.failed && !url.failed);
    if (html.text)
        FUZZ_CHECK(html.text[strcspn(html.text, "<>\"'")] == '\0');
    FUZZ_CHECK(json.len >= 2 && json.text[0] == '"' && json.text[json.len - 1] == '"');
    json.text[json.len - 1] = '\0';
    for (const char *c = json.text + 1; *c; c++) {
        FUZZ_CHECK((unsigned char)*c >= 0x20 && *c != '"' && *c != '<' && *c != '>');
        if (*c == '\\')
            FUZZ_CHECK(*++c == 'u');
    }
    if (url.text)
        FUZZ_CHECK(url.text[strspn(url.text, "%-_.0123456789"
                                             "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "abcdefghijklmnopqrstuvwxyz")] == '\0');
    strbuf_free(&html);
    strbuf_free(&json);
    strbuf_free(&url);
}

static void fuzz_http_form(const uint8_t *data, size_t len)
{
    static const char *const names[] = { "gateway.local" };
    struct http_field fields[HTTP_FIELD_COUNT_MAX];
    struct sockaddr_storage address;
    bool loopback;
    char err[HTTP_ERR_LEN], value[16];
    uint8_t bytes[4];
    char *text = malloc(len + 1);
    FUZZ_CHECK(text != NULL);
    if (len > 0)
        memcpy(text, data, len);
    text[len] = '\0';
    put_text(text);
    if (http_parse_listen(text, &address, &loopback, err) != 0)
        FUZZ_CHECK(memchr(err, '\0', sizeof err) != NULL);
    (void)http_host_allowed(text, names, 1);
    if (access_cookie(text, "keng", value, sizeof value))
        FUZZ_CHECK(strlen(value) < sizeof value && !strchr(value, ';'));
    (void)strbuf_parse_hex(text, bytes, sizeof bytes);
    int count = http_parse_form(text, fields, HTTP_FIELD_COUNT_MAX);
    FUZZ_CHECK(count <= HTTP_FIELD_COUNT_MAX);
    for (int i = 0; i < count; i++) {
        FUZZ_CHECK(fields[i].name >= text && fields[i].name <= text + len);
        FUZZ_CHECK(fields[i].value + strlen(fields[i].value) <= text + len);
    }
    free(text);
}

FUZZ_TARGET(fuzz_http_form)
