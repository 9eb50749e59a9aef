// A key is a score and a row in one signed 64-bit number, so that one comparison orders by score, then by row.

typedef long long Key;

constexpr int LANES = 32;
constexpr unsigned ALL_LANES = 0xffffffffu;
constexpr Key NO_KEY = 0x7fffffffffffffffLL;  // behind every other key

__device__ inline int lane_of_warp() { return threadIdx.x % LANES; }

// Floats as integers of the same order. Adding zero turns -0 into +0, which compare as equal.
__device__ inline int ordered(float score) {
    const int bits = __float_as_int(score + 0.0f);
    return bits >= 0 ? bits : bits ^ 0x7fffffff;
}

__device__ inline int ordered(int score) { return score; }

template <typename Score>
__device__ inline Key make_key(Score score, int row) {
    return static_cast<Key>((static_cast<unsigned long long>(static_cast<unsigned>(ordered(score))) << 32) |
                            static_cast<unsigned>(row));
}
