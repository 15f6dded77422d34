"""at_modems.py - modems with AT commands, through real daemons (TAP).

A village and a commune over each kind: reports arrive and are acknowledged, also after a brown-out
to factory settings, which are unlawful here; nothing is ever sent on those."""
import os
import shutil

from rig import Rig, tap_main, wait_for

MEMBER = 101
FREQ_HZ, POWER_DBM = 921500000, 14


def over(tap, village, commune):
    """Two reports, a brown-out between them."""
    models = {"village": village, "commune": commune}
    with Rig(speed=10) as rig:
        rig.init("Xã Cao Minh", "01879", "--freq", str(FREQ_HZ / 1e6))
        rig.enroll("commune", 1, "UBND xã", "gateway", 0)
        rig.enroll("village", 11, "Trạm Nà Lẹng", "node", 1)
        rig.enroll("village", MEMBER, "Lý Thị Mai", "member", 1)
        shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
        rig.start_air(list(models), models=models)
        for name, number, role in (("commune", 1, "gateway"), ("village", 11, "village")):
            rig.write_conf(name, number, role, driver=models[name])
            rig.start_node(name)
        for name in models:
            wait_for(f"{name}: {models[name]} is set up",
                     lambda: rig.status(name)["modem"]["state"] == "ready", 10)

        def report_arrives(text, count):
            rig.keng("village", "report", "note", "--text", text, "--as", MEMBER)
            wait_for(f"report {count} is acknowledged", lambda: [
                r["state"] in ("received", "read") for r in rig.mine("village")] == [True] * count,
                     40)

        report_arrives("đường vào bản bị sạt lở", 1)
        rig.air("brownout village")
        report_arrives("đã mất điện một lúc", 2)
        sent = {(t["freq_hz"], t["power_dbm"]) for t in rig.transmissions()}
        tap.ok(sent == {(FREQ_HZ, POWER_DBM)}, f"{village} to {commune}: both reports, nothing on"
               " other settings", sent)
        rig.stop_air()
        tap.ok(True, "every frame was lawful")


def reyax(tap):
    over(tap, "rylr998", "rylr998")


def plain_lora(tap):
    over(tap, "rak3172", "wio-e5")


tap_main(reyax, plain_lora)
