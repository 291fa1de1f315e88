"""The sets of a workspace: remembered by where they lie, opened when asked for, noticed when they change on disk."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data.decisions import now
from data.distilled_set import DistilledSet, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import open_set
from data.workspace_tables import Execute, Tables

OPEN_SETS = 4
FILES_WATCHED = 256
_Version = tuple[OpenOptions, str]  # how a set was opened, and the fingerprint of its files


@dataclass(frozen=True)
class SetRecord:
    """A set that was opened here. ``n`` samples in ``num_classes`` classes; ``opened_at`` ISO 8601, UTC."""

    id: str
    name: str
    path: Path
    options: OpenOptions
    format: str
    method: str
    n: int
    num_classes: int
    opened_at: str


class SetTable:
    """Lists sets and keeps the last few open."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._open: OrderedDict[str, tuple[DistilledSet, _Version]] = OrderedDict()
        self._guard = threading.Lock()

    def add(self, path: Path, options: OpenOptions) -> str:
        """Open the set, list it and return its id, which follows from what decides its samples: path, repeat, format.

        A set that is known already and comes without options is opened as it was last time.
        """
        place = path.resolve()
        set_id = _identity(place, options)
        if options == OpenOptions(repeat=options.repeat, format=options.format):
            options = self._known_options(set_id) or options
        opened = open_set(place, options)
        self._store(set_id, opened, place, options, now())
        return set_id

    def records(self) -> list[SetRecord]:
        """The listed sets, in the order in which they were last opened."""
        return [_record(row) for row in self._tables.rows(f"{_SELECT} where listed order by opened_at, id")]

    def record(self, set_id: str) -> SetRecord:
        """Raises ImpossibleRequest where the set is not listed."""
        return _record(self._row(set_id))

    def load(self, set_id: str) -> DistilledSet:
        """The opened set. Raises UnreadableInput where its files are gone or are not what they were."""
        row = self._row(set_id)
        record, fingerprint = _record(row), row[-1]
        with self._guard:
            kept, version = self._open.get(set_id, (None, None))
        wanted = (record.options, fingerprint)
        opened = kept if kept is not None and version == wanted else open_set(record.path, record.options)
        if _fingerprint(opened) != fingerprint or len(opened) != record.n:
            self._forget(set_id)
            raise UnreadableInput(
                f"{record.path} changed on disk since it was opened; open it again on the Sets page if that is wanted."
            )
        self._keep(set_id, opened, wanted)
        return opened

    def set_options(self, set_id: str, options: OpenOptions) -> None:
        """Open the set differently from now on. Raises ImpossibleRequest where that would make other samples of it."""
        record = self.record(set_id)
        if (options.repeat, options.format) != (record.options.repeat, record.options.format):
            raise ImpossibleRequest("another repeat or format has other samples; open it as a set of its own.")
        opened = open_set(record.path, options)
        if len(opened) != record.n:
            raise ImpossibleRequest(
                f"with these options {record.name} has {len(opened)} samples instead of {record.n} and its decisions would "
                "not fit; choose others."
            )
        self._store(set_id, opened, record.path, options, record.opened_at)

    def remove(self, set_id: str) -> None:
        """Take the set off the list. Its files and decisions stay."""
        self.record(set_id)
        with self._tables.writing() as execute:
            execute("update sets set listed = false where id = ?", [set_id])
            execute("delete from labels where set_id = ?", [set_id])
        self._forget(set_id)

    def _store(self, set_id: str, opened: DistilledSet, path: Path, options: OpenOptions, at: str) -> None:
        fingerprint = _fingerprint(opened)
        origin = opened.provenance
        values = [opened.name, str(path), json.dumps(asdict(options)), origin.format, origin.method]
        with self._tables.writing() as execute:
            known = execute("delete from sets where id = ? returning fingerprint", [set_id])
            if known and known[0][0] != fingerprint:
                execute("update runs set status = 'outdated' where set_id = ? and status = 'done'", [set_id])
            execute(
                f"insert into sets ({_COLUMNS}, listed) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, true)",
                [set_id, *values, len(opened), opened.num_classes, at, fingerprint],
            )
            _store_labels(execute, set_id, opened.labels)
        self._keep(set_id, opened, (options, fingerprint))

    def _known_options(self, set_id: str) -> OpenOptions | None:
        found = self._tables.rows("select options from sets where id = ?", [set_id])
        return OpenOptions(**json.loads(found[0][0])) if found else None

    def _row(self, set_id: str) -> tuple:
        found = self._tables.rows(f"{_SELECT} where id = ? and listed", [set_id])
        if not found:
            raise ImpossibleRequest(f"there is no set '{set_id}' in this workspace; open it first.")
        return found[0]

    def _keep(self, set_id: str, opened: DistilledSet, version: _Version) -> None:
        with self._guard:
            self._open[set_id] = (opened, version)
            self._open.move_to_end(set_id)
            while len(self._open) > OPEN_SETS:
                self._open.popitem(last=False)

    def _forget(self, set_id: str) -> None:
        with self._guard:
            self._open.pop(set_id, None)


_COLUMNS = "id, name, path, options, format, method, n, num_classes, opened_at, fingerprint"
_SELECT = f"select {_COLUMNS} from sets"


def _record(row: Sequence) -> SetRecord:
    set_id, name, path, options, *rest = row[:-1]
    return SetRecord(set_id, name, Path(path), OpenOptions(**json.loads(options)), *rest)


def _identity(path: Path, options: OpenOptions) -> str:
    return _hash([str(path), str(options.repeat), str(options.format)])


def _store_labels(execute: Execute, set_id: str, labels: np.ndarray) -> None:
    execute("delete from labels where set_id = ?", [set_id])
    incoming = {"sample_id": np.arange(len(labels)), "label": labels}
    execute("insert into labels select ?, sample_id, label from incoming order by sample_id", [set_id], incoming=incoming)


def _fingerprint(opened: DistilledSet) -> str:
    """Changes when the number of the set's files does, or the name, size or time of one of those looked at.

    In a folder of a million images those looked at are few and spread evenly.
    """
    files = opened.provenance.files
    step = max(1, len(files) // FILES_WATCHED)
    try:
        return _hash([str(len(files)), *_stamps(files[::step])])
    except OSError as error:
        raise UnreadableInput(f"{error.filename} cannot be read any more ({error.strerror}); put it back.") from None


def _stamps(files: Iterable[Path]) -> Iterable[str]:
    for file in files:
        seen = file.stat()
        yield f"{file}|{seen.st_size}|{seen.st_mtime_ns}"


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]
