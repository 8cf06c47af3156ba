// Runs the CUDA kernels on a CPU: what `machine.cuh` and the CUDA compiler give them, for g++.
//
// - Asynchronous copies are made when they are waited for, so that a missing wait shows.
// - AddressSanitizer is told of the stacks. Shared arrays have red zones, as static variables do,
//   where SHIM_THREADS is not defined; with it they, and all state, are a thread's own.
// - ThreadSanitizer is told of fibers and of barriers, so that a missing barrier shows even where
//   the order of fibers hides it. Warp-wide operations order no memory.
// - Shared memory whose size the launch gives is full of NaNs at the start of each block.

#pragma once

#include "fibers.h"

#include <cmath>
#include <cstdint>

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

#define threadIdx shim_thread()
#define blockIdx shim.index
#define blockDim shim.block
#define gridDim shim.grid

static inline float *dynamic_shared() { return shim.dynamic; }

UNSEEN static void __syncthreads() {
#if defined(__SANITIZE_THREAD__)
  char *barrier = &shim.barriers[shim.fibers[shim.current].barriers++ % 2];
  __tsan_release(barrier);
  shim_barrier();
  __tsan_acquire(barrier);
#else
  shim_barrier();
#endif
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
  if ((uintptr_t)to % 16 || (uintptr_t)from % 16)
    fprintf(stderr, "a copy is not aligned\n"), abort();
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
