// Nearest negatives and farthest positives in up to 8 dimensions (9 coordinates for the cosine distance), by comparing
// every anchor with every row it may choose from, with exact coordinate differences in float32.
//
// A warp serves ANCHORS anchors, whose coordinates are in registers; its lanes look at 32 columns at a time, which a
// block reads once from global into shared memory. Rows are sorted by class, so labels are never compared: a row is of
// the anchor's class if it stands at low <= place < high. That test comes after the distance, for the few that pass.

#include "best.cuh"

constexpr int WARPS = 8;
constexpr int ANCHORS = 4;
constexpr int TILE = WARPS * LANES;  // a thread loads one column

// points  (D, rows): coordinates by axis, sorted by class.
// queries (rows, D): the same rows as anchors.
// order   (rows): place -> row; ties go to the smallest row.
// anchors (count): places, ascending. low, high (count): where the class of each starts and ends.
// keys    (count, gridDim.y, capacity): the first k of each line are the k best among that block's share of columns.
template <int D, bool FARTHEST>
__device__ inline void search(const float* __restrict__ points, const float* __restrict__ queries, int rows,
                              const int* __restrict__ order, const int* __restrict__ anchors,
                              const int* __restrict__ low, const int* __restrict__ high, int count, int k, int capacity,
                              Key* keys) {
    float* tile = reinterpret_cast<float*>(shared_memory);  // [D][TILE]
    const int lane = lane_of_warp();
    const int block_first = blockIdx.x * WARPS * ANCHORS;
    const int block_last = min(block_first + WARPS * ANCHORS, count) - 1;
    const int first = block_first + static_cast<int>(threadIdx.x) / LANES * ANCHORS;

    float query[ANCHORS][D], limit[ANCHORS];
    Best best[ANCHORS];
#pragma unroll
    for (int a = 0; a < ANCHORS; a++) {
        const size_t own = anchors[min(first + a, count - 1)];
#pragma unroll
        for (int axis = 0; axis < D; axis++) query[a][axis] = queries[own * D + axis];
        best[a] = {first + a < count ? ALL_PASS : NOTHING_PASSES, 0};
        score_of(best[a].limit, limit[a]);
    }

    // Anchors ascend, so the classes of the first and the last bound those of all.
    const Share share = share_of_block(FARTHEST ? low[block_first] : 0, FARTHEST ? high[block_last] : rows, TILE);
    // Columns that stand in the class of every anchor of the block.
    const int common_from = low[block_last], common_to = high[block_first];

    for (int start = share.from; start < share.to; start += TILE) {
        if (!FARTHEST && start >= common_from && start + TILE <= common_to) continue;
        __syncthreads();  // the tile before was read
        const int mine = start + static_cast<int>(threadIdx.x);
#pragma unroll
        for (int axis = 0; axis < D; axis++) {
            // NaN where no column is: it passes no limit.
            tile[axis * TILE + threadIdx.x] =
                mine < share.to ? points[static_cast<size_t>(axis) * rows + mine] : __int_as_float(0x7fc00000);
        }
        __syncthreads();
#pragma unroll 1
        for (int group = 0; group < TILE; group += LANES) {
            float x[D], score[ANCHORS];
#pragma unroll
            for (int axis = 0; axis < D; axis++) x[axis] = tile[axis * TILE + group + lane];
            bool passes = false;
#pragma unroll
            for (int a = 0; a < ANCHORS; a++) {
                float squared = 0.0f;
#pragma unroll
                for (int axis = 0; axis < D; axis++) {
                    const float gap = query[a][axis] - x[axis];
                    squared += gap * gap;
                }
                score[a] = FARTHEST ? -squared : squared;
                passes |= score[a] <= limit[a];
            }
            if (!__any_sync(ALL_LANES, passes)) continue;
            const int column = start + group + lane;
            const int row = passes ? order[column] : 0;
#pragma unroll
            for (int a = 0; a < ANCHORS; a++) {
                const bool below = score[a] <= limit[a];
                if (!__any_sync(ALL_LANES, below)) continue;
                const int slot = first + a;
                const bool positive = column >= low[slot] && column < high[slot];
                const bool allowed = below && positive == FARTHEST && column != anchors[slot];
                offer(best[a], keys + (static_cast<size_t>(slot) * gridDim.y + blockIdx.y) * capacity,
                      allowed ? make_key(score[a], row) : NO_KEY, k, capacity);
                score_of(best[a].limit, limit[a]);
            }
        }
    }
#pragma unroll
    for (int a = 0; a < ANCHORS; a++) {
        if (first + a >= count) break;
        finish(best[a], keys + (static_cast<size_t>(first + a) * gridDim.y + blockIdx.y) * capacity, k);
    }
}

#define KERNELS(D)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(WARPS* LANES, 2) nearest_##D(                                         \
        const float* points, const float* queries, int rows, const int* order, const int* anchors, const int* low,     \
        const int* high, int count, int k, int capacity, Key* keys) {                                                  \
        search<D, false>(points, queries, rows, order, anchors, low, high, count, k, capacity, keys);                  \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(WARPS* LANES, 2) farthest_##D(                                        \
        const float* points, const float* queries, int rows, const int* order, const int* anchors, const int* low,     \
        const int* high, int count, int k, int capacity, Key* keys) {                                                  \
        search<D, true>(points, queries, rows, order, anchors, low, high, count, k, capacity, keys);                   \
    }

KERNELS(1)
KERNELS(2)
KERNELS(3)
KERNELS(4)
KERNELS(5)
KERNELS(6)
KERNELS(7)
KERNELS(8)
KERNELS(9)
