// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
    uint size4;
};

typedef metal::float4 Quad;
typedef Quad type_2[1];
typedef metal::float4 type_4[1];
typedef uint type_5[1];
typedef float type_6[1];
struct Pointwise {
    uint groups;
    uint rows;
    uint k;
    uint n;
    uint act;
    uint x;
    uint wt;
    uint w_stride;
    uint mixed;
    uint bias;
    uint gate;
    uint gate_rows;
    uint residual;
    uint y;
};
struct Conv {
    uint n;
    uint h;
    uint w;
    uint cin;
    uint oh;
    uint ow;
    uint cout;
    uint kernel_;
    uint stride;
    int top;
    int left;
    uint act;
    uint x;
    uint wt;
    uint bias;
    uint residual;
    uint y;
};
struct type_9 {
    metal::float4 inner[260];
};
struct Sums {
    metal::float4 a;
    metal::float4 b;
    metal::float4 c;
    metal::float4 d;
};
struct Finish {
    uint n;
    uint act;
    uint bias;
    uint residual;
    uint y;
    uint first;
    uint rows;
    uint column;
};
struct Stem {
    uint n;
    uint h;
    uint w;
    uint cin;
    uint oh;
    uint ow;
    uint cout;
    uint kernel_;
    uint stride;
    int top;
    int left;
    uint bytes;
    uint act;
    uint wt;
    uint bias;
    uint y;
};
struct Grouped {
    uint n;
    uint h;
    uint w;
    uint cin;
    uint oh;
    uint ow;
    uint cout;
    uint kernel_;
    uint stride;
    int top;
    int left;
    uint groups;
    uint cin_real;
    uint cout_real;
    uint act;
    uint x;
    uint wt;
    uint bias;
    uint residual;
    uint y;
};
struct Depthwise {
    uint h;
    uint w;
    uint c;
    uint oh;
    uint ow;
    uint kernel_;
    uint stride;
    int top;
    int left;
    uint act;
    uint parts;
    uint x;
    uint wt;
    uint w_stride;
    uint mixed;
    uint bias;
    uint y;
    uint sums;
};
struct type_12 {
    metal::float4 inner[128];
};
struct SqueezeExcite {
    uint c;
    uint rd;
    uint parts;
    float scale;
    uint act;
    uint gate;
    uint sums;
    uint w1_;
    uint b1_;
    uint w2_;
    uint b2_;
    uint y;
};
struct GlobalContext {
    uint c;
    uint hw;
    uint rd;
    uint act;
    uint x;
    uint scores;
    uint attn;
    float attn_bias;
    uint w1_;
    uint b1_;
    uint ln_w;
    uint ln_b;
    uint w2_;
    uint b2_;
    uint y;
};
struct Pool {
    uint hw;
    uint c;
    uint x;
    uint y;
};
struct Dense {
    uint n;
    uint k;
    uint out;
    uint act;
    uint x;
    uint wt;
    uint bias;
    uint y;
};
struct Mix {
    uint experts_real;
    uint experts;
    uint len;
    uint to_floats;
    uint routing;
    uint wt;
    uint y;
};
struct type_13 {
    metal::float4 inner[256];
};
struct type_14 {
    float inner[256];
};
struct type_15 {
    float inner[2048];
};
struct Attention {
    uint queries;
    uint keys;
    uint heads;
    uint dims;
    uint q_stride;
    uint kv_stride;
    uint q;
    uint k;
    uint v;
    uint y;
};
struct type_17 {
    metal::float4 inner[64];
};
struct type_18 {
    type_17 inner[8];
};
struct type_19 {
    float inner[64];
};
struct type_20 {
    type_19 inner[8];
};
struct AntiAlias {
    uint n;
    uint h;
    uint w;
    uint c;
    uint oh;
    uint ow;
    uint size;
    uint x;
    uint y;
};
struct ScaleShift {
    uint rows;
    uint c;
    uint scale;
    uint shift;
    uint x;
    uint y;
};
struct ExportMap {
    uint hw;
    uint c;
    uint real;
    uint x;
    uint y;
};
struct ExportVector {
    uint n;
    uint c;
    uint real;
    uint x;
    uint y;
};
struct type_21 {
    float inner[33];
};
struct type_22 {
    type_21 inner[32];
};
struct MomentsGroups {
    uint count;
    uint groups;
    uint hw;
    uint c;
    uint size;
    float eps;
    uint x;
    uint y;
};
struct MomentsPositions {
    uint rows;
    uint c;
    uint real;
    float eps;
    uint x;
    uint y;
};
struct Normalize {
    uint n;
    uint hw;
    uint c;
    uint real;
    uint size;
    uint groups;
    uint act;
    uint x;
    uint moments;
    uint scale;
    uint shift;
    uint gate;
    uint residual;
    uint y;
};
constant uint NONE = 4294967295u;
constant uint SLICE_ROW = 65u;

metal::float4 up(
    Quad quad_
) {
    return quad_;
}

Quad down(
    metal::float4 v_3
) {
    return v_3;
}

metal::float4 vector_at(
    uint at_5,
    device type_2 const& arena,
    constant _mslBufferSizes& _buffer_sizes
) {
    Quad _e3 = arena[at_5];
    return _e3;
}

void put_vector(
    uint at_6,
    metal::float4 v_4,
    device type_2& arena,
    constant _mslBufferSizes& _buffer_sizes
) {
    arena[at_6] = v_4;
    return;
}

metal::float4 map_at(
    uint at_7,
    device type_2 const& arena,
    constant _mslBufferSizes& _buffer_sizes
) {
    Quad _e3 = arena[at_7];
    metal::float4 _e4 = up(_e3);
    return _e4;
}

void put_map(
    uint at_8,
    metal::float4 v_5,
    device type_2& arena,
    constant _mslBufferSizes& _buffer_sizes
) {
    Quad _e4 = down(v_5);
    arena[at_8] = _e4;
    return;
}

uint linear(
    metal::uint3 group,
    metal::uint3 grid_18
) {
    return (group.y * grid_18.x) + group.x;
}

metal::float4 exp_minus(
    metal::float4 v_6
) {
    return metal::exp(metal::min(-(v_6), metal::float4(80.0)));
}

metal::float4 sigmoid(
    metal::float4 v_7
) {
    metal::float4 _e1 = exp_minus(v_7);
    return metal::float4(1.0) / (metal::float4(1.0) + _e1);
}

metal::float4 relu6_(
    metal::float4 v_8
) {
    return metal::clamp(v_8, metal::float4(0.0), metal::float4(6.0));
}

metal::float4 gelu(
    metal::float4 v_9
) {
    metal::float4 size = metal::min(metal::abs(v_9), metal::float4(20.0));
    metal::float4 z = size * 0.70710677;
    metal::float4 t_28 = metal::float4(1.0) / (metal::float4(1.0) + (0.3275911 * z));
    metal::float4 p_5 = ((((((((1.0614054 * t_28) - metal::float4(1.453152)) * t_28) + metal::float4(1.4214138)) * t_28) - metal::float4(0.28449675)) * t_28) + metal::float4(0.2548296)) * t_28;
    metal::float4 _e39 = exp_minus(z * z);
    return metal::max(v_9, metal::float4(0.0)) - ((0.5 * size) * (p_5 * _e39));
}

metal::float4 mish(
    metal::float4 v_10
) {
    metal::float4 e_1 = metal::exp(metal::min(v_10, metal::float4(20.0)));
    metal::float4 t_29 = e_1 * (e_1 + metal::float4(2.0));
    return v_10 * (t_29 / (t_29 + metal::float4(2.0)));
}

metal::float4 activate(
    metal::float4 v_11,
    uint act
) {
    switch(act) {
        case 1u: {
            return metal::max(v_11, metal::float4(0.0));
        }
        case 2u: {
            metal::float4 _e5 = relu6_(v_11);
            return _e5;
        }
        case 3u: {
            metal::float4 _e6 = exp_minus(v_11);
            return v_11 / (metal::float4(1.0) + _e6);
        }
        case 4u: {
            metal::float4 _e14 = relu6_(v_11 + metal::float4(3.0));
            return v_11 * (_e14 / metal::float4(6.0));
        }
        case 5u: {
            metal::float4 _e22 = relu6_(v_11 + metal::float4(3.0));
            return _e22 / metal::float4(6.0);
        }
        case 6u: {
            metal::float4 _e26 = sigmoid(v_11);
            return _e26;
        }
        case 7u: {
            metal::float4 _e27 = gelu(v_11);
            return _e27;
        }
        case 8u: {
            metal::float4 _e28 = mish(v_11);
            return _e28;
        }
        default: {
            return v_11;
        }
    }
}

void put_slices(
    uint t_18,
    metal::float4 x_2,
    metal::float4 w_2,
    threadgroup type_9& x_slice,
    threadgroup type_9& w_slice
) {
    uint row_3 = t_18 / 4u;
    uint at_13 = (t_18 % 4u) * SLICE_ROW;
    x_slice.inner[at_13 + row_3] = x_2;
    w_slice.inner[(at_13 + ((row_3 % 4u) * 16u)) + (row_3 / 4u)] = w_2;
    return;
}

Sums multiply(
    Sums sums_2,
    uint t_19,
    threadgroup type_9& x_slice,
    threadgroup type_9& w_slice
) {
    Sums s = {};
    uint at_9 = 0u;
    s = sums_2;
    uint row_4 = t_19 / 16u;
    uint column_2 = t_19 % 16u;
    bool loop_init = true;
    while(true) {
        if (!loop_init) {
            uint _e81 = at_9;
            at_9 = _e81 + SLICE_ROW;
        }
        loop_init = false;
        uint _e9 = at_9;
        if (_e9 < 260u) {
        } else {
            break;
        }
        {
            uint _e13 = at_9;
            metal::float4 _e16 = w_slice.inner[_e13 + column_2];
            uint _e18 = at_9;
            metal::float4 _e23 = w_slice.inner[(_e18 + column_2) + 16u];
            uint _e25 = at_9;
            metal::float4 _e30 = w_slice.inner[(_e25 + column_2) + 32u];
            uint _e32 = at_9;
            metal::float4 _e37 = w_slice.inner[(_e32 + column_2) + 48u];
            metal::float4x4 w_3 = metal::float4x4(_e16, _e23, _e30, _e37);
            metal::float4 _e40 = s.a;
            uint _e42 = at_9;
            metal::float4 _e45 = x_slice.inner[_e42 + row_4];
            s.a = _e40 + (_e45 * w_3);
            metal::float4 _e49 = s.b;
            uint _e51 = at_9;
            metal::float4 _e56 = x_slice.inner[(_e51 + row_4) + 16u];
            s.b = _e49 + (_e56 * w_3);
            metal::float4 _e60 = s.c;
            uint _e62 = at_9;
            metal::float4 _e67 = x_slice.inner[(_e62 + row_4) + 32u];
            s.c = _e60 + (_e67 * w_3);
            metal::float4 _e71 = s.d;
            uint _e73 = at_9;
            metal::float4 _e78 = x_slice.inner[(_e73 + row_4) + 48u];
            s.d = _e71 + (_e78 * w_3);
        }
    }
    Sums _e84 = s;
    return _e84;
}

void finish_row(
    Finish f,
    uint row,
    metal::float4 sums_3,
    device type_2& arena,
    device type_4 const& floats,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local_22 = {};
    metal::float4 v_12 = {};
    if (!((row >= f.rows))) {
        local_22 = f.column >= f.n;
    } else {
        local_22 = true;
    }
    bool _e12 = local_22;
    if (_e12) {
        return;
    }
    uint at_14 = ((f.first + row) * f.n) + f.column;
    metal::float4 _e24 = floats[f.bias + f.column];
    metal::float4 _e27 = activate(sums_3 + _e24, f.act);
    v_12 = _e27;
    if (f.residual != NONE) {
        metal::float4 _e32 = v_12;
        metal::float4 _e35 = map_at(f.residual + at_14, arena, _buffer_sizes);
        v_12 = _e32 + _e35;
    }
    metal::float4 _e39 = v_12;
    put_map(f.y + at_14, _e39, arena, _buffer_sizes);
    return;
}

void finish(
    Finish f_1,
    uint t_20,
    Sums sums_4,
    device type_2& arena,
    device type_4 const& floats,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint row_5 = t_20 / 16u;
    finish_row(f_1, row_5, sums_4.a, arena, floats, _buffer_sizes);
    finish_row(f_1, row_5 + 16u, sums_4.b, arena, floats, _buffer_sizes);
    finish_row(f_1, row_5 + 32u, sums_4.c, arena, floats, _buffer_sizes);
    finish_row(f_1, row_5 + 48u, sums_4.d, arena, floats, _buffer_sizes);
    return;
}

metal::float4 pointwise_x(
    Pointwise p,
    uint row_1,
    uint column,
    device type_2 const& arena,
    constant _mslBufferSizes& _buffer_sizes
) {
    metal::float4 _e8 = map_at((p.x + (row_1 * p.k)) + column, arena, _buffer_sizes);
    if (p.gate == NONE) {
        return _e8;
    }
    metal::float4 _e19 = vector_at((p.gate + ((row_1 / p.gate_rows) * p.k)) + column, arena, _buffer_sizes);
    return _e8 * _e19;
}

metal::float4 pointwise_w(
    Pointwise p_1,
    uint at_10,
    device type_2 const& arena,
    device type_2 const& weights,
    constant _mslBufferSizes& _buffer_sizes
) {
    if (p_1.mixed == 1u) {
        metal::float4 _e5 = map_at(at_10, arena, _buffer_sizes);
        return _e5;
    }
    Quad _e8 = weights[at_10];
    metal::float4 _e9 = up(_e8);
    return _e9;
}

float pixel(
    Stem p_2,
    uint image,
    uint row_2,
    uint column_1,
    uint c_4,
    device type_5 const& images,
    constant _mslBufferSizes& _buffer_sizes
) {
    if (column_1 >= p_2.w) {
        return 0.0;
    }
    if (p_2.bytes == 0u) {
        uint _e22 = images[(((((image * p_2.cin) + c_4) * p_2.h) + row_2) * p_2.w) + column_1];
        return as_type<float>(_e22);
    }
    uint at_15 = (((((image * p_2.h) + row_2) * p_2.w) + column_1) * p_2.cin) + c_4;
    uint _e41 = images[(p_2.cin * 256u) + (at_15 / 4u)];
    uint byte = (_e41 >> ((at_15 % 4u) * 8u)) & 255u;
    uint _e54 = images[(c_4 * 256u) + byte];
    return as_type<float>(_e54);
}

metal::float4 depthwise_weight(
    Depthwise p_3,
    uint at_11,
    device type_2 const& arena,
    device type_4 const& floats,
    constant _mslBufferSizes& _buffer_sizes
) {
    if (p_3.mixed == 1u) {
        metal::float4 _e5 = vector_at(at_11, arena, _buffer_sizes);
        return _e5;
    }
    metal::float4 _e8 = floats[at_11];
    return _e8;
}

float all_sum(
    uint t_21,
    float v_13,
    threadgroup type_14& scalars
) {
    uint width = 128u;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    scalars.inner[t_21] = v_13;
    bool loop_init_1 = true;
    while(true) {
        if (!loop_init_1) {
            uint _e20 = width;
            width = _e20 / 2u;
        }
        loop_init_1 = false;
        uint _e6 = width;
        if (_e6 > 0u) {
        } else {
            break;
        }
        {
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e9 = width;
            if (t_21 < _e9) {
                float _e13 = scalars.inner[t_21];
                uint _e15 = width;
                float _e18 = scalars.inner[t_21 + _e15];
                scalars.inner[t_21] = _e13 + _e18;
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e25 = scalars.inner[0];
    return _e25;
}

float all_max(
    uint t_22,
    float v_14,
    threadgroup type_14& scalars
) {
    uint width_1 = 128u;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    scalars.inner[t_22] = v_14;
    bool loop_init_2 = true;
    while(true) {
        if (!loop_init_2) {
            uint _e22 = width_1;
            width_1 = _e22 / 2u;
        }
        loop_init_2 = false;
        uint _e6 = width_1;
        if (_e6 > 0u) {
        } else {
            break;
        }
        {
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e9 = width_1;
            if (t_22 < _e9) {
                float _e15 = scalars.inner[t_22];
                uint _e17 = width_1;
                float _e20 = scalars.inner[t_22 + _e17];
                scalars.inner[t_22] = metal::max(_e15, _e20);
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e27 = scalars.inner[0];
    return _e27;
}

metal::float4 four_sum(
    uint t_23,
    metal::float4 v_15,
    threadgroup type_13& quads
) {
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    quads.inner[t_23] = v_15;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (t_23 >= 64u) {
        return v_15;
    }
    metal::float4 _e8 = quads.inner[t_23];
    metal::float4 _e13 = quads.inner[t_23 + 64u];
    metal::float4 _e19 = quads.inner[t_23 + 128u];
    metal::float4 _e25 = quads.inner[t_23 + 192u];
    return ((_e8 + _e13) + _e19) + _e25;
}

float sixteen_sum(
    uint t_24,
    float v_16,
    threadgroup type_14& scalars
) {
    float sum_10 = 0.0;
    uint i_16 = 0u;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    scalars.inner[t_24] = v_16;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if ((t_24 % 16u) == 0u) {
        bool loop_init_3 = true;
        while(true) {
            if (!loop_init_3) {
                uint _e23 = i_16;
                i_16 = _e23 + 1u;
            }
            loop_init_3 = false;
            uint _e12 = i_16;
            if (_e12 < 16u) {
            } else {
                break;
            }
            {
                float _e15 = sum_10;
                uint _e17 = i_16;
                float _e20 = scalars.inner[t_24 + _e17];
                sum_10 = _e15 + _e20;
            }
        }
    }
    float _e25 = sum_10;
    return _e25;
}

void reduce(
    uint t_25,
    uint c_5,
    uint rd,
    uint vector,
    uint w1_,
    uint b1_,
    device type_2 const& arena,
    device type_2 const& weights,
    device type_4 const& floats,
    threadgroup type_14& scalars,
    threadgroup type_15& hidden,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint first_3 = 0u;
    float sum_11 = {};
    uint at_12 = {};
    bool local_23 = {};
    metal::threadgroup_barrier(metal::mem_flags::mem_device);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    bool loop_init_4 = true;
    while(true) {
        if (!loop_init_4) {
            uint _e63 = first_3;
            first_3 = _e63 + 16u;
        }
        loop_init_4 = false;
        uint _e8 = first_3;
        if (_e8 < rd) {
        } else {
            break;
        }
        {
            uint _e10 = first_3;
            uint r_5 = _e10 + (t_25 / 16u);
            sum_11 = 0.0;
            if (r_5 < rd) {
                at_12 = t_25 % 16u;
                bool loop_init_5 = true;
                while(true) {
                    if (!loop_init_5) {
                        uint _e36 = at_12;
                        at_12 = _e36 + 16u;
                    }
                    loop_init_5 = false;
                    uint _e20 = at_12;
                    if (_e20 < c_5) {
                    } else {
                        break;
                    }
                    {
                        float _e22 = sum_11;
                        uint _e26 = at_12;
                        Quad _e29 = weights[(w1_ + (r_5 * c_5)) + _e26];
                        metal::float4 _e30 = up(_e29);
                        uint _e31 = at_12;
                        metal::float4 _e33 = vector_at(vector + _e31, arena, _buffer_sizes);
                        sum_11 = _e22 + metal::dot(_e30, _e33);
                    }
                }
            }
            float _e39 = sum_11;
            float _e40 = sixteen_sum(t_25, _e39, scalars);
            sum_11 = _e40;
            if ((t_25 % 16u) == 0u) {
                local_23 = r_5 < rd;
            } else {
                local_23 = false;
            }
            bool _e49 = local_23;
            if (_e49) {
                float _e52 = sum_11;
                float _e61 = floats[b1_ + (r_5 / 4u)][r_5 % 4u];
                hidden.inner[r_5] = _e52 + _e61;
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    return;
}

void expand(
    uint t_26,
    uint c_6,
    uint rd_1,
    uint w2_,
    uint b2_,
    uint gate,
    uint y,
    device type_2& arena,
    device type_2 const& weights,
    device type_4 const& floats,
    threadgroup type_13& quads,
    threadgroup type_15& hidden,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint first_4 = 0u;
    metal::float4 sum_12 = {};
    uint r_4 = {};
    bool local_24 = {};
    metal::threadgroup_barrier(metal::mem_flags::mem_device);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    bool loop_init_6 = true;
    while(true) {
        if (!loop_init_6) {
            uint _e58 = first_4;
            first_4 = _e58 + 64u;
        }
        loop_init_6 = false;
        uint _e9 = first_4;
        if (_e9 < c_6) {
        } else {
            break;
        }
        {
            uint _e11 = first_4;
            uint quad_1 = _e11 + (t_26 % 64u);
            sum_12 = metal::float4 {};
            if (quad_1 < c_6) {
                r_4 = t_26 / 64u;
                bool loop_init_7 = true;
                while(true) {
                    if (!loop_init_7) {
                        uint _e38 = r_4;
                        r_4 = _e38 + 4u;
                    }
                    loop_init_7 = false;
                    uint _e21 = r_4;
                    if (_e21 < rd_1) {
                    } else {
                        break;
                    }
                    {
                        metal::float4 _e23 = sum_12;
                        uint _e25 = r_4;
                        float _e27 = hidden.inner[_e25];
                        uint _e29 = r_4;
                        Quad _e34 = weights[(w2_ + (_e29 * c_6)) + quad_1];
                        metal::float4 _e35 = up(_e34);
                        sum_12 = _e23 + (_e27 * _e35);
                    }
                }
            }
            metal::float4 _e41 = sum_12;
            metal::float4 _e42 = four_sum(t_26, _e41, quads);
            sum_12 = _e42;
            if (t_26 < 64u) {
                local_24 = quad_1 < c_6;
            } else {
                local_24 = false;
            }
            bool _e49 = local_24;
            if (_e49) {
                metal::float4 _e51 = sum_12;
                metal::float4 _e55 = floats[b2_ + quad_1];
                metal::float4 _e57 = activate(_e51 + _e55, gate);
                put_vector(y + quad_1, _e57, arena, _buffer_sizes);
            }
        }
    }
    return;
}

metal::float2 group_moments(
    MomentsGroups p_4,
    uint t_27,
    uint group_1,
    device type_2 const& arena,
    threadgroup type_14& scalars,
    constant _mslBufferSizes& _buffer_sizes
) {
    float sum_13 = 0.0;
    uint i_17 = {};
    float squares_2 = 0.0;
    uint i_18 = {};
    uint first_5 = (((group_1 / p_4.groups) * p_4.hw) * p_4.c) + ((group_1 % p_4.groups) * p_4.size);
    uint elements = (group_1 < p_4.count) ? (p_4.hw * p_4.size) : 0u;
    float n = static_cast<float>(p_4.hw * p_4.size);
    i_17 = t_27;
    bool loop_init_8 = true;
    while(true) {
        if (!loop_init_8) {
            uint _e50 = i_17;
            i_17 = _e50 + 256u;
        }
        loop_init_8 = false;
        uint _e28 = i_17;
        if (_e28 < elements) {
        } else {
            break;
        }
        {
            uint _e30 = i_17;
            uint _e36 = i_17;
            uint at_16 = (first_5 + ((_e30 / p_4.size) * p_4.c)) + (_e36 % p_4.size);
            float _e40 = sum_13;
            metal::float4 _e45 = map_at(p_4.x + (at_16 / 4u), arena, _buffer_sizes);
            sum_13 = _e40 + _e45[at_16 % 4u];
        }
    }
    float _e53 = sum_13;
    float _e54 = all_sum(t_27, _e53, scalars);
    float mean = _e54 / n;
    i_18 = t_27;
    bool loop_init_9 = true;
    while(true) {
        if (!loop_init_9) {
            uint _e83 = i_18;
            i_18 = _e83 + 256u;
        }
        loop_init_9 = false;
        uint _e59 = i_18;
        if (_e59 < elements) {
        } else {
            break;
        }
        {
            uint _e61 = i_18;
            uint _e67 = i_18;
            uint at_17 = (first_5 + ((_e61 / p_4.size) * p_4.c)) + (_e67 % p_4.size);
            metal::float4 _e75 = map_at(p_4.x + (at_17 / 4u), arena, _buffer_sizes);
            float v_17 = _e75[at_17 % 4u] - mean;
            float _e80 = squares_2;
            squares_2 = _e80 + (v_17 * v_17);
        }
    }
    float _e86 = squares_2;
    float _e87 = all_sum(t_27, _e86, scalars);
    return metal::float2(mean, 1.0 / metal::sqrt((_e87 / n) + p_4.eps));
}

struct pointwiseInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void pointwise(
  metal::uint3 wg [[threadgroup_position_in_grid]]
, metal::uint3 grid [[threadgroups_per_grid]]
, uint t [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant Pointwise& pointwise_sizes [[buffer(0)]]
, threadgroup type_9& x_slice
, threadgroup type_9& w_slice
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    Sums sums = Sums {};
    uint slice = 0u;
    metal::float4 x = {};
    metal::float4 w = {};
    bool local = {};
    bool local_1 = {};
    Pointwise p_6 = pointwise_sizes;
    uint _e5 = linear(wg, grid);
    uint tiles = (p_6.rows + 63u) / 64u;
    uint columns = (p_6.n + 15u) / 16u;
    uint own = _e5 / columns;
    if (own >= (p_6.groups * tiles)) {
        return;
    }
    uint group_2 = own / tiles;
    uint row0_ = (own % tiles) * 64u;
    uint first_6 = (group_2 * p_6.rows) + row0_;
    uint rows_1 = metal::min(p_6.rows - row0_, 64u);
    uint column0_ = (_e5 % columns) * 16u;
    uint own_row = t / 4u;
    uint own_column = (column0_ * 4u) + own_row;
    bool has_row = own_row < rows_1;
    bool has_column = own_column < (p_6.n * 4u);
    uint w_row = (p_6.wt + (group_2 * p_6.w_stride)) + (own_column * p_6.k);
    bool loop_init_10 = true;
    while(true) {
        if (!loop_init_10) {
            uint _e86 = slice;
            slice = _e86 + 4u;
        }
        loop_init_10 = false;
        uint _e55 = slice;
        if (_e55 < p_6.k) {
        } else {
            break;
        }
        {
            uint _e58 = slice;
            uint at_18 = _e58 + (t % 4u);
            x = metal::float4 {};
            w = metal::float4 {};
            if (has_row) {
                local = at_18 < p_6.k;
            } else {
                local = false;
            }
            bool _e71 = local;
            if (_e71) {
                metal::float4 _e73 = pointwise_x(p_6, first_6 + own_row, at_18, arena, _buffer_sizes);
                x = _e73;
            }
            if (has_column) {
                local_1 = at_18 < p_6.k;
            } else {
                local_1 = false;
            }
            bool _e79 = local_1;
            if (_e79) {
                metal::float4 _e81 = pointwise_w(p_6, w_row + at_18, arena, weights, _buffer_sizes);
                w = _e81;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::float4 _e82 = x;
            metal::float4 _e83 = w;
            put_slices(t, _e82, _e83, x_slice, w_slice);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            Sums _e84 = sums;
            Sums _e85 = multiply(_e84, t, x_slice, w_slice);
            sums = _e85;
        }
    }
    Sums _e98 = sums;
    finish(Finish {p_6.n, p_6.act, p_6.bias, p_6.residual, p_6.y, first_6, rows_1, column0_ + (t % 16u)}, t, _e98, arena, floats, _buffer_sizes);
    return;
}


struct convInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void conv(
  metal::uint3 wg_1 [[threadgroup_position_in_grid]]
, metal::uint3 grid_1 [[threadgroups_per_grid]]
, uint t_1 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant Conv& conv_sizes [[buffer(0)]]
, threadgroup type_9& x_slice
, threadgroup type_9& w_slice
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    Sums sums_1 = Sums {};
    uint slice_1 = 0u;
    metal::float4 x_1 = {};
    metal::float4 w_1 = {};
    bool local_2 = {};
    bool local_3 = {};
    bool local_4 = {};
    bool local_5 = {};
    Conv p_7 = conv_sizes;
    uint _e5 = linear(wg_1, grid_1);
    uint all = (p_7.n * p_7.oh) * p_7.ow;
    uint columns_1 = (p_7.cout + 15u) / 16u;
    uint first_7 = (_e5 / columns_1) * 64u;
    if (first_7 >= all) {
        return;
    }
    uint rows_2 = metal::min(all - first_7, 64u);
    uint column0_1 = (_e5 % columns_1) * 16u;
    uint own_row_1 = t_1 / 4u;
    uint own_column_1 = (column0_1 * 4u) + own_row_1;
    bool has_row_1 = own_row_1 < rows_2;
    bool has_column_1 = own_column_1 < (p_7.cout * 4u);
    uint position = first_7 + own_row_1;
    uint image_1 = (position / (p_7.oh * p_7.ow)) * p_7.h;
    int y0_ = as_type<int>(as_type<uint>(static_cast<int>(((position / p_7.ow) % p_7.oh) * p_7.stride)) - as_type<uint>(p_7.top));
    int x0_ = as_type<int>(as_type<uint>(static_cast<int>((position % p_7.ow) * p_7.stride)) - as_type<uint>(p_7.left));
    uint k = (p_7.kernel_ * p_7.kernel_) * p_7.cin;
    bool loop_init_11 = true;
    while(true) {
        if (!loop_init_11) {
            uint _e136 = slice_1;
            slice_1 = _e136 + 4u;
        }
        loop_init_11 = false;
        uint _e68 = slice_1;
        if (_e68 < k) {
        } else {
            break;
        }
        {
            uint _e70 = slice_1;
            uint at_19 = _e70 + (t_1 % 4u);
            x_1 = metal::float4 {};
            w_1 = metal::float4 {};
            uint tap_1 = at_19 / p_7.cin;
            uint row_6 = static_cast<uint>(as_type<int>(as_type<uint>(y0_) + as_type<uint>(static_cast<int>(tap_1 / p_7.kernel_))));
            uint column_3 = static_cast<uint>(as_type<int>(as_type<uint>(x0_) + as_type<uint>(static_cast<int>(tap_1 % p_7.kernel_))));
            if (has_row_1) {
                local_2 = at_19 < k;
            } else {
                local_2 = false;
            }
            bool _e94 = local_2;
            if (_e94) {
                local_3 = row_6 < p_7.h;
            } else {
                local_3 = false;
            }
            bool _e100 = local_3;
            if (_e100) {
                local_4 = column_3 < p_7.w;
            } else {
                local_4 = false;
            }
            bool _e106 = local_4;
            if (_e106) {
                metal::float4 _e118 = map_at((p_7.x + ((((image_1 + row_6) * p_7.w) + column_3) * p_7.cin)) + (at_19 % p_7.cin), arena, _buffer_sizes);
                x_1 = _e118;
            }
            if (has_column_1) {
                local_5 = at_19 < k;
            } else {
                local_5 = false;
            }
            bool _e123 = local_5;
            if (_e123) {
                Quad _e130 = weights[(p_7.wt + (own_column_1 * k)) + at_19];
                metal::float4 _e131 = up(_e130);
                w_1 = _e131;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::float4 _e132 = x_1;
            metal::float4 _e133 = w_1;
            put_slices(t_1, _e132, _e133, x_slice, w_slice);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            Sums _e134 = sums_1;
            Sums _e135 = multiply(_e134, t_1, x_slice, w_slice);
            sums_1 = _e135;
        }
    }
    Sums _e148 = sums_1;
    finish(Finish {p_7.cout, p_7.act, p_7.bias, p_7.residual, p_7.y, first_7, rows_2, column0_1 + (t_1 % 16u)}, t_1, _e148, arena, floats, _buffer_sizes);
    return;
}


struct stemInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void stem(
  metal::uint3 wg_2 [[threadgroup_position_in_grid]]
, metal::uint3 grid_2 [[threadgroups_per_grid]]
, uint t_2 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_4 const& floats [[buffer(3)]]
, device type_5 const& images [[buffer(4)]]
, constant Stem& stem_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 a = {};
    metal::float4 b = {};
    metal::float4 c = {};
    metal::float4 d = {};
    uint dy = 0u;
    uint dx = {};
    uint channel = {};
    Stem p_8 = stem_sizes;
    uint _e5 = linear(wg_2, grid_2);
    uint id = (_e5 * 128u) + t_2;
    uint quad_2 = id % p_8.cout;
    uint strip_1 = id / p_8.cout;
    uint strips = (p_8.ow + 3u) / 4u;
    uint line_1 = strip_1 / strips;
    uint image_2 = line_1 / p_8.oh;
    if (image_2 >= p_8.n) {
        return;
    }
    uint out = (strip_1 % strips) * 4u;
    int x0_1 = as_type<int>(as_type<uint>(static_cast<int>(out * p_8.stride)) - as_type<uint>(p_8.left));
    int y0_1 = as_type<int>(as_type<uint>(static_cast<int>((line_1 % p_8.oh) * p_8.stride)) - as_type<uint>(p_8.top));
    metal::float4 bias = floats[p_8.bias + quad_2];
    a = bias;
    b = bias;
    c = bias;
    d = bias;
    bool loop_init_12 = true;
    while(true) {
        if (!loop_init_12) {
            uint _e126 = dy;
            dy = _e126 + 1u;
        }
        loop_init_12 = false;
        uint _e49 = dy;
        if (_e49 < p_8.kernel_) {
        } else {
            break;
        }
        {
            uint _e52 = dy;
            uint row_7 = static_cast<uint>(as_type<int>(as_type<uint>(y0_1) + as_type<uint>(static_cast<int>(_e52))));
            if (row_7 >= p_8.h) {
                continue;
            }
            dx = 0u;
            bool loop_init_13 = true;
            while(true) {
                if (!loop_init_13) {
                    uint _e123 = dx;
                    dx = _e123 + 1u;
                }
                loop_init_13 = false;
                uint _e60 = dx;
                if (_e60 < p_8.kernel_) {
                } else {
                    break;
                }
                {
                    uint _e63 = dx;
                    uint column_4 = static_cast<uint>(as_type<int>(as_type<uint>(x0_1) + as_type<uint>(static_cast<int>(_e63))));
                    channel = 0u;
                    bool loop_init_14 = true;
                    while(true) {
                        if (!loop_init_14) {
                            uint _e120 = channel;
                            channel = _e120 + 1u;
                        }
                        loop_init_14 = false;
                        uint _e69 = channel;
                        if (_e69 < p_8.cin) {
                        } else {
                            break;
                        }
                        {
                            uint _e74 = dy;
                            uint _e77 = dx;
                            uint _e81 = channel;
                            metal::float4 weight = floats[(p_8.wt + (((((_e74 * p_8.kernel_) + _e77) * p_8.cin) + _e81) * p_8.cout)) + quad_2];
                            metal::float4 _e89 = a;
                            uint _e90 = channel;
                            float _e91 = pixel(p_8, image_2, row_7, column_4, _e90, images, _buffer_sizes);
                            a = _e89 + (_e91 * weight);
                            metal::float4 _e94 = b;
                            uint _e97 = channel;
                            float _e98 = pixel(p_8, image_2, row_7, column_4 + p_8.stride, _e97, images, _buffer_sizes);
                            b = _e94 + (_e98 * weight);
                            metal::float4 _e101 = c;
                            uint _e106 = channel;
                            float _e107 = pixel(p_8, image_2, row_7, column_4 + (2u * p_8.stride), _e106, images, _buffer_sizes);
                            c = _e101 + (_e107 * weight);
                            metal::float4 _e110 = d;
                            uint _e115 = channel;
                            float _e116 = pixel(p_8, image_2, row_7, column_4 + (3u * p_8.stride), _e115, images, _buffer_sizes);
                            d = _e110 + (_e116 * weight);
                        }
                    }
                }
            }
        }
    }
    uint at_20 = (p_8.y + (((line_1 * p_8.ow) + out) * p_8.cout)) + quad_2;
    metal::float4 _e136 = a;
    metal::float4 _e138 = activate(_e136, p_8.act);
    put_map(at_20, _e138, arena, _buffer_sizes);
    if ((out + 1u) < p_8.ow) {
        metal::float4 _e145 = b;
        metal::float4 _e147 = activate(_e145, p_8.act);
        put_map(at_20 + p_8.cout, _e147, arena, _buffer_sizes);
    }
    if ((out + 2u) < p_8.ow) {
        metal::float4 _e156 = c;
        metal::float4 _e158 = activate(_e156, p_8.act);
        put_map(at_20 + (2u * p_8.cout), _e158, arena, _buffer_sizes);
    }
    if ((out + 3u) < p_8.ow) {
        metal::float4 _e167 = d;
        metal::float4 _e169 = activate(_e167, p_8.act);
        put_map(at_20 + (3u * p_8.cout), _e169, arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct conv_groupedInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void conv_grouped(
  metal::uint3 wg_3 [[threadgroup_position_in_grid]]
, metal::uint3 grid_3 [[threadgroups_per_grid]]
, uint t_3 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant Grouped& grouped_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 v = {};
    uint i = 0u;
    float sum = {};
    uint tap = {};
    bool local_6 = {};
    uint c_1 = {};
    uint i_1 = 0u;
    Grouped p_9 = grouped_sizes;
    uint _e5 = linear(wg_3, grid_3);
    uint id_1 = (_e5 * 128u) + t_3;
    uint quad_3 = id_1 % p_9.cout;
    uint position_1 = id_1 / p_9.cout;
    uint line_2 = position_1 / p_9.ow;
    uint image_3 = line_2 / p_9.oh;
    if (image_3 >= p_9.n) {
        return;
    }
    int x0_2 = as_type<int>(as_type<uint>(static_cast<int>((position_1 % p_9.ow) * p_9.stride)) - as_type<uint>(p_9.left));
    int y0_2 = as_type<int>(as_type<uint>(static_cast<int>((line_2 % p_9.oh) * p_9.stride)) - as_type<uint>(p_9.top));
    uint inputs = p_9.cin_real / p_9.groups;
    uint taps = p_9.kernel_ * p_9.kernel_;
    metal::float4 _e43 = floats[p_9.bias + quad_3];
    v = _e43;
    bool loop_init_15 = true;
    while(true) {
        if (!loop_init_15) {
            uint _e150 = i;
            i = _e150 + 1u;
        }
        loop_init_15 = false;
        uint _e47 = i;
        if (_e47 < 4u) {
        } else {
            break;
        }
        {
            uint _e52 = i;
            uint channel_1 = (quad_3 * 4u) + _e52;
            if (channel_1 >= p_9.cout_real) {
                uint _e56 = i;
                v[_e56] = 0.0;
                continue;
            }
            uint group_3 = (channel_1 / (p_9.cout_real / p_9.groups)) * inputs;
            sum = 0.0;
            tap = 0u;
            bool loop_init_16 = true;
            while(true) {
                if (!loop_init_16) {
                    uint _e142 = tap;
                    tap = _e142 + 1u;
                }
                loop_init_16 = false;
                uint _e68 = tap;
                if (_e68 < taps) {
                } else {
                    break;
                }
                {
                    uint _e70 = tap;
                    uint row_8 = static_cast<uint>(as_type<int>(as_type<uint>(y0_2) + as_type<uint>(static_cast<int>(_e70 / p_9.kernel_))));
                    uint _e76 = tap;
                    uint column_5 = static_cast<uint>(as_type<int>(as_type<uint>(x0_2) + as_type<uint>(static_cast<int>(_e76 % p_9.kernel_))));
                    if (!((row_8 >= p_9.h))) {
                        local_6 = column_5 >= p_9.w;
                    } else {
                        local_6 = true;
                    }
                    bool _e90 = local_6;
                    if (_e90) {
                        continue;
                    }
                    uint base = (((((image_3 * p_9.h) + row_8) * p_9.w) + column_5) * p_9.cin) + group_3;
                    uint _e101 = tap;
                    uint own_1 = ((channel_1 * taps) + _e101) * inputs;
                    c_1 = 0u;
                    bool loop_init_17 = true;
                    while(true) {
                        if (!loop_init_17) {
                            uint _e139 = c_1;
                            c_1 = _e139 + 1u;
                        }
                        loop_init_17 = false;
                        uint _e106 = c_1;
                        if (_e106 < inputs) {
                        } else {
                            break;
                        }
                        {
                            uint _e109 = c_1;
                            metal::float4 _e114 = map_at(p_9.x + ((base + _e109) / 4u), arena, _buffer_sizes);
                            uint _e115 = c_1;
                            float x_3 = _e114[(base + _e115) % 4u];
                            float _e120 = sum;
                            uint _e123 = c_1;
                            Quad _e129 = weights[p_9.wt + ((own_1 + _e123) / 4u)];
                            metal::float4 _e130 = up(_e129);
                            uint _e131 = c_1;
                            sum = _e120 + (x_3 * _e130[(own_1 + _e131) % 4u]);
                        }
                    }
                }
            }
            uint _e144 = i;
            float _e146 = v[_e144];
            float _e147 = sum;
            v[_e144] = _e146 + _e147;
        }
    }
    metal::float4 _e152 = v;
    metal::float4 _e154 = activate(_e152, p_9.act);
    v = _e154;
    bool loop_init_18 = true;
    while(true) {
        if (!loop_init_18) {
            uint _e170 = i_1;
            i_1 = _e170 + 1u;
        }
        loop_init_18 = false;
        uint _e157 = i_1;
        if (_e157 < 4u) {
        } else {
            break;
        }
        {
            uint _e162 = i_1;
            if (((quad_3 * 4u) + _e162) >= p_9.cout_real) {
                uint _e166 = i_1;
                v[_e166] = 0.0;
            }
        }
    }
    if (p_9.residual != NONE) {
        metal::float4 _e175 = v;
        metal::float4 _e178 = map_at(p_9.residual + id_1, arena, _buffer_sizes);
        v = _e175 + _e178;
    }
    metal::float4 _e182 = v;
    put_map(p_9.y + id_1, _e182, arena, _buffer_sizes);
    return;
}


struct depthwiseInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void depthwise(
  metal::uint3 wg_4 [[threadgroup_position_in_grid]]
, metal::uint3 grid_4 [[threadgroups_per_grid]]
, uint t_4 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_4 const& floats [[buffer(3)]]
, constant Depthwise& depthwise_sizes [[buffer(0)]]
, threadgroup type_12& totals
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    bool local_7 = {};
    metal::float4 total = metal::float4 {};
    uint strip = {};
    metal::float4 a_1 = {};
    metal::float4 b_1 = {};
    metal::float4 c_2 = {};
    metal::float4 d_1 = {};
    uint dy_1 = {};
    uint dx_1 = {};
    bool local_8 = {};
    uint i_2 = 1u;
    Depthwise p_10 = depthwise_sizes;
    uint width_2 = ((p_10.c + grid_4.x) - 1u) / grid_4.x;
    uint slots = 128u / width_2;
    uint slot = t_4 / width_2;
    uint quad_4 = (wg_4.x * width_2) + (t_4 % width_2);
    if (slot < slots) {
        local_7 = quad_4 < p_10.c;
    } else {
        local_7 = false;
    }
    bool is_active = local_7;
    if (is_active) {
        metal::float4 bias_1 = floats[p_10.bias + quad_4];
        uint wt = (p_10.wt + (wg_4.z * p_10.w_stride)) + quad_4;
        uint across = (p_10.ow + 3u) / 4u;
        uint strips_1 = p_10.oh * across;
        uint share = ((strips_1 + p_10.parts) - 1u) / p_10.parts;
        uint end = metal::min((wg_4.y + 1u) * share, strips_1);
        strip = (wg_4.y * share) + slot;
        bool loop_init_19 = true;
        while(true) {
            if (!loop_init_19) {
                uint _e247 = strip;
                strip = _e247 + slots;
            }
            loop_init_19 = false;
            uint _e61 = strip;
            if (_e61 < end) {
            } else {
                break;
            }
            {
                uint _e63 = strip;
                uint line_3 = _e63 / across;
                uint _e65 = strip;
                uint out_1 = (_e65 % across) * 4u;
                int x0_3 = as_type<int>(as_type<uint>(static_cast<int>(out_1 * p_10.stride)) - as_type<uint>(p_10.left));
                int y0_3 = as_type<int>(as_type<uint>(static_cast<int>(line_3 * p_10.stride)) - as_type<uint>(p_10.top));
                a_1 = bias_1;
                b_1 = bias_1;
                c_2 = bias_1;
                d_1 = bias_1;
                dy_1 = 0u;
                bool loop_init_20 = true;
                while(true) {
                    if (!loop_init_20) {
                        uint _e183 = dy_1;
                        dy_1 = _e183 + 1u;
                    }
                    loop_init_20 = false;
                    uint _e85 = dy_1;
                    if (_e85 < p_10.kernel_) {
                    } else {
                        break;
                    }
                    {
                        uint _e88 = dy_1;
                        uint row_9 = static_cast<uint>(as_type<int>(as_type<uint>(y0_3) + as_type<uint>(static_cast<int>(_e88))));
                        if (row_9 >= p_10.h) {
                            continue;
                        }
                        uint base_1 = (p_10.x + ((((wg_4.z * p_10.h) + row_9) * p_10.w) * p_10.c)) + quad_4;
                        dx_1 = 0u;
                        bool loop_init_21 = true;
                        while(true) {
                            if (!loop_init_21) {
                                uint _e180 = dx_1;
                                dx_1 = _e180 + 1u;
                            }
                            loop_init_21 = false;
                            uint _e107 = dx_1;
                            if (_e107 < p_10.kernel_) {
                            } else {
                                break;
                            }
                            {
                                uint _e110 = dy_1;
                                uint _e113 = dx_1;
                                metal::float4 _e118 = depthwise_weight(p_10, wt + (((_e110 * p_10.kernel_) + _e113) * p_10.c), arena, floats, _buffer_sizes);
                                uint _e119 = dx_1;
                                uint column_6 = static_cast<uint>(as_type<int>(as_type<uint>(x0_3) + as_type<uint>(static_cast<int>(_e119))));
                                if (column_6 < p_10.w) {
                                    metal::float4 _e125 = a_1;
                                    metal::float4 _e129 = map_at(base_1 + (column_6 * p_10.c), arena, _buffer_sizes);
                                    a_1 = _e125 + (_e129 * _e118);
                                }
                                if ((column_6 + p_10.stride) < p_10.w) {
                                    metal::float4 _e136 = b_1;
                                    metal::float4 _e142 = map_at(base_1 + ((column_6 + p_10.stride) * p_10.c), arena, _buffer_sizes);
                                    b_1 = _e136 + (_e142 * _e118);
                                }
                                if ((column_6 + (2u * p_10.stride)) < p_10.w) {
                                    metal::float4 _e151 = c_2;
                                    metal::float4 _e159 = map_at(base_1 + ((column_6 + (2u * p_10.stride)) * p_10.c), arena, _buffer_sizes);
                                    c_2 = _e151 + (_e159 * _e118);
                                }
                                if ((column_6 + (3u * p_10.stride)) < p_10.w) {
                                    metal::float4 _e168 = d_1;
                                    metal::float4 _e176 = map_at(base_1 + ((column_6 + (3u * p_10.stride)) * p_10.c), arena, _buffer_sizes);
                                    d_1 = _e168 + (_e176 * _e118);
                                }
                            }
                        }
                    }
                }
                uint at_21 = (p_10.y + (((((wg_4.z * p_10.oh) + line_3) * p_10.ow) + out_1) * p_10.c)) + quad_4;
                metal::float4 _e197 = a_1;
                metal::float4 _e199 = activate(_e197, p_10.act);
                a_1 = _e199;
                metal::float4 _e200 = total;
                metal::float4 _e201 = a_1;
                total = _e200 + _e201;
                metal::float4 _e203 = a_1;
                put_map(at_21, _e203, arena, _buffer_sizes);
                if ((out_1 + 1u) < p_10.ow) {
                    metal::float4 _e208 = b_1;
                    metal::float4 _e210 = activate(_e208, p_10.act);
                    b_1 = _e210;
                    metal::float4 _e211 = total;
                    metal::float4 _e212 = b_1;
                    total = _e211 + _e212;
                    metal::float4 _e216 = b_1;
                    put_map(at_21 + p_10.c, _e216, arena, _buffer_sizes);
                }
                if ((out_1 + 2u) < p_10.ow) {
                    metal::float4 _e221 = c_2;
                    metal::float4 _e223 = activate(_e221, p_10.act);
                    c_2 = _e223;
                    metal::float4 _e224 = total;
                    metal::float4 _e225 = c_2;
                    total = _e224 + _e225;
                    metal::float4 _e231 = c_2;
                    put_map(at_21 + (2u * p_10.c), _e231, arena, _buffer_sizes);
                }
                if ((out_1 + 3u) < p_10.ow) {
                    metal::float4 _e236 = d_1;
                    metal::float4 _e238 = activate(_e236, p_10.act);
                    d_1 = _e238;
                    metal::float4 _e239 = total;
                    metal::float4 _e240 = d_1;
                    total = _e239 + _e240;
                    metal::float4 _e246 = d_1;
                    put_map(at_21 + (3u * p_10.c), _e246, arena, _buffer_sizes);
                }
            }
        }
    }
    if (p_10.sums == NONE) {
        return;
    }
    metal::float4 _e254 = total;
    totals.inner[t_4] = _e254;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (slot == 0u) {
        local_8 = is_active;
    } else {
        local_8 = false;
    }
    bool _e260 = local_8;
    if (_e260) {
        bool loop_init_22 = true;
        while(true) {
            if (!loop_init_22) {
                uint _e274 = i_2;
                i_2 = _e274 + 1u;
            }
            loop_init_22 = false;
            uint _e263 = i_2;
            if (_e263 < slots) {
            } else {
                break;
            }
            {
                metal::float4 _e265 = total;
                uint _e267 = i_2;
                metal::float4 _e271 = totals.inner[(_e267 * width_2) + t_4];
                total = _e265 + _e271;
            }
        }
        metal::float4 _e286 = total;
        put_vector((p_10.sums + (((wg_4.z * p_10.parts) + wg_4.y) * p_10.c)) + quad_4, _e286, arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct squeeze_exciteInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void squeeze_excite(
  metal::uint3 wg_5 [[threadgroup_position_in_grid]]
, metal::uint3 grid_5 [[threadgroups_per_grid]]
, uint t_5 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant SqueezeExcite& squeeze_excite_sizes [[buffer(0)]]
, threadgroup type_13& quads
, threadgroup type_14& scalars
, threadgroup type_15& hidden
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    uint first = 0u;
    metal::float4 sum_1 = {};
    uint part = {};
    bool local_9 = {};
    uint r = {};
    SqueezeExcite p_11 = squeeze_excite_sizes;
    uint image_4 = wg_5.x;
    uint y_1 = p_11.y + (image_4 * p_11.c);
    bool loop_init_23 = true;
    while(true) {
        if (!loop_init_23) {
            uint _e58 = first;
            first = _e58 + 64u;
        }
        loop_init_23 = false;
        uint _e12 = first;
        if (_e12 < p_11.c) {
        } else {
            break;
        }
        {
            uint _e15 = first;
            uint quad_5 = _e15 + (t_5 % 64u);
            sum_1 = metal::float4 {};
            if (quad_5 < p_11.c) {
                part = t_5 / 64u;
                bool loop_init_24 = true;
                while(true) {
                    if (!loop_init_24) {
                        uint _e41 = part;
                        part = _e41 + 4u;
                    }
                    loop_init_24 = false;
                    uint _e26 = part;
                    if (_e26 < p_11.parts) {
                    } else {
                        break;
                    }
                    {
                        metal::float4 _e29 = sum_1;
                        uint _e33 = part;
                        metal::float4 _e39 = vector_at((p_11.sums + (((image_4 * p_11.parts) + _e33) * p_11.c)) + quad_5, arena, _buffer_sizes);
                        sum_1 = _e29 + _e39;
                    }
                }
            }
            metal::float4 _e44 = sum_1;
            metal::float4 _e45 = four_sum(t_5, _e44, quads);
            sum_1 = _e45;
            if (t_5 < 64u) {
                local_9 = quad_5 < p_11.c;
            } else {
                local_9 = false;
            }
            bool _e53 = local_9;
            if (_e53) {
                metal::float4 _e55 = sum_1;
                put_vector(y_1 + quad_5, _e55 * p_11.scale, arena, _buffer_sizes);
            }
        }
    }
    reduce(t_5, p_11.c, p_11.rd, y_1, p_11.w1_, p_11.b1_, arena, weights, floats, scalars, hidden, _buffer_sizes);
    r = t_5;
    bool loop_init_25 = true;
    while(true) {
        if (!loop_init_25) {
            uint _e80 = r;
            r = _e80 + 256u;
        }
        loop_init_25 = false;
        uint _e66 = r;
        if (_e66 < p_11.rd) {
        } else {
            break;
        }
        {
            uint _e70 = r;
            uint _e73 = r;
            float _e75 = hidden.inner[_e73];
            metal::float4 _e78 = activate(metal::float4(_e75), p_11.act);
            hidden.inner[_e70] = _e78.x;
        }
    }
    expand(t_5, p_11.c, p_11.rd, p_11.w2_, p_11.b2_, p_11.gate, y_1, arena, weights, floats, quads, hidden, _buffer_sizes);
    return;
}


struct global_contextInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void global_context(
  metal::uint3 wg_6 [[threadgroup_position_in_grid]]
, metal::uint3 grid_6 [[threadgroups_per_grid]]
, uint t_6 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant GlobalContext& global_context_sizes [[buffer(0)]]
, threadgroup type_13& quads
, threadgroup type_14& scalars
, threadgroup type_15& hidden
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    float most = -300000000000000000000000000000000000000.0;
    uint first_1 = 0u;
    metal::float4 four = {};
    uint i_3 = {};
    float sum_2 = {};
    uint at = {};
    bool local_10 = {};
    float powers = 0.0;
    uint line = {};
    uint first_2 = 0u;
    metal::float4 sum_3 = {};
    uint i_4 = {};
    bool local_11 = {};
    float sum_4 = 0.0;
    uint r_1 = {};
    float squares = 0.0;
    uint r_2 = {};
    uint r_3 = {};
    GlobalContext p_12 = global_context_sizes;
    uint image_5 = wg_6.x;
    uint x_4 = p_12.x + ((image_5 * p_12.hw) * p_12.c);
    uint y_2 = p_12.y + (image_5 * p_12.c);
    uint lines = (p_12.hw + 3u) / 4u;
    uint scores_1 = p_12.scores + (image_5 * lines);
    bool loop_init_26 = true;
    while(true) {
        if (!loop_init_26) {
            uint _e111 = first_1;
            first_1 = _e111 + 16u;
        }
        loop_init_26 = false;
        uint _e28 = first_1;
        if (_e28 < lines) {
        } else {
            break;
        }
        {
            uint _e30 = first_1;
            uint line_4 = _e30 + (t_6 / 16u);
            four = metal::float4 {};
            i_3 = 0u;
            bool loop_init_27 = true;
            while(true) {
                if (!loop_init_27) {
                    uint _e85 = i_3;
                    i_3 = _e85 + 1u;
                }
                loop_init_27 = false;
                uint _e38 = i_3;
                if (_e38 < 4u) {
                } else {
                    break;
                }
                {
                    uint _e43 = i_3;
                    uint position_2 = (line_4 * 4u) + _e43;
                    sum_2 = 0.0;
                    if (position_2 < p_12.hw) {
                        at = t_6 % 16u;
                        bool loop_init_28 = true;
                        while(true) {
                            if (!loop_init_28) {
                                uint _e70 = at;
                                at = _e70 + 16u;
                            }
                            loop_init_28 = false;
                            uint _e52 = at;
                            if (_e52 < p_12.c) {
                            } else {
                                break;
                            }
                            {
                                float _e55 = sum_2;
                                uint _e59 = at;
                                metal::float4 _e61 = map_at((x_4 + (position_2 * p_12.c)) + _e59, arena, _buffer_sizes);
                                uint _e64 = at;
                                metal::float4 _e67 = floats[p_12.attn + _e64];
                                sum_2 = _e55 + metal::dot(_e61, _e67);
                            }
                        }
                    }
                    float _e73 = sum_2;
                    float _e74 = sixteen_sum(t_6, _e73, scalars);
                    sum_2 = _e74;
                    uint _e75 = i_3;
                    float _e77 = sum_2;
                    four[_e75] = (position_2 < p_12.hw) ? (_e77 + p_12.attn_bias) : -300000000000000000000000000000000000000.0;
                }
            }
            if ((t_6 % 16u) == 0u) {
                local_10 = line_4 < lines;
            } else {
                local_10 = false;
            }
            bool _e95 = local_10;
            if (_e95) {
                metal::float4 _e97 = four;
                put_vector(scores_1 + line_4, _e97, arena, _buffer_sizes);
                float _e98 = most;
                float _e100 = four.x;
                float _e102 = four.y;
                float _e105 = four.z;
                float _e107 = four.w;
                most = metal::max(_e98, metal::max(metal::max(_e100, _e102), metal::max(_e105, _e107)));
            }
        }
    }
    float _e114 = most;
    float _e115 = all_max(t_6, _e114, scalars);
    most = _e115;
    metal::threadgroup_barrier(metal::mem_flags::mem_device);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    line = t_6;
    bool loop_init_29 = true;
    while(true) {
        if (!loop_init_29) {
            uint _e157 = line;
            line = _e157 + 256u;
        }
        loop_init_29 = false;
        uint _e119 = line;
        if (_e119 < lines) {
        } else {
            break;
        }
        {
            uint _e121 = line;
            metal::float4 _e123 = vector_at(scores_1 + _e121, arena, _buffer_sizes);
            float _e124 = most;
            metal::float4 four_1 = metal::exp(metal::max(_e123 - metal::float4(_e124), metal::float4(-80.0)));
            uint _e131 = line;
            metal::bool4 inside = (metal::uint4(_e131 * 4u) + metal::uint4(0u, 1u, 2u, 3u)) < metal::uint4(p_12.hw);
            metal::float4 power = metal::select(metal::float4 {}, four_1, inside);
            uint _e146 = line;
            put_vector(scores_1 + _e146, power, arena, _buffer_sizes);
            float _e148 = powers;
            powers = _e148 + (((power.x + power.y) + power.z) + power.w);
        }
    }
    float _e160 = powers;
    float _e161 = all_sum(t_6, _e160, scalars);
    powers = _e161;
    metal::threadgroup_barrier(metal::mem_flags::mem_device);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    bool loop_init_30 = true;
    while(true) {
        if (!loop_init_30) {
            uint _e217 = first_2;
            first_2 = _e217 + 64u;
        }
        loop_init_30 = false;
        uint _e164 = first_2;
        if (_e164 < p_12.c) {
        } else {
            break;
        }
        {
            uint _e167 = first_2;
            uint quad_6 = _e167 + (t_6 % 64u);
            sum_3 = metal::float4 {};
            if (quad_6 < p_12.c) {
                i_4 = t_6 / 64u;
                bool loop_init_31 = true;
                while(true) {
                    if (!loop_init_31) {
                        uint _e199 = i_4;
                        i_4 = _e199 + 4u;
                    }
                    loop_init_31 = false;
                    uint _e178 = i_4;
                    if (_e178 < p_12.hw) {
                    } else {
                        break;
                    }
                    {
                        metal::float4 _e181 = sum_3;
                        uint _e182 = i_4;
                        metal::float4 _e186 = vector_at(scores_1 + (_e182 / 4u), arena, _buffer_sizes);
                        uint _e187 = i_4;
                        uint _e191 = i_4;
                        metal::float4 _e196 = map_at((x_4 + (_e191 * p_12.c)) + quad_6, arena, _buffer_sizes);
                        sum_3 = _e181 + (_e186[_e187 % 4u] * _e196);
                    }
                }
            }
            metal::float4 _e202 = sum_3;
            metal::float4 _e203 = four_sum(t_6, _e202, quads);
            sum_3 = _e203;
            if (t_6 < 64u) {
                local_11 = quad_6 < p_12.c;
            } else {
                local_11 = false;
            }
            bool _e211 = local_11;
            if (_e211) {
                metal::float4 _e213 = sum_3;
                float _e214 = powers;
                put_vector(y_2 + quad_6, _e213 / metal::float4(_e214), arena, _buffer_sizes);
            }
        }
    }
    reduce(t_6, p_12.c, p_12.rd, y_2, p_12.w1_, p_12.b1_, arena, weights, floats, scalars, hidden, _buffer_sizes);
    r_1 = t_6;
    bool loop_init_32 = true;
    while(true) {
        if (!loop_init_32) {
            uint _e236 = r_1;
            r_1 = _e236 + 256u;
        }
        loop_init_32 = false;
        uint _e227 = r_1;
        if (_e227 < p_12.rd) {
        } else {
            break;
        }
        {
            float _e230 = sum_4;
            uint _e232 = r_1;
            float _e234 = hidden.inner[_e232];
            sum_4 = _e230 + _e234;
        }
    }
    float _e239 = sum_4;
    float _e240 = all_sum(t_6, _e239, scalars);
    float mean_1 = _e240 / static_cast<float>(p_12.rd);
    r_2 = t_6;
    bool loop_init_33 = true;
    while(true) {
        if (!loop_init_33) {
            uint _e263 = r_2;
            r_2 = _e263 + 256u;
        }
        loop_init_33 = false;
        uint _e247 = r_2;
        if (_e247 < p_12.rd) {
        } else {
            break;
        }
        {
            float _e250 = squares;
            uint _e252 = r_2;
            float _e254 = hidden.inner[_e252];
            uint _e257 = r_2;
            float _e259 = hidden.inner[_e257];
            squares = _e250 + ((_e254 - mean_1) * (_e259 - mean_1));
        }
    }
    float _e266 = squares;
    float _e267 = all_sum(t_6, _e266, scalars);
    float over_1 = 1.0 / metal::sqrt((_e267 / static_cast<float>(p_12.rd)) + 0.000001);
    r_3 = t_6;
    bool loop_init_34 = true;
    while(true) {
        if (!loop_init_34) {
            uint _e319 = r_3;
            r_3 = _e319 + 256u;
        }
        loop_init_34 = false;
        uint _e277 = r_3;
        if (_e277 < p_12.rd) {
        } else {
            break;
        }
        {
            uint _e282 = r_3;
            uint _e287 = r_3;
            float scale = floats[p_12.ln_w + (_e282 / 4u)][_e287 % 4u];
            uint _e294 = r_3;
            uint _e299 = r_3;
            float shift = floats[p_12.ln_b + (_e294 / 4u)][_e299 % 4u];
            uint _e305 = r_3;
            uint _e308 = r_3;
            float _e310 = hidden.inner[_e308];
            metal::float4 _e317 = activate(metal::float4((((_e310 - mean_1) * over_1) * scale) + shift), p_12.act);
            hidden.inner[_e305] = _e317.x;
        }
    }
    expand(t_6, p_12.c, p_12.rd, p_12.w2_, p_12.b2_, 6u, y_2, arena, weights, floats, quads, hidden, _buffer_sizes);
    return;
}


struct poolInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void pool(
  metal::uint3 wg_7 [[threadgroup_position_in_grid]]
, metal::uint3 grid_7 [[threadgroups_per_grid]]
, uint t_7 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, constant Pool& pool_sizes [[buffer(0)]]
, threadgroup type_13& quads
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 sum_5 = metal::float4 {};
    uint i_5 = {};
    bool local_12 = {};
    uint i_6 = 1u;
    Pool p_13 = pool_sizes;
    uint quad_7 = (wg_7.x * 16u) + (t_7 % 16u);
    if (quad_7 < p_13.c) {
        i_5 = t_7 / 16u;
        bool loop_init_35 = true;
        while(true) {
            if (!loop_init_35) {
                uint _e34 = i_5;
                i_5 = _e34 + 16u;
            }
            loop_init_35 = false;
            uint _e18 = i_5;
            if (_e18 < p_13.hw) {
            } else {
                break;
            }
            {
                metal::float4 _e21 = sum_5;
                uint _e26 = i_5;
                metal::float4 _e32 = map_at((p_13.x + (((wg_7.y * p_13.hw) + _e26) * p_13.c)) + quad_7, arena, _buffer_sizes);
                sum_5 = _e21 + _e32;
            }
        }
    }
    metal::float4 _e39 = sum_5;
    quads.inner[t_7] = _e39;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (t_7 < 16u) {
        local_12 = quad_7 < p_13.c;
    } else {
        local_12 = false;
    }
    bool _e47 = local_12;
    if (_e47) {
        bool loop_init_36 = true;
        while(true) {
            if (!loop_init_36) {
                uint _e63 = i_6;
                i_6 = _e63 + 1u;
            }
            loop_init_36 = false;
            uint _e50 = i_6;
            if (_e50 < 16u) {
            } else {
                break;
            }
            {
                metal::float4 _e53 = sum_5;
                uint _e55 = i_6;
                metal::float4 _e60 = quads.inner[(_e55 * 16u) + t_7];
                sum_5 = _e53 + _e60;
            }
        }
        metal::float4 _e71 = sum_5;
        put_vector((p_13.y + (wg_7.y * p_13.c)) + quad_7, _e71 / metal::float4(static_cast<float>(p_13.hw)), arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct denseInput {
};
[[max_total_threads_per_threadgroup(64)]] kernel void dense(
  metal::uint3 wg_8 [[threadgroup_position_in_grid]]
, metal::uint3 grid_8 [[threadgroups_per_grid]]
, uint t_8 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_2 const& weights [[buffer(2)]]
, device type_4 const& floats [[buffer(3)]]
, constant Dense& dense_sizes [[buffer(0)]]
, threadgroup type_13& quads
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 a_2 = metal::float4 {};
    metal::float4 b_2 = metal::float4 {};
    uint at_1 = {};
    bool local_13 = {};
    metal::float4 v_1 = {};
    uint i_7 = 0u;
    float sum_6 = {};
    uint lane = {};
    Dense p_14 = dense_sizes;
    uint first_8 = wg_8.y * 8u;
    uint own_2 = ((wg_8.x * 4u) + (t_8 / 16u)) * p_14.k;
    uint last = p_14.n - 1u;
    at_1 = t_8 % 16u;
    bool loop_init_37 = true;
    while(true) {
        if (!loop_init_37) {
            uint _e133 = at_1;
            at_1 = _e133 + 16u;
        }
        loop_init_37 = false;
        uint _e26 = at_1;
        if (_e26 < p_14.k) {
        } else {
            break;
        }
        {
            uint _e32 = at_1;
            Quad _e35 = weights[(p_14.wt + own_2) + _e32];
            metal::float4 _e36 = up(_e35);
            metal::float4 _e37 = a_2;
            uint _e43 = at_1;
            metal::float4 _e45 = vector_at((p_14.x + (metal::min(first_8, last) * p_14.k)) + _e43, arena, _buffer_sizes);
            uint _e54 = at_1;
            metal::float4 _e56 = vector_at((p_14.x + (metal::min(first_8 + 1u, last) * p_14.k)) + _e54, arena, _buffer_sizes);
            uint _e65 = at_1;
            metal::float4 _e67 = vector_at((p_14.x + (metal::min(first_8 + 2u, last) * p_14.k)) + _e65, arena, _buffer_sizes);
            uint _e76 = at_1;
            metal::float4 _e78 = vector_at((p_14.x + (metal::min(first_8 + 3u, last) * p_14.k)) + _e76, arena, _buffer_sizes);
            a_2 = _e37 + metal::float4(metal::dot(_e36, _e45), metal::dot(_e36, _e56), metal::dot(_e36, _e67), metal::dot(_e36, _e78));
            if ((first_8 + 4u) < p_14.n) {
                metal::float4 _e86 = b_2;
                uint _e94 = at_1;
                metal::float4 _e96 = vector_at((p_14.x + (metal::min(first_8 + 4u, last) * p_14.k)) + _e94, arena, _buffer_sizes);
                uint _e105 = at_1;
                metal::float4 _e107 = vector_at((p_14.x + (metal::min(first_8 + 5u, last) * p_14.k)) + _e105, arena, _buffer_sizes);
                uint _e116 = at_1;
                metal::float4 _e118 = vector_at((p_14.x + (metal::min(first_8 + 6u, last) * p_14.k)) + _e116, arena, _buffer_sizes);
                uint _e127 = at_1;
                metal::float4 _e129 = vector_at((p_14.x + (metal::min(first_8 + 7u, last) * p_14.k)) + _e127, arena, _buffer_sizes);
                b_2 = _e86 + metal::float4(metal::dot(_e36, _e96), metal::dot(_e36, _e107), metal::dot(_e36, _e118), metal::dot(_e36, _e129));
            }
        }
    }
    metal::float4 _e138 = a_2;
    quads.inner[t_8] = _e138;
    metal::float4 _e143 = b_2;
    quads.inner[64u + t_8] = _e143;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (t_8 < 8u) {
        local_13 = (first_8 + t_8) < p_14.n;
    } else {
        local_13 = false;
    }
    bool _e152 = local_13;
    if (_e152) {
        metal::float4 _e158 = floats[p_14.bias + wg_8.x];
        v_1 = _e158;
        bool loop_init_38 = true;
        while(true) {
            if (!loop_init_38) {
                uint _e199 = i_7;
                i_7 = _e199 + 1u;
            }
            loop_init_38 = false;
            uint _e162 = i_7;
            if (_e162 < 4u) {
            } else {
                break;
            }
            {
                sum_6 = 0.0;
                lane = 0u;
                bool loop_init_39 = true;
                while(true) {
                    if (!loop_init_39) {
                        uint _e191 = lane;
                        lane = _e191 + 1u;
                    }
                    loop_init_39 = false;
                    uint _e169 = lane;
                    if (_e169 < 16u) {
                    } else {
                        break;
                    }
                    {
                        float _e172 = sum_6;
                        uint _e178 = i_7;
                        uint _e182 = lane;
                        float _e188 = quads.inner[(((t_8 / 4u) * 64u) + (_e178 * 16u)) + _e182][t_8 % 4u];
                        sum_6 = _e172 + _e188;
                    }
                }
                uint _e193 = i_7;
                float _e195 = v_1[_e193];
                float _e196 = sum_6;
                v_1[_e193] = _e195 + _e196;
            }
        }
        metal::float4 _e208 = v_1;
        metal::float4 _e210 = activate(_e208, p_14.act);
        put_vector((p_14.y + ((first_8 + t_8) * p_14.out)) + wg_8.x, _e210, arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct mix_kernelsInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void mix_kernels(
  metal::uint3 wg_9 [[threadgroup_position_in_grid]]
, metal::uint3 grid_9 [[threadgroups_per_grid]]
, uint t_9 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_4 const& floats [[buffer(3)]]
, constant Mix& mix_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 sum_7 = metal::float4 {};
    uint e = 0u;
    Mix p_15 = mix_sizes;
    uint at_22 = (wg_9.x * 128u) + t_9;
    if (at_22 >= p_15.len) {
        return;
    }
    bool loop_init_40 = true;
    while(true) {
        if (!loop_init_40) {
            uint _e45 = e;
            e = _e45 + 1u;
        }
        loop_init_40 = false;
        uint _e15 = e;
        if (_e15 < p_15.experts_real) {
        } else {
            break;
        }
        {
            uint _e23 = e;
            metal::float4 _e27 = vector_at((p_15.routing + (wg_9.y * p_15.experts)) + (_e23 / 4u), arena, _buffer_sizes);
            uint _e28 = e;
            float weight_1 = _e27[_e28 % 4u];
            metal::float4 _e32 = sum_7;
            uint _e35 = e;
            metal::float4 _e41 = floats[(p_15.wt + (_e35 * p_15.len)) + at_22];
            sum_7 = _e32 + (weight_1 * _e41);
        }
    }
    if (p_15.to_floats == 1u) {
        metal::float4 _e56 = sum_7;
        put_vector((p_15.y + (wg_9.y * p_15.len)) + at_22, _e56, arena, _buffer_sizes);
        return;
    } else {
        metal::float4 _e63 = sum_7;
        put_map((p_15.y + (wg_9.y * p_15.len)) + at_22, _e63, arena, _buffer_sizes);
        return;
    }
}


struct attentionInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void attention(
  metal::uint3 wg_10 [[threadgroup_position_in_grid]]
, metal::uint3 grid_10 [[threadgroups_per_grid]]
, uint t_10 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, constant Attention& attention_sizes [[buffer(0)]]
, threadgroup type_18& rows
, threadgroup type_20& powers_1
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    uint i_8 = {};
    float most_1 = -300000000000000000000000000000000000000.0;
    float norm = 0.0;
    metal::float4 a_3 = metal::float4 {};
    metal::float4 b_3 = metal::float4 {};
    metal::float4 c_3 = metal::float4 {};
    metal::float4 d_2 = metal::float4 {};
    uint start = 0u;
    metal::float4 scores = {};
    uint i_9 = {};
    float larger = {};
    uint i_10 = {};
    uint i_11 = {};
    uint i_12 = {};
    bool local_14 = {};
    Attention p_16 = attention_sizes;
    uint first_9 = wg_10.x * 8u;
    uint all_1 = p_16.queries * p_16.heads;
    uint image_6 = wg_10.y * p_16.queries;
    i_8 = t_10;
    bool loop_init_41 = true;
    while(true) {
        if (!loop_init_41) {
            uint _e53 = i_8;
            i_8 = _e53 + 128u;
        }
        loop_init_41 = false;
        uint _e15 = i_8;
        if (_e15 < (8u * p_16.dims)) {
        } else {
            break;
        }
        {
            uint _e20 = i_8;
            uint row_10 = metal::min(first_9 + (_e20 / p_16.dims), all_1 - 1u);
            uint at_23 = (p_16.q + ((image_6 + (row_10 / p_16.heads)) * p_16.q_stride)) + ((row_10 % p_16.heads) * p_16.dims);
            uint _e40 = i_8;
            uint _e44 = i_8;
            uint _e48 = i_8;
            metal::float4 _e52 = map_at(at_23 + (_e48 % p_16.dims), arena, _buffer_sizes);
            rows.inner[_e40 / p_16.dims].inner[_e44 % p_16.dims] = _e52;
        }
    }
    uint position_3 = t_10 % 64u;
    uint row0_1 = (t_10 / 64u) * 4u;
    uint own_3 = t_10 / 16u;
    uint lane_1 = t_10 % 16u;
    bool loop_init_42 = true;
    while(true) {
        if (!loop_init_42) {
            uint _e290 = start;
            start = _e290 + 64u;
        }
        loop_init_42 = false;
        uint _e80 = start;
        if (_e80 < p_16.keys) {
        } else {
            break;
        }
        {
            uint _e84 = start;
            uint positions = metal::min(p_16.keys - _e84, 64u);
            uint _e91 = start;
            uint base_2 = ((wg_10.y * p_16.keys) + _e91) * p_16.kv_stride;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            scores = metal::float4(-300000000000000000000000000000000000000.0);
            if (position_3 < positions) {
                scores = metal::float4 {};
                i_9 = 0u;
                bool loop_init_43 = true;
                while(true) {
                    if (!loop_init_43) {
                        uint _e147 = i_9;
                        i_9 = _e147 + 1u;
                    }
                    loop_init_43 = false;
                    uint _e102 = i_9;
                    if (_e102 < p_16.dims) {
                    } else {
                        break;
                    }
                    {
                        uint _e110 = i_9;
                        metal::float4 _e112 = map_at(((p_16.k + base_2) + (position_3 * p_16.kv_stride)) + _e110, arena, _buffer_sizes);
                        metal::float4 _e113 = scores;
                        uint _e116 = i_9;
                        metal::float4 _e118 = rows.inner[row0_1].inner[_e116];
                        uint _e124 = i_9;
                        metal::float4 _e126 = rows.inner[row0_1 + 1u].inner[_e124];
                        uint _e132 = i_9;
                        metal::float4 _e134 = rows.inner[row0_1 + 2u].inner[_e132];
                        uint _e140 = i_9;
                        metal::float4 _e142 = rows.inner[row0_1 + 3u].inner[_e140];
                        scores = _e113 + metal::float4(metal::dot(_e112, _e118), metal::dot(_e112, _e126), metal::dot(_e112, _e134), metal::dot(_e112, _e142));
                    }
                }
            }
            float _e153 = scores.x;
            powers_1.inner[row0_1].inner[position_3] = _e153;
            float _e160 = scores.y;
            powers_1.inner[row0_1 + 1u].inner[position_3] = _e160;
            float _e167 = scores.z;
            powers_1.inner[row0_1 + 2u].inner[position_3] = _e167;
            float _e174 = scores.w;
            powers_1.inner[row0_1 + 3u].inner[position_3] = _e174;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e175 = most_1;
            larger = _e175;
            i_10 = 0u;
            bool loop_init_44 = true;
            while(true) {
                if (!loop_init_44) {
                    uint _e189 = i_10;
                    i_10 = _e189 + 1u;
                }
                loop_init_44 = false;
                uint _e179 = i_10;
                if (_e179 < positions) {
                } else {
                    break;
                }
                {
                    float _e181 = larger;
                    uint _e184 = i_10;
                    float _e186 = powers_1.inner[own_3].inner[_e184];
                    larger = metal::max(_e181, _e186);
                }
            }
            float _e191 = most_1;
            float _e192 = larger;
            float before = metal::exp(metal::max(_e191 - _e192, -80.0));
            float _e197 = larger;
            most_1 = _e197;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            i_11 = lane_1;
            bool loop_init_45 = true;
            while(true) {
                if (!loop_init_45) {
                    uint _e220 = i_11;
                    i_11 = _e220 + 16u;
                }
                loop_init_45 = false;
                uint _e199 = i_11;
                if (_e199 < 64u) {
                } else {
                    break;
                }
                {
                    uint _e204 = i_11;
                    uint _e208 = i_11;
                    float _e210 = powers_1.inner[own_3].inner[_e208];
                    float _e211 = larger;
                    uint _e216 = i_11;
                    powers_1.inner[own_3].inner[_e204] = (_e216 < positions) ? metal::exp(metal::max(_e210 - _e211, -80.0)) : 0.0;
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e223 = norm;
            norm = _e223 * before;
            metal::float4 _e225 = a_3;
            a_3 = _e225 * before;
            metal::float4 _e227 = b_3;
            b_3 = _e227 * before;
            metal::float4 _e229 = c_3;
            c_3 = _e229 * before;
            metal::float4 _e231 = d_2;
            d_2 = _e231 * before;
            i_12 = 0u;
            bool loop_init_46 = true;
            while(true) {
                if (!loop_init_46) {
                    uint _e288 = i_12;
                    i_12 = _e288 + 1u;
                }
                loop_init_46 = false;
                uint _e235 = i_12;
                if (_e235 < positions) {
                } else {
                    break;
                }
                {
                    uint _e239 = i_12;
                    float power_1 = powers_1.inner[own_3].inner[_e239];
                    uint _e244 = i_12;
                    uint at_24 = ((p_16.v + base_2) + (_e244 * p_16.kv_stride)) + lane_1;
                    float _e249 = norm;
                    norm = _e249 + power_1;
                    if (lane_1 < p_16.dims) {
                        metal::float4 _e253 = a_3;
                        metal::float4 _e254 = map_at(at_24, arena, _buffer_sizes);
                        a_3 = _e253 + (power_1 * _e254);
                    }
                    if ((lane_1 + 16u) < p_16.dims) {
                        metal::float4 _e261 = b_3;
                        metal::float4 _e264 = map_at(at_24 + 16u, arena, _buffer_sizes);
                        b_3 = _e261 + (power_1 * _e264);
                    }
                    if ((lane_1 + 32u) < p_16.dims) {
                        metal::float4 _e271 = c_3;
                        metal::float4 _e274 = map_at(at_24 + 32u, arena, _buffer_sizes);
                        c_3 = _e271 + (power_1 * _e274);
                    }
                    if ((lane_1 + 48u) < p_16.dims) {
                        metal::float4 _e281 = d_2;
                        metal::float4 _e284 = map_at(at_24 + 48u, arena, _buffer_sizes);
                        d_2 = _e281 + (power_1 * _e284);
                    }
                }
            }
        }
    }
    uint row_11 = first_9 + own_3;
    if (row_11 >= all_1) {
        return;
    }
    uint line_5 = p_16.y + ((image_6 + (row_11 / p_16.heads)) * p_16.q_stride);
    uint at_25 = (line_5 + ((row_11 % p_16.heads) * p_16.dims)) + lane_1;
    if (lane_1 < p_16.dims) {
        metal::float4 _e310 = a_3;
        float _e311 = norm;
        put_map(at_25, _e310 / metal::float4(_e311), arena, _buffer_sizes);
    }
    if ((lane_1 + 16u) < p_16.dims) {
        metal::float4 _e320 = b_3;
        float _e321 = norm;
        put_map(at_25 + 16u, _e320 / metal::float4(_e321), arena, _buffer_sizes);
    }
    if ((lane_1 + 32u) < p_16.dims) {
        metal::float4 _e330 = c_3;
        float _e331 = norm;
        put_map(at_25 + 32u, _e330 / metal::float4(_e331), arena, _buffer_sizes);
    }
    if ((lane_1 + 48u) < p_16.dims) {
        metal::float4 _e340 = d_2;
        float _e341 = norm;
        put_map(at_25 + 48u, _e340 / metal::float4(_e341), arena, _buffer_sizes);
    }
    uint padding = (p_16.heads * p_16.dims) + lane_1;
    if ((row_11 % p_16.heads) == (p_16.heads - 1u)) {
        local_14 = padding < p_16.q_stride;
    } else {
        local_14 = false;
    }
    bool _e359 = local_14;
    if (_e359) {
        put_map(line_5 + padding, metal::float4 {}, arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct anti_aliasInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void anti_alias(
  metal::uint3 wg_11 [[threadgroup_position_in_grid]]
, metal::uint3 grid_11 [[threadgroups_per_grid]]
, uint t_11 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, constant AntiAlias& anti_alias_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 sum_8 = metal::float4 {};
    uint i_13 = 0u;
    uint j = {};
    bool local_15 = {};
    bool local_16 = {};
    bool local_17 = {};
    AntiAlias p_17 = anti_alias_sizes;
    uint _e5 = linear(wg_11, grid_11);
    uint id_2 = (_e5 * 128u) + t_11;
    uint position_4 = id_2 / p_17.c;
    uint line_6 = position_4 / p_17.ow;
    uint image_7 = line_6 / p_17.oh;
    if (image_7 >= p_17.n) {
        return;
    }
    uint before_1 = p_17.size - 2u;
    uint column0_2 = ((position_4 % p_17.ow) * 2u) - before_1;
    uint row0_2 = ((line_6 % p_17.oh) * 2u) - before_1;
    bool loop_init_47 = true;
    while(true) {
        if (!loop_init_47) {
            uint _e105 = i_13;
            i_13 = _e105 + 1u;
        }
        loop_init_47 = false;
        uint _e34 = i_13;
        if (_e34 < p_17.size) {
        } else {
            break;
        }
        {
            j = 0u;
            bool loop_init_48 = true;
            while(true) {
                if (!loop_init_48) {
                    uint _e102 = j;
                    j = _e102 + 1u;
                }
                loop_init_48 = false;
                uint _e39 = j;
                if (_e39 < p_17.size) {
                } else {
                    break;
                }
                {
                    uint _e42 = i_13;
                    uint row_12 = row0_2 + _e42;
                    uint _e44 = j;
                    uint column_7 = column0_2 + _e44;
                    if (!((row_12 >= p_17.h))) {
                        local_15 = column_7 >= p_17.w;
                    } else {
                        local_15 = true;
                    }
                    bool _e54 = local_15;
                    if (_e54) {
                        continue;
                    }
                    if (!((p_17.size == 2u))) {
                        uint _e61 = i_13;
                        local_16 = _e61 == 1u;
                    } else {
                        local_16 = true;
                    }
                    bool _e65 = local_16;
                    float down_rows = _e65 ? 0.5 : 0.25;
                    if (!((p_17.size == 2u))) {
                        uint _e75 = j;
                        local_17 = _e75 == 1u;
                    } else {
                        local_17 = true;
                    }
                    bool _e79 = local_17;
                    float across_1 = _e79 ? 0.5 : 0.25;
                    metal::float4 _e83 = sum_8;
                    metal::float4 _e97 = map_at((p_17.x + (((((image_7 * p_17.h) + row_12) * p_17.w) + column_7) * p_17.c)) + (id_2 % p_17.c), arena, _buffer_sizes);
                    sum_8 = _e83 + (_e97 * (down_rows * across_1));
                }
            }
        }
    }
    metal::float4 _e109 = sum_8;
    put_map(p_17.y + id_2, _e109, arena, _buffer_sizes);
    return;
}


struct scale_shiftInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void scale_shift(
  metal::uint3 wg_12 [[threadgroup_position_in_grid]]
, metal::uint3 grid_12 [[threadgroups_per_grid]]
, uint t_12 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_4 const& floats [[buffer(3)]]
, constant ScaleShift& scale_shift_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    ScaleShift p_18 = scale_shift_sizes;
    uint _e5 = linear(wg_12, grid_12);
    uint id_3 = (_e5 * 128u) + t_12;
    if (id_3 >= (p_18.rows * p_18.c)) {
        return;
    }
    uint quad_8 = id_3 % p_18.c;
    metal::float4 _e19 = map_at(p_18.x + id_3, arena, _buffer_sizes);
    metal::float4 _e24 = floats[p_18.scale + quad_8];
    metal::float4 _e30 = floats[p_18.shift + quad_8];
    put_map(p_18.y + id_3, (_e19 * _e24) + _e30, arena, _buffer_sizes);
    return;
}


struct export_mapInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void export_map(
  metal::uint3 wg_13 [[threadgroup_position_in_grid]]
, metal::uint3 grid_13 [[threadgroups_per_grid]]
, uint t_13 [[thread_index_in_threadgroup]]
, device type_2 const& arena [[buffer(1)]]
, device type_6& outputs [[buffer(5)]]
, constant ExportMap& export_map_sizes [[buffer(0)]]
, threadgroup type_22& square
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    bool local_18 = {};
    uint i_14 = {};
    bool local_19 = {};
    ExportMap p_19 = export_map_sizes;
    uint quad_9 = t_13 % 8u;
    uint base_3 = (wg_13.x * 32u) + (t_13 / 8u);
    if (base_3 < p_19.hw) {
        local_18 = ((wg_13.y * 8u) + quad_9) < p_19.c;
    } else {
        local_18 = false;
    }
    bool _e24 = local_18;
    if (_e24) {
        metal::float4 _e38 = map_at(((p_19.x + (((wg_13.z * p_19.hw) + base_3) * p_19.c)) + (wg_13.y * 8u)) + quad_9, arena, _buffer_sizes);
        square.inner[t_13 / 8u].inner[quad_9 * 4u] = _e38.x;
        square.inner[t_13 / 8u].inner[(quad_9 * 4u) + 1u] = _e38.y;
        square.inner[t_13 / 8u].inner[(quad_9 * 4u) + 2u] = _e38.z;
        square.inner[t_13 / 8u].inner[(quad_9 * 4u) + 3u] = _e38.w;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint to = (wg_13.x * 32u) + (t_13 % 32u);
    i_14 = t_13 / 32u;
    bool loop_init_49 = true;
    while(true) {
        if (!loop_init_49) {
            uint _e120 = i_14;
            i_14 = _e120 + 8u;
        }
        loop_init_49 = false;
        uint _e86 = i_14;
        if (_e86 < 32u) {
        } else {
            break;
        }
        {
            uint _e92 = i_14;
            uint channel_2 = (wg_13.y * 32u) + _e92;
            if (to < p_19.hw) {
                local_19 = channel_2 < p_19.real;
            } else {
                local_19 = false;
            }
            bool _e101 = local_19;
            if (_e101) {
                uint _e117 = i_14;
                float _e119 = square.inner[t_13 % 32u].inner[_e117];
                outputs[(p_19.y + (((wg_13.z * p_19.real) + channel_2) * p_19.hw)) + to] = _e119;
            }
        }
    }
    return;
}


struct export_vectorInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void export_vector(
  metal::uint3 wg_14 [[threadgroup_position_in_grid]]
, metal::uint3 grid_14 [[threadgroups_per_grid]]
, uint t_14 [[thread_index_in_threadgroup]]
, device type_2 const& arena [[buffer(1)]]
, device type_6& outputs [[buffer(5)]]
, constant ExportVector& export_vector_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    ExportVector p_20 = export_vector_sizes;
    uint _e5 = linear(wg_14, grid_14);
    uint id_4 = (_e5 * 128u) + t_14;
    uint image_8 = id_4 / p_20.real;
    uint channel_3 = id_4 % p_20.real;
    if (image_8 < p_20.n) {
        metal::float4 _e26 = vector_at((p_20.x + (image_8 * p_20.c)) + (channel_3 / 4u), arena, _buffer_sizes);
        outputs[p_20.y + id_4] = _e26[channel_3 % 4u];
        return;
    } else {
        return;
    }
}


struct moments_groupsInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void moments_groups(
  metal::uint3 wg_15 [[threadgroup_position_in_grid]]
, metal::uint3 grid_15 [[threadgroups_per_grid]]
, uint t_15 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, threadgroup type_14& scalars
, constant MomentsGroups& moments_groups_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    bool local_20 = {};
    MomentsGroups p_21 = moments_groups_sizes;
    uint _e5 = linear(wg_15, grid_15);
    metal::float2 _e8 = group_moments(p_21, t_15, _e5 * 2u, arena, scalars, _buffer_sizes);
    metal::float2 _e13 = group_moments(p_21, t_15, (_e5 * 2u) + 1u, arena, scalars, _buffer_sizes);
    if (t_15 == 0u) {
        local_20 = (_e5 * 2u) < p_21.count;
    } else {
        local_20 = false;
    }
    bool _e23 = local_20;
    if (_e23) {
        put_vector(p_21.y + _e5, metal::float4(_e8, _e13), arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct moments_positionsInput {
};
[[max_total_threads_per_threadgroup(256)]] kernel void moments_positions(
  metal::uint3 wg_16 [[threadgroup_position_in_grid]]
, metal::uint3 grid_16 [[threadgroups_per_grid]]
, uint t_16 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, threadgroup type_13& quads
, threadgroup type_14& scalars
, constant MomentsPositions& moments_positions_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    float sum_9 = 0.0;
    uint at_2 = {};
    float squares_1 = 0.0;
    uint at_3 = {};
    bool local_21 = {};
    MomentsPositions p_22 = moments_positions_sizes;
    uint _e5 = linear(wg_16, grid_16);
    uint first_10 = _e5 * 16u;
    uint row_13 = first_10 + (t_16 / 16u);
    uint lane_2 = t_16 % 16u;
    uint base_4 = p_22.x + (row_13 * p_22.c);
    uint c_7 = (row_13 < p_22.rows) ? p_22.c : 0u;
    float n_1 = static_cast<float>(p_22.real);
    at_2 = lane_2;
    bool loop_init_50 = true;
    while(true) {
        if (!loop_init_50) {
            uint _e41 = at_2;
            at_2 = _e41 + 16u;
        }
        loop_init_50 = false;
        uint _e27 = at_2;
        if (_e27 < c_7) {
        } else {
            break;
        }
        {
            uint _e29 = at_2;
            metal::float4 _e31 = map_at(base_4 + _e29, arena, _buffer_sizes);
            float _e32 = sum_9;
            sum_9 = _e32 + (((_e31.x + _e31.y) + _e31.z) + _e31.w);
        }
    }
    float _e44 = sum_9;
    float _e45 = sixteen_sum(t_16, _e44, scalars);
    sum_9 = _e45;
    if (lane_2 == 0u) {
        float _e53 = sum_9;
        quads.inner[t_16 / 16u].x = _e53 / n_1;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float mean_2 = quads.inner[t_16 / 16u].x;
    at_3 = lane_2;
    bool loop_init_51 = true;
    while(true) {
        if (!loop_init_51) {
            uint _e89 = at_3;
            at_3 = _e89 + 16u;
        }
        loop_init_51 = false;
        uint _e64 = at_3;
        if (_e64 < c_7) {
        } else {
            break;
        }
        {
            uint _e66 = at_3;
            metal::bool4 inside_1 = (metal::uint4(_e66 * 4u) + metal::uint4(0u, 1u, 2u, 3u)) < metal::uint4(p_22.real);
            uint _e80 = at_3;
            metal::float4 _e82 = map_at(base_4 + _e80, arena, _buffer_sizes);
            metal::float4 v_18 = metal::select(metal::float4 {}, _e82 - metal::float4(mean_2), inside_1);
            float _e86 = squares_1;
            squares_1 = _e86 + metal::dot(v_18, v_18);
        }
    }
    float _e92 = squares_1;
    float _e93 = sixteen_sum(t_16, _e92, scalars);
    squares_1 = _e93;
    if (lane_2 == 0u) {
        float _e101 = squares_1;
        quads.inner[t_16 / 16u].y = 1.0 / metal::sqrt((_e101 / n_1) + p_22.eps);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (t_16 < 8u) {
        local_21 = (first_10 + (t_16 * 2u)) < p_22.rows;
    } else {
        local_21 = false;
    }
    bool _e118 = local_21;
    if (_e118) {
        metal::float4 _e128 = quads.inner[t_16 * 2u];
        metal::float4 _e136 = quads.inner[(t_16 * 2u) + 1u];
        put_vector((p_22.y + (first_10 / 2u)) + t_16, metal::float4(_e128.xy, _e136.xy), arena, _buffer_sizes);
        return;
    } else {
        return;
    }
}


struct normalize_mapInput {
};
[[max_total_threads_per_threadgroup(128)]] kernel void normalize_map(
  metal::uint3 wg_17 [[threadgroup_position_in_grid]]
, metal::uint3 grid_17 [[threadgroups_per_grid]]
, uint t_17 [[thread_index_in_threadgroup]]
, device type_2& arena [[buffer(1)]]
, device type_4 const& floats [[buffer(3)]]
, constant Normalize& normalize_sizes [[buffer(0)]]
, constant _mslBufferSizes& _buffer_sizes [[buffer(6)]]
) {
    metal::float4 means = metal::float4 {};
    metal::float4 overs = metal::float4 {};
    uint i_15 = 0u;
    uint at_4 = {};
    metal::float4 over = {};
    metal::float4 v_2 = {};
    Normalize p_23 = normalize_sizes;
    uint _e5 = linear(wg_17, grid_17);
    uint id_5 = (_e5 * 128u) + t_17;
    uint position_5 = id_5 / p_23.c;
    uint image_9 = position_5 / p_23.hw;
    if (image_9 >= p_23.n) {
        return;
    }
    uint quad_10 = id_5 % p_23.c;
    metal::float4 _e19 = map_at(p_23.x + id_5, arena, _buffer_sizes);
    bool loop_init_52 = true;
    while(true) {
        if (!loop_init_52) {
            uint _e71 = i_15;
            i_15 = _e71 + 1u;
        }
        loop_init_52 = false;
        uint _e26 = i_15;
        if (_e26 < 4u) {
        } else {
            break;
        }
        {
            uint _e31 = i_15;
            uint channel_4 = metal::min((quad_10 * 4u) + _e31, p_23.real - 1u);
            at_4 = position_5;
            if (p_23.size > 0u) {
                at_4 = (image_9 * p_23.groups) + (channel_4 / p_23.size);
            }
            uint _e47 = at_4;
            metal::float4 _e51 = vector_at(p_23.moments + (_e47 / 2u), arena, _buffer_sizes);
            uint _e52 = i_15;
            uint _e54 = at_4;
            means[_e52] = _e51[(_e54 % 2u) * 2u];
            uint _e60 = i_15;
            uint _e62 = at_4;
            overs[_e60] = _e51[((_e62 % 2u) * 2u) + 1u];
        }
    }
    metal::float4 _e73 = means;
    over = _e19 - _e73;
    if (p_23.gate != NONE) {
        metal::float4 _e83 = floats[p_23.gate + quad_10];
        metal::float4 _e85 = sigmoid(_e83 * _e19);
        over = _e19 * _e85;
    }
    metal::float4 _e87 = over;
    metal::float4 _e88 = overs;
    metal::float4 _e94 = floats[p_23.scale + quad_10];
    metal::float4 _e100 = floats[p_23.shift + quad_10];
    metal::float4 _e103 = activate(((_e87 * _e88) * _e94) + _e100, p_23.act);
    v_2 = _e103;
    if (p_23.residual != NONE) {
        metal::float4 _e108 = v_2;
        metal::float4 _e111 = map_at(p_23.residual + id_5, arena, _buffer_sizes);
        v_2 = _e108 + _e111;
    }
    metal::bool4 inside_2 = (metal::uint4(quad_10 * 4u) + metal::uint4(0u, 1u, 2u, 3u)) < metal::uint4(p_23.real);
    metal::float4 _e128 = v_2;
    put_map(p_23.y + id_5, metal::select(metal::float4 {}, _e128, inside_2), arena, _buffer_sizes);
    return;
}
