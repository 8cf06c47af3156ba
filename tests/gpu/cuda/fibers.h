// A grid of threads on one thread of the host: a block's threads are fibers, block after block.
//
// A fiber runs until it waits for others; then the next one that can run does. Where none can, a
// barrier was left out by some: the program ends with a message.

#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sys/mman.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
// What moves data between fibers is no access of theirs.
#define UNSEEN __attribute__((no_sanitize("thread"), noinline))
#else
#define UNSEEN
#endif

struct dim3 {
  unsigned x, y, z;
};

static constexpr unsigned MOST_THREADS = 512;
static constexpr size_t STACK = 256 << 10;

// Saves what a call may not change, and its stack, at `*from`; goes on with the stack `to`.
extern "C" void shim_switch(void **from, void *to);
#if defined(__x86_64__)
asm(R"(
.text
.hidden shim_switch
.weak shim_switch
shim_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");
// A stack that enters `entry` when it is switched to.
static void *shim_prepare(char *stack, void (*entry)()) {
  void **top = (void **)(stack + STACK) - 2;
  top[0] = (void *)entry; // where `ret` goes; above it, nothing to return to
  top[1] = nullptr;
  memset(top - 6, 0, 6 * sizeof(void *));
  return top - 6;
}
#elif defined(__aarch64__)
asm(R"(
.text
.hidden shim_switch
.weak shim_switch
shim_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
static void *shim_prepare(char *stack, void (*entry)()) {
  void **top = (void **)(stack + STACK) - 20;
  memset(top, 0, 20 * sizeof(void *));
  top[11] = (void *)entry; // x30, where `ret` goes
  return top;
}
#else
#error "the shim has a switch of stacks for x86_64 and aarch64"
#endif

struct Copy {
  void *to;
  const void *from;
  bool inside;
};

enum Wait { NOTHING, WARP, BLOCK, DONE };

struct Fiber {
  void *stack; // where it goes on
  char *memory;
  Wait wait;
  dim3 index;
  // Copies not yet made, and how many of them each group that has ended has.
  std::vector<Copy> copies;
  std::vector<size_t> groups;
  // Where the sanitizers keep theirs.
  void *fake, *tsan;
  // What a warp's lanes exchange; of two slots, as a fast lane may be one operation ahead.
  uint32_t given[2][6], got[2][4];
  unsigned turn;
  unsigned barriers; // how many it has come to
};

// Without a constructor, so that a thread's own is found by its address alone.
struct Block {
  dim3 grid, block, index;
  Fiber *fibers;
  unsigned threads, current, at_barrier, in_warp[MOST_THREADS / 32];
  const std::function<void()> *kernel;
  float *dynamic; // shared memory whose size the launch gives
  // The host's.
  void *stack, *fake, *tsan;
  const void *host_stack;
  size_t host_size;
  // What ThreadSanitizer orders by. Of two barriers, as a fast thread may have come to the next
  // before a slow one has left the last.
  char start, barriers[2], end;
};

static thread_local Block shim;

// Fibers last as long as the host's thread.
struct Fibers {
  Fibers() {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    char *stacks =
        (char *)mmap(nullptr, MOST_THREADS * STACK, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (stacks == MAP_FAILED) perror("stacks"), abort();
    shim.fibers = new Fiber[MOST_THREADS]();
    for (unsigned i = 0; i < MOST_THREADS; i++) {
      shim.fibers[i].memory = stacks + i * STACK;
#if defined(__SANITIZE_THREAD__)
      shim.fibers[i].tsan = __tsan_create_fiber(0);
#endif
    }
  }

  ~Fibers() {
#if defined(__SANITIZE_THREAD__)
    for (unsigned i = 0; i < MOST_THREADS; i++) __tsan_destroy_fiber(shim.fibers[i].tsan);
#endif
    munmap(shim.fibers[0].memory, MOST_THREADS * STACK);
    delete[] shim.fibers;
  }
};

UNSEEN static dim3 shim_thread() { return shim.fibers[shim.current].index; }

// Goes on with another fiber, or with the host where `to` is `threads`.
UNSEEN static void shim_go(unsigned to) {
  Fiber &own = shim.fibers[shim.current];
  [[maybe_unused]] bool host = to == shim.threads, last = own.wait == DONE;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(last ? nullptr : &own.fake,
                                 host ? shim.host_stack : shim.fibers[to].memory,
                                 host ? shim.host_size : STACK);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_switch_to_fiber(host ? shim.tsan : shim.fibers[to].tsan, __tsan_switch_to_fiber_no_sync);
#endif
  if (!host) shim.current = to;
  shim_switch(&own.stack, host ? shim.stack : shim.fibers[to].stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(own.fake, nullptr, nullptr);
#endif
}

// Goes on with the next fiber that can run.
UNSEEN static void shim_next() {
  unsigned threads = shim.threads, to = shim.current, done = 0;
  for (unsigned i = 0; i < threads; i++) {
    to = to + 1 == threads ? 0 : to + 1;
    if (shim.fibers[to].wait == NOTHING) return to == shim.current ? void() : shim_go(to);
    done += shim.fibers[to].wait == DONE;
  }
  if (done == threads) return shim_go(threads);
  fprintf(stderr, "block %u %u %u: threads wait for others that never come\n", shim.index.x,
          shim.index.y, shim.index.z);
  abort();
}

UNSEEN static void shim_barrier() {
  shim.fibers[shim.current].wait = BLOCK;
  if (++shim.at_barrier == shim.threads) {
    shim.at_barrier = 0;
    for (unsigned i = 0; i < shim.threads; i++) shim.fibers[i].wait = NOTHING;
  }
  shim_next();
}

// Waits for the warp's lanes; the last to come runs `all` for them.
template <typename All> UNSEEN static void shim_warp(const All &all) {
  unsigned warp = shim.current / 32, first = warp * 32;
  shim.fibers[shim.current].wait = WARP;
  if (++shim.in_warp[warp] == 32) {
    shim.in_warp[warp] = 0;
    all(shim.fibers + first);
    for (unsigned i = first; i < first + 32; i++) shim.fibers[i].wait = NOTHING;
    return;
  }
  // The warp's next lanes come first: they are what is waited for.
  for (unsigned i = first; i < first + 32; i++)
    if (shim.fibers[i].wait == NOTHING) return shim_go(i);
  shim_next();
}

UNSEEN static void shim_entry() {
#if defined(__SANITIZE_ADDRESS__)
  // The first fiber comes from the host, whose stack it remembers.
  bool first = shim.current == 0;
  __sanitizer_finish_switch_fiber(nullptr, first ? &shim.host_stack : nullptr,
                                  first ? &shim.host_size : nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&shim.start);
#endif
  (*shim.kernel)();
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&shim.end);
#endif
  shim.fibers[shim.current].wait = DONE;
  shim_next();
  abort();
}

UNSEEN static void shim_block(unsigned shared_bytes) {
  for (unsigned i = 0; i < shim.threads; i++) {
    Fiber &fiber = shim.fibers[i];
    fiber.stack = shim_prepare(fiber.memory, shim_entry);
    fiber.wait = NOTHING, fiber.barriers = 0;
    fiber.copies.clear(), fiber.groups.clear();
    unsigned x = shim.block.x, y = shim.block.y;
    fiber.index = {i % x, i / x % y, i / x / y};
  }
  for (unsigned i = 0; i < shared_bytes / 4; i++) shim.dynamic[i] = NAN;
  shim.current = 0, shim.at_barrier = 0;
  memset(shim.in_warp, 0, sizeof shim.in_warp);
#if defined(__SANITIZE_THREAD__)
  __tsan_release(&shim.start);
  shim.tsan = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(shim.fibers[0].tsan, __tsan_switch_to_fiber_no_sync);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&shim.fake, shim.fibers[0].memory, STACK);
#endif
  shim_switch(&shim.stack, shim.fibers[0].stack);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(shim.fake, nullptr, nullptr);
#endif
#if defined(__SANITIZE_THREAD__)
  __tsan_acquire(&shim.end);
#endif
}

// Runs `kernel` for every thread of the grid, block after block.
UNSEEN static void shim_launch(dim3 grid, dim3 block, unsigned shared_bytes,
                               const std::function<void()> &kernel) {
  shim.grid = grid, shim.block = block, shim.kernel = &kernel;
  shim.threads = block.x * block.y * block.z;
  if (shim.threads == 0 || shim.threads > MOST_THREADS || shim.threads % 32)
    fprintf(stderr, "no block of %u threads\n", shim.threads), abort();
  static thread_local Fibers fibers;
  (void)fibers;
  shim.dynamic = (float *)malloc(shared_bytes);
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        shim.index = {x, y, z};
        shim_block(shared_bytes);
      }
  free(shim.dynamic);
}
