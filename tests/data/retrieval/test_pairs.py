"""Pairs as sentence-transformers, FlagEmbedding and Tevatron write them."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from hnm_core.data.retrieval import read
from tests.data.retrieval.conftest import Refusal, negatives_of, pairs_of, write_lines

TRIPLETS = [
    {"anchor": "a1", "positive": "p1", "negative": "n1"},
    {"anchor": "a1", "positive": "p2", "negative": "n1"},
    {"anchor": "a2", "positive": "p1", "negative": "p2"},
]
JUDGED = {("a1", "p1", 1.0), ("a1", "p2", 1.0), ("a2", "p1", 1.0)}
NEGATIVES = {("a1", "n1"), ("a2", "p2")}


def write_table(path: Path, records: list[dict], delimiter: str = ",") -> Path:
    """As the module csv writes it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, records[0], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(records)
    return path


def write_parquet(path: Path, records: list[dict]) -> Path:
    pyarrow.parquet.write_table(pa.Table.from_pylist(records), path)
    return path


@pytest.mark.parametrize("ending", ["jsonl", "json", "csv", "tsv", "parquet", "jsonl.gz"])
def test_that_triplets_are_read_from_every_kind_of_file(tmp_path: Path, ending: str):
    path = tmp_path / f"train.{ending}"
    match ending:
        case "csv":
            write_table(path, TRIPLETS)
        case "tsv":
            write_table(path, TRIPLETS, "\t")
        case "parquet":
            write_parquet(path, TRIPLETS)
        case "jsonl.gz":
            path.write_bytes(gzip.compress("".join(json.dumps(one) + "\n" for one in TRIPLETS).encode()))
        case _:
            write_lines(path, TRIPLETS)
    made = read(str(path))
    assert pairs_of(made) == JUDGED and negatives_of(made) == NEGATIVES
    assert made.queries.ids.tolist() == [0, 1]
    assert list(made.documents.text) == ["p1", "n1", "p2"] and made.documents.ids.tolist() == [0, 1, 2]
    assert made.judgements.query.tolist() == [0, 0, 1] and made.judgements.document.tolist() == [0, 2, 0]
    assert made.as_read == (
        "2 queries, 3 documents, 3 judgements. 2 negatives came with them. Columns: query 'anchor'; positive "
        "'positive'; negative 'negative'. 3 queries are 2 different ones and 6 documents are 3 different ones: the "
        "same text is the same one."
    )


@pytest.mark.parametrize(
    ("query", "positive"),
    [
        ("anchor", "positive"),
        ("query", "answer"),
        ("question", "passage"),
        ("Query", "Document"),
        ("query", "positive"),
    ],
)
def test_that_columns_are_known_by_name_wherever_they_stand(tmp_path: Path, query: str, positive: str):
    records = [{"source": "web", positive: f"p{row}", query: f"q{row}", "url": "x"} for row in range(2)]
    made = read(str(write_lines(tmp_path / "pairs.jsonl", records)))
    assert pairs_of(made) == {("q0", "p0", 1.0), ("q1", "p1", 1.0)} and made.negatives is None
    assert "left out: source, url" in made.as_read


def test_that_other_columns_go_by_their_order_without_ids(tmp_path: Path):
    records = [
        {"id": f"i{row}", "sentence1": f"q{row}", "sentence2": f"p{row}", "other": f"n{row}"} for row in range(2)
    ]
    made = read(str(write_parquet(tmp_path / "pairs.parquet", records)))
    assert pairs_of(made) == {("q0", "p0", 1.0), ("q1", "p1", 1.0)} and negatives_of(made) == {
        ("q0", "n0"),
        ("q1", "n1"),
    }
    assert (
        "Columns by their order: query 'sentence1'; positive 'sentence2'; negative 'other'; left out: id"
        in made.as_read
    )


def test_that_an_n_tuple_brings_all_its_negatives(tmp_path: Path):
    records = [{"anchor": "a", "positive": "p", **{f"negative_{place}": f"n{place}" for place in range(1, 5)}}]
    made = read(str(write_parquet(tmp_path / "tuples.parquet", records)))
    assert negatives_of(made) == {("a", f"n{place}") for place in range(1, 5)}
    assert "4 negatives, 'negative_1' to 'negative_4'" in made.as_read


def test_that_records_of_json_may_have_each_another_number_of_negatives(tmp_path: Path):
    records = [
        {"anchor": "a", "positive": "p"},
        {"anchor": "b", "positive": "p", "negative_1": "m", "negative_2": "n"},
        {"anchor": "c", "positive": "p", "negative_1": "m", "negative_2": None},
    ]
    made = read(str(write_lines(tmp_path / "tuples.jsonl", records)))
    assert negatives_of(made) == {("b", "m"), ("b", "n"), ("c", "m")}


@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_that_labelled_pairs_are_judgements_of_both_kinds(tmp_path: Path, ending: str):
    records = [
        {"sentence1": "a", "sentence2": "p", "label": 1},
        {"sentence1": "a", "sentence2": "n", "label": 0},
        {"sentence1": "b", "sentence2": "p", "label": 1},
    ]
    write = {"jsonl": write_lines, "csv": write_table, "parquet": write_parquet}[ending]
    made = read(str(write(tmp_path / f"pairs.{ending}", records)))
    assert pairs_of(made) == {("a", "p", 1.0), ("a", "n", 0.0), ("b", "p", 1.0)}
    assert negatives_of(made) == {("a", "n")}
    assert "3 judgements, 1 of them not relevant." in made.as_read


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_that_labelled_lists_are_judgements_of_each_document(tmp_path: Path, ending: str):
    records = [{"anchor": "a", "docs": ["p", "n"], "labels": [1, 0]}, {"anchor": "b", "docs": ["q"], "labels": [0.5]}]
    write = {"jsonl": write_lines, "parquet": write_parquet}[ending]
    made = read(str(write(tmp_path / f"lists.{ending}", records)))
    assert pairs_of(made) == {("a", "p", 1.0), ("a", "n", 0.0), ("b", "q", 0.5)}


def test_that_the_score_of_a_triplet_is_no_judgement(tmp_path: Path):
    records = [{"query": "a", "positive": "p", "negative": "n", "score": -3.5}]
    made = read(str(write_lines(tmp_path / "margins.jsonl", records)))
    assert pairs_of(made) == {("a", "p", 1.0)} and "left out: score" in made.as_read


def test_that_flag_embedding_is_read_with_several_positives_and_none(tmp_path: Path):
    records = [
        {"query": "a", "pos": ["p1", "p2"], "neg": ["n1", "p1"], "pos_scores": [0.9, 0.8], "prompt": "x"},
        {"query": "b", "pos": [], "neg": ["n1"]},
        {"query": "c", "pos": ["p2"]},
    ]
    made = read(str(write_lines(tmp_path / "flag.jsonl", records)))
    assert pairs_of(made) == {("a", "p1", 1.0), ("a", "p2", 1.0), ("c", "p2", 1.0)}
    assert negatives_of(made) == {("a", "n1"), ("b", "n1")}
    assert len(made.queries) == 3
    assert "1 query has no relevant document and is kept." in made.as_read
    assert "1 negative that is also a positive of the query was left out." in made.as_read


@pytest.mark.parametrize("name", ["pos", "neg"])
def test_that_a_text_where_a_list_belongs_is_refused_by_name(tmp_path: Path, refusal: Refusal, name: str):
    records = [{"query": "a", "pos": ["p"], "neg": ["n"]}] + [
        {"query": "a", "pos": ["p"], "neg": ["n"], name: "text"}
    ] * 2
    said = refusal(write_lines(tmp_path / "flag.jsonl", records))
    assert f"line 2, has a text as '{name}', where a list of texts belongs (the first of 2 records" in said


def test_that_tevatron_is_read_with_its_ids_and_titles(tmp_path: Path):
    records = [
        {
            "query_id": "q1",
            "query": "who",
            "positive_passages": [{"docid": "d1", "title": "T", "text": "one"}, {"docid": "d2", "text": "two"}],
            "negative_passages": [{"docid": "d3", "title": "", "text": "two"}],
        },
        {
            "query_id": "q2",
            "query": "who",
            "positive_passages": [{"docid": "d3", "title": None, "text": "two"}],
            "negative_passages": [],
        },
    ]
    for made in (
        read(str(write_lines(tmp_path / "tevatron.jsonl", records))),
        read(str(write_parquet(tmp_path / "tevatron.parquet", records))),
    ):
        assert list(made.queries.ids) == ["q1", "q2"] and list(made.queries.text) == ["who", "who"]
        assert list(made.documents.ids) == ["d1", "d2", "d3"]
        assert list(made.documents.text) == ["T one", "two", "two"]
        assert made.judgements.document.tolist() == [0, 1, 2]
        assert made.negatives is not None and made.negatives.document.tolist() == [2]


def test_that_one_id_for_two_texts_is_refused(tmp_path: Path, refusal: Refusal):
    records = [
        {"query_id": f"q{row}", "query": f"who {row}", "positive_passages": [{"docid": "d", "text": f"text {row}"}]}
        for row in range(3)
    ]
    said = refusal(write_lines(tmp_path / "tevatron.jsonl", records))
    assert "line 2, gives the id 'd' to another document than a line before (the first of 2 " in said


@pytest.mark.parametrize(
    ("records", "words"),
    [
        ([{"query": "a", "positive": "p"}, {"query": "a", "positive": ""}], "line 2, has a document that is empty"),
        ([{"query": " ", "positive": "p"}], "line 1, has a query that is empty"),
        (
            [{"query": "a", "positive": "p"}, {"query": "a"}, {"query": "b"}],
            "line 2, has no 'positive' (the first of 2",
        ),
        ([{"query": ["a"], "positive": "p"}], "has a list as 'query', not text"),
        ([{"query": "a", "positive": 7}], "has a number as 'positive', not text"),
        ([{"query": "a", "positive": ["p", 7]}], "something in the list 'positive' that is no text"),
        ([{"query": "a", "pos": []}], "has no query with a positive"),
        ([{"query": "a", "pos": ["p"]}, {"pos": ["p"]}], "line 2, has no 'query'"),
        ([{"a": "x", "label": 1}], "has a, label; a set of pairs has a query and a positive by name"),
        ([{"_id": "1", "text": "x"}], "give its folder, which has corpus.jsonl"),
        ([{"query": "a", "positive": "p", "label": "yes"}], "the label 'yes', which is no finite number"),
        ([{"query": "a", "docs": ["p", "q"], "labels": [1]}], "has 1 label for 2 documents"),
        ([{"query": "a", "positive_passages": "p"}], "has a text as 'positive_passages', not a list"),
        ([{"query": "a", "positive_passages": [{"docid": "d"}]}], "has a passage without a 'text'"),
        (
            [{"query": "a", "positive_passages": [{"docid": "d", "text": "x"}, {"text": "y"}]}],
            "lacks the id of a document; give all one",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_that_records_that_are_no_pairs_are_refused_with_the_place(tmp_path: Path, refusal: Refusal, records, words):
    said = refusal(write_lines(tmp_path / "pairs.jsonl", records))
    assert words in said, said


def test_that_tables_that_are_none_are_refused_with_the_line(tmp_path: Path, refusal: Refusal):
    path = tmp_path / "pairs.csv"
    for content, words in (
        ("query,positive\na,b\na\n", "line 3, has 1 value, but the first line names 2 columns"),
        ('query,positive\na,"b\n', "is not valid CSV"),
        ("query,query\na,b\n", "several columns called 'query'"),
        ("query,positive\n", "holds no records"),
        (",\n", "is empty; its first line must name the columns"),
    ):
        path.write_text(content)
        assert words in refusal(path)
    path.write_text('query,positive\n"a, ""quoted""\nin two lines",b\n')
    assert pairs_of(read(str(path))) == {('a, "quoted"\nin two lines', "b", 1.0)}


def test_that_a_table_whose_lines_end_by_carriage_returns_alone_is_read(tmp_path: Path, refusal: Refusal):
    path = tmp_path / "old.csv"
    path.write_bytes(b'query;positive\r"What, is\rthis?";An oak\r\rAnd that?;"An ""elm"""\r\r\nA mix;Of both\r\n')
    pairs = [("What, is\rthis?", "An oak"), ("And that?", 'An "elm"'), ("A mix", "Of both")]
    assert pairs_of(read(str(path))) == {(*pair, 1.0) for pair in pairs}
    path.write_bytes(b"query,positive\ra,b\rc\r")
    assert "line 3, has 1 value" in refusal(path)


def test_that_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path: Path, refusal: Refusal):
    columns = [pa.array(["a", "b"]), pa.array(["c", "d"]), pa.array(["e", "f"])]
    pyarrow.parquet.write_table(pa.table(columns, names=["query", "positive", "positive"]), tmp_path / "twice.parquet")
    assert "several columns called 'positive'" in refusal(tmp_path / "twice.parquet")


def test_that_a_parquet_file_that_is_none_is_refused(tmp_path: Path, refusal: Refusal):
    path = write_parquet(tmp_path / "pairs.parquet", TRIPLETS)
    path.write_bytes(path.read_bytes()[:-30])
    assert "is no .parquet file, or it is damaged" in refusal(path)


def test_that_other_files_are_refused_with_what_would_do(tmp_path: Path, refusal: Refusal):
    (tmp_path / "pairs.xml").write_text("<a/>")
    for source, words in (
        (tmp_path / "pairs.xml", "ends in '.xml', and a set of queries and documents is a folder in the BEIR layout"),
        (tmp_path / "nothing.jsonl", "There is no file or folder"),
        ("digits", "has classes, not queries and documents"),
        ("", "What was named lacks queries (queries.jsonl, queries.npy or --queries) and documents"),
    ):
        said = refusal(source)
        assert words in said and "pairs in .jsonl, .parquet, .csv or .tsv" in said
    path = write_lines(tmp_path / "pairs.jsonl", TRIPLETS)
    assert "holds its queries and documents itself; --split is for folders" in refusal(path, split="test")
    assert "--qrels is for folders" in refusal(path, qrels=path)


def test_that_what_was_taken_for_names_grades_or_columns_is_said(tmp_path: Path):
    path = tmp_path / "pairs.csv"
    path.write_text("what is a,a is one\nwhat is b,b is two\n")
    made = read(str(path))
    assert len(made.queries) == 1
    assert made.as_read.endswith("positive 'a is one'. The first line is taken for their names.")
    path.write_text(",query,positive\n0,what is a,a is one\n")
    assert "left out: one without a name." in read(str(path)).as_read
    path.write_text("sentence1,sentence2,score\nq,a,0.9\nq,b,0.1\nq,c,0\n")
    assert (
        "3 judgements, 1 of them not relevant. The grades of the relevant ones, all above 0, go from 0.1 to 0.9."
        in (read(str(path)).as_read)
    )
    write_lines(tmp_path / "plain.jsonl", [{"query": "q", "positive": "p"}])
    assert "grades" not in read(str(tmp_path / "plain.jsonl")).as_read


def test_that_bytes_in_the_place_of_text_are_called_what_they_are(tmp_path: Path, refusal: Refusal):
    table = pa.table({"query": pa.array([b"a"], pa.binary()), "positive": ["c"]})
    pyarrow.parquet.write_table(table, tmp_path / "bytes.parquet")
    assert "has bytes as 'query', not text" in refusal(str(tmp_path / "bytes.parquet"))
