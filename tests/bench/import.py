"""import.py - a million signed records into the province's ledger, against verification alone.

  python3 tests/bench/import.py RECORDS [postgresql://... | sqlite | both]

Verification alone is measured before and after each import, on as many threads, in the same run;
its mean is what the rate of the import is held against.  Figures last, `name: value unit (goal)`,
and into tests/bench/import.txt with what was measured; exit status 1 where one falls short.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROVINCE = os.path.join(ROOT, "build", "keng-province")
MAKER = os.path.join(ROOT, "build", "release", "tests", "bench", "import")
THREADS = os.cpu_count()
VERIFIED_ALONE = 200000
RECORDED = os.path.join(ROOT, "tests", "bench", "import.txt")
RATE_GOAL, AGAIN_GOAL, MEMORY_GOAL_MB = 0.85, 1 / 3, 128

figures, short = [], []


def figure(name, value, unit, goal, good=True):
    figures.append(f"{name}: {value} {unit} ({goal})")
    if not good:
        short.append(name)


def verify_alone(file, trust, records):
    count = min(VERIFIED_ALONE, records)
    done = subprocess.run([MAKER, "verify", file, trust, str(THREADS), str(count)],
                          capture_output=True, text=True, check=True)
    return float(done.stdout)


def run(db, *args):
    """Seconds, peak memory in MB, output."""
    began = time.monotonic()
    child = subprocess.Popen([PROVINCE, "--db", db, *args], stdout=subprocess.PIPE, text=True)
    said = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        raise RuntimeError(f"{args}: {said}")
    return time.monotonic() - began, usage.ru_maxrss / 1024, said


def bench(name, db, file, trust, records):
    run(db, "trust", trust)
    before = verify_alone(file, trust, records)
    took_s, memory_mb, said = run(db, "import", file)
    after = verify_alone(file, trust, records)
    alone, rate = (before + after) / 2, records / took_s
    if not re.search(r" (\d+) new", said) or "complete up to" not in said:
        raise RuntimeError(said)
    again_s, _, said = run(db, "import", file)
    figure(f"{name}, verification alone", round(alone), "records/s", f"{THREADS} threads")
    figure(f"{name}, import", round(rate), "records/s", "of all that was new")
    figure(f"{name}, import to verification", f"{rate / alone:.2f}", "", f"{RATE_GOAL} at least",
           rate / alone >= RATE_GOAL)
    figure(f"{name}, memory", f"{memory_mb:.0f}", "MB", f"{MEMORY_GOAL_MB} at most",
           memory_mb <= MEMORY_GOAL_MB)
    figure(f"{name}, importing again", f"{again_s / took_s:.2f}", "of the first time",
           "0.33 at most, nothing new", again_s / took_s <= AGAIN_GOAL and " 0 new" in said)


def git(*args):
    return subprocess.run(["git", *args], capture_output=True, text=True, cwd=ROOT, check=False)


def record(records):
    """Which state of the program the figures are of, and the figures."""
    commit = git("rev-parse", "--short=12", "HEAD").stdout.strip() or "unknown"
    changed = git("diff", "--quiet", "HEAD", "--", "gateway", "proto").returncode != 0
    with open(RECORDED, "w", encoding="utf-8") as file:
        file.write(f"Commit {commit}{' and changes' if changed else ''}, {records} records.\n")
        file.write("\n".join(figures) + "\n")


def main():
    records, where = int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "both"
    if where == "both" and "KENG_TEST_POSTGRES" not in os.environ:
        os.environ["KENG_TEST_FSYNC"] = "on"
        os.execvp("sh", ["sh", os.path.join(ROOT, "tests", "postgres.sh"), "run", sys.executable]
                  + sys.argv)
    with tempfile.TemporaryDirectory() as directory:
        file, trust = os.path.join(directory, "a.keng"), os.path.join(directory, "t.keng")
        subprocess.run([MAKER, "make", file, trust, str(records), "1"], check=True)
        figure("batch file", f"{os.path.getsize(file) / records:.1f}", "bytes a record", "zstd")
        if where in ("sqlite", "both"):
            bench("SQLite", os.path.join(directory, "p.db"), file, trust, records)
        if where == "both":
            where = f"postgresql://keng@/postgres?host={os.environ['KENG_TEST_POSTGRES']}"
        if where.startswith("postgres"):
            bench("PostgreSQL", where, file, trust, records)
    load = os.getloadavg()[0] / THREADS
    figure("load of the machine", f"{load:.1f}", "a processor", "about 1: nobody else was there")
    record(records)
    print("\n".join(figures))
    if short:
        print("falls short: " + ", ".join(short), file=sys.stderr)
    return 1 if short else 0


if __name__ == "__main__":
    sys.exit(main())
