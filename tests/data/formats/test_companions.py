"""What lies beside a set: attached when it opens, written with it, checked strictly."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN, OpenOptions
from data.errors import UnreadableInput
from data.formats import FORMATS, companions, open_set
from data.soft_labels import TopKSoftLabels

N, C = 6, 3
LABELS = np.repeat(np.arange(C), 2)
IMAGES = np.random.default_rng(0).normal(0, 1, (N, 1, 8, 8)).astype(np.float32)
STRONG = np.random.default_rng(1).normal(0, 3, (N, C)).astype(np.float16)
WEAK = np.random.default_rng(2).dirichlet(np.ones(C), N)
FULL = {
    "class_names": ["bag", "boot", "coat"],
    "class_counts": [500, 50, 5],
    "pixel_space": "fashion-mnist",
    "label_sources": {
        "teacher strong": {"file": "strong.npy", "kind": "logits"},
        "teacher/weak": {"file": "weak.csv", "kind": "scores"},
    },
    "reference": {"images": "reference_images.npy", "labels": "reference_labels.npy", "pixel_space": "uint8"},
    "test": {"images": "test_images.npy", "labels": "test_labels.npy"},
}


def make(folder, manifest=FULL, name="stillroom.json", **arrays):
    """An npz set with companions in ``folder``."""
    folder.mkdir(exist_ok=True)
    np.savez(folder / "set.npz", images=IMAGES, labels=LABELS, **arrays)
    np.save(folder / "strong.npy", STRONG)
    np.savetxt(folder / "weak.csv", WEAK, delimiter=",", fmt="%.17g")
    np.save(folder / "reference_images.npy", np.arange(4 * 8 * 8, dtype=np.uint8).reshape(4, 8, 8))
    np.save(folder / "reference_labels.npy", np.array([0, 1, 2, 2], np.int32))
    np.save(folder / "test_images.npy", np.zeros((2, 9, 9, 3), np.uint8))
    np.save(folder / "test_labels.npy", np.array([0, 1]))
    if manifest is not None:
        (folder / name).write_text(manifest if isinstance(manifest, str) else json.dumps(manifest))
    return folder / "set.npz"


def export(curated, out, name=None):
    """What the exporter does: the format's files, then the companions of the set as it was written."""
    module = FORMATS[name or curated.original.provenance.format]
    out.mkdir()
    files = module.write(curated, out)
    written = module.as_written(curated) if hasattr(module, "as_written") else curated
    return files + companions.write(written, out), written


@pytest.mark.parametrize("name", ["stillroom.json", "set.npz.stillroom.json"])
def test_attach__everything(tmp_path, name):
    opened = open_set(make(tmp_path, name=name))
    assert opened.class_names == ("bag", "boot", "coat") and opened.class_counts.tolist() == [500, 50, 5]
    assert opened.pixel_space.name == "fashion-mnist" and name in opened.pixel_space.evidence
    assert {key: source.kind for key, source in opened.label_sources.items()} == {
        "teacher strong": "logits",
        "teacher/weak": "scores",
    }
    assert opened.label_sources["teacher strong"].stored(range(N)).numpy().tobytes() == STRONG.tobytes()
    np.testing.assert_array_equal(opened.label_sources["teacher/weak"].stored(range(N)).numpy(), WEAK)
    assert opened.reference.images.shape == (1, 8, 8) and opened.reference.labels.tolist() == [0, 1, 2, 2]
    assert opened.test.images.shape == (3, 9, 9) and opened.test.images.pixel_space.name == "uint8"
    assert {path.name for path in opened.provenance.files} == {path.name for path in tmp_path.iterdir()}


def test_attach__nothing_beside_changes_nothing(tmp_path):
    opened = open_set(make(tmp_path, None))
    assert opened.provenance.files == (tmp_path / "set.npz",) and "companions" not in opened.extras
    files, _ = export(curate(opened, {}), tmp_path / "out")
    assert files == [tmp_path / "out/set.npz"]


def test_attach__a_chosen_profile_beats_the_manifest(tmp_path):
    assert open_set(make(tmp_path), OpenOptions(profile="mnist")).pixel_space.name == "mnist"


@pytest.mark.parametrize("pruned", [(), (0, 5)])
def test_write__the_curated_set_opens_with_all_its_companions(tmp_path, pruned):
    original = open_set(make(tmp_path / "in"))
    curated = curate(original, {i: SampleState(pruned=True) for i in pruned} | {1: SampleState(label=2)} if pruned else {})
    files, _ = export(curated, tmp_path / "out")
    assert sorted(files) == sorted((tmp_path / "out").iterdir())
    found = open_set(tmp_path / "out/set.npz")
    assert found.class_names == original.class_names and found.class_counts.tolist() == [500, 50, 5]
    assert found.pixel_space.name == "fashion-mnist"
    for name, source in original.label_sources.items():
        again = found.label_sources[name]
        assert again.kind == source.kind and torch.equal(again.stored(range(len(found))), source.stored(curated.kept))
    assert torch.equal(found.reference.images.stored(range(4)), original.reference.images.stored(range(4)))
    assert found.test.labels.tolist() == [0, 1]
    if not pruned:
        assert all((tmp_path / "in" / p.name).read_bytes() == p.read_bytes() for p in files if p.suffix != ".json")


def test_write__as_pictures_says_no_float_pixel_space_and_keeps_rows_with_images(tmp_path):
    original = open_set(make(tmp_path / "in", softlabels=WEAK.astype(np.float32)))
    files, written = export(curate(original, {0: SampleState(label=2, pruned=False)}), tmp_path / "out", "folder")
    found = open_set(tmp_path / "out")
    assert found.pixel_space.name == "uint8" and found.class_names == original.class_names
    assert (tmp_path / "out/soft_labels.pt") in files
    assert written.kept.tolist() != list(range(N))
    for name in ("teacher strong", "teacher/weak"):
        expected = original.label_sources[name].stored(written.kept)
        assert torch.equal(found.label_sources[name].stored(range(N)), expected)
    assert torch.equal(found.label_sources[GIVEN].stored(range(N)), written.set.label_sources[GIVEN].stored(range(N)))


def test_write__a_reordered_but_undecided_set_does_not_copy_rows_blindly(tmp_path):
    path = make(tmp_path / "in")
    np.savez(path, images=IMAGES, labels=LABELS[::-1])
    original = open_set(path)
    _, written = export(curate(original, {}), tmp_path / "out", "folder")
    found = open_set(tmp_path / "out")
    expected = torch.from_numpy(STRONG[written.kept])
    assert written.kept.tolist() == [4, 5, 2, 3, 0, 1]
    assert torch.equal(found.label_sources["teacher strong"].stored(range(N)), expected)


def test_write__a_chosen_profile_and_a_lost_last_class_are_stated(tmp_path):
    original = open_set(make(tmp_path / "in", None), OpenOptions(profile="mnist"))
    export(curate(original, {4: SampleState(pruned=True), 5: SampleState(pruned=True)}), tmp_path / "out")
    found = open_set(tmp_path / "out/set.npz")
    assert found.num_classes == C and found.pixel_space.name == "mnist" and found.pixel_space.chosen


@pytest.mark.parametrize("name", ["npz", "grid", "folder", "tensors"])
def test_write__what_only_the_folders_around_a_set_said_is_stated(tmp_path, name):
    (tmp_path / "fashion-mnist/zca").mkdir(parents=True)
    for place, space in ((tmp_path / "fashion-mnist", "fashion-mnist"), (tmp_path / "fashion-mnist/zca", "zca")):
        np.savez(place / "set.npz", images=IMAGES * 3, labels=LABELS)
        original = open_set(place / "set.npz")
        assert original.class_names[9] == "Ankle boot" and original.pixel_space.name == space
        files, _ = export(curate(original, {}), tmp_path / f"{name} {space[:3]}", name)
        found = open_set(tmp_path / f"{name} {space[:3]}" if name in ("folder", "tensors") else files[0])
        assert found.class_names == original.class_names
        assert found.pixel_space.name == (space if name in ("npz", "tensors") else "uint8")


def test_write__what_the_files_say_themselves_is_not_repeated(tmp_path):
    np.savez(tmp_path / "mnist_zca.npz", images=IMAGES * 3, labels=LABELS)
    assert [p.name for p in export(curate(open_set(tmp_path / "mnist_zca.npz"), {}), tmp_path / "out")[0]] == [
        "mnist_zca.npz"
    ]


def test_write__folder_names_become_class_names_elsewhere(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(
            tmp_path / "pets" / name / "0.png"
        )
    curated = curate(open_set(tmp_path / "pets"), {})
    files, _ = export(curated, tmp_path / "same")
    assert len(files) == 2
    files, _ = export(curated, tmp_path / "other", "npz")
    assert open_set(files[0]).class_names == ("cat", "dog")


@pytest.mark.parametrize("given", [False, True])
def test_options__labels_from_elsewhere(tmp_path, given):
    path = make(tmp_path / "in", None, **({"softlabels": WEAK} if given else {}))
    (tmp_path / "elsewhere").mkdir()
    torch.save({"logits": torch.from_numpy(STRONG)}, tmp_path / "elsewhere/committee.pt")
    original = open_set(path, OpenOptions(labels=str(tmp_path / "elsewhere/committee.pt")))
    name = "committee" if given else GIVEN
    assert torch.equal(original.label_sources[name].stored(range(N)), torch.from_numpy(STRONG))
    assert tmp_path / "elsewhere/committee.pt" in original.provenance.files
    curated = curate(original, {2: SampleState(pruned=True)})
    export(curated, tmp_path / "out")
    found = open_set(tmp_path / "out/set.npz").label_sources[name]
    assert torch.equal(found.stored(range(5)), torch.from_numpy(STRONG[curated.kept]))
    assert list(torch.load(tmp_path / "out/committee.pt", weights_only=True)) == ["logits"]


def test_options__labels_that_do_not_fit(tmp_path):
    path = make(tmp_path, None)
    np.save(tmp_path / "short.npy", STRONG[:4])
    np.save(tmp_path / "hard.npy", LABELS)
    for name in ("short.npy", "hard.npy", "gone.npy"):
        with pytest.raises(UnreadableInput, match=name):
            open_set(path, OpenOptions(labels=str(tmp_path / name)))


def test_beside__found_by_name_and_used(tmp_path):
    path = make(tmp_path, None)
    np.save(tmp_path / "set_soft_labels.npy", STRONG)
    opened = open_set(path)
    assert GIVEN in opened.label_sources and tmp_path / "set_soft_labels.npy" in opened.provenance.files


def test_beside__of_another_set_is_passed_over_aloud(tmp_path):
    path = make(tmp_path, None)
    np.save(tmp_path / "soft_labels.npy", np.repeat(STRONG, 2, axis=0))
    opened = open_set(path)
    assert not opened.label_sources and any("not used" in warning for warning in opened.provenance.warnings)


def test_beside__damaged_ends_in_a_sentence(tmp_path):
    path = make(tmp_path, None)
    np.save(tmp_path / "soft_labels.npy", np.full((N, C), np.nan))
    with pytest.raises(UnreadableInput, match="NaN"):
        open_set(path)


def test_beside__a_class_without_samples_of_its_own(tmp_path):
    path = make(tmp_path, None)
    np.save(tmp_path / "soft_labels.npy", np.hstack([STRONG, STRONG]))
    assert open_set(path).class_names[-1] == "class 5"


def test_write__top_k_and_awkward_names(tmp_path):
    original = open_set(make(tmp_path / "in"))
    values, indices = torch.from_numpy(STRONG).topk(2)
    sources = {name: TopKSoftLabels(values, indices, C, "logits") for name in ("../../é !", "/", "a b", "a/b")}
    files, _ = export(curate(replace(original, label_sources=sources), {0: SampleState(pruned=True)}), tmp_path / "out")
    assert all(path.parent == tmp_path / "out" for path in files)
    found = open_set(tmp_path / "out/set.npz").label_sources
    assert set(found) == set(sources) and all(torch.equal(s.stored(range(5)), values[1:]) for s in found.values())


BAD = [
    ("[", "not a JSON file"),
    ("[1]", "JSON object"),
    ("[" * 100_000, "not a JSON file"),
    ({"names": []}, "unknown entry 'names'"),
    ({"class_names": "abc"}, "class_names"),
    ({"class_names": ["a", 3]}, "class_names"),
    ({"class_names": ["a", "b"]}, "outside 0 to 1"),
    ({"class_counts": [1, 2, -3]}, "class_counts"),
    ({"class_counts": [1, 2, True]}, "class_counts"),
    ({"class_counts": [1, 2]}, "2 class counts for 3 classes"),
    ({"pixel_space": "sepia"}, "pixel_space 'sepia'"),
    ({"pixel_space": "cifar10"}, "3 channels"),
    ({"label_sources": []}, "label_sources"),
    ({"label_sources": {"a\n": {"file": "strong.npy"}}}, "label_sources"),
    ({"label_sources": {"a": {"file": "strong.npy", "kind": "guesses"}}}, "kind 'guesses'"),
    ({"label_sources": {"a": {"file": "strong.npy", "by": "me"}}}, "unknown entry 'by'"),
    ({"label_sources": {"a": {}}}, "names the file 'None'"),
    ({"label_sources": {"a": {"file": "gone.npy"}}}, "'gone.npy', which is not a file"),
    ({"label_sources": {"a": {"file": "../strong.npy"}}}, "not a plain name"),
    ({"label_sources": {"a": {"file": "/etc/passwd"}}}, "not a plain name"),
    ({"label_sources": {"a": {"file": ".."}}}, "not a plain name"),
    ({"label_sources": {"a": {"file": "link.npy"}}}, "'link.npy', which is not a file"),
    ({"label_sources": {"a": {"file": "reference_labels.npy"}}}, "class indices"),
    ({"reference": {"images": "reference_images.npy"}}, "names the file 'None'"),
    ({"reference": {"images": "reference_images.npy", "labels": "test_labels.npy"}}, "does not label 4 images"),
    ({"reference": {"images": "strong.npy", "labels": "test_labels.npy"}}, "is no set of images"),
    ({"test": {"images": "test_images.npy", "labels": "far.npy"}}, "not all in 0 to 2"),
]


@pytest.mark.parametrize(("manifest", "said"), BAD)
def test_attach__broken_manifests_end_in_one_sentence(tmp_path, manifest, said):
    path = make(tmp_path / "in", manifest)
    np.save(tmp_path / "in/far.npy", np.array([0, 3]))
    np.save(tmp_path / "outside.npy", STRONG)
    (tmp_path / "in/link.npy").symlink_to(tmp_path / "outside.npy")
    with pytest.raises(UnreadableInput, match=said) as raised:
        open_set(path)
    assert "\n" not in str(raised.value)
