"""The map of lot states: docs/FORMAT.md, section 18."""

import hashlib

EMPTY = b"SPARSE_MERKLE_PLACEHOLDER_HASH__"


def key_of(lot_id: bytes) -> bytes:
    return hashlib.sha256(b"urbanmine lot v1" + lot_id).digest()


def value_of(entry_count: int, last_index: int) -> bytes:
    return hashlib.sha256(entry_count.to_bytes(8, "big") + last_index.to_bytes(8, "big")).digest()


def leaf_of(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(b"JMT::LeafNode" + key + value).digest()


def branch_of(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"JMT::IntrnalNode" + left + right).digest()


def bit_of(key: bytes, depth: int) -> int:
    return key[depth // 8] >> 7 - depth % 8 & 1


def map_root(states: dict[bytes, tuple[int, int]]) -> bytes:
    """The root of the map from lot id to number of entries and index of the last."""
    leaves = []
    for lot_id, (entry_count, last_index) in states.items():
        key = key_of(lot_id)
        leaves.append((key, leaf_of(key, value_of(entry_count, last_index))))
    return root_of(sorted(leaves), 0)


def root_of(leaves: list[tuple[bytes, bytes]], depth: int) -> bytes:
    """Over ascending keys that share their first `depth` bits, at most 256."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaves[0][1]
    split = next((at for at, (key, _) in enumerate(leaves) if bit_of(key, depth)), len(leaves))
    return branch_of(root_of(leaves[:split], depth + 1), root_of(leaves[split:], depth + 1))
