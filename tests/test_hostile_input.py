"""Bad files, through the real commands: one sentence, exit code 2, nothing written or changed, no foreign code run."""

from __future__ import annotations

import os
import pickle
import random
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
import torch

from data.__main__ import main
from tests.data.sets import MAKERS, make, normalised, soft_rows
from tests.refusal import CANARY, refuse


class RunsCode:
    """What an attacker pickles: unpickled the ordinary way, it makes the canary."""

    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def test_canary_would_sing(tmp_path):
    """The attack works on an unsafe reader, so that a silent canary means something."""
    torch.save(RunsCode(), tmp_path / "evil.pt")
    try:
        torch.load(tmp_path / "evil.pt", weights_only=False)
        assert CANARY.exists()
    finally:
        CANARY.unlink(missing_ok=True)


def labels(n: int = 12) -> torch.Tensor:
    return torch.arange(n) // 3


EVIL: dict[str, Callable[[], object]] = {
    "dc": lambda: {"data": [[normalised(), labels()]], "accs_all_exps": RunsCode()},
    "dc in a repeat": lambda: {"data": [[normalised(), labels()], RunsCode()]},
    "dd": lambda: [(normalised(), labels(), RunsCode())],
    "idc": lambda: [normalised(), RunsCode()],
    "bare": RunsCode,
    "as a key": lambda: {RunsCode(): 1, "data": [[normalised(), labels()]]},
    "in a numpy array": lambda: {"data": [[normalised(), labels()]], "x": np.array([RunsCode()], dtype=object)},
}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("content", EVIL.values(), ids=EVIL.keys())
def test_code_in_a_torch_file(content, zipped, tmp_path, capsys):
    torch.save(content(), tmp_path / "images.pt", _use_new_zipfile_serialization=zipped)
    said = refuse(capsys, tmp_path / "images.pt")
    assert "system" in said or "numpy data" in said, said


def test_code_in_a_bare_pickle(tmp_path, capsys):
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        (tmp_path / "images.pt").write_bytes(pickle.dumps(RunsCode(), protocol=protocol))
        refuse(capsys, tmp_path / "images.pt")


def test_code_in_the_labels_beside(tmp_path, capsys):
    torch.save(normalised(), tmp_path / "images_best.pt")
    torch.save(RunsCode(), tmp_path / "labels_best.pt")
    refuse(capsys, tmp_path / "images_best.pt")


@pytest.mark.parametrize("suffix", ["pt", "npy", "npz"])
def test_code_in_a_label_file_elsewhere(suffix, tmp_path, capsys):
    torch.save(normalised(), tmp_path / "images_best.pt")
    place = tmp_path / f"teacher.{suffix}"
    if suffix == "pt":
        torch.save(RunsCode(), place)
    else:
        array = np.array([RunsCode()], dtype=object)
        np.save(place, array) if suffix == "npy" else np.savez(place, logits=array)
    refuse(capsys, tmp_path / "images_best.pt", "--labels", str(place))


def test_code_in_an_npz(tmp_path, capsys):
    np.savez(tmp_path / "set.npz", images=np.array([RunsCode()], dtype=object), labels=np.arange(1))
    refuse(capsys, tmp_path / "set.npz")


def nan_rows() -> torch.Tensor:
    rows = soft_rows("logits")
    rows[3, 1] = float("nan")
    return rows


def nan_images() -> torch.Tensor:
    images = normalised()
    images[5, 0, 0, 0] = float("inf")
    return images


TENSORS: dict[str, tuple[object, object]] = {
    "images of 3 axes": (normalised()[:, 0], labels()),
    "images of 2 axes": (torch.randn(12, 5), labels()),
    "a single number": (torch.tensor(1.0), labels()),
    "no images": (torch.zeros(0, 3, 8, 8), labels(0)),
    "images without pixels": (torch.zeros(12, 3, 0, 8), labels()),
    "complex images": (torch.zeros(12, 3, 8, 8, dtype=torch.complex64), labels()),
    "boolean images": (torch.zeros(12, 3, 8, 8, dtype=torch.bool), labels()),
    "infinite images": (nan_images(), labels()),
    "NaN soft labels": (normalised(), nan_rows()),
    "fewer labels": (normalised(), labels(9)),
    "more labels": (normalised(), labels(15)),
    "negative labels": (normalised(), labels() - 1),
    "labels out of range": (normalised(), labels() * 10**12),
    "fractional labels": (normalised(), labels() + 0.5),
    "labels of 3 axes": (normalised(), torch.rand(12, 2, 2)),
    "labels without classes": (normalised(), torch.zeros(12, 0)),
    "complex labels": (normalised(), torch.zeros(12, 4, dtype=torch.complex64)),
    "a list in place of images": ([1, 2, 3], labels()),
    "a text in place of labels": (normalised(), "cat"),
    "None": (None, None),
}


@pytest.mark.parametrize(("images", "given"), TENSORS.values(), ids=TENSORS.keys())
def test_wrong_tensors(images, given, tmp_path, capsys):
    torch.save(images, tmp_path / "images_best.pt")
    torch.save(given, tmp_path / "labels_best.pt")
    refuse(capsys, tmp_path / "images_best.pt")


NORMAL_IN_DD = ("images of 3 axes", "images of 2 axes", "fractional labels")
"""SLDD's text sets hold samples that are no images, and its binary tasks one real label a sample."""


@pytest.mark.parametrize(
    ("layout", "what"),
    [(layout, what) for layout in ("dc", "idc", "dd") for what in TENSORS if not (layout == "dd" and what in NORMAL_IN_DD)],
)
def test_wrong_tensors_in_result_files(layout, what, tmp_path, capsys):
    images, given = TENSORS[what]
    wrapped = {"dc": {"data": [[images, given]]}, "idc": [images, given], "dd": [(images, given, torch.tensor(0.1))]}[layout]
    torch.save(wrapped, tmp_path / "results.pth")
    refuse(capsys, tmp_path / "results.pth")


NPZ: dict[str, dict[str, np.ndarray]] = {
    "no labels": {"images": np.zeros((4, 8, 8, 3), np.uint8)},
    "nothing": {},
    "other counts": {"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.arange(5)},
    "five axes": {"images": np.zeros((4, 8, 8, 3, 1), np.uint8), "labels": np.arange(4)},
    "no channel axis": {"images": np.zeros((4, 8, 8, 7), np.uint8), "labels": np.arange(4)},
    "NaN": {"images": np.full((4, 8, 8, 3), np.nan, np.float32), "labels": np.arange(4)},
    "negative labels": {"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.arange(4) - 1},
    "no samples": {"images": np.zeros((0, 8, 8, 3), np.uint8), "labels": np.arange(0)},
    "texts": {"images": np.zeros((4, 8, 8, 3), np.uint8), "labels": np.array(list("abcd"))},
}


@pytest.mark.parametrize("arrays", NPZ.values(), ids=NPZ.keys())
def test_wrong_arrays(arrays, tmp_path, capsys):
    np.savez(tmp_path / "set.npz", **arrays)
    refuse(capsys, tmp_path / "set.npz")


@pytest.mark.parametrize("name", MAKERS)
def test_a_truncated_file_of_every_format(name, tmp_path, capsys):
    """Cut in the middle, where every format loses something that it must miss."""
    made = make(name, tmp_path / "source")
    options = ["--labels", made.options.labels] if made.options.labels else []
    options += ["--repeat", "1"] if made.options.repeat else ["--ipc", str(made.options.ipc)] if made.options.ipc else []
    cut = (made.path / "metadata.jsonl") if name == "hugging-face" else made.files[0]
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2 - 3] + (b", " if cut.suffix == ".txt" else b""))  # a text may end anywhere
    refuse(capsys, made.path, *options, root=tmp_path)


@pytest.mark.parametrize("name", [name for name in MAKERS if name not in ("image-folder", "sre2l", "hugging-face")])
def test_flipped_bytes_never_end_in_a_traceback(name, tmp_path, capsys):
    """Damage at random places: opened or refused, but always in an orderly way."""
    made = make(name, tmp_path / "source")
    target = made.path if made.path.is_file() else made.files[0]
    whole = target.read_bytes()
    options = ["--repeat", "1"] if made.options.repeat else ["--ipc", str(made.options.ipc)] if made.options.ipc else []
    chance = random.Random(name)
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 30))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        target.write_bytes(damaged)
        code = main(["inspect", str(made.path), *options])
        printed = capsys.readouterr()
        assert code in (0, 2) and printed.err.count("\n") == (1 if code else 0), printed.err


SUFFIXES = ["pt", "pth", "npz", "png", "txt", "tar", "jpg", "csv", ""]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_empty_file(suffix, tmp_path, capsys):
    place = tmp_path / f"images.{suffix}".rstrip(".")
    place.touch()
    refuse(capsys, place)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_random_bytes(suffix, tmp_path, capsys):
    place = tmp_path / f"images.{suffix}".rstrip(".")
    place.write_bytes(random.Random(0).randbytes(5000))
    refuse(capsys, place)


def test_text_under_a_torch_name(tmp_path, capsys):
    (tmp_path / "images.pt").write_text("<html>404 Not Found</html>\n" * 50)
    refuse(capsys, tmp_path / "images.pt")


def test_git_lfs_pointer(tmp_path, capsys):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"
    (tmp_path / "images_best.pt").write_text(pointer)
    refuse(capsys, tmp_path / "images_best.pt")


def test_a_zip_that_is_no_torch_file(tmp_path, capsys):
    for name in ("images.pt", "data.pt", "set.npz"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("hello.txt", "hello")
        refuse(capsys, tmp_path / name)


def test_a_torch_module_archive(tmp_path, capsys):
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "model.pt")
    refuse(capsys, tmp_path / "model.pt")
    torch.save(torch.nn.Linear(2, 2), tmp_path / "whole.pt")
    assert "torch.nn" in refuse(capsys, tmp_path / "whole.pt")
