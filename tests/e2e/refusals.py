"""refusals.py - what must not be sent, for every driver, through real daemons (TAP).

Settings outside the law, a board that keeps others than were written, one that is back at its
factory's: each is one line in kengd's log, the same in `keng status`; nothing goes on the air."""
import time

from rig import Rig, drivers, tap_main, wait_for

SPEED = 40
OUTSIDE_HZ = {"rylr498": 435125000, "ebyte-e32": 925000000}
OUTSIDE_USUAL_HZ = 924125000


class Boards:
    """A box for each driver; none hears another."""

    def __init__(self, rig):
        self.rig = rig
        self.names = drivers()
        rig.init()
        for i, name in enumerate(self.names):
            rig.enroll(name, 11 + i, name, "node", 1)
        rig.start_air(self.names, links=[], models={name: name for name in self.names})

    def start(self, **more):
        for i, name in enumerate(self.names):
            board = {key: value[name] for key, value in more.items()}
            self.rig.write_board_conf(name, 11 + i, "village", name, **board)
            self.rig.start_node(name)

    def stop(self):
        for name in self.names:
            self.rig.stop(name)

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
        for name in self.names:
            text = self.modem(name)["text"]
            shown = self.rig.keng(name, "status").stdout
            lines = self.complaints(name)
            tap.ok(len(lines) == 1 and word in text and text in lines[0] and text in shown,
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


if __name__ == "__main__":
    tap_main(refusals)
