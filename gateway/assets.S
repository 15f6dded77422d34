/* assets.S - the console's static files and the translations as read-only data.  The last section
 * keeps the stack of the program non-executable: an assembled file would otherwise ask for an
 * executable one. */
    .section .rodata
    .balign 16
    .global asset_style_css, asset_style_css_end
asset_style_css:
    .incbin "gateway/console/style.css"
asset_style_css_end:
    .byte 0
    .balign 16
    .global asset_live_js, asset_live_js_end
asset_live_js:
    .incbin "gateway/console/live.js"
asset_live_js_end:
    .byte 0
    .balign 16
    .global asset_icon_svg, asset_icon_svg_end
asset_icon_svg:
    .incbin "gateway/console/icon.svg"
asset_icon_svg_end:
    .byte 0
    .balign 16
    .global asset_vi_mo, asset_vi_mo_end
asset_vi_mo:
    .incbin "build/gen/vi.mo"
asset_vi_mo_end:
    .byte 0
    .balign 16
    .global asset_leaflet_js, asset_leaflet_js_end
asset_leaflet_js:
    .incbin "gateway/console/leaflet/leaflet.js"
asset_leaflet_js_end:
    .byte 0
    .balign 16
    .global asset_leaflet_css, asset_leaflet_css_end
asset_leaflet_css:
    .incbin "gateway/console/leaflet/leaflet.css"
asset_leaflet_css_end:
    .byte 0
    .balign 16
    .global asset_map_js, asset_map_js_end
asset_map_js:
    .incbin "gateway/console/map.js"
asset_map_js_end:
    .byte 0
    .balign 16
    .global asset_guide_vi, asset_guide_vi_end
asset_guide_vi:
    .incbin "gateway/console/guide.vi.html"
asset_guide_vi_end:
    .byte 0
    .balign 16
    .global asset_guide_en, asset_guide_en_end
asset_guide_en:
    .incbin "gateway/console/guide.en.html"
asset_guide_en_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
