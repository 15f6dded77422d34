/* map.h - the commune's own map files: tiles in an MBTiles file, outlines in GeoJSON files.
 *
 * Nothing is shipped and nothing is fetched: without files the map shows points on plain ground.
 *
 * Time      A tile is one look-up.
 * Memory    Outlines stay in memory, MAP_LAYER_LEN_MAX each.
 * Errors    map_add: 0 or -1 with one line in err.  map_tile: false, there is no such tile.
 * Source    MBTiles 1.3 (rows counted from the south), RFC 7946.
 */
#ifndef KENG_GATEWAY_MAP_H
#define KENG_GATEWAY_MAP_H

#include <stdbool.h>
#include <stddef.h>

#include "gateway/strbuf.h"

struct sqlite3;

enum {
    MAP_ERR_LEN = 256,
    MAP_LAYER_COUNT_MAX = 4,
    MAP_LAYER_LEN_MAX = 4 << 20,
    MAP_ZOOM_MAX = 22,
};

struct map {
    struct sqlite3 *tiles; /* NULL: none */
    const char *tile_type;
    unsigned zoom_min, zoom_max;
    char *layers[MAP_LAYER_COUNT_MAX]; /* GeoJSON, NUL-ended */
    size_t layer_count;
};

/* FILE.mbtiles, else GeoJSON. */
int map_add(struct map *map, const char *path, char err[static MAP_ERR_LEN]);
void map_close(struct map *map);
/* x, y as web maps count them, from the north-west. */
bool map_tile(const struct map *map, unsigned zoom, unsigned x, unsigned y, struct strbuf *out);

#endif
