/* templates.h - short texts for directives, from a data file: number,priority,receipt,text.
 *
 * Memory    Fixed.  Errors: 0 or -1 with one line in err.
 */
#ifndef KENG_GATEWAY_TEMPLATES_H
#define KENG_GATEWAY_TEMPLATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEMPLATE_COUNT_MAX = 32, TEMPLATE_TEXT_LEN = 256, TEMPLATE_ERR_LEN = 256 };

struct template_row {
    unsigned number;
    uint8_t priority;
    bool receipt;
    char text[TEMPLATE_TEXT_LEN];
};

struct templates {
    struct template_row list[TEMPLATE_COUNT_MAX];
    size_t count;
};

int templates_load(const char *path, struct templates *templates_out,
                   char err[static TEMPLATE_ERR_LEN]);
const struct template_row *templates_get(const struct templates *t, int64_t number);

#endif
