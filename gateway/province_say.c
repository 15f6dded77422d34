#include "gateway/province_say.h"

#include <stdio.h>

enum { WORDS_LEN = 4096 };

void province_say_args(enum language language, enum lang_text text, const struct lang_arg *args,
                       size_t count)
{
    char words[WORDS_LEN];
    printf("%s", lang_fill_args(language, text, args, count, words, sizeof words));
}

int province_complain_as_told(int status, const char *words)
{
    fflush(stdout); /* in the order in which it was said, where both go to one file */
    fprintf(stderr, "keng-province: %s\n", words);
    return status;
}

int province_complain_args(enum language language, int status, enum lang_text text,
                           const struct lang_arg *args, size_t count)
{
    char words[WORDS_LEN];
    return province_complain_as_told(status, lang_fill_args(language, text, args, count, words,
                                                            sizeof words));
}

int province_complain(enum language language, int status, enum lang_text text)
{
    return province_complain_args(language, status, text, NULL, 0);
}
