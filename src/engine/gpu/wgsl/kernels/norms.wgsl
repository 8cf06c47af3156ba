// Norms by statistics of the map itself: their moments, in two passes, and the norm. Moments are pairs of
// the mean and 1 over the deviation; a workgroup writes two pairs or four, as a quad is written whole.

struct MomentsGroups {
  // `count` groups of all images; `c` and `size` count channels.
  count: u32, groups: u32, hw: u32, c: u32, size: u32, eps: f32, x: u32, y: u32,
}

struct MomentsPositions {
  rows: u32, c: u32, real: u32, eps: f32, x: u32, y: u32,
}

struct Normalize {
  // `real` and `size` count channels; `size` is 0 where each position has its own moments.
  n: u32, hw: u32, c: u32, real: u32, size: u32, groups: u32, act: u32, x: u32, moments: u32, scale: u32,
  shift: u32,
  // x * sigmoid(gate * x) in place of x - mean.
  gate: u32,
  residual: u32, y: u32,
}

@group(0) @binding(0) var<uniform> moments_groups_sizes: MomentsGroups;
@group(0) @binding(0) var<uniform> moments_positions_sizes: MomentsPositions;
@group(0) @binding(0) var<uniform> normalize_sizes: Normalize;

// Of the group's channels at all positions.
fn group_moments(p: MomentsGroups, t: u32, group: u32) -> vec2<f32> {
  let first = group / p.groups * p.hw * p.c + group % p.groups * p.size;
  let elements = select(0u, p.hw * p.size, group < p.count);
  let n = f32(p.hw * p.size);
  var sum = 0.0;
  for (var i = t; i < elements; i += 256u) {
    let at = first + i / p.size * p.c + i % p.size;
    sum += map_at(p.x + at / 4u)[at % 4u];
  }
  let mean = all_sum(t, sum) / n;
  var squares = 0.0;
  for (var i = t; i < elements; i += 256u) {
    let at = first + i / p.size * p.c + i % p.size;
    let v = map_at(p.x + at / 4u)[at % 4u] - mean;
    squares += v * v;
  }
  return vec2<f32>(mean, 1.0 / sqrt(all_sum(t, squares) / n + p.eps));
}

// A workgroup two groups.
@compute @workgroup_size(256)
fn moments_groups(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = moments_groups_sizes;
  let pair = linear(wg, grid);
  let a = group_moments(p, t, pair * 2u);
  let b = group_moments(p, t, pair * 2u + 1u);
  if (t == 0u && pair * 2u < p.count) {
    put_vector(p.y + pair, vec4<f32>(a, b));
  }
}

// A workgroup 16 positions, of 16 threads each.
@compute @workgroup_size(256)
fn moments_positions(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = moments_positions_sizes;
  let first = linear(wg, grid) * 16u;
  let row = first + t / 16u;
  let lane = t % 16u;
  let base = p.x + row * p.c;
  let c = select(0u, p.c, row < p.rows);
  let n = f32(p.real);
  var sum = 0.0;
  for (var at = lane; at < c; at += 16u) {
    let v = map_at(base + at);
    sum += v.x + v.y + v.z + v.w;
  }
  sum = sixteen_sum(t, sum);
  if (lane == 0u) {
    quads[t / 16u].x = sum / n;
  }
  workgroupBarrier();
  let mean = quads[t / 16u].x;
  var squares = 0.0;
  for (var at = lane; at < c; at += 16u) {
    let inside = vec4<u32>(at * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.real);
    let v = select(vec4<f32>(), map_at(base + at) - mean, inside);
    squares += dot(v, v);
  }
  squares = sixteen_sum(t, squares);
  if (lane == 0u) {
    quads[t / 16u].y = 1.0 / sqrt(squares / n + p.eps);
  }
  workgroupBarrier();
  if (t < 8u && first + t * 2u < p.rows) {
    put_vector(p.y + first / 2u + t, vec4<f32>(quads[t * 2u].xy, quads[t * 2u + 1u].xy));
  }
}

@compute @workgroup_size(128)
fn normalize_map(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = normalize_sizes;
  let id = linear(wg, grid) * 128u + t;
  let position = id / p.c;
  let image = position / p.hw;
  if (image >= p.n) {
    return;
  }
  let quad = id % p.c;
  let x = map_at(p.x + id);
  var means = vec4<f32>();
  var overs = vec4<f32>();
  for (var i = 0u; i < 4u; i++) {
    let channel = min(quad * 4u + i, p.real - 1u);
    var at = position;
    if (p.size > 0u) {
      at = image * p.groups + channel / p.size;
    }
    let pair = vector_at(p.moments + at / 2u);
    means[i] = pair[at % 2u * 2u];
    overs[i] = pair[at % 2u * 2u + 1u];
  }
  var over = x - means;
  if (p.gate != NONE) {
    over = x * sigmoid(floats[p.gate + quad] * x);
  }
  var v = activate(over * overs * floats[p.scale + quad] + floats[p.shift + quad], p.act);
  if (p.residual != NONE) {
    v += map_at(p.residual + id);
  }
  let inside = vec4<u32>(quad * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.real);
  put_map(p.y + id, select(vec4<f32>(), v, inside));
}
