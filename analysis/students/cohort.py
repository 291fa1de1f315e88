"""The students of one lesson side by side: one behind the other, or all at once.

Measured on one thread, 5 students, forward and backward, milliseconds of processor time a step:

    network                    batch    one behind the other    all at once
    linear, 28x28                 64                     1.1            1.5
    ConvNet-3, 32 wide, 28x28     16                      37             42
    ConvNet-3, 32 wide, 28x28     64                     124            195
    ConvNet-3, 32 wide, 3x32x32   64                     160            511
    ConvNet-3, 128 wide, 3x32x32  64                    1613           2939

A grouped convolution is slower on a processor than as many plain ones. On an accelerator, where this has not been measured,
small networks should wait for the start of each operation most, which all at once share.
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from analysis.device import rows_that_fit
from analysis.students.losses import LossFunction
from analysis.students.task import Network

PASSES_A_STEP = 3
"""A step of training takes about three times as long as judging its images: forward, and backward twice."""
IMAGES_A_PASS = 250
CHANNELS_IN_FLIGHT = 256
"""How many maps of an image's size are held while it is judged, roughly, in any of the networks."""

MAPS_OF_CONVNET, MAPS_OF_RESNET = 6, 1_500
"""Maps of an image's size that a student needs to learn from it, of a ConvNet by its width and of a ResNet-18 in all: what
is saved for going backward, which counts 3.1 and 1,151, and room for gradients and copies."""

Worked = Callable[[float], None]
"""Told how many images one student was taken through, forward, since it was told last."""


class Cohort(ABC):
    """Students, one network each, that learn from batches of their own with one optimiser.

    ``teach`` takes images (S, B, ch, H, W), labels (S, B) and soft labels (S, B, C) or None, leaves each student's gradients
    in ``parameters`` and returns its loss, float32 (S,). ``logits`` of images (m, ch, H, W) is float32 (S, m, C).
    """

    parameters: list[torch.Tensor]
    at_once: int
    """How many students hold what they compute in memory at a time."""

    @staticmethod
    def maps_held(network: Network, width: int) -> int:
        """How many maps of an image's size each further student adds to what is held while they learn."""
        return 0

    @abstractmethod
    def teach(
        self, images: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None, worked: Worked
    ) -> torch.Tensor: ...

    @abstractmethod
    def logits(self, images: torch.Tensor, worked: Worked) -> torch.Tensor: ...

    def answers(self, images: torch.Tensor, worked: Worked) -> torch.Tensor:
        """What each student takes images (M, ch, H, W) for, int64 (S, M) on the CPU."""
        device = self.parameters[0].device
        row = 4 * CHANNELS_IN_FLIGHT * images.shape[2] * images.shape[3] * self.at_once
        rows = rows_that_fit(row, device, IMAGES_A_PASS)
        with torch.inference_mode():
            parts = [self.logits(part.to(device), worked).argmax(dim=2).cpu() for part in images.split(rows)]
        return torch.cat(parts, dim=1)

    def state(self) -> dict[str, Any]:
        return {"parameters": [parameter.detach() for parameter in self.parameters]}

    def restore(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for parameter, kept in zip(self.parameters, state["parameters"], strict=True):
                parameter.copy_(kept)


class OneByOne(Cohort):
    def __init__(self, networks: Sequence[nn.Module], loss: LossFunction) -> None:
        self._networks, self._loss, self.at_once = networks, loss, 1
        self.parameters = [parameter for network in networks for parameter in network.parameters()]

    def teach(
        self, images: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None, worked: Worked
    ) -> torch.Tensor:
        losses = []
        for student, network in enumerate(self._networks):
            soft = None if teacher is None else teacher[student]
            loss = self._loss(network(images[student]), labels[student], soft)
            loss.backward()
            losses.append(loss.detach())
            worked(PASSES_A_STEP * len(labels[student]))
        return torch.stack(losses)

    def logits(self, images: torch.Tensor, worked: Worked) -> torch.Tensor:
        said = []
        for network in self._networks:
            said.append(network(images))
            worked(len(images))
        return torch.stack(said)


class AllAtOnce(Cohort):
    """By ``torch.func``: the students' weights are stacked, and one call goes through all of them."""

    @staticmethod
    def maps_held(network: Network, width: int) -> int:
        return {"convnet": MAPS_OF_CONVNET * width, "resnet18": MAPS_OF_RESNET, "linear": 0}[network]

    def __init__(self, networks: Sequence[nn.Module], loss: LossFunction) -> None:
        self._weights, _ = stack_module_state(list(networks))
        self.parameters, self.at_once = list(self._weights.values()), len(networks)
        frame = copy.deepcopy(networks[0]).to("meta")

        def logits(weights: dict[str, torch.Tensor], images: torch.Tensor) -> torch.Tensor:
            return functional_call(frame, weights, (images,))

        def losses(weights: dict[str, torch.Tensor], images: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
            hard, *soft = labels
            return loss(logits(weights, images), hard, soft[0] if soft else None)

        self._logits, self._losses = vmap(logits, in_dims=(0, None)), vmap(losses)

    def teach(
        self, images: torch.Tensor, labels: torch.Tensor, teacher: torch.Tensor | None, worked: Worked
    ) -> torch.Tensor:
        losses = self._losses(self._weights, images, labels, *([] if teacher is None else [teacher]))
        losses.sum().backward()
        worked(PASSES_A_STEP * labels.numel())
        return losses.detach()

    def logits(self, images: torch.Tensor, worked: Worked) -> torch.Tensor:
        said = self._logits(self._weights, images)
        worked(len(said) * len(images))
        return said


def faster(device: torch.device) -> type[Cohort]:
    """Which of the two to take on ``device``; see the table above."""
    return OneByOne if device.type == "cpu" else AllAtOnce
