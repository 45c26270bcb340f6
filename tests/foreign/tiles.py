"""Writes an export: the tlog-tiles directory that `verify.py` reads. For tests alone."""

from pathlib import Path

from layout import leaf_hash
from verify import TILE, framed, subtree_root, tile_path, tiles_of


def export_files(entries: list[bytes], checkpoint: bytes,
                 rotations: dict[int, bytes]) -> dict[str, bytes]:
    """Every file of an export by name; `rotations` are by the index of the rotation."""
    files = {"checkpoint": checkpoint}
    for index, text in rotations.items():
        files[f"rotation/{index}"] = text
    for number, width in tiles_of(len(entries)):
        inside = entries[number * TILE : number * TILE + width]
        files[f"tile/entries/{tile_path(number, width)}"] = b"".join(map(framed, inside))
    level, hashes = 0, [leaf_hash(entry) for entry in entries]
    while hashes:
        for number, width in tiles_of(len(hashes)):
            inside = hashes[number * TILE : number * TILE + width]
            files[f"tile/{level}/{tile_path(number, width)}"] = b"".join(inside)
        full = len(hashes) // TILE
        hashes = [subtree_root(hashes[at * TILE : at * TILE + TILE]) for at in range(full)]
        level += 1
    return files


def write_files(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*")) if path.is_file()}
