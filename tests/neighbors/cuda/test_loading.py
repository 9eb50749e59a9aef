"""Which way is taken, and how kernels are handed to CuPy; a stand-in for CuPy runs them on the CPU here."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.cli import doctor
from hnm_core.distances import Distance
from hnm_core.neighbors import cuda_search
from hnm_core.neighbors.cuda import kernels, nvrtc
from hnm_core.neighbors.cuda.kernels import CupyKernels
from hnm_core.neighbors.cuda.low_dim import CudaLowDim
from hnm_core.neighbors.cuda.products import CudaProducts
from hnm_core.neighbors.cuda.source import FOLDER, names, source
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.exact import Exact
from tests.neighbors.oracle import assert_exact, bank_of

from . import cpu

DEVICE = torch.device("cuda", 0)


class OnCuda(Bank):
    """A bank that says it is on a CUDA device."""

    @property
    def device(self) -> torch.device:
        return DEVICE


class Inside:
    """Says while it is entered that it is; again and again, as streams are."""

    def __init__(self, inside: list[tuple[str, int]], kind: str, number: int) -> None:
        self._inside, self._what = inside, (kind, number)

    def __enter__(self) -> None:
        self._inside.append(self._what)

    def __exit__(self, *_exception: object) -> None:
        assert self._inside.pop() == self._what


class StandIn:
    """The part of CuPy that is used, strict about what it is given; `old` has streams as CuPy 13 has them."""

    def __init__(self, folder: Path, *, old: bool) -> None:
        self.folder = folder
        self.inside: list[tuple[str, int]] = []
        self.streams_made = 0
        if old:
            streams = {"Stream": object(), "ExternalStream": self._old_stream}
        else:
            streams = {"Stream": SimpleNamespace(from_external=self._new_stream)}
        self.cuda = SimpleNamespace(Device=lambda index: Inside(self.inside, "device", index), **streams)

    def _old_stream(self, pointer: int, index: int) -> Inside:
        assert index == 0
        self.streams_made += 1
        return Inside(self.inside, "stream", pointer)

    def _new_stream(self, stream: Any) -> Inside:
        self.streams_made += 1
        version, pointer = stream.__cuda_stream__()
        assert version == 0
        return Inside(self.inside, "stream", pointer)

    def RawModule(self, *, code: str, options: tuple[str, ...]) -> SimpleNamespace:  # noqa: N802  (CuPy's name)
        assert isinstance(options, tuple)
        assert "#include" not in code
        library = cpu.build(code, self.folder)

        def get_function(name: str) -> Any:
            def call(grid: tuple[int, int], block: tuple[int], arguments: Sequence[Any], *, shared_mem: int) -> None:
                assert self.inside == [("device", 0), ("stream", 77)]
                plain = {np.int32: int, np.float32: float, np.uint64: np.uint64}
                given = [plain[type(argument)](argument) for argument in arguments]
                cpu.launch(library, name, grid, block[0], shared_mem, given)

            return call

        return SimpleNamespace(compile=lambda: None, get_function=get_function)


@pytest.fixture(params=["CuPy 13", "CuPy 14"])
def cupy(compiled_folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[StandIn]:
    stand_in = StandIn(compiled_folder, old=request.param == "CuPy 13")
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    monkeypatch.setattr(kernels, "find_spec", lambda _name: object())
    monkeypatch.setattr(torch.cuda, "device", lambda _index: nullcontext())
    monkeypatch.setattr(torch.cuda, "current_stream", lambda _device: SimpleNamespace(cuda_stream=77))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(multi_processor_count=2))
    kernels.on_device.cache_clear()
    yield stand_in
    kernels.on_device.cache_clear()


def test_that_kernels_get_their_arguments_on_the_device_and_stream_of_torch(cupy: StandIn) -> None:
    found = kernels.of(DEVICE)
    assert isinstance(found, CupyKernels)
    assert found.blocks == 8
    bank, anchors = bank_of("clustered", 3), torch.arange(0, 300, 7)
    for search in (CudaLowDim(device_kernels=found), CudaProducts(device_kernels=found)):
        search.build(bank)
        assert_exact(search.nearest_negatives(anchors, 10), bank, anchors, 10, Distance(), False)
        assert_exact(search.farthest_positives(anchors, 10), bank, anchors, 10, Distance(), True)
        assert copy.deepcopy(search)._kernels is found  # the watch on recall searches with a copy
    assert cupy.inside == []
    assert cupy.streams_made == 1


def test_that_memory_which_a_kernel_would_read_wrongly_is_refused(cupy: StandIn) -> None:
    found = kernels.of(DEVICE)
    strided = torch.zeros(6, 4)[:, ::2]
    with pytest.raises(ValueError, match=r"cannot read torch.Size\(\[6, 2\]\)"):
        found.launch("measure", "measure_distances", (1, 1), 256, 0, [strided])


def test_that_kernels_are_chosen_where_there_are_a_device_and_cupy(cupy: StandIn) -> None:
    plain, wide = bank_of("random", 8), bank_of("random", 9)
    low = OnCuda(plain.embeddings, plain.labels)
    assert kernels.why_absent(DEVICE) == ""
    assert isinstance(cuda_search.pick(low, Distance())[0], CudaLowDim)
    assert isinstance(cuda_search.pick(low, Distance("inner-product"))[0], CudaProducts)
    assert isinstance(cuda_search.pick(OnCuda(wide.embeddings, wide.labels), Distance())[0], CudaProducts)
    assert [cuda_search.pick(low, Distance(metric))[1] for metric in ("cosine", "inner-product")] == [
        ": 8 dimensions are few",
        ": the metric is a product itself",
    ]


def test_that_torch_searches_where_kernels_cannot_be_loaded(cupy: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("CUDA_ERROR_NO_BINARY_FOR_GPU\nand a page of details")

    monkeypatch.setattr(cupy, "RawModule", broken)
    plain = bank_of("random", 3)
    search = Exact()
    search.build(OnCuda(plain.embeddings, plain.labels))
    assert search.description == (
        "exact, by tiles of distances, by torch's own operations: "
        "the kernels cannot be loaded by CuPy (RuntimeError: CUDA_ERROR_NO_BINARY_FOR_GPU)"
    )


def test_that_torch_searches_where_cupy_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "find_spec", lambda _name: None)
    plain = bank_of("random", 3)
    search, reason = cuda_search.pick(OnCuda(plain.embeddings, plain.labels), Distance())
    assert isinstance(search, Dense)
    assert "CuPy is not installed (pip install 'hnm-lab[cuda12]'" in reason


def finding(name: str) -> doctor.Check:
    return next(check for check in doctor.examine() if check.name == name)


def test_that_doctor_says_which_path_is_taken_and_why(cupy: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert finding("cuda search").words == "there is no GPU, so neighbours are searched on the CPU"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    check = finding("cuda search")
    assert (check.works, check.words) == (True, "neighbours are searched on the GPU by our own kernels")
    monkeypatch.setattr(kernels, "find_spec", lambda _name: None)
    check = finding("cuda search")
    assert not check.works
    assert "by torch's own operations: CuPy is not installed" in check.words


@pytest.mark.skipif(bool(nvrtc.why_absent()), reason=nvrtc.why_absent())
def test_that_doctor_says_whether_the_kernels_compile(monkeypatch: pytest.MonkeyPatch) -> None:
    check = finding("cuda kernels")
    version = nvrtc.version()
    assert (check.works, check.words) == (
        True, f"hamming, low_dim, measure, select compile by NVRTC {version}; that needs no GPU",
    )  # fmt: skip
    monkeypatch.setattr("hnm_core.neighbors.cuda.source.source", lambda _name: "__global__ void f() { x; }")
    check = finding("cuda kernels")
    assert not check.works
    assert check.words.startswith(f"hamming.cu does not compile by NVRTC {version}: hamming.cu(1): error: identifier")


def test_that_doctor_says_what_checks_the_kernels_where_nvrtc_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvrtc, "PACKAGES", ("no-such-package",))
    nvrtc._library.cache_clear()
    try:
        check = finding("cuda kernels")
    finally:
        nvrtc._library.cache_clear()
    assert not check.works
    assert "pip install no-such-package" in check.words


def test_that_a_source_is_one_piece_that_needs_no_header() -> None:
    for name in names():
        assert "#include" not in source(name)
        assert source(name).count("typedef long long Key;") == 1
        for forbidden in ("INFINITY", "uint64_t", "cuda_fp16"):
            assert forbidden not in source(name)
    assert {path.stem for path in FOLDER.glob("*.cu")} == set(names())
