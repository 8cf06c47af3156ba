//! From fused layers to tensors in a GPU's layouts.

use std::collections::HashSet;

use half::{bf16, f16};

use super::layouts::{by_channel, by_tap, depthwise, pad_row, pad_rows, pointwise, rows, scaled};
use super::padded;
use crate::Error;
use crate::arch::{self, Activation, AntiAlias, Value};
use crate::engine::fuse::{
    CannotFuse, Conv, Fused, Kind, Layer as FusedLayer, Statistics, Weights,
};
use crate::engine::{Dtype, EngineError};
use crate::weights::{TensorSource, WeightsError};

/// Why a network does not run on a GPU's own kernels.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GpuError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error(transparent)]
    Fuse(#[from] CannotFuse),
    #[error("there is no kernel for {what} (`{at}`)")]
    NoKernel { what: String, at: String },
    #[error("images of {height}x{width} pixels are too small for the network")]
    TooSmall { height: usize, width: usize },
    #[error("the device: {0}")]
    Device(String),
    #[error("the device has no memory for {images} images")]
    Memory {
        images: usize,
        /// How many there is memory for.
        fits: usize,
    },
}

impl From<GpuError> for Error {
    fn from(error: GpuError) -> Self {
        match error {
            GpuError::Weights(error) => error.into(),
            error => EngineError::from(error).into(),
        }
    }
}

/// A tensor for the device.
#[derive(Debug)]
pub(crate) enum Tensor {
    /// In the type of the maps.
    Maps(Vec<f32>),
    /// In float32.
    Floats(Vec<f32>),
}

impl Tensor {
    /// Its bytes on a device whose maps are of `dtype`.
    ///
    /// # Errors
    ///
    /// The first value that the type cannot hold.
    pub(crate) fn bytes(&self, dtype: Dtype) -> Result<Vec<u8>, f32> {
        let (Self::Maps(values) | Self::Floats(values)) = self;
        let halves = |bits: fn(f32) -> u16| -> Result<Vec<u8>, f32> {
            let mut bytes = Vec::with_capacity(values.len() * 2);
            for value in values {
                let bits = bits(*value);
                if value.is_finite() && !half_is_finite(bits, dtype) {
                    return Err(*value);
                }
                bytes.extend(bits.to_le_bytes());
            }
            Ok(bytes)
        };
        match (self, dtype) {
            (Self::Floats(_), _) | (_, Dtype::F32) => {
                Ok(values.iter().flat_map(|value| value.to_le_bytes()).collect())
            }
            (Self::Maps(_), Dtype::Bf16) => halves(|value| bf16::from_f32(value).to_bits()),
            (Self::Maps(_), Dtype::F16) => halves(|value| f16::from_f32(value).to_bits()),
        }
    }
}

fn half_is_finite(bits: u16, dtype: Dtype) -> bool {
    match dtype {
        Dtype::Bf16 => bf16::from_bits(bits).is_finite(),
        _ => f16::from_bits(bits).is_finite(),
    }
}

/// A tensor's number on the device.
pub(crate) type Weight = usize;

/// A layer, whose tensors are on the device.
#[derive(Debug)]
pub(crate) struct Layer {
    /// timm's path of the first operation in it.
    pub(crate) path: String,
    pub(crate) op: Op,
    pub(crate) src: Vec<Value>,
    pub(crate) dst: Value,
    /// Channels of what it writes.
    pub(crate) chs: usize,
    /// What multiplies the inputs, channel by channel.
    pub(crate) gate: Option<Value>,
    pub(crate) act: Option<Activation>,
    /// Added last.
    pub(crate) residual: Option<Value>,
}

/// Kernels that are mixed for each image: how many, and the vector that mixes them.
pub(crate) type Mix = Option<(usize, Value)>;

#[derive(Debug)]
pub(crate) enum Op {
    /// Of the images: `wt` (k * k * in, out) in float32.
    Stem {
        conv: arch::Conv,
        wt: Weight,
        bias: Weight,
    },
    /// `wt` (out, in); mixed, (experts, out * in) in float32.
    Pointwise {
        chs: [usize; 2],
        wt: Weight,
        bias: Weight,
        mix: Mix,
    },
    /// `wt` (out, k * k, in).
    Conv {
        conv: arch::Conv,
        wt: Weight,
        bias: Weight,
    },
    /// `wt` (out, k * k, in / groups), which is not padded.
    Grouped {
        conv: arch::Conv,
        wt: Weight,
        bias: Weight,
    },
    /// `wt` (k * k, chs) in float32; mixed, (experts, k * k * chs).
    Depthwise {
        conv: arch::Conv,
        wt: Weight,
        bias: Weight,
        mix: Mix,
    },
    /// Of a vector: `wt` (out, in).
    Dense {
        chs: [usize; 2],
        wt: Weight,
        bias: Weight,
    },
    /// `wt` (rd, chs), and transposed for the way back.
    SqueezeExcite {
        rd: usize,
        act: Activation,
        gate: Activation,
        wt: [Weight; 2],
        bias: [Weight; 2],
    },
    /// As [`Op::SqueezeExcite`]; `attn` (chs) and `norm` in float32.
    GlobalContext {
        rd: usize,
        act: Activation,
        attn: Weight,
        attn_bias: f32,
        wt: [Weight; 2],
        bias: [Weight; 2],
        norm: [Weight; 2],
    },
    Attention {
        heads: usize,
        key_dim: usize,
    },
    AntiAlias(AntiAlias),
    ScaleShift {
        scale: Weight,
        shift: Weight,
    },
    Norm {
        statistics: Statistics,
        eps: f32,
        scale: Weight,
        shift: Weight,
        gate: Option<Weight>,
    },
    Pool,
}

/// Packs `fused`. `place` puts a tensor of the layer at this path on the device.
///
/// # Errors
///
/// A layer without a kernel, a tensor that `source` does not give, or what `place` says.
pub(crate) fn pack(
    fused: &Fused,
    source: &dyn TensorSource,
    place: &mut dyn FnMut(&str, Tensor) -> Result<Weight, GpuError>,
) -> Result<Vec<Layer>, GpuError> {
    let mut vectors = HashSet::new();
    let mut layers = Vec::with_capacity(fused.layers.len());
    for layer in &fused.layers {
        let is_vector =
            vectors.contains(&layer.src[0]) || matches!(layer.kind, Kind::Pool | Kind::Routing(_));
        if is_vector {
            vectors.insert(layer.dst);
        }
        let mut packing = Packing { source, layer, place: &mut *place };
        let (act, gate, residual) = match &layer.kind {
            Kind::Conv(conv) => (conv.act, conv.gate, conv.residual),
            Kind::Norm(norm) => (norm.act, None, norm.residual),
            Kind::Routing(_) => (Some(Activation::Sigmoid), None, None),
            _ => (None, None, None),
        };
        layers.push(Layer {
            path: layer.path.clone(),
            op: packing.op(is_vector)?,
            src: layer.src.clone(),
            dst: layer.dst,
            chs: layer.chs,
            gate,
            act,
            residual,
        });
    }
    Ok(layers)
}

struct Packing<'a> {
    source: &'a dyn TensorSource,
    layer: &'a FusedLayer,
    place: &'a mut dyn FnMut(&str, Tensor) -> Result<Weight, GpuError>,
}

impl Packing<'_> {
    fn op(&mut self, is_vector: bool) -> Result<Op, GpuError> {
        match &self.layer.kind {
            Kind::Conv(conv) if is_vector => self.dense_op(&conv.weights),
            Kind::Conv(conv) => self.conv(conv),
            Kind::Routing(weights) => self.dense_op(weights),
            Kind::SqueezeExcite { reduce, act, expand, gate } => {
                let (rd, act, gate) = (reduce.chs, *act, *gate);
                let ([wt1, wt2], bias) = self.squeeze(reduce, expand)?;
                Ok(Op::SqueezeExcite { rd, act, gate, wt: [wt1, wt2], bias })
            }
            Kind::GlobalContext { attn, reduce, norm, act, expand } => {
                let (rd, act) = (reduce.chs, *act);
                let folded = attn.read(self.source)?;
                let attn_bias = folded.shift[0];
                let attn = scaled(&folded, 0, 0);
                let attn = self.floats(pad_row(&attn))?;
                let (wt, bias) = self.squeeze(reduce, expand)?;
                let leaf = |leaf: &str| self.source.get(&format!("{norm}.{leaf}"), &[rd]);
                let (weight, shift) = (leaf("weight")?, leaf("bias")?);
                let norm = [self.floats(weight)?, self.floats(shift)?];
                Ok(Op::GlobalContext { rd, act, attn, attn_bias, wt, bias, norm })
            }
            &Kind::MultiQueryAttention { num_heads: heads, key_dim } => {
                if key_dim > 256 {
                    return self.no_kernel(format!("attention with keys of {key_dim} channels"));
                }
                Ok(Op::Attention { heads, key_dim })
            }
            Kind::MultiHeadAttention { num_heads, .. } => {
                self.no_kernel(format!("attention of {num_heads} heads with a key each"))
            }
            Kind::AntiAlias(aa) => Ok(Op::AntiAlias(*aa)),
            Kind::ScaleShift(weights) => {
                let [scale, shift] = self.affine(weights)?;
                Ok(Op::ScaleShift { scale, shift })
            }
            Kind::Norm(norm) => {
                if is_vector {
                    return self.no_kernel("a norm of a vector by its own statistics".to_owned());
                }
                let chs = norm.affine.chs;
                let gate = norm.gate.as_ref().map(|name| self.source.get(name, &[chs]));
                let gate = gate.transpose()?.map(|v| self.floats(pad_row(&v))).transpose()?;
                let [scale, shift] = self.affine(&norm.affine)?;
                let (statistics, eps) = (norm.statistics, norm.eps as f32);
                Ok(Op::Norm { statistics, eps, scale, shift, gate })
            }
            Kind::Pool => Ok(Op::Pool),
        }
    }

    fn no_kernel<T>(&self, what: String) -> Result<T, GpuError> {
        Err(GpuError::NoKernel { what, at: self.layer.path.clone() })
    }

    fn maps(&mut self, values: Vec<f32>) -> Result<Weight, GpuError> {
        (self.place)(&self.layer.path, Tensor::Maps(values))
    }

    fn floats(&mut self, values: Vec<f32>) -> Result<Weight, GpuError> {
        (self.place)(&self.layer.path, Tensor::Floats(values))
    }

    fn affine(&mut self, weights: &Weights) -> Result<[Weight; 2], GpuError> {
        let folded = weights.read(self.source)?;
        let scale: Vec<f32> = folded.scale.iter().map(|&scale| scale as f32).collect();
        Ok([self.floats(pad_row(&scale))?, self.floats(pad_row(&folded.shift))?])
    }

    fn dense_op(&mut self, weights: &Weights) -> Result<Op, GpuError> {
        let folded = weights.read(self.source)?;
        let (out, inputs) = (weights.chs, folded.weights[0].len() / weights.chs.max(1));
        let wt = self.maps(rows(&scaled(&folded, 0, 0), inputs))?;
        let bias = self.floats(pad_row(&folded.shift))?;
        Ok(Op::Dense { chs: [inputs, out], wt, bias })
    }

    /// Both matrices of a squeeze-excitation as (rd, chs), and their biases.
    fn squeeze(
        &mut self,
        reduce: &Weights,
        expand: &Weights,
    ) -> Result<([Weight; 2], [Weight; 2]), GpuError> {
        let folded = reduce.read(self.source)?;
        let (rd, chs) = (reduce.chs, expand.chs);
        let matrix: Vec<f32> = scaled(&folded, 0, 0).chunks(chs).flat_map(pad_row).collect();
        let first = (self.maps(matrix)?, self.floats(folded.shift)?);
        let folded = expand.read(self.source)?;
        let matrix = scaled(&folded, 0, 0);
        let mut transposed = vec![0.0; rd * padded(chs)];
        for (c, row) in matrix.chunks_exact(rd).enumerate() {
            row.iter().enumerate().for_each(|(r, w)| transposed[r * padded(chs) + c] = *w);
        }
        let second = (self.maps(transposed)?, self.floats(pad_row(&folded.shift))?);
        Ok(([first.0, second.0], [first.1, second.1]))
    }

    fn conv(&mut self, conv: &Conv) -> Result<Op, GpuError> {
        let folded = conv.weights.read(self.source)?;
        let experts = conv.mix.map_or(1, |(experts, _)| experts);
        let bias = self.floats(pad_row(&folded.shift))?;
        let own = conv.convs[0];
        let of_image = self.layer.src[0] == Value::IMAGES;
        let chs = [own.in_chs, own.out_chs];
        if of_image {
            if conv.convs.len() > 1 || own.groups > 1 || conv.mix.is_some() || conv.gate.is_some() {
                return self.no_kernel("such a convolution of the images".to_owned());
            }
            let wt = self.floats(by_tap(&scaled(&folded, 0, 0), &own))?;
            return Ok(Op::Stem { conv: own, wt, bias });
        }
        if conv.is_depthwise() && conv.gate.is_none() {
            let (wt, conv_) = depthwise(conv, &folded, experts);
            return Ok(Op::Depthwise { conv: conv_, wt: self.floats(wt)?, bias, mix: conv.mix });
        }
        if conv.is_pointwise() {
            let (matrix, chs) = pointwise(conv, &folded, experts);
            let wt = if conv.mix.is_some() { self.floats(matrix)? } else { self.maps(matrix)? };
            return Ok(Op::Pointwise { chs, wt, bias, mix: conv.mix });
        }
        if conv.convs.len() > 1 || conv.mix.is_some() || conv.gate.is_some() {
            let k = own.kernel_size;
            return self.no_kernel(format!("a {k}x{k} convolution of {chs:?} channels like this"));
        }
        let weights = by_channel(&scaled(&folded, 0, 0), &own);
        if own.groups > 1 {
            let inputs = own.in_chs / own.groups;
            let wt = self.maps(pad_rows(weights, own.kernel_size.pow(2) * inputs))?;
            return Ok(Op::Grouped { conv: own, wt, bias });
        }
        let taps: Vec<f32> = weights.chunks_exact(own.in_chs).flat_map(pad_row).collect();
        let wt = self.maps(pad_rows(taps, own.kernel_size.pow(2) * padded(own.in_chs)))?;
        Ok(Op::Conv { conv: own, wt, bias })
    }
}
