// Attention of many heads' queries to one set of keys and values, by an online softmax.
//
// A row is one head's query at a position: a warp has four rows, a block 16. Keys and values pass
// through shared memory, 32 positions and 64 dimensions at a time, for all rows of the block.

constexpr int ATTENTION_DIMS = 256, ATTENTION_SLICE = 64, ATTENTION_TILE_ROW = ATTENTION_SLICE + 4;

struct AttentionShared {
  float queries[16][ATTENTION_DIMS];
  // The gap spreads a dimension of 8 positions over all banks.
  float tile[32][ATTENTION_TILE_ROW];
  float powers[16][32];
};

// Brings 32 positions' share of 64 dimensions, from `dim` on; zeros beyond. All threads take part.
DEVICE void attention_tile(AttentionShared &s, const T *from, int positions, int dims, int stride,
                           int dim) {
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 2; i++) {
    int at = threadIdx.x + i * 128, row = at / 8, col = at % 8 * 8;
    float v[8] = {};
    if (row < positions && dim + col < dims) load8(from + (i64)row * stride + dim + col, v);
    store8(&s.tile[row][col], v);
  }
  __syncthreads();
}

// `key_dim` is at most 64 * SLICES.
template <int SLICES> DEVICE void attend(AttentionShared &s, int q_positions, int kv_positions,
                                         int heads, int key_dim, int q_stride, int kv_stride,
                                         const T *q, const T *k, const T *v, T *y) {
  int lane = threadIdx.x % 32, row0 = threadIdx.x / 32 * 4;
  i64 image = blockIdx.y;
  int first = blockIdx.x * 16, rows = q_positions * heads;
  for (int at = threadIdx.x; at < 16 * SLICES * 64; at += 128) {
    int row = at / (SLICES * 64), dim = at % (SLICES * 64), own = first + row;
    bool inside = own < rows && dim < key_dim;
    const T *from =
        q + (image * q_positions + own / heads) * q_stride + own % heads * key_dim + dim;
    s.queries[row][dim] = inside ? up(*from) : 0.f;
  }
  float most[4], norm[4], sums[4][SLICES * 2] = {};
#pragma unroll
  for (int r = 0; r < 4; r++) most[r] = -__int_as_float(0x7f800000), norm[r] = 0.f;
#pragma unroll 1
  for (int at = 0; at < kv_positions; at += 32) {
    int positions = kv_positions - at < 32 ? kv_positions - at : 32;
    i64 offset = (image * kv_positions + at) * kv_stride;
    float scores[4] = {};
#pragma unroll
    for (int slice = 0; slice < SLICES; slice++) {
      if (slice * 64 >= key_dim) continue;
      attention_tile(s, k + offset, positions, key_dim, kv_stride, slice * 64);
#pragma unroll 4
      for (int d = 0; d < 64; d += 4) {
        float4 key = *(const float4 *)&s.tile[lane][d];
#pragma unroll
        for (int r = 0; r < 4; r++) {
          float4 query = *(const float4 *)&s.queries[row0 + r][slice * 64 + d];
          scores[r] = fmaf(query.x, key.x, scores[r]);
          scores[r] = fmaf(query.y, key.y, scores[r]);
          scores[r] = fmaf(query.z, key.z, scores[r]);
          scores[r] = fmaf(query.w, key.w, scores[r]);
        }
      }
    }
#pragma unroll
    for (int r = 0; r < 4; r++) {
      float score = lane < positions ? scores[r] : -__int_as_float(0x7f800000);
      float larger = fmaxf(most[r], warp_max(score));
      float power = exponential(score - larger), before = exponential(most[r] - larger);
      most[r] = larger;
      norm[r] = norm[r] * before + warp_sum(power);
#pragma unroll
      for (int i = 0; i < SLICES * 2; i++) sums[r][i] *= before;
      s.powers[row0 + r][lane] = power;
    }
#pragma unroll
    for (int slice = 0; slice < SLICES; slice++) {
      if (slice * 64 >= key_dim) continue;
      attention_tile(s, v + offset, positions, key_dim, kv_stride, slice * 64);
#pragma unroll 4
      for (int j = 0; j < 32; j++) {
        float low = s.tile[j][lane], high = s.tile[j][lane + 32];
#pragma unroll
        for (int r = 0; r < 4; r++) {
          float power = s.powers[row0 + r][j];
          sums[r][slice * 2] = fmaf(power, low, sums[r][slice * 2]);
          sums[r][slice * 2 + 1] = fmaf(power, high, sums[r][slice * 2 + 1]);
        }
      }
    }
  }
#pragma unroll
  for (int r = 0; r < 4; r++) {
    int own = first + row0 + r;
    if (own >= rows) continue;
    T *line = y + (image * q_positions + own / heads) * q_stride,
      *to = line + own % heads * key_dim;
#pragma unroll
    for (int i = 0; i < SLICES * 2; i++) {
      int dim = i * 32 + lane;
      if (dim < key_dim) to[dim] = down(sums[r][i] / norm[r]);
    }
    // The last head also writes the zeros that pad the channels.
    if (own % heads == heads - 1)
      for (int i = heads * key_dim + lane; i < q_stride; i += 32) line[i] = 0;
  }
}

KERNEL(128, 3)
attention(int n, int q_positions, int kv_positions, int heads, int key_dim, int q_stride,
          int kv_stride,
          const T *__restrict__ q /* [n][q_positions][q_stride], scaled; head by head */,
          const T *__restrict__ k /* [n][kv_positions][kv_stride]: key_dim channels */,
          const T *__restrict__ v /* as k */, T *__restrict__ y /* as q */) {
  __shared__ __align__(16) AttentionShared s;
  if (key_dim <= 64)
    attend<1>(s, q_positions, kv_positions, heads, key_dim, q_stride, kv_stride, q, k, v, y);
  else
    attend<4>(s, q_positions, kv_positions, heads, key_dim, q_stride, kv_stride, q, k, v, y);
}
