// Runs the CUDA kernels on a CPU: what `machine.cuh` and the CUDA compiler give them, for g++.
//
// A thread of a block is a fiber. It runs until a barrier or a warp-wide operation needs other threads;
// then the next fiber that can run does. Where none can, a barrier was left out by some: the program
// ends with a message.
//
// - Asynchronous copies are made when they are waited for, so that a missing wait shows.
// - AddressSanitizer is told of the stacks. Shared arrays have red zones, as static variables do, where
//   SHIM_THREADS is not defined; with it they, and all state, are a thread's own.
// - ThreadSanitizer is told of fibers and of barriers, so that a missing barrier shows even where the
//   order of fibers hides it. Warp-wide operations order no memory.
// - Shared memory whose size the launch gives is fresh for each block, and full of NaNs.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sys/mman.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
// What moves data between fibers is no access of theirs.
#define UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define UNSEEN
#endif

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef long long i64;

#ifdef T_F32
typedef float T;
#else
typedef u16 T;
#endif

#define __global__
#define __device__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#ifdef SHIM_THREADS
#define __shared__ static thread_local
#else
#define __shared__ static
#endif
#define DEVICE static inline
#define DEVICE_MEMBER inline
#define KERNEL(threads, blocks) extern "C" void

struct dim3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  u32 x, y;
};
struct alignas(16) uint4 {
  u32 x, y, z, w;
};
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline uint2 make_uint2(u32 x, u32 y) { return {x, y}; }
static inline uint4 make_uint4(u32 x, u32 y, u32 z, u32 w) { return {x, y, z, w}; }

template <typename To, typename From> static inline To bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof to);
  return to;
}
static inline float __uint_as_float(u32 v) { return bits<float>(v); }
static inline float __int_as_float(u32 v) { return bits<float>(v); }
static inline u32 __float_as_uint(float v) { return bits<u32>(v); }
// As a call of the library it would take most of the time.
#define fmaf(a, b, c) ((a) * (b) + (c))
static inline float exponential(float v) { return expf(v); }
static inline float quotient(float a, float b) { return a / b; }

#if defined(T_F32)
static inline float up(T v) { return v; }
static inline T down(float v) { return v; }
#elif defined(T_BF16)
static inline float up(T v) { return bits<float>((u32)v << 16); }
static inline T down(float v) {
  u32 u = bits<u32>(v);
  return v != v ? 0x7fff : (T)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}
#elif defined(T_F16)
static inline float up(T v) {
  // The exponent is moved by a product, which also gives subnormal values theirs.
  u32 magnitude = bits<u32>(bits<float>((u32)(v & 0x7fff) << 13) * 0x1p112f);
  if (magnitude >= 0x47800000) magnitude |= 0x7f800000;
  return bits<float>(magnitude | (u32)(v & 0x8000) << 16);
}
static inline T down(float v) {
  u32 u = bits<u32>(v), sign = u >> 16 & 0x8000;
  u &= 0x7fffffff;
  if (u >= 0x47800000) return (T)(sign | (u > 0x7f800000 ? 0x7fff : 0x7c00));
  // A sum with 0.5 rounds to the last place of subnormal values.
  if (u < 0x38800000) return (T)(sign | (bits<u32>(bits<float>(u) + 0.5f) - 0x3f000000));
  return (T)(sign | ((u - 0x38000000 + 0xfff + (u >> 13 & 1)) >> 13));
}
#endif
#ifndef T_F32
static inline float2 up2(u32 pair) { return {up((T)pair), up((T)(pair >> 16))}; }
static inline u32 down2(float a, float b) { return down(a) | (u32)down(b) << 16; }
#endif

// --- Fibers.

static constexpr unsigned MOST_THREADS = 512;
static constexpr size_t STACK = 256 << 10;

// Saves what a call may not change, and its stack, at `*from`; goes on with the stack `to`.
extern "C" void shim_switch(void **from, void *to);
#if defined(__x86_64__)
asm(R"(
.text
.hidden shim_switch
.weak shim_switch
shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
// A stack that enters `entry` when it is switched to.
static void *shim_prepare(char *stack, void (*entry)()) {
  void **top = (void **)(stack + STACK) - 2;
  top[0] = (void *)entry; // where `ret` goes; above it, nothing to return to
  top[1] = nullptr;
  memset(top - 6, 0, 6 * sizeof(void *));
  return top - 6;
}
#elif defined(__aarch64__)
asm(R"(
.text
.hidden shim_switch
.weak shim_switch
shim_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
static void *shim_prepare(char *stack, void (*entry)()) {
  void **top = (void **)(stack + STACK) - 20;
  memset(top, 0, 20 * sizeof(void *));
  top[11] = (void *)entry; // x30, where `ret` goes
  return top;
}
#else
#error "the shim has a switch of stacks for x86_64 and aarch64"
#endif

struct Copy {
  void *to;
  const void *from;
  bool inside;
};

enum Wait { NOTHING, WARP, BLOCK, DONE };

struct Fiber {
  void *stack; // where it goes on
  char *memory;
  Wait wait;
  dim3 index;
  // Copies not yet made, and how many of them each group that has ended has.
  std::vector<Copy> copies;
  std::vector<size_t> groups;
  // Where the sanitizers keep theirs.
  void *fake, *tsan;
  // What a warp's lanes exchange; of two slots, as a fast lane may be one operation ahead.
  u32 given[2][6], got[2][4];
  unsigned turn;
};

// Without a constructor, so that a thread's own is found by its address alone.
struct Block {
  dim3 grid, block, index;
  Fiber *fibers;
  unsigned threads, current, at_barrier, in_warp[MOST_THREADS / 32];
  const std::function<void()> *kernel;
  float4 *dynamic;
  // The host's.
  void *stack, *fake, *tsan;
  const void *host_stack;
  size_t host_size;
  char start, barrier, end;
};

static thread_local Block shim;

// Fibers last as long as the host's thread.
struct Fibers {
  Fibers() {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *stacks = (char *)mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (stacks == MAP_FAILED) perror("stacks"), abort();
    shim.fibers = new Fiber[MOST_THREADS]();
    for (unsigned i = 0; i < MOST_THREADS; i++) {
      shim.fibers[i].memory = stacks + i * STACK;
#if defined(__SANITIZE_THREAD__)
      shim.fibers[i].tsan = __tsan_create_fiber(0);
#endif
    }
  }

  ~Fibers() {
#if defined(__SANITIZE_THREAD__)
    for (unsigned i = 0; i < MOST_THREADS; i++) __tsan_destroy_fiber(shim.fibers[i].tsan);
#endif
    munmap(shim.fibers[0].memory, MOST_THREADS * STACK);
    delete[] shim.fibers;
  }
};

UNSEEN static dim3 shim_thread() { return shim.fibers[shim.current].index; }
#define threadIdx shim_thread()
#define blockIdx shim.index
#define blockDim shim.block
#define gridDim shim.grid

static inline float *dynamic_shared() { return (float *)shim.dynamic; }

// Goes on with another fiber, or with the host where `to` is `threads`.
UNSEEN static void shim_go(unsigned to) {
  Fiber &own = shim.fibers[shim.current];
  [[maybe_unused]] bool host = to == shim.threads, last = own.wait == DONE;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(last ? nullptr : &own.fake,
                                 host ? shim.host_stack : shim.fibers[to].memory,
                                 host ? shim.host_size : STACK);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(host ? shim.tsan : shim.fibers[to].tsan, __tsan_switch_to_fiber_no_sync);
#endif
  if (!host) shim.current = to;
  shim_switch(&own.stack, host ? shim.stack : shim.fibers[to].stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own.fake, nullptr, nullptr);
#endif
}

// Goes on with the next fiber that can run.
UNSEEN static void shim_next() {
  unsigned threads = shim.threads, to = shim.current, done = 0;
  for (unsigned i = 0; i < threads; i++) {
    to = to + 1 == threads ? 0 : to + 1;
    if (shim.fibers[to].wait == NOTHING) return to == shim.current ? void() : shim_go(to);
    done += shim.fibers[to].wait == DONE;
  }
  if (done == threads) return shim_go(threads);
  fprintf(stderr, "block %u %u %u: threads wait for others that never come\n", shim.index.x, shim.index.y,
          shim.index.z);
  abort();
}

UNSEEN static void shim_barrier() {
  shim.fibers[shim.current].wait = BLOCK;
  if (++shim.at_barrier == shim.threads) {
    shim.at_barrier = 0;
    for (unsigned i = 0; i < shim.threads; i++) shim.fibers[i].wait = NOTHING;
  }
  shim_next();
}

UNSEEN static void __syncthreads() {
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&shim.barrier);
#endif
  shim_barrier();
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&shim.barrier);
#endif
}

// Waits for the warp's lanes; the last to come runs `all` for them.
template <typename All> UNSEEN static void shim_warp(const All &all) {
  unsigned warp = shim.current / 32, first = warp * 32;
  shim.fibers[shim.current].wait = WARP;
  if (++shim.in_warp[warp] == 32) {
    shim.in_warp[warp] = 0;
    all(shim.fibers + first);
    for (unsigned i = first; i < first + 32; i++) shim.fibers[i].wait = NOTHING;
    return;
  }
  // The warp's next lanes come first: they are what is waited for.
  for (unsigned i = first; i < first + 32; i++)
    if (shim.fibers[i].wait == NOTHING) return shim_go(i);
  shim_next();
}

UNSEEN static float __shfl_xor_sync(u32, float v, int mask) {
  Fiber &own = shim.fibers[shim.current];
  unsigned turn = own.turn ^= 1;
  own.given[turn][0] = bits<u32>(v);
  shim_warp([](Fiber *) {});
  return bits<float>(shim.fibers[shim.current ^ mask].given[turn][0]);
}

static inline void shim_copy(const Copy &copy) {
  if (copy.inside)
    *(uint4 *)copy.to = *(const uint4 *)copy.from;
  else
    *(uint4 *)copy.to = {};
}

static inline void copy16(void *to, const void *from, bool inside) {
  if ((uintptr_t)to % 16 || (uintptr_t)from % 16) fprintf(stderr, "a copy is not aligned\n"), abort();
  shim.fibers[shim.current].copies.push_back({to, from, inside});
}

static inline void copy_commit() {
  Fiber &own = shim.fibers[shim.current];
  size_t before = 0;
  for (size_t size : own.groups) before += size;
  own.groups.push_back(own.copies.size() - before);
}

template <int N> static void copy_wait() {
  Fiber &own = shim.fibers[shim.current];
  while (own.groups.size() > N) {
    for (size_t i = 0; i < own.groups[0]; i++) shim_copy(own.copies[i]);
    own.copies.erase(own.copies.begin(), own.copies.begin() + own.groups[0]);
    own.groups.erase(own.groups.begin());
  }
}

#ifndef T_F32
// The rows that a lane's parts are of.
UNSEEN static void shim_rows(const void *row, const u32 *(&rows)[4]) {
  Fiber &own = shim.fibers[shim.current];
  unsigned turn = own.turn ^= 1, lane = shim.current % 32;
  memcpy(own.given[turn], &row, sizeof row);
  shim_warp([](Fiber *) {});
  for (unsigned i = 0; i < 4; i++)
    memcpy(&rows[i], shim.fibers[shim.current - lane + i * 8 + lane / 4].given[turn], sizeof row);
}

static inline void load_matrices(u32 (&m)[4], const void *row) {
  if ((uintptr_t)row % 16) fprintf(stderr, "a matrix's row is not aligned\n"), abort();
  const u32 *rows[4];
  shim_rows(row, rows);
  // Each lane reads what it gets, so that the reads are its own.
  for (unsigned i = 0; i < 4; i++) m[i] = rows[i][threadIdx.x % 4];
}

// The last lane to come multiplies for all: c[16][8] += a[16][16] * b[16][8].
UNSEEN static void shim_mma(Fiber *lanes, unsigned turn) {
  typedef float Eight __attribute__((vector_size(32)));
  float a[16][16];
  Eight b[16];
  for (unsigned lane = 0; lane < 32; lane++) {
    const u32 *given = lanes[lane].given[turn];
    unsigned g = lane / 4, q = lane % 4 * 2;
    for (unsigned i = 0; i < 4; i++) {
      float2 pair = up2(given[i]);
      a[g + i % 2 * 8][q + i / 2 * 8] = pair.x, a[g + i % 2 * 8][q + i / 2 * 8 + 1] = pair.y;
    }
    for (unsigned i = 0; i < 2; i++) {
      float2 pair = up2(given[4 + i]);
      b[q + i * 8][g] = pair.x, b[q + i * 8 + 1][g] = pair.y;
    }
  }
  for (unsigned row = 0; row < 16; row++) {
    Eight sums = {};
    for (unsigned k = 0; k < 16; k++) sums += a[row][k] * b[k];
    for (unsigned n = 0; n < 8; n++)
      lanes[row % 8 * 4 + n / 2].got[turn][row / 8 * 2 + n % 2] = bits<u32>(sums[n]);
  }
}

UNSEEN static void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  Fiber &own = shim.fibers[shim.current];
  unsigned turn = own.turn ^= 1;
  memcpy(own.given[turn], a, sizeof a);
  own.given[turn][4] = b0, own.given[turn][5] = b1;
  shim_warp([turn](Fiber *lanes) { shim_mma(lanes, turn); });
  for (int i = 0; i < 4; i++) c[i] += bits<float>(own.got[turn][i]);
}
#endif

// --- Launches.

UNSEEN static void shim_entry() {
#if defined(__SANITIZE_ADDRESS__)
  // The first fiber comes from the host, whose stack it remembers.
  bool first = shim.current == 0;
  __sanitizer_finish_switch_fiber(nullptr, first ? &shim.host_stack : nullptr,
                                  first ? &shim.host_size : nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&shim.start);
#endif
  (*shim.kernel)();
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&shim.end);
#endif
  shim.fibers[shim.current].wait = DONE;
  shim_next();
  abort();
}

UNSEEN static void shim_block(unsigned shared_bytes) {
  for (unsigned i = 0; i < shim.threads; i++) {
    Fiber &fiber = shim.fibers[i];
    fiber.stack = shim_prepare(fiber.memory, shim_entry);
    fiber.wait = NOTHING;
    fiber.copies.clear(), fiber.groups.clear();
    unsigned x = shim.block.x, y = shim.block.y;
    fiber.index = {i % x, i / x % y, i / x / y};
  }
  for (unsigned i = 0; i < shared_bytes / 4; i++) ((float *)shim.dynamic)[i] = NAN;
  shim.current = 0, shim.at_barrier = 0;
  memset(shim.in_warp, 0, sizeof shim.in_warp);
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&shim.start);
  shim.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(shim.fibers[0].tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&shim.fake, shim.fibers[0].memory, STACK);
#endif
  shim_switch(&shim.stack, shim.fibers[0].stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(shim.fake, nullptr, nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&shim.end);
#endif
}

// Runs `kernel` for every thread of the grid, block after block.
UNSEEN static void shim_launch(dim3 grid, dim3 block, unsigned shared_bytes,
                               const std::function<void()> &kernel) {
  shim.grid = grid, shim.block = block, shim.kernel = &kernel;
  shim.threads = block.x * block.y * block.z;
  if (shim.threads == 0 || shim.threads > MOST_THREADS || shim.threads % 32)
    fprintf(stderr, "no block of %u threads\n", shim.threads), abort();
  static thread_local Fibers fibers;
  (void)fibers;
  shim.dynamic = (float4 *)malloc(shared_bytes);
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        shim.index = {x, y, z};
        shim_block(shared_bytes);
      }
  free(shim.dynamic);
}
