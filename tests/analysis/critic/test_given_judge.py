import numpy as np

from analysis.critic.given_judge import GivenJudge
from analysis.critic.judge import Questions
from data.pair_answers import NOTHING


def test_ask__prefers_the_given_label_on_either_side_and_knows_nothing_else():
    judge = GivenJudge(np.array([2, 0]))
    questions = Questions(np.array([0, 0, 1, 1, 0]), np.array([2, 1, NOTHING, 0, 0]), np.array([1, 2, 0, NOTHING, 1]))
    assert judge.ask(questions).said.tolist() == ["left", "right", "right", "left", "none"]
    assert judge.ask(questions.swapped()).said.tolist() == ["right", "left", "left", "right", "none"]
