// What only the machine can do: its conversions, its warp-wide product, its asynchronous copies.
// `tests/gpu/cuda/shim.h` stands in for this file where the other files run on a CPU.

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef long long i64;

// T: maps and large weights. A half is its bits.
#ifdef T_F32
typedef float T;
#else
typedef u16 T;
#endif

#define DEVICE static __device__ __forceinline__
#define DEVICE_MEMBER __device__ __forceinline__
#define KERNEL(threads, blocks) extern "C" __global__ void __launch_bounds__(threads, blocks)

#ifdef T_F32
DEVICE float exponential(float v) { return expf(v); }
DEVICE float quotient(float a, float b) { return a / b; }
#else
// Within 2 units of f32's last place where it matters: the result is rounded to a half.
DEVICE float exponential(float v) { return __expf(v); }
DEVICE float quotient(float a, float b) { return __fdividef(a, b); }
#endif

#ifdef T_F16
DEVICE float up(T v) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(v));
  return f;
}

DEVICE T down(float v) {
  T h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(v));
  return h;
}
#endif

#ifdef T_BF16
DEVICE float up(T v) { return __uint_as_float((u32)v << 16); }

DEVICE T down(float v) {
#if __CUDA_ARCH__ >= 800
  T h;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(v));
  return h;
#else
  u32 bits = __float_as_uint(v);
  // A NaN stays one: the sum would carry into its exponent.
  return v != v ? 0x7fff : (T)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
#endif
}
#endif

#ifdef T_F32
DEVICE float up(T v) { return v; }
DEVICE T down(float v) { return v; }
#else
// The first of a pair is the low half.
DEVICE float2 up2(u32 pair) { return make_float2(up((T)pair), up((T)(pair >> 16))); }

DEVICE u32 down2(float a, float b) {
#if __CUDA_ARCH__ >= 800
  u32 pair;
#ifdef T_F16
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(b), "f"(a));
#else
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(b), "f"(a));
#endif
  return pair;
#else
  return down(a) | (u32)down(b) << 16;
#endif
}
#endif

DEVICE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }

// Copies 16 bytes to shared memory; where `inside` is false zeros, whatever `from` is. Both
// addresses are aligned. It is done when a `copy_wait` has covered its group, for the thread that
// asked; for others after a barrier.
DEVICE void copy16(void *to, const void *from, bool inside) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
               "r"(inside ? 16 : 0)
               : "memory");
#else
  *(uint4 *)to = inside ? *(const uint4 *)from : make_uint4(0, 0, 0, 0);
#endif
}

// Ends a group of copies.
DEVICE void copy_commit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

// Waits until at most the N newest groups are under way.
template <int N> DEVICE void copy_wait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
#endif
}

// The memory whose size the launch gives.
DEVICE float *dynamic_shared() {
  extern __shared__ float4 dynamic[];
  return (float *)dynamic;
}

#ifndef T_F32
// Four 8x8 matrices of halves: lane l names row l % 8 of matrix l / 8, 16 bytes; it gets columns
// 2 * (l % 4) and the next of row l / 4 of each.
DEVICE void load_matrices(u32 (&m)[4], const void *row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(m[0]), "=r"(m[1]), "=r"(m[2]), "=r"(m[3])
               : "r"(shared_address(row))
               : "memory");
}

#if defined(T_BF16) && __CUDA_ARCH__ < 800
// This machine has no product of bf16: each lane gathers the operands of its four sums. The
// operands of columns k and k + 1 are with the lanes of k / 2 % 4.
DEVICE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
  int lane = threadIdx.x & 31;
#pragma unroll
  for (int half = 0; half < 2; half++)
#pragma unroll 1
    for (int pair = 0; pair < 4; pair++) {
      u32 b = half ? b1 : b0;
      float2 x0 = up2(__shfl_sync(~0u, a[half * 2], (lane & ~3) + pair));
      float2 x1 = up2(__shfl_sync(~0u, a[half * 2 + 1], (lane & ~3) + pair));
      float2 w0 = up2(__shfl_sync(~0u, b, (lane & 3) * 8 + pair));
      float2 w1 = up2(__shfl_sync(~0u, b, (lane & 3) * 8 + 4 + pair));
      c[0] += x0.x * w0.x + x0.y * w0.y;
      c[1] += x0.x * w1.x + x0.y * w1.y;
      c[2] += x1.x * w0.x + x1.y * w0.y;
      c[3] += x1.x * w1.x + x1.y * w1.y;
    }
}
#else
// c[16][8] += a[16][16] * b[16][8], in f32; each lane has parts as PTX lays them out.
DEVICE void mma(float (&c)[4], const u32 (&a)[4], u32 b0, u32 b1) {
#if __CUDA_ARCH__ >= 800
#ifdef T_F16
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
#else
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
#endif
               "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
               : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
#pragma unroll
  for (int half = 0; half < 2; half++)
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
                 "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[half * 2]), "r"(a[half * 2 + 1]), "r"(half ? b1 : b0));
#endif
}
#endif
#endif
