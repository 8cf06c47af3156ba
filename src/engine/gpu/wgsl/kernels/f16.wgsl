// float16 by the conversions that every device has: no arithmetic is done in it.
fn up(quad: Quad) -> vec4<f32> {
  return vec4<f32>(unpack2x16float(quad.x), unpack2x16float(quad.y));
}

fn down(v: vec4<f32>) -> Quad {
  return vec2<u32>(pack2x16float(v.xy), pack2x16float(v.zw));
}
