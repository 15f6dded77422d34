"""wires.py - modems with wires beside the serial port, through real daemons (TAP).

Two nodes with Ebyte E22 modules: mode pins and AUX go through keng-air's sockets.  A report
arrives and is acknowledged; a module that has lost its settings, or was unplugged with its wires,
is set again before it sends."""
import os
import shutil

from rig import Rig, tap_main, wait_for

MEMBER = 101
E22 = {"driver": "ebyte-e22", "options": "model=E22-900T22S"}


def settings_of(rig):
    """Everything that was on the air so far, as (Hz, dBm)."""
    return {(t["freq_hz"], t["power_dbm"]) for t in rig.transmissions()}


def wired_pair(tap):
    """Reports before and after a brown-out, and after the plug was out."""
    names = ("village", "commune")
    with Rig(speed=10) as rig:
        rig.init("Xã Cao Minh", "01879", "--freq", "921.125")
        rig.enroll("commune", 1, "UBND xã", "gateway", 0)
        rig.enroll("village", 11, "Trạm Nà Lẹng", "node", 1)
        rig.enroll("village", MEMBER, "Lý Thị Mai", "member", 1)
        shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
        rig.start_air(names, models={name: "ebyte-e22" for name in names})
        for name, number, role in (("commune", 1, "gateway"), ("village", 11, "village")):
            lines = "socket:" + rig.path("ports", name + ".lines")
            rig.write_conf(name, number, role, lines=lines, **E22)
            rig.start_node(name)
        for name in names:
            wait_for(f"{name}: the modem is set up through its wires",
                     lambda: rig.status(name)["modem"]["state"] == "ready", 10)
        tap.ok(True, "both modules are set up and read back through their mode pins")

        def arrived(count):
            states = [r["state"] for r in rig.mine("village")]
            return len(states) == count and all(s in ("received", "read") for s in states)

        def report(text):
            rig.keng("village", "report", "note", "--text", text, "--as", MEMBER)

        report("đường vào bản bị sạt lở")
        wait_for("the first report is acknowledged", lambda: arrived(1), 30)
        tap.ok(True, "a report is heard and acknowledged")
        rig.air("brownout village")
        report("đã mất điện một lúc")
        wait_for("the second report is acknowledged", lambda: arrived(2), 30)
        tap.ok(True, "so is one after a brown-out to factory settings")
        rig.air("unplug village")
        wait_for("the port is missed",
                 lambda: rig.status("village")["modem"]["state"] == "absent", 10)
        rig.air("replug village")
        report("cắm lại rồi")
        wait_for("the third report is acknowledged", lambda: arrived(3), 30)
        tap.ok(True, "and one after port and wires were away")
        tap.ok(settings_of(rig) == {(921125000, 13)}, "nothing was sent on other settings",
               settings_of(rig))
        for name in names:
            on_air_ms = sum(t["airtime_us"] for t in rig.transmissions() if t["name"] == name) / 1e3
            charged_ms = rig.status(name)["airtime"]["spent_ms"]
            tap.ok(charged_ms >= on_air_ms > 0, f"{name}: the ledger holds all that was on the air",
                   (charged_ms, on_air_ms))
        rig.stop_air()
        tap.ok(True, "every frame was lawful")


tap_main(wired_pair)
