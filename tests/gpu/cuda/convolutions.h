// Convolutions of every kind.

#pragma once

#include "check.h"

static void test_stem() {
  for (int cin : {1, 3, 4})
    for (bool same : {false, true}) {
      Sizes s(2, 13, 10, cin, 24, cin == 4 ? 5 : 3, cin == 1 ? 1 : 2, same);
      Filled<float> wt(s.kernel * s.kernel * cin, 24, 20), bias(1, 24, 20), lut(cin, 256, 256),
          xf(2 * cin, 130, 130);
      Buffer<u8> x(2 * 13 * 10 * cin);
      for (size_t i = 0; i < x.size; i++) x.data()[i] = (u8)(random_number() * 127 + 128);
      auto weight = [&](int, int o, int tap, int c) { return wt[(tap * cin + c) * 24 + o]; };
      auto act = [&](std::vector<double> y) {
        for (size_t i = 0; i < y.size(); i++) y[i] = reference_act(y[i] + bias[i % 24], 3);
        return y;
      };
      dim3 grid = grid_of(over(i64(2) * s.oh * over(s.ow, 4) * 3, 128));
      Buffer<T> y(2 * s.oh * s.ow * 24), z(2 * s.oh * s.ow * 24);
      RUN(stem_pixels, grid, 128, 0, 2, 13, 10, cin, s.oh, s.ow, 24, s.kernel, s.stride, s.top,
          s.left, 3, x.data(), lut.data(), wt.data(), bias.data(), y.data());
      expect("stem_pixels", "y", y,
             act(reference_conv(
                 s,
                 [&](int n, int iy, int ix, int c) {
                   return lut[c * 256 + x.data()[((n * 13 + iy) * 10 + ix) * cin + c]];
                 },
                 weight)));
      RUN(stem_floats, grid, 128, 0, 2, 13, 10, cin, s.oh, s.ow, 24, s.kernel, s.stride, s.top,
          s.left, 3, xf.data(), wt.data(), bias.data(), z.data());
      expect(
          "stem_floats", "y", z,
          act(reference_conv(
              s,
              [&](int n, int iy, int ix, int c) { return xf[((n * cin + c) * 13 + iy) * 10 + ix]; },
              weight)));
    }
}

// Bias, activation and residual after a convolution's sums, and the sums of each tile's rows.
struct Finished {
  std::vector<double> y, sums;
  Finished(std::vector<double> v, int n, int group_rows, int tile, const Buffer<float> &bias,
           int act, const Buffer<T> *residual)
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

template <int BM> static void pointwise_case(int groups, int rows, int k, int n, int act, int with,
                                             int gate_rows = 0) {
  bool big = BM == 128;
  std::string name = "pointwise_" + std::to_string(BM);
  std::string what = std::to_string(groups) + "x" + std::to_string(rows) + ", " +
                     std::to_string(k) + " to " + std::to_string(n) + ", with " +
                     std::to_string(with);
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
      for (int k : {8, 40})
        pointwise_case<BM>(1, rows, k, n, 3, (rows + n / 8 + k / 8) % 2 ? RESIDUAL : 0);
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
  for (int kernel : {1, 2, 3, 5})
    for (int stride : {1, 2, 3})
      for (bool same : {false, true}) {
        bool per_image = (kernel + stride + same) % 2, sums_too = per_image && stride != 2,
             residual_too = stride == 2;
        int cin = kernel == 3 ? 40 : 8, cout = kernel == 2 ? 72 : 24;
        Sizes s(2, 11, 14, cin, cout, kernel, stride, same);
        int positions = s.oh * s.ow, all = 2 * positions, tiles = over(positions, BM),
            taps = kernel * kernel;
        Filled<T> x(2 * 11 * 14, cin, cin), wt(cout, taps * cin, taps * cin),
            residual(all, cout, cout);
        Filled<float> bias(1, cout, cout);
        Buffer<T> y(all * cout);
        Buffer<float> sums(sums_too ? 2 * tiles * cout : 0);
        Finished want(
            reference_conv(
                s,
                [&](int n, int iy, int ix, int c) {
                  return x[((n * 11 + iy) * 14 + ix) * cin + c];
                },
                [&](int, int o, int tap, int c) { return wt[(o * taps + tap) * cin + c]; }),
            cout, positions, BM, bias, 3, residual_too ? &residual : nullptr);
        dim3 grid = grid_of(per_image ? 2 * tiles : over(all, BM), over(cout, 64));
        auto run = [&](auto kernel_function) {
          shim_launch(grid, {128, 1, 1}, 0, [&] {
            kernel_function(2, 11, 14, cin, s.oh, s.ow, cout, kernel, stride, s.top, s.left,
                            per_image, 3, x.data(), wt.data(), bias.data(),
                            residual_too ? residual.data() : nullptr, y.data(),
                            sums_too ? sums.data() : nullptr);
          });
          results[name].launches++;
        };
        BM == 64 ? run(conv_64) : run(conv_128);
        expect(name, "kernel " + std::to_string(kernel) + ", stride " + std::to_string(stride), y,
               want.y);
        if (sums_too) expect(name, "sums", sums, want.sums);
      }
}

static void test_conv_grouped() {
  struct {
    int cin, cout, groups;
  } kinds[] = {{12, 18, 3}, {7, 14, 7}, {16, 16, 2}, {5, 3, 1}};
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
        auto sums = reference_conv(
            s,
            [&](int n, int iy, int ix, int c) {
              return x[((n * 7 + iy) * 9 + ix) * cin_padded + c];
            },
            [&](int, int o, int tap, int c) { return wt[(o * 9 + tap) * inputs + c]; });
        std::vector<double> want(rows * cout_padded);
        for (int r = 0; r < rows; r++)
          for (int o = 0; o < cout; o++)
            want[r * cout_padded + o] = reference_act(sums[r * cout + o] + bias[o], 5) +
                                        (residual_too ? residual[r * cout_padded + o] : 0);
        dim3 grid = grid_of(over(i64(2) * s.oh * over(s.ow, 4) * cout_padded, 128));
        RUN(conv_grouped, grid, 128, 0, 2, 7, 9, cin_padded, s.oh, s.ow, cout_padded, 3, stride,
            s.top, s.left, groups, cin, cout, 5, x.data(), wt.data(), bias.data(),
            residual_too ? residual.data() : nullptr, y.data());
        expect("conv_grouped", std::to_string(groups) + " groups", y, want);
      }
}

// `kernel_size` and `stride` are passed on to depthwise_any alone.
template <typename Kernel> static void depthwise_case(const std::string &name, const Kernel &kernel,
                                                      const Sizes &s, int parts, bool sums_too,
                                                      bool own_weights) {
  int c = s.cin, taps = s.kernel * s.kernel, positions = s.oh * s.ow;
  Filled<T> x(s.n * s.h * s.w, c, c);
  Filled<float> wt(own_weights ? s.n * taps : taps, c, c), bias(1, c, c);
  Buffer<T> y(s.n * positions * c);
  Buffer<float> sums(sums_too ? s.n * parts * c : 0);
  Sizes each = s;
  each.groups = each.cout = c;
  i64 stride = own_weights ? taps * c : 0;
  auto want = reference_conv(
      each, [&](int n, int iy, int ix, int i) { return x[((n * s.h + iy) * s.w + ix) * c + i]; },
      [&](int n, int o, int tap, int) { return wt[n * stride + tap * c + o]; });
  std::vector<double> totals(s.n * c), got(s.n * c);
  for (size_t i = 0; i < want.size(); i++) {
    want[i] = reference_act(want[i] + bias[i % c], 3);
    totals[i / c / positions * c + i % c] += want[i];
  }
  dim3 grid = grid_of(over(c, 64), unsigned(parts), unsigned(s.n));
  shim_launch(grid, {128, 1, 1}, 0, [&] {
    kernel(s.n, s.h, s.w, c, s.oh, s.ow, s.top, s.left, 3, parts, x.data(), wt.data(), stride,
           bias.data(), y.data(), sums_too ? sums.data() : nullptr);
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
  CASE(3, 1)
  CASE(3, 2)
  CASE(5, 1) CASE(5, 2) CASE(7, 1) CASE(7, 2) CASE(9, 1) CASE(9, 2) CASE(11, 1) CASE(11, 2) struct {
    int size, stride;
  } others[] = {{3, 3}, {4, 1}, {6, 2}};
  for (auto [size, stride] : others) {
    auto any = [size = size, stride = stride](int n, int h, int w, int c, int oh, int ow,
                                              auto... rest) {
      depthwise_any(n, h, w, c, oh, ow, size, stride, rest...);
    };
    depthwise_kernel("depthwise_any", any, size, stride);
  }
}
