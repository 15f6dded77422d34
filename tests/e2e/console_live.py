"""console_live.py - a report filed in a village appears on the commune's open page by itself (TAP).

Real daemons over emulated modems, the console in headless Chromium, no reload in between.
"""
import os
import shlex
import shutil
import subprocess
import sys

from rig import BIN, ROOT, Rig, free_port, tap_main, wait_for

MEMBER = 101
NOTE = "Nước lên nhanh ở Nà Lẹng <b>& suối</b>, cần 2 xuồng"


def page_shows_a_report(tap):
    if shutil.which("chromium") is None:
        tap.ok(False, "chromium is installed (make deps)")
        return
    with Rig(speed=20) as rig:
        rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "250")
        rig.enroll("commune", 1, "UBND xã", "gateway", 0)
        rig.enroll("village", 11, "Trạm Nà Lẹng", "node", 1)
        rig.enroll("village", MEMBER, "Lý Thị Mai", "member", 1)
        shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
        rig.start_air(["village", "commune"])
        rig.write_conf("commune", 1, "gateway")
        rig.write_conf("village", 11, "village")
        rig.start_node("commune")
        rig.start_node("village")
        port = free_port()
        rig.start("console", os.path.join(BIN, "keng-gateway"), "--home", rig.homes["commune"],
                  "--listen", f"127.0.0.1:{port}")
        wait_for("the console listens", lambda: "listening" in rig.log_tail("console"), 15)
        shots = os.path.join(ROOT, "build", "shots")
        os.makedirs(shots, exist_ok=True)
        file_it = shlex.join([os.path.join(BIN, "keng"), "--home", rig.homes["village"], "report",
                              "note", "--text", NOTE, "--as", str(MEMBER)])
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "tests", "browser", "cdp.py"), "--timeout", "60",
             f"http://127.0.0.1:{port}/?lang=vi", "wait:main", "eval:(window.unbroken = 42)",
             "run:" + file_it, "wait-text:" + NOTE, "wait-text:Lý Thị Mai", "eval:window.unbroken",
             "shot:" + os.path.join(shots, "live.png")],
            capture_output=True, encoding="utf-8", env=rig.env, timeout=150, check=False)
        said = done.stdout + done.stderr
        tap.ok(done.returncode == 0, "the open page shows the new report as it was written", said)
        # What the page was told before the report came, it still knows afterwards.
        tap.ok(done.stdout.split().count("42") == 2, "without being loaded again", said)
        wait_for("author's node knows", lambda: all(
            r["state"] == "received" for r in rig.mine("village")), 60)
        tap.ok(True, "and the author's node knows that the commune received it")


if __name__ == "__main__":
    sys.exit(tap_main(page_shows_a_report))
