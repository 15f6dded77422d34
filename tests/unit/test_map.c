#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gateway/map.h"

static char dir[] = "/tmp/keng-map-test.XXXXXX";
static char err[MAP_ERR_LEN];

static const char *place(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(place(name), "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void write_tiles(const char *name, const char *sql)
{
    sqlite3 *db;
    unlink(place(name));
    assert_int_equal(sqlite3_open(place(name), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE metadata (name, value);"
                                  "CREATE TABLE tiles (zoom_level INTEGER, tile_column INTEGER,"
                                  " tile_row INTEGER, tile_data BLOB)", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Rows of the file count from the south, those of the web from the north. */
static void test_map_turns_rows_over(void **state)
{
    struct map map = { .tiles = NULL };
    struct strbuf tile = { .text = NULL };
    (void)state;
    write_tiles("a.mbtiles", "INSERT INTO metadata VALUES ('format', 'png');"
                "INSERT INTO tiles VALUES (2, 1, 3, 'north'), (2, 1, 0, 'south')");
    assert_int_equal(map_add(&map, place("a.mbtiles"), err), 0);
    assert_string_equal(map.tile_type, "image/png");
    assert_int_equal(map.zoom_min, 2);
    assert_true(map_tile(&map, 2, 1, 0, &tile));
    assert_string_equal(tile.text, "north");
    strbuf_free(&tile);
    tile = (struct strbuf){ .text = NULL };
    assert_true(map_tile(&map, 2, 1, 3, &tile));
    assert_string_equal(tile.text, "south");
    static const unsigned NONE[][3] = { { 2, 0, 0 }, { 2, 4, 0 }, { 2, 1, 4 }, { 3, 1, 0 },
                                        { 23, 0, 0 }, { UINT32_MAX, 0, 0 } };
    for (size_t i = 0; i < sizeof NONE / sizeof NONE[0]; i++)
        assert_false(map_tile(&map, NONE[i][0], NONE[i][1], NONE[i][2], &tile));
    assert_int_equal(map_add(&map, place("a.mbtiles"), err), -1); /* a second one */
    strbuf_free(&tile);
    map_close(&map);
    assert_false(map_tile(&map, 2, 1, 0, &tile));
}

static void test_map_refuses_other_files(void **state)
{
    struct map map = { .tiles = NULL };
    static const char *const TEXTS[] = { "", "{", "[]", "{\"type\":\"Topology\"}", "{\"type\":3}" };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        write_file("x.geojson", TEXTS[i]);
        assert_int_equal(map_add(&map, place("x.geojson"), err), -1);
    }
    write_tiles("x.mbtiles", "INSERT INTO metadata VALUES ('format', 'pbf')");
    assert_int_equal(map_add(&map, place("x.mbtiles"), err), -1);
    write_tiles("x.mbtiles", "INSERT INTO metadata VALUES ('format', 'png')");
    assert_int_equal(map_add(&map, place("x.mbtiles"), err), -1); /* no tile */
    write_file("x.mbtiles", "this is no database, and long enough to be taken for one at first");
    assert_int_equal(map_add(&map, place("x.mbtiles"), err), -1);
    assert_int_equal(map_add(&map, place("absent.geojson"), err), -1);
    assert_null(map.tiles);
    assert_int_equal(map.layer_count, 0);
}

static void test_map_keeps_outlines(void **state)
{
    struct map map = { .tiles = NULL };
    (void)state;
    write_file("b.geojson", "{\"type\":\"FeatureCollection\",\"features\":[]}");
    for (size_t i = 0; i < MAP_LAYER_COUNT_MAX; i++)
        assert_int_equal(map_add(&map, place("b.geojson"), err), 0);
    assert_int_equal(map_add(&map, place("b.geojson"), err), -1);
    assert_ptr_equal(strstr(map.layers[3], "{\"type\""), map.layers[3]);
    map_close(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_map_turns_rows_over),
        cmocka_unit_test(test_map_refuses_other_files),
        cmocka_unit_test(test_map_keeps_outlines),
    };
    static const char *const FILES[] = { "a.mbtiles", "x.mbtiles", "x.geojson", "b.geojson" };
    if (!mkdtemp(dir))
        return 2;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++)
        unlink(place(FILES[i]));
    return rmdir(dir) == 0 ? failed : 2;
}
