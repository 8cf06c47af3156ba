// A pointwise convolution: a product of rows and weights, channels to channels.

// Rows of one group, that lie one after another.
struct PointwiseRows {
  const T *x; // the tile's first row
  int rows, k;
  const float *gate; // or null
  i64 first;         // the tile's first row among all, whose gate is that of first / gate_rows
  int gate_rows;
  int column;

  DEVICE_MEMBER void seek(int to) { column = to; }

  DEVICE_MEMBER const T *row(int i) const {
    int own = threadIdx.x / 4 + i * 32;
    return own < rows ? x + (i64)own * k + column : nullptr;
  }

  template <typename S> DEVICE_MEMBER void arrive(u8 *xs, int at) const {
    if (!gate) return copy_wait<S::STAGES - 2>();
    // The gates are on their way while the slice is waited for.
    float gates[S::X_ROWS][CHUNK];
#pragma unroll
    for (int i = 0; i < S::X_ROWS; i++) {
      int own = threadIdx.x / 4 + i * 32;
      bool inside = own < rows && at < k;
      const float *from = gate + (first + (inside ? own : 0)) / gate_rows * k + (inside ? at : 0);
#pragma unroll
      for (int j = 0; j < CHUNK; j += 4) {
        float4 four = *(const float4 *)(from + j);
        gates[i][j] = four.x, gates[i][j + 1] = four.y;
        gates[i][j + 2] = four.z, gates[i][j + 3] = four.w;
      }
    }
    copy_wait<S::STAGES - 2>();
#pragma unroll
    for (int i = 0; i < S::X_ROWS; i++) {
      uint4 *own = (uint4 *)(xs + swizzled(threadIdx.x / 4 + i * 32, threadIdx.x % 4));
      float v[CHUNK];
      unpack(*own, v);
#pragma unroll
      for (int j = 0; j < CHUNK; j++) v[j] *= gates[i][j];
      *own = pack(v);
    }
  }
};

// Blocks that share rows of x follow one another, so that all but the first find them in the cache.
template <typename S>
DEVICE void pointwise(int groups, int rows, int k, int n, int gate_rows, int act, const T *x,
                      const T *wt, i64 w_stride, const float *bias, const float *gate,
                      const T *residual, T *y, float *sums) {
  i64 block = (i64)blockIdx.y * gridDim.x + blockIdx.x;
  int tiles = (rows + S::BM - 1) / S::BM;
  int col0 = (int)(block % gridDim.y) * S::BN, own = (int)(block / gridDim.y);
  int group = own / tiles, row0 = own % tiles * S::BM;
  i64 first = (i64)group * rows + row0;
  int left = rows - row0 < S::BM ? rows - row0 : S::BM;
  PointwiseRows source = {x + first * k, left, k, gate_rows ? gate : nullptr, first, gate_rows, 0};
  Finish f = {n, act, bias, residual, y, sums ? sums + (i64)own * n : nullptr};
  product<S>(source, wt + group * w_stride, k, f, first, left, col0);
}

#define POINTWISE(BM, blocks)                                                                          \
  KERNEL(128, blocks)                                                                                  \
  pointwise_##BM(int groups, int rows, int k, int n, int gate_rows, int act,                           \
                 const T *__restrict__ x /* [groups * rows][k] */,                                     \
                 const T *__restrict__ wt /* [n][k], w_stride from a group's to the next's */,         \
                 long long w_stride, const float *__restrict__ bias /* [n] */,                         \
                 const float *__restrict__ gate /* [groups * rows / gate_rows][k], or null */,         \
                 const T *__restrict__ residual /* [groups * rows][n], or null */,                     \
                 T *__restrict__ y /* [groups * rows][n], or null */,                                  \
                 float *__restrict__ sums /* [groups][tiles][n], or null */) {                         \
    pointwise<Shape<BM, 64>>(groups, rows, k, n, gate_rows, act, x, wt, w_stride, bias, gate,          \
                             residual, y, sums);                                                       \
  }

POINTWISE(64, 4)
POINTWISE(128, 3)
