"""How a student is told what is right: the losses of the field, each ``(logits, hard, teacher) -> mean``.

``logits`` float (n, C) are the student's, ``hard`` int64 (n,) the labels, ``teacher`` float (n, C) the soft labels as
logits, or None. Pure functions without branches on values: they work under ``torch.func``, and none divides by what may
be 0.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from analysis.students.task import Loss, Teaching
from data.errors import ImpossibleRequest

NKD_GAMMA = 1.5
USKD_NON_TARGET = 0.1
Z_SHARPNESS = 1.0
TINY = 1e-6

LossFunction = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]

NEEDS_SOFT: tuple[Teaching, ...] = ("soft", "soft only", "nkd", "mse and ce", "top-k")


def loss_function(loss: Loss) -> LossFunction:
    """The function that ``loss`` names, with its numbers filled in."""
    temperature, weight = loss.temperature, loss.hard_weight
    functions: dict[Teaching, LossFunction] = {
        "hard": lambda logits, hard, teacher: F.cross_entropy(logits, hard),
        "soft": lambda logits, hard, teacher: soft(logits, hard, teacher, temperature, weight),
        "soft only": lambda logits, hard, teacher: soft_only(logits, teacher, temperature),
        "nkd": lambda logits, hard, teacher: nkd(logits, hard, teacher, temperature),
        "uskd": uskd,
        "mse and ce": lambda logits, hard, teacher: F.mse_loss(logits, teacher) + weight * F.cross_entropy(logits, hard),
        "z-loss": lambda logits, hard, teacher: z_loss(logits, hard),
        "top-k": lambda logits, hard, teacher: top_k(logits, teacher, loss.k, temperature),
    }
    return functions[loss.teaching]


def check_teachable(loss: Loss, has_soft: bool) -> None:
    """Raises ImpossibleRequest where ``loss`` needs soft labels and there are none."""
    if loss.teaching in NEEDS_SOFT and not has_soft:
        raise ImpossibleRequest(f"teaching '{loss.teaching}' needs soft labels; name a label source, or teach hard labels.")


def soft_only(logits: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """T^2 KL(teacher || student), both at temperature T (arXiv 1503.02531), as SRe2L and SSLD teach."""
    wanted = F.log_softmax(teacher / temperature, dim=1)
    said = F.log_softmax(logits / temperature, dim=1)
    return temperature**2 * (wanted.exp() * (wanted - said)).sum(dim=1).mean()


def soft(
    logits: torch.Tensor, hard: torch.Tensor, teacher: torch.Tensor, temperature: float, hard_weight: float
) -> torch.Tensor:
    """Knowledge distillation (arXiv 1503.02531): ``hard_weight`` of cross-entropy, the rest of ``soft_only``."""
    return hard_weight * F.cross_entropy(logits, hard) + (1 - hard_weight) * soft_only(logits, teacher, temperature)


def top_k(logits: torch.Tensor, teacher: torch.Tensor, k: int, temperature: float) -> torch.Tensor:
    """T^2 times the cross-entropy with the teacher's ``k`` largest probabilities, the others 0 and nothing renormalised
    (arXiv 2406.10485)."""
    wanted = torch.softmax(teacher / temperature, dim=1)
    kept, where = wanted.topk(min(k, wanted.shape[1]), dim=1)
    said = F.log_softmax(logits / temperature, dim=1).gather(1, where)
    return -(temperature**2) * (kept * said).sum(dim=1).mean()


def nkd(logits: torch.Tensor, hard: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """NKD (arXiv 2303.13005): the target's own term, and the others' distributions among themselves at the temperature,
    gamma 1.5: -mean(T_t log S_t) - gamma T^2 mean(sum_{i != t} T'_i log S'_i)."""
    target = torch.softmax(teacher, dim=1).gather(1, hard[:, None])
    of_target = -(target * F.log_softmax(logits, dim=1).gather(1, hard[:, None])).mean()
    wanted = _without_target(teacher / temperature, hard).exp()
    said = _without_target(logits / temperature, hard)
    return of_target - NKD_GAMMA * temperature**2 * (wanted * said).sum(dim=1).mean()


def uskd(logits: torch.Tensor, hard: torch.Tensor, teacher: torch.Tensor | None) -> torch.Tensor:
    """USKD without its weak head (arXiv 2303.13005): the target is asked for 1 + S_t^2 less that square's mean over the
    batch, the other classes for Zipf's 1 / rank, weight 0.1.

    The ranks are those of the student's own probabilities, each relative to what the target leaves; those of the soft labels
    are added where there are any, as the paper adds its weak head's.
    """
    mine = torch.softmax(logits, dim=1).detach()
    asked = 1 + (square := mine.gather(1, hard[:, None]) ** 2) - square.mean()
    of_target = -(asked * F.log_softmax(logits, dim=1).gather(1, hard[:, None])).mean()
    evidence = _relative(mine, hard)
    if teacher is not None:
        evidence = evidence + _relative(torch.softmax(teacher, dim=1), hard)
    of_others = -(_zipf(evidence, hard) * _without_target(logits, hard)).sum(dim=1).mean()
    return of_target + USKD_NON_TARGET * of_others


def z_loss(logits: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    """Z-loss (arXiv 1604.08859): softplus(a (b - z)) / a, z the target's logit less the mean over the classes, by their
    standard deviation.

    The paper tunes a and b; here a = 1, and b is the largest z there can be, sqrt(C - 1), so that no row is ever done. As
    the loss minds no scale, too long a first step is not undone: students that stay at chance need a smaller learning rate.
    """
    mean = logits.mean(dim=1, keepdim=True)
    spread = ((logits - mean).square().mean(dim=1, keepdim=True) + TINY).sqrt()
    z = ((logits - mean) / spread).gather(1, hard[:, None])
    most = (logits.shape[1] - 1) ** 0.5
    return F.softplus(Z_SHARPNESS * (most - z)).mean() / Z_SHARPNESS


def _without_target(logits: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    """The logarithm of the softmax over all classes but the target, (n, C); 0 at the target, so that it adds nothing."""
    target = _is_target(logits, hard)
    others = logits.masked_fill(target, -torch.inf)
    return (logits - torch.logsumexp(others, dim=1, keepdim=True)).masked_fill(target, 0)


def _is_target(values: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    return torch.arange(values.shape[1], device=values.device) == hard[:, None]


def _relative(probabilities: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    return probabilities / (1 - probabilities.gather(1, hard[:, None]) + TINY)


def _zipf(evidence: torch.Tensor, hard: torch.Tensor) -> torch.Tensor:
    """1 / rank of each class by falling ``evidence``, equal ones in their order, so that every device ranks them alike;
    without the target's, summing to 1; 0 at the target."""
    rank = evidence.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    zipf = (1 / (1 + rank.to(evidence.dtype))).masked_fill(_is_target(evidence, hard), 0)
    return zipf / zipf.sum(dim=1, keepdim=True)
