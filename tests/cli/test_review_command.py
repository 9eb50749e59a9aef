"""`hnm-lab review` and what obeys it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hnm_core.cli.commands import make_app
from hnm_core.data.review import read
from hnm_core.spec.request import Request, resolve
from tests.forked import Forks

NOISY = ("--data", "label-noise", "--set", "data.options.noise=0.1")


def test_that_the_queue_is_listed_with_what_it_is_worth(tmp_path: Path) -> None:
    out = str(tmp_path / "r.jsonl")
    result = CliRunner().invoke(make_app(), ["review", out, *NOISY, "--list", "--most", "3"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["item", "labelled", "rather"]
    assert "True labels are known: 180 are wrong." in result.stderr
    assert not (tmp_path / "r.jsonl").exists()
    document = json.loads(CliRunner().invoke(make_app(), ["review", out, *NOISY, "--list", "--json"]).stdout)
    assert document["truth"]["first_wrong"] > 0.95
    assert len(document["queue"]) == 100


def test_that_keys_decide_and_a_second_sitting_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    first = CliRunner().invoke(make_app(), ["review", str(out), *NOISY], input="kd\nr u R s x q")
    assert first.exit_code == 0
    assert [decision.verdict for decision in read(out).decisions] == ["keep", "drop", "relabel"]
    assert "'x' is no key here" in first.stderr
    assert "'relabel' is taken back" in first.stderr
    assert first.stdout.splitlines()[-1] == str(out)
    second = CliRunner().invoke(make_app(), ["review", str(out), *NOISY, "--most", "2"], input="ddd")
    assert second.exit_code == 0
    decided = [decision.item for decision in read(out).decisions]
    assert len(decided) == len(set(decided)) == 5, "nobody is asked twice, and no more than two were asked for"
    assert "1 of 2: item" in second.stdout


def test_that_a_run_obeys_a_review_and_its_settings_reach_the_set_below(tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    CliRunner().invoke(make_app(), ["review", str(out), *NOISY], input="d" * 20)
    request = Request(data="label-noise", settings=("data.options.noise=0.1", "data.held_out=0.5"), review=out)
    config = resolve(request)
    assert config.data.name == "reviewed"
    assert config.data.options["of_options"] == {"noise": 0.1}
    assert config.data.held_out == 0.5
    result = CliRunner().invoke(make_app(), ["run", "--preset", "digits", *NOISY, "--review", str(out), "--steps", "1"])
    assert result.exit_code == 0
    assert "0 items have another label, 20 are left out" in result.stderr


def test_that_mining_obeys_a_review(tmp_path: Path) -> None:
    out, mined = tmp_path / "r.jsonl", tmp_path / "mined.jsonl"
    CliRunner().invoke(make_app(), ["review", str(out), "--data", "label-noise"], input="d" * 20)
    dropped = {decision.item for decision in read(out).decisions}
    result = CliRunner().invoke(
        make_app(), ["mine", "label-noise", str(mined), "--format", "ids", "--review", str(out)]
    )
    assert result.exit_code == 0
    records = [json.loads(line) for line in mined.read_text().splitlines()]
    seen = {item for record in records for item in (record["query_id"], *record["negative_ids"])}
    assert len(records) == 1_797 - 20
    assert not seen & dropped
    refused = CliRunner().invoke(make_app(), ["mine", "code-search", str(tmp_path / "x.jsonl"), "--review", str(out)])
    assert refused.exit_code == 2
    assert "is no decision of a review of queries and documents" in refused.stderr


def judged(folder: Path) -> Path:
    """Three queries with an answer each; to the first two a nearer document that nobody judged, to the third one that
    was judged not to be an answer."""
    folder.mkdir()
    (folder / "qrels").mkdir()
    axes = np.eye(6, dtype=np.float32)
    answers = axes[:3] + 0.7 * axes[3:]
    rows = np.concatenate((answers, axes[:3] + np.float32([[0.2], [0.3], [0.1]]) * axes[3:], axes[5:]))
    np.save(folder / "queries.npy", axes[:3])
    np.save(folder / "documents.npy", rows)
    texts = [json.dumps({"_id": f"d{row}", "text": f"answer {row}\nof some lines"}) for row in range(len(rows))]
    (folder / "corpus.jsonl").write_text("\n".join(texts))
    (folder / "queries.jsonl").write_text(
        "\n".join(json.dumps({"_id": f"q{n}", "text": f"what {n}?"}) for n in range(3))
    )
    (folder / "qrels" / "test.tsv").write_text(
        "query-id\tcorpus-id\tscore\n" + "".join(f"q{n}\td{n}\t1\n" for n in range(3)) + "q2\td5\t0\n"
    )
    return folder


def test_that_doubtful_pairs_are_listed_decided_and_obeyed_by_mining(tmp_path: Path) -> None:
    data, out, mined = str(judged(tmp_path / "set")), tmp_path / "r.jsonl", tmp_path / "mined.jsonl"
    listed = CliRunner().invoke(make_app(), ["review", str(out), "--data", data, "--list", "--json"])
    queue = json.loads(listed.stdout)["queue"]
    assert [(pair["query"], pair["document"], pair["relevant"]) for pair in queue] == [
        ("q1", "d4", "d1"),
        ("q0", "d3", "d0"),
    ], "first the one that is more like the answer, and none that was judged"
    result = CliRunner().invoke(make_app(), ["review", str(out), "--data", data], input="kuxrd")
    assert result.exit_code == 0 and "'x' is no key here" in result.stderr and "is taken back" in result.stderr
    assert "keep 0, drop 1, relevant 1" in result.stderr
    assert "not judged: d4" in result.stdout and "of some lines" in result.stdout and "what 1?" in result.stdout
    again = CliRunner().invoke(make_app(), ["review", str(out), "--data", data])
    assert "nothing left to decide" in again.stderr
    asked = ["mine", data, str(mined), "--review", str(out), "--format", "ids", "--num-negatives", "5"]
    assert CliRunner().invoke(make_app(), asked).exit_code == 0
    first, second, third = (json.loads(line) for line in mined.read_text().splitlines())
    assert first["positive_ids"] == ["d0"] and "d3" not in first["negative_ids"], "it is neither"
    assert second["positive_ids"] == ["d1", "d4"] and "d4" not in second["negative_ids"]
    assert third["negative_ids"][0] == "d5", "as it was judged"
    (tmp_path / "set" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    refused = CliRunner().invoke(make_app(), asked)
    assert (
        refused.exit_code == 2
        and "these, their texts or their judgements are not those that were reviewed" in refused.stderr
    )


def test_that_names_that_are_no_text_are_mined_audited_and_reviewed(forks: Forks, tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xffd")
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    data, decisions = f"{name}.npz", f"{name}.jsonl"
    np.savez(tmp_path / data, x=x, y=np.arange(40) % 2)
    for words in (
        ("review", decisions, "--data", data),
        ("mine", data, f"{name}-mined.jsonl", "--format", "ids", "--review", decisions),
        ("audit", data, name, "--anchors", "5", "--review", decisions),
    ):
        ended = forks.run(*words, cwd=tmp_path)
        assert ended.status == 0, ended
    assert len((tmp_path / f"{name}-mined.jsonl").read_text().splitlines()) == 40


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["r.txt"], "must end in .jsonl"),
        (["r.jsonl", "--run", "x", "--data", "digits"], "has data of its own"),
        (["r.jsonl", "--distance", "taxi"], "taxi"),
        (["r.jsonl", "--run", "nowhere"], "nowhere"),
        (["r.jsonl", "--data", "code-search"], "has texts without embeddings"),
        (["r.jsonl", "--data", "code-search", "--seed", "3"], "are of items with classes"),
        (["r.jsonl", "--data", "digits", "--encoder", "hashed-words"], "is of queries and documents"),
    ],
)
def test_that_what_cannot_be_reviewed_is_refused(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(make_app(), ["review", *arguments])
    assert result.exit_code == 2
    assert message in result.stderr
