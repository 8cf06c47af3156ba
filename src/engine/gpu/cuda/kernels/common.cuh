// The kernels of the CUDA engine, one module for each T. The files make one text, in this order:
//
//   machine.cuh common.cuh product.cuh pointwise.cuh conv.cuh stem.cuh depthwise.cuh vectors.cuh
//   context.cuh attention.cuh maps.cuh norms.cuh
//
// ABI. Arguments are int where no type is said, in the order of the definitions. A map is
// [image][y][x][c] of T, a vector [image][c] of float; c is padded to a multiple of 8 with zeros,
// and so is every count of channels but rd, cin of the stem, and those called real. Pointers to
// maps, vectors and weights are aligned to 16 bytes. `act`: 0 none, 1 relu, 2 relu6, 3 silu,
// 4 hard_swish, 5 hard_sigmoid, 6 sigmoid, 7 gelu, 8 mish. A residual is added after it.
//
// Threads lie along x. `/` rounds up; BM and BN are the rows and columns of a block's tile.
//
//   kernel                    threads  grid: x, y, z                          dynamic shared bytes
//   stem_pixels, stem_floats  128      n * oh * (ow / 4) * (cout / 8) / 128   0
//   pointwise_64              128      groups * (rows / BM), n / BN           0    BM 64, BN 64
//   pointwise_128             128      groups * (rows / BM), n / BN           0    BM 128, BN 64
//   conv_64                   128      tiles, cout / BN                       0    BM 64, BN 64
//   conv_128                  128      tiles, cout / BN                       0    BM 128, BN 64
//     tiles: with per_image n * (oh * ow / BM), without n * oh * ow / BM
//   conv_grouped              128      n * oh * (ow / 4) * cout / 128         0
//   depthwise_K_S, _any       128      c / 64, parts, n                       0
//     K: 3, 5, 7, 9, 11; S: 1, 2. A block has threads for 128 / width strips of four columns at a
//     time, rounded down, where width is (c / 4) / (c / 64), rounded up: parts beyond
//     oh * (ow / 4) / (128 / width) are idle.
//   squeeze_excite            512      n                                      (c + rd) * 4
//   pool                      256      c / 64, n                              0
//   pool_sums                 128      n * c / 128                            0
//   dense                     128      out / 4, n / 8                         0
//   mix, mix_f32              128      len / 1024, n                          0
//   attention                 128      q_positions * heads / 16, n            0
//   global_context            512      n                                      (c + rd) * 4
//   anti_alias_avg, _blur     128      n * oh * ow * (c / 8) / 128            0
//   scale_shift               128      rows * (c / 8) / 128                   0
//   moments_groups            256      groups, n                              0
//   moments_positions         128      rows / 4                               0
//   normalize                 128      n * hw * (c / 8) / 128                 0
//   export_map                256      hw / 32, c_real / 32, n                0
//   export_vector             128      n * c_real / 128                       0
//
// Sums are f32 and in a fixed order: the same bits on every run.

DEVICE i64 global_thread() { return (i64)blockIdx.x * blockDim.x + threadIdx.x; }

DEVICE void load8(const float *p, float (&v)[8]) {
  float4 a = ((const float4 *)p)[0], b = ((const float4 *)p)[1];
  v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w;
  v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

DEVICE void store8(float *p, const float (&v)[8]) {
  ((float4 *)p)[0] = make_float4(v[0], v[1], v[2], v[3]);
  ((float4 *)p)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

DEVICE float4 operator+(float4 a, float4 b) {
  return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w);
}

// sum + a * b
DEVICE float4 fma4(float4 a, float4 b, float4 sum) {
  return make_float4(fmaf(a.x, b.x, sum.x), fmaf(a.y, b.y, sum.y), fmaf(a.z, b.z, sum.z),
                     fmaf(a.w, b.w, sum.w));
}

// A chunk of 16 bytes as floats, and the floats as a chunk.
#ifdef T_F32
DEVICE void unpack(uint4 chunk, float (&v)[4]) {
  v[0] = __uint_as_float(chunk.x), v[1] = __uint_as_float(chunk.y);
  v[2] = __uint_as_float(chunk.z), v[3] = __uint_as_float(chunk.w);
}

DEVICE uint4 pack(const float (&v)[4]) {
  return make_uint4(__float_as_uint(v[0]), __float_as_uint(v[1]), __float_as_uint(v[2]),
                    __float_as_uint(v[3]));
}

DEVICE float4 load4(const T *p) { return *(const float4 *)p; }
DEVICE void store4(T *p, float4 v) { *(float4 *)p = v; }
#else
DEVICE void unpack(uint4 chunk, float (&v)[8]) {
  float2 a = up2(chunk.x), b = up2(chunk.y), c = up2(chunk.z), d = up2(chunk.w);
  v[0] = a.x, v[1] = a.y, v[2] = b.x, v[3] = b.y;
  v[4] = c.x, v[5] = c.y, v[6] = d.x, v[7] = d.y;
}

DEVICE uint4 pack(const float (&v)[8]) {
  return make_uint4(down2(v[0], v[1]), down2(v[2], v[3]), down2(v[4], v[5]), down2(v[6], v[7]));
}

DEVICE void load8(const T *p, float (&v)[8]) { unpack(*(const uint4 *)p, v); }
DEVICE void store8(T *p, const float (&v)[8]) { *(uint4 *)p = pack(v); }

DEVICE float4 load4(const T *p) {
  uint2 pairs = *(const uint2 *)p;
  float2 a = up2(pairs.x), b = up2(pairs.y);
  return make_float4(a.x, a.y, b.x, b.y);
}

DEVICE void store4(T *p, float4 v) { *(uint2 *)p = make_uint2(down2(v.x, v.y), down2(v.z, v.w)); }
#endif

DEVICE float sigmoid(float v) { return quotient(1.f, 1.f + exponential(-v)); }

// v * tanh(ln(1 + e^v)), whose tanh is t / (t + 2) with t = e^v * (e^v + 2).
DEVICE float mish(float v) {
  float e = exponential(fminf(v, 20.f)), t = e * (e + 2.f);
  return v * quotient(t, t + 2.f);
}

// `act` is the same for the whole block.
template <int N> DEVICE void activate(float (&v)[N], int act) {
#define EACH(value)                                                                                \
  _Pragma("unroll") for (int i = 0; i < N; i++) v[i] = value;                                      \
  break
  switch (act) {
  case 1: EACH(fmaxf(v[i], 0.f));
  case 2: EACH(fminf(fmaxf(v[i], 0.f), 6.f));
  case 3: EACH(quotient(v[i], 1.f + exponential(-v[i])));
  case 4: EACH(v[i] * fminf(fmaxf(v[i] + 3.f, 0.f), 6.f) / 6.f);
  case 5: EACH(fminf(fmaxf(v[i] + 3.f, 0.f), 6.f) / 6.f);
  case 6: EACH(sigmoid(v[i]));
  case 7: EACH(0.5f * v[i] * (1.f + erff(v[i] * 0.70710678f)));
  case 8: EACH(mish(v[i]));
  }
#undef EACH
}

DEVICE float activate(float v, int act) {
  float one[1] = {v};
  activate(one, act);
  return one[0];
}

// The sum over a warp's lanes, in each of them.
DEVICE float warp_sum(float v) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) v += __shfl_xor_sync(~0u, v, i);
  return v;
}

DEVICE float warp_max(float v) {
#pragma unroll
  for (int i = 16; i > 0; i /= 2) v = fmaxf(v, __shfl_xor_sync(~0u, v, i));
  return v;
}

// The sum over a block of THREADS, in each of them; all take part.
template <int THREADS> DEVICE float block_sum(float v) {
  __shared__ float warps[THREADS / 32];
  v = warp_sum(v);
  // The last sum has been read by all before its place is taken.
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int i = 0; i < THREADS / 32; i++) sum += warps[i];
  return sum;
}

template <int THREADS> DEVICE float block_max(float v) {
  __shared__ float warps[THREADS / 32];
  v = warp_max(v);
  __syncthreads();
  if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
  __syncthreads();
  float most = warps[0];
#pragma unroll
  for (int i = 1; i < THREADS / 32; i++) most = fmaxf(most, warps[i]);
  return most;
}
