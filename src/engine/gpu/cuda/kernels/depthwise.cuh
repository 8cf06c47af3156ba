// Depthwise convolutions. A thread has four channels and strips of four columns; a block has up to
// 64 channels of a share of the strips, so that it can sum what it writes.

struct Depthwise {
  int h, w, c, oh, ow, top, left, act, parts;
  const T *x;
  const float *wt; // [kernel * kernel][c], w_stride from an image's to the next's
  i64 w_stride;
  const float *bias; // [c]
  T *y;
  float *sums; // [n][parts][c], or null
};

// Adds the taps of one strip: `y0`, `x0` is the window's corner, `x` and `wt` are the thread's
// channels of its image. KERNEL_SIZE and STRIDE are 0 where only the arguments say them.
template <int KERNEL_SIZE, int STRIDE>
DEVICE void strip_sums(const Depthwise &d, int kernel, int stride, const T *x, const float *wt,
                       int y0, int x0, float4 (&sums)[4]) {
  if constexpr (KERNEL_SIZE > 0) {
    constexpr int INPUTS = 3 * STRIDE + KERNEL_SIZE;
#pragma unroll(KERNEL_SIZE > 5 ? 1 : KERNEL_SIZE)
    for (int dy = 0; dy < KERNEL_SIZE; dy++) {
      int row = y0 + dy;
      if ((u32)row >= (u32)d.h) continue;
      const T *from = x + ((i64)row * d.w + x0) * d.c;
      const float *weights = wt + dy * KERNEL_SIZE * d.c;
      float4 in[INPUTS];
#pragma unroll
      for (int i = 0; i < INPUTS; i++)
        in[i] = (u32)(x0 + i) < (u32)d.w ? load4(from + i * d.c) : make_float4(0.f, 0.f, 0.f, 0.f);
#pragma unroll
      for (int dx = 0; dx < KERNEL_SIZE; dx++) {
        float4 weight = *(const float4 *)(weights + dx * d.c);
#pragma unroll
        for (int i = 0; i < 4; i++) sums[i] = fma4(in[i * STRIDE + dx], weight, sums[i]);
      }
    }
  } else {
#pragma unroll 1
    for (int tap = 0; tap < kernel * kernel; tap++) {
      int row = y0 + tap / kernel, col = x0 + tap % kernel;
      if ((u32)row >= (u32)d.h) continue;
      float4 weight = *(const float4 *)(wt + (i64)tap * d.c);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int at = col + i * stride;
        if ((u32)at < (u32)d.w)
          sums[i] = fma4(load4(x + ((i64)row * d.w + at) * d.c), weight, sums[i]);
      }
    }
  }
}

template <int KERNEL_SIZE, int STRIDE>
DEVICE void depthwise(const Depthwise &d, int kernel, int stride) {
  // Channels are shared out evenly, so that few threads are idle whatever their number.
  int fours = d.c / 4, width = (fours + gridDim.x - 1) / gridDim.x, slots = 128 / width;
  int slot = threadIdx.x / width, lane = threadIdx.x % width, four = blockIdx.x * width + lane;
  int channel = four * 4, part = blockIdx.y;
  i64 image = blockIdx.z;
  float4 total = make_float4(0.f, 0.f, 0.f, 0.f);
  if (slot < slots && four < fours) {
    const T *x = d.x + image * d.h * d.w * d.c + channel;
    const float *wt = d.wt + image * d.w_stride + channel;
    float4 bias = *(const float4 *)(d.bias + channel);
    int across = (d.ow + 3) / 4, strips = d.oh * across, share = (strips + d.parts - 1) / d.parts;
    int end = (part + 1) * share < strips ? (part + 1) * share : strips;
#pragma unroll 1
    for (int strip = part * share + slot; strip < end; strip += slots) {
      int row = strip / across, col = (strip - row * across) * 4;
      float4 sums[4] = {};
      strip_sums<KERNEL_SIZE, STRIDE>(d, kernel, stride, x, wt, row * stride - d.top,
                                      col * stride - d.left, sums);
      float v[16];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        v[4 * i] = sums[i].x + bias.x, v[4 * i + 1] = sums[i].y + bias.y;
        v[4 * i + 2] = sums[i].z + bias.z, v[4 * i + 3] = sums[i].w + bias.w;
      }
      activate(v, d.act);
      T *y = d.y + ((image * d.oh + row) * d.ow + col) * d.c + channel;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        float4 out = make_float4(v[4 * i], v[4 * i + 1], v[4 * i + 2], v[4 * i + 3]);
        if (col + i >= d.ow) continue;
        store4(y + i * d.c, out);
        total = total + out;
      }
    }
  }
  if (!d.sums) return;
  __shared__ float4 totals[128];
  totals[threadIdx.x] = total;
  __syncthreads();
  if (slot == 0 && four < fours) {
    for (int i = 1; i < slots; i++) total = total + totals[i * width + lane];
    *(float4 *)(d.sums + (image * d.parts + part) * d.c + channel) = total;
  }
}

#define DEPTHWISE_ARGUMENTS                                                                        \
  int top, int left, int act, int parts, const T *__restrict__ x, const float *__restrict__ wt,    \
      long long w_stride, const float *__restrict__ bias, T *__restrict__ y,                       \
      float *__restrict__ sums
#define DEPTHWISE(K, S, blocks)                                                                    \
  KERNEL(128, blocks)                                                                              \
  depthwise_##K##_##S(int n, int h, int w, int c, int oh, int ow, DEPTHWISE_ARGUMENTS) {           \
    Depthwise d = {h, w, c, oh, ow, top, left, act, parts, x, wt, w_stride, bias, y, sums};        \
    depthwise<K, S>(d, K, S);                                                                      \
  }

DEPTHWISE(3, 1, 4)
DEPTHWISE(3, 2, 4)
DEPTHWISE(5, 1, 4)
DEPTHWISE(5, 2, 4)
DEPTHWISE(7, 1, 3)
DEPTHWISE(7, 2, 3)
DEPTHWISE(9, 1, 3)
DEPTHWISE(9, 2, 3)
DEPTHWISE(11, 1, 3)
DEPTHWISE(11, 2, 2)

KERNEL(128, 4)
depthwise_any(int n, int h, int w, int c, int oh, int ow, int kernel, int stride,
              DEPTHWISE_ARGUMENTS) {
  Depthwise d = {h, w, c, oh, ow, top, left, act, parts, x, wt, w_stride, bias, y, sums};
  depthwise<0, 0>(d, kernel, stride);
}
