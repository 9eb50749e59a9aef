"""Code search: the first sentence of a docstring is the query, the function without its docstring the document.

Functions are taken from the sources that Python itself, or whatever is installed beside it, brings to every machine.
They are parsed and never imported. What was found is kept, so that the next call reads one file.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import inspect
import json
import platform
import re
import sysconfig
import textwrap
import tokenize
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from hnm_core.data.base import Progress, report
from hnm_core.data.judged import JudgedSet
from hnm_core.data.options import CodeSearchOptions
from hnm_core.data.retrieval.pair_builder import PairBuilder
from hnm_core.data.retrieval.records import json_rows
from hnm_core.errors import InputError
from hnm_core.system import user_folders
from hnm_core.system.regular_files import read_regular
from hnm_core.system.whole_files import whole_file

FORM = 1
"""Of what is kept; another number makes it anew."""
FEWEST_WORDS = 3
"""Of a query: fewer say nothing, such as "Deprecated."."""
FEWEST_LINES = 3
"""Of a function without its docstring: the line of its name and two more."""
LARGEST_SOURCE = 4 << 20
"""Bytes; what is longer are tables."""
LEFT_OUT = frozenset({"test", "tests", "idle_test", "__pycache__", "site-packages", "dist-packages"})
"""Folders: tests say little of what they do, and packages beside the standard library are none of it."""

Pair = tuple[str, str, str]
"""Where the function is, as `module:name`; the sentence; the source."""


def build(options: CodeSearchOptions, *, seed: int, progress: Progress | None = None) -> JudgedSet:
    """The pairs of `options.packages`, from the kept file or anew. The seed changes nothing.

    Raises:
        InputError: this Python comes without its sources.
        LoadCancelled: the progress callback returned False.
    """
    kept = _kept_file(options)
    pairs = _read_kept(kept, progress)
    if pairs is None:
        pairs = [pair for folder in _folders(options) for pair in _pairs_below(folder, progress)]
        if not pairs:
            raise InputError(f"There are no sources of Python to take functions from in '{_folders(options)[0]}'.")
        _keep(kept, pairs)
    builder, taken = PairBuilder(by_text=True), Counter[str]()
    for place, sentence, source in pairs:
        taken[place] += 1
        one = place if taken[place] == 1 else f"{place}#{taken[place]}"  # as of a property that can be set
        builder.judge(builder.query(sentence, place, one), source, 1.0, place, one)
    return builder.build("code-search", [f"Functions of {_whence(options)}, kept in '{kept}'."], "code-search")


def _whence(options: CodeSearchOptions) -> str:
    python = f"Python {platform.python_version()}"
    return f"{python}'s standard library" if options.packages == "standard" else f"all packages of {python}"


def _folders(options: CodeSearchOptions) -> list[Path]:
    known = sysconfig.get_paths()
    names = ["stdlib"] if options.packages == "standard" else ["stdlib", "purelib", "platlib"]
    return list(dict.fromkeys(Path(known[name]) for name in names))


def _kept_file(options: CodeSearchOptions) -> Path:
    """Where pairs are kept, under a name that changes with the version of Python and with what is installed."""
    key = [FORM, options.found_in, *map(str, _folders(options))]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    folder = user_folders.writable(user_folders.cache_folder()) / "code-search"
    return folder / f"{options.packages}-{platform.python_version()}-{digest}.jsonl"


def _read_kept(path: Path, progress: Progress | None) -> list[Pair] | None:
    """What is kept there; None where nothing is, or it is damaged."""
    with suppress(OSError, InputError, KeyError):
        return [(record["place"], record["query"], record["code"]) for _, record in json_rows(path, progress)] or None
    return None


def _keep(path: Path, pairs: list[Pair]) -> None:
    """Keep them for the next call, where that can be written."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as part, part.open("w", encoding="utf-8", newline="\n") as file:
            for place, sentence, source in pairs:
                file.write(json.dumps({"place": place, "query": sentence, "code": source}) + "\n")


def _pairs_below(folder: Path, progress: Progress | None) -> Iterator[Pair]:
    """The pairs of all sources below a folder, in the order of their paths."""
    sources = sorted(path for path in folder.rglob("*.py") if not LEFT_OUT.intersection(path.relative_to(folder).parts))
    for done, path in enumerate(sources):
        report(progress, done, len(sources), f"reading the sources in {folder.name}")
        module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        yield from pairs_of(path, module)
    report(progress, len(sources), len(sources), f"reading the sources in {folder.name}")


def pairs_of(path: Path, module: str) -> Iterator[Pair]:
    """The pairs of one source, in the order of its lines; none of what cannot be parsed.

    Args:
        path: of the source.
        module: how it is called, for places.
    """
    try:
        raw = read_regular(path, LARGEST_SOURCE)
        encoding, _ = tokenize.detect_encoding(iter(raw.splitlines(keepends=True)).__next__)
        text = raw.decode(encoding)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a source of somebody else's should have escaped
            tree = ast.parse(text)
    except (OSError, SyntaxError, ValueError, LookupError, RecursionError, MemoryError):
        return
    lines = re.split(r"\r\n?|\n", text)  # as Python counts them, which form feeds do not end
    for name, function in _functions(tree, ""):
        sentence, code = first_sentence(ast.get_docstring(function)), _without_docstring(function, lines)
        if len(sentence.split()) >= FEWEST_WORDS and code.count("\n") + 1 >= FEWEST_LINES:
            yield f"{module}:{name}", sentence, code


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Functions and methods with their qualified names; not those inside other functions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from _functions(child, prefix)


def first_sentence(docstring: str | None) -> str:
    """The first sentence of the first paragraph, on one line; empty where there is none."""
    paragraph = inspect.cleandoc(docstring or "").split("\n\n")[0]
    words = " ".join(paragraph.split())
    end = words.find(". ")
    return words if end < 0 else words[: end + 1]


def _without_docstring(function: ast.FunctionDef | ast.AsyncFunctionDef, lines: list[str]) -> str:
    """The source of a function from its `def` on, without its docstring and the indentation that all of it has."""
    last = function.end_lineno or function.lineno
    if not function.body or ast.get_docstring(function) is None:
        return textwrap.dedent("\n".join(lines[function.lineno - 1 : last]))
    docstring = function.body[0]
    end_line, end_column = docstring.end_lineno or last, docstring.end_col_offset or 0
    beside = (lines[docstring.lineno - 1].encode()[: docstring.col_offset], lines[end_line - 1].encode()[end_column:])
    if any(part.strip() and not part.lstrip().startswith(b"#") for part in beside):
        bare = copy.copy(function)
        bare.body, bare.decorator_list = function.body[1:] or [ast.Pass()], []
        return ast.unparse(bare)
    before, after = lines[function.lineno - 1 : docstring.lineno - 1], lines[end_line:last]
    return textwrap.dedent("\n".join([*before, *after])).rstrip()
