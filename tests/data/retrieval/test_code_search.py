"""Docstrings and the functions that they describe."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

from hnm_core import data
from hnm_core.data.base import LoadCancelled
from hnm_core.data.retrieval import code_search, read
from hnm_core.errors import InputError
from hnm_core.spec import config
from hnm_core.spec.compatibility import check
from hnm_core.spec.resources import preset_path
from hnm_core.system import user_folders
from tests.data.retrieval.conftest import pairs_of

SOURCE = '''# -*- coding: latin-1 -*-
raise SystemExit("this is parsed, never run")
\x0c
class Tree:
    """A tree of things that grow."""

    @property
    def height(self):
        """Return the height of
        the tree.  In metres, as ever.

        More is told here.
        """
        # counted anew
        total = "é\\d"
        return total

    def undocumented(self):
        a = 1
        return a

    @height.setter
    def height(self, value):
        """Set the height to a value."""
        self._height = value
        self._changed = True

if True:
    async def grow(tree):
        "Let it grow."; tree.age += 1

        return tree

    def again(tree): """Too short to be taken here."""

def inner():
    """Only the outer one counts."""
    def deeper():
        """This one is inside another."""
        return 1
    return deeper
'''


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A library of one module, some that cannot be parsed, and a cache of its own."""
    folder = tmp_path / "lib"
    (folder / "tests").mkdir(parents=True)
    (folder / "trees.py").write_bytes(SOURCE.encode("latin-1"))
    (folder / "broken.py").write_text("def f(:\n")
    (folder / "bytes.py").write_bytes(b"x = '\xff'\n")
    (folder / "zero.py").write_bytes(b"x = 1\0\n")
    (folder / "deep.py").write_text("(" * 100_000)
    (folder / "tests" / "test_trees.py").write_text(
        'def f():\n    """Tests are left out."""\n    a = 1\n    return a\n'
    )
    monkeypatch.setattr(code_search, "_folders", lambda _options: [folder])
    monkeypatch.setattr(user_folders, "cache_folder", lambda: tmp_path / "cache")
    return folder


def test_that_sentences_and_functions_without_their_docstrings_are_taken(sources: Path):
    made = read("code-search")
    assert list(made.queries.text) == [
        "Return the height of the tree.",
        "Set the height to a value.",
        "Let it grow.",
        "Only the outer one counts.",
    ]
    assert list(made.documents.ids) == ["trees:Tree.height", "trees:Tree.height#2", "trees:grow", "trees:inner"]
    assert list(made.queries.ids) == list(made.documents.ids)
    assert made.documents.text[0] == 'def height(self):\n    # counted anew\n    total = "é\\d"\n    return total'
    assert made.documents.text[1].startswith("def height(self, value):\n    self._height") and len(pairs_of(made)) == 4


def test_that_a_docstring_with_code_on_its_line_leaves_that_code(sources: Path):
    (sources / "trees.py").write_text(
        'def one(a,\n        b): """Join the two numbers."""; c = a + b; d = 1\n'
        'def two(a):\n    r"""Say a and\n    no more."""; b = a\n    return b\n'
        'def three(a):\n    """Say a three times."""  # indeed\n    b = 3 * a\n    return b\n'
    )
    found = {place: code for place, _, code in code_search.pairs_of(sources / "trees.py", "t")}
    assert found == {
        "t:one": "def one(a, b):\n    c = a + b\n    d = 1",
        "t:two": "def two(a):\n    b = a\n    return b",
        "t:three": "def three(a):\n    b = 3 * a\n    return b",
    }


def test_that_what_was_found_is_kept_and_made_anew_where_it_is_damaged(sources: Path, monkeypatch: pytest.MonkeyPatch):
    first = read("code-search")
    (kept,) = (sources.parent / "cache" / "code-search").iterdir()
    assert platform.python_version() in kept.name and str(kept) in first.as_read
    (sources / "trees.py").unlink()
    again = read("code-search")
    assert pairs_of(again) == pairs_of(first) and again.as_read == first.as_read
    assert list(again.documents.ids) == list(first.documents.ids)
    kept.write_bytes(kept.read_bytes()[:-20])
    with pytest.raises(InputError, match="no sources of Python"):
        read("code-search")


def test_that_another_python_or_other_packages_are_kept_apart(sources: Path, monkeypatch: pytest.MonkeyPatch):
    read("code-search")
    read("code-search", options={"packages": "installed"})
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    read("code-search")
    assert len(list((sources.parent / "cache" / "code-search").iterdir())) == 3


def test_that_it_can_be_called_off(sources: Path):
    with pytest.raises(LoadCancelled):
        read("code-search", progress=lambda *_: False)
    assert not (sources.parent / "cache").exists()


def test_that_the_standard_library_holds_thousands_of_pairs_and_near_duplicates():
    made = read("code-search")
    assert len(made.queries) > 3_000 and len(made.documents) > len(made.queries)
    assert made.judgements.relevant.all() and len(set(made.documents.text)) == len(made.documents)
    assert len(set(made.documents.ids)) == len(made.documents)
    assert all(text.lstrip().startswith(("def ", "async def ")) for text in made.documents.text)


def test_that_training_refuses_it_and_says_what_it_is_for():
    with pytest.raises(
        InputError,
        match=r"'code-search' holds queries and documents .*`hnm-lab run --preset",
    ):
        data.create("code-search")
    with pytest.raises(InputError, match="holds queries and documents"):
        data.create("label-noise", of="code-search")
    asked = config.load(preset_path("digits")).to_dict() | {"data": {"name": "code-search"}}
    (refused,) = [one for one in check(config.from_dict(asked, "test")) if one.level == "refuse"]
    assert refused.rule == "C41" and "holds queries and documents" in refused.sentence
