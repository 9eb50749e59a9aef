"""The BEIR layout, and qrels as TREC and BEIR write them."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from hnm_core.data.retrieval import read
from tests.data.retrieval.conftest import CORPUS, QUERIES, Refusal, pairs_of, write_lines


def test_that_a_folder_is_read_as_it_is_with_ids_titles_grades_and_the_order_of_its_lines(beir):
    made = read(str(beir))
    assert made.name == "nfcorpus"
    assert list(made.documents.ids) == ["MED-10", "MED-14", "7"]
    assert made.documents.text[0] == "Statins Statins and breast cancer."
    assert made.documents.text[1] == "Grüße aus Köln: 日本語."
    assert list(made.queries.ids) == ["PLAIN-2", "PLAIN-3"]
    assert made.judgements.query.tolist() == [0, 0, 1]
    assert made.judgements.document.tolist() == [0, 1, 2]
    assert made.judgements.grade.tolist() == [1, 0, 2] and made.judgements.grade.dtype == np.float32
    assert made.judgements.query.dtype == made.judgements.document.dtype == np.int64
    assert made.negatives is None and made.queries.embeddings is None


def test_that_counts_and_what_was_left_out_are_said(beir):
    assert read(str(beir)).as_read == (
        "2 queries, 3 documents, 3 judgements, 1 of them not relevant. The grades of the relevant ones, all above 0, "
        "go from 1 to 2. Split 'test'. 1 query of another split is left out."
    )


def test_that_a_split_is_chosen_by_name_and_an_unknown_one_names_those_there_are(beir, refusal: Refusal):
    made = read(str(beir), split="train")
    assert list(made.queries.ids) == ["PLAIN-9"] and len(made.judgements) == 1
    assert "'dev'; there are: test, train" in refusal(beir, split="dev")
    (beir / "qrels" / "test.tsv").rename(beir / "qrels" / "dev.tsv")
    assert "several splits, dev, train; choose one by --split" in refusal(beir)
    (beir / "qrels" / "train.tsv").unlink()
    assert len(read(str(beir)).judgements) == 3


def test_that_a_query_that_two_splits_judge_is_in_both(beir):
    with (beir / "qrels" / "train.tsv").open("a") as file:
        file.write("PLAIN-3\tMED-10\t1\n")
    assert list(read(str(beir)).queries.ids) == ["PLAIN-2", "PLAIN-3"]
    assert list(read(str(beir), split="train").queries.ids) == ["PLAIN-3", "PLAIN-9"]


def test_that_a_text_beside_the_qrels_is_no_split(beir):
    (beir / "qrels" / "README.txt").write_text("How these were made.\n")
    made = read(str(beir))
    assert len(made.queries) == 2 and "Split 'test'." in made.as_read


def test_that_a_query_that_no_split_judges_is_kept_and_counted(beir):
    write_lines(beir / "queries.jsonl", [*QUERIES, {"_id": "q4", "text": "Judged by nobody"}])
    made = read(str(beir))
    assert list(made.queries.ids) == ["PLAIN-2", "PLAIN-3", "q4"]
    assert "1 query has no relevant document and is kept." in made.as_read


def test_that_gzipped_files_are_read_alike(beir):
    plain = read(str(beir))
    for path in [beir / "corpus.jsonl", beir / "queries.jsonl", beir / "qrels" / "test.tsv"]:
        with gzip.open(f"{path}.gz", "wb") as packed:
            packed.write(path.read_bytes())
        path.unlink()
    packed = read(str(beir))
    assert packed.as_read == plain.as_read and pairs_of(packed) == pairs_of(plain)


def test_that_a_truncated_gzip_file_is_refused(beir, refusal: Refusal):
    path = beir / "corpus.jsonl"
    content = gzip.compress(path.read_bytes())
    path.with_name("corpus.jsonl.gz").write_bytes(content[:-12])
    path.unlink()
    assert "is a damaged gzip file" in refusal(beir)


def test_that_ids_that_are_numbers_stay_numbers_and_text_stays_text(beir):
    write_lines(beir / "corpus.jsonl", [{"_id": one, "text": f"text {one}"} for one in (3, 2**62, 11)])
    write_lines(beir / "queries.jsonl", [{"_id": "007", "text": "who"}, {"_id": "7", "text": "else"}])
    (beir / "qrels" / "test.tsv").write_text("007\t11\t1\n7\t4611686018427387904\t1\n")
    (beir / "qrels" / "train.tsv").unlink()
    made = read(str(beir))
    assert isinstance(made.documents.ids, np.ndarray) and made.documents.ids.dtype == np.int64
    assert made.documents.ids.tolist() == [3, 2**62, 11]
    assert list(made.queries.ids) == ["007", "7"]
    assert made.judgements.document.tolist() == [2, 1]


@pytest.mark.parametrize(
    "text",
    [
        "PLAIN-2 0 MED-10 1\nPLAIN-2 0 MED-14 -2\nPLAIN-3 0 7 2\n",
        "PLAIN-2\t0\tMED-10\t1\n\nPLAIN-2\t0\tMED-14\t-2\nPLAIN-3\tQ0\t7\t2.0\n",
        "PLAIN-2\tMED-10\t1\r\nPLAIN-2\tMED-14\t-2\r\nPLAIN-3\t7\t2\r\n",
        "qid iter docid rel\nPLAIN-2 0 MED-10 1\nPLAIN-2 0 MED-14 -2\nPLAIN-3 0 7 2\n",
    ],
    ids=["TREC", "TREC with tabs", "three columns without names", "TREC with names"],
)
def test_that_qrels_of_each_kind_say_the_same(beir, tmp_path: Path, text: str):
    (tmp_path / "my.qrels").write_text(text, newline="")
    made = read(str(beir), qrels=str(tmp_path / "my.qrels"))
    assert {(pair[0][:4], pair[2]) for pair in pairs_of(made)} == {("Do s", 1.0), ("Do s", -2.0), ("What", 2.0)}
    assert made.judgements.relevant.tolist() == [True, False, True]


def test_that_ids_with_blanks_are_read_where_tabs_separate(beir, tmp_path: Path):
    write_lines(beir / "corpus.jsonl", [{"_id": "a b c", "text": "x"}])
    (tmp_path / "my.tsv").write_text("PLAIN-2\ta b c\t1\n")
    assert len(read(str(beir), qrels=str(tmp_path / "my.tsv")).judgements) == 1


def test_that_a_pair_judged_twice_counts_once_at_its_highest_grade(beir, tmp_path: Path):
    (tmp_path / "my.tsv").write_text("PLAIN-3\t7\t1\nPLAIN-3\t7\t2\nPLAIN-2\tMED-10\t1\nPLAIN-2\tMED-10\t1\n")
    made = read(str(beir), qrels=str(tmp_path / "my.tsv"))
    assert made.judgements.grade.tolist() == [1, 2]
    assert "2 pairs came more than once, 1 of them with another grade, and the highest counts." in made.as_read


def test_that_documents_that_are_queries_are_said(beir):
    write_lines(beir / "corpus.jsonl", [*CORPUS, {"_id": "c4", "text": QUERIES[0]["text"]}])
    assert "1 document is the text of a query too." in read(str(beir)).as_read


def test_that_qrels_of_unknown_ids_are_refused_with_counts(beir, refusal: Refusal):
    with (beir / "qrels" / "test.tsv").open("a") as file:
        file.write("PLAIN-2\tMED-99\t1\nPLAIN-3\tMED-99\t1\nPLAIN-3\tMED-98\t1\n")
    said = refusal(beir)
    assert "line 5, names the document 'MED-99', which is not in" in said and "corpus.jsonl" in said
    assert "3 of 6 judgements name 2 ids that are not there" in said
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nnobody\t7\t1\n")
    assert "names the query 'nobody'" in refusal(beir)


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"_id": "a", "text": "x"}, {"_id": "a", "text": "y"}], ["line 2, has the id 'a'", "line 1 has too"]),
        ([{"_id": "1", "text": "x"}, {"_id": 1, "text": "y"}], ["line 2, has the id '1'"]),
        ([{"id": "a", "text": "x"}, {"text": "y"}], ["line 1, has no '_id' among id, text", "the first of 2"]),
        ([{"_id": True, "text": "x"}], ["neither text nor a whole number"]),
        ([{"_id": "a", "title": "x"}], ["has no 'text' among _id, title"]),
        ([{"_id": "a", "text": ["x"]}], ["a 'title' or 'text' that is none"]),
        ([{"_id": "a", "title": "", "text": " "}, {"_id": "b", "text": ""}], ["empty text of document 'a'", "of 2 "]),
        ([], ["holds no document"]),
    ],
    ids=["twice", "twice as number", "no id", "truth", "no text", "list", "empty", "nothing"],
)
def test_that_a_corpus_that_is_none_is_refused_with_the_place_and_counts(beir, refusal: Refusal, records, words):
    write_lines(beir / "corpus.jsonl", records)
    said = refusal(beir)
    assert all(word in said for word in words), said
    assert "corpus.jsonl" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("PLAIN-2\t7\tyes\nPLAIN-2\t7\tnan\n", ["line 1, has the grade 'yes'", "the first of 2"]),
        ("PLAIN-2\t7\t1e39\n", ["is no finite number"]),
        ("PLAIN-2 Q0 7 1 0.5 run\n", ["6 values, which is a TREC run"]),
        ("PLAIN-2\t7\n", ["has 2 values, but qrels are TREC lines"]),
        ("PLAIN-2\t7\t1\nPLAIN-3\t7\n", ["line 2, has 2 values, and the first has 3"]),
        ("PLAIN-2\t\t1\n", ["lacks the id"]),
        ("", ["holds no judgements"]),
        ("PLAIN-2\t7\t0\n", ["no grade above 0 in 1 judgement"]),
    ],
    ids=["words", "too large", "run", "two", "ragged", "no id", "empty", "nothing relevant"],
)
def test_that_qrels_that_are_none_are_refused(beir, refusal: Refusal, text: str, words):
    (beir / "qrels" / "test.tsv").write_text(text)
    said = refusal(beir)
    assert all(word in said for word in words), said


def test_that_a_folder_that_lacks_a_part_says_what_it_lacks_what_it_holds_and_what_would_do(beir, refusal: Refusal):
    shutil.rmtree(beir / "qrels")
    said = refusal(beir)
    assert "lacks judgements (qrels/test.tsv, qrels.tsv or --qrels)" in said
    assert "It holds corpus.jsonl, queries.jsonl." in said
    assert "BEIR layout" in said and "pairs in .jsonl" in said and "code-search" in said
    assert '{"query": "...", "positive": "..."}' in said
