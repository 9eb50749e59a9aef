"""Texts as words, words as rows of a table, and the towers that embed them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core.errors import InputError
from hnm_core.models.bag import BagOptions, TwoTowers, Words
from hnm_core.models.words import hashed
from hnm_core.tokens import words_of

SMALL = BagOptions(rows=512, width=16, embedding=8)
TEXTS = ["read a file", "", "def getHTTPResponse2(url): return url_open(url)", "the file is read", "größer als Ωmega"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Return the file's name.", ["return", "the", "file", "s", "name"]),
        ("getHTTPResponse2_from_URL", ["get", "http", "response", "2", "from", "url"]),
        ("__init__ x1 HTTPServer", ["init", "x", "1", "http", "server"]),
        ("Größe Straße ﬁne ＡＢＣ", ["grösse", "strasse", "fine", "abc"]),
        ("文档 поиск", ["文档", "поиск"]),
        ("  \n\t--- ", []),
    ],
)
def test_that_identifiers_and_any_script_become_words(text: str, words: list[str]) -> None:
    assert words_of(text) == words


def test_that_words_are_hashed_alike_in_every_process() -> None:
    code = f"from hnm_core.models.words import hashed; print([v.tolist() for v in hashed({TEXTS!r}, 512)])"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.strip() == str([values.tolist() for values in hashed(TEXTS, 512)])
    row, starts = hashed(["a b c", "c"], 1 << 20)
    assert (len(row), starts.tolist()) == (6, [0, 5])
    assert row[2] == row[5], "a word is the same in every text"
    assert len(hashed(["a b c"], 1 << 20, pairs=False)[0]) == 3


def test_that_an_embedding_is_the_layer_of_the_mean_of_the_words() -> None:
    towers = TwoTowers(SMALL)
    found = towers.embed(TEXTS, "query", batch=2)
    table, layer = towers.query_tower.table.weight, towers.query_tower.layer
    for text, vector in zip(TEXTS, found, strict=True):
        row, _ = hashed([text], 512)
        mean = table[torch.from_numpy(row)].mean(0) if len(row) else torch.zeros(16)
        torch.testing.assert_close(vector, layer(mean).detach())
    assert Words(TEXTS, SMALL).empty == 1
    assert towers.embed([], "query").shape == (0, 8)


def test_that_some_texts_in_any_order_embed_as_they_do_among_all() -> None:
    towers, words = TwoTowers(SMALL), Words(TEXTS, SMALL)
    which = np.array([4, 0, 0, 1])
    torch.testing.assert_close(towers(words, "document", which), towers(words, "document")[torch.from_numpy(which)])


def test_that_towers_are_one_or_two_and_begin_alike() -> None:
    for shared in (True, False):
        towers = TwoTowers(SMALL.model_copy(update={"shared": shared}), torch.Generator().manual_seed(1))
        assert torch.equal(towers.embed(TEXTS, "query"), towers.embed(TEXTS, "document"))
        towers(Words(TEXTS, SMALL), "query").sum().backward()
        with torch.no_grad():
            for parameter in towers.parameters():
                if parameter.grad is not None:
                    parameter -= parameter.grad
        assert torch.equal(towers.embed(TEXTS, "query"), towers.embed(TEXTS, "document")) == shared


def test_that_weights_come_from_the_generator_and_dropout_from_its_own() -> None:
    one, same, other = (TwoTowers(SMALL, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(one.embed(TEXTS, "query"), same.embed(TEXTS, "query"))
    assert not torch.equal(one.embed(TEXTS, "query"), other.embed(TEXTS, "query"))
    dropping = TwoTowers(SMALL.model_copy(update={"dropout": 0.5}))
    words = Words(TEXTS, SMALL)
    first, second = (dropping(words, "query", None, torch.Generator().manual_seed(0)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, dropping.embed(TEXTS, "query"))
    assert dropping.training, "embedding leaves the mode as it was"


@pytest.mark.parametrize("shared", [True, False])
def test_that_saved_towers_come_back_with_their_options_as_plain_tensors(tmp_path: Path, shared: bool) -> None:
    options = SMALL.model_copy(update={"shared": shared, "dropout": 0.25, "pairs": False})
    towers = TwoTowers(options, torch.Generator().manual_seed(5))
    towers.save(tmp_path / "towers.pt")
    assert all(isinstance(v, torch.Tensor) for v in torch.load(tmp_path / "towers.pt", weights_only=True).values())
    back = TwoTowers.load(tmp_path / "towers.pt")
    assert back.options == options
    assert torch.equal(back.embed(TEXTS, "document"), towers.embed(TEXTS, "document"))


def test_that_what_is_no_list_of_texts_or_no_file_of_towers_is_refused(tmp_path: Path) -> None:
    towers = TwoTowers(SMALL)
    with pytest.raises(InputError, match="not one text"):
        towers.embed("read a file", "query")
    with pytest.raises(InputError, match="not a int"):
        towers.embed(["a", 3], "query")  # type: ignore[list-item]
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    towers.save(tmp_path / "towers.pt")
    state = torch.load(tmp_path / "towers.pt", weights_only=True)
    torch.save(state | {"option.rows": torch.tensor(2.0**24)}, tmp_path / "huge.pt")
    with pytest.raises(InputError, match="its options say"):
        TwoTowers.load(tmp_path / "huge.pt")
    with pytest.raises(InputError, match="no two towers"):
        TwoTowers.load(tmp_path / "other.pt")
