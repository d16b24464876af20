#!/usr/bin/env python3
"""Writes the corpora of the wire_* and ike_* fuzz targets (of ike_step the answers): small, ours, made of RFC 7296's formats. Run it after a change here."""
import os
import shutil
import struct

CORPUS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "corpus")


def transform(kind, ident, bits=0, last=False):
    attr = struct.pack(">HH", 0x800E, bits) if bits else b""
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attr), kind, 0, ident) + attr


def proposal(number, proto, spi, transforms, last=True):
    body = b"".join(transform(*t, last=i + 1 == len(transforms)) for i, t in enumerate(transforms))
    return struct.pack(">BBHBBBB", 0 if last else 2, 0, 8 + len(spi) + len(body), number, proto, len(spi),
                       len(transforms)) + spi + body


def payload(next_type, body, critical=False):
    return struct.pack(">BBH", next_type, 0x80 if critical else 0, 4 + len(body)) + body


def chain(parts):
    """parts: (type, body) in order; returns (first type, bytes)."""
    out = b""
    for i, (_, body) in enumerate(parts):
        out += payload(parts[i + 1][0] if i + 1 < len(parts) else 0, body)
    return parts[0][0], out


def message(exchange, flags, mid, parts, spi_i=b"initiate", spi_r=b"\0" * 8):
    first, body = chain(parts) if parts else (0, b"")
    return spi_i + spi_r + struct.pack(">BBBBII", first, 0x20, exchange, flags, mid, 28 + len(body)) + body


def ts(*ranges):
    out = struct.pack(">Bxxx", len(ranges))
    for proto, lo_port, hi_port, low, high in ranges:
        kind = 7 if len(low) == 4 else 8
        out += struct.pack(">BBHHH", kind, proto, 8 + 2 * len(low), lo_port, hi_port) + low + high
    return out


GCM256, GCM128, PRF, X25519, NO_ESN, ESN = (1, 20, 256), (1, 20, 128), (2, 5), (4, 31), (5, 0), (5, 1)
IKE_SA = proposal(1, 1, b"", [GCM256, GCM128, PRF, X25519])
IKE_REKEY = proposal(1, 1, b"newikspi", [GCM256, PRF, X25519], last=False) + proposal(2, 1, b"newikspi", [GCM128, PRF, X25519])
ESP_SA = proposal(1, 3, b"\x01\x02\x03\x04", [GCM256, GCM128, NO_ESN], last=False) + \
    proposal(2, 3, b"\x01\x02\x03\x04", [(1, 12, 256), (3, 12), ESN, NO_ESN])
KE = struct.pack(">HH", 31, 0) + bytes(range(1, 33))
NONCE = bytes(range(32))
IDI = b"\x03\0\0\0client@holdfast.test"
IDR4 = b"\x01\0\0\0\x0a\x4d\x01\x64"
AUTH = b"\x02\0\0\0" + bytes(32)
NATD = b"\0\0" + struct.pack(">H", 16388) + bytes(20)
COOKIE = b"\0\0" + struct.pack(">H", 16390) + bytes(33)
REKEY = b"\x03\x04" + struct.pack(">H", 16393) + b"\x01\x02\x03\x04"
INVALID_KE = b"\0\0" + struct.pack(">HH", 17, 31)
DEL_IKE, DEL_ESP = b"\x01\0\0\0", b"\x03\x04\0\x02" + b"\x01\x02\x03\x04\x05\x06\x07\x08"
TS4 = ts((0, 0, 65535, b"\x0a\x4d\x02\0", b"\x0a\x4d\x02\xff"))
TS_ANY = ts((0, 0, 65535, b"\0" * 4, b"\xff" * 4))
TS6 = ts((6, 80, 443, b"\xfd" + bytes(15), b"\xfd" + b"\xff" * 15), (1, 65535, 0, b"\1\1\1\1", b"\1\1\1\1"))
CP_REQUEST = b"\x01\0\0\0" + struct.pack(">HHHH", 1, 0, 3, 0)
CP_REPLY = b"\x02\0\0\0" + struct.pack(">HH4sHH4s", 1, 4, b"\x0a\x63\0\7", 3, 4, b"\x0a\x4d\x02\x0a")
CP_DUAL = b"\x02\0\0\0" + b"".join(struct.pack(">HH", kind, len(value)) + value for kind, value in [
    (8, b"\xfd" + bytes(15) + b"\x80"), (10, b"\xfd" + bytes(15)), (13, b"\x0a\x4d\2\0\xff\xff\xfe\0"), (15, b"\xfd" + bytes(15) + b"\x40"),
    (14, b"\0\1\0\x08"), (25, b"corp.test"), (26, b"\xa8\x43\x08\2" + bytes(32))])
EAP_IDENTITY = b"\2\1\0\x0b\1client"

INIT = message(34, 0x08, 0, [(33, IKE_SA), (34, KE), (40, NONCE), (41, NATD), (41, NATD)])
INIT_COOKIE = message(34, 0x08, 0, [(41, COOKIE), (33, IKE_SA), (34, KE), (40, NONCE)])
CHALLENGE = message(34, 0x20, 0, [(41, COOKIE)])
OTHER_GROUP = message(34, 0x20, 0, [(41, INVALID_KE)])
AUTH_INSIDE = chain([(35, IDI), (36, IDR4), (39, AUTH), (47, CP_REQUEST), (33, ESP_SA), (44, TS_ANY), (45, TS_ANY)])
ANSWER_INSIDE = chain([(36, b"\x02\0\0\0gw.holdfast.test"), (39, AUTH), (47, CP_REPLY),
                       (33, proposal(1, 3, b"\x01\x02\x03\x04", [GCM256, NO_ESN])), (44, TS_ANY), (45, TS4)])
REKEY_INSIDE = chain([(41, REKEY), (33, ESP_SA), (40, NONCE), (34, KE), (44, TS4), (45, TS6)])
AUTH_PLAIN = message(35, 0x08, 1, [(35, IDI), (39, AUTH), (47, CP_REQUEST), (33, ESP_SA), (44, TS_ANY), (45, TS_ANY)])
SK_BODY = b"\0\0\0\0\0\0\0\7" + b"\x2a" * 24 + b"\0" + b"\x77" * 16

TARGETS = {
    "wire_header": {"init": INIT, "short": INIT[:28], "version3": INIT[:17] + b"\x30" + INIT[18:], "empty": CHALLENGE[:28]},
    "wire_payload": {"auth": bytes([AUTH_INSIDE[0]]) + AUTH_INSIDE[1], "none": b"\0",
                     "unknown": b"\xc8" + payload(49, b"x") + payload(0, b"y", critical=True),
                     "sk": b"\x2e" + payload(35, SK_BODY), "liar": b"\x2b" + payload(43, b"")[:3] + b"\3"},
    "wire_sa": {"ike": IKE_SA, "rekey": IKE_REKEY, "esp": ESP_SA,
                "long_attribute": proposal(1, 1, b"", [GCM256])[:-4] + b"\0\x0e\0\0"},
    "wire_ke": {"x25519": KE, "one": b"\0\x1f\0\0\1", "none": b"\0\x1f\0\0"},
    "wire_id": {"mail": IDI, "v4": IDR4, "v6": b"\x05\0\0\0" + bytes(16), "v4_long": IDR4 + b"\0", "key": b"\x0b\0\0\0\xff"},
    "wire_auth": {"psk": AUTH, "none": AUTH[:4], "signature": b"\x0e\0\0\0\x0fabc"},
    "wire_nonce": {"usual": NONCE, "least": NONCE[:16], "short": NONCE[:15], "most": bytes(256)},
    "wire_notify": {"natd": NATD, "cookie": COOKIE, "rekey": REKEY, "ke": INVALID_KE, "contact": b"\0\0\x40\0",
                    "private": b"\1\x08\xc3\x50" + bytes(8),
                    "sync": b"\0\0\x40\x26" + bytes(12), "hashes": b"\0\0\x40\x2f\0\2\0\3", "cookie2": b"\0\0\x40\x11" + bytes(8)},
    "wire_delete": {"ike": DEL_IKE, "esp": DEL_ESP, "many": b"\3\4\xff\xff" + bytes(8), "ah": b"\2\4\0\1" + bytes(4)},
    "wire_eap": {"identity": EAP_IDENTITY, "success": b"\3\7\0\4", "failure": b"\4\7\0\4", "expanded": b"\1\2\0\x0d\xfe" + bytes(8),
                 "liar": b"\1\1\0\x09\1"},
    "wire_skf": {"first": b"\x23\x08\x10\0\1\0\3" + SK_BODY, "last": b"\0\x08\x10\0\3\0\3" + SK_BODY,
                 "beyond": b"\0\x08\x10\0\4\0\3" + SK_BODY, "zero": b"\0\0\0\0\0\0\0x"},
    "wire_redirect": {"v4": b"\1\4\x0a\x4d\1\x65" + NONCE, "v6": b"\2\x10\xfd" + bytes(15), "name": b"\3\x08gw2.test", "long": b"\3\xffgw2"},
    "wire_auth_methods": {"three": b"\2\2\3\x0e\1\6\x0e\2\x30\1\5", "none": b"", "liar": b"\2\2\xff\x0e"},
    "wire_ts": {"v4": TS4, "v6": TS6, "any": TS_ANY, "unknown": b"\1\0\0\0\x09\0\0\4", "inverted":
                ts((0, 0, 65535, b"\2\2\2\2", b"\1\1\1\1"))},
    "wire_cert": {"x509": b"\4\x30\3\2\1\1", "hashes": b"\4" + bytes(40), "none": b"\4", "url": b"\x0c" + bytes(20) + b"http://x"},
    "wire_signature": {"rsa": b"\x0f" + bytes.fromhex("300d06092a864886f70d01010b0500") + b"value",
                       "ecdsa": b"\x0c" + bytes.fromhex("300a06082a8648ce3d040302") + b"value",
                       "ed25519": b"\7" + bytes.fromhex("300506032b6570") + b"value", "unknown": b"\5\x30\3\6\1\1v",
                       "pss": b"\x43" + bytes.fromhex("304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d0101"
                                                      "08300d06096086480165030402010500a203020120") + b"value"},
    "wire_cp": {"request": CP_REQUEST, "reply": CP_REPLY, "liar": CP_REQUEST[:-1] + b"\xff", "dual": CP_DUAL,
                "set": b"\3\0\0\0" + CP_DUAL[4:], "ack": b"\4\0\0\0\0\7\0\3abc"},
    "wire_sk": {"gcm": b"\x08\x10" + SK_BODY, "least": b"\x08\x10" + bytes(25), "padding": b"\0\0" + b"x\2\2\2"},
    "esp_natt": {"keepalive": b"\xff", "ike": b"\0\0\0\0" + INIT[:8], "esp": b"\x01\x02\x03\x04" + bytes(16), "empty": b""},
    "wire_body": {"init": INIT, "cookie": INIT_COOKIE, "challenge": CHALLENGE, "auth": AUTH_PLAIN,
                  "delete": message(37, 0x08, 3, [(42, DEL_ESP), (42, DEL_IKE)]),
                  "eap": message(35, 0x08, 2, [(48, EAP_IDENTITY), (43, b"a vendor"), (43, b"")]), "empty": message(37, 0, 9, [])},
    # First byte: which end and stage; then the datagram or the plaintext of an SK payload with the type of its first payload.
    "ike_init": {"request": b"\0" + INIT, "cookie": b"\1" + INIT_COOKIE, "challenge": b"\2" + CHALLENGE,
                 "group": b"\2" + OTHER_GROUP, "no_ke": b"\0" + message(34, 8, 0, [(33, IKE_SA), (40, NONCE)])},
    "ike_auth": {"request": b"\0" + bytes([AUTH_INSIDE[0]]) + AUTH_INSIDE[1], "port-500": b"\2" + bytes([AUTH_INSIDE[0]]) + AUTH_INSIDE[1], "answer": b"\1" + bytes([ANSWER_INSIDE[0]]) + ANSWER_INSIDE[1],
                 "stranger": b"\1" + bytes([AUTH_INSIDE[0]]) + AUTH_INSIDE[1],
                 "rekey": b"\0" + bytes([REKEY_INSIDE[0]]) + REKEY_INSIDE[1], "refused": b"\1\x29" + payload(0, b"\0\0\0\x18")},
}


for target, files in TARGETS.items():
    folder = os.path.join(CORPUS, target)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as f:
            f.write(data)

# ike_step, the client's answers to what the gateway began: 'a', which exchange, the inside.
BASE_POINT = struct.pack(">HH", 31, 0) + b"\x09" + bytes(31)
CLIENT = ts((0, 0, 65535, b"\x0a\x63\0\2", b"\x0a\x63\0\2"))
NO_PFS = [(33, proposal(1, 3, b"\1\2\3\4", [GCM256, NO_ESN])), (40, NONCE), (44, TS4), (45, CLIENT)]
PFS = [(33, proposal(1, 3, b"\1\2\3\4", [GCM256, X25519, NO_ESN])), (40, NONCE), (34, BASE_POINT), (44, TS4), (45, CLIENT)]
NEW_IKE = [(33, proposal(1, 1, b"newikspi", [GCM256, PRF, X25519])), (40, NONCE), (34, BASE_POINT)]
ANSWERS = {
    "rekey-child": (0, NO_PFS), "rekey-child-hard": (16, NO_PFS), "rekey-child-pfs": (1, PFS), "rekey-child-pfs-takeover": (9, PFS),
    "rekey-ike": (2, NEW_IKE), "rekey-ike-hard": (18, NEW_IKE), "invalid-ke": (1, [(41, INVALID_KE)]),
    "invalid-ke-ike": (2, [(41, b"\0\0" + struct.pack(">HH", 17, 19))]), "busy": (0, [(41, b"\0\0" + struct.pack(">H", 43))]),
    "not-found": (0, [(41, b"\0\0" + struct.pack(">H", 44))]), "syntax": (3, [(41, b"\0\0" + struct.pack(">H", 7))]),
    "delete-child": (4, [(42, b"\x03\x04\0\1" + b"\1\2\3\4")]), "delete-ike": (3, [(42, DEL_IKE)]),
}
for name, (which, parts) in ANSWERS.items():
    first, inside = chain(parts)
    with open(os.path.join(CORPUS, "ike_step", "answer-" + name), "wb") as f:
        f.write(b"a" + bytes([which, first]) + inside)
with open(os.path.join(CORPUS, "ike_step", "answer-dpd"), "wb") as f:
    f.write(b"a\3")
