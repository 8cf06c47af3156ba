// Maps to maps, a quad a thread, and maps on their way out.

struct AntiAlias {
  // `size` is 2 for means, 3 for a blur.
  n: u32, h: u32, w: u32, c: u32, oh: u32, ow: u32, size: u32, x: u32, y: u32,
}

struct ScaleShift {
  rows: u32, c: u32, scale: u32, shift: u32, x: u32, y: u32,
}

struct ExportMap {
  // `real` counts channels.
  hw: u32, c: u32, real: u32, x: u32, y: u32,
}

struct ExportVector {
  n: u32, c: u32, real: u32, x: u32, y: u32,
}

@group(0) @binding(0) var<uniform> anti_alias_sizes: AntiAlias;
@group(0) @binding(0) var<uniform> scale_shift_sizes: ScaleShift;
@group(0) @binding(0) var<uniform> export_map_sizes: ExportMap;
@group(0) @binding(0) var<uniform> export_vector_sizes: ExportVector;

// Half the size: each output is the sum of a window by weights of its rows and columns.
@compute @workgroup_size(128)
fn anti_alias(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = anti_alias_sizes;
  let id = linear(wg, grid) * 128u + t;
  let position = id / p.c;
  let line = position / p.ow;
  let image = line / p.oh;
  if (image >= p.n) {
    return;
  }
  let before = p.size - 2u;
  let column0 = position % p.ow * 2u - before;
  let row0 = line % p.oh * 2u - before;
  var sum = vec4<f32>();
  for (var i = 0u; i < p.size; i++) {
    for (var j = 0u; j < p.size; j++) {
      let row = row0 + i;
      let column = column0 + j;
      if (row >= p.h || column >= p.w) {
        continue;
      }
      let down_rows = select(0.25, 0.5, p.size == 2u || i == 1u);
      let across = select(0.25, 0.5, p.size == 2u || j == 1u);
      sum += map_at(p.x + ((image * p.h + row) * p.w + column) * p.c + id % p.c) * (down_rows * across);
    }
  }
  put_map(p.y + id, sum);
}

@compute @workgroup_size(128)
fn scale_shift(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = scale_shift_sizes;
  let id = linear(wg, grid) * 128u + t;
  if (id >= p.rows * p.c) {
    return;
  }
  let quad = id % p.c;
  put_map(p.y + id, map_at(p.x + id) * floats[p.scale + quad] + floats[p.shift + quad]);
}

// The gap spreads a column over all banks.
var<workgroup> square: array<array<f32, 33>, 32>;

// [position][channel] to [channel][position], through a square of workgroup memory, so that both sides are
// read and written along their rows. Workgroups are 32 positions, 32 channels, images.
@compute @workgroup_size(256)
fn export_map(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = export_map_sizes;
  let quad = t % 8u;
  let base = wg.x * 32u + t / 8u;
  if (base < p.hw && wg.y * 8u + quad < p.c) {
    let v = map_at(p.x + (wg.z * p.hw + base) * p.c + wg.y * 8u + quad);
    square[t / 8u][quad * 4u] = v.x;
    square[t / 8u][quad * 4u + 1u] = v.y;
    square[t / 8u][quad * 4u + 2u] = v.z;
    square[t / 8u][quad * 4u + 3u] = v.w;
  }
  workgroupBarrier();
  let to = wg.x * 32u + t % 32u;
  for (var i = t / 32u; i < 32u; i += 8u) {
    let channel = wg.y * 32u + i;
    if (to < p.hw && channel < p.real) {
      outputs[p.y + (wg.z * p.real + channel) * p.hw + to] = square[t % 32u][i];
    }
  }
}

@compute @workgroup_size(128)
fn export_vector(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = export_vector_sizes;
  let id = linear(wg, grid) * 128u + t;
  let image = id / p.real;
  let channel = id % p.real;
  if (image < p.n) {
    outputs[p.y + id] = vector_at(p.x + image * p.c + channel / 4u)[channel % 4u];
  }
}
