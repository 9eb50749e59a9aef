"""`hnm-lab features`: what comes out, how pictures are prepared, and going on after a run that was broken off."""

from __future__ import annotations

import errno
import json
import os
import pickle
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core import data, models
from hnm_core.data.pictures import read_picture
from hnm_core.errors import InputError
from hnm_core.studies import features
from hnm_core.studies.features import FeatureRequest, extract
from hnm_core.system.locks import try_lock
from tests.cli.conftest import Lab, Start

Image = pytest.importorskip("PIL.Image")

MEAN, STD = torch.tensor((0.485, 0.456, 0.406)), torch.tensor((0.229, 0.224, 0.225))

NETWORKS = """
import torch
from torch import nn

class Means(nn.Module):
    "Mean of each colour, and how often the network was asked."
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.norm = nn.BatchNorm2d(3)
    def forward(self, x):
        with open("asked", "a") as file:
            file.write(f"{len(x)} {self.training} {torch.is_grad_enabled()}\\n")
        return x.mean((2, 3)) * self.scale

def no_network():
    return 3

def broken():
    raise OSError("no such cable")

def wide():
    return nn.Conv2d(3, 2, 1)

def not_a_number():
    class Nan(nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) / 0 * 0
    return Nan()

def needy(depth):
    return Means()

def ends():
    raise SystemExit(3)

def verse():
    raise ValueError("one line\\n  and another")

class Pair(nn.Module):
    def forward(self, x):
        return x.mean((2, 3)), x

class Table(nn.Module):
    def forward(self, x):
        return {"features": x.mean((2, 3))}

class Lost(nn.Module):
    def forward(self, x):
        return self.encoder(x)

class Talks(nn.Module):
    def forward(self, x):
        print("I was asked")
        return x.mean((2, 3))

there = Talks()

class Rule(nn.Module):
    "Same weights whatever the rule, which is none of them."
    rule = "mean"
    def forward(self, x):
        return getattr(x.flatten(2), self.rule)(2) * (1 if self.rule == "mean" else 3)

def drawn():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a module of networks, and twenty pictures of noise in two classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "networks", raising=False)
    (tmp_path / "networks.py").write_text(NETWORKS)
    source = np.random.default_rng(0)
    for number in range(20):
        folder = tmp_path / "pictures" / ("cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        shape = (30 + number, 40, 3)
        Image.fromarray(source.integers(0, 256, shape, np.uint8)).save(folder / f"{number:02}.png")
    return tmp_path


def asked(folder: Path) -> list[str]:
    lines = (folder / "asked").read_text().splitlines()
    (folder / "asked").unlink()
    return lines


def prepared(path: Path, size: int, resize: int) -> torch.Tensor:
    pixels = (
        torch.from_numpy(read_picture(path, size, "rgb", shorter_side=resize).copy()).permute(2, 0, 1).double() / 255
    )
    return (pixels - MEAN[:, None, None]) / STD[:, None, None]


def test_that_a_folder_of_pictures_becomes_a_file_that_can_be_trained_on(lab: Lab, here: Path) -> None:
    ended = lab("features", "pictures", "out.npz", "--backbone", "networks:Means", "--size", "16", "--batch", "8")
    assert (ended.status, ended.out) == (0, "out.npz\n")
    assert "20 items, 3 features" in ended.err
    assert asked(here) == ["8 False False", "8 False False", "4 False False"]
    made = data.create("file", path="out.npz")
    files = sorted((here / "pictures" / "cat").iterdir()) + sorted((here / "pictures" / "dog").iterdir())
    expected = torch.stack([prepared(path, 16, round(16 * 256 / 224)).mean((1, 2)) for path in files])
    assert np.allclose(made.x, expected, atol=1e-5)
    assert made.class_names == ("cat", "dog") and np.array_equal(made.y, np.repeat([0, 1], 10))
    assert np.array_equal(made.ids, np.arange(20)) and made.images.shape == (20, 32, 32, 3)
    assert np.array_equal(made.images[3], read_picture(files[3], 32, "rgb"))
    assert not (here / "out.npz.part").exists()
    with np.load("out.npz", allow_pickle=False) as file:
        assert set(file.files) == {"x", "y", "ids", "class_names", "images"}


def test_that_a_checkpoint_is_asked_for_the_features_before_its_last_layer(here: Path) -> None:
    whole = models.create(
        "resnet18", in_features=3 * 64 * 64, embedding=1000, generator=torch.Generator().manual_seed(5)
    )
    torch.save(whole.state_dict(), here / "w.pth")
    request = FeatureRequest(
        "pictures", here / "out.npz", "resnet18", weights=here / "w.pth", size=64, resize=64, device="cpu"
    )
    assert extract(request) == (20, 512)
    made = data.create("file", path="out.npz")
    path = sorted((here / "pictures" / "cat").iterdir())[0]
    with torch.no_grad():
        pooled = torch.tensor(made.x[:1])
        logits = whole.eval()(prepared(path, 64, 64).float().flatten()[None])
        assert torch.allclose(pooled @ whole.fc.weight.T + whole.fc.bias, logits, atol=1e-3)


def test_that_a_data_set_goes_through_with_its_labels_and_pictures(lab: Lab, here: Path) -> None:
    ended = lab("features", "digits", "out.npz", "--backbone", "networks:Means", "--mean", "0,0,0", "--std", "1,1,1")
    assert ended.status == 0
    made, digits = data.create("file", path="out.npz"), data.create("digits")
    assert np.allclose(made.x, digits.x.mean(1, keepdims=True).repeat(3, axis=1), atol=1e-6)
    assert np.array_equal(made.y, digits.y) and np.array_equal(made.images, digits.images)


def test_that_options_reach_the_data_set_and_rows_that_are_no_pictures_stay_as_they_are(lab: Lab, here: Path) -> None:
    ended = lab(
        "features", "blobs", "o.npz", "--backbone", "identity", "--set", "points=50", "--set", "dim=6", "--seed", "4"
    )
    assert ended.status == 0
    blobs = data.create("blobs", points=50, dim=6, seed=4)
    assert np.array_equal(data.create("file", path="o.npz").x, blobs.x)
    assert lab("features", "o.npz", "again.npz", "--backbone", "identity").status == 0
    assert np.array_equal(data.create("file", path="again.npz").x, blobs.x)


def test_that_pictures_of_a_data_set_are_enlarged_where_that_is_asked_for(here: Path) -> None:
    request = FeatureRequest("digits", here / "o.npz", "identity", size=16, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    assert extract(request) == (1797, 3 * 16 * 16)
    made, digits = data.create("file", path="o.npz"), data.create("digits")
    grey = torch.nn.functional.interpolate(
        torch.tensor(digits.x[:5]).view(5, 1, 8, 8), (16, 16), mode="bilinear", antialias=True
    )
    assert np.allclose(made.x[:5].reshape(5, 3, 16, 16), grey.expand(-1, 3, -1, -1), atol=1e-6)


def test_that_what_the_truth_was_is_kept(here: Path) -> None:
    extract(FeatureRequest("label-noise", here / "o.npz", "identity"))
    made = data.create("file", path="o.npz")
    assert np.array_equal(made.y_true, data.create("digits").y) and not np.array_equal(made.y, made.y_true)


class Stop(Exception):  # noqa: N818 - stands for any end
    """Breaks a run off."""


def stop_at(done: int):
    def progress(now: int, total: int, what: str) -> None:
        if now >= done and what.startswith("features"):
            raise Stop

    return progress


def test_that_a_run_that_was_broken_off_goes_on_and_comes_to_the_same(here: Path) -> None:
    request = FeatureRequest("pictures", here / "out.npz", "networks:Means", size=16, batch=4)
    with pytest.raises(Stop):
        extract(request, stop_at(12))
    assert len(asked(here)) == 3 and (here / "out.npz.part").is_dir() and not (here / "out.npz").exists()
    with (here / "out.npz.part" / "x.bin").open("ab") as file:
        file.write(b"torn")  # what a kill in the middle of a write leaves
    seen, told = [], []
    extract(request, lambda *step: seen.append(step[0]), told.append)
    assert asked(here) == ["4 False False"] * 3 and seen == [12, 16, 20], (
        "the first items again, to compare, then the rest"
    )
    assert told == ["Going on at item 12 of 20."]
    whole = data.create("file", path="out.npz")
    extract(FeatureRequest("pictures", here / "once.npz", "networks:Means", size=16, batch=4))
    once = data.create("file", path="once.npz")
    assert np.array_equal(whole.x, once.x) and np.array_equal(whole.images, once.images)


THROWN_AWAY = "What lay in '{}' is damaged, or of another request or network, and was thrown away."


def zeroed(content: bytes) -> bytes:
    """What a power cut leaves: the length is on the disk, the end of the content is not."""
    return content[: len(content) * 7 // 10] + bytes(len(content) - len(content) * 7 // 10)


def with_one_bit_changed(content: bytes) -> bytes:
    at = len(content) * 7 // 10
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [zeroed, with_one_bit_changed])
@pytest.mark.parametrize("name", ["x.bin", "images.bin", "checksums.bin", "plan.json"])
def test_that_a_run_goes_on_before_the_first_row_that_is_damaged(
    here: Path, name: str, damage: Callable[[bytes], bytes]
) -> None:
    request = FeatureRequest("pictures", here / "out.npz", "networks:Means", size=16, batch=4)
    with pytest.raises(Stop):
        extract(request, stop_at(16))
    path = here / "out.npz.part" / name
    path.write_bytes(damage(path.read_bytes()))
    told: list[str] = []
    extract(request, tell=told.append)
    anew = THROWN_AWAY.format(here / "out.npz.part")
    assert told == [anew if name == "plan.json" else "Going on at item 8 of 20."]  # the 12th is the first damaged one
    whole = data.create("file", path="out.npz")
    extract(FeatureRequest("pictures", here / "once.npz", "networks:Means", size=16, batch=4))
    once = data.create("file", path="once.npz")
    assert np.array_equal(whole.x, once.x) and np.array_equal(whole.images, once.images)


def test_that_rows_that_are_gone_at_the_end_are_told(here: Path) -> None:
    request = FeatureRequest("pictures", here / "out.npz", "networks:Means", size=16, batch=4)

    def shorten(done: int, total: int, what: str) -> bool:
        if done == total == 20:
            os.truncate(here / "out.npz.part" / "x.bin", 100)
        return True

    with pytest.raises(InputError, match=r"x\.bin' is not as it was written"):
        extract(request, shorten)
    assert not (here / "out.npz").exists()


@pytest.mark.parametrize("change", ["size", "picture", "weights", "mean", "damage"])
def test_that_another_request_begins_anew(here: Path, change: str) -> None:
    first = {"source": "pictures", "out": here / "out.npz", "backbone": "networks:Means", "batch": 4}
    with pytest.raises(Stop):
        extract(FeatureRequest(**first, size=16), stop_at(12))
    (here / "asked").unlink()
    second = {"size": 16}
    if change == "picture":
        Image.new("RGB", (20, 20), (1, 2, 3)).save(here / "pictures" / "cat" / "01.png")
    elif change == "weights":
        state = {"scale": torch.zeros(1), "norm.weight": torch.ones(3), "norm.bias": torch.zeros(3)}
        state |= {"norm.running_mean": torch.zeros(3), "norm.running_var": torch.ones(3)}
        torch.save({**state, "norm.num_batches_tracked": torch.tensor(0)}, here / "w.pth")
        second["weights"] = here / "w.pth"
    elif change == "damage":
        (here / "out.npz.part" / "plan.json").write_text("[1, 2]")
    else:
        second |= {"size": 17} if change == "size" else {"mean": (0.0, 0.0, 0.0)}
    told = []
    extract(FeatureRequest(**first, **second), tell=told.append)
    assert len(asked(here)) == 5
    assert told == [THROWN_AWAY.format(here / "out.npz.part")]
    if change == "weights":
        assert not data.create("file", path="out.npz").x.any()


def test_that_random_weights_of_a_network_of_the_users_are_the_same_in_every_run(here: Path) -> None:
    before = torch.get_rng_state()
    for name in ("a.npz", "b.npz"):
        (here / "small.npz").unlink(missing_ok=True)
        x = np.random.default_rng(0).normal(size=(9, 64)).astype(np.float32)
        np.savez(here / "small.npz", x=x, y=np.arange(9) % 2)
        extract(FeatureRequest("small.npz", here / name, "networks:drawn"))
        torch.rand(3, generator=torch.default_generator)
    assert np.array_equal(data.create("file", path="a.npz").x, data.create("file", path="b.npz").x)
    torch.set_rng_state(before)


def test_that_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(start: Start, here: Path) -> None:
    out = here / "out.npz"
    command = ("features", str(here / "pictures"), str(out), "--backbone", "tests.cli.slow_network:Slow", "--size", "8")
    run = start(*command, "--batch", "1")
    until = time.monotonic() + 60
    parts = here / "out.npz.part" / "x.bin"
    while time.monotonic() < until and not (parts.exists() and parts.stat().st_size >= 4 * 3 * 3):
        time.sleep(0.01)
    run.send(signal.SIGINT)
    ended = run.wait()
    assert ended.status == 130 and "Traceback" not in ended.err
    assert "What is done is kept; the same command goes on from there." in ended.err
    plan = json.loads((here / "out.npz.part" / "plan.json").read_text())
    assert plan["width"] == 3 and not out.exists()
    done = parts.stat().st_size // 12
    assert 3 <= done < 20
    again = start(*command, "--batch", "1", out=here / "said").wait()
    assert (again.status, (here / "said").read_text()) == (0, f"{out}\n"), again.err
    assert len(data.create("file", path=str(out)).x) == 20


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("pictures", "out.txt", "--backbone", "resnet18"), "does not end so"),
        (("pictures", "missing/out.npz", "--backbone", "resnet18"), "There is no folder"),
        (("digit", "out.npz", "--backbone", "resnet18"), "Did you mean digits"),
        (("missing.npz", "out.npz", "--backbone", "identity"), "There is no file 'missing.npz'"),
        (("pictures", "out.npz", "--backbone", "resnet19"), "Did you mean resnet18"),
        (("pictures", "out.npz", "--backbone", "networks:nothing"), "has no attribute 'nothing'"),
        (("pictures", "out.npz", "--backbone", "nowhere:thing"), "No module named 'nowhere'"),
        (("pictures", "out.npz", "--backbone", "networks:no_network"), "returned int; it must return an nn.Module"),
        (("pictures", "out.npz", "--backbone", "networks:broken"), "OSError: no such cable"),
        (("pictures", "out.npz", "--backbone", "networks:wide", "--size", "8"), "it must return (20, features)"),
        (("pictures", "out.npz", "--backbone", "networks:not_a_number", "--size", "8"), "NaN or infinity for item 0"),
        (("pictures", "out.npz", "--backbone", "networks:drawn", "--size", "8"), "The network fails on a batch"),
        (("pictures", "out.npz", "--backbone", "networks.py:Means"), "as networks:callable"),
        (("pictures", "out.npz", "--backbone", "some/networks.py:Means"), "as networks:callable"),
        (("pictures", "out.npz", "--backbone", "networks:"), "'networks:' cannot be made"),
        (("pictures", "out.npz", "--backbone", ":Means"), "':Means' cannot be made"),
        (("pictures", "out.npz", "--backbone", "networks:needy"), "missing 1 required positional argument: 'depth'"),
        (("pictures", "out.npz", "--backbone", "networks:ends"), "cannot be made: SystemExit: 3."),
        (("pictures", "out.npz", "--backbone", "networks:verse"), "ValueError: one line."),
        (("pictures", "out.npz", "--backbone", "networks:Pair", "--size", "8"), "The network returned tuple; it must"),
        (("pictures", "out.npz", "--backbone", "networks:Table", "--size", "8"), "The network returned dict; it must"),
        (("pictures", "out.npz", "--backbone", "networks:Lost", "--size", "8"), "has no attribute 'encoder'"),
        (("pictures", "n" * 300 + ".npz", "--backbone", "resnet18"), "cannot be looked at: File name too long"),
        (("pictures", "/proc/out.npz", "--backbone", "networks:Means", "--size", "8"), "out.npz.part' cannot be made"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--weights", "none.pth"), "There is no file of weights"),
        (("pictures", "out.npz", "--backbone", "networks:Means", "--weights", "networks.py"), "networks.py"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--size", "0"), "size = 0"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--resize", "9"), "resize = 9 is smaller"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--batch", "0"), "batch = 0"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--std", "0,1,1"), "std above 0"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--mean", "1,2"), "three numbers"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--set", "points=3"), "has no options"),
        (("digits", "out.npz", "--backbone", "resnet18", "--set", "points=3"), "Unknown option 'points'"),
        (("digits", "out.npz", "--backbone", "resnet18", "--set", "points"), "write KEY=VALUE"),
        (("blobs", "out.npz", "--backbone", "identity", "--size", "8"), "--size is for pictures"),
        (("digits", "out.npz", "--backbone", "identity", "--resize", "300"), "--resize is for a folder"),
        (("pictures", "out.npz", "--backbone", "resnet18", "--device", "gpu"), "Unknown device 'gpu'"),
    ],
)
def test_that_a_mistake_is_one_sentence_and_status_2(lab: Lab, here: Path, arguments, word: str) -> None:
    ended = lab("features", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert word in ended.err and ended.err.startswith("Error: ") and ended.err.count("\n") == 1


def test_that_two_programs_do_not_make_one_result(lab: Lab, here: Path) -> None:
    (here / "out.npz.part").mkdir()
    with (here / "out.npz.part" / features.LOCK).open("ab") as held:
        try_lock(held.fileno())
        refused = lab("features", "blobs", "out.npz", "--backbone", "identity")
        assert refused.status == 2 and "Another program is making 'out.npz' just now." in refused.err


def test_that_a_result_that_is_there_is_not_written_over(lab: Lab, here: Path) -> None:
    (here / "out.npz").write_text("mine")
    assert "exists already" in lab("features", "digits", "out.npz", "--backbone", "identity").err
    assert (here / "out.npz").read_text() == "mine"


def test_that_weights_of_another_network_are_named(lab: Lab, here: Path) -> None:
    torch.save({"other": torch.ones(2)}, here / "w.pth")
    ended = lab("features", "pictures", "out.npz", "--backbone", "networks:Means", "--weights", "w.pth")
    assert ended.status == 2 and "'w.pth' holds no weights of 'networks:Means'" in ended.err


class Harm:
    """Makes a file when it is unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("harm"),))


def test_that_a_whole_pickled_model_is_refused_and_no_code_in_it_runs(lab: Lab, here: Path) -> None:
    torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2)), here / "model.pth")
    torch.save({"scale": Harm()}, here / "harm.pth")
    (here / "plain.pth").write_bytes(pickle.dumps(Harm()))
    for name in ("model.pth", "harm.pth", "plain.pth"):
        for backbone in ("networks:Means", "resnet18"):
            ended = lab("features", "pictures", "out.npz", "--backbone", backbone, "--weights", name, "--size", "8")
            assert ended.status == 2 and f"'{name}' holds more than plain tensors" in ended.err
            assert ended.err.count("\n") == 1
    assert not (here / "harm").exists() and not (here / "out.npz").exists()
    pickle.loads((here / "plain.pth").read_bytes())
    assert (here / "harm").exists(), "which shows that the test bites"


def test_that_what_a_network_prints_is_no_output_of_the_command(lab: Lab, here: Path) -> None:
    ended = lab("features", "pictures", "out.npz", "--backbone", "networks:there", "--size", "8")
    assert (ended.status, ended.out) == (0, "out.npz\n")
    assert "I was asked" in ended.err


def test_that_a_network_whose_code_changed_begins_anew(here: Path) -> None:
    request = FeatureRequest("pictures", here / "out.npz", "networks:Rule", size=8, batch=4)
    with pytest.raises(Stop):
        extract(request, stop_at(12))
    import networks

    networks.Rule.rule = "sum"
    told: list[str] = []
    extract(request, tell=told.append)
    assert len(told) == 1 and "was thrown away" in told[0]
    extract(FeatureRequest("pictures", here / "once.npz", "networks:Rule", size=8, batch=4))
    assert np.array_equal(data.create("file", path="out.npz").x, data.create("file", path="once.npz").x)


def test_that_a_run_that_goes_on_may_take_batches_of_another_size(here: Path) -> None:
    for batch in (4, 7):
        request = FeatureRequest("pictures", here / "out.npz", "networks:Means", size=8, batch=batch)
        if batch == 4:
            with pytest.raises(Stop):
                extract(request, stop_at(16))
    told: list[str] = []
    extract(request, tell=told.append)
    assert told == ["Going on at item 14 of 20."]
    extract(FeatureRequest("pictures", here / "once.npz", "networks:Means", size=8))
    assert np.allclose(data.create("file", path="out.npz").x, data.create("file", path="once.npz").x, atol=1e-6)


def test_that_a_folder_where_nothing_may_be_written_and_a_full_disk_are_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = FeatureRequest("pictures", here / "out.npz", "networks:Means", size=8, batch=4)

    def refuse(number: int) -> Callable[..., None]:
        def call(*_: object, **__: object) -> None:
            raise OSError(number, os.strerror(number), str(here))

        return call

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse(errno.EACCES))
        with pytest.raises(InputError, match=r"out.npz.part' cannot be made: Permission denied\.$"):
            extract(request)
    with pytest.raises(Stop):
        extract(request, stop_at(8))
    with monkeypatch.context() as patch:
        patch.setattr(features.np, "savez", refuse(errno.ENOSPC))
        with pytest.raises(InputError, match=r"out.npz' cannot be written: No space left on device\. What is done"):
            extract(request)
    told: list[str] = []
    extract(request, tell=told.append)
    assert told == ["Going on at item 20 of 20."] and len(data.create("file", path="out.npz").x) == 20


def test_that_an_unreadable_picture_ends_it_with_a_sentence_and_what_is_done_stays(lab: Lab, here: Path) -> None:
    bad = here / "pictures" / "dog" / "04.png"
    bad.write_bytes(b"no picture")
    ended = lab("features", "pictures", "out.npz", "--backbone", "networks:Means", "--size", "8", "--batch", "5")
    assert ended.status == 2 and f"'{Path('pictures/dog/04.png')}' is no picture" in ended.err
    assert (here / "out.npz.part" / "x.bin").stat().st_size == 10 * 3 * 4


def test_that_the_batches_keep_their_number_of_features(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = iter((3, 4))
    monkeypatch.setattr(features, "_features", lambda *_: np.zeros((10, next(widths)), np.float32))
    with pytest.raises(InputError, match="3 features an item before and 4 now"):
        extract(FeatureRequest("pictures", here / "out.npz", "networks:Means", size=8, batch=10))
