"""corpus.py - real input: every line of the sample reports, filed as free text at four nodes, is at
the gateway byte for byte (NFC), once each, through an air that loses every tenth frame (TAP)."""
import json
import os
import sys
import threading
import unicodedata

from rig import ROOT, Failure, Rig, tap_main, wait_for

BOXES = [("handheld", 13, "village", 113), ("na-leng", 11, "village", 111),
         ("khuoi-ma", 12, "village", 112), ("commune", 1, "gateway", 101)]
SAMPLES = os.path.join(ROOT, "seeds", "demo", "sample-reports-vi.txt")


def lines_of_samples():
    with open(SAMPLES, encoding="utf-8") as f:
        return [line.rstrip("\n") for line in f if line.strip()]


def build(rig):
    # A faster air than a commune's usual one; the lawful share of airtime stays what it is.
    rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "500")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    for name, number, role, member in BOXES:
        if role != "gateway":
            rig.enroll(name, number, f"Trạm {name}", "node", number - 10)
        rig.enroll(name, member, f"Trực {name}", "member", max(1, number - 10))
    rig.start_air([name for name, *_ in BOXES], frame_loss=0.1)
    for name, number, role, _ in BOXES:
        rig.write_conf(name, number, role)
        rig.start_node(name)


def texts_at(rig, name):
    """Text of every note held there, from others and its own, as keng tells it."""
    heard = json.loads(rig.keng(name, "inbox", "--json", "--all").stdout)["messages"]
    own = json.loads(rig.keng(name, "status", "--json", "--all").stdout)["reports"]
    return [r["text"] for r in heard + own if r["kind"] == "note"]


def every_line_arrives(tap):
    lines = lines_of_samples()
    tap.ok(len(lines) == 140, "the corpus has its 140 lines", len(lines))
    wanted = sorted(unicodedata.normalize("NFC", line) for line in lines)
    with Rig(speed=40) as rig:
        build(rig)
        exits = {}

        def file(index, name, member):
            part = "\n".join(lines[index::len(BOXES)]) + "\n"
            exits[name] = rig.keng(name, "report", "note", "--lines", "-", "--as", member,
                                   text=part, check=False, timeout_s=100)

        filing = [threading.Thread(target=file, args=(i, name, member))
                  for i, (name, _, _, member) in enumerate(BOXES)]
        for thread in filing:
            thread.start()
        for thread in filing:
            thread.join()
        for name, done in sorted(exits.items()):
            tap.ok(done.returncode == 0, f"{name}: keng report --lines confirmed all", done.stderr)
        try:
            wait_for("all notes at the gateway",
                     lambda: len([r for r in rig.records("commune") if r["kind"] == "note"])
                     >= len(lines), 120, every_s=1)
        except Failure as late:
            tap.note(late)
        notes = [r for r in rig.records("commune") if r["kind"] == "note"]
        tap.ok(len(notes) == len(lines), "as many notes at the gateway as lines", len(notes))
        keys = {(r["author"], r["lane"], r["seq"]) for r in notes}
        tap.ok(len(keys) == len(notes), "no note twice")
        got = sorted(texts_at(rig, "commune"))
        lost = [line for line in wanted if line not in got]
        tap.ok(got == wanted, "every line byte for byte in NFC, once each",
               "\n".join(lost[:10]) or f"{len(got)} texts")

        def all_received():
            return all(r["state"] in ("received", "read") for name, *_ in BOXES
                       for r in rig.mine(name) if r["kind"] == "note")

        try:
            wait_for("every author knows", all_received, 60, every_s=1)
            known = True
        except Failure:
            known = False
        tap.ok(known, "every author's node knows that the commune received them")
        sent = rig.transmissions()
        tap.note(f"{len(sent)} frames, {sum(t['len'] for t in sent)} bytes on air for "
                 f"{len(lines)} notes over three hops at 10 % loss")
        for name, *_ in BOXES:
            rig.stop(name)
        rig.stop_air()
        tap.ok(True, "no frame outside the law")


if __name__ == "__main__":
    sys.exit(tap_main(every_line_arrives))
