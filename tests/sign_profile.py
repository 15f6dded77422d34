"""sign_profile.py - what a commune's root would not sign but might: another profile in a home.

  python3 tests/sign_profile.py HOME KEY FIELD=NUMBER...

Changes fields of the profile in HOME/commune.keng, by their number in proto/keng.proto (a signed
one as zigzag; without a NUMBER the field goes), and signs record and file by the key file KEY.
"""
import os
import sys

import nacl.signing

from batch_reader import Batch, blake, fields

PROFILE, BATCH_HEADER_LEN = 19, 86


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def protobuf(values):
    """The reverse of fields()."""
    out = b""
    for number, value in sorted(values.items()):
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def changed(body, changes):
    values = fields(body)
    for change in changes:
        number, value = change.split("=")
        values.pop(int(number), None)
        if value:
            values[int(number)] = int(value)
    return protobuf(values)


def main():
    home, key_path, *changes = sys.argv[1:]
    path = os.path.join(home, "commune.keng")
    with open(key_path, encoding="ascii") as f:
        key = nacl.signing.SigningKey(bytes.fromhex(f.read())[:32])
    with open(path, "rb") as f:
        batch = Batch(f.read())
    out = batch.data[:BATCH_HEADER_LEN]
    for record in batch.records:
        data = record.data
        if record.kind == PROFILE:
            body = changed(record.body, changes)
            said = b"keng record v1\0" + batch.network + record.header + blake(body) + bytes(32)
            data = record.header + body + key.sign(said).signature
        out += varint(len(data)) + data
    with open(path, "wb") as f:
        f.write(out + key.sign(b"keng batch v1\0" + blake(out)).signature)


if __name__ == "__main__":
    main()
