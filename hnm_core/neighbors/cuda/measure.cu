// Exact scores of chosen pairs of anchors and columns: what decides, after something rougher has chosen.
//
// A warp serves one anchor. Each lane adds up every 32nd coordinate, then the lanes add up theirs, in an order that does
// not depend on the pair, so that equal rows get equal scores to the last bit.

#include "keys.cuh"

constexpr int WARPS = 8;
constexpr int AT_ONCE = 4;  // columns, so that more than one load is on its way

struct Distance {  // squared, in float32
    using Sum = float;
    static constexpr int SIGN = 1;

    static __device__ Sum term(float query, float x) {
        const float gap = query - x;
        return gap * gap;
    }
};

struct Product {  // negated, because the largest is nearest
    using Sum = double;
    static constexpr int SIGN = -1;

    static __device__ Sum term(float query, float x) { return static_cast<Sum>(query) * static_cast<Sum>(x); }
};

template <typename Sum>
__device__ inline Sum over_lanes(Sum sum) {
    for (int step = LANES / 2; step > 0; step /= 2) sum += __shfl_xor_sync(ALL_LANES, sum, step);
    return sum;
}

// points  (rows, dim): sorted by class. queries (lines, dim): the same rows as anchors, or vectors.
// order   (rows): place -> row; ties go to the smallest row.
// anchors (count): lines of queries.
// chosen  (count, width): places of columns in the lower 32 bits, negative where there is none.
// farthest negates the scores.
// keys    (count, width): score and row of each, NO_KEY where there is none.
template <typename Metric>
__device__ inline void measure(const float* __restrict__ points, const float* __restrict__ queries, int dim,
                               const int* __restrict__ order, const int* __restrict__ anchors,
                               const Key* __restrict__ chosen, int farthest, int count, int width, Key* keys) {
    const int lane = lane_of_warp();
    const int slot = blockIdx.x * WARPS + static_cast<int>(threadIdx.x) / LANES;
    if (slot >= count) return;  // the whole warp
    const float* query = queries + static_cast<size_t>(anchors[slot]) * dim;
    const Key* columns = chosen + static_cast<size_t>(slot) * width;
    const int step = static_cast<int>(gridDim.y) * AT_ONCE;

#pragma unroll 1
    for (int start = static_cast<int>(blockIdx.y) * AT_ONCE; start < width; start += step) {
        int place[AT_ONCE];
        const float* point[AT_ONCE];
        typename Metric::Sum sum[AT_ONCE];
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            place[i] = start + i < width ? static_cast<int>(columns[start + i]) : -1;
            point[i] = points + static_cast<size_t>(place[i] < 0 ? 0 : place[i]) * dim;
            sum[i] = 0;
        }
#pragma unroll 1
        for (int axis = lane; axis < dim; axis += LANES) {
            const float own = query[axis];
#pragma unroll
            for (int i = 0; i < AT_ONCE; i++) sum[i] += Metric::term(own, point[i][axis]);
        }
#pragma unroll
        for (int i = 0; i < AT_ONCE; i++) {
            const float score = Metric::SIGN * static_cast<float>(over_lanes(sum[i]));
            const Key key = place[i] < 0 ? NO_KEY : make_key(farthest ? -score : score, order[place[i]]);
            if (lane == 0 && start + i < width) keys[static_cast<size_t>(slot) * width + start + i] = key;
        }
    }
}

extern "C" __global__ void __launch_bounds__(WARPS* LANES, 3)
    measure_distances(const float* points, const float* queries, int dim, const int* order, const int* anchors,
                      const Key* chosen, int farthest, int count, int width, Key* keys) {
    measure<Distance>(points, queries, dim, order, anchors, chosen, farthest, count, width, keys);
}

extern "C" __global__ void __launch_bounds__(WARPS* LANES, 3)
    measure_products(const float* points, const float* queries, int dim, const int* order, const int* anchors,
                     const Key* chosen, int farthest, int count, int width, Key* keys) {
    measure<Product>(points, queries, dim, order, anchors, chosen, farthest, count, width, keys);
}
