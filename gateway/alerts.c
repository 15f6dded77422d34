#include "gateway/alerts.h"

#include <stdio.h>
#include <string.h>

#include "gateway/lang.h"
#include "node/home.h"

static_assert((int)HOME_ERR_LEN <= (int)ALERTS_ERR_LEN, "one buffer serves both");

bool alert_of_record(const struct ledger_commune *c, const struct villages *villages,
                     const struct db_record *record, struct strbuf *out,
                     char identifier_out[static CAP_WORD_LEN])
{
    struct record_view view;
    struct directive d;
    if (record->kind != RECORD_DIRECTIVE ||
        record_decode(record->bytes, record->len, &view) != RECORD_OK || view.encrypted ||
        directive_decode(view.body, view.body_len, &d) != REPORT_OK)
        return false;
    int64_t sent_ms = view.clock_set ? (KENG_EPOCH_UNIX_S + (int64_t)view.created_min * 60) * 1000
                                     : record->received_ms;
    const struct village *village = villages ? villages_get(villages, d.village, sent_ms) : NULL;
    const struct roster_author *person = roster_find(&c->roster, d.person);
    char village_number[16], person_number[16];
    snprintf(village_number, sizeof village_number, "%u", (unsigned)d.village);
    snprintf(person_number, sizeof person_number, "%u", (unsigned)d.person);
    struct cap_outgoing o = {
        .directive = &d, .ref = view.ref, .priority = view.priority,
        .sent_ms = sent_ms,
        .network_id = c->info.network_id, .commune_name = c->info.name,
        .commune_code = c->roster.profile.code,
        .village = d.village == 0 ? "" : village ? village->name : village_number,
        .role = d.role ? lang_role(LANG_VI, d.role) : "",
        .person = d.person == 0 ? "" : person ? person->entry.name : person_number,
    };
    cap_identifier(&o, identifier_out);
    return cap_write(&o, out);
}

struct export {
    const struct ledger_commune *commune;
    const struct villages *villages;
    const char *dir;
    char *err;
    int64_t count;
};

static int export_one(void *ctx, const struct db_record *record)
{
    struct export *e = ctx;
    struct strbuf xml = { .text = NULL };
    char identifier[CAP_WORD_LEN], path[4096];
    if (record->commune != e->commune->info.id)
        return 0;
    bool good = alert_of_record(e->commune, e->villages, record, &xml, identifier);
    int len = snprintf(path, sizeof path, "%s/%s.xml", e->dir, good ? identifier : "");
    if (!good)
        snprintf(e->err, ALERTS_ERR_LEN, "out of memory");
    else if (len < 0 || len >= (int)sizeof path)
        snprintf(e->err, ALERTS_ERR_LEN, "%.200s…: the path is too long", e->dir);
    else if (home_replace_file(path, (const uint8_t *)xml.text, xml.len, 0644, e->err) == 0)
        e->count++;
    strbuf_free(&xml);
    return e->err[0] != '\0';
}

int64_t alerts_export(struct ledger *l, int64_t commune, const struct villages *villages,
                      const char *dir, char err[static ALERTS_ERR_LEN])
{
    struct export e = { .commune = ledger_get(l, commune), .villages = villages, .dir = dir,
                        .err = err };
    err[0] = '\0';
    int result = e.commune ? db_record_of_kind(l->db, RECORD_DIRECTIVE, 0, export_one, &e)
                           : DB_ENOTFOUND;
    if (result < 0)
        snprintf(err, ALERTS_ERR_LEN, "%s", db_error(l->db));
    return err[0] ? -1 : e.count;
}
