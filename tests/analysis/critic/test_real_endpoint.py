"""The endpoint judge against a real OpenAI-compatible server of a real vision-language model with random weights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import requests

from analysis.context import Context
from analysis.critic.asking import ask
from analysis.critic.endpoint_judge import endpoint_judge
from analysis.critic.journal import Journal, journal_path
from analysis.critic.judge import NONE, Questions
from data.errors import ImpossibleRequest
from data.pair_answers import NOTHING
from tests.analysis.critic.tiny_vision_model import make_tiny_vision_model
from tests.analysis.made_sets import made_set

pytestmark = pytest.mark.slow
START_SECONDS = 100
ALONE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
PAIRS = Questions(np.array([0, 5, 13, 14, 26, 30]), np.array([0, 0, 1, 1, 2, NOTHING]), np.array([1, 2, 0, 2, 1, 2]))


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, model name) of a running ``transformers serve``."""
    for needed in ("transformers", "uvicorn", "fastapi", "openai"):
        pytest.importorskip(needed, reason="transformers serve needs transformers[serving]")
    folder = tmp_path_factory.mktemp("served")
    model = folder / "tiny"
    make_tiny_vision_model(model)
    port = _free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--device", "cpu"]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            env={**os.environ, **ALONE, "HF_HOME": str(folder / "home")},
            stdout=log,
            stderr=log,
        )
        try:
            _wait(server, f"http://127.0.0.1:{port}/health", folder / "log")
            yield f"http://127.0.0.1:{port}/v1", str(model)
        finally:
            server.terminate()
            server.wait(30)


@pytest.fixture(scope="module")
def asked():
    return made_set(size=32)


def test_ask__real_server_answers_in_both_orders(served, asked):
    answers = ask(endpoint_judge(asked, *served, examples=4), PAIRS, Context())
    assert len(answers) == 2 * len(PAIRS)
    assert answers.left[1::2].tolist() == answers.right[::2].tolist()
    assert set(answers.author) == {served[1]}
    answered = answers.take(answers.said != NONE)
    assert set(answered.reason) == {"it looks so"}, "the model's own words come with its answer"
    assert 0 < len(answered) < len(answers), "random weights keep to the form here and not there"
    lacking = answers.take(answers.said == NONE)
    assert all("did not keep to the form" in reason for reason in lacking.reason)


def test_ask__resumes_without_asking_twice(served, asked, tmp_path):
    first, second = (endpoint_judge(asked, *served, examples=4) for _ in range(2))
    path = journal_path(tmp_path, "set", first.identity)
    assert path == journal_path(tmp_path, "set", second.identity)
    ask(first, PAIRS.take(slice(0, 4)), Context(), path)
    kept = Journal(path).answers()
    put = []
    second.ask, really = lambda questions: put.append(questions) or really(questions), second.ask
    whole = ask(second, PAIRS, Context(), path)
    assert sum(map(len, put)) == 2 * len(PAIRS) - len(kept), "only what had no answer yet"
    alone = ask(endpoint_judge(asked, *served, examples=4), PAIRS, Context())
    assert _said(whole) == _said(alone), "an interrupted run says the same as one that was not"


def test_ask__unknown_model_is_one_sentence(served, asked):
    judge = endpoint_judge(asked, served[0], "no-such-model", examples=1)
    with pytest.raises(ImpossibleRequest) as failure:
        judge.ask(PAIRS)
    assert str(failure.value).startswith(served[0]) and "\n" not in str(failure.value)


def _said(answers):
    return sorted(zip(answers.sample_id, answers.left, answers.right, answers.said, strict=True))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server: subprocess.Popen, health: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            if requests.get(health, timeout=2).ok:
                return
        except requests.ConnectionError:
            time.sleep(0.3)
    pytest.fail(f"transformers serve did not start: {log.read_text(errors='replace')[-2_000:]}")
