#include "node/keng_text.h"

#include <stdbool.h>
#include <string.h>

static const char *const texts[TEXT_COUNT][KENG_LANG_COUNT] = {
#define KENG_TEXT_ROW(name, vi, en) [TEXT_##name] = { vi, en },
    KENG_TEXTS(KENG_TEXT_ROW)
#undef KENG_TEXT_ROW
};

const char *text_get(enum keng_lang lang, enum keng_text_id id)
{
    return texts[id][lang];
}

/* Drops the beginning of a character whose rest did not fit. */
static size_t cut_utf8(const char *buf, size_t len)
{
    size_t at = len;

    while (at > 0 && ((unsigned char)buf[at - 1] & 0xc0) == 0x80)
        at--;
    if (at == 0)
        return len;
    unsigned char lead = (unsigned char)buf[at - 1];
    size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
    return len - (at - 1) < need ? at - 1 : len;
}

size_t text_fill(const char *template, const char *const *args, char *buf, size_t cap)
{
    size_t len = 0, arg_count = 0;

    while (args != NULL && args[arg_count] != NULL)
        arg_count++;
    for (const char *p = template; *p != '\0';) {
        const char *piece = p;
        size_t piece_len = 1, index = (size_t)(p[0] == '{' ? p[1] - '1' : -1);
        if (index < arg_count && p[2] == '}') {
            piece = args[index];
            piece_len = strlen(piece);
            p += 3;
        } else {
            p++;
        }
        if (len < cap)
            memcpy(buf + len, piece, piece_len < cap - len ? piece_len : cap - len);
        len += piece_len;
    }
    if (cap > 0)
        buf[len < cap ? len : cut_utf8(buf, cap - 1)] = '\0';
    return len;
}

static bool names_vietnamese(const char *value)
{
    for (const char *p = value; p != NULL; p = strchr(p, ':')) {
        if (*p == ':')
            p++;
        if (strncmp(p, "vi", 2) == 0 && (p[2] == '\0' || strchr("_.@:", p[2]) != NULL))
            return true;
    }
    return false;
}

enum keng_lang text_lang_find(const char *(*lookup)(void *ctx, const char *name), void *ctx)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG", "LANGUAGE" };
    const char *own = lookup(ctx, "KENG_LANG");

    if (own != NULL && own[0] != '\0')
        return names_vietnamese(own) ? KENG_VI : KENG_EN;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names_vietnamese(lookup(ctx, names[i])))
            return KENG_VI;
    }
    return KENG_EN;
}
