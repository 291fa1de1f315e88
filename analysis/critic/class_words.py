"""What a set's class names say in words, for judges that read them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from analysis.critic.imagenet_names import name_of_synset
from analysis.critic.judge import Questions, Replies, against_nothing, likelihoods, prefer

LONGEST = 200
LEAST_LETTERS = 2
LEAST_CLASSES = 2

_SYNSET = re.compile(r"(n\d{8})(?:[ _-]+(.*))?")
_NUMBER_BEFORE = re.compile(r"^\d+\s*[-._:)]+\s*(?=\D*[^\W\d_])")
_NUMBERED = re.compile(r"(class|label|category|cls|target|idx?|index|group|cluster|type)[\s#:.-]*\d*", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")


def class_words(class_names: Sequence[str]) -> tuple[str, ...]:
    """Each name in words, "" where it carries no meaning ("class 7", "3", "k").

    WordNet ids ("n01440764") become the names of ImageNet's classes; underscores, numbers before the name and joined
    capitals ("012.Sea_Lake", "SeaLake") become plain text.
    """
    return tuple(map(_words, class_names))


def why_speechless(class_names: Sequence[str], words: Sequence[str]) -> str:
    """Why a judge that reads names cannot judge between these, one sentence, or "" where it can."""
    if sum(map(bool, words)) >= LEAST_CLASSES:
        return ""
    return f"the class names carry no meaning ({_first(class_names, words)}, for instance), so there is nothing to read."


def wordless_caveats(class_names: Sequence[str], words: Sequence[str]) -> tuple[str, ...]:
    """One sentence where some of the names carry no meaning, none otherwise."""
    missing = sum(not word for word in words)
    if not missing:
        return ()
    return (
        f"{missing} of {len(words)} class names carry no meaning ({_first(class_names, words)}, for instance): "
        "questions about these get no answer.",
    )


def replies_by_words(logits: np.ndarray, rows: np.ndarray, questions: Questions) -> Replies:
    """Replies by the softmax of ``logits`` float64 (m, C), of which question i looks at row ``rows[i]``; a column is NaN
    where the class name carries no meaning.

    NOTHING has what a label's probability leaves of 1; questions about a class without words get no answer.
    """
    worded = ~np.isnan(logits).all(axis=0)
    with np.errstate(invalid="ignore"):  # a row without any number stays NaN, and gets no answer
        probabilities = softmax(np.where(worded, logits, -np.inf), axis=1)
    probabilities[:, ~worded] = np.nan
    left, right = (likelihoods(probabilities, rows, labels) for labels in (questions.left, questions.right))
    return prefer(*against_nothing(questions, left, right))


def _first(class_names: Sequence[str], words: Sequence[str]) -> str:
    return next(f"'{name[:40]}'" for name, word in zip(class_names, words, strict=True) if not word)


def _words(name: str) -> str:
    text = name[:LONGEST].strip()
    if found := _SYNSET.fullmatch(text):
        return name_of_synset(found[1]) or _words(found[2] or "")
    text = _NUMBER_BEFORE.sub("", text)
    text = " ".join(_CAMEL.sub(" ", text).replace("_", " ").split())
    if _NUMBERED.fullmatch(text) or sum(map(str.isalpha, text)) < LEAST_LETTERS:
        return ""
    return text
