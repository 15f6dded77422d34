/* Every kept input of the fuzzers, with cuts and flips of it, through the same checks: what was
 * found once stays found.  A broken promise ends the program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_REPLAY
#include "tests/fuzz/fuzz_api.c"
#include "tests/fuzz/fuzz_batch.c"
#include "tests/fuzz/fuzz_batch_file.c"
#include "tests/fuzz/fuzz_cap.c"
#include "tests/fuzz/fuzz_catalogue.c"
#include "tests/fuzz/fuzz_csv.c"
#include "tests/fuzz/fuzz_frame.c"
#include "tests/fuzz/fuzz_http_form.c"
#include "tests/fuzz/fuzz_mesh.c"
#include "tests/fuzz/fuzz_modem.c"
#include "tests/fuzz/fuzz_record.c"
#include "tests/fuzz/fuzz_report.c"
#include "tests/fuzz/fuzz_roster.c"
#include "tests/fuzz/fuzz_text.c"

enum { CORPUS_INPUT_LEN_MAX = 8192, CORPUS_VARIANT_COUNT = 64 };

struct corpus {
    const char *name;
    void (*run)(const uint8_t *data, size_t len);
    int variant_count; /* cuts and flips of each input; few where one run is dear */
};

/* The exact length on the heap, so that a read past the end is seen. */
static void run_exact(const struct corpus *c, const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    c->run(copy, len);
    free(copy);
}

static void run_variants(const struct corpus *c, uint8_t *data, size_t len)
{
    run_exact(c, data, len);
    for (int i = 0; len > 0 && i < c->variant_count; i++) {
        size_t at = (size_t)i * len / (size_t)c->variant_count;
        run_exact(c, data, at);
        data[at] ^= (uint8_t)(1u << (i % 8));
        run_exact(c, data, len);
        data[at] ^= (uint8_t)(1u << (i % 8));
    }
}

static void test_fuzz_corpus_breaks_no_promise(void **state)
{
    static uint8_t data[CORPUS_INPUT_LEN_MAX];
    const struct corpus *c = *state;
    char path[512];
    size_t count = 0;
    snprintf(path, sizeof path, "seeds/fuzz/%s", c->name);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "seeds/fuzz/%s/%.200s", c->name, e->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        size_t len = fread(data, 1, sizeof data, f);
        assert_true(len < sizeof data && !ferror(f));
        fclose(f);
        run_variants(c, data, len);
        count++;
    }
    closedir(dir);
    assert_true(count >= 3);
}

/* Each driver of the table has inputs of its own, in modem_NAME. */
static void test_fuzz_corpus_of_each_modem_breaks_no_promise(void **state)
{
    const struct modem_driver *driver;
    (void)state;
    for (size_t i = 0; (driver = modem_driver_at(i)) != NULL; i++) {
        char name[64];
        struct corpus corpus = { name, fuzz_modem, CORPUS_VARIANT_COUNT / 4 };
        void *one = &corpus;
        modem_name = driver->name;
        snprintf(name, sizeof name, "modem_%s", driver->name);
        test_fuzz_corpus_breaks_no_promise(&one);
    }
}

int main(void)
{
    static struct corpus corpora[] = {
        { "api", fuzz_api, 8 },           { "batch", fuzz_batch, CORPUS_VARIANT_COUNT },
        { "batch_file", fuzz_batch_file, CORPUS_VARIANT_COUNT },
        { "cap", fuzz_cap, CORPUS_VARIANT_COUNT },
        { "catalogue", fuzz_catalogue, CORPUS_VARIANT_COUNT / 4 },
        { "csv", fuzz_csv, CORPUS_VARIANT_COUNT },
        { "frame", fuzz_frame, CORPUS_VARIANT_COUNT },
        { "http_form", fuzz_http_form, CORPUS_VARIANT_COUNT },
        { "mesh", fuzz_mesh, CORPUS_VARIANT_COUNT / 4 },
        { "record", fuzz_record, CORPUS_VARIANT_COUNT },
        { "report", fuzz_report, CORPUS_VARIANT_COUNT },
        { "roster", fuzz_roster, CORPUS_VARIANT_COUNT },
        { "text", fuzz_text, CORPUS_VARIANT_COUNT },
    };
    enum { CORPUS_COUNT = sizeof corpora / sizeof corpora[0] };
    struct CMUnitTest tests[CORPUS_COUNT + 1];
    for (size_t i = 0; i < CORPUS_COUNT; i++)
        tests[i] = (struct CMUnitTest){ .name = corpora[i].name,
                                        .test_func = test_fuzz_corpus_breaks_no_promise,
                                        .initial_state = &corpora[i] };
    tests[CORPUS_COUNT] = (struct CMUnitTest)
        cmocka_unit_test(test_fuzz_corpus_of_each_modem_breaks_no_promise);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
