"""The label critic from end to end on sets whose wrong labels are known: in process, on the command line, and over HTTP."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from threading import Event

import numpy as np
import pandas as pd
import pytest
import torch

from analysis.__main__ import main
from analysis.context import Context
from analysis.critic import given_judge
from analysis.critic.combined import COMBINED
from analysis.critic.endpoint_judge import LOST_IN_A_ROW
from analysis.critic.endpoint_judge import NAME as MODEL
from analysis.critic.endpoint_replies import KEY
from analysis.findings import Findings
from analysis.registry import run
from data.decisions import Decision, write_jsonl
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING, PEOPLE, PairAnswers
from data.soft_labels import DenseSoftLabels
from data.verdicts import Verdicts
from tests.analysis.critic.scripted_endpoint import Scripted, ScriptedEndpoint, Seen, failing, form
from tests.analysis.made_sets import made_set

FLIPS = {2: 1, 15: 2, 30: 0}
GIVEN = given_judge.NAME
ONLY_ENDPOINT = {"prototypes": False, "committee": False, "zero_shot": False}


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture(scope="module")
def truth() -> DistilledSet:
    """12 images of each of three classes; every label right."""
    return made_set((12, 12, 12))


@pytest.fixture(scope="module")
def flipped(truth) -> DistilledSet:
    labels = truth.labels.copy()
    labels[list(FLIPS)] = list(FLIPS.values())
    return replace(truth, labels=labels)


def criticised(of: DistilledSet, context: Context | None = None, **parameters: object) -> Findings:
    return run("critic", of, context, **{"embedding": "pixels", "zero_shot": False, **parameters})


def judges(found: Findings) -> pd.DataFrame:
    return found.tables["judges"].set_index("judge")


def people_said(sample: int, label: int, other: int, times: int = 1, said: str = "left") -> PairAnswers:
    """That ``label`` fits ``sample`` better, asked in both orders; or ``said`` both times."""
    n = 2 * times
    left, right = ([label, other] * times, [other, label] * times)
    words = ["left", "right"] * times if said == "left" else [said] * n
    return PairAnswers(
        [sample] * n, left, right, [PEOPLE] * n, words, [np.nan] * n, [""] * n, ["me"] * n, [2.0] * n, [""] * n
    )


@pytest.mark.parametrize("reference", [True, False])
@pytest.mark.parametrize("judging", [{}, {"committee": False}, {"prototypes": False}])
def test_critic__finds_what_was_flipped_and_what_it_was(truth, flipped, judging, reference):
    """One judge alone only outweighs the given label where it has proved better."""
    asked = flipped if reference else replace(flipped, reference=None)
    known = np.array([*FLIPS, 0, 1, 13, 14, 25, 26])
    context = Context(verdicts=Verdicts(np.sort(known), truth.labels[np.sort(known)]))
    found = criticised(asked, context, **judging)
    assert np.flatnonzero(found.per_sample["flag"]).tolist() == list(FLIPS)
    assert found.per_sample.loc[list(FLIPS), "suggested_label"].tolist() == truth.labels[list(FLIPS)].tolist()
    assert judges(found).loc[COMBINED, "accuracy"] == 1


def test_critic__two_judges_who_agree_overrule_an_annotator_and_one_does_not(truth, flipped):
    both, one = criticised(flipped), criticised(flipped, committee=False)
    assert np.flatnonzero(both.per_sample["flag"]).tolist() == list(FLIPS)
    assert both.per_sample.loc[list(FLIPS), "suggested_label"].tolist() == truth.labels[list(FLIPS)].tolist()
    assert one.per_sample["p_given"].min() > both.per_sample["p_given"].min()
    assert GIVEN in judges(one).index


def test_critic__verdicts_raise_the_weight_of_the_better_judge(truth, flipped):
    noise = np.random.default_rng(0).dirichlet(np.ones(3), len(truth)).astype(np.float32)
    misled = replace(flipped, label_sources={"noise": DenseSoftLabels(torch.from_numpy(noise), "probabilities")})
    before = judges(criticised(misled))
    after = judges(criticised(misled, Context(verdicts=Verdicts(np.arange(36), truth.labels))))
    assert before["weight"].drop(COMBINED).nunique() == 1 and (before["n"] == 0).all()
    assert after.loc["prototypes", "accuracy"] == 1 > after.loc["committee", "accuracy"]
    assert after.loc["committee", "weight"] < before.loc["committee", "weight"] < after.loc["prototypes", "weight"]


def test_critic__peoples_answers_count(flipped):
    sample, label = next(iter(FLIPS.items()))
    answers = people_said(sample, label, 0)
    alone, with_people = criticised(flipped), criticised(flipped, Context(answers=answers))
    assert PEOPLE not in judges(alone).index and judges(with_people).loc[PEOPLE, "answered"] == 1
    p = [found.per_sample.loc[sample, "p_given"] for found in (alone, with_people)]
    assert p[1] > p[0]
    others = alone.per_sample.index != sample
    pd.testing.assert_frame_equal(alone.per_sample[others], with_people.per_sample[others])


def test_critic__what_people_skipped_says_nothing(flipped):
    skipped = people_said(2, 1, 0, said="none")
    alone, after = criticised(flipped), criticised(flipped, Context(answers=skipped))
    assert PEOPLE not in judges(after).index
    pd.testing.assert_frame_equal(alone.per_sample, after.per_sample)
    assert alone.summary == after.summary


def test_critic__answers_of_other_runs_judges_are_not_counted_again(flipped):
    found = criticised(flipped)
    earlier = people_said(2, 1, 0)
    machine = replace(earlier, judge=np.full(len(earlier), "prototypes", object))
    pd.testing.assert_frame_equal(found.per_sample, criticised(flipped, Context(answers=machine)).per_sample)


@pytest.mark.parametrize("budget", [1, 5])
def test_critic__no_judge_is_asked_more_than_its_budget_and_the_most_doubtful_come_first(flipped, budget):
    found = criticised(flipped, pairs=budget)
    asked = judges(found)["asked"].drop(COMBINED)
    assert set(asked.index) == {GIVEN, "prototypes", "committee"} and (asked == budget).all()
    flags = set(np.flatnonzero(found.per_sample["flag"]))
    assert len(flags) == min(budget, len(FLIPS)) and flags <= set(FLIPS)


def test_critic__a_set_without_soft_labels_gets_its_candidates_from_the_prototypes(truth, flipped):
    context = Context(verdicts=Verdicts(np.arange(36), truth.labels))
    found = criticised(replace(flipped, label_sources={}), context)
    assert np.flatnonzero(found.per_sample["flag"]).tolist() == list(FLIPS)
    assert any(sentence.startswith("committee did not judge") for sentence in found.caveats)


def test_critic__without_an_endpoint_no_socket_is_opened(flipped, monkeypatch):
    """Not even with the judge that reads class names, whose networks a hub offers."""
    opened = []

    def refuse(*where: object, **how: object) -> None:
        opened.append(where)
        raise OSError("this test lets nobody out")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    with pytest.raises(OSError, match="nobody out"):
        socket.create_connection(("127.0.0.1", 9))
    assert opened.pop()
    found = criticised(replace(flipped, class_names=("cat", "ship", "apple")), zero_shot=True)
    assert "semantic" in judges(found).index and opened == []


def prefers_class_1(number: int, seen: Seen) -> Scripted:
    return form("A" if 'A: "class 1"' in seen.text else "B", "it has wheels")


def over_http(
    of: DistilledSet, endpoint: ScriptedEndpoint, context: Context | None = None, **parameters: object
) -> Findings:
    return criticised(of, context, endpoint=endpoint.base, model="tiny", **{**ONLY_ENDPOINT, **parameters})


def model_answers(found: Findings) -> pd.DataFrame:
    answers = found.tables["answers"]
    return answers[answers["judge"] == MODEL]


def test_critic__a_model_behind_an_endpoint_is_asked_each_pair_in_both_orders(flipped):
    with ScriptedEndpoint(prefers_class_1) as endpoint:
        found = over_http(flipped, endpoint, endpoint_pairs=4, repeats=2)
    put = model_answers(found)
    assert len(endpoint.seen) == len(put) == 4 * 2 * 2
    assert judges(found).loc[MODEL, ["asked", "answered"]].tolist() == [4, 4]
    assert put.groupby(["sample_id", "left", "right"]).size().eq(2).all()
    turned = put.rename(columns={"left": "right", "right": "left"})
    keys = ["sample_id", "left", "right"]
    assert sorted(map(tuple, put[keys].to_numpy())) == sorted(map(tuple, turned[keys].to_numpy()))
    assert set(put["author"]) == {"tiny"} and set(put["reason"]) == {"it has wheels"}
    np.testing.assert_array_equal(put["said"], np.where(put["left"] == 1, "left", "right"))
    assert found.per_sample["score"].notna().sum() == put["sample_id"].nunique()  # the given label alone is no second look


def test_critic__an_endpoint_run_goes_on_where_it_stopped(flipped, tmp_path):
    before, up_again = 8, Event()

    def gone(number: int, seen: Seen) -> Scripted:
        return prefers_class_1(number, seen) if number < before or up_again.is_set() else failing(401, "no longer")

    context = Context(cache=tmp_path)
    with ScriptedEndpoint(gone) as endpoint:
        with pytest.raises(ImpossibleRequest, match="wants a key"):
            over_http(flipped, endpoint, context)
        assert before + LOST_IN_A_ROW <= len(endpoint.seen) < 2 * 36
        up_again.set()
        start = len(endpoint.seen)
        found = over_http(flipped, endpoint, context)
        resumed = len(endpoint.seen) - start
        again = over_http(flipped, endpoint, context)
        assert len(endpoint.seen) == start + resumed
    assert resumed == len(model_answers(found)) - before
    pd.testing.assert_frame_equal(found.per_sample, again.per_sample)
    with ScriptedEndpoint(prefers_class_1) as another:
        never_stopped = over_http(flipped, another)
    pd.testing.assert_frame_equal(found.per_sample, never_stopped.per_sample)


def test_critic__a_model_that_only_talks_leaves_the_set_unasked(flipped):
    with ScriptedEndpoint(lambda number, seen: form("maybe")) as endpoint:
        found = over_http(flipped, endpoint, endpoint_pairs=3)
    assert judges(found).loc[MODEL, ["asked", "answered", "no_answer"]].tolist() == [3, 0, 3]
    assert found.per_sample["score"].isna().all() and not found.per_sample["flag"].any()
    assert model_answers(found)["reason"].str.contains("did not keep to the form").all()


def test_critic__a_label_without_a_rival_is_held_against_something_else(truth):
    found = criticised(truth)
    assert (found.per_sample["candidates"] == 1).all() and (found.per_sample["second_label"] == NOTHING).all()
    assert found.per_sample["score"].notna().all() and not found.per_sample["flag"].any()


@pytest.fixture
def on_disk(flipped, tmp_path):
    path = tmp_path / "flipped.npz"
    images = (flipped.images.stored(np.arange(36)).numpy() * 255).round().astype(np.uint8)
    probabilities = flipped.label_sources["teacher 1"].probabilities(np.arange(36)).numpy()
    np.savez(path, images=images, labels=flipped.labels, probabilities=probabilities)
    return path


@pytest.mark.parametrize("as_json", [True, False])
def test_command_line__reports_each_judge_against_the_decisions(truth, on_disk, tmp_path, capsys, as_json):
    log, out = tmp_path / "log.jsonl", tmp_path / "out"
    kept = [Decision(i, "keep", annotator="me") for i in (0, 1, 13, 14, 25, 26)]
    write_jsonl([*kept, *(Decision(i, "relabel", label=int(truth.labels[i]), annotator="me") for i in FLIPS)], log)
    chosen = ["--param", "embedding=pixels", "--param", "zero_shot=false", "--param", "pairs=36"]
    command = ["run", "critic", str(on_disk), "--decisions", str(log), "--out", str(out), *chosen]
    assert main([*command, "--json"] if as_json else command) == 0
    shown = capsys.readouterr().out
    if not as_json:
        for name in (GIVEN, "prototypes", "committee", COMBINED):
            assert f"  Pairwise accuracy, {name}: " in shown
        return
    told = json.loads(shown)
    accuracy = next(figure for figure in told["figures"] if figure["label"] == f"Pairwise accuracy, {GIVEN}")
    # The kept labels have no rival, so only the flipped ones check it.
    assert (accuracy["value"], accuracy["n"], accuracy["low"]) == (0, 3, 0) and 0.5 < accuracy["high"] < 1
    assert told["parameters"]["pairs"] == 36 and told["analysis"] == "critic"
    table = pd.read_parquet(out / "per_sample.parquet")
    assert table.index[table["flag"]].tolist() == list(FLIPS)


def test_command_line__a_wrong_endpoint_is_one_sentence(on_disk, tmp_path, capsys):
    command = ["run", "critic", str(on_disk), "--out", str(tmp_path / "out"), "--param", "endpoint=ftp://somewhere"]
    assert main([*command, "--param", "zero_shot=false", "--param", "embedding=pixels"]) == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "endpoint" in text]
    assert "http or https address" in line
    assert not (tmp_path / "out").exists()
