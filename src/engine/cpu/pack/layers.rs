//! Single layers, with their weights packed.

use super::super::CpuError;
use super::super::kernels::{POINTS, kernel_at_points};
use super::super::layer::{
    ConvWeights, Convolution, Depthwise, DepthwiseKernel, GlobalContext, Layer, Pointwise, Slot,
    Source, SqueezeExcite, Stem, Winograd,
};
use super::super::matrix::Matrix;
use super::super::memory::{AlignedBuf, padded};
use super::super::side::Pad;
use super::super::simd::LANES;
use super::join::Joint;
use super::{Packing, cannot_pack};
use crate::arch::{self, Activation, AntiAlias, PadType};
use crate::engine::fuse::{Conv, Folded, Kind, Weights};

/// With fewer input channels, transforming costs more than the products that it saves.
const WINOGRAD_CHS: usize = 16;

/// Where a layer reads, and where it writes.
type Path = (Slot, Slot);

impl Packing<'_> {
    pub(super) fn read(&self, weights: &Weights) -> Result<Folded, CpuError> {
        Ok(weights.read(self.source)?)
    }

    /// A matrix of pairs, if these are asked for and the number of inputs is even; otherwise of
    /// floats.
    fn matrix(
        &self,
        (n, k): (usize, usize),
        weight: impl Fn(usize, usize) -> f32,
        bias: &[f32],
    ) -> Matrix {
        match self.pairs.filter(|_| k.is_multiple_of(2)) {
            Some(pairs) => Matrix::of_pairs(pairs, (n, k), weight, bias),
            None => Matrix::new(self.kernels, (n, k), weight, bias),
        }
    }

    /// A dense layer.
    pub(super) fn dense(&self, weights: &Weights) -> Result<Matrix, CpuError> {
        let folded = self.read(weights)?;
        let (n, k) = sides(&folded);
        Ok(self.matrix((n, k), |n, i| folded.at(0, k, n, i), &folded.shift))
    }

    /// A dense layer in floats, even if pairs are asked for: it takes a few vectors, so its weights
    /// are read only once.
    pub(super) fn float_dense(&self, weights: &Weights) -> Result<Matrix, CpuError> {
        let folded = self.read(weights)?;
        let (n, k) = sides(&folded);
        Ok(Matrix::new(self.kernels, (n, k), |n, i| folded.at(0, k, n, i), &folded.shift))
    }

    /// Pointwise convolutions side by side, each of which reads a part of the channels.
    fn side_by_side(&self, conv: &Conv) -> Result<Matrix, CpuError> {
        if let [_] = conv.convs[..] {
            return self.dense(&conv.weights);
        }
        let folded = self.read(&conv.weights)?;
        let k: usize = conv.convs.iter().map(|conv| conv.in_chs).sum();
        let n = folded.shift.len();
        let mut weights = vec![0f32; n * k];
        let (mut row, mut column) = (0, 0);
        for (part, conv) in conv.convs.iter().enumerate() {
            for values in folded.weights[part].chunks_exact(conv.in_chs) {
                weights[row * k + column..][..conv.in_chs].copy_from_slice(values);
                row += 1;
            }
            column += conv.in_chs;
        }
        let folded = Folded { weights: vec![weights], ..folded };
        Ok(self.matrix((n, k), |n, i| folded.at(0, k, n, i), &folded.shift))
    }

    /// A pointwise convolution with an image's own weights: they go to the experts.
    fn mixed(&mut self, conv: &Conv) -> Result<(Matrix, usize), CpuError> {
        let folded = self.read(&conv.weights)?;
        let &[arch::Conv { in_chs: k, out_chs: n, .. }] = &conv.convs[..] else {
            return cannot_pack("experts of several convolutions", "conv_pw");
        };
        let (mut matrix, mut at) =
            (Matrix::new(self.kernels, (n, 0), |_, _| 0.0, &folded.shift), 0);
        let num_experts = conv.mix.map_or(0, |(experts, _)| experts);
        for expert in 0..num_experts {
            let first = expert * n * k;
            let weight = |n: usize, i: usize| folded.at(first, k, n, i);
            matrix = Matrix::new(self.kernels, (n, k), weight, &folded.shift);
            at = self.experts_of(expert, &matrix.take_weights());
        }
        Ok((matrix, at))
    }

    fn experts_of(&mut self, expert: usize, weights: &AlignedBuf) -> usize {
        self.experts.as_mut().map_or(0, |(_, experts)| experts.append(expert, weights))
    }

    /// A pointwise convolution, and where its weights are among the image's own, if they are.
    fn expansion(&mut self, conv: &Conv) -> Result<(Matrix, Option<usize>), CpuError> {
        match conv.mix {
            Some(_) => self.mixed(conv).map(|(matrix, at)| (matrix, Some(at))),
            None => Ok((self.side_by_side(conv)?, None)),
        }
    }

    pub(super) fn pointwise(
        &mut self,
        joint: &Joint<'_>,
        conv: &Conv,
        (src, dst): Path,
    ) -> Result<(), CpuError> {
        let (matrix, mixed) = self.expansion(conv)?;
        self.layers.push(Layer::Pointwise(Pointwise {
            matrix,
            act: conv.act,
            src,
            dst,
            gate: conv.gate.is_some(),
            residual: conv.residual.is_some(),
            mean: joint.pooled,
            mixed,
        }));
        Ok(())
    }

    /// The images' dense convolution. The images keep their planes, so the weights stay in the
    /// order c, ky, kx.
    fn stem(&self, conv: &Conv) -> Result<Stem, CpuError> {
        let folded = self.read(&conv.weights)?;
        let (n, k) = sides(&folded);
        let matrix = Matrix::new(self.kernels, (n, k), |n, i| folded.at(0, k, n, i), &folded.shift);
        let pad = Pad::Conv(conv.convs[0].pad_type(self.fused.pad_type));
        Ok(Stem { conv: conv.convs[0], pad, matrix, act: conv.act })
    }

    /// A dense convolution, or one in groups; then its projection, if it has one.
    pub(super) fn convolution(
        &mut self,
        joint: &Joint<'_>,
        conv: &Conv,
        project: Option<&Conv>,
        (src, dst): Path,
    ) -> Result<(), CpuError> {
        if src == Slot::Images {
            let stem = Convolution { dst, ..self.stem(conv)?.into() };
            self.layers.push(Layer::Convolution(stem));
            return Ok(());
        }
        let [own] = conv.convs[..] else {
            return cannot_pack("dense convolutions side by side", &joint.layer.path);
        };
        let arch::Conv { in_chs, out_chs, kernel_size: k, groups, .. } = own;
        let inputs = in_chs / groups;
        let folded = self.read(&conv.weights)?;
        let winograd = k == 3
            && own.stride == 1
            && groups == 1
            && in_chs >= WINOGRAD_CHS
            && self.pairs.is_none_or(|pairs| !pairs.dense);
        let kernel = if winograd {
            ConvWeights::Winograd(self.winograd(&folded, (out_chs, in_chs)))
        } else {
            // Groups are joined until their outputs make whole vectors, with zeros between them.
            let whole = |joined: &usize| {
                groups.is_multiple_of(*joined) && (out_chs / groups * joined).is_multiple_of(LANES)
            };
            let joined = (1..groups).find(whole).unwrap_or(groups);
            let (columns, own_columns) = (out_chs / groups * joined, out_chs / groups);
            let (chs, rows) = (inputs * joined, inputs * joined * k * k);
            // A group's few channels do not make whole rows of pairs.
            let pairs = joined == groups && chs.is_multiple_of(2);
            let matrix = |first: usize| {
                let weight = |n: usize, i: usize| {
                    // Maps have the channels innermost: ky, kx, c.
                    let (c, tap) = (i % chs, i / chs);
                    let Some(c) = c.checked_sub(n / own_columns * inputs).filter(|&c| c < inputs)
                    else {
                        return 0.0;
                    };
                    folded.at(0, inputs * k * k, first + n, c * k * k + tap)
                };
                let bias = &folded.shift[first..first + columns];
                match pairs {
                    true => self.matrix((columns, rows), weight, bias),
                    false => Matrix::new(self.kernels, (columns, rows), weight, bias),
                }
            };
            ConvWeights::Direct((0..out_chs).step_by(columns).map(matrix).collect())
        };
        let residual = conv.residual.or(project.and_then(|conv| conv.residual)).is_some();
        let convolution = Convolution {
            conv: own,
            pad: Pad::Conv(own.pad_type(self.fused.pad_type)),
            kernel,
            act: conv.act,
            src,
            dst,
            project: project.map(|conv| self.side_by_side(conv)).transpose()?,
            residual,
            reduce: self.reduce(joint)?,
        };
        self.layers.push(Layer::Convolution(convolution));
        Ok(())
    }

    fn winograd(&self, folded: &Folded, (n, k): (usize, usize)) -> Winograd {
        let mut points = vec![0f32; n * POINTS * k];
        for (i, g) in folded.weights[0].chunks_exact(9).enumerate() {
            let scaled = std::array::from_fn(|tap| f64::from(g[tap]) * folded.scale[i / k]);
            for (point, value) in kernel_at_points(scaled).into_iter().enumerate() {
                points[(i / k * POINTS + point) * k + i % k] = value as f32;
            }
        }
        let weight = |n: usize, i: usize| points[n * POINTS * k + i];
        let matrix = Matrix::new(self.kernels, (n, POINTS * k), weight, &vec![0.0; n]);
        let mut bias = AlignedBuf::zeros(padded(n));
        bias.as_mut_slice()[..n].copy_from_slice(&folded.shift);
        Winograd { points: matrix, bias }
    }

    /// A depthwise convolution, or several with different kernels side by side, and the source of
    /// its rows.
    pub(super) fn depthwise(
        &mut self,
        joint: &Joint<'_>,
        conv: &Conv,
        (src, dst): Path,
    ) -> Result<(), CpuError> {
        let path = &joint.layer.path;
        let chs = joint.layer.chs;
        let (mut sides, mut pad) = (vec![0; chs.div_ceil(LANES)], Pad::Conv(self.fused.pad_type));
        let mut first = 0;
        for own in &conv.convs {
            // A vector whose channels have several kernels takes the largest. A 2x2 kernel lies at
            // the beginning of a 3x3 one, because `SAME` pads it only at the end.
            if own.kernel_size.is_multiple_of(2) {
                if (own.kernel_size, own.stride, conv.convs.len()) != (2, 1, 1) {
                    return cannot_pack("a depthwise kernel of an even side", path);
                }
                pad = Pad::End;
            }
            for side in &mut sides[first / LANES..(first + own.out_chs).div_ceil(LANES)] {
                *side = (own.kernel_size | 1).max(*side);
            }
            first += own.out_chs;
        }
        let source = match joint.source.map(|layer| &layer.kind) {
            Some(Kind::Conv(conv)) if src == Slot::Images => Source::Stem(self.stem(conv)?),
            Some(Kind::Conv(conv)) => {
                let (matrix, mixed) = self.expansion(conv)?;
                Source::Expand(matrix, mixed)
            }
            _ => Source::Map,
        };
        let stride = conv.convs.first().map_or(1, |conv| conv.stride);
        let mut layer = self.depthwise_kernels(chs, &sides, stride, path)?;
        let folded = self.read(&conv.weights)?;
        layer.bias.as_mut_slice()[..chs].copy_from_slice(&folded.shift);
        let mut mixed = None;
        match conv.mix {
            None => {
                let mut first = 0;
                for (own, values) in conv.convs.iter().zip(&folded.weights) {
                    layer.set_kernels(own, first, values, &folded.scale);
                    first += own.out_chs;
                }
            }
            Some((num_experts, _)) => {
                let own = conv.convs[0];
                let mut at = 0;
                for expert in 0..num_experts {
                    let values =
                        &folded.weights[0][expert * own.weight_len()..][..own.weight_len()];
                    layer.set_kernels(&own, 0, values, &folded.scale);
                    at = self.experts_of(expert, &layer.weights);
                }
                layer.weights = AlignedBuf::zeros(0);
                mixed = Some(at);
            }
        }
        let reduce = self.reduce(joint)?;
        let layer = Depthwise { pad, act: conv.act, src, dst, source, mixed, reduce, ..layer };
        self.layers.push(Layer::Depthwise(layer));
        Ok(())
    }

    /// A depthwise convolution of zeros, with kernels of these sides, one per vector of channels.
    fn depthwise_kernels(
        &self,
        chs: usize,
        sides: &[usize],
        stride: usize,
        path: &str,
    ) -> Result<Depthwise, CpuError> {
        let mut kernels = Vec::with_capacity(sides.len());
        let mut at = 0;
        for &side in sides {
            let Some(row) = self.kernels.depthwise(side, stride) else {
                let what = format!("a depthwise {side}x{side} kernel of stride {stride}");
                return cannot_pack(what, path);
            };
            kernels.push(DepthwiseKernel { side, at, row });
            at += side * side * LANES;
        }
        let kernel_size = sides.iter().copied().max().unwrap_or(1);
        let conv = arch::Conv { in_chs: chs, out_chs: chs, kernel_size, stride, groups: chs };
        Ok(Depthwise {
            conv,
            pad: Pad::Conv(self.fused.pad_type),
            kernels,
            weights: AlignedBuf::zeros(at),
            bias: AlignedBuf::zeros(padded(chs)),
            act: None,
            src: Slot::Current,
            dst: Slot::Mid,
            source: Source::Map,
            mixed: None,
            reduce: None,
        })
    }

    /// A norm that cannot be folded into a convolution, as a depthwise convolution.
    pub(super) fn scale_and_shift(
        &mut self,
        weights: &Weights,
        joint: &Joint<'_>,
        (src, dst): Path,
    ) -> Result<(), CpuError> {
        let (folded, chs) = (self.read(weights)?, weights.chs);
        let sides = vec![3; chs.div_ceil(LANES)];
        let mut layer = self.depthwise_kernels(chs, &sides, 1, &joint.layer.path)?;
        layer.bias.as_mut_slice()[..chs].copy_from_slice(&folded.shift);
        for (c, &scale) in folded.scale.iter().enumerate() {
            layer.set_weight(c, (0, 0), 1, scale as f32);
        }
        let reduce = self.reduce(joint)?;
        self.layers.push(Layer::Depthwise(Depthwise { src, dst, reduce, ..layer }));
        Ok(())
    }

    /// The downsampling in place of a stride, as a depthwise convolution.
    pub(super) fn downsample(
        &mut self,
        aa: AntiAlias,
        joint: &Joint<'_>,
        (src, dst): Path,
    ) -> Result<(), CpuError> {
        let (pad, line) = match aa {
            // The third row and column reach beyond the window of two.
            AntiAlias::Avg => (Pad::End, [0.5, 0.5, 0.0]),
            AntiAlias::Blur => (Pad::Conv(PadType::Symmetric), [0.25, 0.5, 0.25]),
        };
        let chs = joint.layer.chs;
        let sides = vec![3; chs.div_ceil(LANES)];
        let mut layer =
            self.depthwise_kernels(chs, &sides, AntiAlias::STRIDE, &joint.layer.path)?;
        for c in 0..chs {
            for tap in 0..9 {
                layer.set_weight(c, (tap / 3, tap % 3), 3, line[tap / 3] * line[tap % 3]);
            }
        }
        let reduce = self.reduce(joint)?;
        self.layers.push(Layer::Depthwise(Depthwise { pad, src, dst, reduce, ..layer }));
        Ok(())
    }

    /// The reduction of the squeeze-excitation that reads the joint's map, without its bias.
    pub(super) fn reduce(&self, joint: &Joint<'_>) -> Result<Option<Matrix>, CpuError> {
        let Some(Kind::SqueezeExcite { reduce, .. }) = joint.squeezed.map(|layer| &layer.kind)
        else {
            return Ok(None);
        };
        let folded = self.read(reduce)?;
        let (n, k) = sides(&folded);
        let weight = |n: usize, i: usize| folded.at(0, k, n, i);
        Ok(Some(Matrix::new(self.kernels, (n, k), weight, &vec![0.0; n])))
    }

    /// What a squeeze-excitation does after its reduction.
    pub(super) fn squeeze_excite(
        &mut self,
        reduce: &Weights,
        act: Activation,
        expand: &Weights,
        gate: Activation,
    ) -> Result<(), CpuError> {
        let bias = match &reduce.bias {
            Some(name) => self.vector(reduce.chs, name)?,
            None => AlignedBuf::zeros(padded(reduce.chs)),
        };
        let expand = self.float_dense(expand)?;
        self.layers.push(Layer::SqueezeExcite(SqueezeExcite { bias, act, expand, gate }));
        Ok(())
    }

    pub(super) fn global_context(
        &mut self,
        [attn, reduce, expand]: [&Weights; 3],
        norm: &str,
        act: Activation,
    ) -> Result<(), CpuError> {
        let layer = GlobalContext {
            attn: self.float_dense(attn)?,
            reduce: self.float_dense(reduce)?,
            scale: self.vector(reduce.chs, &format!("{norm}.weight"))?,
            shift: self.vector(reduce.chs, &format!("{norm}.bias"))?,
            act,
            expand: self.float_dense(expand)?,
        };
        self.layers.push(Layer::GlobalContext(layer));
        Ok(())
    }

    /// One value per channel, padded to whole vectors.
    pub(super) fn vector(&self, n: usize, name: &str) -> Result<AlignedBuf, CpuError> {
        let mut vector = AlignedBuf::zeros(padded(n));
        vector.as_mut_slice()[..n].copy_from_slice(&self.source.get(name, &[n])?);
        Ok(vector)
    }
}

/// The number of output channels, and of each one's weights.
fn sides(folded: &Folded) -> (usize, usize) {
    let n = folded.shift.len();
    (n, folded.weights[0].len() / n.max(1))
}

impl Folded {
    /// Weight `i` of output channel `n` in the first tensor from `first` on, which has `k` weights
    /// per channel; multiplied by the channel's scale.
    fn at(&self, first: usize, k: usize, n: usize, i: usize) -> f32 {
        (f64::from(self.weights[0][first + n * k + i]) * self.scale[n]) as f32
    }
}

impl Depthwise {
    /// Sets the kernels of `conv`, whose channels begin at `first`.
    fn set_kernels(&mut self, conv: &arch::Conv, first: usize, values: &[f32], scale: &[f64]) {
        let k = conv.kernel_size;
        for (i, &value) in values.iter().enumerate() {
            let (c, tap) = (first + i / (k * k), i % (k * k));
            let value = (f64::from(value) * scale[c]) as f32;
            self.set_weight(c, (tap / k, tap % k), k, value);
        }
    }
}
