#include "gateway/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/sign.h"

enum { KEY_LEN = 32, SECONDS_PER_DAY = 86400, MERGER_COUNT_MAX = 16 };

static void province_key(int64_t commune, char key_out[static KEY_LEN])
{
    snprintf(key_out, KEY_LEN, "province_%lld", (long long)commune);
}

int units_is_province(struct ledger *l, struct ledger_commune *c)
{
    char key[KEY_LEN];
    int64_t value = 0;
    province_key(c->info.id, key);
    int result = db_meta_get(l->db, key, &value);
    c->is_province = value != 0;
    return result < 0 ? result : 0;
}

int units_set_province(struct ledger *l, int64_t commune)
{
    char key[KEY_LEN];
    struct ledger_commune *c = ledger_get(l, commune);
    if (!c)
        return DB_ENOTFOUND;
    province_key(commune, key);
    int result = db_meta_set(l->db, key, 1);
    if (result < 0)
        return result;
    c->is_province = true;
    return units_apply(l);
}

/* ---- applying ---- */

struct said {
    const struct roster *roster;
    struct unit *list;
    size_t count, cap;
};

static int take_statement(void *ctx, const struct db_record *record)
{
    struct said *said = ctx;
    struct record_view view;
    struct unit unit;
    if (record->variant != 0 || record->kind != RECORD_UNIT ||
        roster_verify(said->roster, record->bytes, record->len, &view) != ROSTER_VALID ||
        view.encrypted || unit_decode(view.body, view.body_len, &unit) != REPORT_OK)
        return 0;
    for (size_t i = 0; i < said->count; i++) {
        if (memcmp(said->list[i].root_key, unit.root_key, KENG_KEY_LEN) == 0) {
            said->list[i] = unit;
            return 0;
        }
    }
    if (said->count == said->cap) {
        size_t cap = said->cap ? 2 * said->cap : 64;
        struct unit *grown = realloc(said->list, cap * sizeof *grown);
        if (!grown)
            return DB_ENOMEM;
        said->list = grown;
        said->cap = cap;
    }
    said->list[said->count++] = unit;
    return 0;
}

static bool same_unit(const struct unit *a, const struct unit *b)
{
    return strcmp(a->code, b->code) == 0 && strcmp(a->name, b->name) == 0 &&
           strcmp(a->into, b->into) == 0 && a->from_day == b->from_day &&
           a->until_day == b->until_day && a->revoked_after == b->revoked_after;
}

/* Whom only the bad part of the root's log enrolled counts no more, and everybody else as its good
 * part says; what receivers refused for the bounds of then is theirs to judge again. */
static int follow_roster(struct ledger *l, struct ledger_commune *c,
                         const struct roster *before)
{
    int result = db_outbox_pardon(l->db, c->info.id, AUTHOR_ROOT);
    for (size_t i = 0; i < before->author_count && result >= 0; i++)
        if (!roster_find(&c->roster, before->authors[i].entry.number))
            result = ledger_revoke(l, c, before->authors[i].entry.number, 1);
    for (size_t i = 0; i < c->roster.author_count && result >= 0; i++) {
        uint16_t number = c->roster.authors[i].entry.number;
        const struct roster_author *known = roster_find(before, number);
        result = ledger_follow_author(l, c, known ? &known->entry : NULL, number);
    }
    return result;
}

static int apply_statement(struct ledger *l, const struct unit *unit)
{
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    bool known;
    network_id_of_root(unit->root_key, network_id);
    int result = ledger_trust(l, unit->root_key, &known);
    struct ledger_commune *c = ledger_find(l, network_id);
    if (result < 0 || !c)
        return result < 0 ? result : DB_ENOTFOUND;
    if (same_unit(&c->unit, unit))
        return 0;
    bool other_bounds = c->unit.revoked_after != unit->revoked_after;
    result = db_unit_put(l->db, c->info.id, unit);
    c->unit = *unit;
    if (result < 0 || !other_bounds)
        return result;
    struct roster before = c->roster;
    c->roster = (struct roster){ .authors = NULL };
    result = ledger_read_roster(l, c);
    if (result >= 0 && c->roster.profile_seq != 0)
        result = db_commune_rename(l->db, c->info.id, c->roster.profile.name);
    if (result >= 0)
        result = follow_roster(l, c, &before);
    roster_free(&before);
    return result;
}

static bool differs(struct ledger *l, const struct unit *unit)
{
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    network_id_of_root(unit->root_key, network_id);
    const struct ledger_commune *c = ledger_find(l, network_id);
    return !c || !same_unit(&c->unit, unit);
}

int units_apply(struct ledger *l)
{
    struct said said = { .list = NULL };
    int result = 0;
    bool changed = false;
    for (size_t i = 0; i < l->commune_count && result >= 0; i++) {
        said.roster = &l->communes[i].roster;
        if (l->communes[i].is_province)
            result = db_record_root_log(l->db, l->communes[i].info.id, take_statement, &said);
    }
    for (size_t i = 0; i < said.count; i++)
        changed = changed || differs(l, &said.list[i]);
    if (result >= 0 && changed) {
        result = db_begin(l->db);
        for (size_t i = 0; i < said.count && result >= 0; i++)
            result = apply_statement(l, &said.list[i]);
        if (result >= 0)
            result = db_commit(l->db);
        if (result < 0) {
            db_rollback(l->db);
            int reloaded = ledger_reload(l);
            result = reloaded < 0 ? reloaded : result;
        }
    }
    free(said.list);
    return result < 0 ? result : 0;
}

/* ---- days ---- */

bool units_day_parse(const char *text, uint32_t *day_out)
{
    struct tm parts = { .tm_mday = 1 };
    const char *end = strptime(text, "%Y-%m-%d", &parts);
    if (strlen(text) != UNITS_DATE_LEN - 1 || !end || *end)
        return false;
    struct tm again = parts;
    time_t seconds = timegm(&again);
    if (again.tm_mday != parts.tm_mday || again.tm_mon != parts.tm_mon || seconds < 0)
        return false; /* no 30th of February */
    int64_t day = ((int64_t)seconds - KENG_EPOCH_UNIX_S) / SECONDS_PER_DAY;
    if (day > UNIT_DAY_MAX)
        return false;
    *day_out = day < 0 ? 0 : (uint32_t)day; /* before the first day there was no record */
    return true;
}

void units_day_format(uint32_t day, char text_out[static UNITS_DATE_LEN])
{
    time_t seconds = (time_t)(KENG_EPOCH_UNIX_S + (int64_t)day * SECONDS_PER_DAY);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text_out, UNITS_DATE_LEN, "%Y-%m-%d", &parts);
}

uint32_t units_day_of_ms(int64_t unix_ms)
{
    int64_t day = (unix_ms / 1000 + VIETNAM_OFFSET_S - KENG_EPOCH_UNIX_S) / SECONDS_PER_DAY;
    return day < 0 ? 0 : day > UNIT_DAY_MAX ? UNIT_DAY_MAX : (uint32_t)day;
}

bool units_stands(const struct unit *unit, uint32_t day)
{
    return unit->code[0] && unit->revoked_after == 0 && unit->from_day <= day &&
           (unit->until_day == 0 || day < unit->until_day);
}

/* Which root a code means on a day; NULL: none. */
static const struct ledger_commune *find_code(const struct ledger *l, const char *code,
                                              uint32_t day)
{
    for (size_t i = 0; i < l->commune_count; i++)
        if (strcmp(l->communes[i].unit.code, code) == 0 && units_stands(&l->communes[i].unit, day))
            return &l->communes[i];
    return NULL;
}

const struct ledger_commune *units_now(const struct ledger *l, const struct ledger_commune *c,
                                       uint32_t day)
{
    for (int i = 0; i < MERGER_COUNT_MAX && c->unit.code[0]; i++) {
        const struct unit *unit = &c->unit;
        bool ended = unit->until_day != 0 && day >= unit->until_day;
        const struct ledger_commune *next = NULL;
        if (ended && unit->into[0])
            next = find_code(l, unit->into, unit->until_day);
        else if (unit->revoked_after != 0)
            next = find_code(l, unit->code, day);
        if (!next || next == c)
            break;
        c = next;
    }
    return c;
}

const char *units_name(const struct ledger_commune *c)
{
    return c->unit.name[0] ? c->unit.name : c->info.name[0] ? c->info.name : c->nameless;
}
