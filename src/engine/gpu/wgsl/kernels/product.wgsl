// Pointwise and dense convolutions: products of rows and weights, by tiles of 64 rows and 64 columns. A
// thread has four rows, 16 apart, and a quad of columns. Slices of 16 channels of both pass through
// workgroup memory.

struct Pointwise {
  groups: u32, rows: u32, k: u32, n: u32, act: u32, x: u32,
  // A group's weights are `w_stride` quads after the last's; `mixed`, in the arena.
  wt: u32, w_stride: u32, mixed: u32,
  bias: u32,
  // Of row r is the gate of image r / gate_rows.
  gate: u32, gate_rows: u32,
  residual: u32, y: u32,
}

struct Conv {
  n: u32, h: u32, w: u32, cin: u32, oh: u32, ow: u32, cout: u32, kernel: u32, stride: u32, top: i32,
  left: i32, act: u32, x: u32, wt: u32, bias: u32, residual: u32, y: u32,
}

@group(0) @binding(0) var<uniform> pointwise_sizes: Pointwise;
@group(0) @binding(0) var<uniform> conv_sizes: Conv;

// [quad of a slice][row], with a gap that spreads a row's quads over the banks.
const SLICE_ROW = 65u;
var<workgroup> x_slice: array<vec4<f32>, 260>;
// As `x_slice`; column 4 * i + j is at j * 16 + i, as a thread has four side by side.
var<workgroup> w_slice: array<vec4<f32>, 260>;

// A thread's sums: a row each.
struct Sums {
  a: vec4<f32>,
  b: vec4<f32>,
  c: vec4<f32>,
  d: vec4<f32>,
}

fn put_slices(t: u32, x: vec4<f32>, w: vec4<f32>) {
  let row = t / 4u;
  let at = t % 4u * SLICE_ROW;
  x_slice[at + row] = x;
  w_slice[at + row % 4u * 16u + row / 4u] = w;
}

fn multiply(sums: Sums, t: u32) -> Sums {
  var s = sums;
  let row = t / 16u;
  let column = t % 16u;
  for (var at = 0u; at < 4u * SLICE_ROW; at += SLICE_ROW) {
    let w = mat4x4<f32>(
      w_slice[at + column],
      w_slice[at + column + 16u],
      w_slice[at + column + 32u],
      w_slice[at + column + 48u],
    );
    s.a += x_slice[at + row] * w;
    s.b += x_slice[at + row + 16u] * w;
    s.c += x_slice[at + row + 32u] * w;
    s.d += x_slice[at + row + 48u] * w;
  }
  return s;
}

struct Finish {
  n: u32, act: u32, bias: u32, residual: u32, y: u32,
  // The tile's first row and its rows, and a thread's quad of columns.
  first: u32, rows: u32, column: u32,
}

fn finish_row(f: Finish, row: u32, sums: vec4<f32>) {
  if (row >= f.rows || f.column >= f.n) {
    return;
  }
  let at = (f.first + row) * f.n + f.column;
  var v = activate(sums + floats[f.bias + f.column], f.act);
  if (f.residual != NONE) {
    v += map_at(f.residual + at);
  }
  put_map(f.y + at, v);
}

fn finish(f: Finish, t: u32, sums: Sums) {
  let row = t / 16u;
  finish_row(f, row, sums.a);
  finish_row(f, row + 16u, sums.b);
  finish_row(f, row + 32u, sums.c);
  finish_row(f, row + 48u, sums.d);
}

fn pointwise_x(p: Pointwise, row: u32, column: u32) -> vec4<f32> {
  let x = map_at(p.x + row * p.k + column);
  if (p.gate == NONE) {
    return x;
  }
  return x * vector_at(p.gate + row / p.gate_rows * p.k + column);
}

fn pointwise_w(p: Pointwise, at: u32) -> vec4<f32> {
  if (p.mixed == 1u) {
    return map_at(at);
  }
  return up(weights[at]);
}

// Workgroups that share rows of x follow one another, so that all but the first find them in the cache.
@compute @workgroup_size(256)
fn pointwise(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = pointwise_sizes;
  let block = linear(wg, grid);
  let tiles = (p.rows + 63u) / 64u;
  let columns = (p.n + 15u) / 16u;
  let own = block / columns;
  if (own >= p.groups * tiles) {
    return;
  }
  let group = own / tiles;
  let row0 = own % tiles * 64u;
  let first = group * p.rows + row0;
  let rows = min(p.rows - row0, 64u);
  let column0 = block % columns * 16u;

  // The row and the column of which a thread brings a quad of each slice.
  let own_row = t / 4u;
  let own_column = column0 * 4u + own_row;
  let has_row = own_row < rows;
  let has_column = own_column < p.n * 4u;
  let w_row = p.wt + group * p.w_stride + own_column * p.k;
  var sums = Sums();
  for (var slice = 0u; slice < p.k; slice += 4u) {
    let at = slice + t % 4u;
    var x = vec4<f32>();
    var w = vec4<f32>();
    if (has_row && at < p.k) {
      x = pointwise_x(p, first + own_row, at);
    }
    if (has_column && at < p.k) {
      w = pointwise_w(p, w_row + at);
    }
    // The last slice has been multiplied by all before its place is taken.
    workgroupBarrier();
    put_slices(t, x, w);
    workgroupBarrier();
    sums = multiply(sums, t);
  }
  finish(Finish(p.n, p.act, p.bias, p.residual, p.y, first, rows, column0 + t % 16u), t, sums);
}

// A row of x is a position's window: a column is a tap's channel, and zero outside of the image.
@compute @workgroup_size(256)
fn conv(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = conv_sizes;
  let block = linear(wg, grid);
  let all = p.n * p.oh * p.ow;
  let columns = (p.cout + 15u) / 16u;
  let first = block / columns * 64u;
  if (first >= all) {
    return;
  }
  let rows = min(all - first, 64u);
  let column0 = block % columns * 16u;

  let own_row = t / 4u;
  let own_column = column0 * 4u + own_row;
  let has_row = own_row < rows;
  let has_column = own_column < p.cout * 4u;
  let position = first + own_row;
  let image = position / (p.oh * p.ow) * p.h;
  let y0 = i32(position / p.ow % p.oh * p.stride) - p.top;
  let x0 = i32(position % p.ow * p.stride) - p.left;
  let k = p.kernel * p.kernel * p.cin;
  var sums = Sums();
  for (var slice = 0u; slice < k; slice += 4u) {
    let at = slice + t % 4u;
    var x = vec4<f32>();
    var w = vec4<f32>();
    let tap = at / p.cin;
    let row = u32(y0 + i32(tap / p.kernel));
    let column = u32(x0 + i32(tap % p.kernel));
    if (has_row && at < k && row < p.h && column < p.w) {
      x = map_at(p.x + ((image + row) * p.w + column) * p.cin + at % p.cin);
    }
    if (has_column && at < k) {
      w = up(weights[p.wt + own_column * k + at]);
    }
    workgroupBarrier();
    put_slices(t, x, w);
    workgroupBarrier();
    sums = multiply(sums, t);
  }
  finish(Finish(p.cout, p.act, p.bias, p.residual, p.y, first, rows, column0 + t % 16u), t, sums);
}
