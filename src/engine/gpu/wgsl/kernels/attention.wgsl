// Attention of many heads' queries to one set of keys and values, by an online softmax. A row is one
// head's query at a position; a workgroup has eight rows, and takes 64 positions of keys and values at a
// time. Keys have up to 64 quads.

struct Attention {
  // `dims` are the quads of a key; the strides, those of a position.
  queries: u32, keys: u32, heads: u32, dims: u32, q_stride: u32, kv_stride: u32, q: u32, k: u32,
  v: u32, y: u32,
}

@group(0) @binding(0) var<uniform> attention_sizes: Attention;

var<workgroup> rows: array<array<vec4<f32>, 64>, 8>;
var<workgroup> powers: array<array<f32, 64>, 8>;

@compute @workgroup_size(128)
fn attention(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = attention_sizes;
  let first = wg.x * 8u;
  let all = p.queries * p.heads;
  let image = wg.y * p.queries;
  for (var i = t; i < 8u * p.dims; i += 128u) {
    let row = min(first + i / p.dims, all - 1u);
    let at = p.q + (image + row / p.heads) * p.q_stride + row % p.heads * p.dims;
    rows[i / p.dims][i % p.dims] = map_at(at + i % p.dims);
  }
  // For scores, a thread has a position and four rows; after them, a row and every 16th quad of values.
  let position = t % 64u;
  let row0 = t / 64u * 4u;
  let own = t / 16u;
  let lane = t % 16u;
  var most = -3e38;
  var norm = 0.0;
  var a = vec4<f32>();
  var b = vec4<f32>();
  var c = vec4<f32>();
  var d = vec4<f32>();
  for (var start = 0u; start < p.keys; start += 64u) {
    let positions = min(p.keys - start, 64u);
    let base = (wg.y * p.keys + start) * p.kv_stride;
    // The powers of the last positions have been read by all.
    workgroupBarrier();
    var scores = vec4<f32>(-3e38);
    if (position < positions) {
      scores = vec4<f32>();
      for (var i = 0u; i < p.dims; i++) {
        let key = map_at(p.k + base + position * p.kv_stride + i);
        scores += vec4<f32>(
          dot(key, rows[row0][i]),
          dot(key, rows[row0 + 1u][i]),
          dot(key, rows[row0 + 2u][i]),
          dot(key, rows[row0 + 3u][i]),
        );
      }
    }
    powers[row0][position] = scores.x;
    powers[row0 + 1u][position] = scores.y;
    powers[row0 + 2u][position] = scores.z;
    powers[row0 + 3u][position] = scores.w;
    workgroupBarrier();
    var larger = most;
    for (var i = 0u; i < positions; i++) {
      larger = max(larger, powers[own][i]);
    }
    let before = exp(max(most - larger, -80.0));
    most = larger;
    // All have the largest before scores become powers.
    workgroupBarrier();
    for (var i = lane; i < 64u; i += 16u) {
      powers[own][i] = select(0.0, exp(max(powers[own][i] - larger, -80.0)), i < positions);
    }
    workgroupBarrier();
    norm *= before;
    a *= before;
    b *= before;
    c *= before;
    d *= before;
    for (var i = 0u; i < positions; i++) {
      let power = powers[own][i];
      let at = p.v + base + i * p.kv_stride + lane;
      norm += power;
      if (lane < p.dims) {
        a += power * map_at(at);
      }
      if (lane + 16u < p.dims) {
        b += power * map_at(at + 16u);
      }
      if (lane + 32u < p.dims) {
        c += power * map_at(at + 32u);
      }
      if (lane + 48u < p.dims) {
        d += power * map_at(at + 48u);
      }
    }
  }
  let row = first + own;
  if (row >= all) {
    return;
  }
  let line = p.y + (image + row / p.heads) * p.q_stride;
  let at = line + row % p.heads * p.dims + lane;
  if (lane < p.dims) {
    put_map(at, a / norm);
  }
  if (lane + 16u < p.dims) {
    put_map(at + 16u, b / norm);
  }
  if (lane + 32u < p.dims) {
    put_map(at + 32u, c / norm);
  }
  if (lane + 48u < p.dims) {
    put_map(at + 48u, d / norm);
  }
  // The last head also writes the zeros that pad the channels.
  let padding = p.heads * p.dims + lane;
  if (row % p.heads == p.heads - 1u && padding < p.q_stride) {
    put_map(line + padding, vec4<f32>());
  }
}
