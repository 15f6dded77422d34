"""console_people.py - operators are added, changed and switched off at the console itself (TAP).

The real program on a real port, first without an operator, then guarded; the forms that a browser
without a script would send.
"""
import os
import subprocess
import sys

from console_review import PASSPHRASE, Desk
from rig import BIN, Rig, free_port, tap_main, wait_for

NEW = "năm từ khác hẳn trước đây"


def start_console(rig):
    rig.init("Xã Cao Minh", "01879")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    port = free_port()
    rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
              "--listen", f"127.0.0.1:{port}")
    wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
    return f"http://127.0.0.1:{port}"


def operators(rig):
    done = subprocess.run([os.path.join(BIN, "keng-gateway"), "operator", "list", "--home",
                           rig.homes["commune"]], capture_output=True, encoding="utf-8",
                          env=rig.env, timeout=30, check=True)
    return done.stdout.splitlines()


def audit(rig):
    return subprocess.run([os.path.join(BIN, "keng-gateway"), "audit", "--home",
                           rig.homes["commune"]], capture_output=True, encoding="utf-8",
                          env=rig.env, timeout=30, check=False)


def change(desk, verb, **fields):
    """The form of the page that holds this button."""
    return desk.post("/people", "/people", has=f'value="{verb}"', verb=verb, **fields)


def is_in(desk):
    """Anything but the log-in page."""
    return 'action="/login"' not in desk.get("/")


def check_first(tap, rig, base):
    anybody = Desk(base)
    status, _ = change(anybody, "add", login="lan", name="Lan", role="view", new=PASSPHRASE)
    tap.ok(status == 400 and not operators(rig), "the first operator must administer", str(status))
    status, text = change(anybody, "add", login="lan", name="Nguyễn Thị Lan", role="admin",
                          new=PASSPHRASE)
    tap.ok(status == 200 and 'action="/login"' in text and
           operators(rig) == ["1 lan admin Nguyễn Thị Lan"], "the first one is added by the page, "
           "which then asks who one is", "\n".join(operators(rig)))
    tap.ok(not is_in(anybody), "who was not asked before is asked now")


def check_accounts(tap, rig, base):
    lan, pao = Desk(base), Desk(base)
    lan.log_in("lan")
    fresh = {"login": "pao", "name": "Vàng A Páo", "role": "review", "new": PASSPHRASE}
    status, text = change(lan, "add", **fresh, passphrase="not her passphrase")
    tap.ok(status == 400 and 'role="alert"' in text and len(operators(rig)) == 1,
           "a session left open adds nobody: the own passphrase is asked", str(status))
    status, _ = change(lan, "add", **fresh, passphrase=PASSPHRASE)
    tap.ok(status == 200 and operators(rig)[1:] == ["2 pao review Vàng A Páo"],
           "with it an operator is added", "\n".join(operators(rig)))
    for wrong in ({"login": "Páo"}, {"new": "ngắn"}, {"role": "king"}, {"name": ""},
                  {"login": "pao"}, {"login": "a", "name": "x\ny"}):
        status, _ = change(lan, "add", **{**fresh, "login": "moi", **wrong}, passphrase=PASSPHRASE)
        tap.ok(status == 400 and len(operators(rig)) == 2, f"refused: {wrong}", str(status))
    pao.log_in("pao")
    tap.ok(is_in(pao), "who was added logs in")
    change(lan, "role", login="pao", role="sign", passphrase=PASSPHRASE)
    tap.ok(operators(rig)[1] == "2 pao sign Vàng A Páo", "his role is changed",
           "\n".join(operators(rig)))
    status, _ = change(lan, "off", login="lan", passphrase=PASSPHRASE)
    tap.ok(status == 400 and is_in(lan), "the last who administers is not switched off")

    status, _ = pao.post("/account", "/account", passphrase=PASSPHRASE, new=NEW, again=NEW + "x")
    tap.ok(status == 400, "a new passphrase is typed twice the same", str(status))
    status, _ = pao.post("/account", "/account", passphrase=NEW, new=NEW, again=NEW)
    tap.ok(status == 400, "and the old one is asked", str(status))
    second = Desk(base)
    second.log_in("pao")
    pao.post("/account", "/account", passphrase=PASSPHRASE, new=NEW, again=NEW)
    tap.ok(not is_in(pao) and not is_in(second), "a new passphrase ends all his sessions")
    pao.log_in("pao")
    tap.ok(not is_in(pao), "the old one opens nothing")
    pao.log_in("pao", NEW)
    tap.ok(is_in(pao), "the new one does")
    change(lan, "off", login="pao", passphrase=PASSPHRASE)
    tap.ok(not is_in(pao) and operators(rig)[1] == "2 pao sign (off) Vàng A Páo",
           "who is switched off is out at the next click", "\n".join(operators(rig)))
    change(lan, "on", login="pao", passphrase=PASSPHRASE)
    change(lan, "passwd", login="pao", new=PASSPHRASE, passphrase=PASSPHRASE)
    pao.log_in("pao")
    tap.ok(is_in(pao), "and in again when switched on and given a new passphrase")


def operators_by_the_page(tap):
    with Rig() as rig:
        base = start_console(rig)
        check_first(tap, rig, base)
        check_accounts(tap, rig, base)
        done = audit(rig)
        deeds = [line.split(" ", 6)[4:6] for line in done.stdout.splitlines()]
        tap.ok(done.returncode == 0 and [d for d in deeds if d[1].startswith("operator-")] ==
               [["-", "operator-add"], ["lan", "operator-add"], ["lan", "operator-role"],
                ["pao", "operator-passwd"], ["lan", "operator-off"], ["lan", "operator-on"],
                ["lan", "operator-passwd"]], "the audit trail says who changed what",
               done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(tap_main(operators_by_the_page))
