"""Ours and the peers', in one run, printed as ratios: `python -m benchmarks.NAME`."""
