"""ed25519 as docs/FORMAT.md, section 4, has it: one answer to every odd input.

`cryptography` computes the exact equation over the bytes as they stand. What it does not ask (is S
below L, is the key the canonical encoding of a point, is a point of small order) is asked here,
with whole numbers.
"""

import functools
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_MINUS_ONE = pow(2, (P - 1) // 4, P)

# A point is (x, y), both below P.
NEUTRAL = (0, 1)


def decode(encoding: bytes) -> tuple[int, int] | None:
    """The point of an encoding, canonical or not; None when there is none (RFC 8032, 5.1.3)."""
    number = int.from_bytes(encoding, "little")
    sign, y = number >> 255, (number & (2**255 - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P == -u % P:
        x = x * SQRT_MINUS_ONE % P
    if v * x * x % P != u:
        return None
    return ((P - x) % P if x & 1 != sign else x, y)


def encode(point: tuple[int, int]) -> bytes:
    """The canonical encoding."""
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


def add(left: tuple[int, int], right: tuple[int, int]) -> tuple[int, int]:
    """The sum of two points of the curve; its law has no exceptions."""
    (x1, y1), (x2, y2) = left, right
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P)
    return x % P, y % P


def times(factor: int, point: tuple[int, int]) -> tuple[int, int]:
    """`factor` times the point, by doubling."""
    total = NEUTRAL
    while factor:
        if factor & 1:
            total = add(total, point)
        point = add(point, point)
        factor >>= 1
    return total


def is_small_order(point: tuple[int, int]) -> bool:
    return times(8, point) == NEUTRAL


def small_order_encodings() -> frozenset[bytes]:
    """The canonical encodings of the eight points of small order: L times a point has no other
    part, and the first one of order 8 makes all of them."""
    y = 2
    while True:
        point = decode(y.to_bytes(32, "little"))
        if point is not None:
            small = times(L, point)
            if times(4, small) != NEUTRAL:
                return frozenset(encode(times(k, small)) for k in range(8))
        y += 1


SMALL_ORDER = small_order_encodings()


@functools.lru_cache(maxsize=1024)
def key_refusal(public_key: bytes) -> str | None:
    """Why a public key is not accepted; None when it is."""
    if len(public_key) != 32:
        return "a public key has 32 bytes"
    point = decode(public_key)
    if point is None:
        return "the public key is no point of the curve"
    if encode(point) != public_key:
        return "the public key is not the canonical encoding of its point"
    if is_small_order(point):
        return "the public key is of small order"
    return None


def holds(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature holds under an ACCEPTED key (`key_refusal`)."""
    if len(signature) != 64:
        return False
    if int.from_bytes(signature[32:], "little") >= L:
        return False
    # The last step compares bytes, so an R that passes it is canonical, and this list is enough.
    if signature[:32] in SMALL_ORDER:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def holds_by_the_page(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """The same, by the letter of the page and without any library: slow, for tests."""
    big_r, scalar = signature[:32], int.from_bytes(signature[32:], "little")
    point = decode(big_r)
    if len(signature) != 64 or scalar >= L or point is None or is_small_order(point):
        return False
    digest = hashlib.sha512(big_r + public_key + message).digest()
    k = int.from_bytes(digest, "little") % L
    x, y = decode(public_key)
    base = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    difference = add(times(scalar, base), times(k, (-x % P, y)))
    return encode(difference) == big_r


def key_id(public_key: bytes) -> bytes:
    """How an envelope names a key."""
    return hashlib.sha256(public_key).digest()
