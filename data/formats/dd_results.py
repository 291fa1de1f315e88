"""``results.pth`` of Dataset Distillation (SsnL/dataset-distillation, utils/io.py:123-137) and of its soft-label
descendant SLDD (ilia10000/dataset-distillation, utils/io.py:172-187): a list of (data, label, lr), one a step.

Each step is a set of its own, which training uses once with its own learning rate. SLDD's labels are real numbers that
training regresses to; its text sets hold word embeddings in place of images.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from data.curation import CuratedSet
from data.distilled_set import DistilledSet, OpenOptions, Provenance
from data.errors import UnreadableInput
from data.formats.common import (
    check_finite,
    image_tensor,
    label_tensor,
    labels_of,
    make_set,
    method_of,
    tensor_images,
    unchecked,
)
from data.formats.dc_results import choose
from data.soft_labels import SoftLabels, detect_kind
from data.torch_files import is_torch_file, outline, read_torch, write_torch

NAME = "dd"
TITLE = "DD and SLDD results.pth"


def recognises(path: Path) -> bool:
    """A torch file that holds a list of (data, label, lr) tensors, or a folder with such a results.pth."""
    file = _file(path)
    if not file.is_file() or not is_torch_file(file):
        return False
    try:
        return _is_steps(outline(file))
    except UnreadableInput:
        return False


def read(path: Path, options: OpenOptions = OpenOptions()) -> DistilledSet:
    """The step that ``options.repeat`` names, the first by default. Raises UnreadableInput in one sentence."""
    file = _file(path)
    steps = read_torch(file)
    if not _is_steps(steps):
        raise UnreadableInput(f"{file.name} is no DD result file: it does not hold a list of (data, label, lr) steps.")
    chosen = choose(len(steps), options.repeat, file.name, "step")  # type: ignore[arg-type]
    data, label, _ = steps[chosen]  # type: ignore[index]
    hard, soft = labels_of(label, file.name) if not label.is_floating_point() else _soft_labels(label, file.name)
    method = method_of(file)
    if method == "unknown":
        method = "DD" if soft is None else "SLDD"
    provenance = Provenance(path, NAME, method, (file,), options, _warnings(data, len(hard), len(steps), chosen, file.name))
    images = tensor_images(data, file, options) if data.ndim == 4 else None
    return make_set(provenance, hard, soft, images, {"steps": steps, "step": chosen})


def write(curated: CuratedSet, out: Path) -> list[Path]:
    """All steps again with the chosen one replaced; a set of another format becomes one step with a learning rate
    of 0.02, which is to be tuned: nothing in such a set says one."""
    target, source = curated.set, curated.original.provenance
    if source.format != NAME:
        path = out / "results.pth"
        write_torch([(image_tensor(target), label_tensor(target), torch.tensor(0.02))], path)
        return [path]
    steps, chosen = list(target.extras["steps"]), target.extras["step"]  # type: ignore[call-overload]
    data, label, rate = steps[chosen]
    kept = data if len(curated.kept) == len(data) else data[torch.from_numpy(curated.kept)]
    steps[chosen] = type(steps[chosen])([kept, label_tensor(target, like=label), rate])
    path = out / source.files[0].name
    write_torch(steps, path)
    return [path]


def _file(path: Path) -> Path:
    return path / "results.pth" if path.is_dir() else path


def _is_steps(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_step, value))


def _is_step(value: object) -> bool:
    if not isinstance(value, list | tuple) or len(value) != 3 or not all(isinstance(v, torch.Tensor) for v in value):
        return False
    return value[0].ndim >= 2 and value[1].ndim in (1, 2)


def _soft_labels(label: torch.Tensor, where: str) -> tuple[np.ndarray, SoftLabels | None]:
    """Real labels as they are used: regression targets, unless every row is a distribution; (N,) is one binary score."""
    rows = label[:, None] if label.ndim == 1 else label
    kind = "probabilities" if rows.numel() and detect_kind(rows) == "probabilities" else "scores"
    return labels_of(rows, where, kind)


def _warnings(data: torch.Tensor, labels: int, steps: int, chosen: int, where: str) -> tuple[str, ...]:
    if len(data) != labels:
        raise UnreadableInput(
            f"{where}: step {chosen} holds {len(data)} samples but {labels} labels; check that the file is complete."
        )
    warnings = list(unchecked(data))
    if steps > 1:
        warnings.append(
            f"the file holds {steps} steps, each a set of its own; step {chosen} is open, and --repeat N opens another"
        )
    if data.ndim != 4:
        check_finite(data, where, "samples")
        warnings.append(
            f"samples have shape {tuple(data.shape[1:])}, which is no image: only labels are shown, samples are kept along"
        )
    return tuple(warnings)
