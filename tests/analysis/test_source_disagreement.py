"""The disagreement of label sources: what is told by sample, by class and by source, and what is flagged."""

import json
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr
from scipy.stats import entropy, median_abs_deviation
from scipy.stats import t as student

import analysis
from analysis import label_sources
from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.sources.side_by_side import SideBySide
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.soft_labels import DenseSoftLabels, SoftLabels, TopKSoftLabels
from tests.analysis.made_sets import made_set
from tests.fixtures import fixture


def run(made: DistilledSet, **parameters: object) -> Findings:
    return analysis.run("source_disagreement", made, **parameters)


def with_sources(made: DistilledSet, **sources: np.ndarray | SoftLabels) -> DistilledSet:
    held = {
        name: rows if isinstance(rows, SoftLabels) else DenseSoftLabels(torch.from_numpy(rows).float(), "probabilities")
        for name, rows in sources.items()
    }
    return replace(made, label_sources=held)


def random_rows(n: int, classes: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(classes, 0.5), n).astype(np.float32)


def figure(findings: Findings, label: str) -> Figure:
    return next(figure for figure in findings.summary if figure.label.startswith(label))


@pytest.fixture(scope="module")
def three() -> DistilledSet:
    made = made_set((14, 11, 9, 6), size=1)
    return with_sources(made, a=random_rows(40, 4, 0), b=random_rows(40, 4, 1), c=random_rows(40, 4, 2))


def arrays(made: DistilledSet) -> list[np.ndarray]:
    return [source.probabilities(range(len(made))).double().numpy() for source in made.label_sources.values()]


@pytest.mark.parametrize("values_a_chunk", [12, 1 << 20])
def test_source_disagreement__equals_a_loop_over_samples(values_a_chunk: int, three, monkeypatch) -> None:
    monkeypatch.setattr(label_sources, "VALUES_A_CHUNK", values_a_chunk)
    found, rows = run(three, floor=1e-6).per_sample, arrays(three)
    for i in range(len(three)):
        here = [row[i] for row in rows]
        among = entropy(np.mean(here, axis=0)) - np.mean([entropy(p) for p in here])
        assert found["divergence_nats"][i] == pytest.approx(among, abs=2e-6)
        assert found["score"][i] == pytest.approx(1 - among / np.log(3), abs=2e-6)
        js = np.zeros((3, 3))
        for p, q in combinations(range(3), 2):
            js[p, q] = js[q, p] = jensenshannon(here[p], here[q]) ** 2
        assert found["stands_apart"][i] == "abc"[js.sum(axis=1).argmax()]
        tops = [p.argmax() for p in here]
        assert found["winners_differ"][i] == pytest.approx(np.mean([x != y for x, y in combinations(tops, 2)]))
        assert found["js_first_second"][i] == pytest.approx(js[0, 1] / np.log(2), abs=2e-6)
        forward = rel_entr(here[0], here[1].clip(1e-6)).sum()
        assert found["kl_first_second"][i] == pytest.approx(forward, abs=1e-5, rel=1e-5)
        backward = rel_entr(here[1], here[0].clip(1e-6)).sum()
        assert found["kl_second_first"][i] == pytest.approx(backward, abs=1e-5, rel=1e-5)
        assert found["label_of_the_mean"][i] == np.mean(here, axis=0).argmax()


def test_source_disagreement__matrices_are_means_over_samples(three) -> None:
    findings, rows = run(three, committees="mean"), arrays(three)
    rows.append(np.mean(rows, axis=0))
    for i in range(4):
        for j in range(4):
            js = np.mean(jensenshannon(rows[i], rows[j], axis=1) ** 2) / np.log(2)
            assert findings.matrices["divergence"].values[i, j] == pytest.approx(js, abs=1e-5)
            kl = rel_entr(rows[i], rows[j].clip(1e-6)).sum(axis=1).clip(0).mean()
            assert findings.matrices["KL"].values[i, j] == pytest.approx(kl, abs=1e-5)
    assert findings.matrices["divergence"].row_names == ("a", "b", "c", "committee: mean")


def test_source_disagreement__a_named_pair_either_way_round(three) -> None:
    one, other = run(three, first="c", second="b"), run(three, first="b", second="c")
    np.testing.assert_array_equal(one.per_sample["kl_first_second"], other.per_sample["kl_second_first"])
    np.testing.assert_array_equal(one.per_sample["js_first_second"], other.per_sample["js_first_second"])
    np.testing.assert_array_equal(one.per_sample["first_label"], arrays(three)[2].argmax(axis=1))
    with_one = run(three, second="committee: prior of b, c")
    assert "committee: prior of b, c" in with_one.matrices["KL"].row_names
    with pytest.raises(ImpossibleRequest, match="two different"):
        run(three, first="b", second="b")


def test_source_disagreement__the_order_of_sources_changes_nothing(three) -> None:
    turned = replace(three, label_sources=dict(reversed(three.label_sources.items())))
    one, other = run(three).per_sample, run(turned).per_sample
    np.testing.assert_allclose(one["score"], other["score"], atol=1e-6)
    np.testing.assert_array_equal(one["flag"], other["flag"])
    np.testing.assert_array_equal(one["stands_apart"], other["stands_apart"])


def test_source_disagreement__class_means_have_students_interval(three) -> None:
    findings = run(three)
    for c in range(4):
        inside = 1 - findings.per_sample["score"][three.labels == c].to_numpy()
        low, high = student.interval(0.95, len(inside) - 1, inside.mean(), inside.std(ddof=1) / np.sqrt(len(inside)))
        row = findings.per_class.iloc[c]
        assert row["disagreement"] == pytest.approx(inside.mean())
        assert (row["disagreement_low"], row["disagreement_high"]) == pytest.approx((max(low, 0), min(high, 1)))


def test_source_disagreement__copies_agree_and_are_said_to_be_copies() -> None:
    made = made_set((5, 4))
    findings = run(made, second="teacher 0")
    assert findings.matrices["divergence"].values[0, 1] == 0
    assert any("'given' and 'teacher 0' are the same throughout" in caveat for caveat in findings.caveats)
    same = with_sources(made, a=random_rows(9, 2, 0), b=random_rows(9, 2, 0))
    assert (run(same, committees="none").per_sample["score"] > 1 - 1e-6).all()


def test_source_disagreement__planted_changes_of_mind_are_what_is_flagged() -> None:
    made = made_set((40, 40, 40), size=1, seed=3)
    logits = made.label_sources["teacher 1"].values.clone()
    planted = [2, 17, 55, 100]
    logits[planted] = logits[planted].roll(1, dims=1)
    opened = replace(made, label_sources={**made.label_sources, "teacher 1": DenseSoftLabels(logits, "logits")})
    findings = run(opened)
    assert np.flatnonzero(findings.per_sample["flag"]).tolist() == planted
    assert findings.per_sample["score"].nsmallest(4).index.isin(planted).all()
    assert (findings.per_sample["stands_apart"][planted] == "teacher 1").all()
    assert figure(findings, "Flagged").value == 4


def test_source_disagreement__another_temperature_is_no_reason_to_flag() -> None:
    made = made_set((30, 30, 30), size=1)
    logits = made.label_sources["teacher 0"].values
    opened = replace(
        made, label_sources={"a": DenseSoftLabels(logits, "logits"), "b": DenseSoftLabels(logits / 9, "logits")}
    )
    findings = run(opened, outlier=0.0)
    assert figure(findings, "Mean disagreement").value > 0.05
    assert not findings.per_sample["flag"].any()


def test_source_disagreement__the_limit_is_the_robust_z_score_of_the_class(three) -> None:
    findings = run(three, outlier=0.5, min_per_class=9)
    distance = np.sqrt(1 - findings.per_sample["score"].to_numpy())
    for c in range(4):
        inside = three.labels == c
        usual = distance[inside] if inside.sum() >= 9 else distance
        limit = np.median(usual) + 0.5 * median_abs_deviation(usual, scale="normal")
        expected = (distance[inside] > limit + 1e-9) & (findings.per_sample["winners_differ"][inside] > 0)
        near = np.abs(distance[inside] - limit) < 1e-6
        np.testing.assert_array_equal(findings.per_sample["flag"][inside][~near], expected[~near])
    assert any("1 of 4 classes have fewer than 9 samples" in caveat for caveat in findings.caveats)


def test_source_disagreement__too_few_samples_give_no_flags() -> None:
    made = made_set((2, 2), size=1)
    findings = run(with_sources(made, a=np.eye(2)[[0, 0, 1, 1]], b=np.eye(2)[[0, 0, 1, 0]]))
    assert not findings.per_sample["flag"].any()
    assert findings.per_sample["score"][3] == pytest.approx(0)
    assert figure(findings, "Flagged").value is None
    assert any("no flags are given" in caveat for caveat in findings.caveats)
    assert (findings.per_sample["stands_apart"] == "").all(), "between two, neither stands apart"


def test_source_disagreement__what_a_source_rules_out_rests_on_the_floor_and_is_counted() -> None:
    made = made_set((10, 10), size=1)
    soft = np.tile([0.5, 0.5], (20, 1))
    findings = run(with_sources(made, soft=soft, hard=np.eye(2)[made.labels]), floor=1e-3)
    assert findings.per_sample["kl_first_second"].to_numpy() == pytest.approx(0.5 * np.log(0.5) + 0.5 * np.log(0.5 / 1e-3))
    assert findings.per_sample["kl_second_first"].to_numpy() == pytest.approx(np.log(2))
    assert "in 20 of 20 samples" in figure(findings, "KL of 'soft' from 'hard'").basis
    assert "in 0 of 20 samples" in figure(findings, "KL of 'hard' from 'soft'").basis
    assert findings.matrices["at the floor"].values[:2, :2].tolist() == [[0, 1], [0, 0]]


def test_source_disagreement__the_floor_is_needed_where_scipys_divergence_is_infinite() -> None:
    made = made_set((100,), num_classes=5, size=1)
    rng = np.random.default_rng(0)
    p, q = (np.where(rng.random((500, 5)) < 0.1, 0, random_rows(500, 5, seed)) for seed in (0, 1))
    p[:, 0] += 1e-3
    q[:, 0] += 1e-3
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    findings = run(with_sources(made, p=p, q=q), committees="none", floor=1e-12)
    for place, (one, other) in {(0, 1): (p, q), (1, 0): (q, p)}.items():
        infinite = np.isinf(entropy(one, other, axis=1)).mean()
        assert 0 < infinite < 1
        assert findings.matrices["at the floor"].values[place] == pytest.approx(infinite)


def test_source_disagreement__a_shortened_copy_is_no_disagreement() -> None:
    """The k largest probabilities of a teacher against the teacher itself: what was dropped is not known to be nothing."""
    made = made_set((20,), num_classes=8, size=1)
    full = torch.from_numpy(random_rows(160, 8, 0))
    short = TopKSoftLabels(*full.topk(3, dim=1), num_classes=8, kind="probabilities")
    findings = run(with_sources(made, full=full.numpy(), short=short), committees="none")
    assert (findings.per_sample["score"] > 1 - 1e-6).all()
    assert any("lower bounds" in caveat for caveat in findings.caveats)


def test_source_disagreement__merging_the_rest_bounds_the_divergence_from_below() -> None:
    made = made_set((20,), num_classes=8, size=1)
    full, other = torch.from_numpy(random_rows(160, 8, 0)), random_rows(160, 8, 1)
    short = TopKSoftLabels(*full.topk(3, dim=1), num_classes=8, kind="probabilities")
    bound = run(with_sources(made, other=other, short=short), committees="none").per_sample
    true = run(with_sources(made, other=other, short=full.numpy()), committees="none").per_sample
    for column in ("divergence_nats", "js_first_second", "kl_first_second", "kl_second_first"):
        assert (bound[column] <= true[column] + 1e-5).all()
    assert bound["divergence_nats"].mean() > 0.5 * true["divergence_nats"].mean()
    np.testing.assert_array_equal(bound["first_label"], true["first_label"])


def test_side_by_side__largest_logits_are_read_as_training_reads_them() -> None:
    rows = torch.from_numpy(random_rows(6, 5, 0)).log()
    short = TopKSoftLabels(*rows.topk(2, dim=1), num_classes=5, kind="logits")
    compared = SideBySide({"full": DenseSoftLabels(rows, "logits"), "short": short})
    assert not compared.merged
    ((_, read, fairly),) = compared.stream(torch.device("cpu"), Context(), "")
    torch.testing.assert_close(fairly[1], short.probabilities(range(6)))
    assert fairly[0] is read[0]
    assert any("count as 0" in caveat for caveat in compared.caveats)


def test_source_disagreement__one_source_is_not_enough() -> None:
    made = made_set((4, 4))
    with pytest.raises(ImpossibleRequest, match="a second one is needed"):
        run(replace(made, label_sources={"given": made.label_sources["given"]}))
    with pytest.raises(ImpossibleRequest):
        run(replace(made, label_sources={}))


def test_source_disagreement__many_classes_and_one_sample() -> None:
    made = made_set((1,), num_classes=1100, channels=1, size=1, reference=False)
    findings = run(made, committees="every")
    assert len(findings.per_class) == 1100 and set(findings.matrices) == {"divergence", "KL", "at the floor"}
    single = made_set((1, 0), size=1)
    assert len(run(single).per_sample) == 1


def test_source_disagreement__finds_cifar10s_verified_errors_between_votes_and_cross_validation() -> None:
    labels = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy")).astype(np.int64)
    verdicts = json.loads(fixture("label-errors", "cifar10_mturk.json").read_text())
    errors = [item["id"] for item in verdicts if item["mturk"]["given"] < 3]
    cross = np.load(fixture("label-errors", "cifar10_test_set_pyx.npy"))
    votes = np.load(fixture("cifar10", "cifar10_test_30model_votes.npz"))["counts"] / 30
    made = replace(made_set((1000,), num_classes=10, size=1, reference=False), labels=labels)
    found = run(with_sources(made, cross=cross, votes=votes)).per_sample
    assert found["flag"].mean() < 0.06
    assert found["flag"][errors].mean() > 5 * found["flag"].mean()
    table = found["js_first_second"].to_numpy()
    expected = jensenshannon(cross, votes, axis=1) ** 2 / np.log(2)
    np.testing.assert_allclose(table, np.nan_to_num(expected), atol=1e-5)
