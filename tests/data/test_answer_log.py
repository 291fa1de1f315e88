from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

from data.demo import DEMO
from data.errors import ImpossibleRequest
from data.pair_answers import NO_ANSWERS, NOTHING, PEOPLE, PairAnswers, together
from data.workspace import Workspace
from tests.data.test_pair_answers import made


@pytest.fixture
def workspace(tmp_path, store):
    with Workspace.open(tmp_path / "w", decisions=store) as opened:
        yield opened


@pytest.fixture
def set_id(workspace, tmp_path):
    """A set of this test alone."""
    return workspace.add_set(shutil.copytree(DEMO, tmp_path / "set"))


def answer(sample: int = 0, left: int = 0, right: int = 1, judge: str = PEOPLE) -> PairAnswers:
    return made([(sample, [left, right], judge, "left", None, "because")])


def test_append__comes_back_in_order_also_after_a_restart(tmp_path, store):
    rows = together([answer(3), answer(1, 2, NOTHING), answer(2, judge="prototypes")])
    with Workspace.open(tmp_path / "w", decisions=store) as opened:
        set_id = opened.add_set(DEMO)
        assert opened.add_answers(set_id, rows) == 3
    with Workspace.open(tmp_path / "w", decisions=store) as opened:
        pd.testing.assert_frame_equal(opened.answers(set_id).frame(), rows.frame())
        assert opened.answers(set_id, PEOPLE).sample_id.tolist() == [3, 1]
        assert len(opened.answers(set_id, "nobody")) == 0


def test_append__a_run_is_kept_once(workspace, set_id):
    assert [workspace.add_answers(set_id, answer(), "000001") for _ in range(2)] == [1, 0]
    assert workspace.add_answers(set_id, answer(), "000002") == 1
    assert [workspace.add_answers(set_id, answer()) for _ in range(2)] == [1, 1]


def test_append__none_of_them_where_one_is_impossible(workspace, set_id):
    n, classes = len(workspace.load(set_id)), workspace.load(set_id).num_classes
    for wrong, why in ((answer(n), f"sample {n}"), (answer(0, 0, classes), f"class {classes}")):
        with pytest.raises(ImpossibleRequest, match=why):
            workspace.add_answers(set_id, together([answer(), wrong]))
    assert len(workspace.answers(set_id)) == 0
    assert workspace.add_answers(set_id, NO_ANSWERS) == 0


def test_append__gets_a_time_where_it_has_none(workspace, set_id):
    undated = answer()
    workspace.add_answers(set_id, PairAnswers(**{**vars(undated), "at": [""]}))
    assert workspace.answers(set_id).at[0].startswith("20")


def test_append__many_at_once_all_there_once(workspace, set_id):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: workspace.add_answers(set_id, answer(i)), range(100)))
    assert sorted(workspace.answers(set_id).sample_id) == list(range(100))


def test_append_new__what_is_there_already_is_left_out(workspace, set_id):
    n, classes = len(workspace.load(set_id)), workspace.load(set_id).num_classes
    rows = together([answer(3), answer(n), answer(1, 0, classes), answer(4), answer(4), answer(3, 1, 0)])
    assert workspace.add_new_answers(set_id, rows) == 3
    assert workspace.add_new_answers(set_id, together([rows, answer(5)])) == 1
    assert workspace.answers(set_id).sample_id.tolist() == [3, 4, 3, 5]
    assert workspace.add_new_answers(set_id, NO_ANSWERS) == 0


def test_append_new__one_without_a_time_is_always_new(workspace, set_id):
    undated = PairAnswers(**{**vars(answer()), "at": [""]})
    assert workspace.add_new_answers(set_id, together([undated, undated])) == 2


def test_append_new__the_same_offered_by_many_at_once_is_there_once(workspace, set_id):
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda i: workspace.add_new_answers(set_id, answer(i % 5)), range(40)))
    assert sum(added) == 5 and sorted(workspace.answers(set_id).sample_id) == list(range(5))


def test_of_set__another_set_sees_nothing(workspace, set_id, tmp_path):
    workspace.add_answers(set_id, answer())
    np.savez(tmp_path / "other.npz", images=np.zeros((4, 8, 8, 3), np.uint8), labels=np.arange(4) % 2)
    other = workspace.add_set(tmp_path / "other.npz")
    assert len(workspace.answers(other)) == 0
