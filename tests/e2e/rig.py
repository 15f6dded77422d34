"""rig.py - a small commune for tests and demos: real daemons over emulated modems.

Everything lives in one temporary directory; close() ends what was started, by its process, and
removes the directory.  Waiting is always for a condition and always has a deadline.
"""
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
import tty

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.path.abspath(os.environ.get("KENG_BIN", os.path.join(ROOT, "build")))

# Losses for the emulated air: at 16 dBm a neighbour is heard with 20 dB to spare, others never.
NEAR_DB = 120.0

# What kengd.conf says of a modem beside port and driver, where the commune's usual channel,
# 921.5 MHz, does not do.  Ebyte's have few channels; the RYLR498 is for 433 MHz.
BOARDS = {
    "meshcore-kiss": {}, "rnode": {}, "rylr998": {}, "rylr896": {}, "rak3172": {}, "wio-e5": {},
    "meshtastic": {},
    "ebyte-e22": {"options": "model=E22-900T22S", "freq_hz": 921125000},
    "ebyte-e220": {"options": "model=E220-900T22S", "freq_hz": 921125000},
    "ebyte-e32": {"options": "model=E32-900T20S", "freq_hz": 921000000},
    "rylr498": {"freq_hz": 434000000},
    "kiss-tnc": {"options": "contents=open", "amateur_call": "XV9TST-1", "freq_hz": 433775000,
                 "bw_hz": 125000, "sf": 9, "cr": 5, "preamble_symbols": 8},
}
UNVERIFIABLE = {"kiss-tnc"}  # it has no word for what it is set to
WIRED = {"ebyte-e22", "ebyte-e220", "ebyte-e32"}


def drivers():
    """All that there are: each has its conversations."""
    return sorted(os.listdir(os.path.join(ROOT, "seeds", "modems")))


class Failure(Exception):
    """Something did not happen that had to; the text is for a person."""


class Tap:
    """Prints results as TAP and the plan at the end."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, good, text, detail=""):
        self.count += 1
        if not good:
            self.failed += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)
        if not good and detail:
            for line in str(detail).splitlines():
                print(f"# {line}")
        return good

    def skip(self, text, why):
        self.count += 1
        print(f"ok {self.count} - {text} # SKIP {why}", flush=True)

    def note(self, text):
        print(f"# {text}", flush=True)

    def done(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def tap_main(*scenes):
    """Runs scenes (functions taking a Tap); a scene that dies is a failed result."""
    tap = Tap()
    for scene in scenes:
        try:
            scene(tap)
        except (Failure, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            tap.ok(False, f"{scene.__name__} ran to its end", f"{type(error).__name__}: {error}")
    sys.exit(tap.done())


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def ask(path, request, timeout_s=20.0):
    """One question to kengd's socket, one answer."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout_s)
        s.connect(path)
        s.sendall(json.dumps(request).encode() + b"\n")
        buf = b""
        while not buf.endswith(b"\n"):
            got = s.recv(1 << 16)
            if not got:
                raise Failure(f"{path}: closed before the answer to {request.get('do')}")
            buf += got
    return json.loads(buf)


def wait_for(what, question, timeout_s, every_s=0.1):
    """Calls question() until its answer is true; returns that answer."""
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            answer = question()
        except (OSError, ValueError, Failure):
            answer = None
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(every_s)


def ignore_file_limit_signal():
    # With the signal ignored a write beyond the limit fails with an error, as on a full disk.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class KissModem:
    """A modem in the hands of somebody who does not play by our rules: sends any bytes."""

    SET_RADIO, SET_TX_POWER, TX_DONE = 0x09, 0x0A, 0xF8

    def __init__(self, path, freq_hz, bw_hz, sf, cr=5):
        self.fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self.fd)
        mode = termios.tcgetattr(self.fd)
        mode[4] = mode[5] = termios.B115200
        termios.tcsetattr(self.fd, termios.TCSANOW, mode)
        self.buf = b""
        self.heard = []  # frames from the air
        self.done = 0    # our own that left
        self.hardware(self.SET_RADIO, struct.pack("<IIBB", freq_hz, bw_hz, sf, cr))
        self.hardware(self.SET_TX_POWER, bytes([14]))

    def write(self, kind, payload):
        escaped = payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
        os.write(self.fd, b"\xc0" + bytes([kind]) + escaped + b"\xc0")

    def hardware(self, command, payload):
        self.write(6, bytes([command]) + payload)

    def listen(self, for_s):
        deadline = time.monotonic() + for_s
        while (left_s := deadline - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left_s)[0]:
                return
            self.buf += os.read(self.fd, 4096)
            *frames, self.buf = self.buf.split(b"\xc0")
            for frame in frames:
                frame = frame.replace(b"\xdb\xdc", b"\xc0").replace(b"\xdb\xdd", b"\xdb")
                if len(frame) > 1 and frame[0] == 0:
                    self.heard.append(frame[1:])
                elif len(frame) > 1 and frame[0] == 6 and frame[1] == self.TX_DONE:
                    self.done += 1

    def send(self, frame, within_s=10.0):
        before, deadline = self.done, time.monotonic() + within_s
        self.write(0, frame)
        while self.done == before:
            if time.monotonic() > deadline:
                raise Failure("the attacker's modem does not say that it has sent")
            self.listen(0.02)

    def close(self):
        os.close(self.fd)


class Rig:
    def __init__(self, speed=20, seed=1):
        self.dir = tempfile.mkdtemp(prefix="keng-")
        self.speed = speed
        self.seed = seed
        self.desk = os.path.join(self.dir, "desk")
        self.homes = {}      # name -> directory
        self.processes = {}  # name -> Popen
        self.logs = {}       # name -> path of what it printed
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("KENG_")}
        self.env.update(KENG_LANG="en", KENG_DATA=os.path.join(ROOT, "seeds"), LC_ALL="C.UTF-8")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and issubclass(kind, Exception):
            for name in self.logs:
                text = self.log_tail(name)
                if text:
                    print(f"# ---- {name}\n" + "\n".join("# " + t for t in text.splitlines()))
        self.close()

    def close(self):
        for name in list(self.processes):
            self.stop(name, signal.SIGTERM, wait_s=3)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    # ---- programs that end ----------------------------------------------------------
    def run(self, program, *args, check=True, text=None, timeout_s=60, env=None):
        done = subprocess.run([os.path.join(BIN, program), *map(str, args)], input=text,
                              capture_output=True, encoding="utf-8", timeout=timeout_s,
                              env={**self.env, **(env or {})}, cwd=self.dir, check=False)
        if check and done.returncode != 0:
            raise Failure(f"{program} {' '.join(map(str, args))}: exit status {done.returncode}: "
                          f"{done.stderr.strip() or done.stdout.strip()}")
        return done

    def keng(self, name, *args, **more):
        """keng as typed at the box of that name."""
        return self.run("keng", "--home", self.homes[name], *args, **more)

    # ---- programs that stay -----------------------------------------------------------
    def start(self, name, *argv, before=None):
        old = self.processes.get(name)
        if old is not None and old.poll() is None:
            raise Failure(f"{name} is running already")
        self.logs[name] = self.path(name + ".log")
        with open(self.logs[name], "ab") as log:
            self.processes[name] = subprocess.Popen(
                list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.env, cwd=self.dir, preexec_fn=before)
        return self.processes[name]

    def stop(self, name, how=signal.SIGTERM, wait_s=10):
        """Ends a program; its exit status, negative for a signal."""
        process = self.processes.pop(name, None)
        if process is None:
            return None
        if process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(wait_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        return process.returncode

    def alive(self, name):
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def log_tail(self, name, count=15):
        try:
            with open(self.logs[name], encoding="utf-8", errors="replace") as f:
                return "".join(f.readlines()[-count:])
        except (OSError, KeyError):
            return ""

    # ---- the commune -------------------------------------------------------------------
    def init(self, commune="Xã Cao Minh", code="01879", *options):
        self.run("keng", "init", "--name", commune, "--code", code, "--dir", self.desk, *options)

    def enroll(self, home, number, name, role, village):
        self.homes.setdefault(home, self.path(home))
        place = ["--village", village] if village else []
        self.run("keng", "enroll", "--dir", self.desk, "--number", number, "--name", name,
                 "--role", role, *place, "--out", self.homes[home])

    # ---- the air -------------------------------------------------------------------------
    def start_air(self, names, links=None, gateways=("commune",), models=None, **more):
        """links: pairs that hear each other; default: a line in the order of the names.  models: by
        name, what is not the usual modem.  keng-air holds every frame against the law: band, power,
        each box's share of every hour."""
        if links is None:
            links = list(zip(names, names[1:]))
        share = {name: 0.1 if name in gateways else 1 if name == "attacker" else 0.01
                 for name in names}
        law = {"eirp_max_dbm": 16.15, "duty_fraction": 0.01, "duty_window_s": 3600}
        config = {"modems": [{"name": name, "duty_fraction": share[name],
                              **({"modem": models[name]} if name in (models or {}) else {})}
                             for name in names],
                  "links": [[a, b, NEAR_DB] for a, b in links], "sensitivity_dbm": -117,
                  "law": [{"freq_lo_hz": 433050000, "freq_hi_hz": 434790000, **law},
                          {"freq_lo_hz": 920000000, "freq_hi_hz": 923000000, **law}], **more}
        with open(self.path("air.json"), "w", encoding="utf-8") as f:
            json.dump(config, f, indent=1)
        os.makedirs(self.path("ports"), exist_ok=True)
        self.start("air", os.path.join(BIN, "keng-air"), "--config", self.path("air.json"),
                   "--speed", self.speed, "--dir", self.path("ports"), "--seed", self.seed,
                   "--log", self.path("air.jsonl"), "--control", self.path("air.sock"))
        wait_for("keng-air opens its ports",
                 lambda: self.alive("air") and "ready" in self.log_tail("air"), 10)

    def air(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(self.path("air.sock"))
            s.sendall(command.encode() + b"\n")
            buf = b""
            while not buf.endswith(b"\n"):
                got = s.recv(1 << 16)
                if not got:
                    break
                buf += got
        answer = buf.decode().strip()
        if answer.startswith("error") or not answer:
            raise Failure(f"keng-air: {command}: {answer or 'no answer'}")
        return answer

    def stop_air(self):
        """Ends keng-air, which exits with 0 only if every frame was lawful."""
        status = self.stop("air", signal.SIGTERM)
        if status != 0:
            raise Failure(f"keng-air: exit status {status}: {self.log_tail('air')}")

    def transmissions(self):
        with open(self.path("air.jsonl"), encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.endswith("\n")]

    # ---- nodes ---------------------------------------------------------------------------
    def write_conf(self, name, node, role, driver="meshcore-kiss", **more):
        with open(os.path.join(self.homes[name], "kengd.conf"), "w", encoding="utf-8") as f:
            f.write(f'node = {node}\nrole = "{role}"\n'
                    f'modem = "{self.path("ports", name)}"\ndriver = "{driver}"\n')
            f.writelines(f'{key} = {json.dumps(value)}\n' for key, value in more.items())

    def write_board_conf(self, name, node, role, driver, **more):
        """The same for any driver, with what its board needs."""
        settings = {**BOARDS[driver], **more}
        if driver in WIRED:
            settings["lines"] = "socket:" + self.path("ports", name + ".lines")
        self.write_conf(name, node, role, driver=driver, **settings)

    def start_node(self, name, *options, wait=True):
        self.start(name, os.path.join(BIN, "kengd"), "--home", self.homes[name],
                   "--speed", self.speed, *options, before=ignore_file_limit_signal)
        if wait:
            wait_for(f"{name}: kengd answers", lambda: self.status(name), 15)

    def limit_files(self, name, len_max):
        """No file of this program may grow beyond len_max bytes, as if the disk were full; None
        lifts the limit.  Works on the running program."""
        soft = resource.RLIM_INFINITY if len_max is None else len_max
        resource.prlimit(self.processes[name].pid, resource.RLIMIT_FSIZE,
                         (soft, resource.RLIM_INFINITY))

    def socket(self, name):
        return os.path.join(self.homes[name], "kengd.sock")

    def ask(self, name, request, timeout_s=20.0):
        return ask(self.socket(name), request, timeout_s)

    def status(self, name):
        return self.ask(name, {"do": "status"})

    def records(self, name):
        """All records of a node, in order of arrival."""
        found, after = [], 0
        while True:
            answer = self.ask(name, {"do": "records", "after": after, "limit": 200})
            if not answer["ok"]:
                raise Failure(f"{name}: records: {answer}")
            if not answer["records"]:
                return found
            found += answer["records"]
            after = found[-1]["arrival"]

    def mine(self, name, limit=1000):
        answer = self.ask(name, {"do": "mine", "limit": limit})
        if not answer["ok"]:
            raise Failure(f"{name}: mine: {answer}")
        return answer["reports"]
