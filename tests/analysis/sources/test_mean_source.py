"""Which sources speak, and how."""

import numpy as np
import pytest
import torch

from analysis.context import Context
from analysis.sources.mean_source import read_together, voices
from data.errors import ImpossibleRequest
from tests.analysis.voters import spoken

ROWS = np.random.default_rng(0).dirichlet(np.ones(3), (3, 20))
LABELS = np.arange(20) % 3


@pytest.fixture
def three():
    return spoken(LABELS, given=ROWS[0], a=ROWS[1], b=ROWS[2])


@pytest.mark.parametrize(
    ("combine", "source", "names"),
    [
        ("mean of others", "", ["a", "b"]),
        ("mean of others", "given", ["given"]),
        ("mean of all", "", ["given", "a", "b"]),
        ("one source", "b", ["b"]),
        ("one source", "", ["given"]),
    ],
)
def test_voices__are_those_asked_for(three, combine, source, names):
    held = voices(three, combine, source)
    assert list(held.sources) == names
    expected = np.mean([ROWS[["given", "a", "b"].index(name)] for name in names], axis=0)
    np.testing.assert_allclose(held.mean.probabilities(range(20)).numpy(), expected, atol=1e-6)
    assert all(f"'{name}'" in held.basis for name in names)


def test_voices__the_given_source_alone_is_said_to_prove_little():
    held = voices(spoken(LABELS, given=ROWS[0]), "mean of others", "")
    assert list(held.sources) == ["given"]
    assert any("seldom contradict" in caveat for caveat in held.caveats)


def test_voices__refuses_a_name_beside_all(three):
    with pytest.raises(ImpossibleRequest, match="takes no source by name"):
        voices(three, "mean of all", "a")


def test_read_together__keeps_samples_and_sources_together(three, monkeypatch):
    monkeypatch.setattr("analysis.label_sources.VALUES_A_CHUNK", 21)
    parts = list(read_together(voices(three, "mean of all", ""), torch.device("cpu"), Context(), "reading"))
    assert len(parts) == 3, "seven rows of three classes at a time"
    assert np.concatenate([ids for ids, _ in parts]).tolist() == list(range(20))
    for place in range(3):
        together = torch.cat([chunks[place] for _, chunks in parts]).numpy()
        np.testing.assert_allclose(together, ROWS[place], atol=1e-6)
