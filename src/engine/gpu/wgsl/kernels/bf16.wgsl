// bfloat16 is the upper half of a float32.
fn up(quad: Quad) -> vec4<f32> {
  let bits = vec4<u32>(quad.x << 16u, quad.x & 0xffff0000u, quad.y << 16u, quad.y & 0xffff0000u);
  return bitcast<vec4<f32>>(bits);
}

// To the nearest, of two to the even one.
fn down(v: vec4<f32>) -> Quad {
  let bits = bitcast<vec4<u32>>(v);
  let rounded = bits + 0x7fffu + ((bits >> vec4<u32>(16u)) & vec4<u32>(1u));
  // A NaN stays one: the sum would carry into its exponent.
  let is_nan = (bits & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
  let halves = select(rounded, bits | vec4<u32>(0x400000u), is_nan) >> vec4<u32>(16u);
  return halves.xz | (halves.yw << vec2<u32>(16u));
}
