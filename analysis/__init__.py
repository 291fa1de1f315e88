"""Stillroom's analysis room: pure functions of arrays; runs without a browser."""

from analysis.context import Cancelled, Context
from analysis.findings import Figure, Findings, Matrix
from analysis.registry import analyses, analysis, find, run

__all__ = ["Cancelled", "Context", "Figure", "Findings", "Matrix", "analyses", "analysis", "find", "run"]
