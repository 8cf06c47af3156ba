// The kernels against plain loops in f64. One program for each T:
//
//   g++ -O1 -std=c++17 -Wno-unknown-pragmas -DT_BF16 kernels.cpp -o kernels && ./kernels
//
// A result may differ from f64 by 1e-5 of the largest one; in a half also by the rounding of the value.

#include "check.h"

static void test_stem() {
  for (int cin : {1, 3, 4})
    for (bool same : {false, true}) {
      Sizes s(2, 13, 10, cin, 24, cin == 4 ? 5 : 3, cin == 1 ? 1 : 2, same);
      Filled<float> wt(s.kernel * s.kernel * cin, 24, 20), bias(1, 24, 20), lut(cin, 256, 256), xf(2 * cin, 130, 130);
      Buffer<u8> x(2 * 13 * 10 * cin);
      for (size_t i = 0; i < x.size; i++) x.data()[i] = (u8)(random_number() * 127 + 128);
      auto weight = [&](int, int o, int tap, int c) { return wt[(tap * cin + c) * 24 + o]; };
      auto act = [&](std::vector<double> y) {
        for (size_t i = 0; i < y.size(); i++) y[i] = reference_act(y[i] + bias[i % 24], 3);
        return y;
      };
      dim3 grid = grid_of(over(i64(2) * s.oh * over(s.ow, 4) * 3, 128));
      Buffer<T> y(2 * s.oh * s.ow * 24), z(2 * s.oh * s.ow * 24);
      RUN(stem_pixels, grid, 128, 0, 2, 13, 10, cin, s.oh, s.ow, 24, s.kernel, s.stride, s.top, s.left, 3,
          x.data(), lut.data(), wt.data(), bias.data(), y.data());
      expect("stem_pixels", "y", y, act(reference_conv(s, [&](int n, int iy, int ix, int c) {
        return lut[c * 256 + x.data()[((n * 13 + iy) * 10 + ix) * cin + c]];
      }, weight)));
      RUN(stem_floats, grid, 128, 0, 2, 13, 10, cin, s.oh, s.ow, 24, s.kernel, s.stride, s.top, s.left, 3,
          xf.data(), wt.data(), bias.data(), z.data());
      expect("stem_floats", "y", z, act(reference_conv(s, [&](int n, int iy, int ix, int c) {
        return xf[((n * cin + c) * 13 + iy) * 10 + ix];
      }, weight)));
    }
}

// Bias, activation and residual after a convolution's sums, and the sums of each tile's rows.
struct Finished {
  std::vector<double> y, sums;
  Finished(std::vector<double> v, int n, int group_rows, int tile, const Buffer<float> &bias, int act,
           const Buffer<T> *residual)
      : y(std::move(v)) {
    int groups = (int)(y.size() / n / group_rows), tiles = over(group_rows, tile);
    sums.resize(groups * tiles * n);
    for (size_t i = 0; i < y.size(); i++) {
      int col = (int)(i % n), row = (int)(i / n % group_rows), group = (int)(i / n / group_rows);
      y[i] = reference_act(y[i] + bias[col], act) + (residual ? (*residual)[i] : 0);
      sums[(group * tiles + row / tile) * n + col] += y[i];
    }
  }
};

enum { GATE = 1, SUMS = 2, RESIDUAL = 4, OWN_WEIGHTS = 8, NO_Y = 16 };

template <int BM>
static void pointwise_case(int groups, int rows, int k, int n, int act, int with, int gate_rows = 0) {
  bool big = BM == 128;
  std::string name = "pointwise_" + std::to_string(BM);
  std::string what = std::to_string(groups) + "x" + std::to_string(rows) + ", " + std::to_string(k) +
                     " to " + std::to_string(n) + ", with " + std::to_string(with);
  int all = groups * rows, tiles = over(rows, BM);
  i64 stride = with & OWN_WEIGHTS ? (i64)n * k : 0;
  if (with & GATE && !gate_rows) gate_rows = rows;
  Filled<T> x(all, k, k), wt(with & OWN_WEIGHTS ? groups * n : n, k, k), residual(all, n, n);
  Filled<float> bias(1, n, n), gate(gate_rows ? over(all, gate_rows) : 0, k, k);
  Buffer<T> y(with & NO_Y ? 0 : all * n);
  Buffer<float> sums(with & SUMS ? groups * tiles * n : 0);
  std::vector<double> products(all * n);
  for (int r = 0; r < all; r++)
    for (int c = 0; c < k; c++) {
      double v = x[r * k + c];
      if (with & GATE) v = rounded((float)v * (float)gate[r / gate_rows * k + c]);
      for (int o = 0; o < n; o++) products[r * n + o] += v * wt[r / rows * stride + o * k + c];
    }
  Finished want(products, n, rows, BM, bias, act, with & RESIDUAL ? &residual : nullptr);
  dim3 grid = grid_of(unsigned(groups * tiles), over(n, 64));
  auto run = [&](auto kernel) {
    shim_launch(grid, {128, 1, 1}, 0, [&] {
      kernel(groups, rows, k, n, gate_rows, act, x.data(), wt.data(), stride, bias.data(),
             with & GATE ? gate.data() : nullptr, with & RESIDUAL ? residual.data() : nullptr,
             with & NO_Y ? nullptr : y.data(), with & SUMS ? sums.data() : nullptr);
    });
    results[name].launches++;
  };
  big ? run(pointwise_128) : run(pointwise_64);
  if (!(with & NO_Y)) expect(name, what, y, want.y);
  if (with & SUMS) expect(name, what + ", sums", sums, want.sums);
}

template <int BM> static void test_pointwise() {
  for (int rows : {1, 63, 65, 129})
    for (int n : {8, 72})
      for (int k : {8, 40}) pointwise_case<BM>(1, rows, k, n, 3, (rows + n / 8 + k / 8) % 2 ? RESIDUAL : 0);
  // Slices on both sides of what is copied ahead.
  for (int k : {32, 64, 96, 128, 136, 200}) pointwise_case<BM>(1, 70, k, 64, 0, 0);
  for (int act = 0; act <= 8; act++) pointwise_case<BM>(1, 20, 24, 16, act, 0);
  pointwise_case<BM>(3, 49, 48, 24, 0, GATE | RESIDUAL);
  pointwise_case<BM>(1, 147, 136, 72, 0, GATE | RESIDUAL, 49);
  pointwise_case<BM>(1, 10, 200, 8, 0, GATE, 1);
  pointwise_case<BM>(2, 150, 24, 80, 3, SUMS);
  pointwise_case<BM>(2, 50, 24, 8, 3, SUMS | NO_Y | RESIDUAL);
  pointwise_case<BM>(3, 70, 40, 72, 1, OWN_WEIGHTS);
  pointwise_case<BM>(2, 35, 40, 16, 4, OWN_WEIGHTS | GATE | SUMS | RESIDUAL);
}

template <int BM> static void test_conv() {
  std::string name = "conv_" + std::to_string(BM);
  int turn = 0;
  for (int kernel : {1, 2, 3, 5})
    for (int stride : {1, 2, 3})
      for (bool same : {false, true}) {
        bool per_image = turn++ % 2, sums_too = per_image && stride == 1, residual_too = stride == 2;
        int cin = kernel == 3 ? 40 : 8, cout = kernel == 2 ? 72 : 24;
        Sizes s(2, 11, 14, cin, cout, kernel, stride, same);
        int positions = s.oh * s.ow, all = 2 * positions, tiles = over(positions, BM), taps = kernel * kernel;
        Filled<T> x(2 * 11 * 14, cin, cin), wt(cout, taps * cin, taps * cin), residual(all, cout, cout);
        Filled<float> bias(1, cout, cout);
        Buffer<T> y(all * cout);
        Buffer<float> sums(sums_too ? 2 * tiles * cout : 0);
        Finished want(reference_conv(s,
                                     [&](int n, int iy, int ix, int c) { return x[((n * 11 + iy) * 14 + ix) * cin + c]; },
                                     [&](int, int o, int tap, int c) { return wt[(o * taps + tap) * cin + c]; }),
                      cout, positions, BM, bias, 3, residual_too ? &residual : nullptr);
        dim3 grid = grid_of(per_image ? 2 * tiles : over(all, BM), over(cout, 64));
        auto run = [&](auto kernel_function) {
          shim_launch(grid, {128, 1, 1}, 0, [&] {
            kernel_function(2, 11, 14, cin, s.oh, s.ow, cout, kernel, stride, s.top, s.left, per_image, 3,
                            x.data(), wt.data(), bias.data(), residual_too ? residual.data() : nullptr,
                            y.data(), sums_too ? sums.data() : nullptr);
          });
          results[name].launches++;
        };
        BM == 64 ? run(conv_64) : run(conv_128);
        expect(name, "kernel " + std::to_string(kernel) + ", stride " + std::to_string(stride), y, want.y);
        if (sums_too) expect(name, "sums", sums, want.sums);
      }
}

static void test_conv_grouped() {
  struct { int cin, cout, groups; } kinds[] = {{12, 18, 3}, {7, 14, 7}, {16, 16, 2}, {5, 3, 1}};
  for (auto [cin, cout, groups] : kinds)
    for (int stride : {1, 2})
      for (bool same : {false, true}) {
        Sizes s(2, 7, 9, cin, cout, 3, stride, same, groups);
        int cin_padded = over(cin, 8) * 8, cout_padded = over(cout, 8) * 8, inputs = cin / groups;
        int rows = 2 * s.oh * s.ow;
        Filled<T> x(2 * 63, cin_padded, cin), wt(1, cout_padded * 9 * inputs, cout * 9 * inputs);
        Filled<T> residual(rows, cout_padded, cout);
        Filled<float> bias(1, cout_padded, cout);
        Buffer<T> y(rows * cout_padded);
        bool residual_too = stride == 1;
        auto sums = reference_conv(s,
                                   [&](int n, int iy, int ix, int c) { return x[((n * 7 + iy) * 9 + ix) * cin_padded + c]; },
                                   [&](int, int o, int tap, int c) { return wt[(o * 9 + tap) * inputs + c]; });
        std::vector<double> want(rows * cout_padded);
        for (int r = 0; r < rows; r++)
          for (int o = 0; o < cout; o++)
            want[r * cout_padded + o] = reference_act(sums[r * cout + o] + bias[o], 5) +
                                        (residual_too ? residual[r * cout_padded + o] : 0);
        dim3 grid = grid_of(over(i64(2) * s.oh * over(s.ow, 4) * cout_padded, 128));
        RUN(conv_grouped, grid, 128, 0, 2, 7, 9, cin_padded, s.oh, s.ow, cout_padded, 3, stride, s.top, s.left,
            groups, cin, cout, 5, x.data(), wt.data(), bias.data(), residual_too ? residual.data() : nullptr,
            y.data());
        expect("conv_grouped", std::to_string(groups) + " groups", y, want);
      }
}

// `kernel_size` and `stride` are passed on to depthwise_any alone.
template <typename Kernel>
static void depthwise_case(const std::string &name, const Kernel &kernel, const Sizes &s, int parts,
                           bool sums_too, bool own_weights) {
  int c = s.cin, taps = s.kernel * s.kernel, positions = s.oh * s.ow;
  Filled<T> x(s.n * s.h * s.w, c, c);
  Filled<float> wt(own_weights ? s.n * taps : taps, c, c), bias(1, c, c);
  Buffer<T> y(s.n * positions * c);
  Buffer<float> sums(sums_too ? s.n * parts * c : 0);
  Sizes each = s;
  each.groups = each.cout = c;
  i64 stride = own_weights ? taps * c : 0;
  auto want = reference_conv(each,
                             [&](int n, int iy, int ix, int i) { return x[((n * s.h + iy) * s.w + ix) * c + i]; },
                             [&](int n, int o, int tap, int) { return wt[n * stride + tap * c + o]; });
  std::vector<double> totals(s.n * c), got(s.n * c);
  for (size_t i = 0; i < want.size(); i++) {
    want[i] = reference_act(want[i] + bias[i % c], 3);
    totals[i / c / positions * c + i % c] += want[i];
  }
  dim3 grid = grid_of(over(c, 64), unsigned(parts), unsigned(s.n));
  shim_launch(grid, {128, 1, 1}, 0, [&] {
    kernel(s.n, s.h, s.w, c, s.oh, s.ow, s.top, s.left, 3, parts, x.data(), wt.data(), stride, bias.data(),
           y.data(), sums_too ? sums.data() : nullptr);
  });
  results[name].launches++;
  std::string what = std::to_string(c) + " channels in " + std::to_string(parts) + " parts";
  expect(name, what, y, want);
  if (!sums_too) return;
  for (size_t i = 0; i < sums.size; i++) got[i / c / parts * c + i % c] += sums[i];
  Buffer<float> whole(s.n * c);
  for (size_t i = 0; i < got.size(); i++) whole.set(i, got[i]);
  expect(name, what + ", sums", whole, totals);
}

template <typename Kernel>
static void depthwise_kernel(const std::string &name, const Kernel &kernel, int size, int stride) {
  depthwise_case(name, kernel, Sizes(2, 12, 9, 24, 24, size, stride, false), 3, true, false);
  depthwise_case(name, kernel, Sizes(2, 9, 14, 72, 72, size, stride, true), 5, true, true);
  depthwise_case(name, kernel, Sizes(1, 7, 7, 8, 8, size, stride, true), 1, false, false);
  depthwise_case(name, kernel, Sizes(1, 3, 5, 136, 136, size, stride, false), 9, true, false);
}

static void test_depthwise() {
#define CASE(K, S) depthwise_kernel("depthwise_" #K "_" #S, depthwise_##K##_##S, K, S);
  CASE(3, 1) CASE(3, 2) CASE(5, 1) CASE(5, 2) CASE(7, 1) CASE(7, 2) CASE(9, 1) CASE(9, 2) CASE(11, 1) CASE(11, 2)
  struct { int size, stride; } others[] = {{3, 3}, {4, 1}, {6, 2}};
  for (auto [size, stride] : others) {
    auto any = [size = size, stride = stride](int n, int h, int w, int c, int oh, int ow, auto... rest) {
      depthwise_any(n, h, w, c, oh, ow, size, stride, rest...);
    };
    depthwise_kernel("depthwise_any", any, size, stride);
  }
}

static std::vector<double> reference_dense(int n, int k, int out, const std::vector<double> &x,
                                           const Buffer<T> &wt, const Buffer<float> &bias, int act) {
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
                                            const Buffer<T> &w2, const Buffer<float> &bias, int act) {
  std::vector<double> y(n * c);
  for (int i = 0; i < n * c; i++) {
    double sum = bias[i % c];
    for (int r = 0; r < rd; r++) sum += x[i / c * rd + r] * w2[r * c + i % c];
    y[i] = reference_act(sum, act);
  }
  return y;
}

static void test_squeeze_excite() {
  struct { int c, rd, parts; } kinds[] = {{8, 1, 1}, {72, 5, 3}, {336, 14, 32}, {1160, 48, 7}};
  for (auto [c, rd, parts] : kinds) {
    Filled<float> sums(2 * parts, c, c), b1(1, rd, rd), b2(1, c, c);
    Filled<T> w1(rd, c, c), w2(rd, c, c);
    Buffer<float> gate(2 * c);
    float scale = 0.25f;
    std::vector<double> mean(2 * c);
    for (size_t i = 0; i < sums.size; i++) mean[i / c / parts * c + i % c] += sums[i] * scale;
    auto hidden = reference_dense(2, c, rd, mean, w1, b1, 3);
    RUN(squeeze_excite, grid_of(2), 512, (c + rd) * 4, c, rd, parts, scale, 3, 6, sums.data(), w1.data(),
        b1.data(), w2.data(), b2.data(), gate.data());
    expect("squeeze_excite", std::to_string(c), gate, reference_expand(2, rd, c, hidden, w2, b2, 6));
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
      for (int e = 0; e < experts; e++) want[i] += routing[i / len * padded + e] * wt[e * len + i % len];
    dim3 grid = grid_of(over(len, 1024), 3);
    RUN(mix, grid, 128, 0, 3, experts, padded, len, routing.data(), wt.data(), y.data());
    expect("mix", std::to_string(len), y, want);
    RUN(mix_f32, grid, 128, 0, 3, experts, padded, len, routing.data(), wt.data(), z.data());
    expect("mix_f32", std::to_string(len), z, want);
  }
}

static void test_attention() {
  struct { int q, kv, heads, dim; } kinds[] = {{9, 9, 4, 64}, {1, 1, 1, 8}, {5, 33, 3, 20}, {7, 70, 2, 256}, {3, 64, 2, 100}};
  for (auto [q_positions, kv, heads, dim] : kinds) {
    int q_stride = over(heads * dim, 8) * 8, kv_stride = over(dim, 8) * 8;
    Filled<T> q(2 * q_positions, q_stride, heads * dim), k(2 * kv, kv_stride, dim, 2), v(2 * kv, kv_stride, dim);
    Buffer<T> y(2 * q_positions * q_stride);
    std::vector<double> want(y.size);
    for (int row = 0; row < 2 * q_positions; row++)
      for (int head = 0; head < heads; head++) {
        std::vector<double> scores(kv);
        size_t from = row * q_stride + head * dim, image = row / q_positions;
        double most = -1e300, sum = 0;
        for (int j = 0; j < kv; j++) {
          for (int d = 0; d < dim; d++) scores[j] += q[from + d] * k[(image * kv + j) * kv_stride + d];
          most = std::max(most, scores[j]);
        }
        for (double &score : scores) sum += score = exp(score - most);
        for (int j = 0; j < kv; j++)
          for (int d = 0; d < dim; d++) want[from + d] += scores[j] / sum * v[(image * kv + j) * kv_stride + d];
      }
    dim3 grid = grid_of(over(q_positions * heads, 16), 2);
    RUN(attention, grid, 128, 0, 2, q_positions, kv, heads, dim, q_stride, kv_stride, q.data(), k.data(),
        v.data(), y.data());
    expect("attention", std::to_string(dim), y, want);
  }
}

static void test_global_context() {
  struct { int c, hw, rd; } kinds[] = {{8, 1, 3}, {72, 49, 9}, {1032, 20, 64}};
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
      for (int i = 0; i < hw * c; i++) context[image * c + i % c] += powers[i / c] / sum * x[image * hw * c + i];
    }
    auto hidden = reference_dense(2, c, rd, context, w1, b1, 0);
    for (int image = 0; image < 2; image++) {
      double mean = 0, variance = 0, *own = &hidden[image * rd];
      for (int r = 0; r < rd; r++) mean += own[r] / rd;
      for (int r = 0; r < rd; r++) variance += (own[r] - mean) * (own[r] - mean) / rd;
      for (int r = 0; r < rd; r++)
        own[r] = reference_act((own[r] - mean) / sqrt(variance + 1e-6) * ln_w[r] + ln_b[r], 1);
    }
    RUN(global_context, grid_of(2), 512, (c + rd) * 4, c, hw, rd, 1, x.data(), scores.data(), attn.data(), 0.25f,
        w1.data(), b1.data(), ln_w.data(), ln_b.data(), w2.data(), b2.data(), gate.data());
    expect("global_context", std::to_string(c), gate, reference_expand(2, rd, c, hidden, w2, b2, 6));
  }
}

static void test_anti_alias() {
  for (int h : {6, 7})
    for (int w : {5, 8}) {
      Filled<T> x(2 * h * w, 24, 24);
      for (bool blur : {false, true}) {
        int oh = blur ? over(h, 2) : h / 2, ow = blur ? over(w, 2) : w / 2;
        Buffer<T> y(2 * oh * ow * 24);
        std::vector<double> want(y.size);
        for (size_t at = 0; at < want.size(); at++) {
          int c = at % 24, ox = at / 24 % ow, oy = at / 24 / ow % oh, n = at / 24 / ow / oh;
          for (int i = 0; i < (blur ? 3 : 2); i++)
            for (int j = 0; j < (blur ? 3 : 2); j++) {
              int iy = oy * 2 + i - blur, ix = ox * 2 + j - blur;
              double weight = blur ? (2 - abs(i - 1)) * (2 - abs(j - 1)) / 16.0 : 0.25;
              if (iy >= 0 && iy < h && ix >= 0 && ix < w) want[at] += weight * x[((n * h + iy) * w + ix) * 24 + c];
            }
        }
        dim3 grid = grid_of(over(2 * oh * ow * 3, 128));
        if (blur)
          RUN(anti_alias_blur, grid, 128, 0, 2, h, w, 24, oh, ow, x.data(), y.data());
        else
          RUN(anti_alias_avg, grid, 128, 0, 2, h, w, 24, oh, ow, x.data(), y.data());
        expect(blur ? "anti_alias_blur" : "anti_alias_avg", std::to_string(h), y, want);
      }
    }
}

static void test_norms() {
  Filled<T> x(50, 40, 40), residual(2 * 45, 40, 36);
  Filled<float> scale(1, 40, 40), shift(1, 40, 40), v(1, 40, 36);
  Buffer<T> shifted(2000);
  std::vector<double> want(2000);
  for (int i = 0; i < 2000; i++) want[i] = x[i] * scale[i % 40] + shift[i % 40];
  RUN(scale_shift, grid_of(over(50 * 5, 128)), 128, 0, 50, 40, scale.data(), shift.data(), x.data(), shifted.data());
  expect("scale_shift", "y", shifted, want);

  // Values far from zero beside their deviation, which one pass would lose.
  int n = 2, hw = 45, c = 40, c_real = 36;
  Filled<T> maps(n * hw, c, c_real);
  for (int i = 0; i < n * hw * c; i++)
    if (i % c < c_real) maps.set(i, 20 + maps[i]);
  for (int group : {0, 6, 36}) {
    int groups = group ? c_real / group : 0;
    size_t of = group ? n * groups : n * hw;
    Buffer<float> stats(of * 2);
    std::vector<double> moments(of * 2), y(n * hw * c);
    float eps = 1e-3f;
    for (size_t s = 0; s < of; s++) {
      std::vector<double> values;
      for (int i = 0; i < n * hw * c; i++) {
        size_t owner = group ? i / c / hw * groups + i % c / group : i / c;
        if (i % c < c_real && owner == s) values.push_back(maps[i]);
      }
      double mean = 0, variance = 0;
      for (double value : values) mean += value / values.size();
      for (double value : values) variance += (value - mean) * (value - mean) / values.size();
      moments[s * 2] = mean, moments[s * 2 + 1] = 1 / sqrt(variance + eps);
    }
    if (group) {
      dim3 grid = grid_of(unsigned(groups), unsigned(n));
      RUN(moments_groups, grid, 256, 0, n, hw, c, group, groups, eps, maps.data(), stats.data());
    } else {
      RUN(moments_positions, grid_of(over(n * hw, 4)), 128, 0, n * hw, c, c_real, eps, maps.data(), stats.data());
    }
    expect(group ? "moments_groups" : "moments_positions", std::to_string(group), stats, moments);
    for (bool gated : {false, true}) {
      Buffer<T> out(n * hw * c);
      for (int i = 0; i < n * hw * c; i++) {
        if (i % c >= c_real) continue;
        const double *of_i = &moments[(group ? i / c / hw * groups + i % c / group : i / c) * 2];
        double over = gated ? maps[i] / (1 + exp(-maps[i] * v[i % c])) : maps[i] - of_i[0];
        y[i] = reference_act(over * of_i[1] * scale[i % c] + shift[i % c], 3) + (gated ? 0 : residual[i]);
      }
      RUN(normalize, grid_of(over(n * hw * c / 8, 128)), 128, 0, n, hw, c, c_real, group, groups, 3, maps.data(),
          stats.data(), scale.data(), shift.data(), gated ? v.data() : nullptr, gated ? nullptr : residual.data(),
          out.data());
      expect("normalize", std::to_string(group), out, y);
    }
  }
}

static void test_export() {
  for (int hw : {1, 33, 64})
    for (int c_real : {5, 40}) {
      int c = over(c_real, 8) * 8;
      Filled<T> x(2 * hw, c, c_real);
      Filled<float> vector(2, c, c_real);
      Buffer<float> y(2 * c_real * hw), z(2 * c_real);
      std::vector<double> want(y.size), plain(z.size);
      for (size_t i = 0; i < want.size(); i++) want[i] = x[(i / hw / c_real * hw + i % hw) * c + i / hw % c_real];
      for (size_t i = 0; i < plain.size(); i++) plain[i] = vector[i / c_real * c + i % c_real];
      dim3 grid = grid_of(over(hw, 32), over(c_real, 32), 2);
      RUN(export_map, grid, 256, 0, 2, hw, c, c_real, x.data(), y.data());
      expect("export_map", std::to_string(hw), y, want, 0);
      RUN(export_vector, grid_of(over(2 * c_real, 128)), 128, 0, 2, c, c_real, vector.data(), z.data());
      expect("export_vector", std::to_string(c_real), z, plain, 0);
    }
}

int main() {
  test_stem();
  test_pointwise<64>();
  test_pointwise<128>();
  test_conv<64>();
  test_conv<128>();
  test_conv_grouped();
  test_depthwise();
  test_squeeze_excite();
  test_pool();
  test_dense();
  test_mix();
  test_attention();
  test_global_context();
  test_anti_alias();
  test_norms();
  test_export();
#define PRINT(name)                                                                                    \
  if (!results[#name].launches) fail(#name " was not run");                                            \
  printf("%-18s %3d launches, at most %.3f of what is allowed\n", #name, results[#name].launches,      \
         results[#name].worst);
  EACH_KERNEL(PRINT)
}
