"""Networks that put images and texts into one space, from a local folder in Hugging Face's layout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

import numpy as np
import torch
from PIL import Image

from analysis.critic.answer_form import bounded
from analysis.critic.quiet import quiet_transformers
from data.errors import UnreadableInput

CONFIG, OPEN_CLIP_CONFIG = "config.json", "open_clip_config.json"
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model.pt", "model.pt", "model.pth")
SETTINGS = (CONFIG, "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",))
LARGEST_SETTINGS = 64 * 2**20
READ_WHOLE = (".json", ".txt", ".model", ".jinja")
"""Files that transformers reads into memory as soon as they lie there, vocabularies and chat templates among them."""
TOO_LARGE = "has settings of a larger model than its weights; get both from one model's folder"
LARGEST_SIDE, MOST_LAYERS = 1_024, 1_000
TRIAL = np.zeros((7, 11, 3), np.uint8)
LONGEST_TO_WIDEST = 16
ATTENTION = "sdpa"
LONGEST_SHOWN = 80


class ImageText(Protocol):
    """``author`` names the model and where it lies; ``scale`` turns a cosine into a logit."""

    author: str
    scale: float

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (n, D)."""

    def pictures(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Unit vectors of uint8 RGB images (H, W, 3), float32 (n, D), in the same space."""


@dataclass(frozen=True)
class Family:
    """A kind of model: the names of its classes in transformers, and whether texts are padded to their full length, as
    SigLIP was trained."""

    model: str
    processor: str
    full_length: bool = False


FAMILIES = {
    "clip": Family("CLIPModel", "CLIPImageProcessorPil"),
    "siglip": Family("SiglipModel", "SiglipImageProcessorPil", full_length=True),
}


@dataclass(frozen=True, eq=False)
class HuggingFaceImageText:
    """An ``ImageText`` by transformers, on ``device``."""

    model: Any
    tokenizer: Any
    processor: Any
    padding: str
    device: torch.device
    author: str
    scale: float

    def texts(self, texts: Sequence[str]) -> np.ndarray:
        longest = self.model.config.text_config.max_position_embeddings
        tokens = self.tokenizer(list(texts), padding=self.padding, truncation=True, max_length=longest, return_tensors="pt")
        kept = {name: tokens[name].to(self.device) for name in self.tokenizer.model_input_names if name != "token_type_ids"}
        with torch.inference_mode():
            return unit_vectors(self.model.get_text_features(**kept).pooler_output)

    def pictures(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        prepared = [self._prepared(picture) for picture in pictures]
        with torch.inference_mode():
            return unit_vectors(
                self.model.get_image_features(pixel_values=torch.cat(prepared).to(self.device)).pooler_output
            )

    def _prepared(self, picture: np.ndarray) -> torch.Tensor:
        return self.processor(images=Image.fromarray(not_too_long(picture)), return_tensors="pt")["pixel_values"]


def load_hugging_face(folder: Path, device: torch.device) -> HuggingFaceImageText:
    """The model in ``folder``: config.json of a type in FAMILIES, model.safetensors (or its parts and their index),
    tokenizer and preprocessor settings.

    Nothing in the folder is run: no code that its settings name, no pickles; nothing is downloaded. Raises UnreadableInput
    in one sentence.
    """
    import transformers

    config = _checked_settings(folder)
    family = FAMILIES[config["model_type"]]
    bytes_held = _bytes_of_weights(folder)
    with quiet_transformers():
        try:
            model = _model(getattr(transformers, family.model), folder, config, bytes_held)
            processor = getattr(transformers, family.processor).from_pretrained(str(folder), local_files_only=True)
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False
            )
            _check_fit(model, tokenizer, processor, folder)
            found = HuggingFaceImageText(
                model=model.eval().to(device),
                tokenizer=tokenizer,
                processor=processor,
                padding="max_length" if family.full_length else "longest",
                device=device,
                author=f"{folder.name} ({family.model})",
                scale=float(model.logit_scale.detach().exp()),
            )
            try_out(found, folder)
        except UnreadableInput:
            raise
        except Exception as error:  # transformers, tokenizers and safetensors have no common base of errors
            refuse(folder, f"cannot be loaded ({first_line(error)}); save the model again with save_pretrained")
    return found


def settings(path: Path) -> dict[str, Any]:
    """The JSON object in the file ``path``. Raises UnreadableInput where it is none."""
    try:
        if path.stat().st_size > LARGEST_SETTINGS:
            raise ValueError("it is too large")
        held = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        held = None
    if not isinstance(held, dict):
        refuse(path.parent, f"has a {path.name} that is not a readable JSON object; get the model's folder again")
    return held


def refuse(folder: Path, why: str) -> NoReturn:
    """Raise the one sentence on the weights folder."""
    raise UnreadableInput(f"the weights folder {folder.name} {why}.")


def not_too_long(picture: np.ndarray) -> np.ndarray:
    """The middle of (H, W, 3), at most LONGEST_TO_WIDEST times as long as wide: processors bring the shorter side to the
    network's size, and a line of pixels would fill the memory."""
    height, width = picture.shape[:2]
    most = LONGEST_TO_WIDEST * min(height, width)
    top, left = max(0, (height - most) // 2), max(0, (width - most) // 2)
    return picture[top : top + most, left : left + most]


def check_size(empty: torch.nn.Module, folder: Path, bytes_held: int) -> None:
    """Refuse a model, made without memory, that has more numbers than its weights file could hold."""
    if sum(tensor.numel() for tensor in empty.state_dict().values()) > bytes_held:  # a byte a number is the least
        refuse(folder, TOO_LARGE)


def try_out(model: ImageText, folder: Path) -> None:
    """Refuse a model that cannot take a picture and a text, or makes no finite numbers of one common length of them."""
    text, picture = model.texts(["a photo of a cat."]), model.pictures([TRIAL])
    if text.shape != picture.shape or not np.isfinite([*text.ravel(), *picture.ravel(), model.scale]).all():
        refuse(folder, "gives numbers that are not finite or do not fit together; get the weights again")


def unit_vectors(vectors: torch.Tensor) -> np.ndarray:
    """The rows of ``vectors`` (n, D) at length 1, float32, in memory."""
    return torch.nn.functional.normalize(vectors.float(), dim=-1).cpu().numpy()


def first_line(error: Exception) -> str:
    """What a library says is wrong, on one line of bounded length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".")[:200] if lines else type(error).__name__


def _checked_settings(folder: Path) -> dict[str, Any]:
    for path in folder.iterdir():
        if path.suffix in READ_WHOLE and path.is_file() and path.stat().st_size > LARGEST_SETTINGS:
            refuse(
                folder, f"has a {bounded(path.name, LONGEST_SHOWN)} that is too large to read; get the model's folder again"
            )
    config = settings(folder / CONFIG)
    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        known = ", ".join(FAMILIES)
        refuse(folder, f"holds a model of type '{str(kind)[:40]}', which is no image-text model known here ({known})")
    for name in SETTINGS:
        if (folder / name).is_file() and "auto_map" in settings(folder / name):
            refuse(folder, f"brings code of its own ({name} has an auto_map), which is never run; use a plain {kind} model")
    if "quantization_config" in config:
        refuse(folder, "holds quantised weights; use the weights in full or half precision")
    if not any(all((folder / name).is_file() for name in names) for names in VOCABULARIES):
        refuse(folder, "lacks its tokenizer (tokenizer.json, or vocab.json and merges.txt); copy it from the model's folder")
    if not any((folder / name).is_file() for name in SETTINGS[2:]):
        refuse(folder, "lacks preprocessor_config.json; copy it from the model's folder")
    return config


def _bytes_of_weights(folder: Path) -> int:
    """Size of the safetensors files, all of which must lie in the folder itself."""
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS).stat().st_size
    if (folder / INDEX).is_file():
        parts = settings(folder / INDEX).get("weight_map")
        names = set(map(str, parts.values())) if isinstance(parts, dict) else set()
        if names and all(Path(name).name == name and (folder / name).is_file() for name in names):
            return sum((folder / name).stat().st_size for name in names)
        refuse(folder, f"lacks files that its {INDEX} names; get the model's folder again")
    for name in PICKLES:
        if (folder / name).exists():
            refuse(
                folder,
                f"holds its weights as {name}, a pickle, which may run code when loaded; where you trust it, convert it "
                "once by loading it in transformers and model.save_pretrained(FOLDER), which writes safetensors",
            )
    refuse(folder, f"lacks {WEIGHTS}; copy it from the model's folder")


def _model(kind: Any, folder: Path, config: dict[str, Any], bytes_held: int) -> Any:
    parsed = kind.config_class.from_pretrained(str(folder), local_files_only=True)
    # The settings could name attention code on a hub, which transformers would fetch and run.
    parsed._attn_implementation = ATTENTION
    if max(parsed.text_config.num_hidden_layers, parsed.vision_config.num_hidden_layers) > MOST_LAYERS:
        refuse(folder, TOO_LARGE)
    with torch.device("meta"):
        check_size(kind(parsed), folder, bytes_held)
    model, report = kind.from_pretrained(
        str(folder),
        config=parsed,
        local_files_only=True,
        use_safetensors=True,
        attn_implementation=ATTENTION,
        dtype=torch.float32,
        output_loading_info=True,
    )
    # Without this, parameters that the file lacks would silently be random.
    if missing := sorted(map(str, report["missing_keys"])) or sorted(map(str, report["mismatched_keys"])):
        refuse(
            folder, f"lacks {len(missing)} of the model's tensors ({missing[0][:80]}, for instance); get the weights again"
        )
    return model


def _check_fit(model: Any, tokenizer: Any, processor: Any, folder: Path) -> None:
    if len(tokenizer) > model.config.text_config.vocab_size:
        refuse(folder, "has a tokenizer with more words than its model; get both from one model's folder")
    sides = [side for held in (processor.size, processor.crop_size) for side in dict(held or {}).values() if side]
    if not all(isinstance(side, int) and 0 < side <= LARGEST_SIDE for side in sides):
        refuse(folder, f"has preprocessor settings that resize images to over {LARGEST_SIDE} pixels or to none")
