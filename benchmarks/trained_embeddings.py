"""Exact search and others over what a network that was trained makes of Fashion-MNIST, in 128 dimensions.

    python benchmarks/trained_embeddings.py [--copies 4] [--threads 2] [--loss triplet-margin --miner semihard-negative]
        [--keep FILE] [--rows 70000 --rows 280000] [--beside products --beside faiss]

A small convolutional network is trained, then all 70,000 pictures are embedded; with copies, again shifted by up to two
pixels and every second time mirrored. Searches run one after the other over growing shares, with k = 10, bank and index
built and the number of candidates chosen in every run; the first run of each is dropped, the figure is the median.
Recall counts all rows.

Beside exact search stand `lsh-scan`, products with all rows (which exact search makes where none can be left out), and
FAISS's exhaustive index, which knows no labels and so answers an easier question: 8,192 anchors, scaled up.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from hnm_core import data, losses, miners, models, neighbors
from hnm_core.bank import Bank
from hnm_core.bench.levels import in_words, levels
from hnm_core.bench.timing import pinned
from hnm_core.distances import Distance
from hnm_core.neighbors.euclidean import euclidean_form
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.filtered_products import FilteredProducts
from hnm_core.neighbors.lsh_scan import LshScan
from hnm_core.neighbors.machine import matrix_units
from hnm_core.neighbors.probing import recall
from hnm_core.relevance import SameClass

K = 10
UNIT = Distance(normalized=True)
MANY = 100_000
"""Rows from which on products with all of them are made once."""
FAISS_ANCHORS = 8_192


def shifted(pictures: Tensor, source: torch.Generator, *, mirrored: bool) -> Tensor:
    """Each row's picture moved by up to two pixels each way, what leaves one side coming back on the other."""
    side = torch.arange(28)
    down, right = torch.randint(-2, 3, (2, len(pictures), 1), generator=source)
    rows, columns = (side + down) % 28, (side + right) % 28
    moved = pictures.view(-1, 28, 28)[torch.arange(len(pictures))[:, None, None], rows[:, :, None], columns[:, None]]
    return (moved.flip(2) if mirrored else moved).flatten(1)


def train(x: Tensor, y: Tensor, loss_name: str, miner_name: str, steps: int) -> nn.Module:
    source = torch.Generator().manual_seed(0)
    network = models.create("cnn", in_features=x.shape[1], image_shape=(1, 28, 28), generator=source, embedding=128)
    loss_function = losses.create(loss_name, distance=UNIT)
    miner = miners.create(miner_name, distance=UNIT, generator=source) if miner_name else None
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    for step in range(steps):
        rows = torch.randint(len(x), (256,), generator=source)
        embeddings = network(shifted(x[rows], source, mirrored=step % 2 == 1))
        loss = loss_function(embeddings, y[rows], miner(embeddings, y[rows]) if miner else None)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network.eval()


@torch.no_grad()
def embedded(network: nn.Module, x: Tensor, copies: int) -> Tensor:
    source = torch.Generator().manual_seed(1)
    parts = []
    for copy in range(copies):
        for pictures in x.split(2_000):
            seen = shifted(pictures, source, mirrored=copy % 2 == 1) if copy else pictures
            parts.append(UNIT.prepare(network(seen)))
    return torch.cat(parts)


def timed(run: Callable[[], Tensor], repeat: int) -> tuple[float, Tensor]:
    """Seconds, of the one run where there is only one, and the distances found."""
    seconds = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        found = run()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:] or seconds), found


def searched(search: neighbors.NeighborSearch, points: Tensor, labels: Tensor) -> Tensor:
    search.build(Bank(points, labels))
    return search.nearest_negatives(torch.arange(len(points)), K).distance


def products(points: Tensor, labels: Tensor) -> Tensor:
    """What exact search does where no rows can be left out."""
    bank = Bank(points, labels)
    form = euclidean_form(UNIT, bank.sorted_embeddings)
    search = FilteredProducts(form.points, lambda: form.queries, bank, inner=False, coarse=matrix_units())
    anchors, _ = SameClass(bank).query(bank.order).by_place()
    squared, _ = search.search(anchors, K, False, None)
    return form.distance(squared, anchors.line)[bank.place]


def exhaustive(points: Tensor) -> Tensor:
    """FAISS, for `FAISS_ANCHORS` of the rows."""
    import faiss

    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points.numpy())
    chosen = torch.linspace(0, len(points) - 1, FAISS_ANCHORS, dtype=torch.float64).long()
    return torch.from_numpy(index.search(points[chosen].numpy(), K)[0])


def beside(which: str, points: Tensor, labels: Tensor, exact: float, truth: Tensor, repeat: int) -> str:
    """A contender's time, as a number of times that of exact search, and what it found."""
    note = ""
    if which == "lsh-scan":
        scan = LshScan(distance=UNIT)
        seconds, found = timed(lambda: searched(scan, points, labels), repeat)
        note = f", {scan.candidates} candidates, recall {recall(found, truth):.3f}"
    elif which == "products":
        seconds, found = timed(lambda: products(points, labels), 0 if len(points) > MANY else repeat)
        note = ", the same found" if torch.equal(found, truth) else ", NOT the same found"
    else:
        seconds = timed(lambda: exhaustive(points), repeat)[0] * len(points) / FAISS_ANCHORS
    return f"{which} {seconds:6.3f} s ({seconds / exact:.2f} x{note})"


def kept(file: str | None, make: Callable[[], tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Embeddings and labels from a file, which is made where it is not there."""
    if file is not None and Path(file).exists():
        points, labels = torch.load(file, weights_only=True)
        return points, labels
    made = make()
    if file is not None:
        torch.save(made, file)
    return made


def compare(points: Tensor, labels: Tensor, given: argparse.Namespace) -> None:
    print(f"{in_words(levels())}; {given.threads} thread(s)", flush=True)
    for rows in given.rows or (10_000, 20_000, 40_000, *range(70_000, len(points) + 1, 70_000)):
        search = Exact(distance=UNIT)
        here, own = points[:rows], labels[:rows]
        exact, truth = timed(lambda here=here, own=own, search=search: searched(search, here, own), given.repeat)
        print(f"N={rows:>7,}: exact {exact:6.3f} s, {100 * (search.looked_at or 0):.1f} % looked at", flush=True)
        for which in given.beside or ("lsh-scan",):
            print(f"           {beside(which, here, own, exact, truth, given.repeat)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", default="sup-con")
    parser.add_argument("--miner", default="")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", metavar="FILE", help="take the embeddings from there, or leave them there")
    parser.add_argument("--rows", type=int, action="append")
    parser.add_argument("--beside", choices=("lsh-scan", "products", "faiss"), action="append")
    given = parser.parse_args()

    def make() -> tuple[Tensor, Tensor]:
        pictures = data.create("fashion-mnist", points=70_000)
        x, y = torch.from_numpy(pictures.x).float(), torch.from_numpy(pictures.y).long()
        known = torch.ones(len(x), dtype=torch.bool)
        if pictures.held_out is not None:
            known = ~torch.from_numpy(pictures.held_out)
        network = train(x[known], y[known], given.loss, given.miner, given.steps)
        return embedded(network, x, given.copies), y.repeat(given.copies)

    with pinned(given.threads):
        compare(*kept(given.keep, make), given)


if __name__ == "__main__":
    main()
