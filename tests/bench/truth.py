"""truth.py - does the simulator tell the truth?  Eight real daemons in a line over keng-air beside
keng-sim: the same reports at the same times on the same air.

Usage: truth.py KENG_SIM [--hours H] [--speed N] [--seed S] [--runs R].  Without options it
writes tests/bench/truth.txt.  Prints `name: value unit (goal)` lines last; exit status 1 where one
is missed.

line8 is altered for both sides: the MeshCore modem chooses its own preamble, and with fewer hours
the reports end after half of them, so that the rest can heal.  Means are compared, of SIM_SEEDS
seeds and of several runs of the daemons side by side: on either side one run may differ by a fifth
from the next, since the gateway's gap between acknowledgements settles at its shortest or at its
longest, by chance, and a median of few falls on the one or the other.  Stores lie in memory:
at this speed the milliseconds of a disk's fsync would be seconds of the radio's time.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from rig import BIN, ROOT, Failure, Rig, wait_for  # noqa: E402

SIM_SEEDS = 40
SHARE = 0.10            # how far the two sides may be from each other
LATE_S = 1.0            # p99 of this machine's lateness in the radio's time; more proves nothing
LAW_EIRP_DBM = 16.15    # 14 dBm ERP
ANTENNA_DBI = 2         # what kengd assumes: the modem's power is the profile's EIRP less this
SENSE_SYMBOLS = 5       # as in the simulator: younger frames escape carrier sense
WORK = 1                # the simulator's stream of reports
KINDS = {"routine": "note", "damage": "damage", "evacuation": "evacuation", "rescue": "rescue"}
MASK = (1 << 64) - 1


# ---- the reports that the scenario draws --------------------------------------------------------

def mix(x):
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9 & MASK
    x = (x ^ x >> 27) * 0x94d049bb133111eb & MASK
    return x ^ x >> 31


class Chance:
    """The simulator's stream of that name (tests/sim/chance.h); check_reports() sees to it."""

    def __init__(self, seed, purpose, index):
        self.state = mix(mix(seed + 1) ^ purpose << 32 ^ index)

    def next(self):
        self.state = self.state + 0x9e3779b97f4a7c15 & MASK
        return mix(self.state)

    def unit(self):
        return ((self.next() >> 11) + 0.5) / (1 << 53)


def draw_reports(scenario, seed):
    work, found = scenario["workload"], []
    low, high = work["body_bytes"]
    for node in range(len(scenario["nodes"])):
        chance, at_s = Chance(seed, WORK, node), work["from_s"]
        while True:
            at_s += -3600.0 / work["per_node_per_hour"] * math.log(chance.unit())
            at_us = math.floor(at_s * 1e6 + 0.5)
            if at_us >= work["to_s"] * 1000000:
                break
            at, priority = chance.unit(), None
            for word in ("rescue", "evacuation", "damage", "routine"):
                priority = word
                if at < work["mix"][word]:
                    break
                at -= work["mix"][word]
            found.append({"t_s": at_us / 1e6, "node": node, "priority": priority,
                          "body_bytes": low + chance.next() % (high - low + 1)})
    return sorted(found, key=lambda r: (r["t_s"], r["node"]))


def preamble_symbols(sf):
    return 16 if sf > 8 else 32  # the firmware's choice, hw/kiss_hw.h


def make_scenarios(seed, hours):
    """line8 with the modem's preamble: as the simulator draws it, and with its reports listed."""
    with open(os.path.join(ROOT, "seeds", "scenarios", "line8.json"), encoding="utf-8") as f:
        drawn = json.load(f)
    drawn["radio"]["preamble_symbols"] = preamble_symbols(drawn["radio"]["sf"])
    drawn["duration_s"] = round(hours * 3600)
    drawn["workload"]["to_s"] = min(drawn["workload"]["to_s"], round(hours * 1800))
    spelt = {k: v for k, v in drawn.items() if k != "workload"}
    spelt["reports"] = draw_reports(drawn, seed)
    return drawn, spelt


# ---- the simulator's side -----------------------------------------------------------------------

def simulate(program, scenario, seed, folder):
    path = os.path.join(folder, "scenario.json")
    with open(path, "w", encoding="utf-8") as f:
        json.dump(scenario, f)
    done = subprocess.run([program, "--json", "--seed", str(seed), path], stdout=subprocess.PIPE,
                          check=False)
    if done.returncode != 0:
        raise Failure(f"keng-sim: exit status {done.returncode} for seed {seed}")
    return json.loads(done.stdout)


def sim_figures(r):
    return {"gateway_delivery": r["gateway_delivery"], "all_delivery": r["all_delivery"],
            "author_knows": r["author_knows"], "frames": r["frames"],
            "bytes_on_air": r["bytes_on_air"], "airtime_s": r["airtime_s"],
            "latency_p50_s": r["latency_gateway_s"]["any"]["p50"], "collided": r["collided"]}


def check_reports(program, drawn, spelt, seed, folder):
    """The list filed at the daemons is the simulator's own only if it changes nothing there."""
    ours, theirs = (simulate(program, s, seed, folder)["digest"] for s in (spelt, drawn))
    if ours != theirs:
        raise Failure("the reports drawn here are not those that keng-sim draws")


# ---- the daemons' side --------------------------------------------------------------------------

def name_of(node):
    return f"n{node}"


def gateway_of(scenario):
    return next(i for i, n in enumerate(scenario["nodes"]) if n["kind"] == "gateway")


def varint(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def body_of(length, salt):
    """A valid report of exactly so many bytes: figures whose values are as long as is wanted."""
    left = length - 4  # two tags and their lengths
    count = (left + 4) // 5
    sizes = [left // count - 1 + (i < left % count) for i in range(count)]
    values = b"".join(varint((1 << 7 * (size - 1)) * (1 + (salt + i) % 100) if size > 1
                             else (salt + i) % 100) for i, size in enumerate(sizes))
    body = (b"\x1a" + varint(count) + bytes(range(1, count + 1)) +
            b"\x22" + varint(len(values)) + values)
    if len(body) != length:
        raise Failure(f"a body of {len(body)} bytes instead of {length}")
    return body


def air_config(scenario):
    radio, duty = scenario["radio"], scenario["duty"]
    symbol_ms = 1000.0 * (1 << radio["sf"]) / radio["bw_hz"]
    modems = [{"name": name_of(i), "x_m": n["x_m"], "y_m": n["y_m"], "antenna_dbi": ANTENNA_DBI,
               "duty_fraction": duty["gateway_fraction" if n["kind"] == "gateway"
                                     else "node_fraction"]}
              for i, n in enumerate(scenario["nodes"])]
    return {"modems": modems, "propagation": scenario["propagation"],
            "sensitivity_dbm": scenario["sensitivity_dbm"], "capture_db": scenario["capture_db"],
            "cca": {**scenario["cca"], "blind_ms": SENSE_SYMBOLS * symbol_ms},
            "law": {"freq_lo_hz": 920000000, "freq_hi_hz": 923000000, "eirp_max_dbm": LAW_EIRP_DBM,
                    "duty_fraction": duty["node_fraction"], "duty_window_s": duty["window_s"]}}


def enroll_all(rig, scenario):
    radio = scenario["radio"]
    rig.init("Xã Cao Minh", "01879", "--freq", radio["freq_hz"] / 1e6,
             "--bw", radio["bw_hz"] / 1e3, "--sf", radio["sf"], "--cr", radio["cr"],
             "--eirp", radio["tx_eirp_dbm"])
    for i, node in enumerate(scenario["nodes"]):
        gateway = node["kind"] == "gateway"
        rig.enroll(name_of(i), i + 1, f"Trạm {i + 1}", "gateway" if gateway else "node", i)
        rig.write_conf(name_of(i), i + 1, "gateway" if gateway else "village")
    # The simulator's nodes know each other from the start.
    with open(os.path.join(rig.desk, "commune.keng"), "rb") as f:
        commune = f.read()
    for home in rig.homes.values():
        with open(os.path.join(home, "commune.keng"), "wb") as f:
            f.write(commune)


def prepare(rig, scenario):
    """A first start without any radio, so that the roster and the gateway's acknowledgement of it
    are in every store: news there would keep a node from introducing itself, and the simulator's
    nodes have none when they begin."""
    names = [name_of(i) for i in range(len(scenario["nodes"]))]
    gateway = gateway_of(scenario)
    for name in names:
        rig.start_node(name, wait=False)
    for name in names:
        wait_for(f"{name}: kengd answers", lambda n=name: rig.status(n), 20)
    acks = wait_for("the gateway acknowledges the roster",
                    lambda: [r["hex"] for r in rig.records(names[gateway]) if r["lane"] != 0], 20)
    for i, name in enumerate(names):
        if i != gateway:
            verdicts = rig.ask(name, {"do": "add", "records": acks})["verdicts"]
            if set(verdicts) != {"new"}:
                raise Failure(f"{name}: the acknowledgement of the roster: {verdicts}")
    for name in names:
        if rig.stop(name) != 0:
            raise Failure(f"{name}: kengd did not end well")


def start_all(rig, scenario):
    enroll_all(rig, scenario)
    prepare(rig, scenario)
    with open(rig.path("air.json"), "w", encoding="utf-8") as f:
        json.dump(air_config(scenario), f)
    os.makedirs(rig.path("ports"))
    rig.start("air", os.path.join(BIN, "keng-air"), "--config", rig.path("air.json"), "--speed",
              rig.speed, "--dir", rig.path("ports"), "--seed", rig.seed, "--log",
              rig.path("air.jsonl"))
    wait_for("keng-air opens its ports", lambda: "ready" in rig.log_tail("air"), 10)
    names = [name_of(i) for i in range(len(scenario["nodes"]))]
    for name in names:
        rig.start_node(name, wait=False)
    for name in names:
        wait_for(f"{name}: its modem is ready",
                 lambda n=name: rig.status(n)["modem"]["state"] == "ready", 20, every_s=0.02)


class Lateness(threading.Thread):
    """How late this machine wakes who asked to be woken: what the daemons suffer too."""

    def __init__(self):
        super().__init__(daemon=True)
        self.late_s, self.ended = [], threading.Event()

    def run(self):
        while not self.ended.is_set():
            due = time.monotonic() + 0.02
            time.sleep(0.02)
            self.late_s.append(time.monotonic() - due)

    def p99_s(self):
        self.ended.set()
        self.join()
        return sorted(self.late_s)[len(self.late_s) * 99 // 100]


def file_reports(rig, scenario):
    """All reports at their times, then silence to the end; {(author, seq): report}."""
    began, filed = time.monotonic(), {}
    for salt, r in enumerate(scenario["reports"]):
        time.sleep(max(0.0, began + r["t_s"] / rig.speed - time.monotonic()))
        answer = rig.ask(name_of(r["node"]),
                         {"do": "submit", "author": r["node"] + 1, "kind": KINDS[r["priority"]],
                          "priority": r["priority"], "body": body_of(r["body_bytes"], salt).hex()})
        if not answer["ok"]:
            raise Failure(f"{name_of(r['node'])}: submit: {answer}")
        filed[answer["author"], answer["seq"]] = r
    time.sleep(max(0.0, began + scenario["duration_s"] / rig.speed - time.monotonic()))
    return filed


def held_at(rig, node, filed):
    """{(author, seq): received_ms} of the filed reports that a node holds."""
    found = {(r["author"], r["seq"]): r["received_ms"] for r in rig.records(name_of(node))
             if r["lane"] == 0}
    return {key: ms for key, ms in found.items() if key in filed}


def judge_daemons(rig, scenario, filed):
    nodes = range(len(scenario["nodes"]))
    gateway = gateway_of(scenario)
    held = [held_at(rig, i, filed) for i in nodes]
    lost = [key for key in filed if key not in held[key[0] - 1]]
    if lost:
        raise Failure(f"authors do not hold what was stored: {lost}")
    knows = sum(r["state"] in ("received", "read") for i in nodes if i != gateway
                for r in rig.mine(name_of(i)) if (r["author"], r["seq"]) in filed)
    knows += sum(author == gateway + 1 for author, _ in filed)  # it is the commune
    late = [(held[gateway][key] - held[key[0] - 1][key]) / 1000 * rig.speed
            for key in held[gateway] if key[0] != gateway + 1]
    others = len(filed) * (len(nodes) - 1)
    return {"gateway_delivery": len(held[gateway]) / len(filed),
            "all_delivery": (sum(map(len, held)) - len(filed)) / others,
            "author_knows": knows / len(filed),
            "latency_p50_s": statistics.median_low(late)}


def collisions(rig):
    """From what keng-air says of each modem at its end."""
    sums = 0
    for line in rig.log_tail("air", 100).splitlines():
        before, found, _ = line.partition(" collided")
        if found:
            sums += int(before.rsplit(" ", 1)[1])
    return sums


def run_daemons(scenario, speed, seed):
    with Rig(speed=speed, seed=seed) as rig:
        start_all(rig, scenario)
        lateness = Lateness()
        lateness.start()
        filed = file_reports(rig, scenario)
        sent = rig.transmissions()
        late_s = lateness.p99_s() * speed
        figures = judge_daemons(rig, scenario, filed)
        for i in range(len(scenario["nodes"])):
            if rig.stop(name_of(i)) != 0:
                raise Failure(f"{name_of(i)}: kengd did not end well")
        rig.stop_air()
        figures.update(frames=len(sent), bytes_on_air=sum(t["len"] for t in sent),
                       airtime_s=sum(t["airtime_us"] for t in sent) / 1e6, late_s=late_s,
                       collided=collisions(rig),
                       per_node=[sum(t["name"] == name_of(i) for t in sent)
                                 for i in range(len(scenario["nodes"]))])
        return figures


# ---- beside each other --------------------------------------------------------------------------

def commit():
    def git(*args):
        return subprocess.run(["git", "-C", ROOT, *args], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()
    dirty = git("status", "--porcelain", "--untracked-files=no", "node", "proto", "hw", "tests/sim",
                "tests/support")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (" and changes" if dirty else "")


def mean_of(rows, key):
    return statistics.fmean(row[key] for row in rows)


def spread_of(rows, key):
    return f"{min(r[key] for r in rows):.6g} to {max(r[key] for r in rows):.6g}"


def compare(sims, runs):
    """Lines of figures, and how many goals were missed."""
    lines, missed = [], 0
    for key, unit in (("gateway_delivery", "share"), ("all_delivery", "share"),
                      ("author_knows", "share"), ("frames", "frames"), ("bytes_on_air", "bytes"),
                      ("airtime_s", "s")):
        sim, real = mean_of(sims, key), mean_of(runs, key)
        good = abs(real - sim) <= SHARE * sim
        missed += not good
        lines.append(f"{key} by the daemons: {real:.6g} {unit} ({sim:.6g} +- {SHARE:.0%}, as the "
                     "simulator has it)" + ("" if good else " MISSED"))
        lines.append(f"  daemons to simulator: {real / sim:.3f} times; runs "
                     f"{spread_of(runs, key)}, seeds {spread_of(sims, key)}")
    for key, unit in (("latency_p50_s", "s"), ("collided", "receptions")):
        lines.append(f"{key} by the daemons: {mean_of(runs, key):.4g} {unit} "
                     f"(no goal; the simulator's {mean_of(sims, key):.4g})")
    late_s = max(r["late_s"] for r in runs)
    missed += late_s > LATE_S
    lines.append(f"this machine late, p99 in the radio's time: {late_s:.3f} s ({LATE_S} at most)"
                 + ("" if late_s <= LATE_S else " MISSED"))
    return lines, missed


def read_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("program", metavar="KENG_SIM")
    parser.add_argument("--hours", type=float, default=12)
    parser.add_argument("--speed", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--runs", type=int, default=8)
    return parser.parse_args()


def main():
    options = read_options()
    program, measured = os.path.abspath(options.program), commit()
    if os.path.isdir("/dev/shm"):
        tempfile.tempdir = "/dev/shm"
    try:
        drawn, spelt = make_scenarios(options.seed, options.hours)
        with tempfile.TemporaryDirectory() as folder:
            check_reports(program, drawn, spelt, options.seed, folder)
            sims = [sim_figures(simulate(program, spelt, seed, folder))
                    for seed in range(1, SIM_SEEDS + 1)]
        print(f"{len(spelt['reports'])} reports in {options.hours:g} h; simulated", flush=True)
        with ThreadPoolExecutor(options.runs) as side_by_side:
            runs = list(side_by_side.map(lambda run: run_daemons(spelt, options.speed, run),
                                         range(1, options.runs + 1)))
        for run in runs:
            print(json.dumps(run), flush=True)
    except (Failure, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
        print(f"bench-truth: {error}", file=sys.stderr)
        return 1
    head = (f"Commit {measured}: line8 with the modem's preamble, {len(spelt['reports'])} reports, "
            f"{options.hours:g} hours\nat speed {options.speed}; means of {options.runs} run(s) "
            f"of the daemons and {SIM_SEEDS} seeds of the simulator.")
    lines, missed = compare(sims, runs)
    lines = [head, ""] + lines + [f"goals missed: {missed} (0)"]
    if len(sys.argv) == 2:
        with open(os.path.join(ROOT, "tests", "bench", "truth.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n")
    print("\n".join(lines))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
