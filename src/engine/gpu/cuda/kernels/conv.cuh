// Dense convolutions as products over gathered rows, and grouped ones.

// What convolutions know of their maps. Outside the image is zero.
struct Window {
  int h, w, kernel, stride, top, left;
};

// Rows of positions; a column is a tap's channel.
template <typename S> struct ConvRows {
  const T *x[S::X_ROWS];            // the images
  int y0[S::X_ROWS], x0[S::X_ROWS]; // the windows' corners; beyond the last row, below the image
  Window in;
  int cin;
  int dy, dx, channel;

  DEVICE_MEMBER void seek(int column) {
    int tap = column / cin;
    channel = column - tap * cin, dy = tap / in.kernel, dx = tap - dy * in.kernel;
  }

  DEVICE_MEMBER bool inside(int i) const {
    return (u32)(y0[i] + dy) < (u32)in.h && (u32)(x0[i] + dx) < (u32)in.w;
  }

  DEVICE_MEMBER const T *row(int i) const {
    return x[i] + (i64)((y0[i] + dy) * in.w + x0[i] + dx) * cin + channel;
  }

  DEVICE_MEMBER void arrive(u8 *, int) const { copy_wait<S::STAGES - 2>(); }
};

template <typename S> DEVICE void conv(int n, const Window &in, int cin, int oh, int ow, int cout,
                                       int per_image, int act, const T *x, const T *wt,
                                       const float *bias, const T *residual, T *y, float *sums) {
  i64 block = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  i64 positions = (i64)oh * ow, rows = per_image ? positions : n * positions;
  i64 tiles = (rows + S::BM - 1) / S::BM;
  int col0 = (int)(block % gridDim.y) * S::BN;
  i64 own = block / gridDim.y, row0 = own % tiles * S::BM, first = own / tiles * rows + row0;
  int left = (int)(rows - row0 < S::BM ? rows - row0 : S::BM);
  ConvRows<S> source;
  source.in = in, source.cin = cin;
#pragma unroll
  for (int i = 0; i < S::X_ROWS; i++) {
    int row = threadIdx.x / 4 + i * 32;
    i64 image = (first + row) / positions;
    int position = (int)((first + row) - image * positions);
    source.x[i] = x + image * in.h * in.w * cin;
    source.y0[i] = row < left ? position / ow * in.stride - in.top : in.h;
    source.x0[i] = position % ow * in.stride - in.left;
  }
  Finish f = {cout, act, bias, residual, y, sums ? sums + own * cout : nullptr};
  product<S>(source, wt, in.kernel * in.kernel * cin, f, first, left, col0);
}

#define CONV(BM, blocks)                                                                           \
  KERNEL(128, blocks)                                                                              \
  conv_##BM(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride,        \
            int top, int left, int per_image, int act, const T *__restrict__ x,                    \
            const T *__restrict__ wt /* [cout][kernel * kernel][cin] */,                           \
            const float *__restrict__ bias /* [cout] */,                                           \
            const T *__restrict__ residual /* as y, or null */, T *__restrict__ y /* or null */,   \
            float *__restrict__ sums /* [n][tiles][cout] with per_image, or null */) {             \
    Window in = {h, w, kernel, stride, top, left};                                                 \
    conv<Shape<BM, 64>>(n, in, cin, oh, ow, cout, per_image, act, x, wt, bias, residual, y, sums); \
  }

CONV(64, 4)
CONV(128, 3)

// A thread has one output channel of four columns.
KERNEL(128, 4)
conv_grouped(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride,
             int top, int left, int groups, int cin_real, int cout_real, int act,
             const T *__restrict__ x,
             const T *__restrict__ wt /* [cout][kernel * kernel][cin_real / groups] */,
             const float *__restrict__ bias /* [cout] */,
             const T *__restrict__ residual /* as y, or null */, T *__restrict__ y) {
  i64 id = global_thread();
  int strips = (ow + 3) / 4, channel = (int)(id % cout);
  i64 strip = id / cout, line = strip / strips;
  int col = (int)(strip % strips) * 4, row = (int)(line % oh);
  i64 image = line / oh;
  if (image >= n) return;
  float sums[4] = {};
  int inputs = cin_real / groups;
  if (channel < cout_real) {
    const T *own = wt + (i64)channel * kernel * kernel * inputs;
    const T *from = x + image * h * w * cin + channel / (cout_real / groups) * inputs;
#pragma unroll 1
    for (int tap = 0; tap < kernel * kernel; tap++) {
      int iy = row * stride - top + tap / kernel, ix = col * stride - left + tap % kernel;
      if ((u32)iy >= (u32)h) continue;
#pragma unroll 1
      for (int c = 0; c < inputs; c++) {
        float weight = up(own[tap * inputs + c]);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int at = ix + i * stride;
          if ((u32)at < (u32)w)
            sums[i] = fmaf(up(from[((i64)iy * w + at) * cin + c]), weight, sums[i]);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < 4; i++) sums[i] += bias[channel];
    activate(sums, act);
  }
#pragma unroll
  for (int i = 0; i < 4; i++)
    if (col + i < ow) {
      i64 at = (line * ow + col + i) * cout + channel;
      y[at] = down(residual ? sums[i] + up(residual[at]) : sums[i]);
    }
}
