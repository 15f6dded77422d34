/* province_say.h - how keng-province speaks: results on standard output, what went wrong on
 * standard error behind the program's name, both in the reader's language.
 *
 * Errors    None here; whether the output went is looked at where the program ends.
 */
#ifndef KENG_GATEWAY_PROVINCE_SAY_H
#define KENG_GATEWAY_PROVINCE_SAY_H

#include "gateway/lang.h"

enum { PROVINCE_EXIT_USAGE = 2, PROVINCE_EXIT_REFUSED = 3 };

#define province_say(language, text, ...)                                                          \
    province_say_args(language, text, LANG_ARGS(__VA_ARGS__))
void province_say_args(enum language language, enum lang_text text, const struct lang_arg *args,
                       size_t count);

/* These return the status. */
int province_complain(enum language language, int status, enum lang_text text);
#define province_complain_of(language, status, text, ...)                                          \
    province_complain_args(language, status, text, LANG_ARGS(__VA_ARGS__))
int province_complain_args(enum language language, int status, enum lang_text text,
                           const struct lang_arg *args, size_t count);
/* What another module has put into words. */
int province_complain_as_told(int status, const char *words);

#endif
