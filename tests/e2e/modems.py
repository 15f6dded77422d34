#!/usr/bin/env python3
"""modems.py - `keng modem` over emulated boards: what is found, shown, measured and written."""
import json
import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import Rig, tap_main, wait_for  # noqa: E402

SPEED = 20
RANGE_KM = "6.5"


def commune(rig, **more):
    rig.init()
    rig.enroll("commune", 1, "UBND xã", "gateway", None)
    rig.enroll("village", 2, "Trạm Nà Lẹng", "node", 1)
    rig.start_air(["commune", "village"], **more)
    for name, number, role in (("commune", 1, "gateway"), ("village", 2, "village")):
        rig.write_conf(name, number, role)


def probes(tap):
    with Rig(speed=1) as rig:
        rig.start_air(["a", "b"], links=[], modems=[{"name": "a"}, {"name": "b", "modem": "rnode"}])
        done = rig.run("keng", "modem", "list")
        tap.ok(done.returncode == 0, "the ports of this machine are listed", done.stderr)
        done = rig.run("keng", "modem", "probe", rig.path("ports", "a"), check=False)
        tap.ok(done.returncode == 1 and "--ask" in done.stdout,
               "listening alone finds no silent board, and says how to ask", done.stdout)
        for name, driver in (("a", "meshcore-kiss"), ("b", "rnode")):
            found = json.loads(rig.run("keng", "modem", "probe", rig.path("ports", name), "--ask",
                                       "--json").stdout)
            tap.ok(found["driver"] == driver, f"asked, a {driver} answers", found)
        done = rig.run("keng", "modem", "probe", rig.path("ports", "a"), "--wires", "port: m0=dtr",
                       check=False)
        tap.ok(done.returncode == 1 and "m1" in done.stderr,
               "half of a module's wires are not enough to ask it", done.stderr)
        done = rig.run("keng", "modem", "probe", "/nowhere", check=False)
        tap.ok(done.returncode == 1 and "/nowhere" in done.stderr, "a port that is none is told",
               done.stderr)
        tap.ok(not rig.transmissions(), "and nothing was sent", rig.transmissions())


def set_up(tap):
    with Rig(speed=SPEED) as rig:
        commune(rig)
        conf = os.path.join(rig.homes["village"], "kengd.conf")
        with open(conf, "a", encoding="utf-8") as f:
            f.write("# ours\n")
        with open(conf, encoding="utf-8") as f:
            before = f.read()
        shown = rig.keng("village", "modem", "set-up", "--range", RANGE_KM)
        with open(conf, encoding="utf-8") as f:
            tap.ok(f.read() == before and "nothing was written" in shown.stdout,
                   "set-up shows before it writes", shown.stdout)
        near = json.loads(rig.keng("village", "modem", "set-up", "--range", "0.5", "--json").stdout)
        far = json.loads(rig.keng("village", "modem", "set-up", "--range", "12", "--json").stdout)
        tap.ok(near["airtime_us"] < far["airtime_us"] and far["spare_db"] >= 0,
               "what is farther takes longer", (near, far))
        loud = json.loads(rig.keng("village", "modem", "set-up", "--gain", "8", "--loss", "1",
                                   "--json").stdout)
        tap.ok(loud["power_dbm"] == 9 and loud["as_commune"],
               "a good antenna takes from the modem's power", loud)
        for what, options in (("too far", ["--range", "90", "--margin", "60"]),
                              ("no such modem", ["--driver", "abc"]),
                              ("a range that is none", ["--range", "0"]),
                              ("an option of another part", ["--ask"])):
            done = rig.keng("village", "modem", "set-up", *options, "--write", check=False)
            tap.ok(done.returncode in (1, 2) and done.stderr.count("\n") == 1,
                   f"{what}: refused in one line", done.stderr)
        with open(conf, encoding="utf-8") as f:
            tap.ok(f.read() == before, "and nothing was written by any of them")
        rig.keng("village", "modem", "set-up", "--range", "0.5", "--gain", "3", "--write")
        rig.keng("village", "modem", "set-up", "--range", "0.5", "--gain", "3", "--write")
        with open(conf, encoding="utf-8") as f:
            text = f.read()
        tap.ok("# ours" in text and text.count("antenna_gain_dbi") == 1 and
               f"sf = {near['sf']}" in text and 'modem = "' in text,
               "written once, beside what stood there", text)
        rig.start_node("village")
        modem = wait_for("the modem takes it", lambda: (m := rig.status("village")["modem"])
                         ["state"] == "ready" and m, 20)
        tap.ok(modem["settings"]["bw_hz"] == near["bw_hz"] and modem["verified"] and
               modem["settings"]["power_dbm"] == 13, "kengd sends by it, read back", modem)
        rig.stop("village")
        rig.stop_air()


def measured(tap):
    with Rig(speed=SPEED) as rig:
        commune(rig)
        for name in ("commune", "village"):
            rig.start_node(name)
        for name in ("commune", "village"):
            wait_for(f"{name}: modem", lambda n=name: rig.status(n)["modem"]["state"] == "ready",
                     20)
        spent_ms = rig.status("village")["airtime"]["spent_ms"]
        seen = {}

        def watch():
            seen["monitor"] = rig.keng("commune", "modem", "monitor", "--seconds", "8").stdout

        def test(name, other):
            seen[name] = rig.keng(name, "modem", "test", other, "--frames", 6, "--seconds", 40,
                                  "--json", check=False)

        threads = [threading.Thread(target=watch)] + [
            threading.Thread(target=test, args=pair) for pair in (("commune", 2), ("village", 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for name in ("commune", "village"):
            link = json.loads(seen[name].stdout or "{}")
            tap.ok(seen[name].returncode == 0 and link["heard"] >= 5 and link["missed"] <= 2 and
                   link["sent"] >= 6 and link["airtime_us"] > 0 and -120 < link["rssi_dbm"] < -80,
                   f"{name} measured the link", (link, seen[name].stderr))
        lines = seen["monitor"].splitlines()
        tap.ok(len([t for t in lines if "<-" in t and "#2." in t and "dBm" in t]) >= 5 and
               any("->" in t and "#1." in t for t in lines), "each frame is a line of the monitor",
               seen["monitor"])
        status = rig.status("village")
        sent_ms = json.loads(seen["village"].stdout)["sent_airtime_us"] / 1000
        tap.ok(status["airtime"]["spent_ms"] - spent_ms >= sent_ms - 1,
               "the test's frames are in the ledger", (spent_ms, sent_ms, status["airtime"]))
        shown = rig.keng("village", "modem", "show").stdout
        tap.ok("read back, as written" in shown and "921.5 MHz" in shown and "sent=" in shown,
               "show tells settings and counters", shown)
        done = rig.keng("village", "modem", "test", 9, "--frames", 1, "--seconds", 2, check=False)
        tap.ok(done.returncode == 1 and "nothing was heard of node 9" in done.stderr,
               "a node that is not there is told", done.stderr)
        for name in ("commune", "village"):
            rig.stop(name)
        rig.stop_air()


if __name__ == "__main__":
    tap_main(probes, set_up, measured)
