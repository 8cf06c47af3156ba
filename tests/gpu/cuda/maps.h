// Maps to maps, norms, and what leaves.

#pragma once

#include "check.h"

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
              if (iy >= 0 && iy < h && ix >= 0 && ix < w)
                want[at] += weight * x[((n * h + iy) * w + ix) * 24 + c];
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
  RUN(scale_shift, grid_of(over(50 * 5, 128)), 128, 0, 50, 40, scale.data(), shift.data(), x.data(),
      shifted.data());
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
      RUN(moments_positions, grid_of(over(n * hw, 4)), 128, 0, n * hw, c, c_real, eps, maps.data(),
          stats.data());
    }
    expect(group ? "moments_groups" : "moments_positions", std::to_string(group), stats, moments);
    for (bool gated : {false, true}) {
      Buffer<T> out(n * hw * c);
      for (int i = 0; i < n * hw * c; i++) {
        if (i % c >= c_real) continue;
        const double *of_i = &moments[(group ? i / c / hw * groups + i % c / group : i / c) * 2];
        double over = gated ? maps[i] / (1 + exp(-maps[i] * v[i % c])) : maps[i] - of_i[0];
        y[i] = reference_act(over * of_i[1] * scale[i % c] + shift[i % c], 3) +
               (gated ? 0 : residual[i]);
      }
      RUN(normalize, grid_of(over(n * hw * c / 8, 128)), 128, 0, n, hw, c, c_real, group, groups, 3,
          maps.data(), stats.data(), scale.data(), shift.data(), gated ? v.data() : nullptr,
          gated ? nullptr : residual.data(), out.data());
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
      for (size_t i = 0; i < want.size(); i++)
        want[i] = x[(i / hw / c_real * hw + i % hw) * c + i / hw % c_real];
      for (size_t i = 0; i < plain.size(); i++) plain[i] = vector[i / c_real * c + i % c_real];
      dim3 grid = grid_of(over(hw, 32), over(c_real, 32), 2);
      RUN(export_map, grid, 256, 0, 2, hw, c, c_real, x.data(), y.data());
      expect("export_map", std::to_string(hw), y, want, 0);
      RUN(export_vector, grid_of(over(2 * c_real, 128)), 128, 0, 2, c, c_real, vector.data(),
          z.data());
      expect("export_vector", std::to_string(c_real), z, plain, 0);
    }
}
