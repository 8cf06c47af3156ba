// A pointwise convolution: a product of rows and weights, channels to channels.

// Rows of one group, that lie one after another.
template <typename S> struct PointwiseRows {
  const T *x; // the thread's first row
  int rows;   // from there on
  int k;
  const float *gate;    // or null
  int gates[S::X_ROWS]; // which gate each of the thread's rows has
  int column;

  DEVICE_MEMBER void seek(int to) { column = to; }
  DEVICE_MEMBER bool inside(int i) const { return i * 32 < rows; }
  DEVICE_MEMBER const T *row(int i) const { return x + column + (i64)(i * 32) * k; }

  DEVICE_MEMBER void arrive(u8 *own, int at) const {
    if (!gate) return copy_wait<S::STAGES - 2>();
    // The gates are on their way while the slice is waited for.
    float factors[S::X_ROWS][CHUNK];
    if (at < k)
#pragma unroll
      for (int i = 0; i < S::X_ROWS; i++) {
        const float *from = gate + (i64)gates[i] * k + at;
#pragma unroll
        for (int j = 0; j < CHUNK; j += 4) {
          float4 four = *(const float4 *)(from + j);
          factors[i][j] = four.x, factors[i][j + 1] = four.y;
          factors[i][j + 2] = four.z, factors[i][j + 3] = four.w;
        }
      }
    copy_wait<S::STAGES - 2>();
    if (at >= k) return;
#pragma unroll
    for (int i = 0; i < S::X_ROWS; i++) {
      uint4 *chunk = (uint4 *)(own + i * 32 * SLICE_BYTES);
      float v[CHUNK];
      unpack(*chunk, v);
#pragma unroll
      for (int j = 0; j < CHUNK; j++) v[j] *= factors[i][j];
      *chunk = pack(v);
    }
  }
};

// Blocks that share rows of x follow one another, so that all but the first find them in the cache.
template <typename S> DEVICE void pointwise(int groups, int rows, int k, int n, int gate_rows,
                                            int act, const T *x, const T *wt, i64 w_stride,
                                            const float *bias, const float *gate, const T *residual,
                                            T *y, float *sums) {
  i64 block = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  int tiles = (rows + S::BM - 1) / S::BM;
  int col0 = (int)(block % gridDim.y) * S::BN, own = (int)(block / gridDim.y);
  int group = own / tiles, row0 = own % tiles * S::BM;
  i64 first = (i64)group * rows + row0;
  int left = rows - row0 < S::BM ? rows - row0 : S::BM;
  PointwiseRows<S> source;
  int own_row = threadIdx.x / 4;
  source.x = x + (first + own_row) * k;
  source.rows = left - own_row, source.k = k, source.gate = gate_rows ? gate : nullptr;
  if (source.gate) {
    int before = (int)(first / gate_rows), into = (int)(first - (i64)before * gate_rows);
#pragma unroll
    for (int i = 0; i < S::X_ROWS; i++) {
      // Rows beyond the last take a gate that is there.
      int row = own_row + i * 32;
      source.gates[i] = before + (into + (row < left ? row : 0)) / gate_rows;
    }
  }
  Finish f = {n, act, bias, residual, y, sums ? sums + (i64)own * n : nullptr};
  product<S>(source, wt + group * w_stride, k, f, first, left, col0);
}

#define POINTWISE(BM, blocks)                                                                      \
  KERNEL(128, blocks)                                                                              \
  pointwise_##BM(int groups, int rows, int k, int n, int gate_rows, int act,                       \
                 const T *__restrict__ x /* [groups * rows][k] */,                                 \
                 const T *__restrict__ wt /* [n][k], w_stride from a group's to the next's */,     \
                 long long w_stride, const float *__restrict__ bias /* [n] */,                     \
                 const float *__restrict__ gate /* [groups * rows / gate_rows][k], or null */,     \
                 const T *__restrict__ residual /* [groups * rows][n], or null */,                 \
                 T *__restrict__ y /* [groups * rows][n], or null */,                              \
                 float *__restrict__ sums /* [groups][tiles][n], or null */) {                     \
    pointwise<Shape<BM, 64>>(groups, rows, k, n, gate_rows, act, x, wt, w_stride, bias, gate,      \
                             residual, y, sums);                                                   \
  }

POINTWISE(64, 4)
// Before sm_80 a multiprocessor's shared memory has room for one block.
POINTWISE(128, __CUDA_ARCH__ < 800 ? 1 : 3)
