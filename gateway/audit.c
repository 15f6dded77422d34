#include "gateway/audit.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/strbuf.h"

enum {
    SIG_HEX_LEN = 2 * KENG_SIG_LEN,
    LINE_LEN_MAX = 1024,
    FILE_LEN_MAX = 256 << 20,
};

static const uint8_t DOMAIN[] = "keng audit v1"; /* with its NUL */

/* The key of a gateway that serves no node: made at first use. */
static int own_key(const char *dir, struct home_identity *identity_out,
                   char err[static AUDIT_ERR_LEN])
{
    char path[AUDIT_PATH_LEN], line[SIG_HEX_LEN + 2] = "", why[HOME_ERR_LEN];
    struct home_identity id = { .number = AUTHOR_NONE };
    snprintf(path, sizeof path, "%.4000s/audit.key", dir);
    if (access(path, F_OK) != 0) {
        crypto_sign_keypair(id.public_key, id.secret_key);
        if (home_write_secret(path, id.secret_key, sizeof id.secret_key, why) != 0) {
            snprintf(err, AUDIT_ERR_LEN, "%s", why);
            return -1;
        }
    }
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, sizeof line, file);
    if (file)
        fclose(file);
    line[strcspn(line, "\n")] = '\0';
    bool good = read && strbuf_parse_hex(line, id.secret_key, sizeof id.secret_key);
    sodium_memzero(line, sizeof line);
    if (!good) {
        snprintf(err, AUDIT_ERR_LEN, "%.200s: this is no key", path);
        return -1;
    }
    crypto_sign_ed25519_sk_to_pk(id.public_key, id.secret_key);
    *identity_out = id;
    return 0;
}

int audit_open(struct audit *a, const char *dir, const struct home_identity *identity,
               char err[static AUDIT_ERR_LEN])
{
    *a = (struct audit){ .path = "" };
    snprintf(a->path, sizeof a->path, "%.4000s/audit.log", dir);
    if (identity) {
        a->identity = *identity;
        return 0;
    }
    return own_key(dir, &a->identity, err);
}

void audit_close(struct audit *a)
{
    sodium_memzero(&a->identity, sizeof a->identity);
}

/* What a signature covers, hashed into state so far. */
static void cover(crypto_sign_state *state, const uint8_t before[static KENG_SIG_LEN],
                  const char *text, size_t len)
{
    crypto_sign_init(state);
    crypto_sign_update(state, DOMAIN, sizeof DOMAIN);
    crypto_sign_update(state, before, KENG_SIG_LEN);
    crypto_sign_update(state, (const uint8_t *)text, len);
}

/* ---- reading ------------------------------------------------------------------------------ */

static int hex_value(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Undoes strbuf_put_url(). */
static void decode_object(const char *text, char object_out[static AUDIT_OBJECT_LEN])
{
    size_t len = 0;
    while (*text && len < AUDIT_OBJECT_LEN - 1) {
        int high = text[0] == '%' ? hex_value(text[1]) : -1;
        int low = high >= 0 ? hex_value(text[2]) : -1;
        char c = *text;
        if (low >= 0)
            c = (char)(high << 4 | low);
        object_out[len++] = c;
        text += low >= 0 ? 3 : 1;
    }
    object_out[len] = '\0';
}

/* One line without its newline: the fields, the signature, and how much of it is signed. */
static bool parse_line(const char *line, size_t len, struct audit_entry *entry_out,
                       uint8_t sig_out[static KENG_SIG_LEN], size_t *signed_len_out)
{
    char text[LINE_LEN_MAX], object[3 * AUDIT_OBJECT_LEN + 1], sig[SIG_HEX_LEN + 1];
    struct audit_entry e = { .number = 0 };
    if (len >= sizeof text)
        return false;
    memcpy(text, line, len);
    text[len] = '\0';
    if (sscanf(text, "%" SCNd64 " %" SCNd64 " %" SCNu16 " %" SCNu32 " %23s %600s %128s", &e.number,
               &e.unix_ms, &e.author, &e.by, e.action, object, sig) != 7 ||
        !strbuf_parse_hex(sig, sig_out, KENG_SIG_LEN) || len < SIG_HEX_LEN + 1)
        return false;
    decode_object(strcmp(object, "-") == 0 ? "" : object, e.object);
    *signed_len_out = len - SIG_HEX_LEN - 1;
    *entry_out = e;
    return true;
}

/* The last len_max bytes of the file, from the start of a line on, on the heap; NULL on error. */
static char *read_tail(int fd, size_t len_max, size_t *len_out)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (len_max == 0 && st.st_size > FILE_LEN_MAX))
        return NULL;
    size_t size = (size_t)st.st_size, want = len_max && size > len_max ? len_max : size;
    char *text = malloc(want + 1);
    size_t got = 0;
    while (text && got < want) {
        ssize_t n = pread(fd, text + got, want - got, (off_t)(size - want + got));
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (!text || got < want) {
        free(text);
        return NULL;
    }
    char *start = want < size ? memchr(text, '\n', got) : NULL;
    size_t skipped = want < size ? (start ? (size_t)(start - text) + 1 : got) : 0;
    memmove(text, text + skipped, got - skipped);
    *len_out = got - skipped;
    text[*len_out] = '\0';
    return text;
}

struct walk {
    uint8_t before[KENG_SIG_LEN]; /* signature of the line before */
    int64_t number;               /* of the line before; 0: there is none */
};

/* Does this line follow on the one before, and is it signed? */
static bool check_line(struct walk *w, const char *line, size_t len, audit_key_fn key_of,
                       void *key_ctx, struct audit_entry *entry_out)
{
    uint8_t sig[KENG_SIG_LEN];
    size_t signed_len;
    crypto_sign_state state;
    if (!parse_line(line, len, entry_out, sig, &signed_len))
        return false;
    const uint8_t *key = key_of(key_ctx, entry_out->author);
    cover(&state, w->before, line, signed_len);
    bool good = key && entry_out->number == w->number + 1 &&
                crypto_sign_final_verify(&state, sig, key) == 0;
    memcpy(w->before, sig, sizeof sig);
    w->number = entry_out->number;
    return good;
}

int audit_read(const struct audit *a, size_t tail_len, audit_key_fn key_of, void *key_ctx,
               audit_entry_fn fn, void *ctx, size_t *bad_count_out, char err[static AUDIT_ERR_LEN])
{
    size_t len = 0;
    struct walk w = { .number = 0 };
    *bad_count_out = 0;
    int fd = open(a->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    struct stat st = { .st_size = 0 };
    char *text = fd >= 0 && fstat(fd, &st) == 0 ? read_tail(fd, tail_len, &len) : NULL;
    if (fd >= 0)
        close(fd);
    if (!text) {
        snprintf(err, AUDIT_ERR_LEN, "%.200s: cannot be read", a->path);
        return -1;
    }
    /* Of a tail the first line only tells what the second follows on. */
    bool cut = len < (size_t)st.st_size;
    for (char *line = text; *line;) {
        size_t line_len = strcspn(line, "\n");
        struct audit_entry entry = { .number = w.number + 1, .action = "unreadable" };
        bool whole = line[line_len] == '\n';
        entry.good = check_line(&w, line, line_len, key_of, key_ctx, &entry);
        if (whole && !cut) {
            *bad_count_out += !entry.good;
            fn(ctx, &entry);
        }
        cut = false;
        line += line_len + whole;
    }
    free(text);
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Where the next line begins, and what it follows on. */
static int find_end(int fd, struct walk *w, off_t *end_out)
{
    size_t len;
    struct stat st;
    struct audit_entry entry;
    size_t signed_len;
    char *text = read_tail(fd, 4 * LINE_LEN_MAX, &len);
    if (!text || fstat(fd, &st) != 0) {
        free(text);
        return -1;
    }
    size_t whole = len;
    while (whole > 0 && text[whole - 1] != '\n')
        whole--;
    *end_out = st.st_size - (off_t)(len - whole);
    size_t start = whole > 0 ? whole - 1 : 0;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    /* A last line that makes no sense stays as evidence; what follows it begins anew. */
    if (whole > 0 && parse_line(text + start, whole - 1 - start, &entry, w->before, &signed_len))
        w->number = entry.number;
    free(text);
    return 0;
}

/* A trail that has just been made is there after a power cut only when its directory was synced. */
static int append(const struct audit *a, int fd, struct strbuf *line)
{
    char why[HOME_ERR_LEN];
    struct walk w = { .number = 0 };
    struct strbuf whole = { .text = NULL };
    uint8_t sig[KENG_SIG_LEN];
    crypto_sign_state state;
    off_t end;
    if (find_end(fd, &w, &end) != 0)
        return -1;
    strbuf_putf(&whole, "%" PRId64 " %s", w.number + 1, line->text);
    if (whole.failed)
        return -1;
    cover(&state, w.before, whole.text, whole.len);
    crypto_sign_final_create(&state, sig, NULL, a->identity.secret_key);
    strbuf_put(&whole, " ");
    strbuf_put_hex(&whole, sig, sizeof sig);
    strbuf_put(&whole, "\n");
    bool good = !whole.failed && ftruncate(fd, end) == 0 &&
                pwrite(fd, whole.text, whole.len, end) == (ssize_t)whole.len &&
                fsync(fd) == 0 && (end > 0 || home_sync_parent(a->path, why) == 0);
    strbuf_free(&whole);
    return good ? 0 : -1;
}

int audit_add(const struct audit *a, uint32_t by, const char *action, const char *object,
              int64_t unix_ms, char err[static AUDIT_ERR_LEN])
{
    struct strbuf line = { .text = NULL };
    char cut[AUDIT_OBJECT_LEN];
    snprintf(cut, sizeof cut, "%s", object);
    strbuf_putf(&line, "%" PRId64 " %u %u %.23s ", unix_ms, (unsigned)a->identity.number,
                (unsigned)by, action);
    if (*cut)
        strbuf_put_url(&line, cut);
    else
        strbuf_put(&line, "-");
    int fd = open(a->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int result = -1;
    if (!line.failed && fd >= 0 && flock(fd, LOCK_EX) == 0)
        result = append(a, fd, &line);
    if (result != 0)
        snprintf(err, AUDIT_ERR_LEN, "%.200s: cannot be written: %s", a->path, strerror(errno));
    if (fd >= 0)
        close(fd);
    strbuf_free(&line);
    return result;
}
