// A CUDA device in the host's memory: the functions of the driver and of NVRTC that cudarc calls.
//
// Streams run at once and in order. A module is the text that NVRTC was given; its kernels are looked up, by
// name, in the shared library that the environment's EFFNET_KERNELS_F32, _F16 or _BF16 names (by the macro
// T_F32, T_F16 or T_BF16 among the options), and run there. Without such a library a launch only counts.
// Where EFFNET_STAND_IN_LOG names a file, the process's counts are appended to it at exit.
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace {
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_HANDLE = 400, NOT_FOUND = 500 };

std::recursive_mutex lock;
std::map<std::string, unsigned long> counts;
std::set<void *> streams_used;
std::map<uintptr_t, size_t> blocks;
size_t in_use, peak;

struct Stream { int id; bool capturing; std::vector<struct Launch> captured; };
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

// Copies take part in a capture only between device buffers, which effnet does not capture.
void touch(void *stream) { streams_used.insert(stream); }

int run(const Launch &launch) {
  count("launches");
  count("kernel " + launch.function->name);
  if (!launch.function->module->library) return SUCCESS;
  using Run = int (*)(const char *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
  static std::map<void *, Run> entries;
  auto &entry = entries[launch.function->module->library];
  if (!entry) entry = (Run)dlsym(launch.function->module->library, "effnet_launch");
  std::vector<void *> args;
  for (auto &arg : launch.args) args.push_back((void *)arg.data());
  const auto &g = launch.grid, &b = launch.block;
  return entry(launch.function->name.c_str(), g[0], g[1], g[2], b[0], b[1], b[2], launch.shared, args.data())
             ? NOT_FOUND : SUCCESS;
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
EXPORT cuCtxSetCurrent(void *) { return SUCCESS; }
EXPORT cuCtxGetCurrent(void **context) { *context = &lock; return SUCCESS; }
EXPORT cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
EXPORT cuCtxSynchronize() { return SUCCESS; }
EXPORT cuCtxSynchronize_v2(void *) { return SUCCESS; }

EXPORT cuStreamCreate(void **stream, unsigned) { GUARD; *stream = new Stream{int(counts["streams made"]++), false, {}}; return SUCCESS; }
EXPORT cuStreamCreateWithPriority(void **stream, unsigned flags, int) { return cuStreamCreate(stream, flags); }
EXPORT cuStreamDestroy_v2(void *) { return SUCCESS; }
EXPORT cuStreamSynchronize(void *) { GUARD; count("synchronizations"); return SUCCESS; }
EXPORT cuStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }
EXPORT cuEventCreate(void **event, unsigned) { *event = malloc(1); return SUCCESS; }
EXPORT cuEventDestroy_v2(void *event) { free(event); return SUCCESS; }
EXPORT cuEventRecord(void *, void *) { return SUCCESS; }
EXPORT cuEventSynchronize(void *) { return SUCCESS; }
EXPORT cuEventQuery(void *) { return SUCCESS; }
EXPORT cuEventElapsedTime_v2(float *ms, void *, void *) { *ms = 0.001f; return SUCCESS; }
EXPORT cuEventElapsedTime(float *ms, void *, void *) { *ms = 0.001f; return SUCCESS; }

EXPORT cuMemAlloc_v2(uintptr_t *at, size_t bytes) {
  GUARD;
  if (bytes == 0) return INVALID_VALUE;
  if (in_use + bytes > memory()) return OUT_OF_MEMORY;
  void *block = aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!block) return OUT_OF_MEMORY;
  // What a kernel reads before anything is written shows as NaN.
  memset(block, 0xff, bytes);
  *at = (uintptr_t)block;
  blocks[*at] = bytes;
  in_use += bytes;
  if (in_use > peak) peak = in_use;
  count("allocations");
  return SUCCESS;
}
EXPORT cuMemAllocAsync(uintptr_t *at, size_t bytes, void *stream) { GUARD; touch(stream); return cuMemAlloc_v2(at, bytes); }
EXPORT cuMemFree_v2(uintptr_t at) {
  GUARD;
  auto block = blocks.find(at);
  if (block == blocks.end()) return INVALID_VALUE;
  in_use -= block->second;
  blocks.erase(block);
  free((void *)at);
  return SUCCESS;
}
EXPORT cuMemFreeAsync(uintptr_t at, void *) { return cuMemFree_v2(at); }
EXPORT cuMemGetInfo_v2(size_t *left, size_t *total) { GUARD; *total = memory(); *left = memory() - in_use; return SUCCESS; }
EXPORT cuMemHostAlloc(void **at, size_t bytes, unsigned) { *at = malloc(bytes); return *at ? SUCCESS : OUT_OF_MEMORY; }
EXPORT cuMemFreeHost(void *at) { free(at); return SUCCESS; }
EXPORT cuMemcpyHtoD_v2(uintptr_t to, const void *from, size_t bytes) {
  GUARD; count("uploads"); count("uploaded_bytes", bytes); memcpy((void *)to, from, bytes); return SUCCESS;
}
EXPORT cuMemcpyHtoDAsync_v2(uintptr_t to, const void *from, size_t bytes, void *stream) { GUARD; touch(stream); return cuMemcpyHtoD_v2(to, from, bytes); }
EXPORT cuMemcpyDtoH_v2(void *to, uintptr_t from, size_t bytes) { GUARD; count("downloads"); memcpy(to, (void *)from, bytes); return SUCCESS; }
EXPORT cuMemcpyDtoHAsync_v2(void *to, uintptr_t from, size_t bytes, void *stream) { GUARD; touch(stream); return cuMemcpyDtoH_v2(to, from, bytes); }
EXPORT cuMemcpyDtoDAsync_v2(uintptr_t to, uintptr_t from, size_t bytes, void *stream) { GUARD; touch(stream); count("copies"); memmove((void *)to, (void *)from, bytes); return SUCCESS; }
EXPORT cuMemsetD8Async(uintptr_t to, unsigned char value, size_t n, void *stream) { GUARD; touch(stream); memset((void *)to, value, n); return SUCCESS; }
EXPORT cuMemsetD8_v2(uintptr_t to, unsigned char value, size_t n) { memset((void *)to, value, n); return SUCCESS; }

EXPORT cuModuleLoadData(void **module, const void *image) {
  GUARD;
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
EXPORT cuModuleGetFunction(void **function, void *module, const char *name) { *function = new Function{name, (Module *)module}; return SUCCESS; }
EXPORT cuFuncGetAttribute(int *value, int, void *) { *value = 0; return SUCCESS; }
EXPORT cuFuncSetAttribute(void *, int, int) { return SUCCESS; }

// How many bytes an argument has, the driver knows from the module. Here 64 are kept, which are enough for
// any scalar, pointer or small struct, and lie within the caller's frame.
EXPORT cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                      void *stream, void **args, void **) {
  GUARD;
  touch(stream);
  auto *f = (Function *)function;
  if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || shared > 48 * 1024) return INVALID_VALUE;
  auto *on = (Stream *)stream;
  Launch launch{f, {gx, gy, gz}, {bx, by, bz}, shared, {}};
  if (!on || !on->capturing) {
    count("launches");
    count("kernel " + f->name);
    if (!f->module->library) return SUCCESS;
    using Run = int (*)(const char *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **);
    auto entry = (Run)dlsym(f->module->library, "effnet_launch");
    return entry(f->name.c_str(), gx, gy, gz, bx, by, bz, shared, args) ? NOT_FOUND : SUCCESS;
  }
  using Count = int (*)(const char *);
  auto arguments = f->module->library ? (Count)dlsym(f->module->library, "effnet_arguments") : nullptr;
  int n = arguments ? arguments(f->name.c_str()) : 0;
  for (int i = 0; i < n; i++) launch.args.emplace_back((uint8_t *)args[i], (uint8_t *)args[i] + 8);
  on->captured.push_back(launch);
  return SUCCESS;
}

EXPORT cuStreamBeginCapture_v2(void *stream, int) { GUARD; auto *on = (Stream *)stream; on->capturing = true; on->captured.clear(); return SUCCESS; }
EXPORT cuStreamEndCapture(void *stream, void **graph) { GUARD; auto *on = (Stream *)stream; on->capturing = false; *graph = new Graph{on->captured}; return SUCCESS; }
EXPORT cuStreamIsCapturing(void *stream, int *status) { GUARD; auto *on = (Stream *)stream; *status = on && on->capturing; return SUCCESS; }
EXPORT cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long) { *exec = new Graph(*(Graph *)graph); return SUCCESS; }
EXPORT cuGraphUpload(void *, void *) { return SUCCESS; }
EXPORT cuGraphLaunch(void *exec, void *stream) {
  GUARD;
  touch(stream);
  count("graph launches");
  for (auto &launch : ((Graph *)exec)->launches) if (int error = run(launch)) return error;
  return SUCCESS;
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
EXPORT cublasSetStream_v2(void *, void *stream) { touch(stream); return SUCCESS; }
EXPORT cublasGemmStridedBatchedEx() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasGemmEx() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasSgemm_v2() { GUARD; count("launches"); count("kernel cublas"); return SUCCESS; }
EXPORT cublasSetMathMode() { return SUCCESS; }
EXPORT curandCreateGenerator(void **generator, int) { *generator = malloc(1); return SUCCESS; }
EXPORT curandDestroyGenerator(void *) { return SUCCESS; }
EXPORT curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return SUCCESS; }
EXPORT curandSetStream(void *, void *) { return SUCCESS; }
