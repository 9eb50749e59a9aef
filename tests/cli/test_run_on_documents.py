"""`hnm-lab run` on queries and documents: from a file of pairs to a recording that is read back; what is refused."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core.data import pair_review
from hnm_core.data.retrieval import read
from hnm_core.recording import open_recording, replay
from hnm_core.run.events import RunFinished, StepRecord
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import Request
from hnm_core.studies.made_of import made_of, other_files
from hnm_core.studies.over_documents import towers_of
from hnm_core.training import retrieval_request
from hnm_core.training.judged_lists import judged_lists
from hnm_core.training.retrieval_config import asked_as, with_settings
from hnm_core.training.retrieval_experiment import read_data
from tests.cli.conftest import Lab, Start

LITTLE = """
steps = 4
batch = 8
eval_every = 2
frame_every = 2
[retrieval]
source = "{pairs}"
[towers]
rows = 512
width = 8
embedding = 8
[[lanes]]
name = "in-batch"
[[lanes]]
name = "lsh"
negatives = "lsh"
refresh_every = 2
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """A file of 40 pairs."""
    lines = [json.dumps({"query": f"what is number {n}", "positive": f"{n} follows {n - 1}"}) for n in range(40)]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def little(tmp_path: Path, pairs: Path) -> Path:
    """A configuration of two lanes on these."""
    path = tmp_path / "little.toml"
    path.write_text(LITTLE.format(pairs=pairs))
    return path


def test_that_a_run_on_documents_is_recorded_and_read_back(lab: Lab, little: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    ended = lab("run", little, "--steps", "6", "--seed", "3", "--set", "lanes.lsh.warmup=2", "--record", folder)
    assert ended.status == 0
    table = ended.out.split("\n\n")[0].splitlines()
    assert table[0].split("  ")[0] == "lane"
    assert all(
        name in table[0] for name in ("MRR@10", "nDCG@10", "recall@10", "recall@100", "search recall", "mine ms")
    )
    assert [row.split()[:2] for row in table[1:3]] == [["in-batch", "6"], ["lsh", "6"]]
    assert table[3].split()[0] == "chance"
    assert "40 queries, 40 documents" in ended.err

    recording = open_recording(folder)
    assert is_over_documents(recording.config.data.name)
    assert (recording.config.seed, recording.config.lane("lsh").warmup) == (3, 2)
    events = list(replay(folder))
    assert isinstance(events[-1], RunFinished)
    assert events[-1].steps == {"in-batch": 6, "lsh": 6}
    last = next(event for event in reversed(events) if isinstance(event, StepRecord) and event.lane == "lsh")
    assert 0 < last.metrics["mining_recall"] <= 1
    assert f"{last.metrics['mrr_at_10']:.3f}" == table[2].split()[2]
    told = lab("inspect", folder)
    assert told.status == 0
    assert table[2].split()[2:6] == next(row.split()[2:6] for row in told.out.splitlines() if row.startswith("lsh "))
    exported = lab("export", folder, "--to", "csv", "--out", tmp_path / "csv")
    assert "mrr_at_10" in (tmp_path / "csv" / "lsh.steps.csv").read_text().splitlines()[0]
    assert exported.status == 0


def test_that_the_preset_takes_data_of_ones_own_and_other_ways_to_negatives(lab: Lab, pairs: Path) -> None:
    ended = lab("run", "--preset", "code-search", "--data", pairs, "--steps", "2", "--set", "batch=8",
                "--miner", "random", "--miner", "knn", "--json")  # fmt: skip
    assert ended.status == 0
    first, *_, last = map(json.loads, ended.out.splitlines())
    assert first["config"]["title"] == "pairs.jsonl"
    assert [lane["miner"] for lane in first["config"]["lanes"]] == ["random", "knn"]
    assert last["type"] == "RunFinished" and last["steps"] == {"random": 2, "knn": 2}


def test_that_a_lane_of_the_preset_that_needs_a_missing_library_is_left_out_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        retrieval_request.importlib.util, "find_spec", lambda name: None if name == "bm25s" else find(name)
    )
    config, notes = retrieval_request.resolve_retrieval(Request(preset="code-search"))
    assert [lane.name for lane in config.lanes] == ["in-batch", "exact", "lsh", "aware"]
    assert notes == [retrieval_request.BM25_MISSING.format(lane="bm25")]
    monkeypatch.undo()
    if find("bm25s") is not None:
        assert retrieval_request.resolve_retrieval(Request(preset="code-search"))[1] == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--device", "cuda"], "--device cuda is not allowed: queries and documents are trained on the cpu"),
        (["--checkpoint-every", "5"], "--checkpoint-every is not allowed"),
        (["--review", "some.jsonl"], "Cannot read 'some.jsonl': No such file"),
        (["--data", "nowhere.jsonl"], "There is no file or folder 'nowhere.jsonl'"),
        (["--data", "digits"], "'digits' has classes, not queries and documents"),
        (["--set", "lanes.lsh.negatives=luck"], "Unknown kind of negatives 'luck'"),
        (["--set", "bathc=3"], "Did you mean batch?"),
        (["--set", "retrieval.source="], "Say which queries and documents"),
    ],
)
def test_that_what_such_a_run_cannot_be_is_refused_in_a_sentence(
    lab: Lab, little: Path, asked: list[str], said: str
) -> None:
    ended = lab("run", little, *asked)
    assert ended.status == 2
    assert said in ended.err
    assert len(ended.err.strip().splitlines()) == 1


def test_that_a_run_obeys_the_review_of_its_pairs_and_tells_it_in_its_first_lines(
    lab: Lab, little: Path, pairs: Path, tmp_path: Path
) -> None:
    review, folder = tmp_path / "decided.jsonl", tmp_path / "run"
    judged = read(str(pairs))
    ids = [pair_review.id_of(judged.documents, row) for row in range(4)]
    asking = pair_review.id_of(judged.queries, 0)
    with pair_review.reviewing(review, pair_review.subject(judged)) as ongoing:
        for document, verdict in zip(ids[1:], ("relevant", "drop", "keep"), strict=True):
            ongoing.decide(pair_review.PairDecision(asking, document, verdict))
    ended = lab("run", little, "--review", review, "--record", folder)
    assert ended.status == 0
    first = ended.err.splitlines()[0]
    assert "'decided.jsonl' 1 more documents are relevant to a query, 1 are not, and 1 are neither" in first
    told = open_recording(folder).config
    assert told.data.options["review"] == str(review)
    data = read_data(asked_as(told).retrieval)
    lists = judged_lists(data)
    assert lists.positives.at(torch.tensor([0])).row.tolist() == [0, 1]
    assert lists.left_out.at(torch.tensor([0])).row.tolist() == [2]
    again = lab("evaluate", folder)
    assert again.status == 0 and "By the review 'decided.jsonl'" in again.out + again.err
    assert {str(pairs), str(review)} == set(made_of(asked_as(told))["files"]), "kept results know of both"

    vectors, mined = tmp_path / "vectors", tmp_path / "mined.jsonl"
    written = lab("embed", folder, vectors, "--lane", "lsh")
    assert written.status == 0 and f"`mine --review '{review}'` obeys it" in written.err
    assert lab("mine", vectors, mined, "--review", review, "--format", "ids", "--num-negatives", "38").status == 0
    first = json.loads(mined.read_text().splitlines()[0])
    assert first["positive_ids"] == ids[:2] and ids[2] not in first["negative_ids"] and ids[3] in first["negative_ids"]
    listed = lab("review", review, "--run", folder, "--lane", "lsh", "--list", "--json")
    assert listed.status == 0 and json.loads(listed.out)["suspects"] >= 0
    assert "embeds by what it has learnt" in lab("review", review, "--run", folder, "--encoder", "hashed-words").err

    pairs.write_text(pairs.read_text().replace("number 7", "number seven"))
    changed = lab("run", little, "--review", review)
    assert changed.status == 2 and "is a review of other data" in changed.err


def test_that_the_window_refuses_what_such_a_run_cannot_be_before_it_opens(lab: Lab, little: Path) -> None:
    for asked in ([little], ["--preset", "code-search"]):
        ended = lab("gui", *asked, "--device", "cuda")
        assert ended.status == 2
        assert "queries and documents are trained on the cpu" in ended.err


def test_that_ctrl_c_ends_such_a_run_between_two_steps_with_a_whole_recording(
    start: Start, little: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "run", tmp_path / "out"
    os.mkfifo(out)
    run = start("run", little, "--steps", "1000000", "--record", folder, "--json", out=out)
    with out.open() as lines:
        assert any('"step": 3,' in line for line in lines)
        run.send(signal.SIGINT)
        lines.read()
    assert run.wait().status == 130
    finished = open_recording(folder).finished
    assert isinstance(finished, RunFinished) and finished.stopped
    assert finished.steps["in-batch"] == finished.steps["lsh"] > 0


def test_that_seeds_are_compared_by_mrr_with_a_verdict_and_go_on_in_the_same_folder(
    lab: Lab, little: Path, tmp_path: Path
) -> None:
    asked = ["compare", little, "--seeds", "2", "--out", tmp_path / "out", "--metric", "mrr_at_10"]
    ended = lab(*asked, "--metric", "recall_at_10", "--json")
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    assert told["seeds"] == [0, 1]
    assert {(line["lane"], line["metric"]) for line in told["lines"]} == {("lsh", "mrr_at_10"), ("lsh", "recall_at_10")}
    assert all(line["verdict"] in ("better", "worse", "no difference", "not told apart") for line in told["lines"])
    assert told["lanes"]["lsh"]["mrr_at_10"]["seeds"] == 2
    kept = (tmp_path / "out" / "seed-1.json").stat().st_mtime_ns
    again = lab(*asked)
    assert again.status == 0
    assert (tmp_path / "out" / "seed-1.json").stat().st_mtime_ns == kept
    assert "MRR@10, paired by seed" in again.out and "of the MRR@10 of in-batch" in again.out
    mean = told["lanes"]["lsh"]["mrr_at_10"]["mean"]
    assert f"{mean:.4f}" in next(line for line in again.out.splitlines() if line.startswith("lsh "))


def test_that_other_contents_of_the_pairs_are_other_data(lab: Lab, little: Path, pairs: Path, tmp_path: Path) -> None:
    asked = ["compare", little, "--seeds", "2", "--steps", "1", "--out", tmp_path / "out"]
    assert lab(*asked).status == 0
    pairs.write_text(pairs.read_text().replace("follows", "precedes"))
    ended = lab(*asked)
    assert ended.status == 2 and "holds results of other contents" in ended.err


def test_that_lanes_on_documents_are_judged_by_what_is_measured_there_alone(lab: Lab, little: Path) -> None:
    for option, value, said in (("--metric", "map_at_r", "mrr_at_10, "), ("--base", "knn", "in-batch, lsh")):
        ended = lab("compare", little, option, value)
        assert ended.status == 2 and said in ended.err


def test_that_evaluate_gives_such_lanes_the_scores_they_ended_with(
    lab: Lab, little: Path, pairs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert lab("run", little, "--record", folder).status == 0
    told = json.loads(lab("evaluate", folder, "--json").out)
    assert "8 held-out queries, each against 40 documents" in told["of"] and told["notes"] == []
    last = {e.lane: e.metrics for e in replay(folder) if isinstance(e, StepRecord) and "mrr_at_10" in e.metrics}
    for lane, metrics in last.items():
        measured = {name: value for name, value in metrics.items() if name in told["figures"][lane]}
        assert len(measured) >= 5 and told["figures"][lane] == pytest.approx(told["figures"][lane] | measured)
    assert told["figures"]["chance"] == pytest.approx(open_recording(folder).started.chance)
    assert [row[0] for row in told["rows"]][:2] == ["MRR@10", "nDCG@10"]
    other = lab("evaluate", folder, "--data", pairs, "--k", "7", "--codes")
    assert "40 queries, each against 40 documents" in other.err
    assert "--k has no effect" in other.err and "--codes has no effect" in other.err

    pairs.write_text(pairs.read_text() + '\n{"query": "one more", "positive": "of these"}')
    grown = lab("evaluate", folder)
    assert grown.status == 2 and "82 queries and documents by now" in grown.err
    for asked, said in (
        (["evaluate", folder, "--data", "digits"], "'digits' has classes, not queries and documents"),
        (["evaluate", folder, "--tsne", tmp_path / "map.png"], "--tsne is not allowed"),
        (["embed", folder, pairs, tmp_path / "vectors.npz"], "a folder, whose name has no ending"),
        (["embed", folder, pairs, tmp_path / "vectors", "--lane", "knn"], "no lane 'knn'"),
    ):
        ended = lab(*asked)
        assert ended.status == 2 and said in ended.err, ended.err
        assert len(ended.err.strip().splitlines()) == 1


def test_that_embed_writes_queries_and_documents_as_mining_reads_them(
    lab: Lab, little: Path, pairs: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "run", tmp_path / "vectors"
    lines = [{"_id": f"q-{n}", "text": f"what is number {n}"} for n in range(12)]
    (tmp_path / "set" / "qrels").mkdir(parents=True)
    (tmp_path / "set" / "queries.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (tmp_path / "set" / "corpus.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"d-{n}", "text": f"{n} follows {n - 1}"}) for n in range(12))
    )
    judged = "".join(f"q-{n}\td-{n}\t1\n" for n in range(12))
    (tmp_path / "set" / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    assert lab("run", little, "--record", folder).status == 0
    ended = lab("embed", folder, tmp_path / "set", out, "--lane", "lsh")
    assert ended.status == 0 and "24 items in 8 dimensions" in ended.err
    made = read(str(out))
    assert list(made.queries.ids) == [f"q-{n}" for n in range(12)]
    assert list(made.documents.ids) == [f"d-{n}" for n in range(12)]
    towers, note = towers_of(open_recording(folder), "lsh")
    assert note == ""
    expected = towers.embed([line["text"] for line in lines], "query").numpy()
    np.testing.assert_array_equal(made.queries.embeddings, expected)
    assert lab("mine", out, tmp_path / "mined.jsonl").status == 0
    own = lab("embed", folder, tmp_path / "own")
    assert own.status == 0 and len(read(str(tmp_path / "own")).documents) == 40


@pytest.mark.thorough
def test_that_tune_searches_on_a_validation_part_of_the_queries(lab: Lab, little: Path, tmp_path: Path) -> None:
    asked = ["tune", little, "--option", "optimizer.lr=1e-8,0.05", "--steps", "30", "--out", tmp_path / "out"]
    ended = lab(*asked, "--lane", "lsh", "--json")
    assert ended.status == 0, ended.err
    told = json.loads(ended.out)
    assert (told["lane"], told["metric"], told["columns"][-1]) == ("lsh", "mrr_at_10", "mrr_at_10, validation")
    assert sorted(one["values"]["optimizer.lr"] for one in told["trials"]) == [1e-8, 0.05]
    for option, value, said in (("--metric", "map_at_r", "mrr_at_10, "), ("--lane", "knn", "in-batch, lsh")):
        wrong = lab(*asked, option, value)
        assert wrong.status == 2 and said in wrong.err


def test_that_results_on_the_functions_of_python_know_which_python() -> None:
    config, _notes = retrieval_request.resolve_retrieval(Request(preset="code-search"))
    before = made_of(config)
    assert before["files"]["code-search"].endswith(platform.python_version())
    other = {**before, "files": {"code-search": "CPython 3.1.0"}}
    assert other_files(other, before) == ["code-search"]
    installed = made_of(with_settings(config, ["retrieval.options.packages=installed"]))
    assert other_files(before, installed) == ["code-search"]
