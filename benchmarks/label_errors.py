"""Confident learning, ours and cleanlab's, on the same probabilities: time, peak memory above the input, same answer.

    python -m benchmarks.label_errors [50000x1000 200000x100 1000000x1000] [--dtype float16] [--device cuda]
                                      [--filter prune_by_noise_rate] [--jobs 1] [--folder DIR]

The input is written once as .npy and memory-mapped by both contenders, each in a process of its own that first reads all of
it, so that it is in the page cache where it fits there. Where other programs run too, compare the seconds of work, of all
threads, rather than those on the clock. Memory is what a process holds beside pages of files, so the input counts for
neither. Of cleanlab's worker processes (--jobs) only the time counts.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from multiprocessing import get_context, set_start_method
from pathlib import Path

import numpy as np
import psutil
import torch

from analysis.confident.learning import FILTERS, find_issues, learn
from analysis.device import describe, pick
from data.soft_labels import DenseSoftLabels

SIZES = ("50000x1000", "200000x100")
NOISE = 0.1
ROWS_AT_ONCE = 10_000
SAMPLE_SECONDS = 0.002
FIRST = (200, 5)


@dataclass(frozen=True)
class Task:
    """``folder`` holds the input; ``jobs`` are cleanlab's processes."""

    n: int
    classes: int
    dtype: str
    device: str
    filter_by: str
    jobs: int
    folder: Path

    @property
    def probabilities(self) -> Path:
        return self.folder / f"probabilities_{self.n}x{self.classes}_{self.dtype}.npy"

    @property
    def labels(self) -> Path:
        return self.folder / f"labels_{self.n}x{self.classes}.npy"

    @property
    def bytes(self) -> int:
        return self.n * self.classes * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Measured:
    """Wall-clock ``seconds``, those of work by all threads, those that reading the input once took, ``peak`` bytes above the
    input, and what was found."""

    seconds: float
    worked: float
    reading: float
    peak: int
    flagged: int
    digest: str


def write_input(task: Task) -> None:
    """Labels int64 (N,), a tenth of them wrong, and probabilities (N, C) of a good but unsure model."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, task.classes, task.n)
    wrong = rng.random(task.n) < NOISE
    np.save(task.labels, np.where(wrong, rng.integers(0, task.classes, task.n), truth))
    shape = (task.n, task.classes)
    probabilities = np.lib.format.open_memmap(task.probabilities, mode="w+", dtype=task.dtype, shape=shape)
    for start in range(0, task.n, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        logits = rng.standard_normal((len(truth[rows]), task.classes), dtype=np.float32)
        logits[np.arange(len(logits)), truth[rows]] += np.log(task.classes) + rng.normal(1, 2, len(logits))
        np.exp(logits, out=logits)
        probabilities[rows] = logits / logits.sum(axis=1, keepdims=True)


def ours(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> np.ndarray:
    source = DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")
    return find_issues(learn(labels, source, pick(task.device)), task.filter_by)  # type: ignore[arg-type]


def cleanlabs(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> np.ndarray:
    from cleanlab.filter import find_label_issues

    if task.jobs > 1:  # its workers find their input by being forked
        set_start_method("fork", force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_label_issues(labels, probabilities, filter_by=task.filter_by, n_jobs=task.jobs)


CONTENDERS: dict[str, Callable[[np.ndarray, np.ndarray, Task], np.ndarray]] = {"ours": ours, "cleanlab": cleanlabs}


def measure(name: str, task: Task) -> Measured:
    """Run one contender here, once small so that imports and first calls are paid for, then once in full."""
    run = CONTENDERS[name]
    small = replace(task, n=FIRST[0], classes=FIRST[1])
    run(*_opened(small), small)
    labels, probabilities = _opened(task)
    torch.from_numpy(probabilities).amax()
    start = time.perf_counter()
    torch.from_numpy(probabilities).amax()
    reading = time.perf_counter() - start
    done, before = threading.Event(), _held()
    peak = before

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, _held())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, worked = time.perf_counter(), time.process_time()
    mask = run(labels, probabilities, task)
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    done.set()
    watcher.join()
    return Measured(seconds, worked, reading, peak - before, int(mask.sum()), hashlib.sha256(mask.tobytes()).hexdigest())


def _opened(task: Task) -> tuple[np.ndarray, np.ndarray]:
    return np.load(task.labels), np.load(task.probabilities, mmap_mode="c")


def _held() -> int:
    """Bytes of memory of this process that are not pages of files; all of them where the system does not tell."""
    memory = psutil.Process().memory_info()
    return memory.rss - getattr(memory, "shared", 0)


def apart(name: str, task: Task) -> Measured:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, name, task).result()


def compare(task: Task) -> None:
    print(f"\n{task.n:,} x {task.classes:,} {task.dtype} ({task.bytes / 2**20:,.0f} MiB), {task.filter_by}", flush=True)
    write_input(replace(task, n=FIRST[0], classes=FIRST[1]))
    write_input(task)
    results = {}
    for name in CONTENDERS:
        result = results[name] = apart(name, task)
        print(
            f"{name:10} {result.seconds:8.2f} s ({result.worked:.2f} s of work; one read {result.reading:.2f} s) "
            f"{result.peak / 2**20:8,.0f} MiB above input {result.flagged:9,} flagged",
            flush=True,
        )
    mine, theirs = results["ours"], results["cleanlab"]
    memory = theirs.peak / max(mine.peak, 1)
    work = theirs.worked / mine.worked
    print(
        f"cleanlab / ours: {theirs.seconds / mine.seconds:.2f} x the time ({work:.2f} x the work), {memory:.2f} x the memory"
    )
    print("same answer" if mine.digest == theirs.digest else "DIFFERENT ANSWERS")
    task.probabilities.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", nargs="*", default=SIZES, metavar="NxC", help=f"samples x classes ({' '.join(SIZES)})")
    parser.add_argument("--dtype", default="float32", choices=("float16", "float32", "float64"))
    parser.add_argument("--device", default="cpu", help="for ours; cleanlab runs on the cpu")
    parser.add_argument("--filter", default="prune_by_noise_rate", choices=FILTERS)
    parser.add_argument("--jobs", type=int, default=1, help="cleanlab's processes")
    parser.add_argument("--folder", type=Path, help="where to write the input; a temporary folder by default")
    given = parser.parse_args()
    if wrong := [size for size in given.sizes if not re.fullmatch(r"\d+x\d+", size)]:
        parser.error(f"a size is samples x classes, such as 50000x1000, not {wrong[0]}")
    print(f"ours on {describe(pick(given.device))}; cleanlab on {given.jobs} process{'es' if given.jobs > 1 else ''}")
    with nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory() as folder:
        for size in given.sizes:
            n, classes = map(int, size.split("x"))
            compare(Task(n, classes, given.dtype, given.device, given.filter, given.jobs, Path(folder)))


if __name__ == "__main__":
    main()
