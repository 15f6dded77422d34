/* assets.h - the console's static files and translations, linked into the program (assets.S). */
#ifndef KENG_GATEWAY_ASSETS_H
#define KENG_GATEWAY_ASSETS_H

#include <stddef.h>

extern const char asset_style_css[], asset_style_css_end[];
extern const char asset_live_js[], asset_live_js_end[];
extern const char asset_vi_mo[], asset_vi_mo_end[];
extern const char asset_leaflet_js[], asset_leaflet_js_end[];
extern const char asset_leaflet_css[], asset_leaflet_css_end[];
extern const char asset_map_js[], asset_map_js_end[];
/* The guide, without a page's frame.  What is bold in it is a text of lang.h, word for word. */
extern const char asset_guide_vi[], asset_guide_vi_end[];
extern const char asset_guide_en[], asset_guide_en_end[];
extern const char asset_icon_svg[], asset_icon_svg_end[];

static inline size_t asset_len(const char *start, const char *end)
{
    return (size_t)(end - start);
}

#endif
