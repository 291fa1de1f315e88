"""What the numbers in a stored image mean, and how to show them.

Published sets keep pixels normalised with a mean and std that differ between repositories for the same data set
(FORMATS.md §0.6), ZCA-whitened, in [0, 1], or as bytes. Nothing in the file says which, so the pixel space is
detected with its evidence shown, and anyone can override it with a profile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

SpaceKind = Literal["normalised", "unit", "uint8", "zca", "unknown"]
Contrast = Literal["as trained", "stretched", "2.5 std"]
CONTRASTS: tuple[Contrast, ...] = ("as trained", "stretched", "2.5 std")


@dataclass(frozen=True)
class PixelSpace:
    """How stored values map to [0, 1]: ``stored * std + mean`` when normalised, ``stored / 255`` for bytes.

    ``mean`` and ``std`` are per channel, empty when the kind needs none. ``evidence`` is the sentence that says why this
    space was chosen; ``chosen`` tells a person's choice from a detection.
    """

    name: str
    kind: SpaceKind
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    evidence: str = ""
    chosen: bool = False

    def to_unit(self, stored: torch.Tensor) -> torch.Tensor:
        """(…, ch, H, W) as saved -> float32 of the same shape, where [0, 1] is the displayable range, not clamped.

        ZCA-whitened and unknown pixels have no fixed map to [0, 1]: their values are returned as they are.
        """
        values = stored.float()
        if self.kind == "uint8":
            return values / 255
        if self.kind == "normalised":
            mean, std = (values.new_tensor(numbers).view(-1, 1, 1) for numbers in (self.mean, self.std))
            return values * std + mean
        return values

    @property
    def displayable(self) -> bool:
        """Whether [0, 1] means anything here; where it does not, images are shown stretched."""
        return self.kind in ("normalised", "unit", "uint8")


_CIFAR10 = (0.4914, 0.4822, 0.4465)
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))

# Every value is from the repository named beside it; the same data set appears with different numbers on purpose.
PROFILES: dict[str, PixelSpace] = {
    space.name: space
    for space in (
        PixelSpace("unit", "unit", evidence="values in [0, 1] (IDC)"),
        PixelSpace("uint8", "uint8", evidence="bytes, 0 to 255"),
        PixelSpace("zca", "zca", evidence="ZCA-whitened (MTT, DATM, KIP); the transform is not stored"),
        PixelSpace("unknown", "unknown", evidence="no known pixel space; shown stretched"),
        PixelSpace(
            "cifar10",
            "normalised",
            _CIFAR10,
            (0.2023, 0.1994, 0.2010),
            "CIFAR-10 in DC and MTT; CIFAR-100 in MTT and DATM",
        ),
        PixelSpace("cifar10-cvdd", "normalised", _CIFAR10, (0.2470, 0.2435, 0.2616), "CIFAR-10 in CV-DD"),
        PixelSpace(
            "cifar10-edc",
            "normalised",
            (0.5071, 0.4867, 0.4408),
            (0.2675, 0.2565, 0.2761),
            "CIFAR-10 in EDC and G-VBSM",
        ),
        PixelSpace(
            "cifar100",
            "normalised",
            (0.5071, 0.4866, 0.4409),
            (0.2673, 0.2564, 0.2762),
            "CIFAR-100 in DC and the ECCV 2024 challenge",
        ),
        PixelSpace("imagenet", "normalised", *_IMAGENET, "ImageNet; Tiny ImageNet in DC, MTT and SRe2L"),
        PixelSpace("tiny-lpld", "normalised", (0.4802, 0.4481, 0.3975), (0.2302, 0.2265, 0.2262), "Tiny ImageNet in LPLD"),
        PixelSpace("svhn", "normalised", (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970), "SVHN in DC"),
        PixelSpace("mnist", "normalised", (0.1307,), (0.3081,), "MNIST in DC"),
        PixelSpace("fashion-mnist", "normalised", (0.2861,), (0.3530,), "Fashion-MNIST in DC"),
    )
}


def to_viewable(stored: torch.Tensor, space: PixelSpace, contrast: Contrast = "as trained") -> np.ndarray:
    """(n, ch, H, W) as saved -> uint8 RGB (n, H, W, 3).

    ``as trained`` de-normalises and clamps; ``stretched`` maps each image's own minimum and maximum to 0 and 255;
    ``2.5 std`` clips each image at its mean ± 2.5 standard deviations first, as MTT does with the whole set's before it
    logs a grid. Spaces without a displayable range are always stretched in one of the two ways.
    """
    if space.kind == "uint8" and stored.dtype == torch.uint8 and contrast == "as trained":
        return _as_rgb(stored.permute(0, 2, 3, 1)).numpy()  # what would be computed is what is there
    values = space.to_unit(stored)
    if contrast == "2.5 std":
        flat = values.flatten(1)
        centre, spread = flat.mean(1).view(-1, 1, 1, 1), flat.std(1, correction=0).view(-1, 1, 1, 1)
        values = values.clamp(centre - 2.5 * spread, centre + 2.5 * spread)
    if contrast != "as trained" or not space.displayable:
        low = values.amin(dim=(1, 2, 3), keepdim=True)
        values = (values - low).div_((values.amax(dim=(1, 2, 3), keepdim=True) - low).clamp_min(1e-12))
    pixels = values.clamp(0, 1).mul_(255).round_().to(torch.uint8).permute(0, 2, 3, 1)
    return _as_rgb(pixels).numpy()


def out_of_range(stored: torch.Tensor, space: PixelSpace) -> float | None:
    """Fraction of values outside [0, 1] after de-normalising, in [0, 1]; None where [0, 1] has no meaning.

    Half a grey level of slack keeps rounding from counting.
    """
    if not space.displayable or stored.numel() == 0:
        return None
    values = space.to_unit(stored)
    slack = 0.5 / 255
    return float(((values < -slack) | (values > 1 + slack)).float().mean())


def _as_rgb(pixels: torch.Tensor) -> torch.Tensor:
    """(n, H, W, ch) -> (n, H, W, 3): grey is repeated, further channels are dropped, two get an empty third."""
    channels = pixels.shape[3]
    if channels == 1:
        return pixels.expand(-1, -1, -1, 3).contiguous()
    if channels == 2:
        return torch.nn.functional.pad(pixels, (0, 1))
    return pixels[..., :3].contiguous()
