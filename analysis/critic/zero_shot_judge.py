"""A judge that compares image and class name directly: CLIP (arXiv 2103.00020) or SigLIP (arXiv 2303.15343), whose weights
lie in a local folder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from analysis.context import Context
from analysis.critic.class_words import class_words, replies_by_words, why_speechless, wordless_caveats
from analysis.critic.image_text_models import CONFIG, OPEN_CLIP_CONFIG, ImageText, load_hugging_face
from analysis.critic.judge import Questions, Replies
from analysis.critic.open_clip_models import load_open_clip
from analysis.device import pick
from data.distilled_set import DistilledSet
from data.errors import UnreadableInput
from data.images import Images

NAME = "image-text"
TEMPLATES = ("a photo of a {}.", "a photo of the {}.", "a blurry photo of a {}.", "a drawing of a {}.")
"""An ensemble of prompts, as CLIP's authors use for ImageNet; fewer than theirs, for a thousand classes on a cpu."""
BATCH = 64
PICTURES_AT_ONCE = 32
TEXTS_AT_ONCE = 64
VECTORS_KEPT = 16_384

CAVEATS = (
    "It was trained on pictures and captions from the web, which may include this set's own originals.",
    "It reads the class names as they are: a name that means something else in everyday language misleads it.",
)


def image_text_judge(distilled_set: DistilledSet, context: Context, weights_folder: str) -> ImageTextJudge | str:
    """The judge with the weights in ``weights_folder``, or one sentence on why it abstains: there are no images, or the
    class names carry no meaning.

    The folder has Hugging Face's layout (``load_hugging_face``) or open_clip's (``load_open_clip``); one that has both is
    read as the former. Raises UnreadableInput in one sentence where it is neither or cannot be trusted.
    """
    if distilled_set.images is None:
        return "the set holds no images, so there is nothing to compare with the class names."
    words = class_words(distilled_set.class_names)
    if why := why_speechless(distilled_set.class_names, words):
        return why
    context.report(0.0, "loading the image-text model")
    model = load_image_text(weights_folder, context)
    classes = class_vectors(model, words, TEMPLATES, context)
    caveats = CAVEATS + wordless_caveats(distilled_set.class_names, words)
    return ImageTextJudge(distilled_set.images, model, classes, caveats, author=model.author)


def load_image_text(weights_folder: str, context: Context) -> ImageText:
    """The model in the folder, on the context's device."""
    folder = Path(weights_folder).expanduser()
    device = pick(context.device)
    for name, load in ((CONFIG, load_hugging_face), (OPEN_CLIP_CONFIG, load_open_clip)):
        if (folder / name).is_file():
            return load(folder, device)
    if not folder.is_dir():
        raise UnreadableInput(f"there is no weights folder '{weights_folder}'; name a folder with a CLIP or SigLIP model.")
    raise UnreadableInput(
        f"the weights folder {folder.name} holds neither {CONFIG} nor {OPEN_CLIP_CONFIG}; name a folder with a CLIP or "
        "SigLIP model as Hugging Face or open_clip save it."
    )


def class_vectors(model: ImageText, words: Sequence[str], templates: Sequence[str], context: Context) -> np.ndarray:
    """The unit vector of each class, float32 (C, D): of the mean of its prompts' vectors; NaN for a name without words."""
    worded = [place for place, word in enumerate(words) if word]
    prompts = [template.format(words[place]) for place in worded for template in templates]
    starts = range(0, len(prompts), TEXTS_AT_ONCE)
    parts = [model.texts(prompts[i : i + TEXTS_AT_ONCE]) for i in context.track(starts, len(starts), "reading class names")]
    means = np.concatenate(parts).reshape(len(worded), len(templates), -1).mean(axis=1)
    vectors = np.full((len(words), means.shape[1]), np.nan, np.float32)
    vectors[worded] = means / np.linalg.norm(means, axis=1, keepdims=True)
    return vectors


@dataclass(eq=False)
class RecentVectors:
    """Vectors by image, made where they are missing; the VECTORS_KEPT used last are kept, so that the pairs of an image
    cost one pass of the network."""

    make: Callable[[np.ndarray], np.ndarray]
    width: int
    held: OrderedDict[int, np.ndarray] = field(default_factory=OrderedDict)

    def of(self, ids: np.ndarray) -> np.ndarray:
        """Float32 (n, width) for distinct ``ids`` int64 (n,)."""
        missing = np.array([i for i in ids.tolist() if i not in self.held], np.int64)
        for start in range(0, len(missing), PICTURES_AT_ONCE):
            part = missing[start : start + PICTURES_AT_ONCE]
            self.held.update(zip(part.tolist(), self.make(part), strict=True))
        found = []
        for i in ids.tolist():
            self.held.move_to_end(i)
            found.append(self.held[i])
        while len(self.held) > VECTORS_KEPT:
            self.held.popitem(last=False)
        return np.array(found, np.float32).reshape(len(ids), self.width)


@dataclass(eq=False)
class ImageTextJudge:
    """A ``Judge``. ``classes`` (C, D) are unit vectors, NaN for a class without words; a label's probability is the softmax
    over the classes of the model's scaled cosines, NOTHING's is what that leaves of 1."""

    images: Images
    model: ImageText
    classes: np.ndarray
    caveats: tuple[str, ...] = ()
    name: str = NAME
    author: str = ""
    about: str = (
        "Compares the image with the class names by an image-text model from a local folder; computed here, nothing leaves "
        "the machine."
    )
    batch: int = BATCH
    repeats: int = 1

    def __post_init__(self) -> None:
        self._vectors = RecentVectors(self._pictures, self.classes.shape[1])

    def ask(self, questions: Questions) -> Replies:
        ids, rows = np.unique(questions.sample_id, return_inverse=True)
        cosines = self._vectors.of(ids).astype(np.float64) @ self.classes.T.astype(np.float64)
        return replies_by_words(self.model.scale * cosines, rows, questions)

    def _pictures(self, ids: np.ndarray) -> np.ndarray:
        # One at a time, since only what the network is fed has a bounded size.
        return self.model.pictures(self.images.viewable(ids[i : i + 1])[0] for i in range(len(ids)))
