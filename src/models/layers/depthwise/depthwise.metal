kernel void depthwise(constant Sizes &sizes [[buffer(0)]], device const T *xs [[buffer(1)]],
                      device const T *weight [[buffer(2)]], device T *ys [[buffer(3)]],
                      uint at [[thread_position_in_grid]]) {
  depthwise_at(at, sizes, xs, weight, ys);
}
