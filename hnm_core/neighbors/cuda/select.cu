// The k best columns of each anchor from tiles of products, one tile after the other, so that nobody ever holds all of
// them: a tile is read once, and only what beats an anchor's limit is written.
//
// One warp reads one line of the tile, 16 bytes a lane and load, UNROLL loads at a time: the memory must be kept busy, as
// nothing else takes time. What a warp knows of its anchor (limit, count) is kept in global memory from one tile to the
// next.

#include "best.cuh"

constexpr int WARPS = 8;
constexpr int UNROLL = 4;
constexpr int WIDE = 4;

template <typename Score>
struct alignas(WIDE * sizeof(Score)) Four {
    Score of[WIDE];
};

// tile     (count, columns), `stride` numbers from one line to the next, a multiple of 4: products of anchors and
//          columns. What lies between `columns` and `stride` is read, and counts for nothing.
// terms    (stride): score = terms + factor * tile, in the type of the tile. Null counts as zeros.
// first    place of the tile's first column.
// places   (count): of the anchors, -1 where they are no rows. low, high (count): where the class of each starts and
//          ends.
// farthest whether the anchor's class is all there is to choose from (the anchor itself left out), or is left out.
// begins, ends: whether this is the first tile, the last tile.
// limits, counts (count, gridDim.y): what is known between tiles.
// keys     (count, gridDim.y, capacity): after the last tile, the first k of each line are the k best places.
template <typename Score>
__device__ inline void select(const Score* __restrict__ tile, int stride, const Score* __restrict__ terms,
                              Score factor, int first, int columns, const int* __restrict__ places,
                              const int* __restrict__ low, const int* __restrict__ high, int farthest, int count, int k,
                              int capacity, int begins, int ends, Key* limits, int* counts, Key* keys) {
    const int lane = lane_of_warp();
    const int slot = blockIdx.x * WARPS + static_cast<int>(threadIdx.x) / LANES;
    if (slot >= count) return;  // the whole warp
    const Score* line = tile + static_cast<size_t>(slot) * stride;
    const int own = places[slot], begin = low[slot], end = high[slot];
    const size_t list = static_cast<size_t>(slot) * gridDim.y + blockIdx.y;
    Best best = {begins ? ALL_PASS : limits[list], begins ? 0 : counts[list]};
    Score limit;
    score_of(best.limit, limit);

    constexpr int SCORES = UNROLL * WIDE, STEP = SCORES * LANES;
    const Share share = share_of_block(0, columns, STEP);

#pragma unroll 1
    for (int start = share.from; start < share.to; start += STEP) {
        Score score[SCORES];
        unsigned passes = 0;
#pragma unroll
        for (int u = 0; u < UNROLL; u++) {
            const int column = min(start + (u * LANES + lane) * WIDE, (share.to - 1) / WIDE * WIDE);
            const Four<Score> products = *reinterpret_cast<const Four<Score>*>(line + column);
#pragma unroll
            for (int i = 0; i < WIDE; i++) score[u * WIDE + i] = factor * products.of[i];
            if (terms) {
                const Four<Score> added = *reinterpret_cast<const Four<Score>*>(terms + column);
#pragma unroll
                for (int i = 0; i < WIDE; i++) score[u * WIDE + i] += added.of[i];
            }
        }
        // All columns seen before have smaller places, to which ties go, so an equal score comes too late.
#pragma unroll
        for (int s = 0; s < SCORES; s++) passes |= static_cast<unsigned>(score[s] < limit) << s;
        if (!__any_sync(ALL_LANES, passes)) continue;
#pragma unroll 1
        for (int s = 0; s < SCORES; s++) {
            if (!__any_sync(ALL_LANES, passes >> s & 1)) continue;
            const int column = start + (s / WIDE * LANES + lane) * WIDE + s % WIDE, place = first + column;
            const Score own_score = picked(score, s);
            const bool positive = place >= begin && place < end;
            const bool allowed =
                own_score <= limit && column < share.to && positive == (farthest != 0) && place != own;
            offer(best, keys + list * capacity, allowed ? make_key(own_score, place) : NO_KEY, k, capacity);
            score_of(best.limit, limit);
        }
    }
    if (ends) finish(best, keys + list * capacity, k);
    __syncwarp();  // all lanes have read the limit and the count of the tile before
    if (lane == 0) {
        limits[list] = best.limit;
        counts[list] = best.count;
    }
}

#define KERNEL(NAME, SCORE)                                                                                            \
    extern "C" __global__ void __launch_bounds__(WARPS* LANES, 3)                                                      \
        NAME(const SCORE* tile, int stride, const SCORE* terms, SCORE factor, int first, int columns,                  \
             const int* places, const int* low, const int* high, int farthest, int count, int k, int capacity,         \
             int begins, int ends, Key* limits, int* counts, Key* keys) {                                              \
        select<SCORE>(tile, stride, terms, factor, first, columns, places, low, high, farthest, count, k, capacity,    \
                      begins, ends, limits, counts, keys);                                                             \
    }

KERNEL(select_float, float)
KERNEL(select_int, int)
