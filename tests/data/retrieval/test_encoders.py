"""Texts to vectors, by hashed words and by functions of the user's."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from hnm_core.data.base import LoadCancelled
from hnm_core.data.retrieval import read
from hnm_core.data.retrieval.encoders import encoded, encoded_blocks, encoder_of
from hnm_core.data.retrieval.hashed_words import HashedWords
from hnm_core.errors import InputError
from hnm_core.tokens import words_of
from tests.data.retrieval.conftest import write_lines

TEXTS = [
    "the oak is a tree of the wood",
    "the ash is a tree of the wood",
    "a fish swims in the sea",
    "readLine and read_line of HTTP2Server",
    "tree tree tree tree tree tree tree tree fish",
    "木 は 森 に ある",
    "",
]


def tf_idf_cosine(one: str, other: str, documents: list[str]) -> float:
    """By definition, in float64, of words and pairs."""

    def features(text: str) -> Counter[str]:
        words = words_of(text)
        return Counter([*words, *(f"{a} {b}" for a, b in pairwise(words))])

    rare = Counter(feature for text in documents for feature in features(text))

    def vector(text: str) -> dict[str, float]:
        return {
            feature: (0.5 if " " in feature else 1)
            * (1 + math.log(count))
            * (math.log((1 + len(documents)) / (1 + rare[feature])) + 1)
            for feature, count in features(text).items()
        }

    a, b = vector(one), vector(other)
    product = sum(value * b.get(feature, 0.0) for feature, value in a.items())
    return product / math.sqrt(sum(v * v for v in a.values()) * sum(v * v for v in b.values()))


def test_that_words_are_split_at_underscores_and_humps():
    assert words_of("readLine, read_line: ÉTÉ 2") == ["read", "line", "read", "line", "été", "2"]


def test_that_cosines_of_hashed_words_are_those_of_tf_idf_up_to_the_projection():
    wide = HashedWords(TEXTS, 1 << 14)(TEXTS).astype(np.float64)
    for row in range(6):
        for other in range(6):
            expected = tf_idf_cosine(TEXTS[row], TEXTS[other], TEXTS)
            assert wide[row] @ wide[other] == pytest.approx(expected, abs=4 / math.sqrt(1 << 14)), (row, other)
    assert tf_idf_cosine(TEXTS[0], TEXTS[1], TEXTS) > 0.3, "or the comparison shows nothing"


def test_that_vectors_have_length_1_and_do_not_depend_on_what_stands_beside_them():
    by = HashedWords(TEXTS)
    together = by(TEXTS)
    assert together.dtype == np.float32 and together.shape == (7, 512)
    assert np.allclose(np.linalg.norm(together[:6], axis=1), 1) and not together[6].any()
    assert np.array_equal(together, np.concatenate([by([text]) for text in TEXTS]))
    assert by([]).shape == (0, 512)


def test_that_a_rare_word_tells_more_than_a_common_one():
    documents = ["the a", "the b", "the c", "the d", "the rare"]
    query, common, rare = HashedWords(documents, 4096)(["the rare", "the", "rare"])
    assert query @ rare > query @ common


def test_that_vectors_are_the_same_on_every_machine():
    vector = HashedWords(["one"])(["one"])[0]
    expected = [0] * 512
    for draw in range(1, 9):  # by whole numbers of Python, which have no width
        mixed = (zlib.crc32(b"one") % (1 << 19) * 8 + draw) * 0x9E3779B97F4A7C15 % 2**64
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            mixed = (mixed ^ (mixed >> shift)) * factor % 2**64
        expected[(mixed >> 1) % 512] += 1 if mixed % 2 else -1
    assert np.allclose(vector, np.array(expected) / np.linalg.norm(expected))


@pytest.fixture
def made(tmp_path: Path):
    records = [{"query": f"what is {word}", "positive": f"{word} is a word"} for word in ("oak", "ash", "elm")]
    return read(str(write_lines(tmp_path / "pairs.jsonl", records)))


def test_that_a_set_of_texts_gets_embeddings_in_which_its_positives_are_nearest(made):
    with_vectors = encoded(made, batch=2)
    scores = with_vectors.queries.embeddings @ with_vectors.documents.embeddings.T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2]
    assert with_vectors.judgements is made.judgements and with_vectors.documents.text == made.documents.text


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module in the current folder."""
    (tmp_path / "my_encoders.py").write_text(
        "import numpy, torch\n"
        "def lengths(texts):\n    assert type(texts) is list\n    return [[len(text), 1] for text in texts]\n"
        "def tensors(texts):\n    return torch.ones(len(texts), 3, dtype=torch.bfloat16, requires_grad=True)\n"
        "def flat(texts):\n    return numpy.zeros(len(texts))\n"
        "def few(texts):\n    return numpy.zeros((1, 3))\n"
        "def words(texts):\n    return numpy.array([texts]).T\n"
        "def nan(texts):\n    return numpy.where(numpy.arange(len(texts))[:, None] == 1, numpy.nan, 1)\n"
        "def ragged(texts):\n    return numpy.zeros((len(texts), len(texts)))\n"
        "def fails(texts):\n    raise RuntimeError('no\\nmodel')\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)


def vectors(name: str, batch: int = 2) -> np.ndarray:
    with encoder_of(f"my_encoders:{name}", TEXTS) as by:
        return np.concatenate(list(encoded_blocks(TEXTS[:3], by, name, batch=batch)))


@pytest.mark.usefixtures("own")
def test_that_lists_and_tensors_of_a_function_of_the_user_are_taken():
    assert vectors("lengths").tolist() == [[29, 1], [29, 1], [23, 1]] and vectors("lengths").dtype == np.float32
    assert vectors("tensors").shape == (3, 3)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("flat", "returned float64 of the shape (2,); it must return (2, dimensions)"),
        ("few", "of the shape (1, 3)"),
        ("words", "returned <U29"),
        ("nan", "NaN or infinity for text 1"),
        ("ragged", "gave 2 numbers a text before and 1 now"),
        ("fails", "fails on 2 texts: RuntimeError: no."),
        ("number", "is int; it must be a function"),
        ("nothing", "cannot be loaded: AttributeError"),
    ],
)
def test_that_a_function_that_does_something_else_is_told_in_one_sentence(name: str, words: str):
    with pytest.raises(InputError) as caught:
        vectors(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_that_an_unknown_encoder_names_the_known_one():
    for name, words in (("bert", "Known: hashed-words"), ("my.py:f", "Name the module, not its file")):
        with pytest.raises(InputError, match=words), encoder_of(name, TEXTS):
            pass


def test_that_encoding_can_be_called_off(made):
    with pytest.raises(LoadCancelled):
        encoded(made, progress=lambda *_: False)


def test_that_a_set_without_texts_is_refused(tmp_path: Path):
    for side in ("queries", "documents"):
        np.save(tmp_path / f"{side}.npy", np.ones((2, 2), np.float32))
    (tmp_path / "qrels.tsv").write_text("0\t1\t1\n")
    with pytest.raises(InputError, match="has no texts to encode"):
        encoded(read(str(tmp_path)))
