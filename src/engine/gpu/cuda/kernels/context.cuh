// The gate of a global context: the mean over positions by a softmax, through a layer norm.

// A block an image.
KERNEL(512, 1)
global_context(int c, int hw, int rd, int act, const T *__restrict__ x /* [n][hw][c] */,
               float *scores /* [n][hw], of no meaning before and after */,
               const float *__restrict__ attn_w /* [c] */, float attn_b,
               const T *__restrict__ w1 /* [rd][c] */, const float *__restrict__ b1,
               const float *__restrict__ ln_w, const float *__restrict__ ln_b,
               const T *__restrict__ w2 /* [rd][c] */, const float *__restrict__ b2,
               float *__restrict__ gate /* [n][c] */) {
  float *context = dynamic_shared(), *hidden = context + c;
  i64 image = blockIdx.x;
  const T *own_x = x + image * hw * c;
  float *own_scores = scores + image * hw;
#pragma unroll 1
  for (int i = threadIdx.x / 32; i < hw; i += 16) {
    float score = dot(c, own_x + (i64)i * c, attn_w) + attn_b;
    if (threadIdx.x % 32 == 0) own_scores[i] = score;
  }
  __syncthreads();
  float most = own_scores[0];
  for (int i = threadIdx.x; i < hw; i += 512) most = fmaxf(most, own_scores[i]);
  most = block_max<512>(most);
  float powers = 0;
  for (int i = threadIdx.x; i < hw; i += 512) {
    float power = exponential(own_scores[i] - most);
    own_scores[i] = power;
    powers += power;
  }
  powers = block_sum<512>(powers);
  weighted_rows<512>(
      hw, c, [=](int i) { return own_scores[i]; }, own_x,
      [&](int channel, float (&v)[8]) {
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] /= powers;
        store8(context + channel, v);
      });
  __syncthreads();
  reduce_to<512>(hidden, c, rd, context, w1, b1);
  __syncthreads();
  float sum = 0, squares = 0;
  for (int r = threadIdx.x; r < rd; r += 512) sum += hidden[r];
  float mean = block_sum<512>(sum) / rd;
  for (int r = threadIdx.x; r < rd; r += 512) squares += (hidden[r] - mean) * (hidden[r] - mean);
  float over = 1.f / sqrtf(block_sum<512>(squares) / rd + 1e-6f);
  for (int r = threadIdx.x; r < rd; r += 512)
    hidden[r] = activate((hidden[r] - mean) * over * ln_w[r] + ln_b[r], act);
  __syncthreads();
  weighted_rows<512>(
      rd, c, [=](int r) { return hidden[r]; }, w2,
      [&](int channel, float (&v)[8]) {
        float bias[8];
        load8(b2 + channel, bias);
#pragma unroll
        for (int i = 0; i < 8; i++) v[i] = sigmoid(v[i] + bias[i]);
        store8(gate + image * c + channel, v);
      });
}
