#!/usr/bin/env python3
"""storm.py - the whole of a storm afternoon at the commune's desk, in Chromium (TAP, then figures).

Six boxes and ten people in five villages, real daemons over emulated radios; 300 reports, three of
them calls for help.  What the operators do, they do with mouse and keyboard; what it comes to is
seen where it must arrive: in the villages' keng, in the files of the quick report.  Then every page
in both languages and two widths is examined by axe and photographed into build/screens/, and the
essential path is walked without scripts.  make test-console
"""
import csv
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))
from console_quick import ALERT, cells_of  # noqa: E402
from console_review import PASSPHRASE, add_operator  # noqa: E402
from rig import BIN, Failure, Rig, free_port, tap_main, wait_for  # noqa: E402

PACKAGES = os.path.join(ROOT, "build", "browser")
SCREENS = os.path.join(ROOT, "build", "screens")
LANGUAGES, WIDTHS = ("en", "vi"), (360, 1280)  # in this order: the desk stays with the last
SPEED, EVENT, ROUNDS, LIMIT_S = 40, 3, 30, 240

# box: number, village, its two members
VILLAGES = {
    "na-leng": (11, 1, "Trạm Nà Lẹng", {101: "Lý Thị Mai", 102: "Nông Văn Dũng"}),
    "khuoi-ma": (12, 2, "Trạm Khuổi Mạ", {103: "Hoàng Thị Sao", 104: "Triệu Văn Páo"}),
    "lung-cam": (13, 3, "Trạm Lũng Cằm", {105: "Vừ Mí Sính", 106: "Giàng Thị Dợ"}),
    "ban-nghe": (14, 4, "Trạm Bản Nghè", {107: "Ma Văn Khìn", 108: "Lộc Thị Hoa"}),
    "pac-lua": (15, 5, "Trạm Pác Lừa", {109: "Bế Văn Tài", 110: "Đàm Thị Yến"}),
}
LINKS = [("commune", "na-leng"), ("na-leng", "khuoi-ma"), ("khuoi-ma", "lung-cam"),
         ("commune", "ban-nghe"), ("ban-nghe", "pac-lua")]
RESCUE_ROUND, PAGE_COUNT_MIN = 12, 110
CALLS = {  # (round, member): what he calls for
    (RESCUE_ROUND, 101): ({"mac_ket": 3}, "3 người trên mái nhà ông Tấn, cần xuồng"),
    (RESCUE_ROUND + 1, 102): ({"mac_ket": 3}, "nhà ông Tấn: 3 người trên mái nhà"),
    (RESCUE_ROUND + 2, 105): ({"bi_vui": 1}, "Đất vùi nửa nhà, còn nghe tiếng gọi"),
}
NOTES = ["Suối lên nhanh, mưa to.", "Bà con đã lên trường học.", "Mất điện từ trưa.",
         "Đường vào bản <b>sạt</b> 2 chỗ.", "Cần người canh đêm nay.", "Đã đếm lại số nhà."]
SEEN, QUESTION, CORRECTED, JOINED = "1", "2", "6", "7"


class Browser:
    """Chromium through bridge.mjs; a method for each of its verbs."""

    def __init__(self):
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        if not chromium or not shutil.which("node"):
            raise Failure("chromium and node have to be installed")
        self.process = subprocess.Popen(
            ["node", os.path.join(ROOT, "tests", "browser", "bridge.mjs"), PACKAGES, chromium],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        self.version = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure("the browser died")
        answer = json.loads(line)
        if "error" in answer:
            raise Failure(answer["error"])
        return answer["value"]

    def __getattr__(self, verb):
        def order(at, **more):
            self.process.stdin.write(json.dumps({"do": verb, "at": at, **more}) + "\n")
            self.process.stdin.flush()
            return self.answer()
        return order

    def end(self):
        self.process.stdin.close()
        self.process.wait(20)


def what_is_filed(k, member):
    """Kind, figures and text of a member's k-th report.  No two people state the same figure of a
    village, the doubled call for help apart, so that what it must add up to is the last word."""
    if (k, member) in CALLS:
        return "rescue", *CALLS[k, member]
    if k % 5 == 4:
        return "note", {}, NOTES[(k // 5 + member) % len(NOTES)]
    if member % 2:
        return [("damage", {"nha_sap": k // 4, "nha_ngap": k + member % 7}, ""),
                ("damage", {"bi_thuong": k // 9, "nha_hu_nang": k // 3}, ""),
                ("evacuation", {"ho": 2 + k, "nguoi": 9 + 4 * k}, ""),
                ("needs", {"gao": 20 * k, "nuoc_uong": 10 * k}, "")][k % 5]
    return [("damage", {"lua": f"{k / 4 + 1:.2f}", "gia_cam": 12 * k}, ""),
            ("damage", {"duong_hu": k // 7 + 1, "cot_dien": k // 6}, ""),
            ("access", {"duong": "cut" if k > 9 else "open", "dien": "off"}, ""),
            ("safe", {"nguoi": 100 + k}, "")][k % 5]


class Afternoon:
    def __init__(self, rig, tap):
        self.rig, self.tap = rig, tap
        self.browser = Browser()
        self.filed = {}    # (member, k) -> "author-number"
        self.last = {}     # (village, kind, short name) -> value
        self.figures = []  # the last lines
        self.base = self.record = self.quick = ""  # addresses of the console and two of its pages

    def figure(self, name, value, unit, goal):
        self.figures.append(f"{name}: {value} {unit} ({goal})")

    # ---- the commune ----------------------------------------------------------------------
    def start(self):
        rig = self.rig
        rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "250")
        rig.enroll("commune", 1, "UBND xã", "gateway", 0)
        for box, (number, village, name, members) in VILLAGES.items():
            rig.enroll(box, number, name, "node", village)
            for member, person in members.items():
                rig.enroll(box, member, person, "member", village)
        rig.start_air(["commune", *VILLAGES], links=LINKS)
        rig.write_conf("commune", 1, "gateway")
        for box in rig.homes:  # enrolled one by one, they would learn of each other over the air
            shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes[box])
        for box, (number, *_) in VILLAGES.items():
            rig.write_conf(box, number, "village")
        for box in rig.homes:
            rig.start_node(box)
        add_operator(rig, "sen", "admin", "Lò Thị Sen")
        add_operator(rig, "lan", "review", "Nguyễn Thị Lan")
        add_operator(rig, "thanh", "sign", "Hoàng Văn Thành")
        self.start_console()

    def start_console(self):
        rig, port = self.rig, free_port()
        rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
                  "--listen", f"127.0.0.1:{port}")
        wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
        self.base = f"http://127.0.0.1:{port}"

    def file(self, rounds):
        for k in rounds:
            for box, (_, village, _, members) in VILLAGES.items():
                for member in members:
                    self.file_one(box, village, member, k)

    def file_one(self, box, village, member, k):
        kind, figures, text = what_is_filed(k, member)
        done = self.rig.keng(box, "report", kind, *(f"{n}={v}" for n, v in figures.items()),
                             *(["--text", text] if text else []), "--event", EVENT, "--as", member,
                             "--json")
        answer = json.loads(done.stdout)
        self.filed[member, k] = f"{answer['author']}-{answer['seq']}"
        for name, value in figures.items():
            self.last[village, kind, name] = value

    def author_knows(self, box, text, what, *options):
        wait_for(f"{text!r} in {box}'s keng status", lambda: text in self.rig.keng(
            box, "status", "--lang", "vi", *options).stdout, 120, 0.5)
        self.tap.ok(True, what)

    # ---- hands ----------------------------------------------------------------------------
    def sit_down(self, who, width=1280, script=True):
        """Opens a browser and logs in with the keyboard alone."""
        b = self.browser
        b.open(who, base=self.base, width=width, script=script)
        b.goto(who, path="/login?lang=vi")
        b.see(who, what="input[name=login]:focus")
        for text in (who.split()[0], PASSPHRASE):
            b.type(who, text=text)
            b.press(who, keys="Tab")
        b.press(who, keys="Enter")
        b.see(who, what="#live")

    def open_report(self, who, number, village, kind):
        """By its village and kind, page by page."""
        b = self.browser
        b.goto(who, path="/?lang=vi")
        b.choose(who, what='select[name="village"]', value=village)
        b.choose(who, what='select[name="kind"]', value=kind)
        b.click(who, what=".filter button")
        wanted = f'article:has(.number:text-is("{number}")) .foot a'
        while b.count(who, what=wanted) == 0:
            b.click(who, what='.pages a:has-text("→")')
        b.click(who, what=wanted)
        b.see(who, what=".forms")

    def answer(self, who, state):
        """Presses an answer's button on a report's page and waits until it is a signed record."""
        b = self.browser
        before = b.count(who, what=".history .review")
        b.click(who, what=f'.forms button[name=state][value="{state}"]')
        path = b.url(who)

        def signed():
            b.goto(who, path=path)
            return b.count(who, what=".history .review") > before
        wait_for("the answer is a record", signed, 60, 0.5)


# ---- acts -------------------------------------------------------------------------------------

def rescue_is_noticed(a):
    b, tap = a.browser, a.tap
    b.click("lan", what="#sound")
    b.until("lan", script="window.kengTones >= 4")  # so she knows what it will sound like
    a.file(range(RESCUE_ROUND))
    quiet = b.ask("lan", script="[window.kengTones, document.title, "
                  "document.querySelectorAll('.jump .rescue').length]")
    tap.ok(quiet[0] == 4 and "CỨU NẠN" not in quiet[1] and quiet[2] == 0,
           f"{10 * RESCUE_ROUND} reports filed, no false alarm", quiet)
    b.ask("lan", script="window.sameDocument = true")
    b.goto("thanh", path="/quick?lang=vi")  # somebody else is busy with figures
    b.click("thanh", what="#sound")
    b.until("thanh", script="window.kengTones >= 4")
    b.click("thanh", what='.menu a[href="/totals"]')  # the bell stays on from page to page
    a.file_one("na-leng", 1, 101, RESCUE_ROUND)
    b.until("lan", script="document.title.includes('CỨU NẠN')", within_s=120)
    b.until("lan", script="window.kengTones >= 8")
    said = b.text("lan", what=".jump .rescue")
    red = b.ask("lan", script="getComputedStyle(document.querySelector('.jump .rescue'))"
                ".backgroundColor")
    head = b.text("lan", what="article.p3 header")
    signs = {"title": "1 tin CỨU NẠN" in b.ask("lan", script="document.title"),
             "sound": b.ask("lan", script="window.kengTones") == 8,
             "colour": red == "rgb(164, 14, 29)",
             "words": "1 tin CỨU NẠN chờ xem" in said and "CỨU NẠN" in head.upper()}
    b.until("thanh", script="document.querySelector('#calls .rescue') && window.kengTones == 4 && "
            "document.title.startsWith('1 tin CỨU NẠN')", within_s=30)
    signs["other pages"] = b.url("thanh").endswith("/totals")
    for sign, good in signs.items():
        tap.ok(good, f"a call for help is noticed: {sign}", (said, red, head))
    tap.ok(b.ask("lan", script="window.sameDocument === true"), "on the open page, no reload")
    a.figure("signs of a call for help", sum(signs.values()), "signs", "5")
    b.shot("lan", file=os.path.join(SCREENS, "board-rescue-vi-1280.png"))
    b.click("lan", what=".jump .rescue")  # leads to it
    b.see("lan", what='article.p3:has-text("3 người trên mái nhà")')


def reports_arrive(a):
    b = a.browser
    for k in range(RESCUE_ROUND, ROUNDS):
        for box, (_, village, _, members) in VILLAGES.items():
            for member in members:
                if (member, k) not in a.filed:
                    a.file_one(box, village, member, k)
    wanted = len(a.filed)

    def on_board():
        b.goto("thanh", path="/?lang=vi")
        return int(re.search(r"/ (\d+)", b.text("thanh", what="#reports h2 .dim"))[1])
    wait_for(f"{wanted} reports are on the board", lambda: on_board() == wanted, LIMIT_S, 2)
    a.tap.ok(wanted == 300, "300 reports of ten people are on the board", wanted)
    a.figure("reports on the board", on_board(), "reports", "300")
    b.goto("thanh", path="/nodes?lang=vi")
    missing = b.ask("thanh", script="[...document.querySelectorAll('td.value.warn')].length")
    a.tap.ok(missing == 0, "no number of anybody's is missing", missing)
    b.goto("thanh", path="/?lang=vi")
    pages = 1
    while b.count("thanh", what='.pages a:has-text("→")'):
        b.click("thanh", what='.pages a:has-text("→")')
        pages += 1
    a.tap.ok(pages == 6, "paging goes through all of them", pages)
    b.goto("thanh", path="/?lang=vi&hours=24")
    b.fill("thanh", what='input[name="words"]', text="dat vui")
    b.click("thanh", what=".filter button")
    a.tap.ok("Đất vùi nửa nhà" in b.text("thanh", what="article.report"),
             "found by words without diacritics")


def duplicates_are_joined(a):
    b, first = a.browser, a.filed[101, RESCUE_ROUND]
    second = a.filed[102, RESCUE_ROUND + 1]
    a.open_report("lan", second, "Nà Lẹng", "Cứu nạn")
    why = b.text("lan", what=f'label:has(input[name=same][value="{first}"])')
    a.tap.ok("Lý Thị Mai" in why and "cùng số liệu" in why and "cùng lời" in why,
             "the same call from two people is suggested, with reasons", why)
    b.check("lan", what=f'input[name=same][value="{first}"]')
    a.answer("lan", JOINED)
    a.tap.ok(f"→ {first}" in b.text("lan", what=".history"), "and joined", first)
    a.author_knows("na-leng", "đã gộp với tin khác", "whose author knows", "--all")
    b.goto("lan", path=f"/?lang=vi&state={JOINED}")
    a.figure("duplicates joined", b.count("lan", what="article.report"), "pair", "1")


def figure_is_corrected(a):
    b, number = a.browser, a.filed[103, 25]
    a.open_report("lan", number, "Khuổi Mạ", "Thiệt hại")
    old = a.last[2, "damage", "nha_sap"]
    b.fill("lan", what='input[name="f8"]', text=str(old - 1))
    b.fill("lan", what='form:has(input[name="f8"]) input[name=text]', text="một nhà đếm hai lần")
    a.answer("lan", CORRECTED)
    a.last[2, "damage", "nha_sap"] = old - 1
    history = b.text("lan", what=".history")
    a.tap.ok(re.search(rf"{old}\s*→\s*{old - 1}", history) and "Nguyễn Thị Lan" in history,
             "old and new value stand in the history, with who changed it", history)
    a.author_knows("khuoi-ma", f"{old} cái → {old - 1} cái", "the author sees both")
    a.open_report("lan", number, "Khuổi Mạ", "Thiệt hại")
    story = b.text("lan", what="#s8")
    a.tap.ok(b.ask("lan", script="document.querySelector('[name=f8]').value") == str(old - 1) and
             f"Người báo nói: {old} cái" in story and "Nguyễn Thị Lan" in story and
             re.search(rf"{old}\s*→\s*{old - 1}", story),
             "a second correction starts from the first, and tells of it", story)
    flooded = a.last[2, "damage", "nha_ngap"]
    b.fill("lan", what=f'#correct input[value="{flooded}"]', text=str(flooded + 1))
    a.answer("lan", CORRECTED)
    a.last[2, "damage", "nha_ngap"] = flooded + 1
    a.tap.ok(b.count("lan", what=f'article b:has-text("{old - 1}")') == 1 and
             b.count("lan", what=f'article b:has-text("{flooded + 1}")') == 1,
             "and leaves it standing", b.text("lan", what="article"))


def one_after_another(a):
    """Waiting reports answered by keys alone: one press each."""
    b, seen = a.browser, []
    b.goto("lan", path="/?lang=vi")
    b.click("lan", what=".one a")
    for _ in range(5):
        seen.append(b.text("lan", what="article .number"))
        b.accesskey("lan", key="1")
    b.accesskey("lan", key="0")  # one is put off
    seen.append(b.text("lan", what="article .number"))
    a.tap.ok(len(set(seen)) == 6, "one press answers a report and shows the next", seen)
    def all_seen():
        for number in seen[:5]:
            b.goto("lan", path=f"/?lang=vi&words={number}&state=1")
            if b.count("lan", what=f'.number:text-is("{number}")') != 1:
                return False
        return True
    wait_for("five reports are seen", all_seen, 60, 1)
    a.tap.ok(True, "and each is found as seen, by its number")
    a.figure("presses from one waiting report to the next", 1, "press", "1")


def answer_reaches_the_author(a):
    a.open_report("lan", a.filed[105, RESCUE_ROUND + 2], "Lũng Cằm", "Cứu nạn")
    a.record = without_language(a.browser.url("lan")[len(a.base):])
    a.browser.fill("lan", what=".forms input[name=text]", text="Còn nghe tiếng gọi không?")
    a.answer("lan", QUESTION)
    a.author_knows("lung-cam", "Còn nghe tiếng gọi không?",
                   "a question reaches the author's keng status, three hops away")


def directive_is_confirmed(a):
    b, text = a.browser, "SƠ TÁN NGAY lên trường học"
    b.goto("lan", path="/directives?lang=vi")
    b.click("lan", what="summary")
    b.click("lan", what=f'.templates a:has-text("{text}")')
    b.see("lan", what=f'textarea:has-text("{text}")')
    b.click("lan", what='form[action="/directives"] button.main')
    for box in VILLAGES:
        wait_for(f"the directive is in {box}", lambda box=box: text in a.rig.keng(
            box, "inbox", "--lang", "vi").stdout, 120, 0.5)

    def listed(term):
        b.goto("lan", path="/directives?lang=vi")
        names = b.ask("lan", script="[...document.querySelectorAll('article .readers')].map(l => "
                      "Object.fromEntries([...l.querySelectorAll('dt')].map(t => "
                      "[t.textContent, t.nextElementSibling.textContent])))")[0][term]
        return [n for n in names.split(", ") if n != "–"]
    boxes = sorted(name for _, _, name, _ in VILLAGES.values())
    wait_for("every box says it has it", lambda: sorted(listed("Máy đã nhận")) == boxes, 180, 1)
    a.tap.ok(True, "a directive reaches every box, and the console says so by name")
    b.shot("lan", file=os.path.join(SCREENS, "directives-sent-vi-1280.png"))
    people = sorted(p for _, _, _, members in VILLAGES.values() for p in members.values())
    a.tap.ok(sorted(listed("Chưa báo đã đọc")) == people, "who has not confirmed stands there, too")
    for box, (_, _, _, members) in VILLAGES.items():
        for member in members:
            a.rig.keng(box, "confirm", "--as", member)
    wait_for("everybody has confirmed", lambda: sorted(listed("Đã đọc")) == people, 180, 1)
    a.tap.ok(listed("Chưa báo đã đọc") == [], "all ten people confirmed it")
    a.figure("boxes that have the directive", len(listed("Máy đã nhận")), "boxes", len(boxes))
    a.figure("people who confirmed it", len(listed("Đã đọc")), "people", len(people))


def report_is_signed_off(a):
    b = a.browser
    b.goto("lan", path=f"/quick?lang=vi&event={EVENT}")
    b.choose("lan", what='select[name="basis"]', value="received")
    b.fill("lan", what='textarea[name="course"]', text="Mưa to từ 2 giờ sáng, suối lên 1,5 m.")
    b.fill("lan", what='textarea[name="isolated"]', text="Lũng Cằm, Khuổi Mạ")
    b.fill("lan", what='textarea[name="response"]', text="47 hộ đã lên trường học.")
    b.fill("lan", what='textarea[name="wants"]', text="=2 xuồng máy, 500 kg gạo")
    b.choose("lan", what='select[name="hazard"]', value="5")
    b.click("lan", what='form[action="/quick"] button.main')
    b.see("lan", what=".quick h2")
    a.tap.ok(b.count("lan", what='form[action="/quick/sign"]') == 0,
             "who may only review cannot sign off")
    a.quick = path = without_language(b.url("lan")[len(a.base):])
    examine(a, "thanh", "quick-draft", path)
    b.goto("thanh", path=path)
    b.click("thanh", what='form[action="/quick/sign"] button.main')
    b.see("thanh", what="code")
    wait_for("the signature is a record of the mesh", lambda: b.goto("thanh", path=path) and
             "✓" in b.text("thanh", what=".quick"), 60, 0.5)
    a.tap.ok("Hoàng Văn Thành" in b.text("thanh", what=".quick"), "signed off by a named person")


def catalogue():
    """(kind, short name) -> name for people, of what is a quantity."""
    with open(os.path.join(ROOT, "seeds", "catalogue", "indicators.csv"), encoding="utf-8") as f:
        return {(row["kind"], short): row["name_vi"] for row in csv.DictReader(f)
                for short in row["short_vi"].split() if not row["values"]}


def number_of(words):
    """The figure of "1.234,5 ha", as Vietnamese writes it."""
    return float(words.split()[0].replace(".", "").replace(",", "."))


def chat_sums(text):
    lines = (line[2:].rsplit(": ", 1) for line in text.splitlines()
             if line.startswith("- ") and ": " in line)
    return {name: number_of(words) for name, words in lines if words[:1].isdigit()}


def hxl_figures(rows, place):
    at = {tag: i for i, tag in enumerate(rows[1])}
    for row in rows[2:]:
        yield (place(int(row[at["#loc+village+code"]])), row[at["#indicator+name"]],
               row[at["#indicator+value+num"]])


def files_are_right(a):
    """Every number of each form in which the report leaves, against those that were filed."""
    names, places = catalogue(), {v: n.removeprefix("Trạm ") for _, v, n, _ in VILLAGES.values()}
    want, total = {}, {}
    for (village, kind, short), value in a.last.items():
        if (kind, short) in names:
            name = names[kind, short]
            want[places[village], name] = want.get((places[village], name), 0) + float(value)
            total[name] = total.get(name, 0) + float(value)
    saved = {}
    for form in ("xlsx", "csv", "geojson", "hxl.csv", "txt"):
        file = a.rig.path("export." + form)
        a.browser.save("thanh", what=f'.quick a[href*="&as={form}&"]', file=file)
        with open(file, "rb") as f:
            saved[form] = f.read()

    def figures(rows):
        """(place, name) with values; what is no quantity is none of these."""
        found = {}
        for place, name, value in rows:
            if name in total:
                found[place, name] = found.get((place, name), 0) + float(value)
        return found
    book = zipfile.ZipFile(io.BytesIO(saved["xlsx"]))
    sums = {r["B"]: r["C"] for r in cells_of(book, "xl/worksheets/sheet1.xml")
            if r.get("B") in total}
    sheet = figures((r["A"], r["D"], r["E"]) for r in cells_of(book, "xl/worksheets/sheet2.xml")
                    if isinstance(r.get("E"), float))
    table = figures((r["Thôn"], r["Chỉ tiêu"], r["Số liệu"]) for r in
                    csv.DictReader(io.StringIO(saved["csv"].decode("utf-8-sig"))))
    comma = list(csv.reader(io.StringIO(saved["hxl.csv"].decode("utf-8-sig"))))
    features = json.loads(saved["geojson"])["features"]
    points = figures((f["properties"]["name"], figure["name"], figure["value"])
                     for f in features for figure in f["properties"]["figures"])
    hxl, chat = figures(hxl_figures(comma, places.get)), chat_sums(saved["txt"].decode())
    good = {
        "xlsx": (sums, sheet) == (total, want),
        "csv": saved["csv"].startswith(b"\xef\xbb\xbf") and table == want,
        "geojson": points == want and all(f["geometry"]["coordinates"][0] > 100
                                          for f in features if f["geometry"]),
        "hxl": hxl == want and all(tag.startswith("#") for tag in comma[1]),
        "chat": chat == total,
    }
    got = {"xlsx": (sums, sheet), "csv": table, "geojson": points, "hxl": hxl, "chat": chat}
    a.tap.ok(len(want) > 40, "there is much to compare", len(want))
    for form, right in good.items():
        a.tap.ok(right, f"every number of the report as {form} is what was filed",
                 (total if form == "chat" else want, got[form]))
    a.figure("exports with the right figures", sum(good.values()), "forms", len(good))


# ---- every page -------------------------------------------------------------------------------

def without_language(path):
    return re.sub(r"[?&]lang=\w\w", "", path)


FITS = "document.documentElement.scrollWidth <= innerWidth"


class Pages:
    """What examine() saw."""
    violations, count, rules, shots = [], 0, 0, 0


def examine(a, who, name, path, ready="true"):
    """A page in both languages and widths: fits, speaks the language, satisfies axe; a picture."""
    b = a.browser
    for width in WIDTHS:
        b.resize(who, width=width)
        for language in LANGUAGES:
            mark = "&" if "?" in path else "?"
            b.goto(who, path=f"{path}{mark}lang={language}")
            b.until(who, script=ready)
            look(a, who, f"{name}-{language}-{width}", language)


def look(a, who, name, language):
    b = a.browser
    found = b.axe(who)
    Pages.count += 1
    Pages.rules = max(Pages.rules, found["rules"])
    Pages.violations += [f"{name}: {v}" for v in found["violations"]]
    if not b.ask(who, script=FITS):
        Pages.violations.append(f"{name}: wider than the screen")
    if b.ask(who, script="document.documentElement.lang") != language:
        Pages.violations.append(f"{name}: in another language")
    b.shot(who, file=os.path.join(SCREENS, name + ".png"))
    Pages.shots += 1


def every_page(a):
    b = a.browser
    a.sit_down("sen")
    b.goto("sen", path=f"/totals?event={EVENT}")
    figure = b.ask("sen", script="document.querySelector('#totals a').getAttribute('href')")
    for name, path in {
            "board": "/", "board-found": "/?words=nha", "board-none": "/?words=xyzzy",
            "record": a.record, "directives": "/directives?template=1", "totals": "/totals",
            "totals-asof": f"/totals?event={EVENT}&basis=approved", "quick": "/quick",
            "figure": without_language(figure), "quick-signed": a.quick, "nodes": "/nodes",
            "people": "/people", "account": "/account", "guide": "/guide", "cap": "/cap",
            "no-such-page": "/xyzzy",
            "no-such-record": "/record?arrival=999999",
            "map": "/map"}.items():
        examine(a, "sen", name, path, "document.getElementById('map').dataset.drawn > 5"
                if name == "map" else "true")
    examine(a, "lan", "not-allowed", "/people")
    b.open("stranger", base=a.base, width=1280)
    examine(a, "stranger", "login", "/login")
    b.goto("stranger", path="/login?lang=vi")
    b.fill("stranger", what="input[name=login]", text="lan")
    b.fill("stranger", what="input[name=passphrase]", text="wrong wrong wrong")
    b.click("stranger", what="button.main")
    look(a, "stranger", "login-wrong-vi-1280", "vi")
    b.close("stranger")
    for language in LANGUAGES:
        pages_after_a_form(a, language, a.record)
    b.goto("sen", path=a.quick + "&lang=vi")
    b.shot("sen", file=os.path.join(SCREENS, "quick-print-vi.png"), print=True)
    b.pdf("sen", file=os.path.join(SCREENS, "quick-print-vi.pdf"))


def pages_after_a_form(a, language, record):
    """What is shown instead of a page of its own: an alert read, a refusal, somebody was faster."""
    b = a.browser
    b.resize("sen", width=1280)
    b.goto("sen", path=f"/cap?lang={language}")
    b.fill("sen", what="textarea", text=ALERT)
    b.click("sen", what="main button.main")
    look(a, "sen", f"cap-read-{language}-1280", language)
    b.goto("sen", path=f"/cap?lang={language}")
    b.fill("sen", what="textarea", text="<alert>")
    b.click("sen", what="main button.main")
    look(a, "sen", f"cap-refused-{language}-1280", language)
    b.goto("sen", path=f"{record}&lang={language}")
    b.click("sen", what='.forms button[name=state][value="4"]')  # no reason given
    look(a, "sen", f"record-refused-{language}-1280", language)
    b.goto("sen", path=f"{record}&lang={language}")
    b.goto("lan", path=f"{record}&lang=vi")
    a.answer("lan", SEEN)
    b.fill("sen", what=".forms input[name=text]", text="Xuồng đang đến.")
    b.click("sen", what='.forms button[name=state][value="3"]')
    a.tap.ok(b.ask("sen", script="document.querySelector('.forms input[name=text]').value")
             == "Xuồng đang đến." and b.count("sen", what="[role=alert]") == 1,
             f"two at once: the second is told, her words are still there ({language})")
    look(a, "sen", f"record-outdated-{language}-1280", language)


def without_scripts(a):
    """Read, answer, add up: in a browser that runs none."""
    b = a.browser
    b.open("lan still", base=a.base, width=360, script=False)
    b.goto("lan still", path="/login?lang=vi")
    b.fill("lan still", what="input[name=login]", text="lan")
    b.fill("lan still", what="input[name=passphrase]", text=PASSPHRASE)
    b.click("lan still", what="button.main")
    b.see("lan still", what="article.report")
    number = b.text("lan still", what='article:has(form button.main) .number')
    b.shot("lan still", file=os.path.join(SCREENS, "board-no-script-vi-360.png"))
    b.click("lan still", what=f'article:has(.number:text-is("{number}")) .foot a')
    b.fill("lan still", what=".forms input[name=text]", text="Xã đã nhận, sẽ gọi lại")
    a.answer("lan still", SEEN)
    a.tap.ok("Xã đã nhận, sẽ gọi lại" in b.text("lan still", what=".history"),
             "without scripts: a report is read and answered", number)
    b.goto("lan still", path="/?lang=vi")
    b.click("lan still", what=".one a")
    first = b.text("lan still", what="article .number")
    b.click("lan still", what='.forms button[name=state][value="1"]')
    a.tap.ok(b.text("lan still", what="article .number") != first and
             "next=1" in b.url("lan still"), "without scripts: the next one comes by itself", first)
    b.click("lan still", what='.menu a:has-text("Tổng")')
    total = b.text("lan still", what="#totals tr.sum")
    b.click("lan still", what="#totals tr:not(.sum) td a")
    a.tap.ok(re.search(r"\d", total) and b.count("lan still", what="tr.sum a") > 0,
             "without scripts: totals, and the signed reports behind one of them", total)
    b.close("lan still")


def node_is_lost(a):
    """The commune's own box goes: nobody may take the silence for calm."""
    b = a.browser
    b.goto("lan", path="/?lang=vi")
    a.rig.stop("commune")
    b.until("lan", script="!!document.querySelector('.status.alarm')", within_s=60)
    a.tap.ok(True, "that the own box is silent shows on the open page")
    examine(a, "sen", "board-node-off", "/")
    examine(a, "sen", "nodes-node-off", "/nodes")


def training(a):
    """The training event of keng-gateway demo-data, in a console of its own."""
    rig, port = a.rig, free_port()
    rig.run("keng-gateway", "demo-data", "--db", rig.path("training.db"))
    rig.start("training", os.path.join(BIN, "keng-gateway"), "--db", rig.path("training.db"),
              "--listen", f"127.0.0.1:{port}")
    wait_for("the training console listens", lambda: "listening" in rig.log_tail("training"), 15)
    a.browser.open("trainee", base=f"http://127.0.0.1:{port}", width=1280)
    examine(a, "trainee", "training-board", "/")
    examine(a, "trainee", "training-totals", "/totals?drills=1")
    examine(a, "trainee", "training-quick", "/quick?drills=1")


def province_reads(a):
    """The same afternoon in the province's books."""
    rig, port, books = a.rig, free_port(), ("--db", a.rig.path("province.db"))
    rig.run("keng-gateway", "export", "--home", rig.homes["commune"], "--out", rig.path("up.keng"))
    rig.run("keng-province", *books, "trust", os.path.join(rig.desk, "commune.keng"))
    rig.run("keng-province", *books, "import", rig.path("up.keng"))
    rig.start("books", os.path.join(BIN, "keng-province"), *books, "--listen", f"127.0.0.1:{port}",
              "--villages", os.path.join(ROOT, "seeds", "demo", "villages.csv"), "serve")
    wait_for("the province's pages are up", lambda: "http" in rig.log_tail("books"), 15)
    a.browser.open("analyst", base=f"http://127.0.0.1:{port}", width=1280)
    examine(a, "analyst", "province", f"/?event={EVENT}")
    said = a.browser.text("analyst", what="main")
    a.tap.ok("Nhà thiệt hại hoàn toàn" in said and "Khuổi Mạ" in said,
             "the province's page has the afternoon", said[:500])


def before_anything(a):
    a.sit_down("lan")
    a.sit_down("thanh")
    examine(a, "thanh", "empty-board", "/")
    examine(a, "thanh", "empty-directives", "/directives")
    a.browser.resize("thanh", width=1280)


def judge_pages(a):
    unlike = sorted(set(Pages.violations))
    a.tap.ok(not unlike and Pages.rules > 20 and Pages.count >= PAGE_COUNT_MIN,
             f"axe finds nothing on {Pages.count} pages", "\n".join(unlike))
    a.figure("pages examined, by language and width", Pages.count, "pages",
             f">= {PAGE_COUNT_MIN}")
    a.figure("violations axe found", len(unlike), "violations", "0")
    a.figure("pictures in build/screens", len(os.listdir(SCREENS)), "pictures",
             f">= {Pages.shots}")


def afternoon(tap):
    shutil.rmtree(SCREENS, ignore_errors=True)
    os.makedirs(SCREENS)
    with Rig(speed=SPEED) as rig:
        a = Afternoon(rig, tap)
        tap.note(f"Chromium {a.browser.version}")
        a.start()
        for act in (before_anything, rescue_is_noticed, reports_arrive, duplicates_are_joined,
                    figure_is_corrected, one_after_another, answer_reaches_the_author,
                    directive_is_confirmed, report_is_signed_off, files_are_right,
                    without_scripts, every_page, training, province_reads, node_is_lost):
            try:
                act(a)
            except (Failure, OSError, LookupError, ValueError, TypeError) as error:
                tap.ok(False, f"{act.__name__} ran to its end", f"{type(error).__name__}: {error}")
        judge_pages(a)
        a.browser.end()
        for box in VILLAGES:
            rig.stop(box)
        rig.stop_air()
        tap.ok(True, "every frame was lawful")
        for line in a.figures:
            tap.note("figure: " + line)


if __name__ == "__main__":
    tap_main(afternoon)
