"""Confident learning, ours and cleanlab's, on the same probabilities: time, peak memory above the input, same answer.

    python -m benchmarks.label_errors --n 50000 --classes 100 [--device cpu] [--filter prune_by_noise_rate]

Each contender runs in a process of its own, on input made from a seed there, so neither pays for the other's memory.
"""

from __future__ import annotations

import argparse
import hashlib
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import psutil
import torch

from analysis.confident_learning import FILTERS, find_issues, learn
from analysis.device import describe, pick
from data.soft_labels import DenseSoftLabels

NOISE = 0.1
ROWS_AT_ONCE = 10_000
SAMPLE_SECONDS = 0.002


@dataclass(frozen=True)
class Task:
    n: int
    classes: int
    device: str
    filter_by: str


@dataclass(frozen=True)
class Measured:
    """Wall-clock ``seconds``, ``peak`` bytes of memory above the input, and what was found."""

    seconds: float
    peak: int
    flagged: int
    digest: str


def made_input(task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Labels int64 (N,), a tenth of them wrong, and float32 probabilities (N, C) of a good but unsure model."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, task.classes, task.n)
    wrong = rng.random(task.n) < NOISE
    labels = np.where(wrong, rng.integers(0, task.classes, task.n), truth)
    probabilities = np.empty((task.n, task.classes), dtype=np.float32)
    for start in range(0, task.n, ROWS_AT_ONCE):
        rows = slice(start, start + ROWS_AT_ONCE)
        logits = rng.standard_normal((len(truth[rows]), task.classes), dtype=np.float32)
        logits[np.arange(len(logits)), truth[rows]] += np.log(task.classes) + rng.normal(1, 2, len(logits))
        np.exp(logits, out=logits)
        # Ours divides once more by the row's sum, so both get rows for which that changes nothing they can see.
        probabilities[rows] = logits / logits.sum(axis=1, keepdims=True)
    stored = DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")
    for ids, chunk in stored.stream(rows=ROWS_AT_ONCE):
        probabilities[ids] = chunk.numpy()
    return labels, probabilities


def ours(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> np.ndarray:
    source = DenseSoftLabels(torch.from_numpy(probabilities), "probabilities")
    return find_issues(learn(labels, source, pick(task.device)), task.filter_by)  # type: ignore[arg-type]


def cleanlabs(labels: np.ndarray, probabilities: np.ndarray, task: Task) -> np.ndarray:
    from cleanlab.filter import find_label_issues

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find_label_issues(labels, probabilities, filter_by=task.filter_by, n_jobs=1)


CONTENDERS: dict[str, Callable[[np.ndarray, np.ndarray, Task], np.ndarray]] = {"ours": ours, "cleanlab": cleanlabs}


def measure(name: str, task: Task) -> Measured:
    """Run one contender here, once small so that imports and first calls are paid for, then once in full."""
    run = CONTENDERS[name]
    run(*made_input(Task(200, 5, task.device, task.filter_by)), task)
    labels, probabilities = made_input(task)
    process, done = psutil.Process(), threading.Event()
    before = peak = process.memory_info().rss

    def watch() -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    mask = run(labels, probabilities, task)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    return Measured(seconds, peak - before, int(mask.sum()), hashlib.sha256(mask.tobytes()).hexdigest())


def apart(name: str, task: Task) -> Measured:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, name, task).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=50_000, help="samples")
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--device", default="cpu", help="for ours; cleanlab runs on the cpu")
    parser.add_argument("--filter", default="prune_by_noise_rate", choices=FILTERS)
    given = parser.parse_args()
    task = Task(given.n, given.classes, given.device, given.filter)
    print(f"{task.n} x {task.classes} float32 ({task.n * task.classes * 4 / 2**20:.0f} MiB), {task.filter_by}")
    print(f"ours on {describe(pick(task.device))}; cleanlab on one process")
    results = {name: apart(name, task) for name in CONTENDERS}
    for name, result in results.items():
        print(f"{name:10} {result.seconds:8.2f} s {result.peak / 2**20:8.0f} MiB above input {result.flagged:8} flagged")
    mine, theirs = results["ours"], results["cleanlab"]
    memory = theirs.peak / max(mine.peak, 1)
    print(f"cleanlab / ours: {theirs.seconds / mine.seconds:.2f} x the time, {memory:.2f} x the memory")
    print("same answer" if mine.digest == theirs.digest else "DIFFERENT ANSWERS")


if __name__ == "__main__":
    main()
