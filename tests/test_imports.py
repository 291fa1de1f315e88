"""The house's one direction: app -> analysis -> data, and who alone may know Streamlit and DuckDB."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROOMS = {"data": {"data"}, "analysis": {"data", "analysis"}, "app": {"data", "analysis", "app"}}
MODULES = sorted(path for room in ROOMS for path in (PROJECT / room).rglob("*.py"))


def imported(source: str, package: tuple[str, ...]) -> set[str]:
    """Every module that ``source`` imports, anywhere in it, by its full name; ``package`` resolves relative imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join((*above, *([node.module] if node.module else [])))
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)} - {""}
        elif isinstance(node, ast.Call) and _is_import_call(node.func) and node.args:
            found |= _literal_start(node.args[0])
    return found


def _is_import_call(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("import_module", "__import__")


def _literal_start(argument: ast.expr) -> set[str]:
    """The module that a call names, or the fixed start of an f-string."""
    if isinstance(argument, ast.JoinedStr) and argument.values:
        argument = argument.values[0]
    return {argument.value.rstrip(".")} if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else set()


def roots(path: Path) -> set[str]:
    package = path.relative_to(PROJECT).parent.parts
    return {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"), package)}


def test_modules_are_found():
    assert {path.relative_to(PROJECT).parts[0] for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_imports_go_one_way(path):
    room = path.relative_to(PROJECT).parts[0]
    assert not roots(path) & (set(ROOMS) - ROOMS[room])
    assert "tests" not in roots(path)


def test_only_the_app_knows_streamlit():
    assert {path.relative_to(PROJECT).parts[0] for path in MODULES if "streamlit" in roots(path)} <= {"app"}


def test_only_one_module_knows_duckdb():
    assert [str(path.relative_to(PROJECT)) for path in MODULES if "duckdb" in roots(path)] == ["data/duckdb_tables.py"]


def test_only_the_shared_store_knows_postgresql():
    found = {str(path.relative_to(PROJECT).parent) for path in MODULES if "psycopg" in roots(path)}
    assert found == {"data/postgres"}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import app.pages", "app.pages"),
        ("def f():\n    from app import main", "app.main"),
        ("from . import curation", "data.formats.curation"),
        ("from .. import export", "data.export"),
        ("from ..export import plan", "data.export.plan"),
        ("import importlib\nimportlib.import_module('streamlit')", "streamlit"),
        ("m = __import__(f'analysis.{x}')", "analysis"),
        ("if TYPE_CHECKING:\n    import duckdb", "duckdb"),
    ],
)
def test_imported__sees_every_way_to_import(source, expected):
    assert expected in imported(source, ("data", "formats"))
