"""Which items the retrieval metrics of a run are measured on, and that in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Evaluated:
    """How many items query, against how many each of them is ranked, and out of how many they were drawn."""

    queries: int
    """Items that query."""
    among: int
    """Items that they are ranked against, and part of."""
    items: int
    """Items that there are to measure."""
    alone: int
    """Queries without another item of their class among these: nothing to be found."""
    held_out: bool = True
    """Whether they are kept out of training; False where nothing is, so that what is trained on is measured."""
    shares: bool = False
    """Whether what shares a label is relevant, rather than what is of the class."""

    @property
    def kind(self) -> str:
        """ "held-out items", or what else is measured."""
        return "held-out items" if self.held_out else "items trained on"

    @property
    def short(self) -> str:
        """For example "2,000 of 15,000 held-out items"."""
        return f"{self.queries:,}{'' if self.queries == self.items else f' of {self.items:,}'} {self.kind}"

    @property
    def text(self) -> str:
        """For example "2,000 of 15,000 held-out items, each against all 15,000"."""
        if self.queries == self.items:
            return f"{self.short}, each against all others"
        return f"{self.short}, each against {'all ' if self.among == self.items else ''}{self.among:,}"

    @property
    def missing(self) -> str:
        """Why the metrics cannot be had, or are had of some of the queries only; empty where all have a partner."""
        if not self.alone:
            return ""
        if self.shares:
            if self.alone == self.queries:
                return (
                    f"Precision@1 and MAP@R cannot be had: no two of the {self.kind} that are measured share a label."
                )
            have = (
                "1 query shares no label with another item"
                if self.alone == 1
                else (f"{self.alone:,} queries share no label with another item")
            )
            return f"{have} among these and count{'s' if self.alone == 1 else ''} for nothing."
        if self.alone == self.queries:
            return (
                f"Precision@1, MAP@R and kNN accuracy cannot be had: none of the {self.queries:,} {self.kind} that are "
                "measured has another item of its class among them."
            )
        if self.alone == 1:
            return "1 query has no other item of its class among these and counts in the kNN accuracy only."
        return (
            f"{self.alone:,} queries have no other item of their class among these and count in the kNN accuracy only."
        )
