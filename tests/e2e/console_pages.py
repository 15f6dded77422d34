"""console_pages.py - every page of the console in Chromium, two languages, two widths (TAP).

Real daemons over emulated modems, an operator who logs in by typing.  Each page must fit its width,
ask for nothing outside, label every field and name its language; pictures go to build/shots/.
"""
import os
import shutil
import subprocess
import sys

from console_review import MEMBER, PASSPHRASE, Desk, report_arrival, start
from rig import ROOT, Rig, tap_main, wait_for

# What a reader who cannot see the page depends on.
USABLE = """(() => {
    const bad = [];
    document.querySelectorAll('input:not([type=hidden]),select,textarea').forEach(f => {
        if (!f.labels || f.labels.length === 0 || !f.labels[0].textContent.trim()) bad.push(f.name);
    });
    document.querySelectorAll('button,a').forEach(b => {
        if (!b.hidden && !b.textContent.trim()) bad.push(b.outerHTML);
    });
    if (document.querySelectorAll('h1').length !== 1) bad.push('h1');
    if (!document.documentElement.lang) bad.push('lang');
    if (!document.querySelector('main')) bad.push('main');
    const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
    if (new Set(ids).size !== ids.length) bad.push('an id twice');
    return bad.length === 0 || bad.join(' ');
})() === true"""


# Everything on the map is in the list, and the other way round.
DRAWN = ("document.querySelectorAll('tbody tr').length > 5 && "
         "+document.getElementById('map').dataset.drawn === "
         "document.querySelectorAll('tbody tr').length")


def browse(rig, url, width, *steps):
    done = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tests", "browser", "cdp.py"), "--timeout", "20",
         "--width", str(width), "--height", "800", url, *steps],
        capture_output=True, encoding="utf-8", env=rig.env, timeout=120, check=False)
    return done.returncode == 0, done.stdout + done.stderr


def fill(rig, base):
    lan = Desk(base)
    lan.log_in("lan")
    rig.keng("village", "report", "damage", "nha_sap=3", "bi_thuong=0", "--as", str(MEMBER))
    rig.keng("village", "report", "rescue", "mac_ket=3", "--text",
             "trên mái nhà, cần xuồng <b>ngay</b>", "--as", str(MEMBER))
    wait_for("two reports are on the board",
             lambda: lan.get("/").count("/record?arrival=") == 2, 60)
    page = f"/record?arrival={report_arrival(lan)}"
    lan.post(page, "/review", state="2", text="Mấy người già, trẻ em?")
    lan.post("/directives", "/directives", text="Sơ tán ngay lên trường học.", village="1",
             role="0", person="0", hours="6", priority="3", receipt="1")
    wait_for("the directive is filed", lambda: "1-" in lan.get("/directives").split("<dl")[0]
             and 'class="readers"' in lan.get("/directives"), 60)
    wait_for("the question is in the log", lambda: "Mấy người già" in lan.get(page), 60)
    lan.post("/quick", "/quick", event="0", basis="received", hazard="1",
             course="Mưa to từ 2 giờ sáng, suối lên nhanh.", isolated="Nà Lẹng (đường vào bị cắt)")
    return page


def pages_hold(tap):
    if shutil.which("chromium") is None:
        tap.ok(False, "chromium is installed (make deps)")
        return
    shots = os.path.join(ROOT, "build", "shots")
    os.makedirs(shots, exist_ok=True)
    with Rig(speed=20) as rig:
        base = start(rig)
        record = fill(rig, base)
        pages = {"board": "/", "record": record, "directives": "/directives?template=1",
                 "nodes": "/nodes", "people": "/people", "account": "/account", "guide": "/guide",
                 "totals": "/totals",
                 "quick": "/quick", "cap": "/cap", "map": "/map", "quick-read": "/quick/read?id=1"}
        for width in (360, 1280):
            steps = [f"wait-js:{USABLE}", f"shot:{shots}/login-vi-{width}.png",
                     "type:input[name=login]::lan", "type:input[name=passphrase]::" + PASSPHRASE,
                     "click:button.main", "wait:#live"]
            for language in ("vi", "en"):
                for name, path in pages.items():
                    mark = "&" if "?" in path else "?"
                    steps += [f"goto:{base}{path}{mark}lang={language}",
                              f"wait-js:document.documentElement.lang === '{language}'",
                              f"wait-js:document.documentElement.scrollWidth <= {width}",
                              f"wait-js:{DRAWN if name == 'map' else 'true'}",
                              f"wait-js:{USABLE}", f"shot:{shots}/{name}-{language}-{width}.png"]
            good, said = browse(rig, f"{base}/login?lang=vi", width, *steps)
            tap.ok(good, f"every page at {width} px, in both languages", said)

        # An operator at the board: what she presses is what the author gets.
        good, said = browse(
            rig, f"{base}/login?lang=vi", 1280, "type:input[name=login]::pao",
            "type:input[name=passphrase]::" + PASSPHRASE, "click:button.main", "wait:#line.on",
            "click:article.report .act form button.main",
            "wait:article.report .review i, article.report .review.s1")
        tap.ok(good, "one press on the board is an answer", said)
        wait_for("the author knows", lambda: "Xã đã xem" in rig.keng(
            "village", "status", "--lang", "vi").stdout, 90)
        tap.ok(True, "that the author's keng status shows")


if __name__ == "__main__":
    sys.exit(tap_main(pages_hold))
