#include "gateway/map.h"

#include <errno.h>
#include <jansson.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(char err[static MAP_ERR_LEN], const char *path, const char *why)
{
    snprintf(err, MAP_ERR_LEN, "--map %.120s: %.110s", path, why);
    return -1;
}

/* A row of the metadata table; false: it is not there or too long. */
static bool read_metadata(sqlite3 *db, const char *name, char *out, size_t cap)
{
    sqlite3_stmt *stmt = NULL;
    bool good = sqlite3_prepare_v2(db, "SELECT value FROM metadata WHERE name = ?1", -1, &stmt,
                                   NULL) == SQLITE_OK &&
                sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_text(stmt, 0);
    if (good)
        good = snprintf(out, cap, "%s", (const char *)sqlite3_column_text(stmt, 0)) < (int)cap;
    sqlite3_finalize(stmt);
    return good;
}

static const char *type_of(const char *format)
{
    static const struct { const char *format, *type; } TYPES[] = {
        { "png", "image/png" }, { "jpg", "image/jpeg" }, { "jpeg", "image/jpeg" },
        { "webp", "image/webp" },
    };
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++)
        if (strcmp(TYPES[i].format, format) == 0)
            return TYPES[i].type;
    return NULL;
}

static bool read_zooms(sqlite3 *db, struct map *map)
{
    sqlite3_stmt *stmt = NULL;
    bool good = sqlite3_prepare_v2(db, "SELECT min(zoom_level), max(zoom_level) FROM tiles", -1,
                                   &stmt, NULL) == SQLITE_OK &&
                sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) == SQLITE_INTEGER;
    if (good) {
        map->zoom_min = (unsigned)sqlite3_column_int(stmt, 0);
        map->zoom_max = (unsigned)sqlite3_column_int(stmt, 1);
        good = map->zoom_min <= map->zoom_max && map->zoom_max <= MAP_ZOOM_MAX;
    }
    sqlite3_finalize(stmt);
    return good;
}

static int add_tiles(struct map *map, const char *path, char err[static MAP_ERR_LEN])
{
    char format[16] = "";
    sqlite3 *db = NULL;
    const char *why = NULL;
    if (map->tiles)
        return fail(err, path, "one file of tiles at most");
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
        why = db ? sqlite3_errmsg(db) : "out of memory";
    else if (!read_metadata(db, "format", format, sizeof format) || !type_of(format))
        why = "no MBTiles file of png, jpg or webp tiles";
    else if (!read_zooms(db, map))
        why = "there is no tile in it";
    int result = why ? fail(err, path, why) : 0;
    map->tile_type = type_of(format);
    if (why)
        sqlite3_close(db);
    else
        map->tiles = db;
    return result;
}

static int add_layer(struct map *map, const char *path, char err[static MAP_ERR_LEN])
{
    if (map->layer_count == MAP_LAYER_COUNT_MAX)
        return fail(err, path, "too many files");
    char *text = malloc(MAP_LAYER_LEN_MAX + 1);
    FILE *file = text ? fopen(path, "re") : NULL;
    size_t len = file ? fread(text, 1, MAP_LAYER_LEN_MAX + 1, file) : 0;
    const char *why = !file ? strerror(errno) : ferror(file) ? "cannot be read"
                      : len > MAP_LAYER_LEN_MAX ? "longer than 4 MB" : NULL;
    json_t *json = why ? NULL : json_loadb(text, len, 0, NULL);
    const char *type = json_string_value(json_object_get(json, "type"));
    if (!why && (!type || (strcmp(type, "FeatureCollection") != 0 && strcmp(type, "Feature") != 0)))
        why = "neither .mbtiles nor GeoJSON features";
    json_decref(json);
    if (file)
        fclose(file);
    if (why) {
        free(text);
        return fail(err, path, why);
    }
    text[len] = '\0';
    map->layers[map->layer_count++] = text;
    return 0;
}

int map_add(struct map *map, const char *path, char err[static MAP_ERR_LEN])
{
    size_t len = strlen(path), end_len = strlen(".mbtiles");
    bool tiles = len > end_len && strcmp(path + len - end_len, ".mbtiles") == 0;
    return tiles ? add_tiles(map, path, err) : add_layer(map, path, err);
}

void map_close(struct map *map)
{
    sqlite3_close(map->tiles);
    for (size_t i = 0; i < map->layer_count; i++)
        free(map->layers[i]);
    *map = (struct map){ .tiles = NULL };
}

bool map_tile(const struct map *map, unsigned zoom, unsigned x, unsigned y, struct strbuf *out)
{
    sqlite3_stmt *stmt = NULL;
    if (!map->tiles || zoom > MAP_ZOOM_MAX || x >= 1u << zoom || y >= 1u << zoom)
        return false;
    bool good = sqlite3_prepare_v2(map->tiles, "SELECT tile_data FROM tiles WHERE zoom_level = ?1"
                                   " AND tile_column = ?2 AND tile_row = ?3", -1, &stmt,
                                   NULL) == SQLITE_OK &&
                sqlite3_bind_int64(stmt, 1, zoom) == SQLITE_OK &&
                sqlite3_bind_int64(stmt, 2, x) == SQLITE_OK &&
                sqlite3_bind_int64(stmt, 3, (1u << zoom) - 1 - y) == SQLITE_OK &&
                sqlite3_step(stmt) == SQLITE_ROW;
    if (good)
        strbuf_put_len(out, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0));
    sqlite3_finalize(stmt);
    return good && !out->failed;
}
