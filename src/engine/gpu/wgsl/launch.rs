//! Kernels as dispatches: entry points, workgroups and sizes, as the structs in `kernels/*.wgsl` have them.

use crate::arch::{Activation, AntiAlias};
use crate::engine::fuse::Statistics;
use crate::engine::gpu::pack::Weight;
use crate::engine::gpu::{Act, Buffer, Conv2d, GpuError, Input, Kernel, LANES, padded};

/// Channels of a quad.
const QUAD: usize = 4;
/// Rows, and columns in quads, of a tile of a product.
const TILE: [usize; 2] = [64, 16];
/// Workgroups in a row: fewer than a dimension may have.
const ROW: usize = 32768;
/// What `hidden` in `vectors.wgsl` has room for.
const MOST_HIDDEN: usize = 2048;
/// In place of an operand that a kernel goes without.
const NONE: u32 = u32::MAX;

/// A kernel's dispatch.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) entry: &'static str,
    /// Threads of a workgroup, as the kernel's text has them.
    #[cfg_attr(not(feature = "metal"), allow(dead_code, reason = "wgpu reads the text"))]
    pub(crate) threads: u32,
    pub(crate) groups: [u32; 3],
    /// The words of its struct.
    pub(crate) words: Vec<u32>,
    /// The tensors that it reads.
    pub(crate) weights: Vec<Weight>,
}

/// Where buffers are.
#[derive(Debug)]
pub(crate) struct Places<F> {
    /// Bytes of an element of a map.
    pub(crate) element: usize,
    /// Where a region, a tensor or an output begins, in bytes.
    pub(crate) at: F,
}

/// A size as the kernels have it. Larger ones saturate: their buffers are refused.
fn word(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// The number of an activation in `common.wgsl`.
fn act_number(act: Act) -> u32 {
    match act {
        None => 0,
        Some(Activation::Relu) => 1,
        Some(Activation::Relu6) => 2,
        Some(Activation::Silu) => 3,
        Some(Activation::HardSwish) => 4,
        Some(Activation::HardSigmoid) => 5,
        Some(Activation::Sigmoid) => 6,
        Some(Activation::Gelu) => 7,
        Some(Activation::Mish) => 8,
    }
}

/// A struct that is being written.
struct Words<'a, F> {
    places: &'a Places<F>,
    words: Vec<u32>,
    weights: Vec<Weight>,
}

impl<F: Fn(Buffer) -> usize> Words<'_, F> {
    fn sizes<const N: usize>(&mut self, sizes: [usize; N]) -> &mut Self {
        self.words.extend(sizes.map(word));
        self
    }

    fn float(&mut self, x: f32) -> &mut Self {
        self.words.push(x.to_bits());
        self
    }

    fn act(&mut self, act: Act) -> &mut Self {
        self.words.push(act_number(act));
        self
    }

    fn place(&mut self, buffer: Buffer, unit: usize) -> &mut Self {
        if let Buffer::Weight(weight) = buffer {
            self.weights.push(weight);
        }
        self.words.push(word((self.places.at)(buffer) / unit));
        self
    }

    /// A map, or a tensor of its type.
    fn map(&mut self, buffer: impl Into<Option<Buffer>>) -> &mut Self {
        self.optional(buffer.into(), self.places.element * QUAD)
    }

    /// A vector, or a tensor in float32.
    fn vector(&mut self, buffer: impl Into<Option<Buffer>>) -> &mut Self {
        self.optional(buffer.into(), size_of::<f32>() * QUAD)
    }

    fn optional(&mut self, buffer: Option<Buffer>, unit: usize) -> &mut Self {
        match buffer {
            Some(buffer) => self.place(buffer, unit),
            None => {
                self.words.push(NONE);
                self
            }
        }
    }

    fn output(&mut self, buffer: Buffer) -> &mut Self {
        self.place(buffer, size_of::<f32>())
    }

    /// Weights, how far an image's are from the last's, and whether they are in the arena.
    fn mixed(&mut self, wt: Buffer, stride: usize, floats: bool) -> &mut Self {
        let is_mixed = usize::from(matches!(wt, Buffer::Region(_)));
        if floats { self.vector(wt) } else { self.map(wt) }.sizes([stride / QUAD, is_mixed])
    }

    /// The convolution's, of maps whose channels are `cin` and `cout`.
    fn conv(&mut self, size: &Conv2d, cin: usize, cout: usize) -> &mut Self {
        let &Conv2d { n, h, w, oh, ow, kernel, stride, top, left, .. } = size;
        self.sizes([n, h, w, cin, oh, ow, cout, kernel, stride, top, left])
    }

    fn dispatch(&mut self, entry: &'static str, threads: u32, groups: [usize; 3]) -> Dispatch {
        let (words, weights) = (std::mem::take(&mut self.words), std::mem::take(&mut self.weights));
        Dispatch { entry, threads, groups: groups.map(word), words, weights }
    }

    /// Of `groups` workgroups that are alike.
    fn linear(&mut self, entry: &'static str, threads: u32, groups: usize) -> Dispatch {
        let rows = groups.div_ceil(ROW);
        self.dispatch(entry, threads, [groups.div_ceil(rows.max(1)), rows, 1])
    }

    /// Of a thread for each of `items`.
    fn each(&mut self, entry: &'static str, items: usize) -> Dispatch {
        self.linear(entry, 128, items.div_ceil(128))
    }
}

/// The dispatch of a kernel.
///
/// # Errors
///
/// A size that no kernel takes.
#[allow(clippy::too_many_lines, reason = "a match with an arm a kernel")]
pub(crate) fn launch<F: Fn(Buffer) -> usize>(
    path: &str,
    kernel: &Kernel,
    places: &Places<F>,
) -> Result<Dispatch, GpuError> {
    let mut words = Words { places, words: Vec::new(), weights: Vec::new() };
    let w = &mut words;
    let refuse = |what: String| GpuError::NoKernel { what, at: path.to_owned() };
    let hidden = |rd: usize| {
        let what = format!("a gate through {rd} channels");
        if rd <= MOST_HIDDEN { Ok(()) } else { Err(refuse(what)) }
    };
    let tiles = |groups: usize, rows: usize, columns: usize| {
        groups * rows.div_ceil(TILE[0]) * columns.div_ceil(TILE[1])
    };
    Ok(match *kernel {
        Kernel::Stem { ref size, input, act, wt, bias, y } => {
            let cout = size.cout / QUAD;
            w.conv(size, size.cin, cout).sizes([usize::from(input == Input::Pixels)]);
            w.act(act).vector(wt).vector(bias).map(y);
            w.each("stem", size.n * size.oh * size.ow.div_ceil(4) * cout)
        }
        Kernel::Pointwise {
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
            w.sizes([groups, rows, k / QUAD, n / QUAD]).act(act).map(x);
            w.mixed(wt, w_stride, false).vector(bias);
            w.vector(gate).sizes([gate_rows]).map(residual).map(y);
            w.linear("pointwise", 256, tiles(groups, rows, n / QUAD))
        }
        Kernel::Conv { ref size, act, x, wt, bias, residual, y } => {
            let cout = size.cout / QUAD;
            w.conv(size, size.cin / QUAD, cout).act(act);
            w.map(x).map(wt).vector(bias).map(residual).map(y);
            w.linear("conv", 256, tiles(1, size.n * size.oh * size.ow, cout))
        }
        Kernel::Grouped { ref size, groups, real, act, x, wt, bias, residual, y } => {
            let cout = size.cout / QUAD;
            w.conv(size, size.cin, cout).sizes([groups]).sizes(real).act(act);
            w.map(x).map(wt).vector(bias).map(residual).map(y);
            w.each("conv_grouped", size.n * size.oh * size.ow * cout)
        }
        Kernel::Depthwise { ref size, act, parts, x, wt, w_stride, bias, y, sums } => {
            let &Conv2d { n, h, w: width, cout, oh, ow, kernel, stride, top, left, .. } = size;
            let c = cout / QUAD;
            w.sizes([h, width, c, oh, ow, kernel, stride, top, left]).act(act).sizes([parts]);
            w.map(x).mixed(wt, w_stride, true).vector(bias).map(y).vector(sums);
            w.dispatch("depthwise", 128, [c.div_ceil(16), parts, n])
        }
        Kernel::SqueezeExcite {
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
            hidden(rd)?;
            w.sizes([c / QUAD, rd, parts]).float(scale).act(act).act(gate).vector(sums);
            w.map(w1).vector(b1).map(w2).vector(b2).vector(y);
            w.dispatch("squeeze_excite", 256, [n, 1, 1])
        }
        Kernel::GlobalContext {
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
            hidden(rd)?;
            w.sizes([c / QUAD, hw, rd]).act(act).map(x).vector(scores).vector(attn);
            w.float(attn_bias).map(w1).vector(b1).vector(ln_w).vector(ln_b);
            w.map(w2).vector(b2).vector(y);
            w.dispatch("global_context", 256, [n, 1, 1])
        }
        Kernel::Pool { n, hw, c, x, y } => {
            w.sizes([hw, c / QUAD]).map(x).vector(y);
            w.dispatch("pool", 256, [(c / QUAD).div_ceil(16), n, 1])
        }
        Kernel::Dense { n, k, out, act, x, wt, bias, y } => {
            w.sizes([n, k / QUAD, out / QUAD]).act(act);
            w.vector(x).map(wt).vector(bias).vector(y);
            w.dispatch("dense", 64, [out / QUAD, n.div_ceil(8), 1])
        }
        Kernel::Mix { n, experts, len, floats, routing, wt, y } => {
            w.sizes([experts, padded(experts) / QUAD, len / QUAD, usize::from(floats)]);
            w.vector(routing).vector(wt);
            if floats {
                w.vector(y)
            } else {
                w.map(y)
            };
            w.dispatch("mix_kernels", 128, [(len / QUAD).div_ceil(128), n, 1])
        }
        Kernel::Attention {
            n,
            positions: [queries, keys],
            heads,
            key_dim,
            stride: [q_stride, kv_stride],
            qkv: [q, k, v],
            y,
        } => {
            if key_dim % QUAD != 0 || q_stride - heads * key_dim >= LANES {
                return Err(refuse(format!("attention with keys of {key_dim} channels")));
            }
            let dims = key_dim / QUAD;
            w.sizes([queries, keys, heads, dims, q_stride / QUAD, kv_stride / QUAD]);
            w.map(q).map(k).map(v).map(y);
            w.dispatch("attention", 128, [(queries * heads).div_ceil(8), n, 1])
        }
        Kernel::AntiAlias { aa, n, from: [h, width], to: [oh, ow], c, x, y } => {
            let size = match aa {
                AntiAlias::Avg => 2,
                AntiAlias::Blur => 3,
            };
            w.sizes([n, h, width, c / QUAD, oh, ow, size]).map(x).map(y);
            w.each("anti_alias", n * oh * ow * (c / QUAD))
        }
        Kernel::ScaleShift { rows, c, scale, shift, x, y } => {
            w.sizes([rows, c / QUAD]).vector(scale).vector(shift).map(x).map(y);
            w.each("scale_shift", rows * (c / QUAD))
        }
        Kernel::Moments { n, hw, c, real, statistics, eps, x, y } => match statistics {
            Statistics::Groups(size) => {
                let groups = real / size;
                w.sizes([n * groups, groups, hw, c, size]).float(eps).map(x).vector(y);
                w.linear("moments_groups", 256, (n * groups).div_ceil(2))
            }
            Statistics::Positions => {
                w.sizes([n * hw, c / QUAD, real]).float(eps).map(x).vector(y);
                w.linear("moments_positions", 256, (n * hw).div_ceil(16))
            }
        },
        Kernel::Normalize {
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
            let (size, groups) = match statistics {
                Statistics::Groups(size) => (size, real / size),
                Statistics::Positions => (0, 1),
            };
            w.sizes([n, hw, c / QUAD, real, size, groups]).act(act).map(x).vector(moments);
            w.vector(scale).vector(shift).vector(gate).map(residual).map(y);
            w.each("normalize_map", n * hw * (c / QUAD))
        }
        Kernel::Export { n, hw, c, real, of_map: true, x, y } => {
            w.sizes([hw, c / QUAD, real]).map(x).output(y);
            w.dispatch("export_map", 256, [hw.div_ceil(32), real.div_ceil(32), n])
        }
        Kernel::Export { n, c, real, of_map: false, x, y, .. } => {
            w.sizes([n, c / QUAD, real]).vector(x).output(y);
            w.each("export_vector", n * real)
        }
    })
}
