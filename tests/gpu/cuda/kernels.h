// The text of the kernels, as C++ for this machine, and their names.

#pragma once

#include "shim.h"

#include "../../../src/engine/gpu/cuda/kernels/common.cuh"
#include "../../../src/engine/gpu/cuda/kernels/product.cuh"
#include "../../../src/engine/gpu/cuda/kernels/pointwise.cuh"
#include "../../../src/engine/gpu/cuda/kernels/conv.cuh"
#include "../../../src/engine/gpu/cuda/kernels/stem.cuh"
#include "../../../src/engine/gpu/cuda/kernels/depthwise.cuh"
#include "../../../src/engine/gpu/cuda/kernels/vectors.cuh"
#include "../../../src/engine/gpu/cuda/kernels/context.cuh"
#include "../../../src/engine/gpu/cuda/kernels/attention.cuh"
#include "../../../src/engine/gpu/cuda/kernels/maps.cuh"
#include "../../../src/engine/gpu/cuda/kernels/norms.cuh"

// clang-format off
#define EACH_DEPTHWISE(X)                                                                          \
  X(depthwise_3_1) X(depthwise_3_2) X(depthwise_5_1) X(depthwise_5_2) X(depthwise_7_1)             \
  X(depthwise_7_2) X(depthwise_9_1) X(depthwise_9_2) X(depthwise_11_1) X(depthwise_11_2)

#define EACH_KERNEL(X)                                                                             \
  X(stem_pixels) X(stem_floats) X(pointwise_64) X(pointwise_128) X(conv_64) X(conv_128)            \
  X(conv_grouped) EACH_DEPTHWISE(X) X(depthwise_any) X(squeeze_excite) X(pool) X(pool_sums)        \
  X(dense) X(mix) X(mix_f32) X(attention) X(global_context) X(anti_alias_avg) X(anti_alias_blur)   \
  X(scale_shift) X(moments_groups) X(moments_positions) X(normalize) X(export_map)                 \
  X(export_vector)
// clang-format on
