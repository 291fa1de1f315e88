"""Real torch is the oracle: whatever torch.save writes must come back as torch.load gives it."""

import builtins
import errno
import io
import math
import os
import pickle
import struct
import tarfile
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data.errors import UnreadableInput
from data.torch_files import is_torch_file, outline, read_torch, save_torch, write_torch
from tests.fixtures import fixture

LAYOUTS = [True, False]
NUMPY_GLOBALS = [
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),
    np._core.multiarray.scalar,
    np._core.multiarray._reconstruct,
    np.ndarray,
    np.dtype,
    bytes,
    *{type(np.dtype(code)) for code in ("f8", "f4", "i8", "i4", "u1", "b1", "f2")},
]
DTYPES = [
    torch.float64,
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
]


def as_torch_loads(path: Path) -> object:
    with torch.serialization.safe_globals(NUMPY_GLOBALS):
        return torch.load(path, weights_only=True)


def same(ours: object, theirs: object) -> bool:
    if isinstance(theirs, torch.Tensor):
        return ours.dtype == theirs.dtype and ours.shape == theirs.shape and same_values(ours, theirs.detach())
    if isinstance(theirs, np.ndarray | np.generic):
        return type(ours) is type(theirs) and ours.dtype == theirs.dtype and np.array_equal(ours, theirs, equal_nan=True)
    if isinstance(theirs, dict):
        return type(ours) is type(theirs) and list(ours) == list(theirs) and all(same(ours[k], theirs[k]) for k in theirs)
    if isinstance(theirs, list | tuple):
        return type(ours) is type(theirs) and len(ours) == len(theirs) and all(map(same, ours, theirs))
    return type(ours) is type(theirs) and (ours == theirs or ours != ours)


def same_values(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.contiguous().reshape(-1).view(torch.uint8).equal(b.contiguous().reshape(-1).view(torch.uint8))


def saved(tmp_path: Path, value: object, new: bool = True, **options: object) -> Path:
    path = tmp_path / "set.pt"
    torch.save(value, path, _use_new_zipfile_serialization=new, **options)
    return path


def refused(path: Path) -> str:
    with pytest.raises(UnreadableInput) as caught:
        read_torch(path)
    sentence = str(caught.value)
    assert "\n" not in sentence and path.name in sentence and len(sentence) < 600
    return sentence


@pytest.mark.parametrize("new", LAYOUTS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_read__everything_that_sets_hold(tmp_path, new, protocol):
    base = torch.arange(24, dtype=torch.float32).view(2, 3, 4)
    value = {
        "views": [base, base[1], base.transpose(0, 2), base[:, ::2]],
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "wants gradient": torch.randn(2, requires_grad=True),
        "scalar": torch.tensor(0.5),
        "empty": torch.zeros(0, 3),
        "expanded": torch.tensor([7]).expand(5, 1000),
        "ordered": OrderedDict(a=1, b=[torch.ones(1)]),
        "plain": [None, True, -5, 1 << 70, 2.5, math.inf, "text", "é", b"bytes", (), (1, (2,))],
        7: {},
        **{str(dtype): torch.tensor([0, 1, 1]).to(dtype) for dtype in DTYPES},
    }
    path = saved(tmp_path, value, new, pickle_protocol=protocol)
    read = read_torch(path)
    assert same(read, torch.load(path, weights_only=False))  # our own file; the safe loader knows protocol 2 alone
    assert not read["parameter"].requires_grad and type(read["parameter"]) is torch.Tensor
    assert not read["wants gradient"].requires_grad
    assert read["views"][1].untyped_storage().data_ptr() == read["views"][0].untyped_storage().data_ptr()
    assert is_torch_file(path)


@pytest.mark.parametrize("new", LAYOUTS)
def test_read__numpy_scalars_and_arrays(tmp_path, new):
    value = [np.float64(0.25), np.float32(1), np.int64(-3), np.bool_(True), np.arange(6).reshape(2, 3)]
    value += [np.asfortranarray(np.random.rand(2, 3)), np.zeros((0, 4), np.float16), np.arange(3, dtype=">i4")]
    path = saved(tmp_path, value, new)
    assert same(read_torch(path), as_torch_loads(path))


def test_read__numpy_objects_refused(tmp_path):
    assert "not plain numbers" in refused(saved(tmp_path, np.array([{}], dtype=object)))
    assert "not plain numbers" in refused(saved(tmp_path, np.zeros(1, dtype=[("a", "f4")])))


@pytest.mark.parametrize("name", ["DC_CIFAR100_ConvNet_1ipc.pt", "res_DC_MNIST_ConvNet_1ipc.pt"])
def test_read__published_files(name):
    path = fixture("distilled", name)
    assert same(read_torch(path), as_torch_loads(path))


@pytest.mark.parametrize("new", LAYOUTS)
def test_read__lazy_and_unable_to_change_the_file(tmp_path, new):
    path = saved(tmp_path, torch.zeros(1 << 20, dtype=torch.uint8), new)
    before = path.read_bytes()
    tensor = read_torch(path)
    mapped = next(line for line in Path("/proc/self/maps").read_text().splitlines() if str(path) in line)
    low, high = (int(part, 16) for part in mapped.split()[0].split("-"))
    assert low <= tensor.data_ptr() < high
    tensor.fill_(9)
    assert path.read_bytes() == before


@pytest.mark.parametrize("new", LAYOUTS)
def test_outline__shapes_without_values(tmp_path, new):
    found = outline(saved(tmp_path, [torch.zeros(2, 3, dtype=torch.float16), {"a": torch.tensor(1)}], new))
    assert found[0].is_meta and found[0].shape == (2, 3) and found[0].dtype == torch.float16
    assert found[1]["a"].is_meta and found[1]["a"].shape == ()


def test_outline__notices_a_changed_file(tmp_path):
    path = saved(tmp_path, torch.zeros(2))
    assert outline(path).shape == (2,)
    os.utime(saved(tmp_path, torch.zeros(3)), ns=(1, 1))
    assert outline(path).shape == (3,)


def repacked(path: Path, change=lambda name, data: data, compression=zipfile.ZIP_STORED, root: str | None = None) -> Path:
    """The same torch zip written by Python's zipfile, its members changed."""
    out = path.with_name("repacked.pth.tar")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", compression) as new:
        for name in old.namelist():
            data = change(name.split("/", 1)[1], old.read(name))
            if data is not None:
                new.writestr(f"{root}/{name.split('/', 1)[1]}" if root else name, data)
    return out


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_read__any_root_unaligned_and_deflated(tmp_path, compression):
    value = [torch.randn(5), torch.arange(7), torch.randn(3).bfloat16()]
    path = repacked(saved(tmp_path, value), compression=compression, root="images_best")
    assert is_torch_file(path) and same(read_torch(path), value)


def test_read__big_endian(tmp_path):
    value = torch.arange(5, dtype=torch.int32)
    members = {"byteorder": b"big", "data/0": value.numpy().astype(">i4").tobytes()}
    path = repacked(saved(tmp_path, value), lambda name, data: members.get(name, data))
    assert same(read_torch(path), value)
    assert same(as_torch_loads(path), value)


def test_read__unknown_byte_order(tmp_path):
    path = repacked(saved(tmp_path, torch.ones(1)), lambda name, data: b"middle" if name == "byteorder" else data)
    assert "byte order" in refused(path)


class Exploit:
    """Pickles as a call of ``function``, which would leave a file behind."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("new", LAYOUTS)
def test_read__code_refused_by_name(tmp_path, new, protocol):
    mark = tmp_path / "pwned"
    attacks = {
        "posix.system": Exploit(os.system, f"touch {mark}"),
        "builtins.eval": Exploit(builtins.eval, f"open({str(mark)!r}, 'w')"),
        "builtins.getattr": Exploit(getattr, {}, "clear"),
        "torch.serialization.load": Exploit(torch.load, str(mark)),
        "torch._utils._rebuild_qtensor": Exploit(torch._utils._rebuild_qtensor, 1),
        f"{__name__}.Exploit": Exploit,
    }
    for name, attack in attacks.items():
        path = saved(tmp_path, {"data": [attack, torch.ones(2)]}, new, pickle_protocol=protocol)
        assert f"'{name}'" in refused(path)
        assert is_torch_file(path) and not mark.exists()


def with_pickle(tmp_path: Path, program: bytes) -> Path:
    return repacked(saved(tmp_path, torch.ones(4)), lambda name, data: program if name == "data.pkl" else data)


TENSOR = b"ctorch._utils\n_rebuild_tensor_v2\n"
STORAGE = b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuI%d\ntQ"


def tensor_program(offset: int, shape: bytes, stride: bytes, numel: int = 4) -> bytes:
    return b"\x80\x02" + TENSOR + b"(" + STORAGE % numel + b"I%d\n" % offset + shape + stride + b"I00\nNtR."


@pytest.mark.parametrize(
    "program",
    [
        tensor_program(0, b"(I1000000000000\nt", b"(I1\nt"),
        tensor_program(0, b"(I1000000000000\nt", b"(I0\nt"),
        tensor_program(0, b"(I4\nt", b"(I1\nt", numel=10**12),
        tensor_program(1, b"(I4\nt", b"(I1\nt"),
        tensor_program(-1, b"(I4\nt", b"(I1\nt"),
        tensor_program(3, b"(I4\nt", b"(I-1\nt"),
        tensor_program(0, b"(I-4\nt", b"(I1\nt"),
        tensor_program(0, b"(I4611686018427387904\nI0\nt", b"(I1\nI1\nt"),
        tensor_program(0, b"(I4\nI4\nt", b"(I1\nt"),
        tensor_program(0, b"(" + b"I1\n" * 100 + b"t", b"(" + b"I1\n" * 100 + b"t"),
        tensor_program(0, b"(I01\nt", b"(I1\nt"),
        tensor_program(0, b"X\x01\x00\x00\x00a", b"(I1\nt"),
    ],
)
def test_read__impossible_views(tmp_path, program):
    refused(with_pickle(tmp_path, program))


def test_read__possible_view(tmp_path):
    path = with_pickle(tmp_path, tensor_program(1, b"(I2\nI2\nt", b"(I1\nI1\nt"))
    assert torch.equal(read_torch(path), torch.ones(2, 2))


@pytest.mark.parametrize(
    ("name", "program"),
    {
        "contains itself": b"\x80\x02]q\x00h\x00a.",
        "contains itself, through a dict": b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s.",
        "deep lists": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "deep tuples": b"\x80\x02)" + b"\x85" * 100_000 + b".",
        "deep tuple as a key": b"\x80\x02})" + b"\x85" * 100_000 + b"Ns.",
        "deep through the memo": b"\x80\x02(]q\x00" + b"".join(b"]q%ch%ca" % (i, i - 1) for i in range(1, 200)) + b"l.",
        "string of 4 GB": b"\x80\x02X\xff\xff\xff\xffabc.",
        "bytes of 9 EB": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 63) + b".",
        "bytearray of 1 TB": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
        "frame of 1 TB": b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + b"N",
        "number of 2 GB": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "extension": b"\x80\x02\x82\x01.",
        "instance": b"\x80\x02(ios\nsystem\n.",
        "new object": b"\x80\x02ccollections\nOrderedDict\n)\x81.",
        "build on a function": b"\x80\x02" + TENSOR + b"}b.",
        "function itself": b"\x80\x02" + TENSOR + b".",
        "storage itself": b"\x80\x02" + STORAGE % 4 + b".",
        "missing storage": tensor_program(0, b"(I4\nt", b"(I1\nt").replace(b"\x00\x00\x000", b"\x00\x00\x005"),
        "storage in two ways": b"\x80\x02" + STORAGE % 4 + STORAGE % 3 + b"\x86.",
        "text persistent id": b"\x80\x02Phello\n.",
        "wrong protocol": b"\x80\x77N.",
        "empty": b"",
    }.items(),
)
def test_read__hostile_pickles(tmp_path, name, program):
    tracemalloc.start()
    try:
        refused(with_pickle(tmp_path, program))
        assert tracemalloc.get_traced_memory()[1] < 200 << 20, name
    finally:
        tracemalloc.stop()


def test_read__memo_index_of_four_billion(tmp_path):
    """The C unpickler would make room for that many entries."""
    tracemalloc.start()
    try:
        assert read_torch(with_pickle(tmp_path, b"\x80\x02]r\xff\xff\xff\xff.")) == []
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


def test_read__amplified_bytes(tmp_path):
    """One long string in the memo, encoded again and again, would unpack to a thousand times the file."""
    text = b"X" + struct.pack("<I", 1 << 20) + b"a" * (1 << 20)
    again = b"h\x01h\x00h\x02\x86R"
    program = b"\x80\x02(" + text + b"q\x00c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x02" + again * 5_000 + b"t."
    assert "more data than it holds" in refused(with_pickle(tmp_path, program))


def test_read__shared_parts_do_not_blow_up(tmp_path):
    nested: object = [torch.ones(1)]
    for _ in range(40):
        nested = (nested, nested)
    path = saved(tmp_path, nested)
    read = read_torch(path)
    write_torch(read, tmp_path / "again.pt")
    assert read[0] is read[1] and (tmp_path / "again.pt").stat().st_size < 10_000


def test_read__zip_bomb(tmp_path):
    out = tmp_path / "bomb.pt"
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr("a/data.pkl", tensor_program(0, b"(I50000000\nt", b"(I1\nt", 50_000_000))
        with new.open("a/data/0", "w") as member:
            for _ in range(200):
                member.write(bytes(1_000_000))
    assert "far more data" in refused(out)


def test_read__compressed_member_lies_about_its_size(tmp_path):
    path = repacked(saved(tmp_path, torch.zeros(5000)), compression=zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        member = next(m for m in archive.infolist() if m.filename.endswith("data/0"))
    size = struct.pack("<I", member.file_size)
    path.write_bytes(data.replace(size, struct.pack("<I", member.file_size - 8)))
    refused(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_read__duplicate_members(tmp_path):
    path = saved(tmp_path, torch.ones(1))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(next(n for n in archive.namelist() if n.endswith("data/0")), b"\0\0\0\0")
    assert "not one that torch.save wrote" in refused(path)


def test_read__not_torch_files(tmp_path):
    path = tmp_path / "set.pt"
    path.write_bytes(b"")
    assert "empty" in refused(path) and not is_torch_file(path)
    path.write_bytes(b"hello" * 100)
    assert "no torch file" in refused(path) and not is_torch_file(path)
    path.write_bytes(pickle.dumps({"a": 1}))
    assert "no torch file" in refused(path) and not is_torch_file(path)
    with tarfile.open(path, "w") as tar:
        tar.addfile(tarfile.TarInfo("x"), io.BytesIO())
    assert "tar archive" in refused(path) and not is_torch_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    assert "not one that torch.save wrote" in refused(path)
    refused(tmp_path)
    refused(tmp_path / "absent.pt")
    assert not is_torch_file(tmp_path) and not is_torch_file(tmp_path / "absent.pt")


def test_is_torch_file__npz_is_not(tmp_path):
    np.savez(tmp_path / "set.npz", images=np.zeros(3))
    assert not is_torch_file(tmp_path / "set.npz")


@pytest.mark.parametrize("new", LAYOUTS)
def test_read__every_truncation(tmp_path, new):
    path = saved(tmp_path, {"data": [torch.arange(4), np.float64(1)]}, new)
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end])
        with pytest.raises(UnreadableInput):
            read_torch(path)


SAMPLES: dict[bool, bytes] = {}
for _new in LAYOUTS:
    _buffer = io.BytesIO()
    _value = {"data": [[torch.arange(12).view(3, 4), torch.ones(3)]], "accs": {"a": [np.float64(1)], "b": np.arange(3)}}
    torch.save(_value, _buffer, _use_new_zipfile_serialization=_new)
    SAMPLES[_new] = _buffer.getvalue()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(new=st.booleans(), changes=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4))
def test_read__corrupted_bytes(tmp_path, new, changes):
    data = bytearray(SAMPLES[new])
    for position, value in changes:
        data[position % len(data)] = value
    path = tmp_path / "set.pt"
    path.write_bytes(data)
    tracemalloc.start()
    try:
        read_torch(path)
    except UnreadableInput as error:
        assert "\n" not in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 80 << 20


tensors = st.builds(
    lambda shape, dtype, seed: (torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3).to(dtype),
    st.lists(st.integers(0, 4), max_size=4),
    st.sampled_from(DTYPES),
    st.integers(0, 99),
)
leaves = st.one_of(
    tensors, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.floats().map(np.float64)
)
keys = st.one_of(st.text(max_size=5), st.integers(-9, 9))
structures = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(keys, inner, max_size=4), st.tuples(inner, inner)),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=structures, new=st.booleans())
def test_read__any_structure_round_trips(tmp_path, value, new):
    path = saved(tmp_path, value, new)
    read = read_torch(path)
    assert same(read, value)
    write_torch(read, path)
    assert same(as_torch_loads(path), value)


def test_write__views_do_not_drag_their_storage(tmp_path):
    large = torch.arange(1_000_000)
    write_torch({"few": large[10:13], "all": torch.ones(2)}, tmp_path / "set.pt")
    assert (tmp_path / "set.pt").stat().st_size < 5_000
    assert same(as_torch_loads(tmp_path / "set.pt"), {"few": torch.tensor([10, 11, 12]), "all": torch.ones(2)})


def test_write__over_the_file_that_is_mapped(tmp_path):
    path = saved(tmp_path, torch.arange(1000))
    tensor = read_torch(path)
    write_torch(tensor[::2], path)
    assert torch.equal(tensor, torch.arange(1000)) and torch.equal(as_torch_loads(path), torch.arange(0, 1000, 2))


def test_write__failure_leaves_the_old_file(tmp_path):
    path = saved(tmp_path, torch.ones(1))
    before = path.read_bytes()
    with pytest.raises(Exception, match="pickle"):
        write_torch([lambda: None], path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["set.pt"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_save_torch__says_that_the_disk_is_full():
    """torch ends the archive all the same and complains of that instead."""
    with pytest.raises(OSError) as refused, open("/dev/full", "wb", buffering=0) as file:
        save_torch({"images": torch.zeros(1 << 16)}, file)
    assert refused.value.errno == errno.ENOSPC
