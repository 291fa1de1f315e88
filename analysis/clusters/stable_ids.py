"""Names for groups of samples that stay while the groups change a little: from content, never from order.

A group's signature are its min-hashes (Broder 1997, *On the resemblance and containment of documents*): for each of many
hash functions the smallest hash over its samples' content. Two groups agree in each with a chance equal to their Jaccard
similarity, the share of all their samples that they have in common. An id is spelled from the first four. So the id itself
tells: two ids with a part in common name, but for a chance of one in millions, groups with samples in common, and of
groups that share 90 % of their samples at least one part agrees in all but one of 10,000 cases. No record is needed for
that. Where there is a record of earlier groups, a group takes over the whole id of the one it resembles most.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

from data.images import ImageStore

HASHES = 64
PARTS = 4
LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that is easily read as another
LETTERS_A_PART = 5
ALIKE = 0.4
"""Groups of this Jaccard similarity or more are the same group."""
MOST_KEPT = 1_000


@dataclass(frozen=True)
class Named:
    """A group's ``id``, and its ``signature`` uint64 (64,)."""

    id: str
    signature: np.ndarray


def content_digests(store: ImageStore, ids: Iterable[int]) -> np.ndarray:
    """The first 8 bytes of the SHA-256 of each stored image's bytes and shape, uint64 (n,); the same wherever it stands."""
    digests = []
    for i in ids:
        image = store.read(int(i)).contiguous()
        content = hashlib.sha256(f"{tuple(image.shape)} {image.dtype}".encode() + image.numpy().tobytes())
        digests.append(int.from_bytes(content.digest()[:8], "little"))
    return np.array(digests, dtype=np.uint64)


def signature(digests: np.ndarray) -> np.ndarray:
    """Min-hashes of a group of samples with these content ``digests`` uint64 (n,), n >= 1; uint64 (64,)."""
    return np.array([_mixed(digests ^ _mixed(np.uint64(k + 1)[None])).min() for k in range(HASHES)], dtype=np.uint64)


def resemblance(one: np.ndarray, other: np.ndarray) -> float:
    """The Jaccard similarity of two groups as their signatures tell, to about 0.06."""
    return float((one == other).mean())


def spelled(signed: np.ndarray) -> str:
    """The id of a signature: four parts of five letters."""
    return "-".join(_letters(int(value)) for value in signed[:PARTS])


def same_group(one: str, other: str) -> bool:
    """Whether two ids have a part, at its place, in common: then their groups have samples in common."""
    return any(a == b for a, b in zip(one.split("-"), other.split("-"), strict=True))


def name_groups(digests: Sequence[np.ndarray], record: Path | None = None) -> list[Named]:
    """Names for groups of samples with these content digests, no two the same.

    With a ``record`` file each group keeps the id of the earlier one that it resembles most, the best matches first, if by
    at least 0.4; the record then holds these groups as they are now. An unreadable record counts as none.
    """
    fresh = [Named(spelled(signed), signed) for signed in map(signature, digests)]
    if record is None or not fresh:
        return fresh
    record.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(record.with_suffix(".lock")):
        earlier = _read(record)
        named = _taken_over(fresh, earlier)
        current = {group.id for group in named}
        _write(record, [group for group in earlier if group.id not in current] + named)
    return named


def _taken_over(fresh: list[Named], earlier: list[Named]) -> list[Named]:
    likeness = sorted(
        ((-resemblance(new.signature, old.signature), n, o) for n, new in enumerate(fresh) for o, old in enumerate(earlier)),
    )
    ids: dict[int, str] = {}
    for alike, n, o in likeness:
        if -alike >= ALIKE and n not in ids and earlier[o].id not in ids.values():
            ids[n] = earlier[o].id
    for n, new in enumerate(fresh):
        ids.setdefault(n, _free(new.signature, set(ids.values())))
    return [Named(ids[n], new.signature) for n, new in enumerate(fresh)]


def _free(signed: np.ndarray, taken: set[str]) -> str:
    """The first id of the signature that is not taken: the smaller part of a split group may hold what spelled its id."""
    spellings = [spelled(signed[first : first + PARTS]) for first in range(0, HASHES, PARTS)]
    return next((name for name in spellings if name not in taken), spellings[0])


def _read(record: Path) -> list[Named]:
    try:
        held = json.loads(record.read_text(encoding="utf-8"))
        return [Named(str(name), np.array(signed, dtype=np.uint64)) for name, signed in held if len(signed) == HASHES]
    except (OSError, ValueError, TypeError, OverflowError):
        return []


def _write(record: Path, groups: list[Named]) -> None:
    """The latest ``MOST_KEPT`` groups, put in place at once so that no reader meets half a file."""
    partial = record.with_suffix(".partial")
    held = [(group.id, group.signature.tolist()) for group in groups[-MOST_KEPT:]]
    partial.write_text(json.dumps(held), encoding="utf-8")
    os.replace(partial, record)


def _mixed(values: np.ndarray) -> np.ndarray:
    """SplitMix64's finaliser: a bijection of 64 bits that leaves no pattern (Steele, Lea, Flood, OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def _letters(value: int) -> str:
    word = ""
    for _ in range(LETTERS_A_PART):
        value, letter = divmod(value, len(LETTERS))
        word += LETTERS[letter]
    return word
