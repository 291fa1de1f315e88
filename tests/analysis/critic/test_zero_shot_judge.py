"""The image-text judge on tiny models with random weights, made on the spot: its numbers against the libraries' own, and the
folders that it refuses."""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from analysis.context import Context
from analysis.critic.image_text_models import LARGEST_SETTINGS, LONGEST_TO_WIDEST, not_too_long
from analysis.critic.judge import LEFT, NONE, Questions
from analysis.critic.zero_shot_judge import (
    TEMPLATES,
    ImageTextJudge,
    RecentVectors,
    class_vectors,
    image_text_judge,
    load_image_text,
)
from data.distilled_set import DistilledSet
from data.errors import UnreadableInput
from data.images import Images, TensorStore
from data.pair_answers import NOTHING
from data.pixels import PROFILES
from tests.analysis.made_sets import made_set

CPU = Context(device="cpu")
NAMES = ("cat", "sea_lake", "fire truck")
SIDE = 16


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """One folder for each family of models."""
    root = tmp_path_factory.mktemp("weights")
    return {"clip": save_clip(root / "tiny clip"), "siglip": save_siglip(root / "tiny siglip")}


@pytest.fixture
def hostile(folders, tmp_path) -> Path:
    """A copy of the tiny CLIP's folder, to be spoilt."""
    return Path(shutil.copytree(folders["clip"], tmp_path / "spoilt"))


def save_clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(0)
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": 0}
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, **ids, "vocab_size": len(tokenizer), "max_position_embeddings": 40}
    vision = {**small, "image_size": SIDE, "patch_size": 8}
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    spread_out(model)
    model.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=SIDE).save_pretrained(folder)
    return folder


def save_siglip(folder: Path) -> Path:
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel

    tokenizer = save_tokenizer(folder)
    torch.manual_seed(1)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**small, "vocab_size": len(tokenizer), "max_position_embeddings": 40, "projection_size": 16}
    vision = {**small, "image_size": SIDE, "patch_size": 8}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=vision))
    spread_out(model)
    model.save_pretrained(folder)
    SiglipImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)
    return folder


def spread_out(model: torch.nn.Module) -> None:
    """Random weights as they come leave all cosines nearly alike; larger ones tell pictures and texts apart."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "logit" not in name and parameter.ndim > 1:
                parameter.mul_(8)
        model.logit_scale.fill_(np.log(20.0))


def save_tokenizer(folder: Path):
    from transformers import CLIPTokenizer

    letters = [*"abcdefghijklmnopqrstuvwxyz.,"]
    symbols = [*letters, *(letter + "</w>" for letter in letters), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    vocab = {symbol: place for place, symbol in enumerate(symbols)}
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[("c", "a"), ("ca", "t</w>")])
    tokenizer.save_pretrained(folder)
    return tokenizer


def named_set(names: tuple[str, ...] = NAMES, size: int = 20) -> DistilledSet:
    return replace(made_set((4,) * len(names), size=size, reference=False), class_names=names)


def logits_of(kind: str, folder: Path, opened: DistilledSet, prompts: list[str]) -> np.ndarray:
    """transformers' own answer: logits_per_image of the whole model, (N, number of prompts)."""
    from transformers import AutoTokenizer, CLIPImageProcessorPil, CLIPModel, SiglipImageProcessorPil, SiglipModel

    model_class, processor_class = {
        "clip": (CLIPModel, CLIPImageProcessorPil),
        "siglip": (SiglipModel, SiglipImageProcessorPil),
    }[kind]
    tokenizer, model = AutoTokenizer.from_pretrained(folder), model_class.from_pretrained(folder).eval()
    pictures = [Image.fromarray(picture) for picture in opened.images.viewable(np.arange(len(opened)))]
    pixels = processor_class.from_pretrained(folder)(images=pictures, return_tensors="pt")
    padding = {"clip": {"padding": True}, "siglip": {"padding": "max_length", "max_length": 40}}[kind]
    tokens = tokenizer(prompts, return_tensors="pt", **padding)
    with torch.inference_mode():
        return model(**tokens, **pixels).logits_per_image.numpy().astype(float)


def softmax(logits: np.ndarray) -> np.ndarray:
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponents / exponents.sum(axis=1, keepdims=True)


def every_pair(opened: DistilledSet) -> Questions:
    labels = [NOTHING, *range(opened.num_classes)]
    rows = [(i, a, b) for i in range(len(opened)) for a in labels for b in labels if a != b]
    return Questions(*np.array(rows).T)


def expected_parts(p: np.ndarray, questions: Questions) -> np.ndarray:
    """Of each question the left label's part, in a loop over the definition."""
    parts = []
    for i, left, right in zip(questions.sample_id, questions.left, questions.right, strict=True):
        a = p[i, left] if left != NOTHING else 1 - p[i, right]
        b = p[i, right] if right != NOTHING else 1 - p[i, left]
        parts.append(a / (a + b))
    return np.array(parts)


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_ask__one_prompt_equals_the_models_own_logits(kind, folders, monkeypatch):
    opened = named_set()
    template = "a photo of a {}."
    expected = softmax(
        logits_of(kind, folders[kind], opened, [template.format(n) for n in ("cat", "sea lake", "fire truck")])
    )
    assert np.ptp(expected, axis=1).max() > 0.1, "the tiny model tells no classes apart, so nothing would be tested"

    def no_network(*_):
        raise AssertionError("it reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    model = load_image_text(str(folders[kind]), CPU)
    classes = class_vectors(model, ("cat", "sea lake", "fire truck"), (template,), CPU)
    questions = every_pair(opened)
    replies = ImageTextJudge(opened.images, model, classes).ask(questions)
    parts = expected_parts(expected, questions)
    np.testing.assert_allclose(replies.confidence, np.maximum(parts, 1 - parts), atol=2e-4)
    clear = abs(parts - 0.5) > 1e-3
    assert ((replies.said == LEFT) == (parts > 0.5))[clear].all() and clear.sum() > len(questions) / 2


def test_image_text_judge__an_ensemble_is_the_mean_direction_of_its_prompts(folders):
    from transformers import AutoTokenizer, CLIPModel

    opened = named_set()
    judge = image_text_judge(opened, CPU, str(folders["clip"]))
    assert (judge.name, judge.repeats, judge.caveats) == ("image-text", 1, judge.caveats)
    assert "tiny clip" in judge.author and "nothing leaves the machine" in judge.about
    tokenizer, model = AutoTokenizer.from_pretrained(folders["clip"]), CLIPModel.from_pretrained(folders["clip"]).eval()
    for place, words in enumerate(("cat", "sea lake", "fire truck")):
        total = torch.zeros(8)
        for template in TEMPLATES:
            with torch.inference_mode():
                vector = model.get_text_features(**tokenizer(template.format(words), return_tensors="pt")).pooler_output[0]
            total += vector / vector.norm()
        np.testing.assert_allclose(judge.classes[place], total / total.norm(), atol=1e-5)


def test_image_text_judge__asked_in_parts_and_twice_answers_alike(folders):
    opened = named_set()
    judge, again = (image_text_judge(opened, CPU, str(folders["clip"])) for _ in range(2))
    questions = every_pair(opened)
    whole = judge.ask(questions)
    parts = [again.ask(part) for part in questions.batches(7)]
    np.testing.assert_allclose(np.concatenate([part.confidence for part in parts]), whole.confidence, atol=1e-5)
    swapped = judge.ask(questions.swapped())
    np.testing.assert_allclose(swapped.confidence, whole.confidence)
    assert len(judge.ask(questions.take(slice(0, 0))).said) == 0


def test_image_text_judge__images_of_several_sizes_grey_and_long(folders):
    grey = Images(TensorStore(torch.rand(3, 1, 5, 400)), PROFILES["unit"])
    opened = replace(named_set(("cat", "dog", "bird")), images=grey, labels=np.arange(3), label_sources={})
    replies = image_text_judge(opened, CPU, str(folders["clip"])).ask(
        Questions(np.arange(3), np.arange(3), np.full(3, NOTHING))
    )
    assert np.isfinite(replies.confidence).all()


def test_image_text_judge__abstains_where_there_is_nothing_to_read_or_see(folders):
    assert "class names carry no meaning" in image_text_judge(made_set((2, 2)), CPU, str(folders["clip"]))
    assert "no images" in image_text_judge(replace(named_set(), images=None), CPU, str(folders["clip"]))


def test_image_text_judge__a_class_without_words_gets_no_answer(folders):
    judge = image_text_judge(named_set(("cat", "class 1", "dog")), CPU, str(folders["clip"]))
    replies = judge.ask(Questions(np.zeros(3, int), np.array([0, 0, 1]), np.array([1, 2, NOTHING])))
    assert [said == NONE for said in replies.said] == [True, False, True]
    assert any("1 of 3 class names" in sentence for sentence in judge.caveats)


def test_recent_vectors__keeps_the_last_used_and_makes_each_once(monkeypatch):
    monkeypatch.setattr("analysis.critic.zero_shot_judge.VECTORS_KEPT", 3)
    made: list[int] = []

    def make(ids: np.ndarray) -> np.ndarray:
        made.extend(ids.tolist())
        return np.stack([ids, ids**2], axis=1).astype(np.float32)

    recent = RecentVectors(make, 2)
    for asked in ([5, 1], [1, 5, 2], [5, 7], [9]):
        ids = np.array(asked)
        np.testing.assert_array_equal(recent.of(ids), np.stack([ids, ids**2], axis=1))
    assert made == [5, 1, 2, 7, 9] and list(recent.held) == [5, 7, 9]


def test_not_too_long__crops_lines_to_their_middle_and_leaves_the_rest():
    line = np.zeros((2, 1_000, 3), np.uint8)
    line[:, 500] = 255
    cropped = not_too_long(line)
    assert cropped.shape == (2, 2 * LONGEST_TO_WIDEST, 3) and cropped.max() == 255
    assert not_too_long(line.transpose(1, 0, 2)).shape == (2 * LONGEST_TO_WIDEST, 2, 3)
    assert not_too_long(np.zeros((30, 40, 3), np.uint8)).shape == (30, 40, 3)


def change(folder: Path, name: str, **values: object) -> None:
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_tower(folder: Path, tower: str, **values: object) -> None:
    held = json.loads((folder / "config.json").read_text())[tower]
    change(folder, "config.json", **{tower: {**held, **values}})


def weights_as_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def pickle_named_safetensors(folder: Path) -> None:
    torch.save({"logit_scale": torch.ones(100_000)}, folder / "model.safetensors")


def fewer_tensors(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(folder / "model.safetensors")
    del held["visual_projection.weight"]
    save_file({**held, "filling": torch.zeros(1_000)}, folder / "model.safetensors", {"format": "pt"})


def not_finite(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(folder / "model.safetensors")
    save_file({**held, "logit_scale": torch.tensor(torch.inf)}, folder / "model.safetensors", {"format": "pt"})


def outside_parts(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"x": "../outside.safetensors"}}))


def without(*names: str):
    def spoil(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return spoil


def too_large(name: str):
    """A sparse file takes no room on the disk, and would fill the memory."""

    def spoil(folder: Path) -> None:
        with (folder / name).open("ab") as file:
            file.truncate(LARGEST_SETTINGS + 1)

    return spoil


SPOILT = {
    "huge tokenizer": (too_large("tokenizer.json"), "has a tokenizer.json that is too large"),
    "huge template": (too_large("chat_template.jinja"), "has a chat_template.jinja that is too large"),
    "huge settings": (too_large("preprocessor_config.json"), "has a preprocessor_config.json that is too large"),
    "pickle": (weights_as_pickle, "a pickle, which may run code"),
    "pickle under another name": (pickle_named_safetensors, "cannot be loaded"),
    "no weights": (without("model.safetensors"), "lacks model.safetensors"),
    "parts outside": (outside_parts, "lacks files"),
    "tensors missing": (fewer_tensors, "lacks 1 of the model's tensors (visual_projection.weight"),
    "infinite scale": (not_finite, "not finite"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:900]),
        "larger model",
    ),
    "no tokenizer": (without("tokenizer.json"), "lacks its tokenizer"),
    "no preprocessor": (without("preprocessor_config.json"), "lacks preprocessor_config.json"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "not a readable JSON object"),
    "config is nested": (lambda f: (f / "config.json").write_text("[" * 100_000), "not a readable JSON object"),
    "tokenizer is noise": (lambda f: (f / "tokenizer.json").write_bytes(b"\0" * 50), "cannot be loaded"),
    "unknown type": (lambda f: change(f, "config.json", model_type="bert"), "type 'bert'"),
    "type is no text": (lambda f: change(f, "config.json", model_type=["clip"]), "no image-text model"),
    "code": (lambda f: change(f, "config.json", auto_map={"AutoModel": "evil.Evil"}), "code of its own"),
    "tokenizer code": (lambda f: change(f, "tokenizer_config.json", auto_map={"AutoTokenizer": ["e.E", None]}), "its own"),
    "quantised": (lambda f: change(f, "config.json", quantization_config={"quant_method": "bitsandbytes"}), "quantised"),
    "too wide": (lambda f: change_tower(f, "text_config", hidden_size=10**6), "larger model than its weights"),
    "too deep": (lambda f: change_tower(f, "vision_config", num_hidden_layers=10**9), "larger model than its weights"),
    "too large pictures": (lambda f: change(f, "preprocessor_config.json", crop_size=10**6), "over 1024 pixels"),
    "other pictures": (lambda f: change(f, "preprocessor_config.json", crop_size=24), "cannot be loaded"),
    "nonsense": (lambda f: change_tower(f, "vision_config", patch_size=0), "cannot be loaded"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_load_image_text__refuses_in_one_sentence(name, hostile, monkeypatch):
    def no_network(*_):
        raise AssertionError("it reached for the network")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    spoil, why = SPOILT[name]
    (hostile / "evil.py").write_text(f"open({str(hostile.parent / 'ran')!r}, 'w')\n")
    spoil(hostile)
    with pytest.raises(UnreadableInput) as refusal:
        load_image_text(str(hostile), CPU)
    said = str(refusal.value)
    assert why in said and said.endswith(".") and "\n" not in said and len(said) < 500
    assert str(hostile.parent) not in said or "cannot be loaded" in said
    assert not (hostile.parent / "ran").exists()


def test_load_image_text__attention_code_of_a_hub_is_not_asked_for(hostile, monkeypatch):
    """Where the package kernels is installed, transformers fetches and runs what such a name stands for."""
    from transformers import CLIPModel

    named = []
    real = CLIPModel._check_and_adjust_attn_implementation
    monkeypatch.setattr(
        CLIPModel,
        "_check_and_adjust_attn_implementation",
        lambda self, name, *given, **more: named.append(name) or real(self, name, *given, **more),
    )
    change(hostile, "config.json", attn_implementation="evil/kernel", _attn_implementation="evil/kernel")
    change_tower(hostile, "text_config", attn_implementation="evil/kernel")
    change_tower(hostile, "vision_config", _attn_implementation="evil/kernel")
    load_image_text(str(hostile), CPU)
    assert set(named) == {"sdpa"}


def test_load_image_text__weights_in_parts_are_the_same_model(folders, hostile):
    from transformers import CLIPModel

    CLIPModel.from_pretrained(hostile).save_pretrained(hostile.parent / "parts", max_shard_size="10KB")
    (hostile / "model.safetensors").unlink()
    for path in (hostile.parent / "parts").glob("model*"):
        shutil.copy(path, hostile)
    assert (hostile / "model.safetensors.index.json").is_file()
    whole, parts = (load_image_text(str(folder), CPU) for folder in (folders["clip"], hostile))
    np.testing.assert_allclose(parts.texts(["a cat."]), whole.texts(["a cat."]), atol=1e-5)


def test_load_image_text__no_folder_and_an_empty_one(tmp_path):
    with pytest.raises(UnreadableInput, match="there is no weights folder"):
        load_image_text(str(tmp_path / "absent"), CPU)
    with pytest.raises(UnreadableInput, match="holds neither config"):
        load_image_text(str(tmp_path), CPU)


OPEN_CLIP = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49_408, "width": 32, "heads": 2, "layers": 2},
}


def save_open_clip_settings(folder: Path, **changes: dict[str, object]) -> Path:
    folder.mkdir()
    towers = {name: {**OPEN_CLIP[name], **changes.get(name, {})} for name in ("vision_cfg", "text_cfg")}
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": {**OPEN_CLIP, **towers}, "preprocess_cfg": {}}))
    return folder


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, "lacks open_clip_model.safetensors"),
        ({"text_cfg": {"hf_model_name": "someone/something"}}, "lies on a hub"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:someone/something"}}, "lies on a hub"),
        ({"vision_cfg": {"image_size": 10**6}}, "over 1024 pixels"),
        ({"vision_cfg": {"layers": 10**9}}, "larger model than its weights"),
        ({"text_cfg": {"layers": "many"}}, "larger model than its weights"),
    ],
)
def test_load_open_clip__refuses_in_one_sentence(changes, why, tmp_path):
    with pytest.raises(UnreadableInput) as refusal:
        load_image_text(str(save_open_clip_settings(tmp_path / "weights", **changes)), CPU)
    assert why in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is not None, reason="open_clip is installed")
def test_load_open_clip__says_what_to_install(tmp_path):
    folder = save_open_clip_settings(tmp_path / "weights")
    (folder / "open_clip_model.safetensors").write_bytes(b"")
    with pytest.raises(UnreadableInput, match="needs open_clip_torch and a torchvision built for torch"):
        load_image_text(str(folder), CPU)


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_ask__open_clip_equals_its_own_forward_pass(name, tmp_path):
    open_clip = pytest.importorskip("open_clip", reason="open_clip needs torchvision, so it is optional", exc_type=Exception)
    from safetensors.torch import save_file

    folder = save_open_clip_settings(tmp_path / "weights")
    torch.manual_seed(0)
    model = open_clip.CLIP(**OPEN_CLIP).eval()
    spread_out(model)
    held = {key: value.contiguous() for key, value in model.state_dict().items()}
    (save_file if name.endswith("safetensors") else torch.save)(held, folder / name)
    opened = named_set(size=32)
    prompts = [f"a photo of a {words}." for words in ("cat", "sea lake", "fire truck")]
    prepare = open_clip.create_model_and_transforms(f"local-dir:{folder}")[2]
    pictures = torch.stack([prepare(Image.fromarray(p)) for p in opened.images.viewable(np.arange(len(opened)))])
    with torch.inference_mode():
        image, text, scale = model(pictures, open_clip.get_tokenizer(f"local-dir:{folder}")(prompts))
    expected = softmax((scale * image @ text.T).numpy().astype(float))
    assert np.ptp(expected, axis=1).max() > 0.1

    loaded = load_image_text(str(folder), CPU)
    classes = class_vectors(loaded, ("cat", "sea lake", "fire truck"), ("a photo of a {}.",), CPU)
    questions = every_pair(opened)
    parts = expected_parts(expected, questions)
    replies = ImageTextJudge(opened.images, loaded, classes).ask(questions)
    np.testing.assert_allclose(replies.confidence, np.maximum(parts, 1 - parts), atol=2e-4)
