import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data.pixels import CONTRASTS, PROFILES, out_of_range, to_viewable

BYTES = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)


def test_viewable__bytes_come_back_as_they_are():
    shown = to_viewable(BYTES.expand(2, 3, 16, 16), PROFILES["uint8"])
    assert shown.dtype == np.uint8 and shown.shape == (2, 16, 16, 3)
    assert np.array_equal(shown[1, :, :, 2], BYTES[0, 0])


@pytest.mark.parametrize("name", [name for name, space in PROFILES.items() if space.kind == "normalised"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_viewable__undoes_the_normalisation(name, dtype):
    """Oracle: normalise bytes as torchvision does, by hand, and get the bytes back."""
    space = PROFILES[name]
    channels = len(space.mean)
    unit = BYTES.expand(1, channels, 16, 16).to(dtype) / 255
    stored = torch.stack([(unit[:, c] - space.mean[c]) / space.std[c] for c in range(channels)], dim=1)
    shown = to_viewable(stored, space)
    assert all(np.array_equal(shown[0, :, :, c], BYTES[0, 0]) for c in range(3))
    assert out_of_range(stored, space) == 0


def test_viewable__clamped_as_trained():
    stored = torch.tensor([-3.0, 0.0, 0.5, 1.0, 9.0, 0.25]).view(1, 1, 2, 3)
    assert to_viewable(stored, PROFILES["unit"])[0, :, :, 0].tolist() == [[0, 0, 128], [255, 255, 64]]


@pytest.mark.parametrize("name", ["unit", "zca", "unknown"])
def test_viewable__stretched_per_image(name):
    stored = torch.stack([torch.linspace(-4, 8, 12), torch.linspace(100, 101, 12)]).view(2, 1, 3, 4)
    contrast = "stretched" if name == "unit" else "as trained"
    for shown in to_viewable(stored, PROFILES[name], contrast):
        assert shown.min() == 0 and shown.max() == 255


def test_viewable__clipped_at_two_and_a_half_deviations():
    """One wild value would leave the rest of a stretched image black; clipping keeps it visible."""
    stored = torch.cat([torch.linspace(0, 1, 99), torch.tensor([1000.0])]).view(1, 1, 10, 10)
    values = stored.flatten().numpy()
    low, high = (values.mean() + sign * 2.5 * values.std() for sign in (-1, 1))
    clipped = values.clip(low, high)
    expected = np.rint((clipped - clipped.min()) / (clipped.max() - clipped.min()) * 255)
    shown = to_viewable(stored, PROFILES["unit"], "2.5 std")[0, :, :, 0].reshape(-1)
    assert np.abs(shown - expected).max() <= 1 and high < 300


@given(
    channels=st.integers(1, 5),
    contrast=st.sampled_from(CONTRASTS),
    name=st.sampled_from(["unit", "zca", "uint8"]),
    value=st.floats(-1e6, 1e6),
)
def test_viewable__always_rgb(channels, contrast, name, value):
    stored = torch.full((2, channels, 3, 5), value) if name != "uint8" else torch.zeros(2, channels, 3, 5).byte()
    shown = to_viewable(stored, PROFILES[name], contrast)
    assert shown.shape == (2, 3, 5, 3) and shown.dtype == np.uint8


def test_viewable__no_images():
    assert to_viewable(torch.zeros(0, 3, 4, 4), PROFILES["zca"]).shape == (0, 4, 4, 3)


def test_out_of_range__counts_values_beyond_half_a_grey_level():
    stored = torch.tensor([-0.5, -0.001, 0.0, 1.0, 1.0015, 1.01, 0.5, 0.2]).view(1, 1, 2, 4)
    assert out_of_range(stored, PROFILES["unit"]) == 2 / 8
    assert out_of_range(BYTES, PROFILES["uint8"]) == 0
    assert out_of_range(stored, PROFILES["zca"]) is None and out_of_range(stored[:0], PROFILES["unit"]) is None


def test_to_unit__any_leading_shape():
    space = PROFILES["cifar10"]
    stored = torch.zeros(2, 4, 3, 5, 5)
    assert torch.allclose(space.to_unit(stored)[1, 2, :, 0, 0], torch.tensor(space.mean))
    assert space.to_unit(stored.half()).dtype == torch.float32


def test_profiles__named_after_themselves():
    assert all(name == space.name and space.evidence and not space.chosen for name, space in PROFILES.items())
    assert all(len(s.mean) == len(s.std) == (0 if s.kind != "normalised" else len(s.mean)) for s in PROFILES.values())
