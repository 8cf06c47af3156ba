// Maps and large weights in halves, two a word: `up` and `down` are in `f16.wgsl` and `bf16.wgsl`.
alias Quad = vec2<u32>;

fn vector_at(at: u32) -> vec4<f32> {
  return bitcast<vec4<f32>>(vec4<u32>(arena[at * 2u], arena[at * 2u + 1u]));
}

fn put_vector(at: u32, v: vec4<f32>) {
  let bits = bitcast<vec4<u32>>(v);
  arena[at * 2u] = bits.xy;
  arena[at * 2u + 1u] = bits.zw;
}
