//! Single layers, with their weights packed.

use super::super::CpuError;
use super::super::kernels::{POINTS, kernel_at_points};
use super::super::layer::{
    Convolution, Depthwise, DepthwiseKernel, GlobalContext, Kernel, Layer, Pointwise, Slot, Source,
    SqueezeExcite, Stem, Winograd,
};
use super::super::matrix::Matrix;
use super::super::memory::{Floats, padded};
use super::super::side::Pad;
use super::super::simd::LANES;
use super::fold::Norm;
use super::{ChannelAttention, Lowering, Tail, cannot_lower};
use crate::arch::{Activation, AntiAlias, Conv, PadType, SeLayer};

/// Below this many input channels, transforming costs more than the products that it saves.
const WINOGRAD_CHS: usize = 16;

impl Lowering<'_> {
    /// A dense convolution of the images, which keep their planes: their weights are in the order c, ky,
    /// kx, as they come.
    pub(super) fn stem(
        &self,
        (name, bn): (&str, &str),
        conv: Conv,
        act: Activation,
    ) -> Result<Stem, CpuError> {
        let Conv { in_chs, out_chs, kernel_size: k, .. } = conv;
        let rows = in_chs * k * k;
        let weights = self.tensor(&[out_chs, in_chs, k, k], &format!("{name}.weight"))?;
        let norm = self.norm(bn, out_chs)?;
        let weight = |n: usize, i: usize| (f64::from(weights[n * rows + i]) * norm.scale[n]) as f32;
        let matrix = Matrix::new(self.kernels, (out_chs, rows), weight, &norm.shift);
        Ok(Stem { conv, pad: Pad::Conv(conv.pad_type(self.pad_type)), matrix, act: Some(act) })
    }

    /// A dense convolution of a map, or one in groups.
    pub(super) fn convolution(
        &mut self,
        (name, bn): (&str, &str),
        conv: Conv,
        act: Activation,
        (src, dst): (Slot, Slot),
        tail: Option<Tail>,
    ) -> Result<(), CpuError> {
        let Conv { in_chs, out_chs, kernel_size: k, groups, .. } = conv;
        let inputs = in_chs / groups;
        let weights = self.tensor(&[out_chs, inputs, k, k], &format!("{name}.weight"))?;
        let norm = self.norm(bn, out_chs)?;
        let winograd = k == 3
            && conv.stride == 1
            && groups == 1
            && in_chs >= WINOGRAD_CHS
            && self.pairs.is_none_or(|pairs| !pairs.dense);
        let kernel = if winograd {
            Kernel::Winograd(self.winograd(&weights, (out_chs, in_chs), &norm))
        } else {
            // Groups are joined until their outputs make whole vectors, with zeros between them.
            let whole = |joined: &usize| {
                groups.is_multiple_of(*joined) && (out_chs / groups * joined).is_multiple_of(LANES)
            };
            let joined = (1..groups).find(whole).unwrap_or(groups);
            let (columns, own_columns) = (out_chs / groups * joined, out_chs / groups);
            let (chs, rows) = (inputs * joined, inputs * joined * k * k);
            // The few channels of groups do not come in whole rows of pairs.
            let pairs = joined == groups && chs.is_multiple_of(2);
            let matrix = |first: usize| {
                let weight = |n: usize, i: usize| {
                    // Maps have the channels innermost: ky, kx, c.
                    let (c, tap) = (i % chs, i / chs);
                    let Some(c) = c.checked_sub(n / own_columns * inputs).filter(|&c| c < inputs)
                    else {
                        return 0.0;
                    };
                    let n = first + n;
                    (f64::from(weights[(n * inputs + c) * k * k + tap]) * norm.scale[n]) as f32
                };
                let bias = &norm.shift[first..first + columns];
                match pairs {
                    true => self.matrix((columns, rows), weight, bias),
                    false => Matrix::new(self.kernels, (columns, rows), weight, bias),
                }
            };
            Kernel::Direct((0..out_chs).step_by(columns).map(matrix).collect())
        };
        let (mut project, mut residual, mut se) = (None, false, None);
        match tail {
            None => {}
            Some(Tail::Residual) => residual = true,
            Some(Tail::Attention(both)) => se = Some(*both),
            Some(Tail::Project(matrix, skip)) => (project, residual) = (Some(matrix), skip),
        }
        let (reduce, se) = se.unzip();
        self.layers.push(Layer::Convolution(Convolution {
            conv,
            pad: Pad::Conv(conv.pad_type(self.pad_type)),
            kernel,
            act: Some(act),
            src,
            dst,
            project,
            residual,
            reduce: reduce.flatten(),
        }));
        self.layers.extend(se);
        Ok(())
    }

    pub(super) fn winograd(
        &self,
        weights: &[f32],
        (n, k): (usize, usize),
        norm: &Norm,
    ) -> Winograd {
        let mut points = vec![0f32; n * POINTS * k];
        for (i, g) in weights.chunks_exact(9).enumerate() {
            let scaled = std::array::from_fn(|tap| f64::from(g[tap]) * norm.scale[i / k]);
            for (point, value) in kernel_at_points(scaled).into_iter().enumerate() {
                points[(i / k * POINTS + point) * k + i % k] = value as f32;
            }
        }
        let weight = |n: usize, i: usize| points[n * POINTS * k + i];
        let matrix = Matrix::new(self.kernels, (n, POINTS * k), weight, &vec![0.0; n]);
        let mut bias = Floats::zeros(padded(n));
        bias.as_mut_slice()[..n].copy_from_slice(&norm.shift);
        Winograd { points: matrix, bias }
    }

    /// A depthwise convolution, or several of different kernels side by side; behind an expansion, if
    /// any.
    pub(super) fn depthwise(
        &mut self,
        (name, bn): (&str, &str),
        convs: &[Conv],
        (act, source): (Option<Activation>, Source),
        (src, dst): (Slot, Slot),
        se: Option<ChannelAttention>,
    ) -> Result<(), CpuError> {
        let chs: usize = convs.iter().map(|conv| conv.out_chs).sum();
        let (mut sides, mut pad) = (vec![0; chs.div_ceil(LANES)], Pad::Conv(self.pad_type));
        let mut first = 0;
        for conv in convs {
            if conv.groups != conv.in_chs || conv.out_chs != conv.in_chs {
                return cannot_lower(format!("a convolution in {} groups", conv.groups), name);
            }
            // A vector with channels of several kernels has the largest. A 2x2 kernel lies at the
            // beginning of a 3x3 one, as its only zeros, `SAME` padding's, are at the end.
            if conv.kernel_size.is_multiple_of(2) {
                if (conv.kernel_size, conv.stride, convs.len()) != (2, 1, 1) {
                    return cannot_lower("a depthwise kernel of an even side", name);
                }
                pad = Pad::End;
            }
            for side in &mut sides[first / LANES..(first + conv.out_chs).div_ceil(LANES)] {
                *side = (conv.kernel_size | 1).max(*side);
            }
            first += conv.out_chs;
        }
        let stride = convs.first().map_or(1, |conv| conv.stride);
        let mut layer = self.depthwise_kernels(chs, &sides, stride, name)?;
        let norm = self.norm(bn, chs)?;
        layer.bias.as_mut_slice()[..chs].copy_from_slice(&norm.shift);
        let mut first = 0;
        for (i, conv) in convs.iter().enumerate() {
            let k = conv.kernel_size;
            let at = if convs.len() > 1 { format!("{name}.{i}") } else { name.to_owned() };
            let values = self.tensor(&[conv.out_chs, 1, k, k], &format!("{at}.weight"))?;
            for (i, &value) in values.iter().enumerate() {
                let (c, tap) = (first + i / (k * k), i % (k * k));
                let value = (f64::from(value) * norm.scale[c]) as f32;
                layer.set_weight(c, (tap / k, tap % k), k, value);
            }
            first += conv.out_chs;
        }
        let (reduce, se) = se.unzip();
        let layer = Depthwise { pad, act, src, dst, source, reduce: reduce.flatten(), ..layer };
        self.layers.push(Layer::Depthwise(layer));
        self.layers.extend(se);
        Ok(())
    }

    /// A depthwise convolution of zeros, with kernels of these sides, one a vector of channels.
    pub(super) fn depthwise_kernels(
        &self,
        chs: usize,
        sides: &[usize],
        stride: usize,
        name: &str,
    ) -> Result<Depthwise, CpuError> {
        let mut kernels = Vec::with_capacity(sides.len());
        let mut at = 0;
        for &side in sides {
            let Some(row) = self.kernels.depthwise(side, stride) else {
                let what = format!("a depthwise {side}x{side} kernel of stride {stride}");
                return cannot_lower(what, name);
            };
            kernels.push(DepthwiseKernel { side, at, row });
            at += side * side * LANES;
        }
        let kernel_size = sides.iter().copied().max().unwrap_or(1);
        let conv = Conv { in_chs: chs, out_chs: chs, kernel_size, stride, groups: chs };
        Ok(Depthwise {
            conv,
            pad: Pad::Conv(self.pad_type),
            kernels,
            weights: Floats::zeros(at),
            bias: Floats::zeros(padded(chs)),
            act: None,
            src: Slot::Current,
            dst: Slot::Mid,
            source: Source::Map,
            mixed: None,
            reduce: None,
        })
    }

    /// A norm that no convolution can take in, as a depthwise convolution.
    pub(super) fn scale_and_shift(
        &mut self,
        bn: &str,
        chs: usize,
        (src, dst): (Slot, Slot),
    ) -> Result<(), CpuError> {
        let norm = self.norm(bn, chs)?;
        let sides = vec![3; chs.div_ceil(LANES)];
        let mut layer = self.depthwise_kernels(chs, &sides, 1, bn)?;
        layer.bias.as_mut_slice()[..chs].copy_from_slice(&norm.shift);
        for (c, &scale) in norm.scale.iter().enumerate() {
            layer.set_weight(c, (0, 0), 1, scale as f32);
        }
        self.layers.push(Layer::Depthwise(Depthwise { src, dst, ..layer }));
        Ok(())
    }

    /// The downsampling in place of a stride, as a depthwise convolution.
    pub(super) fn downsample(
        &mut self,
        aa: AntiAlias,
        chs: usize,
        (src, dst): (Slot, Slot),
        se: Option<ChannelAttention>,
        at: &str,
    ) -> Result<(), CpuError> {
        let (pad, line) = match aa {
            // The third row and column reach beyond the window of two.
            AntiAlias::Avg => (Pad::End, [0.5, 0.5, 0.0]),
            AntiAlias::Blur => (Pad::Conv(PadType::Symmetric), [0.25, 0.5, 0.25]),
        };
        let sides = vec![3; chs.div_ceil(LANES)];
        let mut layer = self.depthwise_kernels(chs, &sides, AntiAlias::STRIDE, at)?;
        for c in 0..chs {
            for tap in 0..9 {
                layer.set_weight(c, (tap / 3, tap % 3), 3, line[tap / 3] * line[tap % 3]);
            }
        }
        let (reduce, se) = se.unzip();
        self.layers.push(Layer::Depthwise(Depthwise {
            pad,
            src,
            dst,
            reduce: reduce.flatten(),
            ..layer
        }));
        self.layers.extend(se);
        Ok(())
    }

    /// A block's channel attention: a reduction, which belongs to the layer before it, and the rest.
    pub(super) fn channel_attention(
        &self,
        at: &str,
        se: Option<SeLayer>,
        (chs, block_act): (usize, Activation),
    ) -> Result<Option<ChannelAttention>, CpuError> {
        match se {
            None => Ok(None),
            Some(SeLayer::SqueezeExcite { rd_channels: n, act, gate }) => {
                let at_reduce = format!("{at}.conv_reduce");
                let weights = self.tensor(&[n, chs, 1, 1], &format!("{at_reduce}.weight"))?;
                let weight = |n: usize, k: usize| weights[n * chs + k];
                let reduce = Matrix::new(self.kernels, (n, chs), weight, &vec![0.0; n]);
                let bias = self.vector(n, &format!("{at_reduce}.bias"))?;
                let expand = self.float_linear(&format!("{at}.conv_expand"), (chs, n), &[1, 1])?;
                let layer = Layer::SqueezeExcite(SqueezeExcite { bias, act, expand, gate });
                Ok(Some((Some(reduce), layer)))
            }
            Some(SeLayer::GlobalContext { rd_channels: n }) => {
                let linear =
                    |leaf: &str, k, n| self.float_linear(&format!("{at}.{leaf}"), (n, k), &[1, 1]);
                let layer = Layer::GlobalContext(GlobalContext {
                    attn: linear("conv_attn", chs, 1)?,
                    reduce: linear("mlp_scale.fc1", chs, n)?,
                    scale: self.vector(n, &format!("{at}.mlp_scale.norm.weight"))?,
                    shift: self.vector(n, &format!("{at}.mlp_scale.norm.bias"))?,
                    act: block_act,
                    expand: linear("mlp_scale.fc2", n, chs)?,
                });
                Ok(Some((None, layer)))
            }
        }
    }

    /// A block's projection, from [`Slot::Mid`] to its output.
    pub(super) fn project(
        &mut self,
        matrix: Matrix,
        act: Option<Activation>,
        gate: bool,
        residual: bool,
    ) {
        self.layers.push(Layer::Pointwise(Pointwise {
            matrix,
            act,
            src: Slot::Mid,
            dst: Slot::Next,
            gate,
            residual,
            mean: false,
            mixed: None,
        }));
    }
}
