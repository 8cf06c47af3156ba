// The first convolution, from images as they come.

// A thread has 8 output channels of four columns. `At` is the normalized value of an image's pixel.
template <typename At>
DEVICE void stem(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride, int top,
                 int left, int act, const At &at, const float *wt, const float *bias, T *y) {
  i64 id = global_thread();
  int groups = cout / 8, strips = (ow + 3) / 4, channel = (int)(id % groups) * 8;
  i64 strip = id / groups, line = strip / strips;
  int col = (int)(strip % strips) * 4, row = (int)(line % oh);
  i64 image = line / oh;
  if (image >= n) return;
  float sums[4][8] = {};
  int iy0 = row * stride - top, ix0 = col * stride - left;
#pragma unroll 1
  for (int dy = 0; dy < kernel; dy++) {
    int iy = iy0 + dy;
    if ((u32)iy >= (u32)h) continue;
#pragma unroll 1
    for (int dx = 0; dx < kernel; dx++)
#pragma unroll 1
      for (int c = 0; c < cin; c++) {
        float weights[8], pixels[4];
        load8(wt + (i64)((dy * kernel + dx) * cin + c) * cout + channel, weights);
#pragma unroll
        for (int i = 0; i < 4; i++) {
          int ix = ix0 + i * stride + dx;
          pixels[i] = (u32)ix < (u32)w ? at(image, iy, ix, c) : 0.f;
        }
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 8; j++) sums[i][j] = fmaf(pixels[i], weights[j], sums[i][j]);
      }
  }
  float biases[8];
  load8(bias + channel, biases);
#pragma unroll
  for (int i = 0; i < 4; i++) {
#pragma unroll
    for (int j = 0; j < 8; j++) sums[i][j] += biases[j];
    activate(sums[i], act);
    if (col + i < ow) store8(y + (line * ow + col + i) * cout + channel, sums[i]);
  }
}

KERNEL(128, 4)
stem_pixels(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride, int top,
            int left, int act, const u8 *__restrict__ x /* [n][h][w][cin] */,
            const float *__restrict__ lut /* [cin][256]: a byte's normalized value */,
            const float *__restrict__ wt /* [kernel * kernel * cin][cout] */,
            const float *__restrict__ bias /* [cout] */, T *__restrict__ y) {
  auto at = [=](i64 image, int iy, int ix, int c) {
    return lut[c * 256 + x[((image * h + iy) * w + ix) * cin + c]];
  };
  stem(n, h, w, cin, oh, ow, cout, kernel, stride, top, left, act, at, wt, bias, y);
}

KERNEL(128, 4)
stem_floats(int n, int h, int w, int cin, int oh, int ow, int cout, int kernel, int stride, int top,
            int left, int act, const float *__restrict__ x /* [n][cin][h][w] */,
            const float *__restrict__ wt /* [kernel * kernel * cin][cout] */,
            const float *__restrict__ bias /* [cout] */, T *__restrict__ y) {
  auto at = [=](i64 image, int iy, int ix, int c) { return x[((image * cin + c) * h + iy) * w + ix]; };
  stem(n, h, w, cin, oh, ow, cout, kernel, stride, top, left, act, at, wt, bias, y);
}
