"""The page of a run: whole in itself, true, and of a recording's words none is more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtGui import QImage

from app.history.histogram import bars
from app.report import report
from app.report.histograms import BAND_COLOURS, EDGE, FOOT, HEIGHT, histograms
from app.report.pictures import png
from app.report.report import write_report
from hnm_core.cli.result_tables import result_rows
from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.recording.results import inspected
from hnm_core.run.events import Alarm, RunFinished, RunStarted, StepRecord
from hnm_core.run.hardness import Hardness
from hnm_core.spec import config as configuration
from hnm_core.training.retrieval_config import RetrievalConfig, told_as
from tests.recording import made_up

EVIL = "</script></title><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag
        self.texts.setdefault(tag, []).append("")
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append("")

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside, [""])[-1] += data
        if self._inside == "td":
            self.cells[-1][-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""


@pytest.fixture(scope="module")
def run(raster_kernels: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "run"
    *events, last = made_up.run(9, 40)
    start = made_up.started(40, title=EVIL)
    list(record([start, *events[1:], Alarm("knn", 9, "collapse", f"All of it {EVIL}"), last], folder))
    return folder


@pytest.fixture(scope="module")
def text(run: Path) -> str:
    out = write_report(run, run.parent / "out.html")
    assert out is not None
    return out.read_text(encoding="utf-8")


def test_that_the_page_needs_nothing_else_and_only_its_own_script_may_run(text: str) -> None:
    page = Page(text)
    outside = {"src", "href", "action", "data", "poster", "srcset", "background", "formaction"}
    addresses = [attributes.get("src") or "" for _, attributes in page.tags if outside & attributes.keys()]
    assert len(addresses) == 9 and all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not [attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)]
    assert {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base", "form"} == set()
    assert not re.search(r"url\(|@import|fetch\(|XMLHttp|import\(", text)
    policy = next(attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes)
    scripts = [attributes for tag, attributes in page.tags if tag == "script"]
    assert [one for one in scripts if one.get("type") != "application/json"] == [{}]
    seal = base64.b64encode(hashlib.sha256(page.texts["script"][-1].encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{seal}'"
    assert page.texts["title"][0] == page.texts["h1"][0] == EVIL, "a title is text"
    assert any(f"All of it {EVIL}" in row for row in page.cells)


def test_that_pictures_are_those_of_the_raster(run: Path, text: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    image = QImage.fromData(png(pixels)).convertToFormat(QImage.Format.Format_RGB888)
    assert (image.width(), image.height()) == (7, 5)
    assert [image.pixelColor(6, 4).red(), image.pixelColor(6, 4).blue()] == [pixels[4, 6, 0], pixels[4, 6, 2]]
    shown = [attributes for tag, attributes in Page(text).tags if tag == "img"]
    ends = [
        (lane, open_recording(run).frame_steps(lane)[place]) for lane, place in (("KNN", 0), ("lsh + re.score", -1))
    ]
    assert [shown[place]["alt"] for place in (0, -1)] == [f"Cloud of {lane}, step {step}" for lane, step in ends]
    first, last = (base64.b64decode((shown[place]["src"] or "").split(",")[1]) for place in (0, 2))
    assert first != last and not QImage.fromData(first).isNull()


def test_that_the_numbers_are_those_of_inspect_and_the_configuration_reads_back(run: Path, text: str) -> None:
    page, recording = Page(text), open_recording(run)
    summary, results = inspected(recording)
    for row in result_rows(results, summary["raw"]):
        assert list(row) in page.cells
    assert ["state", "finished"] in page.cells and ["metrics on", ""] not in page.cells
    assert ["device", "a CPU"] in page.cells and ["seed", str(recording.config.seed)] in page.cells
    assert page.texts["pre"][0] == configuration.dump(recording.config)
    assert str(run) not in text, "where it lay is nobody's business"


def test_that_the_clouds_are_those_of_the_recording_and_their_pairs_the_hard_ones(run: Path, text: str) -> None:
    page, recording = Page(text), open_recording(run)
    held = [json.loads(said) for said in page.texts["script"][:-1]]
    assert len(held) == len(recording.lanes) and text.count("<canvas") == len(held)
    for lane, cloud in zip(recording.lanes, held, strict=True):
        steps = recording.frame_steps(lane).tolist()
        assert cloud["steps"][0] == steps[0] and cloud["steps"][-1] == steps[-1]
        positions = np.frombuffer(base64.b64decode(cloud["positions"]), "<i2").reshape(len(cloud["steps"]), -1, 3)
        assert positions.shape[1] == len(cloud["labels"]) == len(recording.started.ids)
        for place, step in enumerate(cloud["steps"]):
            frame = recording.frame(lane, steps.index(step))
            finite = np.isfinite(frame.positions).all(axis=1)
            for axis in range(3):  # in order, but for the few that are cut off
                order = np.argsort(np.where(finite, frame.positions[:, axis], 0), kind="stable")
                assert (np.diff(positions[place, order[finite[order]], axis].astype(int)) >= 0).all()
            told = frame.separation if frame.separation is not None else np.full(len(frame.triplets), np.nan)
            ends = frame.triplets[:, (0, 2)]
            hard = (told < 0) & (ends >= 0).all(axis=1)
            assert sorted(map(tuple, cloud["edges"][place])) == sorted(map(tuple, (ends[hard] // 3).tolist()))
    assert any(pairs for cloud in held for pairs in cloud["edges"])


def test_that_words_in_drawings_are_large_enough_on_a_telephone(text: str) -> None:
    style = Page(text).texts["style"][0]
    drawings = [attributes for tag, attributes in Page(text).tags if tag == "svg"]
    assert {one.get("class") for one in drawings} == {"wide", None}
    for one in drawings:
        selector = "svg.wide text" if one.get("class") else "svg text"
        *_, telephone = re.findall(re.escape(selector) + r" {[^}]*font-size: (\d+)px", style)
        assert int(telephone) * 340 / int((one["viewbox"] or "").split()[2]) > 8


def test_that_a_page_is_written_whole_or_not_at_all(run: Path, tmp_path: Path) -> None:
    assert write_report(run, tmp_path / "new.html", progress=lambda _done, _total: False) is None
    for out, why in ((tmp_path / "new.txt", r"ends in \.html"), (tmp_path / "none" / "new.html", "cannot be written")):
        with pytest.raises(InputError, match=why):
            write_report(run, out)
    assert list(tmp_path.iterdir()) == []


def test_that_each_lane_has_a_histogram_of_what_it_mined_last_in_the_bands_of_the_window(run: Path, text: str) -> None:
    recording = open_recording(run)
    part = text.partition("How hard what was mined is</h2>")[2].partition("</section>")[0]
    figures = part.split("<figure>")[1:]
    assert len(figures) == len(recording.lanes)
    for lane, figure in zip(recording.lanes, figures, strict=True):
        frame = recording.frame(lane, -2)
        assert recording.frame(lane, -1).hardness is None, "the last one that tells it is taken"
        assert frame.hardness is not None and f"<h3>{lane}</h3>" in figure and f"step {frame.step:,}" in figure
        drawn = bars(frame.hardness, frame.hardness.margin)
        bands = [BAND_COLOURS.index(found) for found in re.findall(r'<rect[^>]*style="fill:([^"]*)"', figure)]
        assert bands == drawn.band[drawn.share > 0].tolist()
        left, wide, tall = (
            np.array(re.findall(rf'<rect[^>]* {side}="([\d.]+)"', figure), float) for side in ("x", "width", "height")
        )
        assert (np.diff(left) > 0).all() and tall.max() == pytest.approx(HEIGHT - FOOT - EDGE)
        broad = wide > 1.0  # thinner ones are drawn wider than they are
        areas, shares = (wide * tall)[broad], drawn.share[drawn.share > 0][broad]
        assert areas / areas.sum() == pytest.approx(shares / shares.sum(), rel=0.1)  # an area is a share
    assert "--hard-band:" in text and "--easy-band:" in text


def test_that_a_lane_of_which_nobody_told_how_hard_it_mined_has_no_histogram() -> None:
    assert histograms({}) == ""
    empty = Hardness(0.5, 0, 0, 0, 0.02, 0, np.zeros(64, np.int64))
    assert histograms({"a": (3, empty)}) == ""


def test_that_a_page_has_a_limit_and_says_what_it_left_out(run: Path, text: str, monkeypatch) -> None:
    recording = open_recording(run)
    monkeypatch.setattr(report, "MOST_BYTES", len(text.encode()) - 1)
    short = report.page(recording)
    assert "Left out, as the page would be larger than" in short and "<img" not in short and "<canvas" in short
    monkeypatch.setattr(report, "MOST_ROWS", 2)
    assert report._told("alarms", [("1", "a", "x")] * 3).count("<tr>") == 3  # a head and two
    assert "The first 2 of 3 alarms." in report._told("alarms", [("1", "a", "x")] * 3)
    assert "The first" not in report._told("alarms", [("1", "a", "x")] * 2)


def test_that_a_run_over_queries_and_documents_is_told_by_its_own_figures_beside_chance(tmp_path: Path) -> None:
    def events():
        config = told_as(RetrievalConfig(), "little")
        (lane,) = [lane.name for lane in config.lanes]
        ids = np.arange(40)
        chance = {"mrr_at_10": 0.001, "ndcg_at_10": 0.002, "recall_at_10": 0.003, "recall_at_100": 0.004}
        names = ("document", "query")
        yield RunStarted(config, ids % 2, ids, ids > 30, names, items_total=40, chance=chance)
        for step in (10, 20):
            levels = {"mrr_at_10": step / 100, "ndcg_at_10": 0.31, "recall_at_10": 0.41, "recall_at_100": 0.51}
            yield StepRecord(lane, step, 0.5, metrics=levels)
        yield RunFinished({lane: 20}, 1.0)

    list(record(events(), tmp_path / "run"))
    page = Page((write_report(tmp_path / "run", tmp_path / "out.html") or Path()).read_text(encoding="utf-8"))
    assert page.texts["th"][:6] == ["lane", "steps", "MRR@10", "nDCG@10", "recall@10", "recall@100"]
    assert ["in-batch", "20", "0.200", "0.310", "0.410", "0.510"] in [row[:6] for row in page.cells]
    assert ["chance", "", "0.001", "0.002", "0.003", "0.004"] in [row[:6] for row in page.cells]
    assert {"MRR@10", "nDCG@10"} < set(page.texts["h3"]) and "MAP@R" not in page.texts["h3"]
