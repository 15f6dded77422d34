/* province_root.h - `keng-province sign`: the province's root signs which roots speak for which
 * communes, as a data file says (PROTOCOL.md, 4.8).
 *
 * The file is CSV with the columns code,name,from,until,into,root,last_good: the whole list, old
 * units included.  root is 64 hex digits, or a commune.keng beside the file.  last_good is given
 * for a root that was lost or stolen: the last number of its log that is still believed, 0: none.
 * What the list changes is appended to the desk's log; what it no longer names stays as it was.
 *
 * Durable   The desk's commune.keng is replaced as a whole.
 * Errors    The exit status of the program, see province.h; a list with a mistake signs nothing.
 */
#ifndef KENG_GATEWAY_PROVINCE_ROOT_H
#define KENG_GATEWAY_PROVINCE_ROOT_H

#include <stdint.h>

#include "gateway/lang.h"

/* desk: the directory that `keng init` made for the province. */
int province_sign(enum language language, const char *desk, const char *list_path, int64_t now_ms);

#endif
