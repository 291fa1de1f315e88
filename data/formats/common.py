"""What every format does with the tensors it found: check them, understand them, make a set of them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from data.distilled_set import GIVEN, DistilledSet, OpenOptions, Provenance, numbered_classes
from data.errors import ImpossibleRequest, UnreadableInput
from data.images import Images, TensorStore
from data.known_datasets import class_count_of, class_names_of, guess_dataset
from data.own_labels import own_labels
from data.pixel_detection import detect_pixel_space
from data.pixels import PROFILES, PixelSpace
from data.soft_labels import DenseSoftLabels, Kind, SoftLabels, detect_kind, hard_labels

VALUES_A_CHECK = 1 << 22
MOST_CHECKED_VALUES = 1 << 28
ROWS_A_LOOK = 4096
REAL_DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.uint8)
INTEGER_DTYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
MOST_CLASSES = 100_000
METHODS = {
    name.lower(): name
    for name in ("DC", "DSA", "DM", "DD", "SLDD", "IDC", "CAFE", "MTT", "FTD", "TESLA", "DATM", "GLaD", "KIP", "LTDD")
}


def pixel_space(sample: torch.Tensor, path: Path, options: OpenOptions) -> PixelSpace:
    """The profile a person chose, or the detected one with its evidence. ``sample`` is (n, ch, H, W) as saved."""
    if options.profile is None:
        return detect_pixel_space(sample, path)
    if options.profile not in PROFILES:
        raise UnreadableInput(f"there is no pixel profile '{options.profile}'; choose one of {', '.join(PROFILES)}.")
    space = PROFILES[options.profile]
    channels = sample.shape[1]
    if space.mean and len(space.mean) != channels:
        raise UnreadableInput(
            f"pixel profile '{space.name}' is for {len(space.mean)} channels but {path.name} has {channels}; choose another."
        )
    return replace(space, evidence=f"chosen by hand: {space.evidence}", chosen=True)


def tensor_images(tensor: torch.Tensor, path: Path, options: OpenOptions) -> Images:
    """Checked images of an (N, ch, H, W) tensor. Raises UnreadableInput on a wrong shape, dtype or value."""
    check_images(tensor, path.name)
    store = TensorStore(tensor)
    return Images(store, pixel_space(_spread(tensor), path, options))


def check_images(tensor: torch.Tensor, where: str) -> None:
    """Raises UnreadableInput unless ``tensor`` is a finite, non-empty (N, ch, H, W) of a pixel dtype."""
    shape = tuple(tensor.shape)
    if tensor.ndim != 4:
        raise UnreadableInput(f"{where}: images have shape {shape}; (samples, channels, height, width) is needed.")
    if tensor.numel() == 0:
        raise UnreadableInput(f"{where}: the image tensor is empty, shape {shape}; nothing to open.")
    if shape[1] > 4 and shape[3] in (1, 3):
        raise UnreadableInput(
            f"{where}: images have shape {shape}, which looks like (samples, height, width, channels); move the channels "
            "to the second place and save it again."
        )
    if tensor.dtype not in REAL_DTYPES:
        raise UnreadableInput(f"{where}: images have dtype {tensor.dtype}; floating point or uint8 is needed.")
    check_finite(tensor, where, "images")


def check_finite(tensor: torch.Tensor, where: str, what: str) -> None:
    """Raises UnreadableInput naming the first sample with a NaN or an infinity.

    Streams, so memory stays bounded. Of a tensor with more than MOST_CHECKED_VALUES values only as many are looked at, in
    stretches spread over all of it, so that opening stays quick; ``unchecked`` says so.
    """
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return
    rows = max(1, VALUES_A_CHECK // tensor[0].numel())
    stretches = range(0, len(tensor), rows)
    for start in stretches[:: math.ceil(tensor.numel() / MOST_CHECKED_VALUES)]:
        stretch = tensor[start : start + rows]
        if bool(torch.isfinite(stretch.sum(dtype=torch.float64))):  # one pass and no copy; a NaN or infinity survives it
            continue
        broken = (~torch.isfinite(stretch)).reshape(len(stretch), -1).any(dim=1).nonzero()
        if len(broken):
            raise UnreadableInput(
                f"{where}: {what} hold NaN or infinity (first: sample {start + int(broken[0])}); repair or remove that "
                "sample first."
            )


def unchecked(tensor: torch.Tensor) -> tuple[str, ...]:
    """A warning where ``check_finite`` looks at a part of ``tensor`` only."""
    if not tensor.is_floating_point() or tensor.numel() <= MOST_CHECKED_VALUES:
        return ()
    share = MOST_CHECKED_VALUES / tensor.numel()
    return (f"only about {share:.0%} of the images, spread over all of them, were checked for NaN and infinity",)


def labels_of(tensor: torch.Tensor, where: str, kind: Kind | None = None) -> tuple[np.ndarray, SoftLabels | None]:
    """A stored label tensor as (hard labels int64 (N,), its soft labels or None).

    Integers, (N,) or (N, 1), are hard labels, and so are whole numbers kept as floats, (N,), which DC-BENCH's loaders
    round; real rows (N, C) are soft labels of the detected or given kind.
    """
    if tensor.ndim == 1 and tensor.is_floating_point():
        check_finite(tensor, where, "labels")
        if bool((tensor == tensor.round()).all()) and bool((tensor.abs() < 1 << 31).all()):
            tensor = tensor.long()
    if tensor.dtype in INTEGER_DTYPES and tensor.ndim > 0 and tensor.numel() == len(tensor):
        return tensor.reshape(-1).long().numpy(), None
    if tensor.ndim != 2 or tensor.numel() == 0 or not tensor.is_floating_point():
        raise UnreadableInput(
            f"{where}: labels have shape {tuple(tensor.shape)} and dtype {tensor.dtype}; integers of shape (samples,) or "
            "real numbers of shape (samples, classes) are needed."
        )
    check_finite(tensor, where, "soft labels")
    soft = DenseSoftLabels(tensor, kind or detect_kind(tensor))
    return hard_labels(soft), soft


def soft_label_notes(soft: SoftLabels | None) -> tuple[str, ...]:
    """A warning where rows could be probabilities but do not sum to 1, as no-distillation's ablations write them."""
    if soft is None or soft.kind != "logits":
        return ()
    rows = soft.stored(np.arange(min(len(soft), ROWS_A_LOOK)))
    if bool((rows < 0).any()):
        return ()
    return (
        "no soft-label value is negative but rows do not sum to 1: read as logits, which unnormalised probabilities are not",
    )


def implied_labels(n: int, classes: int, ipc: int) -> np.ndarray:
    """Class-major labels, int64 (N,): ``ipc`` samples of class 0, then of class 1, ... (FORMATS.md §0.9)."""
    if ipc < 1 or n != classes * ipc:
        raise UnreadableInput(f"{n} images cannot be {classes} classes of {ipc}; say the right images per class with --ipc.")
    return np.repeat(np.arange(classes, dtype=np.int64), ipc)


def make_set(
    provenance: Provenance,
    labels: np.ndarray,
    given: SoftLabels | None,
    images: Images | None,
    extras: Mapping[str, object] | None = None,
) -> DistilledSet:
    """A set with as many classes as the data set that its path names, where labels do not say more; and their names."""
    dataset = dataset_of(provenance)
    classes = given.num_classes if given is not None else _count_classes(labels, provenance.path.name)
    known = class_names_of(dataset)
    if given is None:  # classes without a sample count too: a continual-learning step has a fifth of them
        classes = max(classes, class_count_of(dataset) or 0)
    return DistilledSet(
        name=provenance.path.stem or provenance.path.name,
        labels=labels,
        class_names=known if len(known) == classes else numbered_classes(classes),
        provenance=provenance,
        images=images,
        label_sources={} if given is None else {GIVEN: given},
        extras=extras or {},
    )


def dataset_of(provenance: Provenance) -> str | None:
    """The data set that the path of the set's first file names, or None."""
    return guess_dataset(provenance.files[0] if provenance.files else provenance.path)


def image_tensor(distilled_set: DistilledSet) -> torch.Tensor:
    """All images as one tensor (N, ch, H, W), in the stored dtype; without a copy where they already are one.

    Raises ImpossibleRequest where there are none, or where they differ in size.
    """
    images = distilled_set.images
    if images is None:
        raise ImpossibleRequest(f"{distilled_set.name} holds labels only, so there are no images to write as a tensor.")
    if isinstance(images.store, TensorStore) and images.store.order is None:
        return images.store.tensor
    if images.shape is None:
        raise ImpossibleRequest(
            f"the images of {distilled_set.name} differ in size and cannot be one tensor; export them as a folder."
        )
    return images.stored(np.arange(len(images)))


def label_tensor(distilled_set: DistilledSet, like: torch.Tensor | None = None) -> torch.Tensor:
    """The set's own labels as a tensor: given soft labels (N, C) in their dtype, or int64 hard labels (N,).

    ``like`` is the label tensor that the set was read from: its dtype and trailing shape are kept. Without one, hard labels
    win where soft ones do not have them as their most probable classes: a folder's classes, and what a teacher thinks of
    them. Soft labels that replace those the set came with (data/own_labels.py) win always, but for those in a file beside.
    Raises ImpossibleRequest where the soft labels are not one full row a sample.
    """
    given = distilled_set.label_sources.get(GIVEN)
    own = own_labels(distilled_set)
    if own is not None and given is not None and given.one_row_each and (like is None or not own.in_file):
        return given.stored(np.arange(len(given)))
    if (
        given is None
        or not given.one_row_each
        or (like is None and not np.array_equal(hard_labels(given), distilled_set.labels))
    ):
        return _hard_tensor(distilled_set.labels, like)
    if not isinstance(given, DenseSoftLabels):
        raise ImpossibleRequest(
            f"the soft labels of {distilled_set.name} are not one full row a sample, so they cannot be one tensor; export "
            "the set in its own format."
        )
    if like is not None and like[0].numel() != given.values.shape[1]:  # hard labels, with soft ones from another file
        return _hard_tensor(distilled_set.labels, like)
    rows = given.stored(np.arange(len(given)))
    return rows if like is None else rows.reshape(-1, *like.shape[1:])


def _hard_tensor(labels: np.ndarray, like: torch.Tensor | None) -> torch.Tensor:
    tensor = torch.from_numpy(labels)
    if like is None:
        return tensor
    written = tensor.to(like.dtype)
    return (written if torch.equal(written.long(), tensor) else tensor).reshape(-1, *like.shape[1:])


def method_of(path: Path) -> str:
    """The method that the file name, or else its nearest three folders, name; "unknown" where none does."""
    for part in (path.stem, *(parent.name for parent in list(path.parents)[:3])):
        for word in re.split(r"[^A-Za-z0-9]+", part):
            if word.lower() in METHODS:
                return METHODS[word.lower()]
    return "unknown"


def _count_classes(labels: np.ndarray, where: str) -> int:
    if len(labels) == 0:
        return 0
    if labels.min() < 0:
        raise UnreadableInput(f"{where}: label {labels.min()} is negative; class indices start at 0.")
    if labels.max() >= MOST_CLASSES:
        raise UnreadableInput(f"{where}: label {labels.max()} is out of range; at most {MOST_CLASSES:,} classes are read.")
    return int(labels.max()) + 1


def _spread(tensor: torch.Tensor, most: int = 256) -> torch.Tensor:
    """At most ``most`` images, evenly spread, to look at."""
    step = max(1, len(tensor) // most)
    return tensor[::step][:most]
