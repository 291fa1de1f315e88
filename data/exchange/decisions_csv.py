"""Decisions as a CSV table, one row a decision, for spreadsheets; and the CSV files that Label Studio and FiftyOne export.

Written: the columns WRITTEN; classes by name and by index, the soft label as a JSON list. A text that a spreadsheet would
take for a formula (it begins with = + - @, a tab or a line end) gets an apostrophe before it, which reading takes away again
(OWASP, "CSV Injection").

Read: the columns in any order, under these names or those in COLUMNS, separated by commas, semicolons or tabs; ``sample_id``
or a file name is needed, and an action or a label. Label Studio's CSV has ``image, choice, annotator, lead_time,
created_at`` (labelstud.io/guide/export); FiftyOne's has ``filepath, tags, ground_truth.label`` ("CSVDataset" in
docs.voxel51.com/user_guide/export_datasets.html), in which most rows say nothing: only tags and changed labels count.

Carries what stands. Entries that were taken back are not written.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data.decisions import Decision
from data.errors import UnreadableInput
from data.exchange.common import Entry, Read, read_text
from data.exchange.fiftyone_tags import said_by_tags
from data.exchange.set_names import SetNames
from data.plain_text import one_line

NAME, TITLE, SUFFIX = "csv", "CSV, for a spreadsheet", ".csv"
CANNOT = "It does not carry entries that were taken back."
WHOLE = False
WRITTEN = (
    *("sample_id", "file", "given", "action", "label", "label_index"),
    *("soft_label", "reason", "annotator", "seconds", "at", "finding"),
)
COLUMNS = {
    **{name: name for name in WRITTEN if name != "given"},
    **dict.fromkeys(("sample",), "sample_id"),
    **dict.fromkeys(("file_name", "filename", "filepath", "path", "image"), "file"),
    **dict.fromkeys(("decision",), "action"),
    **dict.fromkeys(("class", "class_name", "choice", "ground_truth", "ground_truth.label"), "label"),
    **dict.fromkeys(("who", "completed_by"), "annotator"),
    **dict.fromkeys(("lead_time",), "seconds"),
    **dict.fromkeys(("when", "created_at"), "at"),
    "tags": "tags",
}
LONGEST_CELL = 1 << 24
_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
_GUARDED = re.compile(r"'+[=+\-@\t\r\n]")

csv.field_size_limit(LONGEST_CELL)  # a soft label over many classes is longer than the 131,072 letters it starts with


def read(path: Path) -> Read:
    """Raises UnreadableInput where it is no such table."""
    text = read_text(path)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
        names = _header(next(rows, []), path.name)
        return _entries(rows, names, path.name)
    except csv.Error as error:
        raise UnreadableInput(f"{path.name} is no CSV table that can be read ({error}); save it again.") from None


def write(log: Iterable[Decision], names: SetNames, out: Path) -> tuple[str, ...]:
    """One row a decision; returns nothing to note."""
    with out.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(WRITTEN)
        rows.writerows([guarded(value) for value in _row(decision, names)] for decision in log)
    return ()


def guarded(value: object) -> object:
    """``value``, so that no spreadsheet takes it for a formula."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def _row(decision: Decision, names: SetNames) -> Sequence[object]:
    label, soft = decision.label, decision.soft_label
    return (
        decision.sample_id,
        names.files[decision.sample_id],
        names.class_token(int(names.labels[decision.sample_id])),
        decision.action,
        None if label is None else names.class_token(label),
        label,
        None if soft is None else json.dumps(soft),
        decision.reason,
        decision.annotator,
        decision.seconds,
        decision.at,
        decision.finding,
    )


def _delimiter(text: str) -> str:
    """The one that gives the first line most columns that are known."""
    first = text.split("\n", 1)[0].lower()
    return max(",;\t", key=lambda mark: sum(name.strip('\r "') in COLUMNS for name in first.split(mark)))


def _header(row: Sequence[str], name: str) -> list[str | None]:
    found = [COLUMNS.get(cell.strip().lower()) for cell in row]
    known = [column for column in found if column is not None]
    if twice := next((column for column in known if known.count(column) > 1), None):
        raise UnreadableInput(f"{name} has several columns for the {twice}; keep one of them.")
    if not {"sample_id", "file"} & set(known) or not {"action", "label", "label_index", "tags"} & set(known):
        shown = one_line(", ".join(row)[:80]) or "nothing"
        raise UnreadableInput(
            f"{name} has no column for the sample (sample_id or file) or for what was decided (action or label): its first "
            f"line is {shown}; name the columns there."
        )
    return found


def _entries(rows: Iterable[Sequence[str]], names: Sequence[str | None], file: str) -> Read:
    entries, silent = [], 0
    for number, row in enumerate(rows, 2):
        if not any(row):
            continue
        if len(row) > len(names):
            raise UnreadableInput(f"{file}, row {number:,} has more cells than there are columns; save the table again.")
        cells = {name: _unguarded(cell) for name, cell in zip(names, row, strict=False) if name is not None and cell != ""}
        made = _entry(cells, f"row {number:,}", "tags" in names)
        silent += made is None
        entries += [made] if made is not None else []
    return Read(entries, silent)


def _entry(cells: Mapping[str, str], where: str, tagged: bool) -> Entry | None:
    """What one row says, None where it says nothing."""
    values: dict[str, object] = {name: cell for name, cell in cells.items() if name not in ("tags", "label_index")}
    if "label_index" in cells and cells["label_index"].isdecimal() and len(cells["label_index"]) < 20:
        values["label"] = int(cells["label_index"])
    values["sample"] = values.pop("sample_id", None)
    if tagged and "action" not in values:
        action, label, reason = said_by_tags(cells.get("tags", "").split(","))
        values |= {"action": action, "label": label or values.get("label"), "reason": values.get("reason") or reason}
        if action is None and values["label"] is None:
            return None
    try:
        if "seconds" in cells:
            values["seconds"] = float(cells["seconds"])
        if "soft_label" in cells:
            values["soft_label"] = json.loads(cells["soft_label"])
    except (ValueError, RecursionError):
        return Entry(where, trouble="a number, or the list of the soft label, cannot be read")
    return Entry(where, quiet=tagged, **values)  # type: ignore[arg-type]


def _unguarded(cell: str) -> str:
    return cell[1:] if _GUARDED.match(cell) else cell
