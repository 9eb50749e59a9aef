"""The networks for pictures: shapes, checkpoints, and a residual network written a second time from its state dict."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional

from hnm_core import models
from hnm_core.errors import InputError

PUBLISHED = {"resnet18": (11_689_512, 122, (2, 2, 2, 2)), "resnet34": (21_797_672, 218, (3, 4, 6, 3))}
"""Parameters and entries of the well-known checkpoints, and blocks of each stage."""


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def usual_names(blocks: tuple[int, ...]) -> set[str]:
    """The names in the well-known checkpoints, written out from the published layout."""
    norm = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    names = {"conv1.weight", "fc.weight", "fc.bias", *(f"bn1.{part}" for part in norm)}
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            at = f"layer{stage}.{block}"
            names |= {f"{at}.conv{n}.weight" for n in (1, 2)} | {f"{at}.bn{n}.{part}" for n in (1, 2) for part in norm}
            if stage > 1 and block == 0:
                names |= {f"{at}.downsample.0.weight", *(f"{at}.downsample.1.{part}" for part in norm)}
    return names


def by_hand(state: dict[str, torch.Tensor], x: torch.Tensor, blocks: tuple[int, ...]) -> torch.Tensor:
    """A residual network in evaluation, from its state dict and the paper."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        scaled = (x - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"][:, None, None] + state[f"{name}.bias"][:, None, None]

    def conv(x: torch.Tensor, name: str, stride: int) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    small = state["conv1.weight"].shape[-1] == 3
    x = functional.relu(norm(conv(x, "conv1", 1 if small else 2), "bn1"))
    if not small:
        x = functional.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        for block in range(count):
            at, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            inner = functional.relu(norm(conv(x, f"{at}.conv1", stride), f"{at}.bn1"))
            inner = norm(conv(inner, f"{at}.conv2", 1), f"{at}.bn2")
            if f"{at}.downsample.0.weight" in state:
                x = norm(conv(x, f"{at}.downsample.0", stride), f"{at}.downsample.1")
            x = functional.relu(inner + x)
    pooled = functional.adaptive_avg_pool2d(x, 1).flatten(1)
    return pooled @ state["fc.weight"].T + state["fc.bias"] if "fc.weight" in state else pooled


def random_state(name: str, seed: int, **options) -> dict[str, torch.Tensor]:
    """A state dict whose normalisations are not the trivial ones."""
    source = seeded(seed)
    state = models.create(name, generator=source, **options).state_dict()
    for key, values in state.items():
        if key.endswith(("running_mean", "bias")):
            values.normal_(0, 0.3, generator=source)
        elif key.endswith("running_var") or ("bn" in key and key.endswith("weight")):
            values.uniform_(0.5, 2, generator=source)
    return state


@pytest.mark.parametrize("name", PUBLISHED)
def test_that_a_residual_network_has_the_published_layout(name: str) -> None:
    parameters, entries, blocks = PUBLISHED[name]
    model = models.create(name, in_features=3 * 224 * 224, image_shape=(3, 224, 224), embedding=1000)
    assert sum(values.numel() for values in model.parameters()) == parameters
    assert len(model.state_dict()) == entries
    assert set(model.state_dict()) == usual_names(blocks)
    assert model.state_dict()["conv1.weight"].shape == (64, 3, 7, 7)


@pytest.mark.parametrize(("name", "stem", "side"), [("resnet18", "imagenet", 64), ("resnet34", "small", 9)])
def test_that_a_residual_network_computes_what_the_paper_says(tmp_path, name, stem, side) -> None:
    shape = {"in_features": 3 * side * side, "image_shape": (3, side, side), "embedding": 5}
    state = random_state(name, 3, **shape, stem=stem)
    torch.save(state, tmp_path / "weights.pth")
    model = models.create(name, **shape, weights=str(tmp_path / "weights.pth")).eval()
    x = torch.randn(3, 3, side, side, generator=seeded(1))
    with torch.no_grad():
        assert torch.allclose(model(x.flatten(1)), by_hand(state, x, PUBLISHED[name][2]), rtol=1e-3, atol=1e-3)


def test_that_weights_of_colour_pictures_serve_grey_ones_as_if_the_grey_were_repeated(tmp_path) -> None:
    state = random_state("resnet18", 4, in_features=3 * 64 * 64, embedding=1000)
    torch.save(state, tmp_path / "w.pth")
    model = models.create("resnet18", in_features=64 * 64, embedding="features", weights=str(tmp_path / "w.pth"))
    grey = torch.randn(2, 1, 64, 64, generator=seeded(2))
    headless = {key: values for key, values in state.items() if not key.startswith("fc.")}
    with torch.no_grad():
        expected = by_hand(headless, grey.repeat(1, 3, 1, 1), (2, 2, 2, 2))
        assert expected.shape == (2, 512)
        assert torch.allclose(model.eval()(grey.flatten(1)), expected, rtol=1e-3, atol=1e-3)


def test_that_an_output_layer_of_another_width_begins_anew_and_the_rest_is_loaded(tmp_path) -> None:
    state = random_state("resnet18", 5, in_features=3 * 8 * 8, embedding=1000)
    wrapped = {"epoch": 3, "state_dict": {f"module.{key}": values for key, values in state.items()}}
    torch.save(wrapped, tmp_path / "w.pth")
    options = {"in_features": 3 * 8 * 8, "embedding": 7}
    loaded = models.create("resnet18", **options, generator=seeded(6), weights=str(tmp_path / "w.pth")).state_dict()
    fresh = models.create("resnet18", **options, generator=seeded(6)).state_dict()
    for key, values in loaded.items():
        assert torch.equal(values, fresh[key] if key.startswith("fc.") else state[key]), key


class Malicious:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise AssertionError('code from the file ran')",))


def broken_files(folder) -> dict[str, str]:
    """File name to a word of the sentence it must get."""
    torch.save({"conv1.weight": Malicious()}, folder / "code.pth")
    (folder / "text.pth").write_text("no weights")
    (folder / "empty.pth").write_bytes(b"")
    (folder / "pickle.pth").write_bytes(pickle.dumps({"a": Malicious()}))
    torch.save([torch.ones(3)], folder / "list.pth")
    torch.save({"conv1.weight": torch.ones(3)}, folder / "other.pth")
    whole = random_state("resnet18", 0, in_features=64, embedding=3)
    torch.save({**whole, "extra": torch.ones(1)}, folder / "more.pth")
    torch.save({**whole, "bn1.weight": torch.ones(63)}, folder / "shape.pth")
    (folder / "cut.pth").write_bytes((folder / "shape.pth").read_bytes()[:10_000])
    return {
        "code.pth": "could run code", "text.pth": "text.pth", "empty.pth": "empty.pth", "pickle.pth": "pickle.pth",
        "list.pth": "no weights by name", "other.pth": "lacks 'bn1.weight'", "more.pth": "holds 'extra'",
        "shape.pth": "'bn1.weight' has the shape (63,), not (64,)", "cut.pth": "cut.pth",
        "none.pth": "There is no file",
    }  # fmt: skip


def test_that_a_file_that_holds_no_such_weights_gets_one_sentence_and_never_runs(tmp_path) -> None:
    for name, word in broken_files(tmp_path).items():
        with pytest.raises(InputError) as refused:
            models.create("resnet18", in_features=64, weights=str(tmp_path / name))
        assert word in str(refused.value), name
        assert "\n" not in str(refused.value)


def test_that_the_convolutional_network_is_the_one_of_the_experiments() -> None:
    model = models.create("cnn", in_features=784, embedding=10)
    layers = [(type(layer).__name__, tuple(layer.weight.shape)) for layer in model.children()]
    assert layers == [
        ("Conv2d", (64, 1, 8, 8)),
        ("Conv2d", (128, 64, 6, 6)),
        ("Linear", (50, 128 * 7 * 7)),
        ("Linear", (512, 50)),
        ("Linear", (10, 512)),
    ]
    x = torch.randn(3, 784, generator=seeded(0))
    second = functional.relu(functional.conv2d(x.view(3, 1, 28, 28), model.conv1.weight, model.conv1.bias, 2, 3))
    second = functional.relu(functional.conv2d(second, model.conv2.weight, model.conv2.bias, 2, 2))
    rest = nn.Sequential(nn.Flatten(), model.fc1, nn.ReLU(), model.fc2, nn.ReLU(), model.output)
    assert torch.allclose(model(x), rest(second), atol=1e-5)


@pytest.mark.parametrize("name", ["cnn", "resnet18"])
@pytest.mark.parametrize(
    ("in_features", "shape"), [(64, None), (3 * 32 * 32, None), (2 * 5 * 9, (2, 5, 9)), (16, (1, 4, 4))]
)
def test_that_rows_of_pictures_of_many_shapes_are_taken(name, in_features, shape) -> None:
    model = models.create(name, in_features=in_features, image_shape=shape, embedding=4)
    x = torch.randn(3, in_features, generator=seeded(0))
    assert model(x).shape == (3, 4)
    channels, height, width = model.image_shape
    assert torch.equal(model.eval()(x), model(x.reshape(3, channels, height, width)))


def test_that_a_row_holds_one_channel_after_the_other() -> None:
    model = models.create("cnn", in_features=3 * 64, embedding=2)
    picture = torch.randn(1, 3, 8, 8, generator=seeded(0))
    red_first = torch.cat([picture[0, channel].flatten() for channel in range(3)])[None]
    first = functional.relu(functional.conv2d(picture, model.conv1.weight, model.conv1.bias, 2, 3))
    assert torch.allclose(model.with_hidden(red_first)[1]["conv1"], first.flatten(1), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "in_features", "shape", "word"),
    [
        ("cnn", 65, None, "65 features are no square picture"),
        ("resnet18", 2, None, "no square picture"),
        ("cnn", 64, (1, 8, 9), "Pictures of 1 x 8 x 9 have 72 numbers, but the data have 64"),
        ("cnn", 64, (64, 1, 1), "at least 4 x 4, not 1 x 1"),
        ("cnn", 0, None, "in_features = 0"),
    ],
)
def test_that_data_that_are_no_such_pictures_are_refused(name, in_features, shape, word) -> None:
    with pytest.raises(InputError, match=word):
        models.create(name, in_features=in_features, image_shape=shape)


def test_that_convolutions_spread_as_torchs_own_do() -> None:
    weights = models.create("cnn", in_features=3072).conv2.weight.detach()
    bound = 1 / math.sqrt(64 * 36)
    assert float(weights.abs().max()) <= bound
    assert float(weights.std()) == pytest.approx(bound / math.sqrt(3), rel=0.01)
