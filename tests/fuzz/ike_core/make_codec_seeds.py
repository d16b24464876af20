#!/usr/bin/env python3
"""Seeds for the fuzzer of an IKE SA's encoding (tests/fuzz/corpus/ike_codec): the format of node/ike/codec.c written a second time,
by hand. codec_test decodes them. Usage: make_codec_seeds.py FOLDER"""
import struct
import sys


def u8(v): return bytes([v])
def u16(v): return struct.pack(">H", v)
def u32(v): return struct.pack(">I", v)
def u64(v): return struct.pack(">Q", v)
def key(n): return u8(n) + bytes(n)
def v4(a): return u8(4) + bytes(int(x) for x in a.split("."))


def selector(low, high):
    return u8(0) + u16(0) + u16(65535) + v4(low) + v4(high)


GCM = u16(20) + u16(256) + u16(0), key(36) * 2 + key(0) * 2   # AES-GCM-16, 256 bits, no integrity; keys with salt, none for integrity
CBC = u16(12) + u16(128) + u16(14), key(16) * 2 + key(64) * 2  # AES-CBC, 128 bits, HMAC-SHA-512-256


def child(cipher=GCM):
    suite, keys = cipher
    return (u8(1) + u8(0) + u32(0x1000) + u32(0x1001)      # installed, begun by the peer, SPIs in and out
            + suite + u8(0) + u8(1) + u16(31)               # cipher, no ESN, outbound, X25519
            + keys
            + u8(1) + selector("10.77.2.0", "10.77.2.255") + u8(1) + selector("10.99.0.7", "10.99.0.7")
            + u64(1000) + u64(10_000_000) + u64(14_400_000)  # created, soft, hard
            + u64(1 << 31) + u64((1 << 32) - (1 << 20))      # packets
            + u64(1 << 44) + u64(1 << 45)                    # bytes
            + u32(2) + u32(0) + u8(0) + u8(0) + u64(0))      # rekeys, successor, soft reached, unconfirmed, retry


def pending(early):
    """Our rekey of a CHILD SA is out, the peer's of the same was answered, and it gave up some SPIs since."""
    return (u8(5) + u32(0) + u64(5000) + u16(4) + b"sent" + u32(0x1000) + u32(0x3000) + u64(0)  # child-rekey-pfs: old, new SPI
            + bytes(32) + u16(31) + u8(0) + key(32)                                             # nonce, group, not retried
            + u8(1) + u8(16) + bytes(16) + u32(0x1002) + u64(0)                                 # collided, its lowest nonce, its SA
            + u8(len(early)) + b"".join(u32(s) for s in early))


def sa(version=1, children=None, owed=(), waits=b"\0", v6=b"\0"):
    empty = u8(0)
    slots = [empty] * 8
    for i, c in (children or {}).items():
        slots[i] = c
    return (u8(version) + u64(0) + u64(7) + u8(1) + u8(2) + u32(4)           # SPIs, responder, established, shard
            + v4("10.0.0.1") + u16(4500) + v4("10.0.0.1") + u16(4500) + u8(0) + u8(1) + u8(1)
            + u16(20) + u16(256) + u16(0) + u16(5) + u16(31)
            + key(32) + key(0) + key(0) + key(36) + key(36) + key(32) + key(32) + u64(3)      # SK_*, the next IV
            + u32(0) + u32(2) + u16(0) + u8(1) + u32(9) + waits + u64(0)                      # windows, no answer, synchronized once, nothing pending, no candidate
            + u8(2) + u8(2) + b"gw" + v4("10.99.0.7") + v6 + u8(1) + v4("10.0.0.10") + u8(0)
            + u32(0x1234)                                                    # connection
            + u64(1000) + u64(60_000_000) + u64(86_400_000) + u64(0) + u64(0) + u64(0) + u64(0) + u64(0)  # limits, retry, refused, linger, successor
            + u32(0) + u32(0) + b"".join(slots) + u8(len(owed)) + b"".join(u32(s) for s in owed)
            + u16(0) + u16(0) + u16(0) + u16(0) + u16(0) + u8(0) + u8(0) + u32(0) + u8(0))


seeds = {"rest": sa(), "child": sa(children={1: child(), 3: child(CBC)}, owed=[0x2000, 0x2001], v6=u8(6) + b"\xfd" + bytes(14) + u8(7)), "version": sa(version=9),
         "pending": sa(children={1: child()}, owed=[0x2000], waits=pending([0x4000, 0x4001]))}
for name, data in seeds.items():
    with open(f"{sys.argv[1]}/{name}", "wb") as f:
        f.write(data)
