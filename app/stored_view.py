"""The picture behind a picture: a sample as its file stores it, and in a sentence what that can mean on a screen."""

from __future__ import annotations

from dataclasses import dataclass

from app.images import large
from data.images import Images
from data.pixels import Contrast, out_of_range

PLAIN: Contrast = "as trained"
SHOWN_CHANNELS = 3


@dataclass(frozen=True)
class StoredView:
    """``image`` is a data URI, "" where it is the very picture that the card shows anyway; ``words`` say what it is."""

    image: str
    words: str


def stored_view(images: Images, sample_id: int, contrast: Contrast) -> StoredView:
    """One fixed map from stored values to the screen where the pixel space has one, the same for all images.

    Where it has none (ZCA-whitened, unknown) there is no such picture, and the words say what is shown instead.
    """
    return StoredView("" if contrast == PLAIN else large(images, sample_id, PLAIN), _words(images, sample_id))


def _words(images: Images, sample_id: int) -> str:
    space = images.pixel_space
    if not space.displayable:
        what = "ZCA-whitened values" if space.kind == "zca" else "values of an unknown pixel space"
        return f"Stored are {what}, which have no colours of their own: shown from their lowest (black) to their highest."
    try:
        stored = images.stored([sample_id])
    except Exception:  # decoders raise whatever they like on a broken file; the picture says that it is one
        return "The file of this image cannot be read."
    made = {"uint8": "the bytes of the file", "unit": "the file's values, 0 to 1"}.get(
        space.kind, f"the file's values × std + mean ({space.name}), nothing stretched"
    )
    return f"Stored pixels: {made}{_cut(out_of_range(stored, space))}{_dropped(stored.shape[1])}."


def _cut(share: float | None) -> str:
    if not share:
        return "; all of them can be shown"
    return f"; {'less than 0.1%' if share < 0.001 else f'{share:.1%}'} lie outside what a screen can show and are cut off"


def _dropped(channels: int) -> str:
    return "" if channels <= SHOWN_CHANNELS else f"; channels {SHOWN_CHANNELS + 1} to {channels} are not shown"
