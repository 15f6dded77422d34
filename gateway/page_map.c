/* The map, and under it the list it is drawn from: villages, boxes, reports, and who hears whom. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/console_page.h"
#include "gateway/map.h"

enum { POINT_COUNT_MAX = 2000, REPORT_COUNT = 300, NAME_LEN = 160, STATUS_NOT_FOUND = 404 };

struct point {
    const char *what; /* village, node, p0 .. p3 (a report by urgency), link */
    int32_t lat_e5, lon_e5;
    int32_t to_lat_e5, to_lon_e5; /* of a link */
    int64_t arrival;              /* of a report */
    char name[NAME_LEN];
};

struct points {
    const struct console_view *view;
    struct point *list; /* POINT_COUNT_MAX */
    size_t count;
};

static struct point *add_point(struct points *all, const char *what, int32_t lat_e5, int32_t lon_e5)
{
    if (all->count == POINT_COUNT_MAX || (lat_e5 == 0 && lon_e5 == 0))
        return NULL;
    struct point *p = &all->list[all->count++];
    *p = (struct point){ .what = what, .lat_e5 = lat_e5, .lon_e5 = lon_e5 };
    return p;
}

static const struct village *village_of(const struct points *all, uint32_t number)
{
    const struct villages *villages = all->view->console->villages;
    return villages && number ? villages_get(villages, number, all->view->wall_ms) : NULL;
}

static void add_villages(struct points *all)
{
    const struct villages *villages = all->view->console->villages;
    for (size_t i = 0; villages && i < villages->count; i++) {
        const struct village *v = &villages->list[i];
        if (!catalogue_holds(&v->row, all->view->wall_ms))
            continue;
        struct point *p = add_point(all, "village", v->lat_e5, v->lon_e5);
        if (p)
            snprintf(p->name, sizeof p->name, "%.90s · %u %s, %u %s", v->name,
                     (unsigned)v->households, lang_text(all->view->language, LANG_HOUSEHOLDS),
                     (unsigned)v->people, lang_text(all->view->language, LANG_PERSONS));
    }
}

/* Boxes stand in their villages as far as anybody said. */
static void add_nodes(struct points *all, const struct ledger_commune *own)
{
    for (size_t i = 0; own && i < own->roster.author_count; i++) {
        const struct roster_entry *e = &own->roster.authors[i].entry;
        const struct village *v = village_of(all, e->village);
        if (!v || e->revoked_after != 0 || (e->role != ROSTER_NODE && e->role != ROSTER_GATEWAY))
            continue;
        struct point *p = add_point(all, "node", v->lat_e5, v->lon_e5);
        if (p)
            snprintf(p->name, sizeof p->name, "%u %.100s", (unsigned)e->number, e->name);
    }
}

static void add_links(struct points *all, const struct ledger_commune *own)
{
    const struct console_node *node = all->view->console->node;
    const struct roster_author *self =
        own && node->number > 0 ? roster_find(&own->roster, (uint16_t)node->number) : NULL;
    const struct village *from = self ? village_of(all, self->entry.village) : NULL;
    for (size_t i = 0; from && node->connected && i < node->listed_count; i++) {
        const struct console_neighbour *n = &node->neighbours[i];
        const struct roster_author *other = roster_find(&own->roster, n->number);
        const struct village *to = other ? village_of(all, other->entry.village) : NULL;
        struct point *p = to && to != from ? add_point(all, "link", from->lat_e5, from->lon_e5)
                                           : NULL;
        if (!p)
            continue;
        p->to_lat_e5 = to->lat_e5;
        p->to_lon_e5 = to->lon_e5;
        snprintf(p->name, sizeof p->name, "%u ↔ %u %.60s, SNR %.0f dB", (unsigned)node->number,
                 (unsigned)n->number, other->entry.name, n->snr_db);
    }
}

/* Where the report says, else at its village. */
static int add_report(void *ctx, const struct db_record *r)
{
    static const char *const WHATS[PRIORITY_COUNT] = { "p0", "p1", "p2", "p3" };
    struct points *all = ctx;
    struct record_view view;
    struct report report;
    const struct village *v = village_of(all, r->village);
    enum language language = all->view->language;
    if (!r->readable || record_decode(r->bytes, r->len, &view) != RECORD_OK ||
        report_decode(view.body, view.body_len, &report) != REPORT_OK)
        return 0;
    bool own_place = report.lat_e5 != 0 || report.lon_e5 != 0;
    struct point *p = add_point(all, WHATS[r->priority % PRIORITY_COUNT],
                                own_place ? report.lat_e5 : v ? v->lat_e5 : 0,
                                own_place ? report.lon_e5 : v ? v->lon_e5 : 0);
    if (!p)
        return 0;
    p->arrival = r->arrival;
    /* A call that waits says so in words as well, on the map and in the list. */
    bool calls = r->kind == RECORD_RESCUE && r->review_state == 0 && !r->drill;
    snprintf(p->name, sizeof p->name, "%s%s%s%s · %u-%u%s%.60s", calls ? "▲ " : "",
             r->drill ? lang_text(language, LANG_DRILL) : "", r->drill ? " " : "",
             lang_kind(language, r->kind), (unsigned)r->ref.author, (unsigned)r->ref.seq,
             v ? " · " : "", v ? v->name : "");
    return 0;
}

/* 0 or enum db_err.  Positions are known for the own commune's villages only. */
static int collect(const struct console_view *view, struct points *all)
{
    const struct console *c = view->console;
    const struct ledger_commune *own = ledger_get(c->ledger, c->own_commune);
    struct db_list_filter filter = db_list_all(REPORT_COUNT);
    *all = (struct points){ .view = view, .list = calloc(POINT_COUNT_MAX, sizeof *all->list) };
    if (!all->list)
        return DB_ENOMEM;
    filter.commune = c->own_commune;
    add_villages(all);
    add_nodes(all, own);
    add_links(all, own);
    int result = db_record_list(c->ledger->db, &filter, add_report, all);
    return result < 0 ? result : 0;
}

/* ---- for the script -------------------------------------------------------------------------- */

static void put_place(struct strbuf *out, int32_t lat_e5, int32_t lon_e5)
{
    strbuf_putf(out, "[%.5f,%.5f]", lon_e5 / 1e5, lat_e5 / 1e5); /* longitude first: RFC 7946 */
}

static void put_feature(struct strbuf *out, const struct point *p)
{
    bool is_link = p->to_lat_e5 != 0 || p->to_lon_e5 != 0;
    strbuf_putf(out, "{\"type\":\"Feature\",\"geometry\":{\"type\":\"%s\",\"coordinates\":%s",
                is_link ? "LineString" : "Point", is_link ? "[" : "");
    put_place(out, p->lat_e5, p->lon_e5);
    if (is_link) {
        strbuf_put(out, ",");
        put_place(out, p->to_lat_e5, p->to_lon_e5);
        strbuf_put(out, "]");
    }
    strbuf_putf(out, "},\"properties\":{\"what\":\"%s\",\"name\":", p->what);
    strbuf_put_json(out, p->name);
    if (p->arrival)
        strbuf_putf(out, ",\"href\":\"/record?arrival=%" PRId64 "\"", p->arrival);
    strbuf_put(out, "}}");
}

void console_map_points(const struct console_view *view, struct http_answer *answer)
{
    struct points all;
    if (collect(view, &all) < 0) {
        free(all.list);
        console_message(view, 503, LANG_ERR_DISK, answer);
        return;
    }
    answer->status = 200;
    answer->content_type = "application/geo+json";
    strbuf_put(&answer->body, "{\"type\":\"FeatureCollection\",\"features\":[");
    for (size_t i = 0; i < all.count; i++) {
        strbuf_put(&answer->body, i ? ",\n" : "");
        put_feature(&answer->body, &all.list[i]);
    }
    strbuf_put(&answer->body, "]}\n");
    free(all.list);
}

void console_map_layer(const struct console_view *view, struct http_answer *answer)
{
    const struct map *map = view->console->map;
    int64_t n = console_number(http_query(view->request, "n"), MAP_LAYER_COUNT_MAX, -1);
    if (!map || n < 0 || (size_t)n >= map->layer_count) {
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
        return;
    }
    answer->status = 200;
    answer->content_type = "application/geo+json";
    strbuf_put(&answer->body, map->layers[n]);
}

void console_map_tile(const struct console_view *view, struct http_answer *answer)
{
    const struct map *map = view->console->map;
    int64_t zoom = console_number(http_query(view->request, "z"), MAP_ZOOM_MAX, -1);
    int64_t x = console_number(http_query(view->request, "x"), 1 << MAP_ZOOM_MAX, -1);
    int64_t y = console_number(http_query(view->request, "y"), 1 << MAP_ZOOM_MAX, -1);
    if (!map || zoom < 0 || x < 0 || y < 0 ||
        !map_tile(map, (unsigned)zoom, (unsigned)x, (unsigned)y, &answer->body)) {
        strbuf_free(&answer->body);
        answer->body = (struct strbuf){ .text = NULL };
        console_message(view, STATUS_NOT_FOUND, LANG_ERR_NOT_FOUND, answer);
        return;
    }
    answer->status = 200;
    answer->content_type = map->tile_type;
}

/* ---- for the reader -------------------------------------------------------------------------- */

static void put_row(const struct page *p, const struct point *point)
{
    strbuf_putf(p->out, "<tr><td><span class=\"dot %s\"></span>", point->what);
    if (point->arrival)
        strbuf_putf(p->out, "<a href=\"/record?arrival=%" PRId64 "&amp;lang=%s\">", point->arrival,
                    lang_code(p->view->language));
    strbuf_put_html(p->out, point->name);
    strbuf_putf(p->out, "%s</td><td class=\"dim\">%.5f, %.5f</td></tr>\n",
                point->arrival ? "</a>" : "", point->lat_e5 / 1e5, point->lon_e5 / 1e5);
}

static void put_map(const struct page *p)
{
    const struct map *map = p->view->console->map;
    strbuf_putf(p->out, "<link rel=\"stylesheet\" href=\"/leaflet.css\"><div id=\"map\" hidden "
                        "data-layers=\"%zu\"", map ? map->layer_count : 0);
    if (map && map->tiles)
        strbuf_putf(p->out, " data-tiles=\"1\" data-zoom-min=\"%u\" data-zoom-max=\"%u\"",
                    map->zoom_min, map->zoom_max);
    strbuf_putf(p->out, "></div><p class=\"legend\"><span><span class=\"dot village\"></span>"
                        "%s</span><span><span class=\"dot node\"></span>%s</span><span>"
                        "<span class=\"dot link\"></span>%s</span>", page_text(p, LANG_VILLAGE),
                page_text(p, LANG_MAP_BOX), page_text(p, LANG_MAP_LINK));
    for (uint8_t i = PRIORITY_COUNT; i > 0; i--)
        strbuf_putf(p->out, "<span><span class=\"dot p%u\"></span>%s</span>", i - 1u,
                    lang_priority(p->view->language, (uint8_t)(i - 1)));
    strbuf_putf(p->out, "</p><noscript><p class=\"dim\">%s</p></noscript>\n",
                page_text(p, LANG_MAP_NO_SCRIPT));
}

void console_page_map(const struct console_view *view, struct http_answer *answer)
{
    struct page p = { .view = view, .out = &answer->body };
    struct points all;
    int result = collect(view, &all);
    answer->status = 200;
    answer->content_type = "text/html; charset=utf-8";
    page_open(&p, page_text(&p, LANG_MAP), false);
    strbuf_put(p.out, "<main class=\"wide\">\n");
    put_map(&p);
    strbuf_putf(p.out, "<section><h2>%s</h2>", page_text(&p, LANG_MAP_LIST));
    if (all.count == 0)
        strbuf_putf(p.out, "<p class=\"none\">%s</p>", page_text(&p, LANG_MAP_NONE));
    else
        strbuf_putf(p.out, "<table><thead><tr><th>%s</th><th>%s</th></tr></thead><tbody>\n",
                    page_text(&p, LANG_MAP_WHAT), page_text(&p, LANG_MAP_PLACE));
    for (size_t i = 0; i < all.count; i++)
        put_row(&p, &all.list[i]);
    strbuf_put(p.out, all.count ? "</tbody></table></section>\n" : "</section>\n");
    if (result < 0)
        strbuf_putf(p.out, "<p class=\"alarm\" role=\"alert\">%s</p>",
                    page_text(&p, LANG_ERR_DISK));
    strbuf_put(p.out, "</main>\n<script src=\"/leaflet.js\"></script>"
                      "<script src=\"/map.js\"></script>\n");
    page_close(&p);
    free(all.list);
}
