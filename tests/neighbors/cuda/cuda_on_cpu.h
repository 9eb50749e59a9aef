// Runs the threads of a CUDA block on the CPU, one fibre for each, so that a kernel's own source can be tested where
// there is no GPU. Put before a .cu file by the compiler's -include.
//
// A fibre runs until its thread comes to a barrier or to an exchange between the lanes of its warp; then the next runs.
// The order of the threads between two such points is drawn from a seed, so what a kernel leaves to chance shows: a
// missing barrier gives other answers, or poison. Threads that stop at different points are reported as divergent.
// More is not supplied than the kernels use.

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>

#define __global__
#define __device__
#define __shared__
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

struct Dim {
    unsigned x, y;
};
static Dim threadIdx, blockIdx, blockDim, gridDim;

static inline int min(int a, int b) { return a < b ? a : b; }
static inline int __ffs(unsigned x) { return __builtin_ffs(static_cast<int>(x)); }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __float_as_int(float x) { int y; memcpy(&y, &x, 4); return y; }
static inline float __int_as_float(int x) { float y; memcpy(&y, &x, 4); return y; }

constexpr int SHARED_BYTES = 48 * 1024, WARP = 32, MOST_THREADS = 1024, STACK_BYTES = 128 * 1024;
constexpr unsigned char POISON = 0xff;  // NaN as a float
alignas(128) unsigned long long shared_memory[SHARED_BYTES / 8 + 64];

enum Stop { APART, AT_BARRIER, AT_SYNCWARP, AT_EXCHANGE, DONE };
static const char* const STOPS[] = {"nowhere", "__syncthreads", "__syncwarp", "a warp exchange", "its end"};

struct Fibre {
    jmp_buf here;
    Stop stop;
    unsigned long long value;  // what the lane hands to its warp
};
static Fibre fibres[MOST_THREADS];
static int fibres_made = 0, current;
static unsigned long long exchanged[WARP];
static jmp_buf scheduler;
static ucontext_t scheduler_context;
static void (*body)(void*);
static void* body_arguments;

static __attribute__((noinline)) void stop_at(Stop stop) {
    Fibre& self = fibres[current];
    self.stop = stop;
    if (!_setjmp(self.here)) _longjmp(scheduler, 1);
}

static inline void __syncthreads() { stop_at(AT_BARRIER); }

static inline const unsigned long long* exchange(unsigned mask, unsigned long long value) {
    if (mask != 0xffffffffu) abort();
    fibres[current].value = value;
    stop_at(AT_EXCHANGE);
    return exchanged;
}

static inline void __syncwarp() { stop_at(AT_SYNCWARP); }

static inline unsigned __ballot_sync(unsigned mask, bool value) {
    const unsigned long long* values = exchange(mask, value);
    unsigned lanes = 0;
    for (int lane = 0; lane < WARP; lane++) lanes |= static_cast<unsigned>(values[lane]) << lane;
    return lanes;
}

static inline bool __any_sync(unsigned mask, bool value) { return __ballot_sync(mask, value) != 0; }

template <typename Value>
static inline unsigned long long to_bits(Value value) {
    unsigned long long bits = 0;
    memcpy(&bits, &value, sizeof(value));
    return bits;
}

template <typename Value>
static inline Value from_bits(unsigned long long bits) {
    Value value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

template <typename Value>
static inline Value __shfl_sync(unsigned mask, Value value, int lane) {
    return from_bits<Value>(exchange(mask, to_bits(value))[lane]);
}

template <typename Value>
static inline Value __shfl_xor_sync(unsigned mask, Value value, int step) {
    const int lane = threadIdx.x % WARP;
    return from_bits<Value>(exchange(mask, to_bits(value))[lane ^ step]);
}

static void live() {
    while (true) {
        stop_at(DONE);  // until the next block
        body(body_arguments);
    }
}

static void resume(int thread) {
    current = thread;
    threadIdx = {static_cast<unsigned>(thread), 0};
    if (!_setjmp(scheduler)) _longjmp(fibres[thread].here, 1);
}

static void make_fibres(int count) {
    for (; fibres_made < count; fibres_made++) {
        ucontext_t context;
        getcontext(&context);
        context.uc_stack.ss_sp = malloc(STACK_BYTES);
        context.uc_stack.ss_size = STACK_BYTES;
        context.uc_link = nullptr;
        makecontext(&context, live, 0);
        current = fibres_made;
        if (!_setjmp(scheduler)) swapcontext(&scheduler_context, &context);
    }
}

static unsigned long long random_state;
static unsigned random_below(unsigned count) {
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<unsigned>(random_state >> 33) % count;
}

static void shuffle(int* order, int count) {
    for (int i = 0; i < count; i++) order[i] = i;
    for (int i = count - 1; i > 0; i--) {
        const int j = static_cast<int>(random_below(i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

// Runs a warp to the next barrier or to its end. Returns where it stopped, or APART if its lanes stopped apart.
static Stop run_warp(int warp, char* error) {
    int order[WARP];
    shuffle(order, WARP);
    while (true) {
        for (int i = 0; i < WARP; i++) resume(warp * WARP + order[i]);
        const Stop stop = fibres[warp * WARP].stop;
        for (int lane = 0; lane < WARP; lane++) {
            const Fibre& fibre = fibres[warp * WARP + lane];
            if (fibre.stop != stop) {
                snprintf(error, 200, "divergent: in warp %d of block (%u, %u) lane 0 stopped at %s, lane %d at %s",
                         warp, blockIdx.x, blockIdx.y, STOPS[stop], lane, STOPS[fibre.stop]);
                return APART;
            }
            exchanged[lane] = fibre.value;
        }
        if (stop == AT_BARRIER || stop == DONE) return stop;
    }
}

static bool run_block(int threads, char* error) {
    const int warps = threads / WARP;
    int order[MOST_THREADS / WARP];
    shuffle(order, warps);
    while (true) {
        Stop first = APART;
        for (int i = 0; i < warps; i++) {
            const Stop stop = run_warp(order[i], error);
            if (stop == APART) return false;
            if (i > 0 && stop != first) {
                snprintf(error, 200, "divergent: in block (%u, %u) warp %d stopped at %s, warp %d at %s", blockIdx.x,
                         blockIdx.y, order[0], STOPS[first], order[i], STOPS[stop]);
                return false;
            }
            first = stop;
        }
        if (first == DONE) return true;
    }
}

// Runs a whole grid, block after block; an empty `error` says that all went well.
static void run_grid(void (*call)(void*), void* arguments, unsigned x, unsigned y, int threads, int shared,
                     unsigned long long seed, char* error) {
    error[0] = 0;
    if (threads % WARP || threads > MOST_THREADS || shared > SHARED_BYTES || x == 0 || y == 0 || y > 65535) {
        snprintf(error, 200, "a device would refuse grid (%u, %u), %d threads, %d bytes shared", x, y, threads, shared);
        return;
    }
    body = call;
    body_arguments = arguments;
    random_state = seed;
    gridDim = {x, y};
    blockDim = {static_cast<unsigned>(threads), 1};
    make_fibres(threads);
    unsigned char* bytes = reinterpret_cast<unsigned char*>(shared_memory);
    for (unsigned block = 0; block < x * y; block++) {
        blockIdx = {block % x, block / x};
        memset(shared_memory, POISON, sizeof(shared_memory));
        if (!run_block(threads, error)) {
            fibres_made = 0;  // those that wait inside the kernel cannot be used again
            return;
        }
        for (size_t i = shared; i < sizeof(shared_memory); i++) {
            if (bytes[i] != POISON) {
                snprintf(error, 200, "wrote beyond its %d bytes of shared memory, at %zu", shared, i);
                return;
            }
        }
    }
}

template <typename... Types, size_t... I>
static void call_with(void (*kernel)(Types...), void** values, std::index_sequence<I...>) {
    kernel(*static_cast<Types*>(values[I])...);
}

template <typename... Types>
static int run_kernel(void (*kernel)(Types...), void** values, int count, unsigned x, unsigned y, int threads,
                      int shared, unsigned long long seed, char* error) {
    if (count != sizeof...(Types)) {
        snprintf(error, 200, "the kernel takes %zu arguments, not %d", sizeof...(Types), count);
        return 0;
    }
    struct Call {
        void (*kernel)(Types...);
        void** values;
    } call = {kernel, values};
    run_grid(
        [](void* pointer) {
            Call& call = *static_cast<Call*>(pointer);
            call_with(call.kernel, call.values, std::index_sequence_for<Types...>());
        },
        &call, x, y, threads, shared, seed, error);
    return 0;
}

// Makes KERNEL known to whoever loads the library.
#define REACHABLE(KERNEL)                                                                                          \
    extern "C" int run_##KERNEL(void** values, int count, unsigned x, unsigned y, int threads, int shared,        \
                                unsigned long long seed, char* error) {                                            \
        return run_kernel(KERNEL, values, count, x, y, threads, shared, seed, error);                              \
    }
