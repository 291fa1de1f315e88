"""Bad places, names, sizes and decisions, through the real commands: one sentence, exit code 2, nothing changed, no hang."""

from __future__ import annotations

import ctypes
import gzip
import io
import json
import os
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from data.__main__ import main
from tests.data.sets import make, normalised, soft_rows
from tests.fixtures import fixture
from tests.refusal import contents, refuse

PROJECT = Path(__file__).resolve().parents[1]


def test_nothing_there(tmp_path, capsys):
    assert "does not exist" in refuse(capsys, tmp_path / "nowhere", root=tmp_path)


def test_an_empty_folder(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    refuse(capsys, tmp_path / "set")


def test_a_folder_of_junk(tmp_path, capsys):
    place = tmp_path / "set"
    (place / "deep" / "er").mkdir(parents=True)
    for i, name in enumerate(("notes.txt", "a.bin", "deep/b.log", "deep/er/c", ".hidden")):
        (place / name).write_bytes(bytes([i]) * 100)
    refuse(capsys, place)


def test_a_folder_of_broken_pictures(tmp_path, capsys):
    for i in range(4):
        place = tmp_path / "set" / f"class{i}" / "0.png"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(50))
    refuse(capsys, tmp_path / "set")


def test_a_folder_that_links_out(tmp_path, capsys):
    """A link in a shared set must not make Stillroom read, and export, somebody's other files."""
    (tmp_path / "secret.png").write_bytes(b"secret")
    (tmp_path / "set" / "cat").mkdir(parents=True)
    (tmp_path / "set" / "cat" / "0.png").symlink_to(tmp_path / "secret.png")
    refuse(capsys, tmp_path / "set")


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "a/../../secret.png", "", "no\nsuch.png", "con\x00.png"])
def test_metadata_that_names_files_elsewhere(name, tmp_path, capsys):
    made = make("hugging-face", tmp_path)
    (tmp_path / "secret.png").write_bytes((made.path / "0000.png").read_bytes())
    with (made.path / "metadata.jsonl").open("a") as lines:
        lines.write(json.dumps({"file_name": name, "label": 0}) + "\n")
    refuse(capsys, made.path)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "[]",
        "{",
        '{"label_sources": {"t": {"file": "../teacher.npy"}}}',
        '{"class_names": [1]}',
        '{"class_counts": [-1]}',
    ],
)
def test_a_wrong_companion_manifest(said, tmp_path, capsys):
    made = make("mtt", tmp_path)
    np.save(tmp_path.parent / "teacher.npy", soft_rows("logits").numpy())
    (tmp_path / "stillroom.json").write_text(said)
    refuse(capsys, made.path)


def without_privilege(*arguments: str) -> subprocess.CompletedProcess:
    """The command under ordinary permission checks: root without its right to pass them over."""

    def drop() -> None:
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP

    command = [sys.executable, "-m", "data", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, preexec_fn=drop)


@pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")
@pytest.mark.parametrize("closed", ["folder", "file", "picture", "decisions", "out"])
def test_what_one_may_not_read_or_write(closed, tmp_path):
    made = make("image-folder" if closed == "picture" else "mtt", tmp_path / "set")
    log, place = tmp_path / "log.jsonl", tmp_path / "place"
    log.touch()
    place.mkdir()
    target = {"folder": made.path.parent, "file": made.path, "decisions": log, "out": place}.get(closed, made.files[0])
    target.chmod(0o500 if closed == "out" else 0o000)
    done = without_privilege("export", str(made.path), "--decisions", str(log), "--out", str(place / "deep" / "out"))
    target.chmod(0o700)
    assert done.returncode == 2 and done.stdout == "", done
    assert done.stderr.count("\n") == 1 and "ermission denied" in done.stderr, done.stderr
    assert list(place.iterdir()) == []


def test_a_pipe_does_not_hang(tmp_path, capsys):
    for name in ("images.pt", "set.npz", "grid.png", "labels.txt"):
        os.mkfifo(tmp_path / name)
        assert "regular file" in refuse(capsys, tmp_path / name)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_a_device_does_not_hang(device, tmp_path, capsys):
    assert "regular file" in refuse(capsys, Path(device), root=tmp_path)


def test_pipes_beside_and_inside_a_set_do_not_hang(tmp_path, capsys):
    torch.save(normalised(), tmp_path / "images_best.pt")
    os.mkfifo(tmp_path / "labels_best.pt")
    refuse(capsys, tmp_path / "images_best.pt")
    made = make("image-folder", tmp_path / "folder")
    os.mkfifo(made.path / "aster" / "pipe.png")
    assert main(["inspect", str(made.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == len(made.labels) and any("left out" in warning for warning in found["warnings"])


def test_a_pipe_as_label_file_or_decisions_does_not_hang(tmp_path, capsys):
    made = make("mtt", tmp_path / "set")
    os.mkfifo(tmp_path / "pipe.npy")
    refuse(capsys, made.path, "--labels", str(tmp_path / "pipe.npy"), root=tmp_path)
    assert main(["export", str(made.path), "--decisions", str(tmp_path / "pipe.npy"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def limited(path: Path) -> subprocess.CompletedProcess:
    """``inspect`` with 1 GiB of memory to write in: an allocation the size of a bomb fails in it."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, 1 << 30))

    command = [sys.executable, "-m", "data", "inspect", str(path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=100, preexec_fn=limit, env=environment
    )


ZEROS = bytes(16 << 20)


def refused_within_bounds(path: Path) -> None:
    done = limited(path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr[-2000:]


def test_a_zip_bomb_under_a_torch_name(tmp_path):
    """A valid torch file whose only storage is 1.1 GiB of zeros, deflated to a few MB."""
    whole = io.BytesIO()
    torch.save(torch.zeros(12, 3, 8, 8), whole)
    with (
        zipfile.ZipFile(whole) as source,
        zipfile.ZipFile(tmp_path / "images.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for item in source.infolist():
            if not item.filename.endswith("data/0"):
                bomb.writestr(item.filename, source.read(item))
                continue
            with bomb.open(item.filename, "w", force_zip64=True) as member:
                for _ in range(70):
                    member.write(ZEROS)
    refused_within_bounds(tmp_path / "images.pt")


def test_an_npz_bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb:
        with bomb.open("images.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(
                member, {"descr": "|u1", "fortran_order": False, "shape": (70 << 12, 64, 64, 1)}
            )
            for _ in range(70):
                member.write(ZEROS)
        with bomb.open("labels.npy", "w") as member:
            np.lib.format.write_array(member, np.zeros(70 << 12, np.int64))
    refused_within_bounds(tmp_path / "set.npz")


def test_a_picture_bomb(tmp_path, capsys):
    """A PNG that declares 100,000 x 100,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 100_002, 100_002, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    (tmp_path / "grid.png").write_bytes(png)
    refuse(capsys, tmp_path / "grid.png")
    place = tmp_path / "folder" / "cat" / "0.png"
    place.parent.mkdir(parents=True)
    place.write_bytes(png)
    refuse(capsys, tmp_path / "folder", root=tmp_path)


def test_arrays_that_declare_more_than_the_file_holds(tmp_path, capsys):
    images = io.BytesIO()
    np.lib.format.write_array_header_1_0(images, {"descr": "<f4", "fortran_order": False, "shape": (10**9, 8, 8, 3)})
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("images.npy", images.getvalue())
        archive.writestr("labels.npy", images.getvalue())
    refuse(capsys, tmp_path / "set.npz")


def test_a_gzipped_set_is_not_taken_for_one(tmp_path, capsys):
    torch.save(normalised(), tmp_path / "plain")
    (tmp_path / "images.pt").write_bytes(gzip.compress((tmp_path / "plain").read_bytes()))
    refuse(capsys, tmp_path / "images.pt")


def test_a_grid_that_is_a_photograph(tmp_path, capsys):
    Image.effect_noise((200, 150), 80).save(tmp_path / "photo.png")
    refuse(capsys, tmp_path / "photo.png")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"sample_id": 12, "action": "prune"}', "sample 12"),
        ('{"sample_id": 999999999999, "action": "keep"}', "only 12"),
        ('{"sample_id": 0, "action": "relabel", "label": 4}', "class 4"),
        ('{"sample_id": 0, "action": "soften", "soft_label": [0.5, 0.4, 0, 0]}', "sum to 1"),
        ('{"sample_id": 0, "action": "soften", "soft_label": [0.5, 0.5]}', "2 soft-label values"),
        ('{"sample_id": 0, "action": "soften", "soft_label": [1, 0, 0, 0]}', "hard labels only"),
        ('{"sample_id": 0, "action": "erase"}', "line 1"),
        ('{"sample_id": 0, "action": "prune"', "line 1"),
        ("\x00\x01\x02", "line 1"),
        ("\n".join(f'{{"sample_id": {i}, "action": "prune"}}' for i in range(12)), "every sample"),
    ],
)
def test_wrong_decisions(line, says, tmp_path, capsys):
    made = make("mtt", tmp_path / "source")
    log = tmp_path / "log.jsonl"
    log.write_text(line)
    before = contents(tmp_path)
    assert main(["export", str(made.path), "--decisions", str(log), "--out", str(tmp_path / "out")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and says in printed.err
    assert contents(tmp_path) == before


@pytest.mark.parametrize("options", [["--repeat", "7"], ["--repeat", "-1"]])
def test_a_repeat_that_is_not_there(options, tmp_path, capsys):
    refuse(capsys, make("dc", tmp_path).path, *options)


@pytest.mark.parametrize("ipc", ["0", "-3", "5", "99999999999999999999"])
def test_impossible_images_per_class(ipc, tmp_path, capsys):
    refuse(capsys, make("bare-tensor", tmp_path).path, "--ipc", ipc)


@pytest.mark.parametrize("name", ["nowhere.pt", "", ".", "/dev/zero"])
def test_impossible_label_files(name, tmp_path, capsys):
    made = make("mtt", tmp_path)
    refuse(capsys, made.path, "--labels", name)


def test_names_with_control_characters_stay_on_one_line(tmp_path, capsys):
    place = tmp_path / "im\nages\x1b[31m\r.pt"
    place.write_bytes(b"junk")
    said = refuse(capsys, place)
    assert "\x1b" not in said and "\r" not in said


def test_published_files_that_are_no_sets(capsys, tmp_path):
    refuse(capsys, fixture("learned-soft-labels", "LICENSE-MIT.txt"), root=tmp_path)
    refuse(capsys, fixture("README.md"), root=tmp_path)
