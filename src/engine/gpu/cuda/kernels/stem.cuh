// The first convolution, from images as they come.

// Bytes, [n][h][w][cin], whose normalized values are in a table, [cin][256].
struct Pixels {
  int h, w, cin;
  const u8 *x;
  const float *lut;

  DEVICE_MEMBER const u8 *row(i64 image, int iy) const { return x + (image * h + iy) * w * cin; }
  DEVICE_MEMBER float at(const u8 *row, int ix, int c) const {
    return lut[c * 256 + row[ix * cin + c]];
  }
};

// Normalized values, [n][cin][h][w].
struct Floats {
  int h, w, cin;
  const float *x;

  DEVICE_MEMBER const float *row(i64 image, int iy) const { return x + (image * cin * h + iy) * w; }
  DEVICE_MEMBER float at(const float *row, int ix, int c) const { return row[(i64)c * h * w + ix]; }
};

struct Stem {
  int n, oh, ow, cout, kernel, stride, top, left, act;
  const float *wt, *bias;
};

// Adds the taps of four columns and 8 channels. CIN is 0 where only the argument says it.
template <int CIN, typename Source> DEVICE void stem_sums(const Stem &s, const Source &source,
                                                          i64 image, int iy0, int ix0, int channel,
                                                          float (&sums)[4][8]) {
  int cin = CIN ? CIN : source.cin;
#pragma unroll 1
  for (int dy = 0; dy < s.kernel; dy++) {
    if ((u32)(iy0 + dy) >= (u32)source.h) continue;
    auto row = source.row(image, iy0 + dy);
    const float *wt = s.wt + (i64)dy * s.kernel * cin * s.cout + channel;
#pragma unroll 1
    for (int dx = 0; dx < s.kernel; dx++)
#pragma unroll(CIN ? CIN : 1)
      for (int c = 0; c < cin; c++) {
        float weights[8], values[4];
        load8(wt + (dx * cin + c) * s.cout, weights);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int ix = ix0 + i * s.stride + dx;
          values[i] = (u32)ix < (u32)source.w ? source.at(row, ix, c) : 0.f;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 8; j++) sums[i][j] = fmaf(values[i], weights[j], sums[i][j]);
      }
  }
}

// A thread has 8 output channels of four columns.
template <typename Source> DEVICE void stem(const Stem &s, const Source &source, T *y) {
  i64 id = global_thread();
  int groups = s.cout / 8, strips = (s.ow + 3) / 4, channel = (int)(id % groups) * 8;
  i64 strip = id / groups, line = strip / strips, image = line / s.oh;
  int col = (int)(strip % strips) * 4, row = (int)(line % s.oh);
  if (image >= s.n) return;
  float sums[4][8] = {}, bias[8];
  int iy0 = row * s.stride - s.top, ix0 = col * s.stride - s.left;
  if (source.cin == 3)
    stem_sums<3>(s, source, image, iy0, ix0, channel, sums);
  else
    stem_sums<0>(s, source, image, iy0, ix0, channel, sums);
  load8(s.bias + channel, bias);
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 8; j++) sums[i][j] += bias[j];
    activate(sums[i], s.act);
    if (col + i < s.ow) store8(y + (line * s.ow + col + i) * s.cout + channel, sums[i]);
  }
}

KERNEL(128, 4)
stem_pixels(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride, int top,
            int left, int act, const u8 *__restrict__ x /* [n][h][w][cin] */,
            const float *__restrict__ lut /* [cin][256]: a byte's normalized value */,
            const float *__restrict__ wt /* [kernel * kernel * cin][cout] */,
            const float *__restrict__ bias /* [cout] */, T *__restrict__ y) {
  Stem s = {n, oh, ow, cout, kernel, stride, top, left, act, wt, bias};
  stem(s, Pixels{h, w, cin, x, lut}, y);
}

KERNEL(128, 4)
stem_floats(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride, int top,
            int left, int act, const float *__restrict__ x /* [n][cin][h][w] */,
            const float *__restrict__ wt /* [kernel * kernel * cin][cout] */,
            const float *__restrict__ bias /* [cout] */, T *__restrict__ y) {
  Stem s = {n, oh, ow, cout, kernel, stride, top, left, act, wt, bias};
  stem(s, Floats{h, w, cin, x}, y);
}
