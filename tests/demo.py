"""demo.py - a storm in three minutes: from a handheld in a cut-off village to the province's table.

Real programs, emulated radios, one temporary directory, time running faster than ours.  Says what
it does and what came of it; exit status 1 if anything that had to happen did not.
"""
import http.cookiejar
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "e2e"))
from rig import BIN, ROOT, Failure, Rig, free_port, wait_for  # noqa: E402

SPEED = 20
LIMIT_S = 175
CHART = os.path.join(ROOT, "build", "demo-course.svg")
HANDHELD, VILLAGE1, VILLAGE2, COMMUNE = "handheld", "na-leng", "khuoi-ma", "commune"
PROVINCE = "province-key"
MEMBER, OPERATOR = 101, 102
BEGAN = time.monotonic()
# What must stand in the province's table: kind and value; 2 is "cut" for a bridge and a network.
TOTALS = [("damage", 3), ("damage", 14), ("damage", 5), ("access", 2), ("access", 2),
          ("needs", 120), ("needs", 60), ("needs", 30), ("rescue", 3)]

# What Mai files, in the order of the night; the last column is what a person would say.
REPORTS = [
    ("damage", ["nha_sap=3", "nha_toc_mai=14", "nha_hu_nang=5"], None,
     "3 houses collapsed, 14 roofs gone, 5 heavily damaged"),
    ("access", ["cau=cut", "song_di_dong=cut"], None,
     "the bridge is cut, the mobile network is down"),
    ("needs", ["gao=120", "nuoc_uong=60", "bat=30"], None,
     "rice, drinking water and tarpaulins are needed"),
    ("note", [], "Khuổi Mạ: sạt taluy sau nhà ông Páo, 7 người đã ra ngoài an toàn, "
     "trâu bò còn kẹt, cần người canh đêm nay.",
     "free text, as she would say it"),
    ("rescue", ["mac_ket=3"], None, "three people are trapped: goes before everything else"),
]


class Overtime(Exception):
    """Not a Failure, so that nobody who waits for something takes it for a "not yet"."""


class Demo:
    def __init__(self, rig):
        self.rig = rig
        self.checks = []
        self.filed = []  # answers of keng report
        self.airtime_s = {}
        self.console = f"http://127.0.0.1:{free_port()}"
        self.province_port = free_port()

    def say(self, text=""):
        print(f"[{time.monotonic() - BEGAN:5.1f} s] {text}" if text else "", flush=True)

    def check(self, good, text):
        self.checks.append((bool(good), text))
        self.say(f"{'  yes' if good else '   NO'}: {text}")

    def wait(self, text, question, timeout_s):
        try:
            answer = wait_for(text, question, min(timeout_s, LIMIT_S - time.monotonic() + BEGAN))
        except Failure:
            self.check(False, text)
            raise
        self.check(True, text)
        return answer

    # ---- acts --------------------------------------------------------------------------
    def commune(self):
        rig = self.rig
        self.say("The commune makes its keys and enrols boxes and people (keng init, keng enroll).")
        rig.init("Xã Cao Minh", "01879")
        rig.enroll(PROVINCE, 60, "BCH PCTT tỉnh", "operator", 0)
        rig.enroll(COMMUNE, 1, "UBND xã Cao Minh", "gateway", 0)
        rig.enroll(VILLAGE1, 11, "Trạm Nà Lẹng", "node", 1)
        rig.enroll(VILLAGE2, 12, "Trạm Khuổi Mạ", "node", 2)
        rig.enroll(HANDHELD, 13, "Máy cầm tay của Mai", "node", 3)
        rig.enroll(HANDHELD, MEMBER, "Lý Thị Mai", "member", 3)
        rig.enroll(COMMUNE, OPERATOR, "Trực ban xã", "operator", 0)
        self.say("Four radios in a line; each hears only its neighbours (keng-air).")
        rig.start_air([HANDHELD, VILLAGE1, VILLAGE2, COMMUNE])
        for name, number in ((HANDHELD, 13), (VILLAGE1, 11), (VILLAGE2, 12), (COMMUNE, 1)):
            rig.write_conf(name, number, "gateway" if name == COMMUNE else "village")
            rig.start_node(name)
        rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes[COMMUNE],
                  "--db", rig.path("commune.db"), "--listen", self.console[len("http://"):],
                  "--push", f"https://127.0.0.1:{self.province_port}",
                  "--ca", os.path.join(rig.desk, "tls", "ca.crt"), "--push-interval-s", "1",
                  "--trust", os.path.join(rig.desk, "commune.keng"))
        wait_for("the console answers", lambda: self.page("/"), 15)
        self.say(f"The commune's console is at {self.console} while this runs. "
                 "The line to the province is down.")

    def file(self, index):
        kind, figures, text, meaning = REPORTS[index]
        more = ["--text", text] if text else []
        done = self.rig.keng(HANDHELD, "report", kind, *figures, *more, "--as", MEMBER, "--json")
        answer = json.loads(done.stdout)
        self.filed.append(answer)
        typed = " ".join(["keng report", kind, *figures] + ([f'--text "{text}"'] if text else []))
        self.say(f"{typed}")
        self.say(f"      {meaning}; number {MEMBER}-{answer['seq']}, "
                 f"{answer['frame_len']} bytes on air")

    def storm(self):
        rig = self.rig
        self.say()
        self.say("Night. Lý Thị Mai reports from the handheld, three hops from the commune.")
        self.file(0)
        self.wait("the first report is at the commune, over two villages",
                  lambda: self.at_gateway() >= 1, 60)
        self.file(1)
        self.say("Khuổi Mạ loses power in the middle of it: the only way to the commune is gone.")
        rig.stop(VILLAGE2, signal.SIGTERM)
        rig.air(f"node {VILLAGE2} off")
        self.file(2)
        self.file(3)
        self.wait("Nà Lẹng carries what it cannot pass on",
                  lambda: self.held_of_mai(VILLAGE1) >= 4, 60)
        self.say("Nà Lẹng's daemon is killed with -9 and started again.")
        rig.stop(VILLAGE1, signal.SIGKILL)
        self.file(4)
        rig.start_node(VILLAGE1)
        self.check(self.held_of_mai(VILLAGE1) >= 4, "nothing it had accepted was lost")
        self.check(self.at_gateway() < len(REPORTS), "the commune does not have all of it yet")
        states = {r["state"] for r in rig.mine(HANDHELD)}
        self.check("stored" in states or "carried" in states,
                   "keng status says so: not everything is received yet")
        self.say("Khuổi Mạ comes back.")
        rig.air(f"node {VILLAGE2} on")
        rig.start_node(VILLAGE2)

    def arrival(self):
        rig = self.rig
        self.wait("all five reports are at the commune's node",
                  lambda: self.at_gateway() == len(REPORTS), 90)
        wanted = {r["seq"] for r in self.filed}
        self.wait("the author's keng status: all five received by the commune",
                  lambda: self.states("received", "read") == wanted, 60)
        sent = {r["seq"]: r["hex"] for r in rig.mine(HANDHELD) if r["author"] == MEMBER}
        got = {r["seq"]: r["hex"] for r in rig.records(COMMUNE)
               if r["author"] == MEMBER and r["lane"] == 0}
        self.check(sent == got and len(got) == len(REPORTS),
                   "byte for byte what was signed at the handheld, each once")
        page = self.wait("the console shows the free text, verified",
                         lambda: self.page_with("Páo"), 20)
        self.check("Lý Thị Mai" in page, "with its author's name")
        self.say("The operator presses Seen at each of them on the console.")
        self.review()
        self.wait("the author's keng status: all five read by the commune",
                  lambda: self.states("read") == wanted, 60)
        self.say()
        print(rig.keng(HANDHELD, "status", "--lang", "vi").stdout)

    def province(self):
        rig = self.rig
        self.say("The line to the province returns: its keng-gateway can be reached (HTTPS, the "
                 "certificate is of the commune's own authority).")
        tls = rig.path("province-tls")
        rig.run("keng", "cert", "--dir", rig.desk, "--out", tls, "localhost", "127.0.0.1")
        rig.start("province", os.path.join(BIN, "keng-gateway"), "--db", rig.path("province.db"),
                  "--listen", f"127.0.0.1:{self.province_port}",
                  "--tls-cert", os.path.join(tls, "server.crt"),
                  "--tls-key", os.path.join(tls, "server.key"), "--as", rig.homes[PROVINCE])
        context = ssl.create_default_context(cafile=os.path.join(rig.desk, "tls", "ca.crt"))
        network = rig.ask(COMMUNE, {"do": "roster"})["commune"]["network_id"]
        self.wait("the outbox went up: the province's receiver holds all five",
                  lambda: self.receiver_holds(context, network) == len(REPORTS), 60)
        self.say("The same batch as a file, for the day when there is no line at all.")
        batch, table, csv = (rig.path(f) for f in ("cao-minh.keng", "table.db", "table.csv"))
        rig.run("keng-gateway", "export", "--home", rig.homes[COMMUNE], "--db",
                rig.path("commune.db"), "--out", batch)
        rig.run("keng-province", "--db", table, "trust", os.path.join(rig.desk, "commune.keng"))
        print(self.on_terminal("keng-province", "--db", table, "import", batch))
        report = ["--db", table, "report", "--villages",
                  os.path.join(ROOT, "seeds", "demo", "villages.csv")]
        told = json.loads(rig.run("keng-province", *report, "--json").stdout)
        totals = sorted((t["kind"], t["value"]) for t in told["totals"])
        self.check(totals == sorted(TOTALS) and {t["village_name"] for t in told["totals"]} ==
                   {"Lũng Cằm"}, "the province verified the file; its totals are what Mai said")
        self.check(not [m for m in told["missing"] if m["author"] == MEMBER] and
                   not told["forks"], "none of her numbers is missing, none is there twice")
        again = rig.run("keng-province", "--db", table, "import", batch)
        self.check(" 0 new" in again.stdout and told == json.loads(
            rig.run("keng-province", *report, "--json").stdout),
            "importing it twice changes nothing")
        print()
        print(rig.run("keng-province", *report, "--lang", "vi", "--csv", csv,
                      "--svg", CHART).stdout)
        with open(csv, encoding="utf-8-sig") as f:
            rows = f.read().splitlines()
        self.check(len(rows) > len(TOTALS), f"and as a CSV file of {len(rows)} lines")
        with open(CHART, encoding="utf-8") as f:
            curves = f.read().count("<path fill=")
        self.check(curves >= 3, f"the course of the night: {curves} curves in "
                   f"{os.path.relpath(CHART, ROOT)}")

    def on_terminal(self, program, *args):
        """What a person sees who types it: the bar, as it stood at the end, and the result."""
        ours, theirs = os.openpty()
        child = subprocess.Popen([os.path.join(BIN, program), *args], stdout=theirs, stderr=theirs)
        os.close(theirs)
        said = b""
        try:
            while piece := os.read(ours, 4096):
                said += piece
        except OSError:  # a terminal whose last writer left
            pass
        os.close(ours)
        if child.wait() != 0:
            raise Failure(said.decode())
        text = said.decode().replace("\r\n", "\n")
        self.check("100 %" in text, "with a bar on a terminal")
        return "\n".join(line.split("\r")[-1] for line in text.split("\n")).rstrip()

    # ---- looking -------------------------------------------------------------------------
    def held_of_mai(self, name):
        return len({r["seq"] for r in self.rig.records(name)
                    if r["author"] == MEMBER and r["lane"] == 0})

    def at_gateway(self):
        return self.held_of_mai(COMMUNE)

    def states(self, *wanted):
        """Numbers of Mai's reports whose furthest state is one of these, as keng tells it."""
        told = json.loads(self.rig.keng(HANDHELD, "status", "--json").stdout)
        return {r["seq"] for r in told["reports"] if r["state"] in wanted}

    def page(self, path, form=None):
        if not hasattr(self, "opener"):
            jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
            self.opener = urllib.request.build_opener(jar)
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(self.console + path, data, timeout=10) as answer:
            return answer.read().decode("utf-8")

    def page_with(self, word):
        page = self.page("/?lang=vi")
        return page if word in page else None

    def review(self):
        """Presses Seen at every report, as the operator's browser would."""
        page = self.page("/?lang=vi")
        forms = re.findall(r'<form method="post" action="/review">(.*?)</form>', page, re.S)
        for form in forms:
            inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', form)
            button = re.search(r'<button name="([^"]*)" value="([^"]*)"', form)
            self.page("/review", dict(inputs + [button.groups()]))
        if len(forms) != len(REPORTS):
            raise Failure(f"the console offers {len(forms)} reviews, not {len(REPORTS)}")

    def receiver_holds(self, context, network):
        """Up to which number the province's receiver holds Mai's log."""
        url = f"https://127.0.0.1:{self.province_port}/v1/have?network={network}"
        url += "&nonce=" + os.urandom(16).hex()
        with urllib.request.urlopen(url, timeout=10, context=context) as answer:
            have = json.load(answer)["have"]
        return {h["author"]: h["seq"] for h in have}.get(MEMBER, 0)

    def air(self):
        sent = self.rig.transmissions()
        for name in (HANDHELD, VILLAGE1, VILLAGE2, COMMUNE):
            mine = [t for t in sent if t["name"] == name]
            self.airtime_s[name] = sum(t["airtime_us"] for t in mine) / 1e6
            self.say(f"{name} sent {len(mine)} frames, {sum(t['len'] for t in mine)} bytes.")
        self.rig.stop_air()
        self.check(True, "no frame outside the law: band, power, each box's share of the hour")
        self.check(all(a["frame_len"] <= 110 for (k, *_), a in zip(REPORTS, self.filed)
                       if k != "note"), "every coded report took at most 110 bytes on air")

    def figures(self):
        """One a line, `name: value unit (goal)`; the goals were checked above."""
        for (kind, *_), answer in zip(REPORTS, self.filed):
            goal = "255 at most for text" if kind == "note" else "110 at most"
            print(f"on-air bytes of {kind} {MEMBER}-{answer['seq']}: {answer['frame_len']} bytes "
                  f"({goal})")
        for name, airtime_s in self.airtime_s.items():
            share_s = 360 if name == COMMUNE else 36
            print(f"airtime of {name}: {airtime_s:.1f} s ({share_s} at most in an hour)")
        good = sum(1 for good, _ in self.checks if good)
        print(f"time taken: {time.monotonic() - BEGAN:.0f} s (180 at most)")
        print(f"things seen: {good} things ({len(self.checks)})")


def main():
    def overtime(_signal, _frame):
        raise Overtime(f"not at the end after {LIMIT_S} s")

    signal.signal(signal.SIGALRM, overtime)
    signal.alarm(LIMIT_S)
    print(f"Kẻng demo: everything runs {SPEED} times faster than life.\n")
    try:
        with Rig(speed=SPEED) as rig:
            demo = Demo(rig)
            demo.commune()
            demo.storm()
            demo.arrival()
            demo.province()
            demo.air()
    except (Failure, Overtime, OSError, ValueError, KeyError,
            subprocess.SubprocessError) as error:
        print(f"\ndemo: FAILED after {time.monotonic() - BEGAN:.0f} s: "
              f"{type(error).__name__}: {error}")
        return 1
    bad = [text for good, text in demo.checks if not good]
    if bad:
        print("\nmissing: " + "; ".join(bad) + "\n")
    else:
        print("\nWhat to look at next: README.md, \"By hand\", does the same step by step; "
              "build/shots/ holds pictures of the console after `make test`.\n")
    demo.figures()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
