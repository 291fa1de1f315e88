"""The parquet files of a Hugging Face data set: which belong to which split, and whether all shards are there.

``train-00000-of-00002.parquet``, older ones with a hash behind; or ``0000.parquet``, ``0001.parquet`` as the Hub converts;
or ``train.parquet``. In the folder itself or its ``data`` folder.
"""

from __future__ import annotations

import re
from pathlib import Path

from data.errors import UnreadableInput
from data.formats.hf_metadata import FILES as METADATA_FILES
from data.formats.shards import Shards, names_in
from data.plain_text import several

SUFFIX = ".parquet"
FIRST_SPLITS = ("train", "training")
MOST_SHARDS = 10_000
_SHARD = re.compile(r"(?P<split>.+?)-(?P<number>\d{5})-of-(?P<total>\d{5})(?:-[0-9a-f]+)?\.parquet", re.ASCII)
_NUMBERED = re.compile(r"\d{1,9}\.parquet", re.ASCII)


def parquet_names(folder: Path) -> list[str]:
    """The parquet files directly in ``folder`` that could hold images, by name; labels and metadata beside a set cannot."""
    return [n for n in names_in(folder, SUFFIX) if n not in METADATA_FILES and not n.endswith("soft_labels.parquet")]


def shard_folder(root: Path) -> Path | None:
    """Where the files of the set in the folder ``root`` lie: there or in ``data``."""
    return next((place for place in (root, root / "data") if parquet_names(place)), None)


def find_shards(path: Path) -> Shards:
    """The shards of a file or folder. Raises UnreadableInput where one is missing, or where it is unclear what is meant."""
    if path.is_file():
        return Shards((path,), _of_several(path.name))
    folder = shard_folder(path)
    if folder is None:
        raise UnreadableInput(f"{path.name} holds no {SUFFIX} files, in it or in its data folder; point at them.")
    names = parquet_names(folder)
    splits = _splits(names, folder)
    chosen = next((split for split in FIRST_SPLITS if split in splits), None)
    if chosen is None:
        if len(splits) > 1:
            raise UnreadableInput(
                f"{folder.name} holds several sets, none of them named train ({several(sorted(splits))}); point at a file."
            )
        chosen = next(iter(splits))
    others = sorted(set(splits) - {chosen})
    warnings = [f"'{chosen}' was opened; {several(others)} beside it is neither read nor written."] if others else []
    return Shards(tuple(folder / name for name in splits[chosen]), tuple(warnings))


def _of_several(name: str) -> tuple[str, ...]:
    found = _SHARD.fullmatch(name)
    if found is None or int(found["total"]) == 1:
        return ()
    return (f"{name} is one shard of {int(found['total'])}; point at its folder to open all of them.",)


def _splits(names: list[str], folder: Path) -> dict[str, list[str]]:
    """File names by split, each in order."""
    shards = [found for name in names if (found := _SHARD.fullmatch(name))]
    if shards:
        splits: dict[str, list[re.Match[str]]] = {}
        for found in shards:
            splits.setdefault(found["split"], []).append(found)
        return {split: _complete(found, folder) for split, found in splits.items()}
    if all(_NUMBERED.fullmatch(name) for name in names):
        return {"train": sorted(names, key=lambda name: int(name.removesuffix(SUFFIX)))}
    return {name.removesuffix(SUFFIX): [name] for name in names}


def _complete(found: list[re.Match[str]], folder: Path) -> list[str]:
    """The names of one split's shards in order. Raises UnreadableInput unless they are 0 to total - 1, once each."""
    total = int(found[0]["total"])
    by_number = {int(shard["number"]): shard[0] for shard in found}
    where = f"{folder.name}/{found[0]['split']}"
    if len(by_number) != len(found) or any(int(shard["total"]) != total for shard in found) or total > MOST_SHARDS:
        raise UnreadableInput(f"{where}: shards of several versions lie side by side; keep those of one.")
    missing = [f"{number:05d}" for number in range(total) if number not in by_number]
    if missing or len(by_number) != total:
        raise UnreadableInput(
            f"{where}: {len(missing)} of {total} shards are missing ({several(missing)}); get them, or point at one file."
        )
    return [by_number[number] for number in range(total)]
