"""The field's small ConvNet, trained on real images, stopped where it judges unseen ones best."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from analysis.context import Context
from analysis.probes.early_learning import elr_loss, moved_targets
from analysis.probes.temperature_scaling import fit_temperature
from analysis.students import augmentation
from analysis.students.networks import LEAST_SIDE, make_network

__all__ = [
    "LEAST_SIDE",
    "Split",
    "State",
    "TrainedConvNet",
    "TrainingSettings",
    "augmented",
    "convnet",
    "logits_of",
    "train",
]

BATCH = 64
IMAGES_A_PASS = 256
LEARNING_RATE, MOMENTUM, DECAY = 0.02, 0.9, 5e-4
ROUNDS = 24
PATIENCE = 8
"""Training stops after this many rounds without a better one."""
AUGMENTED = augmentation.Strength(light=0.15)  # of pixels in [0, 1]

State = dict[str, Any]


@dataclass(frozen=True)
class TrainingSettings:
    """How a ConvNet learns.

    ``width`` filters a layer (the literature's has 128, at eleven times the work of 32); at most ``steps`` batches of 64.
    ``elr_weight`` (lambda) 0 is plain cross-entropy, and ``elr_memory`` (beta) how slowly the targets follow: see
    ``analysis.probes.early_learning``.
    """

    width: int = 32
    steps: int = 600
    elr_weight: float = 0.0
    elr_memory: float = 0.7
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """Images uint8 (n, ch, H, W) and their labels int64 (n,)."""

    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class TrainedConvNet:
    """The best round's network in eval mode, its ``temperature``, and which of how many ``rounds`` that was."""

    network: nn.Module
    temperature: float
    best_round: int
    rounds: int

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Logits / temperature, float32 (n, C) on the CPU, for images (n, ch, H, W) in [0, 1] or uint8."""
        return logits_of(self.network, images) / self.temperature


def convnet(channels: int, size: tuple[int, int], num_classes: int, width: int, seed: int) -> nn.Sequential:
    """ConvNet-3 (DC, arXiv 2006.05929), ``width`` filters a layer: (n, channels, *size) in [0, 1] -> logits (n, C).

    Freshly drawn, the same for the same seed.
    """
    return nn.Sequential(_Centred(), *make_network("convnet", (channels, *size), num_classes, width, seed).children())


def train(
    learn_from: Split,
    stop_by: Split,
    num_classes: int,
    settings: TrainingSettings,
    device: torch.device,
    context: Context,
    resume: State | None = None,
    keep: Callable[[State], None] = lambda state: None,
) -> TrainedConvNet:
    """Train on ``learn_from``; of the rounds, take the one with the least temperature-scaled loss on ``stop_by``.

    That stop is what saves a network from the wrong labels among those it learns from: it learns the right ones first.
    ``keep`` receives the whole state after each round, and ``resume`` is such a state to go on from; the result is the same
    as without a break. With nothing in ``stop_by`` the last round is taken, at temperature 1.
    """
    run = _Run.start(learn_from, num_classes, settings, device)
    if resume is not None:
        run.restore(resume)
    per_round = math.ceil(settings.steps / ROUNDS)
    while run.rounds_done * per_round < settings.steps and not run.stale:
        first = run.rounds_done * per_round
        for step in range(first, min(first + per_round, settings.steps)):
            context.report(step / settings.steps, "training on the reference")
            run.step(step)
        run.judge(stop_by)
        keep(run.state())
    context.report(1.0, "training on the reference")
    return run.result(len(stop_by) > 0)


def logits_of(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Logits float32 (n, C) on the CPU for images (n, ch, H, W) in [0, 1] or uint8."""
    device = next(network.parameters()).device
    with torch.inference_mode():
        parts = [network(_unit(part, device)).cpu() for part in images.split(IMAGES_A_PASS)]
    return torch.cat(parts)


class _Centred(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - 0.5) / 0.25


@dataclass
class _Run:
    """All that changes while a network learns."""

    learn_from: Split
    settings: TrainingSettings
    network: nn.Module
    optimiser: torch.optim.Optimizer
    draw: torch.Generator
    targets: torch.Tensor | None
    device: torch.device
    rounds_done: int = 0
    best: State = field(default_factory=dict)

    @classmethod
    def start(cls, learn_from: Split, num_classes: int, settings: TrainingSettings, device: torch.device) -> _Run:
        _, channels, *size = learn_from.images.shape
        network = convnet(channels, tuple(size), num_classes, settings.width, settings.seed).to(device)
        optimiser = torch.optim.SGD(network.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=DECAY)
        targets = torch.zeros(len(learn_from), num_classes, device=device) if settings.elr_weight else None
        # Drawn on the CPU, so that every device sees the same batches.
        return cls(learn_from, settings, network, optimiser, torch.Generator().manual_seed(settings.seed), targets, device)

    @property
    def stale(self) -> bool:
        return bool(self.best) and self.rounds_done - self.best["round"] >= PATIENCE

    def step(self, step: int) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (1 + math.cos(math.pi * step / self.settings.steps)) / 2
        ids = torch.randint(len(self.learn_from), (min(BATCH, len(self.learn_from)),), generator=self.draw)
        images = augmented(_unit(self.learn_from.images[ids], self.device), self.draw)
        logits, labels = self.network(images), self.learn_from.labels[ids].to(self.device)
        if self.targets is None:
            loss = F.cross_entropy(logits, labels)
        else:
            at = ids.to(self.device)
            moved = moved_targets(self.targets[at], torch.softmax(logits, dim=1), self.settings.elr_memory)
            self.targets[at] = moved
            loss = elr_loss(logits, labels, moved, self.settings.elr_weight)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()

    def judge(self, stop_by: Split) -> None:
        self.rounds_done += 1
        if not len(stop_by):
            return
        logits = logits_of(self.network, stop_by.images)
        temperature = fit_temperature(logits, stop_by.labels)
        loss = float(F.cross_entropy(logits / temperature, stop_by.labels))
        if not self.best or loss < self.best["loss"]:
            weights = {name: value.detach().cpu().clone() for name, value in self.network.state_dict().items()}
            self.best = {"round": self.rounds_done, "loss": loss, "temperature": temperature, "weights": weights}

    def state(self) -> State:
        return {
            "rounds_done": self.rounds_done,
            "best": self.best,
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "draw": self.draw.get_state(),
            "targets": self.targets,
        }

    def restore(self, state: State) -> None:
        self.rounds_done, self.best = state["rounds_done"], state["best"]
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.draw.set_state(state["draw"])
        if self.targets is not None:
            self.targets.copy_(state["targets"])

    def result(self, stopped: bool) -> TrainedConvNet:
        network = copy.deepcopy(self.network)
        if stopped:
            network.load_state_dict(self.best["weights"])
        temperature = self.best["temperature"] if stopped else 1.0
        best_round = self.best["round"] if stopped else self.rounds_done
        return TrainedConvNet(network.eval(), temperature, best_round, self.rounds_done)


def augmented(images: torch.Tensor, draw: torch.Generator) -> torch.Tensor:
    """Each image (n, ch, H, W) turned, stretched, shifted and lit a little, by its own draw; what comes in repeats the edge.

    Never mirrored: a mirrored digit or letter is another thing.
    """
    return augmentation.augmented(images, augmentation.drawn(len(images), AUGMENTED, draw), AUGMENTED)


def _unit(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    moved = images.to(device)
    return moved.float() / 255 if moved.dtype == torch.uint8 else moved
