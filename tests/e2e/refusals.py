"""refusals.py - what must not be sent, for every driver, through real daemons (TAP).

Settings outside the law, a board that keeps others than were written, one that is back at its
factory's, a signed profile that breaks its own law: each is one line in kengd's log, the same in
`keng status`; nothing goes on the air.  With an amateur's modem and no licence kengd does not even
start."""
import os
import subprocess
import time

from rig import BOARDS, ROOT, UNVERIFIABLE, Rig, drivers, tap_main, wait_for

SPEED = 40
OUTSIDE_HZ = {"rylr498": 435125000, "kiss-tnc": 435125000, "ebyte-e32": 925000000}
OUTSIDE_USUAL_HZ = 924125000


# By Debian's own, whose modules verify and sign; another python3 may stand before it.
SIGNER = ["/usr/bin/python3", os.path.join(ROOT, "tests", "sign_profile.py")]
# What the key desk would not sign, by number of the profile's field, and a word of the answer.
FREQ, EIRP, DUTY_NODE, BANDS = 4, 9, 10, 13
BROKEN_PROFILES = {
    "outside": ({FREQ: 924125000}, "must lie from"),
    "loud": ({EIRP: 2 * 20}, "dBm"),  # zigzag
    "greedy": ({DUTY_NODE: 200}, "may use"),
    "lawless": ({BANDS: ""}, "states no law"),
}


class Boards:
    """A box for each driver; none hears another."""

    def __init__(self, rig):
        self.rig = rig
        self.names = drivers()
        self.number = {name: 11 + i for i, name in enumerate(self.names)}
        rig.init()
        for name, number in self.number.items():
            rig.enroll(name, number, name, "node", 1)
        rig.start_air(self.names, links=[], models={name: name for name in self.names})

    def start(self, **more):
        for name in self.names:
            board = {key: value[name] for key, value in more.items()}
            self.rig.write_board_conf(name, self.number[name], "village", name, **board)
            self.rig.start_node(name)

    def stop(self):
        for name in self.names:
            self.rig.stop(name)

    def leave_out(self, names):
        self.names = [name for name in self.names if name not in names]

    def modem(self, name):
        return self.rig.status(name)["modem"]

    def wait_state(self, state):
        for name in self.names:
            wait_for(f"{name}: {state}", lambda n=name: self.modem(n)["state"] == state, 30)

    def complaints(self, name):
        """Warnings and worse that kengd wrote."""
        with open(self.rig.logs[name], encoding="utf-8") as f:
            return [line for line in f if line[:3] in ("<3>", "<4>")]

    def forget(self):
        for name in self.names:
            with open(self.rig.logs[name], "w", encoding="utf-8"):
                pass

    def told_once(self, tap, what, word):
        """Not again with each try.  On a busy machine, at this speed, a modem's answer may come too
        late in between; that is said, and then what was wrong before is news."""
        for name in self.names:
            wait_for(f"{name}: {word}", lambda n=name: word in self.modem(n)["text"], 30)
            text = self.modem(name)["text"]
            shown = self.rig.keng(name, "status").stdout
            lines = self.complaints(name)
            told = [line for line, before in zip(lines, [""] + lines)
                    if word in line or "no answer" not in line or line == before]
            late = [line for line in lines if "no answer" in line]
            tap.ok(1 <= len(told) <= 1 + len(late) and all(text in line for line in told) and
                   word in text and text in shown,
                   f"{name}, {what}: one line, in the log and in keng status",
                   f"{text}\n{shown}\n{''.join(lines)}")


def refusals(tap):
    with Rig(speed=SPEED) as rig:
        boards = Boards(rig)
        boards.start(freq_hz={name: OUTSIDE_HZ.get(name, OUTSIDE_USUAL_HZ)
                              for name in boards.names})
        boards.wait_state("unlawful")
        boards.told_once(tap, "outside the law", "not sending")
        boards.stop()
        boards.leave_out(UNVERIFIABLE)
        boards.forget()

        for name in boards.names:
            rig.air(f"stubborn {name} on")
        boards.start()
        for name in boards.names:
            wait_for(f"{name}: what differs", lambda n=name: "reads back" in
                     boards.modem(n)["text"], 30)
        time.sleep(60 / SPEED)  # it is tried again meanwhile
        boards.told_once(tap, "keeps other settings", "reads back")
        tap.ok(not rig.transmissions(), "nothing was sent", rig.transmissions())
        for name in boards.names:
            rig.air(f"stubborn {name} off")
        boards.wait_state("ready")
        boards.forget()

        restarts = {name: boards.modem(name)["counters"]["restarts_seen"] for name in boards.names}
        for name in boards.names:
            rig.air(f"brownout {name}")
        for name in boards.names:
            wait_for(f"{name}: seen at its factory settings and set again",
                     lambda n=name: (m := boards.modem(n))["state"] == "ready" and
                     m["counters"]["restarts_seen"] > restarts[n], 30)
            lines = boards.complaints(name)
            tap.ok(len(lines) == 1, f"{name}, back at factory settings: one line in the log",
                   "".join(lines))
        boards.stop()
        rig.stop_air()
        tap.ok(True, "nothing unlawful was on the air")


def sign_profile(home, root_key, changes):
    subprocess.run([*SIGNER, home, root_key, *(f"{k}={v}" for k, v in changes.items())], check=True)


def signed(tap):
    with Rig(speed=SPEED) as rig:
        names = [*BROKEN_PROFILES, "forged"]
        rig.init()
        for i, name in enumerate(names):
            rig.enroll(name, 11 + i, name, "node", 1)
            rig.write_conf(name, 11 + i, "village")
        rig.start_air(names, links=[])
        root_key = os.path.join(rig.desk, "root.key")
        for name, (changes, word) in BROKEN_PROFILES.items():
            sign_profile(rig.homes[name], root_key, changes)
            rig.start_node(name)
            modem = wait_for(f"{name}: refused", lambda n=name: (m := rig.status(n)["modem"])
                             ["state"] == "unlawful" and m, 20)
            shown = rig.keng(name, "status").stdout
            with open(rig.logs[name], encoding="utf-8") as f:
                lines = [line for line in f if line[:3] in ("<3>", "<4>")]
            tap.ok(len(lines) == 1 and modem["text"] in lines[0] and word in modem["text"] and
                   modem["text"] in shown, f"a profile signed {name}: refused in one line, in the"
                   " log and in keng status", f"{modem['text']}\n{shown}\n{''.join(lines)}")
        own_key = os.path.join(rig.homes["forged"], "identity", f"{11 + len(BROKEN_PROFILES)}.key")
        sign_profile(rig.homes["forged"], own_key, {EIRP: 2 * 14})
        done = rig.run("kengd", "--home", rig.homes["forged"], check=False)
        tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1 and "signature" in done.stderr,
               "a profile that another key signed: kengd does not start, in one line", done.stderr)
        tap.ok(not rig.transmissions(), "none of them sent", rig.transmissions())
        for name in BROKEN_PROFILES:
            rig.stop(name)
        rig.stop_air()


def amateur(tap):
    """Neither a licence nor open contents are taken for granted."""
    with Rig() as rig:
        rig.init()
        rig.enroll("box", 11, "box", "node", 1)
        rig.start_air(["box"], links=[], models={"box": "kiss-tnc"})
        for key, word in (("amateur_call", "licence"), ("options", "contents=open")):
            board = {**BOARDS["kiss-tnc"], key: ""}
            rig.write_conf("box", 11, "village", driver="kiss-tnc", **board)
            done = rig.run("kengd", "--home", rig.homes["box"], check=False)
            shown = rig.keng("box", "modem", "set-up", check=False)
            tap.ok(done.returncode == 1 and done.stderr.count("\n") == 1 and word in done.stderr
                   and shown.returncode != 0 and word in shown.stderr,
                   f"kiss-tnc without {key}: kengd and keng modem set-up refuse it in one line",
                   f"{done.returncode} {done.stderr} {shown.returncode} {shown.stderr}")
        rig.write_conf("box", 11, "village", driver="kiss-tnc",
                       **{**BOARDS["kiss-tnc"], "amateur_call": "", "options": ""})
        rig.keng("box", "modem", "set-up", "--amateur", "XV9ABC-7", "--settings", "contents=open",
                 "--write")
        rig.start_node("box")
        wait_for("with both it is ready", lambda: rig.status("box")["modem"]["state"] == "ready",
                 15)
        shown = rig.keng("box", "modem", "show").stdout
        tap.ok("kiss-tnc" in shown and not rig.transmissions(), "with both it is ready", shown)
        rig.stop("box")
        rig.stop_air()


if __name__ == "__main__":
    tap_main(refusals, signed, amateur)
