/* province_import.h - `keng-province import` and `verify`: files in, a line for each, a bar while
 * it lasts.
 *
 * Writes the result to standard output, the bar to standard error when that is a terminal.
 * Errors    The exit status of the program, see province.h.
 */
#ifndef KENG_GATEWAY_PROVINCE_IMPORT_H
#define KENG_GATEWAY_PROVINCE_IMPORT_H

#include "gateway/ledger.h"
#include "gateway/province_say.h"

struct province_import {
    struct ledger *ledger;
    bool verify_only;
    unsigned thread_count;    /* 0: as many as processors */
    const char *verdicts_path; /* everything that was refused, a line each; NULL: the first ones */
    enum language language;
};

/* One file: sections (proto/batch_file.h) or a single batch. */
int province_import_file(const struct province_import *how, const char *path);

#endif
