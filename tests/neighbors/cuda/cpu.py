"""`Kernels` for tests: the CUDA sources, compiled by g++ and run on the CPU, one fibre for each thread of a block."""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hnm_core.neighbors.cuda.kernels import Argument
from hnm_core.neighbors.cuda.source import names, source

HEADER = Path(__file__).parent / "cuda_on_cpu.h"
_GUARD = 256
"""Bytes before and after each piece of memory a kernel gets; nobody may write there, and what is read there is no
number that could pass unnoticed."""
_GUARD_BYTE = 0xFF


class CudaError(Exception):
    """What a device, or a tool that watches it, would complain about."""


def why_absent() -> str:
    """Empty where the sources can be compiled for the CPU."""
    return "" if shutil.which("g++") else "g++ is not installed, which compiles the CUDA kernels for the CPU"


def build(text: str, folder: Path) -> ctypes.CDLL:
    """Compile a CUDA source, or take what was compiled of the same text before."""
    stamp = hashlib.sha256((text + HEADER.read_text()).encode()).hexdigest()[:24]
    library = folder / f"{stamp}.so"
    if not library.exists():
        plain = subprocess.run(
            ["g++", "-E", "-P", "-x", "c++", "-include", str(HEADER), "-"],
            input=text, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        kernels = re.findall(r'extern "C"\s+void\s+(\w+)\s*\(', plain)
        text += "".join(f"\nREACHABLE({kernel})" for kernel in kernels)
        # No fortified longjmp, which refuses to jump between stacks.
        flags = [
            "-std=c++17",
            "-O2",
            "-fPIC",
            "-shared",
            "-U_FORTIFY_SOURCE",
            "-Wall",
            "-Wno-unknown-pragmas",
            "-Werror",
        ]
        made = folder / f"{stamp}.{id(text)}.part"
        done = subprocess.run(
            ["g++", *flags, "-x", "c++", "-include", str(HEADER), "-", "-o", str(made)],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        made.replace(library)
    return ctypes.CDLL(str(library))


class CpuKernels:
    """Every launch runs on guarded copies of its arguments, with the threads in an order drawn from `seed`."""

    def __init__(self, folder: Path, blocks: int = 8, seed: int = 0) -> None:
        self._libraries = {name: build(source(name), folder) for name in names()}
        self.blocks = blocks
        self.seed = seed
        self.launched: list[str] = []

    def launch(
        self, file: str, kernel: str, grid: tuple[int, int], threads: int, shared: int, arguments: Sequence[Argument]
    ) -> None:
        self.seed += 1
        self.launched.append(kernel)
        launch(self._libraries[file], kernel, grid, threads, shared, arguments, self.seed)


def launch(
    library: ctypes.CDLL,
    kernel: str,
    grid: tuple[int, int],
    threads: int,
    shared: int,
    arguments: Sequence[Argument | np.uint64],
    seed: int = 0,
) -> None:
    """Run one kernel. Raises `CudaError` on divergent threads and on writes beyond its memory."""
    values: list[ctypes.c_int | ctypes.c_float | ctypes.c_void_p] = []
    memories: list[tuple[Tensor, np.ndarray]] = []
    for argument in arguments:
        if isinstance(argument, Tensor):
            memory = _guarded(argument)
            memories.append((argument, memory))
            values.append(ctypes.c_void_p(memory.ctypes.data + _GUARD))
        elif isinstance(argument, np.uint64):  # an address
            values.append(ctypes.c_void_p(int(argument)))
        elif argument is None:
            values.append(ctypes.c_void_p(None))
        else:
            values.append(ctypes.c_int(argument) if isinstance(argument, int) else ctypes.c_float(argument))
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.cast(ctypes.pointer(v), ctypes.c_void_p) for v in values))
    error = ctypes.create_string_buffer(200)
    run = getattr(library, f"run_{kernel}")
    run(pointers, len(values), grid[0], grid[1], threads, shared, ctypes.c_ulonglong(seed), error)
    if error.value:
        raise CudaError(error.value.decode())
    for place, (tensor, memory) in enumerate(memories):
        if (memory[:_GUARD] != _GUARD_BYTE).any() or (memory[-_GUARD:] != _GUARD_BYTE).any():
            raise CudaError(f"{kernel} wrote beyond the memory of its tensor argument {place}")
        _bytes(tensor)[:] = memory[_GUARD:-_GUARD]


def _guarded(tensor: Tensor) -> np.ndarray:
    content = _bytes(tensor)
    memory = np.full(len(content) + 2 * _GUARD, _GUARD_BYTE, np.uint8)
    memory[_GUARD:-_GUARD] = content
    return memory


def _bytes(tensor: Tensor) -> np.ndarray:
    """The memory a tensor spans, up to its last number."""
    if tensor.numel() == 0:
        return np.empty(0, np.uint8)
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return torch.as_strided(tensor, (span,), (1,)).numpy().view(np.uint8)
