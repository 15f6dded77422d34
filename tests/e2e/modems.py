#!/usr/bin/env python3
"""modems.py - `keng modem` over emulated boards: what is found, shown, measured and written."""
import json
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import BIN, WIRED, Rig, drivers, tap_main, wait_for  # noqa: E402

SPEED = 20
ANSWERING = {"ebyte-e22", "ebyte-e220", "ebyte-e32", "meshcore-kiss", "meshtastic",
             "rak3172", "rnode", "rylr498", "rylr896", "rylr998", "wio-e5"}
RANGE_KM = "6.5"
FAR_HZ = 922300000
REPORTS = 5


def commune(rig, **more):
    rig.init()
    rig.enroll("commune", 1, "UBND xã", "gateway", None)
    rig.enroll("village", 2, "Trạm Nà Lẹng", "node", 1)
    rig.start_air(["commune", "village"], **more)
    for name, number, role in (("commune", 1, "gateway"), ("village", 2, "village")):
        rig.write_conf(name, number, role)


def probes(tap):
    """All at once: what each of them says to who only listens, and to who asks."""
    with Rig(speed=1) as rig:
        names = drivers()
        rig.start_air(names, links=[], models={name: name for name in names})

        def probe(name, *how):
            return rig.run("keng", "modem", "probe", rig.path("ports", name), *how, check=False)

        def listen(name):
            return json.loads(probe(name, "--json").stdout)["driver"]

        def ask(name):
            lines = rig.path("ports", name + ".lines")
            how = ["--wires", "socket:" + lines] if name in WIRED else ["--ask"]
            return json.loads(probe(name, *how, "--json").stdout)["driver"]

        with ThreadPoolExecutor(len(names)) as pool:
            listened = dict(zip(names, pool.map(listen, names)))
            asked = dict(zip(names, pool.map(ask, names)))
        tap.ok(all(driver in ("", name) for name, driver in listened.items()),
               "listening alone names no board wrongly", listened)
        for name, driver in asked.items():
            tap.ok(driver == name or (driver == "" and name not in ANSWERING),
                   f"{name}, asked, is named rightly or not at all", driver)
        done = probe("ebyte-e22")
        tap.ok(done.returncode == 1 and "--ask" in done.stdout and "--wires" in done.stdout,
               "who cannot tell says how to ask", done.stdout)
        tap.ok(not rig.transmissions(), "and none of them has sent anything", rig.transmissions())
        done = rig.run("keng", "modem", "list")
        tap.ok(done.returncode == 0, "the ports of this machine are listed", done.stderr)
        done = probe("rnode", "--wires", "port: m0=dtr")
        tap.ok(done.returncode == 1 and "m1" in done.stderr,
               "half of a module's wires are not enough to ask it", done.stderr)
        done = rig.run("keng", "modem", "probe", "/nowhere", check=False)
        tap.ok(done.returncode == 1 and "/nowhere" in done.stderr, "a port that is none is told",
               done.stderr)
        rig.stop_air()


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


def sections(tap):
    """Of several modems one is set up, by its name; the others stay as they were typed."""
    with Rig(speed=SPEED) as rig:
        commune(rig)
        conf = os.path.join(rig.homes["village"], "kengd.conf")
        text = ('node = 2 # ours\n\nradio near {   # to the school\n    modem = "/dev/a"\n'
                '\tfreq_hz = 921300000 # kept\n}\nradio "far" {\n    modem = "/dev/b"\n'
                '    driver = "rnode"\n    cable_loss_db = 1\n}\nrecord_count_max = 2000\n')
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        for what, names in (("no name", []), ("a name that is none", ["x"])):
            done = rig.keng("village", "modem", "set-up", *names, "--write", check=False)
            tap.ok(done.returncode == 2 and done.stderr.endswith("one of: near far\n"),
                   f"several modems, {what}: refused", done.stderr)
        rig.keng("village", "modem", "set-up", "far", "--port", "/dev/c", "--loss", 2, "--write")
        with open(conf, encoding="utf-8") as f:
            now = f.read()
        want = text.replace('    modem = "/dev/b"\n', "").replace(
            "    cable_loss_db = 1\n", '    modem = "/dev/c"\n    cable_loss_db = 2\n')
        tap.ok(now == want, "the one that is named is set up, all else stays as typed", now)
        shown = rig.keng("village", "modem", "set-up", "near", "--gain", 5).stdout
        tap.ok("radio near {\n    antenna_gain_dbi = 5\n" in shown and "921.3 MHz" in shown,
               "and shown with its section", shown)
        with open(conf, "w", encoding="utf-8") as f:
            f.write('node = 2\nradio a { modem = "/dev/a" sf = 9 }\n')
        done = rig.keng("village", "modem", "set-up", "--gain", 5, "--write", check=False)
        with open(conf, encoding="utf-8") as f:
            tap.ok(done.returncode == 1 and "by hand" in done.stderr and "gain" not in f.read(),
                   "what cannot be changed surely is left alone", done.stderr)
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
        signed_anew(tap, rig)
        for name in ("commune", "village"):
            rig.stop(name)
        rig.stop_air()


def signed_anew(tap, rig):
    """Another profile, fed to one node, reaches the other over the air and holds at the next start,
    although the files in their homes are the old ones."""
    def ready(name, sf):
        modem = rig.status(name)["modem"]
        return modem["state"] == "ready" and modem["settings"]["sf"] == sf and modem["verified"]

    rig.run("keng", "profile", "--dir", rig.desk, "--sf", 7, "--eirp", 12)
    rig.keng("commune", "import", os.path.join(rig.desk, "commune.keng"))
    wait_for("the village has it", lambda: "profile changed: restart kengd" in
             rig.status("village")["modem"]["text"], 60)
    tap.ok(ready("village", 9), "a profile signed anew comes over the air and waits for a restart")
    done = rig.keng("village", "modem", "set-up", check=False)
    tap.ok(done.returncode == 1 and "newer profile" in done.stderr,
           "set-up does not choose by the old one", done.stderr)
    for name in ("village", "commune"):
        rig.stop(name)
        rig.start_node(name)
    for name in ("village", "commune"):
        wait_for(f"{name}: sends by it", lambda n=name: ready(n, 7), 20)
    modem = rig.status("village")["modem"]
    tap.ok(modem["text"] == "" and modem["settings"]["power_dbm"] == 10,
           "started again, both send by it", modem)
    rig.keng("village", "report", "rescue", "mac_ket=1")
    wait_for("a report gets through", lambda: rig.mine("village")[0]["state"] == "received", 60)
    tap.ok(True, "and hear each other")


def bridge_conf(rig, order=("near", "far")):
    """A box between two families that can't hear each other, on two channels."""
    radios = {"near": ("near", "meshcore-kiss", 0), "far": ("far", "rnode", FAR_HZ)}
    with open(os.path.join(rig.homes["bridge"], "kengd.conf"), "w", encoding="utf-8") as f:
        f.write('node = 3\n')
        for name in order:
            port, driver, freq_hz = radios[name]
            f.write(f'radio {name} {{\n    modem = "{rig.path("ports", port)}"\n'
                    f'    driver = "{driver}"\n    freq_hz = {freq_hz}\n}}\n')


def bridged(tap):
    with Rig(speed=SPEED) as rig:
        rig.init()
        rig.enroll("commune", 1, "UBND xã", "gateway", None)
        rig.enroll("bridge", 3, "Trạm trên đèo", "node", 1)
        rig.enroll("village", 2, "Trạm Nà Lẹng", "node", 1)
        rig.enroll("village", 101, "Lý Thị Mai", "member", 1)
        boards = [{"name": "commune", "duty_fraction": 0.1}, {"name": "near"},
                  {"name": "far", "modem": "rnode"}, {"name": "village", "modem": "rnode"}]
        rig.start_air([board["name"] for board in boards], modems=boards,
                      links=[("commune", "near"), ("far", "village"), ("near", "far")])
        rig.write_conf("commune", 1, "gateway")
        bridge_conf(rig)
        with open(os.path.join(rig.homes["village"], "kengd.conf"), "w", encoding="utf-8") as f:
            f.write(f'node = 2\nmodem = "{rig.path("ports", "village")}"\ndriver = "rnode"\n'
                    f'freq_hz = {FAR_HZ}\n')
        for name in ("commune", "bridge", "village"):
            rig.start_node(name)
        modems = wait_for("both modems of the bridge", lambda: (m := rig.status("bridge")["modems"])
                          and all(x["state"] == "ready" for x in m) and m, 30)
        tap.ok([m["name"] for m in modems] == ["near", "far"] and
               modems[1]["settings"]["freq_hz"] == FAR_HZ, "a box drives two modems", modems)
        rig.start("monitor", os.path.join(BIN, "keng"), "--home", rig.homes["bridge"], "modem",
                  "monitor", "--json")
        for figure in range(1, REPORTS + 1):
            rig.keng("village", "report", "damage", f"nha_sap={figure}")
        wait_for("the reports cross the bridge, and the commune's word comes back",
                 lambda: sum(m["state"] == "received" for m in rig.mine("village")) == REPORTS, 120)
        tap.ok(True, f"{REPORTS} reports cross it, and the acknowledgement comes back")
        rig.keng("village", "report", "rescue", "mac_ket=3")
        wait_for("a rescue report too",
                 lambda: all(m["state"] == "received" for m in rig.mine("village")), 120)
        held = {name: rig.status(name)["digest"] for name in ("commune", "bridge", "village")}
        wait_for("all three hold the same", lambda: len({rig.status(n)["digest"] for n in held})
                 == 1, 120)
        tap.ok(True, "all three hold the same, down to the digest")
        rig.stop("monitor")
        with open(rig.logs["monitor"], encoding="utf-8") as f:
            sent = [frame for line in f if (frame := json.loads(line))["direction"] == "sent"]
        sides = {side: {tuple(ref) for frame in sent if frame["modem"] == side
                        for ref in frame.get("refs", []) if ref[0] in (2, 101)}
                 for side in ("near", "far")}
        tap.ok(len(sides["near"]) > REPORTS and not sides["far"],
               "what came from the village does not go back to it", sides)
        spent = {m["name"]: m["airtime"]["spent_ms"] for m in rig.status("bridge")["modems"]}
        tap.ok(spent["near"] > 0 and spent["far"] > 0 and spent["near"] != spent["far"],
               "each modem has a ledger of its own", spent)
        for stop, order in ((None, ("near", "far")), (None, ("far", "near"))):
            rig.stop("bridge")
            bridge_conf(rig, order)
            rig.start_node("bridge")
            after = {m["name"]: m["airtime"]["spent_ms"] for m in rig.status("bridge")["modems"]}
            tap.ok(all(after[name] >= spent[name] for name in spent) and
                   all(after[name] < spent[name] + 4000 for name in spent),
                   f"and keeps it over a restart, {order[0]} first", (spent, after))
        shown = rig.keng("bridge", "modem", "show").stdout
        tap.ok("near: " in shown and "far: " in shown, "show tells both", shown)
        for name in ("commune", "bridge", "village"):
            rig.stop(name)
        rig.stop_air()


if __name__ == "__main__":
    tap_main(probes, set_up, sections, measured, bridged)
