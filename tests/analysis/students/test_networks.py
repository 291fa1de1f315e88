"""The students' networks: their sizes as published, the same for the same seed, each image on its own."""

from __future__ import annotations

import pytest
import torch

from analysis.students.networks import make_network, resnet18
from analysis.students.task import Network
from data.errors import ImpossibleRequest


def weights(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("network", "width", "wanted"), [("convnet", 128, 320_010), ("resnet18", 0, 11_173_962), ("linear", 0, 30_730)]
)
def test_make_network__has_as_many_weights_as_the_literatures_for_cifar10(network: Network, width: int, wanted: int) -> None:
    assert weights(make_network(network, (3, 32, 32), 10, width, 0)) == wanted


@pytest.mark.parametrize("shape", [(1, 8, 8), (2, 9, 15), (3, 28, 28), (5, 33, 8)])
def test_make_network__any_channels_and_sizes(shape) -> None:
    for network in ("convnet", "linear"):
        assert make_network(network, shape, 4, 6, 0)(torch.rand(2, *shape)).shape == (2, 4)
    assert resnet18(shape[0], 4, width=4)(torch.rand(2, *shape)).shape == (2, 4)


@pytest.mark.parametrize("network", ["convnet", "linear"])
def test_make_network__the_seed_decides_and_leaves_torchs_own_alone(network: Network) -> None:
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (make_network(network, (1, 8, 8), 3, 4, seed) for seed in (7, 7, 8))
    assert torch.equal(torch.rand(1), wanted)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(first(images), again(images)) and not torch.equal(first(images), other(images))


def test_networks__an_image_does_not_depend_on_those_beside_it() -> None:
    images = torch.randn(6, 3, 16, 16)
    for network in (make_network("convnet", (3, 16, 16), 3, 8, 0), resnet18(3, 3, width=8)):
        torch.testing.assert_close(network.train()(images)[:1], network.eval()(images[:1]), rtol=1e-4, atol=1e-5)


def test_resnet18__halves_three_times_and_keeps_the_rest() -> None:
    sides = []
    network = resnet18(3, 10, width=4)
    for layer in network:
        layer.register_forward_hook(lambda _, __, out: sides.append(tuple(out.shape[1:])) if out.ndim == 4 else None)
    network(torch.rand(1, 3, 32, 32))
    assert sides[0] == (4, 32, 32), "no pooling in the stem"
    assert sides[-2:] == [(32, 4, 4), (32, 1, 1)]


@pytest.mark.parametrize("network", ["convnet", "resnet18"])
def test_make_network__says_when_images_are_too_small(network: Network) -> None:
    with pytest.raises(ImpossibleRequest, match="7x8 pixels are too small"):
        make_network(network, (1, 7, 8), 3, 4, 0)
    assert make_network("linear", (1, 7, 8), 3, 4, 0)(torch.rand(1, 1, 7, 8)).shape == (1, 3)
