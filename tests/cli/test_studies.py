"""`compare`, `tune`, `embed` and `evaluate`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from scipy import stats

import hnm_core
from app.training import seeds
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.recording import open_recording
from hnm_core.spec.config import ExperimentConfig, from_dict, load
from hnm_core.studies import evaluating, tuning
from hnm_core.studies.comparing import Trial, estimate, steps_to
from hnm_core.studies.folder import claim_folder
from hnm_core.studies.made_of import made_of
from hnm_core.studies.plots import plot_lines
from tests.cli.conftest import TINY, Lab


def test_that_intervals_are_those_of_students_t() -> None:
    a = np.random.default_rng(3).normal(0.7, 0.1, 6)
    low, high = stats.t.interval(0.95, 5, loc=a.mean(), scale=stats.sem(a))
    found = estimate(a)
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx((low, high))


def test_that_one_seed_gives_a_mean_without_an_interval() -> None:
    found = estimate([0.5, float("nan")])
    assert (found.mean, found.seeds) == (0.5, 1)
    assert np.isnan(found.half_width)


def test_that_the_speed_of_learning_is_the_steps_to_what_the_first_lane_ends_with() -> None:
    slow = [(10, 0.2), (20, 0.5), (30, 0.8)]
    curves = [
        {"slow": slow, "fast": [(10, 0.77), (20, 0.7), (30, 0.9)], "never": [(10, 0.1), (30, 0.75)]},
        {"slow": slow, "fast": [(10, 0.5), (20, 0.76), (30, 0.6)], "never": [(10, 0.1), (30, 0.78)]},
    ]
    trials = [Trial(seed, (), found) for seed, found in enumerate(curves)]
    fast, slow_itself, never = (steps_to(trials, lane, "slow") for lane in ("fast", "slow", "never"))
    assert (fast.mean, fast.seeds) == (15, 2), "0.76 is enough, 95 % of 0.8, though it fell again"
    assert (slow_itself.mean, slow_itself.half_width) == (30, 0)
    assert (never.mean, never.seeds) == (30, 1)
    assert steps_to([Trial(0, (), {})], "slow", "slow").seeds == 0


def test_that_compare_shows_every_lane_draws_plots_and_goes_on_where_it_stopped(
    lab: Lab, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = lab("compare", tiny, "--seeds", 2, "--out", out)
    assert first.status == 0, first.err
    assert [line.split()[0] for line in first.out.splitlines()[1:3]] == ["one", "two"]
    assert "two - one" in first.out
    assert (out / "map_at_r.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (out / "map_at_r.svg").read_bytes()[:500]
    kept = (out / "seed-7.json").stat().st_mtime_ns
    again = lab("compare", tiny, "--seeds", 3, "--out", out)
    assert again.status == 0
    assert (out / "seed-7.json").stat().st_mtime_ns == kept, "what is there is not trained again"
    assert (out / "seed-9.json").is_file()
    assert "smaller than 0.01 (--margin)" in again.out
    assert (out / "map_at_r-over-time.png").read_bytes().startswith(b"\x89PNG")
    asked = ("compare", tiny, "--seeds", 2, "--out", out)
    judged = lab(
        *asked, "--base", "two", "--margin", 0.03, "--metric", "map_at_r", "--metric", "knn_accuracy", "--json"
    )
    assert judged.status == 0, judged.err
    told = json.loads(judged.out)
    assert (told["seeds"], told["base"], told["margin"]) == ([7, 8], "two", 0.03)
    assert [(line["lane"], line["metric"]) for line in told["lines"]] == [("one", "map_at_r"), ("one", "knn_accuracy")]
    scores = [json.loads((out / f"seed-{seed}.json").read_text())["lanes"] for seed in (7, 8)]
    expected = np.mean([one["map_at_r"] - two["map_at_r"] for one, two in scores])
    assert told["lines"][0]["difference"]["mean"] == pytest.approx(expected)
    trials = [json.loads((out / f"seed-{seed}.json").read_text()) for seed in (7, 8)]
    assert told["equal_seconds"] == {str(t["seed"]): min(spent[-1] for spent in t["seconds"].values()) for t in trials}
    assert all(spent == sorted(spent) and spent[0] > 0 for t in trials for spent in t["seconds"].values())
    for wrong, words in (
        (("--steps", 3), "other settings"),
        (("--base", "three"), "Unknown lane 'three'"),
        (("--metric", "loss"), "--metric loss is not allowed"),
        (("--margin", 0), "--margin 0 is not allowed"),
    ):
        other = lab(*asked, *wrong)
        assert (other.status, words in other.err) == (2, True), other.err


def test_that_fresh_seeds_are_judged_beside_the_first_and_together_with_them(
    lab: Lab, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    asked = ("compare", tiny, "--seeds", 2, "--out", out)
    first, fresh = (lab(*asked, *more, "--json") for more in ((), ("--again", 20)))
    assert (first.status, fresh.status) == (0, 0), fresh.err
    told = json.loads(fresh.out)
    assert told["seeds"] == [7, 8, 20, 21]
    by_seeds = told["by_seeds"]
    assert [row["seeds"] for row in by_seeds] == [[7, 8], [20, 21]]
    assert by_seeds[0]["lines"] == json.loads(first.out)["lines"], "the first seeds say what they said"
    means = [row["lines"][0]["difference"]["mean"] for row in by_seeds]
    assert told["lines"][0]["difference"]["mean"] == pytest.approx(np.mean(means))
    assert json.loads(first.out)["by_seeds"] == []
    shown = lab(*asked, "--again", 20)
    kept = by_seeds[0]["lines"][0]["verdict"] == by_seeds[1]["lines"][0]["verdict"]
    assert f"{int(kept)} of 1 line kept the verdict of the first seeds with those from 20 on." in shown.out
    assert "seeds 7-8" in shown.out and "seeds 20-21" in shown.out and "together" in shown.out
    for begin, words in ((8, "2 seeds from 7 and from 8 on overlap"), (-1, "seed = -1 is no seed")):
        refused = lab(*asked, "--again", begin)
        assert (refused.status, words in refused.err) == (2, True), refused.err


def test_that_results_know_the_data_and_the_versions_that_they_were_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, folder, said = tmp_path / "mine.csv", tmp_path / "out", list[str]()
    table.write_text("label,a\nx,1\nx,2\ny,3\ny,4\n")
    of = from_dict({"data": {"name": "file", "options": {"path": str(table)}}, "lanes": [{"name": "one"}]}, "here")
    window = seeds.folder_of(of, tmp_path)
    for _ in range(2):
        claim_folder(folder, "asked", of, said.append)
    assert said == [] and seeds.folder_of(of, tmp_path) == window
    monkeypatch.setattr(hnm_core, "__version__", "0.0.1")
    claim_folder(folder, "asked", of, said.append)
    (sentence,) = said
    assert "was begun with hnm-lab " in sentence and " in place of 0.0.1; name a new folder" in sentence
    assert seeds.folder_of(of, tmp_path) != window
    monkeypatch.undo()
    table.write_text("label,a\nx,1\nx,2\ny,3\ny,5\n")
    with pytest.raises(InputError, match=r"holds results of other contents of '.*mine\.csv'\. Name a new folder"):
        claim_folder(folder, "asked", of, said.append)
    assert seeds.folder_of(of, tmp_path) != window
    (folder / "made-of.json").write_text("[]")
    with pytest.raises(InputError, match=r"made-of\.json' is damaged"):
        claim_folder(folder, "asked", of, said.append)


def test_that_a_folder_of_somebody_else_is_not_written_into(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ended = lab("compare", tiny, "--seeds", 2, "--out", tmp_path)
    assert ended.status == 2
    assert "not empty" in ended.err


@pytest.mark.thorough
def test_that_tune_finds_the_better_of_two_values_and_reports_held_out_once(
    lab: Lab, tiny: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    arguments = ("tune", tiny, "--option", "optimizer.lr=1e-8,0.01", "--steps", 60, "--seeds", 2, "--out", out)
    ended = lab(*arguments, "--trials", 6)
    assert ended.status == 0, ended.err
    assert "--set optimizer.lr=0.01" in ended.out.splitlines()
    assert [line.split()[0] for line in ended.out.splitlines()[1:4]] == ["1", "2", "held-out"], "each value once"
    assert ended.err.splitlines().count("Seed 8") == 2, "two settings with a second seed each"
    assert sum(line.startswith("held-out map_at_r") for line in ended.out.splitlines()) == 1
    again = lab(*arguments, "--trials", 6)
    assert again.out.splitlines()[:7] == ended.out.splitlines()[:7], "nothing is tried twice"
    told = json.loads(lab(*arguments, "--trials", 6, "--json").out)
    assert (told["settings"], told["rows"][0][:2]) == (["optimizer.lr=0.01"], ["1", "0.01"])
    assert told["of"] in ended.out and told["trials"][0]["values"] == {"optimizer.lr": 0.01}


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("optimizer.lr", "KEY=LOW..HIGH"),
        ("optimizer.lr=0.1", "KEY=LOW..HIGH"),
        ("optimizer.lr=2..1", "below the upper end"),
        ("optimizer.lr=-1..1", "optimizer.lr"),
        ("optimizer.rate=1..2", "rate"),
        ("lanes.three.warmup=1..2", "three"),
    ],
)
def test_that_a_wrong_option_is_refused_before_anything_is_trained(
    lab: Lab, tiny: Path, tmp_path: Path, option: str, words: str
) -> None:
    ended = lab("tune", tiny, "--option", option, "--trials", 1, "--out", tmp_path / "out")
    assert ended.status == 2
    assert words in ended.err
    assert "Seed" not in ended.err


def test_that_ranges_over_powers_are_searched_by_factors() -> None:
    assert tuning.parse_option("optimizer.lr=1e-5..1e-1").logarithmic
    assert not tuning.parse_option("lanes.a.loss_options.margin=0.05..0.5").logarithmic
    assert tuning.parse_option("sampler.batch=16..64").whole


def test_that_a_second_program_that_tunes_into_a_folder_is_refused(tiny: Path, tmp_path: Path) -> None:
    """It would try what the first one is trying, and count both."""
    option, folder = tuning.parse_option("optimizer.lr=0.001,0.01"), tmp_path / "out"

    def search(score: Callable[[ExperimentConfig], float]) -> list[tuning.Tried]:
        return tuning.search(load(tiny), [option], "one", 2, folder, score, lambda *_: None, lambda _: None)

    def meanwhile(setting: ExperimentConfig) -> float:
        with pytest.raises(InputError, match=r"Another program tunes in '.*out' just now"):
            search(pytest.fail)
        return setting.optimizer.lr

    assert [tried.values["optimizer.lr"] for tried in search(meanwhile)] == [0.001, 0.01]
    assert len(search(pytest.fail)) == 2, "nothing is left to try, and nobody at it"


def test_that_trials_lie_in_a_folder_of_any_name_and_that_damaged_ones_are_a_sentence(
    tiny: Path, tmp_path: Path
) -> None:
    folder, option = tmp_path / "what? 50% {x} #", tuning.parse_option("optimizer.lr=1e-3,1e-2")

    def search() -> list[tuning.Tried]:
        return tuning.search(load(tiny), [option], "one", 1, folder, lambda _: 0.5, lambda *_: None, lambda _: None)

    assert len(search()) == 1 and len(search()) == 1
    assert sorted(path.name for path in folder.iterdir()) == ["made-of.json", "settings.json", "trials.db"]
    for damage in (lambda path: path.write_bytes(b"no base" * 900), lambda path: os.truncate(path, 3 * 4096)):
        shutil.copy(folder / "trials.db", tmp_path / "whole.db")
        damage(folder / "trials.db")
        with pytest.raises(InputError, match=r"trials\.db' is damaged, or of another version: "):
            search()
        shutil.copy(tmp_path / "whole.db", folder / "trials.db")


def test_that_options_of_two_lanes_are_not_searched_at_once(tiny: Path) -> None:
    config = load(tiny)
    options = [tuning.parse_option(f"lanes.{lane}.warmup=1..2") for lane in ("one", "two")]
    with pytest.raises(InputError, match="several lanes"):
        tuning.lane_of(config, options, None)
    with pytest.raises(InputError, match="belongs to lane 'one'"):
        tuning.lane_of(config, options, "two")
    assert tuning.lane_of(config, options[1:], None) == "two"
    assert tuning.lane_of(config, options[:1], "one") == "one"


def test_that_a_validation_part_is_neither_trained_on_nor_held_out(tiny: Path) -> None:
    from hnm_core.training.setup import prepare

    plain, checked = prepare(load(tiny)), prepare(tuning.validated(load(tiny)))
    tested = set(plain.ids[plain.evaluated_row].tolist())
    measured, trained = set(checked.ids[checked.evaluated_row].tolist()), set(checked.ids[: checked.trained].tolist())
    assert measured
    assert trained | measured == set(plain.ids[: plain.trained].tolist())
    assert not (measured & trained or measured & tested)


def test_that_embedding_the_runs_own_data_gives_its_last_cloud(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    started = open_recording(tmp_path / "run").started
    np.savez(tmp_path / "mine.npz", **blobs(tmp_path))
    for lane in ("one", "two"):
        out = tmp_path / f"{lane}.npz"
        ended = lab("embed", tmp_path / "run", tmp_path / "mine.npz", out, "--lane", lane)
        assert (ended.status, ended.out.strip()) == (0, str(out)), ended.err
        cloud = open_recording(tmp_path / "run").frame(lane, -1).positions
        with np.load(out) as stored:
            assert np.allclose(stored["x"], cloud, atol=2e-4 * np.abs(cloud).max())
            assert np.array_equal(stored["ids"], started.ids)
            assert np.array_equal(stored["y"], started.labels)


def blobs(folder: Path) -> dict[str, np.ndarray]:
    from hnm_core import data

    made = data.create("blobs", seed=7, classes=3, points=90, dim=5)
    return {"x": made.x, "y": made.y}


def test_that_embed_refuses_data_of_another_width_and_a_run_without_weights(
    lab: Lab, tiny: Path, tmp_path: Path
) -> None:
    assert lab("run", tiny, "--checkpoint-every", "0", "--record", tmp_path / "run").status == 0
    ended = lab("embed", tmp_path / "run", "digits", tmp_path / "out.npz")
    assert ended.status == 2
    assert "64 features" in ended.err
    (tmp_path / "run" / "00-one" / "weights.npz").unlink()
    ended = lab("embed", tmp_path / "run", "blobs", tmp_path / "out.npz")
    assert ended.status == 2
    assert "no weights" in ended.err
    ended = lab("embed", tmp_path / "run", "blobs", tmp_path / "out.npz", "--lane", "three")
    assert ended.status == 2
    assert "no lane 'three'" in ended.err


def figures_of(out: str) -> dict[str, list[str]]:
    lines = [line.rsplit(maxsplit=len(out.splitlines()[0].split()) - 1) for line in out.splitlines()[1:]]
    return {name: values for name, *values in lines}


def test_that_evaluate_gives_a_recordings_lanes_the_score_they_ended_with(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    ended = lab("evaluate", tmp_path / "run")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[0].split() == ["figure", "one", "two", "chance"]
    recording = open_recording(tmp_path / "run")
    last = [recording.steps(lane)["map_at_r"][-1] for lane in ("one", "two")]
    assert [float(value) for value in figures_of(ended.out)["MAP@R"][:2]] == pytest.approx(last, abs=6e-5)
    assert "held-out items" in ended.err
    np.savez(tmp_path / "mine.npz", **blobs(tmp_path))
    other = json.loads(lab("evaluate", tmp_path / "run", "--data", tmp_path / "mine.npz", "--json").out)
    assert other["columns"] == ["figure", "one", "two", "chance"] and other["notes"] == []
    assert "90 items" in other["of"] and "held-out" not in other["of"]
    assert lab("embed", tmp_path / "run", tmp_path / "mine.npz", tmp_path / "two.npz", "--lane", "two").status == 0
    embedded = json.loads(lab("evaluate", tmp_path / "two.npz", "--json").out)
    assert other["figures"]["two"] == pytest.approx(embedded["figures"]["two.npz"], nan_ok=True)
    np.savez(tmp_path / "wide.npz", x=np.zeros((8, 3)), y=np.arange(8) % 2)
    assert "was trained on 5" in lab("evaluate", tmp_path / "run", "--data", tmp_path / "wide.npz").err


def test_that_evaluate_scores_a_file_of_embeddings_and_their_signs(lab: Lab, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    y = np.arange(120) % 4
    codes = draw.choice([-1.0, 1.0], size=(4, 16))[y]
    np.savez(tmp_path / "codes.npz", x=codes + 0.1 * draw.normal(size=codes.shape), y=y)
    ended = lab("evaluate", tmp_path / "codes.npz", "--codes", "--k", 7)
    assert ended.status == 0, ended.err
    found = figures_of(ended.out)
    for name in (
        "precision@1",
        "MAP@R",
        "kNN accuracy, k = 7",
        "NMI, k-means",
        "sign codes: mAP over R, ties averaged",
    ):
        assert found[name][0] == "1.0000", name
    assert float(found["mAP@7 over R"][0]) == pytest.approx(7 / 29, abs=1e-4)


def test_that_evaluate_tells_how_far_it_is(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **blobs(tmp_path))
    told: list[tuple[int, int, str]] = []
    evaluating.evaluate_file(
        tmp_path / "mine.npz", Distance(), 5, True, progress=lambda done, total, what: told.append((done, total, what))
    )
    assert told == [(done, 4, "mine.npz") for done in range(5)]


def test_that_evaluate_names_what_is_wrong(lab: Lab, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", x=np.ones((4, 2)))
    for arguments, words in (
        ((tmp_path / "mine.npz",), "'y'"),
        ((tmp_path / "gone.npz",), "gone.npz"),
        ((tmp_path / "gone",), "gone"),
        ((tmp_path / "mine.npz", "--distance", "cosin"), "cosine"),
    ):
        ended = lab("evaluate", *arguments)
        assert ended.status == 2
        assert words in ended.err


def test_that_evaluate_takes_the_table_that_a_run_would_take(lab: Lab, tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 4
    np.savez(tmp_path / "same.npz", x=x, y=y)
    rows = [
        "a,b,c,label",
        *(f"{','.join(map(repr, map(float, row)))},{label}" for row, label in zip(x, y, strict=True)),
    ]
    (tmp_path / "same.csv").write_text("\n".join(rows))
    by_table, by_arrays = lab("evaluate", tmp_path / "same.csv"), lab("evaluate", tmp_path / "same.npz")
    assert by_table.status == 0, by_table.err
    assert figures_of(by_table.out) == figures_of(by_arrays.out)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 0, 1, 1, 2], "1 item is the only one of its class and asks for nothing"),
        ([0, 0, 0, 1, 2], "2 items are the only ones of their classes"),
    ],
)
def test_that_evaluate_says_what_its_figures_leave_out(lab: Lab, tmp_path: Path, labels: list[int], words: str) -> None:
    np.savez(tmp_path / "few.npz", x=np.random.default_rng(1).normal(size=(5, 2)), y=np.array(labels))
    ended = lab("evaluate", tmp_path / "few.npz")
    assert ended.status == 0, ended.err
    assert words in ended.err


def test_that_held_out_items_of_one_class_are_no_success(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(42, 3))
    np.savez(tmp_path / "lopsided.npz", x=x, y=np.repeat([0, 1], [40, 2]))
    arguments = ("--data", tmp_path / "lopsided.npz", "--set", "data.held_out=0.1")
    ended = lab("run", tiny, *arguments, "--record", tmp_path / "run")
    assert ended.status == 0, ended.err
    assert "of one class alone" in ended.err
    ended = lab("evaluate", tmp_path / "run")
    assert figures_of(ended.out)["MAP@R"][0] == "1.0000"
    assert "All are of one class" in ended.err


def test_that_evaluate_says_which_options_have_no_effect(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    ended = lab("evaluate", tmp_path / "run", "--lane", "two", "--distance", "cosine", "--normalize")
    assert ended.status == 0, ended.err
    assert ended.err.count("has no effect") == 3
    assert ended.out == lab("evaluate", tmp_path / "run").out


def test_that_a_depth_that_is_no_whole_number_is_refused() -> None:
    x, y = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 2
    for ask in (retrieval, ranking):
        with pytest.raises(InputError, match=r"k = 2\.5 is not allowed: it must be a whole number of at least 1"):
            ask(x, y, k=2.5)


def test_that_seeds_that_would_run_out_are_refused_before_the_first(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    ended = lab("compare", tiny, "--seeds", 3, "--seed", 2**63 - 2, "--out", tmp_path / "out")
    assert ended.status == 2
    assert f"take {2**63 - 3} or less" in ended.err
    assert not (tmp_path / "out").exists()


def test_that_tune_takes_a_field_once_by_whatever_name(lab: Lab, tiny: Path) -> None:
    for other in ("lanes.1.loss_options.margin", "lanes.two.loss_options.margin"):
        ended = lab("tune", tiny, "--option", "lanes.two.loss_options.margin=0.1,0.2", "--option", f"{other}=0.3..0.4")
        assert ended.status == 2
        assert "given twice" in ended.err


def test_that_fields_that_are_set_alike_are_searched_as_one(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    keys = "lanes.two.loss_options.margin, lanes.two.miner_options.pool"
    ended = lab("tune", tiny, "--option", f"{keys}=1,2", "--steps", 3, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    printed = [line for line in ended.out.splitlines() if line.startswith("--set ")]
    assert [line.rpartition("=")[0] for line in printed] == [f"--set {key}" for key in keys.split(", ")]
    assert len({line.rpartition("=")[2] for line in printed}) == 1


def test_that_the_setting_that_tune_prints_is_the_one_that_it_trained(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    ended = lab("tune", tiny, "--option", "optimizer.lr=1e-4..1e-2", "--trials", 2, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    printed = next(line for line in ended.out.splitlines() if line.startswith("--set "))
    study = optuna.load_study(study_name="options", storage=f"sqlite:///{tmp_path / 'out' / 'trials.db'}")
    assert float(printed.partition("=")[2]) == study.best_params["optimizer.lr"]


def test_that_evaluate_draws_a_map_of_a_lane_or_of_a_file(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    ended = lab("evaluate", tmp_path / "run", "--tsne", tmp_path / "map.png", "--lane", "two")
    assert ended.status == 0, ended.err
    assert ended.out.splitlines()[-1] == str(tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    ended = lab("evaluate", tmp_path / "run", "--tsne", tmp_path / "map.png", "--lane", "three")
    assert ended.status == 2
    assert "no lane 'three'" in ended.err


def test_that_run_inspect_and_compare_tell_the_entanglement_of_each_layer(lab: Lab, tmp_path: Path) -> None:
    options = '{ layers = "all", schedule = "searched", primary = "cross-entropy", factor = 0.1 }'
    layers = f'loss = "snnl"\nloss_options = {options}\n'
    settings = tmp_path / "layers.toml"
    settings.write_text(TINY.replace('miner = "random"\n', f'miner = "none"\n{layers}'))
    ended = lab("run", settings, "--record", tmp_path / "run")
    assert ended.status == 0, ended.err
    classifiers, looked_at, used = ended.out.split("\n\n")[1:]
    table = [line.split() for line in looked_at.strip().splitlines()]
    assert [line[0] for line in table] == ["entanglement", "hidden1", "embedding", "chance"]
    assert table[0][1:] == ["one"], "lane two looks at no layer"
    told = open_recording(tmp_path / "run").summary()["lanes"][0]
    assert table[1][1] == f"{told['entanglement/hidden1']:.3f}"
    assert table[3][1] == f"{told['entanglement_chance']:.3f}"
    accuracy = f"{told['accuracy']:.3f}"
    assert [line.split() for line in classifiers.splitlines()] == [["classifier", "accuracy"], ["one", accuracy]]
    assert lab("inspect", tmp_path / "run").out.endswith(f"{classifiers}\n\n{looked_at}\n\n{used}")

    ended = lab("compare", settings, "--seeds", 2, "--out", tmp_path / "out")
    assert ended.status == 0, ended.err
    table = [line.split() for line in ended.out.split("\n\n")[1].strip().splitlines()]
    assert [line[0] for line in table] == ["entanglement", "hidden1", "embedding", "chance"]
    seeds = [json.loads((tmp_path / "out" / f"seed-{seed}.json").read_text())["lanes"][0] for seed in (7, 8)]
    found = [lane["entanglement"]["embedding"] for lane in seeds]
    assert float(table[2][1]) == pytest.approx(sum(found) / 2, abs=6e-5)
    assert float(table[2][3]) == pytest.approx(12.706 * abs(found[0] - found[1]) / 2, rel=1e-3)


def test_that_evaluate_asks_a_part_of_a_large_set_of_small_classes_against_all(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = np.random.default_rng(0)
    y = np.repeat(np.arange(2_000), 3)
    x = (draw.normal(size=(2_000, 6))[y] + 0.3 * draw.normal(size=(6_000, 6))).astype(np.float32)
    np.savez(tmp_path / "many.npz", x=x, y=y)
    monkeypatch.setattr(evaluating, "MAX_ITEMS", 3_000)
    monkeypatch.setattr(evaluating, "MAX_CLUSTERED", 90)
    ended = lab("evaluate", tmp_path / "many.npz")
    assert ended.status == 0, ended.err
    assert "1,500 of 6,000 items, a fixed part, query all 6,000. Clusterings are of 90." in ended.err
    found = next(float(line.split()[1]) for line in ended.out.splitlines() if line.startswith("precision@1"))
    whole = retrieval(torch.from_numpy(x), torch.from_numpy(y)).precision_at_1
    assert 0.3 < whole < 0.95 and found == pytest.approx(whole, abs=0.03)
    of = evaluating.asked(y)
    assert set(np.bincount(y[of.clustered])) <= {0, 3}


def test_that_names_on_a_plot_are_neither_formulas_nor_halves_of_letters(tmp_path: Path) -> None:
    names = {r"a $\frac$ b": [(1.0, 1.0), (2.0, 3.0)], os.fsdecode(b"b\xffd"): [(1.0, 2.0), (2.0, 2.0)]}
    plot_lines(names, os.fsdecode(rb"$\frac$" + b"\xff"), "rows", "s", [tmp_path / "plot.svg"])
    assert (tmp_path / "plot.svg").stat().st_size > 1_000


def test_that_versions_of_packages_that_need_not_be_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = metadata.version

    def version(package: str) -> str:
        if package == "pytorch-metric-learning":
            raise metadata.PackageNotFoundError(package)
        return plain(package)

    monkeypatch.setattr(metadata, "version", version)
    assert set(made_of(ExperimentConfig())["versions"]) == {"hnm-lab", "torch", "numpy"}
