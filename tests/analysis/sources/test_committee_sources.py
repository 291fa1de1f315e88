"""Committees as label sources: named, read, streamed, analysed and written like any other."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import analysis
from analysis.label_sources import choose
from analysis.sources.committee_names import RULES, committee_name, possible_rules
from analysis.sources.committee_sources import committee
from data.curation import curate
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.export import export
from data.formats import open_set
from data.soft_labels import DenseSoftLabels, TopKSoftLabels, hard_labels
from tests.analysis.made_sets import made_set
from tests.data.trees import make_tree
from tests.fixtures import fixture


def with_sources(made: DistilledSet, **sources: torch.Tensor) -> DistilledSet:
    """Sources of probabilities, by name."""
    return replace(made, label_sources={name: DenseSoftLabels(rows, "probabilities") for name, rows in sources.items()})


def made_probabilities(labels: np.ndarray, classes: int, weight: float, seed: int) -> torch.Tensor:
    random = np.random.default_rng(seed).dirichlet(np.ones(classes), len(labels))
    return torch.from_numpy((1 - weight) * random + weight * np.eye(classes)[labels]).float()


@pytest.fixture(scope="module")
def made() -> DistilledSet:
    return made_set((9, 7, 5))


def rows_of(made: DistilledSet, *names: str) -> list[torch.Tensor]:
    return [made.label_sources[name].probabilities(range(len(made))) for name in names]


def test_committee__mean_is_the_mean_of_the_teachers_and_leaves_the_given_one_out(made: DistilledSet) -> None:
    found = choose(made, "committee: mean").labels.probabilities(range(len(made)))
    torch.testing.assert_close(found, torch.stack(rows_of(made, "teacher 0", "teacher 1")).mean(dim=0))


def test_committee__members_by_name(made: DistilledSet) -> None:
    extra = replace(made, label_sources={**made.label_sources, "a, b": made.label_sources["teacher 1"]})
    found = choose(extra, "committee: mean of given, a, b").labels.probabilities([0, 3])
    torch.testing.assert_close(found, torch.stack(rows_of(made, "given", "teacher 1")).mean(dim=0)[[0, 3]])


def test_committee__prior_weighs_logits_by_stated_accuracies(made: DistilledSet) -> None:
    labels, _, said = committee(made, "committee: prior of teacher 0 = 60, teacher 1=70")
    weights = torch.softmax(torch.tensor([6.0, 7.0]), dim=0)
    stored = [made.label_sources[f"teacher {t}"].values for t in range(2)]
    torch.testing.assert_close(labels.stored(range(len(made))), weights[0] * stored[0] + weights[1] * stored[1])
    assert labels.kind == "logits" and "as stated" in said


def test_committee__prior_without_accuracies_takes_the_agreement_with_the_labels(made: DistilledSet) -> None:
    wrong = made_probabilities((made.labels + 1) % 3, 3, 0.6, 0)
    good = made_probabilities(made.labels, 3, 0.6, 1)
    opened = with_sources(made, good=good, wrong=wrong)
    labels, _, said = committee(opened, "committee: prior")
    agreement = [100 * float((rows.argmax(1).numpy() == made.labels).mean()) for rows in (good, wrong)]
    expected = np.exp(np.array(agreement) / 10) / np.exp(np.array(agreement) / 10).sum()
    assert labels.weights == pytest.approx(tuple(expected))
    assert labels.kind == "probabilities" and "stands in" in said


def test_committee__norm_matched_is_g_vbsms_loop_over_the_whole_set(made: DistilledSet) -> None:
    sources = {
        "small": made.label_sources["teacher 0"],
        "large": DenseSoftLabels(9 * rows_of(made, "teacher 1")[0], "logits"),
    }
    opened = replace(made, label_sources=sources)
    stored = [source.values.double() for source in sources.values()]
    norms = [np.sqrt((rows.numpy() ** 2).sum()) for rows in stored]
    expected = sum(rows * (np.mean(norms) / norm) for rows, norm in zip(stored, norms, strict=True)) / 2
    found = choose(opened, "committee: norm-matched").labels
    torch.testing.assert_close(found.stored(range(len(made))).double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(found.take([4, 2]).stored([0, 1]).double(), expected[[4, 2]], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["probabilities", "top-k", "zeros", "infinite"])
def test_committee__norms_cannot_be_matched_without_whole_finite_logits(kind: str, made: DistilledSet) -> None:
    rows = made.label_sources["teacher 1"].values
    other = {
        "probabilities": DenseSoftLabels(torch.softmax(rows, 1), "probabilities"),
        "top-k": TopKSoftLabels(*rows.topk(2, dim=1), num_classes=3, kind="logits"),
        "zeros": DenseSoftLabels(torch.zeros_like(rows), "logits"),
        "infinite": DenseSoftLabels(rows / 0, "logits"),
    }[kind]
    opened = replace(made, label_sources={"a": made.label_sources["teacher 0"], "b": other})
    with pytest.raises(ImpossibleRequest, match="logits"):
        choose(opened, "committee: norm-matched")
    assert ("norm-matched" in possible_rules(opened)) == (kind in ("zeros", "infinite"))


def test_committee__most_confident_takes_each_samples_surest_source() -> None:
    made = made_set((2, 2))
    a, b = torch.tensor([[0.9, 0.1], [0.6, 0.4]] * 2), torch.tensor([[0.2, 0.8], [0.05, 0.95]] * 2)
    found = choose(with_sources(made, a=a, b=b), "committee: most confident").labels.probabilities(range(4))
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.1], [0.05, 0.95]] * 2))


def test_committee__most_expert_listens_to_each_source_where_it_is_right() -> None:
    """Two sources, equally sure: each tells its own two classes apart and tosses a coin between the other two."""
    made = made_set((60,) * 4, size=1)
    rng = np.random.default_rng(0)
    names = {}
    for name, known in (("knows 0 and 1", (0, 1)), ("knows 2 and 3", (2, 3))):
        tossed = 2 * (made.labels // 2) + rng.integers(0, 2, len(made))
        said = np.where(np.isin(made.labels, known), made.labels, tossed)
        sure = rng.uniform(0.7, 0.9, (len(made), 1))
        names[name] = torch.from_numpy(np.where(np.eye(4)[said] == 1, sure, (1 - sure) / 3)).float()
    opened = with_sources(made, **names)
    right = {rule: hard_labels(choose(opened, committee_name(rule)).labels) == made.labels for rule in RULES[3:]}
    assert right["most expert"].mean() > 0.99
    assert right["most confident"].mean() < 0.85
    assert "class by class" in choose(opened, "committee: most expert").caveats[0]


@pytest.mark.parametrize("rule", RULES)
def test_committee__reads_alike_whole_streamed_taken_and_tempered(rule: str, made: DistilledSet) -> None:
    labels = choose(made, committee_name(rule)).labels
    for temperature in (1.0, 2.5):
        whole = labels.probabilities(range(len(made)), temperature)
        torch.testing.assert_close(torch.cat([chunk for _, chunk in labels.stream(temperature, 4)]), whole)
        torch.testing.assert_close(labels.take([5, 1]).probabilities([0, 1], temperature), whole[[5, 1]])
        torch.testing.assert_close(whole.sum(dim=1), torch.ones(len(made)))


@pytest.mark.parametrize("rule", RULES)
def test_committee__equal_members_are_the_member_itself(rule: str, made: DistilledSet) -> None:
    same = replace(made, label_sources={name: made.label_sources["teacher 0"] for name in ("a", "b", "c")})
    found = choose(same, committee_name(rule)).labels.probabilities(range(len(made)))
    torch.testing.assert_close(found, rows_of(made, "teacher 0")[0])


@pytest.mark.parametrize("rule", RULES)
def test_committee__the_order_of_members_changes_nothing(rule: str, made: DistilledSet) -> None:
    one, other = (
        choose(made, f"{committee_name(rule)} of {members}").labels.probabilities(range(len(made)))
        for members in ("given, teacher 1", "teacher 1, given")
    )
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("committee: loudest", "there is no committee 'loudest'"),
        ("committee: mean of teacher 0, nobody", "no label source 'nobody'"),
        ("committee: mean of teacher 0", "two or more"),
        ("committee: mean of teacher 0, teacher 0", "twice"),
        ("committee: mean of teacher 0 = 3, teacher 1 = 4", "only the committee 'prior'"),
        ("committee: prior of teacher 0 = 3, teacher 1", "every member"),
        ("committee: prior of teacher 0 = 3, teacher 1 = 400", "0 to 100"),
        ("committee: prior of teacher 0 = 3, teacher 1 = nan", "0 to 100"),
    ],
)
def test_committee__what_cannot_be_formed_is_said_in_a_sentence(name: str, said: str, made: DistilledSet) -> None:
    with pytest.raises(ImpossibleRequest, match=said):
        choose(made, name)


def test_committee__one_source_is_none(made: DistilledSet) -> None:
    alone = replace(made, label_sources={"given": made.label_sources["given"]})
    assert possible_rules(alone) == ()
    with pytest.raises(ImpossibleRequest, match="two or more"):
        choose(alone, "committee: mean")


def test_committee__a_source_of_that_name_comes_first(made: DistilledSet) -> None:
    opened = replace(made, label_sources={**made.label_sources, "committee: mean": made.label_sources["teacher 0"]})
    assert choose(opened, "committee: mean").labels is made.label_sources["teacher 0"]


@pytest.mark.parametrize("rule", RULES)
def test_committee__any_analysis_takes_it(rule: str, made: DistilledSet) -> None:
    for name in ("label_errors", "soft_labels", "head_tail"):
        found = analysis.run(name, made, source=committee_name(rule))
        assert any("Committee of 'teacher 0', 'teacher 1'" in caveat for caveat in found.caveats)


def test_committee__a_relabelled_tree_can_be_a_member(tmp_path) -> None:
    make_tree("sre2l", tmp_path)
    opened = open_set(tmp_path)
    tree = opened.label_sources["given"]
    other = made_probabilities(opened.labels, opened.num_classes, 0.7, 0)
    opened = replace(opened, label_sources={"given": tree, "teacher": DenseSoftLabels(other, "probabilities")})
    found = torch.cat([chunk for _, chunk in choose(opened, "committee: mean").labels.stream(rows=7)])
    torch.testing.assert_close(found, (tree.probabilities(range(len(opened))) + other) / 2)
    assert "norm-matched" not in possible_rules(opened)


@pytest.mark.parametrize("rule", ["mean", "norm-matched"])
def test_committee__kept_in_a_set_is_written_and_read_as_a_source(rule: str, tmp_path) -> None:
    opened = open_set(fixture("distilled", "DC_CIFAR100_ConvNet_1ipc.pt"))
    n, generator = len(opened), torch.Generator().manual_seed(0)
    logits = {f"t{t}": DenseSoftLabels(torch.randn(n, 100, generator=generator), "logits") for t in range(2)}
    opened = replace(opened, label_sources=logits)
    chosen = choose(opened, committee_name(rule)).labels
    kept = replace(opened, label_sources={**logits, "both": chosen})
    export(curate(kept, {}), [], tmp_path / "out")
    again = open_set(tmp_path / "out" / opened.provenance.path.name).label_sources["both"]
    assert again.kind == chosen.kind
    torch.testing.assert_close(again.probabilities(range(n)), chosen.probabilities(range(n)))


def test_committee__thirty_models_votes_and_cross_validation_on_cifar10() -> None:
    """The expert committee is right more often than the plain mean, though its weaker member is often the surer one."""
    labels = np.load(fixture("label-errors", "cifar10_test_set_original_labels.npy")).astype(np.int64)
    cross = torch.from_numpy(np.load(fixture("label-errors", "cifar10_test_set_pyx.npy"))).float()
    votes = np.load(fixture("cifar10", "cifar10_test_30model_votes.npz"))["counts"]
    made = made_set((1000,), num_classes=10, size=1, reference=False, teachers=0)
    opened = with_sources(replace(made, labels=labels), cross=cross, votes=torch.from_numpy(votes / 30).float())
    agreement = {
        rule: (hard_labels(choose(opened, committee_name(rule)).labels) == labels).mean() for rule in ("mean", "most expert")
    }
    assert (votes.argmax(1) == labels).mean() == pytest.approx(0.97)
    mean = (cross + torch.from_numpy(votes / 30).float()).argmax(1).numpy()
    assert agreement["mean"] == pytest.approx((mean == labels).mean())
    assert agreement["most expert"] > agreement["mean"]
