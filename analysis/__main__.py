"""``python -m analysis list`` and ``python -m analysis run NAME PATH``: the same registry that the pages use."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from analysis import findings_io
from analysis.context import Context
from analysis.findings import Figure, Findings
from analysis.registry import Analysis, Parameter, analyses, find, run
from data import open_set
from data.cli import add_opening_options, opening_options, report_errors
from data.errors import ImpossibleRequest


@report_errors
def main(arguments: list[str] | None = None) -> int:
    """Exit code 0, or 2 with one sentence on stderr."""
    given = _parser().parse_args(arguments)
    return given.command(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis", description="Analyses of distilled sets.")
    commands = parser.add_subparsers(required=True)
    listing = commands.add_parser("list", help="every analysis with its parameters")
    listing.add_argument("--json", action="store_true")
    listing.set_defaults(command=_list)
    running = commands.add_parser("run", help="run one analysis on one set and write its findings")
    running.add_argument("name")
    running.add_argument("path", type=Path)
    running.add_argument("--param", action="append", default=[], metavar="NAME=VALUE")
    running.add_argument("--out", type=Path, required=True, metavar="DIR")
    running.add_argument("--device", default="auto", help="cuda, mps or cpu; the best one by default")
    running.add_argument("--json", action="store_true", help="print the summary as JSON")
    add_opening_options(running)
    running.set_defaults(command=_run)
    return parser


def _list(given: argparse.Namespace) -> int:
    known = analyses().values()
    if given.json:
        print(json.dumps([_describe(entry) for entry in known], indent=2))
        return 0
    for entry in known:
        print(f"{entry.name}: {entry.title}\n  {entry.meaning}\n  {entry.paper}")
        print(f"  needs: {', '.join(entry.needs) or 'labels only'}")
        for parameter in entry.parameters:
            print(f"  --param {parameter.name}={parameter.default!s}{_limits(parameter)}")
        print()
    return 0


def _run(given: argparse.Namespace) -> int:
    entry = find(given.name)
    parameters = dict(_pair(text) for text in given.param)
    distilled_set = open_set(given.path, opening_options(given))
    _make_folder(given.out)
    context = Context(device=given.device, cache=given.out / "cache", report=_progress if sys.stderr.isatty() else _quiet)
    findings = run(entry.name, distilled_set, context, **parameters)
    about = {"analysis": entry.name, "set": str(given.path), "parameters": entry.arguments(parameters)}
    findings_io.save(findings, given.out, about)
    if given.json:
        print(json.dumps({**about, **findings_io.summary(findings)}, indent=2, ensure_ascii=False))
    else:
        _print_summary(entry, findings, given.out)
    return 0


def _print_summary(entry: Analysis, findings: Findings, out: Path) -> None:
    print(entry.title)
    for figure in findings.summary:
        print(f"  {figure.label}: {_value(figure)}  ({figure.basis}, n = {figure.n:,})")
    print(f"  flagged: {int(findings.per_sample['flag'].sum()):,} of {len(findings.per_sample):,}")
    for caveat in findings.caveats:
        print(f"  note: {caveat}")
    print(f"  written to {out}")


def _value(figure: Figure) -> str:
    if figure.value is None:
        return "cannot be said"
    interval = "" if figure.low is None else f" [{figure.low:.4g}, {figure.high:.4g}]"
    return f"{figure.value:.4g}{figure.unit and ' ' + figure.unit}{interval}"


def _describe(entry: Analysis) -> dict[str, Any]:
    parameters = [
        {
            "name": parameter.name,
            "type": parameter.type.__name__,
            "default": parameter.default,
            "choices": list(parameter.choices),
            "limits": _limits(parameter).strip(),
        }
        for parameter in entry.parameters
    ]
    about = {name: getattr(entry, name) for name in ("name", "title", "meaning", "paper")}
    return {**about, "needs": list(entry.needs), "parameters": parameters}


def _limits(parameter: Parameter) -> str:
    if parameter.choices:
        return f"  (one of {', '.join(map(str, parameter.choices))})"
    return f"  ({parameter.marker.describe()})" if parameter.marker is not None else ""


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ImpossibleRequest(f"--param takes NAME=VALUE, not '{text}'.")
    return name, value


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImpossibleRequest(f"{folder} cannot be made ({error.strerror}); choose another --out.") from error


def _progress(fraction: float, message: str) -> None:
    print(f"\r{fraction:4.0%} {message:<60}", end="\n" if fraction >= 1 else "", file=sys.stderr)


def _quiet(fraction: float, message: str) -> None:
    return None


if __name__ == "__main__":
    sys.exit(main())
