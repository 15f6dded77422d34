#include "node/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/sign.h"

enum {
    PATH_LEN_MAX = 4096,
    KEY_FILE_LEN_MAX = 2 * KENG_SIG_LEN + 2, /* hex digits and one line end */
};

__attribute__((format(printf, 2, 3)))
static int fail(char err[static HOME_ERR_LEN], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(err, HOME_ERR_LEN, format, args);
    va_end(args);
    return -1;
}

static int join_path(char path_out[static PATH_LEN_MAX], const char *dir, const char *name,
                     char err[static HOME_ERR_LEN])
{
    int len = snprintf(path_out, PATH_LEN_MAX, "%s/%s", dir, name);
    if (len < 0 || len >= PATH_LEN_MAX)
        return fail(err, "path is too long: %.80s/...; use a shorter one", dir);
    return 0;
}

int home_sync_parent(const char *path, char err[static HOME_ERR_LEN])
{
    char dir[PATH_LEN_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash == NULL ? 1 : (size_t)(slash - path);

    if (len >= sizeof dir)
        return fail(err, "path is too long: %.80s...", path);
    if (slash == NULL)
        memcpy(dir, ".", 2);
    else
        snprintf(dir, sizeof dir, "%.*s", len == 0 ? 1 : (int)len, path);
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "cannot open directory %.120s: %s", dir, strerror(errno));
    int result = 0;
    if (fsync(fd) != 0)
        result = fail(err, "cannot sync directory %.120s: %s", dir, strerror(errno));
    close(fd);
    return result;
}

/* Writes all of it and makes it durable; closes fd in every case. */
static int write_and_close(int fd, const char *path, const uint8_t *bytes, size_t len,
                           char err[static HOME_ERR_LEN])
{
    int result = 0;

    while (len > 0 && result == 0) {
        ssize_t n = write(fd, bytes, len);
        if (n >= 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (errno != EINTR) {
            result = fail(err, "cannot write %.120s: %s", path, strerror(errno));
        }
    }
    if (result == 0 && fsync(fd) != 0)
        result = fail(err, "cannot sync %.120s: %s", path, strerror(errno));
    if (close(fd) != 0 && result == 0)
        result = fail(err, "cannot close %.120s: %s", path, strerror(errno));
    return result;
}

/* One fixed name: a leftover of an earlier crash is overwritten instead of piling up. */
static int temporary_path(char path_out[static PATH_LEN_MAX], const char *path,
                          char err[static HOME_ERR_LEN])
{
    int len = snprintf(path_out, PATH_LEN_MAX, "%s.new", path);
    return len < 0 || len >= PATH_LEN_MAX ? fail(err, "path is too long: %.80s...", path) : 0;
}

static int open_temporary(const char *path, char temporary_out[static PATH_LEN_MAX],
                          unsigned mode, char err[static HOME_ERR_LEN])
{
    if (temporary_path(temporary_out, path, err) != 0)
        return -1;
    int fd = open(temporary_out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                  (mode_t)mode);
    if (fd < 0)
        return fail(err, "cannot write %.120s: %s", temporary_out, strerror(errno));
    if (fchmod(fd, (mode_t)mode) != 0) { /* the leftover may have had another mode */
        int why = errno;
        close(fd);
        unlink(temporary_out);
        return fail(err, "cannot set the mode of %.120s: %s", temporary_out, strerror(why));
    }
    return fd;
}

static int rename_durably(const char *temporary, const char *path, char err[static HOME_ERR_LEN])
{
    if (rename(temporary, path) != 0) {
        int why = errno;
        unlink(temporary);
        return fail(err, "cannot replace %.120s: %s", path, strerror(why));
    }
    return home_sync_parent(path, err);
}

int home_replace_file(const char *path, const uint8_t *bytes, size_t len, unsigned mode,
                      char err[static HOME_ERR_LEN])
{
    char temporary[PATH_LEN_MAX];
    int fd = open_temporary(path, temporary, mode, err);
    if (fd < 0)
        return -1;
    if (write_and_close(fd, temporary, bytes, len, err) != 0) {
        unlink(temporary);
        return -1;
    }
    return rename_durably(temporary, path, err);
}

FILE *home_replace_begin(const char *path, unsigned mode, char err[static HOME_ERR_LEN])
{
    char temporary[PATH_LEN_MAX];
    int fd = open_temporary(path, temporary, mode, err);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "w");
    if (fd >= 0 && !file) {
        (void)fail(err, "cannot write %.120s: %s", temporary, strerror(errno));
        close(fd);
        unlink(temporary);
    }
    return file;
}

int home_replace_end(FILE *file, const char *path, bool whole, char err[static HOME_ERR_LEN])
{
    char temporary[PATH_LEN_MAX];
    int result = temporary_path(temporary, path, err);
    errno = EIO; /* of a write that failed earlier and does not fail again */
    bool written = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
    int why = errno;
    fclose(file);
    if (result == 0 && whole && written)
        return rename_durably(temporary, path, err);
    if (result == 0)
        unlink(temporary);
    return written ? -1 : fail(err, "cannot write %.120s: %s", path, strerror(why));
}

/* Reads at most cap bytes of a regular file; the length, or -1. */
static ssize_t read_file(int fd, const char *path, uint8_t *buf, size_t cap,
                         char err[static HOME_ERR_LEN])
{
    size_t len = 0;

    while (len < cap) {
        ssize_t n = read(fd, buf + len, cap - len);
        if (n == 0)
            break;
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            return fail(err, "cannot read %.120s: %s", path, strerror(errno));
    }
    return (ssize_t)len;
}

/* Opens a file that only its owner may read. */
static int open_secret(const char *path, char err[static HOME_ERR_LEN])
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return fail(err, "cannot read key %.120s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        return fail(err, "key %.120s is not a file", path);
    }
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        close(fd);
        return fail(err, "key %.100s can be read by others; run: chmod 600 %.100s", path, path);
    }
    return fd;
}

/* Reads exactly len secret bytes as one line of hex. */
static int read_secret_hex(const char *path, uint8_t *secret_out, size_t len,
                           char err[static HOME_ERR_LEN])
{
    uint8_t text[KEY_FILE_LEN_MAX + 1];
    size_t text_len = 2 * len, bin_len = 0;
    int fd = open_secret(path, err);

    if (fd < 0)
        return -1;
    ssize_t got = read_file(fd, path, text, sizeof text, err);
    close(fd);
    int result = got < 0 ? -1 : 0;
    if (result == 0 && !((size_t)got == text_len ||
                         ((size_t)got == text_len + 1 && text[text_len] == '\n')))
        result = fail(err, "key %.120s is not %zu hex digits; copy it again", path, text_len);
    if (result == 0 && (sodium_hex2bin(secret_out, len, (const char *)text, text_len, NULL,
                                       &bin_len, NULL) != 0 || bin_len != len))
        result = fail(err, "key %.120s is not %zu hex digits; copy it again", path, text_len);
    sodium_memzero(text, sizeof text);
    if (result != 0)
        sodium_memzero(secret_out, len);
    return result;
}

int home_read_network_key(const char *dir, uint8_t key_out[static KENG_NETWORK_KEY_LEN],
                          char err[static HOME_ERR_LEN])
{
    char path[PATH_LEN_MAX];

    if (join_path(path, dir, "network.key", err) != 0)
        return -1;
    return read_secret_hex(path, key_out, KENG_NETWORK_KEY_LEN, err);
}

/* rename() that never replaces.  FAT on older kernels cannot promise that; looking first is then
 * the best there is. */
static int rename_new(const char *from, const char *to)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return -1;
    if (access(to, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

int home_write_secret(const char *path, const uint8_t *secret, size_t len,
                      char err[static HOME_ERR_LEN])
{
    char text[KEY_FILE_LEN_MAX], temporary[PATH_LEN_MAX];

    int path_len = snprintf(temporary, sizeof temporary, "%s.new", path);
    if (len > KENG_SIG_LEN || path_len < 0 || path_len >= PATH_LEN_MAX)
        return fail(err, "key or path is too long: %.80s...", path);
    if (access(path, F_OK) == 0)
        return fail(err, "cannot make key %.120s: %s", path, strerror(EEXIST));
    unlink(temporary); /* half a key of an earlier crash: it was never used */
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0)
        return fail(err, "cannot make key %.120s: %s", temporary, strerror(errno));
    sodium_bin2hex(text, sizeof text, secret, len);
    text[2 * len] = '\n';
    int result = write_and_close(fd, temporary, (const uint8_t *)text, 2 * len + 1, err);
    sodium_memzero(text, sizeof text);
    if (result == 0 && rename_new(temporary, path) != 0)
        result = fail(err, "cannot make key %.120s: %s", path, strerror(errno));
    if (result != 0) {
        unlink(temporary);
        return -1;
    }
    return home_sync_parent(path, err);
}

/* "N.key" with N from 1 without leading zeros; anything else is not an identity. */
static bool identity_number(const char *name, uint16_t *number_out)
{
    unsigned long number = 0;
    size_t digits = strspn(name, "0123456789");

    if (digits == 0 || digits > 5 || name[0] == '0' || strcmp(name + digits, ".key") != 0)
        return false;
    for (size_t i = 0; i < digits; i++)
        number = number * 10 + (unsigned long)(name[i] - '0');
    if (number > AUTHOR_MAX)
        return false;
    *number_out = (uint16_t)number;
    return true;
}

int home_read_secret(const char *path, struct home_identity *id_out, char err[static HOME_ERR_LEN])
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;
    struct home_identity id = { .number = AUTHOR_ROOT };
    uint8_t derived[KENG_SIG_LEN];
    int result;

    if (strcmp(name, "root.key") != 0 && !identity_number(name, &id.number))
        return fail(err, "key %.120s is not named NUMBER.key (1 to %d)", path, AUTHOR_MAX);
    result = read_secret_hex(path, id.secret_key, sizeof id.secret_key, err);
    if (result == 0) {
        /* The second half is the public key of the first: a flipped digit shows here. */
        crypto_sign_seed_keypair(id.public_key, derived, id.secret_key);
        if (sodium_memcmp(derived, id.secret_key, sizeof derived) != 0)
            result = fail(err, "key %.120s is damaged; copy it again", path);
    }
    if (result == 0)
        *id_out = id;
    sodium_memzero(derived, sizeof derived);
    sodium_memzero(&id, sizeof id);
    return result;
}

int home_read_identities(const char *dir, struct home_identity out[static HOME_IDENTITY_COUNT_MAX],
                         char err[static HOME_ERR_LEN])
{
    char path[PATH_LEN_MAX], identity_dir[PATH_LEN_MAX];
    uint16_t numbers[HOME_IDENTITY_COUNT_MAX], number;
    int count = 0;

    if (join_path(identity_dir, dir, "identity", err) != 0)
        return -1;
    DIR *d = opendir(identity_dir);
    if (d == NULL)
        return fail(err, "cannot read %.120s: %s", identity_dir, strerror(errno));
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (!identity_number(e->d_name, &number))
            continue;
        if (count == HOME_IDENTITY_COUNT_MAX) {
            closedir(d);
            return fail(err, "more than %d keys in %.120s; move some to another box",
                        HOME_IDENTITY_COUNT_MAX, identity_dir);
        }
        int at = count++;
        for (; at > 0 && numbers[at - 1] > number; at--)
            numbers[at] = numbers[at - 1];
        numbers[at] = number;
    }
    closedir(d);
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "%u.key", numbers[i]);
        if (join_path(path, identity_dir, name, err) != 0 ||
            home_read_secret(path, &out[i], err) != 0) {
            sodium_memzero(out, (size_t)i * sizeof out[0]);
            return -1;
        }
    }
    return count;
}

/* Is every record the root's own and its signature good?  Works on a copy of the reader. */
static int check_commune(struct batch_reader r, const char *path, char err[static HOME_ERR_LEN])
{
    struct record_view view;
    const uint8_t *record;
    size_t len;
    int more;

    if (r.header.source != AUTHOR_ROOT)
        return fail(err, "%.120s was not made by the commune's root; copy it again", path);
    if (batch_verify(&r, r.header.root_key) != BATCH_OK)
        return fail(err, "%.120s is damaged: the root's signature does not hold; copy it again",
                    path);
    while ((more = batch_next(&r, &record, &len)) > 0) {
        if (record_decode(record, len, &view) != RECORD_OK || view.ref.author != AUTHOR_ROOT ||
            !record_verify(&view, r.header.network_id, r.header.root_key))
            return fail(err, "%.120s holds a record that is not the root's; copy it again", path);
    }
    if (more < 0)
        return fail(err, "%.120s is damaged: %s; copy it again", path, batch_strerror(more));
    return 0;
}

int home_read_commune(const char *dir, uint8_t **bytes_out, struct batch_reader *reader_out,
                      char err[static HOME_ERR_LEN])
{
    char path[PATH_LEN_MAX];
    struct batch_reader reader;
    struct stat st;
    uint8_t *bytes = NULL;
    int result = -1;

    if (join_path(path, dir, "commune.keng", err) != 0)
        return -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, "cannot read %.120s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > BATCH_FILE_LEN_MAX) {
        fail(err, "%.120s is not a commune's file", path);
        goto out;
    }
    size_t cap = (size_t)st.st_size + 1; /* one more, so that a file that grows is noticed */
    bytes = malloc(cap);
    if (bytes == NULL) {
        fail(err, "out of memory for %.120s", path);
        goto out;
    }
    ssize_t len = read_file(fd, path, bytes, cap, err);
    if (len < 0)
        goto out;
    int verdict = batch_open(&reader, bytes, (size_t)len);
    if (verdict != BATCH_OK) {
        fail(err, "%.120s is not a commune's file: %s", path, batch_strerror(verdict));
        goto out;
    }
    if (check_commune(reader, path, err) != 0)
        goto out;
    *reader_out = reader;
    *bytes_out = bytes;
    bytes = NULL;
    result = 0;
out:
    close(fd);
    free(bytes);
    return result;
}
