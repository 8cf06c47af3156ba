// Maps to maps, 8 channels a thread, and maps on their way out.

struct MapThread {
  i64 position; // among all images'
  int channel;
};

DEVICE MapThread map_thread(int c) {
  i64 id = global_thread();
  int chunks = c / 8;
  i64 position = id / chunks;
  return {position, (int)(id - position * chunks) * 8};
}

// Half the size: each output is the sum of a window of SIZE by SIZE that begins at `2 * y -
// before`, by weight(row) * weight(column).
template <int SIZE, typename Weight>
DEVICE void anti_alias(int n, int h, int w, int c, int oh, int ow, int before, const Weight &weight,
                       const T *x, T *y) {
  MapThread own = map_thread(c);
  i64 line = own.position / ow;
  int col = (int)(own.position - line * ow) * 2 - before, row = (int)(line % oh) * 2 - before;
  i64 image = line / oh;
  if (image >= n) return;
  float sums[8] = {};
#pragma unroll
  for (int i = 0; i < SIZE; i++)
#pragma unroll
    for (int j = 0; j < SIZE; j++) {
      if ((u32)(row + i) >= (u32)h || (u32)(col + j) >= (u32)w) continue;
      float v[8];
      load8(x + ((image * h + row + i) * w + col + j) * c + own.channel, v);
#pragma unroll
      for (int e = 0; e < 8; e++) sums[e] = fmaf(v[e], weight(i) * weight(j), sums[e]);
    }
  store8(y + own.position * c + own.channel, sums);
}

KERNEL(128, 4)
anti_alias_avg(int n, int h, int w, int c, int oh, int ow, const T *__restrict__ x,
               T *__restrict__ y) {
  anti_alias<2>(n, h, w, c, oh, ow, 0, [](int) { return 0.5f; }, x, y);
}

KERNEL(128, 4)
anti_alias_blur(int n, int h, int w, int c, int oh, int ow, const T *__restrict__ x,
                T *__restrict__ y) {
  anti_alias<3>(n, h, w, c, oh, ow, 1, [](int i) { return i == 1 ? 0.5f : 0.25f; }, x, y);
}

KERNEL(128, 4)
scale_shift(long long rows, int c, const float *__restrict__ scale /* [c] */,
            const float *__restrict__ shift /* [c] */, const T *__restrict__ x, T *__restrict__ y) {
  MapThread own = map_thread(c);
  if (own.position >= rows) return;
  i64 at = own.position * c + own.channel;
  float v[8], scales[8], shifts[8];
  load8(x + at, v);
  load8(scale + own.channel, scales);
  load8(shift + own.channel, shifts);
#pragma unroll
  for (int i = 0; i < 8; i++) v[i] = fmaf(v[i], scales[i], shifts[i]);
  store8(y + at, v);
}

// Through a square of shared memory, so that both sides are read and written along their rows.
KERNEL(256, 4)
export_map(int n, int hw, int c, int c_real, const T *__restrict__ x,
           float *__restrict__ y /* [n][c_real][hw] */) {
  // The gap spreads a column over all banks.
  __shared__ float square[32][33];
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  int position0 = blockIdx.x * 32, channel0 = blockIdx.y * 32;
  i64 image = blockIdx.z;
#pragma unroll
  for (int i = warp; i < 32; i += 8)
    if (position0 + i < hw && channel0 + lane < c_real)
      square[i][lane] = up(x[(image * hw + position0 + i) * c + channel0 + lane]);
  __syncthreads();
#pragma unroll
  for (int i = warp; i < 32; i += 8)
    if (position0 + lane < hw && channel0 + i < c_real)
      y[(image * c_real + channel0 + i) * hw + position0 + lane] = square[lane][i];
}

KERNEL(128, 4)
export_vector(int n, int c, int c_real, const float *__restrict__ x /* [n][c] */,
              float *__restrict__ y /* [n][c_real] */) {
  i64 id = global_thread(), image = id / c_real;
  if (image < n) y[id] = x[image * c + (id - image * c_real)];
}
