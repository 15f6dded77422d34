"""geojson.py - what RFC 7946 asks of a GeoJSON text; faults(text) names each place that breaks it.

Longitude stands first (3.1.1), so a latitude beyond 90 means that they were swapped; rings are
closed, have four positions and turn as the right hand says (3.1.6); no member of another type's
(7.1); null is a geometry only for a Feature (3.2); no `crs` (4).
"""
import json
import math

DEPTHS = {"Point": 0, "MultiPoint": 1, "LineString": 1, "MultiLineString": 2, "Polygon": 2,
          "MultiPolygon": 3}
FOREIGN = {"geometry": ("coordinates", "geometries", "geometry", "properties", "features"),
           "Feature": ("coordinates", "geometries", "features"),
           "FeatureCollection": ("coordinates", "geometries", "geometry", "properties")}


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def of_position(at, place):
    if not isinstance(at, list) or not 2 <= len(at) <= 3 or not all(map(is_number, at)):
        return [f"{place}: no position"]
    if not (-180 <= at[0] <= 180 and -90 <= at[1] <= 90):
        return [f"{place}: not on this earth, or latitude first"]
    return []


def of_line(line, place, count_min):
    if not isinstance(line, list) or len(line) < count_min:
        return [f"{place}: fewer than {count_min} positions"]
    return [f for i, at in enumerate(line) for f in of_position(at, f"{place}[{i}]")]


def twice_area(ring):
    return sum((b[0] - a[0]) * (b[1] + a[1]) for a, b in zip(ring, ring[1:]))


def of_polygon(rings, place):
    if not isinstance(rings, list):
        return [f"{place}: no list of rings"]
    found = []
    for i, ring in enumerate(rings):
        wrong = of_line(ring, f"{place}[{i}]", 4)
        if not wrong and ring[0] != ring[-1]:
            wrong = [f"{place}[{i}]: the ring is not closed"]
        if not wrong and (twice_area(ring) > 0) != (i > 0):
            wrong = [f"{place}[{i}]: turns the wrong way"]
        found += wrong
    return found


def of_coordinates(kind, value, place):
    if DEPTHS[kind] == 3 or (kind.startswith("Multi") and kind != "MultiPoint"):
        if not isinstance(value, list):
            return [f"{place}: no list"]
        return [f for i, part in enumerate(value)
                for f in of_coordinates(kind[len("Multi"):], part, f"{place}[{i}]")]
    if kind == "Polygon":
        return of_polygon(value, place)
    if kind == "Point":
        return of_position(value, place)
    return of_line(value, place, 2 if kind == "LineString" else 0)


def of_geometry(value, place):
    if not isinstance(value, dict):
        return [f"{place}: no geometry"]
    kind = value.get("type")
    found = [f"{place}: has {name!r}" for name in FOREIGN["geometry"]
             if name in value and name != ("geometries" if kind == "GeometryCollection"
                                           else "coordinates")]
    if kind == "GeometryCollection":
        parts = value.get("geometries")
        if not isinstance(parts, list):
            return found + [f"{place}: no geometries"]
        return found + [f for i, part in enumerate(parts)
                        for f in of_geometry(part, f"{place}[{i}]")]
    if kind not in DEPTHS:
        return found + [f"{place}: type {kind!r}"]
    return found + of_coordinates(kind, value.get("coordinates"), f"{place}.coordinates")


def of_feature(value, place):
    if not isinstance(value, dict) or value.get("type") != "Feature":
        return [f"{place}: no Feature"]
    found = [f"{place}: has {name!r}" for name in FOREIGN["Feature"] if name in value]
    for name in ("geometry", "properties"):
        if name not in value:
            found.append(f"{place}: lacks {name!r}")
    if value.get("geometry") is not None:
        found += of_geometry(value["geometry"], f"{place}.geometry")
    if not isinstance(value.get("properties"), (dict, type(None))):
        found.append(f"{place}: properties are no object")
    if "id" in value and not (isinstance(value["id"], str) or is_number(value["id"])):
        found.append(f"{place}: an id that is no text and no number")
    return found


def unique(pairs):
    names = [name for name, _ in pairs]
    if len(names) != len(set(names)):
        raise ValueError("a name stands twice in one object")
    return dict(pairs)


def refuse(word):
    raise ValueError(f"{word} is no number of JSON")


def faults(text):
    """Everything that is wrong with a text; nothing: it is GeoJSON."""
    try:
        value = json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
    except ValueError as error:
        return [f"no JSON: {error}"]
    kind = value.get("type") if isinstance(value, dict) else None
    found = ["there is no crs any more"] if kind and "crs" in value else []
    if kind == "FeatureCollection":
        found += [f"has {name!r}" for name in FOREIGN[kind] if name in value]
        features = value.get("features")
        if not isinstance(features, list):
            return found + ["no features"]
        return found + [f for i, feature in enumerate(features)
                        for f in of_feature(feature, f"features[{i}]")]
    return found + (of_feature if kind == "Feature" else of_geometry)(value, "it")


SQUARE = [[105, 22], [106, 22], [106, 23], [105, 22]]
# What the validator itself must find, each with a word of what it says; "": nothing.
KNOWN = [
    ("", {"type": "Point", "coordinates": [105.98, 22.11]}),
    ("", {"type": "Point", "coordinates": [105.98, 22.11, 800]}),
    ("", {"type": "FeatureCollection", "features": []}),
    ("", {"type": "Feature", "geometry": None, "properties": None}),
    ("", {"type": "Polygon", "coordinates": [SQUARE]}),
    ("", {"type": "MultiPolygon", "coordinates": [[SQUARE]]}),
    ("", {"type": "GeometryCollection", "geometries": [{"type": "LineString",
                                                       "coordinates": [[1, 2], [3, 4]]}]}),
    ("latitude first", {"type": "Point", "coordinates": [22.11, 105.98]}),
    ("no position", {"type": "Point", "coordinates": ["105", "22"]}),
    ("no position", {"type": "Point", "coordinates": [105]}),
    ("no position", {"type": "Point", "coordinates": [True, 22]}),
    ("not closed", {"type": "Polygon", "coordinates": [SQUARE[:3] + [[105, 22.5]]]}),
    ("wrong way", {"type": "Polygon", "coordinates": [SQUARE[::-1]]}),
    ("wrong way", {"type": "Polygon", "coordinates": [SQUARE, SQUARE]}),
    ("fewer than 4", {"type": "Polygon", "coordinates": [SQUARE[:3]]}),
    ("fewer than 2", {"type": "LineString", "coordinates": [[1, 2]]}),
    ("type 'Spot'", {"type": "Spot", "coordinates": [1, 2]}),
    ("lacks 'properties'", {"type": "Feature", "geometry": None}),
    ("lacks 'geometry'", {"type": "Feature", "properties": {}}),
    ("has 'features'", {"type": "Feature", "geometry": None, "properties": {}, "features": []}),
    ("crs", {"type": "FeatureCollection", "features": [], "crs": {}}),
    ("no Feature", {"type": "FeatureCollection", "features": [{"type": "Point",
                                                              "coordinates": [1, 2]}]}),
    ("no features", {"type": "FeatureCollection"}),
    ("no geometry", []),
]


def misjudged():
    """Cases of KNOWN that are judged otherwise than they should be."""
    texts = [(want, json.dumps(value)) for want, value in KNOWN]
    texts += [("no JSON", '{"type":"Point","coordinates":[NaN,1]}'), ("no JSON", "{"),
              ("no JSON", '{"type":"Point","type":"Point","coordinates":[1,2]}')]
    wrong = []
    for want, text in texts:
        found = " ".join(faults(text))
        if (want not in found) if want else found:
            wrong.append(f"{text}: {found!r}, wanted {want!r}")
    return wrong
