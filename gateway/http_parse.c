/* The parts of http.h that need no server: addresses, Host headers, forms. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "gateway/http.h"

static const char *find_field(const struct http_field *fields, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(fields[i].name, name) == 0)
            return fields[i].value;
    return NULL;
}

const char *http_query(const struct http_request *request, const char *name)
{
    return find_field(request->query, request->query_count, name);
}

const char *http_form(const struct http_request *request, const char *name)
{
    return find_field(request->form, request->form_count, name);
}

/* Splits "host:port" or "[host]:port"; host without brackets. */
static bool split_host(const char *text, char *host, size_t cap, const char **port_out)
{
    const char *start = text, *end;
    *port_out = "";
    if (*text == '[') {
        start = text + 1;
        end = strchr(start, ']');
        if (!end || (end[1] != '\0' && end[1] != ':'))
            return false;
        if (end[1] == ':')
            *port_out = end + 2;
    } else {
        end = strchr(text, ':');
        if (end)
            *port_out = end + 1;
        else
            end = text + strlen(text);
        if (strchr(*port_out, ':'))
            return false;
    }
    size_t len = (size_t)(end - start);
    if (len == 0 || len >= cap)
        return false;
    memcpy(host, start, len);
    host[len] = '\0';
    return true;
}

int http_parse_listen(const char *listen, struct sockaddr_storage *address_out,
                      bool *loopback_out, char err[static HTTP_ERR_LEN])
{
    char host[HTTP_NAME_LEN_MAX];
    const char *port_text;
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    char *end = NULL;
    bool split = split_host(listen, host, sizeof host, &port_text);
    unsigned long port = split && *port_text ? strtoul(port_text, &end, 10) : 65536;
    if (!split || port > 65535 || (end && *end != '\0') || *port_text == '-' ||
        *port_text == '+' || *port_text == ' ')
        goto wrong;
    *address_out = (struct sockaddr_storage){ 0 };
    if (inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
        v4.sin_port = htons((uint16_t)port);
        memcpy(address_out, &v4, sizeof v4);
        *loopback_out = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
        return 0;
    }
    if (inet_pton(AF_INET6, host, &v6.sin6_addr) == 1) {
        v6.sin6_port = htons((uint16_t)port);
        memcpy(address_out, &v6, sizeof v6);
        *loopback_out = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
        return 0;
    }
wrong:
    snprintf(err, HTTP_ERR_LEN, "--listen %s: expected ADDRESS:PORT, for example 127.0.0.1:8080 "
             "or [::1]:8080", listen);
    return -1;
}

bool http_host_allowed(const char *host, const char *const *names, size_t name_count)
{
    char name[256];
    const char *port;
    struct in6_addr scratch;
    if (!split_host(host, name, sizeof name, &port))
        return false;
    if (inet_pton(AF_INET, name, &scratch) == 1 || inet_pton(AF_INET6, name, &scratch) == 1 ||
        strcasecmp(name, "localhost") == 0)
        return true;
    for (size_t i = 0; i < name_count; i++)
        if (strcasecmp(name, names[i]) == 0)
            return true;
    return false;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes %XX and + in place; false for a broken escape or an encoded NUL. */
static bool unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        if (*from == '+') {
            *to++ = ' ';
        } else if (*from == '%') {
            int high = hex_value(from[1]);
            int low = high < 0 ? -1 : hex_value(from[2]);
            if (low < 0 || (high == 0 && low == 0))
                return false;
            *to++ = (char)(high << 4 | low);
            from += 2;
        } else {
            *to++ = *from;
        }
    }
    *to = '\0';
    return true;
}

int http_parse_form(char *text, struct http_field *fields_out, size_t cap)
{
    size_t count = 0;
    while (text && *text) {
        char *next = strchr(text, '&');
        if (next)
            *next++ = '\0';
        char *value = strchr(text, '=');
        if (!value || count == cap)
            return -1;
        *value++ = '\0';
        if (!unescape(text) || !unescape(value))
            return -1;
        fields_out[count++] = (struct http_field){ .name = text, .value = value };
        text = next;
    }
    return (int)count;
}
