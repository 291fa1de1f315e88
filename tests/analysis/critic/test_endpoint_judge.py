from __future__ import annotations

import io
import random
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from analysis.context import Context
from analysis.critic.asking import ask
from analysis.critic.endpoint_client import EndpointClient
from analysis.critic.endpoint_judge import AT_ONCE, LOST_IN_A_ROW, TRIES, EndpointJudge, endpoint_judge, what_is_sent
from analysis.critic.endpoint_replies import KEY
from analysis.critic.examples import Examples
from analysis.critic.journal import Journal
from analysis.critic.judge import BOTH, LEFT, NEITHER, NONE, RIGHT, Questions
from analysis.critic.votes import preferences
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from tests.analysis.critic.scripted_endpoint import HASTE, IMPATIENCE, Scripted, ScriptedEndpoint, failing, form, saying
from tests.analysis.made_sets import made_set

CLASSES = 6


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(KEY, raising=False)


@pytest.fixture(scope="module")
def asked():
    return made_set(n_per_class=(10,), num_classes=CLASSES)


def _judge(asked, endpoint: ScriptedEndpoint, model: str = "tiny", patience=HASTE, examples: int = 2) -> EndpointJudge:
    return EndpointJudge(asked, EndpointClient(endpoint.base, model, patience=patience), Examples(asked, examples), 1)


def _questions(n: int) -> Questions:
    """Each of another class A."""
    rows = np.arange(n)
    return Questions(rows, rows % CLASSES, (rows + 1) % CLASSES)


def test_ask__every_question_once_and_its_answer_in_its_place(asked):
    said = dict(zip((f"class {i}" for i in range(CLASSES)), ("A", "B", "both", "neither", "A", "B"), strict=True))
    expected = [(LEFT, RIGHT, BOTH, NEITHER, LEFT, RIGHT)[i % CLASSES] for i in range(30)]

    def script(n, seen):
        return form(said[seen.class_a], f"it shows {seen.class_a}", wait=random.Random(n).random() / 20)

    with ScriptedEndpoint(script) as endpoint:
        replies = _judge(asked, endpoint).ask(_questions(30))
    assert replies.said.tolist() == expected
    assert replies.reason.tolist() == [f"it shows class {i % CLASSES}" for i in range(30)]
    assert np.isnan(replies.confidence).all() and len(replies.confidence) == 30
    assert len(endpoint.seen) == 30 and 1 < endpoint.most_at_once <= AT_ONCE


def test_ask__always_the_first_is_a_tie_in_both_orders(asked):
    with ScriptedEndpoint(lambda n, seen: form("A")) as endpoint:
        answers = ask(_judge(asked, endpoint), _questions(5), Context())
    counted = preferences(answers)
    assert counted.tied.tolist() == [1.0] * 5 and not (counted.for_first + counted.for_second).any()


def test_ask__one_class_whatever_its_place_is_preferred(asked):
    with ScriptedEndpoint(lambda n, seen: form("A" if seen.class_a == "class 1" else "B")) as endpoint:
        answers = ask(_judge(asked, endpoint), Questions(np.array([3]), np.array([0]), np.array([1])), Context())
    counted = preferences(answers)
    assert (counted.first[0], counted.second[0], counted.for_second[0], counted.tied[0]) == (0, 1, 1.0, 0.0)


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (saying("I'm sorry, but I can't help with that."), "the answer did not keep to the form: \"I'm sorry, but"),
        (saying('The answer is {"answer": "A", "reason": ""}'), "the answer did not keep to the form"),
        (saying('{"answer": "A", "rea'), "the answer did not keep to the form"),
        (saying("x\n\x1b" * 5_000), "the answer did not keep to the form"),
        (saying(""), "the model said nothing"),
    ],
)
def test_ask__malformed_answers_are_asked_again_and_then_no_answer(asked, reply, reason):
    with ScriptedEndpoint(lambda n, seen: reply) as endpoint:
        replies = _judge(asked, endpoint).ask(_questions(1))
    assert replies.said.tolist() == [NONE] and reason in replies.reason[0]
    assert len(replies.reason[0]) < 300 and replies.reason[0].isprintable()
    assert len(endpoint.seen) == TRIES


@pytest.mark.parametrize("fault", [saying("hm"), saying(""), Scripted(b"{"), failing(503), saying("x", cut=3)])
def test_ask__fault_that_passes_costs_nothing(asked, fault):
    with ScriptedEndpoint(
        lambda n, seen: fault if n < 2 else saying('```json\n{"answer": "B", "reason": "r"}\n```')
    ) as endpoint:
        replies = _judge(asked, endpoint).ask(_questions(1))
    assert (replies.said.tolist(), replies.reason.tolist()) == ([RIGHT], ["r"])
    assert len(endpoint.seen) == 3


def test_ask__one_that_takes_too_long_is_no_answer_beside_others(asked):
    def script(n, seen):
        return form("A", wait=1.0 if seen.class_a == "class 2" else 0)

    with ScriptedEndpoint(script) as endpoint:
        replies = _judge(asked, endpoint, patience=IMPATIENCE).ask(_questions(4))
    assert replies.said.tolist() == [LEFT, LEFT, NONE, LEFT]
    assert "did not answer in time" in replies.reason[2]
    assert len(endpoint.seen) == 3 + TRIES


@pytest.mark.parametrize("status", [401, 404, 500])
def test_ask__first_batch_without_any_reply_ends_it(asked, status):
    with ScriptedEndpoint(lambda n, seen: failing(status)) as endpoint, pytest.raises(ImpossibleRequest, match=str(status)):
        _judge(asked, endpoint).ask(_questions(4))
    assert len(endpoint.seen) == 4 * (HASTE.tries if status == 500 else 1)


def test_ask__malformed_first_batch_is_no_reason_to_stop(asked):
    with ScriptedEndpoint(lambda n, seen: saying("hm") if n < 4 * TRIES else form("A")) as endpoint:
        judge = _judge(asked, endpoint)
        assert judge.ask(_questions(4)).said.tolist() == [NONE] * 4
        assert judge.ask(_questions(4)).said.tolist() == [LEFT] * 4


DYING = replace(failing(400), wait=0.1)
"""Late enough that the answers before it are counted: one that is counted after it would begin the row of losses anew."""


def test_ask__endpoint_that_dies_later_is_given_up_after_some_questions(asked, tmp_path):
    gives_up = pytest.raises(ImpossibleRequest, match="could not answer")
    with ScriptedEndpoint(lambda n, seen: form("A") if n < 10 else failing(400)) as endpoint, gives_up:
        ask(_judge(asked, endpoint), _questions(50), Context(), tmp_path / "kept.jsonl")
    assert len(Journal(tmp_path / "kept.jsonl").answers()) == 10
    assert 10 + LOST_IN_A_ROW <= len(endpoint.seen) < 10 + LOST_IN_A_ROW + 2 * AT_ONCE


def test_ask__large_batch_keeps_what_was_answered(asked):
    with ScriptedEndpoint(lambda n, seen: form("A") if n < 10 else DYING) as endpoint:
        judge = _judge(asked, endpoint)
        replies = judge.ask(_questions(50))
        assert (replies.said != NONE).sum() == 10
        with pytest.raises(ImpossibleRequest, match="could not answer"):
            judge.ask(_questions(4))
    assert len(endpoint.seen) < 10 + LOST_IN_A_ROW + AT_ONCE


def test_ask__nothing(asked):
    with ScriptedEndpoint(lambda n, seen: form("A")) as endpoint:
        assert len(_judge(asked, endpoint).ask(_questions(0)).said) == 0
    assert endpoint.seen == []


def test_author__is_the_model_that_the_endpoint_names(asked):
    def script(n, seen):
        return Scripted(b'{"data": [{"id": "found"}]}') if seen.method == "GET" else form("A")

    with ScriptedEndpoint(script) as endpoint:
        judge = _judge(asked, endpoint, model="")
        judge.ask(_questions(8))
        assert judge.author == "found"
    assert [seen.method for seen in endpoint.seen].count("GET") == 1
    assert {seen.body["model"] for seen in endpoint.seen if seen.body} == {"found"}


def test_identity__changes_with_what_could_change_an_answer(asked):
    first = endpoint_judge(asked, "http://a/v1", "m", 2, 1)
    others = [
        endpoint_judge(asked, "http://b/v1", "m", 2, 1),
        endpoint_judge(asked, "http://a/v1", "n", 2, 1),
        endpoint_judge(asked, "http://a/v1", "m", 3, 1),
        endpoint_judge(asked, "http://a/v1", "m", 2, 3),
        endpoint_judge(replace(asked, reference=None), "http://a/v1", "m", 2, 1),
    ]
    assert len({first.identity, *(judge.identity for judge in others)}) == 6
    assert first.identity == endpoint_judge(asked, "http://a/v1/", "m", 2, 1).identity


def test_what_is_sent__is_what_goes_out(asked):
    question = Questions(np.array([7]), np.array([2]), np.array([4]))
    with ScriptedEndpoint(lambda n, seen: form("A")) as endpoint:
        judge = _judge(asked, endpoint)
        picture, text = what_is_sent(judge, question)
        assert endpoint.seen == [], "looking sends nothing"
        judge.ask(question)
    [seen] = endpoint.seen
    assert seen.body == judge._client.body(text, picture) and seen.text == text
    assert Image.open(io.BytesIO(picture)).format == "PNG"


def test_what_is_sent__order_and_nothing(asked):
    judge = endpoint_judge(asked, "http://a/v1", "m", 2)
    there, back = (
        what_is_sent(judge, Questions(np.array([0]), np.array([left]), np.array([right])))
        for left, right in ((1, NOTHING), (NOTHING, 1))
    )
    assert re.search(r"^B: something else.*\n", there[1], re.MULTILINE) and 'A: "class 1"' in there[1]
    assert re.search(r"^A: something else.*\n", back[1], re.MULTILINE) and 'B: "class 1"' in back[1]
    assert there[0] != back[0]


def test_endpoint_judge__says_what_goes_where_and_what_to_know(asked):
    judge = endpoint_judge(replace(asked, reference=None), "http://models.example/v1/", "m", 3)
    assert judge.about == (
        "For each question one picture with the image and up to 3 labelled examples of each of the two classes, and the two "
        "class names, go to http://models.example/v1."
    )
    plain, own = judge.caveats
    assert "not https" in plain and "mislabelled" in own
    assert endpoint_judge(asked, "http://127.0.0.1:1/v1", "m").caveats == ()


@pytest.mark.parametrize(("repeats", "temperature"), [(1, 0.0), (3, 0.7)])
def test_endpoint_judge__repeated_votes_may_differ(asked, repeats, temperature):
    judge = endpoint_judge(asked, "http://a/v1", "m", 2, repeats)
    assert judge.repeats == repeats and judge._client.body("", b"")["temperature"] == temperature


def test_endpoint_judge__set_without_images(asked):
    with pytest.raises(ImpossibleRequest, match="no image to show"):
        endpoint_judge(replace(asked, images=None), "http://a/v1")
