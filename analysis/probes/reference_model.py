"""A model trained on a set's real reference images that judges its synthetic ones, with how far to believe it.

It has seen none of the synthetic images, and it learns from pixels, so it knows more than a probe on somebody else's
features. Trained once for the same images, labels and settings, and kept by content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from analysis.context import Context
from analysis.device import pick
from analysis.embedding import WAIT_SECONDS, content_hash
from analysis.encoders import PIXELS, SMALL_SIDE, Encoder
from analysis.findings import SHARE, Figure
from analysis.intervals import share_figure
from analysis.kept_files import load, save
from analysis.probes.convnet_training import LEAST_SIDE, Split, State, TrainingSettings, convnet, logits_of, train
from analysis.probes.folds import spread_over_folds
from analysis.probes.probe import ProbeResult
from analysis.probes.temperature_scaling import expected_calibration_error
from data.distilled_set import DistilledSet, Reference
from data.errors import ImpossibleRequest
from data.images import Images, batches

VERSION = 1  # of the numbers: a change in training must not find files of the one before
MOST_IMAGES = 50_000
MOST_TARGETS = 1 << 27  # 512 MiB of float32
IMAGES_A_READ = 1_024
PARTS = 8
STOP_BY, MEASURE_ON = 0, 1
"""Of 8 parts of the reference, one says when to stop, another is only for measuring; six teach."""
FEWEST_TO_CALIBRATE = 30
TRAINING = 0.9  # of the progress


@dataclass(frozen=True)
class ReferenceJudgement:
    """``result`` holds the synthetic images' probabilities; ``figures`` and ``caveats`` say how far to believe them."""

    result: ProbeResult
    basis: str
    figures: tuple[Figure, ...]
    caveats: tuple[str, ...]


@dataclass(frozen=True)
class _Layout:
    """The pixels that the network sees: [0, 1] is black to white, whatever either file stores."""

    channels: int
    size: tuple[int, int]

    def read(self, images: Images, ids: np.ndarray) -> torch.Tensor:
        """Images float32 (n, channels, *size) in [0, 1]; pixels without such a range are stretched, as they are shown."""
        bytes_per_image = 4 * self.channels * self.size[0] * self.size[1]
        cpu = torch.device("cpu")
        encoder = Encoder(PIXELS, "", lambda x: x.flatten(1), bytes_per_image, cpu, self.channels, self.size, natural=True)
        # Synthetic pixels overshoot black and white, where no real image has taught the network anything.
        return torch.from_numpy(encoder(images, ids)).clamp_(0, 1).view(-1, self.channels, *self.size)


@dataclass(frozen=True)
class _Model:
    """A trained network as it is kept: plain tensors and numbers. ``right`` of ``measured`` unseen reference images."""

    weights: dict[str, torch.Tensor]
    temperature: float
    best_round: int
    rounds: int
    taught: int
    stopped_by: int
    measured: int
    right: int
    calibration_error: float


def judged_by_reference_model(
    distilled_set: DistilledSet, settings: TrainingSettings, context: Context
) -> ReferenceJudgement:
    """Train on ``distilled_set.reference`` (or take what is kept in ``context.cache``) and apply to all its images.

    Samples whose class the reference lacks are left out. A run that was cancelled goes on at its last round where there
    is a cache. At most 50,000 reference images are used, of each class in proportion. Raises ImpossibleRequest where the
    set or the reference holds nothing to compare, or fewer than two classes.
    """
    reference, images = distilled_set.reference, distilled_set.images
    if reference is None or images is None:
        raise ImpossibleRequest(f"{distilled_set.name} needs images and a reference to train a model on; it lacks one.")
    known = np.unique(reference.labels)
    if len(known) < 2:
        raise ImpossibleRequest("a model needs reference images of at least two classes; use a label source instead.")
    layout = _layout(images, reference.images)
    model = _trained(reference, layout, known, settings, context.part(0, TRAINING))
    result = _applied(model, distilled_set, layout, known, settings, context.part(TRAINING, 1))
    return ReferenceJudgement(result, _basis(model, settings), _figures(model), _caveats(model, images, reference.images))


def _layout(first: Images, second: Images) -> _Layout:
    """What both are brought to: the synthetic images' own size where it is small, and grey only where both are."""
    shape = first.shape
    own = shape is not None and all(LEAST_SIDE <= side <= SMALL_SIDE for side in shape[1:])
    grey = all(images.shape is not None and images.shape[0] == 1 for images in (first, second))
    return _Layout(1 if grey else 3, shape[1:] if own else (SMALL_SIDE, SMALL_SIDE))


def _trained(
    reference: Reference, layout: _Layout, known: np.ndarray, settings: TrainingSettings, context: Context
) -> _Model:
    if settings.elr_weight and min(len(reference.labels), MOST_IMAGES) * len(known) > MOST_TARGETS:
        raise ImpossibleRequest(
            f"early-learning targets for {len(reference.labels):,} reference images of {len(known):,} classes need more "
            "than 512 MiB; set elr_weight to 0."
        )

    def make(context: Context, resume: State | None = None, keep: Callable[[State], None] = lambda state: None) -> _Model:
        parts = _split(reference, layout, known, context.part(0, 0.1))
        return _fit(parts, len(known), settings, context.part(0.1, 1), resume, keep)

    if context.cache is None:
        return make(context)
    key = _key(reference, layout, settings, context)
    try:
        return _kept(Path(context.cache) / f"reference-model-{key}.pt", make, context)
    except OSError as error:
        raise ImpossibleRequest(
            f"the model cannot be kept in {context.cache} ({error.strerror or error}); free space or name another folder."
        ) from error


def _split(reference: Reference, layout: _Layout, known: np.ndarray, context: Context) -> tuple[Split, Split, Split]:
    """(to learn from, to stop by, to measure on); classes of fewer than three images only teach."""
    ids = np.arange(len(reference.labels))
    if len(ids) > MOST_IMAGES:
        ids = np.flatnonzero(spread_over_folds(reference.labels, -(-len(ids) // MOST_IMAGES), 0) == 0)
    labels = np.searchsorted(known, reference.labels[ids])
    part = spread_over_folds(labels, PARTS, 0)
    part[np.bincount(labels)[labels] < 3] = PARTS
    images = torch.empty(len(ids), layout.channels, *layout.size, dtype=torch.uint8)
    starts = range(0, len(ids), IMAGES_A_READ)
    for start in context.track(starts, len(starts), "reading the reference"):
        rows = ids[start : start + IMAGES_A_READ]
        images[start : start + len(rows)] = layout.read(reference.images, rows).mul_(255).round_().to(torch.uint8)
    members = [np.flatnonzero(part > MEASURE_ON), np.flatnonzero(part == STOP_BY), np.flatnonzero(part == MEASURE_ON)]
    learn, stop, measure = (Split(images[torch.from_numpy(i)], torch.from_numpy(labels[i])) for i in members)
    return learn, stop, measure


def _fit(
    parts: tuple[Split, Split, Split],
    num_classes: int,
    settings: TrainingSettings,
    context: Context,
    resume: State | None,
    keep: Callable[[State], None],
) -> _Model:
    learn, stop, measure = parts
    trained = train(learn, stop, num_classes, settings, pick(context.device), context, resume, keep)
    right, error = 0, float("nan")
    if len(measure):
        logits = trained.logits(measure.images)
        right = int((logits.argmax(dim=1) == measure.labels).sum())
        error = expected_calibration_error(torch.softmax(logits, dim=1), measure.labels)
    weights = {name: value.cpu() for name, value in trained.network.state_dict().items()}
    temperature, rounds = trained.temperature, trained.rounds
    return _Model(weights, temperature, trained.best_round, rounds, len(learn), len(stop), len(measure), right, error)


def _kept(finished: Path, make: Callable[..., _Model], context: Context) -> _Model:
    """The model in ``finished``, trained now if need be. Another process that trains the same one is waited for."""
    finished.parent.mkdir(parents=True, exist_ok=True)
    lock, partial = FileLock(finished.with_suffix(".lock")), finished.with_suffix(".partial")
    while True:
        if (kept := load(finished)) is not None:
            return _Model(**kept)
        try:
            with lock.acquire(timeout=WAIT_SECONDS):
                if load(finished) is not None:
                    continue
                model = make(context, load(partial), lambda state: save(state, partial))
                save(vars(model), finished)
                partial.unlink(missing_ok=True)
                return model
        except Timeout:
            context.report(0.0, "waiting for another run that trains the same model")


def _key(reference: Reference, layout: _Layout, settings: TrainingSettings, context: Context) -> str:
    space = reference.images.pixel_space
    parts = (
        VERSION,
        content_hash(reference.images.store, context.part(0, 0.0)),
        (space.kind, space.mean, space.std),
        hashlib.sha256(np.ascontiguousarray(reference.labels, dtype="<i8").tobytes()).hexdigest(),
        astuple(layout),
        astuple(settings),
        pick(context.device).type,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _applied(
    model: _Model,
    distilled_set: DistilledSet,
    layout: _Layout,
    known: np.ndarray,
    settings: TrainingSettings,
    context: Context,
) -> ProbeResult:
    network = convnet(layout.channels, layout.size, len(known), settings.width, settings.seed)
    network.load_state_dict(model.weights)
    network.eval().to(pick(context.device))
    probabilities = torch.zeros(len(distilled_set), distilled_set.num_classes)
    parts = -(-len(distilled_set) // IMAGES_A_READ)
    for ids in context.track(batches(distilled_set.images, IMAGES_A_READ), parts, "applying the model"):
        logits = logits_of(network, layout.read(distilled_set.images, ids)) / model.temperature
        rows = torch.zeros(len(ids), distilled_set.num_classes)
        rows[:, torch.from_numpy(known)] = torch.softmax(logits, dim=1)
        probabilities[torch.from_numpy(ids)] = rows
    left_out = np.flatnonzero(~np.isin(distilled_set.labels, known))
    probabilities[torch.from_numpy(left_out)] = torch.nan
    return ProbeResult(probabilities, left_out)


def _basis(model: _Model, settings: TrainingSettings) -> str:
    how = f", early-learning targets with lambda {settings.elr_weight:g}" if settings.elr_weight else ""
    return f"a ConvNet-3, {settings.width} wide, trained on {model.taught:,} reference images{how}"


def _figures(model: _Model) -> tuple[Figure, ...]:
    unseen = "reference images that the model neither learnt from nor was stopped by, against their labels"
    accuracy = share_figure("Accuracy of the reference model", model.right, model.measured, unseen)
    if model.measured < FEWEST_TO_CALIBRATE:
        few = f"fewer than {FEWEST_TO_CALIBRATE} {unseen}"
        return accuracy, Figure("Calibration error of the reference model", None, few, model.measured, SHARE)
    bins = f"expected calibration error in 15 bins, which chance alone raises with so few; {unseen}"
    return (
        accuracy,
        Figure("Calibration error of the reference model", model.calibration_error, bins, model.measured, SHARE),
    )


def _caveats(model: _Model, images: Images, reference: Images) -> tuple[str, ...]:
    caveats = []
    if not model.stopped_by:
        caveats.append(
            "The reference has too few images to hold any out, so its model was trained to the end and its confidence is "
            "not calibrated."
        )
    else:
        share = f"{model.right / model.measured:.0%} of {model.measured:,}" if model.measured else "an unknown share of"
        caveats.append(
            f"The reference model names the label of {share} unseen reference images. It knows real images; synthetic ones "
            "may look like none of them, and then it is less often right and less sure than that."
        )
    if not (images.pixel_space.displayable and reference.pixel_space.displayable):
        caveats.append(
            "Pixels without a known black and white (ZCA-whitened, or of an unknown space) were stretched image by image "
            "for the reference model; that makes whitened and real images alike in range only, so trust it little."
        )
    return tuple(caveats)
