"""crash.py - kill -9 at random moments of a four-node exchange; then every promise is counted.

A handheld, two villages and the gateway stand in a line.  At each of them reports are filed all
the time through `keng report`, while a random node is killed at a random moment and started again.
When it is over:

- every report that keng confirmed is at its author's node and at the gateway, once;
- no report, confirmed or not, was made into two records;
- no number of an author names two different records anywhere.

Prints its figures last, one a line, `name: value unit (goal)`; exit status 1 where one falls short.
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from rig import Failure, Rig, wait_for  # noqa: E402

# name, node number, role of kengd, reporting member
BOXES = [("handheld", 13, "village", 113), ("na-leng", 11, "village", 111),
         ("khuoi-ma", 12, "village", 112), ("commune", 1, "gateway", 101)]
GATEWAY = "commune"
SIG_LEN = 64


def body_of(record_hex):
    """The body of a record without an extension byte (PROTOCOL.md, "Record")."""
    raw = bytes.fromhex(record_hex)
    at = 2
    while raw[at] & 0x80:
        at += 1
    at += 1
    if raw[at] & 0x80:
        raise Failure("a record with an extension byte: teach body_of() about it")
    return raw[at + 4:len(raw) - SIG_LEN]


class Filer(threading.Thread):
    """A member who files one report after another, each with a number of its own in it."""

    def __init__(self, rig, box, member, first, chance):
        super().__init__(daemon=True)
        self.rig, self.box, self.member, self.value = rig, box, member, first
        self.chance = chance
        self.confirmed = {}  # seq -> value
        self.refused = []    # what keng said when it could not confirm
        self.error = None
        self.enough = threading.Event()

    def run(self):
        try:
            self.file_on()
        except (Failure, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            self.error = error

    def file_on(self):
        while not self.enough.wait(self.chance.uniform(0.05, 1.2)):
            self.value += 1
            done = self.rig.keng(self.box, "report", "damage", f"nha_sap={self.value}", "--as",
                                 self.member, "--json", check=False, timeout_s=90)
            if done.returncode == 0:
                answer = json.loads(done.stdout)
                self.confirmed[answer["seq"]] = self.value
            else:
                self.refused.append(done.stderr.strip())


def build(rig):
    # The fastest air of the band, so that the lawful share of airtime carries the whole run.
    rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "500")
    rig.enroll(GATEWAY, 1, "UBND xã", "gateway", 0)
    for name, number, role, member in BOXES:
        if role != "gateway":
            rig.enroll(name, number, f"Trạm {name}", "node", number - 10)
        rig.enroll(name, member, f"Trực {name}", "member", max(1, number - 10))
    for name in rig.homes:  # every box starts from the whole roster
        with open(os.path.join(rig.desk, "commune.keng"), "rb") as f:
            commune = f.read()
        with open(os.path.join(rig.homes[name], "commune.keng"), "wb") as f:
            f.write(commune)
    rig.start_air([name for name, *_ in BOXES])
    for name, number, role, _ in BOXES:
        rig.write_conf(name, number, role)
        rig.start_node(name)


def storm(rig, kills, chance):
    """Kills and restarts; how many kills struck a living daemon."""
    filers = [Filer(rig, name, member, 1000 * number, random.Random(chance.random()))
              for name, number, _, member in BOXES]
    for filer in filers:
        filer.start()
    struck = 0
    for i in range(kills):
        time.sleep(chance.uniform(0.0, 1.0))
        name = chance.choice(BOXES)[0]
        struck += rig.stop(name, signal.SIGKILL) == -signal.SIGKILL
        # Sometimes at once, sometimes with the others going on alone for a while.
        time.sleep(chance.choice([0.0, 0.0, chance.uniform(0.1, 2.0)]))
        # The next kill may come before it has answered anybody: that is a moment like any other.
        rig.start_node(name, wait=chance.random() < 0.5)
        if (i + 1) % 20 == 0:
            print(f"{i + 1} kills, {sum(len(f.confirmed) for f in filers)} reports confirmed",
                  flush=True)
    for filer in filers:
        filer.enough.set()
    for filer in filers:
        filer.join(120)
        if filer.is_alive():
            raise Failure(f"{filer.box}: keng report does not come back")
        if filer.error is not None:
            raise Failure(f"{filer.box}: {filer.error}")
    for name, *_ in BOXES:
        wait_for(f"{name}: kengd answers", lambda n=name: rig.status(n), 20)
    return filers, struck


def count(rig, filers, patience_s):
    confirmed = {(f.member, seq): value for f in filers for seq, value in f.confirmed.items()}

    def missing_at(name, wanted):
        held = {(r["author"], r["seq"]) for r in rig.records(name) if r["lane"] == 0}
        return [key for key in wanted if key not in held]

    try:
        wait_for("all confirmed reports at the gateway",
                 lambda: not missing_at(GATEWAY, confirmed), patience_s, every_s=1)
    except Failure:
        pass  # the count below says how many
    lost_gateway = missing_at(GATEWAY, confirmed)
    lost_home = [key for f in filers
                 for key in missing_at(f.box, [(f.member, seq) for seq in f.confirmed])]
    bytes_of, conflicts, doubled = {}, set(), 0
    members = {f.member for f in filers}
    for name, *_ in BOXES:
        seen = {}
        for record in rig.records(name):
            key = (record["author"], record["lane"], record["seq"])
            if bytes_of.setdefault(key, record["hex"]) != record["hex"]:
                conflicts.add(key)
            if record["author"] in members and record["lane"] == 0:
                text = (record["author"], body_of(record["hex"]))
                seen[text] = seen.get(text, 0) + 1
        doubled += sum(n - 1 for n in seen.values())
    return confirmed, lost_gateway, lost_home, conflicts, doubled


def trial(kills, seed, speed, patience_s):
    """The whole run; list of (name, value, unit, goal, good)."""
    chance = random.Random(seed)
    with Rig(speed=speed, seed=seed) as rig:
        build(rig)
        filers, struck = storm(rig, kills, chance)
        confirmed, lost_gateway, lost_home, conflicts, doubled = count(rig, filers, patience_s)
        for name, *_ in BOXES:
            rig.stop(name)
        rig.stop_air()
        unconfirmed = [text for f in filers for text in f.refused]
        for text in sorted(set(unconfirmed)):
            print(f"not confirmed {unconfirmed.count(text)} times: {text}")
        if lost_gateway:
            print("missing at the gateway:", sorted(lost_gateway)[:20])
        if lost_home:
            print("missing at their author's node:", sorted(lost_home)[:20])
    floor = kills  # filing must really have gone on all the time
    return [
        ("kills of a running daemon", struck, "kills", str(kills), struck == kills),
        ("reports confirmed to their author", len(confirmed), "reports", f"{floor} at least",
         len(confirmed) >= floor),
        ("filings not confirmed in time", len(unconfirmed), "reports", "reported only", True),
        ("confirmed but missing at the gateway", len(lost_gateway), "reports", "0",
         not lost_gateway),
        ("confirmed but missing at their author's node", len(lost_home), "reports", "0",
         not lost_home),
        ("reports doubled", doubled, "reports", "0", doubled == 0),
        ("numbers used for two records", len(conflicts), "numbers", "0", not conflicts),
    ]


def main():
    parser = argparse.ArgumentParser(description="kill -9 at random moments; nothing may be lost")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=20260921)
    parser.add_argument("--speed", type=int, default=40, help="times faster than the real air")
    options = parser.parse_args()
    print(f"{options.kills} kills, seed {options.seed}, {options.speed} times real time")
    try:
        figures = trial(options.kills, options.seed, options.speed, patience_s=240)
    except (Failure, OSError, subprocess.SubprocessError) as error:
        print(f"crash-demo: {error}", file=sys.stderr)
        return 1
    for name, value, unit, goal, _ in figures:
        print(f"{name}: {value} {unit} ({goal})")
    return 0 if all(good for *_, good in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
