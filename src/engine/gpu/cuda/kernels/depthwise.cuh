// Depthwise convolutions. A thread has two channels and strips of four columns; a block has up to 64
// channels of a share of the strips, so that it can sum what it writes.

struct Depthwise {
  int h, w, c, oh, ow, top, left, act, parts;
  const T *x;
  const float *wt; // [kernel * kernel][c], w_stride from an image's to the next's
  i64 w_stride;
  const float *bias; // [c]
  T *y;
  float *sums;       // [n][parts][c], or null
};

// Adds the taps of one strip: `y0`, `x0` is the window's corner, `x` and `wt` are the thread's channels
// of its image. KERNEL_SIZE and STRIDE are 0 where only the arguments say them.
template <int KERNEL_SIZE, int STRIDE>
DEVICE void strip_sums(const Depthwise &d, int kernel, int stride, const T *x, const float *wt, int y0,
                       int x0, float2 (&sums)[4]) {
  if constexpr (KERNEL_SIZE > 0) {
    constexpr int INPUTS = 3 * STRIDE + KERNEL_SIZE;
#pragma unroll(KERNEL_SIZE > 5 ? 1 : KERNEL_SIZE)
    for (int dy = 0; dy < KERNEL_SIZE; dy++) {
      int row = y0 + dy;
      if ((u32)row >= (u32)d.h) continue;
      const T *from = x + ((i64)row * d.w + x0) * d.c;
      const float *weights = wt + dy * KERNEL_SIZE * d.c;
      float2 in[INPUTS];
#pragma unroll
      for (int i = 0; i < INPUTS; i++)
        in[i] = (u32)(x0 + i) < (u32)d.w ? load2(from + i * d.c) : make_float2(0.f, 0.f);
#pragma unroll
      for (int dx = 0; dx < KERNEL_SIZE; dx++) {
        float2 weight = *(const float2 *)(weights + dx * d.c);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          sums[i].x = fmaf(in[i * STRIDE + dx].x, weight.x, sums[i].x);
          sums[i].y = fmaf(in[i * STRIDE + dx].y, weight.y, sums[i].y);
        }
      }
    }
  } else {
#pragma unroll 1
    for (int tap = 0; tap < kernel * kernel; tap++) {
      int row = y0 + tap / kernel, col = x0 + tap % kernel;
      if ((u32)row >= (u32)d.h) continue;
      float2 weight = *(const float2 *)(wt + (i64)tap * d.c);
#pragma unroll
      for (int i = 0; i < 4; i++) {
        int at = col + i * stride;
        if ((u32)at >= (u32)d.w) continue;
        float2 in = load2(x + ((i64)row * d.w + at) * d.c);
        sums[i].x = fmaf(in.x, weight.x, sums[i].x);
        sums[i].y = fmaf(in.y, weight.y, sums[i].y);
      }
    }
  }
}

template <int KERNEL_SIZE, int STRIDE> DEVICE void depthwise(const Depthwise &d, int kernel, int stride) {
  // Pairs of channels are shared out evenly, so that few threads are idle whatever their number.
  int pairs = d.c / 2, width = (pairs + gridDim.x - 1) / gridDim.x, slots = 128 / width;
  int slot = threadIdx.x / width, lane = threadIdx.x % width, pair = blockIdx.x * width + lane;
  int channel = pair * 2, part = blockIdx.y;
  i64 image = blockIdx.z;
  bool active = slot < slots && pair < pairs;
  float2 total = make_float2(0.f, 0.f);
  if (active) {
    const T *x = d.x + image * d.h * d.w * d.c + channel;
    const float *wt = d.wt + image * d.w_stride + channel;
    float2 bias = *(const float2 *)(d.bias + channel);
    int across = (d.ow + 3) / 4, strips = d.oh * across, share = (strips + d.parts - 1) / d.parts;
    int end = (part + 1) * share < strips ? (part + 1) * share : strips;
#pragma unroll 1
    for (int strip = part * share + slot; strip < end; strip += slots) {
      int row = strip / across, col = (strip - row * across) * 4;
      float2 sums[4] = {};
      strip_sums<KERNEL_SIZE, STRIDE>(d, kernel, stride, x, wt, row * stride - d.top,
                                      col * stride - d.left, sums);
      float v[8];
#pragma unroll
      for (int i = 0; i < 4; i++) v[2 * i] = sums[i].x + bias.x, v[2 * i + 1] = sums[i].y + bias.y;
      activate(v, d.act);
      T *y = d.y + ((image * d.oh + row) * d.ow + col) * d.c + channel;
#pragma unroll
      for (int i = 0; i < 4; i++)
        if (col + i < d.ow) {
          store2(y + i * d.c, v[2 * i], v[2 * i + 1]);
          total.x += v[2 * i], total.y += v[2 * i + 1];
        }
    }
  }
  if (!d.sums) return;
  __shared__ float2 totals[128];
  totals[threadIdx.x] = total;
  __syncthreads();
  if (slot == 0 && pair < pairs) {
    for (int i = 1; i < slots; i++) {
      total.x += totals[i * width + lane].x;
      total.y += totals[i * width + lane].y;
    }
    *(float2 *)(d.sums + (image * d.parts + part) * d.c + channel) = total;
  }
}

#define DEPTHWISE_ARGUMENTS                                                                            \
  int top, int left, int act, int parts, const T *__restrict__ x, const float *__restrict__ wt,        \
      long long w_stride, const float *__restrict__ bias, T *__restrict__ y, float *__restrict__ sums
#define DEPTHWISE(K, S)                                                                                \
  KERNEL(128, 4)                                                                                       \
  depthwise_##K##_##S(int n, int h, int w, int c, int oh, int ow, DEPTHWISE_ARGUMENTS) {               \
    Depthwise d = {h, w, c, oh, ow, top, left, act, parts, x, wt, w_stride, bias, y, sums};            \
    depthwise<K, S>(d, K, S);                                                                          \
  }

DEPTHWISE(3, 1)
DEPTHWISE(3, 2)
DEPTHWISE(5, 1)
DEPTHWISE(5, 2)
DEPTHWISE(7, 1)
DEPTHWISE(7, 2)
DEPTHWISE(9, 1)
DEPTHWISE(9, 2)
DEPTHWISE(11, 1)
DEPTHWISE(11, 2)

KERNEL(128, 4)
depthwise_any(int n, int h, int w, int c, int oh, int ow, int kernel, int stride, DEPTHWISE_ARGUMENTS) {
  Depthwise d = {h, w, c, oh, ow, top, left, act, parts, x, wt, w_stride, bias, y, sums};
  depthwise<0, 0>(d, kernel, stride);
}
