"""A small real distilled set of our own making, and the script that makes it (``python -m data.demo.make``)."""

from pathlib import Path

DEMO: Path = Path(__file__).resolve().parent / "FashionMNIST-LT_DM_20ipc"
"""The folder to open: a distilled, long-tailed Fashion-MNIST with its teachers, reference and test split."""
