// Norms by statistics of the map itself: their moments, in two passes, and the norm.

// A block a group of an image: `group` channels at all positions.
KERNEL(256, 4)
moments_groups(int n, int hw, int c, int group, int groups, float eps, const T *__restrict__ x,
               float *__restrict__ stats /* [n][groups][2]: the mean, 1 over the deviation */) {
  i64 image = blockIdx.y, elements = (i64)hw * group;
  const T *from = x + image * hw * c + blockIdx.x * group;
  float sum = 0, squares = 0;
  for (i64 i = threadIdx.x; i < elements; i += 256) {
    i64 position = i / group;
    sum += up(from[position * c + (i - position * group)]);
  }
  float mean = block_sum<256>(sum) / elements;
  for (i64 i = threadIdx.x; i < elements; i += 256) {
    i64 position = i / group;
    float v = up(from[position * c + (i - position * group)]) - mean;
    squares = fmaf(v, v, squares);
  }
  float variance = block_sum<256>(squares) / elements;
  if (threadIdx.x == 0) {
    float *to = stats + (image * groups + blockIdx.x) * 2;
    to[0] = mean;
    to[1] = 1.f / sqrtf(variance + eps);
  }
}

// A warp a position.
KERNEL(128, 4)
moments_positions(int rows, int c, int c_real, float eps, const T *__restrict__ x,
                  float *__restrict__ stats /* [rows][2]: the mean, 1 over the deviation */) {
  i64 row = (i64)blockIdx.x * 4 + threadIdx.x / 32;
  if (row >= rows) return;
  const T *from = x + row * c;
  int first = threadIdx.x % 32 * 8;
  float sum = 0, squares = 0, v[8];
  for (int at = first; at < c; at += 256) {
    load8(from + at, v);
#pragma unroll
    for (int i = 0; i < 8; i++) sum += v[i];
  }
  float mean = warp_sum(sum) / c_real;
  for (int at = first; at < c; at += 256) {
    load8(from + at, v);
#pragma unroll
    for (int i = 0; i < 8; i++)
      if (at + i < c_real) squares = fmaf(v[i] - mean, v[i] - mean, squares);
  }
  float variance = warp_sum(squares) / c_real;
  if (threadIdx.x % 32 == 0) {
    stats[row * 2] = mean;
    stats[row * 2 + 1] = 1.f / sqrtf(variance + eps);
  }
}

KERNEL(128, 4)
normalize(int n, int hw, int c, int c_real, int group /* 0: each position for itself */, int groups,
          int act, const T *__restrict__ x, const float *__restrict__ stats /* as the moments' */,
          const float *__restrict__ scale /* [c] */, const float *__restrict__ shift /* [c] */,
          const float *__restrict__ v /* [c]: x * sigmoid(v * x) in place of x - mean; or null */,
          const T *__restrict__ residual /* as y, or null */, T *__restrict__ y) {
  MapThread own = map_thread(c);
  i64 image = own.position / hw, at = own.position * c + own.channel;
  if (image >= n) return;
  float in[8], out[8], scales[8], shifts[8], factors[8];
  load8(x + at, in);
  load8(scale + own.channel, scales);
  load8(shift + own.channel, shifts);
  if (v) load8(v + own.channel, factors);
#pragma unroll
  for (int i = 0; i < 8; i++) {
    int channel = own.channel + i < c_real ? own.channel + i : c_real - 1;
    const float *moments = stats + (group ? image * groups + channel / group : own.position) * 2;
    float over = v ? in[i] * sigmoid(factors[i] * in[i]) : in[i] - moments[0];
    out[i] = over * moments[1] * scales[i] + shifts[i];
  }
  activate(out, act);
  if (residual) {
    load8(residual + at, in);
#pragma unroll
    for (int i = 0; i < 8; i++) out[i] += in[i];
  }
#pragma unroll
  for (int i = 0; i < 8; i++)
    if (own.channel + i >= c_real) out[i] = 0.f;
  store8(y + at, out);
}
