from __future__ import annotations

import json
import multiprocessing
import os
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.critic import journal
from analysis.critic.journal import LONGEST_LINE, Journal, journal_path
from data.errors import ImpossibleRequest
from data.pair_answers import COLUMNS, NO_ANSWERS, NOTHING, SAID, PairAnswers


def _answers(n: int, start: int = 0, said: str = "left", reason: str = "so it looks") -> PairAnswers:
    ids = np.arange(start, start + n)
    texts = {"judge": "model", "said": said, "reason": reason, "author": "tiny", "at": "2026-01-01T00:00:00.000+00:00"}
    numbers = {"sample_id": ids, "left": np.zeros(n), "right": np.full(n, NOTHING), "confidence": np.full(n, np.nan)}
    columns = {name: np.full(n, text, object) for name, text in texts.items()}
    return PairAnswers(**numbers, **columns, seconds=np.full(n, 0.5))


@pytest.fixture
def path(tmp_path):
    return journal_path(tmp_path, "set", "judge")


def test_answers__come_back_as_they_went_in(path):
    Journal(path).append(_answers(3))
    Journal(path).append(_answers(2, 3, reason='новое\n"quoted"\x00'))
    pd.testing.assert_frame_equal(
        Journal(path).answers().frame(),
        pd.concat([_answers(3).frame(), _answers(2, 3, reason='новое\n"quoted"\x00').frame()]).reset_index(drop=True),
    )


def test_answers__none_yet(path):
    assert Journal(path).answers() is NO_ANSWERS
    Journal(path).append(NO_ANSWERS)
    assert not path.exists()


def test_answers__what_had_no_answer_is_to_be_asked_again(path):
    Journal(path).append(_answers(3))
    Journal(path).append(_answers(2, 3, said="none"))
    assert Journal(path).answers().sample_id.tolist() == [0, 1, 2]
    assert len(path.read_text().splitlines()) == 5, "but it is on record"


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(
    st.lists(
        st.tuples(st.integers(0, 2**62), texts, st.floats(0, 1) | st.just(np.nan), st.sampled_from(SAID[:4])), max_size=5
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
def test_answers__any_text_and_number(tmp_path_factory, rows):
    kept = Journal(tmp_path_factory.mktemp("j") / "kept.jsonl")
    n = len(rows)
    ids, reasons, confidence, said = zip(*rows, strict=True) if rows else ((), (), (), ())
    answers = PairAnswers(ids, np.zeros(n), np.ones(n), reasons, said, confidence, reasons, reasons, confidence, reasons)
    kept.append(answers)
    assert kept.answers().digest == answers.digest and kept.damaged == 0


@pytest.mark.parametrize("lost", [1, 2, 20, 190, 199, 200, 201, 202, 203, 204, 205, 300, 420])
def test_answers__write_that_a_crash_cut_off(path, lost):
    Journal(path).append(_answers(3))
    whole = path.read_bytes()
    path.write_bytes(whole[:-lost])
    held = Journal(path)
    left = held.answers()
    rows = whole.splitlines()
    complete = sum(len(b"\n".join(rows[: n + 1])) <= len(whole) - lost for n in range(3))
    assert left.sample_id.tolist() == [0, 1, 2][:complete]
    assert held.damaged == int(lost not in (1, len(rows[2]) + 1, len(rows[2]) + 2))
    held.append(_answers(1, 7))
    assert Journal(path).answers().sample_id.tolist() == [*left.sample_id.tolist(), 7], "the next write starts a line"


def _changed(**values) -> bytes:
    row = {name: getattr(_answers(1), name)[0] for name in COLUMNS}
    row = {name: value.item() if isinstance(value, np.generic) else value for name, value in row.items()}
    return json.dumps({**row, "confidence": None, **values}).encode()


DAMAGED = [
    b"",
    b"{",
    b"\xff\x00\xfe",
    b"[1, 2]",
    b"null",
    b"[" * 50_000,
    b"x" * (3 * LONGEST_LINE),
    b"9" * 10_000,
    _changed(sample_id=-1),
    _changed(sample_id=True),
    _changed(sample_id=1.5),
    _changed(sample_id=2**63),
    _changed(left=NOTHING),
    _changed(left=-2),
    _changed(said="perhaps"),
    _changed(said=["left"]),
    _changed(confidence=1.5),
    _changed(confidence=float("nan")),
    _changed(confidence="1"),
    _changed(seconds=-1),
    _changed(seconds=10**400),
    _changed(reason=None),
    _changed(more=1),
]


@pytest.mark.parametrize("line", DAMAGED, ids=lambda line: repr(line[:12]))
def test_answers__damaged_line_is_skipped_and_counted(path, line):
    Journal(path).append(_answers(1))
    with path.open("ab") as file:
        file.write(line + b"\n")
    Journal(path).append(_answers(1, 5))
    held = Journal(path)
    assert held.answers().sample_id.tolist() == [0, 5] and held.damaged == 1
    assert len(_changed()) and journal._row(_changed() + b"\n") is not None, "the unchanged line is a row"


def test_append__answer_too_long_to_be_read_back(path):
    with pytest.raises(ValueError, match="bound its reason"):
        Journal(path).append(_answers(1, reason="x" * LONGEST_LINE))
    assert not path.exists()


def test_append__place_that_cannot_be_written(tmp_path):
    (tmp_path / "critic").write_text("a file, not a folder")
    with pytest.raises(ImpossibleRequest, match="cannot be kept in"):
        Journal(journal_path(tmp_path, "set", "judge")).append(_answers(1))


def test_answers__folder_in_its_place(path):
    path.mkdir(parents=True)
    with pytest.raises(ImpossibleRequest, match="cannot be kept in"):
        Journal(path).answers()


def test_journal__one_run_at_a_time(path, monkeypatch):
    monkeypatch.setattr(journal, "WAIT_SECONDS", 0.05)
    with Journal(path) as held:
        held.append(_answers(1))
        with pytest.raises(ImpossibleRequest, match="another run"), Journal(path):
            pass
        assert len(Journal(path).answers()) == 1, "anyone may read meanwhile"
    with Journal(path) as later:
        later.append(_answers(1))
    assert len(Journal(path).answers()) == 2


def _write(path: Path, start: int, killed_at: int | None = None) -> None:
    for batch in range(25):
        if batch == killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        Journal(path).append(_answers(4, start + 4 * batch))


def _process(*given) -> multiprocessing.Process:
    process = multiprocessing.get_context("fork").Process(target=_write, args=given)
    process.start()
    return process


def test_append__two_processes_keep_their_lines_whole(path):
    for writer in [_process(path, start) for start in (0, 1_000)]:
        writer.join(60)
        assert writer.exitcode == 0
    held = Journal(path)
    ids = held.answers().sample_id
    assert sorted(ids.tolist()) == [*range(100), *range(1_000, 1_100)] and held.damaged == 0
    assert (np.diff(ids.reshape(-1, 4), axis=1) == 1).all(), "batches stay together"


def test_append__killed_run_loses_nothing_it_had_appended(path):
    writer = _process(path, 0, 3)
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL
    assert Journal(path).answers().sample_id.tolist() == list(range(12))


def test_journal_path__differs_with_set_and_judge(tmp_path):
    names = {journal_path(tmp_path, s, j) for s, j in (("a", "b"), ("ab", ""), ("", "ab"), ("b", "a"), ("../../x", "/y"))}
    assert len(names) == 5 and {name.parent for name in names} == {tmp_path / "critic"}
