"""Sums over the crops of a tree, by image, batch and epoch, that one pass adds up and any number of passes could share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from analysis.trees.regions import REGIONS
from analysis.trees.rows import RowFacts

WEIGHTS = ("plain", "own", "own squared", "unmixed")
"""How a row counts: as 1, as its own share, as the square of that (for errors), as 1 only where it is nearly unmixed."""
VALUES = ("rows", "given", "given squared", "entropy", "other", "confidence", "margin", *REGIONS)
"""What is added up: 1, the probability of the folder's class and its square, the entropy in nats, whether the first choice
is another class than those the row shows, the largest probability, its lead over the second, and 1 in the row's region."""
BINS = 100
"""Bins of the largest probability from 0 to 1."""
MOST_MEAN_BYTES = 512 << 20
"""Room for mean distributions, float32. Where those of all images need more, evenly spread images have one."""
VOTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class BatchRows:
    """What the sums need of a batch's n usable rows, on the cpu.

    ``values`` float64 (n, len(VALUES)); ``top`` int64 (n,); ``images`` int64 (n,); ``known`` bool (n,): whether the class of
    the row's image is; ``own`` the batch's own share; ``unmixed`` whether that is nearly 1.
    """

    values: np.ndarray
    top: np.ndarray
    images: np.ndarray
    known: np.ndarray
    own: float
    unmixed: bool

    @property
    def weights(self) -> tuple[float, ...]:
        """In the order of WEIGHTS."""
        return (1.0, self.own, self.own**2, float(self.unmixed))


class Votes:
    """Votes for other classes, each weighted, by image and class; only the pairs that occur are held."""

    def __init__(self, num_classes: int, keys: np.ndarray | None = None, weights: np.ndarray | None = None) -> None:
        self._classes = num_classes
        self._keys = [np.zeros(0, np.int64) if keys is None else keys]
        self._weights = [np.zeros(0) if weights is None else weights]
        self._pending = 0

    def add(self, images: np.ndarray, classes: np.ndarray, weight: float) -> None:
        self._keys.append(images * self._classes + classes)
        self._weights.append(np.full(len(images), weight))
        self._pending += len(images)
        if self._pending > max(VOTES_AT_ONCE, len(self._keys[0])):
            self.pairs()

    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """Each pair once, ascending: image * classes + class, int64 (p,), and its votes, float64 (p,)."""
        keys, where = np.unique(np.concatenate(self._keys), return_inverse=True)
        weights = np.bincount(where, np.concatenate(self._weights), len(keys))
        self._keys, self._weights, self._pending = [keys], [weights], 0
        return keys, weights

    def first(self, num_images: int) -> tuple[np.ndarray, np.ndarray]:
        """The other class with most votes of each image, the lowest of several, int64 (N,), -1 where there is none; and
        its votes, float64 (N,)."""
        keys, weights = self.pairs()
        images, classes = np.divmod(keys, self._classes)
        best, votes = np.full(num_images, -1, np.int64), np.zeros(num_images)
        order = np.lexsort((-classes, weights))  # the last written wins
        best[images[order]], votes[images[order]] = classes[order], weights[order]
        return best, votes


@dataclass(eq=False)
class CropSums:
    """``images`` (N, W, V), ``epochs`` (E, W, V) and ``batches`` (F, V) are float64 sums, W by WEIGHTS and V by VALUES; of
    ``batches`` plain ones over all usable rows, of the others over rows whose image has a known class. ``own`` (F,) is each
    batch's own share and ``distinct`` (F,) its number of different first choices; ``seen`` bool (E, C) an epoch's.
    ``histogram`` (BINS,) counts usable rows by largest probability; ``left_out`` (F,) the rows that are not usable.

    ``mean`` float32 (S, C) is the sum of distributions weighted by own share of those images whose ``slots`` (N,) are not
    -1, on the device. Files 0 to ``done`` - 1 of those asked for are in.
    """

    images: np.ndarray
    epochs: np.ndarray
    batches: np.ndarray
    own: np.ndarray
    distinct: np.ndarray
    seen: np.ndarray
    histogram: np.ndarray
    left_out: np.ndarray
    slots: np.ndarray
    mean: torch.Tensor
    votes: Votes
    done: int = 0

    def add(self, rows: BatchRows, file: int, epoch: int, left_out: int) -> None:
        """Add the batch that is ``file`` of those asked for and in ``epoch`` of those read."""
        from analysis.trees.values import add_by_image  # brings numba, which nothing needs that scans no tree

        everything = bool(rows.known.all())
        values, owners = (rows.values, rows.images) if everything else (rows.values[rows.known], rows.images[rows.known])
        weights = np.asarray(rows.weights)
        add_by_image(self.images, owners, values, weights)
        total = values.sum(axis=0)
        self.epochs[epoch] += total * weights[:, None]
        self.batches[file] = total if everything else rows.values.sum(axis=0)
        self.own[file], self.left_out[file] = rows.own, left_out
        self._add_choices(rows, file, epoch)
        self.done = file + 1

    def add_distributions(self, facts: RowFacts, images: np.ndarray, own: float) -> None:
        """Add the distributions of usable rows to the means of their images."""
        slots = self.slots[images]
        kept = np.flatnonzero(slots >= 0)
        if not own or not len(kept):
            return
        distributions, classes = facts.distributions, facts.classes
        if len(kept) < len(slots):
            where = torch.from_numpy(kept).to(self.mean.device)
            distributions, classes = distributions[where], None if classes is None else classes[where]
        owners = torch.from_numpy(slots[kept]).to(self.mean.device)
        if classes is None:
            self.mean.index_add_(0, owners, distributions, alpha=own)
        else:
            cells = owners[:, None] * self.mean.shape[1] + classes
            self.mean.view(-1).index_add_(0, cells.view(-1), distributions.reshape(-1), alpha=own)

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything, as arrays, for ``restored``."""
        keys, weights = self.votes.pairs()
        plain = {name: getattr(self, name) for name in _PLAIN}
        return {
            **plain,
            "mean": self.mean.cpu().numpy(),
            "votes": keys,
            "vote_weights": weights,
            "done": np.asarray(self.done),
        }

    def restored(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Take over what ``arrays`` gave, if it is of these sizes; whether it was."""
        try:
            fits = all(arrays[name].shape == tuple(getattr(self, name).shape) for name in (*_PLAIN, "mean"))
            votes = Votes(self.mean.shape[1], arrays["votes"], arrays["vote_weights"])
            done = int(arrays["done"])
        except KeyError:
            return False
        if not fits:
            return False
        for name in _PLAIN:
            setattr(self, name, arrays[name])
        self.mean.copy_(torch.from_numpy(arrays["mean"]))
        self.votes, self.done = votes, done
        return True

    def _add_choices(self, rows: BatchRows, file: int, epoch: int) -> None:
        from analysis.trees.values import add_choices

        self.distinct[file] = add_choices(rows.top, rows.values, self.seen[epoch], self.histogram)
        other = rows.values[:, VALUES.index("other")] > 0
        if other.any() and rows.own > 0:
            self.votes.add(rows.images[other], rows.top[other], rows.own)


_PLAIN = ("images", "epochs", "batches", "own", "distinct", "seen", "histogram", "left_out", "slots")


def empty_sums(classes: np.ndarray, num_classes: int, files: int, epochs: int, device: torch.device) -> CropSums:
    """Sums of nothing, for ``files`` of ``epochs`` and images of ``classes`` int64 (N,), negative where unknown."""
    n, width = len(classes), len(VALUES)
    slots = _slots(classes, num_classes)
    room = (int(slots.max(initial=-1)) + 1, num_classes)
    on_cpu = device.type == "cpu"
    return CropSums(
        images=np.zeros((n, len(WEIGHTS), width)),
        epochs=np.zeros((epochs, len(WEIGHTS), width)),
        batches=np.zeros((files, width)),
        own=np.zeros(files),
        distinct=np.zeros(files, np.int64),
        seen=np.zeros((epochs, num_classes), bool),
        histogram=np.zeros(BINS, np.int64),
        left_out=np.zeros(files, np.int64),
        slots=slots,
        # numpy asks the system for huge pages, with which rows all over the place are added three times as fast
        mean=torch.from_numpy(np.zeros(room, np.float32)) if on_cpu else torch.zeros(room, device=device),
        votes=Votes(num_classes),
    )


def _slots(classes: np.ndarray, num_classes: int) -> np.ndarray:
    """The row of ``mean`` of each image, -1 for none: every image of known class, or as many as there is room for."""
    known = np.flatnonzero(classes >= 0)
    most = max(1, MOST_MEAN_BYTES // (4 * num_classes))
    kept = known[:: -(-len(known) // most)] if len(known) > most else known
    slots = np.full(len(classes), -1, np.int64)
    slots[kept] = np.arange(len(kept))
    return slots
