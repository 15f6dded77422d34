// The map is the list below it, drawn: no picture here says what no row says.
'use strict';
(() => {
    const box = document.getElementById('map');
    if (!box || !window.L)
        return;
    box.hidden = false;
    // Without tiles nothing else ends the zoom, and around a single place it would have no end.
    const map = L.map(box, { attributionControl: false, preferCanvas: false, maxZoom: 19 });
    map.setView([16, 106], 6);
    if (box.dataset.tiles)
        L.tileLayer('/map/tile?z={z}&x={x}&y={y}', {
            minNativeZoom: +box.dataset.zoomMin, maxNativeZoom: +box.dataset.zoomMax, maxZoom: 19,
        }).addTo(map);
    const COLOURS = { village: '#12303f', node: '#0d5f33', p3: '#a40e1d', p2: '#9a4a00',
                      p1: '#0b4f8a', p0: '#4d5763', link: '#0d5f33' };
    // Elements only: Leaflet takes a string for markup.  Links go to our own pages, whatever a file
    // that somebody loaded says.
    const words = (text, href) => {
        const own = /^\/[^/\\]/.test(href), element = document.createElement(own ? 'a' : 'span');
        element.textContent = text;
        if (own)
            element.href = href;
        return element;
    };
    // A village's name stands on the map; whatever else is known is one touch away.
    const label = (f) => f.properties.what === 'village'
        ? [words(String(f.properties.name).split(' · ')[0]),
           { permanent: true, direction: 'bottom', className: 'place', offset: [0, 6] }]
        : [words(f.properties.name),
           { permanent: f.properties.name.startsWith('▲'), direction: 'top', className: 'call' }];
    const draw = (data, style) => L.geoJSON(data, {
        style,
        pointToLayer: (f, at) => L.circleMarker(at, style(f)),
        onEachFeature: (f, layer) => f.properties && f.properties.name &&
            layer.bindPopup(words(f.properties.name, f.properties.href)).bindTooltip(...label(f)),
    }).addTo(map);
    for (let i = 0; i < +box.dataset.layers; i++)
        fetch(`/map/layer?n=${i}`).then((r) => r.json()).then((data) =>
            draw(data, () => ({ color: '#7b8794', weight: 2, radius: 4, fillOpacity: 0.1 }))
                .bringToBack());
    fetch('/map/points').then((r) => r.json()).then((data) => {
        const layer = draw(data, (f) => ({
            color: COLOURS[f.properties.what], weight: f.properties.what === 'link' ? 3 : 2,
            radius: f.properties.what === 'village' ? 7 : 9, fillOpacity: 0.7,
        }));
        layer.eachLayer((l) => l.feature.properties.what === 'p3' && l.bringToFront());
        if (layer.getLayers().length)
            map.fitBounds(layer.getBounds().pad(0.2), { maxZoom: 15 });
        box.dataset.drawn = layer.getLayers().length;
    });
})();
