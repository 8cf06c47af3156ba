// Maps and large weights in float32.
alias Quad = vec4<f32>;

fn up(quad: Quad) -> vec4<f32> {
  return quad;
}

fn down(v: vec4<f32>) -> Quad {
  return v;
}

fn vector_at(at: u32) -> vec4<f32> {
  return arena[at];
}

fn put_vector(at: u32, v: vec4<f32>) {
  arena[at] = v;
}
