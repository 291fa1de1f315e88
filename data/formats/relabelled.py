"""Image folders with the relabelled tree that their soft labels come from: SRe2L, CDA, LPLD, LPQLD, EDC, G-VBSM, CV-DD, FKD.

Opened by pointing at the images and naming the tree, or at a folder that holds both: class folders beside ``epoch_*`` or
``batch_*.tar``, or one folder with class folders and one with a tree. Hard labels are the folders'; the given soft labels
are the tree's. Written as ``images/`` and ``labels/``, so that torchvision's ImageFolder over ``images`` sees classes only.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from data.curation import CuratedSet
from data.distilled_set import GIVEN, DistilledSet, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import image_folder
from data.formats.companions import HELD, Held
from data.formats.trees_beside import look_for, named, names_tree, tree_of, with_tree
from data.relabelled.batch_writer import Progress
from data.relabelled.curate_rows import write_curated

NAME = "relabelled"
TITLE = "image folders with relabelled trees of soft labels (SRe2L, CDA, LPLD, LPQLD, EDC, G-VBSM, CV-DD, FKD)"
IMAGES, LABELS = "images", "labels"


def recognises(path: Path) -> bool:
    """Whether the folder holds a tree, with images or, which ``read`` refuses with a reason, without."""
    return path.is_dir() and bool(look_for(path).trees)


def read(path: Path, options: OpenOptions) -> DistilledSet:
    """Images and tree, neither read. Raises UnreadableInput where one is missing, or it is not clear which is meant."""
    if not path.is_dir():
        raise UnreadableInput(f"{path.name} is not a folder; a relabelled set is a folder of images and one of soft labels.")
    images, tree = _images_and_tree(path, options)
    opened = image_folder.read(images, options)
    origin = replace(opened.provenance, path=path, format=NAME)
    return with_tree(replace(opened, name=path.name, provenance=origin), tree)


def as_written(curated: CuratedSet) -> CuratedSet:
    """As image_folder says; the tree holds the given labels, the folders the classes."""
    written = image_folder.as_written(curated)
    held = Held(frozenset((GIVEN,)), hard_labels=True)
    return replace(written, set=replace(written.set, extras={**written.set.extras, HELD: held}))


def write(curated: CuratedSet, out: Path, progress: Progress | None = None) -> list[Path]:
    """The kept pictures below ``images/`` and their rows of the tree, in its family's layout, below ``labels/``.

    ``progress(fraction, message)`` may raise to stop.
    """
    if tree_of(curated.original) is None:
        raise ImpossibleRequest(
            f"{curated.original.name} has no relabelled tree of soft labels, which '{NAME}' is made of; choose 'folder'."
        )
    (out / IMAGES).mkdir()
    pictures = image_folder.write(curated, out / IMAGES)
    return [*pictures, *write_curated(image_folder.as_written(curated), out / LABELS, progress).paths]


def _images_and_tree(path: Path, options: OpenOptions) -> tuple[Path, Path]:
    """The only images in ``path``, and the tree that the options name, or else the only one there."""
    found = look_for(path)
    if options.labels is not None and names_tree(options.labels):
        trees: tuple[Path, ...] = (Path(options.labels).resolve(),)
        if path in found.images or not found.trees:
            return path, trees[0]
    else:
        trees = found.trees
    if not trees:
        raise UnreadableInput(f"{path.name} holds no relabelled tree (epoch_*/batch_*.tar); name it with --labels.")
    if not found.images:
        raise UnreadableInput(
            f"{path.name} is a relabelled tree of soft labels without its images; open the images and name it with "
            f"--labels {path.name}."
        )
    if len(found.images) > 1:
        raise UnreadableInput(
            f"{path.name} holds several image folders ({named(found.images, path)}); open one of them and name the soft "
            "labels with --labels."
        )
    if len(trees) > 1:
        raise UnreadableInput(
            f"{path.name} holds several relabelled trees ({named(trees, path)}); name the one to use with --labels."
        )
    return found.images[0], trees[0]
