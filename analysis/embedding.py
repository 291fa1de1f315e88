"""Images as vectors, kept by content so that the same images are never embedded twice."""

from __future__ import annotations

import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from analysis.context import Context
from analysis.device import pick, rows_that_fit
from analysis.encoders import EFFICIENTNET, NAMES, Encoder, load, why_apart
from data.errors import ImpossibleRequest
from data.images import Images, ImageStore, batches

__all__ = ["NAMES", "content_hash", "embed", "embed_beside"]

IMAGES_A_BATCH = 256
LEAST_A_BATCH = 8
CPU_WORKING_SET = 64 * 2**20
IMAGES_A_READ = 1_024
WAIT_SECONDS = 0.5
HASHING = 0.1  # the part of the progress bar that reading the images for their hash takes

_HASHES: weakref.WeakKeyDictionary[ImageStore, str] = weakref.WeakKeyDictionary()


def embed(images: Images, name: str, context: Context) -> np.ndarray:
    """One vector an image, float32 (N, D), in id order; memory-mapped and read-only where ``context.cache`` is a folder.

    ``name`` is one of ``NAMES`` or a local model file (``analysis.encoders.load`` says what it receives, and what trust it
    needs). A run that was cancelled goes on where it stopped. The numbers do not depend on the batch size beyond float32
    rounding. Raises ImpossibleRequest or UnreadableInput in one sentence.
    """
    if len(images) == 0:
        raise ImpossibleRequest("there are no images to embed; open a set that holds images.")
    encoder = load(name, pick(context.device), images)
    if context.cache is None:
        return _in_memory(images, encoder, context)
    key = _key(images, encoder, context.part(0, HASHING))
    finished = Path(context.cache) / f"{key}.npy"
    try:
        finished.parent.mkdir(parents=True, exist_ok=True)
        return _cached(finished, images, encoder, context.part(HASHING, 1))
    except OSError as error:
        raise ImpossibleRequest(
            f"embeddings cannot be kept in {finished.parent} ({error.strerror or error}); free space or name another folder."
        ) from error


def embed_beside(images: Images, others: Images, name: str, context: Context) -> tuple[np.ndarray, np.ndarray]:
    """``embed`` of a set's ``images`` and of the ``others`` of its reference, to be compared with each other.

    Raises ImpossibleRequest where the embedding gives them vectors that cannot be.
    """
    if why := why_apart(images, others, name):
        raise ImpossibleRequest(f"{why}; choose {EFFICIENTNET}.")
    return embed(images, name, context.part(0, 0.5)), embed(others, name, context.part(0.5, 1))


def content_hash(store: ImageStore, context: Context) -> str:
    """SHA-256 of all stored pixels with their shapes and dtype; taken once for each opened store."""
    if store not in _HASHES:
        digest = hashlib.sha256(f"{store.dtype}".encode())
        starts = range(0, len(store), IMAGES_A_READ)
        for start in context.track(starts, len(starts), "reading images"):
            _add(digest.update, store, np.arange(start, min(start + IMAGES_A_READ, len(store))))
        _HASHES[store] = digest.hexdigest()
    return _HASHES[store]


def _add(update: Callable[[bytes], None], store: ImageStore, ids: np.ndarray) -> None:
    if store.shape is None:
        for image in (store.read(int(i)) for i in ids):
            update(f"{tuple(image.shape)}".encode() + image.contiguous().numpy().tobytes())
        return
    if ids[0] == 0:
        update(f"{store.shape}".encode())
    update(store.read_many(ids).contiguous().numpy().tobytes())


def _key(images: Images, encoder: Encoder, context: Context) -> str:
    space = images.pixel_space
    parts = (content_hash(images.store, context), encoder.identity, space.kind, space.mean, space.std)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _rows(images: Images, encoder: Encoder, first: int, context: Context) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, vectors) of consecutive batches from image ``first`` on."""
    size = rows_that_fit(encoder.bytes_per_image, encoder.device, _most(encoder))
    for ids in batches(images, size):
        ids = ids[ids >= first]
        if len(ids):
            context.report(ids[0] / len(images), f"embedding with {encoder.name}")
            yield ids, encoder(images, ids)
    context.report(1.0, f"embedding with {encoder.name}")


def _most(encoder: Encoder) -> int:
    """On the cpu small batches are faster: EfficientNet took 21 ms an image by 8, 32 by 32 and 47 by 128."""
    if encoder.device.type != "cpu":
        return IMAGES_A_BATCH
    return min(IMAGES_A_BATCH, max(LEAST_A_BATCH, CPU_WORKING_SET // encoder.bytes_per_image))


def _in_memory(images: Images, encoder: Encoder, context: Context) -> np.ndarray:
    vectors = np.zeros((0, 0), np.float32)
    for ids, rows in _rows(images, encoder, 0, context):
        if ids[0] == 0:
            vectors = np.empty((len(images), rows.shape[1]), np.float32)
        vectors[ids] = rows
    return vectors


def _cached(finished: Path, images: Images, encoder: Encoder, context: Context) -> np.ndarray:
    """The finished file, made now if need be. Another process that makes the same one is waited for."""
    lock = FileLock(finished.with_suffix(".lock"))
    while (vectors := _open(finished, len(images))) is None:
        try:
            with lock.acquire(timeout=WAIT_SECONDS):
                if _open(finished, len(images)) is None:
                    _write(finished, images, encoder, context)
        except Timeout:
            context.report(0.0, "waiting for another run that makes the same embedding")
    return vectors


def _open(finished: Path, n: int) -> np.ndarray | None:
    """The embedding in ``finished``, or None where it is absent, damaged or of other images."""
    try:
        vectors = np.load(finished, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
    return vectors if vectors.dtype == np.float32 and vectors.ndim == 2 and len(vectors) == n else None


def _write(finished: Path, images: Images, encoder: Encoder, context: Context) -> None:
    """Append batches to an unfinished file, whose own length says how far it got, then give it its name."""
    partial = finished.with_suffix(".partial")
    with partial.open("a+b") as file:
        done = _rows_done(file, len(images))
        for ids, rows in _rows(images, encoder, done, context):
            if ids[0] == 0:
                file.truncate(0)
                np.lib.format.write_array_header_1_0(file, _header(len(images), rows.shape[1]))
            file.write(np.ascontiguousarray(rows, dtype="<f4").tobytes())
            file.flush()
        os.fsync(file.fileno())
    os.replace(partial, finished)


def _rows_done(file, n: int) -> int:
    """Whole rows in an unfinished file, which is cut down to them; 0 where it does not fit these images."""
    file.seek(0)
    try:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        return 0
    if len(shape) != 2 or shape[0] != n or dtype != np.dtype("<f4"):
        return 0
    start, row = file.tell(), shape[1] * 4
    done = min((file.seek(0, os.SEEK_END) - start) // row, n)
    file.truncate(start + done * row)
    return done


def _header(n: int, width: int) -> dict[str, object]:
    return {"descr": "<f4", "fortran_order": False, "shape": (n, width)}
