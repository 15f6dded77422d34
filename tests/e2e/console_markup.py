"""console_markup.py - markup in every text that people, files and strangers can bring in (TAP).

Each text field gets an element with a number of its own, behind quotes that would end an attribute.
All pages, reached by their links, and all exports are read by other readers than ours: the element
must appear as text somewhere, or the field is not covered, and nowhere as an element.  Chromium
looks at what the scripts make of it.  The line "# figure:" is for the campaign.
"""
import csv
import html.parser
import io
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import xml.etree.ElementTree
import zipfile

from console_attacks import cookie_of, routes
from console_review import MEMBER, PASSPHRASE, Desk
from rig import BIN, ROOT, Rig, free_port, tap_main, wait_for

PAGE_COUNT_MAX = 400
ALERT = """<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>1</identifier>
<sender>a@example.vn</sender><sent>2026-11-22T14:05:00+07:00</sent><status>Actual</status>
<msgType>Alert</msgType><scope>Public</scope><info><language>vi</language><category>Met</category>
<event>Rain</event><urgency>Expected</urgency><severity>Severe</severity>
<certainty>Likely</certainty><headline>{}</headline><instruction>{}</instruction>
<area><areaDesc>{}</areaDesc></area></info></alert>"""


class Fields:
    """Which field has which number."""

    def __init__(self):
        self.names = {}

    def text(self, name, in_file=False):
        self.names.setdefault(name, len(self.names) + 1)
        text = f"'\"><q x={self.names[name]}>"
        return '"' + text.replace('"', '""') + '"' if in_file else text


class Reader(html.parser.HTMLParser):
    """What a page is to a browser: elements and texts."""

    def __init__(self):
        super().__init__()
        self.shown, self.bad, self.links, self.line_count = set(), [], set(), 0

    def note(self, text):
        self.shown |= {int(n) for n in re.findall(r"'\">\s?<q x=(\d+)>", text or "")}

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            self.note(value)
            if name.startswith("on") or name == "style" or (tag == "q" and name == "x"):
                self.bad.append(f"<{tag} {name}={value}>")
            if name in ("href", "src") and (value or "").startswith("/"):
                self.links.add(value)
            elif name in ("href", "src", "action") and not re.match(r"[/?#]", value or ""):
                self.bad.append(f"<{tag} {name}={value}>")

    def handle_data(self, data):
        self.note(data)


def fill_files(rig, f):
    """Names that files bring: villages, the catalogue, templates, the map."""
    data = rig.path("data")
    shutil.copytree(os.path.join(ROOT, "seeds"), data)
    rig.env["KENG_DATA"] = data
    for name, row in (
            ("indicators.csv", ["damage", "1", "NG01", "Người",
                                f.text("indicator", True), f.text("indicator, English", True),
                                "chet nguoi_chet", "dead deaths", f.text("unit", True),
                                f.text("unit, English", True), "0", "yes", "src", ""]),
            ("hazards.csv", ["1", "BAO", f.text("hazard", True), f.text("hazard, English", True),
                             "bao"]),
            ("directives.csv", ["1", "rescue", "1", f.text("template", True)])):
        path = os.path.join(data, "catalogue", name)
        with open(path, encoding="utf-8") as file:
            text = file.read()
        start = ",".join(row[:2] if name == "indicators.csv" else row[:1]) + ","
        text, count = re.subn(rf"(?m)^{re.escape(start)}.*$", lambda _: ",".join(row), text, 1)
        if count != 1:
            raise ValueError(f"{name} has no row {start}")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    with open(rig.path("villages.csv"), "w", encoding="utf-8") as file:
        file.write("number,name,lat,lon,households,people\n"
                   f"1,{f.text('village', True)},22.1142,105.9831,63,268\n")
    with open(rig.path("layer.json"), "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"name": f.text("map layer") + what, "what": what,
                                               "href": "javascript:alert(1)"},
             "geometry": {"type": "Point", "coordinates": [105.98 + i / 100, 22.11]}}
            for i, what in enumerate(("village", "p3"))]}, file)


def fill_commune(rig, f):
    """Names on the roster, and what comes by air."""
    rig.init(f.text("commune"), "01879")
    rig.enroll("commune", 1, f.text("box"), "gateway", 1)
    rig.enroll("commune", MEMBER, f.text("member"), "member", 1)
    home = rig.homes["commune"]
    shutil.copy(os.path.join(rig.desk, "commune.keng"), home)
    rig.start_node("commune")
    for kind, figures in (("rescue", ["trapped=3"]), ("damage", ["dead=2", "--hazard", "bao"]),
                          ("note", [])):
        rig.keng("commune", "report", kind, *figures, "--as", MEMBER, "--event", 3, "--text",
                 f.text("report of kind " + kind))


def start_console(rig, f):
    home, port = rig.homes["commune"], free_port()
    subprocess.run([os.path.join(BIN, "keng-gateway"), "operator", "add", "lan", "--home", home,
                    "--role", "admin", "--name", f.text("operator")], input=PASSPHRASE + "\n",
                   encoding="utf-8", check=True, env=rig.env, timeout=30)
    rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", home, "--listen",
              f"127.0.0.1:{port}", "--villages", rig.path("villages.csv"), "--map",
              rig.path("layer.json"))
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
    return port


def fill_forms(lan, f):
    """What operators type, and what somebody who is none types."""
    wait_for("three reports", lambda: lan.get("/").count("/record?arrival=") >= 3, 30)
    records = re.findall(r'href="(/record\?arrival=\d+)', lan.get("/"))
    lan.post(records[0], "/review", state="3", text=f.text("question"))
    lan.post(records[2], "/review", state="4", text=f.text("reason"))
    lan.post("/directives", "/directives", text=f.text("directive"), village="1", role="0",
             person="0", hours="6", priority="1")
    # What is no character, and in XML not even allowed, hurts no file either.
    typed = {name: f.text("quick report: " + name) + " \ufffe"
             for name in ("course", "isolated", "response", "wants")}
    for hazard in ("1", "1"):
        lan.post("/quick", "/quick", event="3", basis="received", hazard=hazard, **typed)
    drafts = re.findall(r'href="(/quick/read\?id=\d+)', lan.get("/quick"))
    lan.post(drafts[0], "/quick/sign")
    Desk(lan.base).log_in(f.text("login of a stranger"), "x" * 20)
    # Answers to these show what was typed.
    return [lan.post("/cap", "/cap", xml=ALERT.format(*(
                html.escape(f.text("alert: " + name))
                for name in ("headline", "instruction", "area"))))[1],
            lan.post("/directives", "/directives", text=f.text("long directive") + "x" * 400,
                     village="0", role="0", person="0", hours="6", priority="1")[1],
            lan.get("/?words=" + urllib.parse.quote(f.text("words to find")))]


def texts_of(value):
    """All strings of a JSON value, names too."""
    if isinstance(value, dict):
        return "\n".join(map(texts_of, [*value.keys(), *value.values()]))
    if isinstance(value, list):
        return "\n".join(map(texts_of, value))
    return str(value)


def read(kind, data, reader):
    """Reads an answer as what it says that it is."""
    if kind.startswith("text/html"):
        reader.feed(data.decode())
    elif "json" in kind:
        reader.note(texts_of(json.loads(data)))
    elif kind.startswith("text/csv"):
        for row in csv.reader(io.StringIO(data.decode("utf-8-sig")), strict=True):
            reader.note("\n".join(row))
    elif "spreadsheet" in kind:
        book = zipfile.ZipFile(io.BytesIO(data))
        for name in book.namelist():
            if name.startswith("xl/worksheets/sheet"):
                sheet = xml.etree.ElementTree.fromstring(book.read(name))
                reader.note("\n".join(sheet.itertext()))
    elif "xml" in kind:
        reader.note("\n".join(xml.etree.ElementTree.fromstring(data).itertext()))


def walk(desk, first):
    """Follows every link; what all pages were to a reader, and by path what each was."""
    total, seen, todo = Reader(), {}, list(first)
    while todo and len(seen) < PAGE_COUNT_MAX:
        link = todo.pop(0)
        if link in seen or link.startswith("/events"):
            continue
        try:
            with desk.opener.open(desk.base + link, timeout=20) as answer:
                kind, data = answer.headers["Content-Type"], answer.read()
        except urllib.error.HTTPError as error:
            kind, data = error.headers["Content-Type"], error.read()
        reader = Reader()
        read(kind, data, reader)
        seen[link] = kind
        total.shown |= reader.shown
        total.bad += [f"{link}: {b}" for b in reader.bad]
        todo += sorted(reader.links)
    return total, seen


def look(lan, tap):
    """In Chromium, with the scripts: no element of anybody's text, on the map neither."""
    no_element = "wait-js:document.querySelectorAll('q').length === 0"
    shown = "wait-js:document.body.innerText.includes('<q x=')"
    cookie = f"document.cookie = 'keng={cookie_of(lan)['keng']}; path=/'"
    touch = ("eval:document.querySelectorAll('.leaflet-interactive').forEach((e) => "
             "['mouseover', 'click'].forEach((t) => e.dispatchEvent(new MouseEvent(t, "
             "{ bubbles: true, clientX: 300, clientY: 300 }))))")
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tests", "browser", "cdp.py"), lan.base + "/style.css",
         "eval:" + cookie, f"goto:{lan.base}/", "wait:#line.on", shown, no_element,
         f"goto:{lan.base}/map", "wait-js:document.getElementById('map').dataset.drawn > 0",
         "wait-js:document.querySelectorAll('.leaflet-tooltip').length > 1", shown, touch,
         "wait:.leaflet-popup", no_element,
         "wait-js:!document.querySelector('a[href^=\"javascript\"]')",
         f"goto:{lan.base}/directives", shown, no_element],
        capture_output=True, encoding="utf-8", timeout=60, check=False)
    tap.ok(done.returncode == 0, "Chromium makes no element of it, on the map neither",
           done.stdout + done.stderr)


def read_books(rig, f):
    """The province's pages of the same ledger."""
    port = free_port()
    rig.start("books", os.path.join(BIN, "keng-province"), "serve", "--db",
              os.path.join(rig.homes["commune"], "gateway.db"), "--villages",
              rig.path("villages.csv"), "--listen", f"127.0.0.1:{port}")
    wait_for("the books listen", lambda: "http://" in rig.log_tail("books"), 15)
    asked = urllib.parse.quote(f.text("commune"))
    total, seen = walk(Desk(f"http://127.0.0.1:{port}"),
                       ["/", "/?lang=en", f"/?commune={asked}", f"/?commune={asked}x"])
    missing = {f.names[name] for name in ("commune", "village", "indicator", "unit")} - total.shown
    return len(seen), total.bad + [f"the books do not show field {n}" for n in missing]


def stored_markup(tap):
    f = Fields()
    with Rig() as rig:
        fill_files(rig, f)
        fill_commune(rig, f)
        port = start_console(rig, f)
        lan = Desk(f"http://127.0.0.1:{port}")
        lan.log_in("lan")
        answers = fill_forms(lan, f)
        paths = [path for method, path, _ in routes() if method == "GET"]
        total, seen = walk(lan, paths + [p + "?lang=en" for p in paths] + ["/nowhere"] +
                           ["/map/layer?n=0", "/directives?template=1", "/?lang=vi"])
        reader = Reader()
        for page in answers:
            reader.feed(page)
        total.shown |= reader.shown
        total.bad += reader.bad
        hidden = [name for name, n in f.names.items() if n not in total.shown]
        missed = set(paths) - {"/events"} - {link.split("?")[0] for link in seen}
        tap.ok(not missed and len(seen) < PAGE_COUNT_MAX, f"{len(seen)} pages are read",
               f"{missed}")
        tap.ok(not total.bad, "none has an element or attribute of anybody's text",
               "\n".join(total.bad[:20]))
        tap.ok(not hidden, f"each of {len(f.names)} fields is shown as it was written", str(hidden))
        kinds = " ".join(seen.values())
        tap.ok(all(kind in kinds for kind in ("html", "csv", "json", "spreadsheet", "plain")),
               "pages, tables, maps, sheets and texts among them", kinds)
        count, bad = read_books(rig, f)
        tap.ok(count >= 10 and not bad, f"nor has any of the books' {count}", "\n".join(bad))
        look(lan, tap)
        good = len(f.names) - len(hidden) if not total.bad and not tap.failed else 0
        tap.note(f"figure: attack, stored markup: {good} text fields ({len(f.names)})")


if __name__ == "__main__":
    sys.exit(tap_main(stored_markup))
