// Gates, means, dense layers, mixed kernels and attention.

#pragma once

#include "check.h"

static std::vector<double> reference_dense(int n, int k, int out, const std::vector<double> &x,
                                           const Buffer<T> &wt, const Buffer<float> &bias,
                                           int act) {
  std::vector<double> y(n * out);
  for (int i = 0; i < n * out; i++) {
    double sum = bias[i % out];
    for (int j = 0; j < k; j++) sum += x[i / out * k + j] * wt[i % out * k + j];
    y[i] = reference_act(sum, act);
  }
  return y;
}

// Of w2, which lies row by row of its inputs.
static std::vector<double> reference_expand(int n, int rd, int c, const std::vector<double> &x,
                                            const Buffer<T> &w2, const Buffer<float> &bias,
                                            int act) {
  std::vector<double> y(n * c);
  for (int i = 0; i < n * c; i++) {
    double sum = bias[i % c];
    for (int r = 0; r < rd; r++) sum += x[i / c * rd + r] * w2[r * c + i % c];
    y[i] = reference_act(sum, act);
  }
  return y;
}

static void test_squeeze_excite() {
  struct {
    int c, rd, parts;
  } kinds[] = {{8, 1, 1}, {72, 5, 3}, {336, 14, 32}, {1160, 48, 7}};
  for (auto [c, rd, parts] : kinds) {
    Filled<float> sums(2 * parts, c, c), b1(1, rd, rd), b2(1, c, c);
    Filled<T> w1(rd, c, c), w2(rd, c, c);
    Buffer<float> gate(2 * c);
    float scale = 0.25f;
    std::vector<double> mean(2 * c);
    for (size_t i = 0; i < sums.size; i++) mean[i / c / parts * c + i % c] += sums[i] * scale;
    auto hidden = reference_dense(2, c, rd, mean, w1, b1, 3);
    RUN(squeeze_excite, grid_of(2), 512, (c + rd) * 4, c, rd, parts, scale, 3, 6, sums.data(),
        w1.data(), b1.data(), w2.data(), b2.data(), gate.data());
    expect("squeeze_excite", std::to_string(c), gate,
           reference_expand(2, rd, c, hidden, w2, b2, 6));
  }
}

static void test_pool() {
  for (int hw : {1, 31, 49, 100})
    for (int c : {8, 72}) {
      Filled<T> x(2 * hw, c, c);
      Filled<float> sums(2 * hw, c, c);
      Buffer<float> y(2 * c), z(2 * c);
      std::vector<double> want(2 * c), scaled(2 * c);
      for (int i = 0; i < 2 * hw * c; i++) {
        want[i / c / hw * c + i % c] += x[i] / hw;
        scaled[i / c / hw * c + i % c] += sums[i] * 0.5;
      }
      dim3 grid = grid_of(over(c, 64), 2);
      RUN(pool, grid, 256, 0, 2, hw, c, x.data(), y.data());
      expect("pool", std::to_string(hw), y, want);
      RUN(pool_sums, grid_of(over(2 * c, 128)), 128, 0, 2, hw, c, 0.5f, sums.data(), z.data());
      expect("pool_sums", std::to_string(hw), z, scaled);
    }
}

static void test_dense() {
  for (int n : {1, 7, 8, 17})
    for (int k : {8, 264})
      for (int out : {8, 24}) {
        Filled<float> x(n, k, k), bias(1, out, out);
        Filled<T> wt(out, k, k);
        Buffer<float> y(n * out);
        std::vector<double> in(n * k);
        for (int i = 0; i < n * k; i++) in[i] = x[i];
        dim3 grid = grid_of(over(out, 4), over(n, 8));
        RUN(dense, grid, 128, 0, n, k, out, 6, x.data(), wt.data(), bias.data(), y.data());
        expect("dense", std::to_string(n), y, reference_dense(n, k, out, in, wt, bias, 6));
      }
}

static void test_mix() {
  for (int len : {8, 1024, 1032}) {
    int experts = 5, padded = 8;
    Filled<float> routing(3, padded, experts), wt(experts, len, len);
    Buffer<T> y(3 * len);
    Buffer<float> z(3 * len);
    std::vector<double> want(3 * len);
    for (int i = 0; i < 3 * len; i++)
      for (int e = 0; e < experts; e++)
        want[i] += routing[i / len * padded + e] * wt[e * len + i % len];
    dim3 grid = grid_of(over(len, 1024), 3);
    RUN(mix, grid, 128, 0, 3, experts, padded, len, routing.data(), wt.data(), y.data());
    expect("mix", std::to_string(len), y, want);
    RUN(mix_f32, grid, 128, 0, 3, experts, padded, len, routing.data(), wt.data(), z.data());
    expect("mix_f32", std::to_string(len), z, want);
  }
}

static void test_attention() {
  struct {
    int q, kv, heads, dim;
  } kinds[] = {{9, 9, 4, 64}, {1, 1, 1, 8}, {5, 33, 3, 20}, {7, 70, 2, 256}, {3, 64, 2, 100}};
  for (auto [q_positions, kv, heads, dim] : kinds) {
    int q_stride = over(heads * dim, 8) * 8, kv_stride = over(dim, 8) * 8;
    Filled<T> q(2 * q_positions, q_stride, heads * dim), k(2 * kv, kv_stride, dim, 2),
        v(2 * kv, kv_stride, dim);
    Buffer<T> y(2 * q_positions * q_stride);
    std::vector<double> want(y.size);
    for (int row = 0; row < 2 * q_positions; row++)
      for (int head = 0; head < heads; head++) {
        std::vector<double> scores(kv);
        size_t from = row * q_stride + head * dim, image = row / q_positions;
        double most = -1e300, sum = 0;
        for (int j = 0; j < kv; j++) {
          for (int d = 0; d < dim; d++)
            scores[j] += q[from + d] * k[(image * kv + j) * kv_stride + d];
          most = std::max(most, scores[j]);
        }
        for (double &score : scores) sum += score = exp(score - most);
        for (int j = 0; j < kv; j++)
          for (int d = 0; d < dim; d++)
            want[from + d] += scores[j] / sum * v[(image * kv + j) * kv_stride + d];
      }
    dim3 grid = grid_of(over(q_positions * heads, 16), 2);
    RUN(attention, grid, 128, 0, 2, q_positions, kv, heads, dim, q_stride, kv_stride, q.data(),
        k.data(), v.data(), y.data());
    expect("attention", std::to_string(dim), y, want);
  }
}

static void test_global_context() {
  struct {
    int c, hw, rd;
  } kinds[] = {{8, 1, 3}, {72, 49, 9}, {1032, 20, 64}};
  for (auto [c, hw, rd] : kinds) {
    Filled<T> x(2 * hw, c, c), w1(rd, c, c), w2(rd, c, c);
    Filled<float> attn(1, c, c, 0.3), b1(1, rd, rd), ln_w(1, rd, rd), ln_b(1, rd, rd), b2(1, c, c);
    Buffer<float> scores(2 * hw), gate(2 * c);
    std::vector<double> context(2 * c);
    for (int image = 0; image < 2; image++) {
      std::vector<double> powers(hw, 0.25);
      double sum = 0;
      for (int i = 0; i < hw; i++) {
        for (int j = 0; j < c; j++) powers[i] += x[(image * hw + i) * c + j] * attn[j];
        sum += powers[i] = exp(powers[i]);
      }
      for (int i = 0; i < hw * c; i++)
        context[image * c + i % c] += powers[i / c] / sum * x[image * hw * c + i];
    }
    auto hidden = reference_dense(2, c, rd, context, w1, b1, 0);
    for (int image = 0; image < 2; image++) {
      double mean = 0, variance = 0, *own = &hidden[image * rd];
      for (int r = 0; r < rd; r++) mean += own[r] / rd;
      for (int r = 0; r < rd; r++) variance += (own[r] - mean) * (own[r] - mean) / rd;
      for (int r = 0; r < rd; r++)
        own[r] = reference_act((own[r] - mean) / sqrt(variance + 1e-6) * ln_w[r] + ln_b[r], 1);
    }
    RUN(global_context, grid_of(2), 512, (c + rd) * 4, c, hw, rd, 1, x.data(), scores.data(),
        attn.data(), 0.25f, w1.data(), b1.data(), ln_w.data(), ln_b.data(), w2.data(), b2.data(),
        gate.data());
    expect("global_context", std::to_string(c), gate,
           reference_expand(2, rd, c, hidden, w2, b2, 6));
  }
}
