// A shared library that runs the kernels on host memory, for the tests of the plan that launches
// them:
//
//   g++ -O2 -std=c++17 -shared -fPIC -Wno-unknown-pragmas -DT_BF16 launch.cpp -o libkernels_bf16.so
//
// All state is a thread's own: several threads may launch at a time.

#define SHIM_THREADS
#include "kernels.h"

#include <utility>

template <typename... A, size_t... I>
static void call(void (*kernel)(A...), void **args, std::index_sequence<I...>) {
  kernel(*(A *)args[I]...);
}

template <typename... A> static void call(void (*kernel)(A...), void **args) {
  call(kernel, args, std::index_sequence_for<A...>());
}

// Runs a kernel with arguments as cuLaunchKernel has them: a pointer to each. 0, or 1 for an
// unknown name.
extern "C" int effnet_launch(const char *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx,
                             unsigned by, unsigned bz, unsigned shared_bytes, void **args) {
#define LAUNCH(name)                                                                               \
  if (!strcmp(kernel, #name)) {                                                                    \
    shim_launch({gx, gy, gz}, {bx, by, bz}, shared_bytes, [=] { call(name, args); });              \
    return 0;                                                                                      \
  }
  EACH_KERNEL(LAUNCH)
  return 1;
}

// How many arguments a kernel takes; -1 for an unknown name.
template <typename... A> static int arguments(void (*)(A...)) { return sizeof...(A); }

extern "C" int effnet_arguments(const char *kernel) {
#define COUNT(name)                                                                                    \
  if (!strcmp(kernel, #name)) return arguments(name);
  EACH_KERNEL(COUNT)
  return -1;
}

// The kernels' names, a line each.
extern "C" const char *effnet_kernels() {
#define LINE(name) #name "\n"
  return EACH_KERNEL(LINE);
}
