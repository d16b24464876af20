#!/usr/bin/env python3
"""Makes the seeds beside it: hellos and frames, whole, cut, damaged. First byte: length of the pieces (0 = all at once)."""
import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def hello(version=3, sender=1, to=2, cluster=7, boot=9, incarnation=1, oldest=2, more=b""):
    body = b"HFHELLO\0" + struct.pack(">IIIQQQ", version, sender, to, cluster, boot, incarnation)
    if version > 2:
        body += struct.pack(">HH", oldest, len(body) + 8 + len(more)) + more
    return body + struct.pack(">I", crc32c(body))


def frame(channel, payload):
    body = bytes([channel]) + payload
    return struct.pack(">II", len(body), crc32c(body)) + body


def write(name, piece, data):
    with open(os.path.join(HERE, name), "wb") as out:
        out.write(bytes([piece]) + data)


stream = hello() + frame(1, b"raft" * 20) + frame(0, b"") + frame(2, b"beat") + frame(6, bytes(300))
write("whole.bin", 0, stream)
write("cut-1.bin", 1, stream)
write("cut-49.bin", 49, stream)
write("hello-only.bin", 0, hello())
write("bad-version.bin", 0, hello(version=1))
write("zero-length.bin", 0, hello() + struct.pack(">II", 0, 0))
write("huge-length.bin", 7, hello() + struct.pack(">II", 0xFFFFFFFF, 0) + b"x")
write("long-claim.bin", 7, hello() + struct.pack(">II", 0x40000000, 0) + b"x" * 50)
write("bad-sum.bin", 0, hello() + frame(1, b"a")[:-1] + b"b")
write("former.bin", 0, hello(version=2) + frame(1, b"raft" * 20))
write("later.bin", 0, hello(version=9, oldest=3, more=b"added" * 20) + frame(1, b"raft" * 20))
write("later-cut.bin", 50, hello(version=9, oldest=3, more=b"added" * 20) + frame(1, b"raft" * 20))
write("no-oldest.bin", 0, hello(oldest=0))
write("too-long.bin", 0, hello(more=bytes(500)))
