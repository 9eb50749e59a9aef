"""A folder of pictures: classes, colours, odd files, and how a picture is shrunk and cut."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import LoadCancelled
from hnm_core.data.pictures import read_picture
from hnm_core.errors import InputError

Image = pytest.importorskip("PIL.Image")

COLOURS = {"cat": (250, 10, 20), "dog": (10, 240, 30), "ant": (20, 30, 230)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """Four plain pictures of each class, of several formats and shapes."""
    for name, colour in COLOURS.items():
        (tmp_path / "mine" / name / "more").mkdir(parents=True)
        for number, ending in enumerate(("png", "bmp", "TIFF", "more/deep.webp")):
            path = tmp_path / "mine" / name / (ending if "/" in ending else f"{number}.{ending}")
            image = Image.new("RGB", (20 + 7 * number, 30), colour)
            image.save(path, lossless=True) if path.suffix == ".webp" else image.save(path)
    (tmp_path / "mine" / "readme.txt").write_text("no class")
    (tmp_path / "mine" / "cat" / "notes.txt").write_text("no picture")
    (tmp_path / "mine" / "cat" / ".hidden.png").write_text("no picture either")
    (tmp_path / "mine" / ".git").mkdir()
    (tmp_path / "mine" / "empty").mkdir()
    return tmp_path / "mine"


def test_that_folders_are_classes_and_pixels_are_rows_of_planes(folder):
    dataset = data.create("images", path=str(folder), size=8)
    assert dataset.class_names == ("ant", "cat", "dog") and np.array_equal(dataset.y, np.repeat([0, 1, 2], 4))
    assert dataset.x.shape == (12, 192) and dataset.image_shape == (3, 8, 8) and dataset.name == "mine"
    for row, label in enumerate(dataset.y):
        colour = np.array(COLOURS[dataset.class_names[label]])
        assert (dataset.images[row] == colour).all()
        assert np.allclose(dataset.x[row].reshape(3, 8, 8) * 255, colour[:, None, None])


def test_that_grey_pictures_have_one_plane(folder):
    dataset = data.create("images", path=str(folder), size=5, colour="grey")
    assert dataset.images.shape == (12, 5, 5) and dataset.image_shape == (1, 5, 5)
    luma = np.array(list(COLOURS.values())) @ (0.299, 0.587, 0.114)  # ITU-R 601-2
    assert np.allclose(np.sort(np.unique(dataset.images)), np.sort(luma), atol=1)


def test_that_only_the_pictures_that_are_taken_are_read_and_progress_counts_them(folder):
    seen = []
    dataset = data.create("images", path=str(folder), points=6, progress=lambda *step: seen.append(step))
    assert np.array_equal(np.bincount(dataset.y), [2, 2, 2]) and (np.diff(dataset.ids) > 0).all()
    assert [step[0] for step in seen] == list(range(7)) and {step[1] for step in seen} == {6}
    with pytest.raises(LoadCancelled):
        data.create("images", path=str(folder), progress=lambda done, total, what: done < 3)


def test_that_the_shorter_side_is_scaled_and_the_middle_is_cut_out(tmp_path):
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 200  # the middle square of the picture
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_picture(tmp_path / "wide.png", 10, "rgb") == 200).all()
    assert (read_picture(tmp_path / "wide.png", 4, "grey", shorter_side=10) == 200).all()
    half = read_picture(tmp_path / "wide.png", 20, "grey", shorter_side=20)
    assert (half[:, 1:-1] == 200).all() and half.shape == (20, 20)


def test_that_a_picture_is_turned_upright(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 3  # the camera was upside down
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    assert (read_picture(tmp_path / "a.png", 8, "grey")[4:] == 255).all()


def test_that_odd_kinds_of_pixels_become_plain_ones(tmp_path):
    deep = np.full((6, 6), 0x80FF, np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    assert (read_picture(tmp_path / "deep.png", 6, "grey") == 0x80).all()
    assert (read_picture(tmp_path / "deep.png", 6, "rgb") == 0x80).all()
    Image.new("RGBA", (6, 6), (200, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (read_picture(tmp_path / "clear.png", 6, "rgb") == 255).all()
    Image.new("RGBA", (6, 6), (0, 0, 0, 51)).save(tmp_path / "veil.png")
    assert np.abs(read_picture(tmp_path / "veil.png", 6, "grey").astype(int) - 204).max() <= 1
    Image.new("P", (6, 6), 0).save(tmp_path / "hole.gif", transparency=0)
    assert (read_picture(tmp_path / "hole.gif", 6, "rgb") == 255).all()
    Image.new("1", (6, 6), 1).save(tmp_path / "bits.png")
    assert (read_picture(tmp_path / "bits.png", 6, "rgb") == 255).all()
    Image.new("CMYK", (6, 6), (0, 0, 0, 255)).save(tmp_path / "print.jpg")
    assert (read_picture(tmp_path / "print.jpg", 6, "grey") < 40).all()


def test_that_a_picture_narrower_than_a_pixel_allows_still_has_the_size(tmp_path):
    Image.new("RGB", (1, 300), (9, 9, 9)).save(tmp_path / "thin.png")
    assert read_picture(tmp_path / "thin.png", 7, "rgb").shape == (7, 7, 3)


@pytest.mark.parametrize(
    ("content", "word"), [(b"no picture", "is no picture"), (b"", "is no picture"), (None, "cannot be read")]
)
def test_that_an_unreadable_picture_gets_one_sentence_that_names_it(folder, content, word):
    bad = folder / "dog" / "0.png"
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    with pytest.raises(InputError, match=word) as caught:
        data.create("images", path=str(folder))
    assert str(bad) in str(caught.value) and "\n" not in str(caught.value)


def test_that_a_folder_that_is_no_set_is_refused(tmp_path, folder):
    with pytest.raises(InputError, match="There is no folder"):
        data.create("images", path=str(tmp_path / "missing"))
    with pytest.raises(InputError, match="holds no folder with pictures"):
        data.create("images", path=str(folder / "cat" / "more"))
    for name in ("ant", "dog"):
        shutil.rmtree(folder / name)
    with pytest.raises(InputError, match="one class only, cat"):
        data.create("images", path=str(folder))


def test_that_more_than_the_memory_holds_is_refused_before_anything_is_read(folder, monkeypatch):
    monkeypatch.setattr("hnm_core.system.memory.free", lambda: 1_000)
    with pytest.raises(
        InputError, match=r"for 12 pictures of 32 x 32: about 0 MB are needed, .* make size or points smaller"
    ):
        data.create("images", path=str(folder))


def test_that_without_pillow_the_sentence_says_how_to_get_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(InputError, match=r"pip install 'hnm-lab\[images\]'"):
        data.create("images", path=str(folder))


def test_that_what_programs_leave_beside_pictures_is_none(folder):
    before = data.create("images", path=str(folder), size=8)
    for place in (".ipynb_checkpoints/x", "cat/.ipynb_checkpoints", "@eaDir/cat", "dog/@eaDir", "__MACOSX/dog"):
        (folder / place).mkdir(parents=True)
        shutil.copy(folder / "cat" / "0.png", folder / place / "0-checkpoint.png")
    after = data.create("images", path=str(folder), size=8)
    assert after.class_names == before.class_names and np.array_equal(after.x, before.x)


def test_that_links_are_followed_and_go_round_in_no_circle(folder, tmp_path):
    (folder / "dog").rename(tmp_path / "elsewhere")
    (folder / "dog").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "again").symlink_to(folder / "cat")
    dataset = data.create("images", path=str(folder), size=8)
    assert dataset.class_names == ("ant", "cat", "dog") and np.bincount(dataset.y).tolist() == [4, 4, 4]


def test_that_train_and_test_above_the_classes_are_parts_of_the_set(folder, tmp_path):
    for part in ("train", "Test"):
        shutil.copytree(folder, tmp_path / "parted" / part)
    shutil.rmtree(tmp_path / "parted" / "Test" / "dog")
    dataset = data.create("images", path=str(tmp_path / "parted"), size=8)
    assert dataset.class_names == ("ant", "cat", "dog") and np.bincount(dataset.y).tolist() == [8, 8, 4]
    assert np.bincount(dataset.y[dataset.held_out]).tolist() == [4, 4]
    assert dataset.as_read == "Its parts are not classes: 'train' is trained on, 'Test' is held out."
    (tmp_path / "parted" / "train").rename(tmp_path / "parted" / "bus")
    assert data.create("images", path=str(tmp_path / "parted"), size=8).class_names == ("Test", "bus")
    flat = tmp_path / "flat"
    for name in ("train", "test"):
        shutil.copytree(folder / "cat", flat / name)
    shutil.rmtree(flat / "train" / "more")
    assert data.create("images", path=str(flat), size=8).class_names == ("test", "train"), "pictures of railways"


def test_that_all_broken_pictures_are_named(folder):
    bad = [folder / "ant" / "0.png", folder / "dog" / "1.bmp"]
    for path in bad:
        path.write_bytes(b"no picture")
    (folder / "cat" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(InputError) as caught:
        data.create("images", path=str(folder))
    assert all(str(path) in str(caught.value) for path in (*bad, folder / "cat" / "gone.png"))
    for number in range(20):
        (folder / "cat" / f"{number}.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"And \d+ more pictures are like that\.$"):
        data.create("images", path=str(folder))


def test_that_of_a_long_strip_only_what_is_kept_is_scaled(tmp_path, monkeypatch):
    pixels = np.zeros((65_000, 1, 3), np.uint8)
    pixels[32_450:32_550] = 200
    Image.fromarray(pixels).save(tmp_path / "strip.png")
    made = []
    resize = Image.Image.resize
    monkeypatch.setattr(
        Image.Image,
        "resize",
        lambda image, size, *rest, **more: made.append(size) or resize(image, size, *rest, **more),
    )
    assert (read_picture(tmp_path / "strip.png", 224, "rgb", shorter_side=256) == 200).all()
    assert made == [(224, 224)]


@pytest.mark.parametrize("size", [(40, 30), (33, 71), (9, 100)])
def test_that_the_middle_is_scaled_as_if_all_of_it_were(tmp_path, size):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)).save(tmp_path / "a.png")
    for side, shorter in ((8, 8), (20, 24), (64, 73)):
        with Image.open(tmp_path / "a.png") as plain:
            scaled = [int(shorter * length / min(plain.size)) for length in plain.size]
            left, top = (round((length - side) / 2) for length in scaled)
            whole = plain.resize(scaled, Image.Resampling.BILINEAR).crop((left, top, left + side, top + side))
        got = read_picture(tmp_path / "a.png", side, "rgb", shorter_side=shorter).astype(int)
        assert np.abs(got - np.asarray(whole)).max() <= 1
