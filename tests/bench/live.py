"""live.py - 200 open live pages and 20 reports a second for a while: memory, and no update lost.

A real kengd without a modem files the reports, a real keng-gateway follows it; every page listens
to /events and, each in its turn, fetches the board again, as its script would.  Figures last.
"""
import http.client
import os
import re
import resource
import selectors
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))

from rig import BIN, Rig, free_port, wait_for  # noqa: E402

PAGES, REPORTS, PER_SECOND, MEMBER = 200, 400, 20, 101
MEMORY_GOAL_MB = 64


class Pages(threading.Thread):
    """All open pages; newest[i] is the last arrival that page i was told of."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.selector = selectors.DefaultSelector()
        self.newest = [0] * PAGES
        self.lost = 0
        self.ending = False
        for i in range(PAGES):
            s = socket.create_connection(("127.0.0.1", port), 20)
            s.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, [i, b""])

    def run(self):
        while not self.ending:
            for key, _ in self.selector.select(0.2):
                i, rest = key.data
                got = key.fileobj.recv(65536)
                if not got:
                    self.lost += 1
                    self.selector.unregister(key.fileobj)
                    continue
                *lines, key.data[1] = (rest + got).split(b"\n")
                for line in lines:
                    if line.startswith(b"data: "):
                        self.newest[i] = max(self.newest[i], int(line[6:]))


def fetch(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def body_of(value):
    """A report of one figure: code 8, a value below 64 (keng.proto, Report)."""
    return bytes([0x1A, 1, 8, 0x22, 1, 2 * (value % 64)]).hex()


def memory_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024


def measure(rig):
    rig.init("Xã Cao Minh", "01879")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    rig.enroll("commune", MEMBER, "Lý Thị Mai", "member", 1)
    rig.start_node("commune")
    port = free_port()
    rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
              "--listen", f"127.0.0.1:{port}")
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
    pages = Pages(port)
    pages.start()
    began, refused = time.monotonic(), 0
    for i in range(REPORTS):
        answer = rig.ask("commune", {"do": "submit", "kind": "damage", "author": MEMBER,
                                     "body": body_of(i)})
        refused += not answer["ok"]
        if i % 10 == 0:
            fetch(port)
        time.sleep(max(0.0, began + (i + 1) / PER_SECOND - time.monotonic()))
    took_s = time.monotonic() - began
    last = [0]

    def all_told():
        last[0] = max(int(n) for n in re.findall(r"/record\?arrival=(\d+)", fetch(port)))
        return f"{MEMBER}-{REPORTS}<" in fetch(port) and min(pages.newest) >= last[0]

    try:
        wait_for("every page knows of the last report", all_told, 60, 1)
    except Exception as error:  # the figures say it
        print(f"# {error}")
    pages.ending = True
    behind = sum(newest < last[0] for newest in pages.newest) + pages.lost
    peak_mb = memory_mb(rig.processes["console"].pid)
    print(f"reports filed: {REPORTS - refused} ({REPORTS}), {REPORTS / took_s:.1f} a second")
    print(f"open pages that lost an update: {behind} of {PAGES} (0)")
    print(f"memory at most: {peak_mb:.1f} MB ({MEMORY_GOAL_MB})")
    return refused == 0 and behind == 0 and peak_mb < MEMORY_GOAL_MB


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard) if soft < 4096
                       else (soft, hard))
    with Rig(speed=1) as rig:
        return 0 if measure(rig) else 1


if __name__ == "__main__":
    sys.exit(main())
