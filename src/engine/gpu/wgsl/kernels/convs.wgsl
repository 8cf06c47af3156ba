// The first, the grouped and the depthwise convolutions. A thread has a quad of channels of columns side
// by side.

struct Stem {
  // `cin` and the bytes' table, or floats.
  n: u32, h: u32, w: u32, cin: u32, oh: u32, ow: u32, cout: u32, kernel: u32, stride: u32, top: i32,
  left: i32, bytes: u32, act: u32, wt: u32, bias: u32, y: u32,
}

struct Grouped {
  // `cin`, `cin_real` and `cout_real` count channels.
  n: u32, h: u32, w: u32, cin: u32, oh: u32, ow: u32, cout: u32, kernel: u32, stride: u32, top: i32,
  left: i32, groups: u32, cin_real: u32, cout_real: u32, act: u32, x: u32, wt: u32, bias: u32,
  residual: u32, y: u32,
}

struct Depthwise {
  h: u32, w: u32, c: u32, oh: u32, ow: u32, kernel: u32, stride: u32, top: i32, left: i32, act: u32,
  parts: u32, x: u32,
  // An image's kernels are `w_stride` quads after the last's; `mixed`, in the arena.
  wt: u32, w_stride: u32, mixed: u32,
  bias: u32, y: u32, sums: u32,
}

@group(0) @binding(0) var<uniform> stem_sizes: Stem;
@group(0) @binding(0) var<uniform> grouped_sizes: Grouped;
@group(0) @binding(0) var<uniform> depthwise_sizes: Depthwise;

fn pixel(p: Stem, image: u32, row: u32, column: u32, c: u32) -> f32 {
  if (column >= p.w) {
    return 0.0;
  }
  if (p.bytes == 0u) {
    return bitcast<f32>(images[((image * p.cin + c) * p.h + row) * p.w + column]);
  }
  let at = ((image * p.h + row) * p.w + column) * p.cin + c;
  let byte = images[p.cin * 256u + at / 4u] >> (at % 4u * 8u) & 255u;
  return bitcast<f32>(images[c * 256u + byte]);
}

// Four columns a thread.
@compute @workgroup_size(128)
fn stem(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = stem_sizes;
  let id = linear(wg, grid) * 128u + t;
  let quad = id % p.cout;
  let strip = id / p.cout;
  let strips = (p.ow + 3u) / 4u;
  let line = strip / strips;
  let image = line / p.oh;
  if (image >= p.n) {
    return;
  }
  let out = strip % strips * 4u;
  let x0 = i32(out * p.stride) - p.left;
  let y0 = i32(line % p.oh * p.stride) - p.top;
  let bias = floats[p.bias + quad];
  var a = bias;
  var b = bias;
  var c = bias;
  var d = bias;
  for (var dy = 0u; dy < p.kernel; dy++) {
    let row = u32(y0 + i32(dy));
    if (row >= p.h) {
      continue;
    }
    for (var dx = 0u; dx < p.kernel; dx++) {
      let column = u32(x0 + i32(dx));
      for (var channel = 0u; channel < p.cin; channel++) {
        let weight = floats[p.wt + ((dy * p.kernel + dx) * p.cin + channel) * p.cout + quad];
        a += pixel(p, image, row, column, channel) * weight;
        b += pixel(p, image, row, column + p.stride, channel) * weight;
        c += pixel(p, image, row, column + 2u * p.stride, channel) * weight;
        d += pixel(p, image, row, column + 3u * p.stride, channel) * weight;
      }
    }
  }
  let at = p.y + (line * p.ow + out) * p.cout + quad;
  put_map(at, activate(a, p.act));
  if (out + 1u < p.ow) {
    put_map(at + p.cout, activate(b, p.act));
  }
  if (out + 2u < p.ow) {
    put_map(at + 2u * p.cout, activate(c, p.act));
  }
  if (out + 3u < p.ow) {
    put_map(at + 3u * p.cout, activate(d, p.act));
  }
}

// One column a thread. Channels of a group begin anywhere in a quad.
@compute @workgroup_size(128)
fn conv_grouped(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = grouped_sizes;
  let id = linear(wg, grid) * 128u + t;
  let quad = id % p.cout;
  let position = id / p.cout;
  let line = position / p.ow;
  let image = line / p.oh;
  if (image >= p.n) {
    return;
  }
  let x0 = i32(position % p.ow * p.stride) - p.left;
  let y0 = i32(line % p.oh * p.stride) - p.top;
  let inputs = p.cin_real / p.groups;
  let taps = p.kernel * p.kernel;
  var v = floats[p.bias + quad];
  for (var i = 0u; i < 4u; i++) {
    let channel = quad * 4u + i;
    if (channel >= p.cout_real) {
      v[i] = 0.0;
      continue;
    }
    let group = channel / (p.cout_real / p.groups) * inputs;
    var sum = 0.0;
    for (var tap = 0u; tap < taps; tap++) {
      let row = u32(y0 + i32(tap / p.kernel));
      let column = u32(x0 + i32(tap % p.kernel));
      if (row >= p.h || column >= p.w) {
        continue;
      }
      let base = ((image * p.h + row) * p.w + column) * p.cin + group;
      let own = (channel * taps + tap) * inputs;
      for (var c = 0u; c < inputs; c++) {
        let x = map_at(p.x + (base + c) / 4u)[(base + c) % 4u];
        sum += x * up(weights[p.wt + (own + c) / 4u])[(own + c) % 4u];
      }
    }
    v[i] += sum;
  }
  v = activate(v, p.act);
  for (var i = 0u; i < 4u; i++) {
    if (quad * 4u + i >= p.cout_real) {
      v[i] = 0.0;
    }
  }
  if (p.residual != NONE) {
    v += map_at(p.residual + id);
  }
  put_map(p.y + id, v);
}

fn depthwise_weight(p: Depthwise, at: u32) -> vec4<f32> {
  if (p.mixed == 1u) {
    return vector_at(at);
  }
  return floats[at];
}

var<workgroup> totals: array<vec4<f32>, 128>;

// A workgroup has up to 16 quads of a share of the strips of four columns, so that it can sum what it
// writes: workgroups are quads, parts, images.
@compute @workgroup_size(128)
fn depthwise(@builtin(workgroup_id) wg: vec3<u32>, @builtin(num_workgroups) grid: vec3<u32>,
    @builtin(local_invocation_index) t: u32) {
  let p = depthwise_sizes;
  // Quads are shared out evenly, so that few threads are idle whatever their number.
  let width = (p.c + grid.x - 1u) / grid.x;
  let slots = 128u / width;
  let slot = t / width;
  let quad = wg.x * width + t % width;
  let is_active = slot < slots && quad < p.c;
  var total = vec4<f32>();
  if (is_active) {
    let bias = floats[p.bias + quad];
    let wt = p.wt + wg.z * p.w_stride + quad;
    let across = (p.ow + 3u) / 4u;
    let strips = p.oh * across;
    let share = (strips + p.parts - 1u) / p.parts;
    let end = min((wg.y + 1u) * share, strips);
    for (var strip = wg.y * share + slot; strip < end; strip += slots) {
      let line = strip / across;
      let out = strip % across * 4u;
      let x0 = i32(out * p.stride) - p.left;
      let y0 = i32(line * p.stride) - p.top;
      var a = bias;
      var b = bias;
      var c = bias;
      var d = bias;
      for (var dy = 0u; dy < p.kernel; dy++) {
        let row = u32(y0 + i32(dy));
        if (row >= p.h) {
          continue;
        }
        let base = p.x + (wg.z * p.h + row) * p.w * p.c + quad;
        for (var dx = 0u; dx < p.kernel; dx++) {
          let weight = depthwise_weight(p, wt + (dy * p.kernel + dx) * p.c);
          let column = u32(x0 + i32(dx));
          if (column < p.w) {
            a += map_at(base + column * p.c) * weight;
          }
          if (column + p.stride < p.w) {
            b += map_at(base + (column + p.stride) * p.c) * weight;
          }
          if (column + 2u * p.stride < p.w) {
            c += map_at(base + (column + 2u * p.stride) * p.c) * weight;
          }
          if (column + 3u * p.stride < p.w) {
            d += map_at(base + (column + 3u * p.stride) * p.c) * weight;
          }
        }
      }
      let at = p.y + ((wg.z * p.oh + line) * p.ow + out) * p.c + quad;
      a = activate(a, p.act);
      total += a;
      put_map(at, a);
      if (out + 1u < p.ow) {
        b = activate(b, p.act);
        total += b;
        put_map(at + p.c, b);
      }
      if (out + 2u < p.ow) {
        c = activate(c, p.act);
        total += c;
        put_map(at + 2u * p.c, c);
      }
      if (out + 3u < p.ow) {
        d = activate(d, p.act);
        total += d;
        put_map(at + 3u * p.c, d);
      }
    }
  }
  if (p.sums == NONE) {
    return;
  }
  totals[t] = total;
  workgroupBarrier();
  if (slot == 0u && is_active) {
    for (var i = 1u; i < slots; i++) {
      total += totals[i * width + t];
    }
    put_vector(p.sums + (wg.z * p.parts + wg.y) * p.c + quad, total);
  }
}
