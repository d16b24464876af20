#!/usr/bin/env python3
"""Writes modp.txt: the MODP groups' primes from the formulas of RFC 3526 and RFC 2409 6.2 (with pi from Machin's
formula, so nobody's table is trusted), and key exchanges computed with Python's own integers."""
import hashlib


def pi_times_2_to(bits):
    guard = 64
    one = 1 << (bits + guard)

    def arctan_inverse(x):
        term = total = one // x
        n, sign = 3, -1
        while term:
            term //= x * x
            total += sign * (term // n)
            n, sign = n + 2, -sign
        return total
    return (4 * (4 * arctan_inverse(5) - arctan_inverse(239))) >> guard


def prime(bits, offset):
    return 2**bits - 2**(bits - 64) - 1 + 2**64 * (pi_times_2_to(bits - 130) + offset)


def number(label, size):
    return int.from_bytes(hashlib.shake_256(label.encode()).digest(size), "big")


print("# Made by make_modp.py: RFC 3526 2, 3, 4 (groups 14, 15, 16) and RFC 2409 6.2 (group 2), generator 2.")
for group, bits, offset, exponent in ((14, 2048, 124476, 40), (15, 3072, 1690314, 52), (16, 4096, 240904, 60), (2, 1024, 129093, 40)):
    p, size = prime(bits, offset), bits // 8
    a, b = number(f"a{group}", exponent), number(f"b{group}", exponent)
    # Among the shared values of this search is one with a zero in front: it must keep its length (RFC 7296 2.14).
    for case in range(2):
        while case == 1 and pow(pow(2, b, p), a, p) >> (8 * (size - 1)):
            b += 1
        print(f"group = {group:04x}")
        print("prime =", p.to_bytes(size, "big").hex())
        print("private =", a.to_bytes(exponent, "big").hex())
        print("public =", pow(2, a, p).to_bytes(size, "big").hex())
        print("peer =", pow(2, b, p).to_bytes(size, "big").hex())
        print("shared =", pow(pow(2, b, p), a, p).to_bytes(size, "big").hex())
        print()
