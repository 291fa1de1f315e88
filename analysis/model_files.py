"""Networks from local files: TorchScript, torch.export or ONNX, told apart by content."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from data.errors import ImpossibleRequest, UnreadableInput

Network = Callable[[torch.Tensor], torch.Tensor]
ADVICE = "save the network with torch.export.save, torch.jit.save or as ONNX"


@dataclass(frozen=True)
class Model:
    """A network and what it declares of its input: a fixed batch, channels and (height, width); None where it does not."""

    network: Network
    device: torch.device
    batch: int | None = None
    channels: int | None = None
    size: tuple[int, int] | None = None


def load_model(path: Path, device: torch.device) -> Model:
    """The network in ``path``, ready on ``device`` (ONNX runs on the CPU).

    Loading runs what is in the file. Pickled objects in a torch.export archive are refused, but the graph in any of the
    three formats is a program. Raises UnreadableInput in one sentence for a file that is none of them.
    """
    load = _loader(path)
    try:
        with warnings.catch_warnings():
            # TorchScript is deprecated in torch 2.13; published teachers still come in it.
            warnings.simplefilter("ignore")
            model = load(path, device)
    except UnreadableInput:
        raise
    except Exception as error:  # each runtime has its own family of errors, without a common base
        raise UnreadableInput(f"{path.name} cannot be loaded as a network ({_first_line(error)}); {ADVICE}.") from error
    return Model(_explained(model.network, path.name), model.device, model.batch, model.channels, model.size)


def _loader(path: Path) -> Callable[[Path, torch.device], Model]:
    with path.open("rb") as file:
        start = file.read(2)
    if start == b"\x80\x02":
        raise UnreadableInput(f"{path.name} is a pickle, which may run code and holds no network; {ADVICE}.")
    if start != b"PK":
        return _onnx
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile:
        raise UnreadableInput(f"{path.name} is a damaged or truncated archive; get the model file again.") from None
    if any("/models/" in name and name.endswith(".json") for name in names):
        return _exported
    if any("/code/" in name for name in names):
        return _torchscript
    raise UnreadableInput(f"{path.name} holds weights but no network; {ADVICE}.")


def _torchscript(path: Path, device: torch.device) -> Model:
    return Model(torch.jit.load(str(path), map_location=device).eval(), device)


def _exported(path: Path, device: torch.device) -> Model:
    _refuse_pickles(path)
    program = torch.export.load(str(path))
    names = set(program.graph_signature.user_inputs)
    shape = next(node.meta["val"].shape for node in program.graph.nodes if node.name in names)
    return _declared(program.module().to(device), device, tuple(shape))


def _onnx(path: Path, device: torch.device) -> Model:
    import numpy as np
    import onnxruntime

    # From memory, not by path: then no second file with weights can be pulled in, and the hash covers everything.
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    declared = session.get_inputs()[0]
    output = session.get_outputs()[0].name

    def network(pixels: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(session.run([output], {declared.name: np.ascontiguousarray(pixels.numpy())})[0])

    return _declared(network, torch.device("cpu"), tuple(declared.shape))


def _declared(network: Network, device: torch.device, shape: tuple[object, ...]) -> Model:
    """``shape`` as the file declares it: whole numbers are fixed, names and symbols are free."""
    if len(shape) != 4:
        raise ValueError(f"it takes input of {len(shape)} dimensions, and images have 4: n, channels, height, width")
    batch, channels, height, width = (side if isinstance(side, int) else None for side in shape)
    size = (height, width) if height is not None and width is not None else None
    return Model(network, device, batch, channels, size)


def _refuse_pickles(path: Path) -> None:
    """torch.export.load falls back to unpickling anything; an archive of plain tensors never needs that."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("_config.json"):
                payloads = json.loads(archive.read(name))["config"].values()
                plain = all(not p["use_pickle"] and p["path_name"].startswith(("weight_", "tensor_")) for p in payloads)
            elif name.endswith(".pt"):
                plain = _loads_safely(archive.read(name))
            else:
                continue
            if not plain:
                raise UnreadableInput(
                    f"{path.name} holds pickled objects, which may run code; export it with plain tensors only."
                )


def _loads_safely(content: bytes) -> bool:
    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except (pickle.UnpicklingError, RuntimeError):
        return not content
    return True


def _explained(network: Network, name: str) -> Network:
    def explained(pixels: torch.Tensor) -> torch.Tensor:
        try:
            return network(pixels)
        except Exception as error:  # as above
            shape = "x".join(map(str, pixels.shape[1:]))
            raise ImpossibleRequest(
                f"{name} does not take images of {shape} ({_first_line(error)}); give a network made for such images."
            ) from error

    return explained


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1 if lines and "TorchScript" in lines[0] else 0].rstrip(".")[:200] if lines else type(error).__name__
