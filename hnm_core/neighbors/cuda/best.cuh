// The k best columns of one anchor, kept by one warp: a list in global memory that takes whatever beats a limit, and is
// cut back to the k best when it is full. Cutting is rare (the limit falls with every cut), so any k costs about the
// same and no register holds the list.
//
// Keys of an anchor differ, so "the k smallest" has one answer, whatever the order in which threads run or columns come.

#include "keys.cuh"

constexpr Key NOTHING_PASSES = -0x7fffffffffffffffLL - 1;  // as a limit; its score is NaN, respectively INT_MIN
constexpr Key ALL_PASS = 0x7f80000000000000LL;  // as a limit: infinity in row 0, so all but infinite scores pass

// The layout of dynamic shared memory is each kernel's own.
extern __shared__ unsigned long long shared_memory[];

struct Best {
    Key limit;  // a key enters only below it
    int count;  // of keys in the list
};

__device__ inline void score_of(Key key, float& score) {
    const int bits = static_cast<int>(key >> 32);
    score = __int_as_float(bits >= 0 ? bits : bits ^ 0x7fffffff);
}

__device__ inline void score_of(Key key, int& score) { score = static_cast<int>(key >> 32); }

// values[i], of an array in registers, which cannot be indexed by a variable.
template <typename Value, int N>
__device__ inline Value picked(const Value (&values)[N], int i) {
    Value value = values[0];
#pragma unroll
    for (int other = 1; other < N; other++) value = other == i ? values[other] : value;
    return value;
}

// How many of keys[0 .. count - 1] lie below `cut`; the same answer in every lane.
__device__ __noinline__ int count_below(const Key* keys, int count, Key cut) {
    int below = 0;
#pragma unroll 1
    for (int i = lane_of_warp(); i < count; i += LANES) below += keys[i] < cut;
    for (int step = LANES / 2; step > 0; step /= 2) below += __shfl_xor_sync(ALL_LANES, below, step);
    return below;
}

// Cuts keys[0 .. count - 1], count > k, back to the k smallest, in place and unsorted. Returns the new limit: the k
// smallest lie below it. The limit is found by bisection between the smallest and the largest key, which ends as soon
// as it parts the k-th key from the next.
__device__ __noinline__ Key cut_back(Key* keys, int count, int k) {
    const int lane = lane_of_warp();
    __syncwarp();  // what other lanes appended
    Key low = NO_KEY, high = NOTHING_PASSES;
#pragma unroll 1
    for (int i = lane; i < count; i += LANES) {
        low = keys[i] < low ? keys[i] : low;
        high = keys[i] > high ? keys[i] : high;
    }
    for (int step = LANES / 2; step > 0; step /= 2) {
        const Key other_low = __shfl_xor_sync(ALL_LANES, low, step);
        const Key other_high = __shfl_xor_sync(ALL_LANES, high, step);
        low = other_low < low ? other_low : low;
        high = other_high > high ? other_high : high;
    }
    high += 1;
    // Fewer than k keys lie below `low`, more than k below `high`.
    Key cut;
    while (true) {
        // Without sign, because the two may lie further apart than the signed type reaches.
        const auto gap = static_cast<unsigned long long>(high) - static_cast<unsigned long long>(low);
        cut = low + static_cast<Key>(gap / 2);
        const int below = count_below(keys, count, cut);
        if (below == k || cut == low) break;  // the second only if a key came twice
        if (below < k) low = cut;
        else high = cut;
    }
    int kept = 0;
#pragma unroll 1
    for (int start = 0; start < count; start += LANES) {
        const Key key = start + lane < count ? keys[start + lane] : NO_KEY;
        const bool stays = key < cut;
        const unsigned lanes = __ballot_sync(ALL_LANES, stays);
        __syncwarp();  // all lanes have read before one writes where another read
        if (stays) keys[kept + __popc(lanes & ((1u << lane) - 1))] = key;
        kept += __popc(lanes);
    }
#pragma unroll 1
    for (int i = kept + lane; i < k; i += LANES) keys[i] = NO_KEY;
    __syncwarp();
    return cut;
}

// Every lane offers one key, or none (NO_KEY), to the list `keys` with room for `capacity`, at least k + LANES.
__device__ inline void offer(Best& best, Key* keys, Key key, int k, int capacity) {
    unsigned lanes = __ballot_sync(ALL_LANES, key < best.limit);
    if (lanes == 0) return;
    if (best.count + __popc(lanes) > capacity) {
        best.limit = cut_back(keys, best.count, k);
        best.count = k;
        lanes = __ballot_sync(ALL_LANES, key < best.limit);
    }
    const int lane = lane_of_warp();
    if (lanes >> lane & 1) keys[best.count + __popc(lanes & ((1u << lane) - 1))] = key;
    best.count += __popc(lanes);
}

// Leaves the k smallest, unsorted, in keys[0 .. k - 1], NO_KEY where there are fewer.
__device__ inline void finish(Best& best, Key* keys, int k) {
    if (best.count > k) {
        best.limit = cut_back(keys, best.count, k);
        best.count = k;
    }
#pragma unroll 1
    for (int i = best.count + lane_of_warp(); i < k; i += LANES) keys[i] = NO_KEY;
}

// Columns are cut into gridDim.y shares of whole tiles, so that few anchors keep a device busy as well; each has lists
// of its own. These are the columns of this block's share: from .. to - 1.
struct Share {
    int from, to;
};

__device__ inline Share share_of_block(int from, int to, int tile) {
    const int blocks = gridDim.y, tiles = (to - from + tile - 1) / tile;
    const int width = (tiles + blocks - 1) / blocks * tile;
    const int start = from + min(static_cast<int>(blockIdx.y) * width, to - from);
    return {start, start + min(width, to - start)};
}

// A warp that serves several anchors may keep what it knows of anchor a in lane a, and hand it round.
__device__ inline Best of_lane(const Best& best, int lane) {
    return {__shfl_sync(ALL_LANES, best.limit, lane), __shfl_sync(ALL_LANES, best.count, lane)};
}
