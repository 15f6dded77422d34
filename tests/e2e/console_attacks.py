"""console_attacks.py - strangers, the wrong role and broken readers at the console (TAP).

The real program on a real port, with operators and a commune, without a radio.  After each attack
the console must answer its operator at once.
"""
import http.client
import os
import re
import shutil
import sys
import time
import urllib.request

from crowd import Crowd
from crowd import get as crowd_get
from console_review import PASSPHRASE, Desk, add_operator
from rig import BIN, Rig, free_port, tap_main, wait_for

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
PAGES = ["/", "/directives", "/cap", "/cap/alert?arrival=1", "/totals", "/figure?commune=1",
         "/quick", "/quick/read?id=1", "/quick/export?id=1&as=csv", "/map", "/map/points",
         "/map/layer?id=0",
         "/map/tile?z=1&x=0&y=0", "/nodes", "/people", "/events", "/record?arrival=1"]
TLS_TALES = ["half a handshake", "nothing at all"]
STRANGER, KNOWN, NEWCOMER = "127.0.0.2", "127.0.0.3", "127.0.0.4"
FORMS = ["/directives", "/cap", "/quick", "/quick/sign", "/review", "/send-now"]
PATHS = ["/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
         "//etc/passwd",
         "/style.css/../people", "/people%00.css", "/./people", "/people/", "/PEOPLE",
         "/quick/export?id=../../x&as=../../etc/passwd", "/map/tile?z=../..&x=..&y=..",
         "/map/layer?id=../../../etc/passwd", "/v1/batch/../../people", "/\\..\\..\\etc\\passwd",
         "http://127.0.0.1/people", "/people;/login", "/login/../people", "/%70eople"]


def start_console(rig):
    """The console of a commune whose box is switched off."""
    rig.init("Xã Cao Minh", "01879")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
    with open(os.path.join(rig.homes["commune"], "villages.csv"), "w", encoding="utf-8") as file:
        file.write('number,name,lat,lon,households,people\n'
                   '1,"<script>alert(3)</script>",22.1,105.9,1,1\n')
    add_operator(rig, "lan", "admin", "Lan " + EVIL.replace('"', ""))
    add_operator(rig, "xem", "view", "Người xem")
    port = free_port()
    rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
              "--listen", f"127.0.0.1:{port}")
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
    return port


def ask(port, path, data=None, headers=None, source="127.0.0.1"):
    """Status, headers and text of one request as it is, without any help of a library's."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20,
                                            source_address=(source, 0))
    try:
        connection.putrequest("POST" if data is not None else "GET", path, skip_host=False)
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
    finally:
        connection.close()


def cookie_of(desk):
    handler = next(h for h in desk.opener.handlers if hasattr(h, "cookiejar"))
    return {c.name: c.value for c in handler.cookiejar}


def check_strangers(tap, port):
    wrong = [p for p in PAGES for s, h, t in [ask(port, p)]
             if s != 303 or h["Location"] != "/login" or t]
    tap.ok(not wrong, f"without a session {len(PAGES)} pages say nothing", str(wrong))
    form = b"token=" + b"0" * 64 + b"&state=1&arrival=1"
    wrong = [p for p in FORMS if ask(port, p, form)[0] != 403]
    tap.ok(not wrong, f"and {len(FORMS)} forms are refused", str(wrong))
    wrong = []
    for path in PATHS:
        status, _, text = ask(port, path)
        if "root:" in text or status == 200 or "Lan" in text:
            wrong.append(f"{path}: {status}")
    tap.ok(not wrong, f"{len(PATHS)} tricks with paths lead nowhere", "\n".join(wrong))


def check_sessions(tap, port, base):
    """A session that a stranger chose is none, before log-in and after it."""
    chosen = "keng=" + "ab" * 32
    status, headers, text = ask(port, "/login", headers={"Cookie": chosen})
    token = re.search(r'name="token" value="([^"]+)"', text)[1]
    form = f"token={token}&login=lan&passphrase={urllib.request.quote(PASSPHRASE)}".encode()
    status, headers, _ = ask(port, "/login", form, {"Cookie": chosen})
    given = (headers["Set-Cookie"] or "").split(";")[0]
    tap.ok(status == 303 and given.startswith("keng=") and given != chosen and
           ask(port, "/", headers={"Cookie": given})[0] == 200 and
           ask(port, "/", headers={"Cookie": chosen})[0] == 303,
           "a session chosen by somebody else is not taken over", f"{status} {given}")
    lan, xem = Desk(base), Desk(base)
    lan.log_in("lan")
    xem.log_in("xem")
    own = re.search(r'name="token" value="([^"]+)"', lan.get("/directives"))[1]
    other = re.search(r'name="token" value="([^"]+)"', xem.get("/"))[1]
    cookie = {"Cookie": "keng=" + cookie_of(lan)["keng"]}
    body = "text=x&village=0&role=0&person=0&hours=6&priority=3&token="
    tricks = [(other, {}), (own[::-1], {}), ("", {}), (own, {"Origin": "http://evil.example"}),
              (own, {"Origin": "null"}), (own, {"Sec-Fetch-Site": "cross-site"}),
              (own, {"Sec-Fetch-Site": "same-site"})]
    got = [ask(port, "/directives", (body + token).encode(), {**cookie, **extra})[0]
           for token, extra in tricks]
    tap.ok(got == [403] * len(tricks), "forged forms are refused", str(got))
    cookie = {"Cookie": "keng=" + cookie_of(xem)["keng"]}
    got = [ask(port, path, (body + other).encode(), cookie)[0] for path in FORMS]
    tap.ok(got == [403] * len(FORMS) and ask(port, "/people", headers=cookie)[0] == 403,
           "who may only look can only look", str(got))
    return lan


def check_markup(tap, lan):
    """Everything that can be typed is shown as text."""
    lan.post("/directives", "/directives", text=EVIL, village="1", role="0", person="0", hours="6",
             priority="1")
    quick = {name: EVIL for name in ("course", "isolated", "response", "wants")}
    lan.post("/quick", "/quick", event="0", basis="received", hazard="1", **quick)
    shown = [lan.get(page) for page in ("/", "/directives", "/quick", "/quick/read?id=1", "/people",
                                        "/nodes", "/totals", "/map", "/record?arrival=1")
             if page != "/record?arrival=1"]
    shown.append(lan.post("/cap", "/cap", xml=EVIL)[1])
    shown.append(lan.get("/?words=" + urllib.request.quote(EVIL)))
    shown.append(lan.get("/directives?template=" + urllib.request.quote(EVIL)))
    bad = [re.search(r"<script>alert|<img src=x", text) for text in shown]
    held = sum("&lt;script&gt;alert" in text for text in shown)
    tap.ok(not any(bad) and held >= 6, f"markup stored in every field stays text ({held} pages)",
           str([i for i, b in enumerate(bad) if b]))


def answers(lan):
    began = time.monotonic()
    good = "/directives" in lan.get("/")
    return good and time.monotonic() - began < 15


def check_sizes(tap, port, lan):
    status = []
    for data, headers in ((b"", {"X-Long": "x" * 200000}), (b"a=" + b"x" * (2 << 20), {}),
                          (b"&".join(b"a%d=1" % i for i in range(5000)), {})):
        try:
            status.append(ask(port, "/login", data, headers)[0])
        except (OSError, http.client.HTTPException):
            status.append(0)  # cut off
    tap.ok(all(s in (0, 400, 403, 413, 431) for s in status) and answers(lan),
           "requests too long are refused", str(status))


def check_crowds(tap, what, port, asked, tls=False, address_counts=(3, 10, 50)):
    """Three, ten, fifty addresses hold all the connections they can get, and come again when they
    are dropped.  Everybody else is answered at once; the deadline is a person's patience."""
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
    tap.ok(not late, f"{what}: crowds of {', '.join(map(str, address_counts))} addresses keep "
           f"nobody of {len(asked)} out", "\n".join(late))


def check_slow(tap, rig, port, lan):
    """A crowd at each of our servers: some say a byte now and then, some never read."""
    cookie = f"Cookie: keng={cookie_of(lan)['keng']}\r\n"
    people = [("the desk", "/", "127.0.0.1", cookie, 200),
              ("a known address", "/directives", KNOWN, cookie, 200),
              ("somebody new", "/login", NEWCOMER, "", 200)]
    crowd_get(port, "/", KNOWN, cookie)
    check_crowds(tap, "console", port, people)
    tap.ok(answers(lan), "and the operator's browser goes on")
    rig.run("keng", "cert", "--dir", rig.desk, "--out", rig.path("tls"), "127.0.0.1")
    secure, books = free_port(), free_port()
    rig.start("receiver", os.path.join(BIN, "keng-gateway"), "--db", rig.path("receiver.db"),
              "--trust", os.path.join(rig.desk, "commune.keng"), "--listen", f"127.0.0.1:{secure}",
              "--no-console", "--tls-cert", rig.path("tls", "server.crt"), "--tls-key",
              rig.path("tls", "server.key"))
    rig.start("books", os.path.join(BIN, "keng-province"), "serve", "--db", rig.path("receiver.db"),
              "--listen", f"127.0.0.1:{books}")
    for name, sign in (("receiver", "listening"), ("books", "http://")):
        wait_for(f"{name} listens", lambda: sign in rig.log_tail(name), 15)
    # 400: a question without a nonce is answered, if only so.
    check_crowds(tap, "receiver over TLS", secure, [("a commune", "/v1/have", NEWCOMER, "", 400)],
                 True, (3, 50))
    check_crowds(tap, "the books", books, [("the province's desk", "/", "127.0.0.1", "", 200)],
                 address_counts=(3,))
    tap.ok(all(rig.stop(name) == 0 for name in ("receiver", "books")), "and both end in order")


def check_guesses(tap, port, base, lan):
    """Ten thousand are tried in the unit tests, with a clock of their own."""
    page = ask(port, "/login", source=STRANGER)[2]
    token = re.search(r'name="token" value="([^"]+)"', page)[1]
    got = {}
    for i in range(300):
        form = f"token={token}&login=lan&passphrase=guess+number+{i}".encode()
        status = ask(port, "/login", form, source=STRANGER)[0]
        got[status] = got.get(status, 0) + 1
    fresh = Desk(base)
    tap.ok(set(got) <= {403} and answers(lan) and fresh.log_in("lan")[0] == 200,
           "300 guesses of a stranger open nothing and lock nobody out", str(got))


def attacks(tap):
    with Rig() as rig:
        port = start_console(rig)
        base = f"http://127.0.0.1:{port}"
        check_strangers(tap, port)
        lan = check_sessions(tap, port, base)
        check_markup(tap, lan)
        check_sizes(tap, port, lan)
        check_slow(tap, rig, port, lan)
        check_guesses(tap, port, base, lan)
        tap.ok(rig.alive("console") and rig.stop("console") == 0, "the console stayed up")


if __name__ == "__main__":
    sys.exit(tap_main(attacks))
