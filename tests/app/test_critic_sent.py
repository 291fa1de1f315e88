"""Which question is shown as the example of what is sent."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.critic.endpoint_judge import NAME
from analysis.critic.judge import Questions
from app.critic_sent import example
from tests.app.critic_findings import critic_findings

FOUND = critic_findings()


def asked(question: Questions) -> tuple[int, int, int]:
    return int(question.sample_id[0]), int(question.left[0]), int(question.right[0])


def test_example__is_one_that_was_put_to_the_endpoint():
    answers = FOUND.tables["answers"]
    put = answers.assign(judge=answers["judge"].where(answers.index != 4, NAME))
    assert asked(example(replace(FOUND, tables={"answers": put}))) == (6, 1, 4)


def test_example__where_none_was_put_is_the_two_likeliest_labels_of_the_least_sure_sample():
    assert asked(example(FOUND)) == (12, 3, 2)


def test_example__of_findings_without_a_question_is_none():
    nobody = FOUND.per_sample.assign(score=float("nan"))
    tables = {"answers": pd.DataFrame({"judge": []})}
    assert example(replace(FOUND, per_sample=nobody, tables=tables)) is None
