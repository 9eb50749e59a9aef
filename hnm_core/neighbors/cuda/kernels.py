"""Loads the kernels by CuPy and launches them on torch's tensors and stream; nothing passes through the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.neighbors.cuda.nvrtc import OPTIONS
from hnm_core.neighbors.cuda.source import names, source

Argument = Tensor | int | float | None
"""What a kernel takes: memory, int, float, or a null pointer."""

_BLOCKS_PER_PROCESSOR = 4
"""Enough blocks of 256 threads for each multiprocessor to have work while memory is waited for."""


class Kernels(Protocol):
    """Launches kernels on the device that holds their arguments."""

    @property
    def blocks(self) -> int:
        """How many blocks keep the device busy."""

    def launch(
        self, file: str, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Argument]
    ) -> None:
        """Start `kernel` of `file`.cu with `shared` bytes of shared memory; it runs when the stream comes to it."""


class CupyKernels:
    """`Kernels` on one CUDA device.

    What is launched stands in line after what torch was given before on its current stream, so neither waits for the
    other, and torch may hand out the memory of an argument again as soon as the launch returns.
    """

    def __init__(self, device: torch.device) -> None:
        """Raises `ImportError` where CuPy is not installed."""
        import cupy

        self._cupy: Any = cupy
        self._device = device
        self._index = torch.cuda.current_device() if device.index is None else device.index
        self._modules: dict[str, Any] = {}
        self._functions: dict[tuple[str, str], Any] = {}
        self._streams: dict[int, Any] = {}
        processors: int = torch.cuda.get_device_properties(device).multi_processor_count
        self._blocks = processors * _BLOCKS_PER_PROCESSOR

    @property
    def blocks(self) -> int:
        """See `Kernels`."""
        return self._blocks

    def __deepcopy__(self, memo: object) -> CupyKernels:
        """Itself: searches are copied with what they know, and a device's kernels are nobody's own."""
        return self

    def compile(self, file: str) -> None:
        """Compile `file`.cu, once: CuPy keeps the result on disk. Raises what CuPy raises where that fails."""
        with torch.cuda.device(self._index), self._cupy.cuda.Device(self._index):
            module = self._cupy.RawModule(code=source(file), options=OPTIONS)
            module.compile()
        self._modules[file] = module

    def launch(
        self, file: str, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Argument]
    ) -> None:
        """See `Kernels`."""
        if (file, kernel) not in self._functions:
            if file not in self._modules:
                self.compile(file)
            self._functions[file, kernel] = self._modules[file].get_function(kernel)
        stream = self._stream(torch.cuda.current_stream(self._device).cuda_stream)
        with torch.cuda.device(self._index), self._cupy.cuda.Device(self._index), stream:
            values = tuple(self._value(argument) for argument in arguments)
            self._functions[file, kernel](grid, (threads,), values, shared_mem=shared)

    def _stream(self, handle: int) -> Any:
        """CuPy's view of one of torch's streams, which live as long as the process."""
        if handle not in self._streams:
            streams = self._cupy.cuda
            if hasattr(streams.Stream, "from_external"):
                self._streams[handle] = streams.Stream.from_external(_TorchStream(handle))
            else:  # CuPy 13
                self._streams[handle] = streams.ExternalStream(handle, self._index)
        return self._streams[handle]

    def _value(self, argument: Argument) -> Any:
        """Memory goes by its address: views that CuPy makes of tensors take longer than a launch."""
        match argument:
            case Tensor():
                on_other = argument.device.type == "cuda" and argument.device.index != self._index
                if on_other or not argument.is_contiguous():
                    raise ValueError(f"a kernel on device {self._index} cannot read {argument.shape} as it lies there")
                return np.uint64(argument.data_ptr())
            case int():
                return np.int32(argument)
            case float():
                return np.float32(argument)
            case None:
                return np.uint64(0)


@dataclass(frozen=True)
class _TorchStream:
    """A stream for whoever speaks the `__cuda_stream__` protocol."""

    handle: int

    def __cuda_stream__(self) -> tuple[int, int]:
        """(version of the protocol, address)."""
        return 0, self.handle


def why_absent(device: torch.device) -> str:
    """Empty where kernels run on `device`, else why not, in words."""
    if device.type != "cuda":
        return f"the tensors are on {device.type}"
    if torch.version.hip is not None:
        return "the kernels are for NVIDIA's devices, and this torch is for AMD's"
    if find_spec("cupy") is None:
        return "CuPy is not installed (pip install 'hnm-lab[cuda12]' or 'hnm-lab[cuda13]', by your CUDA)"
    kernels = on_device(device)
    return kernels if isinstance(kernels, str) else ""


def of(device: torch.device) -> CupyKernels:
    """The kernels of a device. Raises `InputError` where there are none."""
    reason = why_absent(device)
    kernels = reason or on_device(device)
    if isinstance(kernels, str):
        raise InputError(f"CUDA kernels cannot search this bank: {kernels}.")
    return kernels


@cache
def on_device(device: torch.device) -> CupyKernels | str:
    """The kernels, compiled, one object for each device; or why there are none."""
    try:
        kernels = CupyKernels(device)
        for file in names():
            kernels.compile(file)
    except Exception as error:  # noqa: BLE001 - a broken installation breaks in any way it likes; torch can search too
        first = (str(error).strip() or "no message").splitlines()[0]
        return f"the kernels cannot be loaded by CuPy ({type(error).__name__}: {first})"
    return kernels
