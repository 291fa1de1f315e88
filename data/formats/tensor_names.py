"""The names under which methods save bare tensors, and which file of a run folder is the set.

images_best.pt (MTT, TESLA, DATM, GLaD), ema_images_*.pt (FTD), images.pt (DD-Ranking), {data set}_IPC10_images.pt
(DC-BENCH), images_{method}_{data set}_{ipc}_best.pt (DD-Ranking's methods), ipc10_random_image_syn.pt (no-distillation),
cifar100.pt (ECCV 2024 challenge); images_best_0.pt to images_best_4.pt are one set in parts (DC-BENCH's Tiny ImageNet).
"""

from __future__ import annotations

import os
import re
from itertools import groupby, islice
from pathlib import Path

from data.known_datasets import class_count_of, guess_dataset

SUFFIXES = (".pt", ".pth")
MOST_ENTRIES = 20_000
_CHALLENGE = ("cifar100", "tinyimagenet")
_RUN = re.compile(r"(?P<ema>ema_)?images(?:_(?P<best>best)(?:_(?P<part>\d+))?|_(?P<step>\d+))?")

Rank = tuple[int, int, int]


def image_files(folder: Path) -> list[tuple[Path, ...]]:
    """The sets in a run folder, best first; a set is one file or its parts in order.

    images_best comes first, then images.pt, then the latest iteration; FTD's averages (ema) follow, then other names.
    images_zca_* are pictures of whitened sets, not sets. Of a huge folder only MOST_ENTRIES entries are looked at.
    """
    with os.scandir(folder) as entries:
        names = [entry.name for entry in islice(entries, MOST_ENTRIES) if entry.name.lower().endswith(SUFFIXES)]
    ranked = sorted((rank, part, name) for name in names if (found := _rank(name)) for rank, part in [found])
    groups = [[folder / name for _, _, name in group] for _, group in groupby(ranked, key=lambda item: item[0])]
    return [files for group in groups for files in _as_sets(group) if all(file.is_file() for file in files)]


def partner(images: Path, word: str) -> Path | None:
    """The file of the same name with ``word`` (labels, lr) for images, where it is there; images_zca_5 has labels_5."""
    names = [
        _renamed(images.name, old, new) for old, new in (("images_zca", word), ("images", word), ("image", word.rstrip("s")))
    ]
    names.append(f"{images.stem}_{word}{images.suffix}")
    beside = (images.with_name(name) for name in names if name != images.name)
    return next((path for path in beside if os.path.isfile(path)), None)  # unlike is_file, False for too long a name


def labels_name(images: str) -> str:
    """A name for labels that ``partner`` finds."""
    name = _renamed(images, "images", "labels")
    return name if name != images else f"{Path(images).stem}_labels{Path(images).suffix}"


def _renamed(name: str, old: str, new: str) -> str:
    return re.sub(old, new, name, count=1, flags=re.IGNORECASE)


def implied_classes(path: Path, count: int) -> int | None:
    """How many classes ``count`` unlabelled images have: as the data set that the path names, or by "ipc10" in the path."""
    classes = class_count_of(guess_dataset(path))
    if classes and count % classes == 0:
        return classes
    for part in (path.name, *(parent.name for parent in list(path.parents)[:3])):
        found = re.search(r"ipc[-_ ]?(\d{1,6})|(?<!\d)(\d{1,6})[-_ ]?ipc", part, re.IGNORECASE)
        ipc = int(found[1] or found[2]) if found else 0
        if ipc and count % ipc == 0:
            return count // ipc
    return None


def _rank(name: str) -> tuple[Rank, int] | None:
    """(how far down the list, part of its set), or None for a file that is no image tensor by its name."""
    stem = name.rsplit(".", 1)[0].lower()
    if run := _RUN.fullmatch(stem):
        order = 0 if run["best"] else 2 if run["step"] else 1
        part = int(run["part"]) if run["part"] else -1
        return (order + (3 if run["ema"] else 0), 0 if part < 0 else 1, -int(run["step"] or 0)), part
    if stem in _CHALLENGE or (re.search(r"images?(_|$)", stem) and not re.search(r"images_zca_|labels?(_|$)", stem)):
        return (6, 0, 0), -1
    return None


def _as_sets(files: list[Path]) -> list[tuple[Path, ...]]:
    """Files of one rank: the parts of one set where they are numbered, else a set each."""
    numbered = all(re.search(r"best_\d+\.", file.name.lower()) for file in files)
    return [tuple(files)] if numbered else [(file,) for file in files]
