"""`lsh-scan` beside exact search over what a network that was trained makes of Fashion-MNIST, in 128 dimensions.

    python benchmarks/trained_embeddings.py [--copies 4] [--threads 2] [--loss triplet-margin --miner semihard-negative]

A small convolutional network is trained, then all 70,000 pictures are embedded; with copies, again shifted by up to two
pixels and every second time mirrored. Searches run one after the other over growing shares, with k = 10, bank and index
built and the number of candidates chosen in every run; the first run of each is dropped, the figure is the median.
Recall counts all rows.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor, nn

from hnm_core import data, losses, miners, models, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.lsh_scan import LshScan
from hnm_core.neighbors.probing import recall

K = 10
UNIT = Distance(normalized=True)


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


def timed(name: str, points: Tensor, labels: Tensor, repeat: int) -> tuple[float, Tensor, neighbors.NeighborSearch]:
    seconds = []
    for _ in range(repeat + 1):
        start = time.perf_counter()
        search = neighbors.create(name, distance=UNIT)
        search.build(Bank(points, labels))
        found = search.nearest_negatives(torch.arange(len(points)), K)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]), found.distance, search


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--loss", default="sup-con")
    parser.add_argument("--miner", default="")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    pictures = data.create("fashion-mnist", points=70_000)
    x, y = torch.from_numpy(pictures.x).float(), torch.from_numpy(pictures.y).long()
    known = torch.ones(len(x), dtype=torch.bool)
    if pictures.held_out is not None:
        known = ~torch.from_numpy(pictures.held_out)
    points = embedded(train(x[known], y[known], given.loss, given.miner, given.steps), x, given.copies)
    labels = y.repeat(given.copies)
    for rows in (10_000, 20_000, 40_000, *range(70_000, len(points) + 1, 70_000)):
        exact, truth, _ = timed("exact", points[:rows], labels[:rows], given.repeat)
        scan, found, search = timed("lsh-scan", points[:rows], labels[:rows], given.repeat)
        assert isinstance(search, LshScan)
        print(
            f"N={rows:>7,}: exact {exact:6.3f} s, lsh-scan {scan:6.3f} s ({exact / scan:.2f} x), "
            f"{search.candidates} candidates, recall {recall(found, truth):.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
