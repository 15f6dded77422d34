"""uplink.py - the way up and down through a link that is cut all the time, with both ends killed.

  python3 tests/e2e/uplink.py [--cycles N] [--records N] [--directives N] [--speed N]

A commune's gateway pushes to a province's, through a proxy that is the bad link: it works for 6 to
18 s, tears every connection, and is away for 1 to 6 s, all divided by the speed; it sends whole
requests again later, out of order.  Either end is killed at random, and the receiver's disk is full
for a while.  All the time the province writes directives.  At the end both must hold every record,
once, and the commune's node the directives.  Speaks TAP, then a line for each figure.
"""
import argparse
import os
import random
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig import (BIN, ROOT, Failure, Rig, Tap, free_port,  # noqa: E402
                 ignore_file_limit_signal, wait_for)

COMMUNE = "commune"
FILL = os.path.join(ROOT, "build", "release", "tests", "bench", "fill")
UP_S, AWAY_S = (6, 18), (1, 6)
REPLAYED = 0.3
BYTES_A_SECOND = 30000  # a bad mobile link


class Link:
    """An HTTP proxy that is cut and comes back."""

    def __init__(self, speed):
        self.speed, self.up, self.cuts, self.ended = speed, True, 0, False
        self.lock, self.open = threading.Lock(), set()
        self.replays, self.replayed = [], 0
        self.sent = 0        # bytes of bodies that left the commune
        self.bodies = {}     # length of each batch that was sent whole, by its name
        self.confirmed = 0   # bytes of batches of which it knows that they arrived
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self.listener.getsockname()[1]
        for loop in (self.accept, self.weather, self.replay):
            threading.Thread(target=loop, daemon=True).start()

    def accept(self):
        while not self.ended:
            connection, _ = self.listener.accept()
            with self.lock:
                self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def tear(self, connection):
        with self.lock:
            self.open.discard(connection)
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        connection.close()

    def weather(self):
        while not self.ended:
            time.sleep(random.uniform(*UP_S) / self.speed)
            self.up = False
            with self.lock:
                torn = list(self.open)
            for connection in torn:
                self.tear(connection)
            self.cuts += 1
            time.sleep(random.uniform(*AWAY_S) / self.speed)
            self.up = True

    def read_head(self, connection):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = connection.recv(1)
            if not byte:
                raise OSError("closed")
            head += byte
        return head

    def pace(self, size):
        time.sleep(size / (BYTES_A_SECOND * self.speed))
        if not self.up:
            raise OSError("away")

    def serve(self, connection):
        try:
            while self.up and not self.ended:
                self.one_request(connection)
        except (OSError, ValueError):
            pass
        self.tear(connection)

    def one_request(self, connection):
        head = self.read_head(connection)
        method, target = head.split(b" ")[:2]
        host, port, path = re.match(rb"http://([^:/]*):(\d+)(/.*)", target).groups()
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        want, body = int(found.group(1)) if found else 0, b""
        while len(body) < want:
            piece = connection.recv(min(2048, want - len(body)))
            if not piece:
                raise OSError("closed")
            body += piece
            self.sent += len(piece)
            self.pace(len(piece))
        request = head.replace(target, path, 1) + body
        if method == b"PUT":
            with self.lock:
                self.bodies[re.search(rb"batch/([0-9a-f]{64})", path).group(1)] = want
        if random.random() < REPLAYED and method == b"PUT":
            with self.lock:
                self.replays.append(((host.decode(), int(port)), request))
        with socket.create_connection((host.decode(), int(port)), timeout=10) as onward:
            onward.sendall(request)
            answer = self.read_head(onward)
            found = re.search(rb"(?i)content-length: *(\d+)", answer)
            left = int(found.group(1)) if found else 0
            while left > 0:
                piece = onward.recv(left)
                if not piece:
                    raise OSError("closed")
                answer += piece
                left -= len(piece)
        self.pace(len(answer))
        connection.sendall(answer)
        self.note_answer(method, path, want, answer)

    def note_answer(self, method, path, want, answer):
        """A batch is confirmed by its own answer, or, where that was lost, by have's."""
        name = re.search(rb"batch[/=]([0-9a-f]{64})", path)
        if name is None:
            return
        with self.lock:
            if answer.startswith(b"HTTP/1.1 200") and \
                    (method == b"PUT" or b'"ok":true,"batch":true' in answer):
                self.confirmed += self.bodies.pop(name.group(1), want)

    def replay(self):
        while not self.ended:
            time.sleep(random.uniform(*AWAY_S) / self.speed)
            with self.lock:
                place, request = self.replays.pop(random.randrange(len(self.replays))) \
                    if self.replays else (None, None)
            if request is None:
                continue
            try:
                with socket.create_connection(place, timeout=10) as onward:
                    onward.sendall(request)
                    self.read_head(onward)
                    self.replayed += 1
            except OSError:
                pass


class Uplink:
    def __init__(self, rig, options):
        self.rig, self.options = rig, options
        self.link = Link(options.speed)
        self.receiver_port = free_port()
        self.kills = {"sender": 0, "receiver": 0, "disk": 0}
        self.directed = 0
        self.dbs = {"sender": rig.path("commune.db"), "receiver": rig.path("province.db")}
        rig.init()
        for number in range(101, 109):
            rig.enroll("people", number, f"Người {number}", "member", 1)
        rig.enroll("province", 60, "Tỉnh", "operator", 0)
        rig.enroll(COMMUNE, 1, "UBND xã", "gateway", 0)
        rig.start_air([COMMUNE])
        rig.write_conf(COMMUNE, 1, "gateway")
        rig.start_node(COMMUNE)

    def start_sender(self):
        self.rig.start("sender", os.path.join(BIN, "keng-gateway"), "--home",
                       self.rig.homes[COMMUNE], "--db", self.dbs["sender"], "--no-console",
                       "--listen", f"127.0.0.1:{free_port()}",
                       "--push", f"http://127.0.0.1:{self.receiver_port}",
                       "--link", f"cable,proxy=http://127.0.0.1:{free_port()}",
                       "--link", f"mobile,proxy=http://127.0.0.1:{self.link.port}",
                       "--push-interval-s", f"{max(0.02, 3 / self.options.speed):.2f}",
                       "--trust", os.path.join(self.rig.desk, "commune.keng"))

    def start_receiver(self):
        self.rig.start("receiver", os.path.join(BIN, "keng-gateway"), "--db", self.dbs["receiver"],
                       "--no-console", "--listen", f"127.0.0.1:{self.receiver_port}", "--as",
                       self.rig.homes["province"], before=ignore_file_limit_signal)

    def kill(self, name):
        self.kills[name] += 1
        self.rig.stop(name, signal.SIGKILL)
        (self.start_sender if name == "sender" else self.start_receiver)()

    def fill_disk(self):
        self.kills["disk"] += 1
        size = os.path.getsize(self.dbs["receiver"] + "-wal")
        self.rig.limit_files("receiver", size + 4096)

    def add(self, count, first):
        done = subprocess.run([FILL, self.rig.homes["people"], self.rig.socket(COMMUNE),
                               str(count), str(first)], capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise Failure(done.stdout + done.stderr)

    def direct(self):
        self.directed += 1
        self.rig.run("keng-gateway", "direct", "--db", self.dbs["receiver"], "--as",
                     self.rig.homes["province"], "--commune", "01879", f"Lệnh {self.directed}")

    def directives_at_node(self):
        return sorted(r["seq"] for r in self.rig.records(COMMUNE) if r["author"] == 60)

    def held(self, name):
        """Reports by author and number in one end's ledger."""
        with sqlite3.connect(f"file:{self.dbs[name]}?mode=ro", uri=True, timeout=5) as db:
            return db.execute("SELECT author, lane, seq, variant, bytes FROM record WHERE lane = 0"
                              " ORDER BY author, seq").fetchall()

    def run(self):
        options, filed = self.options, 0
        self.start_receiver()
        self.start_sender()
        every = max(1, options.cycles // max(1, options.kills))
        full_at, full_for, kill_at = options.cycles // 3, max(3, options.cycles // 20), every
        while self.link.cuts < options.cycles:
            due = min(options.records, (self.link.cuts + 1) * options.records // options.cycles)
            if due > filed:
                self.add(due - filed, filed)
                filed = due
            if self.directed < self.link.cuts * options.directives // options.cycles:
                self.direct()
            if self.link.cuts >= kill_at:
                kill_at += every
                self.kill(random.choice(["sender", "receiver"]))
            if self.kills["disk"] == 0 and self.link.cuts >= full_at:
                self.fill_disk()
            if self.kills["disk"] == 1 and self.link.cuts >= full_at + full_for:
                self.kills["disk"] += 1
                self.rig.limit_files("receiver", None)
            time.sleep(1 / options.speed)
        if options.records > filed:
            self.add(options.records - filed, filed)
        while self.directed < options.directives:
            self.direct()
        self.rig.stop("receiver", signal.SIGKILL)
        self.start_receiver()


def soak(tap, options):
    subprocess.run(["make", "-s", os.path.relpath(FILL, ROOT)], cwd=ROOT, check=True)
    with Rig(speed=1) as rig:
        uplink = Uplink(rig, options)
        uplink.run()
        wait_for("the commune's gateway holds all", lambda: len(
            [r for r in uplink.held("sender") if r[0] > 100]) == options.records, 60)
        every = list(range(1, options.directives + 1))
        wait_for("the commune's node holds the directives",
                 lambda: uplink.directives_at_node() == every, 120)
        tap.ok(sorted(r[2] for r in uplink.held("sender") if r[0] == 60) == every,
               f"{len(every)} directives came down, each once")
        want = uplink.held("sender")
        wait_for("the province holds all", lambda: len(uplink.held("receiver")) >= len(want), 120)
        got = uplink.held("receiver")
        link = uplink.link
        tap.ok(sorted(got) == sorted(want), f"{len(want)} records: none lost, none doubled, none "
               "changed", f"{len(want)} sent, {len(got)} arrived")
        wait_for("the outbox knows it", lambda: link.confirmed > 0, 10)
        ratio = link.sent / max(1, link.confirmed)
        tap.ok(ratio <= 1.3, f"bytes sent are {ratio:.3f} of the batches' size", f"{link.sent} of "
               f"{link.confirmed}")
        tap.ok(link.replayed > 0 and uplink.kills["disk"] == 2 and
               uplink.kills["sender"] + uplink.kills["receiver"] > 0,
               f"{link.cuts} cuts, {uplink.kills['sender']} kills of the sender, "
               f"{uplink.kills['receiver']} of the receiver, the disk full once, {link.replayed} "
               "requests doubled or late")
        link.ended = True
        return [f"cuts of the link: {link.cuts} cuts ({options.cycles})",
                f"records that arrived, once each: {len(got)} records ({len(want)})",
                f"directives that came down, once each: {len(every)} directives ({len(every)})",
                f"bytes sent: {ratio:.3f} of the batches' size (1.3 at most)"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--records", type=int, default=400)
    parser.add_argument("--directives", type=int, default=6)
    parser.add_argument("--kills", type=int, default=4)
    parser.add_argument("--speed", type=float, default=40)
    options = parser.parse_args()
    tap, figures = Tap(), []
    try:
        figures = soak(tap, options)
    except Failure as error:
        tap.ok(False, f"the whole of it: {error}")
    status = tap.done()
    print("\n".join(figures))
    return status


if __name__ == "__main__":
    sys.exit(main())
