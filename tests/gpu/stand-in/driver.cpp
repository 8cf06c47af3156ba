// A CUDA device in the host's memory: the functions of the driver and of NVRTC that cudarc calls.
//
// Streams are as late as the driver may have them: what is on one runs, in order, only when something waits
// for it, so that a wait that is missing shows as wrong results. Memory that comes from `cuMemAllocAsync` is NaN
// when its stream has come to it, and may be what was freed on that stream before. A stream that is captured
// takes launches only. Each thread has the context that it has set.
// A module is the text that NVRTC was given; its kernels are looked up, by
// name, in the shared library that the environment's EFFNET_KERNELS_F32, _F16 or _BF16 names (by the macro
// T_F32, T_F16 or T_BF16 among the options), and run there. Without such a library a launch only counts.
// Where EFFNET_STAND_IN_LOG names a file, the process's counts are appended to it at exit.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {
enum {
  SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_CONTEXT = 201, NOT_FOUND = 500,
  ILLEGAL_STATE = 401, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901
};

std::recursive_mutex lock;
std::map<std::string, unsigned long> counts;
std::set<void *> streams_used;
std::map<uintptr_t, size_t> blocks;
size_t in_use, peak;

struct Launch;
struct Stream {
  bool capturing = false, invalid = false;
  std::vector<Launch> captured;
  std::deque<std::function<void()>> queue;
  // How many were added to the queue, and how many have run.
  size_t added = 0, done = 0;
  // Blocks that were freed on it, by size.
  std::multimap<size_t, uintptr_t> freed;
};
struct Event { Stream *stream = nullptr; size_t at = 0; };
struct Module { std::string text; void *library; };
struct Function { std::string name; Module *module; };
struct Launch {
  Function *function;
  unsigned grid[3], block[3], shared;
  std::vector<std::vector<uint8_t>> args;
};
struct Graph { std::vector<Launch> launches; };
struct Program { std::string source, options, image; };

size_t memory() {
  const char *set = getenv("EFFNET_STAND_IN_MEMORY");
  return set ? strtoull(set, nullptr, 10) : size_t(8) << 30;
}

void report() {
  const char *path = getenv("EFFNET_STAND_IN_LOG");
  FILE *file = path ? fopen(path, "a") : nullptr;
  if (!file) return;
  for (auto &[name, count] : counts) fprintf(file, "%s %lu\n", name.c_str(), count);
  fprintf(file, "streams %zu\npeak_bytes %zu\n", streams_used.size(), peak);
  fclose(file);
}

void count(const std::string &what, unsigned long by = 1) {
  static bool registered = (atexit(report), true);
  (void)registered;
  counts[what] += by;
}

std::vector<Stream *> streams;
std::map<uintptr_t, size_t> pinned;
thread_local void *context;
// The first error of what has run late.
int late;

Stream *stream_of(void *handle) {
  static Stream own;
  if ((uintptr_t)handle > 2) return (Stream *)handle;
  if (streams.empty() || streams[0] != &own) streams.insert(streams.begin(), &own);
  return &own;
}

void run_until(Stream *stream, size_t at) {
  while (stream->done < at) {
    auto next = std::move(stream->queue.front());
    stream->queue.pop_front();
    stream->done++;
    next();
  }
}

int wait_for(Stream *stream) {
  run_until(stream, stream->added);
  return late;
}

void wait_for_all() {
  for (Stream *stream : std::vector<Stream *>(streams)) wait_for(stream);
}

// Puts work on a stream. Nothing but launches may be captured here.
int enqueue(void *handle, std::function<void()> work) {
  if (!context) return INVALID_CONTEXT;
  Stream *stream = stream_of(handle);
  if (stream->capturing) {
    stream->invalid = true;
    return CAPTURE_UNSUPPORTED;
  }
  streams_used.insert(handle);
  stream->queue.push_back(std::move(work));
  stream->added++;
  return SUCCESS;
}

bool is_pinned(const void *at) {
  auto block = pinned.upper_bound((uintptr_t)at);
  return block != pinned.begin() && (uintptr_t)at < (--block)->first + block->second;
}

void count_launch(const Launch &launch) {
  count("launches");
  count("kernel " + launch.function->name);
}

void run(const Launch &launch) {
  void *library = launch.function->module->library;
  if (!library) return;
  using Run = int (*)(const char *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
  static std::map<void *, Run> entries;
  auto &entry = entries[library];
  if (!entry) entry = (Run)dlsym(library, "effnet_launch");
  std::vector<void *> args;
  for (auto &arg : launch.args) args.push_back((void *)arg.data());
  const auto &g = launch.grid, &b = launch.block;
  if (entry(launch.function->name.c_str(), g[0], g[1], g[2], b[0], b[1], b[2], launch.shared, args.data())) late = NOT_FOUND;
}
}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) int
#define GUARD std::lock_guard<std::recursive_mutex> guard(lock)

EXPORT cuInit(unsigned) { return getenv("EFFNET_STAND_IN_NO_DEVICE") ? NO_DEVICE : SUCCESS; }
EXPORT cuDriverGetVersion(int *version) {
  const char *set = getenv("EFFNET_STAND_IN_DRIVER");
  *version = set ? atoi(set) : 13000;
  return SUCCESS;
}
EXPORT cuGetErrorName(int error, const char **text) {
  static const std::map<int, const char *> names = {{OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
                                                    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}};
  auto at = names.find(error);
  *text = at == names.end() ? "CUDA_ERROR_UNKNOWN" : at->second;
  return SUCCESS;
}
EXPORT cuGetErrorString(int, const char **text) { *text = "of the stand-in"; return SUCCESS; }

EXPORT cuDeviceGetCount(int *n) { *n = 1; return SUCCESS; }
EXPORT cuDeviceGet(int *device, int at) { *device = at; return at == 0 ? SUCCESS : 101; }
EXPORT cuDeviceGetName(char *name, int length, int) { snprintf(name, length, "stand-in"); return SUCCESS; }
EXPORT cuDeviceTotalMem_v2(size_t *bytes, int) { *bytes = memory(); return SUCCESS; }
EXPORT cuDeviceGetUuid_v2(char *uuid, int) { memset(uuid, 0, 16); return SUCCESS; }
EXPORT cuDeviceGetAttribute(int *value, int attribute, int) {
  const char *set = getenv("EFFNET_STAND_IN_CAPABILITY");
  int capability = set ? atoi(set) : 90;
  switch (attribute) {
    case 75: *value = capability / 10; break;
    case 76: *value = capability % 10; break;
    case 16: *value = 132; break;                        // multiprocessors
    case 115: *value = 1; break;                         // memory pools
    default: *value = 0;
  }
  return SUCCESS;
}

EXPORT cuDevicePrimaryCtxRetain(void **context, int) { *context = &lock; return SUCCESS; }
EXPORT cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
EXPORT cuCtxSetCurrent(void *current) { context = current; return SUCCESS; }
EXPORT cuCtxGetCurrent(void **current) { *current = context; return SUCCESS; }
EXPORT cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
EXPORT cuCtxSynchronize() { GUARD; wait_for_all(); return late; }
EXPORT cuCtxSynchronize_v2(void *) { return cuCtxSynchronize(); }

EXPORT cuStreamCreate(void **stream, unsigned) { GUARD; streams.push_back(new Stream); *stream = streams.back(); return SUCCESS; }
EXPORT cuStreamCreateWithPriority(void **stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
EXPORT cuStreamDestroy_v2(void *stream) { GUARD; return wait_for(stream_of(stream)); }
EXPORT cuStreamSynchronize(void *stream) {
  GUARD;
  count("synchronizations");
  Stream *own = stream_of(stream);
  if (own->capturing) { own->invalid = true; return CAPTURE_UNSUPPORTED; }
  return wait_for(own);
}
EXPORT cuStreamWaitEvent(void *stream, void *event, unsigned) {
  GUARD;
  Event until = *(Event *)event;
  if (!until.stream) return SUCCESS;
  return enqueue(stream, [until] { run_until(until.stream, until.at); });
}
EXPORT cuEventCreate(void **event, unsigned) { if (!context) return INVALID_CONTEXT; *event = new Event; return SUCCESS; }
EXPORT cuEventDestroy_v2(void *event) { delete (Event *)event; return SUCCESS; }
EXPORT cuEventRecord(void *event, void *stream) {
  GUARD;
  if (int error = enqueue(stream, [] {})) return error;
  Stream *own = stream_of(stream);
  *(Event *)event = {own, own->added};
  return SUCCESS;
}
EXPORT cuEventSynchronize(void *event) { GUARD; Event *own = (Event *)event; if (own->stream) run_until(own->stream, own->at); return late; }
EXPORT cuEventQuery(void *event) { return cuEventSynchronize(event); }
EXPORT cuEventElapsedTime_v2(float *ms, void *, void *) { *ms = 0.001f; return SUCCESS; }
EXPORT cuEventElapsedTime(float *ms, void *, void *) { *ms = 0.001f; return SUCCESS; }

EXPORT cuMemAllocAsync(uintptr_t *at, size_t bytes, void *stream) {
  GUARD;
  if (bytes == 0) return INVALID_VALUE;
  if (in_use + bytes > memory()) return OUT_OF_MEMORY;
  size_t size = (bytes + 255) / 256 * 256;
  auto &freed = stream_of(stream)->freed;
  auto known = freed.find(size);
  void *block = known == freed.end() ? aligned_alloc(256, size) : (void *)known->second;
  if (!block) return OUT_OF_MEMORY;
  // What a kernel reads before anything is written shows as NaN.
  if (int error = enqueue(stream, [=] { memset(block, 0xff, bytes); })) return error;
  if (known != freed.end()) freed.erase(known);
  *at = (uintptr_t)block;
  blocks[*at] = bytes;
  in_use += bytes;
  if (in_use > peak) peak = in_use;
  count("allocations");
  return SUCCESS;
}
EXPORT cuMemAlloc_v2(uintptr_t *at, size_t bytes) { GUARD; int error = cuMemAllocAsync(at, bytes, nullptr); wait_for_all(); return error; }
EXPORT cuMemFreeAsync(uintptr_t at, void *stream) {
  GUARD;
  auto block = blocks.find(at);
  Stream *own = stream_of(stream);
  if (own->capturing) { own->invalid = true; return CAPTURE_UNSUPPORTED; }
  if (block == blocks.end()) return INVALID_VALUE;
  in_use -= block->second;
  own->freed.emplace((block->second + 255) / 256 * 256, at);
  blocks.erase(block);
  return SUCCESS;
}
EXPORT cuMemFree_v2(uintptr_t at) { GUARD; wait_for_all(); return cuMemFreeAsync(at, nullptr); }
EXPORT cuMemGetInfo_v2(size_t *left, size_t *total) { GUARD; *total = memory(); *left = memory() - in_use; return SUCCESS; }
EXPORT cuMemHostAlloc(void **at, size_t bytes, unsigned) {
  GUARD;
  if (!context) return INVALID_CONTEXT;
  *at = malloc(bytes);
  if (*at) pinned[(uintptr_t)*at] = bytes;
  return *at ? SUCCESS : OUT_OF_MEMORY;
}
// It is kept, as a copy from it that is late must find something else in it.
EXPORT cuMemFreeHost(void *at) { GUARD; memset(at, 0xff, pinned[(uintptr_t)at]); return SUCCESS; }
EXPORT cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t bytes, void *stream) {
  GUARD;
  count("uploads");
  count("uploaded_bytes", bytes);
  if (is_pinned(from)) return enqueue(stream, [=] { memcpy((void *)to, from, bytes); });
  // What is not pinned is read at once.
  std::vector<uint8_t> read((const uint8_t *)from, (const uint8_t *)from + bytes);
  return enqueue(stream, [to, read] { memcpy((void *)to, read.data(), read.size()); });
}
EXPORT cuMemcpyHtoD_v2(uintptr_t to, const void *from, size_t bytes) { GUARD; int error = cuMemcpyHtoDAsync_v2(to, from, bytes, nullptr); wait_for_all(); return error; }
EXPORT cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t bytes, void *stream) {
  GUARD;
  count("downloads");
  int error = enqueue(stream, [=] { memcpy(to, (void *)from, bytes); });
  // What is not pinned is written before the return.
  return error || is_pinned(to) ? error : wait_for(stream_of(stream));
}
EXPORT cuMemcpyDtoH_v2(void *to, uintptr_t from, size_t bytes) { GUARD; int error = cuMemcpyDtoHAsync_v2(to, from, bytes, nullptr); wait_for_all(); return error; }
EXPORT cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t bytes, void *stream) {
  GUARD;
  count("copies");
  return enqueue(stream, [=] { memmove((void *)to, (void *)from, bytes); });
}
EXPORT cuMemsetD8Async(uintptr_t to, unsigned char value, size_t n, void *stream) { GUARD; return enqueue(stream, [=] { memset((void *)to, value, n); }); }
EXPORT cuMemsetD8_v2(uintptr_t to, unsigned char value, size_t n) { GUARD; int error = cuMemsetD8Async(to, value, n, nullptr); wait_for_all(); return error; }

EXPORT cuModuleLoadData(void **module, const void *image) {
  GUARD;
  if (!context) return INVALID_CONTEXT;
  std::string text = (const char *)image;
  void *library = nullptr;
  for (const char *name : {"F32", "F16", "BF16"}) {
    const char *path = getenv((std::string("EFFNET_KERNELS_") + name).c_str());
    bool is_meant = text.find(std::string("--define-macro=T_") + name + "\n") != std::string::npos;
    if (path && is_meant && !(library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) { fprintf(stderr, "%s\n", dlerror()); return NOT_FOUND; }
  }
  count("modules");
  *module = new Module{text, library};
  return SUCCESS;
}
EXPORT cuModuleUnload(void *) { return SUCCESS; }
EXPORT cuModuleGetFunction(void **function, void *module, const char *name) { if (!context) return INVALID_CONTEXT; *function = new Function{name, (Module *)module}; return SUCCESS; }
EXPORT cuFuncGetAttribute(int *value, int, void *) { *value = 0; return SUCCESS; }
EXPORT cuFuncSetAttribute(void *, int, int) { return SUCCESS; }

// How many bytes an argument has, the driver knows from the module. Here eight are kept, which are enough for
// any scalar or pointer, and lie within the caller's frame.
EXPORT cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                      void *stream, void **args, void **) {
  GUARD;
  if (!context) return INVALID_CONTEXT;
  streams_used.insert(stream);
  auto *f = (Function *)function;
  if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || shared > 48 * 1024) return INVALID_VALUE;
  Launch launch{f, {gx, gy, gz}, {bx, by, bz}, shared, {}};
  using Count = int (*)(const char *);
  auto arguments = f->module->library ? (Count)dlsym(f->module->library, "effnet_arguments") : nullptr;
  int n = arguments ? arguments(f->name.c_str()) : 0;
  for (int i = 0; i < n; i++) launch.args.emplace_back((uint8_t *)args[i], (uint8_t *)args[i] + 8);
  Stream *on = stream_of(stream);
  if (on->capturing) {
    on->captured.push_back(launch);
    return SUCCESS;
  }
  count_launch(launch);
  return enqueue(stream, [launch] { run(launch); });
}

EXPORT cuStreamBeginCapture_v2(void *stream, int) {
  GUARD;
  Stream *on = stream_of(stream);
  if (!context) return INVALID_CONTEXT;
  if (on->capturing) return ILLEGAL_STATE;
  on->capturing = true, on->invalid = false;
  on->captured.clear();
  return SUCCESS;
}
EXPORT cuStreamEndCapture(void *stream, void **graph) {
  GUARD;
  Stream *on = stream_of(stream);
  if (!on->capturing) return ILLEGAL_STATE;
  on->capturing = false;
  *graph = on->invalid ? nullptr : new Graph{on->captured};
  return on->invalid ? CAPTURE_INVALIDATED : SUCCESS;
}
EXPORT cuStreamIsCapturing(void *stream, int *status) { GUARD; Stream *on = stream_of(stream); *status = on->capturing; return SUCCESS; }
EXPORT cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) { *exec = new Graph(*(Graph *)graph); return SUCCESS; }
EXPORT cuGraphUpload(void *, void *) { return SUCCESS; }
EXPORT cuGraphLaunch(void *exec, void *stream) {
  GUARD;
  count("graph launches");
  auto launches = ((Graph *)exec)->launches;
  for (auto &launch : launches) count_launch(launch);
  return enqueue(stream, [launches] { for (auto &launch : launches) run(launch); });
}
EXPORT cuGraphExecDestroy(void *exec) { delete (Graph *)exec; return SUCCESS; }
EXPORT cuGraphDestroy(void *graph) { delete (Graph *)graph; return SUCCESS; }

EXPORT nvrtcVersion(int *major, int *minor) { *major = 13; *minor = 0; return SUCCESS; }
EXPORT nvrtcGetNumSupportedArchs(int *n) { *n = 2; return SUCCESS; }
EXPORT nvrtcGetSupportedArchs(int *known) { known[0] = 75; known[1] = 90; return SUCCESS; }
EXPORT nvrtcCreateProgram(void **program, const char *source, const char *, int, const char *const *, const char *const *) { *program = new Program{source, "", ""}; return SUCCESS; }
EXPORT nvrtcCompileProgram(void *program, int n, const char *const *options) {
  auto *p = (Program *)program;
  for (int i = 0; i < n; i++) p->options += std::string(options[i]) + "\n";
  p->image = p->options + p->source;
  return SUCCESS;
}
EXPORT nvrtcGetCUBINSize(void *program, size_t *size) { *size = ((Program *)program)->image.size() + 1; return SUCCESS; }
EXPORT nvrtcGetCUBIN(void *program, char *image) { auto &text = ((Program *)program)->image; memcpy(image, text.c_str(), text.size() + 1); return SUCCESS; }
EXPORT nvrtcGetPTXSize(void *program, size_t *size) { return nvrtcGetCUBINSize(program, size); }
EXPORT nvrtcGetPTX(void *program, char *image) { return nvrtcGetCUBIN(program, image); }
EXPORT nvrtcDestroyProgram(void **program) { delete *(Program **)program; return SUCCESS; }
EXPORT nvrtcGetProgramLogSize(void *, size_t *size) { *size = 1; return SUCCESS; }
EXPORT nvrtcGetProgramLog(void *, char *log) { *log = 0; return SUCCESS; }

EXPORT cublasCreate_v2(void **handle) { *handle = malloc(1); return SUCCESS; }
EXPORT cublasDestroy_v2(void *) { return SUCCESS; }
EXPORT cublasSetStream_v2(void *, void *stream) { streams_used.insert(stream); return SUCCESS; }
EXPORT cublasGemmStridedBatchedEx() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasGemmEx() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasSgemm_v2() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasSetMathMode() { return SUCCESS; }
EXPORT curandCreateGenerator(void **generator, int) { *generator = malloc(1); return SUCCESS; }
EXPORT curandDestroyGenerator(void *) { return SUCCESS; }
EXPORT curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return SUCCESS; }
EXPORT curandSetStream(void *, void *) { return SUCCESS; }
