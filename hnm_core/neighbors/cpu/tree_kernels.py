"""Kernels of the label-aware KD-tree: build, and search for sixteen anchors at a time.

Points are cut at the median of the widest side into blocks of 16; node i has the children 2 i and 2 i + 1, a bounding
box, and the range of classes below it. A node is skipped when its box is too far from every anchor of the packet, or
when its classes rule it out: a node of the anchor's class alone holds no negative, so tight clusters make the search
faster. Scores are squared distances, negated where the farthest are wanted, so smaller is better always. Rounding is
monotone, so the bound of a box never exceeds the score of a point in it, and pruning is exact. Of equal scores the
lowest rows are kept: nodes whose bound equals the k-th score are looked at, too; once a packet has met a tie, only
where they hold a lower row than the k-th, so that a collapsed cloud costs no more than another.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

import numba  # isort: skip
from numba import njit, prange  # isort: skip

from hnm_core import simd
from hnm_core.neighbors.cpu.keys import EMPTY, insert, key_bits, key_of

BLOCK = simd.ELEMENTS
_STACK = 64
"""Deepest tree of 2^31 points is 28 levels; a level leaves at most one node on the stack."""


class Tree(NamedTuple):
    """Nodes are numbered from 1; B blocks, M = 2^(depth + 1) nodes, dimension D."""

    rows: Any
    """(N,) int32, row of the caller at each place."""
    points: Any
    """(B, D, 16) float32, coordinates of each block."""
    classes: Any
    """(B, 16) int32, dense class of each point; -1 where the last block is not full."""
    boxes: Any
    """(M, 2, D) float32, lowest and highest coordinates below a node."""
    class_range: Any
    """(M, 2) int32, lowest and highest class below a node."""
    first_block: Any
    """(M,) int32."""
    block_count: Any
    """(M,) int32; 1 is a leaf, 0 an empty node."""
    lowest_row: Any
    """(M,) int32, lowest row of the caller below a node."""


@njit(cache=True, nogil=True, parallel=True)
def arrange(points: Any, classes: Any, order: Any, by_class: bool) -> Any:
    """The rows (N,) int32 of a tree, block after block; see `build_tree`."""
    n = len(points)
    blocks, depth = _blocks_and_depth(n)
    rows = order.copy()
    scratch = np.empty(n, np.float32)
    for level in range(depth):
        for node in prange(1 << level):
            start, end = (node * blocks) >> level, ((node + 1) * blocks) >> level
            middle = ((2 * node + 1) * blocks) >> (level + 1)
            if end - start > 1:
                low, high = start * BLOCK, min(end * BLOCK, n)
                if not (by_class and classes[rows[low]] != classes[rows[high - 1]]):
                    _split(points, rows, scratch, low, high, middle * BLOCK)
    return rows


@njit(cache=True, nogil=True)
def _blocks_and_depth(n: int) -> Any:
    blocks, depth = (n + BLOCK - 1) // BLOCK, 0
    while (1 << depth) < blocks:
        depth += 1
    return blocks, depth


@njit(cache=True, nogil=True, parallel=True)
def build_tree(points: Any, classes: Any, order: Any, by_class: bool) -> Any:
    """The `Tree` of points (N, D) float32 with classes (N,) int32; order (N,) int32 lists the rows sorted by class.

    With `by_class` a node of several classes is cut between them, so that each class becomes a tree of its own.
    """
    n, dim = points.shape
    blocks, depth = _blocks_and_depth(n)
    rows = arrange(points, classes, order, by_class)
    block_points = np.empty((blocks, dim, BLOCK), np.float32)
    block_classes = np.empty((blocks, BLOCK), np.int32)
    for block in prange(blocks):
        for slot in range(BLOCK):
            inside = block * BLOCK + slot < n
            row = rows[block * BLOCK + slot] if inside else 0
            block_classes[block, slot] = classes[row] if inside else -1
            for axis in range(dim):
                block_points[block, axis, slot] = points[row, axis] if inside else np.float32(np.inf)
    nodes = 2 << depth
    boxes = np.zeros((nodes, 2, dim), np.float32)
    class_range = np.zeros((nodes, 2), np.int32)
    first_block = np.zeros(nodes, np.int32)
    block_count = np.zeros(nodes, np.int32)
    lowest_row = np.zeros(nodes, np.int32)
    for up in range(depth + 1):
        level = depth - up
        for place in range(1 << level):
            start, end = (place * blocks) >> level, ((place + 1) * blocks) >> level
            node = (1 << level) + place
            first_block[node], block_count[node] = start, end - start
            if end - start == 1:
                lowest_row[node] = rows[start * BLOCK : min(end * BLOCK, n)].min()
                _bound_block(points, classes, rows, start * BLOCK, min(end * BLOCK, n), boxes[node], class_range[node])
            elif end - start > 1:
                left, right = 2 * node, 2 * node + 1
                lowest_row[node] = min(lowest_row[left], lowest_row[right])
                class_range[node, 0] = min(class_range[left, 0], class_range[right, 0])
                class_range[node, 1] = max(class_range[left, 1], class_range[right, 1])
                for axis in range(dim):
                    boxes[node, 0, axis] = min(boxes[left, 0, axis], boxes[right, 0, axis])
                    boxes[node, 1, axis] = max(boxes[left, 1, axis], boxes[right, 1, axis])
    return Tree(rows, block_points, block_classes, boxes, class_range, first_block, block_count, lowest_row)


@njit(cache=True, nogil=True)
def _bound_block(points: Any, classes: Any, rows: Any, low: int, high: int, box: Any, class_range: Any) -> None:
    class_range[0] = class_range[1] = classes[rows[low]]
    for axis in range(points.shape[1]):
        box[0, axis] = box[1, axis] = points[rows[low], axis]
    for place in range(low + 1, high):
        row = rows[place]
        class_range[0] = min(class_range[0], classes[row])
        class_range[1] = max(class_range[1], classes[row])
        for axis in range(points.shape[1]):
            box[0, axis] = min(box[0, axis], points[row, axis])
            box[1, axis] = max(box[1, axis], points[row, axis])


@njit(cache=True, nogil=True)
def _split(points: Any, rows: Any, keys: Any, low: int, high: int, cut: int) -> None:
    """Order rows[low:high] so that those before `cut` are not above those from it on, along the widest side."""
    widest, width = -1, np.float32(0)
    for axis in range(points.shape[1]):
        least = greatest = points[rows[low], axis]
        for place in range(low, high):
            value = points[rows[place], axis]
            least = value if value < least else least
            greatest = value if value > greatest else greatest
        if greatest - least > width:
            widest, width = axis, greatest - least
    if widest < 0:
        return  # all equal: the order by class stays, which keeps nodes pure
    for place in range(low, high):
        keys[place] = points[rows[place], widest]
    while high - low > 1:
        first, second, third = keys[low], keys[(low + high) >> 1], keys[high - 1]
        pivot = max(min(first, second), min(max(first, second), third))
        left, right = low, high - 1
        while left <= right:  # stops on equal keys, so that a side of many equal values is halved, not scanned again
            while keys[left] < pivot:
                left += 1
            while keys[right] > pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                rows[left], rows[right] = rows[right], rows[left]
                left += 1
                right -= 1
        if cut <= right:
            high = right + 1
        elif cut >= left:
            low = left
        else:
            return


@njit(cache=True, nogil=True, parallel=True)
def search_tree(
    tree: Any, queries: Any, anchors: Any, itself: Any, own: Any, slots: Any, k: int, farthest: bool, scores: Any,
    rows: Any,
) -> None:  # fmt: skip
    """The k best rows for each anchor, written to scores (Q, k) float32 and rows (Q, k) int64 at its slot.

    queries (A, D) are the points as anchors (they differ from the points of the tree for cosine), or vectors; anchors
    (Q,) int32 are lines of them, near ones side by side; itself (Q,) int32 are the rows of the caller that they are, -1
    where they are none; own (Q,) int32 are their classes, which nobody has where it is below -1; slots (Q,) int64 are
    their places in the result.
    """
    for packet in prange((len(anchors) + BLOCK - 1) // BLOCK):
        start = packet * BLOCK
        end = min(start + BLOCK, len(anchors))
        part = slice(start, end)
        _search_packet(tree, queries, anchors[part], itself[part], own[part], slots[part], k, farthest, scores, rows)


@njit(cache=True, nogil=True)
def _search_packet(
    tree: Any, queries: Any, anchors: Any, itself: Any, own: Any, slots: Any, k: int, farthest: bool, scores: Any,
    rows: Any,
) -> None:  # fmt: skip
    dim = queries.shape[1]
    everyone = np.uint32(simd.ALL)
    position = np.zeros((dim, BLOCK), np.float32)
    own_class = np.full(BLOCK, -2, np.int32)
    limit = np.full(BLOCK, -np.inf, np.float32)  # just above the k-th best score; without an anchor nothing is wanted
    tied = False  # whether a score has equalled the k-th best
    worst, last = np.full(BLOCK, -np.inf, np.float32), np.full(BLOCK, -1, np.int32)  # that score and its row, from then
    stride = 8 + ((k + 7) & ~7)  # eight keys below every list stay lower than any key, for `simd.push`
    keys = np.full(BLOCK * stride, EMPTY, np.int64)
    for lane in range(len(anchors)):
        keys[lane * stride : lane * stride + 8] = np.iinfo(np.int64).min
        limit[lane] = np.inf
        own_class[lane] = own[lane]
        for axis in range(dim):
            position[axis, lane] = queries[anchors[lane], axis]

    node_of = np.empty(_STACK, np.int64)
    wanted_by = np.empty(_STACK, np.uint32)
    bound_of = np.empty(_STACK * BLOCK, np.float32)
    node_of[0], wanted_by[0] = 1, everyone
    bound_of[:BLOCK] = -np.inf
    block_scores = np.empty(BLOCK, np.float32)
    score_bits = block_scores.view(np.int32)
    top = 1
    while top > 0:
        top -= 1
        active = simd.less(simd.load(bound_of, top * BLOCK), simd.load(limit, 0)) & wanted_by[top]
        if active == 0:
            continue
        node = node_of[top]
        if tied:
            active &= _improving(simd.load(bound_of, top * BLOCK), worst, last, tree.lowest_row[node])
            if active == 0:
                continue
        if tree.block_count[node] > 1:
            left, right = 2 * node, 2 * node + 1
            left_bound = _bound(tree.boxes, left, position, farthest)
            right_bound = _bound(tree.boxes, right, position, farthest)
            limits = simd.load(limit, 0)
            wants_left = simd.less(left_bound, limits) & _admitted(tree.class_range, left, own_class, farthest)
            wants_right = simd.less(right_bound, limits) & _admitted(tree.class_range, right, own_class, farthest)
            prefer_left = simd.count(simd.less(left_bound, right_bound) & wants_left)
            prefer_right = simd.count(simd.less(right_bound, left_bound) & wants_right)
            left_first = prefer_left >= prefer_right
            if tied:
                wants_left &= _improving(left_bound, worst, last, tree.lowest_row[left])
                wants_right &= _improving(right_bound, worst, last, tree.lowest_row[right])
                if prefer_left == prefer_right:
                    left_first = tree.lowest_row[left] < tree.lowest_row[right]
            for turn in range(2):  # the better child goes on top
                if (turn == 1) == left_first:
                    if wants_left:
                        node_of[top], wanted_by[top] = left, wants_left
                        simd.store(bound_of, top * BLOCK, left_bound)
                        top += 1
                elif wants_right:
                    node_of[top], wanted_by[top] = right, wants_right
                    simd.store(bound_of, top * BLOCK, right_bound)
                    top += 1
            continue
        block = np.int64(tree.first_block[node])
        while active:
            lane = simd.lowest(active)
            active &= active - np.uint32(1)
            found = _score_block(tree.points, block, position, lane, farthest)
            fits = simd.within(tree.classes, block * BLOCK, own_class[lane], own_class[lane])
            if not farthest:
                fits ^= everyone
            fits &= simd.less(found, simd.splat(limit[lane]))
            if fits == 0:
                continue
            simd.store(block_scores, 0, found)
            base = lane * stride + 8
            while fits:
                slot = simd.lowest(fits)
                fits &= fits - np.uint32(1)
                row = tree.rows[block * BLOCK + slot]
                if block_scores[slot] < limit[lane] and not (farthest and row == itself[lane]):
                    key = key_of(score_bits[slot], row)
                    if key < keys[base + k - 1]:
                        insert(keys, base, k, key)
                        key = keys[base + k - 1]
                        limit[lane] = simd.number(key_bits(_above(key)))
                        if tied:
                            worst[lane], last[lane] = _parts_of(key)
                    elif not tied:
                        tied = True
                        for other in range(len(anchors)):
                            worst[other], last[other] = _parts_of(keys[other * stride + 8 + k - 1])
    for lane in range(len(anchors)):
        for rank in range(k):
            key = keys[lane * stride + 8 + rank]
            score_bits[0] = key_bits(key)
            scores[slots[lane], rank] = abs(block_scores[0])
            rows[slots[lane], rank] = np.int32(key & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def _above(key: Any) -> Any:
    """A key of the next larger score than that of `key`; of infinity itself."""
    return min(key + (np.int64(1) << np.int64(32)), EMPTY)


@njit(cache=True, nogil=True)
def _parts_of(key: Any) -> Any:
    """The score and the row of a key."""
    return simd.number(key_bits(key)), np.int32(key & np.int64(0xFFFFFFFF))


@njit(cache=True, nogil=True)
def _improving(bound: Any, worst: Any, last: Any, lowest_row: Any) -> Any:
    """Mask of the lanes whose k-th best a point could replace that has at best this score, not above theirs, and at
    lowest this row."""
    lower = simd.within(last, 0, lowest_row + np.int32(1), np.int32(2**31 - 1))
    return simd.less(bound, simd.load(worst, 0)) | lower


@njit(cache=True, nogil=True)
def _bound(boxes: Any, node: int, position: Any, farthest: bool) -> Any:
    """The best score that any point in the node's box could have, for each lane."""
    zero = simd.splat(np.float32(0))
    total = zero
    for axis in range(position.shape[0]):
        here = simd.load(position, axis * BLOCK)
        below = simd.subtract(simd.splat(boxes[node, 0, axis]), here)
        above = simd.subtract(here, simd.splat(boxes[node, 1, axis]))
        if farthest:
            gap = simd.maximum(simd.subtract(zero, below), simd.subtract(zero, above))
        else:
            gap = simd.maximum(simd.maximum(below, above), zero)
        total = simd.add(total, simd.multiply(gap, gap))
    return simd.subtract(zero, total) if farthest else total


@njit(cache=True, nogil=True)
def _admitted(class_range: Any, node: int, own_class: Any, farthest: bool) -> Any:
    """Mask of the lanes to which the classes below the node can be of use."""
    low, high = class_range[node, 0], class_range[node, 1]
    if farthest:
        return simd.within(own_class, 0, low, high)
    if low == high:
        return simd.within(own_class, 0, low, low) ^ np.uint32(simd.ALL)
    return np.uint32(simd.ALL)


@njit(cache=True, nogil=True)
def _score_block(points: Any, block: Any, position: Any, lane: int, farthest: bool) -> Any:
    """Scores of a block's sixteen points for the anchor of one lane."""
    zero = simd.splat(np.float32(0))
    total = zero
    dim = position.shape[0]
    for axis in range(dim):
        gap = simd.subtract(simd.load(points, (block * dim + axis) * BLOCK), simd.splat(position[axis, lane]))
        total = simd.add(total, simd.multiply(gap, gap))
    return simd.subtract(zero, total) if farthest else total


def warm_up() -> None:
    """Compile: one build and one search each way."""
    points = np.arange(120, dtype=np.float32).reshape(40, 3)
    classes = (np.arange(40) // 20).astype(np.int32)
    order = np.arange(40, dtype=np.int32)
    tree = build_tree(points, classes, order, False)
    scores, rows = np.empty((40, 2), np.float32), np.empty((40, 2), np.int64)
    search_tree(tree, points, order, order, classes, order.astype(np.int64), 2, False, scores, rows)


__all__ = ["BLOCK", "Tree", "arrange", "build_tree", "numba", "search_tree", "warm_up"]
