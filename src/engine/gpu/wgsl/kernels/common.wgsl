// The kernels of the engines that take WGSL: one text for each type of the maps.
//
// A map is [image][y][x][c], a vector [image][c] of f32; c is padded to a multiple of 8 with zeros. All
// is read and written in quads, four channels; channels are counted in quads where nothing else is said.
// Regions of the arena and tensors begin at multiples of 256 bytes; where they begin is counted in quads
// of what they hold. The sizes of each kernel come in a struct, whose words `launch.rs` writes in the same
// order.
//
// Regions share one binding, as WebGPU forbids two of which one is written where a kernel's operands are
// the same region. No kernel writes a part of a quad that another thread writes.
//
// Sums are f32 and in a fixed order: the same bits on every run.

@group(0) @binding(1) var<storage, read_write> arena: array<Quad>;
// Tensors in the type of the maps, and in f32.
@group(0) @binding(2) var<storage, read> weights: array<Quad>;
@group(0) @binding(3) var<storage, read> floats: array<vec4<f32>>;
// Floats (N, C, H, W); or a table (C, 256) of f32, and after it bytes (N, H, W, C).
@group(0) @binding(4) var<storage, read> images: array<u32>;
@group(0) @binding(5) var<storage, read_write> outputs: array<f32>;

// In place of an operand that a kernel goes without.
const NONE = 0xffffffffu;

fn map_at(at: u32) -> vec4<f32> {
  return up(arena[at]);
}

fn put_map(at: u32, v: vec4<f32>) {
  arena[at] = down(v);
}

// Workgroups are in rows, as a dimension has at most 65535 of them.
fn linear(group: vec3<u32>, grid: vec3<u32>) -> u32 {
  return group.y * grid.x + group.x;
}

// Larger values make no difference to what is computed of it, and would be infinite.
fn exp_minus(v: vec4<f32>) -> vec4<f32> {
  return exp(min(-v, vec4<f32>(80.0)));
}

fn sigmoid(v: vec4<f32>) -> vec4<f32> {
  return 1.0 / (1.0 + exp_minus(v));
}

fn relu6(v: vec4<f32>) -> vec4<f32> {
  return clamp(v, vec4<f32>(0.0), vec4<f32>(6.0));
}

// Half of erfc by formula 7.1.26 of Abramowitz and Stegun, within 1e-7.
fn gelu(v: vec4<f32>) -> vec4<f32> {
  let size = min(abs(v), vec4<f32>(20.0));
  let z = size * 0.70710678;
  let t = 1.0 / (1.0 + 0.3275911 * z);
  let p = ((((1.0614054 * t - 1.453152) * t + 1.4214138) * t - 0.28449674) * t + 0.2548296) * t;
  return max(v, vec4<f32>(0.0)) - 0.5 * size * (p * exp_minus(z * z));
}

// v * tanh(ln(1 + e^v)), whose tanh is t / (t + 2) with t = e^v * (e^v + 2).
fn mish(v: vec4<f32>) -> vec4<f32> {
  let e = exp(min(v, vec4<f32>(20.0)));
  let t = e * (e + 2.0);
  return v * (t / (t + 2.0));
}

fn activate(v: vec4<f32>, act: u32) -> vec4<f32> {
  switch act {
    case 1u: { return max(v, vec4<f32>(0.0)); }
    case 2u: { return relu6(v); }
    case 3u: { return v / (1.0 + exp_minus(v)); }
    case 4u: { return v * (relu6(v + 3.0) / 6.0); }
    case 5u: { return relu6(v + 3.0) / 6.0; }
    case 6u: { return sigmoid(v); }
    case 7u: { return gelu(v); }
    case 8u: { return mish(v); }
    default: { return v; }
  }
}
