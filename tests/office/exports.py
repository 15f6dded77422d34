"""exports.py - what leaves the console and the province, opened by the programs of others (TAP).

Real daemons over emulated modems make a quick report; its files, and those of keng-province, are
opened by LibreOffice, GeoJSON is held against RFC 7946, alerts against the schema of CAP 1.2.
"""
import csv
import os
import re
import sys
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import geojson  # noqa: E402
from console_quick import export  # noqa: E402
from console_review import MEMBER, Desk, start  # noqa: E402
from cap import by_xmllint  # noqa: E402
from rig import Failure, Rig, tap_main, wait_for  # noqa: E402
from sheets import ENGLISH, VIETNAMESE, Office  # noqa: E402

# What a person may type, and a spreadsheet may take for something else.
COURSE = "=1+1"
ISOLATED = "01879"
RESPONSE = "+84 912 345 678, 12-3"
WANTS = "@SUM(A1) thuyền, áo phao; \"đủ\" 50 người\nvà nước sạch Ậ ỡ ự đ"


def find_row(rows, column, text):
    return next((r for r in rows if len(r) > column and r[column] == ("string", text)), [])


def check_book(tap, what, book, sums, villages, places=0):
    """Figures, codes, no formula.  places: columns that say where, before the village's other
    ones."""
    rows = [row for sheet in book.values() for row in sheet]
    kinds = {cell[0] for row in rows for cell in row if cell}
    tap.ok(kinds <= {"string", "float", "date"}, f"{what}: no formula, no error", str(kinds))
    first, second = book[sums], [row[places:] for row in book[villages]]
    house = find_row(first, 1, "Nhà thiệt hại hoàn toàn (trên 70%)")
    rice = find_row(first, 1, "Diện tích lúa bị thiệt hại")
    tap.ok(house[2:3] == [("float", 3.0)] and rice[2:3] == [("float", 2.5)],
           f"{what}: figures are numbers", f"{house} {rice}")
    village = [r for r in second if len(r) > 4 and r[0] and "Nà Lẹng" in r[0][1]]
    if places:  # the event stands behind the village
        village = [r[:1] + r[2:] for r in village]
    tap.ok(village and all(r[4][0] == "float" for r in village)
           and find_row(village, 3, "Diện tích lúa bị thiệt hại")[4:5] == [("float", 2.5)],
           f"{what}: by village, its name whole", str(second)[:600])
    return first


def check_report_book(tap, office, path):
    first = check_book(tap, "XLSX of the quick report", office.open(path), "Báo cáo nhanh",
                       "Tổng hợp theo thôn")
    texts = {row[0][1]: row[1:] for row in first if len(row) > 1 and row[0]}
    tap.ok(texts.get("Mã xã") == [("string", "01879")]
           and [("string", ISOLATED)] in texts.values(), "codes keep their zero", str(texts))
    tap.ok([("string", COURSE)] in texts.values() and [("string", RESPONSE)] in texts.values(),
           "what looks like a formula or a date stays the text it is", str(texts))
    tap.ok([("string", WANTS)] in texts.values(), "Vietnamese, quotes and lines come through",
           str(texts))
    period = texts.get("Thời kỳ báo cáo", [])
    tap.ok([c and c[0] for c in period] == ["date", "date"] and period[0][1] < period[1][1],
           "the period is two dates", str(period))



def check_csv(tap, office, path, numbers):
    """Whatever a spreadsheet takes cells for, texts are the texts and numbers the numbers."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        meant = list(csv.reader(file))
    for name, language in (("English", ENGLISH), ("Vietnamese", VIETNAMESE)):
        seen = office.open_csv(path, language)
        wrong = []
        for i, row in enumerate(meant[1:], 1):
            for j, text in enumerate(row):
                kind, value = (seen[i] + [None] * len(row))[j] or ("string", "")
                if kind == "string":
                    good = value == text
                else:  # only a figure may become a number, and only the same one
                    good = meant[0][j] in numbers and kind == "float" and value == float(text)
                if not good:
                    wrong.append(f"{meant[0][j]}: {text!r} became {kind} {value!r}")
        tap.ok(not wrong and len(seen) >= len(meant) > 1,
               f"CSV in a spreadsheet set to {name}: every cell is what it was",
               "\n".join(wrong))


def check_habits(tap, office, rig):
    """The same programs do spoil a plain CSV: the checks above can fail."""
    path = rig.path("plain.csv")
    with open(path, "w", encoding="utf-8-sig") as file:
        file.write("a,b\n01879,=1+1\n")
    seen = office.open_csv(path, ENGLISH)[1]
    tap.ok(seen[0] == ("float", 1879.0) and seen[1][0] == "formula",
           "a plain file would lose its zero and run its formula", str(seen))


def check_province(tap, office, rig):
    batch, db = rig.path("cao-minh.keng"), rig.path("province.db")
    rig.run("keng-gateway", "export", "--home", rig.homes["commune"], "--out", batch)
    rig.run("keng-province", "--db", db, "trust", os.path.join(rig.desk, "commune.keng"))
    rig.run("keng-province", "--db", db, "import", batch)
    files = [rig.path("tinh" + end) for end in (".xlsx", ".csv", ".geojson")]
    villages = os.path.join(rig.env["KENG_DATA"], "demo", "villages.csv")
    rig.run("keng-province", "--db", db, "--lang", "vi", "--villages", villages, "--event", "3",
            "export", *files)
    book = office.open(files[0])
    check_book(tap, "XLSX of the province", book, "Tổng số", "Tổng hợp theo thôn", 2)
    figures, findings, made = book["Tổng hợp theo thôn"], book["Cần xem"], book["Cách lập"]
    tap.ok(figures[1][:2] == [("string", "Xã Cao Minh"), ("string", "01879")] and
           any(len(r) == 2 and r[1] and r[1][0] == "date" for r in made),
           "its code keeps the zero, its moment is a date", str(figures[:2]) + str(made))
    tap.ok(any(len(row) == 3 and row[2] for row in findings[1:]) and
           find_row(made, 0, "Cơ sở dữ liệu")[1:] == [("string", db)],
           "what needs a look and how it was made have sheets of their own",
           str(findings) + str(made))
    with zipfile.ZipFile(files[0]) as zipped:
        sheets = [zipped.read(f"xl/worksheets/sheet{i}.xml").decode() for i in (1, 2, 3)]
    tap.ok(all('state="frozen"' in s and "<autoFilter " in s for s in sheets[:2]) and
           all("<cols>" in s for s in sheets), "heads stay in sight, columns filter and are wide",
           str([s[:600] for s in sheets]))
    check_csv(tap, office, files[1], {"Số liệu", "Lần trước", "Đợt", "Thấp nhất", "Cao nhất"})
    with open(files[2], encoding="utf-8") as file:
        found = geojson.faults(file.read())
    tap.ok(not found, "GeoJSON of the province is valid", "\n".join(found))


def check_alerts(tap, rig, lan, pao):
    """Directives as alerts: by the schema, and taken over by another operator's form."""
    for fields in ({"village": "1", "hours": "6"}, {"person": str(MEMBER), "hours": "0"},
                   {"role": "1", "hours": "6", "drill": "1"}):
        status, body = lan.post("/directives", "/directives", **{
            "village": "0", "role": "0", "person": "0", "priority": "3",
            "text": "Sơ tán <ngay> & \"mang\" đèn\nđừng quay lại", **fields})
        if status != 200:
            raise Failure(f"a directive is refused: {body[:300]}")
    wait_for("the directives are in the log",
             lambda: lan.get("/directives").count("/cap/alert?arrival=") == 3, 60)
    out = rig.path("alerts")
    os.mkdir(out)
    rig.run("keng-gateway", "alerts", "--home", rig.homes["commune"], "--out", out)
    paths = sorted(os.path.join(out, name) for name in os.listdir(out))
    verdicts = by_xmllint(os.path.join(HERE, "cap.rng"), paths)
    tap.ok(len(paths) == 3 and all(verdicts.values()),
           "every directive is an alert by the schema of CAP 1.2", str(verdicts))
    texts = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            texts.append(file.read())
    tap.ok(sorted(re.search("<scope>(.*?)</scope>", t)[1] for t in texts) ==
           ["Private", "Public", "Restricted"] and sum("Exercise" in t for t in texts) == 1,
           "whom it is for and that it is a drill stand in it", "\n".join(texts))
    for link in re.findall(r"/cap/alert\?arrival=\d+", lan.get("/directives")):
        if lan.get(link) not in texts:
            tap.ok(False, "the console hands out the same alert", link)
    public = next(t for t in texts if "Public" in t)
    status, body = pao.post("/cap", "/cap", xml=public)
    tap.ok(status == 200 and "Sơ tán &lt;ngay&gt; &amp; &quot;mang&quot; đèn đừng quay lại – "
           "Nà Lẹng</textarea>" in body, "and a console takes it over", body[-3000:])


def save(rig, desk, number, form):
    path = rig.path("bao-cao." + form)
    with open(path, "wb") as file:
        file.write(export(desk, number, form)[0])
    return path


def exports(tap):
    wrong = geojson.misjudged()
    tap.ok(not wrong, f"the validator of GeoJSON judges {len(geojson.KNOWN)} known cases",
           "\n".join(wrong))
    with Rig(speed=20) as rig:
        base = start(rig)
        lan, office = Desk(base), Office(rig.path("office"))
        lan.log_in("lan")
        rig.keng("village", "report", "damage", "nha_sap=3", "lua=2.5", "--event", "3",
                 "--as", str(MEMBER))
        rig.keng("village", "report", "access", "cau=cut", "--event", "3", "--as", str(MEMBER))
        wait_for("the reports are on the board",
                 lambda: lan.get("/").count("/record?arrival=") == 2, 60)
        body = lan.post("/quick", "/quick", event="3", basis="received", hazard="1", course=COURSE,
                        isolated=ISOLATED, response=RESPONSE, wants=WANTS)[1]
        number = body.split("/quick/export?id=")[1].split("&")[0]
        lan.post(f"/quick/read?id={number}", "/quick/sign")
        check_habits(tap, office, rig)
        check_report_book(tap, office, save(rig, lan, number, "xlsx"))
        check_csv(tap, office, save(rig, lan, number, "csv"),
                  {"Số liệu", "Lần trước", "Đợt", "Thấp nhất", "Cao nhất"})
        with open(save(rig, lan, number, "geojson"), encoding="utf-8") as file:
            found = geojson.faults(file.read())
        tap.ok(not found, "GeoJSON of the quick report is valid", "\n".join(found))
        check_province(tap, office, rig)
        pao = Desk(base)
        pao.log_in("pao")
        check_alerts(tap, rig, lan, pao)


if __name__ == "__main__":
    sys.exit(tap_main(exports))
