"""Before and after, against loops over the same distributions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from analysis.class_groups import GROUPS, group_classes
from analysis.context import Context
from analysis.corrections import Corrected, correct
from analysis.corrections.preview import EXAMPLES, compare
from data.soft_labels import DenseSoftLabels
from tests.analysis.made_sets import made_set

COUNTS = np.array([900, 700, 90, 80, 9, 8])
SIZES = (8, 7, 4, 0, 5, 3)


def made():
    rng = np.random.default_rng(0)
    plain = made_set(SIZES, teachers=0)
    values = torch.from_numpy(rng.normal(0, 1.5, (len(plain), 6)) + 2 * np.eye(6)[plain.labels]).float()
    return replace(plain, label_sources={"given": DenseSoftLabels(values, "logits")}, class_counts=COUNTS)


def changed(values: torch.Tensor) -> Corrected:
    return Corrected(lambda ids: values[ids])


def after_of(asked) -> torch.Tensor:
    turned = np.random.default_rng(1).normal(0, 1, (len(asked), 6))
    return asked.label_sources["given"].values + torch.from_numpy(turned).float()


def test_compare__agrees_with_loops():
    asked = made()
    after = after_of(asked)
    preview = compare(asked, asked.label_sources["given"], changed(after), Context())
    group = group_classes(COUNTS, "thirds")
    sides = {"before": asked.label_sources["given"].values, "after": after}
    for when, values in sides.items():
        p = values.double().softmax(dim=1).numpy()
        for g, name in enumerate(GROUPS):
            rows = np.flatnonzero(group[asked.labels] == g)
            row = preview.groups.set_index("group").loc[name]
            own = np.array([p[i, asked.labels[i]] for i in rows])
            to_head = [sum(p[i, c] for c in range(6) if group[c] == 0 and c != asked.labels[i]) for i in rows]
            assert row["n"] == len(rows)
            assert row[f"confidence_{when}"] == pytest.approx(own.mean(), abs=1e-5)
            assert row[f"entropy_{when}"] == pytest.approx(entropy(p[rows], axis=1).mean(), abs=1e-5)
            assert row[f"to_head_{when}"] == pytest.approx(np.mean(to_head), abs=1e-5)
            assert row[f"received_{when}"] == pytest.approx(p[:, group == g].sum() / len(rows), abs=1e-5)
        for c, row in preview.classes.iterrows():
            of_class = p[asked.labels == c]
            confidence = of_class[:, c].mean() if len(of_class) else np.nan
            assert row[f"confidence_{when}"] == pytest.approx(confidence, abs=1e-5, nan_ok=True)
            received = p[:, c].sum() / len(of_class) if len(of_class) else np.nan
            assert row[f"received_{when}"] == pytest.approx(received, abs=1e-5, nan_ok=True)
    other = (after.argmax(dim=1) != sides["before"].argmax(dim=1)).numpy()
    assert preview.changed.value == pytest.approx(other.mean()) and 0 < other.mean() < 1


def test_compare__shows_those_that_change_most():
    asked = made()
    after = after_of(asked)
    preview = compare(asked, asked.label_sources["given"], changed(after), Context())
    before = asked.label_sources["given"].probabilities(np.arange(len(asked)))
    apart = jensenshannon(before.double().numpy(), after.double().softmax(dim=1).numpy(), axis=1) ** 2
    other = (after.argmax(dim=1) != before.argmax(dim=1)).numpy()
    expected = sorted(range(len(asked)), key=lambda i: (not other[i], -apart[i]))[:EXAMPLES]
    assert [example.sample_id for example in preview.examples] == expected
    for example in preview.examples:
        assert example.label == asked.labels[example.sample_id] and example.changed == other[example.sample_id]
        assert example.divergence == pytest.approx(apart[example.sample_id], abs=1e-6)
        np.testing.assert_allclose(example.before, before[example.sample_id])
        np.testing.assert_allclose(example.after, after.softmax(dim=1)[example.sample_id])


def test_compare__nothing_changes_where_nothing_does():
    asked = made()
    preview = compare(asked, asked.label_sources["given"], correct("temperature", asked, temperature=1.0), Context())
    assert preview.changed.value == 0 and not preview.caveats
    for name in ("confidence", "entropy", "received", "to_head"):
        pd.testing.assert_series_equal(preview.groups[f"{name}_before"], preview.groups[f"{name}_after"], check_names=False)


def test_compare__adsa_gives_the_tail_back_what_it_had():
    """A teacher biased by the class frequencies: the tail receives less than its due before, and its due afterwards."""
    asked = made()
    values = 3 * torch.eye(6)[torch.from_numpy(asked.labels)] + torch.from_numpy(np.log(COUNTS / COUNTS.sum())).float()
    asked = replace(asked, label_sources={"given": DenseSoftLabels(values, "logits")})
    groups = compare(asked, asked.label_sources["given"], correct("adsa", asked), Context()).groups.set_index("group")
    assert groups.loc["tail", "to_head_before"] > 0.5 > 0.15 > groups.loc["tail", "to_head_after"]
    assert groups.loc["tail", "received_before"] < 0.5 < 0.8 < groups.loc["tail", "received_after"]


def test_compare__without_labels_before_the_hard_ones_are_meant():
    bare = replace(made(), label_sources={})
    preview = compare(bare, None, correct("zipf", bare, embedding="pixels", target=0.8), Context())
    assert (preview.groups["confidence_before"] == 1).all() and (preview.groups["entropy_before"] == 0).all()
    assert any("no soft label before" in said for said in preview.caveats)


def test_compare__a_draw_stands_for_the_whole_set():
    large = made_set((4_000, 500, 40), size=1, channels=1, reference=False)
    source = large.label_sources["given"]
    corrected = correct("temperature", large, temperature=6.0)
    whole = compare(large, source, corrected, Context())
    assert whole.n == 4_540 and whole.changed.low is None
    drawn = compare(large, source, corrected, Context(), most=300)
    assert drawn.n == 300 and drawn.total == 4_540 and drawn.groups["n"].tolist() == [130, 130, 40]
    for name in ("confidence_after", "entropy_before", "received_before", "received_after", "to_head_after"):
        np.testing.assert_allclose(drawn.groups[name], whole.groups[name], rtol=0.05, atol=5e-3)
    assert any("300 of 4,540 samples" in said for said in drawn.caveats)
    assert drawn.changed.low is not None and drawn.changed.low <= drawn.changed.value <= drawn.changed.high
    again = compare(large, source, corrected, Context(), most=300)
    pd.testing.assert_frame_equal(drawn.groups, again.groups)
    other = compare(large, source, corrected, Context(), most=300, seed=1)
    assert not drawn.groups.equals(other.groups)


def test_compare__a_draw_that_misses_classes_says_so():
    many = made_set((2,) * 30, size=4, reference=False)
    preview = compare(many, many.label_sources["given"], correct("temperature", many), Context(), most=20)
    assert any("some classes are not in it" in said for said in preview.caveats)


@pytest.mark.parametrize("sizes", [(1, 0), (1, 1), (3, 0, 2)])
def test_compare__tiny_sets(sizes):
    tiny = replace(made_set(sizes), class_counts=None)
    preview = compare(tiny, tiny.label_sources["given"], correct("temperature", tiny), Context())
    assert preview.n == len(tiny) and preview.groups["n"].sum() == len(tiny) and len(preview.classes) == len(sizes)
    assert any("not known" in said for said in preview.caveats)
