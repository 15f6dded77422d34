"""modem_suite.py - all that is held against modems, in one run: the suites over every driver, the
conversations, real daemons over emulated boards.

Prints its figures last, one a line, `name: value unit (goal)`; exit status 1 where one falls short.
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from rig import ROOT, drivers  # noqa: E402

SCRIPTS = ["modems.py", "at_modems.py", "wires.py", "refusals.py", "mixed_commune.py"]
FRAMES = re.compile(r"^ +([\w-]+): (\d+) frames of 1 to (\d+) bytes unaltered", re.M)
CHARGED = re.compile(r"^ +([\w-]+): charged (\d+) ppm too much", re.M)
BACK = re.compile(r"^ +([\w-]+), ([\w ]+): heard again after (\d+) ms", re.M)
FAULT_KINDS = 7


def run(*argv):
    """What it printed, and whether all was well."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT,
                          encoding="utf-8", errors="replace", check=False)
    sys.stdout.write(done.stdout)
    sys.stdout.flush()
    return done.stdout, done.returncode == 0


def by_driver(pattern, text):
    found = {}
    for driver, *figures in pattern.findall(text):
        found.setdefault(driver, []).append(figures)
    return found


def main():
    unit = sys.argv[1]
    results = []
    texts = {}
    for name in ("conformance", "faults", "replay"):
        texts[name], good = run(os.path.join(unit, f"test_modem_{name}"))
        results.append((f"modem {name}", "passed" if good else "failed", "", "passed", good))
    frames = by_driver(FRAMES, texts["conformance"])
    charged = by_driver(CHARGED, texts["conformance"])
    back = by_driver(BACK, texts["faults"])
    for name in drivers():
        count = min((int(n) for n, _ in frames.get(name, [])), default=0)
        over = max((int(n) for n, in charged.get(name, [])), default=10 ** 6) / 10 ** 4
        late = {fault: int(ms) for fault, ms in back.get(name, [])}
        worst = max(late, key=late.get, default="nothing")
        results += [
            (f"{name}, frames of every length unaltered and in order", count, "frames",
             "1000 at least", count >= 1000),
            (f"{name}, airtime charged over the air's", over, "%", "1 at most", over <= 1),
            (f"{name}, back from {len(late)} faults ({worst} is the worst)",
             late.get(worst, -1), "ms", "5000 at most, 7 faults",
             len(late) == FAULT_KINDS and late[worst] <= 5000)]
    for script in SCRIPTS:
        path = os.path.join("tests", "e2e", script)
        text, good = run(sys.executable, path)
        ok = len(re.findall(r"^ok ", text, re.M))
        planned = re.search(r"^1\.\.(\d+)", text, re.M)
        planned = int(planned.group(1)) if planned else 0
        results.append((f"{path}", ok, "results", f"{planned}", good and 0 < planned == ok))
    for name, value, unit_name, goal, _ in results:
        print(f"{name}: {value} {unit_name} ({goal})".replace("  ", " "))
    return 0 if all(good for *_, good in results) else 1


if __name__ == "__main__":
    sys.exit(main())
