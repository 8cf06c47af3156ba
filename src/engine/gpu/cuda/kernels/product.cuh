// A tile of x * wt^T by 128 threads: the main loop and the end of pointwise and dense convolutions.
//
// Rows of x and of wt come in slices of 64 bytes, four chunks of 16: BK = 32 halves or 16 floats.
// STAGES slices are in shared memory; later ones are copied while one is multiplied. Chunk j of row
// r lies at chunk j ^ (r / 2 % 4), so that eight rows' same chunk touches every bank once.

constexpr int CHUNK = 16 / sizeof(T);
constexpr int SLICE_BYTES = 64;

template <int ROWS, int COLS> struct Shape {
  static constexpr int BM = ROWS, BN = COLS;
  // Rows of x and of wt whose chunks one thread copies.
  static constexpr int X_ROWS = BM / 32, W_ROWS = BN / 32;
  static constexpr int STAGES = BM == 64 ? 4 : 3;
  static constexpr int STAGE_BYTES = (BM + BN) * SLICE_BYTES;
  // A row of sums on its way to memory; the gap spreads rows over banks.
  static constexpr int SUM_ROW = BN + 8;
  static constexpr int BYTES = STAGES * STAGE_BYTES;
  static_assert(BYTES >= BM * SUM_ROW * 4, "the sums take the slices' place");
#ifdef T_F32
  // Threads side by side over rows and over columns, and what each has of both.
  static constexpr int TY = BM / 8, TX = 128 / TY, TM = 8, TN = BN / TX;
  typedef float Sums[TM][TN];
#else
  // Two by two warps; each has tiles of 16 rows and 8 columns.
  static constexpr int TM = BM / 32, TN = BN / 16;
  typedef float Sums[TM][TN][4];
#endif
};

// Where a chunk lies in a slice. That of a row that is 8 rows on is 8 * SLICE_BYTES on.
DEVICE int swizzled(int row, int chunk) {
  return row * SLICE_BYTES + ((chunk ^ (row >> 1 & 3)) << 4);
}

// Adds a slice's products to a thread's sums.
template <typename S> DEVICE void multiply(typename S::Sums &sums, const u8 *xs, const u8 *ws) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#ifdef T_F32
  constexpr int WARPS_Y = S::TY / 8;
  int ty = warp % WARPS_Y * 8 + (lane & 7), tx = warp / WARPS_Y * 4 + (lane >> 3);
// Unrolled, the chunks ahead would take more registers than there are.
#pragma unroll 1
  for (int chunk = 0; chunk < 4; chunk++) {
    float4 x[S::TM];
#pragma unroll
    for (int i = 0; i < S::TM; i++)
      x[i] = *(const float4 *)(xs + swizzled(ty, chunk) + i * S::TY * SLICE_BYTES);
#pragma unroll
    for (int j = 0; j < S::TN; j++) {
      float4 w = *(const float4 *)(ws + swizzled(tx, chunk) + j * S::TX * SLICE_BYTES);
#pragma unroll
      for (int i = 0; i < S::TM; i++) {
        sums[i][j] = fmaf(x[i].x, w.x, sums[i][j]);
        sums[i][j] = fmaf(x[i].y, w.y, sums[i][j]);
        sums[i][j] = fmaf(x[i].z, w.z, sums[i][j]);
        sums[i][j] = fmaf(x[i].w, w.w, sums[i][j]);
      }
    }
  }
#else
  int x_row = (warp & 1) * (S::BM / 2) + (lane & 15);
  int w_row = (warp >> 1) * (S::BN / 2) + (lane & 7) + (lane >> 4) * 8;
#pragma unroll
  for (int chunk = 0; chunk < 4; chunk += 2) {
    u32 x[S::TM][4], w[S::TN / 2][4];
#pragma unroll
    for (int i = 0; i < S::TM; i++)
      load_matrices(x[i], xs + swizzled(x_row, chunk + (lane >> 4)) + i * 16 * SLICE_BYTES);
#pragma unroll
    for (int j = 0; j < S::TN / 2; j++)
      load_matrices(w[j], ws + swizzled(w_row, chunk + (lane >> 3 & 1)) + j * 16 * SLICE_BYTES);
#pragma unroll
    for (int i = 0; i < S::TM; i++)
#pragma unroll
      for (int j = 0; j < S::TN; j++)
        mma(sums[i][j], x[i], w[j / 2][j % 2 * 2], w[j / 2][j % 2 * 2 + 1]);
  }
#endif
}

// Puts a thread's sums where `finish` reads them: row by row.
template <typename S> DEVICE void spread(const typename S::Sums &sums, float *out) {
  int lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
#ifdef T_F32
  constexpr int WARPS_Y = S::TY / 8;
  int ty = warp % WARPS_Y * 8 + (lane & 7), tx = warp / WARPS_Y * 4 + (lane >> 3);
#pragma unroll
  for (int i = 0; i < S::TM; i++)
#pragma unroll
    for (int j = 0; j < S::TN; j++)
      out[(ty + i * S::TY) * S::SUM_ROW + tx + j * S::TX] = sums[i][j];
#else
  int row = (warp & 1) * (S::BM / 2) + (lane >> 2),
      col = (warp >> 1) * (S::BN / 2) + (lane & 3) * 2;
#pragma unroll
  for (int i = 0; i < S::TM; i++)
#pragma unroll
    for (int j = 0; j < S::TN; j++)
#pragma unroll
      for (int half = 0; half < 2; half++)
        *(float2 *)(out + (row + i * 16 + half * 8) * S::SUM_ROW + col + j * 8) =
            make_float2(sums[i][j][half * 2], sums[i][j][half * 2 + 1]);
#endif
}

// What becomes of the sums of `n` columns.
struct Finish {
  int n, act;
  const float *bias;
  const T *residual; // or null
  T *y;              // or null
  float *sums;       // of the block's rows, or null
};

// Takes the tile's sums, which `spread` has put into `tile`, through bias, activation and residual
// to memory: `rows` rows that begin at row `first` of y, and columns from `col0`.
template <typename S>
DEVICE void finish(float *tile, const Finish &f, i64 first, int rows, int col0) {
  constexpr int CHUNKS = S::BN / 8, ROWS_AT_ONCE = 128 / CHUNKS;
  static_assert(S::BM % (2 * ROWS_AT_ONCE) == 0, "both rows are in the tile");
  int slot = threadIdx.x / CHUNKS, at = threadIdx.x % CHUNKS * 8, col = col0 + at;
  float total[8] = {};
  if (col < f.n) {
    float bias[8];
    load8(f.bias + col, bias);
    // Two rows at a time, so that one's residual is on its way while the other is waited for.
#pragma unroll 1
    for (int row0 = slot; row0 < rows; row0 += 2 * ROWS_AT_ONCE) {
      float v[16], residual[2][8] = {};
#pragma unroll
      for (int i = 0; i < 2; i++) {
        int row = row0 + i * ROWS_AT_ONCE;
        if (f.residual && row < rows) load8(f.residual + (first + row) * f.n + col, residual[i]);
      }
#pragma unroll
      for (int i = 0; i < 2; i++) {
        float sums[8];
        load8(tile + (row0 + i * ROWS_AT_ONCE) * S::SUM_ROW + at, sums);
#pragma unroll
        for (int j = 0; j < 8; j++) v[i * 8 + j] = sums[j] + bias[j];
      }
      activate(v, f.act);
#pragma unroll
      for (int i = 0; i < 2; i++) {
        int row = row0 + i * ROWS_AT_ONCE;
        if (row >= rows) continue;
        float out[8];
#pragma unroll
        for (int j = 0; j < 8; j++) out[j] = v[i * 8 + j] + residual[i][j], total[j] += out[j];
        if (f.y) store8(f.y + (first + row) * f.n + col, out);
      }
    }
  }
  if (!f.sums) return;
  // The tile has been read by all before its place is taken.
  __syncthreads();
  store8(tile + slot * S::BN + at, total);
  __syncthreads();
  int own = threadIdx.x;
  if (own < S::BN && col0 + own < f.n) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < ROWS_AT_ONCE; i++) sum += tile[i * S::BN + own];
    f.sums[col0 + own] = sum;
  }
}

// The whole tile. `x` gives a thread its chunks: after `seek(column)`, a column of wt's rows,
// `inside(i)` says whether there is one in row threadIdx.x / 4 + 32 * i, and `row(i)` is its
// address; `arrive` waits for a slice and may change the thread's own chunks of it.
template <typename S, typename Rows>
DEVICE void product(Rows &x, const T *wt, int k, const Finish &f, i64 first, int rows, int col0) {
  __shared__ __align__(16) u8 memory[S::BYTES];
  int own_row = threadIdx.x / 4, own_chunk = threadIdx.x % 4, own = swizzled(own_row, own_chunk);
  const T *w = wt + (i64)(col0 + own_row) * k;
  i64 w_step = (i64)32 * k;
  int columns = f.n - col0 - own_row;

  // The next slice to copy: the thread's column, and the place. Beyond the last one come zeros, so
  // that the number of groups under way is always the same.
  int ahead = own_chunk * CHUNK, place = 0;
  auto fetch = [&]() {
    u8 *to = memory + place + own;
    bool any = ahead < k;
    x.seek(ahead);
#pragma unroll
    for (int i = 0; i < S::X_ROWS; i++)
      copy16(to + i * 32 * SLICE_BYTES, x.row(i), any && x.inside(i));
    const T *from = w + ahead;
    to += S::BM * SLICE_BYTES;
#pragma unroll
    for (int i = 0; i < S::W_ROWS; i++)
      copy16(to + i * 32 * SLICE_BYTES, from + i * w_step, any && i * 32 < columns);
    copy_commit();
    ahead += 4 * CHUNK;
    place = place == S::BYTES - S::STAGE_BYTES ? 0 : place + S::STAGE_BYTES;
  };

  typename S::Sums sums = {};
#pragma unroll 1
  for (int i = 0; i < S::STAGES - 1; i++) fetch();
  int here = 0;
#pragma unroll 1
  for (int column = 0; column < k; column += 4 * CHUNK) {
    u8 *xs = memory + here;
    x.arrive(xs + own, column + own_chunk * CHUNK);
    // All have this slice, and all have multiplied the last: its place is free.
    __syncthreads();
    fetch();
    multiply<S>(sums, xs, xs + S::BM * SLICE_BYTES);
    here = here == S::BYTES - S::STAGE_BYTES ? 0 : here + S::STAGE_BYTES;
  }
  copy_wait<0>();
  __syncthreads();
  float *tile = (float *)memory;
  spread<S>(sums, tile);
  __syncthreads();
  finish<S>(tile, f, first, rows, col0);
}
