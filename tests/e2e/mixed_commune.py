"""mixed_commune.py - twelve boxes with every driver there is, through real daemons (TAP).

Two halves whose radios cannot hear each other, plain LoRa and RNode on another channel, are joined
by one box on the pass with a modem of each.  Behind them hang the closed families, each a pair of
boxes, so that most boxes have two modems and the way from end to end is eight hops of eight
kinds.  Reports written everywhere arrive everywhere, nothing unlawful is on the air, and no box
sends a record back to where it came from.  --reports N, --speed X, --limit-s S."""
import argparse
import json
import os
import shutil
import socket
import threading
import time

from rig import BOARDS, WIRED, Rig, drivers, tap_main, wait_for

EBYTE_FAST = {"ebyte-e22": " rate=9600", "ebyte-e220": " rate=9600", "ebyte-e32": " rate=9600"}
RNODE_HZ = 922300000
E220_HZ = 922125000
MESHTASTIC_HZ = 920500000
SETTLE_S = 60

# Box by box, from the commune outward; the first three hear each other, all further families are a
# pair of neighbours.
BOXES = {
    "commune": ["meshcore-kiss", "meshtastic"],
    "market": ["meshtastic"],
    "ford": ["rak3172", "ebyte-e22"],
    "pass": ["wio-e5", "rnode"],
    "mill": ["ebyte-e22", "rylr998"],
    "school": ["rylr998", "ebyte-e220"],
    "spring": ["ebyte-e220", "kiss-tnc"],
    "island": ["kiss-tnc"],
    "ridge": ["rnode", "ebyte-e32"],
    "cave": ["ebyte-e32", "rylr896"],
    "bend": ["rylr896", "rylr498"],
    "field": ["rylr498"],
}
PLAIN = ("meshcore-kiss", "rak3172", "wio-e5")
NODE_FIRST, MEMBER_FIRST = 11, 101


def family(driver):
    return "plain" if driver in PLAIN else driver


def port(box, driver):
    return f"{box}.{driver}"


class Watch(threading.Thread):
    """What a box hears and sends, and what of it goes back where it came from."""

    def __init__(self, path, pairs):
        super().__init__(daemon=True)
        self.pairs = pairs       # its modems with one neighbour, by name
        self.heard, self.sent = {}, {}
        self.echoes = []
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.socket.sendall(b'{"do":"monitor"}\n')

    def run(self):
        try:
            for line in self.socket.makefile(encoding="utf-8"):
                frame = json.loads(line).get("frame")
                if frame:
                    self.take(frame)
        except OSError:
            return

    def take(self, frame):
        modem = frame["modem"]
        refs = {tuple(ref) for ref in frame.get("refs", [])}
        heard = self.heard.setdefault(modem, set())
        if frame["direction"] == "heard":
            heard |= refs
            return
        self.sent.setdefault(modem, set()).update(refs)
        if modem in self.pairs:
            self.echoes += [(modem, ref) for ref in refs & heard]


class Commune:
    def __init__(self, rig):
        self.rig = rig
        self.member = {box: MEMBER_FIRST + i for i, box in enumerate(BOXES)}
        self.node = {box: NODE_FIRST + i for i, box in enumerate(BOXES)}

    def enroll(self):
        self.rig.init()
        for box in BOXES:
            role = "gateway" if box == "commune" else "node"
            self.rig.enroll(box, self.node[box], box, role, 0 if role == "gateway" else 1)
            self.rig.enroll(box, self.member[box], f"Người {box}", "member", 1)
        for box in BOXES:
            shutil.copy(os.path.join(self.rig.desk, "commune.keng"), self.rig.homes[box])

    def start_air(self):
        models = {port(box, d): d for box, has in BOXES.items() for d in has}
        names = list(models)
        near = {"plain", "rnode"}
        links = [(a, b) for i, a in enumerate(names) for b in names[i + 1:]
                 if family(models[a]) == family(models[b]) or
                 {family(models[a]), family(models[b])} == near]
        self.rig.start_air(names, links=links, models=models,
                           gateways=[port("commune", d) for d in BOXES["commune"]])

    def write_conf(self, box):
        own = {"rnode": {"freq_hz": RNODE_HZ}, "ebyte-e220": {"freq_hz": E220_HZ},
               "meshtastic": {"freq_hz": MESHTASTIC_HZ}}
        with open(os.path.join(self.rig.homes[box], "kengd.conf"), "w", encoding="utf-8") as f:
            f.write(f'node = {self.node[box]}\n'
                    f'role = "{"gateway" if box == "commune" else "village"}"\n')
            for driver in BOXES[box]:
                keys = {"modem": self.rig.path("ports", port(box, driver)), "driver": driver,
                        **BOARDS[driver], **own.get(driver, {})}
                if driver in EBYTE_FAST:
                    keys["options"] += EBYTE_FAST[driver]
                if driver in WIRED:
                    keys["lines"] = "socket:" + self.rig.path("ports",
                                                              port(box, driver) + ".lines")
                f.write(f"radio {driver} {{\n")
                f.writelines(f"    {key} = {json.dumps(value)}\n" for key, value in keys.items())
                f.write("}\n")

    def start(self):
        for box in BOXES:
            self.write_conf(box)
            self.rig.start_node(box)
        for box in BOXES:
            wait_for(f"{box}: all modems are ready", lambda b=box: all(
                m["state"] == "ready" for m in self.rig.status(b)["modems"]), 60)

    def watch(self):
        watches = {}
        for box, has in BOXES.items():
            pairs = {driver for driver in has if driver not in PLAIN}
            watches[box] = Watch(self.rig.socket(box), pairs)
            watches[box].start()
        return watches


def uncharged(rig):
    """What was on the air and in no ledger.  Frames that have ended are charged soon after; what a
    Meshtastic board says on its own account, nobody can.  An Ebyte module whose wires this machine
    moved too late sends an order as data: that is told here, and judged on virtual time."""
    on_air = {}
    for t in rig.transmissions():
        on_air[t["name"]] = on_air.get(t["name"], 0) + t["airtime_us"]
    time.sleep(SETTLE_S / ARGS.speed)
    charged = {port(box, m["name"]): m["sent"]["airtime_us"]
               for box in BOXES for m in rig.status(box)["modems"]}
    short = {name: (charged[name], us) for name, us in on_air.items()
             if us > charged[name] and not name.endswith(".meshtastic")}
    wired = {name: short.pop(name) for name in list(short) if name.split(".")[1] in WIRED}
    return short, wired


def mixed(tap):
    with Rig(speed=ARGS.speed) as rig:
        commune = Commune(rig)
        commune.enroll()
        commune.start_air()
        commune.start()
        used = {driver for has in BOXES.values() for driver in has}
        tap.ok(used == set(drivers()), f"all {len(used)} drivers are ready in {len(BOXES)} boxes",
               set(drivers()) ^ used)
        watches = commune.watch()
        want = set()
        boxes = sorted(BOXES, key=lambda box: len(BOXES[box]))  # the ends of the ways first
        for i in range(ARGS.reports):
            box = boxes[i % len(boxes)]
            what = ["note", "--text", f"tin {i}"] if i >= len(boxes) else ["rescue", "mac_ket=1"]
            done = json.loads(rig.keng(box, "report", *what, "--as", commune.member[box],
                                       "--json").stdout)
            want.add((done["author"], done["lane"], done["seq"]))

        def lacking():
            return {box: len(some) for box in boxes if (some := want - {
                (r["author"], r["lane"], r["seq"]) for r in rig.records(box)})}

        try:
            wait_for("every box has every report", lambda: not lacking(), ARGS.limit_s, 0.3)
        finally:
            tap.ok(not lacking(), f"{ARGS.reports} reports are everywhere", lacking())
        for watch in watches.values():
            watch.socket.shutdown(socket.SHUT_RDWR)
            watch.join()
        echoes = {box: watch.echoes for box, watch in watches.items() if watch.echoes}
        deaf = [port(box, d) for box, has in BOXES.items() for d in has
                if not watches[box].heard.get(d)]
        tap.ok(not deaf, "every modem heard records", deaf)
        tap.ok(not echoes, "no record went back where it came from", echoes)
        passed = [len(watches["pass"].sent.get(side, ())) for side in ("wio-e5", "rnode")]
        tap.ok(min(passed) > 0, "the box on the pass spoke to both sides", passed)
        short, wired = uncharged(rig)
        tap.ok(not short, "each modem is charged with all that it had on the air", short)
        if wired:
            tap.note(f"orders that were sent as data: {wired}")
        sent = rig.transmissions()
        tap.note(f"{len(sent)} frames, {max(t['t_us'] for t in sent) / 6e7:.1f} minutes")
        for box in boxes:
            rig.stop(box)
        rig.stop_air()
        tap.ok(True, "every frame was lawful")


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=int, default=4)
    parser.add_argument("--speed", type=int, default=60)
    parser.add_argument("--limit-s", type=float, default=120)
    return parser.parse_args()


if __name__ == "__main__":
    ARGS = parse()
    tap_main(mixed)
