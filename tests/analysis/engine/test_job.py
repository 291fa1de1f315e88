from dataclasses import replace

import numpy as np
import pytest

from analysis import findings_io
from analysis.context import Cancelled, Context
from analysis.engine.job import Job, Pace, run_job
from data.distilled_set import OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.verdicts import Verdicts
from tests.data.workspaces import write_set


@pytest.fixture
def job(tmp_path, made_analyses):
    set_path = write_set(tmp_path / "set.npz")
    return Job("1", set_path, OpenOptions(), "made_counting", {"steps": 2}, tmp_path / "runs" / "1")


@pytest.fixture
def context(tmp_path):
    return Context("cpu", tmp_path / "arrays")


def test_run_job__results_are_all_there_and_nothing_else(job, context):
    run_job(job, context)
    assert len(findings_io.load(job.folder).per_sample) == 20
    assert [entry.name for entry in job.folder.parent.iterdir()] == ["1"]


def test_run_job__the_analysis_is_told_what_people_settled(job, context):
    settled = Verdicts(np.array([3, 7]), np.array([1, 0]))
    run_job(replace(job, analysis="made_repeating", parameters={}, verdicts=settled), context)
    said = findings_io.load(job.folder).per_sample["said"]
    assert (said[3], said[7], (said == -1).sum()) == (1, 0, 18)


def test_run_job__nothing_is_written_where_it_stops(job, context):
    def stop(fraction, message):
        raise Cancelled

    with pytest.raises(Cancelled):
        run_job(job, Context("cpu", context.cache, stop))
    assert not job.folder.exists()


def test_run_job__takes_the_place_of_an_attempt_that_was_cut_short(job, context):
    job.unfinished.mkdir(parents=True)
    (job.unfinished / "per_sample.parquet").write_text("half")
    job.folder.mkdir()
    (job.folder / "error.log").write_text("the last time")
    run_job(job, context)
    assert len(findings_io.load(job.folder).per_sample) == 20
    assert not job.unfinished.exists() and not (job.folder / "error.log").exists()


def test_run_job__never_mixes_with_other_results(job, context):
    job.folder.mkdir(parents=True)
    (job.folder / "summary.json").write_text("someone's")
    with pytest.raises(ImpossibleRequest, match="empty that folder"):
        run_job(job, context)
    assert (job.folder / "summary.json").read_text() == "someone's"


def test_run_job__set_that_does_not_open(job, context):
    job.set_path.unlink()
    with pytest.raises(UnreadableInput, match="does not exist"):
        run_job(job, context)


def _paced(*marks: tuple[float, float]) -> Pace:
    pace = Pace()
    for now, fraction in marks:
        pace.mark(now, fraction)
    return pace


def test_pace__says_nothing_before_it_can_know():
    assert _paced().seconds_left(5) is None
    assert _paced((0, 0)).seconds_left(5) is None
    assert _paced((0, 0), (0.5, 0.5)).seconds_left(0.5) is None  # too soon
    assert _paced((0, 0), (20, 0.01)).seconds_left(20) is None  # too little


def test_pace__steady_progress():
    pace = _paced(*((t, t / 100) for t in range(21)))
    assert pace.seconds_left(20) == pytest.approx(80)
    assert pace.seconds_left(30) == pytest.approx(70)
    assert pace.seconds_left(101) is None  # late: any number would be made up


def test_pace__forgets_what_was_cached():
    resumed = [(t / 10, t / 20) for t in range(11)]  # half of it in the first second
    slow = [(1 + t, 0.5 + t / 1000) for t in range(1, 101)]
    assert _paced(*resumed, *slow).seconds_left(101) == pytest.approx(400, rel=0.01)
