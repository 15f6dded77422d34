#include "proto/roster.h"

#include <stdlib.h>
#include <string.h>

#include "proto/sign.h"

void roster_init(struct roster *r, const uint8_t root_key[static KENG_KEY_LEN])
{
    *r = (struct roster){ .authors = NULL };
    memcpy(r->root_key, root_key, KENG_KEY_LEN);
    network_id_of_root(root_key, r->network_id);
}

void roster_free(struct roster *r)
{
    free(r->authors);
    *r = (struct roster){ .authors = NULL };
}

/* Index of the first author whose number is not below this one. */
static size_t lower_bound(const struct roster *r, uint16_t number)
{
    size_t low = 0, high = r->author_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (r->authors[middle].entry.number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct roster_author *roster_find(const struct roster *r, uint16_t number)
{
    size_t at = lower_bound(r, number);

    if (at == r->author_count || r->authors[at].entry.number != number)
        return NULL;
    return &r->authors[at];
}

const uint8_t *roster_key(const struct roster *r, uint16_t number)
{
    if (number == AUTHOR_ROOT)
        return r->root_key;
    const struct roster_author *author = roster_find(r, number);
    return author == NULL ? NULL : author->entry.key;
}

/* May this author (NULL: the root) write this kind?  A kind that this version does not know is let
 * through: whoever refused it would leave a gap in the log and hold up all that comes after. */
static bool may_write(const struct roster_author *author, uint8_t kind)
{
    bool is_root = author == NULL;
    bool is_gateway = !is_root && author->entry.role == ROSTER_GATEWAY;
    bool is_operator = !is_root && author->entry.role == ROSTER_OPERATOR;

    if (kind == RECORD_ROSTER || kind == RECORD_PROFILE || kind == RECORD_UNIT)
        return is_root;
    if (kind == RECORD_REVIEW || kind == RECORD_SIGNOFF)
        return is_gateway || is_operator;
    if (kind == RECORD_DIRECTIVE)
        return is_gateway || is_operator || is_root;
    if (record_is_ack(kind))
        return is_gateway;
    if (record_is_report(kind))
        return !is_root;
    return true;
}

/* Lane 0 has a last good number.  The other lanes hold only a newest record, whose number says
 * nothing about when it was written, so that a revoked author's no longer count at all. */
static bool is_revoked(const struct roster *r, const struct roster_author *author,
                       const struct record_ref *ref)
{
    uint32_t after = author == NULL ? r->root_revoked_after : author->entry.revoked_after;

    return after != 0 && (ref->lane != 0 || ref->seq >= after);
}

int roster_verify(const struct roster *r, const uint8_t *bytes, size_t len,
                  struct record_view *view_out)
{
    if (record_decode(bytes, len, view_out) != RECORD_OK)
        return ROSTER_EFORM;
    uint16_t number = view_out->ref.author;
    const struct roster_author *author = roster_find(r, number);
    if (author == NULL && number != AUTHOR_ROOT)
        return ROSTER_EUNKNOWN;
    if (!record_verify(view_out, r->network_id, author == NULL ? r->root_key : author->entry.key))
        return ROSTER_ESIG;
    if (is_revoked(r, author, &view_out->ref))
        return ROSTER_EREVOKED;
    if (!may_write(author, view_out->kind))
        return ROSTER_EROLE;
    return ROSTER_VALID;
}

/* The heap table: author_cap authors, and behind them room for as many roster entries of the root's
 * log, in order of number; entry_seq 0 ends them.  All entries are kept, those that lost included,
 * because one that is heard late may change which of the others hold. */
static struct roster_author *entry_log(const struct roster *r)
{
    return r->authors == NULL ? NULL : r->authors + r->author_cap;
}

static size_t entry_log_count(const struct roster *r)
{
    const struct roster_author *log = entry_log(r);
    size_t count = 0;

    while (count < r->author_cap && log[count].entry_seq != 0)
        count++;
    return count;
}

static int grow(struct roster *r)
{
    size_t cap = r->author_cap == 0 ? 16 : 2 * r->author_cap;
    struct roster_author *authors = calloc(2 * cap, sizeof authors[0]);

    if (authors == NULL)
        return ROSTER_ENOMEM;
    if (r->author_cap > 0) {
        memcpy(authors, r->authors, r->author_count * sizeof authors[0]);
        memcpy(authors + cap, entry_log(r), r->author_cap * sizeof authors[0]);
    }
    free(r->authors);
    r->authors = authors;
    r->author_cap = cap;
    return ROSTER_VALID;
}

/* Is this key already another number's? */
static bool key_elsewhere(const struct roster *r, const struct roster_entry *entry)
{
    for (size_t i = 0; i < r->author_count; i++) {
        if (memcmp(r->authors[i].entry.key, entry->key, KENG_KEY_LEN) == 0)
            return r->authors[i].entry.number != entry->number;
    }
    return false;
}

/* Takes the root's next entry, in order of its log: what first bound a number to a key holds, and
 * among entries with that number and key the newest.  There is room for it. */
static int take_entry(struct roster *r, const struct roster_author *new)
{
    size_t at = lower_bound(r, new->entry.number);
    bool known = at < r->author_count && r->authors[at].entry.number == new->entry.number;

    if (key_elsewhere(r, &new->entry) ||
        (known && memcmp(r->authors[at].entry.key, new->entry.key, KENG_KEY_LEN) != 0))
        return ROSTER_EBODY;
    if (!known) {
        memmove(&r->authors[at + 1], &r->authors[at],
                (r->author_count - at) * sizeof r->authors[0]);
        r->author_count++;
    }
    r->authors[at] = *new;
    return ROSTER_VALID;
}

static int apply_entry(struct roster *r, const struct record_view *view)
{
    struct roster_author new = { .entry_seq = view->ref.seq };
    size_t count = entry_log_count(r), at = count;
    int verdict = ROSTER_VALID;

    if (roster_entry_decode(view->body, view->body_len, &new.entry) != REPORT_OK ||
        memcmp(new.entry.key, r->root_key, KENG_KEY_LEN) == 0)
        return ROSTER_EBODY;
    while (at > 0 && entry_log(r)[at - 1].entry_seq > new.entry_seq)
        at--;
    if (at > 0 && entry_log(r)[at - 1].entry_seq == new.entry_seq)
        return ROSTER_VALID; /* heard before */
    if (count == r->author_cap && grow(r) != ROSTER_VALID)
        return ROSTER_ENOMEM;

    struct roster_author *log = entry_log(r);
    memmove(&log[at + 1], &log[at], (count - at) * sizeof log[0]);
    log[at] = new;
    if (at == count)
        return take_entry(r, &new);
    r->author_count = 0;
    for (size_t i = 0; i <= count; i++) {
        int taken = take_entry(r, &log[i]);
        if (i == at)
            verdict = taken;
    }
    return verdict;
}

static int apply_profile(struct roster *r, const struct record_view *view)
{
    struct profile profile;

    if (profile_decode(view->body, view->body_len, &profile) != REPORT_OK)
        return ROSTER_EBODY;
    if (view->ref.seq > r->profile_seq) {
        r->profile = profile;
        r->profile_seq = view->ref.seq;
    }
    return ROSTER_VALID;
}

int roster_apply(struct roster *r, const struct record_view *view)
{
    bool is_entry = view->kind == RECORD_ROSTER;

    if (view->ref.author != AUTHOR_ROOT || (!is_entry && view->kind != RECORD_PROFILE))
        return ROSTER_VALID;
    if (view->encrypted) /* what everybody must know to verify cannot be a secret */
        return ROSTER_EBODY;
    return is_entry ? apply_entry(r, view) : apply_profile(r, view);
}

const char *roster_strerror(int verdict)
{
    switch ((enum roster_verdict)verdict) {
    case ROSTER_VALID:
        return "valid";
    case ROSTER_EFORM:
        return "not a record";
    case ROSTER_EUNKNOWN:
        return "author is not in the roster";
    case ROSTER_ESIG:
        return "signature is not the author's";
    case ROSTER_EREVOKED:
        return "author was revoked before this record";
    case ROSTER_EROLE:
        return "author's role may not write this kind";
    case ROSTER_EBODY:
        return "roster or profile cannot be read, or a key is enrolled twice";
    case ROSTER_ENOMEM:
        return "out of memory";
    }
    return "unknown verdict";
}
