/* powercut_vfs.h - a file system in memory for SQLite, whose power can be cut at any operation.
 *
 * Written bytes are volatile until xSync of their file; names are volatile until the directory is
 * synced, which happens where SQLite's own Unix files do it: with the first sync of a new journal
 * or log, and with a delete that asks for it.  At the cut every operation fails, and
 * powercut_restore() decides by the seed what the disk kept of each file: nothing of what was not
 * synced, the first part of it, any part of it, all of it; the write that the power left may be
 * torn by sectors, or leave rubbish over the whole sectors it touched.
 *
 * A database opened without psow=0 is told that its neighbourhood in a sector is safe.  It is not.
 *
 * Memory   Heap, released by powercut_end().  One file system at a time; not for threads.
 * Errors   Asserts of the test program.
 */
#ifndef KENG_TESTS_SUPPORT_POWERCUT_VFS_H
#define KENG_TESTS_SUPPORT_POWERCUT_VFS_H

#include <stdbool.h>
#include <stdint.h>

/* Becomes SQLite's default file system, empty. */
void powercut_begin(uint64_t seed);
/* The one before is the default again. */
void powercut_end(void);
/* The power fails at the operation_count-th change to the disk from now on; 0: never. */
void powercut_arm(uint32_t operation_count);
bool powercut_happened(void);
/* The power is back: what the disk kept is all there is. */
void powercut_restore(void);
/* Operations that changed the disk since powercut_begin(). */
uint32_t powercut_operations(void);
/* The disk lies about syncs from now on, so that the test can be seen to notice. */
void powercut_lie(bool lies);

#endif
