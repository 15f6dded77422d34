"""console_attacks.py - strangers, the wrong role and broken readers at the console (TAP).

The real program on a real port, with operators and a commune, without a radio.  The pages and
forms that are attacked are those of the console's own table of routes, so that a new one is not
forgotten.  After each attack the console must answer its operator.  Lines "# figure:" are for the
campaign.

usage: console_attacks.py [--tries N]   log-in tries; 300 unless told
"""
import argparse
import http.client
import os
import re
import shutil
import socket
import sys
import time
import urllib.parse

from crowd import Crowd, get as crowd_get
from console_review import PASSPHRASE, Desk, add_operator
from rig import BIN, ROOT, Rig, free_port, tap_main, wait_for

OPERATORS = {"xem": "view", "duyet": "review", "ky": "sign", "lan": "admin"}
RANKS = ["nobody", "view", "review", "sign", "admin"]
OWN_FORMS = {"/login", "/logout", "/account"}  # of everybody; all others change what others see
STRANGER, KNOWN, NEWCOMER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
TLS_TALES = ["half a handshake", "nothing at all"]
PATHS = ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
         "//etc/passwd", "/style.css/../people", "/people%00.css", "/people%00", "/./people",
         "/people/", "/PEOPLE", "/quick/export?id=../../x&as=../../etc/passwd",
         "/quick/export?id=1&as=csv%00.xlsx", "/map/tile?z=../..&x=..&y=..",
         "/map/layer?n=../../../etc/passwd", "/v1/batch/../../people",
         "/\\..\\..\\etc\\passwd", "http://127.0.0.1/people", "/people;/login", "/login/../people",
         "/%70eople", "/%2570eople", "/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", "/people%0d%0aX: y",
         "/\x7fpeople", "*", "people", "/people?%00", "/people#/login"]


def routes():
    """Method, path and the role that it takes, as the program has them."""
    with open(os.path.join(ROOT, "gateway", "console.c"), encoding="utf-8") as file:
        found = re.findall(r'\{ HTTP_(GET|POST), "([^"]+)", ACCESS_(\w+),', file.read())
    return [(method, path, role.lower()) for method, path, role in found]


class Attacked:
    """A commune's console whose box is switched off, with an operator of each role."""

    def __init__(self, tap, rig):
        self.tap, self.rig, self.answer_count = tap, rig, 0
        rig.init("Xã Cao Minh", "01879")
        rig.enroll("commune", 1, "UBND xã", "gateway", 0)
        shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
        for login, role in OPERATORS.items():
            add_operator(rig, login, role, "Người " + login)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
                  "--listen", f"127.0.0.1:{self.port}")
        wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
        self.desks = {login: Desk(self.base) for login in OPERATORS}
        for login, desk in self.desks.items():
            desk.log_in(login)
        self.lan = self.desks["lan"]

    def ask(self, path, data=None, headers=None, source="127.0.0.1", method=None):
        """Status, headers and text of one request as it is; (0, {}, "") when it was cut off."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20,
                                                source_address=(source, 0))
        connection._validate_path = lambda url: None  # what a library would not send, too
        connection._encode_request = lambda request: request.encode()
        try:
            connection.putrequest(method or ("GET" if data is None else "POST"), path)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            if data is not None:
                connection.putheader("Content-Type", "application/x-www-form-urlencoded")
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders()
            if data is not None:
                connection.send(data)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return 0, {}, ""
        finally:
            connection.close()

    def cookie(self, login):
        return {"Cookie": "keng=" + cookie_of(self.desks[login])["keng"]}

    def token(self, headers=None):
        """The token of a page's forms; without a session the one of the log-in."""
        page = self.ask("/directives" if headers else "/login", headers=headers)[2]
        return re.search(r'name="token" value="([^"]+)"', page)[1]

    def memory_kb(self):
        with open(f"/proc/{self.rig.processes['console'].pid}/status", encoding="ascii") as file:
            return int(re.search(r"VmRSS:\s+(\d+)", file.read())[1])

    def done(self, attack, tried, bad, words="refused"):
        """One attack is over: what came through, and does the console answer its operator?"""
        answered = "/directives" in self.lan.get("/")
        self.answer_count += answered
        self.tap.ok(not bad and tried and answered, f"{attack}: {tried} {words}",
                    "\n".join(map(str, bad)) or f"the console answers: {answered}")
        self.tap.note(f"figure: attack, {attack}: {tried - len(bad)} {words} ({tried})")


def cookie_of(desk):
    handler = next(h for h in desk.opener.handlers if hasattr(h, "cookiejar"))
    return {c.name: c.value for c in handler.cookiejar}


def no_session(a):
    """Every page and form, with nothing and with what only looks like a session."""
    over = Desk(a.base)
    over.log_in("lan")
    gone = {"Cookie": "keng=" + cookie_of(over)["keng"]}
    over.post("/", "/logout")
    cookies = [{}, {"Cookie": "keng="}, {"Cookie": "keng=" + "0" * 64}, gone,
               {"Cookie": "keng=" + "a" * 4000}, {"Cookie": gone["Cookie"] + "; " * 50 + "keng"}]
    tried, bad, token = 0, [], a.token()
    for method, path, role in routes():
        if role == "nobody":
            continue
        for headers in cookies:
            if method == "GET":
                asked = [a.ask(path, headers=headers), a.ask(path, headers=headers, method="HEAD")]
            else:
                asked = [a.ask(path, f"token={t}&arrival=1&state=1".encode(), headers)
                         for t in (token, "0" * 64, "")]
            for status, got, text in asked:
                good = status == 303 and got["Location"] == "/login" and not text
                tried += 1
                if not good and not (method == "POST" and status == 403):
                    bad.append(f"{method} {path} {headers}: {status}")
    a.done("no session", tried, bad)


def wrong_role(a):
    """Each form and page by each who may not, with everything else in order."""
    tried, bad = 0, []
    tokens = {login: a.token(a.cookie(login)) for login in OPERATORS}
    for method, path, role in routes():
        if method == "POST" and path not in OWN_FORMS and RANKS.index(role) < 2:
            bad.append(f"{path}: who may only look may send it")
        for login, has in OPERATORS.items():
            may = RANKS.index(has) >= RANKS.index(role)
            if path == "/events" or (may and method == "POST"):
                continue
            form = f"token={tokens[login]}&arrival=1&state=1".encode() if method == "POST" else None
            status = a.ask(path, form, a.cookie(login))[0]
            tried += not may
            if (status == 403) == may:
                bad.append(f"{method} {path} by {login}: {status}")
    a.done("wrong role", tried, bad)


def forged_forms(a):
    """Every form, log-in and log-out too, as another page or another session would send it."""
    cookie, tried, bad = a.cookie("lan"), 0, []
    own, other = a.token(cookie), a.token(a.cookie("duyet"))
    tricks = [(other, {}), (own[::-1], {}), (own[:-1], {}), (own + "0", {}), ("", {}),
              (None, {}), (a.token(), {}), (own, {"Origin": "http://evil.example"}),
              (own, {"Origin": "null"}), (own, {"Origin": a.base + ".evil.example"}),
              (own, {"Origin": a.base.replace("http", "https")}),
              (own, {"Sec-Fetch-Site": "cross-site"}), (own, {"Sec-Fetch-Site": "same-site"})]
    for method, path, _ in routes():
        for token, extra in tricks if method == "POST" else []:
            form = "arrival=1&state=1&login=lan&passphrase=x&verb=off"
            form = form if token is None else f"{form}&token={token}"
            status = a.ask(path, form.encode(), {**cookie, **extra})[0]
            tried += 1
            if status != 403:
                bad.append(f"{path} with {str(token)[:8]} {extra}: {status}")
    a.done("forged form", tried, bad)


def session_fixation(a):
    """A session that a stranger chose or saw is none, before log-in and after it."""
    def log_in(path, cookie):
        form = {"token": a.token(cookie) if cookie == live else
                re.search(r'name="token" value="([^"]+)"', a.ask("/login", headers=cookie)[2])[1],
                "login": "lan", "passphrase": PASSPHRASE, "keng": "ab" * 32}
        status, headers, _ = a.ask(path, urllib.parse.urlencode(form).encode(), cookie)
        return status, (headers["Set-Cookie"] or "").split(";")[0]

    live, tried, bad = None, 0, []
    chosen = "keng=" + "ab" * 32
    for path, cookie in (("/login", chosen), ("/login?keng=" + "ab" * 32, "x=y"),
                         ("/login", chosen + "; " + chosen), ("/login", "__Host-" + chosen)):
        status, given = log_in(path, {"Cookie": cookie})
        tried += 1
        if status != 303 or given == chosen or a.ask("/", headers={"Cookie": chosen})[0] != 303 or \
                a.ask("/", headers={"Cookie": given})[0] != 200:
            bad.append(f"{path} {cookie}: {status} {given}")
    live = {"Cookie": given}
    status, again = log_in("/login", live)  # who logs in once more leaves no session behind
    tried += 1
    if status != 303 or a.ask("/", headers=live)[0] != 303:
        bad.append(f"the session before goes on: {status} {again}")
    a.done("session fixation", tried, bad)


def path_tricks(a):
    tried, bad = 0, []
    for headers in ({}, a.cookie("xem")):
        for path in PATHS:
            status, got, text = a.ask(path, headers=headers)
            tried += 1
            if status == 200 or "root:" in text or "Người lan" in text or "X" in (got or {}):
                bad.append(f"{path}: {status}")
    a.done("path tricks", tried, bad)


def odd_forms(a):
    """Requests between two readings of HTTP: what was sent, which answers are right.  None may hide
    a second request from whoever stands between, and none may say whose name we answer to."""
    cookie, token = a.cookie("lan")["Cookie"], a.token(a.cookie("lan"))
    host, hidden = "Host: 127.0.0.1\r\n", f"GET /people HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: " \
        f"{cookie}\r\n\r\n"
    post, chunked = f"POST /send-now HTTP/1.1\r\n{host}", "Transfer-Encoding: chunked\r\n"
    get, form = f"GET / HTTP/1.1\r\nCookie: {cookie}\r\n", f"token={token}"
    return [
        (f"{post}Content-Length: 5\r\n{chunked}\r\n0\r\n\r\n{hidden}", {403}),
        (f"{post}Content-Length: 3\r\nContent-Length: {3 + len(hidden)}\r\n\r\na=b{hidden}",
         {400, 403}),
        (f"{post}Content-Length: 3, 3\r\n\r\na=b{hidden}", {400}),
        (f"{post}Content-Length: -3\r\n\r\na=b{hidden}", {400}),
        (f"{post}Content-Length: +3\r\n\r\na=b{hidden}", {400}),
        (f"{post}Content-Length: 0x3\r\n\r\na=b{hidden}", {400}),
        (f"{post}Content-Length: {'9' * 30}\r\n\r\na=b", {400, 413}),
        (f"{post}Content-Length: {2 ** 64 - 1}\r\n\r\na=b", {400, 413}),
        (f"{post}{chunked}{chunked}\r\n3\r\na=b\r\n0\r\n\r\n{hidden}", {400, 403}),
        (f"{post}{chunked}\r\n-1\r\na=b\r\n0\r\n\r\n", {400}),
        (f"{post}{chunked}\r\n1{'f' * 18}\r\na=b\r\n0\r\n\r\n", {400, 413}),
        (f"{post}{chunked}\r\n3\r\na=bZZ0\r\n\r\n", {400}),
        (f"{post}{chunked}\r\n0\r\nHost: evil\r\nCookie: x\r\n\r\n{hidden}", {403}),
        (f"{post}{chunked}\r\n0\r\n" + "X: y\r\n" * 20000, {400, 431}),
        (f"{post}{chunked}\r\n" + "1\r\na\r\n" * 60000 + "0\r\n\r\n", {400, 413}),
        (f"{post}Cookie: {cookie}\r\nContent-Length: {len(form) + 4}\r\n\r\n{form}\0&a=", {400}),
        (f"{post}Cookie: {cookie}\r\nContent-Length: {len(form) + 6}\r\n\r\n{form}&a=%zz", {400}),
        (f"{get}\r\n", {400}), (f"{get}Host: \r\n\r\n", {421}),
        (f"{get}Host: evil.example\r\n\r\n", {421}),
        (f"{get}Host: 127.0.0.1.evil\r\n\r\n", {421}),
        (f"{get}Host: evil@127.0.0.1\r\n\r\n", {421}), (f"{get}Host: [::1\r\n\r\n", {421}),
        (f"{get}Host: 127.0.0.1 evil\r\n\r\n", {421}), (f"{get}Host: <q>\r\n\r\n", {421}),
        (f"{get}Host: evil.example\r\n{host}\r\n", {400, 421}),
        (f"{get}{host}Host: evil.example\r\n\r\n", {400, 421}),
        (f"GET http://evil.example/ HTTP/1.1\r\nCookie: {cookie}\r\n{host}\r\n", {400, 404, 421}),
        ("GET / HTTP/1.0\r\n\r\n", {421}), (f"GET / HTTP/9.9\r\n{host}\r\n", {505}),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}), ("GET /people\r\n\r\n", {400}),
        *((f"{verb} /people HTTP/1.1\r\n{host}Cookie: {cookie}\r\n\r\n", {405})
          for verb in ("TRACE", "OPTIONS", "CONNECT", "DELETE", "PUT", "get", "A" * 30000)),
        (f"{get}{host}Connection: close\r\nCookie : keng=x\r\n: x\r\n\r\n", {200, 303, 400})]


def raw(port, request):
    """The statuses of all answers to these bytes, in as long as a person waits."""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        text = b""
        try:
            s.sendall(request.encode())
            s.settimeout(0.3)  # what is kept open says nothing more
            while (more := s.recv(1 << 16)):
                text += more
                if b"\r\n\r\n" in text:
                    s.settimeout(0.05)
        except OSError:
            pass
        return [int(n) for n in re.findall(rb"^HTTP/1\.[01] (\d+)", text, re.M)]


def odd_requests(a):
    """The library may say twice that it does not understand; it then closes."""
    cases, bad = odd_forms(a), []
    for request, right in cases:
        got = raw(a.port, request)
        if not set(got) <= right or len(got) > 1 and got != [got[0]] * 2:
            bad.append(f"{request[:150]!r}: {got}, not {right}")
    a.done("odd requests", len(cases), bad)


def oversized(a):
    """Too long in every way; a cut connection is a refusal, too."""
    cookie = a.cookie("xem")["Cookie"]
    fields = b"&".join(b"a%d=1" % i for i in range(1000000))
    part = b"--x\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n"
    bad, cases = [], [
        ("/login", None, {"X-Long": "x" * 200000}),
        ("/login", None, {"Cookie": "a=" + "b" * 100000}),
        ("/", None, {"Cookie": cookie + "; a=" * 20000}), ("/login?" + "a" * 100000, None, {}),
        ("/?" + "&".join(f"a{i}=1" for i in range(9000)), None, {"Cookie": cookie}),
        ("/login", None, {f"X-{i}": "1" for i in range(5000)}),
        ("/login", b"a=" + b"x" * (2 << 20), {}), ("/login", fields, {}),
        ("/login", fields[:47000], {}),
        ("/login", part + b"y" * (8 << 20), {"Content-Type": "multipart/form-data; boundary=x"}),
        ("/login", b"a" * 49000, {})]
    for path, data, headers in cases:
        status = a.ask(path, data, headers)[0]
        if status not in (0, 400, 403, 413, 414, 431, 494):
            bad.append(f"{path[:20]} {len(data or b'')} {str(headers)[:30]}: {status}")
    a.done("oversized requests", len(cases), bad)


def crowds(a, port, asked, tls=False, address_counts=(3, 10, 50)):
    """Three, ten, fifty addresses hold all the connections they can get, and come again when they
    are dropped.  Everybody else is answered; the deadline is a person's patience."""
    late = []
    for count in address_counts:
        with Crowd(port, count, 900, TLS_TALES if tls else None) as crowd:
            deadline = time.monotonic() + 3
            while crowd.dropped.value < 300 and time.monotonic() < deadline:
                time.sleep(0.05)
            for who, path, source, headers, want in asked:
                status, took_s = crowd_get(port, path, source, headers, tls)
                if status != want:
                    late.append(f"{count} addresses, {who}: {status} after {took_s:.1f} s")
    return len(address_counts) * len(asked), late


def slow_requests(a):
    """A crowd at each of our servers: some say a byte now and then, some never read."""
    rig, cookie = a.rig, f"Cookie: {a.cookie('lan')['Cookie']}\r\n"
    crowd_get(a.port, "/", KNOWN, cookie)
    tried, late = crowds(a, a.port, [("the desk", "/", "127.0.0.1", cookie, 200),
                                     ("a known address", "/directives", KNOWN, cookie, 200),
                                     ("somebody new", "/login", NEWCOMER, "", 200)])
    rig.run("keng", "cert", "--dir", rig.desk, "--out", rig.path("tls"), "127.0.0.1")
    secure, books = free_port(), free_port()
    rig.start("receiver", os.path.join(BIN, "keng-gateway"), "--db", rig.path("receiver.db"),
              "--trust", os.path.join(rig.desk, "commune.keng"), "--listen", f"127.0.0.1:{secure}",
              "--no-console", "--tls-cert", rig.path("tls", "server.crt"), "--tls-key",
              rig.path("tls", "server.key"))
    wait_for("receiver listens", lambda: "listening" in rig.log_tail("receiver"), 15)
    rig.start("books", os.path.join(BIN, "keng-province"), "serve", "--db", rig.path("receiver.db"),
              "--listen", f"127.0.0.1:{books}")
    wait_for("books listens", lambda: "http://" in rig.log_tail("books"), 15)
    # 400: a question without a nonce is answered, if only so.
    for port, asked, tls, counts in (
            (secure, [("a commune", "/v1/have", NEWCOMER, "", 400)], True, (3, 50)),
            (books, [("the province's desk", "/", "127.0.0.1", "", 200)], False, (3,))):
        more, later = crowds(a, port, asked, tls, counts)
        tried, late = tried + more, late + later
    late += [f"{name} does not end in order" for name in ("receiver", "books")
             if rig.stop(name) != 0]
    a.done("slow requests", tried, late, "others answered meanwhile")


def hanging_readers(a):
    """Somebody inside opens every page many times over, and live pages without end, and reads
    nothing of it."""
    cookie, held, bad = a.cookie("xem")["Cookie"], [], []
    pages = [path for method, path, role in routes() if method == "GET" and role == "view"]
    for path in pages * 20 + ["/events"] * 300:
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        s.settimeout(5)
        s.bind((KNOWN, 0))
        s.connect(("127.0.0.1", a.port))
        ask = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n".encode()
        try:
            s.sendall(ask * (1 if path == "/events" else 20))
        except OSError:
            pass  # dropped already
        held.append(s)
    lan = f"Cookie: {a.cookie('lan')['Cookie']}\r\n"
    for path, source in (("/", "127.0.0.1"), ("/totals", KNOWN), ("/people", "127.0.0.1")):
        status, took_s = crowd_get(a.port, path, source, lan)
        if status != 200:
            bad.append(f"{path}: {status} after {took_s:.1f} s")
    a.done("readers that hang", len(held), bad, "held, others answered")
    for s in held:
        s.close()


def guesses(a, count):
    """From 500 addresses.  This machine, and an address that logged in before, come in all the
    while; strangers would have to wait, even with the right words."""
    def log_in(words, source, login="lan"):
        form = urllib.parse.urlencode({"token": token, "login": login, "passphrase": words})
        status, headers, _ = a.ask("/login", form.encode(), source=source)
        return status, "keng=" in (headers.get("Set-Cookie") or "")

    token, bad, before_kb = a.token(), [], 0
    if log_in(PASSPHRASE, KNOWN)[0] != 303:
        bad.append("the known address does not get known")
    for i in range(count):
        status, welcome = log_in(f"guess number {i}", f"127.1.{i // 250 % 2}.{1 + i % 250}",
                                 ("lan", "xem", "root", "<b>")[i % 4])
        if status != 403 or welcome:
            bad.append(f"guess {i}: {status}")
        if i == count // 10:
            before_kb = a.memory_kb()
        if i % (count // 5) == count // 10:
            for who in ("127.0.0.1", KNOWN):
                if log_in(PASSPHRASE, who)[0] != 303:
                    bad.append(f"{who} is locked out at guess {i}")
    if log_in(PASSPHRASE, NEWCOMER)[0] != 403:
        bad.append("strangers' tries are not counted together")
    more_kb = a.memory_kb() - before_kb
    if more_kb > 4096:
        bad.append(f"they cost {more_kb} kB of memory")
    a.done("log-in tries", count, bad)


def attacks(tap):
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--tries", type=int, default=300)
    tries = parser.parse_args().tries
    tap.ok(len(routes()) >= 25, f"the console's {len(routes())} routes are found")
    with Rig() as rig:
        began, a = time.monotonic(), Attacked(tap, rig)
        scenes = (no_session, wrong_role, forged_forms, session_fixation, path_tricks,
                  odd_requests, oversized,
                  slow_requests, hanging_readers, lambda a: guesses(a, tries))
        for scene in scenes:
            scene(a)
        said, periods = rig.log_tail("console", 100000).count("\n"), (time.monotonic() - began) / 15
        tap.ok(said < 50 + 21 * (periods + 2), f"the console said {said} lines of all that")
        tap.ok(rig.alive("console") and rig.stop("console") == 0, "the console stayed up")
        tap.note(f"figure: console answers after an attack: {a.answer_count} attacks "
                 f"({len(scenes)})")


if __name__ == "__main__":
    sys.exit(tap_main(attacks))
