#include "gateway/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/units.h"
#include "gateway/words.h"
#include "proto/batch.h"
#include "proto/corrections.h"
#include "proto/report.h"
#include "proto/sign.h"

static const char *const VERDICT_NAMES[LEDGER_VERDICT_COUNT] = {
    [LEDGER_NEW] = "new",
    [LEDGER_DUPLICATE] = "duplicate",
    [LEDGER_SUPERSEDED] = "superseded",
    [LEDGER_BAD_BODY] = "bad-body",
    [LEDGER_FORK] = "fork",
    [LEDGER_UNKNOWN_AUTHOR] = "unknown-author",
    [LEDGER_BAD_SIGNATURE] = "bad-signature",
    [LEDGER_MALFORMED] = "malformed",
    [LEDGER_REVOKED] = "revoked",
    [LEDGER_BAD_ROLE] = "bad-role",
};

const char *ledger_verdict_name(enum ledger_verdict verdict)
{
    return verdict < LEDGER_VERDICT_COUNT ? VERDICT_NAMES[verdict] : "unknown";
}

enum ledger_verdict ledger_verdict_find(const char *name)
{
    for (int i = 0; i < LEDGER_VERDICT_COUNT; i++)
        if (strcmp(name, VERDICT_NAMES[i]) == 0)
            return (enum ledger_verdict)i;
    return LEDGER_VERDICT_COUNT;
}

bool ledger_verdict_held(enum ledger_verdict verdict)
{
    return verdict <= LEDGER_FORK;
}

/* ---- rosters ---- */

static int apply_root_record(void *ctx, const struct db_record *record)
{
    struct roster *roster = ctx;
    struct record_view view;
    /* Verified again: rows may have been damaged on the disk, and then say nothing. */
    if (record->variant != 0 ||
        roster_verify(roster, record->bytes, record->len, &view) != ROSTER_VALID)
        return 0;
    return roster_apply(roster, &view) == ROSTER_ENOMEM ? DB_ENOMEM : 0;
}

static void forget_rosters(struct ledger *l)
{
    for (size_t i = 0; i < l->commune_count; i++)
        roster_free(&l->communes[i].roster);
    free(l->communes);
    l->communes = NULL;
    l->commune_count = 0;
}

int ledger_read_roster(struct ledger *l, struct ledger_commune *c)
{
    roster_free(&c->roster);
    roster_init(&c->roster, c->info.root_key);
    c->roster.root_revoked_after = c->unit.revoked_after;
    return db_record_root_log(l->db, c->info.id, apply_root_record, &c->roster);
}

static int take_unit(void *ctx, int64_t commune, const struct unit *unit)
{
    struct ledger_commune *c = ledger_get(ctx, commune);
    if (c) {
        c->unit = *unit;
        memcpy(c->unit.root_key, c->info.root_key, KENG_KEY_LEN);
    }
    return 0;
}

/* Two that are not named yet can still be told apart. */
static struct ledger_commune make_commune(const struct db_commune *info)
{
    struct ledger_commune c = { .info = *info };
    const uint8_t *id = info->network_id;
    snprintf(c.nameless, sizeof c.nameless, "? (%02x%02x %02x%02x)", id[0], id[1], id[2], id[3]);
    return c;
}

int ledger_reload(struct ledger *l)
{
    forget_rosters(l);
    struct db_commune *list = calloc(DB_COMMUNE_COUNT_MAX, sizeof *list);
    if (!list)
        return DB_ENOMEM;
    int count = db_commune_list(l->db, list, DB_COMMUNE_COUNT_MAX);
    int result = count < 0 ? count : 0;
    if (count > 0 && !(l->communes = calloc((size_t)count, sizeof *l->communes)))
        result = DB_ENOMEM;
    for (int i = 0; i < count && result == 0; i++)
        l->communes[l->commune_count++] = make_commune(&list[i]);
    free(list);
    if (result == 0)
        result = db_unit_list(l->db, take_unit, l);
    for (size_t i = 0; i < l->commune_count && result == 0; i++) {
        result = units_is_province(l, &l->communes[i]);
        if (result == 0)
            result = ledger_read_roster(l, &l->communes[i]);
    }
    return result;
}

/* One commune's roster again as the disk has it. */
static int reload_commune(struct ledger *l, struct ledger_commune *c)
{
    struct db_commune info;
    int result = db_commune_find(l->db, c->info.network_id, &info);
    if (result < 0)
        return result;
    c->info = info;
    return ledger_read_roster(l, c);
}

void ledger_free(struct ledger *l)
{
    forget_rosters(l);
}

struct ledger_commune *ledger_find(struct ledger *l,
                                   const uint8_t network_id[static KENG_NETWORK_ID_LEN])
{
    for (size_t i = 0; i < l->commune_count; i++)
        if (memcmp(l->communes[i].info.network_id, network_id, KENG_NETWORK_ID_LEN) == 0)
            return &l->communes[i];
    return NULL;
}

struct ledger_commune *ledger_get(struct ledger *l, int64_t commune)
{
    for (size_t i = 0; i < l->commune_count; i++)
        if (l->communes[i].info.id == commune)
            return &l->communes[i];
    return NULL;
}

int ledger_trust(struct ledger *l, const uint8_t root_key[static KENG_KEY_LEN], bool *known_out)
{
    struct db_commune info = { .id = 0 };
    memcpy(info.root_key, root_key, KENG_KEY_LEN);
    network_id_of_root(root_key, info.network_id);
    *known_out = ledger_find(l, info.network_id) != NULL;
    if (*known_out)
        return 0;
    if (l->commune_count >= DB_COMMUNE_COUNT_MAX)
        return DB_ENOMEM;
    struct ledger_commune *grown = realloc(l->communes, (l->commune_count + 1) * sizeof *grown);
    if (!grown)
        return DB_ENOMEM;
    l->communes = grown;
    int result = db_commune_put(l->db, info.network_id, root_key, &info.id);
    if (result < 0)
        return result;
    struct ledger_commune *c = &l->communes[l->commune_count++];
    *c = make_commune(&info);
    roster_init(&c->roster, root_key);
    return 0;
}

/* ---- one record ---- */

struct match {
    const uint8_t *bytes;
    size_t len;
    unsigned count;
    bool same, first; /* first: what is the same is the one that counts */
};

static int compare_variant(void *ctx, const struct db_record *record)
{
    struct match *m = ctx;
    m->count++;
    if (record->len == m->len && memcmp(record->bytes, m->bytes, m->len) == 0) {
        m->same = true;
        m->first = record->variant == 0;
    }
    return 0;
}

/* Fills the columns that can be read from the body.  False: the body cannot be read. */
static bool describe_body(const struct ledger_commune *c, const struct record_view *view,
                          struct db_record *row)
{
    if (view->encrypted)
        return false;
    if (record_is_report(view->kind)) {
        struct report report;
        if (report_decode(view->body, view->body_len, &report) != REPORT_OK)
            return false;
        const struct roster_author *author = roster_find(&c->roster, view->ref.author);
        row->own_village = report.village == 0;
        row->village = report.village;
        if (report.village == 0 && author)
            row->village = author->entry.village;
        row->event = report.event;
        row->drill = report.drill;
    } else if (record_is_ack(view->kind)) {
        struct ack ack;
        return ack_decode(view->body, view->body_len, &ack) == REPORT_OK;
    } else if (view->kind == RECORD_DIRECTIVE) {
        struct directive directive;
        return directive_decode(view->body, view->body_len, &directive) == REPORT_OK;
    } else if (view->kind == RECORD_RECEIPT) {
        struct receipt receipt;
        return receipt_decode(view->body, view->body_len, &receipt) == REPORT_OK;
    } else if (view->kind == RECORD_SIGNOFF) {
        struct signoff signoff;
        return signoff_decode(view->body, view->body_len, &signoff) == REPORT_OK;
    } else if (view->kind == RECORD_ROSTER) {
        struct roster_entry entry;
        return roster_entry_decode(view->body, view->body_len, &entry) == REPORT_OK;
    } else if (view->kind == RECORD_PROFILE) {
        struct profile profile;
        return profile_decode(view->body, view->body_len, &profile) == REPORT_OK;
    } else if (view->kind == RECORD_UNIT) {
        struct unit unit;
        return unit_decode(view->body, view->body_len, &unit) == REPORT_OK;
    } else if (view->kind == RECORD_REVIEW) {
        struct review review;
        return review_decode(view->body, view->body_len, &review) == REPORT_OK;
    }
    return true; /* a kind of a later version: kept for those who know it */
}

void ledger_words(const struct ledger_commune *c, const struct record_view *view,
                  struct strbuf *out)
{
    const struct roster_author *author = roster_find(&c->roster, view->ref.author);
    struct report report;
    size_t start = out->len;
    char number[24];
    snprintf(number, sizeof number, "%u-%u", (unsigned)view->ref.author, (unsigned)view->ref.seq);
    words_fold(number, out); /* as it is when somebody looks for it */
    if (author)
        words_fold(author->entry.name, out);
    if (!view->encrypted && report_decode(view->body, view->body_len, &report) == REPORT_OK)
        words_fold(report.text, out);
    if (!out->failed && out->len - start > DB_WORDS_LEN_MAX) {
        out->len = start + DB_WORDS_LEN_MAX;
        while (((unsigned char)out->text[out->len] & 0xc0) == 0x80)
            out->len--;
        out->text[out->len] = '\0';
    }
}

/* All answers to one record, by reviewer, newest first, as totals weigh them: of one reviewer his
 * newest counts, of several the one that came last; and the same of what corrections name. */
struct weighing {
    struct db_review row;
    int64_t state_arrival;
    uint16_t reviewer; /* whose newest was seen */
    struct corrections corrections;
    char text[REPORT_TEXT_LEN_MAX + 1];
};

static int weigh(void *ctx, const struct db_record *record)
{
    struct weighing *w = ctx;
    struct record_view view;
    struct review review;
    if (record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    if (w->reviewer != record->ref.author && record->arrival > w->state_arrival) {
        w->state_arrival = record->arrival;
        w->row.state = (uint8_t)review.state;
        w->row.author = record->ref.author;
        w->row.seq = record->ref.seq;
        memcpy(w->text, review.text, sizeof w->text);
    }
    w->reviewer = record->ref.author;
    return corrections_add(&w->corrections, &record->ref, record->arrival, record->received_ms,
                           &review) ? 0 : DB_ENOMEM;
}

static int judge_record(struct ledger *l, int64_t commune, const struct record_ref *ref)
{
    struct weighing w = { .row = { .commune = commune, .ref = *ref, .text = w.text },
                          .reviewer = AUTHOR_NONE };
    int result = db_review_valid(l->db, commune, ref, weigh, &w);
    corrections_settle(&w.corrections);
    const struct correction *move = corrections_last(&w.corrections, CORRECTION_VILLAGE);
    if (move && move->value != REVIEW_VILLAGE_AUTHORS)
        w.row.village = (uint32_t)move->value;
    corrections_free(&w.corrections);
    if (result >= 0)
        result = w.row.state ? db_review_put(l->db, &w.row) : db_review_drop(l->db, commune, ref);
    return result < 0 ? result : db_record_judge(l->db, commune, ref);
}

static int note_review(struct ledger *l, const struct ledger_commune *c,
                       const struct record_view *view, int64_t arrival)
{
    struct review review;
    int result = 0;
    if (review_decode(view->body, view->body_len, &review) != REPORT_OK)
        return 0;
    for (size_t i = 0; i < review.ref_count && result >= 0; i++) {
        result = db_review_log_put(l->db, c->info.id, &review.refs[i], arrival);
        if (result >= 0)
            result = judge_record(l, c->info.id, &review.refs[i]);
    }
    return result;
}

struct held_record {
    int64_t id, received_ms;
    enum db_via via;
    size_t len;
    uint8_t bytes[RECORD_LEN_MAX];
};
struct held_list {
    struct held_record *list;
    size_t count, cap;
};

static int collect_held(void *ctx, const struct db_pending *pending)
{
    struct held_list *held = ctx;
    if (pending->len > RECORD_LEN_MAX)
        return 0;
    if (held->count == held->cap) {
        size_t cap = held->cap ? 2 * held->cap : 16;
        struct held_record *grown = realloc(held->list, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        held->list = grown;
        held->cap = cap;
    }
    struct held_record *h = &held->list[held->count++];
    h->id = pending->id;
    h->received_ms = pending->received_ms;
    h->via = (enum db_via)pending->via;
    h->len = pending->len;
    memcpy(h->bytes, pending->bytes, pending->len);
    return 0;
}

static int ledger_put_depth(struct ledger *l, struct ledger_commune *c, const uint8_t *bytes,
                            size_t len, int64_t received_ms, bool from_pending);

/* An author became known: what was held back for him is judged now.  It came by its own way and not
 * with what named him. */
static int retry_pending(struct ledger *l, struct ledger_commune *c, uint16_t author)
{
    struct held_list held = { .list = NULL };
    enum db_via via = l->via;
    uint16_t source = l->source;
    l->source = AUTHOR_NONE;
    int result = db_pending_of(l->db, c->info.id, author, collect_held, &held);
    for (size_t i = 0; i < held.count && result >= 0; i++) {
        struct held_record *h = &held.list[i];
        l->via = h->via;
        result = db_pending_delete(l->db, h->id);
        if (result >= 0)
            result = ledger_put_depth(l, c, h->bytes, h->len, h->received_ms, true);
    }
    l->via = via;
    l->source = source;
    free(held.list);
    return result < 0 ? result : 0;
}

struct ref_list {
    struct record_ref *list;
    size_t count, cap;
};

static int collect_ref(void *ctx, const struct record_ref *ref)
{
    struct ref_list *refs = ctx;
    if (refs->count == refs->cap) {
        size_t cap = refs->cap ? 2 * refs->cap : 64;
        struct record_ref *grown = realloc(refs->list, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        refs->list = grown;
        refs->cap = cap;
    }
    refs->list[refs->count++] = *ref;
    return 0;
}

/* What an author wrote past his last good number may be here already: it counts nowhere now, and
 * what others said of the same reports stands again. */
int ledger_revoke(struct ledger *l, const struct ledger_commune *c, uint16_t author,
                  uint32_t from_seq)
{
    int64_t noted = 0;
    int result = db_revoked_get(l->db, c->info.id, author, &noted);
    if (result < 0 || noted == from_seq)
        return result;
    result = db_revoked_set(l->db, c->info.id, author, from_seq);
    if (result >= 0)
        result = db_record_judge_author(l->db, c->info.id, author);
    struct ref_list refs = { .list = NULL };
    if (result >= 0)
        result = db_reviewed_by(l->db, c->info.id, author, collect_ref, &refs);
    for (size_t i = 0; i < refs.count && result >= 0; i++)
        result = judge_record(l, c->info.id, &refs.list[i]);
    free(refs.list);
    return result < 0 ? result : 0;
}

int ledger_follow_author(struct ledger *l, struct ledger_commune *c,
                         const struct roster_entry *before, uint16_t number)
{
    const struct roster_author *author = roster_find(&c->roster, number);
    if (!author)
        return 0;
    struct roster_entry now = author->entry;
    int result = db_record_rehome(l->db, c->info.id, number, now.village);
    if (result >= 0)
        result = ledger_revoke(l, c, number, now.revoked_after);
    if (result >= 0 && before && (before->revoked_after != now.revoked_after ||
                                  before->role != now.role ||
                                  memcmp(before->key, now.key, KENG_KEY_LEN) != 0))
        result = db_outbox_pardon(l->db, c->info.id, number);
    return result < 0 ? result : retry_pending(l, c, number);
}

/* What a stored record of the root's log changes.  Returns a verdict or a db error. */
static int apply_root(struct ledger *l, struct ledger_commune *c, const struct record_view *view)
{
    struct roster_entry entry, before;
    bool enrols = view->kind == RECORD_ROSTER &&
                  roster_entry_decode(view->body, view->body_len, &entry) == REPORT_OK;
    const struct roster_author *known = enrols ? roster_find(&c->roster, entry.number) : NULL;
    if (known)
        before = known->entry;
    int applied = roster_apply(&c->roster, view);
    if (applied == ROSTER_ENOMEM)
        return DB_ENOMEM;
    if (applied != ROSTER_VALID)
        return LEDGER_BAD_BODY;
    int result = 0;
    if (view->kind == RECORD_PROFILE)
        result = db_commune_rename(l->db, c->info.id, c->roster.profile.name);
    if (result >= 0 && enrols)
        result = ledger_follow_author(l, c, known ? &before : NULL, entry.number);
    if (result < 0)
        return result;
    if (c->roster.profile_seq != 0) {
        size_t name_len = strlen(c->roster.profile.name);
        memcpy(c->info.name, c->roster.profile.name, name_len + 1);
    }
    return LEDGER_NEW;
}

static struct db_record describe(const struct ledger_commune *c, const struct record_view *view)
{
    struct db_record row = {
        .commune = c->info.id,
        .ref = view->ref,
        .created_min = view->created_min,
        .kind = view->kind,
        .priority = view->priority,
        .clock_set = view->clock_set,
        .bytes = view->bytes,
        .len = view->len,
    };
    row.readable = describe_body(c, view, &row);
    return row;
}

static int store_record(struct ledger *l, struct ledger_commune *c, const struct record_view *view,
                        int64_t received_ms, uint8_t variant)
{
    struct db_record row = describe(c, view);
    struct strbuf words = { .text = NULL };
    if (record_is_report(view->kind))
        ledger_words(c, view, &words);
    row.received_ms = received_ms;
    row.variant = variant;
    row.via = (uint8_t)l->via;
    row.words = words.text;
    int result = words.failed ? DB_ENOMEM : db_record_insert(l->db, &row);
    strbuf_free(&words);
    row.words = NULL;
    if (result < 0)
        return result;
    if (variant != 0)
        return LEDGER_FORK;
    if (l->source != AUTHOR_NONE && view->kind >= RECORD_ROSTER)
        result = db_brought_put(l->db, row.arrival, l->source);
    if (result >= 0 && view->ref.lane != 0)
        result = db_record_supersede(l->db, c->info.id, &view->ref);
    if (result >= 0 && view->kind == RECORD_REVIEW && row.readable)
        result = note_review(l, c, view, row.arrival);
    if (result < 0)
        return result;
    if (!row.readable)
        return LEDGER_BAD_BODY;
    return view->ref.author == AUTHOR_ROOT ? apply_root(l, c, view) : LEDGER_NEW;
}

static int hold_back(struct ledger *l, const struct ledger_commune *c,
                     const struct record_view *view, int64_t received_ms)
{
    struct db_pending pending = { .commune = c->info.id, .received_ms = received_ms,
                                  .author = view->ref.author, .via = (uint8_t)l->via,
                                  .bytes = view->bytes, .len = view->len };
    int result = db_pending_put(l->db, &pending);
    return result < 0 ? result : LEDGER_UNKNOWN_AUTHOR;
}

/* A record whose signature and role hold. */
static int put_verified(struct ledger *l, struct ledger_commune *c, const struct record_view *view,
                        int64_t received_ms)
{
    struct match match = { .bytes = view->bytes, .len = view->len };
    int result = db_record_variants(l->db, c->info.id, &view->ref, compare_variant, &match);
    if (result < 0)
        return result;
    if (match.same) {
        /* Another program on this database may have stored it: the roster in memory knows it only
         * after this. */
        bool states = view->ref.author == AUTHOR_ROOT && match.first && !view->encrypted;
        int applied = states ? apply_root(l, c, view) : 0;
        return applied < 0 ? applied : LEDGER_DUPLICATE;
    }
    if (match.count >= DB_VARIANT_COUNT_MAX)
        return LEDGER_FORK;
    if (match.count == 0 && view->ref.lane != 0) {
        uint32_t newest = 0;
        result = db_record_newest(l->db, c->info.id, view->ref.author, view->ref.lane, &newest);
        if (result < 0)
            return result;
        if (newest > view->ref.seq)
            return LEDGER_SUPERSEDED;
    }
    return store_record(l, c, view, received_ms, (uint8_t)match.count);
}

int ledger_check(const struct ledger_commune *c, const uint8_t *bytes, size_t len,
                 struct ledger_checked *checked_out)
{
    struct ledger_checked k = { .verdict = LEDGER_NEW };
    switch ((enum roster_verdict)roster_verify(&c->roster, bytes, len, &k.view)) {
    case ROSTER_VALID: break;
    case ROSTER_EFORM: k.verdict = LEDGER_MALFORMED; break;
    case ROSTER_EUNKNOWN: k.verdict = LEDGER_UNKNOWN_AUTHOR; break;
    case ROSTER_ESIG: k.verdict = LEDGER_BAD_SIGNATURE; break;
    case ROSTER_EREVOKED: k.verdict = LEDGER_REVOKED; break;
    case ROSTER_EROLE: k.verdict = LEDGER_BAD_ROLE; break;
    case ROSTER_EBODY: k.verdict = LEDGER_BAD_BODY; break;
    case ROSTER_ENOMEM: return DB_ENOMEM;
    }
    if (k.verdict == LEDGER_NEW) {
        k.row = describe(c, &k.view);
        k.plain = k.row.readable && k.view.ref.lane == 0 && record_is_report(k.view.kind);
    }
    *checked_out = k;
    return 0;
}

void ledger_count(struct ledger *l, enum ledger_verdict verdict)
{
    l->counts[verdict]++;
}

static int put_checked(struct ledger *l, struct ledger_commune *c, const struct ledger_checked *k,
                       const uint8_t *bytes, size_t len, int64_t received_ms, bool from_pending)
{
    int verdict = (int)k->verdict;
    if (k->verdict == LEDGER_NEW)
        verdict = put_verified(l, c, &k->view, received_ms);
    else if (k->verdict == LEDGER_UNKNOWN_AUTHOR)
        verdict = hold_back(l, c, &k->view, received_ms);
    if (verdict < 0)
        return verdict;
    ledger_count(l, (enum ledger_verdict)verdict);
    /* Whatever an operator should hear of leaves a counter and its newest example behind. */
    if (verdict >= LEDGER_BAD_BODY && (verdict != LEDGER_UNKNOWN_AUTHOR || !from_pending)) {
        int result = db_refused_add(l->db, c->info.id, VERDICT_NAMES[verdict], received_ms, bytes,
                                    len < RECORD_LEN_MAX ? len : RECORD_LEN_MAX);
        if (result < 0)
            return result;
    }
    return verdict;
}

int ledger_put_checked(struct ledger *l, struct ledger_commune *commune,
                       const struct ledger_checked *checked, const uint8_t *bytes, size_t len,
                       int64_t received_ms)
{
    return put_checked(l, commune, checked, bytes, len, received_ms, false);
}

static int ledger_put_depth(struct ledger *l, struct ledger_commune *c, const uint8_t *bytes,
                            size_t len, int64_t received_ms, bool from_pending)
{
    struct ledger_checked checked;
    int result = ledger_check(c, bytes, len, &checked);
    if (result < 0)
        return result;
    return put_checked(l, c, &checked, bytes, len, received_ms, from_pending);
}

int ledger_put(struct ledger *l, struct ledger_commune *commune, const uint8_t *bytes, size_t len,
               int64_t received_ms)
{
    return ledger_put_depth(l, commune, bytes, len, received_ms, false);
}

/* ---- start ---- */

struct waiting_author {
    int64_t commune;
    uint16_t author;
};
struct waiting_list {
    struct ledger *ledger;
    struct waiting_author *list;
    size_t count, cap;
};

static int collect_waiting(void *ctx, int64_t commune, uint16_t author)
{
    struct waiting_list *w = ctx;
    const struct ledger_commune *c = ledger_get(w->ledger, commune);
    if (!c || !roster_find(&c->roster, author))
        return 0;
    if (w->count == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 16;
        struct waiting_author *grown = realloc(w->list, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        w->list = grown;
        w->cap = cap;
    }
    w->list[w->count++] = (struct waiting_author){ .commune = commune, .author = author };
    return 0;
}

/* Records whose author another program on this database made known since they were held back. */
static int release_waiting(struct ledger *l)
{
    struct waiting_list waiting = { .ledger = l };
    int result = db_pending_authors(l->db, collect_waiting, &waiting);
    if (result >= 0 && waiting.count > 0) {
        result = db_begin(l->db);
        for (size_t i = 0; i < waiting.count && result >= 0; i++)
            result = retry_pending(l, ledger_get(l, waiting.list[i].commune),
                                   waiting.list[i].author);
        if (result >= 0)
            result = db_commit(l->db);
        if (result < 0)
            db_rollback(l->db);
    }
    free(waiting.list);
    return result < 0 ? result : 0;
}

static int index_review(void *ctx, const struct db_record *record)
{
    struct ledger *l = ctx;
    struct record_view view;
    struct review review;
    int result = 0;
    if (record->kind != RECORD_REVIEW || record->variant != 0 || !record->readable ||
        record_decode(record->bytes, record->len, &view) != RECORD_OK ||
        review_decode(view.body, view.body_len, &review) != REPORT_OK)
        return 0;
    for (size_t i = 0; i < review.ref_count && result >= 0; i++)
        result = db_review_log_put(l->db, record->commune, &review.refs[i], record->arrival);
    return result;
}

/* What cannot be read is looked for by its author's name, and waits like the others. */
static int index_report(void *ctx, const struct db_record *record)
{
    struct ledger *l = ctx;
    const struct ledger_commune *c = ledger_get(l, record->commune);
    struct record_view view;
    struct strbuf words = { .text = NULL };
    if (!c || !record_is_report(record->kind) ||
        record_decode(record->bytes, record->len, &view) != RECORD_OK)
        return 0;
    ledger_words(c, &view, &words);
    int result = words.failed ? DB_ENOMEM : db_record_note(l->db, record->arrival, words.text);
    strbuf_free(&words);
    return result < 0 ? result : judge_record(l, c->info.id, &view.ref);
}

/* The first programs kept no list of them. */
static int note_revocations(struct ledger *l, const struct ledger_commune *c)
{
    int result = 0;
    for (size_t i = 0; i < c->roster.author_count && result >= 0; i++) {
        const struct roster_entry *e = &c->roster.authors[i].entry;
        if (e->revoked_after != 0)
            result = ledger_revoke(l, c, e->number, e->revoked_after);
    }
    return result;
}

int ledger_index(struct ledger *l)
{
    /* board_indexed left out what cannot be read; board_indexed_2 took a correction of figures for
     * one of the village too; board_indexed_3 let wait what was signed past a revocation;
     * by board_indexed_4 no number was found. */
    static const char KEY[] = "board_indexed_5";
    int64_t done = 0;
    int result = db_meta_get(l->db, KEY, &done);
    if (result < 0 || done)
        return result;
    result = db_begin(l->db);
    for (size_t i = 0; i < l->commune_count && result >= 0; i++)
        result = note_revocations(l, &l->communes[i]);
    /* A report is judged by all its answers. */
    for (size_t i = 0; i < l->commune_count && result >= 0; i++)
        result = db_record_all(l->db, l->communes[i].info.id, index_review, l);
    for (size_t i = 0; i < l->commune_count && result >= 0; i++)
        result = db_record_all(l->db, l->communes[i].info.id, index_report, l);
    if (result >= 0)
        result = db_meta_set(l->db, KEY, 1);
    if (result >= 0)
        result = db_commit(l->db);
    if (result < 0)
        db_rollback(l->db);
    return result;
}

int ledger_init(struct ledger *l, struct db *db)
{
    *l = (struct ledger){ .db = db, .source = AUTHOR_NONE };
    int result = ledger_reload(l);
    if (result >= 0)
        result = units_apply(l); /* another program may have ended between both */
    return result < 0 ? result : release_waiting(l);
}

/* ---- a batch ---- */

void ledger_batch_result_free(struct ledger_batch_result *result)
{
    free(result->verdicts);
    *result = (struct ledger_batch_result){ 0 };
}

static bool is_root_record(const uint8_t *record, size_t len)
{
    return len >= 2 && load16_be(record) == AUTHOR_ROOT;
}

/* One pass over the batch: the root's records, or all others.  strict: a root's record that is not
 * the root's ends it, so that a stranger cannot make us judge a thousand of them. */
static int put_pass(struct ledger *l, struct ledger_commune *c, const struct batch_reader *batch,
                    bool root_pass, bool strict, int64_t received_ms,
                    struct ledger_batch_result *result)
{
    struct batch_reader reader = *batch;
    const uint8_t *record;
    size_t len;
    uint32_t index = 0, index_max = result->count;
    int more;
    while ((more = batch_next(&reader, &record, &len)) == 1 && index < index_max) {
        if (is_root_record(record, len) == root_pass) {
            int verdict = ledger_put(l, c, record, len, received_ms);
            if (verdict < 0)
                return verdict;
            result->verdicts[index] = (uint8_t)verdict;
            result->counts[verdict]++;
            if (strict && !ledger_verdict_held((enum ledger_verdict)verdict))
                return LEDGER_BATCH_ESOURCE;
        }
        index++;
    }
    result->truncated = more < 0;
    return (int)index;
}

static int put_opened(struct ledger *l, struct ledger_commune *c, const struct batch_reader *batch,
                      bool require_sig, int64_t received_ms, struct ledger_batch_result *result,
                      bool *sig_ok_out)
{
    const uint8_t *key = roster_key(&c->roster, batch->header.source);
    int put = put_pass(l, c, batch, true, require_sig && !key, received_ms, result);
    if (put < 0)
        return put;
    key = roster_key(&c->roster, batch->header.source);
    *sig_ok_out = key && batch_verify(batch, key) == BATCH_OK;
    if (require_sig && !key)
        return LEDGER_BATCH_ESOURCE;
    if (require_sig && !*sig_ok_out)
        return LEDGER_BATCH_ESIG;
    if (require_sig && result->truncated)
        return LEDGER_BATCH_EFORM;
    put = put_pass(l, c, batch, false, false, received_ms, result);
    if (put < 0)
        return put;
    result->count = (uint32_t)put;
    return 0;
}

int ledger_put_batch(struct ledger *l, const uint8_t *bytes, size_t len, int64_t received_ms,
                     bool require_sig, struct ledger_batch_result *result_out, bool *sig_ok_out)
{
    struct batch_reader batch;
    *result_out = (struct ledger_batch_result){ 0 };
    *sig_ok_out = false;
    int opened = batch_open(&batch, bytes, len);
    if (opened != BATCH_OK)
        return opened == BATCH_EROOT ? LEDGER_BATCH_EROOT : LEDGER_BATCH_EFORM;
    struct ledger_commune *c = ledger_find(l, batch.header.network_id);
    if (!c)
        return LEDGER_BATCH_ETRUST;
    /* Anybody can send bytes here: what its source did not sign costs one signature and no disk. */
    const uint8_t *key = roster_key(&c->roster, batch.header.source);
    if (require_sig && key && batch_verify(&batch, key) != BATCH_OK)
        return LEDGER_BATCH_ESIG;
    /* batch_open() has held the count against the length. */
    struct ledger_batch_result result = { .count = batch.header.count };
    result.verdicts = calloc((size_t)result.count + 1, 1);
    if (!result.verdicts)
        return DB_ENOMEM;
    uint64_t counts[LEDGER_VERDICT_COUNT];
    memcpy(counts, l->counts, sizeof counts);
    int put = db_begin(l->db);
    l->source = require_sig && l->via == DB_VIA_WIRE ? batch.header.source : AUTHOR_NONE;
    if (put == 0)
        put = put_opened(l, c, &batch, require_sig, received_ms, &result, sig_ok_out);
    l->source = AUTHOR_NONE;
    if (put == 0)
        put = db_commit(l->db);
    if (put < 0) {
        db_rollback(l->db);
        memcpy(l->counts, counts, sizeof counts);
        /* A refusal that applied nothing leaves the roster as it was; reading it again is dear. */
        bool ahead = put > LEDGER_BATCH_EFORM || result.counts[LEDGER_NEW] > 0;
        ledger_batch_result_free(&result);
        int reloaded = ahead ? reload_commune(l, c) : 0;
        return reloaded < 0 ? reloaded : put;
    }
    int applied = c->is_province ? units_apply(l) : 0; /* c may have moved */
    if (applied < 0)
        ledger_batch_result_free(&result); /* sent again, they are duplicates and applied again */
    else
        *result_out = result;
    return applied;
}

const char *ledger_batch_strerror(int err)
{
    switch (err) {
    case LEDGER_BATCH_OK: return "no error";
    case LEDGER_BATCH_EFORM: return "this is not a whole batch file";
    case LEDGER_BATCH_EROOT: return "its network id is not that of its root key";
    case LEDGER_BATCH_ETRUST: return "its commune is not trusted here";
    case LEDGER_BATCH_ESOURCE: return "its source is not in the commune's roster";
    case LEDGER_BATCH_ESIG: return "its signature is not its source's";
    default: return "the database failed";
    }
}
