#!/usr/bin/env python3
"""Known answers for ike/keys.c and ike/message.c, from a second reading of RFC 7296 and RFC 5282.

Nothing of holdfast is used: HMAC and SHA-256 are Python's, AES-GCM is python3-cryptography's. Run it to write vectors.h anew; the
tests only read vectors.h.
"""
import hashlib
import hmac
import os

from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf_plus(key, seed, n):  # RFC 7296 2.13
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = prf(key, block + seed + bytes([i]))
        out += block
        i += 1
    return out[:n]


def fill(tag, n):
    return hashlib.shake_256(tag.encode()).digest(n)


def cut(stream, sizes):
    parts = []
    for n in sizes:
        parts.append(stream[:n])
        stream = stream[n:]
    assert stream == b""
    return parts


out = {}
ni, nr = fill("ni", 32), fill("nr", 24)
spi_i, spi_r = fill("spi_i", 8), fill("spi_r", 8)
shared, shared2 = fill("g^ir", 32), fill("g^ir new", 32)
out.update(NI=ni, NR=nr, SPI_I=spi_i, SPI_R=spi_r, SHARED=shared, SHARED_NEW=shared2)

# 2.14, AEAD: no SK_a
skeyseed = prf(ni + nr, shared)
for name, klen in (("256", 32), ("128", 16)):
    sizes = [32, klen + 4, klen + 4, 32, 32]
    sk = cut(prf_plus(skeyseed, ni + nr + spi_i + spi_r, sum(sizes)), sizes)
    for part, value in zip(("D", "EI", "ER", "PI", "PR"), sk):
        out[f"SK_{part}_{name}"] = value
sk_d = out["SK_D_256"]

# 2.17: CHILD SA without and with a key exchange, AES-256-GCM and AES-128-GCM
for name, secret, klen in (("", b"", 36), ("_PFS", shared2, 36), ("_128", b"", 20)):
    i2r, r2i = cut(prf_plus(sk_d, secret + ni + nr, 2 * klen), [klen, klen])
    out[f"CHILD{name}_I2R"], out[f"CHILD{name}_R2I"] = i2r, r2i

# 2.18: rekeyed IKE SA
skeyseed2 = prf(sk_d, shared2 + ni + nr)
sizes = [32, 36, 36, 32, 32]
sk = cut(prf_plus(skeyseed2, ni + nr + spi_r + spi_i, sum(sizes)), sizes)
for part, value in zip(("D", "EI", "ER", "PI", "PR"), sk):
    out[f"REKEYED_{part}"] = value

# 2.15: shared key
psk, message, id_body = b"correct horse", fill("init message", 200), bytes([2, 0, 0, 0]) + b"gw.test"
out.update(PSK=psk, INIT_MESSAGE=message, ID_BODY=id_body)
out["AUTH"] = prf(prf(psk, b"Key Pad for IKEv2"), message + nr + prf(out["SK_PI_256"], id_body))

# 3.14 and RFC 5282: an INFORMATIONAL request of the initiator, message ID 5, IV 7, one Delete payload for the IKE SA
inner = bytes([0, 0, 0, 8, 1, 0, 0, 0])
text = inner + b"\x00"
length = 28 + 4 + 8 + len(text) + 16
header = spi_i + spi_r + bytes([46, 0x20, 37, 0x08]) + (5).to_bytes(4, "big") + length.to_bytes(4, "big")
generic = bytes([42, 0]) + (length - 28).to_bytes(2, "big")
iv = (7).to_bytes(8, "big")
for name in ("256", "128"):
    key = out[f"SK_EI_{name}"]
    sealed = AESGCM(key[:-4]).encrypt(key[-4:] + iv, text, header + generic)
    out[f"MESSAGE_{name}"] = header + generic + iv + sealed

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "vectors.h")
with open(path, "w") as f:
    f.write("/* Written by make_vectors.py. */\n#ifndef TEST_IKE_CORE_VECTORS_H\n")
    f.write("#define TEST_IKE_CORE_VECTORS_H\n\n#include <stdint.h>\n\n/* clang-format off */\n")
    for name, value in out.items():
        f.write(f"static const uint8_t {name}[] = {{")
        for i, b in enumerate(value):
            f.write(("\n    " if i % 16 == 0 else " ") + f"0x{b:02x},")
        f.write("\n};\n")
    f.write("/* clang-format on */\n\n#endif\n")
