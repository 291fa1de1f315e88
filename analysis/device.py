"""Where to compute, and how much fits there."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import torch

from data.errors import ImpossibleRequest

VARIABLE = "STILLROOM_DEVICE"
SHARE = 4  # a batch may take one part in this many of what is free: other runs and the page need the rest

# (limit, used, statistics) of the container's memory, version 2 of the interface and then version 1
_CGROUPS = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def pick(name: str = "auto") -> torch.device:
    """The device called ``name`` ("cpu", "cuda", "cuda:1", "mps"), or for "auto" the best there is: cuda, mps, cpu.

    The environment variable STILLROOM_DEVICE takes the place of "auto". Raises ImpossibleRequest for a device that this
    machine does not have.
    """
    wanted = name
    if name == "auto":
        wanted = os.environ.get(VARIABLE, "auto") or "auto"
    if wanted == "auto":
        return torch.device(_best())
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or not _present(device):
        asked = f"{VARIABLE} asks for device '{wanted}'" if wanted != name else f"device '{wanted}' is asked for"
        raise ImpossibleRequest(f"{asked}, but this machine has {', '.join(_all())}; choose one of these or 'auto'.")
    return device


def describe(device: torch.device) -> str:
    """The device in words for people: "cpu, 2 threads" or "NVIDIA H100, 78 GiB"."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if device.type == "mps":
        return "Apple GPU (mps)"
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads != 1 else ''}"


def rows_that_fit(bytes_per_row: int, device: torch.device, most: int) -> int:
    """How many rows of that size to handle at once: between 1 and ``most``, in a quarter of the free memory."""
    return max(1, min(most, free_bytes(device) // SHARE // max(bytes_per_row, 1)))


def free_bytes(device: torch.device) -> int:
    """Memory free on ``device`` now, in bytes; for the cpu within the container's limit, where there is one."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "mps":
        return max(0, torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return min([psutil.virtual_memory().available, *_container_free(Path("/sys/fs/cgroup"))])


def _best() -> str:
    return _all()[0]


def _all() -> list[str]:
    """Names of the devices of this machine, the best first."""
    found = [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    if found:
        found = ["cuda", *found]
    if torch.backends.mps.is_available():
        found.append("mps")
    return [*found, "cpu"]


def _present(device: torch.device) -> bool:
    if device.type == "cpu":
        return True
    return str(device) in _all()


def _container_free(root: Path) -> list[int]:
    """Bytes left below the container's memory limit, as a list of none or one. Cached file pages count as free."""
    for limit_name, used_name, statistics_name in _CGROUPS:
        try:
            limit = int((root / limit_name).read_text())
            used = int((root / used_name).read_text())
            statistics = dict(line.split() for line in (root / statistics_name).read_text().splitlines())
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        return [max(0, limit - used + int(statistics.get("inactive_file", 0)))]
    return []
