"""A lane's training step beside the same loop written by hand in plain torch: what the harness costs.

    python benchmarks/training_step.py [--threads 1] [--rounds 7] [--steps 300]

Both train the first preset's random lane (2,000 items, batch 256, five-layer perceptron, triplet margin loss, Adam);
triplets are drawn at random, in both by vectorised arithmetic on the labels sorted by class. The two take turns in one
process, the first round is dropped, the figure is the median over rounds of the time per step. Neither evaluates nor
makes frames while the clock runs.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

import numpy as np
import torch
from torch import nn

from hnm_core.bench.levels import in_words, levels
from hnm_core.data.sampling import random_batches
from hnm_core.spec.config import ExperimentConfig, from_dict, load
from hnm_core.spec.resources import preset_path
from hnm_core.training.experiment import Experiment
from hnm_core.training.setup import Shared, prepare


def first_lane(steps: int, threads: int) -> ExperimentConfig:
    values = load(preset_path("near-classes")).to_dict()
    values |= {"steps": steps, "threads": threads, "eval_every": 1_000_000, "lanes": values["lanes"][:1]}
    return from_dict(values)


def ours(config: ExperimentConfig) -> float:
    """Seconds per step of a headless run, from its second step to the one before its last (which evaluates)."""
    experiment = Experiment(config)
    experiment.prepare()
    times = [time.perf_counter() for event in experiment.run(frames=False) if type(event).__name__ == "StepRecord"]
    return (times[-2] - times[0]) / (len(times) - 2)


def by_hand(config: ExperimentConfig, shared: Shared) -> float:
    """Seconds per step of the loop a user would write."""
    x, y = shared.train_x, shared.train_y
    labels = y.numpy()
    order = np.argsort(labels, kind="stable")
    place = np.argsort(order)
    sizes_of = np.bincount(labels)
    starts = np.cumsum(sizes_of) - sizes_of
    rng = np.random.default_rng(0)
    sizes = [x.shape[1], 100, 50, 25, 10, 3]
    layers = [module for a, b in itertools.pairwise(sizes) for module in (nn.Linear(a, b), nn.ReLU())]
    model = nn.Sequential(*layers[:-1])
    loss_function = nn.TripletMarginLoss(margin=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    step, epoch, start = 0, 0, 0.0
    while True:
        for batch in random_batches(len(x), config.sampler.batch, 0, epoch):
            if step == 1:
                start = time.perf_counter()
            first, size = starts[labels[batch]], sizes_of[labels[batch]]
            positive = first + rng.integers(size - 1)
            positive = order[positive + (positive >= place[batch])]
            negative = rng.integers(len(labels) - size)
            negative = order[negative + size * (negative >= first)]
            embeddings = model(x[np.concatenate((batch, positive, negative))])
            loss = loss_function(*embeddings.split(len(batch)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            step += 1
            if step == config.steps:
                return (time.perf_counter() - start) / (config.steps - 1)
        epoch += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = first_lane(args.steps, args.threads)
    shared = prepare(config)
    rounds = [(ours(config), by_hand(config, shared)) for _ in range(args.rounds + 1)][1:]
    lane, hand = (statistics.median(times) * 1e3 for times in zip(*rounds, strict=True))
    ratio = statistics.median(a / b for a, b in rounds)
    print(in_words(levels()))
    print(f"torch {torch.__version__}, {args.threads} thread(s), {args.rounds} rounds of {args.steps} steps")
    print(f"a lane's step    {lane:6.2f} ms")
    print(f"by hand          {hand:6.2f} ms")
    print(f"ratio            {ratio:6.2f}")


if __name__ == "__main__":
    main()
