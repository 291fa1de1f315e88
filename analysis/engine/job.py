"""One job: what to run, how far it is, and the running itself."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from analysis import findings_io
from analysis.context import Context
from analysis.registry import find, run
from data.annotations import NO_ANNOTATIONS, Annotations
from data.derived_sources import attach_derived
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest
from data.formats import open_set
from data.pair_answers import NO_ANSWERS, PairAnswers
from data.verdicts import NO_VERDICTS, Verdicts

State = Literal["queued", "running", "done", "failed", "cancelled"]
ACTIVE: tuple[State, ...] = ("queued", "running")
ERROR_LOG = "error.log"


@dataclass(frozen=True)
class Job:
    """One analysis of one set. ``folder`` is where the results go; it comes into being with all of them, or not at all.

    ``verdicts`` is what people had settled when the job was made, ``answers`` what they had said of pairs of labels,
    ``annotations`` what each of them said of each sample, ``derived`` the folders of the label sources computed for the set
    until then; the worker has no database to ask.
    """

    run_id: str
    set_path: Path
    options: OpenOptions
    analysis: str
    parameters: Mapping[str, Any]
    folder: Path
    verdicts: Verdicts = NO_VERDICTS
    derived: tuple[Path, ...] = ()
    answers: PairAnswers = NO_ANSWERS
    annotations: Annotations = NO_ANNOTATIONS

    @property
    def unfinished(self) -> Path:
        """Where results are written before they are complete, on the same file system as ``folder``."""
        return self.folder.with_name(f".{self.folder.name}.part")


@dataclass(frozen=True)
class JobStatus:
    """``fraction`` in [0, 1]; ``elapsed`` seconds since the run began, 0 while queued; ``seconds_left`` None until there
    is enough progress to judge by; ``error`` a sentence for people where the run failed; ``device`` where it computes,
    in words, once known; ``drafts`` the tables that a run under way can show by now.
    """

    run_id: str
    state: State
    fraction: float = 0.0
    message: str = ""
    elapsed: float = 0.0
    seconds_left: float | None = None
    error: str | None = None
    device: str = ""
    drafts: Mapping[str, pd.DataFrame] = field(default_factory=dict)


@dataclass
class Pace:
    """Estimates the time left from the pace of the last half minute, so that a resumed run, which races through what is
    cached, is not believed to go on like that.
    """

    WINDOW, LEAST_SECONDS, LEAST_PROGRESS = 30.0, 1.0, 0.02
    marks: deque[tuple[float, float]] = field(default_factory=deque)

    def mark(self, now: float, fraction: float) -> None:
        """Note that ``fraction`` was reached at ``now`` (seconds of any steady clock)."""
        self.marks.append((now, fraction))
        while len(self.marks) > 2 and now - self.marks[1][0] > self.WINDOW:
            self.marks.popleft()

    def seconds_left(self, now: float) -> float | None:
        """None without enough progress to judge by, and once the run has taken longer than was estimated."""
        if len(self.marks) < 2:
            return None
        (began, first), (seen, last) = self.marks[0], self.marks[-1]
        if seen - began < self.LEAST_SECONDS or last - first < self.LEAST_PROGRESS:
            return None
        left = (1 - last) * (seen - began) / (last - first) - (now - seen)
        return left if left > 0 else None


def run_job(job: Job, context: Context) -> None:
    """Open the set, run the analysis, put the results into ``job.folder``. Raises whatever goes wrong on the way."""
    distilled_set = attach_derived(open_set(job.set_path, job.options), job.derived)
    heard = replace(context, verdicts=job.verdicts, answers=job.answers, annotations=job.annotations)
    findings = run(job.analysis, distilled_set, heard, **job.parameters)
    arguments = find(job.analysis).arguments(job.parameters)
    discard(job)
    job.unfinished.mkdir(parents=True)
    findings_io.save(findings, job.unfinished, {"analysis": job.analysis, "set": str(job.set_path), "parameters": arguments})
    _place(job)


def discard(job: Job) -> None:
    """Remove what an attempt that did not finish has left, but for its error log."""
    shutil.rmtree(job.unfinished, ignore_errors=True)


def log_error(job: Job, traceback: str) -> str:
    """Keep a traceback where the results would have been, for whoever is asked about it; says where, or nothing."""
    log = job.folder / ERROR_LOG
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        log.write_text(traceback, encoding="utf-8", errors="replace")
    except OSError:  # a full disk may be what went wrong in the first place
        return ""
    return f" (details in {log})"


def _place(job: Job) -> None:
    """All results appear at once: a rename is all or nothing."""
    try:
        (job.folder / ERROR_LOG).unlink(missing_ok=True)
        job.unfinished.rename(job.folder)
    except OSError as error:
        raise ImpossibleRequest(
            f"the results cannot be put into {job.folder} ({error.strerror}); empty that folder and run this again."
        ) from None
