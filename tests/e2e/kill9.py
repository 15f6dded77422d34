"""kill9.py - a short run of the crash trial (tests/crash/crash.py) for every test run (TAP)."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash"))
from crash import trial  # noqa: E402
from rig import tap_main  # noqa: E402


def twelve_kills(tap):
    for name, value, unit, goal, good in trial(kills=12, seed=7, speed=40, patience_s=100):
        tap.ok(good, f"{name}: {value} {unit} ({goal})")


tap_main(twelve_kills)
