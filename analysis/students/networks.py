"""What the students are: the field's small ConvNet, a ResNet-18 for small images, and a linear probe on pixels.

All of them normalise within one image only (instance or group norm), so that the seeds of one lesson can be trained side by
side and no image's output depends on the images beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from analysis.students.task import Network
from data.errors import ImpossibleRequest

CONVNET_BLOCKS = 3
LEAST_SIDE = 2**CONVNET_BLOCKS
RESNET_WIDTH = 64
RESNET_STAGES = (1, 2, 4, 8)
GROUPS = 32

Shape = tuple[int, int, int]
"""(channels, height, width) of an image."""


def make_network(network: Network, shape: Shape, num_classes: int, width: int, seed: int) -> nn.Module:
    """A freshly drawn ``network``, the same for the same seed on every device: (n, *shape) -> logits (n, C).

    ``width`` is the ConvNet's; a ResNet-18 is always 64 wide. Raises ImpossibleRequest for images of fewer than 8 pixels a
    side, of which the ConvNet's three poolings and the ResNet's three strides would leave nothing.
    """
    if network != "linear" and min(shape[1:]) < LEAST_SIDE:
        raise ImpossibleRequest(
            f"images of {shape[1]}x{shape[2]} pixels are too small for a {network} student, which needs {LEAST_SIDE} a "
            "side; choose the linear one."
        )
    makers: dict[Network, Callable[[], nn.Module]] = {
        "convnet": lambda: convnet(shape, num_classes, width),
        "resnet18": lambda: resnet18(shape[0], num_classes),
        "linear": lambda: linear(shape, num_classes),
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return makers[network]()


def convnet(shape: Shape, num_classes: int, width: int) -> nn.Sequential:
    """ConvNet-3 (DC, arXiv 2006.05929): 3x3 convolution, instance norm, relu, 2x2 average pooling, three times; linear."""
    channels, height, length = shape
    layers: list[nn.Module] = []
    for block in range(CONVNET_BLOCKS):
        layers += [nn.Conv2d(width if block else channels, width, 3, padding=1)]
        layers += [nn.GroupNorm(width, width), nn.ReLU(), nn.AvgPool2d(2)]
    features = width * (height // LEAST_SIDE) * (length // LEAST_SIDE)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, num_classes))


def resnet18(channels: int, num_classes: int, width: int = RESNET_WIDTH) -> nn.Sequential:
    """ResNet-18 (arXiv 1512.03385) with the stem of small images: 3x3, stride 1, no max-pooling.

    Group norm (arXiv 1803.08494, 32 groups) stands where the paper has batch norm: as many weights, but no running
    statistics, which differ from step to step and would tie an image to its batch. Accuracies are comparable with each
    other, not to the digit with published ones of batch norm.
    """
    layers: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1, bias=False), _norm(width), nn.ReLU()]
    inner = width
    for stage, factor in enumerate(RESNET_STAGES):
        outer = width * factor
        layers += [_Residual(inner, outer, stride=2 if stage else 1), _Residual(outer, outer, stride=1)]
        inner = outer
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, num_classes))


def linear(shape: Shape, num_classes: int) -> nn.Sequential:
    """Softmax regression on pixels."""
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], num_classes))


class _Residual(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where size or width changes."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, padding=1, bias=False),
            _norm(outer),
            nn.ReLU(),
            nn.Conv2d(outer, outer, 3, padding=1, bias=False),
            _norm(outer),
        )
        changes = stride > 1 or inner != outer
        self.shortcut = (
            nn.Sequential(nn.Conv2d(inner, outer, 1, stride, bias=False), _norm(outer)) if changes else nn.Identity()
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return F.relu(self.convolutions(images) + self.shortcut(images))


def _norm(width: int) -> nn.GroupNorm:
    return nn.GroupNorm(min(GROUPS, width), width)
