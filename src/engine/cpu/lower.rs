//! From a network and its tensors to layers: batch norms folded, weights packed.

use candle_core::{DType, Device};
use candle_nn::VarBuilder;

use super::CpuError;
use super::kernels::{Kernels, POINTS, kernel_at_points};
use super::layer::{
    Convolution, Dense, Depthwise, Kernel, Layer, Mean, Pointwise, Slot, SqueezeExcite, Winograd,
};
use super::matrix::Matrix;
use super::memory::{Floats, padded};
use super::simd::{LANES, math};
use crate::arch::{Activation, AntiAlias, Block, Conv, Head, Network, Norm as NormKind, SeLayer};

/// Below this many input channels, transforming costs more than the products that it saves.
const WINOGRAD_CHS: usize = 32;

/// The layers of a network, and after how many of them each stage is complete.
#[derive(Debug)]
pub(super) struct Lowered {
    pub(super) layers: Vec<Layer>,
    /// The stem, then each stage.
    pub(super) stages: Vec<usize>,
    /// After how many layers the head's feature map is complete.
    pub(super) features: usize,
}

/// Lowers `network`.
///
/// # Errors
///
/// A part without fused kernels, or a tensor that `vb` does not give.
pub(super) fn lower(
    network: &Network,
    vb: &VarBuilder<'_>,
    kernels: &'static Kernels,
) -> Result<Lowered, CpuError> {
    if network.norm != NormKind::BatchNorm {
        return cannot_lower(format!("the norm {:?}", network.norm), "bn1");
    }
    let mut l = Lowering { vb, kernels, bn_eps: network.bn_eps, layers: Vec::new() };
    let stem = Conv {
        in_chs: network.in_chans,
        out_chs: network.stem_chs,
        kernel_size: network.stem_kernel_size,
        stride: 2,
        groups: 1,
    };
    l.convolution("conv_stem", "bn1", stem, network.act, Slot::Images, Slot::Next, None)?;
    let mut stages = vec![l.layers.len()];
    let mut head_chs = network.stem_chs;
    for (s, stage) in network.stages.iter().enumerate() {
        for (b, block) in stage.iter().enumerate() {
            l.block(&format!("blocks.{s}.{b}"), block)?;
            head_chs = block.out_chs();
        }
        stages.push(l.layers.len());
    }
    let features = l.head(network, head_chs)?;
    if network.num_classes > 0 {
        let matrix = l.linear("classifier", network.num_features, network.num_classes, &[])?;
        l.layers.push(Layer::Dense(Dense { matrix, act: None }));
    }
    Ok(Lowered { layers: l.layers, stages, features })
}

struct Lowering<'a> {
    vb: &'a VarBuilder<'a>,
    kernels: &'static Kernels,
    bn_eps: f64,
    layers: Vec<Layer>,
}

/// A batch norm as one multiplication and one addition a channel.
struct Norm {
    scale: Vec<f64>,
    shift: Vec<f32>,
}

fn cannot_lower<T>(what: impl Into<String>, at: &str) -> Result<T, CpuError> {
    Err(CpuError::CannotLower { what: what.into(), at: at.to_owned() })
}

fn no_anti_alias(aa: Option<AntiAlias>, at: &str) -> Result<(), CpuError> {
    aa.map_or(Ok(()), |aa| cannot_lower(format!("anti-aliasing {aa:?}"), at))
}

impl Lowering<'_> {
    fn block(&mut self, at: &str, block: &Block) -> Result<(), CpuError> {
        let name = |leaf: &str| format!("{at}.{leaf}");
        match block {
            Block::ConvBnAct(b) => {
                no_anti_alias(b.aa, at)?;
                self.convolution(
                    &name("conv"),
                    &name("bn1"),
                    b.conv,
                    b.act,
                    Slot::Current,
                    Slot::Next,
                    b.has_skip.then_some(Tail::Residual),
                )
            }
            Block::DepthwiseSeparable(b) => {
                no_anti_alias(b.aa, at)?;
                if b.conv_s2d.is_some() {
                    return cannot_lower("space to depth", at);
                }
                let dw = (name("conv_dw"), name("bn1"));
                let se = self.squeeze_excite(&name("se"), b.se, b.conv_dw.in_chs)?;
                self.depthwise(dw, b.conv_dw, b.act, None, se)?;
                let pw = (name("conv_pw"), name("bn2"));
                let act = b.pw_act.then_some(b.act);
                self.project(pw, (b.conv_dw.in_chs, b.out_chs), act, b.se.is_some(), b.has_skip)
            }
            Block::InvertedResidual(b) => {
                no_anti_alias(b.aa, at)?;
                let expand =
                    self.folded(&name("conv_pw"), &name("bn1"), b.in_chs, b.conv_dw.in_chs)?;
                let dw = (name("conv_dw"), name("bn2"));
                let se = self.squeeze_excite(&name("se"), b.se, b.conv_dw.in_chs)?;
                self.depthwise(dw, b.conv_dw, b.act, Some(expand), se)?;
                let pw = (name("conv_pwl"), name("bn3"));
                self.project(pw, (b.conv_dw.in_chs, b.out_chs), None, b.se.is_some(), b.has_skip)
            }
            Block::EdgeResidual(b) => {
                no_anti_alias(b.aa, at)?;
                let (conv, bn) = (name("conv_exp"), name("bn1"));
                let mid = b.conv_exp.out_chs;
                let pw = (name("conv_pwl"), name("bn2"));
                if let Some(se) = self.squeeze_excite(&name("se"), b.se, mid)? {
                    let tail = Some(Tail::Squeeze(se));
                    let (src, dst) = (Slot::Current, Slot::Mid);
                    self.convolution(&conv, &bn, b.conv_exp, b.act, src, dst, tail)?;
                    return self.project(pw, (mid, b.out_chs), None, true, b.has_skip);
                }
                let project = self.folded(&pw.0, &pw.1, mid, b.out_chs)?;
                let tail = Some(Tail::Project(project, b.has_skip));
                self.convolution(&conv, &bn, b.conv_exp, b.act, Slot::Current, Slot::Next, tail)
            }
            Block::MixedResidual(_) => cannot_lower("a mixed convolution", at),
            Block::CondConvResidual(_) => cannot_lower("a conditional convolution", at),
            Block::UniversalInvertedResidual(_) => {
                cannot_lower("a universal inverted residual", at)
            }
            Block::MobileAttention(_) => cannot_lower("attention", at),
        }
    }

    /// The head behind `chs` channels; after how many layers the last feature map is complete.
    fn head(&mut self, network: &Network, chs: usize) -> Result<usize, CpuError> {
        let (n, act) = (network.num_features, network.act);
        self.act(act, "conv_head")?;
        let matrix = match network.head {
            Head::ConvThenPool => {
                let matrix = self.folded("conv_head", "bn2", chs, n)?;
                self.layers.push(Layer::Pointwise(Pointwise {
                    matrix,
                    act: Some(act),
                    src: Slot::Current,
                    gate: false,
                    residual: false,
                    mean: true,
                }));
                return Ok(self.layers.len());
            }
            Head::PoolThenConv => self.linear("conv_head", chs, n, &[1, 1])?,
            Head::PoolThenConvNoBias => {
                let weights = self.tensor(&[n, chs, 1, 1], "conv_head.weight")?;
                let weight = |n: usize, k: usize| weights[n * chs + k];
                Matrix::new(self.kernels, (n, chs), weight, &vec![0.0; n])
            }
            Head::PoolThenConvNorm => self.folded("conv_head", "norm_head", chs, n)?,
            Head::Pool => return cannot_lower("a network without a head", "conv_head"),
        };
        let features = self.layers.len();
        self.layers.push(Layer::Mean(Mean { chs }));
        self.layers.push(Layer::Dense(Dense { matrix, act: Some(act) }));
        Ok(features)
    }

    fn act(&self, act: Activation, at: &str) -> Result<(), CpuError> {
        if math::is_supported(act) {
            Ok(())
        } else {
            cannot_lower(format!("the activation {act:?}"), at)
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn convolution(
        &mut self,
        name: &str,
        bn: &str,
        conv: Conv,
        act: Activation,
        src: Slot,
        dst: Slot,
        tail: Option<Tail>,
    ) -> Result<(), CpuError> {
        self.act(act, name)?;
        let Conv { in_chs, out_chs, kernel_size: k, groups, .. } = conv;
        if groups != 1 {
            return cannot_lower(format!("a convolution in {groups} groups"), name);
        }
        let weights = self.tensor(&[out_chs, in_chs, k, k], &format!("{name}.weight"))?;
        let norm = self.norm(bn, out_chs)?;
        let kernel = if k == 3 && conv.stride == 1 && in_chs >= WINOGRAD_CHS && src != Slot::Images
        {
            Kernel::Winograd(self.winograd(&weights, (out_chs, in_chs), &norm))
        } else {
            let inputs = in_chs * k * k;
            // Images keep their planes: c, ky, kx. Feature maps have the channels innermost.
            let index = |i: usize| match src {
                Slot::Images => i,
                _ => (i % in_chs) * k * k + i / in_chs,
            };
            Kernel::Direct(Matrix::new(
                self.kernels,
                (out_chs, inputs),
                |n, i| (f64::from(weights[n * inputs + index(i)]) * norm.scale[n]) as f32,
                &norm.shift,
            ))
        };
        let (mut project, mut residual, mut se) = (None, false, None);
        match tail {
            None => {}
            Some(Tail::Residual) => residual = true,
            Some(Tail::Squeeze(both)) => se = Some(both),
            Some(Tail::Project(matrix, skip)) => (project, residual) = (Some(matrix), skip),
        }
        let (reduce, se) = se.unzip();
        self.layers.push(Layer::Convolution(Convolution {
            conv,
            kernel,
            act: Some(act),
            src,
            dst,
            project,
            residual,
            reduce,
        }));
        self.layers.extend(se.map(Layer::SqueezeExcite));
        Ok(())
    }

    fn winograd(&self, weights: &[f32], (n, k): (usize, usize), norm: &Norm) -> Winograd {
        let mut points = vec![0f32; POINTS * n * k];
        for (i, g) in weights.chunks_exact(9).enumerate() {
            let scaled = std::array::from_fn(|tap| f64::from(g[tap]) * norm.scale[i / k]);
            for (point, value) in kernel_at_points(scaled).into_iter().enumerate() {
                points[point * n * k + i] = value as f32;
            }
        }
        let matrix = |point: &[f32]| {
            Matrix::new(self.kernels, (n, k), |n, i| point[n * k + i], &vec![0.0; n])
        };
        let mut bias = Floats::zeros(padded(n));
        bias.as_mut_slice()[..n].copy_from_slice(&norm.shift);
        Winograd { points: points.chunks_exact(n * k).map(matrix).collect(), bias }
    }

    fn depthwise(
        &mut self,
        (name, bn): (String, String),
        conv: Conv,
        act: Activation,
        expand: Option<Matrix>,
        se: Option<(Matrix, SqueezeExcite)>,
    ) -> Result<(), CpuError> {
        self.act(act, &name)?;
        let Conv { in_chs: chs, out_chs, kernel_size: k, stride, groups } = conv;
        if groups != chs || out_chs != chs {
            return cannot_lower(format!("a convolution in {groups} groups"), &name);
        }
        if self.kernels.depthwise(k, stride).is_none() {
            return cannot_lower(format!("a depthwise {k}x{k} kernel of stride {stride}"), &name);
        }
        let values = self.tensor(&[chs, 1, k, k], &format!("{name}.weight"))?;
        let norm = self.norm(&bn, chs)?;
        let mut weights = Floats::zeros(padded(chs) * k * k);
        let mut bias = Floats::zeros(padded(chs));
        bias.as_mut_slice()[..chs].copy_from_slice(&norm.shift);
        for (i, &value) in values.iter().enumerate() {
            let (c, tap) = (i / (k * k), i % (k * k));
            weights.as_mut_slice()[(c / LANES * k * k + tap) * LANES + c % LANES] =
                (f64::from(value) * norm.scale[c]) as f32;
        }
        let (reduce, se) = se.unzip();
        self.layers.push(Layer::Depthwise(Depthwise { conv, weights, bias, act, expand, reduce }));
        self.layers.extend(se.map(Layer::SqueezeExcite));
        Ok(())
    }

    /// A squeeze-excitation: its reduction, which belongs to the layer before it, and the rest.
    fn squeeze_excite(
        &self,
        at: &str,
        se: Option<SeLayer>,
        chs: usize,
    ) -> Result<Option<(Matrix, SqueezeExcite)>, CpuError> {
        let (rd_channels, act, gate) = match se {
            None => return Ok(None),
            Some(SeLayer::SqueezeExcite { rd_channels, act, gate }) => (rd_channels, act, gate),
            Some(SeLayer::GlobalContext { .. }) => return cannot_lower("global context", at),
        };
        self.act(act, at)?;
        self.act(gate, at)?;
        let at_reduce = format!("{at}.conv_reduce");
        let weights = self.tensor(&[rd_channels, chs, 1, 1], &format!("{at_reduce}.weight"))?;
        let values = self.tensor(&[rd_channels], &format!("{at_reduce}.bias"))?;
        let weight = |n: usize, k: usize| weights[n * chs + k];
        let shape = (rd_channels, chs);
        let reduce = Matrix::new(self.kernels, shape, weight, &vec![0.0; rd_channels]);
        let mut bias = Floats::zeros(padded(rd_channels));
        bias.as_mut_slice()[..rd_channels].copy_from_slice(&values);
        let expand = self.linear(&format!("{at}.conv_expand"), rd_channels, chs, &[1, 1])?;
        Ok(Some((reduce, SqueezeExcite { bias, act, expand, gate })))
    }

    fn project(
        &mut self,
        (name, bn): (String, String),
        (in_chs, out_chs): (usize, usize),
        act: Option<Activation>,
        gate: bool,
        residual: bool,
    ) -> Result<(), CpuError> {
        let matrix = self.folded(&name, &bn, in_chs, out_chs)?;
        self.layers.push(Layer::Pointwise(Pointwise {
            matrix,
            act,
            src: Slot::Mid,
            gate,
            residual,
            mean: false,
        }));
        Ok(())
    }

    /// A pointwise convolution and its norm.
    fn folded(&self, name: &str, bn: &str, k: usize, n: usize) -> Result<Matrix, CpuError> {
        let weights = self.tensor(&[n, k, 1, 1], &format!("{name}.weight"))?;
        let norm = self.norm(bn, n)?;
        let weight = |n: usize, i: usize| (f64::from(weights[n * k + i]) * norm.scale[n]) as f32;
        Ok(Matrix::new(self.kernels, (n, k), weight, &norm.shift))
    }

    /// A matrix with a bias; `sides` are the trailing dimensions of its weight.
    fn linear(&self, at: &str, k: usize, n: usize, sides: &[usize]) -> Result<Matrix, CpuError> {
        let shape: Vec<usize> = [n, k].iter().chain(sides).copied().collect();
        let weights = self.tensor(&shape, &format!("{at}.weight"))?;
        let bias = self.tensor(&[n], &format!("{at}.bias"))?;
        Ok(Matrix::new(self.kernels, (n, k), |n, i| weights[n * k + i], &bias))
    }

    fn norm(&self, at: &str, chs: usize) -> Result<Norm, CpuError> {
        let get = |leaf: &str| self.tensor(&[chs], &format!("{at}.{leaf}"));
        let (weight, bias) = (get("weight")?, get("bias")?);
        let (mean, var) = (get("running_mean")?, get("running_var")?);
        let scale: Vec<f64> = (0..chs)
            .map(|c| f64::from(weight[c]) / (f64::from(var[c]) + self.bn_eps).sqrt())
            .collect();
        let shift =
            (0..chs).map(|c| (f64::from(bias[c]) - f64::from(mean[c]) * scale[c]) as f32).collect();
        Ok(Norm { scale, shift })
    }

    fn tensor(&self, shape: &[usize], name: &str) -> Result<Vec<f32>, CpuError> {
        let tensor = self.vb.get(shape, name)?;
        Ok(tensor.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
    }
}

/// What follows a dense convolution's activation.
enum Tail {
    /// The block's input is added.
    Residual,
    /// A squeeze-excitation.
    Squeeze((Matrix, SqueezeExcite)),
    /// A projection, to which the block's input is added or not.
    Project(Matrix, bool),
}
