"""Stages of self-distillation over a whole set: chains side by side, what each stage says of images, and when to stop.

Every fold is judged by a chain that learns from the other folds only, through all of its stages. A stage's agreement with
the given labels is then that of a model with labels it has never met, neither itself nor through another's pseudo-labels:
labels that were flipped by chance cannot raise it, and where every class is flipped alike it grows with the share of right
answers. That makes it fit to choose a stage by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

from analysis.context import Context
from analysis.self_distilling.chain import Chain, Pupils, Rules
from analysis.self_distilling.sharpness import sharpness
from analysis.self_distilling.solvers import Linear, Solver

StopRule = Literal["agreement", "settled", "never"]


@dataclass(frozen=True)
class Stopping:
    """``most`` stages after the first fit; before that by ``rule``: as soon as "agreement" with the given labels falls, or
    the share of images whose class changes from one stage to the next is at most ``settled``, which ends "agreement" too."""

    most: int = 5
    rule: StopRule = "agreement"
    settled: float = 0.0


@dataclass(frozen=True, eq=False)
class Stage:
    """What one stage says: ``classes`` int64 (n_f,) of each fold, by that fold's own of ``models``; ``temperature`` divides
    the scores, and ``log_loss`` is that of the given classes under the softmax of the quotient."""

    number: int
    models: tuple[Linear, ...]
    classes: tuple[torch.Tensor, ...]
    temperature: float
    log_loss: float


@dataclass(frozen=True, eq=False)
class Distilled:
    """All ``stages`` that were done; ``kept`` is the number of the one to believe, ``reason`` says why no more were done."""

    stages: tuple[Stage, ...]
    kept: int
    reason: str


def distil(
    solvers: tuple[Solver, Solver],
    pupils: Pupils,
    rules: Rules,
    stopping: Stopping,
    context: Context,
    seen: Callable[[tuple[Stage, ...]], None] = lambda stages: None,
) -> Distilled:
    """Stages until ``stopping`` says so; ``seen`` is told after each.

    One chain in all where ``rules`` cross nothing: no figure is then about labels that its model has not met, and the rule
    "agreement" would only ever praise the first stage, so that "settled" takes its place.
    """
    everyone = pupils.everyone
    learnt_by = [tuple(other for other in everyone if other != fold) for fold in everyone] if rules.crossed else [everyone]
    chains = [Chain(solvers, pupils, folds, rules) for folds in learnt_by]
    stages: tuple[Stage, ...] = ()
    reason, kept = None, 0
    while reason is None:
        part = context.part(len(stages) / (stopping.most + 1), (len(stages) + 1) / (stopping.most + 1))
        stages = (*stages, _stage(len(stages), chains, pupils, part))
        seen(stages)
        reason, kept = _verdict(stages, pupils, stopping, rules.crossed)
    context.report(1.0, "self-distillation")
    return Distilled(stages, kept, reason)


def agreeing(stage: Stage, pupils: Pupils) -> torch.Tensor:
    """Whether the stage names the given class, bool (n,) on the CPU, fold after fold."""
    return torch.cat([said == given for said, given in zip(stage.classes, pupils.classes, strict=True)]).cpu()


def differing(stage: Stage, other: Stage) -> torch.Tensor:
    """Whether two stages name different classes, bool (n,) on the CPU, fold after fold."""
    return torch.cat([one != two for one, two in zip(stage.classes, other.classes, strict=True)]).cpu()


def _stage(number: int, chains: list[Chain], pupils: Pupils, context: Context) -> Stage:
    parts = [context.part(place / len(chains), (place + 1) / len(chains)) for place in range(len(chains))]
    fitted = [chain.next_stage(part) for chain, part in zip(chains, parts, strict=True)]
    models = tuple(fitted if len(fitted) == len(pupils.inputs) else fitted * len(pupils.inputs))
    classes: list[torch.Tensor] = []

    def said(fold: int) -> torch.Tensor:
        scores = models[fold](pupils.inputs[fold])
        classes.append(scores.argmax(dim=1))
        return scores

    temperature, loss = sharpness(said, pupils.classes)
    return Stage(number, models, tuple(classes), temperature, loss)


def _verdict(stages: tuple[Stage, ...], pupils: Pupils, stopping: Stopping, crossed: bool) -> tuple[str | None, int]:
    """Why to stop now, or None, and the stage to keep."""
    last = stages[-1].number
    agreed = [int(agreeing(stage, pupils).sum()) for stage in stages]
    by_agreement = stopping.rule == "agreement" and crossed
    kept = agreed.index(max(agreed)) if by_agreement else last
    if by_agreement and agreed[-1] < max(agreed):
        return f"stage {last} agrees with fewer given labels than stage {kept}", kept
    if last and stopping.rule != "never":
        changed = float(differing(stages[-1], stages[-2]).double().mean())
        if changed <= stopping.settled:
            return f"stage {last} names another class than the one before for {changed:.1%} of the images", kept
    if last >= stopping.most:
        return f"no more than {stopping.most} stages were asked for", kept
    return None, kept
