#include "gateway/demo_data.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/report.h"
#include "proto/sign.h"

enum {
    VILLAGE_COUNT = 8,
    GATEWAY = 1,
    FIRST_MEMBER = 101,
    MS_PER_MINUTE = 60 * 1000,
    LASTS_MIN = 6 * 60,
};

struct signer {
    uint8_t public_key[KENG_KEY_LEN], secret_key[KENG_SIG_LEN];
    uint32_t seq;
};

struct demo {
    struct ledger *ledger;
    uint8_t network_id[KENG_NETWORK_ID_LEN];
    struct signer root, gateway, members[VILLAGE_COUNT];
    int64_t now_ms;
    bool failed;
};

static const char COMMUNE_NAME[] = "DIỄN TẬP · TRAINING";

/* What happens, in minutes since the beginning.  Codes are those of seeds/catalogue. */
static const struct step {
    unsigned at_min, village; /* 1 .. VILLAGE_COUNT */
    uint8_t kind;
    struct report_figure figures[3];
    const char *text;
    uint8_t answer; /* enum review_state; 0: none yet */
} STEPS[] = {
    { 5, 3, RECORD_NOTE, { { 0, 0 } }, "Suối lên nhanh, mưa to từ 2 giờ.", REVIEW_SEEN },
    { 20, 1, RECORD_EVACUATION, { { 1, 14 }, { 2, 61 }, { 3, 17 } }, "", REVIEW_APPROVED },
    { 35, 3, RECORD_DAMAGE, { { 8, 1 }, { 12, 6 } }, "", REVIEW_APPROVED },
    { 50, 2, RECORD_ACCESS, { { 1, 2 }, { 10, 2 } }, "Sạt taluy, xe không qua được.",
      REVIEW_APPROVED },
    { 60, 4, RECORD_RESCUE, { { 1, 3 } }, "3 người trên mái nhà, cần xuồng.", REVIEW_SEEN },
    { 75, 5, RECORD_DAMAGE, { { 8, 2 }, { 18, 350 } }, "", REVIEW_APPROVED },
    { 90, 3, RECORD_DAMAGE, { { 8, 3 }, { 12, 11 } }, "Thêm 2 nhà sập.", REVIEW_APPROVED },
    { 110, 6, RECORD_NEEDS, { { 1, 200 }, { 4, 48 } }, "", REVIEW_APPROVED },
    { 125, 4, RECORD_RESCUE, { { 1, 0 }, { 20, 3 } }, "Đã đưa 3 người lên trường.", REVIEW_MET },
    { 140, 7, RECORD_SAFE, { { 1, 158 }, { 2, 36 } }, "", REVIEW_SEEN },
    { 160, 1, RECORD_DAMAGE, { { 3, 2 }, { 8, 1 } }, "2 người bị thương nhẹ.", REVIEW_QUESTION },
    { 190, 5, RECORD_DAMAGE, { { 8, 20 } }, "", REVIEW_REJECTED },
    { 200, 5, RECORD_DAMAGE, { { 8, 2 }, { 18, 420 } }, "Gõ nhầm, đúng là 2 nhà.",
      REVIEW_APPROVED },
    { 240, 2, RECORD_NEEDS, { { 40, 30 } }, "", 0 },
    { 270, 8, RECORD_RESCUE, { { 2, 1 } }, "Đất vùi nửa nhà, còn nghe tiếng gọi.", 0 },
    { 300, 6, RECORD_ACCESS, { { 11, 2 }, { 12, 2 } }, "", 0 },
    { 330, 7, RECORD_DAMAGE, { { 12, 4 } }, "", 0 },
};
enum { STEP_COUNT = sizeof STEPS / sizeof STEPS[0], FIGURES_PER_STEP = 3 };

static void make_keys(struct signer *s)
{
    crypto_sign_keypair(s->public_key, s->secret_key);
    s->seq = 0;
}

/* Signs and stores; whatever goes wrong shows at the end. */
static void put(struct demo *d, struct signer *by, uint16_t author, uint8_t kind, int64_t at_ms,
                const uint8_t *body, int body_len)
{
    uint8_t bytes[RECORD_LEN_MAX];
    struct record_draft draft = {
        .ref = { .author = author, .seq = ++by->seq }, .kind = kind, .clock_set = true,
        .priority = record_kind_priority(kind), .body = body, .body_len = (size_t)body_len,
        .created_min = (uint32_t)((at_ms / 1000 - KENG_EPOCH_UNIX_S) / 60),
    };
    int len = body_len >= 0 ? record_encode(&draft, bytes, sizeof bytes) : -1;
    struct ledger_commune *c = ledger_find(d->ledger, d->network_id);
    d->failed = d->failed || len < 0 || !c;
    if (d->failed)
        return;
    size_t signed_len = record_sign(bytes, (size_t)len, d->network_id, by->secret_key);
    d->failed = ledger_put(d->ledger, c, bytes, signed_len, at_ms) != LEDGER_NEW;
}

static void enrol(struct demo *d, const struct signer *who, uint16_t number,
                  enum roster_role role, uint32_t village, const char *name)
{
    struct roster_entry entry = { .number = number, .role = role, .village = village };
    uint8_t body[RECORD_BODY_LEN_MAX];
    memcpy(entry.key, who->public_key, KENG_KEY_LEN);
    snprintf(entry.name, sizeof entry.name, "%.*s", ROSTER_NAME_LEN_MAX, name);
    put(d, &d->root, AUTHOR_ROOT, RECORD_ROSTER, d->now_ms - LASTS_MIN * (int64_t)MS_PER_MINUTE,
        body, roster_entry_encode(&entry, body, sizeof body));
}

static void put_roster(struct demo *d)
{
    struct profile profile = {
        .code = DEMO_COMMUNE_CODE, .region = "VN-920", .eirp_dbm = 16, .duty_node_e4 = 100,
        .duty_gateway_e4 = 1000, .duty_window_s = 3600,
        .lora = { .freq_hz = 921400000, .bw_hz = 125000, .sf = 9, .cr = 5, .preamble_symbols = 16 },
    };
    uint8_t body[RECORD_BODY_LEN_MAX];
    snprintf(profile.name, sizeof profile.name, "%s", COMMUNE_NAME);
    put(d, &d->root, AUTHOR_ROOT, RECORD_PROFILE, d->now_ms - LASTS_MIN * (int64_t)MS_PER_MINUTE,
        body, profile_encode(&profile, body, sizeof body));
    enrol(d, &d->gateway, GATEWAY, ROSTER_GATEWAY, 0, "Trạm xã (diễn tập)");
    for (unsigned i = 0; i < VILLAGE_COUNT; i++) {
        char name[ROSTER_NAME_LEN_MAX + 1];
        snprintf(name, sizeof name, "Học viên %u", i + 1);
        enrol(d, &d->members[i], (uint16_t)(FIRST_MEMBER + i), ROSTER_MEMBER, i + 1, name);
    }
}

static void put_step(struct demo *d, const struct step *step, const struct villages *villages)
{
    struct signer *author = &d->members[step->village - 1];
    uint16_t number = (uint16_t)(FIRST_MEMBER + step->village - 1);
    const struct village *v = villages ? villages_get(villages, step->village, d->now_ms) : NULL;
    int64_t at_ms = d->now_ms - (LASTS_MIN - (int64_t)step->at_min) * MS_PER_MINUTE;
    uint8_t body[RECORD_BODY_LEN_MAX];
    struct report report = { .event = DEMO_EVENT, .hazard = 5, .drill = true,
                             .text_len = strlen(step->text) };
    snprintf(report.text, sizeof report.text, "%s", step->text);
    for (size_t i = 0; i < FIGURES_PER_STEP && step->figures[i].code != 0; i++)
        report.figures[report.figure_count++] = step->figures[i];
    if (v && step->kind == RECORD_RESCUE) {
        report.lat_e5 = v->lat_e5 + 150;
        report.lon_e5 = v->lon_e5 - 120;
    }
    put(d, author, number, step->kind, at_ms, body, report_encode(&report, body, sizeof body));
    if (step->answer == 0)
        return;
    struct review review = { .state = (enum review_state)step->answer, .ref_count = 1,
                             .refs = { { .author = number, .seq = author->seq } } };
    if (step->answer == REVIEW_REJECTED)
        review.text_len =
            (size_t)snprintf(review.text, sizeof review.text, "Thôn chỉ có 47 hộ, xem lại?");
    put(d, &d->gateway, GATEWAY, RECORD_REVIEW, at_ms + 4 * MS_PER_MINUTE, body,
        review_encode(&review, body, sizeof body));
}

int demo_data_fill(struct ledger *l, const struct villages *villages, int64_t now_ms,
                   unsigned *report_count_out, char err[static DEMO_ERR_LEN])
{
    struct demo d = { .ledger = l, .now_ms = now_ms };
    bool known;
    if (l->commune_count > 0) {
        snprintf(err, DEMO_ERR_LEN, "the ledger is not empty: training has one of its own");
        return -1;
    }
    make_keys(&d.root);
    make_keys(&d.gateway);
    for (size_t i = 0; i < VILLAGE_COUNT; i++)
        make_keys(&d.members[i]);
    network_id_of_root(d.root.public_key, d.network_id);
    int result = db_begin(l->db);
    if (result >= 0)
        result = ledger_trust(l, d.root.public_key, &known);
    if (result >= 0) {
        put_roster(&d);
        for (size_t i = 0; i < STEP_COUNT; i++)
            put_step(&d, &STEPS[i], villages);
        result = d.failed ? DB_EDISK : db_commit(l->db);
    }
    sodium_memzero(&d, sizeof d);
    *report_count_out = STEP_COUNT;
    if (result >= 0)
        return 0;
    snprintf(err, DEMO_ERR_LEN, "the training reports could not be stored: %.100s",
             db_error(l->db));
    db_rollback(l->db);
    (void)ledger_reload(l);
    return -1;
}
