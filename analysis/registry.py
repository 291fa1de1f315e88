"""The registry of analyses: one decorator makes a function an analysis, with nothing else to edit.

The page section, its form, the command line, the caching key and the common behaviour test all follow from it. An
analysis is a function ``(distilled_set, context, *, parameter=default, ...) -> Findings``; its keyword parameters must be
annotated with one of

    bool, int, float, str                     a plain field
    Annotated[int | float, Between(low, high)]  a bounded number
    Literal["a", "b"]                          a choice
    Annotated[str, LabelSource()]              a label source of the set; "" is the given one
    Annotated[str, Embedding()]                an embedding name (analysis.embedding.NAMES) or a local model file
    Annotated[Literal[...], AlsoCalled("name")]  a choice with a second name
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin, get_type_hints

from analysis.context import Context
from analysis.findings import Findings
from data.distilled_set import DistilledSet
from data.errors import ImpossibleRequest
from data.relabelled.augmented import AugmentedSoftLabels
from data.verdicts import NO_VERDICTS, Verdicts

Need = Literal["images", "soft labels", "class counts", "reference", "test split", "crops"]
AnalysisFunction = Callable[..., Findings]


@dataclass(frozen=True)
class Between:
    """Inclusive bounds of a number."""

    low: float
    high: float

    def describe(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class LabelSource:
    """Marks a parameter that names one of the set's label sources; ``unnamed`` is what "" means there, in a word or two."""

    unnamed: str = "chosen for you"

    def describe(self) -> str:
        return "a label source of the set"


@dataclass(frozen=True)
class Embedding:
    """Marks a parameter that names an embedding or a local model file."""

    def describe(self) -> str:
        return "an embedding's name, or a local TorchScript, torch.export or ONNX file"


@dataclass(frozen=True)
class AlsoCalled:
    """Another name by which a choice may be given, such as one that is a word of Python's."""

    name: str


@dataclass(frozen=True)
class Parameter:
    """One typed parameter: ``type`` is bool, int, float or str; ``choices`` and ``marker`` refine it."""

    name: str
    type: type
    default: Any
    choices: tuple[Any, ...] = ()
    marker: Between | LabelSource | Embedding | AlsoCalled | None = None

    def parse(self, value: Any) -> Any:
        """``value`` (a string, or already of the right type) as this parameter. Raises ImpossibleRequest in one sentence."""
        try:
            parsed = _convert(value, self.type)
        except (TypeError, ValueError):
            raise ImpossibleRequest(f"parameter {self.name} needs {self.type.__name__}, not '{value}'.") from None
        if self.choices and parsed not in self.choices:
            raise ImpossibleRequest(f"parameter {self.name} is one of {', '.join(map(str, self.choices))}, not '{value}'.")
        if isinstance(self.marker, Between) and not self.marker.low <= parsed <= self.marker.high:
            raise ImpossibleRequest(
                f"parameter {self.name} lies between {self.marker.low} and {self.marker.high}, not {value}."
            )
        return parsed


@dataclass(frozen=True)
class Entry:
    """What a set can be asked by name: ``meaning`` tells it in two sentences to a stranger, ``paper`` what it follows."""

    KIND: ClassVar[str] = "entry"

    name: str
    title: str
    meaning: str
    paper: str
    needs: tuple[Need, ...]
    parameters: tuple[Parameter, ...]
    function: Callable[..., Any]

    def arguments(self, given: Mapping[str, Any] = {}) -> dict[str, Any]:
        """Every parameter with its value: the given one, parsed, or the default."""
        known = {parameter.name: parameter for parameter in self.parameters}
        others = {p.marker.name: name for name, p in known.items() if isinstance(p.marker, AlsoCalled)}
        given = {others.get(name, name): value for name, value in given.items()}
        unknown = set(given) - set(known)
        if unknown:
            options = ", ".join(known) or "none"
            raise ImpossibleRequest(f"{self.KIND} {self.name} has no parameter '{sorted(unknown)[0]}'; it has: {options}.")
        return {name: p.parse(given[name]) if name in given else p.default for name, p in known.items()}

    def missing(self, distilled_set: DistilledSet) -> tuple[Need, ...]:
        """What this needs and the set does not have."""
        has = {
            "images": distilled_set.images is not None,
            "soft labels": bool(distilled_set.label_sources),
            "class counts": distilled_set.class_counts is not None,
            "reference": distilled_set.reference is not None,
            "test split": distilled_set.test is not None,
            "crops": any(isinstance(held, AugmentedSoftLabels) for held in distilled_set.label_sources.values()),
        }
        return tuple(need for need in self.needs if not has[need])


@dataclass(frozen=True)
class Analysis(Entry):
    """A registered analysis. ``reads_verdicts`` says that it learns from what people have settled, so its findings age with
    every decision; ``reads_pruned`` that it leaves out what they pruned, too; ``reads_answers`` that it counts
    what they answered about pairs of labels; ``reads_annotations`` that it compares what each of them says of a sample.
    ``takes_minutes`` keeps it from starting by itself."""

    KIND: ClassVar[str] = "analysis"

    reads_verdicts: bool = False
    reads_pruned: bool = False
    reads_answers: bool = False
    takes_minutes: bool = False
    reads_annotations: bool = False

    def heard(self, settled: Verdicts) -> Verdicts:
        """What of ``settled`` it learns from, so that its findings age with nothing else."""
        if not self.reads_verdicts:
            return NO_VERDICTS
        return settled if self.reads_pruned else settled.of_labels()


_REGISTRY: dict[str, Analysis] = {}


def analysis(
    *,
    title: str,
    meaning: str,
    paper: str,
    needs: tuple[Need, ...] = (),
    reads_verdicts: bool = False,
    reads_pruned: bool = False,
    reads_answers: bool = False,
    takes_minutes: bool = False,
    reads_annotations: bool = False,
) -> Callable[[AnalysisFunction], AnalysisFunction]:
    """Register the decorated function under its own name; see ``Analysis`` for what is said of it."""

    def register(function: AnalysisFunction) -> AnalysisFunction:
        about = (function.__name__, title, meaning, paper, needs, parameters_of(function), function)
        entry = Analysis(*about, reads_verdicts, reads_pruned, reads_answers, takes_minutes, reads_annotations)
        if entry.name in _REGISTRY and _REGISTRY[entry.name].function.__module__ != function.__module__:
            raise ValueError(f"two analyses are called '{entry.name}'")
        _REGISTRY[entry.name] = entry
        return function

    return register


@cache
def _import_all() -> None:
    """Import every module beside this one, so that each can register itself."""
    import analysis as package

    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("_"):
            importlib.import_module(f"analysis.{module.name}")


def analyses() -> dict[str, Analysis]:
    """All analyses by name, in the order of their names."""
    _import_all()
    return dict(sorted(_REGISTRY.items()))


def title_of(name: str) -> str:
    """What people call the analysis ``name``; the name itself where there is none of it, or none any more."""
    return analyses()[name].title if name in analyses() else name


def find(name: str) -> Analysis:
    """The analysis called ``name``. Raises ImpossibleRequest naming those there are."""
    known = analyses()
    if name not in known:
        raise ImpossibleRequest(f"there is no analysis '{name}'; choose one of {', '.join(known)}.")
    return known[name]


def run(name: str, distilled_set: DistilledSet, context: Context | None = None, **parameters: Any) -> Findings:
    """Run one analysis here and now, in this process. Raises ImpossibleRequest where the set lacks what it needs."""
    entry = find(name)
    missing = entry.missing(distilled_set)
    if missing:
        raise ImpossibleRequest(f"analysis {name} needs {' and '.join(missing)}, which {distilled_set.name} does not have.")
    return entry.function(distilled_set, context or Context(), **entry.arguments(parameters))


def parameters_of(function: Callable[..., Any]) -> tuple[Parameter, ...]:
    """The typed keyword parameters of ``function``. Raises ValueError where one has no default, or a type no form shows."""
    hints = get_type_hints(function, include_extras=True)
    keyword_only = (p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY)
    return tuple(_parameter(p.name, hints[p.name], p.default) for p in keyword_only)


def _parameter(name: str, hint: Any, default: Any) -> Parameter:
    if default is inspect.Parameter.empty:
        raise ValueError(f"parameter {name} needs a default")
    marker = None
    if get_origin(hint) is Annotated:
        hint, marker = get_args(hint)
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return Parameter(name, type(choices[0]), default, choices, marker)
    if hint not in (bool, int, float, str):
        raise ValueError(f"parameter {name} has type {hint}, which no form can show")
    return Parameter(name, hint, default, (), marker)


def _convert(value: Any, wanted: type) -> Any:
    if wanted is bool and isinstance(value, str):
        if value.lower() not in ("true", "false", "1", "0", "yes", "no"):
            raise ValueError(value)
        return value.lower() in ("true", "1", "yes")
    return wanted(value)
