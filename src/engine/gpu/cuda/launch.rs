//! Kernels as launches: names, grids and arguments, as the table in `kernels/common.cuh` has them.

use crate::arch::{Activation, AntiAlias};
use crate::engine::fuse::Statistics;
use crate::engine::gpu::{Act, Buffer, Conv2d, Input, Kernel};

/// A kernel's launch.
#[derive(Debug)]
pub(crate) struct Launch {
    pub(crate) kernel: String,
    pub(crate) grid: [u32; 3],
    pub(crate) threads: u32,
    /// Bytes of dynamic shared memory.
    pub(crate) shared: u32,
    pub(crate) args: Vec<Arg>,
}

/// An argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg {
    Int(i32),
    Long(i64),
    Float(f32),
    Pointer(Buffer),
    Null,
}

impl Launch {
    /// The arguments' bytes, each from the first of its eight on, with what is at `address` of a buffer.
    pub(crate) fn values(&self, address: impl Fn(Buffer) -> u64) -> Vec<u64> {
        let value = |arg: &Arg| match *arg {
            Arg::Int(n) => u64::from(n.cast_unsigned()),
            Arg::Long(n) => n.cast_unsigned(),
            Arg::Float(x) => u64::from(x.to_bits()),
            Arg::Pointer(buffer) => address(buffer),
            Arg::Null => 0,
        };
        self.args.iter().map(value).collect()
    }
}

impl From<usize> for Arg {
    fn from(n: usize) -> Self {
        Self::Int(int(n))
    }
}

impl From<f32> for Arg {
    fn from(x: f32) -> Self {
        Self::Float(x)
    }
}

impl From<Buffer> for Arg {
    fn from(buffer: Buffer) -> Self {
        Self::Pointer(buffer)
    }
}

impl From<Option<Buffer>> for Arg {
    fn from(buffer: Option<Buffer>) -> Self {
        buffer.map_or(Self::Null, Self::Pointer)
    }
}

impl From<Act> for Arg {
    fn from(act: Act) -> Self {
        Self::Int(match act {
            None => 0,
            Some(Activation::Relu) => 1,
            Some(Activation::Relu6) => 2,
            Some(Activation::Silu) => 3,
            Some(Activation::HardSwish) => 4,
            Some(Activation::HardSigmoid) => 5,
            Some(Activation::Sigmoid) => 6,
            Some(Activation::Gelu) => 7,
            Some(Activation::Mish) => 8,
        })
    }
}

/// Rows of a small and a large tile of a product, and columns of both.
const TILE_ROWS: [usize; 2] = [64, 128];
const TILE_COLUMNS: usize = 64;
/// Large tiles that keep a GPU busy; with fewer, the small ones are quicker.
const LARGE_TILES: usize = 512;

/// A size as the kernels have it. Larger ones saturate: a grid of them is refused by the driver.
fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn grid(sizes: [usize; 3]) -> [u32; 3] {
    sizes.map(|size| u32::try_from(size).unwrap_or(u32::MAX))
}

macro_rules! args {
    ($($arg:expr),* $(,)?) => { vec![$(Arg::from($arg)),*] };
}

fn new(kernel: &str, threads: u32, sizes: [usize; 3], args: Vec<Arg>) -> Launch {
    Launch { kernel: kernel.to_owned(), grid: grid(sizes), threads, shared: 0, args }
}

/// A kernel of one thread for each of `items`, 128 a block.
fn each(kernel: &str, items: usize, args: Vec<Arg>) -> Launch {
    new(kernel, 128, [items.div_ceil(128), 1, 1], args)
}

impl Conv2d {
    fn args(&self) -> Vec<Arg> {
        let Self { n, h, w, cin, oh, ow, cout, kernel, stride, top, left } = *self;
        args![n, h, w, cin, oh, ow, cout, kernel, stride, top, left]
    }
}

/// The rows of a tile for `groups` times `rows`, and its name.
fn tile(groups: usize, rows: usize, columns: usize) -> (usize, &'static str) {
    let [small, large] = TILE_ROWS;
    let tiles = groups * rows.div_ceil(large) * columns.div_ceil(TILE_COLUMNS);
    if tiles >= LARGE_TILES { (large, "128") } else { (small, "64") }
}

/// The launch of a kernel.
#[allow(clippy::too_many_lines, reason = "a match with an arm a kernel")]
pub(crate) fn launch(kernel: &Kernel) -> Launch {
    match kernel {
        Kernel::Stem { size, input, act, wt, bias, y } => {
            let mut args = size.args();
            args.push((*act).into());
            args.push(Buffer::Images.into());
            let name = match input {
                Input::Floats => "stem_floats",
                Input::Pixels => {
                    args.push(Buffer::Table.into());
                    "stem_pixels"
                }
            };
            args.extend(args![*wt, *bias, *y]);
            each(name, size.n * size.oh * size.ow.div_ceil(4) * (size.cout / 8), args)
        }
        &Kernel::Pointwise {
            groups,
            rows,
            k,
            n,
            gate_rows,
            act,
            x,
            wt,
            w_stride,
            bias,
            gate,
            residual,
            y,
        } => {
            let (tile_rows, name) = tile(groups, rows, n);
            let w_stride = Arg::Long(w_stride as i64);
            let mut args = args![groups, rows, k, n, gate_rows, act, x, wt];
            args.push(w_stride);
            args.extend(args![bias, gate, residual, y]);
            args.push(Arg::Null);
            let tiles = groups * rows.div_ceil(tile_rows);
            let name = format!("pointwise_{name}");
            new(&name, 128, [tiles, n.div_ceil(TILE_COLUMNS), 1], args)
        }
        &Kernel::Conv { size, act, x, wt, bias, residual, y } => {
            let rows = size.n * size.oh * size.ow;
            let (tile_rows, name) = tile(1, rows, size.cout);
            let mut args = size.args();
            let per_image = 0;
            args.extend(args![per_image, act, x, wt, bias, residual, y]);
            args.push(Arg::Null);
            let tiles = [rows.div_ceil(tile_rows), size.cout.div_ceil(TILE_COLUMNS), 1];
            new(&format!("conv_{name}"), 128, tiles, args)
        }
        &Kernel::Grouped { size, groups, real: [cin, cout], act, x, wt, bias, residual, y } => {
            let mut args = size.args();
            args.extend(args![groups, cin, cout, act, x, wt, bias, residual, y]);
            each("conv_grouped", size.n * size.oh * size.ow.div_ceil(4) * size.cout, args)
        }
        &Kernel::Depthwise { size, act, parts, x, wt, w_stride, bias, y, sums } => {
            let Conv2d { n, h, w, oh, ow, cout, kernel, stride, top, left, .. } = size;
            let mut args = args![n, h, w, cout, oh, ow];
            let name = match (kernel, stride) {
                (3 | 5 | 7 | 9 | 11, 1 | 2) => format!("depthwise_{kernel}_{stride}"),
                _ => {
                    args.extend(args![kernel, stride]);
                    "depthwise_any".to_owned()
                }
            };
            args.extend(args![top, left, act, parts, x, wt]);
            args.push(Arg::Long(w_stride as i64));
            args.extend(args![bias, y, sums]);
            new(&name, 128, [cout.div_ceil(64), parts, n], args)
        }
        &Kernel::SqueezeExcite {
            n,
            c,
            rd,
            parts,
            scale,
            act,
            gate,
            sums,
            wt: [w1, w2],
            bias: [b1, b2],
            y,
        } => {
            let args = args![c, rd, parts, scale, act, gate, sums, w1, b1, w2, b2, y];
            let shared = ((c + rd) * 4) as u32;
            Launch { shared, ..new("squeeze_excite", 512, [n, 1, 1], args) }
        }
        &Kernel::GlobalContext {
            n,
            c,
            hw,
            rd,
            act,
            x,
            scores,
            attn,
            attn_bias,
            wt: [w1, w2],
            bias: [b1, b2],
            norm: [ln_w, ln_b],
            y,
        } => {
            let args =
                args![c, hw, rd, act, x, scores, attn, attn_bias, w1, b1, ln_w, ln_b, w2, b2, y];
            let shared = ((c + rd) * 4) as u32;
            Launch { shared, ..new("global_context", 512, [n, 1, 1], args) }
        }
        &Kernel::Pool { n, hw, c, x, y } => {
            new("pool", 256, [c.div_ceil(64), n, 1], args![n, hw, c, x, y])
        }
        &Kernel::Dense { n, k, out, act, x, wt, bias, y } => {
            let args = args![n, k, out, act, x, wt, bias, y];
            new("dense", 128, [out.div_ceil(4), n.div_ceil(8), 1], args)
        }
        &Kernel::Mix { n, experts, len, floats, routing, wt, y } => {
            let mut args = args![n, experts, crate::engine::gpu::padded(experts)];
            args.push(Arg::Long(len as i64));
            args.extend(args![routing, wt, y]);
            new(if floats { "mix_f32" } else { "mix" }, 128, [len.div_ceil(1024), n, 1], args)
        }
        &Kernel::Attention {
            n,
            positions: [queries, keys],
            heads,
            key_dim,
            stride: [q_stride, kv_stride],
            qkv: [q, k, v],
            y,
        } => {
            let args = args![n, queries, keys, heads, key_dim, q_stride, kv_stride, q, k, v, y];
            new("attention", 128, [(queries * heads).div_ceil(16), n, 1], args)
        }
        &Kernel::AntiAlias { aa, n, from: [h, w], to: [oh, ow], c, x, y } => {
            let name = match aa {
                AntiAlias::Avg => "anti_alias_avg",
                AntiAlias::Blur => "anti_alias_blur",
            };
            each(name, n * oh * ow * (c / 8), args![n, h, w, c, oh, ow, x, y])
        }
        &Kernel::ScaleShift { rows, c, scale, shift, x, y } => {
            let mut args = vec![Arg::Long(rows as i64)];
            args.extend(args![c, scale, shift, x, y]);
            each("scale_shift", rows * (c / 8), args)
        }
        &Kernel::Moments { n, hw, c, real, statistics, eps, x, y } => match statistics {
            Statistics::Groups(size) => {
                let groups = real / size;
                let args = args![n, hw, c, size, groups, eps, x, y];
                new("moments_groups", 256, [groups, n, 1], args)
            }
            Statistics::Positions => {
                let mut args = vec![Arg::Long((n * hw) as i64)];
                args.extend(args![c, real, eps, x, y]);
                new("moments_positions", 128, [(n * hw).div_ceil(4), 1, 1], args)
            }
        },
        &Kernel::Normalize {
            n,
            hw,
            c,
            real,
            statistics,
            act,
            x,
            moments,
            scale,
            shift,
            gate,
            residual,
            y,
        } => {
            let (group, groups) = match statistics {
                Statistics::Groups(size) => (size, real / size),
                Statistics::Positions => (0, 1),
            };
            let sizes = args![n, hw, c, real, group, groups, act];
            let places = args![x, moments, scale, shift, gate, residual, y];
            each("normalize", n * hw * (c / 8), [sizes, places].concat())
        }
        &Kernel::Export { n, hw, c, real, of_map, x, y } => {
            if of_map {
                let sizes = [hw.div_ceil(32), real.div_ceil(32), n];
                return new("export_map", 256, sizes, args![n, hw, c, real, x, y]);
            }
            each("export_vector", n * real, args![n, c, real, x, y])
        }
    }
}
