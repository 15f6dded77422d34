"""console_quick.py - a quick report from the first figure to the signed files (TAP).

Real daemons over emulated modems.  The files are read by Python's own readers, not by ours: the
spreadsheet as a zip of XML, the CSV by the csv module, the GeoJSON by the json module.
"""
import csv
import io
import json
import re
import sys
import urllib.error
import zipfile
from xml.etree import ElementTree

from console_review import MEMBER, Desk, start
from rig import Rig, tap_main, wait_for

SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
COURSE = "=HYPERLINK(\"http://x\") nước lên 1,5 m; cô lập <b>2</b> thôn"

ALERT = """<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>1</identifier>
<sender>a@example.vn</sender><sent>2026-11-22T14:05:00+07:00</sent><status>Actual</status>
<msgType>Alert</msgType><scope>Public</scope><info><language>vi</language><category>Met</category>
<event>Rain</event><urgency>Expected</urgency><severity>Severe</severity>
<certainty>Likely</certainty><headline>Mưa lớn</headline><instruction>Ở yên trong nhà.</instruction>
<area><areaDesc>Cao Minh</areaDesc></area></info></alert>"""


def cells_of(book, name):
    """Rows of cells, numbers as floats, strings as strings; these stand in their cells."""
    rows = []
    for row in ElementTree.fromstring(book.read(name)).iter(SHEET + "row"):
        cells = {}
        for cell in row.iter(SHEET + "c"):
            if cell.find(SHEET + "f") is not None:
                raise AssertionError("a formula in " + cell.get("r"))
            value, column = cell.find(SHEET + "v"), re.match("[A-Z]+", cell.get("r"))[0]
            if cell.get("t") == "inlineStr":
                cells[column] = "".join(t.text or "" for t in cell.iter(SHEET + "t"))
            elif value is not None:
                cells[column] = float(value.text)
        rows.append(cells)
    return rows


def export(desk, number, form):
    path = f"{desk.base}/quick/export?id={number}&as={form}&lang=vi"
    with desk.opener.open(path, timeout=20) as answer:
        return answer.read(), answer.headers["Content-Disposition"]


def check_files(tap, desk, number):
    data, name = export(desk, number, "xlsx")
    book = zipfile.ZipFile(io.BytesIO(data))
    tap.ok(book.testzip() is None and name == 'attachment; filename="bao-cao-nhanh-3-1.xlsx"',
           "the spreadsheet is a whole file with a name", name)
    sums = cells_of(book, "xl/worksheets/sheet1.xml")
    flat = {row["B"]: row for row in sums if "B" in row and "C" in row}
    tap.ok(flat.get("Nhà thiệt hại hoàn toàn (trên 70%)", {}).get("C") == 3.0
           and flat.get("Diện tích lúa bị thiệt hại", {}).get("C") == 2.5,
           "figures are numbers", str(flat)[:500])
    texts = [v for row in sums for v in row.values()]
    tap.ok("01879" in texts and COURSE in texts,
           "codes keep their zero, texts are no formulas", str(texts)[:500])
    tap.ok(any(row.get("A") == "Nà Lẹng" and row.get("E") == 3.0
               for row in cells_of(book, "xl/worksheets/sheet2.xml")), "and by village")

    data, _ = export(desk, number, "csv")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    tap.ok(data.startswith(b"\xef\xbb\xbf") and any(r["Số liệu"] == "2.50" for r in rows)
           and all(not v or v[0] not in "=+-@" for r in rows for v in r.values()),
           "CSV: the mark of UTF-8, no formula", data.decode()[:400])
    data, _ = export(desk, number, "hxl.csv")
    tags = data.decode("utf-8-sig").splitlines()[1].split(",")
    tap.ok(all(re.fullmatch(r"#[a-z][a-z0-9_]*(\+[a-z][a-z0-9_]*)*", t) for t in tags),
           "HXL: every column has a tag", str(tags))
    data, _ = export(desk, number, "geojson")
    features = json.loads(data)["features"]
    lon, lat = features[0]["geometry"]["coordinates"]
    tap.ok(lon == 105.9831 and lat == 22.1142, "GeoJSON: longitude first", f"{lon} {lat}")
    data, _ = export(desk, number, "txt")
    tap.ok("Báo cáo nhanh số 1" in data.decode() and "2,5 ha" in data.decode(),
           "a text for the chat", data.decode())


def quick_report(tap):
    with Rig(speed=20) as rig:
        base = start(rig)
        lan, pao = Desk(base), Desk(base)
        lan.log_in("lan")
        pao.log_in("pao")
        rig.keng("village", "report", "damage", "nha_sap=3", "lua=2.5", "--event", "3",
                 "--as", str(MEMBER))
        wait_for("the report is on the board", lambda: "/record?arrival=" in lan.get("/"), 60)

        status, body = pao.post("/quick", "/quick", event="3", basis="received", course=COURSE,
                                hazard="1")
        tap.ok(status == 200 and "bản nháp" in body and "2,5 ha" in body,
               "a reviewer writes a draft", body[:400])
        number = re.search(r"/quick/export\?id=(\d+)", body)[1]
        tap.ok("/quick/sign" not in body, "and cannot sign it")
        token = re.search(r'name="token" value="([^"]+)"', body)[1]
        try:
            pao.opener.open(base + "/quick/sign", f"id={number}&token={token}".encode(), timeout=20)
            refused = 200
        except urllib.error.HTTPError as refusal:
            refused = refusal.code
        tap.ok(refused == 403, "not by hand either", str(refused))

        page = f"/quick/read?id={number}"
        status, body = lan.post(page, "/quick/sign")
        tap.ok(status == 200 and "Nguyễn Thị Lan" in body and "số 1" in body,
               "who may sign off does, by name", body[:400])
        wait_for("the signature is a record of the mesh", lambda: "✓" in lan.get(page), 60)
        tap.ok(True, "the signature is a record of the mesh")
        digest = re.search(r"<code>([0-9a-f]{64})</code>", lan.get(page))[1]

        # What comes in later changes the next report, never this one.
        rig.keng("village", "report", "damage", "nha_sap=5", "--event", "3", "--as", str(MEMBER))
        wait_for("the newer report is here",
                 lambda: lan.get("/").count("/record?arrival=") == 2, 60)
        tap.ok(re.search(r"<code>([0-9a-f]{64})</code>", lan.get(page))[1] == digest,
               "what is signed stays")
        try:
            status = lan.post(f"/quick?id={number}", "/quick")[0]
        except (urllib.error.HTTPError, StopIteration):
            status = 409
        tap.ok(status == 409, "it cannot be edited", str(status))
        check_files(tap, lan, number)

        status, body = lan.post("/quick?event=3", "/quick", basis="received")
        tap.ok(status == 200 and "+2" in body, "the next one says what changed", body[-2500:])
        status, body = lan.post("/quick", "/quick", event="9", course="1 \u202e21 m")
        tap.ok(status == 400, "no figure is turned around by marks of direction", str(status))
        status, body = lan.post("/quick", "/quick", event="9", until="2099-01-01T00:00")
        tap.ok(status == 400, "no figures of the future", str(status))

        status, body = lan.post("/cap", "/cap", xml=ALERT)
        tap.ok(status == 200 and ">Mưa lớn – Cao Minh. Ở yên trong nhà.</textarea>" in body and
               "Cần làm trong giờ tới · Nghiêm trọng · Nhiều khả năng" in body,
               "an alert of CAP fills in a directive", body[-2500:])
        status, body = lan.post("/cap", "/cap", xml="<!DOCTYPE a [<!ENTITY b 'c'>]>" + ALERT)
        tap.ok(status == 400 and "document type" in body, "without entities", body[:300])

        page = lan.get("/totals?event=3")
        link = re.search(r'href="(/figure[^"]+code=8[^"]*)"', page)[1].replace("&amp;", "&")
        sources = lan.get(link)
        tap.ok(sources.count("/record?arrival=") == 2 and "đã có tin mới hơn" in sources,
               "a figure opens the reports behind it", sources[-1500:])


if __name__ == "__main__":
    sys.exit(tap_main(quick_report))
