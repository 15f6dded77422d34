"""batch_reader.py - reads batch files from what proto/PROTOCOL.md says, and from nothing else.

  python3 tests/batch_reader.py --trust COMMUNE.keng FILE...

Verifies every signature and every checkpoint, adds the reports up and prints one JSON object.  It
shares no code with the programs: that its totals are theirs shows that the page is enough.
Exit status 1 if anything in a file did not hold.
"""
import argparse
import hashlib
import json
import struct
import sys

import nacl.exceptions
import nacl.signing
import zstandard

BATCH_MAGIC = b"KENG\x01\r\n\x1a"
SECTION_MAGIC = b"KENG\x02\r\n\x1a"
KINDS = {1: "damage", 2: "needs", 3: "evacuation", 4: "rescue", 5: "access", 6: "safe", 7: "note"}
ROSTER = 16


def blake(data, size=32):
    return hashlib.blake2b(data, digest_size=size).digest()


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(body):
    """Field number to value of a protobuf message: integers and bytes."""
    found, at = {}, 0
    while at < len(body):
        key, at = varint(body, at)
        if key & 7 == 0:
            found[key >> 3], at = varint(body, at)
        else:
            size, at = varint(body, at)
            found[key >> 3] = body[at:at + size]
            at += size
    return found


def packed(data, signed=False):
    values, at = [], 0
    while at < len(data):
        value, at = varint(data, at)
        values.append((value >> 1) ^ -(value & 1) if signed else value)
    return values


def holds(key, signature, message):
    try:
        nacl.signing.VerifyKey(key).verify(message, signature)
        return True
    except nacl.exceptions.BadSignatureError:
        return False


class Record:
    def __init__(self, data):
        self.data = data
        self.author = struct.unpack_from(">H", data)[0]
        self.seq, at = varint(data, 2)
        self.kind, extended = data[at] & 31, data[at] & 128
        at += 4
        sealed = 0
        if extended:
            flags = data[at]
            at += 1
            if flags & 16:
                at += 4
            if flags & 32:
                sealed = data[at]
                at += 1
            self.encrypted = bool(flags & 16)
        else:
            self.encrypted = False
        self.header = data[:at]
        self.body = data[at:len(data) - 64 - sealed]
        self.sealed = data[len(data) - 64 - sealed:-64]
        self.lane = self.kind - 24 if self.kind > 24 else 0

    def signed_by(self, key, network):
        seal = blake(self.sealed) if self.sealed else bytes(32)
        return holds(key, self.data[-64:], b"keng record v1\0" + network + self.header +
                     blake(self.body) + seal)


class Batch:
    def __init__(self, data):
        if data[:8] != BATCH_MAGIC:
            raise ValueError("no batch")
        self.data, self.network, self.root = data, data[8:40], data[40:72]
        self.source, _, _, count = struct.unpack_from(">HIII", data, 72)
        at, self.records = 86, []
        for _ in range(count):
            size, at = varint(data, at)
            self.records.append(Record(data[at:at + size]))
            at += size
        if at != len(data) - 64 or self.network != blake(b"keng network v1\0" + self.root):
            raise ValueError("a batch that is none")

    def signed_by(self, key):
        return holds(key, self.data[-64:], b"keng batch v1\0" + blake(self.data[:-64]))


def tree_root(leaves):
    """RFC 9162, 2.1.1, level by level: an odd one at the end moves up unchanged."""
    if not leaves:
        return blake(b"")
    level = leaves
    while len(level) > 1:
        above = [blake(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = above + ([level[-1]] if len(level) % 2 else [])
    return level[0]


class Reader:
    def __init__(self):
        self.communes = {}  # network id: root key, roster, claims
        self.wrong, self.records, self.covered = [], 0, 0

    def trust(self, path):
        batch = Batch(open(path, "rb").read())
        if batch.source != 0 or not batch.signed_by(batch.root):
            raise ValueError(f"{path}: not signed by its root")
        self.communes[batch.network] = {"root": batch.root, "roster": {}, "claims": {},
                                        "arrival": 0, "seen": {}}

    def sections(self, path):
        data, at = open(path, "rb").read(), 0
        while at < len(data):
            magic, kind, first, plain_len, size = struct.unpack_from(">8sBIII", data, at)
            contents = data[at + 21:at + 21 + size]
            if magic != SECTION_MAGIC or blake(data[at:at + 21 + size], 16) != \
                    data[at + 21 + size:at + 37 + size]:
                raise ValueError(f"{path}: byte {at}: no section")
            at += 37 + size
            if size < plain_len:
                contents = zstandard.ZstdDecompressor().decompress(contents, plain_len)
            yield kind, first, contents

    def read(self, path):
        blocks, checkpoints, leaves = [], [], []
        for kind, first, contents in self.sections(path):
            if kind == 1:
                blocks.append(Batch(contents))
                log = [blake(b"\0" + r.data) for r in blocks[-1].records if r.lane == 0]
                if log and first != len(leaves):
                    self.wrong.append(f"{path}: records are missing before place {first}")
                leaves += log
            elif kind == 2:
                checkpoints.append((contents, len(leaves)))
        for batch in blocks:
            for record in batch.records:
                if record.author == 0:
                    self.take(batch, record)
        for batch in blocks:
            key = self.key(batch.network, batch.source)
            if key is None or not batch.signed_by(key):
                self.wrong.append(f"{path}: a block's signature does not hold")
            for record in batch.records:
                if record.author != 0:
                    self.take(batch, record)
        for contents, size in checkpoints:
            self.check(path, contents, leaves[:size])

    def key(self, network, author):
        commune = self.communes[network]
        if author == 0:
            return commune["root"]
        entry = commune["roster"].get(author)
        return entry[2] if entry else None

    def check(self, path, contents, leaves):
        source, _, size = struct.unpack_from(">HIQ", contents, 64)
        key = self.key(contents[:32], source)
        good = key and holds(key, contents[110:174], b"keng checkpoint v1\0" + contents[:110])
        if good and size == len(leaves) and contents[78:110] == tree_root(leaves):
            self.covered = max(self.covered, size)
        else:
            self.wrong.append(f"{path}: a checkpoint does not hold")

    def take(self, batch, record):
        commune = self.communes[batch.network]
        self.records += 1
        key = self.key(batch.network, record.author)
        if key is None or not record.signed_by(key, batch.network):
            self.wrong.append(f"record {record.author}-{record.seq}: no good signature")
            return
        name = (record.author, record.lane, record.seq)
        if commune["seen"].setdefault(name, record.data) is not record.data:
            return
        if record.kind == ROSTER:
            entry = fields(record.body)
            number = entry.get(1, 0)
            if record.seq >= commune["roster"].get(number, (0,))[0]:
                commune["roster"][number] = (record.seq, entry.get(4, 0), entry.get(2))
        elif record.kind in KINDS and not record.encrypted:
            self.add(commune, record)

    @staticmethod
    def add(commune, record):
        body = fields(record.body)
        if body.get(9):
            return
        village = body.get(1) or commune["roster"][record.author][1]
        commune["arrival"] += 1
        for code, value in zip(packed(body.get(3, b"")), packed(body.get(4, b""), True)):
            claims = commune["claims"].setdefault((village, body.get(2, 0), KINDS[record.kind],
                                                   code), {})
            if record.seq > claims.get(record.author, (0,))[0]:
                claims[record.author] = (record.seq, commune["arrival"], value)

    def totals(self):
        rows = []
        for network, commune in self.communes.items():
            for (village, event, kind, code), claims in commune["claims"].items():
                last = max(claims.values(), key=lambda claim: claim[1])
                values = [claim[2] for claim in claims.values()]
                rows.append([network.hex(), village, event, kind, code, last[2], min(values),
                             max(values)])
        return sorted(rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trust", action="append", required=True)
    parser.add_argument("files", nargs="+")
    options = parser.parse_args()
    reader = Reader()
    for path in options.trust:
        reader.trust(path)
    for path in options.files:
        reader.read(path)
    json.dump({"records": reader.records, "covered": reader.covered, "wrong": reader.wrong,
               "totals": reader.totals()}, sys.stdout)
    return 1 if reader.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
