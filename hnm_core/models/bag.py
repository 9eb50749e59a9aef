"""`bag`: texts in, embeddings out. The mean of the vectors of hashed words and word pairs, then a layer (fastText's
averaging, Joulin 2017); and two such towers, one for queries and one for documents, or one for both.

Other networks take rows of numbers; these take texts, so they are not among the models by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from hnm_core.errors import InputError, described
from hnm_core.models.bag_options import BagOptions
from hnm_core.models.base import linear, or_seed_0
from hnm_core.models.weights import read_state_dict
from hnm_core.models.words import hashed

Side = Literal["query", "document"]


class Words:
    """Texts whose words were hashed once, to be embedded often."""

    def __init__(self, texts: Sequence[str], options: BagOptions) -> None:
        """Raises `InputError` where that is no sequence of texts; a single text is none, lest it become letters."""
        if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
            wrong = texts if isinstance(texts, str) else next(text for text in texts if not isinstance(text, str))
            raise InputError(
                f"Texts must be a list of texts, not {'one text' if wrong is texts else described(wrong)}."
            )
        self._row, starts = hashed(texts, options.rows, pairs=options.pairs)
        self._offsets = np.append(starts, len(self._row))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @property
    def empty(self) -> int:
        """Texts without any word; their embedding is that of no words at all."""
        return int((np.diff(self._offsets) == 0).sum())

    def of(self, which: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """The rows of some texts one behind the other, and where those of each begin, as `nn.EmbeddingBag` takes."""
        sizes = self._offsets[which + 1] - self._offsets[which]
        starts = np.cumsum(sizes) - sizes
        place = np.arange(int(sizes.sum())) + np.repeat(self._offsets[which] - starts, sizes)
        return torch.from_numpy(self._row[place]), torch.from_numpy(starts)


class Bag(nn.Module):
    """One tower: (N,) texts to (N, embedding), on the CPU as `nn.EmbeddingBag` with a dense gradient."""

    def __init__(self, options: BagOptions | None = None, generator: Generator | None = None) -> None:
        """`generator` is the source of the initial weights; None starts one at seed 0."""
        super().__init__()
        self.options = options or BagOptions()
        generator = or_seed_0(generator)
        table = torch.empty((self.options.rows, self.options.width), dtype=torch.float32)
        self.table = nn.EmbeddingBag.from_pretrained(
            nn.init.normal_(table, std=1 / math.sqrt(self.options.width), generator=generator),
            freeze=False,
            mode="mean",
        )
        self.layer = linear(self.options.width, self.options.embedding, generator)

    def forward(self, row: Tensor, starts: Tensor, generator: Generator | None = None) -> Tensor:
        """(N, embedding) of texts whose words `Words.of` gives.

        Args:
            row, starts: as `Words.of` gives them.
            generator: of the dropout while training; none drops nothing.
        """
        mean: Tensor = self.table(row, starts)
        if self.training and self.options.dropout and generator is not None:
            kept = torch.rand(mean.shape, generator=generator, dtype=torch.float32) >= self.options.dropout
            mean = mean * kept.to(mean) / (1 - self.options.dropout)
        embedded: Tensor = self.layer(mean)
        return embedded


class TwoTowers(nn.Module):
    """A tower for queries and one for documents, which may be the same."""

    def __init__(self, options: BagOptions | None = None, generator: Generator | None = None) -> None:
        """`generator` as of `Bag`. Both towers begin with the same weights, shared or not."""
        super().__init__()
        self.options = options or BagOptions()
        self.query_tower = Bag(self.options, generator)
        self.document_tower = self.query_tower
        if not self.options.shared:
            self.document_tower = Bag(self.options)
            self.document_tower.load_state_dict(self.query_tower.state_dict())

    def forward(
        self, words: Words, side: Side, which: NDArray[np.int64] | None = None, generator: Generator | None = None
    ) -> Tensor:
        """(N, embedding) of texts, or of some of them, (N,) places in `words`. `generator` as of `Bag.forward`."""
        tower = self.query_tower if side == "query" else self.document_tower
        embedded: Tensor = tower(*words.of(np.arange(len(words)) if which is None else which), generator)
        return embedded

    @torch.no_grad()
    def embed(self, texts: Sequence[str] | Words, side: Side, batch: int = 4096) -> Tensor:
        """(N, embedding) of texts, without gradient and dropout, `batch` at a time.

        Raises:
            InputError: that is no list of texts.
        """
        words = texts if isinstance(texts, Words) else Words(texts, self.options)
        was, _ = self.training, self.eval()
        try:
            parts = [
                self(words, side, np.arange(start, min(start + batch, len(words))))
                for start in range(0, len(words), batch)
            ]
        finally:
            self.train(was)
        return torch.cat(parts) if parts else torch.zeros((0, self.options.embedding))

    def save(self, path: Path) -> None:
        """Write weights and options, tensors alone; `load` reads them."""
        numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.options}
        state = {name: value for name, value in self.state_dict().items() if not self._twice(name)}
        torch.save({f"option.{name}": value for name, value in numbers.items()} | state, path)

    @classmethod
    def load(cls, path: Path) -> TwoTowers:
        """The towers that `save` wrote; never runs code from a file.

        Raises:
            InputError: no such file, or one that is not of two towers.
        """
        state = read_state_dict(path)
        fields = BagOptions.model_fields
        try:
            values = {name: state.pop(f"option.{name}").item() for name in fields}
            options = BagOptions(**{name: type(fields[name].default)(value) for name, value in values.items()})
            table = tuple(state["query_tower.table.weight"].shape)
            if table != (options.rows, options.width):  # before anything of the size that it tells of is made
                raise ValueError(f"its table is {table}, but its options say {(options.rows, options.width)}")
            made = cls(options)
            if made.options.shared:
                state |= {name.replace("query_tower", "document_tower", 1): value for name, value in state.items()}
            made.load_state_dict(state)
        except (KeyError, ValueError, OverflowError, RuntimeError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error).splitlines()[0]
            raise InputError(f"'{path}' holds no two towers as TwoTowers.save writes them: {reason}.") from None
        return made

    def _twice(self, name: str) -> bool:
        return self.options.shared and name.startswith("document_tower.")
