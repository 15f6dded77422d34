"""modems.py - what kengd costs while its modem has nothing to do, for every driver.

A box for each driver, all at once, nobody within hearing of another.  Prints its figures last, one
a line, `name: value unit (goal)`, and writes them to the file named; exit status 1 where one falls
short.
"""
import subprocess
import sys
import time

from node import cpu_s, memory_kb
from rig import Failure, Rig, drivers, wait_for

IDLE_S = 120
CPU_MAX_PERCENT, WAKES_MAX = 0.5, 5


def wakes(pid):
    """How often it went to sleep of its own will, which is how often it was woken."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
    raise Failure("no count of switches in the status of kengd")


def measure():
    figures = []
    with Rig(speed=1) as rig:
        rig.init()
        names = drivers()
        for i, name in enumerate(names):
            rig.enroll(name, 11 + i, name, "node", 1)
        rig.start_air(names, links=[], models={name: name for name in names})
        for i, name in enumerate(names):
            rig.write_board_conf(name, 11 + i, "village", name)
            rig.start_node(name)
        for name in names:
            wait_for(f"{name}: ready", lambda n=name: rig.status(n)["modem"]["state"] == "ready",
                     60)
        time.sleep(5)
        pids = {name: rig.processes[name].pid for name in names}
        before = {name: (cpu_s(pid), wakes(pid)) for name, pid in pids.items()}
        time.sleep(IDLE_S)
        for name, pid in pids.items():
            cpu = (cpu_s(pid) - before[name][0]) / IDLE_S * 100
            woken = (wakes(pid) - before[name][1]) / IDLE_S
            rss_kb = memory_kb(pid, "VmRSS")
            state = rig.status(name)["modem"]["state"]
            figures += [
                (f"{name}, idle CPU", f"{cpu:.3f}", "%", f"under {CPU_MAX_PERCENT}",
                 cpu < CPU_MAX_PERCENT and state == "ready"),
                (f"{name}, wake-ups", f"{woken:.2f}", "/s", f"under {WAKES_MAX}",
                 woken < WAKES_MAX),
                (f"{name}, resident memory", f"{rss_kb / 1024:.2f}", "MB", "8 at most",
                 rss_kb <= 8192)]
        for name in names:
            rig.stop(name)
        rig.stop_air()
    return figures


def main():
    try:
        figures = measure()
    except (Failure, OSError, subprocess.SubprocessError) as error:
        print(f"bench-modems: {error}", file=sys.stderr)
        return 1
    text = "".join(f"{name}: {value} {unit} ({goal})\n" for name, value, unit, goal, _ in figures)
    print(text, end="")
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write(f"kengd with an idle modem, {IDLE_S} s on end, by `make bench-modems`.\n{text}")
    return 0 if all(good for *_, good in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
