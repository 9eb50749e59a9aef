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
constexpr int SAMPLED = 8;           // one tile of so many is looked at for the first limits
constexpr int WORTH_A_SAMPLE = 4 * SAMPLED;  // tiles

// Blocks that a multiprocessor should find registers for: as many as there are without spilling any.
#if __CUDA_ARCH__ >= 1000
__device__ constexpr int blocks(int) { return 2; }
#else
__device__ constexpr int blocks(int dim) { return dim <= 2 ? 4 : dim <= 5 ? 3 : 2; }
#endif

// Coordinates of the columns at `start`, by axis, to shared memory; NaN where there is none: it passes no limit.
template <int D>
__device__ inline void load_tile(const float* __restrict__ points, int rows, int start, int to, float* tile) {
    __syncthreads();  // the tile before was read
    const int mine = start + static_cast<int>(threadIdx.x);
#pragma unroll
    for (int axis = 0; axis < D; axis++) {
        tile[axis * TILE + threadIdx.x] =
            mine < to ? points[static_cast<size_t>(axis) * rows + mine] : __int_as_float(0x7fc00000);
    }
    __syncthreads();
}

template <int D>
__device__ inline float squared_distance(const float (&query)[D], const float (&x)[D]) {
    float squared = 0.0f;
#pragma unroll
    for (int axis = 0; axis < D; axis++) {
        const float gap = query[axis] - x[axis];
        squared += gap * gap;
    }
    return squared;
}

// The k-th smallest of 32 values, one a lane; the same in every lane. k <= 32.
__device__ inline float kth_of_lanes(float value, int k) {
    int before = 0;
    for (int lane = 0; lane < LANES; lane++) {
        const float other = __shfl_sync(ALL_LANES, value, lane);
        before += other < value || (other == value && lane < lane_of_warp());
    }
    const unsigned lanes = __ballot_sync(ALL_LANES, before == k - 1);
    return __shfl_sync(ALL_LANES, value, lanes ? __ffs(lanes) - 1 : 0);
}

// points  (D, rows): coordinates by axis, sorted by class.
// queries (lines, D): the same rows as anchors, or vectors.
// order   (rows): place -> row; ties go to the smallest row.
// places  (count): of the anchors, -1 where they are no rows. low, high (count): where the class of each starts and
//         ends, ascending. anchors (count): lines of queries.
// keys    (count, gridDim.y, capacity): the first k of each line are the k best among that block's share of columns.
template <int D, bool FARTHEST>
__device__ inline void search(const float* __restrict__ points, const float* __restrict__ queries, int rows,
                              const int* __restrict__ order, const int* __restrict__ places,
                              const int* __restrict__ low, const int* __restrict__ high,
                              const int* __restrict__ anchors, int count, int k, int capacity, Key* keys) {
    float* tile = reinterpret_cast<float*>(shared_memory);  // [D][TILE]
    const int lane = lane_of_warp();
    const int block_first = blockIdx.x * WARPS * ANCHORS;
    const int block_last = min(block_first + WARPS * ANCHORS, count) - 1;
    const int first = block_first + static_cast<int>(threadIdx.x) / LANES * ANCHORS;

    float query[ANCHORS][D], limit[ANCHORS];
#pragma unroll
    for (int a = 0; a < ANCHORS; a++) {
        const size_t own = anchors[min(first + a, count - 1)];
#pragma unroll
        for (int axis = 0; axis < D; axis++) query[a][axis] = queries[own * D + axis];
        score_of(first + a < count ? ALL_PASS : NOTHING_PASSES, limit[a]);
    }
    Best best = {first + lane < count ? ALL_PASS : NOTHING_PASSES, 0};  // of anchor `lane`

    // Classes ascend, so those of the first and the last bound those of all.
    const Share share = share_of_block(FARTHEST ? low[block_first] : 0, FARTHEST ? high[block_last] : rows, TILE);
    // Columns that stand in the class of every anchor of the block.
    const int common_from = low[block_last], common_to = high[block_first];

    if (!FARTHEST && k <= LANES && share.to - share.from >= WORTH_A_SAMPLE * TILE) {
        // Lanes keep the best of the columns they see, so the k-th best of lanes is as good as k columns.
        float least[ANCHORS];
#pragma unroll
        for (int a = 0; a < ANCHORS; a++) least[a] = __int_as_float(0x7f800000);
        for (int start = share.from; start < share.to; start += SAMPLED * TILE) {
            if (start < high[block_last] && start + TILE > low[block_first]) continue;  // no row of an own class
            load_tile<D>(points, rows, start, share.to, tile);
#pragma unroll 1
            for (int group = 0; group < TILE; group += LANES) {
                float x[D];
#pragma unroll
                for (int axis = 0; axis < D; axis++) x[axis] = tile[axis * TILE + group + lane];
#pragma unroll
                for (int a = 0; a < ANCHORS; a++) {
                    const float squared = squared_distance<D>(query[a], x);
                    least[a] = squared < least[a] ? squared : least[a];
                }
            }
        }
#pragma unroll
        for (int a = 0; a < ANCHORS; a++) {
            const float kth = kth_of_lanes(least[a], k);
            if (first + a >= count || kth == __int_as_float(0x7f800000)) continue;
            const Key behind = make_key(kth, 0) + (1LL << 32);  // all keys of that score, and none above
            score_of(behind, limit[a]);
            if (lane == a) best.limit = behind;
        }
    }

    for (int start = share.from; start < share.to; start += TILE) {
        if (!FARTHEST && start >= common_from && start + TILE <= common_to) continue;
        load_tile<D>(points, rows, start, share.to, tile);
#pragma unroll 1
        for (int group = 0; group < TILE; group += LANES) {
            float x[D], score[ANCHORS];
#pragma unroll
            for (int axis = 0; axis < D; axis++) x[axis] = tile[axis * TILE + group + lane];
            bool passes = false;
#pragma unroll
            for (int a = 0; a < ANCHORS; a++) {
                const float squared = squared_distance<D>(query[a], x);
                score[a] = FARTHEST ? -squared : squared;
                passes |= score[a] <= limit[a];
            }
            if (!__any_sync(ALL_LANES, passes)) continue;
            const int column = start + group + lane;
            const int row = passes ? order[column] : 0;
#pragma unroll 1
            for (int a = 0; a < ANCHORS && first + a < count; a++) {
                const float own_score = picked(score, a);
                const bool below = own_score <= picked(limit, a);
                if (!__any_sync(ALL_LANES, below)) continue;
                const int slot = first + a;
                const bool positive = column >= low[slot] && column < high[slot];
                const bool allowed = below && positive == FARTHEST && column != places[slot];
                Best own = of_lane(best, a);
                offer(own, keys + (static_cast<size_t>(slot) * gridDim.y + blockIdx.y) * capacity,
                      allowed ? make_key(own_score, row) : NO_KEY, k, capacity);
                if (lane == a) best = own;
#pragma unroll
                for (int i = 0; i < ANCHORS; i++) {
                    if (i == a) score_of(own.limit, limit[i]);
                }
            }
        }
    }
#pragma unroll 1
    for (int a = 0; a < ANCHORS && first + a < count; a++) {
        Best own = of_lane(best, a);
        finish(own, keys + (static_cast<size_t>(first + a) * gridDim.y + blockIdx.y) * capacity, k);
    }
}

#define KERNELS(D)                                                                                                     \
    extern "C" __global__ void __launch_bounds__(WARPS* LANES, blocks(D)) nearest_##D(                                 \
        const float* points, const float* queries, int rows, const int* order, const int* places, const int* low,      \
        const int* high, const int* anchors, int count, int k, int capacity, Key* keys) {                              \
        search<D, false>(points, queries, rows, order, places, low, high, anchors, count, k, capacity, keys);          \
    }                                                                                                                  \
    extern "C" __global__ void __launch_bounds__(WARPS* LANES, 2) farthest_##D(                                        \
        const float* points, const float* queries, int rows, const int* order, const int* places, const int* low,      \
        const int* high, const int* anchors, int count, int k, int capacity, Key* keys) {                              \
        search<D, true>(points, queries, rows, order, places, low, high, anchors, count, k, capacity, keys);           \
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
