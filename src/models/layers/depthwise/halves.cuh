// What body.h needs on CUDA, without headers. Halves are their bits.
#define GLOBAL
#define FUNCTION static __device__ __forceinline__
FUNCTION float f16_load(unsigned short bits) {
  float value;
  asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
  return value;
}
FUNCTION unsigned short f16_store(float value) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
  return bits;
}
FUNCTION float bf16_load(unsigned short bits) { return __uint_as_float((unsigned)bits << 16); }
// Rounded to the nearest even by integers, as cards before compute capability 8.0 have no instruction
// for it. NaN stays NaN.
FUNCTION unsigned short bf16_store(float value) {
  unsigned bits = __float_as_uint(value);
  if (value != value) return 0x7fff;
  return (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}
