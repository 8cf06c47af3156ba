// What has one value a channel: gates, means, dense layers, and kernels mixed for each image.

// Hands out sum_r weight(r) * matrix[r][c], 8 channels at a time, to `out(channel, sums)`. A warp
// has 64 channels, a quarter of it every fourth row.
template <int THREADS, typename Weight, typename Row, typename Out> DEVICE void
weighted_rows(int rows, int c, const Weight &weight, const Row *matrix, const Out &out) {
  int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#pragma unroll 1
  for (int first = warp * 64; first < c; first += THREADS / 32 * 64) {
    int channel = first + lane % 8 * 8;
    float sums[8] = {};
    if (channel < c) {
#pragma unroll 4
      for (int r = lane / 8; r < rows; r += 4) {
        float v[8], w = weight(r);
        load8(matrix + (i64)r * c + channel, v);
#pragma unroll
        for (int i = 0; i < 8; i++) sums[i] = fmaf(v[i], w, sums[i]);
      }
    }
#pragma unroll
    for (int i = 0; i < 8; i++) {
      sums[i] += __shfl_xor_sync(~0u, sums[i], 8);
      sums[i] += __shfl_xor_sync(~0u, sums[i], 16);
    }
    if (lane < 8 && channel < c) out(channel, sums);
  }
}

// The sum over c of a row and a vector, in each lane of the warp.
template <typename Row> DEVICE float dot(int c, const Row *row, const float *vector) {
  float sum = 0;
#pragma unroll 4
  for (int at = threadIdx.x % 32 * 8; at < c; at += 256) {
    float a[8], b[8];
    load8(row + at, a);
    load8(vector + at, b);
#pragma unroll
    for (int i = 0; i < 8; i++) sum = fmaf(a[i], b[i], sum);
  }
  return warp_sum(sum);
}

// hidden[r] = row r of w1 with `mean`, and its bias: a warp a row.
template <int THREADS> DEVICE void reduce_to(float *hidden, int c, int rd, const float *mean,
                                             const T *w1, const float *b1) {
#pragma unroll 1
  for (int r = threadIdx.x / 32; r < rd; r += THREADS / 32) {
    float sum = dot(c, w1 + (i64)r * c, mean);
    if (threadIdx.x % 32 == 0) hidden[r] = sum + b1[r];
  }
}

// A block an image.
KERNEL(512, 1)
squeeze_excite(int c, int rd, int parts, float scale /* 1 / (h * w) */, int act, int gate_act,
               const float *__restrict__ sums /* [n][parts][c] */,
               const T *__restrict__ w1 /* [rd][c] */, const float *__restrict__ b1,
               const T *__restrict__ w2 /* [rd][c] */, const float *__restrict__ b2,
               float *__restrict__ gate /* [n][c] */) {
  float *mean = dynamic_shared(), *hidden = mean + c;
  i64 image = blockIdx.x;
  weighted_rows<512>(
      parts, c, [=](int) { return scale; }, sums + image * parts * c,
      [=](int channel, float (&v)[8]) { store8(mean + channel, v); });
  __syncthreads();
  reduce_to<512>(hidden, c, rd, mean, w1, b1);
  __syncthreads();
  for (int r = threadIdx.x; r < rd; r += 512) hidden[r] = activate(hidden[r], act);
  __syncthreads();
  weighted_rows<512>(
      rd, c, [=](int r) { return hidden[r]; }, w2,
      [&](int channel, float (&v)[8]) {
        float bias[8];
        load8(b2 + channel, bias);
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] += bias[i];
        activate(v, gate_act);
        store8(gate + image * c + channel, v);
      });
}

// The mean over positions: 8 threads side by side over 64 channels, 32 over positions.
KERNEL(256, 4)
pool(int n, int hw, int c, const T *__restrict__ x, float *__restrict__ y /* [n][c] */) {
  __shared__ __align__(16) float totals[32][64];
  int slot = threadIdx.x / 8, at = threadIdx.x % 8 * 8, col0 = blockIdx.x * 64;
  i64 image = blockIdx.y;
  float sums[8] = {};
  if (col0 + at < c) {
    const T *from = x + image * hw * c + col0 + at;
#pragma unroll 4
    for (int i = slot; i < hw; i += 32) {
      float v[8];
      load8(from + (i64)i * c, v);
#pragma unroll
      for (int j = 0; j < 8; j++) sums[j] += v[j];
    }
  }
  store8(&totals[slot][at], sums);
  __syncthreads();
  int own = threadIdx.x;
  if (own < 64 && col0 + own < c) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 32; i++) sum += totals[i][own];
    y[image * c + col0 + own] = sum / hw;
  }
}

KERNEL(128, 4)
pool_sums(int n, int parts, int c, float scale, const float *__restrict__ sums /* [n][parts][c] */,
          float *__restrict__ y /* [n][c] */) {
  i64 id = global_thread();
  if (id >= (i64)n * c) return;
  i64 image = id / c;
  const float *from = sums + image * parts * c + (id - image * c);
  float sum = 0;
#pragma unroll 8
  for (int part = 0; part < parts; part++) sum += from[(i64)part * c];
  y[id] = sum * scale;
}

// One output of up to IMAGES images, by a warp.
template <int IMAGES> DEVICE void dense_output(int images, int k, int out, int own, int act,
                                               const float *x, const T *wt, const float *bias,
                                               float *y) {
  int lane = threadIdx.x % 32;
  float sums[IMAGES] = {};
#pragma unroll(IMAGES == 1 ? 4 : 1)
  for (int at = lane * 8; at < k; at += 256) {
    float w[8];
    load8(wt + (i64)own * k + at, w);
#pragma unroll
    for (int i = 0; i < IMAGES; i++) {
      if (i >= images) continue;
      float v[8];
      load8(x + (i64)i * k + at, v);
#pragma unroll
      for (int j = 0; j < 8; j++) sums[i] = fmaf(v[j], w[j], sums[i]);
    }
  }
  float own_sum = 0;
#pragma unroll
  for (int i = 0; i < IMAGES; i++) {
    float sum = warp_sum(sums[i]);
    if (lane == i) own_sum = sum;
  }
  if (lane < images) y[(i64)lane * out + own] = activate(own_sum + bias[own], act);
}

// A warp an output, of up to 8 images: weights are read once for them. `out` is padded: four to a
// block leave none over.
KERNEL(128, 4)
dense(int n, int k, int out, int act, const float *__restrict__ x /* [n][k] */,
      const T *__restrict__ wt /* [out][k] */, const float *__restrict__ bias /* [out] */,
      float *__restrict__ y /* [n][out] */) {
  int own = blockIdx.x * 4 + threadIdx.x / 32, first = blockIdx.y * 8;
  x += (i64)first * k, y += (i64)first * out;
  if (n - first == 1)
    dense_output<1>(1, k, out, own, act, x, wt, bias, y);
  else
    dense_output<8>(n - first < 8 ? n - first : 8, k, out, own, act, x, wt, bias, y);
}

template <typename To> DEVICE void mix_into(int experts, int experts_padded, i64 len,
                                            const float *routing, const float *wt, To *y) {
  i64 at = global_thread() * 8, image = blockIdx.y;
  if (at >= len) return;
  float sums[8] = {};
#pragma unroll 4
  for (int e = 0; e < experts; e++) {
    float v[8], weight = routing[image * experts_padded + e];
    load8(wt + e * len + at, v);
#pragma unroll
    for (int i = 0; i < 8; i++) sums[i] = fmaf(v[i], weight, sums[i]);
  }
  store8(y + image * len + at, sums);
}

// `len` is a multiple of 8.
KERNEL(128, 4)
mix(int n, int experts, int experts_padded, long long len,
    const float *__restrict__ routing /* [n][experts_padded] */,
    const float *__restrict__ wt /* [experts][len] */, T *__restrict__ y /* [n][len] */) {
  mix_into(experts, experts_padded, len, routing, wt, y);
}

KERNEL(128, 4)
mix_f32(int n, int experts, int experts_padded, long long len,
        const float *__restrict__ routing /* [n][experts_padded] */,
        const float *__restrict__ wt /* [experts][len] */, float *__restrict__ y /* [n][len] */) {
  mix_into(experts, experts_padded, len, routing, wt, y);
}
