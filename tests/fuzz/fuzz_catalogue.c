/* Data files from a stick: any bytes give a catalogue that can be searched, or one line.
 * Input: VERSION, indicators.csv, hazards.csv and a villages file, separated by bytes of 0xff. */
#include <unistd.h>

#include "proto/catalogue.h"
#include "tests/fuzz/fuzz.h"

static char catalogue_dir[64];

static void remove_catalogue_dir(void)
{
    static const char *const NAMES[] = { "VERSION", "indicators.csv", "hazards.csv", "v.csv" };
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", catalogue_dir, NAMES[i]);
        unlink(path);
    }
    rmdir(catalogue_dir);
}

static const uint8_t *write_part(const char *name, const uint8_t *at, const uint8_t *end)
{
    char path[128];
    const uint8_t *stop = at < end ? memchr(at, 0xff, (size_t)(end - at)) : NULL;
    snprintf(path, sizeof path, "%s/%s", catalogue_dir, name);
    FILE *f = fopen(path, "w");
    FUZZ_CHECK(f != NULL);
    size_t len = (size_t)((stop ? stop : end) - at);
    FUZZ_CHECK(fwrite(at, 1, len, f) == len);
    FUZZ_CHECK(fclose(f) == 0);
    return stop ? stop + 1 : end;
}

static void search(const struct catalogue *cat)
{
    const struct catalogue_item *found[CATALOGUE_SUGGESTION_COUNT_MAX];
    char text[CATALOGUE_VALUE_LEN];
    for (size_t i = 0; i < cat->item_count; i++) {
        const struct catalogue_item *item = &cat->items[i];
        const struct catalogue_row *row = &item->row;
        FUZZ_CHECK(catalogue_get(cat, row->kind, row->number, row->until_ms) == item);
        FUZZ_CHECK(catalogue_get(cat, row->kind, row->number, row->from_ms) == item);
        if (*item->code && !strchr(item->code, ' ')) /* each word of a code is a name of its own */
            FUZZ_CHECK(catalogue_find(cat, row->kind, item->code, row->until_ms) == item);
        catalogue_suggest(cat, row->kind, item->name_vi, row->from_ms, found,
                          CATALOGUE_SUGGESTION_COUNT_MAX);
        catalogue_value_format(item, CATALOGUE_VALUE_MAX, CATALOGUE_VI, true, text, sizeof text);
        FUZZ_CHECK(memchr(text, '\0', sizeof text) != NULL);
    }
}

static void fuzz_catalogue(const uint8_t *data, size_t len)
{
    char err[CATALOGUE_ERR_LEN], path[128];
    struct catalogue *cat = NULL;
    struct villages *villages = NULL;
    if (!catalogue_dir[0]) {
        const char *base = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
        snprintf(catalogue_dir, sizeof catalogue_dir, "%.40s/keng-fuzz-XXXXXX", base);
        FUZZ_CHECK(mkdtemp(catalogue_dir) != NULL);
        atexit(remove_catalogue_dir);
    }
    const uint8_t *at = data, *end = data + len;
    at = write_part("VERSION", at, end);
    at = write_part("indicators.csv", at, end);
    at = write_part("hazards.csv", at, end);
    write_part("v.csv", at, end);
    err[0] = '\0';
    if (catalogue_load(catalogue_dir, &cat, err, sizeof err) == CATALOGUE_OK)
        search(cat);
    else
        FUZZ_CHECK(err[0] != '\0' && !strchr(err, '\n'));
    catalogue_free(cat);
    snprintf(path, sizeof path, "%s/v.csv", catalogue_dir);
    err[0] = '\0';
    if (villages_load(path, &villages, err, sizeof err) == CATALOGUE_OK) {
        for (size_t i = 0; i < villages->count; i++)
            FUZZ_CHECK(villages_get(villages, villages->list[i].row.number,
                                    villages->list[i].row.until_ms) == &villages->list[i]);
    } else {
        FUZZ_CHECK(err[0] != '\0' && !strchr(err, '\n'));
    }
    villages_free(villages);
}

FUZZ_TARGET(fuzz_catalogue)
