"""`hnm-lab bench`: rows of ours and the peers', missing and broken peers, the arithmetic of ratios."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
import torch

from hnm_core.bench import batch, limits, mine, table, timing, usage
from hnm_core.bench.table import Case, Result, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.cli import bench_commands
from tests.cli.conftest import Lab
from tests.families import one_in

FEW = Settings(quick=True, repeat=3)
ONE_OF_EACH = {
    "mining": ("exact-3d", "exact-128d", "hamming"),
    "batch": ("triplet-margin", "batch-hard"),
    "losses": ("nt-xent",),
    "render": ("raster",),
}
FIELDS = {"subject", "name", "size", "ours", "peers", "best_peer", "ratio", "bound", "machine"}


@pytest.fixture(autouse=True)
def limits_measured_once() -> Iterator[None]:
    yield
    limits.limits.cache_clear()


@pytest.mark.parametrize("subject", one_in(3, [*ONE_OF_EACH]))
def test_that_every_subject_gives_one_object_a_row_with_times_and_agreement(lab: Lab, subject: str) -> None:
    names = ONE_OF_EACH[subject]
    only = [part for name in names for part in ("--only", name)]
    threads = torch.get_num_threads()
    ended = lab("bench", subject, "--quick", "--json", "--repeat", "1", "--threads", "1", *only)
    assert ended.status == 0, ended.err
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert {row["name"] for row in found} == set(names)
    for row in found:
        assert set(row) == FIELDS
        assert row["ours"]["seconds"] > 0
        assert row["machine"]["threads"] == 1
        # Which part of a limit was reached is a quotient of two times: of its size a test can say nothing.
        assert row["bound"]["share"] > 0 if row["bound"]["share"] is not None else row["bound"]["what"]
        timed = [peer for peer in row["peers"] if peer["comparable"] and peer["seconds"]]
        assert (len(timed) > 0) == (subject != "render")
        for peer in timed:
            assert peer["ratio"] == pytest.approx(peer["seconds"] / row["ours"]["seconds"])
            if subject == "mining" and row["name"] != "hamming":
                assert peer["recall"] == 1.0, "every peer of exact search is asked in a way that finds everything"
            if subject == "batch":
                assert peer["check"] == "same tuples"
        if timed:
            assert row["ratio"] == min(peer["ratio"] for peer in timed)
    assert torch.get_num_threads() == threads


def test_that_the_table_has_a_header_with_versions_and_a_line_for_each_contender(lab: Lab) -> None:
    ended = lab("bench", "losses", "--quick", "--repeat", "1", "--threads", "1", "--only", "sup-con")
    assert ended.status == 0, ended.err
    header, instructions, columns, work, ours, peer = ended.out.splitlines()
    assert f"torch {torch.__version__.partition('+')[0]}" in header
    assert "1 thread" in header
    for level in (torch.backends.cpu.get_cpu_capability(), *faiss.get_compile_options().split(), "numpy X86"):
        assert level in instructions
    assert columns.split()[:2] == ["work", "time"]
    assert work.startswith("sup-con, B=32")
    assert "hnm sup-con" in ours
    assert "best " in ours
    assert "pml SupConLoss" in peer


def test_that_a_missing_peer_is_a_line_that_says_how_to_install_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)  # an import of it fails
    ended = lab("bench", "losses", "--quick", "--json", "--repeat", "1", "--threads", "1", "--only", "circle")
    assert ended.status == 0, ended.err
    (row,) = [json.loads(line) for line in ended.out.splitlines()]
    (peer,) = row["peers"]
    assert peer["seconds"] is None
    assert "pip install 'hnm-lab[bench]'" in peer["note"]
    assert (row["best_peer"], row["ratio"]) == (None, None)
    assert row["ours"]["seconds"] > 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("minin",), "Did you mean mining"),
        (("mining", "--only", "exact"), "Did you mean exact-3d"),
        (("losses", "--growth", "plot.png"), "goes with the subject mining"),
        (("mining", "--growth", "plot.txt"), ".png"),
        (("mining", "--threads", "0"), "threads"),
    ],
)
def test_that_what_cannot_be_measured_is_one_sentence_and_exit_2(
    lab: Lab, arguments: tuple[str, ...], words: str
) -> None:
    ended = lab("bench", *arguments)
    assert ended.status == 2
    assert ended.out == ""
    assert words in ended.err


def test_that_the_engine_alone_says_whose_subject_render_is() -> None:
    with pytest.raises(ValueError, match="hnm-lab"):
        bench_commands.SUBJECTS["render"](FEW)


def test_that_the_ratio_is_to_the_best_peer_that_counts() -> None:
    row = Row(
        "mining",
        "name",
        "size",
        Result("ours", 2.0),
        (Result("slow", 10.0), Result("good", 5.0), Result("blind", 1.0, comparable=False), Result("missing")),
    )
    assert row.best is not None
    assert row.best.name == "good"
    assert row.ratio == 2.5
    assert [line[2] for line in table.lines([row])[1:]] == ["best 2.5 x", "5.0 x", "2.5 x", "(0.5 x)", "-"]
    assert Row("mining", "name", "size", Result("ours", 2.0)).ratio is None


def test_that_contenders_take_turns_and_a_broken_peer_does_not_stop_the_others() -> None:
    called: list[str] = []

    def run(name: str, seconds: float) -> str:
        called.append(name)
        time.sleep(seconds)
        return name

    def broken() -> str:
        raise RuntimeError("out of order\nmore lines")

    ours, failed, peer = take_turns(
        [
            Contender("ours", lambda: run("ours", 0.021)),
            Contender("broken", broken),
            Contender("peer", lambda: run("peer", 0.042)),
        ],
        FEW,
    )
    assert called[-6:] == ["ours", "peer"] * 3
    assert (ours.answer, peer.answer) == ("ours", "peer")
    assert (ours.result.runs, peer.result.runs) == (3, 3)
    assert failed.result.seconds is None
    assert failed.result.note == "failed: RuntimeError: out of order"
    assert ours.result.seconds == pytest.approx(0.021, rel=0.5)
    assert peer.result.seconds == pytest.approx(0.042, rel=0.5)


def test_that_our_own_failure_is_not_hidden() -> None:
    def broken() -> None:
        raise RuntimeError("ours")

    with pytest.raises(RuntimeError, match="ours"):
        take_turns([Contender("ours", broken)], FEW)


def test_that_a_slow_peer_is_timed_once_and_one_that_gives_up_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "PATIENCE_S", 0.01)

    def gives_up() -> None:
        raise timing.TookTooLong("given up after 40 s")

    _, slow, other = take_turns(
        [
            Contender("ours", lambda: None),
            Contender("slow", lambda: time.sleep(0.02)),
            Contender("given up", gives_up),
        ],
        FEW,
    )
    assert slow.result.runs == 1
    assert slow.result.seconds == pytest.approx(0.02, rel=0.5)
    assert (other.result.seconds, other.result.note) == (None, "given up after 40 s")


def brute_force(points: Any, labels: Any, k: int) -> Any:
    gap = points[:, None].astype(np.float64) - points[None]
    distance = np.sqrt((gap**2).sum(2))
    distance[labels[:, None] == labels[None]] = np.inf
    return np.sort(distance, axis=1)[:, :k]


def test_that_over_fetching_and_complements_find_the_true_negatives_however_tight_the_classes() -> None:
    points, labels = usage.blobs(120, 3, classes=4, spread=0.05)
    problem = usage.with_truth(points, labels, 5)
    truth = brute_force(points, labels, 5)
    nearest = np.linalg.norm(points[:, None] - points[None], axis=2)

    def fetch(rows: Any, wanted: int) -> Any:
        found = np.argsort(nearest[rows], axis=1)[:, :wanted]
        return np.take_along_axis(nearest[rows], found, axis=1), found

    def search(others: Any, own: Any, k: int) -> Any:
        return np.sort(np.linalg.norm(own[:, None] - others[None], axis=2), axis=1)[:, :k]

    for wanted in (1, 6, 1_000):
        assert np.allclose(usage.over_fetched(problem, fetch, wanted), truth, rtol=1e-4)
    assert np.allclose(usage.complements(problem, search), truth, rtol=1e-4)
    assert problem.recall(truth) == 1.0
    assert problem.recall(truth * 1.01) < 0.9
    needed = (nearest[:, None] <= truth[:, -1][:, None, None] * (1 + 1e-4)).sum((1, 2))
    assert np.quantile(needed, 0.8) <= usage.enough(problem) <= needed.max() + 2


def test_that_differing_tuples_are_counted_whatever_their_order() -> None:
    ours = (torch.tensor([0, 1, 2]), torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6]))
    turned = tuple(vector.flip(0) for vector in ours)
    other = (*ours[:2], torch.tensor([4, 5, 7]))
    assert batch.differing(ours, turned, 8) == "same tuples"
    assert batch.differing(ours, other, 8) == "2 of 4 differ"


def test_that_growth_is_measured_at_several_sizes_and_drawn(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hnm_core.bench import growth

    monkeypatch.setattr(growth, "METHODS", {"exact d=3": (3, "exact")})
    plot = tmp_path / "growth.png"
    ended = lab("bench", "mining", "--quick", "--json", "--repeat", "1", "--threads", "1", "--growth", plot)
    assert ended.status == 0, ended.err
    found = [json.loads(line) for line in ended.out.splitlines()]
    assert len({row["size"] for row in found}) == 3
    assert all(row["ours"]["seconds"] > 0 for row in found)
    assert found[-1]["bound"]["what"].startswith("grows as N^")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_that_a_method_that_would_take_too_long_is_left_out_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from hnm_core.bench import growth

    monkeypatch.setattr(growth, "METHODS", {"exact d=3": (3, "exact")})
    monkeypatch.setattr(growth, "LONGEST_S", 1e-6)
    first, second, _ = growth.cases(FEW)
    assert isinstance(first, Case)
    assert first.measure().ours.seconds is not None
    left_out = second.measure().ours
    assert left_out.seconds is None
    assert left_out.note.startswith("left out")


def test_that_a_peer_that_is_given_up_leaves_a_note_and_the_other_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from hnm_core.bench import growth, usage

    monkeypatch.setattr(growth, "METHODS", {"SciPy cKDTree, complements d=3": (3, "scipy")})
    monkeypatch.setattr(usage, "GIVE_UP_S", 0.0)
    notes = [case.measure().ours.note for case in growth.cases(FEW)]
    assert len(notes) == 3
    assert notes[0].startswith("given up after")


@pytest.mark.thorough
def test_that_mined_pairs_are_compared_with_sentence_transformers_or_it_is_told_what_to_install(lab: Lab) -> None:
    ended = lab("bench", "mine", "--rows", "150", "--json", "--repeat", "1", "--threads", "1", "--only", "top")
    assert ended.status == 0, ended.err
    (row,) = [json.loads(line) for line in ended.out.splitlines()]
    assert row["size"] == "N=150 pairs d=384, 5 negatives"
    assert row["ours"]["check"] == "750 triplets"
    assert [peer["name"] for peer in row["peers"]] == ["sentence-transformers, torch", "sentence-transformers, FAISS"]
    for peer in row["peers"]:
        if peer["seconds"] is None:
            assert "pip install 'hnm-lab[sentence-transformers]'" in peer["note"]
        else:
            assert peer["check"] == "same 750 triplets"


def test_that_triplets_that_differ_are_counted_and_those_that_rounding_explains_apart() -> None:
    pairs = mine.pairs_of(100)
    found = mine.ours(pairs, {})
    assert mine.agreement(found, list(found), pairs) == "same 500 triplets"
    other = [(query, text, "text 99") if place == 7 else (query, text, negative) for place, (query, text, negative) in
             enumerate(found)]  # fmt: skip
    assert mine.agreement(found, other, pairs) == "1 of 500 differ, 0 of them by rounding"
    pairs.documents[99] = pairs.documents[int(found[7][2].split()[1])]
    assert mine.agreement(found, other, pairs) == "1 of 500 differ, 1 of them by rounding"
    assert mine.agreement(found, found[:-2], pairs) == "2 of 500 differ, 0 of them by rounding"


def test_that_the_number_of_pairs_goes_with_the_subject_mine_alone(lab: Lab) -> None:
    ended = lab("bench", "losses", "--rows", "150")
    assert (ended.status, ended.err) == (2, "Error: --rows goes with the subject mine, not with losses.\n")
