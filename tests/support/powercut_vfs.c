#include "tests/support/powercut_vfs.h"

#include <assert.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_COUNT_MAX = 8, NAME_LEN = 64, SECTOR_LEN = 4096, TORN_LEN = 512 };

struct image { uint8_t *bytes; size_t len, cap; };

/* A write, or with bytes NULL a truncation to `at`. */
struct change { struct change *next; uint8_t *bytes; size_t at, len; };

struct disk_file {
    char name[NAME_LEN];
    bool there, there_durably; /* the name */
    struct image now, durable;
    struct change *first, **last;
};

struct open_file {
    sqlite3_file base;
    struct disk_file *disk;
    bool syncs_directory, safe_overwrite;
};

static struct disk_file files[FILE_COUNT_MAX];
static uint64_t rng;
static uint32_t operations, cut_in;
static bool is_cut, lying;
static sqlite3_vfs vfs, *before;

static uint64_t random64(void)
{
    uint64_t z = rng += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool chance(unsigned percent)
{
    return random64() % 100 < percent;
}

/* ---- images ---------------------------------------------------------------------- */

static void resize(struct image *i, size_t len)
{
    if (len > i->cap) {
        size_t cap = len * 2;
        i->bytes = realloc(i->bytes, cap);
        assert(i->bytes);
        i->cap = cap;
    }
    if (len > i->len)
        memset(i->bytes + i->len, 0, len - i->len);
    i->len = len;
}

static void put(struct image *i, size_t at, const uint8_t *bytes, size_t len)
{
    if (at + len > i->len)
        resize(i, at + len);
    memcpy(i->bytes + at, bytes, len);
}

static void apply(struct image *i, const struct change *c)
{
    if (c->bytes)
        put(i, c->at, c->bytes, c->len);
    else
        resize(i, c->at);
}

static void copy(struct image *to, const struct image *from)
{
    to->len = 0;
    resize(to, from->len);
    if (from->len > 0)
        memcpy(to->bytes, from->bytes, from->len);
}

static void forget_changes(struct disk_file *f)
{
    for (struct change *c = f->first, *next; c; c = next) {
        next = c->next;
        free(c->bytes);
        free(c);
    }
    f->first = NULL;
    f->last = &f->first;
}

static void change(struct disk_file *f, const uint8_t *bytes, size_t at, size_t len)
{
    struct change *c = calloc(1, sizeof *c);
    assert(c);
    c->at = at;
    c->len = len;
    if (bytes) {
        c->bytes = malloc(len);
        assert(c->bytes);
        memcpy(c->bytes, bytes, len);
    }
    apply(&f->now, c);
    *f->last = c;
    f->last = &c->next;
}

/* ---- the cut ------------------------------------------------------------------------ */

/* Counts an operation; false when there is no power for it. */
static bool powered(void)
{
    operations++;
    if (!is_cut && cut_in > 0 && --cut_in == 0)
        is_cut = true;
    return !is_cut;
}

/* The write during which the power went: by pieces, or with rubbish all over its sectors. */
static void tear(struct image *i, const struct change *c)
{
    if (!c->bytes)
        return;
    for (size_t at = 0; at < c->len; at += TORN_LEN)
        if (chance(50))
            put(i, c->at + at, c->bytes + at, c->len - at < TORN_LEN ? c->len - at : TORN_LEN);
    if (!chance(40))
        return;
    size_t begin = c->at / SECTOR_LEN * SECTOR_LEN;
    size_t end = (c->at + c->len + SECTOR_LEN - 1) / SECTOR_LEN * SECTOR_LEN;
    for (size_t at = begin; at < end && at < i->len; at++)
        i->bytes[at] = (uint8_t)random64();
}

static void keep_some(struct disk_file *f)
{
    enum { NOTHING, PREFIX, SUBSET, EVERYTHING, WAYS } way = (unsigned)(random64() % WAYS);
    unsigned percent = (unsigned)(random64() % 100);
    for (const struct change *c = f->first; c && way != NOTHING; c = c->next) {
        if (way == EVERYTHING || chance(percent)) {
            apply(&f->durable, c);
        } else {
            if (chance(50))
                tear(&f->durable, c);
            if (way == PREFIX)
                break;
        }
    }
}

void powercut_restore(void)
{
    for (int i = 0; i < FILE_COUNT_MAX; i++) {
        struct disk_file *f = &files[i];
        if (f->there != f->there_durably)
            f->there = f->there_durably = chance(50);
        keep_some(f);
        forget_changes(f);
        if (!f->there)
            resize(&f->durable, 0);
        copy(&f->now, &f->durable);
    }
    is_cut = false;
    cut_in = 0;
}

/* ---- files -------------------------------------------------------------------------- */

static struct disk_file *find(const char *name, bool create)
{
    struct disk_file *unused = NULL;
    for (int i = 0; i < FILE_COUNT_MAX; i++) {
        if (strcmp(files[i].name, name) == 0)
            return files[i].there || create ? &files[i] : NULL;
        if (!unused && files[i].name[0] == '\0')
            unused = &files[i];
    }
    if (!create)
        return NULL;
    assert(unused && strlen(name) < NAME_LEN);
    memcpy(unused->name, name, strlen(name) + 1);
    unused->last = &unused->first;
    return unused;
}

static void sync_directory(void)
{
    for (int i = 0; i < FILE_COUNT_MAX; i++)
        files[i].there_durably = files[i].there;
}

static int file_close(sqlite3_file *file)
{
    (void)file;
    return SQLITE_OK;
}

static int file_read(sqlite3_file *file, void *buf, int len, sqlite3_int64 at)
{
    const struct image *i = &((struct open_file *)(void *)file)->disk->now;
    if (is_cut)
        return SQLITE_IOERR_READ;
    size_t have = (size_t)at < i->len ? i->len - (size_t)at : 0;
    size_t n = have < (size_t)len ? have : (size_t)len;
    if (n > 0)
        memcpy(buf, i->bytes + at, n);
    memset((uint8_t *)buf + n, 0, (size_t)len - n);
    return n == (size_t)len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *file, const void *buf, int len, sqlite3_int64 at)
{
    struct disk_file *f = ((struct open_file *)(void *)file)->disk;
    bool was_cut = is_cut, on = powered();
    if (was_cut)
        return SQLITE_IOERR_WRITE;
    change(f, buf, (size_t)at, (size_t)len); /* the one that the power leaves is torn, or whole */
    return on ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 len)
{
    struct disk_file *f = ((struct open_file *)(void *)file)->disk;
    if (!powered())
        return SQLITE_IOERR_TRUNCATE;
    change(f, NULL, (size_t)len, 0);
    return SQLITE_OK;
}

static int file_sync(sqlite3_file *file, int flags)
{
    struct open_file *o = (struct open_file *)(void *)file;
    (void)flags;
    if (!powered())
        return SQLITE_IOERR_FSYNC;
    if (lying)
        return SQLITE_OK;
    copy(&o->disk->durable, &o->disk->now);
    forget_changes(o->disk);
    if (o->syncs_directory)
        sync_directory();
    o->syncs_directory = false;
    return SQLITE_OK;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *len_out)
{
    *len_out = (sqlite3_int64)((struct open_file *)(void *)file)->disk->now.len;
    return is_cut ? SQLITE_IOERR_FSTAT : SQLITE_OK;
}

static int file_lock(sqlite3_file *file, int level)
{
    (void)file;
    (void)level;
    return SQLITE_OK; /* one process, one handle */
}

static int file_check_lock(sqlite3_file *file, int *held_out)
{
    (void)file;
    *held_out = 0;
    return SQLITE_OK;
}

static int file_control(sqlite3_file *file, int op, void *arg)
{
    (void)file;
    (void)op;
    (void)arg;
    return SQLITE_NOTFOUND;
}

static int file_sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR_LEN;
}

static int file_characteristics(sqlite3_file *file)
{
    const struct open_file *o = (const struct open_file *)(const void *)file;
    return o->safe_overwrite ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static const sqlite3_io_methods methods = {
    .iVersion = 1, .xClose = file_close, .xRead = file_read, .xWrite = file_write,
    .xTruncate = file_truncate, .xSync = file_sync, .xFileSize = file_size, .xLock = file_lock,
    .xUnlock = file_lock, .xCheckReservedLock = file_check_lock, .xFileControl = file_control,
    .xSectorSize = file_sector_size, .xDeviceCharacteristics = file_characteristics,
};

/* ---- the file system ------------------------------------------------------------------- */

static int fs_open(sqlite3_vfs *v, const char *name, sqlite3_file *file, int flags, int *flags_out)
{
    struct open_file *o = (struct open_file *)(void *)file;
    (void)v;
    *o = (struct open_file){ .base = { .pMethods = NULL } };
    if (is_cut || !name)
        return SQLITE_CANTOPEN;
    struct disk_file *f = find(name, (flags & SQLITE_OPEN_CREATE) != 0);
    if (!f)
        return SQLITE_CANTOPEN;
    if (!f->there) {
        if (!powered())
            return SQLITE_CANTOPEN;
        if (f->now.len > 0)
            change(f, NULL, 0, 0);
        f->there = true;
        o->syncs_directory = (flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_WAL)) != 0;
    }
    o->disk = f;
    o->safe_overwrite = sqlite3_uri_boolean(name, "psow", 1) != 0;
    o->base.pMethods = &methods;
    if (flags_out)
        *flags_out = flags;
    return SQLITE_OK;
}

static int fs_delete(sqlite3_vfs *v, const char *name, int sync)
{
    (void)v;
    struct disk_file *f = find(name, false);
    if (!powered())
        return SQLITE_IOERR_DELETE;
    if (!f)
        return SQLITE_IOERR_DELETE_NOENT;
    f->there = false; /* the bytes stay while the name may come back */
    if (sync && !lying)
        sync_directory();
    return SQLITE_OK;
}

static int fs_access(sqlite3_vfs *v, const char *name, int flags, int *yes_out)
{
    (void)v;
    const struct disk_file *f = find(name, false);
    *yes_out = f && (flags != SQLITE_ACCESS_EXISTS || f->now.len > 0);
    return is_cut ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

static int fs_full_name(sqlite3_vfs *v, const char *name, int cap, char *out)
{
    (void)v;
    size_t len = strlen(name);
    if (len >= (size_t)cap)
        return SQLITE_CANTOPEN;
    memcpy(out, name, len + 1);
    return SQLITE_OK;
}

static int fs_randomness(sqlite3_vfs *v, int len, char *out)
{
    (void)v;
    for (int i = 0; i < len; i++)
        out[i] = (char)random64();
    return len;
}

static int fs_sleep(sqlite3_vfs *v, int us)
{
    (void)v;
    return us; /* nobody else could let go of anything meanwhile */
}

static int fs_time(sqlite3_vfs *v, double *julian_days_out)
{
    (void)v;
    *julian_days_out = 2461042.0;
    return SQLITE_OK;
}

static int fs_last_error(sqlite3_vfs *v, int len, char *text)
{
    (void)v;
    (void)len;
    (void)text;
    return 0;
}

void powercut_begin(uint64_t seed)
{
    assert(!before);
    rng = seed;
    operations = cut_in = 0;
    is_cut = lying = false;
    before = sqlite3_vfs_find(NULL);
    vfs = (sqlite3_vfs){
        .iVersion = 1, .szOsFile = sizeof(struct open_file), .mxPathname = NAME_LEN,
        .zName = "powercut", .xOpen = fs_open, .xDelete = fs_delete, .xAccess = fs_access,
        .xFullPathname = fs_full_name, .xRandomness = fs_randomness, .xSleep = fs_sleep,
        .xCurrentTime = fs_time, .xGetLastError = fs_last_error,
    };
    int rc = sqlite3_vfs_register(&vfs, 1);
    assert(rc == SQLITE_OK);
    (void)rc;
}

void powercut_end(void)
{
    sqlite3_vfs_unregister(&vfs);
    sqlite3_vfs_register(before, 1);
    before = NULL;
    for (int i = 0; i < FILE_COUNT_MAX; i++) {
        if (files[i].name[0])
            forget_changes(&files[i]);
        free(files[i].now.bytes);
        free(files[i].durable.bytes);
        files[i] = (struct disk_file){ .there = false };
    }
}

void powercut_arm(uint32_t operation_count)
{
    cut_in = operation_count;
}

bool powercut_happened(void)
{
    return is_cut;
}

uint32_t powercut_operations(void)
{
    return operations;
}

void powercut_lie(bool lies)
{
    lying = lies;
}
