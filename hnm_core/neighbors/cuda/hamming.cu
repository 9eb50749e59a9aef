// The rows of other classes with the fewest differing bits, by popcount on packed codes, 64 bits a load at any width.
//
// A warp serves ANCHORS anchors; its lanes look at 32 columns at a time. Codes stand word by word, in global as in
// shared memory, so that neighbouring lanes read neighbouring words. Each word of a column is read once for all
// anchors of the warp, and the words of those anchors lie together, so that one wide load serves all lanes. What
// bounds the kernel is then popcount itself: 2 instructions for 64 bits, 16 lanes a cycle on a multiprocessor.

#include "best.cuh"

constexpr int WARPS = 8;
constexpr int ANCHORS = 4;

struct alignas(32) Words {
    unsigned long long of[ANCHORS];
};

// codes   (words, rows): sorted by class.
// asked   (words, lines): the same of the anchors, or of all rows.
// anchors (count): lines of asked. low, high (count): where the class of each starts and ends, ascending; left out.
// tile    columns in shared memory at a time, a multiple of 32.
// keys    (count, gridDim.y, capacity): the first k of each line are the k best places of that share of columns.
// Shared memory: words * (WARPS * ANCHORS + tile) * 8 bytes.
extern "C" __global__ void __launch_bounds__(WARPS* LANES, 3)
    nearest_codes(const unsigned long long* __restrict__ codes, int words, int rows,
                  const unsigned long long* __restrict__ asked, int lines, const int* __restrict__ anchors,
                  const int* __restrict__ low, const int* __restrict__ high, int count, int tile, int k, int capacity,
                  Key* keys) {
    Words* queries = reinterpret_cast<Words*>(shared_memory);               // [words][WARPS]
    unsigned long long* columns = shared_memory + words * WARPS * ANCHORS;  // [words][tile]
    const int lane = lane_of_warp();
    const int warp = static_cast<int>(threadIdx.x) / LANES;
    const int block_first = blockIdx.x * WARPS * ANCHORS;
    const int block_last = min(block_first + WARPS * ANCHORS, count) - 1;
    const int first = block_first + warp * ANCHORS;

#pragma unroll 1
    for (int i = threadIdx.x; i < words * WARPS * ANCHORS; i += WARPS * LANES) {
        const int slot = min(block_first + i % (WARPS * ANCHORS), count - 1);
        shared_memory[i] = asked[static_cast<size_t>(i / (WARPS * ANCHORS)) * lines + anchors[slot]];
    }
    int limit[ANCHORS];
#pragma unroll
    for (int a = 0; a < ANCHORS; a++) score_of(first + a < count ? ALL_PASS : NOTHING_PASSES, limit[a]);
    Best best = {first + lane < count ? ALL_PASS : NOTHING_PASSES, 0};  // of anchor `lane`

    const Share share = share_of_block(0, rows, tile);
    // Columns that stand in the class of every anchor of the block.
    const int common_from = low[block_last], common_to = high[block_first];

    for (int start = share.from; start < share.to; start += tile) {
        if (start >= common_from && start + tile <= common_to) continue;
        const int there = min(tile, share.to - start);
        __syncthreads();  // the tile before was read
        for (int i = threadIdx.x; i < words * tile; i += WARPS * LANES) {
            const int word = i / tile, column = i % tile;
            columns[i] = column < there ? codes[static_cast<size_t>(word) * rows + start + column] : 0;
        }
        __syncthreads();
#pragma unroll 1
        for (int group = 0; group < there; group += LANES) {
            int differing[ANCHORS] = {};
            for (int word = 0; word < words; word++) {
                const unsigned long long x = columns[word * tile + group + lane];
                const Words own = queries[word * WARPS + warp];
#pragma unroll
                for (int a = 0; a < ANCHORS; a++) differing[a] += __popcll(own.of[a] ^ x);
            }
            // Columns come in the order of their places, to which ties go, so an equal score is always too late.
            bool passes = false;
#pragma unroll
            for (int a = 0; a < ANCHORS; a++) passes |= differing[a] < limit[a];
            if (!__any_sync(ALL_LANES, passes)) continue;
            const int column = start + group + lane;
#pragma unroll 1
            for (int a = 0; a < ANCHORS && first + a < count; a++) {
                const bool below = picked(differing, a) < picked(limit, a);
                if (!__any_sync(ALL_LANES, below)) continue;
                const int slot = first + a;
                const bool allowed = below && group + lane < there && (column < low[slot] || column >= high[slot]);
                Best own = of_lane(best, a);
                offer(own, keys + (static_cast<size_t>(slot) * gridDim.y + blockIdx.y) * capacity,
                      allowed ? make_key(picked(differing, a), column) : NO_KEY, k, capacity);
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
