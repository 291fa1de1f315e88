"""Decisions as FiftyOne keeps them: tags and a classification for each sample, in the ``samples.json`` of a FiftyOneDataset.

    {"samples": [{"filepath": "cat/1.png", "tags": ["relabelled"],
                  "ground_truth": {"_cls": "Classification", "label": "dog", "tags": []}}]}

as documented in docs.voxel51.com/user_guide/export_datasets.html ("FiftyOneDataset") and, for samples and their tags, in
docs.voxel51.com/user_guide/using_datasets.html. A folder with this file and no ``metadata.json`` is read as FiftyOne wrote
it before 0.8, by ``fiftyone.Dataset.from_dir(folder, dataset_type=fiftyone.types.FiftyOneDataset)``; put it into the folder
that the names of the images are relative to. Attributes of our own on the classification (``annotator, at, seconds, reason,
soft_label``), and the fields ``stillroom_sample`` and ``stillroom_pruned``, are what FiftyOne calls dynamic attributes.

Read: a tag of TAGS decides, ``label:NAME`` relabels, a reason as a tag is the reason. Without such a tag a sample says
something only where its label is not the given one. The label is ``ground_truth``, or the only classification that there is.

Carries the current state alone: one label and one prune a sample, and who made them; nothing of how it came to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from data.decisions import REASONS, Decision
from data.errors import UnreadableInput
from data.exchange.common import Entry, Read, parse_json, read_each, read_text, resting, without_none, write_json
from data.exchange.set_names import SetNames

NAME, TITLE, SUFFIX = "fiftyone", "FiftyOne, tags and labels (samples.json)", ".json"
CANNOT = (
    "It carries the current state alone: one label and one prune a sample, who made them and when; neither findings nor the "
    "steps before."
)
WHOLE = False
TRUTH, SAMPLE, PRUNED = "ground_truth", "stillroom_sample", "stillroom_pruned"
WORDS = {"keep": "kept", "relabel": "relabelled", "soften": "softened", "prune": "pruned", "skip": "skipped"}
TAGS = {**{word: action for action, word in WORDS.items()}, **{action: action for action in WORDS}}
RELABEL = "label:"
_KEPT = ("reason", "annotator", "seconds", "at")


def read(path: Path) -> Read:
    """Raises UnreadableInput where it is no ``samples.json``."""
    whole = parse_json(read_text(path), path.name)
    samples = whole.get("samples") if isinstance(whole, dict) else None
    if not isinstance(samples, list):
        raise UnreadableInput(f"{path.name} has no list 'samples', as the samples.json of a FiftyOneDataset has; give that.")
    return read_each(samples, "sample", _entries)


def write(log: Iterable[Decision], names: SetNames, out: Path) -> tuple[str, ...]:
    """The samples that anything was decided about; returns nothing to note."""
    by_sample = groupby(resting(log), lambda decision: decision.sample_id)
    samples = [_sample(sample, list(entries), names) for sample, entries in by_sample]
    write_json({"samples": samples}, out)
    return ()


def said_by_tags(tags: Iterable[object]) -> tuple[str | None, str | None, str | None]:
    """(action, class, reason) that the tags of a sample name, each None where they do not; a prune comes before all else."""
    said = [tag.strip() for tag in tags if isinstance(tag, str)]
    actions = [TAGS[tag.lower()] for tag in said if tag.lower() in TAGS]
    label = next((tag[len(RELABEL) :].strip() for tag in said if tag.lower().startswith(RELABEL)), None)
    action = "prune" if "prune" in actions else "relabel" if label else next(iter(actions), None)
    return action, label, next((tag.lower() for tag in said if tag.lower() in REASONS), None)


def _sample(sample: int, entries: Sequence[Decision], names: SetNames) -> dict[str, Any]:
    settled = next((entry for entry in entries if entry.action != "prune"), None)
    pruned = next((entry for entry in entries if entry.action == "prune"), None)
    label, soft = (settled.label, settled.soft_label) if settled is not None else (None, None)
    if soft is not None:
        label = max(range(len(soft)), key=soft.__getitem__)
    truth = {
        "_cls": "Classification",
        "tags": [],
        "label": names.class_token(int(names.labels[sample]) if label is None else label),
        **_kept(settled),
        **({} if soft is None else {"soft_label": list(soft)}),
    }
    return {
        "filepath": names.files[sample],
        "tags": [WORDS[entry.action] for entry in entries],
        "metadata": None,
        TRUTH: truth,
        SAMPLE: sample,
        **({} if pruned is None else {PRUNED: _kept(pruned)}),
    }


def _kept(entry: Decision | None) -> dict[str, Any]:
    return {} if entry is None else without_none({name: getattr(entry, name) for name in _KEPT})


def _entries(sample: object, where: str) -> list[Entry]:
    if not isinstance(sample, dict):
        return [Entry(where, trouble="it is not an object")]
    tags = sample.get("tags") or []
    if not isinstance(tags, list):
        return [Entry(where, trouble="its tags are not a list")]
    place = {"sample": sample.get(SAMPLE), "file": sample.get("filepath")}
    truth = _truth(sample)
    action, _, reason = said_by_tags(tags)
    found = _settled(where, place, truth, tags, None if action == "prune" else reason)
    if action == "prune":
        pruned = sample.get(PRUNED) if isinstance(sample.get(PRUNED), dict) else {}
        values = {name: pruned.get(name) for name in _KEPT}
        found.append(Entry(where, action="prune", **place, **{**values, "reason": values["reason"] or reason}))
    return found


def _settled(
    where: str, place: Mapping[str, object], truth: Mapping[str, object], tags: Sequence[object], reason: str | None
) -> list[Entry]:
    """The entry about the label, or none."""
    action, label, _ = said_by_tags(tag for tag in tags if not (isinstance(tag, str) and TAGS.get(tag.lower()) == "prune"))
    label = truth.get("label") if label is None else label
    if action is None and label is None:
        return []
    values = {name: truth.get(name) for name in _KEPT}
    values["reason"] = values["reason"] or reason
    soft = truth.get("soft_label") if action == "soften" else None
    return [Entry(where, action=action, label=label, soft_label=soft, quiet=action is None, **place, **values)]


def _truth(sample: Mapping[str, object]) -> Mapping[str, object]:
    """The classification of a sample; empty where it has none, or several and none is the ground truth."""
    found = {
        key: value for key, value in sample.items() if isinstance(value, dict) and value.get("_cls") == "Classification"
    }
    if TRUTH in found or len(found) == 1:
        return found.get(TRUTH) or next(iter(found.values()))
    return {}
