"""Items whose label is doubtful, by what lies near them."""

from __future__ import annotations

import pytest
import torch

from hnm_core import data
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.suspects import FEWEST, suspects, voted
from hnm_core.neighbors.found import SearchCancelled


def by_hand(x: torch.Tensor, y: torch.Tensor, k: int) -> dict[int, tuple[int, float, float, float, float, int]]:
    """The doubtful items, one by one: label instead, vote, own, nearer, mutual, wanted."""
    apart = torch.cdist(x.double(), x.double(), compute_mode="donot_use_mm_for_euclid_dist").fill_diagonal_(torch.inf)
    near = apart.argsort(dim=1, stable=True)[:, :k]
    found = {}
    for row in range(len(x)):
        others = near[row].tolist()
        voters = others[: min(k, max(FEWEST, int((y == y[row]).sum()) - 1))]
        counts: dict[int, int] = {}
        for other in voters:  # of equal counts the class that comes first
            if y[other] != y[row]:
                counts[int(y[other])] = counts.get(int(y[other]), 0) + 1
        own = sum(bool(y[other] == y[row]) for other in voters)
        if not counts or max(counts.values()) <= own:
            continue
        instead = max(counts, key=lambda label: counts[label])
        like = [other for other in voters if y[other] == instead]
        same = [other for other in others if y[other] == y[row]]
        nearer = float(apart[row, same[0] if same else others[-1]] - apart[row, like[0]])
        mutual = sum(row in near[other].tolist() for other in like) / len(like)
        wanted = sum(row in near[other].tolist() for other in range(len(x)) if y[other] != y[row])
        found[row] = (instead, counts[instead] / len(voters), own / len(voters), nearer, mutual, wanted)
    return found


@pytest.mark.parametrize("k", [1, 5, 20, 500])
def test_that_every_figure_is_what_counting_by_hand_gives(k: int) -> None:
    source = torch.Generator().manual_seed(k)
    y = torch.randint(6, (120,), generator=source) * 7 - 3
    y[:4] = torch.tensor([100, 101, 101, 102])  # classes of one and of two
    x = torch.randn(120, 5, generator=source) + y[:, None] / 8
    found, right = suspects(x, y, k=k), by_hand(x, y, min(k, 119))
    assert set(found.row.tolist()) == set(right)
    for place, row in enumerate(found.row.tolist()):
        instead, *figures = right[row]
        assert int(found.instead[place]) == instead
        told = [found.vote[place], found.own[place], found.nearer[place], found.mutual[place], found.wanted[place]]
        assert torch.tensor(told, dtype=torch.float64) == pytest.approx(figures, abs=1e-5)
        like = [other for other in found.like[place].tolist() if other >= 0]
        assert like
        assert (y[like] == instead).all()
    lead = found.vote - found.own
    assert (lead[1:] <= lead[:-1]).all()
    assert (found.nearer[1:] <= found.nearer[:-1])[lead[1:] == lead[:-1]].all()


@pytest.mark.parametrize("seed", range(3))
def test_that_wrong_labels_of_digits_stand_first(seed: int) -> None:
    dataset = data.create("label-noise", of="digits", noise=0.1, seed=seed)
    found = suspects(torch.tensor(dataset.x), torch.tensor(dataset.y))
    wrong = torch.tensor(dataset.y != dataset.y_true)
    assert wrong[found.row[:100]].float().mean() >= 0.97
    assert wrong[found.row[:90]].sum() / wrong.sum() >= 0.48, "no more than half can be found by 90 looks"
    true = torch.tensor(dataset.y_true)[found.row[:100]]
    assert (found.instead[:100] == true).float().mean() >= 0.97


def test_that_small_classes_are_not_outvoted_by_large_ones_beside_them() -> None:
    """Eleven thousand classes of five would all be doubtful if twenty had a vote."""
    source = torch.Generator().manual_seed(0)
    y = torch.arange(200).repeat_interleave(5)
    x = 10 * torch.randn(200, 8, generator=source)[y] + torch.randn(1_000, 8, generator=source)
    y[7] = 150  # one of class 1
    assert suspects(x, y).row.tolist() == [7]
    assert int(suspects(x, y).instead[0]) == 1


def test_that_a_twin_with_another_label_is_listed_whatever_the_vote() -> None:
    source = torch.Generator().manual_seed(1)
    x = torch.randn(60, 4, generator=source)
    y = torch.zeros(60, dtype=torch.int64)
    x[30:] += 50
    y[30:] = 1
    x[59] = x[3]  # labelled 1, among those labelled 0
    for distance in (Distance(), Distance("cosine")):
        found = suspects(x, y, distance)
        at = {row: place for place, row in enumerate(found.row.tolist())}
        assert int(found.twin[at[3]]) == 59
        assert int(found.instead[at[3]]) == 1
        assert int(found.twin[at[59]]) == 3
        assert sorted(row for row in at if found.twin[at[row]] >= 0) == [3, 59]


def test_that_some_items_are_voted_on_as_all_are() -> None:
    source = torch.Generator().manual_seed(2)
    x = torch.randn(90, 3, generator=source)
    y = (x[:, 0] > 0).long() * 5 + 2
    y[:9] = 9 - y[:9]
    x[89] = x[20]
    y[89] = 9 - y[20]  # its twin
    found = suspects(x, y, k=7)
    rather = y.clone()
    rather[found.row] = found.instead
    assert 9 <= (rather != y).sum() < 40
    rows = torch.tensor([20, 3, 89, 50, 3, 8])
    assert torch.equal(voted(x, y, rows, k=7), rather[rows])
    assert torch.equal(voted(x, y, torch.arange(90), k=7), rather)


def test_that_many_equal_items_are_not_their_own_neighbours() -> None:
    x, y = torch.zeros(100, 3), torch.arange(100) % 2
    found = suspects(x, y, k=10)
    assert (found.like != found.row[:, None]).all()
    assert (found.twin != found.row).all()


def test_that_what_cannot_be_ranked_is_refused() -> None:
    x = torch.randn(10, 3)
    with pytest.raises(InputError, match="k = 0"):
        suspects(x, torch.arange(10), k=0)
    with pytest.raises(InputError, match="at least 2"):
        suspects(x[:1], torch.arange(1))
    with pytest.raises(SearchCancelled):
        suspects(x, torch.arange(10), progress=lambda _done, _total: False)
    assert len(suspects(x, torch.zeros(10, dtype=torch.int64))) == 0, "of one class nothing is doubtful"
