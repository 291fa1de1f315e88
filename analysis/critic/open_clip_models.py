"""Image-text networks from a local folder in open_clip's layout, where the package open_clip is installed.

It stays optional: open_clip_torch needs torchvision, whose published builds pull in another torch than ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from PIL import Image

from analysis.critic.image_text_models import (
    LARGEST_SIDE,
    MOST_LAYERS,
    OPEN_CLIP_CONFIG,
    TOO_LARGE,
    check_size,
    first_line,
    not_too_long,
    refuse,
    settings,
    try_out,
    unit_vectors,
)
from data.errors import UnreadableInput

WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")  # in the order in which open_clip looks
SCHEMA = "local-dir:"


@dataclass(frozen=True, eq=False)
class OpenClipImageText:
    """An ``ImageText`` by open_clip, on ``device``."""

    model: Any
    tokenizer: Any
    prepare: Any
    device: torch.device
    author: str
    scale: float

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        with torch.inference_mode():
            return unit_vectors(self.model.encode_text(self.tokenizer(list(texts)).to(self.device)))

    def pictures(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        prepared = [self.prepare(Image.fromarray(not_too_long(picture))) for picture in pictures]
        with torch.inference_mode():
            return unit_vectors(self.model.encode_image(torch.stack(prepared).to(self.device)))


def load_open_clip(folder: Path, device: torch.device) -> OpenClipImageText:
    """The model in ``folder``: open_clip_config.json with open_clip_model.safetensors, or open_clip_pytorch_model.bin, of
    which open_clip reads tensors only (torch.load's weights_only). Raises UnreadableInput in one sentence, also where
    open_clip cannot be imported."""
    bytes_held = _checked(folder)
    open_clip = _imported(folder)
    try:
        model = _model(open_clip, folder, bytes_held)
        tokenizer = open_clip.get_tokenizer(f"{SCHEMA}{folder}")
        from open_clip.transform import PreprocessCfg, image_transform_v2

        prepare = image_transform_v2(PreprocessCfg(**model.visual.preprocess_cfg), is_train=False)
        scale = float(model.logit_scale.detach().exp())
        author = f"{folder.name} (open_clip)"
        found = OpenClipImageText(model.eval().to(device), tokenizer, prepare, device, author, scale)
        try_out(found, folder)
    except UnreadableInput:
        raise
    except Exception as error:  # open_clip, timm and torch have no common base of errors
        refuse(folder, f"cannot be loaded by open_clip ({first_line(error)}); get the model's folder again")
    return found


def _checked(folder: Path) -> int:
    """Bytes of the weights, once the settings ask for nothing outside the folder."""
    held = settings(folder / OPEN_CLIP_CONFIG).get("model_cfg")
    towers = [held.get(name) for name in ("text_cfg", "vision_cfg")] if isinstance(held, dict) else []
    if not towers or not all(isinstance(tower, dict) for tower in towers):
        refuse(folder, f"has an {OPEN_CLIP_CONFIG} without model_cfg, text_cfg and vision_cfg; get the model's folder again")
    text, vision = towers
    if text.get("hf_model_name") or ":" in str(vision.get("timm_model_name", "")):
        refuse(folder, "names a part of its model that lies on a hub; nothing is downloaded, use a model that is complete")
    sizes = vision.get("image_size", 224)
    if not all(
        isinstance(side, int) and 0 < side <= LARGEST_SIDE for side in (sizes if isinstance(sizes, list) else [sizes])
    ):
        refuse(folder, f"has settings for images of over {LARGEST_SIDE} pixels or of none")
    if not all(_layers(tower) <= MOST_LAYERS for tower in towers):
        refuse(folder, TOO_LARGE)
    files = [folder / name for name in WEIGHTS if (folder / name).is_file()]
    if not files:
        refuse(folder, f"lacks {WEIGHTS[0]}; copy it from the model's folder")
    return files[0].stat().st_size


def _layers(tower: dict[str, Any]) -> float:
    """Layers that the settings ask for; a ResNet's come as a list, one number a stage."""
    layers = tower.get("layers", 1)
    counts = layers if isinstance(layers, list) else [layers]
    return sum(counts) if all(isinstance(count, int) for count in counts) else np.inf


def _imported(folder: Path) -> ModuleType:
    try:
        import open_clip
    except Exception as error:  # a torchvision built for another torch raises RuntimeError on import
        refuse(
            folder,
            f"is in open_clip's layout, which needs open_clip_torch and a torchvision built for torch {torch.__version__} "
            f"({first_line(error)}); install them, or name the same model in Hugging Face's layout (config.json)",
        )
    return open_clip


def _model(open_clip: ModuleType, folder: Path, bytes_held: int) -> Any:
    name = f"{SCHEMA}{folder}"
    with torch.device("meta"):
        check_size(open_clip.create_model(name, load_weights=False, device="meta"), folder, bytes_held)
    return open_clip.create_model(name, require_pretrained=True)
