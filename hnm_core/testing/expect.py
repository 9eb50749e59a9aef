"""Assertions that also hold under `python -O`, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.errors import InputError


def expect(holds: bool, words: str) -> None:
    """Raises `AssertionError` with `words` unless `holds`."""
    if not holds:
        raise AssertionError(words)


def expect_refused(call: Callable[[], object], what: str) -> None:
    """`call` must raise `InputError` with a sentence."""
    try:
        call()
    except InputError as error:
        expect(len(str(error)) >= 10, f"{what} must be refused with a sentence, not {str(error)!r}")
        return
    except Exception as error:
        raise AssertionError(f"{what} must raise InputError, not {type(error).__name__}: {error}") from error
    raise AssertionError(f"{what} must raise InputError, but was accepted")


@contextmanager
def unchanged(bank: Bank, where: str) -> Iterator[None]:
    """The bank must not be changed meanwhile, nor the global random generators used."""
    before = {name: value.clone() for name, value in vars(bank).items() if isinstance(value, Tensor)}
    chance = torch.get_rng_state(), _numpys_state()
    yield
    for name, value in before.items():
        expect(torch.equal(getattr(bank, name), value), f"{where}: bank.{name} was changed")
    expect(torch.equal(torch.get_rng_state(), chance[0]), f"{where}: torch's global random generator was used")
    expect(_numpys_state() == chance[1], f"{where}: numpy's global random generator was used")


def _numpys_state() -> tuple[object, ...]:
    """All of it: a single number that is drawn moves the place in the key, and the key only after hundreds."""
    name, key, *places = np.random.get_state()  # noqa: NPY002 - looks only
    return name, np.asarray(key).tobytes(), *places


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Let torch use so many threads meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
