"""province.py - the province's books: both databases, an independent reader, kill -9 at any moment.

  python3 tests/e2e/province.py [--communes N] [--records N] [--kills N] [--samples N]

Speaks TAP, then one line for each figure.  Without arguments it is the short version.
"""
import argparse
import csv
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build")
PROVINCE = os.path.join(BUILD, "keng-province")
MAKER = os.path.join(BUILD, "release", "tests", "bench", "import")
# The Debian packages of the reader belong to Debian's Python.
READER = ["/usr/bin/python3", os.path.join(ROOT, "tests", "batch_reader.py")]


class Checks:
    def __init__(self):
        self.count, self.failed, self.figures = 0, 0, []

    def tell(self, good, text):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)

    def figure(self, name, value, unit, goal):
        self.figures.append(f"{name}: {value} {unit} ({goal})")

    def end(self):
        print(f"1..{self.count}")
        for line in self.figures:
            print(line)
        return 1 if self.failed else 0


def run(*args, status=0):
    done = subprocess.run(args, capture_output=True, text=True, cwd=ROOT, check=False)
    if status is not None and done.returncode != status:
        raise RuntimeError(f"{args}: exit {done.returncode}: {done.stdout}{done.stderr}")
    return done


def province(db, *args, status=0):
    return run(PROVINCE, "--db", db, "--lang", "en", "--data", os.path.join(ROOT, "seeds"), *args,
               status=status)


class Books:
    """Files of several communes and places for databases."""

    def __init__(self, directory, communes, records):
        self.directory, self.schemas = directory, 0
        self.files, self.trusts = [], []
        for seed in range(1, communes + 1):
            self.files.append(os.path.join(directory, f"{seed}.keng"))
            self.trusts.append(os.path.join(directory, f"{seed}-trust.keng"))
            run(MAKER, "make", self.files[-1], self.trusts[-1], str(records // communes), str(seed))

    def sqlite(self):
        self.schemas += 1
        return os.path.join(self.directory, f"{self.schemas}.db")

    def postgres(self):
        self.schemas += 1
        name = f"e2e_{os.getpid()}_{self.schemas}"
        server = os.environ["KENG_TEST_POSTGRES"]
        run("psql", "-q", "-h", server, "-U", "keng", "postgres", "-c", f"CREATE SCHEMA {name}")
        return f"postgresql://keng@/postgres?host={server}&options=-csearch_path%3D{name}"

    def import_all(self, db):
        province(db, "trust", *self.trusts)
        return province(db, "import", *self.files).stdout

    def import_in_two(self, db):
        """Also a moment in between: the next full second, waited for."""
        province(db, "trust", *self.trusts)
        said = province(db, "import", self.files[0]).stdout
        between = int(time.time()) + 1
        while time.time() < between + 0.01:
            time.sleep(0.05)
        return said + province(db, "import", *self.files[1:]).stdout, \
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(between))


QUERIES = [["--json"], [], ["--lang", "vi"], ["--lang", "vi", "--json"], ["--village", "3"],
           ["--event", "1", "--json"], ["--indicator", "damage:2"], ["--event", "9", "--json"],
           ["--village", "7", "--indicator", "damage:5", "--json"],
           ["--lang", "vi", "--village", "2", "--event", "1"]]


def answers(db, queries=None):
    return [province(db, "report", *query).stdout for query in queries or QUERIES[:2]]


def first_line(child):
    line = child.stdout.readline().strip()
    if not line.startswith("http://"):
        raise RuntimeError(f"serve: {line}")
    return line


def fetch(url, **more):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def serve(db):
    return subprocess.Popen([PROVINCE, "--db", db, "--lang", "en", "--data",
                             os.path.join(ROOT, "seeds"), "--listen", "127.0.0.1:0", "serve"],
                            stdout=subprocess.PIPE, text=True, cwd=ROOT)


def check_pages(checks, db):
    """The pages say what the report says, and nothing can be done there but read."""
    told = province(db, "report", "--json").stdout
    child = serve(db)
    try:
        base = first_line(child)
        page = fetch(base + "?village=3&lang=vi")
        first = fetch(base)[1]
        checks.tell(first.count("<details><summary>Reports differ") == 1 and
                    first.index("TO LOOK AT") < first.index("<details") < first.index("<table"),
                    "a page says first what needs a look, long lists folded")
        checks.tell(page[0] == 200 and "Thôn 3" in page[1] and "Thôn 4" not in page[1] and
                    fetch(base + "figures.json?lang=en") == (200, told) and
                    "<path" in fetch(base + "course.svg")[1] and
                    "FeatureCollection" in fetch(base + "figures.geojson")[1],
                    "the pages show what the report says")
        asked = [fetch(base, data=b"a=b")[0], fetch(base + "no")[0],
                 fetch(base + "?village=x")[0], fetch(base + "?as-of=x")[0],
                 fetch(base, headers={"Host": "evil.example"})[0]]
        checks.tell(asked == [405, 404, 400, 400, 421], f"and nothing else: {asked}")
        child.terminate()
        checks.tell(child.wait(10) == 0, "serve ends when it is told to")
    finally:
        child.kill()
        child.wait()


FORMS = (".csv", ".hxl.csv", ".geojson", ".txt", ".xlsx")
WIDE_MEMORY_MB, WIDE_MEMORY_BYTES = 16, 120  # of the program, and of each figure
PAGE_LINES = 5000
FIGURES, EVERY = 24, 10  # of a record; the last of so many speaks of the same village as the other


def count_lines(prefix):
    """How many figures each form holds."""
    counts = []
    for form, heads in ((".csv", 1), (".hxl.csv", 2)):
        with open(prefix + form, encoding="utf-8-sig", newline="") as file:
            counts.append(sum(1 for _ in csv.reader(file)) - heads)
    with open(prefix + ".geojson", encoding="utf-8") as file:
        counts.append(sum(len(f["properties"]["figures"]) for f in json.load(file)["features"]))
    with zipfile.ZipFile(prefix + ".xlsx") as book:
        counts.append(book.read("xl/worksheets/sheet1.xml").count(b"<row ") - 1)
    return counts


def small_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 18, 1 << 18))


def check_cut_export(checks, directory, db):
    """Where a disk is full, here after 256 kB, the old file stays, and nothing else does."""
    left = []
    for form in (form for form in FORMS if form != ".txt"):
        path = os.path.join(directory, "cut" + form)
        with open(path, "w", encoding="ascii") as file:
            file.write("old")
        done = subprocess.run([PROVINCE, "--db", db, "--data", os.path.join(ROOT, "seeds"),
                               "export", path], preexec_fn=small_files, capture_output=True,
                              text=True, cwd=ROOT, check=False)
        with open(path, "rb") as file:
            if done.returncode != 1 or not done.stderr or file.read() != b"old":
                left.append(f"{form}: {done.returncode} {done.stderr}")
    left += [name for name in os.listdir(directory) if name.startswith("cut")
             and not name.endswith(FORMS)]
    checks.tell(not left, f"a file that cannot be written whole is not written at all {left}")


def export_within(memory_mb, db, *paths):
    """Its exit status where it may not take more; what the system counts holds Python's, too."""
    limit = int(memory_mb * 1e6)
    done = subprocess.run([PROVINCE, "--db", db, "--data", os.path.join(ROOT, "seeds"), "--as-of",
                           "2099-01-01", "export", *paths], cwd=ROOT, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA,
                                                                (limit, limit)))
    return done.returncode


def check_wide_pages(checks, db, want):
    """A page of a part says that it is one; the files have all."""
    child = serve(db)
    try:
        base = first_line(child)
        page = fetch(base)[1]
        shown = PAGE_LINES - FIGURES  # behind the sums
        checks.tell(f"Only the first {shown} of {want} figures" in page and
                    page.count("<tr><td>") == shown and
                    fetch(base + "figures.hxl.csv")[1].count("\n") == want + 2,
                    "a page holds the first of them and says so, a file from there all")
    finally:
        child.kill()
        child.wait()


def check_wide(checks, directory, make_dbs, records):
    """More figures than are kept as text at a time: all forms hold all of them."""
    file, trust = os.path.join(directory, "w.keng"), os.path.join(directory, "wt.keng")
    run(MAKER, "wide", file, trust, str(records), "77")
    want = records * (EVERY - 1) // EVERY * FIGURES
    memory_mb = WIDE_MEMORY_MB + WIDE_MEMORY_BYTES * want / 1e6
    told = []
    for i, make_db in enumerate(make_dbs):
        db, prefix = make_db(), os.path.join(directory, f"wide{i}")
        province(db, "trust", trust)
        province(db, "import", file)
        status = export_within(memory_mb, db, *[prefix + form for form in FORMS])
        checks.tell(status == 0, f"every form is written within {memory_mb:.0f} MB")
        report = province(db, "--as-of", "2099-01-01", "--csv", prefix + "-report.csv", "--json",
                          "report").stdout
        counts = count_lines(prefix) + [report.count('"village_name"')]
        checks.tell(counts == [want] * 5, f"{want} figures stand in every form: {counts}")
        told.append([report])
        for form in FORMS[:-1] + ("-report.csv",):
            with open(prefix + form, "rb") as file_:
                told[-1].append(file_.read())
    checks.tell(told[0] == told[-1], "the same bytes from both databases")
    check_wide_pages(checks, db, want)
    check_cut_export(checks, directory, db)


def read_totals(books):
    trusts = [word for path in books.trusts for word in ("--trust", path)]
    return json.loads(run(*READER, *trusts, *books.files).stdout)


def told_totals(db):
    told = json.loads(province(db, "report", "--json").stdout)
    network = {c["id"]: c["network"] for c in told["communes"]}
    return sorted([network[t["commune"]], t["village"], t["event"], t["kind"], t["code"],
                   t["value"], t["low"], t["high"]] for t in told["totals"])


def import_to_the_end(books, db):
    for _ in range(50):  # a server notices a little later that its client is gone
        done = province(db, "import", *books.files, status=None)
        if done.returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(done.stdout + done.stderr)


def kill_and_resume(books, make_db, kills, took_s):
    """Kills imports at random moments; each goes on where the one before was killed.  One that
    ended before its kill is a whole database, and the next begins another.  What all say."""
    said, killed, tried, db = [], 0, 0, None
    while killed < kills and tried < 50 * kills:
        tried += 1
        if db is None:
            db = make_db()
            province(db, "trust", *books.trusts)
        child = subprocess.Popen([PROVINCE, "--db", db, "import", *books.files], cwd=ROOT,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, took_s * 2 / (kills + 1)))
        ended = child.poll() is not None
        child.send_signal(signal.SIGKILL)
        child.wait()
        killed += not ended
        if ended and child.returncode == 0:
            said.append(answers(db))
            db = None
    if db:
        import_to_the_end(books, db)
        said.append(answers(db))
    return said if killed == kills else []


def check_engine(checks, books, name, make_db, kills):
    db = make_db()
    began = time.monotonic()
    first, between = books.import_in_two(db)
    took_s = time.monotonic() - began
    want = answers(db)
    then = province(db, "report", "--json", "--as-of", between).stdout
    only = {t["commune"] for t in json.loads(then)["totals"]}
    checks.tell(len(only) == 1 and then != province(db, "report", "--json").stdout,
                f"{name}: as of a moment between two files only the first counts")
    checks.tell(first.count("complete up to its checkpoint") == len(books.files),
                f"{name}: every file is whole up to its checkpoint")
    again = books.import_all(db)
    checks.tell(again.count(": 0 new") == len(books.files) and answers(db) == want,
                f"{name}: importing again changes nothing")
    said = kill_and_resume(books, make_db, kills, took_s)
    checks.tell(said and said.count(want) == len(said),
                f"{name}: killed at {kills} moments, then resumed: equal")
    return db, answers(db, QUERIES) + [then]


def check_samples(checks, directory, samples):
    small, trust = os.path.join(directory, "s.keng"), os.path.join(directory, "st.keng")
    run(MAKER, "make", small, trust, "100", "99")
    done = run(MAKER, "tamper", small, trust, str(samples), str(os.cpu_count()), status=None)
    checks.tell(done.returncode == 0, f"every one of {samples} changed bytes is noticed, and what "
                "is beside it kept")
    print("# " + (done.stdout + done.stderr).strip().replace("\n", "\n# "))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--communes", type=int, default=3)
    parser.add_argument("--records", type=int, default=3000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--wide", type=int, default=1000)
    options = parser.parse_args()
    if "KENG_TEST_POSTGRES" not in os.environ:
        os.execvp("sh", ["sh", os.path.join(ROOT, "tests", "postgres.sh"), "run", sys.executable]
                  + sys.argv)
    checks = Checks()
    run("make", "-s", os.path.relpath(MAKER, ROOT))
    with tempfile.TemporaryDirectory() as directory:
        books = Books(directory, options.communes, options.records)
        sqlite, want = check_engine(checks, books, "SQLite", books.sqlite, options.kills)
        _, other = check_engine(checks, books, "PostgreSQL", books.postgres, options.kills)
        checks.tell(other == want, f"{len(QUERIES)} reports, and one as of a moment, are the same "
                    "bytes on both")
        check_pages(checks, sqlite)
        read = read_totals(books)
        checks.tell(not read["wrong"] and read["totals"] == told_totals(sqlite),
                    f"a reader written from the page finds the same {len(read['totals'])} totals")
        check_samples(checks, directory, options.samples)
        check_wide(checks, directory, (books.sqlite, books.postgres), options.wide)
    checks.figure("records", read["records"], "records", "all seen by the reader")
    return checks.end()


if __name__ == "__main__":
    sys.exit(main())
