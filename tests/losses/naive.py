"""The losses as their papers write them: Python loops over anchors, pairs and triplets, float64, no tricks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Pairs = Sequence[tuple[int, int]]


def all_pairs(labels: Tensor, ref_labels: Tensor | None = None) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    other = labels if ref_labels is None else ref_labels
    cells = [(a, b) for a in range(len(labels)) for b in range(len(other))]
    positive = [(a, b) for a, b in cells if labels[a] == other[b] and not (ref_labels is None and a == b)]
    return positive, [(a, b) for a, b in cells if labels[a] != other[b]]


def unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def euclidean(x: Tensor, ref: Tensor) -> Tensor:
    squared = (x[:, None] - ref[None]).square().sum(2)
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)


def of(pairs: Pairs, anchor: int) -> list[int]:
    return [other for a, other in pairs if a == anchor]


def anchors(*pairs: Pairs) -> list[int]:
    return sorted({a for part in pairs for a, _ in part})


def nt_xent(d: Tensor, positive: Pairs, negative: Pairs, t: float, smoothing: float = 0.0) -> Tensor:
    terms = []
    for a, p in positive:
        logits = torch.stack([-d[a, p] / t, *(-d[a, n] / t for n in of(negative, a))])
        target = torch.full((len(logits),), smoothing / len(logits), dtype=d.dtype)
        target[0] += 1 - smoothing
        terms.append(-(target * logits.log_softmax(0)).sum())
    return torch.stack(terms).mean()


def sup_con(d: Tensor, positive: Pairs, negative: Pairs, t: float) -> Tensor:
    terms = []
    for a in anchors(positive):
        total = sum((-d[a, j] / t).exp() for j in of(positive, a) + of(negative, a))
        terms.append(-torch.stack([-d[a, p] / t - total.log() for p in of(positive, a)]).mean())
    values = torch.stack(terms)
    return values[values > 0].mean()


def soft_info_nce(d: Tensor, positive: Pairs, negative: Pairs, t: float, weight: Tensor) -> Tensor:
    terms = []
    for a, p in positive:
        own = (-d[a, p] / t).exp()
        terms.append(-(own / (own + sum(weight[a, n] * (-d[a, n] / t).exp() for n in of(negative, a)))).log())
    return torch.stack(terms).mean()


def hcl(s: Tensor, positive: Pairs, negative: Pairs, t: float, beta: float, tau_plus: float) -> Tensor:
    terms = []
    for a, p in positive:
        own = (s[a, p] / t).exp()
        e = torch.stack([(s[a, n] / t).exp() for n in of(negative, a)])
        w = e**beta
        n = len(e)
        others = (-tau_plus * n * own + (w * e).sum() / w.mean()) / (1 - tau_plus)
        others = others.clamp_min(n * math.exp(-1 / t))
        terms.append(-(own / (own + others)).log())
    return torch.stack(terms).mean()


def multi_similarity(s: Tensor, positive: Pairs, negative: Pairs, alpha: float, beta: float, base: float) -> Tensor:
    terms = []
    for a in range(len(s)):
        pull = 1 + sum((-alpha * (s[a, p] - base)).exp() for p in of(positive, a))
        push = 1 + sum((beta * (s[a, n] - base)).exp() for n in of(negative, a))
        terms.append(torch.as_tensor(pull).log() / alpha + torch.as_tensor(push).log() / beta)
    return torch.stack(terms).mean()


def circle(s: Tensor, positive: Pairs, negative: Pairs, m: float, gamma: float) -> Tensor:
    terms = []
    for a in sorted(set(anchors(positive)) & set(anchors(negative))):
        pull = [(-gamma * (1 + m - s[a, p]).detach().relu() * (s[a, p] - (1 - m))) for p in of(positive, a)]
        push = [(gamma * (s[a, n] + m).detach().relu() * (s[a, n] - m)) for n in of(negative, a)]
        terms.append((1 + sum(x.exp() for x in pull) * sum(x.exp() for x in push)).log())
    values = torch.stack(terms)
    return values[values > 0].mean()


def lifted(d: Tensor, positive: Pairs, negative: Pairs, m_p: float, m_n: float) -> Tensor:
    terms = []
    for a, p in positive:
        push = [(m_n - d[i, n]).exp() for i in (a, p) for n in of(negative, i)]
        if push:
            terms.append((sum(push).log() + d[a, p] - m_p).relu() ** 2 / 2)
    return torch.stack(terms).mean()


def generalized_lifted(d: Tensor, positive: Pairs, negative: Pairs, m_p: float, m_n: float) -> Tensor:
    terms = []
    for a in sorted(set(anchors(positive)) & set(anchors(negative))):
        pull = sum((d[a, p] - m_p).exp() for p in of(positive, a))
        push = sum((m_n - d[a, n]).exp() for n in of(negative, a))
        terms.append((pull.log() + push.log()).relu())
    return torch.stack(terms).mean()


def tuplet(s: Tensor, positive: Pairs, negative: Pairs, degrees: float, scale: float) -> Tensor:
    terms = []
    for a, p in positive:
        near = scale * (s[a, p].clamp(-1 + 1e-7, 1 - 1e-7).acos() - math.radians(degrees)).cos()
        others = sum((scale * s[a, n] - near).exp() for n in of(negative, a))
        terms.append(torch.log1p(others + torch.zeros((), dtype=s.dtype)))
    return torch.stack(terms).mean()


def n_pairs(s: Tensor, labels: Tensor, positive: Pairs) -> Tensor:
    first: dict[int, tuple[int, int]] = {}
    for a, p in positive:
        first.setdefault(int(labels[a]), (a, p))
    chosen = [first[c] for c in sorted(first)]
    terms = []
    for a, p in chosen:
        terms.append(sum(s[a, other].exp() for _, other in chosen).log() - s[a, p])
    return torch.stack(terms).mean()


def snnl(d: Tensor, positive: Pairs, negative: Pairs, t: float) -> Tensor:
    terms = []
    for a in anchors(positive):
        own = sum((-d[a, p] / t).exp() for p in of(positive, a))
        terms.append(-(own / (own + sum((-d[a, n] / t).exp() for n in of(negative, a)))).log())
    return torch.stack(terms).mean()


def triplets(positive: Pairs, negative: Pairs) -> list[tuple[int, int, int]]:
    return [(a, p, n) for a, p in positive for n in of(negative, a)]


def over_triplets(
    d: Tensor, chosen: Sequence[tuple[int, int, int]], term: Callable[[Tensor], Tensor], d_pn: Tensor | None = None
) -> Tensor:
    """(T,) term(d_ap - d_an), with the swap if `d_pn` is given."""
    a, p, n = torch.tensor(chosen).T
    far = d[a, n] if d_pn is None else torch.minimum(d[a, n], d_pn[p, n])
    return term(d[a, p] - far)


def wu_margin(d: Tensor, chosen: Sequence[tuple[int, int, int]], beta: Tensor, margin: float) -> Tensor:
    a, p, n = torch.tensor(chosen).T
    pull, push = (d[a, p] - beta + margin).relu(), (beta - d[a, n] + margin).relu()
    return (pull.sum() + push.sum()) / ((pull > 0).sum() + (push > 0).sum())
