"""Ways to negatives on `code-search`: the negatives of the batch alone beside BM25, exact search, LSH, and exact search
that leaves out what is nearly as near as the positive. All lanes warm up on the batch, then take one negative more for
each query. Prints the means over seeds, and each lane beside the first.

    OMP_NUM_THREADS=1 python benchmarks/code_search_negatives.py --seeds 5
"""

from __future__ import annotations

import argparse

import torch

from hnm_core.data.retrieval import read
from hnm_core.studies.negatives import retrieval_estimates, retrieval_trials, retrieval_verdicts
from hnm_core.training.retrieval_config import retrieval_config

MINED = {"warmup": 75, "refresh_every": 25}
NEAREST = {"pool": 20}

LANES = [
    {"name": "in-batch"},
    {"name": "bm25", "negatives": "bm25", "options": NEAREST, "warmup": MINED["warmup"]},
    {"name": "exact", "negatives": "knn", "options": NEAREST, **MINED},
    {"name": "lsh", "negatives": "lsh", "options": {**NEAREST, "rescore": 500}, **MINED},
    {"name": "aware", "negatives": "knn", "options": {**NEAREST, "relative_margin": 0.05, "candidates": 64}, **MINED},
]

METRICS = ("mrr_at_10", "recall_at_100")


def main() -> None:
    """Train and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=300)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    data = read("code-search")
    print(data.as_read)
    config = retrieval_config(
        {
            "steps": asked.steps,
            "batch": 128,
            "eval_every": asked.steps,
            "towers": {"rows": 16_384, "width": 64, "embedding": 64, "dropout": 0.3},
            "optimizer": {"lr": 3e-3},
            "lanes": LANES,
        }
    )
    trials = retrieval_trials(data, config, range(asked.seeds))
    for metric in METRICS:
        print(f"\n{metric}, at chance {trials[0].chance[metric]:.4f}")
        lines = {line.lane: line for line in retrieval_verdicts(trials, "in-batch", METRICS) if line.metric == metric}
        for lane, found in retrieval_estimates(trials, metric).items():
            text = f"{lane:10} {found.mean:.4f} +- {found.half_width:.4f}"
            if lane in lines:
                beside = lines[lane].difference
                text += f"   {beside.mean:+.4f} +- {beside.half_width:.4f}   {lines[lane].words}"
            print(text)


if __name__ == "__main__":
    main()
