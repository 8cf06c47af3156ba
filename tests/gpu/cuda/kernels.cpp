// The kernels against plain loops in f64. One program for each T:
//
//   g++ -O1 -std=c++17 -Wno-unknown-pragmas -DT_BF16 kernels.cpp -o kernels && ./kernels
//
// A result may differ from f64 by 1e-5 of the largest one; in a half also by the rounding of the
// value.

#include "convolutions.h"
#include "maps.h"
#include "vectors.h"

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
#define PRINT(name)                                                                                \
  if (!results[#name].launches) fail(#name " was not run");                                        \
  printf("%-18s %3d launches, at most %.3f of what is allowed\n", #name, results[#name].launches,  \
         results[#name].worst);
  EACH_KERNEL(PRINT)
}
