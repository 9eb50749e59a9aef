"""Embeddings of queries and documents with qrels, in every kind of file that people keep them in."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from hnm_core.data.retrieval import read
from hnm_core.data.retrieval.matrices import read_matrix
from hnm_core.errors import InputError
from tests.data.retrieval.conftest import Refusal
from tests.families import one_in

RNG = np.random.default_rng(0)
QUERIES, DOCUMENTS = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=(5, 4)).astype(np.float32)
QRELS = "q2 0 d4 1\nq0 0 d1 2\nq0 0 d0 0\n"
NAMES = {"queries": [f"q{row}" for row in range(3)], "documents": [f"d{row}" for row in range(5)]}


def save_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As the library safetensors lays a file out."""
    import json

    header, content = {}, b""
    for name, array in arrays.items():
        raw = np.ascontiguousarray(array).tobytes()
        kind = {"float32": "F32", "float16": "F16", "int64": "I64"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [len(content), len(content) + len(raw)]}
        content += raw
    told = json.dumps(header).encode()
    path.write_bytes(len(told).to_bytes(8, "little") + told + content)


def save(folder: Path, side: str, values: np.ndarray, ending: str) -> Path:
    """One side in a file of its own; ids are in it where such files have them, and beside it elsewhere."""
    path = folder / f"{side}.{ending}"
    ids = NAMES[side]
    match ending:
        case "npy":
            np.save(path, values)
        case "npz":
            np.savez(path, embeddings=values, ids=np.array(ids))
            return path
        case "parquet":
            pyarrow.parquet.write_table(pa.table({"id": ids, "embedding": list(values)}), path)
            return path
        case "safetensors":
            save_safetensors(path, {"embeddings": values})
        case "pt":
            torch.save({"embeddings": torch.from_numpy(values), "ids": torch.arange(len(values))}, path)
            return path
    (folder / f"{ {'queries': 'query', 'documents': 'document'}[side] }_ids.txt").write_text("\n".join(ids) + "\n")
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize("ending", ["npy", "npz", "parquet", "safetensors", "pt"])
def test_that_a_folder_of_embeddings_is_read_from_every_kind_of_file(tmp_path: Path, ending: str, dtype: type):
    if ending == "safetensors" and dtype is np.float64:
        dtype = np.float16
    for side, values in (("queries", QUERIES), ("documents", DOCUMENTS)):
        save(tmp_path, side, values.astype(dtype), ending)
    (tmp_path / "qrels.txt").write_text(QRELS if ending != "pt" else QRELS.replace("q", "").replace("d", ""))
    made = read(str(tmp_path))
    assert made.documents.embeddings is not None and made.documents.embeddings.dtype == np.float32
    assert np.array_equal(made.documents.embeddings, DOCUMENTS.astype(dtype).astype(np.float32))
    assert np.array_equal(made.queries.embeddings, QUERIES.astype(dtype).astype(np.float32))
    if ending == "pt":
        assert made.documents.ids.dtype == np.int64 and made.documents.ids.tolist() == list(range(5))
    else:
        assert list(made.documents.ids) == NAMES["documents"] and list(made.queries.ids) == NAMES["queries"]
    assert made.judgements.query.tolist() == [0, 0, 2] and made.judgements.document.tolist() == [0, 1, 4]
    assert made.judgements.grade.tolist() == [0, 2, 1]
    assert "1 query has no relevant document" in made.as_read and made.documents.text is None


@pytest.mark.parametrize("ending", ["npz", "safetensors", "pt"])
def test_that_one_file_may_hold_both_sides_by_name(tmp_path: Path, ending: str):
    arrays = {"queries": QUERIES, "documents": DOCUMENTS}
    path = tmp_path / f"set.{ending}"
    match ending:
        case "npz":
            np.savez(path, **arrays)
        case "safetensors":
            save_safetensors(path, arrays)
        case "pt":
            torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    (tmp_path / "qrels.tsv").write_text("0\t4\t1\n")
    made = read(str(path), qrels=str(tmp_path / "qrels.tsv"))
    assert np.array_equal(made.queries.embeddings, QUERIES) and np.array_equal(made.documents.embeddings, DOCUMENTS)
    assert "Ids of the documents are their rows, counted from 0." in made.as_read


def test_that_files_are_named_one_by_one_with_ids_of_their_own(tmp_path: Path):
    np.save(tmp_path / "q.npy", QUERIES)
    np.save(tmp_path / "d.npy", DOCUMENTS)
    np.save(tmp_path / "di.npy", np.array([70, 60, 50, 40, 30]))
    (tmp_path / "qi.txt").write_text("a\nb\nc\n\n")
    (tmp_path / "my.tsv").write_text("b\t40\t1\n")
    named = {
        name: str(tmp_path / file) for name, file in (("queries", "q.npy"), ("documents", "d.npy"), ("qrels", "my.tsv"))
    }
    made = read(**named, query_ids=str(tmp_path / "qi.txt"), document_ids=str(tmp_path / "di.npy"))
    assert list(made.queries.ids) == ["a", "b", "c"] and made.documents.ids.tolist() == [70, 60, 50, 40, 30]
    assert made.judgements.query.tolist() == [1] and made.judgements.document.tolist() == [3]


def test_that_ids_stand_beside_both_sides_in_one_file(tmp_path: Path):
    path = tmp_path / "both.npz"
    ids = {"query_ids": np.array(["a", "b", "c"]), "document_ids": np.array([70, 60, 50, 40, 30])}
    np.savez(path, queries=QUERIES, documents=DOCUMENTS, **ids)
    (tmp_path / "qrels.tsv").write_text("b\t40\t1\n")
    made = read(str(path), qrels=str(tmp_path / "qrels.tsv"))
    assert list(made.queries.ids) == ["a", "b", "c"] and made.documents.ids.tolist() == [70, 60, 50, 40, 30]
    assert made.judgements.query.tolist() == [1] and made.judgements.document.tolist() == [3]


@pytest.mark.parametrize("kind", ["sparse", "float8"])
def test_that_tensors_that_numpy_cannot_have_are_refused_in_a_sentence(tmp_path: Path, refusal: Refusal, kind: str):
    documents = torch.from_numpy(DOCUMENTS)
    odd = documents.to_sparse() if kind == "sparse" else documents.to(torch.float8_e4m3fn)
    torch.save({"queries": torch.from_numpy(QUERIES), "documents": odd}, tmp_path / "both.pt")
    (tmp_path / "qrels.tsv").write_text("0\t4\t1\n")
    said = refusal(tmp_path / "both.pt", qrels=tmp_path / "qrels.tsv")
    assert kind in said and "save it dense and in float32" in said


def test_that_embeddings_beside_texts_go_by_the_lines_of_the_texts(beir: Path):
    np.save(beir / "queries.npy", QUERIES)
    np.save(beir / "documents.npy", DOCUMENTS[:3])
    made = read(str(beir))
    assert np.array_equal(made.queries.embeddings, QUERIES[:2]), "the third is of another split"
    assert np.array_equal(made.documents.embeddings, DOCUMENTS[:3]) and made.documents.text[2].startswith("Oak")
    assert np.array_equal(read(str(beir), split="train").queries.embeddings, QUERIES[2:])


def folder_of(tmp_path: Path, queries: Any = QUERIES, documents: Any = DOCUMENTS) -> Path:
    np.save(tmp_path / "queries.npy", queries)
    np.save(tmp_path / "documents.npy", documents)
    (tmp_path / "qrels.tsv").write_text("0\t4\t1\n")
    return tmp_path


def changed(values: np.ndarray, value: float) -> np.ndarray:
    return np.where(np.arange(len(values))[:, None] > 1, value, values)


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        (changed(DOCUMENTS, np.nan), "NaN, infinity or a number too large for 32 bits in row 2"),
        (changed(DOCUMENTS.astype(np.float64), 1e39), "3 of 5 rows are like that"),
        (DOCUMENTS[0], "of the shape (4,)"),
        (DOCUMENTS[:, :3], "has 4 dimensions and"),
        (np.array([["a"]]), "holds <U1 of the shape (1, 1)"),
        (np.array([[{}]], object), "holds Python objects, which are never loaded"),
        (DOCUMENTS[:0], "of the shape (0, 4)"),
        (DOCUMENTS.astype(np.complex64), "holds complex64"),
    ],
    ids=["nan", "large", "flat", "narrow", "text", "objects", "none", "complex"],
)
def test_that_what_is_no_embedding_is_refused(tmp_path: Path, refusal: Refusal, documents: np.ndarray, words: str):
    assert words in refusal(folder_of(tmp_path, documents=documents))


def test_that_a_damaged_header_is_told_wherever_it_is_damaged(tmp_path: Path, refusal: Refusal):
    path = folder_of(tmp_path) / "documents.npy"
    whole = path.read_bytes()
    for place in range(10, whole.index(b"\n")):
        path.write_bytes(whole[:place] + b"(" + whole[place + 1 :])
        try:
            read(str(tmp_path))  # blanks behind the header say nothing
        except InputError as error:
            assert "is no .npy file, or it is damaged" in str(error) or "documents.npy" in str(error)


def test_that_embeddings_of_zeros_are_counted(tmp_path: Path):
    made = read(str(folder_of(tmp_path, documents=changed(DOCUMENTS, 0))))
    assert "3 embeddings of the documents are zero." in made.as_read


def test_that_by_columns_and_big_endian_and_whole_numbers_are_read(tmp_path: Path):
    for kind in (np.asfortranarray(DOCUMENTS), DOCUMENTS.astype(">f4")):
        assert np.array_equal(read(str(folder_of(tmp_path, documents=kind))).documents.embeddings, DOCUMENTS)
    whole = np.arange(20, dtype=np.int16).reshape(5, 4)
    assert np.array_equal(
        read(str(folder_of(tmp_path, documents=whole))).documents.embeddings, whole.astype(np.float32)
    )


def test_that_parts_that_do_not_go_together_are_refused(tmp_path: Path, refusal: Refusal):
    folder = folder_of(tmp_path)
    (folder / "document_ids.txt").write_text("a\nb\n")
    assert "has 5 rows, and" in refusal(folder)
    (folder / "document_ids.txt").write_text("a\nb\na\nd\ne\n")
    assert "id 2 (counted from 0), has the id 'a'" in refusal(folder)
    (folder / "document_ids.txt").write_text("a\n\nb\nd\ne\n")
    assert "has no id in line 2" in refusal(folder)
    (folder / "document_ids.txt").unlink()
    np.savez(folder / "documents.npz", x=DOCUMENTS)
    assert "holds 'documents.npy' and 'documents.npz', which both could be" in refusal(folder)
    (folder / "documents.npy").unlink()
    np.savez(folder / "documents.npz", a=DOCUMENTS, b=DOCUMENTS)
    assert "has a, b; embeddings are the only array" in refusal(folder)
    np.savez(folder / "documents.npz", x=DOCUMENTS, ids=np.arange(4))
    assert "has 5 rows, and there are 4 ids beside it" in refusal(folder)
    (folder / "documents.npz").unlink()
    assert "lacks documents (corpus.jsonl, documents.npy or --documents). It holds qrels.tsv, queries.npy." in refusal(
        folder
    )
    (folder / "corpus.jsonl").write_text('{"_id": "a", "text": "x"}\n')
    assert "are embeddings of the queries, but there are none of the documents" in refusal(folder)
    np.savez(folder / "documents.npz", x=DOCUMENTS[:1], ids=np.array(["b"]))
    assert "Row 0 (counted from 0) has the id 'a' in" in refusal(folder)
    assert "no file of ids" in refusal(folder, document_ids=folder / "qrels.tsv")
    assert "There is no file 'nowhere', which --queries names" in refusal(folder, queries="nowhere")
    assert "holds no embeddings: files of embeddings end in .npy" in refusal(folder, documents=folder / "qrels.tsv")


def test_that_a_pt_file_that_could_run_code_is_not_loaded(tmp_path: Path, refusal: Refusal):
    folder = folder_of(tmp_path)
    torch.save({"x": print}, folder / "d.pt")
    assert "could run code" in refusal(folder, documents=folder / "d.pt")


def test_that_a_truncated_npy_is_refused(tmp_path: Path, refusal: Refusal):
    folder = folder_of(tmp_path)
    content = (folder / "documents.npy").read_bytes()
    (folder / "documents.npy").write_bytes(content[:-1])
    assert "is damaged: it ends before its 5 x 4 numbers do" in refusal(folder)
    (folder / "documents.npy").write_bytes(content[:30])
    assert "is no .npy file, or it is damaged" in refusal(folder)


def test_that_parquet_with_several_columns_of_vectors_takes_the_one_called_so(tmp_path: Path, refusal: Refusal):
    folder = folder_of(tmp_path)
    (folder / "documents.npy").unlink()
    other = list(DOCUMENTS * 2)
    pyarrow.parquet.write_table(pa.table({"other": other, "embedding": list(DOCUMENTS)}), folder / "documents.parquet")
    assert np.array_equal(read(str(folder)).documents.embeddings, DOCUMENTS)
    pyarrow.parquet.write_table(pa.table({"one": other, "other": other}), folder / "documents.parquet")
    assert "has 2 columns of vectors among one, other" in refusal(folder)


MEASURED = """
import resource, sys
import numpy as np
from hnm_core.data.retrieval import read
read(sys.argv[1])
resource.setrlimit(resource.RLIMIT_DATA, (900 << 20, 900 << 20))  # 488 MiB of them are the embeddings
made = read(sys.argv[2])
assert made.documents.embeddings.shape == (1_000_000, 128), made.documents.embeddings.shape
assert made.documents.embeddings.dtype == np.float32
assert not made.documents.embeddings.flags.writeable
made.documents.embeddings[-1].sum()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_DATA") or sys.platform != "linux", reason="needs Linux's limits")
@pytest.mark.parametrize("kind", one_in(2, [np.float32, np.float64]))
def test_that_a_million_embeddings_are_in_memory_once(tmp_path: Path, kind: type[np.floating[Any]]):
    small, large = tmp_path / "small", tmp_path / "large"
    for folder in (small, large):
        folder.mkdir()
        folder_of(folder, np.ones((3, 128), np.float32), np.ones((5, 128), np.float32))
    (large / "documents.npy").unlink()
    mapped = np.lib.format.open_memmap(large / "documents.npy", "w+", kind, (1_000_000, 128))
    mapped[-1] = 1  # the rest are holes
    mapped.flush()
    subprocess.run([sys.executable, "-c", MEASURED, small, large], check=True, timeout=120)


@pytest.mark.parametrize("ending", ["npy", "npz", "parquet", "safetensors", "pt"])
def test_that_embeddings_that_the_memory_does_not_hold_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
):
    path = save(tmp_path, "documents", np.ones((5, 2000), np.float32), ending)
    monkeypatch.setattr("hnm_core.system.memory.free", lambda: 39_000)
    with pytest.raises(InputError, match=rf"^The memory does not suffice for .*documents\.{ending}'"):
        read_matrix(path, ("documents",))


CUT = """
import os, sys
import numpy as np
from hnm_core.data.retrieval import matrices, read
from hnm_core.errors import InputError
matrices.BLOCK_BYTES = 1 << 16
folder, cut_at = sys.argv[1], int(sys.argv[2])
path = os.path.join(folder, "documents.npy")

def cut(done, total, what):
    if what == "reading documents.npy" and done >= cut_at:
        os.truncate(path, 1 << 12)
    return True

try:
    made = read(folder, progress=cut)
except InputError as error:
    print(error)
else:
    os.truncate(path, 1 << 12)
    assert (made.documents.embeddings == 1).all()
    print("whole")
"""


def cut(folder: Path, at: int) -> str:
    """What is told of documents that another program cuts short once so many of them are read."""
    command = [sys.executable, "-c", CUT, str(folder), str(at)]
    return subprocess.run(command, check=True, timeout=120, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("kind", [np.float32, np.float16])
def test_that_a_file_that_is_cut_short_while_it_is_read_is_told_in_a_sentence(
    tmp_path: Path, kind: type[np.floating[Any]]
):
    path = folder_of(tmp_path, np.ones((3, 128), np.float32), np.ones((5, 128), np.float32)) / "documents.npy"
    np.save(path, np.ones((3000, 128), kind))
    assert cut(tmp_path, 1000) == f"'{path}' is damaged: it has become shorter while it was read."


def test_that_a_file_that_is_cut_short_once_it_is_read_changes_nothing(tmp_path: Path):
    path = folder_of(tmp_path, np.ones((3, 128), np.float32), np.ones((5, 128), np.float32)) / "documents.npy"
    np.save(path, np.ones((3000, 128), np.float32))
    assert cut(tmp_path, 3000) == "whole"
