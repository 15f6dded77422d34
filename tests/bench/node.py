"""node.py - what kengd costs the box it runs on: memory, idle CPU and start with a full store.

Prints its figures last, one a line, `name: value unit (goal)`; exit status 1 where one falls short.
"""
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from rig import ROOT, Failure, Rig, wait_for  # noqa: E402

RECORDS = 10000
IDLE_S = 20


def memory_kb(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise Failure(f"no {key} in the status of kengd")


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure():
    with Rig(speed=1) as rig:
        rig.init()
        rig.enroll("node", 11, "Nà Lẹng", "node", 1)
        rig.enroll("keys", 100, "Người gửi 0", "member", 1)
        for i in range(1, 8):
            rig.enroll("keys", 100 + i, f"Người gửi {i}", "member", 1)
        # The node must know all authors: its roster is the desk's newest.
        rig.enroll("node", 12, "Người ở bản", "member", 1)
        rig.start_air(["node"])
        rig.write_conf("node", 11, "village")
        rig.start_node("node")
        fill = subprocess.run([os.environ["FILL"], rig.homes["keys"], rig.socket("node"),
                               str(RECORDS)], cwd=ROOT, check=False)
        if fill.returncode != 0:
            raise Failure("the store could not be filled")
        filling_hwm = memory_kb(rig.processes["node"].pid, "VmHWM")
        rig.stop("node")

        began = time.monotonic()
        rig.start_node("node", wait=False)
        wait_for("kengd answers", lambda: rig.status("node"), 60, every_s=0.005)
        start_ms = (time.monotonic() - began) * 1000
        held = len(rig.records("node"))
        pid = rig.processes["node"].pid
        time.sleep(2)
        before = cpu_s(pid)
        time.sleep(IDLE_S)
        idle = (cpu_s(pid) - before) / IDLE_S * 100
        rss, hwm = memory_kb(pid, "VmRSS"), memory_kb(pid, "VmHWM")
        rig.stop("node")
    return [
        ("records held by kengd", held, "records", f"{RECORDS} at least", held >= RECORDS),
        ("kengd resident memory", round(rss / 1024, 2), "MB", "8 at most", rss <= 8192),
        ("kengd peak memory", round(hwm / 1024, 2), "MB", "8 at most", hwm <= 8192),
        ("kengd peak memory while filling", round(filling_hwm / 1024, 2), "MB", "8 at most",
         filling_hwm <= 8192),
        ("kengd idle CPU", round(idle, 2), "%", "under 1", idle < 1),
        ("kengd start to first answer", round(start_ms), "ms", "5000 at most", start_ms <= 5000),
    ]


def main():
    try:
        figures = measure()
    except (Failure, OSError, subprocess.SubprocessError) as error:
        print(f"bench-node: {error}", file=sys.stderr)
        return 1
    for name, value, unit, goal, _ in figures:
        print(f"{name}: {value} {unit} ({goal})")
    return 0 if all(good for *_, good in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
