"""Decisions as Label Studio keeps them: tasks with annotations, in its JSON.

    [{"id": 1, "data": {"image": "cat/1.png"}, "annotations": [{"id": 1, "completed_by": 10, "lead_time": 4.288,
      "created_at": "2021-03-09T22:16:08.728353Z", "was_cancelled": false, "result": [{"from_name": "choice",
      "to_name": "image", "type": "choices", "value": {"choices": ["dog"]}}]}]}]

as documented in labelstud.io/guide/task_format and labelstud.io/tags/choices. Written for a project whose labeling config
has ``<Image name="image" value="$image"/>`` and, all ``toName="image"``, ``<Choices name="label">`` with the classes,
``<Choices name="decision">`` with keep, relabel, prune and restore, and ``<Choices name="reason">``. ``completed_by`` is
written as ``{"email": annotator}``, which Label Studio matches with its members; other names it takes only where
ALLOW_IMPORT_TASKS_WITH_UNKNOWN_EMAILS is set.

Read: the choice named "decision" is the action and the one named "reason" the reason, where a project has them; the other
one is the class. A chosen class that is the given one is a keep, any other a relabel, a cancelled annotation a skip. The
image is found by ``data.sample_id``, or by the file name in ``data``, also as an upload or a local file. Annotations count
in the order of their ids.

Carries what stands but for soft labels, which are left out; neither findings nor entries that were taken back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data.decisions import Decision
from data.errors import UnreadableInput
from data.exchange.common import Entry, Read, as_text, parse_json, read_each, read_text, utc, without_none, write_json
from data.exchange.set_names import SetNames

NAME, TITLE, SUFFIX = "label-studio", "Label Studio, tasks with annotations", ".json"
CANNOT = "It carries neither soft labels nor findings nor entries that were taken back."
WHOLE = False
LABEL, ACTION, REASON = "label", "decision", "reason"
IMAGE_KEYS = ("image", "img", "file", "filename", "path", "url")


def read(path: Path) -> Read:
    """Raises UnreadableInput where it is no list of tasks."""
    tasks = parse_json(read_text(path), path.name)
    tasks = [tasks] if isinstance(tasks, dict) and "data" in tasks else tasks
    if not isinstance(tasks, list):
        raise UnreadableInput(f"{path.name} is no list of tasks, as Label Studio exports them as JSON; export that.")
    return read_each(tasks, "task", _entries)


def write(log: Iterable[Decision], names: SetNames, out: Path) -> tuple[str, ...]:
    """One task a sample, one annotation a decision; returns how many soft labels were left out."""
    tasks: dict[int, dict[str, Any]] = {}
    softened = 0
    for number, decision in enumerate(log, 1):
        if decision.action == "soften":
            softened += 1
            tasks.pop(decision.sample_id, None)  # what it settled anew must not come back as it was before
            continue
        task = tasks.setdefault(decision.sample_id, _task(decision.sample_id, names))
        task["annotations"].append(_annotation(decision, number, names))
    write_json([tasks[sample] for sample in sorted(tasks)], out)
    return (f"{softened:,} softened labels are left out: Label Studio has no place for them.",) if softened else ()


def _task(sample: int, names: SetNames) -> dict[str, Any]:
    given = names.class_token(int(names.labels[sample]))
    data = {"image": names.files[sample], "sample_id": sample, "given": given}
    return {"id": sample + 1, "data": data, "annotations": [], "predictions": []}


def _annotation(decision: Decision, number: int, names: SetNames) -> dict[str, Any]:
    label = int(names.labels[decision.sample_id]) if decision.action == "keep" else decision.label
    said = without_none(
        {
            LABEL: None if label is None else names.class_token(label),
            ACTION: decision.action if decision.action != "skip" else None,
            REASON: decision.reason,
        }
    )
    moment = utc(decision.at) if decision.at else None
    values = {
        "completed_by": {"email": decision.annotator} if decision.annotator else None,
        "lead_time": decision.seconds,
        "created_at": None if moment is None else moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
    }
    return {
        "id": number,
        **without_none(values),
        "was_cancelled": decision.action == "skip",
        "ground_truth": False,
        "result": [_choice(name, value, number) for name, value in said.items()],
    }


def _choice(name: str, value: str, number: int) -> dict[str, Any]:
    return {
        "id": f"{name}-{number}",
        "from_name": name,
        "to_name": "image",
        "type": "choices",
        "value": {"choices": [value]},
    }


def _entries(task: object, where: str) -> list[Entry]:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        return [Entry(where, trouble="it is no task with data")]
    annotations = task.get("annotations", task.get("completions"))  # as Label Studio called them before 1.0
    if annotations is None:
        return []
    if not isinstance(annotations, list):
        return [Entry(where, trouble="its annotations are not a list")]
    data = task["data"]
    place = {"sample": data.get("sample_id"), "file": _file(data)}
    numbered = list(enumerate(annotations, 1))
    ids = [_id(annotation) for _, annotation in numbered]
    if None not in ids:
        numbered = [pair for _, pair in sorted(zip(ids, numbered, strict=True), key=lambda found: found[0] or 0)]
    made = (_entry(annotation, f"{where}, annotation {number}", place) for number, annotation in numbered)
    return [entry for entry in made if entry is not None]


def _entry(annotation: object, where: str, place: Mapping[str, object]) -> Entry | None:
    """What one annotation says, None where nothing was chosen."""
    if not isinstance(annotation, dict):
        return Entry(where, trouble="it is not an object")
    values = {
        "annotator": _annotator(annotation.get("completed_by")),
        "seconds": annotation.get("lead_time"),
        "at": annotation.get("created_at"),
    }
    try:
        said = _said(annotation.get("result") or [])
    except ValueError as error:
        return Entry(where, trouble=str(error))
    if annotation.get("was_cancelled"):
        return Entry(where, action="skip", reason=said.get(REASON), **place, **values)
    if LABEL not in said and ACTION not in said:
        return None
    return Entry(where, action=said.get(ACTION), label=said.get(LABEL), reason=said.get(REASON), **place, **values)


def _said(results: object) -> dict[str, str]:
    """What was chosen, as label, decision and reason. Raises ValueError where a choice is not one text."""
    if not isinstance(results, list):
        raise ValueError("its result is not a list")
    said: dict[str, str] = {}
    for result in results:
        if not isinstance(result, dict) or result.get("type") != "choices":
            continue
        value = result.get("value")
        choices = value.get("choices") if isinstance(value, dict) else None
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], str):
            raise ValueError("it chooses none or several where one is needed")
        name = result.get("from_name") if result.get("from_name") in (ACTION, REASON) else LABEL
        if name in said:
            raise ValueError("it chooses twice, so that its class cannot be told")
        said[name] = choices[0]
    return said


def _annotator(completed_by: object) -> object:
    """A name: the e-mail address, the name, or the number of the user."""
    if isinstance(completed_by, dict):
        names = [as_text(completed_by.get(key)) for key in ("first_name", "last_name")]
        full = " ".join(name for name in names if name)
        return as_text(completed_by.get("email")) or full or _annotator(completed_by.get("id"))
    if isinstance(completed_by, int) and not isinstance(completed_by, bool):
        return f"Label Studio user {completed_by}"
    return completed_by


def _file(data: Mapping[str, object]) -> object:
    """The image of a task: under the usual names, or else its only text."""
    named = next((data[key] for key in IMAGE_KEYS if as_text(data.get(key))), None)
    texts: Sequence[object] = [value for value in data.values() if as_text(value)]
    return named if named is not None else texts[0] if len(texts) == 1 else None


def _id(annotation: object) -> int | None:
    found = annotation.get("id") if isinstance(annotation, dict) else None
    if isinstance(found, str) and found.isdecimal() and len(found) < 20:
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None
