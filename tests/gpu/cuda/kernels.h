// The text of the kernels, as C++ for this machine, and their names.

#pragma once

#include "shim.h"

#ifndef KERNELS
#define KERNELS ../../../src/engine/gpu/cuda/kernels
#endif
#define SHIM_TEXT(path) #path
#define SHIM_PATH(folder, file) SHIM_TEXT(folder/file.cuh)
#define SHIM_FILE(folder, file) SHIM_PATH(folder, file)

#include SHIM_FILE(KERNELS, common)
#include SHIM_FILE(KERNELS, product)
#include SHIM_FILE(KERNELS, pointwise)
#include SHIM_FILE(KERNELS, conv)
#include SHIM_FILE(KERNELS, stem)
#include SHIM_FILE(KERNELS, depthwise)
#include SHIM_FILE(KERNELS, vectors)
#include SHIM_FILE(KERNELS, context)
#include SHIM_FILE(KERNELS, attention)
#include SHIM_FILE(KERNELS, maps)
#include SHIM_FILE(KERNELS, norms)

#define EACH_DEPTHWISE(X)                                                                              \
  X(depthwise_3_1) X(depthwise_3_2) X(depthwise_5_1) X(depthwise_5_2) X(depthwise_7_1)                 \
  X(depthwise_7_2) X(depthwise_9_1) X(depthwise_9_2) X(depthwise_11_1) X(depthwise_11_2)

#define EACH_KERNEL(X)                                                                                 \
  X(stem_pixels) X(stem_floats) X(pointwise_64) X(pointwise_128) X(conv_64) X(conv_128)                \
  X(conv_grouped) EACH_DEPTHWISE(X) X(depthwise_any) X(squeeze_excite) X(pool) X(pool_sums) X(dense)   \
  X(mix) X(mix_f32) X(attention) X(global_context) X(anti_alias_avg) X(anti_alias_blur)                \
  X(scale_shift) X(moments_groups) X(moments_positions) X(normalize) X(export_map) X(export_vector)
