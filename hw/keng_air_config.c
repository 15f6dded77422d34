#include "hw/keng_air.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

enum {
    LOSS_DB_MAX = 400,
    DISTANCE_M_MAX = 10000000,
    CAPTURE_DB_DEFAULT = 6,
    CCA_BLIND_MS_DEFAULT = 10,
    PAIR_SPARE = 16,
};

/* Reading goes on after the first error, but only the first is told. */
struct reader {
    const char *path;
    char *text;
    bool failed;
};

__attribute__((format(printf, 2, 3)))
static void fail(struct reader *r, const char *format, ...)
{
    if (r->failed)
        return;
    r->failed = true;
    int n = snprintf(r->text, KENG_AIR_TEXT_LEN, "%s: ", r->path);
    if (n < 0 || n >= KENG_AIR_TEXT_LEN)
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->text + n, (size_t)(KENG_AIR_TEXT_LEN - n), format, args); /* may be cut */
    va_end(args);
}

/* Every key of object must be among the given names, which end with NULL. */
static void only_keys(struct reader *r, const char *where, json_t *object, const char *const *names)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object)) {
        fail(r, "%s: expected an object", where);
        return;
    }
    json_object_foreach(object, key, value) {
        const char *const *name = names;
        while (*name && strcmp(*name, key) != 0)
            name++;
        if (!*name)
            fail(r, "%s: unknown key '%s'", where, key);
    }
}

enum need { REQUIRED, OPTIONAL };

static double number(struct reader *r, const char *where, json_t *object, const char *key,
                     enum need need, double fallback, double min, double max)
{
    json_t *value = json_object_get(object, key);
    if (!value) {
        if (need == REQUIRED)
            fail(r, "%s: key '%s' is missing", where, key);
        return fallback;
    }
    if (!json_is_number(value)) {
        fail(r, "%s: '%s' must be a number", where, key);
        return fallback;
    }
    double v = json_number_value(value);
    if (!(v >= min && v <= max)) {
        fail(r, "%s: '%s' is %g; it must be %g to %g", where, key, v, min, max);
        return fallback;
    }
    return v;
}

static int32_t x100(double v)
{
    return (int32_t)lround(v * 100);
}

static uint32_t ppm(double v)
{
    return (uint32_t)lround(v * AIR_PPM);
}

bool keng_air_name_valid(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len >= KENG_AIR_NAME_LEN || name[0] == '.' || name[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
            return false;
    }
    return true;
}

static uint32_t find_name(const struct keng_air_config *c, const char *name)
{
    uint32_t i = 0;
    while (i < c->modem_count && strcmp(c->modems[i].name, name) != 0)
        i++;
    return i;
}

static void read_quirks(struct reader *r, const char *where, json_t *list,
                        struct keng_air_modem_config *m)
{
    size_t i;
    json_t *item;
    if (!json_is_array(list)) {
        fail(r, "%s: 'quirks' must be a list of words", where);
        return;
    }
    json_array_foreach(list, i, item) {
        const char *word = json_string_value(item);
        const char *const *quirk = m->model->quirks;
        while (quirk && *quirk && word && strcmp(*quirk, word) != 0)
            quirk++;
        if (!quirk || !*quirk || !word) {
            fail(r, "%s: '%s' is no quirk of '%s'", where, word ? word : "?", m->model->name);
            return;
        }
        m->quirks |= 1u << (quirk - m->model->quirks);
    }
}

static void read_model(struct reader *r, const char *where, json_t *object,
                       struct keng_air_modem_config *m)
{
    json_t *modem = json_object_get(object, "modem");
    json_t *quirks = json_object_get(object, "quirks");
    const char *name = modem ? json_string_value(modem) : emu_model_at(0)->name;
    m->model = name ? emu_model_find(name) : NULL;
    if (!m->model)
        fail(r, "%s: there is no modem '%s' here; the first is '%s'", where, name ? name : "?",
             emu_model_at(0)->name);
    else if (quirks)
        read_quirks(r, where, quirks, m);
}

static void read_modem(struct reader *r, struct keng_air_config *c, json_t *object, uint32_t index)
{
    static const char *const names[] = { "name", "modem", "quirks", "x_m", "y_m", "antenna_dbi",
                                         "duty_fraction", NULL };
    char where[32];
    (void)snprintf(where, sizeof where, "modems[%u]", (unsigned)index);
    only_keys(r, where, object, names);
    const char *name = json_string_value(json_object_get(object, "name"));
    if (!name || !keng_air_name_valid(name)) {
        fail(r, "%s: 'name' must be 1 to %d letters, digits, '.', '_' or '-'", where,
             KENG_AIR_NAME_LEN - 1);
        return;
    }
    if (find_name(c, name) < c->modem_count) /* the list so far */
        fail(r, "%s: name '%s' is used twice", where, name);
    struct keng_air_modem_config *m = &c->modems[index];
    memcpy(m->name, name, strlen(name) + 1);
    read_model(r, where, object, m);
    double limit = DISTANCE_M_MAX;
    c->positions[index].x_m = (int32_t)number(r, where, object, "x_m", OPTIONAL, 0, -limit, limit);
    c->positions[index].y_m = (int32_t)number(r, where, object, "y_m", OPTIONAL, 0, -limit, limit);
    m->antenna_dbi = number(r, where, object, "antenna_dbi", OPTIONAL, 2.15, -30, 30);
    m->duty_fraction = number(r, where, object, "duty_fraction", OPTIONAL, 0, 0, 1);
}

static void read_modems(struct reader *r, struct keng_air_config *c, json_t *list)
{
    size_t count = json_array_size(list);
    if (!json_is_array(list) || count < 1 || count > KENG_AIR_MODEM_COUNT_MAX) {
        fail(r, "'modems' must be a list of 1 to %d", KENG_AIR_MODEM_COUNT_MAX);
        return;
    }
    c->modems = calloc(count, sizeof *c->modems);
    c->positions = calloc(count, sizeof *c->positions);
    c->loss_db_x100 = calloc(count * count, sizeof *c->loss_db_x100);
    if (!c->modems || !c->positions || !c->loss_db_x100) {
        fail(r, "out of memory");
        return;
    }
    for (size_t i = 0; i < count * count; i++)
        c->loss_db_x100[i] = AIR_NO_LINK;
    for (uint32_t i = 0; i < count; i++) {
        read_modem(r, c, json_array_get(list, i), i);
        c->modem_count = i + 1;
    }
}

/* "links": [[from, to, loss_db], ...], each both ways. */
static void read_links(struct reader *r, struct keng_air_config *c, json_t *list)
{
    size_t i;
    json_t *link;
    if (!json_is_array(list)) {
        fail(r, "'links' must be a list of [name, name, loss_db]");
        return;
    }
    json_array_foreach(list, i, link) {
        const char *from = json_string_value(json_array_get(link, 0));
        const char *to = json_string_value(json_array_get(link, 1));
        json_t *loss = json_array_get(link, 2);
        if (json_array_size(link) != 3 || !from || !to || !json_is_number(loss)) {
            fail(r, "links[%zu] must be [name, name, loss_db]", i);
            return;
        }
        uint32_t a = find_name(c, from);
        uint32_t b = find_name(c, to);
        double db = json_number_value(loss);
        if (a == c->modem_count || b == c->modem_count || a == b) {
            fail(r, "links[%zu]: '%s' and '%s' must be names of two modems", i, from, to);
        } else if (!(db >= 0 && db <= LOSS_DB_MAX)) {
            fail(r, "links[%zu]: loss_db is %g; it must be 0 to %d", i, db, LOSS_DB_MAX);
        } else {
            c->loss_db_x100[(size_t)a * c->modem_count + b] = x100(db);
            c->loss_db_x100[(size_t)b * c->modem_count + a] = x100(db);
        }
    }
}

static void read_matrix(struct reader *r, struct keng_air_config *c, json_t *rows)
{
    if (json_array_size(rows) != c->modem_count) {
        fail(r, "propagation: 'loss_db' must be a list of %u rows", (unsigned)c->modem_count);
        return;
    }
    for (size_t i = 0; i < c->modem_count; i++) {
        json_t *row = json_array_get(rows, i);
        if (json_array_size(row) != c->modem_count) {
            fail(r, "propagation: loss_db[%zu] must be a list of %u", i, (unsigned)c->modem_count);
            return;
        }
        for (size_t j = 0; j < c->modem_count; j++) {
            json_t *loss = json_array_get(row, j);
            double db = json_number_value(loss);
            if (json_is_null(loss))
                continue;
            if (!json_is_number(loss) || !(db >= 0 && db <= LOSS_DB_MAX)) {
                fail(r, "propagation: loss_db[%zu][%zu] must be null or 0 to %d", i, j,
                     LOSS_DB_MAX);
                return;
            }
            c->loss_db_x100[i * c->modem_count + j] = x100(db);
        }
    }
}

static void read_propagation(struct reader *r, struct keng_air_config *c, json_t *object)
{
    static const char *const matrix_names[] = { "model", "loss_db", NULL };
    static const char *const distance_names[] = { "model", "ref_m", "ref_loss_db", "exponent",
                                                  "shadow_sigma_db", "fading_sigma_db", NULL };
    const char *where = "propagation";
    const char *model = json_string_value(json_object_get(object, "model"));
    if (model && strcmp(model, "matrix") == 0) {
        only_keys(r, where, object, matrix_names);
        read_matrix(r, c, json_object_get(object, "loss_db"));
    } else if (model && strcmp(model, "log-distance") == 0) {
        struct air_config *a = &c->air;
        only_keys(r, where, object, distance_names);
        a->model = AIR_LOG_DISTANCE;
        a->ref_m = (int32_t)number(r, where, object, "ref_m", REQUIRED, 1, 1, DISTANCE_M_MAX);
        a->ref_loss_db_x100 =
            x100(number(r, where, object, "ref_loss_db", REQUIRED, 0, 0, LOSS_DB_MAX));
        a->exponent_x100 = x100(number(r, where, object, "exponent", REQUIRED, 0, 0, 10));
        a->shadow_sigma_db_x100 =
            x100(number(r, where, object, "shadow_sigma_db", OPTIONAL, 0, 0, 30));
        a->fading_sigma_db_x100 =
            x100(number(r, where, object, "fading_sigma_db", OPTIONAL, 0, 0, 30));
    } else {
        fail(r, "propagation: 'model' must be \"matrix\" or \"log-distance\"");
    }
}

static void read_band(struct reader *r, struct keng_air_config *c, json_t *object)
{
    static const char *const names[] = { "freq_lo_hz", "freq_hi_hz", "eirp_max_dbm",
                                         "duty_fraction", "duty_window_s", NULL };
    const char *where = "law";
    only_keys(r, where, object, names);
    struct keng_air_law *law = &c->laws[c->law_count++];
    law->freq_lo_hz = (uint32_t)number(r, where, object, "freq_lo_hz", REQUIRED, 0, 0, 4e9);
    law->freq_hi_hz = (uint32_t)number(r, where, object, "freq_hi_hz", REQUIRED, 0, 0, 4e9);
    law->eirp_max_dbm = number(r, where, object, "eirp_max_dbm", REQUIRED, 0, -50, 50);
    law->has_duty = json_object_get(object, "duty_fraction") != NULL;
    law->duty_fraction = number(r, where, object, "duty_fraction", OPTIONAL, 1, 0, 1);
    double window_s = number(r, where, object, "duty_window_s", OPTIONAL, 3600, 1, 1e6);
    law->duty_window_us = (uint64_t)(window_s * 1e6);
    if (json_object_get(object, "duty_window_s") && !law->has_duty)
        fail(r, "law: 'duty_window_s' needs 'duty_fraction'");
    if (law->freq_lo_hz >= law->freq_hi_hz)
        fail(r, "law: 'freq_lo_hz' must be below 'freq_hi_hz'");
}

static void read_law(struct reader *r, struct keng_air_config *c, json_t *law)
{
    if (!json_is_array(law)) {
        read_band(r, c, law);
        return;
    }
    size_t count = json_array_size(law);
    if (count == 0 || count > KENG_AIR_LAW_COUNT_MAX)
        fail(r, "law: a list has 1 to %d bands", KENG_AIR_LAW_COUNT_MAX);
    for (size_t i = 0; i < count && !r->failed; i++)
        read_band(r, c, json_array_get(law, i));
}

static void read_air(struct reader *r, struct keng_air_config *c, json_t *root)
{
    static const char *const cca_names[] = { "busy_dbm", "miss", "blind_ms", NULL };
    const char *top = "top level";
    struct air_config *a = &c->air;
    a->sensitivity_dbm_x100 = x100(number(r, top, root, "sensitivity_dbm", REQUIRED, 0, -160, 0));
    a->capture_db_x100 =
        x100(number(r, top, root, "capture_db", OPTIONAL, CAPTURE_DB_DEFAULT, 0, 50));
    a->frame_loss_ppm = ppm(number(r, top, root, "frame_loss", OPTIONAL, 0, 0, 1));
    a->bit_flip_ppm = ppm(number(r, top, root, "bit_flip", OPTIONAL, 0, 0, 1));
    a->duplicate_ppm = ppm(number(r, top, root, "duplicate", OPTIONAL, 0, 0, 1));
    a->cca_busy_dbm_x100 = a->sensitivity_dbm_x100;
    a->cca_blind_us = CCA_BLIND_MS_DEFAULT * 1000;
    json_t *cca = json_object_get(root, "cca");
    if (cca) {
        only_keys(r, "cca", cca, cca_names);
        double busy_dbm = number(r, "cca", cca, "busy_dbm", OPTIONAL,
                                 a->sensitivity_dbm_x100 / 100.0, -160, 0);
        a->cca_busy_dbm_x100 = x100(busy_dbm);
        a->cca_miss_ppm = ppm(number(r, "cca", cca, "miss", OPTIONAL, 0, 0, 1));
        a->cca_blind_us = (uint32_t)(1000 * number(r, "cca", cca, "blind_ms", OPTIONAL,
                                                   CCA_BLIND_MS_DEFAULT, 0, 1000));
    }
}

static void read_root(struct reader *r, struct keng_air_config *c, json_t *root)
{
    static const char *const names[] = { "modems", "links", "propagation", "sensitivity_dbm",
                                         "capture_db", "cca", "frame_loss", "bit_flip",
                                         "duplicate", "law", NULL };
    only_keys(r, "top level", root, names);
    read_modems(r, c, json_object_get(root, "modems"));
    if (r->failed)
        return;
    json_t *links = json_object_get(root, "links");
    json_t *propagation = json_object_get(root, "propagation");
    if (!links == !propagation)
        fail(r, "exactly one of 'links' and 'propagation' is needed");
    else if (links)
        read_links(r, c, links);
    else
        read_propagation(r, c, propagation);
    read_air(r, c, root);
    json_t *law = json_object_get(root, "law");
    if (law)
        read_law(r, c, law);
    c->air.radio_count = c->modem_count;
    c->air.pair_count_max = c->modem_count * c->modem_count + PAIR_SPARE;
    c->air.loss_db_x100 = c->loss_db_x100;
    c->air.positions = c->positions;
}

int keng_air_config_load(const char *path, struct keng_air_config *config_out,
                         char text[KENG_AIR_TEXT_LEN])
{
    struct reader r = { .path = path, .text = text };
    struct keng_air_config c = { .modem_count = 0 };
    json_error_t error;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
    if (root)
        read_root(&r, &c, root);
    else if (error.line > 0)
        fail(&r, "line %d: %s", error.line, error.text);
    else
        fail(&r, "%s", error.text);
    json_decref(root);
    if (r.failed) {
        keng_air_config_free(&c);
        return -1;
    }
    *config_out = c;
    return 0;
}

void keng_air_config_free(struct keng_air_config *config)
{
    free(config->modems);
    free(config->positions);
    free(config->loss_db_x100);
    *config = (struct keng_air_config){ .modem_count = 0 };
}
