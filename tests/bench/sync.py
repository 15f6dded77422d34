"""What a report costs: every scenario by the shipped core and by managed floods.

Usage: sync.py KENG_SIM [--seeds A-B].  Writes tests/bench/sync.txt, prints each figure with its
goal last, and exits with 1 when one is missed.  sync-baseline.csv holds what another project's
flooding simulator reached on its links: our flood must agree before a comparison means anything.
"""
import csv
import json
import os
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCENARIOS = ["line4", "line4-loss20", "line8", "vn30", "vn50", "longfast30", "valley30",
             "two-valleys-mule", "partition", "grid100", "storm-faults"]
PROTOCOLS = ["keng", "flood:3", "flood:7"]
PEER_LINKS = ["vn30", "vn50", "longfast30"]
# The core alone: rescue reports among others and on their own, silence, a backlog of a thousand.
CORE_ONLY = ["vn30-rescue", "vn30-rescue-idle", "vn30-silent", "line4-backlog"]
# A thousand nodes, and the seeds that they have time for: thirty communes on one air, each with its
# own key, and all of them in one network with thirty gateways.
WIDE = {"communes1000": "1-2", "network1000": "1-2"}
WIDE_MEMORY_KB = 1000
SPEED_GOAL_S = 5
HARD = ["line8", "valley30", "two-valleys-mule", "partition", "grid100", "storm-faults"]
BYTES_GOAL = {"line4": 12000, "line4-loss20": 16000}
TREE_FACTOR = 1.5
RESCUE_GOAL_S = 60
RESCUE_TIMES = 3
SILENT_PERCENT = 0.05
REACH_POINTS = 0.05
FRAMES_SHARE = 0.20
ROUNDING = 1e-6


def scenario_path(name):
    return os.path.join(TOP, "seeds", "scenarios", name + ".json")


def run(program, *args):
    """One JSON object from keng-sim; exit status 1 is a figure too, anything else is not."""
    done = subprocess.run([program, "--json", *args], stdout=subprocess.PIPE, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"bench-sync: keng-sim {' '.join(args)} exited with {done.returncode}")
    return json.loads(done.stdout)


def commit():
    def git(*args):
        return subprocess.run(["git", "-C", TOP, *args], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.strip()
    dirty = git("status", "--porcelain", "--untracked-files=no", "node/core", "proto", "hw",
                "tests/sim", "tests/support")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + (" and changes" if dirty else "")


class Goals:
    def __init__(self):
        self.lines, self.missed = [], 0

    def check(self, name, value, unit, goal, good):
        self.missed += not good
        self.lines.append(f"{name}: {value} {unit} ({goal})" + ("" if good else " MISSED"))


def judge(results, trees, goals):
    with open(os.path.join(TOP, "tests", "bench", "sync-baseline.csv"), encoding="utf-8") as f:
        for row in csv.DictReader(f):
            m = results[row["scenario"], row["protocol"]]["median"]
            reach, frames = float(row["reach"]), float(row["frames_per_report"])
            name = f"{row['scenario']} {row['protocol']}"
            goals.check(f"{name} reach", f"{m['all_delivery']:.3f}", "share",
                        f"{reach:.3f} +- {REACH_POINTS}",
                        abs(m["all_delivery"] - reach) <= REACH_POINTS)
            goals.check(f"{name} frames per report", f"{m['frames_per_report']:.1f}", "frames",
                        f"{frames} +- {FRAMES_SHARE:.0%}",
                        abs(m["frames_per_report"] - frames) <= FRAMES_SHARE * frames)
    for name in PEER_LINKS + HARD + list(WIDE):
        d = results[name, "keng"]
        low, all_goal = d["lowest"], 1.0 if name in PEER_LINKS else 0.999
        knows_goal = 1.0 if name in PEER_LINKS else 0.99
        for key, goal in (("gateway_delivery", 1.0), ("all_delivery", all_goal),
                          ("author_knows", knows_goal)):
            middle = d["median"][key]
            goals.check(f"{name} {key}", f"{middle:.4f}", "share",
                        f">= {goal}, lowest seed {low[key]:.4f}", middle >= goal - ROUNDING)
            # There the medians alone: in one seed a node's links carry less than it lacks
            # (node/DESIGN.md, hearsay).
            if (name, key) != ("storm-faults", "all_delivery"):
                goals.check(f"{name} lowest {key}", f"{low[key]:.4f}", "share", f">= {goal}",
                            low[key] >= goal - ROUNDING)
        law = d["highest"]["law_max"]
        goals.check(f"{name} highest share of the legal airtime", f"{law:.4f}", "share", "<= 1",
                    law <= 1)
        goals.check(f"{name} failing seeds", len(d["failing"]), "seeds", "0", not d["failing"])
    for name in PEER_LINKS:
        m = results[name, "keng"]["median"]
        most = TREE_FACTOR * trees[name]
        goals.check(f"{name} frames per report", f"{m['frames_per_report']:.2f}", "frames",
                    f"<= {most:.2f}, {TREE_FACTOR} x the tree",
                    m["frames_per_report"] <= most)
    rescue, idle, silent, backlog = (results[name, "keng"]["median"] for name in CORE_ONLY)
    p95_s, idle_s = rescue["latency_rescue_p95"], idle["latency_rescue_p95"]
    goals.check("rescue p95 to the gateway under full load", f"{p95_s:.1f}", "s",
                f"<= {RESCUE_GOAL_S}", 0 < p95_s <= RESCUE_GOAL_S)
    goals.check("the same beside an idle network", f"{p95_s / idle_s:.2f}", "times",
                f"<= {RESCUE_TIMES}", p95_s <= RESCUE_TIMES * idle_s)
    goals.check("rescue p95 before a backlog of 1000", f"{backlog['latency_rescue_p95']:.1f}", "s",
                f"<= {RESCUE_GOAL_S}", 0 < backlog["latency_rescue_p95"] <= RESCUE_GOAL_S)
    goals.check("a silent network of 30 on air", f"{100 * silent['duty_mean']:.4f}", "%",
                f"< {SILENT_PERCENT}", 100 * silent["duty_mean"] < SILENT_PERCENT)
    for name in WIDE:
        memory_kb = results[name, "keng"]["highest"]["core_memory_bytes"] / 1000
        goals.check(f"{name} memory of a node's core", f"{memory_kb:.1f}", "kB",
                    f"<= {WIDE_MEMORY_KB}", memory_kb <= WIDE_MEMORY_KB)
    for name, most in BYTES_GOAL.items():
        d = results[name, "keng"]
        whole = d["lowest"]["all_delivery"] >= 1 - ROUNDING
        spent = d["median"]["bytes_on_air"]
        goals.check(f"{name} bytes on air", f"{spent:.0f}", "bytes",
                    f"<= {most}, everything everywhere", whole and spent <= most)


def judge_speed(program, goals):
    began_s = time.monotonic()
    run(program, scenario_path("vn30"))
    took_s = time.monotonic() - began_s
    goals.check("four hours of vn30 on one core", f"{took_s:.2f}", "s", f"<= {SPEED_GOAL_S}",
                took_s <= SPEED_GOAL_S)


def seconds(value):
    return f"{value:9.1f}" if value > 0 else f"{'-':>9}"


def table(results, trees, seeds):
    head = (f"{'scenario':17} {'protocol':8} {'gateway':>8} {'all':>8} {'knows':>8} {'frames/':>8} "
            f"{'x tree':>7} {'air s/':>8} {'kB on':>8} {'law':>8} {'gateway':>9} {'rescue':>9} "
            f"{'all':>9}\n"
            f"{'':17} {'':8} {'':>8} {'':>8} {'':>8} {'report':>8} {'':>7} {'report':>8} "
            f"{'air':>8} {'max %':>8} {'p50 s':>9} {'p95 s':>9} {'p95 s':>9}")
    lines = [f"Commit {commit()}, medians of seeds {seeds}, of "
             f"{' and '.join(f'{name} seeds {those}' for name, those in WIDE.items())}.", "",
             "x tree: frames per report beside those of a greedy broadcast tree on the links as "
             "they are", "at the beginning, without power cuts, cuts or journeys; it needs "
             "no acknowledgements. law:", "the largest share of its legal airtime that any node "
             "spent in any window.", "", head]
    for name in SCENARIOS + CORE_ONLY + list(WIDE):
        for protocol in PROTOCOLS:
            if (name, protocol) not in results:
                continue
            m = results[name, protocol]["median"]
            tree = trees[name]
            ratio = f"{m['frames_per_report'] / tree:7.2f}" if tree > 0 else f"{'-':>7}"
            lines.append(
                f"{name:17} {protocol:8} {m['gateway_delivery']:8.4f} {m['all_delivery']:8.4f} "
                f"{m['author_knows']:8.4f} {m['frames_per_report']:8.2f} {ratio} "
                f"{m['airtime_per_report_s']:8.2f} {m['bytes_on_air'] / 1000:8.1f} "
                f"{100 * m['law_max']:8.1f} {seconds(m['latency_gateway_p50'])} "
                f"{seconds(m['latency_rescue_p95'])} {seconds(m['latency_all_p95'])}")
        lines.append(f"{name:17} {'tree':8} {'':26} {trees[name]:8.2f}")
    return lines


def main():
    if len(sys.argv) not in (2, 4) or (len(sys.argv) == 4 and sys.argv[2] != "--seeds"):
        sys.exit(__doc__)
    program = os.path.abspath(sys.argv[1])
    seeds = sys.argv[3] if len(sys.argv) == 4 else "1-10"
    results, trees = {}, {}
    for name in SCENARIOS + CORE_ONLY + list(WIDE):
        trees[name] = run(program, "--tree", scenario_path(name))["tree_frames_per_report"]
        for protocol in PROTOCOLS if name in SCENARIOS else PROTOCOLS[:1]:
            results[name, protocol] = run(program, "--protocol", protocol, "--seeds",
                                          WIDE.get(name, seeds), scenario_path(name))
            print(f"{name} {protocol} done", flush=True)
    goals = Goals()
    judge(results, trees, goals)
    judge_speed(program, goals)
    lines = table(results, trees, seeds) + [""] + goals.lines
    with open(os.path.join(TOP, "tests", "bench", "sync.txt"), "w", encoding="utf-8") as f:
        f.write("\n".join(line.rstrip() for line in lines) + "\n")
    print("\n".join(lines))
    print(f"goals missed: {goals.missed} of {len(goals.lines)} (0)")
    sys.exit(1 if goals.missed else 0)


main()
