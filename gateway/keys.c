#include "gateway/keys.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/lang.h"
#include "node/numbers.h"
#include "proto/sign.h"

enum {
    PATH_LEN_MAX = 4096,
    KEYS_EREFUSED = -200, /* it cannot be written, whenever it is tried */
    KEYS_ENOTED = -201,   /* written, but its number is not noted in the home */
};

void keys_free(struct keys *k)
{
    for (size_t i = 0; i < k->count; i++)
        free(k->list[i].home);
    if (k->list)
        sodium_memzero(k->list, k->cap * sizeof *k->list);
    free(k->list);
    *k = (struct keys){ .list = NULL };
}

/* Copies instead of growing in place, so that no secret stays behind. */
static bool make_room(struct keys *k)
{
    if (k->count < k->cap)
        return true;
    size_t cap = k->cap ? 2 * k->cap : 8;
    struct keys_entry *list = calloc(cap, sizeof *list);
    if (!list)
        return false;
    if (k->list) {
        memcpy(list, k->list, k->count * sizeof *list);
        sodium_memzero(k->list, k->cap * sizeof *list);
    }
    free(k->list);
    k->list = list;
    k->cap = cap;
    return true;
}

int keys_add(struct keys *k, const char *home,
             const uint8_t network_id[static KENG_NETWORK_ID_LEN],
             char err[static BUNDLE_ERR_LEN])
{
    struct home_identity ids[HOME_IDENTITY_COUNT_MAX];
    char why[HOME_ERR_LEN];
    int result = 0, count = home_read_identities(home, ids, why);
    if (count < 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", why);
        return -1;
    }
    for (int i = 0; i < count && result == 0; i++) {
        char *copy = strdup(home);
        if (copy && make_room(k)) {
            struct keys_entry *entry = &k->list[k->count++];
            *entry = (struct keys_entry){ .identity = ids[i], .home = copy };
            memcpy(entry->network_id, network_id, sizeof entry->network_id);
        } else {
            free(copy);
            snprintf(err, BUNDLE_ERR_LEN, "%s", lang_said("out of memory"));
            result = -1;
        }
    }
    sodium_memzero(ids, sizeof ids);
    return result;
}

static int add_home(struct keys *k, struct ledger *l, const char *home, int64_t now_ms,
                    char err[static BUNDLE_ERR_LEN])
{
    char path[PATH_LEN_MAX];
    int64_t commune;
    snprintf(path, sizeof path, "%s/commune.keng", home);
    if (bundle_trust(l, LANG_EN, path, now_ms, &commune, err) != 0)
        return -1;
    const struct ledger_commune *c = ledger_get(l, commune);
    return c ? keys_add(k, home, c->info.network_id, err) : -1;
}

static bool is_home(const char *dir)
{
    char path[PATH_LEN_MAX];
    return snprintf(path, sizeof path, "%s/commune.keng", dir) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

int keys_add_homes(struct keys *k, struct ledger *l, const char *dir, int64_t now_ms,
                   char err[static BUNDLE_ERR_LEN])
{
    char home[PATH_LEN_MAX];
    unsigned count = 0;
    if (is_home(dir))
        return add_home(k, l, dir, now_ms, err);
    DIR *d = opendir(dir);
    if (!d) {
        snprintf(err, BUNDLE_ERR_LEN, "--as %.200s: %s", dir, strerror(errno));
        return -1;
    }
    int result = 0;
    for (const struct dirent *e; result == 0 && (e = readdir(d)) != NULL;) {
        if (e->d_name[0] == '.' ||
            snprintf(home, sizeof home, "%s/%s", dir, e->d_name) >= (int)sizeof home ||
            !is_home(home))
            continue;
        result = add_home(k, l, home, now_ms, err);
        count++;
    }
    closedir(d);
    if (result == 0 && count == 0) {
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("--as %.200s: neither a home nor homes in it; a commune makes one with "
                           "`keng enroll --role operator --out`"), dir);
        result = -1;
    }
    return result;
}

bool keys_may_answer(const struct roster_author *author)
{
    return author && author->entry.revoked_after == 0 &&
           (author->entry.role == ROSTER_GATEWAY || author->entry.role == ROSTER_OPERATOR);
}

const struct keys_entry *keys_find(const struct keys *k, const struct ledger_commune *c)
{
    const struct keys_entry *found = NULL;
    for (size_t i = 0; i < k->count; i++) {
        const struct keys_entry *entry = &k->list[i];
        const struct roster_author *author = roster_find(&c->roster, entry->identity.number);
        if (memcmp(entry->network_id, c->info.network_id, KENG_NETWORK_ID_LEN) != 0 ||
            !keys_may_answer(author) ||
            memcmp(author->entry.key, entry->identity.public_key, KENG_KEY_LEN) != 0)
            continue;
        if (author->entry.role == ROSTER_GATEWAY)
            return entry;
        found = found ? found : entry;
    }
    return found;
}

/* ---- directives and answers ---- */

/* Signs and stores; the number is durable with the record. */
static int store_record(struct ledger *l, struct ledger_commune *c,
                        const struct keys_entry *key, struct record_draft *draft,
                        uint32_t noted, int64_t now_ms, char err[static BUNDLE_ERR_LEN])
{
    uint8_t bytes[RECORD_LEN_MAX];
    uint32_t newest = 0;
    int result = db_record_newest(l->db, c->info.id, draft->ref.author, 0, &newest);
    if (result >= 0 && newest < noted) {
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("this ledger lacks %u-%u, which was written here: it is an older copy; "
                           "wait until the commune's gateway has brought it up again"),
                 (unsigned)draft->ref.author, (unsigned)noted);
        return -1;
    }
    draft->ref.seq = newest + 1;
    int len = record_encode(draft, bytes, sizeof bytes);
    if (result >= 0 && (len < 0 || draft->ref.seq > RECORD_SEQ_MAX)) {
        snprintf(err, BUNDLE_ERR_LEN, "%s",
                 lang_said("the record cannot be written: its log or its text is full"));
        return -1;
    }
    l->via = DB_VIA_UNKNOWN;
    if (result >= 0)
        result = ledger_put(l, c, bytes,
                            record_sign(bytes, (size_t)len, c->info.network_id,
                                        key->identity.secret_key), now_ms);
    if (result < 0 || result == LEDGER_NEW)
        return result;
    snprintf(err, BUNDLE_ERR_LEN, lang_said("the commune's roster does not take it: %s"),
             ledger_verdict_name((enum ledger_verdict)result));
    return -1;
}

static int write_durably(struct ledger *l, struct ledger_commune *c, const struct keys_entry *key,
                         struct record_draft *draft, int64_t outgoing_id, struct numbers *numbers,
                         int64_t now_ms, char err[static BUNDLE_ERR_LEN])
{
    int result = db_begin(l->db);
    if (result == 0)
        result = store_record(l, c, key, draft, numbers_get(numbers, draft->ref.author, 0), now_ms,
                              err);
    if (result == 0 && outgoing_id != 0)
        result = db_outgoing_delete(l->db, outgoing_id);
    if (result == 0)
        result = db_commit(l->db);
    if (result < 0) {
        bool disk = !err[0];
        if (disk)
            snprintf(err, BUNDLE_ERR_LEN, "%s", db_error(l->db));
        db_rollback(l->db);
        return disk ? result : KEYS_EREFUSED;
    }
    if (numbers_put(numbers, draft->ref.author, 0, draft->ref.seq) != 0) {
        snprintf(err, BUNDLE_ERR_LEN,
                 lang_said("%u-%u is written, but %s/numbers does not note it: %s"),
                 (unsigned)draft->ref.author, (unsigned)draft->ref.seq, key->home,
                 strerror(errno));
        return KEYS_ENOTED;
    }
    return 0;
}

static int write_record(const struct keys *k, struct ledger *l, const struct db_outgoing *o,
                        int64_t now_ms, struct record_ref *ref_out,
                        char err[static BUNDLE_ERR_LEN])
{
    struct ledger_commune *c = ledger_get(l, o->commune);
    const struct keys_entry *key = c ? keys_find(k, c) : NULL;
    char path[PATH_LEN_MAX], why[NUMBERS_TEXT_LEN];
    struct numbers numbers;
    err[0] = '\0';
    if (!key) {
        snprintf(err, BUNDLE_ERR_LEN, "%s",
                 lang_said("no key here may speak to that commune: it must enroll one with `keng "
                           "enroll --role operator`, named with --as"));
        return KEYS_EREFUSED;
    }
    struct record_draft draft = {
        .ref = { .author = key->identity.number }, .kind = o->kind, .priority = o->priority,
        .clock_set = true, .created_min = bundle_created_min(now_ms), .body = o->body,
        .body_len = o->body_len,
    };
    snprintf(path, sizeof path, "%s/numbers", key->home);
    if (numbers_open(&numbers, path, why) != 0) {
        snprintf(err, BUNDLE_ERR_LEN, "%s", why);
        return KEYS_EREFUSED;
    }
    int result = write_durably(l, c, key, &draft, o->id, &numbers, now_ms, err);
    numbers_close(&numbers);
    if (result == 0 || result == KEYS_ENOTED)
        *ref_out = draft.ref;
    return result;
}

int keys_write(const struct keys *k, struct ledger *l, const struct db_outgoing *o, int64_t now_ms,
               struct record_ref *ref_out, char err[static BUNDLE_ERR_LEN])
{
    return write_record(k, l, o, now_ms, ref_out, err) == 0 ? 0 : -1;
}

static int write_queue_of(const struct keys *k, struct ledger *l, int64_t commune, int64_t now_ms)
{
    struct db_outgoing_copy next;
    struct record_ref ref;
    char err[BUNDLE_ERR_LEN];
    int result;
    while ((result = db_outgoing_next(l->db, commune, &next)) == 0 && next.outgoing.id != 0) {
        result = write_record(k, l, &next.outgoing, now_ms, &ref, err);
        if (result == KEYS_ENOTED)
            fprintf(stderr, "<4>keng-gateway: %s\n", err);
        else if (result == KEYS_EREFUSED)
            result = db_outgoing_error(l->db, next.outgoing.id, err);
        if (result < 0 && result != KEYS_ENOTED)
            return result;
    }
    return result;
}

int keys_write_queue(const struct keys *k, struct ledger *l, int64_t now_ms)
{
    int result = 0;
    for (size_t i = 0; i < l->commune_count && result >= 0; i++)
        if (keys_find(k, &l->communes[i]))
            result = write_queue_of(k, l, l->communes[i].info.id, now_ms);
    return result;
}
