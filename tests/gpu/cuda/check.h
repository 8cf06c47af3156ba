// What the tests of the kernels are made of: buffers with canaries, values, comparisons,
// activations.

#pragma once

#include "kernels.h"

#include <algorithm>
#include <map>
#include <string>

// Half of the last place of T, relative to the value, and the half of its least value.
#if defined(T_F32)
static const double ROUNDING = 0x1p-24, LEAST = 0;
#elif defined(T_F16)
static const double ROUNDING = 0x1p-11, LEAST = 0x1p-25;
#else
static const double ROUNDING = 0x1p-8, LEAST = 0;
#endif

static inline double value(float v) { return v; }
#ifndef T_F32
static inline double value(T v) { return up(v); }
#endif

// To the nearest T.
static inline double rounded(double v) { return up(down((float)v)); }

// Numbers in [-1, 1], the same on every run.
static inline double random_number() {
  static u32 state = 1;
  state = state * 1664525u + 1013904223u;
  return (state >> 8) / 8388608.0 - 1;
}

static inline void fail(const std::string &why) {
  fprintf(stderr, "%s\n", why.c_str());
  exit(1);
}

// Elements between canaries; what no kernel writes is not a number. AddressSanitizer watches the
// ends itself.
template <typename E> class Buffer {
#if defined(__SANITIZE_ADDRESS__)
  static constexpr size_t GUARD = 0;
#else
  static constexpr size_t GUARD = 256;
#endif
  u8 *memory;

public:
  size_t size;

  explicit Buffer(size_t size) : size(size) {
    memory = (u8 *)malloc(size * sizeof(E) + 2 * GUARD);
    memset(memory, 0xa5, GUARD);
    memset(memory + GUARD, 0xff, size * sizeof(E));
    memset(memory + GUARD + size * sizeof(E), 0xa5, GUARD);
  }
  Buffer(const Buffer &) = delete;
  ~Buffer() {
    for (size_t i = 0; i < GUARD; i++)
      if (memory[i] != 0xa5 || memory[GUARD + size * sizeof(E) + i] != 0xa5) fail("a canary died");
    free(memory);
  }

  E *data() const { return (E *)(memory + GUARD); }
  double operator[](size_t i) const { return value(data()[i]); }
  void set(size_t i, double v) {
    if constexpr (sizeof(E) == sizeof(T))
      data()[i] = (E)down((float)v);
    else
      data()[i] = (E)v;
  }
};

// Random values of rows of `c`, whose channels from `real` on are zero.
template <typename E> struct Filled : Buffer<E> {
  Filled(size_t rows, size_t c, size_t real, double scale = 1) : Buffer<E>(rows * c) {
    for (size_t i = 0; i < rows * c; i++) this->set(i, i % c < real ? random_number() * scale : 0);
  }
};

// The worst difference of each kernel over what is allowed.
struct Result {
  int launches = 0;
  double worst = 0;
};
static std::map<std::string, Result> results;

// Holds `got` against `want`: within `f32`, relative to the largest value wanted, of the sums, and
// where it is of T within the rounding of such a value.
template <typename E> static void expect(const std::string &kernel, const std::string &what,
                                         const Buffer<E> &got, const std::vector<double> &want,
                                         double f32 = 1e-5) {
  if (got.size != want.size()) fail(kernel + ": a size");
  double most = 0;
  for (double v : want) most = std::max(most, fabs(v));
  double sums = f32 * most;
  bool halves = sizeof(E) == 2;
  Result &result = results[kernel];
  for (size_t i = 0; i < want.size(); i++) {
    double allowed = sums + (halves ? ROUNDING * (fabs(want[i]) + sums) + LEAST : 0);
    double error = fabs(got[i] - want[i]);
    if (!(error <= allowed))
      fail(kernel + ", " + what + ": element " + std::to_string(i) + " is " +
           std::to_string(got[i]) + ", not " + std::to_string(want[i]));
    if (allowed > 0) result.worst = std::max(result.worst, error / allowed);
  }
}

static inline unsigned over(i64 a, i64 b) { return (unsigned)((a + b - 1) / b); }

static inline dim3 grid_of(unsigned x, unsigned y = 1, unsigned z = 1) { return {x, y, z}; }

#define RUN(name, grid, threads, shared, ...)                                                      \
  do {                                                                                             \
    dim3 g = grid;                                                                                 \
    shim_launch(g, {threads, 1, 1}, (unsigned)(shared), [&] { name(__VA_ARGS__); });               \
    results[#name].launches++;                                                                     \
  } while (0)

static inline double reference_act(double v, int act) {
  double six = std::min(std::max(v + 3, 0.0), 6.0) / 6;
  switch (act) {
  case 1: return std::max(v, 0.0);
  case 2: return std::min(std::max(v, 0.0), 6.0);
  case 3: return v / (1 + exp(-v));
  case 4: return v * six;
  case 5: return six;
  case 6: return 1 / (1 + exp(-v));
  case 7: return v * 0.5 * (1 + erf(v / sqrt(2.0)));
  case 8: return v * tanh(log1p(exp(v)));
  }
  return v;
}

// A convolution's sizes; padding of "same" where `same`, else symmetric.
struct Sizes {
  int n, h, w, cin, cout, kernel, stride, groups, oh, ow, top, left;
  Sizes(int n, int h, int w, int cin, int cout, int kernel, int stride, bool same, int groups = 1)
      : n(n), h(h), w(w), cin(cin), cout(cout), kernel(kernel), stride(stride), groups(groups) {
    auto side = [&](int in, int &out, int &before) {
      int symmetric = (stride + kernel - 2) / 2;
      out = same ? (in + stride - 1) / stride : (in + 2 * symmetric - kernel) / stride + 1;
      before = same ? std::max((out - 1) * stride + kernel - in, 0) / 2 : symmetric;
    };
    side(h, oh, top), side(w, ow, left);
  }
};

// Sums of a convolution in plain loops. `x(image, y, x, c)`, `wt(image, out, tap, c of the group)`.
template <typename X, typename W>
static std::vector<double> reference_conv(const Sizes &s, const X &x, const W &wt) {
  std::vector<double> y;
  int inputs = s.cin / s.groups, outputs = s.cout / s.groups;
  for (int n = 0; n < s.n; n++)
    for (int oy = 0; oy < s.oh; oy++)
      for (int ox = 0; ox < s.ow; ox++)
        for (int o = 0; o < s.cout; o++) {
          double sum = 0;
          for (int tap = 0; tap < s.kernel * s.kernel; tap++) {
            int iy = oy * s.stride + tap / s.kernel - s.top,
                ix = ox * s.stride + tap % s.kernel - s.left;
            if (iy < 0 || iy >= s.h || ix < 0 || ix >= s.w) continue;
            for (int c = 0; c < inputs; c++)
              sum += x(n, iy, ix, o / outputs * inputs + c) * wt(n, o, tap, c);
          }
          y.push_back(sum);
        }
  return y;
}
