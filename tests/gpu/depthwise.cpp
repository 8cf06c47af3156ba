// The depthwise convolution that Candle's engine runs on CUDA and Metal, on the CPU, as a library.
#include <cstddef>

#define GLOBAL
#define FUNCTION static inline
#define LOAD(x) (x)
#define STORE(x) (x)
typedef float T;
#include "../../src/models/layers/depthwise/body.h"

extern "C" void depthwise(const Sizes *sizes, const float *xs, const float *weight, float *ys) {
  // As a grid has them: more threads than elements.
  for (unsigned at = 0; at < sizes->count + 100; at++) depthwise_at(at, *sizes, xs, weight, ys);
}
