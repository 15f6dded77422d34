"""catalogue.py - indicators that change: what is typed, shown, added up and handed on (TAP).

Real daemons over emulated modems.  The village has next year's catalogue before the commune has it;
then the commune changes, too, and the province adds up with either.  Days lie around today.
"""
import csv
import datetime
import io
import json
import os
import re
import shutil
import sys

from console_review import MEMBER, Desk, start
from rig import BIN, ROOT, Rig, free_port, tap_main, wait_for

VIETNAM = datetime.timezone(datetime.timedelta(hours=7))
HOUSES, RICE = "Nhà thiệt hại hoàn toàn (trên 70%)", "Diện tích lúa bị thiệt hại"
UNKNOWN = "Thiệt hại 9001 (không có trong danh mục)"


def day(offset):
    return (datetime.datetime.now(VIETNAM) + datetime.timedelta(days=offset)).date()


def make_newer(directory):
    """Houses get another name, rice ended, one indicator is new and one is to come."""
    shutil.copytree(os.path.join(ROOT, "seeds"), directory,
                    ignore=shutil.ignore_patterns("fuzz", "modems", "scenarios", "sim"))
    path = os.path.join(directory, "catalogue", "indicators.csv")
    with open(path, encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    houses, rice = (next(r for r in rows if r["code"] == code) for code in ("NH01", "NLN01"))
    rows += [dict(houses, name_vi="Nhà sập đổ", short_vi="nha_sup", code="NH-1"),
             dict(houses, number="9001", name_vi="Nhà lạ", short_vi="nha_la", short_en="odd",
                  code="ZZ01"),
             dict(houses, number="9002", name_vi="Nhà sau", short_vi="nha_sau", short_en="later",
                  code="ZZ02", **{"from": day(3).isoformat()})]
    houses["until"], rice["until"] = day(2).isoformat(), day(-3).isoformat()
    with open(path, "w", encoding="utf-8", newline="") as f:
        out = csv.DictWriter(f, list(houses)[:-1] + ["from", "until"], restval="")
        out.writeheader()
        out.writerows(rows)
    with open(os.path.join(directory, "catalogue", "VERSION"), "w", encoding="utf-8") as f:
        f.write("version=2026.2\nvalid_from=2026-01-01\n")
    return len(rows) + 1


def typing(tap, rig, newer):
    def report(*figures):
        return rig.keng("village", "report", "damage", *figures, "--as", str(MEMBER), "--lang",
                        "vi", check=False, env={"KENG_DATA": newer})
    ended, coming = report("lua=2"), report("nha_sau=1")
    tap.ok(ended.returncode == 2 and f"chỉ dùng đến hết ngày {day(-3):%d/%m/%Y}" in ended.stderr,
           "what has ended is refused with its last day", ended)
    tap.ok(coming.returncode == 2 and f"đến ngày {day(3):%d/%m/%Y} mới dùng" in coming.stderr,
           "and what is to come with its first", coming)
    names = rig.keng("village", "help", "damage", "--lang", "vi", env={"KENG_DATA": newer}).stdout
    tap.ok("bản 2026.2" in names and HOUSES in names and "nha_la" in names and
           RICE not in names and "nha_sau" not in names and "nha_sup" not in names,
           "help lists what holds today", names)
    done = report("nha_sup=3", "nha_la=4")
    tap.ok(done.returncode == 0, "a coming name of what there is is understood", done)
    rig.keng("village", "report", "damage", "lua=2.5", "--as", str(MEMBER + 1))


def totals(desk, offset=0):
    moment = datetime.datetime.now(VIETNAM) + datetime.timedelta(days=offset)
    page = desk.get(f"/totals?lang=vi&asof={moment:%Y-%m-%dT%H:%M}")
    return page[page.index('id="totals"'):]


def export(desk, number, form):
    with desk.opener.open(f"{desk.base}/quick/export?id={number}&as={form}&lang=vi",
                          timeout=20) as answer:
        return answer.read().decode("utf-8-sig")


def older_console(tap, desk):
    wait_for("both reports are on the board",
             lambda: desk.get("/").count("/record?arrival=") == 2, 60)
    board, sums = desk.get("/?lang=vi"), totals(desk, 1)
    tap.ok(f"{UNKNOWN} <b>4</b>" in board and UNKNOWN in sums and HOUSES in sums,
           "a number that the catalogue lacks is shown as such, and counts", sums)


def newer_console(tap, rig, desk, newer):
    port = free_port()
    rig.stop("console")
    rig.start("console2", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
              "--data", newer, "--listen", f"127.0.0.1:{port}")
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console2"), 15)
    desk.base = f"http://127.0.0.1:{port}"
    desk.log_in("lan")
    board, now, then = desk.get("/?lang=vi"), totals(desk, 1), totals(desk, 5)
    tap.ok("Nhà lạ <b>4 cái</b>" in board and UNKNOWN not in board + now,
           "with the newer catalogue it has a name", board)
    tap.ok(HOUSES in now and "Nhà sập đổ" not in now and
           HOUSES not in then and "Nhà sập đổ" in then, "totals use the names of their moment",
           now + then)
    tap.ok(f"{RICE} <b>2,5 ha</b>" in board and RICE in now and RICE in then,
           "what has ended still counts, with its unit", then)
    pages = [f"/record?arrival={n}" for n in set(re.findall(r"/record\?arrival=(\d+)", board))]
    page = next(p for p in pages if 'name="f18"' in desk.get(p))
    status, said = desk.post(page, "/review", state="6", f18="1,5", text="đo lại")
    tap.ok(status == 200 and RICE in said, "and can be corrected", said)
    wait_for("the correction counts", lambda: "1,5 ha" in totals(desk, 1), 60)


def handed_on(tap, desk):
    _, body = desk.post("/quick", "/quick", event="0", basis="received", hazard="1")
    number = re.search(r"/quick/export\?id=(\d+)", body)[1]
    tap.ok("Danh mục chỉ tiêu 2026.2" in body, "a quick report names its catalogue", body)
    rows = list(csv.DictReader(io.StringIO(export(desk, number, "csv"))))
    tap.ok({r["Chỉ tiêu"]: r["Số liệu"] for r in rows} ==
           {HOUSES: "3", "Nhà lạ": "4", RICE: "1.50"} and
           {r["Danh mục chỉ tiêu"] for r in rows} == {"Danh mục chỉ tiêu 2026.2"} and
           json.loads(export(desk, number, "geojson"))["catalogue"] == "2026.2" and
           all(line.endswith(",2026.2")
               for line in export(desk, number, "hxl.csv").splitlines()[2:]),
           "and so do the exports", rows)


def province_books(tap, rig, newer):
    rig.run("keng-gateway", "export", "--home", rig.homes["commune"], "--out", "all.keng")
    rig.run("keng-province", "trust", os.path.join(rig.desk, "commune.keng"))
    rig.run("keng-province", "import", "all.keng")

    def books(data, *options):
        told = json.loads(rig.run("keng-province", "--data", data, "--lang", "vi", "report",
                                  "--json", *options).stdout)
        return told["catalogue"], {t["code"]: (t["indicator"], t["value"], t["unit"])
                                   for t in told["totals"]}
    late = f"{day(5)}T12:00"
    version, old = books(os.path.join(ROOT, "seeds"))
    tap.ok(version == "2026.1" and old == {8: (HOUSES, 3, "cái"), 18: (RICE, 150, "ha"),
                                           9001: (UNKNOWN, 4, "")},
           "the province adds up with the older catalogue", old)
    version, new = books(newer)
    tap.ok(version == "2026.2" and new == {**old, 9001: ("Nhà lạ", 4, "cái")},
           "and the same with the newer one", new)
    _, then = books(newer, "--as-of", late)
    tap.ok(then == {**new, 8: ("Nhà sập đổ", 3, "cái")}, "in the names of the moment", then)
    said = rig.run("keng-province", "--data", newer, "--lang", "vi", "report").stdout
    tap.ok("Danh mục chỉ tiêu: 2026.2" in said, "and names it", said)


def bad_file(tap, rig, newer, line_count):
    path = os.path.join(newer, "catalogue", "indicators.csv")
    with open(path, "a", encoding="utf-8") as f:
        f.write("damage,8,NH-1,Nhà,Nhà khác,Other,khac,other,kg,,0,no,src,,2030-01-01,\n")
    said = [rig.keng("village", "report", "damage", "nha_sap=1", "--data", newer, check=False),
            rig.run("keng-gateway", "--home", rig.homes["commune"], "--data", newer, "--listen",
                    f"127.0.0.1:{free_port()}", check=False),
            rig.run("keng-province", "--data", newer, "report", check=False)]
    tap.ok(all(s.returncode != 0 and s.stderr.count("\n") == 1 and
               f"indicators.csv, line {line_count + 1}: " in s.stderr for s in said),
           "a bad file costs one line that says where", [s.stderr for s in said])


def names_change(tap):
    with Rig(speed=20) as rig:
        newer = rig.path("newer")
        line_count = make_newer(newer)
        desk = Desk(start(rig))
        desk.log_in("lan")
        typing(tap, rig, newer)
        older_console(tap, desk)
        newer_console(tap, rig, desk, newer)
        handed_on(tap, desk)
        province_books(tap, rig, newer)
        bad_file(tap, rig, newer, line_count)


if __name__ == "__main__":
    sys.exit(tap_main(names_change))
