"""console_review.py - what is said at the commune's console reaches the village, and back (TAP).

Real daemons over emulated modems; named operators; the forms a browser without a script would send.
"""
import html
import http.cookiejar
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

from rig import BIN, Rig, free_port, tap_main, wait_for

MEMBER = 101
PASSPHRASE = "bốn từ dễ nhớ lắm"


class Desk:
    """One operator's browser."""

    def __init__(self, base):
        self.base = base
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def get(self, path):
        with self.opener.open(self.base + path, timeout=20) as answer:
            return answer.read().decode()

    def post(self, page, path, has="", **fields):
        """Fills the first form of `page` that goes to `path` and has `has`; the status and the page
        after it."""
        form = next(f for f in re.findall(r"<form method=\"post\".*?</form>", self.get(page), re.S)
                    if f'action="{path}"' in f and has in f)
        filled = {}
        for tag in re.findall(r"<input [^>]*>", form):
            name = re.search(r'name="([^"]*)"', tag)
            value = re.search(r'value="([^"]*)"', tag)
            if name and 'type="checkbox"' not in tag and 'type="radio"' not in tag:
                filled[name[1]] = html.unescape(value[1]) if value else ""
        filled.update(fields)
        data = urllib.parse.urlencode(filled).encode()
        try:
            with self.opener.open(self.base + path, data, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def log_in(self, login, passphrase=PASSPHRASE):
        return self.post("/login", "/login", login=login, passphrase=passphrase)


def add_operator(rig, login, role, name):
    subprocess.run([os.path.join(BIN, "keng-gateway"), "operator", "add", login, "--home",
                    rig.homes["commune"], "--role", role, "--name", name],
                   input=PASSPHRASE + "\n", encoding="utf-8", check=True, env=rig.env, timeout=30)


def start(rig):
    rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "250")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    rig.enroll("village", 11, "Trạm Nà Lẹng", "node", 1)
    rig.enroll("village", MEMBER, "Lý Thị Mai", "member", 1)
    rig.enroll("village", MEMBER + 1, "Nông Văn Dũng", "member", 1)
    shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
    rig.start_air(["village", "commune"])
    rig.write_conf("commune", 1, "gateway")
    rig.write_conf("village", 11, "village")
    rig.start_node("commune")
    rig.start_node("village")
    add_operator(rig, "lan", "admin", "Nguyễn Thị Lan")
    add_operator(rig, "pao", "review", "Vàng A Páo")
    port = free_port()
    rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
              "--listen", f"127.0.0.1:{port}")
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
    return f"http://127.0.0.1:{port}"


def report_arrival(desk):
    found = re.search(r'/record\?arrival=(\d+)', desk.get("/"))
    return int(found[1]) if found else 0


def review_goes_down_and_confirmation_up(tap):
    with Rig(speed=20) as rig:
        base = start(rig)
        lan, pao = Desk(base), Desk(base)
        tap.ok(lan.log_in("lan", "wrong wrong wrong")[0] == 403, "a wrong passphrase is refused")
        tap.ok(lan.log_in("lan")[0] == 200 and pao.log_in("pao")[0] == 200, "two operators log in")
        rig.keng("village", "report", "damage", "nha_sap=3", "--as", str(MEMBER))
        wait_for("the report is on the board", lambda: report_arrival(lan) > 0, 60)
        page = f"/record?arrival={report_arrival(lan)}"

        status, _ = lan.post(page, "/review", state="2", text="Ba nhà nào?")
        tap.ok(status == 200, "one operator asks", str(status))

        def village_says(text):
            return text in rig.keng("village", "status", "--lang", "en").stdout

        wait_for("the question is in keng status", lambda: village_says("Ba nhà nào?"), 90)
        tap.ok(True, "the author's keng status shows the question")

        # The other one has had the page open since before: he hears of it, and nothing is lost.
        status, body = pao.post(page, "/review", state="3", known="0.0")
        tap.ok(status == 409 and "Ba nhà nào?" in body, "the other is told of it first", body[:400])
        field = re.search(r'name="(f\d+)"', pao.get(page))[1]
        status, body = pao.post(page, "/review", state="6", text="kiểm tra lại", **{field: "2"})
        tap.ok(status == 200, "and corrects a figure", body[:400])
        wait_for("the correction is in keng status", lambda: village_says("3 → 2"), 90)
        tap.ok(True, "the author sees the old figure and the new")
        wait_for("both stand in the history",
                 lambda: lan.get(page).count('class="review s') >= 3, 30)
        tap.ok("Nguyễn Thị Lan" in lan.get(page) and "Vàng A Páo" in lan.get(page),
               "the report's page names both operators")

        status, body = lan.post("/directives", "/directives", text="Sơ tán ngay lên trường",
                                village="1", role="0", person="0", hours="6", priority="3",
                                receipt="1")
        tap.ok(status == 200, "a directive is sent", body[:400])
        wait_for("it is in the village's inbox", lambda: "Sơ tán ngay lên trường"
                 in rig.keng("village", "inbox").stdout, 90)
        wait_for("the box says that it has it", lambda: re.search(
            r"<dd>Trạm Nà Lẹng</dd></dl>", lan.get("/directives")), 90)
        tap.ok("<dd>–</dd>" in lan.get("/directives"), "held by the box, read by nobody yet")
        rig.keng("village", "confirm", "--as", str(MEMBER))
        wait_for("the confirmation is up", lambda: "<dd>Lý Thị Mai</dd>" in lan.get("/directives"),
                 90)
        tap.ok(True, "who read it stands on the console by name")
        rig.keng("village", "confirm", "--as", str(MEMBER + 1))
        wait_for("so does the second", lambda: "<dd>Lý Thị Mai, Nông Văn Dũng</dd>"
                 in lan.get("/directives"), 90)
        tap.ok(True, "and everybody at one box can")

        done = subprocess.run([os.path.join(BIN, "keng-gateway"), "audit", "--home",
                               rig.homes["commune"]], capture_output=True, encoding="utf-8",
                              env=rig.env, timeout=30, check=False)
        tap.ok(done.returncode == 0 and "login-refused" in done.stdout and
               "BAD" not in done.stdout, "the audit trail holds", done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(tap_main(review_goes_down_and_confirmation_up))
