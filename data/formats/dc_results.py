"""Result files of DC, DSA and DM (VICO-UoE/DatasetCondensation, main.py:224, main_DM.py:203).

``{'data': [[images, labels], ...one per repeat], 'accs_all_exps': {...}}`` under any file name. CL_DM.py writes the same
structure with one entry a continual-learning step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from data.curation import CuratedSet
from data.distilled_set import DistilledSet, OpenOptions, Provenance
from data.errors import UnreadableInput
from data.formats.common import (
    image_tensor,
    label_tensor,
    labels_of,
    make_set,
    method_of,
    soft_label_notes,
    tensor_images,
    unchecked,
)
from data.torch_files import is_torch_file, outline, read_torch, write_torch

NAME = "dc"
TITLE = "DC/DSA/DM result files (res_*.pt)"


def recognises(path: Path) -> bool:
    """A torch file of the structure above, whatever its name."""
    if not path.is_file() or not is_torch_file(path):
        return False
    try:
        return _is_result(outline(path))
    except UnreadableInput:
        return False


def read(path: Path, options: OpenOptions = OpenOptions()) -> DistilledSet:
    """The repeat that ``options.repeat`` names, the first by default. Raises UnreadableInput in one sentence."""
    structure = read_torch(path)
    if not _is_result(structure):
        raise UnreadableInput(f"{path.name} is no DC result file: it has no 'data' list of [images, labels] pairs.")
    repeats = structure["data"]  # type: ignore[index]
    chosen = choose(len(repeats), options.repeat, path.name, "repeat")
    if not _is_pair(repeats[chosen]):
        raise UnreadableInput(f"{path.name}: repeat {chosen} is not a pair of images and labels; choose another.")
    images, labels = repeats[chosen]
    hard, soft = labels_of(labels, path.name)
    warnings = (*_repeat_warnings(path, repeats, chosen), *unchecked(images), *soft_label_notes(soft))
    provenance = Provenance(path, NAME, method_of(path), (path,), options, warnings)
    extras = {"structure": structure, "repeat": chosen}
    return make_set(provenance, hard, soft, tensor_images(images, path, options), extras)


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """The whole file again with the chosen repeat replaced; recorded accuracies and other repeats stay as they are."""
    target, source = curated.set, curated.original.provenance
    if source.format != NAME:
        return _written({"data": [[image_tensor(target), label_tensor(target)]], "accs_all_exps": {}}, out / "res.pt")
    structure, chosen = target.extras["structure"], target.extras["repeat"]
    repeats = list(structure["data"])  # type: ignore[index]
    old = repeats[chosen]  # type: ignore[index]
    repeats[chosen] = type(old)([image_tensor(target), label_tensor(target, like=old[1])])  # type: ignore[index]
    return _written({**structure, "data": repeats}, out / source.path.name)  # type: ignore[dict-item]


def choose(count: int, wanted: int | None, where: str, word: str) -> int:
    """The index that a person wanted, or 0. Raises UnreadableInput where there is no such one."""
    if wanted is not None and not 0 <= wanted < count:
        raise UnreadableInput(f"{where} holds {count} {word}s, 0 to {count - 1}, so there is no {word} {wanted}.")
    return wanted or 0


def _written(value: object, path: Path) -> list[Path]:
    write_torch(value, path)
    return [path]


def _is_result(value: object) -> bool:
    data = value.get("data") if isinstance(value, dict) else None
    return isinstance(data, list | tuple) and len(data) > 0 and _is_pair(data[0])


def _is_pair(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(isinstance(part, torch.Tensor) for part in value)


def _repeat_warnings(path: Path, repeats: Sequence[object], chosen: int) -> tuple[str, ...]:
    warnings = []
    if _is_continual(path, repeats):
        warnings.append(
            f"a continual-learning file: its {len(repeats)} entries are steps that add classes, not repeats; step {chosen} "
            "is open, and --repeat N opens another"
        )
    elif len(repeats) > 1:
        warnings.append(f"the file holds {len(repeats)} repeats; repeat {chosen} is open, and --repeat N opens another")
    if any("glad" in part.lower() for part in path.parts[-4:]):
        warnings.append("GLaD's result files hold its unused noise images; its distilled ones are in images_best.pt")
    return tuple(warnings)


def _is_continual(path: Path, repeats: Sequence[object]) -> bool:
    """By CL_DM.py's names, or because repeats of one experiment would have the same labels and these do not."""
    if re.match(r"cl_", path.name, re.IGNORECASE) or path.parent.name == "cl_data":
        return True
    labels = [repeat[1] for repeat in repeats if _is_pair(repeat)]  # type: ignore[index]
    return len({(tuple(label.shape), tuple(label.unique().tolist()) if label.ndim == 1 else ()) for label in labels}) > 1
