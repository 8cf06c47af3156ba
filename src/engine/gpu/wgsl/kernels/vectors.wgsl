// What has one value a channel: gates, means, dense layers, and kernels mixed for each image.

struct SqueezeExcite {
  c: u32, rd: u32, parts: u32, scale: f32, act: u32, gate: u32, sums: u32, w1: u32, b1: u32, w2: u32,
  b2: u32, y: u32,
}

struct GlobalContext {
  c: u32, hw: u32, rd: u32, act: u32, x: u32, scores: u32, attn: u32, attn_bias: f32, w1: u32, b1: u32,
  ln_w: u32, ln_b: u32, w2: u32, b2: u32, y: u32,
}

struct Pool {
  hw: u32, c: u32, x: u32, y: u32,
}

struct Dense {
  n: u32, k: u32, out: u32, act: u32, x: u32, wt: u32, bias: u32, y: u32,
}

struct Mix {
  // `experts` counts quads of a routing's row; `to_floats`, the kernels are written in f32.
  experts_real: u32, experts: u32, len: u32, to_floats: u32, routing: u32, wt: u32, y: u32,
}

@group(0) @binding(0) var<uniform> squeeze_excite_sizes: SqueezeExcite;
@group(0) @binding(0) var<uniform> global_context_sizes: GlobalContext;
@group(0) @binding(0) var<uniform> pool_sizes: Pool;
@group(0) @binding(0) var<uniform> dense_sizes: Dense;
@group(0) @binding(0) var<uniform> mix_sizes: Mix;

var<workgroup> quads: array<vec4<f32>, 256>;
var<workgroup> scalars: array<f32, 256>;
// `launch.rs` refuses more.
var<workgroup> hidden: array<f32, 2048>;

// The sum of what the 256 threads have, in each of them.
fn all_sum(t: u32, v: f32) -> f32 {
  workgroupBarrier();
  scalars[t] = v;
  for (var width = 128u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (t < width) {
      scalars[t] += scalars[t + width];
    }
  }
  workgroupBarrier();
  return scalars[0];
}

fn all_max(t: u32, v: f32) -> f32 {
  workgroupBarrier();
  scalars[t] = v;
  for (var width = 128u; width > 0u; width /= 2u) {
    workgroupBarrier();
    if (t < width) {
      scalars[t] = max(scalars[t], scalars[t + width]);
    }
  }
  workgroupBarrier();
  return scalars[0];
}

// The sum of the quads that the four threads of the same t % 64 have, in the first of them.
fn four_sum(t: u32, v: vec4<f32>) -> vec4<f32> {
  workgroupBarrier();
  quads[t] = v;
  workgroupBarrier();
  if (t >= 64u) {
    return v;
  }
  return quads[t] + quads[t + 64u] + quads[t + 128u] + quads[t + 192u];
}

// The sum of what 16 threads have that follow one another, in the first of them.
fn sixteen_sum(t: u32, v: f32) -> f32 {
  workgroupBarrier();
  scalars[t] = v;
  workgroupBarrier();
  var sum = 0.0;
  if (t % 16u == 0u) {
    for (var i = 0u; i < 16u; i++) {
      sum += scalars[t + i];
    }
  }
  return sum;
}

// hidden[r] = row r of w1 with the vector, and its bias: 16 threads a row. All that a workgroup has
// written of the vector is seen.
fn reduce(t: u32, c: u32, rd: u32, vector: u32, w1: u32, b1: u32) {
  storageBarrier();
  workgroupBarrier();
  for (var first = 0u; first < rd; first += 16u) {
    let r = first + t / 16u;
    var sum = 0.0;
    if (r < rd) {
      for (var at = t % 16u; at < c; at += 16u) {
        sum += dot(up(weights[w1 + r * c + at]), vector_at(vector + at));
      }
    }
    sum = sixteen_sum(t, sum);
    if (t % 16u == 0u && r < rd) {
      hidden[r] = sum + floats[b1 + r / 4u][r % 4u];
    }
  }
  workgroupBarrier();
}

// Writes the gate of sum_r hidden[r] * w2[r] and a bias.
fn expand(t: u32, c: u32, rd: u32, w2: u32, b2: u32, gate: u32, y: u32) {
  // All have read what is in the place of the gate.
  storageBarrier();
  workgroupBarrier();
  for (var first = 0u; first < c; first += 64u) {
    let quad = first + t % 64u;
    var sum = vec4<f32>();
    if (quad < c) {
      for (var r = t / 64u; r < rd; r += 4u) {
        sum += hidden[r] * up(weights[w2 + r * c + quad]);
      }
    }
    sum = four_sum(t, sum);
    if (t < 64u && quad < c) {
      put_vector(y + quad, activate(sum + floats[b2 + quad], gate));
    }
  }
}

// A workgroup an image. Means are kept where the gate will be.
@compute @workgroup_size(256)
fn squeeze_excite(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = squeeze_excite_sizes;
  let image = wg.x;
  let y = p.y + image * p.c;
  for (var first = 0u; first < p.c; first += 64u) {
    let quad = first + t % 64u;
    var sum = vec4<f32>();
    if (quad < p.c) {
      for (var part = t / 64u; part < p.parts; part += 4u) {
        sum += vector_at(p.sums + (image * p.parts + part) * p.c + quad);
      }
    }
    sum = four_sum(t, sum);
    if (t < 64u && quad < p.c) {
      put_vector(y + quad, sum * p.scale);
    }
  }
  reduce(t, p.c, p.rd, y, p.w1, p.b1);
  for (var r = t; r < p.rd; r += 256u) {
    hidden[r] = activate(vec4<f32>(hidden[r]), p.act).x;
  }
  expand(t, p.c, p.rd, p.w2, p.b2, p.gate, y);
}

// The gate of the mean over positions by a softmax, through a layer norm. A workgroup an image.
@compute @workgroup_size(256)
fn global_context(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = global_context_sizes;
  let image = wg.x;
  let x = p.x + image * p.hw * p.c;
  let y = p.y + image * p.c;
  let lines = (p.hw + 3u) / 4u;
  let scores = p.scores + image * lines;
  // Four positions a thread, as a quad has four scores; beyond the last, scores that make no difference.
  var most = -3e38;
  for (var first = 0u; first < lines; first += 16u) {
    let line = first + t / 16u;
    var four = vec4<f32>();
    for (var i = 0u; i < 4u; i++) {
      let position = line * 4u + i;
      var sum = 0.0;
      if (position < p.hw) {
        for (var at = t % 16u; at < p.c; at += 16u) {
          sum += dot(map_at(x + position * p.c + at), floats[p.attn + at]);
        }
      }
      sum = sixteen_sum(t, sum);
      four[i] = select(-3e38, sum + p.attn_bias, position < p.hw);
    }
    if (t % 16u == 0u && line < lines) {
      put_vector(scores + line, four);
      most = max(most, max(max(four.x, four.y), max(four.z, four.w)));
    }
  }
  most = all_max(t, most);
  storageBarrier();
  workgroupBarrier();
  var powers = 0.0;
  for (var line = t; line < lines; line += 256u) {
    let four = exp(max(vector_at(scores + line) - most, vec4<f32>(-80.0)));
    let inside = vec4<u32>(line * 4u) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(p.hw);
    let power = select(vec4<f32>(), four, inside);
    put_vector(scores + line, power);
    powers += power.x + power.y + power.z + power.w;
  }
  powers = all_sum(t, powers);
  storageBarrier();
  workgroupBarrier();
  for (var first = 0u; first < p.c; first += 64u) {
    let quad = first + t % 64u;
    var sum = vec4<f32>();
    if (quad < p.c) {
      for (var i = t / 64u; i < p.hw; i += 4u) {
        sum += vector_at(scores + i / 4u)[i % 4u] * map_at(x + i * p.c + quad);
      }
    }
    sum = four_sum(t, sum);
    if (t < 64u && quad < p.c) {
      put_vector(y + quad, sum / powers);
    }
  }
  reduce(t, p.c, p.rd, y, p.w1, p.b1);
  var sum = 0.0;
  for (var r = t; r < p.rd; r += 256u) {
    sum += hidden[r];
  }
  let mean = all_sum(t, sum) / f32(p.rd);
  var squares = 0.0;
  for (var r = t; r < p.rd; r += 256u) {
    squares += (hidden[r] - mean) * (hidden[r] - mean);
  }
  let over = 1.0 / sqrt(all_sum(t, squares) / f32(p.rd) + 1e-6);
  for (var r = t; r < p.rd; r += 256u) {
    let scale = floats[p.ln_w + r / 4u][r % 4u];
    let shift = floats[p.ln_b + r / 4u][r % 4u];
    hidden[r] = activate(vec4<f32>((hidden[r] - mean) * over * scale + shift), p.act).x;
  }
  expand(t, p.c, p.rd, p.w2, p.b2, 6u, y);
}

// The mean over positions: 16 threads side by side over 16 quads, 16 over positions. Workgroups are
// quads, images.
@compute @workgroup_size(256)
fn pool(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = pool_sizes;
  let quad = wg.x * 16u + t % 16u;
  var sum = vec4<f32>();
  if (quad < p.c) {
    for (var i = t / 16u; i < p.hw; i += 16u) {
      sum += map_at(p.x + (wg.y * p.hw + i) * p.c + quad);
    }
  }
  quads[t] = sum;
  workgroupBarrier();
  if (t < 16u && quad < p.c) {
    for (var i = 1u; i < 16u; i++) {
      sum += quads[i * 16u + t];
    }
    put_vector(p.y + wg.y * p.c + quad, sum / f32(p.hw));
  }
}

// A quad of outputs of up to 8 images: weights are read once for them. 16 threads an output; what they
// have of four images is a quad.
@compute @workgroup_size(64)
fn dense(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = dense_sizes;
  let first = wg.y * 8u;
  let own = (wg.x * 4u + t / 16u) * p.k;
  let last = p.n - 1u;
  var a = vec4<f32>();
  var b = vec4<f32>();
  for (var at = t % 16u; at < p.k; at += 16u) {
    let w = up(weights[p.wt + own + at]);
    a += vec4<f32>(
      dot(w, vector_at(p.x + min(first, last) * p.k + at)),
      dot(w, vector_at(p.x + min(first + 1u, last) * p.k + at)),
      dot(w, vector_at(p.x + min(first + 2u, last) * p.k + at)),
      dot(w, vector_at(p.x + min(first + 3u, last) * p.k + at)),
    );
    if (first + 4u < p.n) {
      b += vec4<f32>(
        dot(w, vector_at(p.x + min(first + 4u, last) * p.k + at)),
        dot(w, vector_at(p.x + min(first + 5u, last) * p.k + at)),
        dot(w, vector_at(p.x + min(first + 6u, last) * p.k + at)),
        dot(w, vector_at(p.x + min(first + 7u, last) * p.k + at)),
      );
    }
  }
  quads[t] = a;
  quads[64u + t] = b;
  workgroupBarrier();
  if (t < 8u && first + t < p.n) {
    var v = floats[p.bias + wg.x];
    for (var i = 0u; i < 4u; i++) {
      var sum = 0.0;
      for (var lane = 0u; lane < 16u; lane++) {
        sum += quads[t / 4u * 64u + i * 16u + lane][t % 4u];
      }
      v[i] += sum;
    }
    put_vector(p.y + (first + t) * p.out + wg.x, activate(v, p.act));
  }
}

// Workgroups are 128 quads, images.
@compute @workgroup_size(128)
fn mix_kernels(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = mix_sizes;
  let at = wg.x * 128u + t;
  if (at >= p.len) {
    return;
  }
  var sum = vec4<f32>();
  for (var e = 0u; e < p.experts_real; e++) {
    let weight = vector_at(p.routing + wg.y * p.experts + e / 4u)[e % 4u];
    sum += weight * floats[p.wt + e * p.len + at];
  }
  if (p.to_floats == 1u) {
    put_vector(p.y + wg.y * p.len + at, sum);
  } else {
    put_map(p.y + wg.y * p.len + at, sum);
  }
}
