"""Image folders: whose naming it is, which class that makes, and the same files written back."""

import os
import time

import numpy as np
import pytest
import torch
from PIL import Image

from data.curation import curate
from data.decisions import SampleState
from data.distilled_set import GIVEN, OpenOptions
from data.errors import ImpossibleRequest, UnreadableInput
from data.formats import companions, image_folder, open_set

PRUNED = SampleState(pruned=True)


def picture(seed, size=(8, 8), mode="RGB"):
    values = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 4), dtype=np.uint8)
    return Image.fromarray(values, "RGBA").convert(mode)


def folder(tmp_path, *names, **options):
    root = tmp_path / "set"
    for seed, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed, **options).save(root / name)
    return root


def names_of(opened):
    return list(opened.images.store.names)


def torchvisions_order(root):
    """What torchvision.datasets.ImageFolder lists (folder.py, make_dataset), re-told."""
    found = []
    for index, entry in enumerate(sorted(e.name for e in os.scandir(root) if e.is_dir())):
        for place, _, files in sorted(os.walk(root / entry, followlinks=True)):
            for file in sorted(files):
                if file.lower().endswith((".jpg", ".jpeg", ".png")):
                    found.append((os.path.relpath(os.path.join(place, file), root), index))
    return found


def written(curated, tmp_path, name="out"):
    out = tmp_path / name
    out.mkdir()
    as_written = image_folder.as_written(curated)
    files = image_folder.write(curated, out) + companions.write(as_written, out)
    assert sorted(files) == sorted(path for path in out.rglob("*") if path.is_file())
    return out, as_written


def test_read__torchvisions_classes_and_order(tmp_path):
    names = (
        "dog/b.png",
        "dog/a.JPEG",
        "cat/1.png",
        "cat/10.png",
        "cat/2.png",
        "Zebra/sub/x.png",
        "Zebra/sub b/y.png",
        "Zebra/z.png",
    )
    root = folder(tmp_path, *names)
    opened = open_set(root)
    assert list(zip(names_of(opened), opened.labels.tolist(), strict=True)) == torchvisions_order(root)
    assert opened.class_names == ("Zebra", "cat", "dog") and opened.provenance.method == "image folder"
    assert [path.relative_to(root).as_posix() for path in opened.provenance.files] == names_of(opened)


def test_read__pixels_are_pillows(tmp_path):
    root = folder(tmp_path, "a/0.png", "b/0.jpg", size=(9, 7))
    opened = open_set(root)
    assert opened.images.shape == (3, 7, 9) and opened.pixel_space.name == "uint8"
    for i, name in enumerate(names_of(opened)):
        expected = np.asarray(Image.open(root / name).convert("RGB")).transpose(2, 0, 1)
        np.testing.assert_array_equal(opened.images.store.read(i).numpy(), expected)


@pytest.mark.parametrize("mode", ["P", "RGBA", "CMYK", "L", "LA", "1"])
def test_read__modes_beside_colour_go_the_way_of_torchvisions_loader(tmp_path, mode):
    root = folder(tmp_path, "a/0.png")
    suffix = "jpg" if mode == "CMYK" else "png"
    picture(5, mode=mode).save(root / f"a/1.{suffix}")
    expected = np.asarray(Image.open(root / f"a/1.{suffix}").convert("RGB")).transpose(2, 0, 1)
    np.testing.assert_array_equal(open_set(root).images.store.read(1).numpy(), expected)


def test_read__all_grey_has_one_channel(tmp_path):
    assert open_set(folder(tmp_path, "a/0.png", "a/1.png", mode="L")).images.shape == (1, 8, 8)


def test_read__sixteen_bits_keep_the_upper_eight_and_say_so(tmp_path):
    (tmp_path / "set" / "a").mkdir(parents=True)
    values = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    Image.fromarray(values).save(tmp_path / "set/a/0.png")
    opened = open_set(tmp_path / "set")
    np.testing.assert_array_equal(opened.images.store.read(0).numpy()[0], values >> 8)
    assert any("16 bits" in warning for warning in opened.provenance.warnings)


def test_read__sre2l(tmp_path):
    root = folder(tmp_path, *(f"new{c:03d}/class{c:03d}_id{i:03d}.jpg" for c in range(12) for i in range(2)))
    opened = open_set(root)
    assert opened.provenance.method == "SRe2L" and opened.num_classes == 12 and not opened.provenance.warnings
    assert opened.labels.tolist() == [c for c in range(12) for _ in range(2)]


def test_read__sre2l_numbers_beyond_their_width(tmp_path):
    root = folder(tmp_path, *(f"new{c:03d}/class{c:03d}_id000.jpg" for c in (7, 999, 1000, 10)))
    opened = open_set(root)
    assert names_of(opened) == [name for name, _ in torchvisions_order(root)]
    assert opened.labels.tolist() == [7, 10, 1000, 999] and opened.num_classes == 1001
    assert any("not sorted by number" in warning for warning in opened.provenance.warnings)
    assert any("997 of the classes" in warning for warning in opened.provenance.warnings)


def test_read__several_folders_of_one_class(tmp_path):
    root = folder(
        tmp_path, "new000_it100/class000_id000.jpg", "new000_it200/class000_id000.jpg", "new001/class001_id000.jpg"
    )
    opened = open_set(root)
    assert opened.labels.tolist() == [0, 0, 1] and opened.num_classes == 2


def test_read__rded_mosaics(tmp_path):
    opened = open_set(folder(tmp_path, *(f"{c:05d}/class{c:05d}_id{i:05d}.jpg" for c in range(3) for i in range(2))))
    assert opened.provenance.method == "RDED" and opened.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert any("mosaic" in warning for warning in opened.provenance.warnings)


def test_read__d4m(tmp_path):
    opened = open_set(folder(tmp_path, *(f"{c}/{c}-image{i}0.png" for c in range(11) for i in range(1))))
    assert opened.provenance.method == "D4M" and opened.labels.tolist() == [0, 1, 10, 2, 3, 4, 5, 6, 7, 8, 9]


def test_read__years_are_names(tmp_path):
    opened = open_set(folder(tmp_path, "1990/a.png", "2020/a.png"))
    assert opened.class_names == ("1990", "2020") and opened.labels.tolist() == [0, 1]


def test_read__known_classes_by_the_folders_name(tmp_path):
    opened = open_set(folder(tmp_path / "cifar10", *(f"new{c:03d}/class{c:03d}_id000.jpg" for c in range(10))))
    assert opened.class_names[3] == "cat"


def test_read__empty_classes_strays_and_hidden_files(tmp_path):
    root = folder(tmp_path, "a/0.png", "b/0.png")
    (root / "empty").mkdir()
    (root / ".hidden").mkdir()
    (root / "a/notes.txt").write_text("x")
    (root / "a/._0.png").write_text("a resource fork")
    (root / "README.md").write_text("x")
    opened = open_set(root)
    assert opened.class_names == ("a", "b", "empty") and len(opened) == 2
    assert any("1 class folders hold no images" in warning for warning in opened.provenance.warnings)
    assert any("1 files in the class folders are no images" in warning for warning in opened.provenance.warnings)


def test_read__different_sizes(tmp_path):
    root = folder(tmp_path, "a/0.png", "a/1.png")
    picture(3, (5, 6)).save(root / "a/2.png")
    opened = open_set(root)
    assert opened.images.shape is None and opened.images.store.read(2).shape == (3, 6, 5)
    assert [image.shape for image in opened.images.viewable([0, 2])] == [(8, 8, 3), (6, 5, 3)]


def test_read__a_size_that_was_not_looked_at_ends_in_a_sentence(tmp_path):
    root = folder(tmp_path, *(f"a/{i:03d}.png" for i in range(200)))
    picture(3, (5, 6)).save(root / "a/002.png")
    opened = open_set(root)
    assert opened.images.shape == (3, 8, 8)
    with pytest.raises(UnreadableInput, match=r"002\.png is 5x6 pixels.*8x8"):
        opened.images.stored([1, 2])


def test_read__broken_pictures(tmp_path):
    root = folder(tmp_path, "a/0.png", "a/1.png")
    (root / "a/1.png").write_bytes((root / "a/1.png").read_bytes()[:100])
    with pytest.raises(UnreadableInput, match=r"1\.png"):
        open_set(root).images.stored([0, 1])
    (root / "a/0.png").write_text("<svg/>")
    with pytest.raises(UnreadableInput, match=r"0\.png cannot be read as a picture"):
        open_set(root)


@pytest.mark.parametrize("where", ["a/link.png", "link"])
def test_read__links_that_leave_the_folder_are_refused(tmp_path, where):
    root = folder(tmp_path, "a/0.png")
    (tmp_path / "secret").mkdir()
    picture(1).save(tmp_path / "secret/1.png")
    (root / where).symlink_to(tmp_path / "secret" / ("1.png" if "." in where else ""))
    with pytest.raises(UnreadableInput, match="link"):
        open_set(root)


def test_read__links_inside_are_files_like_any_other(tmp_path):
    root = folder(tmp_path, "a/0.png", "b/0.png")
    (root / "b/1.png").symlink_to("../a/0.png")
    opened = open_set(root)
    out, _ = written(curate(opened, {0: PRUNED}), tmp_path)
    assert not (out / "b/1.png").is_symlink() and (out / "b/1.png").read_bytes() == (root / "a/0.png").read_bytes()
    (root / "b/2.png").symlink_to("gone.png")
    with pytest.raises(UnreadableInput, match="nowhere"):
        open_set(root)


@pytest.mark.parametrize("name", ["a/new\nline.png", "a/\x1b[31m.png", "b\x7f/0.png"])
def test_read__unprintable_names(tmp_path, name):
    with pytest.raises(UnreadableInput, match="no printable text"):
        open_set(folder(tmp_path, "a/0.png", name))


def test_read__bytes_that_are_no_text(tmp_path):
    root = folder(tmp_path, "a/0.png")
    with open(os.fsencode(root / "a") + b"/\xff.png", "wb"):
        pass
    with pytest.raises(UnreadableInput, match="no printable text"):
        open_set(root)


@pytest.mark.parametrize("made", [(), ("empty/",), ("a/notes.txt",), ("photo.png",)])
def test_read__no_set(tmp_path, made):
    root = tmp_path / "set"
    root.mkdir()
    for name in made:
        (root / name).mkdir() if name.endswith("/") else (root / name).parent.mkdir(exist_ok=True)
        if not name.endswith("/"):
            (root / name).write_text("x")
    for options in (OpenOptions(), OpenOptions(format="folder")):
        with pytest.raises(UnreadableInput):
            open_set(root, options)


def test_read__splits_are_not_classes(tmp_path):
    with pytest.raises(UnreadableInput, match="splits test, train"):
        open_set(folder(tmp_path, "train/cat/0.png", "test/cat/0.png"))


def test_read__absurd_class_number(tmp_path):
    with pytest.raises(UnreadableInput, match="numbered 999999999"):
        open_set(folder(tmp_path, "new999999999/class0_id0.png"))


def test_write__kept_files_are_the_same_bytes_under_the_same_names(tmp_path):
    root = folder(tmp_path, "cat/b.png", "cat/a.jpg", "dog/sub/x.png")
    out, _ = written(curate(open_set(root), {}), tmp_path)
    found = {p.relative_to(out).as_posix(): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    assert found == {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_write__relabelled_images_move_without_colliding(tmp_path):
    root = folder(tmp_path, *(f"new{c:03d}/class{c:03d}_id{i:03d}.jpg" for c in range(3) for i in range(3)))
    original = open_set(root)
    decided = {0: SampleState(label=2), 1: SampleState(label=2), 3: SampleState(label=0), 5: PRUNED, 8: PRUNED}
    out, as_written = written(curate(original, decided), tmp_path)
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.jpg")) == [
        "new000/class000_id000.jpg",
        "new000/class000_id002.jpg",
        "new001/class001_id001.jpg",
        "new002/class002_id000.jpg",
        "new002/class002_id001.jpg",
        "new002/class002_id002.jpg",
        "new002/class002_id003.jpg",
    ]
    found = open_set(out)
    assert found.labels.tolist() == as_written.set.labels.tolist() == [0, 0, 1, 2, 2, 2, 2]
    assert torch.equal(found.images.stored(range(7)), original.images.stored(as_written.kept))
    assert as_written.kept.tolist() == [3, 2, 4, 6, 7, 0, 1]


def test_write__relabelled_in_named_classes(tmp_path):
    root = folder(tmp_path, "cat/1.png", "dog/1.png", "dog/1_2.png")
    out, as_written = written(curate(open_set(root), {0: SampleState(label=1)}), tmp_path)
    assert sorted(p.name for p in (out / "dog").iterdir()) == ["1.png", "1_2.png", "1_3.png"]
    assert (out / "dog/1_3.png").read_bytes() == (root / "cat/1.png").read_bytes()
    assert (out / "cat").is_dir() and open_set(out).class_names == ("cat", "dog") and as_written.kept.tolist() == [1, 2, 0]


def test_write__soft_labels_beside_follow_the_images(tmp_path):
    """Rows of a soft-label file belong to the n-th image that a loader finds: moving an image moves its row."""
    root = folder(tmp_path, *(f"new{c:03d}/class{c:03d}_id{i:03d}.jpg" for c in range(3) for i in range(2)))
    soft = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).half()
    torch.save(soft, root / "soft_labels.pt")
    original = open_set(root)
    assert torch.equal(original.label_sources[GIVEN].stored(range(6)), soft)
    curated = curate(original, {0: SampleState(label=2), 5: PRUNED})
    out, as_written = written(curated, tmp_path)
    found = open_set(out)
    for i, kept in enumerate(as_written.kept):
        assert torch.equal(found.images.store.read(i), original.images.store.read(kept))
        row = found.label_sources[GIVEN].stored([i])[0]
        assert torch.equal(row.sort().values, soft[kept].sort().values)
        assert kept == 0 or torch.equal(row, soft[kept])
    assert torch.load(out / "soft_labels.pt", weights_only=True).dtype == torch.float16


def test_write__a_class_that_lost_all_images_keeps_its_folder(tmp_path):
    out, _ = written(curate(open_set(folder(tmp_path, "a/0.png", "b/0.png", "c/0.png")), {1: PRUNED}), tmp_path)
    assert (out / "b").is_dir() and open_set(out).class_names == ("a", "b", "c")


def test_write__from_another_format_in_class_order(tmp_path):
    images = np.random.default_rng(0).random((5, 3, 8, 8)).astype(np.float32)
    soft = np.eye(3)[[2, 0, 1, 0, 2]].astype(np.float32)
    np.savez(tmp_path / "a.npz", images=images, labels=[2, 0, 1, 0, 2], softlabels=soft)
    out, as_written = written(curate(open_set(tmp_path / "a.npz"), {}), tmp_path)
    found = open_set(out)
    assert names_of(found)[1] == "new000/class000_id001.png" and found.labels.tolist() == [0, 0, 1, 2, 2]
    assert as_written.kept.tolist() == [1, 3, 2, 0, 4]
    np.testing.assert_array_equal(
        found.images.stored(range(5)).numpy(), (images[as_written.kept] * 255).round().astype(np.uint8)
    )
    given = found.label_sources[GIVEN]
    assert given.kind == "probabilities" and given.stored(range(5)).tolist() == soft[as_written.kept].tolist()


def test_write__a_taken_place_ends_in_a_sentence(tmp_path):
    curated = curate(open_set(folder(tmp_path, "a/0.png", "a/1.png")), {})
    (tmp_path / "out/a").mkdir(parents=True)
    (tmp_path / "out/a/0.png").write_text("somebody's")
    with pytest.raises(ImpossibleRequest, match="empty folder"):
        image_folder.write(curated, tmp_path / "out")
    assert (tmp_path / "out/a/0.png").read_text() == "somebody's"


def test_read__fifty_thousand_images_open_without_being_read(tmp_path):
    first = folder(tmp_path, "new000/class000_id000.jpg") / "new000/class000_id000.jpg"
    for c in range(250):
        place = tmp_path / "set" / f"new{c:03d}"
        place.mkdir(exist_ok=True)
        for i in range(200):
            if c or i:
                os.link(first, place / f"class{c:03d}_id{i:03d}.jpg")
    start = time.process_time()
    opened = open_set(tmp_path / "set")
    assert len(opened) == 50_000 and time.process_time() - start < 1.5


def smooth(size):
    """A picture that survives JPEG."""
    ramp = np.linspace(0, 255, size[0] * size[1]).reshape(size[::-1]).astype(np.uint8)
    return Image.fromarray(np.stack([ramp, ramp.T if size[0] == size[1] else ramp, 255 - ramp], axis=-1))


@pytest.mark.parametrize(
    ("name", "size", "reduced"),
    [
        ("a.jpg", (224, 224), (112, 112)),
        ("a.jpg", (512, 384), (128, 96)),
        ("a.jpg", (1000, 32), (125, 4)),
        ("a.jpg", (600, 600), (600, 600)),  # by 5, and no half is a divisor of that
        ("a.jpg", (700, 100), (350, 50)),  # by 6, of which JPEG does the half
        ("a.jpg", (128, 128), (128, 128)),
        ("a.png", (512, 384), (512, 384)),
    ],
)
def test_stacks__jpeg_is_decoded_smaller_for_a_quick_look(tmp_path, name, size, reduced):
    (tmp_path / "set/a").mkdir(parents=True)
    smooth(size).save(tmp_path / "set/a" / name, quality=95)
    images = open_set(tmp_path / "set").images
    whole, quick = images.viewable([0])[0], images.viewable([0], most_px=128)[0]
    assert quick.shape[:2] == reduced[::-1] and whole.shape[:2] == size[::-1]
    averaged = Image.fromarray(whole).resize(reduced, Image.Resampling.BOX)
    assert np.abs(quick.astype(int) - np.asarray(averaged)).mean() < 3


def test_files__are_named_without_being_made(tmp_path):
    root = folder(tmp_path, "a/0.png", "a/1.png", "b/0.png")
    files = open_set(root).provenance.files
    expected = [root / "a/0.png", root / "a/1.png", root / "b/0.png"]
    assert list(files) == expected and files[-1] == expected[-1] and list(files[::2]) == expected[::2]
    assert len(files) == 3 and root / "a/1.png" in files
