// One output element of a depthwise convolution of (N, C, H, W): the text that CUDA, Metal and, in tests,
// a C++ compiler share. Before it stand GLOBAL (the address space of device memory), T (the type of an
// element), LOAD (T to float), STORE (float to T) and FUNCTION (what begins a function for the device).
struct Sizes {
  unsigned count, c, h, w, out_h, out_w, k, stride, top, left;
};

FUNCTION void depthwise_at(unsigned at, Sizes s, GLOBAL const T *xs, GLOBAL const T *weight, GLOBAL T *ys) {
  if (at >= s.count) return;
  unsigned x = at % s.out_w, y = at / s.out_w % s.out_h, plane = at / (s.out_w * s.out_h);
  GLOBAL const T *image = xs + (size_t)plane * s.h * s.w;
  GLOBAL const T *kernel = weight + plane % s.c * (s.k * s.k);
  float sum = 0;
  for (unsigned ky = 0; ky < s.k; ky++) {
    // Rows above the image wrap to large numbers.
    unsigned row = y * s.stride + ky - s.top;
    if (row >= s.h) continue;
    for (unsigned kx = 0; kx < s.k; kx++) {
      unsigned column = x * s.stride + kx - s.left;
      if (column < s.w) sum += LOAD(kernel[ky * s.k + kx]) * LOAD(image[row * s.w + column]);
    }
  }
  ys[at] = STORE(sum);
}
