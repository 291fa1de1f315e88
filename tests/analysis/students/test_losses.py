"""Each loss against plain loops in float64 and torch's own; under torch.func; with extreme numbers."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, softmax
from scipy.stats import rankdata
from torch.func import grad, vmap
from torch.nn import functional as F

from analysis.students.losses import NEEDS_SOFT, check_teachable, loss_function
from analysis.students.task import Loss, Teaching
from data.errors import ImpossibleRequest

TEACHINGS = get_args(Teaching)


def rows(seed: int = 0, n: int = 5, classes: int = 7, scale: float = 3.0) -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(seed)
    logits, teacher = scale * torch.randn(2, n, classes, generator=draw, dtype=torch.float64)
    return logits, torch.randint(classes, (n,), generator=draw), teacher


def value(loss: Loss, logits: torch.Tensor, hard: torch.Tensor, teacher: torch.Tensor | None) -> float:
    return float(loss_function(loss)(logits, hard, teacher))


# --- what each loss is ---


def by_hand(loss: Loss, logits: np.ndarray, hard: np.ndarray, teacher: np.ndarray) -> float:
    """The mean over rows, each row from its formula in the paper."""
    squares = np.mean([softmax(row)[target] ** 2 for row, target in zip(logits, hard, strict=True)])
    of_row = ROWS[loss.teaching]
    return float(np.mean([of_row(loss, *row, squares) for row in zip(logits, hard, teacher, strict=True)]))


def hard_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    return -np.log(np.exp(s[target]) / np.exp(s).sum())


def soft_only_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    t = loss.temperature
    wanted, said = softmax(q / t), softmax(s / t)
    return t * t * sum(w * np.log(w / p) for w, p in zip(wanted, said, strict=True))


def soft_row(loss: Loss, *row) -> float:
    return loss.hard_weight * hard_row(loss, *row) + (1 - loss.hard_weight) * soft_only_row(loss, *row)


def mse_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    return sum((a - b) ** 2 for a, b in zip(s, q, strict=True)) / len(s) + loss.hard_weight * hard_row(
        loss, s, target, q, squares
    )


def top_k_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    t = loss.temperature
    kept = sorted(range(len(q)), key=lambda c: -q[c])[: loss.k]
    return -t * t * sum(softmax(q / t)[c] * log_softmax(s / t)[c] for c in kept)


def nkd_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    t, others = loss.temperature, [c for c in range(len(s)) if c != target]
    among = softmax(q[others] / t) @ log_softmax(s[others] / t)
    return softmax(q)[target] * hard_row(loss, s, target, q, squares) - 1.5 * t * t * among


def uskd_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    others = [c for c in range(len(s)) if c != target]
    mine, theirs = softmax(s), softmax(q)
    evidence = mine / (1 - mine[target] + 1e-6) + theirs / (1 - theirs[target] + 1e-6)
    zipf = 1 / rankdata(-evidence)[others]  # no ties: evidence is continuous
    among = zipf / zipf.sum() @ log_softmax(s[others])
    return (1 + mine[target] ** 2 - squares) * hard_row(loss, s, target, q, squares) - 0.1 * among


def z_row(loss: Loss, s: np.ndarray, target: int, q: np.ndarray, squares: float) -> float:
    z = (s[target] - s.mean()) / np.sqrt(s.var() + 1e-6)
    return np.log1p(np.exp(np.sqrt(len(s) - 1) - z))


ROWS = {
    "hard": hard_row,
    "soft": soft_row,
    "soft only": soft_only_row,
    "nkd": nkd_row,
    "uskd": uskd_row,
    "mse and ce": mse_row,
    "z-loss": z_row,
    "top-k": top_k_row,
}


@pytest.mark.parametrize("teaching", TEACHINGS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    classes=st.integers(3, 9),
    temperature=st.sampled_from((0.5, 1.0, 4.0)),
    hard_weight=st.sampled_from((0.0, 0.3, 1.0)),
    k=st.integers(1, 12),
)
def test_loss__is_its_formula(teaching, seed, n, classes, temperature, hard_weight, k) -> None:
    logits, hard, teacher = rows(seed, n, classes)
    loss = Loss(teaching, temperature, hard_weight, k)
    wanted = by_hand(loss, logits.numpy(), hard.numpy(), teacher.numpy())
    assert value(loss, logits, hard, teacher) == pytest.approx(wanted, rel=1e-9, abs=1e-9)


def test_soft__is_torchs_own() -> None:
    logits, hard, teacher = rows()
    kl = F.kl_div(F.log_softmax(logits / 3, 1), F.softmax(teacher / 3, 1), reduction="batchmean") * 9
    assert value(Loss("soft only", 3), logits, hard, teacher) == pytest.approx(float(kl))
    mixed = 0.25 * F.cross_entropy(logits, hard) + 0.75 * kl
    assert value(Loss("soft", 3, 0.25), logits, hard, teacher) == pytest.approx(float(mixed))


def test_soft_only__is_least_where_the_student_says_what_the_teacher_says() -> None:
    _, hard, teacher = rows()
    loss = loss_function(Loss("soft only", 4))
    same = teacher + torch.arange(5.0)[:, None]  # a shift of a row changes nothing
    assert float(loss(same, hard, teacher)) == pytest.approx(0, abs=1e-12)
    assert grad(loss)(same, hard, teacher).abs().max() < 1e-12


def test_top_k__of_all_classes_is_the_whole_soft_label_up_to_its_entropy() -> None:
    logits, hard, teacher = rows()
    entropy = -(softmax(teacher.numpy(), 1) * log_softmax(teacher.numpy(), 1)).sum(1).mean()
    whole = value(Loss("top-k", k=99), logits, hard, teacher)
    assert whole - entropy == pytest.approx(value(Loss("soft only"), logits, hard, teacher))


def test_top_k__is_not_renormalised() -> None:
    logits, hard, teacher = rows()
    top = softmax(teacher.numpy(), 1).max(1)
    pull = -grad(loss_function(Loss("top-k", k=1)))(logits, hard, teacher).numpy() * len(hard)
    place = teacher.numpy().argmax(1)
    ours = softmax(logits.numpy(), 1)[np.arange(5), place]
    np.testing.assert_allclose(pull[np.arange(5), place], top * (1 - ours))  # a renormalised label would pull by 1 - ours


def test_nkd__with_a_sure_teacher_of_two_classes_is_cross_entropy() -> None:
    logits, hard, _ = rows(classes=2)
    teacher = 60.0 * F.one_hot(hard, 2)
    assert value(Loss("nkd"), logits, hard, teacher) == pytest.approx(float(F.cross_entropy(logits, hard)))


def test_uskd__needs_no_soft_labels_and_hears_them_where_there_are_any() -> None:
    logits, hard, teacher = rows()
    alone, beside = (value(Loss("uskd"), logits, hard, soft) for soft in (None, teacher))
    assert np.isfinite(alone) and alone != beside


def test_z_loss__minds_neither_shift_nor_scale() -> None:
    logits, hard, _ = rows()
    loss = Loss("z-loss")
    assert value(loss, 50 * logits + 3, hard, None) == pytest.approx(value(loss, 50 * logits, hard, None))
    assert value(loss, 500 * logits, hard, None) == pytest.approx(value(loss, 50 * logits, hard, None), rel=1e-6)


# --- how they can be used ---


@pytest.mark.parametrize("teaching", TEACHINGS)
def test_loss__several_students_at_once_are_each_on_their_own(teaching) -> None:
    loss = loss_function(Loss(teaching, 2.0))
    each = [rows(seed) for seed in range(3)]
    together = vmap(grad(loss))(*(torch.stack(part) for part in zip(*each, strict=True)))
    for one, gradient in zip(each, together, strict=True):
        torch.testing.assert_close(gradient, grad(loss)(*one))


@pytest.mark.parametrize("teaching", TEACHINGS)
@pytest.mark.parametrize("extreme", [1e4, 0.0])
def test_loss__gradients_stay_finite_at_extreme_logits(teaching, extreme) -> None:
    logits, hard, teacher = (part.float() if part.is_floating_point() else part for part in rows(n=64))
    loss = loss_function(Loss(teaching, 0.5))
    for student, soft in ((extreme * logits, teacher), (logits, extreme * teacher), (extreme * logits, extreme * teacher)):
        assert torch.isfinite(loss(student, hard, soft))
        assert torch.isfinite(grad(loss)(student, hard, soft)).all()


@pytest.mark.parametrize("teaching", TEACHINGS)
def test_loss__two_classes_and_one_image(teaching) -> None:
    logits, hard, teacher = rows(n=1, classes=2)
    assert torch.isfinite(grad(loss_function(Loss(teaching)))(logits, hard, teacher)).all()


@pytest.mark.parametrize("teaching", TEACHINGS)
def test_check_teachable__asks_for_soft_labels_where_the_loss_reads_them(teaching) -> None:
    logits, hard, _ = rows()
    if teaching in NEEDS_SOFT:
        with pytest.raises(ImpossibleRequest, match="needs soft labels"):
            check_teachable(Loss(teaching), has_soft=False)
    else:
        check_teachable(Loss(teaching), has_soft=False)
        assert np.isfinite(value(Loss(teaching), logits, hard, None))
