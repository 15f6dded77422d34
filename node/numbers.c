#include "node/numbers.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proto/bytes.h"

enum {
    SLOT_LEN = 512,
    SLOT_COUNT = 2,
    ENTRY_LEN = 8,
    HEAD_LEN = 4 + 4 + 4,
    HASH_LEN = 16,
};

static const uint8_t MAGIC[4] = { 'K', 'N', 'U', 'M' };

_Static_assert(HEAD_LEN + NUMBERS_COUNT_MAX * ENTRY_LEN + HASH_LEN <= SLOT_LEN, "a slot holds all");
_Static_assert(HASH_LEN == crypto_generichash_BYTES_MIN, "shortest BLAKE2b libsodium makes");

static void slot_hash(const uint8_t slot[SLOT_LEN], uint8_t out[HASH_LEN])
{
    crypto_generichash(out, HASH_LEN, slot, SLOT_LEN - HASH_LEN, NULL, 0);
}

static bool decode_slot(const uint8_t slot[SLOT_LEN], struct numbers *out)
{
    uint8_t hash[HASH_LEN];
    slot_hash(slot, hash);
    struct bytes_reader r = bytes_reader(slot, SLOT_LEN - HASH_LEN);
    const uint8_t *magic = read_bytes(&r, sizeof MAGIC);
    if (memcmp(magic, MAGIC, sizeof MAGIC) != 0 ||
        memcmp(hash, slot + SLOT_LEN - HASH_LEN, HASH_LEN) != 0)
        return false;
    out->generation = read_u32(&r);
    out->count = read_u32(&r);
    if (out->count > NUMBERS_COUNT_MAX)
        return false;
    for (size_t i = 0; i < out->count; i++) {
        out->entries[i].author = read_u16(&r);
        out->entries[i].lane = read_u8(&r);
        read_u8(&r);
        out->entries[i].number = read_u32(&r);
    }
    return !r.failed;
}

static void encode_slot(const struct numbers *n, uint8_t slot[SLOT_LEN])
{
    memset(slot, 0, SLOT_LEN);
    struct bytes_writer w = bytes_writer(slot, SLOT_LEN - HASH_LEN);
    write_bytes(&w, MAGIC, sizeof MAGIC);
    write_u32(&w, n->generation);
    write_u32(&w, (uint32_t)n->count);
    for (size_t i = 0; i < n->count; i++) {
        write_u16(&w, n->entries[i].author);
        write_u8(&w, n->entries[i].lane);
        write_u8(&w, 0);
        write_u32(&w, n->entries[i].number);
    }
    slot_hash(slot, slot + SLOT_LEN - HASH_LEN);
}

static int write_slot(const struct numbers *n)
{
    uint8_t slot[SLOT_LEN];
    encode_slot(n, slot);
    off_t at = (off_t)(n->generation % SLOT_COUNT) * SLOT_LEN;
    ssize_t len = pwrite(n->fd, slot, SLOT_LEN, at);
    if (len >= 0 && len < SLOT_LEN)
        errno = ENOSPC; /* a part was taken: the next try would say so */
    return len == SLOT_LEN && fsync(n->fd) == 0 ? 0 : -1;
}

static int sync_folder(const char *path)
{
    char folder[4096];
    size_t len = strlen(path);
    if (len >= sizeof folder)
        return -1;
    memcpy(folder, path, len + 1);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder ? 1 : 0] = '\0';
    int fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    int err = fsync(fd);
    close(fd);
    return err;
}

int numbers_open(struct numbers *n, const char *path, char text[static NUMBERS_TEXT_LEN])
{
    *n = (struct numbers){ .fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) };
    if (n->fd < 0) {
        snprintf(text, NUMBERS_TEXT_LEN, "%s: %s", path, strerror(errno));
        return -1;
    }
    uint8_t slots[SLOT_COUNT * SLOT_LEN] = { 0 };
    ssize_t len = pread(n->fd, slots, sizeof slots, 0);
    bool found = false;
    for (int i = 0; len > 0 && i < SLOT_COUNT; i++) {
        struct numbers read = { .fd = n->fd };
        if (decode_slot(slots + (size_t)i * SLOT_LEN, &read) &&
            (!found || read.generation > n->generation)) {
            *n = read;
            found = true;
        }
    }
    /* One slot may be torn by a power cut; a file that was whole once cannot lose both. */
    if (len < 0 || (len >= (ssize_t)sizeof slots && !found)) {
        snprintf(text, NUMBERS_TEXT_LEN, "%s: both copies are damaged; set it aside only if no"
                 " report was written since the last backup of store.db", path);
        numbers_close(n);
        return -1;
    }
    if (!found && (ftruncate(n->fd, 0) < 0 || write_slot(n) < 0 || sync_folder(path) < 0)) {
        snprintf(text, NUMBERS_TEXT_LEN, "%s: cannot write: %s", path, strerror(errno));
        numbers_close(n);
        return -1;
    }
    return 0;
}

void numbers_close(struct numbers *n)
{
    if (n->fd >= 0)
        close(n->fd);
    n->fd = -1;
}

static struct numbers_entry *find(struct numbers *n, uint16_t author, uint8_t lane)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->entries[i].author == author && n->entries[i].lane == lane)
            return &n->entries[i];
    return NULL;
}

uint32_t numbers_get(const struct numbers *n, uint16_t author, uint8_t lane)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->entries[i].author == author && n->entries[i].lane == lane)
            return n->entries[i].number;
    return 0;
}

int numbers_put(struct numbers *n, uint16_t author, uint8_t lane, uint32_t number)
{
    struct numbers next = *n;
    struct numbers_entry *e = find(&next, author, lane);
    if (!e) {
        if (next.count == NUMBERS_COUNT_MAX) {
            errno = ENOSPC;
            return -1;
        }
        e = &next.entries[next.count++];
    }
    *e = (struct numbers_entry){ .number = number, .author = author, .lane = lane };
    next.generation++;
    if (write_slot(&next) < 0)
        return -1;
    *n = next;
    return 0;
}
