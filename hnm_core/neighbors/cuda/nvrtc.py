"""NVIDIA's runtime compiler needs neither a GPU nor a driver: do the kernels compile, and with what registers?"""

from __future__ import annotations

import ctypes
import importlib.metadata
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGES = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12")
"""Either holds the library."""

OPTIONS = ("--std=c++17",)
"""Language options, for this compiler as for CuPy's."""


@dataclass(frozen=True)
class Usage:
    """What one kernel takes, as the assembler reports it."""

    kernel: str
    registers: int
    """Of each thread."""
    stack: int
    """Bytes of local memory of each thread, calls included."""
    spilled: int
    """Bytes that are stored to and loaded from local memory because registers did not suffice."""


@dataclass(frozen=True)
class Compiled:
    """The outcome of one compilation."""

    works: bool
    cubin: bytes
    """Machine code; empty where it was not asked for or the source does not compile."""
    log: str
    """Errors and warnings, and nothing else."""
    usage: tuple[Usage, ...]


def why_absent() -> str:
    """Empty where the library is at hand."""
    try:
        _library()
    except OSError as error:
        return str(error)
    return ""


def version() -> str:
    """Such as 13.0. Raises `OSError` where the library is not at hand."""
    major, minor = ctypes.c_int(), ctypes.c_int()
    _library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


def architectures() -> list[int]:
    """What this version compiles for, such as 75, 80, 90. Raises `OSError` where the library is not at hand."""
    library, count = _library(), ctypes.c_int()
    library.nvrtcGetNumSupportedArchs(ctypes.byref(count))
    found = (ctypes.c_int * count.value)()
    library.nvrtcGetSupportedArchs(found)
    return list(found)


@cache
def compile_source(text: str, name: str, architecture: int, *, assemble: bool = True) -> Compiled:
    """Compile `text` for one architecture, such as 90, to machine code or, quicker, only to what is assembled from.

    Raises `OSError` where the library is not at hand.
    """
    library = _library()
    options = [f"--gpu-architecture={'sm' if assemble else 'compute'}_{architecture}", *OPTIONS]
    if assemble:
        options.append("--ptxas-options=-v")
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), text.encode(), name.encode(), 0, None, None)
    try:
        failed = library.nvrtcCompileProgram(
            program, len(options), (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        )
        log = _read(library.nvrtcGetProgramLogSize, library.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        cubin = b"" if failed or not assemble else _read(library.nvrtcGetCUBINSize, library.nvrtcGetCUBIN, program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))
    said = [line for line in log.splitlines() if line.strip() and not line.startswith("ptxas ")]
    said += [line for line in log.splitlines() if re.match(r"ptxas\s+(warning|error|fatal)", line)]
    return Compiled(not failed, cubin, "\n".join(said), _usage(log))


def _read(size_of: ctypes._NamedFuncPointer, read: ctypes._NamedFuncPointer, program: ctypes.c_void_p) -> bytes:
    size = ctypes.c_size_t()
    size_of(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    read(program, text)
    return text.raw


def _usage(log: str) -> tuple[Usage, ...]:
    found = []
    for part in log.split("Compiling entry function ")[1:]:
        kernel = re.match(r"'(\w+)'", part)
        registers, stack = re.search(r"Used (\d+) registers", part), re.search(r"(\d+) bytes cumulative stack", part)
        if kernel and registers:
            spilled = sum(int(size) for size in re.findall(r"(\d+) bytes spill", part))
            found.append(Usage(kernel[1], int(registers[1]), int(stack[1]) if stack else 0, spilled))
    return tuple(found)


@cache
def _library() -> ctypes.CDLL:
    for package in PACKAGES:
        try:
            files = importlib.metadata.files(package) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        for file in files:
            if re.fullmatch(r"libnvrtc\.so\.\d+|nvrtc64_\d+_\d+\.dll", file.name):
                return ctypes.CDLL(str(Path(str(file.locate()))))
    raise OSError(f"NVIDIA's compiler is not installed: pip install {PACKAGES[0]}")
