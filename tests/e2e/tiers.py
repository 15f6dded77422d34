"""tiers.py - village, commune and province one above the other, each judging for itself (TAP).

A village box on a cable pushes to its commune, which pushes to the province; beside it a second
village hears the commune by radio only.  Reports and a sign-off go up, and down come the commune's
acknowledgement, the province's directive and a new member, over the cable and through the mesh.
"""
import os
import re
import shutil
import signal
import socket
import sqlite3
import time
import urllib.parse
import urllib.request

from rig import BIN, Failure, Rig, free_port, tap_main, wait_for

COMMUNE, CABLE, FAR, PROVINCE = "commune", "cable", "far", "homes/01879"
SIGNOFF, DIRECTIVE = 21, 18


def title(name):
    """Of a gateway's process and log."""
    return "gateway of " + os.path.basename(name)


class Tiers:
    def __init__(self, rig):
        self.rig = rig
        self.ports = {name: free_port() for name in (PROVINCE, COMMUNE, CABLE)}
        rig.init()
        os.makedirs(rig.path("homes"))
        rig.enroll(PROVINCE, 60, "BCH PCTT tỉnh", "operator", 0)
        other = rig.path("other-desk")  # a second commune, of which nothing comes
        rig.run("keng", "init", "--name", "Xã Bộc Bố", "--code", "01880", "--dir", other)
        rig.run("keng", "enroll", "--dir", other, "--number", 60, "--name", "BCH PCTT tỉnh",
                "--role", "operator", "--out", rig.path("homes", "01880"))
        rig.enroll(COMMUNE, 1, "UBND xã", "gateway", 0)
        rig.enroll(CABLE, 11, "Trạm Nà Lẹng", "node", 1)
        rig.enroll(CABLE, 101, "Lý Thị Mai", "member", 1)
        rig.enroll(FAR, 12, "Trạm Khuổi Mạ", "node", 2)
        self.give_roster(PROVINCE, COMMUNE, CABLE, FAR)
        rig.start_air([COMMUNE, FAR])
        for name, number in ((COMMUNE, 1), (FAR, 12)):
            rig.write_conf(name, number, "gateway" if name == COMMUNE else "village")
        for name in (COMMUNE, CABLE, FAR):  # enroll wrote one without a modem for the cable
            rig.start_node(name)

    def give_roster(self, *names):
        for name in names:
            shutil.copy(os.path.join(self.rig.desk, "commune.keng"), self.rig.homes[name])

    def database(self, name):
        return self.rig.path(os.path.basename(name) + ".db")

    def gateway(self, name, *options):
        self.rig.start(title(name), os.path.join(BIN, "keng-gateway"), "--db",
                       self.database(name), "--push-interval-s", "0.5", "--listen",
                       f"127.0.0.1:{self.ports[name]}", *options)
        wait_for(f"{name}: the gateway listens", lambda: socket.create_connection(
            ("127.0.0.1", self.ports[name]), timeout=1).close() is None, 15)

    def start_commune(self):
        self.gateway(COMMUNE, "--home", self.rig.homes[COMMUNE],
                     "--push", f"http://127.0.0.1:{self.ports[PROVINCE]}")

    def start_province(self):
        self.gateway(PROVINCE, "--as", self.rig.path("homes"))

    def start_cable(self):
        self.gateway(CABLE, "--home", self.rig.homes[CABLE],
                     "--push", f"http://127.0.0.1:{self.ports[COMMUNE]}")

    def direct(self, text):
        return self.rig.run("keng-gateway", "direct", "--db", self.database(PROVINCE), "--as",
                            self.rig.path("homes"), "--commune", "01879", text).stdout

    def page(self, path, form=None):
        """A page of the province's console."""
        data = urllib.parse.urlencode(form).encode() if form else None
        url = f"http://127.0.0.1:{self.ports[PROVINCE]}{path}"
        with urllib.request.urlopen(url, data, timeout=10) as answer:
            return answer.read().decode()

    def direct_from_console(self, text):
        link = re.search(r'href="(/directives\?commune=\d+)[^>]*>Xã Cao Minh<',
                         self.page("/directives?lang=en"))
        page = self.page(link.group(1) + "&lang=en")
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"',
                               page[page.index('action="/directives"'):]))
        self.page("/directives", {**form, "text": text, "village": 0, "role": 0, "person": 0,
                                  "hours": 6, "priority": 2})

    def held(self, name):
        """(author, number, kind) of each of the commune's records in a gateway's ledger."""
        return self.query(name, "SELECT author, seq, kind FROM record JOIN commune c ON"
                          " c.id = record.commune WHERE c.name = 'Xã Cao Minh'")

    def query(self, name, sql):
        try:
            with sqlite3.connect(f"file:{self.database(name)}?mode=ro", uri=True,
                                 timeout=5) as db:
                return db.execute(sql).fetchall()
        except sqlite3.Error as error:
            raise Failure(f"{name}: {error}") from error

    def node_holds(self, name, author, seq):
        return any(r["author"] == author and r["seq"] == seq and r["lane"] == 0
                   for r in self.rig.records(name))


def reports_go_up(tap, rig, tiers):
    rig.keng(CABLE, "report", "rescue", "mac_ket=3", "--as", 101)
    wait_for("the province has it", lambda: (101, 1, 4) in tiers.held(PROVINCE), 20)
    tap.ok(True, "a call goes from the village over the commune to the province")
    wait_for("its author knows", lambda: rig.mine(CABLE)[0]["state"] == "received", 20)
    tap.ok(True, "and the commune's acknowledgement comes down the same cable")
    body = b"\x0a\x20" + bytes(range(1, 33)) + b"\x20\x88\x27"
    answer = rig.ask(COMMUNE, {"do": "submit", "kind": "signoff", "author": 1, "body": body.hex()})
    wait_for("the sign-off is at the province",
             lambda: (1, answer["seq"], SIGNOFF) in tiers.held(PROVINCE), 20)
    tap.ok(answer["ok"], "a signed quick report goes up", answer)


def directives_go_down(tap, rig, tiers):
    said = tiers.direct("Sơ tán thôn Khuổi Mạ trước 18 giờ")
    tap.ok(said.startswith("60-1:"), "the province writes a directive into its own log", said)
    for name in (CABLE, FAR):
        wait_for(f"{name} has the directive", lambda n=name: tiers.node_holds(n, 60, 1), 40)
    tap.ok(all("Sơ tán thôn Khuổi Mạ" in rig.keng(name, "inbox").stdout for name in (CABLE, FAR)),
           "it is read in the village at the cable and in the one that has only radio")
    rig.stop(title(PROVINCE), signal.SIGKILL)
    tiers.direct("Thủy điện xả lũ lúc 20 giờ")  # while nobody can ask
    tiers.start_province()
    tiers.direct_from_console("Ở yên trên cao đến sáng")
    wait_for("the next come, in whichever order",
             lambda: all(tiers.node_holds(FAR, 60, seq) for seq in (2, 3)), 40)
    tap.ok("Ở yên trên cao đến sáng" in rig.keng(FAR, "inbox").stdout,
           "the next come after the receiver was killed, one of them from its console")


def rosters_go_down(tap, rig, tiers):
    rig.enroll("spare", 103, "Triệu Văn Sơn", "member", 1)
    tiers.give_roster(COMMUNE)
    rig.stop(title(COMMUNE))
    tiers.start_commune()
    for name in (CABLE, FAR):
        wait_for(f"{name} knows the new member", lambda n=name: any(
            a["number"] == 103 for a in rig.ask(n, {"do": "roster"})["authors"]), 40)
    tap.ok(True, "a new member is known in both villages")


def nothing_goes_in_circles(tap, tiers):
    """Once all is even, no ledger grows, and none holds a record twice."""
    def all_held():
        return [sorted(r for r in tiers.held(n) if r[2] < 25) for n in tiers.ports]
    wait_for("all ledgers are even",
             lambda: all(held == all_held()[0] for held in all_held()), 30)
    before = all_held()
    time.sleep(3)
    tap.ok(all_held() == before and all(len(h) == len(set(h)) for h in before),
           "then all three ledgers hold the same, each record once", before)


def tiers_stand(tap):
    with Rig(speed=20) as rig:
        tiers = Tiers(rig)
        tiers.start_province()
        tiers.start_commune()
        tiers.start_cable()
        reports_go_up(tap, rig, tiers)
        directives_go_down(tap, rig, tiers)
        rosters_go_down(tap, rig, tiers)
        nothing_goes_in_circles(tap, tiers)


if __name__ == "__main__":
    tap_main(tiers_stand)
