#include "gateway/words.h"

#include <string.h>

#include "proto/catalogue.h"

static const char BLANKS[] = " \t\r\n.,;:!?()\"'/%_\\";

void words_fold(const char *text, struct strbuf *out)
{
    while (*text) {
        char word[CATALOGUE_FOLDED_LEN], folded[CATALOGUE_FOLDED_LEN];
        size_t len;
        text += strspn(text, BLANKS);
        len = strcspn(text, BLANKS);
        /* What is too long for a word of any language is found by its first part. */
        size_t kept = len < sizeof word / 2 ? len : sizeof word / 2 - 1;
        while (kept > 0 && ((unsigned char)text[kept] & 0xc0) == 0x80)
            kept--;
        memcpy(word, text, kept);
        word[kept] = '\0';
        text += len;
        if (kept == 0 || !catalogue_fold(word, folded))
            continue;
        if (out->len > 0 && out->text[out->len - 1] != '\0')
            strbuf_put(out, " ");
        strbuf_put(out, folded);
    }
}
