"""faults.py - bad input and bad luck against real daemons (TAP).

A stranger's commune and garbage on the same air, forged and foreign records and rosters, a modem
unplugged in mid-frame, a full disk."""
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import time

from rig import BIN, Failure, KissModem, Rig, tap_main, wait_for

MEMBER, STRANGER = 101, 201


def pair(rig, extra_ports=(), links=None, **air):
    """A village with a member and the gateway, on one air."""
    rig.init("Xã Cao Minh", "01879", "--sf", "7", "--bw", "250")
    rig.enroll("commune", 1, "UBND xã", "gateway", 0)
    rig.enroll("village", 11, "Trạm Nà Lẹng", "node", 1)
    rig.enroll("village", MEMBER, "Lý Thị Mai", "member", 1)
    shutil.copy(os.path.join(rig.desk, "commune.keng"), rig.homes["commune"])
    rig.start_air(["village", "commune", *extra_ports], links, **air)
    rig.write_conf("commune", 1, "gateway")
    rig.write_conf("village", 11, "village")
    rig.start_node("commune")
    rig.start_node("village")


def file_note(rig, text, **more):
    return rig.keng("village", "report", "note", "--text", text, "--as", MEMBER, "--json", **more)


def keys_at(rig, name, author=MEMBER):
    return [r["seq"] for r in rig.records(name) if r["author"] == author and r["lane"] == 0]


def reports_at(rig, name):
    """The bytes of everything but acknowledgements, which come and go by themselves."""
    return sorted(r["hex"] for r in rig.records(name) if r["lane"] == 0)


def verdicts(rig, name):
    return rig.status(name)["verdicts"]


def stranger_and_garbage(tap):
    """Another commune's node on the same air, and noise that looks like frames."""
    with Rig(speed=20) as rig, Rig(speed=20) as other:
        everyone = ["village", "commune", "stranger"]
        pair(rig, ["stranger"], [(a, b) for a in everyone for b in everyone if a < b])
        other.init("Xã Khác", "01880", "--sf", "7", "--bw", "250")
        other.enroll("stranger", 12, "Trạm lạ", "node", 1)
        other.enroll("stranger", STRANGER, "Người lạ", "member", 1)
        other.write_conf("stranger", 12, "village")
        conf = os.path.join(other.homes["stranger"], "kengd.conf")
        with open(conf, encoding="utf-8") as f:
            text = f.read().replace(other.path("ports"), rig.path("ports"))
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text)
        other.start_node("stranger")
        for i in range(3):
            other.keng("stranger", "report", "note", "--text", f"tin {i}", "--as", STRANGER)
        file_note(rig, "tin của mình")
        wait_for("our own note arrives all the same", lambda: keys_at(rig, "commune"), 60)
        wait_for("the stranger's frames are counted",
                 lambda: verdicts(rig, "commune")["foreign"] > 0, 60)
        tap.ok(True, "frames of another commune are dropped and counted")
        for name in ("village", "commune"):
            rig.air(f"garbage {name} 900")
        file_note(rig, "sau khi đường dây nhiễu")
        wait_for("a note after garbage on the serial line",
                 lambda: len(keys_at(rig, "commune")) == 2, 60)
        tap.ok(True, "garbage on the serial line does not stop the modem's driver")
        for name in ("village", "commune"):
            authors = {r["author"] for r in rig.records(name)}
            tap.ok(STRANGER not in authors and 12 not in authors,
                   f"{name} holds nothing of the stranger", authors)
            tap.ok(rig.alive(name), f"{name}'s daemon lives")
        tap.ok(not keys_at(other, "stranger", MEMBER), "nor the stranger anything of ours")
        foreign_records(tap, rig, other)
        wrong_roster(tap, rig, other)


def hostile_transmitter(tap):
    """Somebody near by who hears every frame and sends it again, whole, bent, cut, and noise."""
    with Rig(speed=20) as rig:
        names = ["village", "commune", "attacker"]
        pair(rig, ["attacker"], [(a, b) for a in names for b in names if a < b])
        freq_hz = wait_for("a first transmission", rig.transmissions, 60)[0]["freq_hz"]
        attacker = KissModem(rig.path("ports", "attacker"), freq_hz, 250000, 7)
        for i in range(4):
            file_note(rig, f"Tin thật số {i}")
        attacker.listen(3)
        wait_for("all four at the commune", lambda: len(keys_at(rig, "commune")) == 4, 60)
        attacker.listen(1)
        with_record = [f for f in attacker.heard if len(f) > 80][:8]
        tap.ok(with_record, "the attacker has overheard records", len(attacker.heard))
        before = {name: reports_at(rig, name) for name in names[:2]}
        verdicts_before = {name: verdicts(rig, name) for name in names[:2]}
        chance = random.Random(4)
        bent = [bytes(b ^ (1 << chance.randrange(8)) if i == at else b for i, b in enumerate(f))
                for f in with_record for at in (chance.randrange(len(f)) for _ in range(4))]
        cut = [f[:chance.randrange(1, len(f))] for f in with_record for _ in range(3)]
        noise = [chance.randbytes(chance.randrange(1, 256)) for _ in range(40)]
        for frame in with_record + bent + cut + noise:
            attacker.send(frame)
        time.sleep(1)
        for name in names[:2]:
            new = verdicts(rig, name)
            grown = {w: new[w] - verdicts_before[name][w] for w in new
                     if new[w] > verdicts_before[name][w]}
            tap.note(f"{name}: {grown}")
            bad = sum(grown.get(w, 0) for w in ("foreign", "malformed", "version", "badsig"))
            # Collisions with our own frames spare it some of them.
            tap.ok(bad >= (len(bent) + len(cut) + len(noise)) // 2,
                   f"{name}: bent, cut and random frames are counted", grown)
            tap.ok(sum(grown.get(w, 0) for w in ("duplicate", "echo")) > 0,
                   f"{name}: replayed frames are counted", grown)
            tap.ok(reports_at(rig, name) == before[name] and rig.alive(name),
                   f"{name}: nothing of it is stored, nothing lost")
        file_note(rig, "Vẫn thông")
        wait_for("a fifth at the commune", lambda: len(keys_at(rig, "commune")) == 5, 60)
        tap.ok(True, "and reports go on arriving")
        attacker.close()


def foreign_records(tap, rig, other):
    """Records that come over the socket, as from a file or a cable."""
    before = [r["hex"] for r in rig.records("village")]
    strange = [r["hex"] for r in other.records("stranger") if r["author"] == STRANGER]
    own = [r["hex"] for r in rig.records("village") if r["author"] == MEMBER][0]
    flipped = own[:-2] + f"{int(own[-2:], 16) ^ 1:02x}"
    body_flipped = own[:18] + f"{int(own[18:20], 16) ^ 1:02x}" + own[20:]
    renumbered = own[:4] + "7e" + own[6:]
    cases = [("a record of another commune", strange[0], {"unknown-author"}),
             ("a number the author never wrote", renumbered, {"bad-signature"}),
             ("one bit of the signature wrong", flipped, {"bad-signature", "duplicate", "fork"}),
             ("one bit of the content wrong", body_flipped,
              {"bad-signature", "malformed", "duplicate", "fork"}),
             ("cut off", own[:60], {"malformed"}),
             ("empty", "", {"malformed"}),
             ("a replay", own, {"duplicate"})]
    for text, record, allowed in cases:
        answer = rig.ask("village", {"do": "add", "records": [record]})
        verdict = answer.get("verdicts", [answer.get("code")])[0]
        tap.ok(verdict in allowed, f"{text}: {verdict}", answer)
    not_hex = rig.ask("village", {"do": "add", "records": ["xyz"]})
    tap.ok(not_hex["ok"] is False or not_hex["verdicts"] == ["malformed"], "not even hex", not_hex)
    tap.ok([r["hex"] for r in rig.records("village")] == before, "and the store is as it was")
    garbled_requests(tap, rig)


def garbled_requests(tap, rig):
    for text, line in (("not JSON", b"hello\n"), ("not an object", b"[1,2]\n"),
                       ("unknown word", b'{"do":"explode"}\n'), ("no word", b"{}\n"),
                       ("wrong type", b'{"do":"records","after":"x"}\n'),
                       ("zero bytes", b"\0\0\0\n"),
                       ("17 KiB in a line", b'{"do":"' + b"x" * 17000 + b'"}\n')):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(rig.socket("village"))
            s.sendall(line)
            got = s.makefile("rb").readline()
        # A line too long to take may also end the connection.
        good = json.loads(got)["ok"] is False if got else len(line) > 16384
        tap.ok(good, f"request that is {text}: a clear no", got)
    tap.ok(rig.status("village")["ok"], "and the daemon answers as before")


def wrong_roster(tap, rig, other):
    """A roster must be signed by the root whose commune this is."""
    strange = os.path.join(other.desk, "commune.keng")
    before = rig.ask("village", {"do": "roster"})
    done = rig.keng("village", "import", strange, check=False)
    tap.ok(rig.ask("village", {"do": "roster"}) == before,
           "another root's roster changes nothing", done.stdout + done.stderr)
    rig.stop("village")
    own = os.path.join(rig.homes["village"], "commune.keng")
    with open(own, "rb") as f:
        good = f.read()
    for text, content in (("of another root", open(strange, "rb").read()),
                          ("with one byte changed", good[:200] + bytes([good[200] ^ 1]) +
                           good[201:]),
                          ("cut off", good[:len(good) // 2]), ("empty", b"")):
        with open(own, "wb") as f:
            f.write(content)
        done = subprocess.run([os.path.join(BIN, "kengd"), "--home",
                               rig.homes["village"]], capture_output=True, timeout=20, check=False,
                              encoding="utf-8", env=rig.env)
        said = (done.stderr + done.stdout).strip()
        tap.ok(done.returncode > 0 and said.count("\n") == 0 and "commune.keng" in said,
               f"kengd refuses a roster {text} with one line", f"{done.returncode}: {said}")
    with open(own, "wb") as f:
        f.write(good)
    rig.start_node("village")
    tap.ok(keys_at(rig, "village"), "and starts again with the right one, nothing lost")


def unplugged_in_mid_frame(tap):
    with Rig(speed=5) as rig:
        pair(rig)

        def frames_sent():
            return json.loads(rig.air("stats"))["village"]["tx_frames"]

        filed = [json.loads(file_note(rig, f"Tin số {i}: đường vào bản bị cắt, 3 nhà ngập").stdout)
                 for i in range(3)]
        # A frame of 140 bytes at this air takes 120 ms, 24 of ours: catch it on its way out.
        began = frames_sent()
        deadline = time.monotonic() + 30
        while frames_sent() == began and time.monotonic() < deadline:
            time.sleep(0.002)
        rig.air("unplug village")
        wait_for("kengd sees that the modem is gone",
                 lambda: rig.status("village")["modem"]["state"] != "ready", 20)
        tap.ok(True, "kengd says that the modem is gone")
        filed.append(json.loads(file_note(rig, "Vẫn ghi được khi mất sóng").stdout))
        tap.ok(True, "reports are taken without a modem")
        pid = rig.processes["village"].pid
        before = cpu_ticks(pid)
        time.sleep(2)
        used = (cpu_ticks(pid) - before) / os.sysconf("SC_CLK_TCK")
        tap.ok(used < 0.2, "no busy loop on a port that is gone", f"{used:.2f} s of 2 s")
        rig.air("replug village")
        wanted = sorted(r["seq"] for r in filed)
        wait_for("all reports arrive", lambda: sorted(keys_at(rig, "commune")) == wanted, 60)
        tap.ok(sorted(keys_at(rig, "commune")) == wanted, "after replugging all arrive, once each")
        orders_are_told(tap, rig)
        rig.air("reboot village")
        filed.append(json.loads(file_note(rig, "Sau khi modem khởi động lại").stdout))
        wanted = sorted(r["seq"] for r in filed)
        wait_for("a report after the modem forgot its settings",
                 lambda: sorted(keys_at(rig, "commune")) == wanted, 60)
        tap.ok(True, "a modem that restarted into its defaults is configured again")


def orders_are_told(tap, rig):
    """--help names the same orders as the refusal of a line that is none."""
    try:
        rig.air(" ")
        named = ""
    except Failure as refusal:
        named = str(refusal).partition("expected: ")[2]
    shown = rig.run("keng-air", "--help").stdout.partition("one a line:")[2].partition("--help")[0]
    wanted = named.replace(" or ", ", ").split(", ")
    tap.ok(len(wanted) > 10 and " ".join(shown.split()) == ", ".join(wanted),
           "keng-air --help lists every order", f"{shown} / {wanted}")


def cpu_ticks(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def fill_until_refused(rig):
    """Files notes until one is refused; numbers of the confirmed ones and the refusal."""
    confirmed = []
    for i in range(400):
        done = file_note(rig, f"Tin {i}: " + "nước lên nhanh, cần xuồng " * 3, check=False,
                         timeout_s=120)
        if done.returncode != 0:
            return confirmed, done
        confirmed.append(json.loads(done.stdout)["seq"])
    raise Failure("400 notes fit where nothing should")


def row_count(rig):
    """Records in the store of the village, which is stopped.  Numbers of arrival are more: of
    acknowledgements only the newest stays."""
    store = sqlite3.connect(os.path.join(rig.homes["village"], "store.db"))
    try:
        return store.execute("SELECT count(*) FROM record").fetchone()[0]
    finally:
        store.close()


def judge_full_disk(tap, rig, name, confirmed, done, make_room):
    said = (done.stderr + done.stdout).strip()
    tap.ok(done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1,
           f"{name}: keng says in one line that it cannot be kept", said)
    tap.ok(rig.alive("village"), f"{name}: kengd lives")
    make_room()

    def works_again():
        again = file_note(rig, "Đã có chỗ", check=False, timeout_s=60)
        if again.returncode == 0:
            confirmed.append(json.loads(again.stdout)["seq"])
        return again.returncode == 0

    wait_for(f"{name}: with room again reports are taken", works_again, 30, every_s=1)
    tap.ok(True, f"{name}: with room again reports are taken")
    rig.stop("village")
    rows = row_count(rig)
    rig.start_node("village")
    tap.ok(f": {rows} records, waiting on" in rig.log_tail("village", 3),
           f"{name}: kengd says how many records it starts with", rig.log_tail("village", 3))
    held = keys_at(rig, "village")
    missing = [seq for seq in confirmed if seq not in held]
    tap.ok(not missing and len(held) == len(set(held)),
           f"{name}: every confirmed report is held after a restart, once", missing)
    wait_for("all at the gateway", lambda: set(confirmed) <= set(keys_at(rig, "commune")), 90)
    tap.ok(True, f"{name}: and arrives at the gateway")


def disk_full_by_limit(tap):
    with Rig(speed=40) as rig:
        pair(rig)
        file_note(rig, "trước đó")
        home = rig.homes["village"]
        largest = max(os.path.getsize(os.path.join(home, f)) for f in os.listdir(home))
        rig.limit_files("village", largest + 16384)
        confirmed, done = fill_until_refused(rig)
        judge_full_disk(tap, rig, "file limit", confirmed, done,
                        lambda: rig.limit_files("village", None))


def disk_full_for_real(tap):
    with Rig(speed=40) as rig:
        home = rig.path("village")
        os.mkdir(home)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", home],
                                 capture_output=True, check=False)
        if mounted.returncode != 0:
            tap.skip("full disk: a file system of its own", "may not mount one here")
            return
        try:
            pair(rig)
            confirmed, done = fill_until_refused(rig)
            judge_full_disk(tap, rig, "full disk", confirmed, done, lambda: subprocess.run(
                ["mount", "-o", "remount,size=8m", home], check=True))
        finally:
            rig.stop("village")
            subprocess.run(["umount", "-l", home], check=False)


if __name__ == "__main__":
    sys.exit(tap_main(stranger_and_garbage, hostile_transmitter, unplugged_in_mid_frame,
                      disk_full_by_limit, disk_full_for_real))
