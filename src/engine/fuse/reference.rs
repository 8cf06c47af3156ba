//! The fused network in plain loops, compared with the Candle modules: the result that any target's
//! packing must give.

#![cfg(feature = "candle")]

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor};

use super::{Conv, Folded, Fused, Kind, Norm, Statistics, Weights, fuse};
use crate::arch::{
    self, Activation, AntiAlias, Arch, DepthMultiplier, NetworkOptions, PadType, Value,
};
use crate::models::EfficientNet;
use crate::weights::{TensorSource, WeightsError, seeded};

/// One image's map, channel by channel; a vector has one position.
#[derive(Clone)]
struct Map {
    chs: usize,
    h: usize,
    w: usize,
    data: Vec<f32>,
}

impl Map {
    fn zeros([chs, h, w]: [usize; 3]) -> Self {
        Self { chs, h, w, data: vec![0.0; chs * h * w] }
    }

    fn plane(&self, c: usize) -> &[f32] {
        &self.data[c * self.h * self.w..][..self.h * self.w]
    }

    fn plane_mut(&mut self, c: usize) -> &mut [f32] {
        &mut self.data[c * self.h * self.w..][..self.h * self.w]
    }

    /// The mean over all positions, weighted.
    fn mean(&self, weight: impl Fn(usize) -> f32) -> Vec<f32> {
        let mean = |c| self.plane(c).iter().enumerate().map(|(i, x)| x * weight(i)).sum();
        (0..self.chs).map(mean).collect()
    }

    fn of(data: Vec<f32>) -> Self {
        Self { chs: data.len(), h: 1, w: 1, data }
    }
}

struct Run<'a> {
    fused: &'a Fused,
    source: &'a dyn TensorSource,
    maps: HashMap<Value, Map>,
}

impl Run<'_> {
    fn layer(&mut self, layer: &super::Layer) {
        let src = &self.maps[&layer.src[0]];
        let out = match &layer.kind {
            Kind::Conv(conv) => self.conv(conv, src),
            Kind::SqueezeExcite { reduce, act, expand, gate } => {
                let positions = (src.h * src.w) as f32;
                let mean = src.mean(|_| positions.recip());
                let squeezed = self.dense(reduce, &mean, Some(*act));
                Map::of(self.dense(expand, &squeezed, Some(*gate)))
            }
            Kind::GlobalContext { attn, reduce, norm, act, expand } => {
                let folded = attn.read(self.source).unwrap();
                let score = |i: usize| {
                    let sum: f32 =
                        (0..src.chs).map(|c| folded.weights[0][c] * src.plane(c)[i]).sum();
                    sum + folded.shift[0]
                };
                let scores = softmax(&(0..src.h * src.w).map(score).collect::<Vec<_>>());
                let context = src.mean(|i| scores[i]);
                let mut hidden = self.dense(reduce, &context, None);
                let n = hidden.len() as f32;
                let mean = hidden.iter().sum::<f32>() / n;
                let var = hidden.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
                let of = |leaf: &str| {
                    self.source.get(&format!("{norm}.{leaf}"), &[hidden.len()]).unwrap()
                };
                let (weight, bias) = (of("weight"), of("bias"));
                for (c, x) in hidden.iter_mut().enumerate() {
                    *x = activate((*x - mean) / (var + 1e-6).sqrt() * weight[c] + bias[c], *act);
                }
                Map::of(self.dense(expand, &hidden, Some(Activation::Sigmoid)))
            }
            Kind::Routing(weights) => {
                Map::of(self.dense(weights, &src.data, Some(Activation::Sigmoid)))
            }
            &Kind::MultiQueryAttention { num_heads, key_dim } => {
                let [query, key, value] = [0, 1, 2].map(|i| &self.maps[&layer.src[i]]);
                let mut out = Map::zeros([num_heads * key_dim, query.h, query.w]);
                for head in 0..num_heads {
                    for i in 0..query.h * query.w {
                        let score = |j: usize| {
                            (0..key_dim)
                                .map(|d| query.plane(head * key_dim + d)[i] * key.plane(d)[j])
                                .sum()
                        };
                        let scores = softmax(&(0..key.h * key.w).map(score).collect::<Vec<_>>());
                        for d in 0..key_dim {
                            let values = value.plane(d).iter().zip(&scores);
                            out.plane_mut(head * key_dim + d)[i] =
                                values.map(|(value, score)| value * score).sum();
                        }
                    }
                }
                out
            }
            Kind::AntiAlias(aa) => downsample(src, *aa),
            Kind::ScaleShift(weights) => {
                let folded = weights.read(self.source).unwrap();
                let mut out = src.clone();
                for c in 0..out.chs {
                    let (scale, shift) = (folded.scale[c] as f32, folded.shift[c]);
                    out.plane_mut(c).iter_mut().for_each(|x| *x = *x * scale + shift);
                }
                out
            }
            Kind::Pool => {
                let positions = (src.h * src.w) as f32;
                Map::of(src.mean(|_| positions.recip()))
            }
            Kind::Norm(norm) => {
                let mut out = self.norm(norm, src);
                if let Some(residual) = norm.residual {
                    let residual = &self.maps[&residual].data;
                    out.data.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
                }
                out
            }
            // No timm architecture has it.
            kind @ Kind::MultiHeadAttention { .. } => panic!("{kind:?}"),
        };
        self.maps.insert(layer.dst, out);
    }

    fn dense(&self, weights: &Weights, inputs: &[f32], act: Option<Activation>) -> Vec<f32> {
        let folded = weights.read(self.source).unwrap();
        let rows = folded.weights[0].chunks_exact(inputs.len()).enumerate();
        let sum = |(n, row): (usize, &[f32])| {
            let sum: f32 =
                row.iter().zip(inputs).map(|(w, x)| w * folded.scale[n] as f32 * x).sum();
            act.map_or(sum + folded.shift[n], |act| activate(sum + folded.shift[n], act))
        };
        rows.map(sum).collect()
    }

    fn norm(&self, norm: &Norm, src: &Map) -> Map {
        let folded = norm.affine.read(self.source).unwrap();
        let v = norm.gate.as_ref().map(|name| self.source.get(name, &[src.chs]).unwrap());
        let group = match norm.statistics {
            Statistics::Groups(size) => size,
            Statistics::Positions => src.chs,
        };
        // Mean and standard deviation of a group of channels at some positions.
        let moments = |group_index: usize, positions: &[usize]| {
            let chs = group_index * group..(group_index + 1) * group;
            let values =
                || chs.clone().flat_map(|c| positions.iter().map(move |&i| src.plane(c)[i]));
            let n = (group * positions.len()) as f32;
            let mean = values().sum::<f32>() / n;
            let variance = values().map(|x| (x - mean).powi(2)).sum::<f32>() / n;
            (mean, (variance + norm.eps as f32).sqrt())
        };
        let mut out = src.clone();
        let all: Vec<usize> = (0..src.h * src.w).collect();
        let of_each: Vec<_> = match norm.statistics {
            Statistics::Groups(_) => (0..src.chs / group).map(|g| moments(g, &all)).collect(),
            Statistics::Positions => all.iter().map(|&i| moments(0, &[i])).collect(),
        };
        for c in 0..src.chs {
            let (scale, shift) = (folded.scale[c] as f32, folded.shift[c]);
            for (i, x) in out.plane_mut(c).iter_mut().enumerate() {
                let (mean, std) = match norm.statistics {
                    Statistics::Groups(_) => of_each[c / group],
                    Statistics::Positions => of_each[i],
                };
                let over = match &v {
                    None => *x - mean,
                    Some(v) => *x * activate(*x * v[c], Activation::Sigmoid),
                };
                let y = over / std * scale + shift;
                *x = norm.act.map_or(y, |act| activate(y, act));
            }
        }
        out
    }

    fn conv(&self, conv: &Conv, src: &Map) -> Map {
        let mut folded = conv.weights.read(self.source).unwrap();
        if let Some((experts, routing)) = conv.mix {
            let routing = &self.maps[&routing].data;
            let elements = folded.weights[0].len() / experts;
            let mixed = (0..elements).map(|i| {
                routing
                    .iter()
                    .enumerate()
                    .map(|(e, r)| r * folded.weights[0][e * elements + i])
                    .sum()
            });
            folded.weights[0] = mixed.collect();
        }
        let mut src = src.clone();
        if let Some(gate) = conv.gate {
            let gate = self.maps[&gate].data.clone();
            for (c, gate) in gate.into_iter().enumerate() {
                src.plane_mut(c).iter_mut().for_each(|x| *x *= gate);
            }
        }
        let (mut parts, mut from, mut to) = (Vec::new(), 0, 0);
        for (part, own) in conv.convs.iter().enumerate() {
            let share = Map {
                chs: own.in_chs,
                data: src.data[from * src.h * src.w..][..own.in_chs * src.h * src.w].to_vec(),
                ..src
            };
            parts.push(convolve(own, self.fused.pad_type, &share, &folded, (part, to)));
            (from, to) = (from + own.in_chs, to + own.out_chs);
        }
        let data = parts.iter().flat_map(|part| part.data.iter().copied()).collect();
        let mut out = Map { chs: to, data, ..parts[0] };
        for c in 0..to {
            let shift = folded.shift[c];
            for x in out.plane_mut(c) {
                *x = conv.act.map_or(*x + shift, |act| activate(*x + shift, act));
            }
        }
        if let Some(residual) = conv.residual {
            let residual = &self.maps[&residual].data;
            out.data.iter_mut().zip(residual).for_each(|(x, residual)| *x += residual);
        }
        out
    }
}

/// One convolution; its weights are `part` of `folded`, and its channels begin at `first`.
fn convolve(
    conv: &arch::Conv,
    pad_type: PadType,
    src: &Map,
    folded: &Folded,
    (part, first): (usize, usize),
) -> Map {
    let &arch::Conv { in_chs, out_chs, kernel_size: k, stride, groups } = conv;
    let [h, w] = [src.h, src.w].map(|side| conv.output_size(pad_type, side));
    let before = |side: usize, out: usize| match conv.pad_type(pad_type) {
        PadType::Symmetric => (stride + k - 2) / 2,
        PadType::Same => ((out - 1) * stride + k).saturating_sub(side) / 2,
    };
    let (top, left) = (before(src.h, h), before(src.w, w));
    let inputs = in_chs / groups;
    let mut out = Map::zeros([out_chs, h, w]);
    for n in 0..out_chs {
        let group = n / (out_chs / groups);
        let scale = folded.scale[first + n];
        for c in 0..inputs {
            let plane = src.plane(group * inputs + c);
            for tap in 0..k * k {
                let weight = folded.weights[part][(n * inputs + c) * k * k + tap];
                let weight = (f64::from(weight) * scale) as f32;
                for y in 0..h {
                    let Some(row) = (y * stride + tap / k).checked_sub(top).filter(|y| *y < src.h)
                    else {
                        continue;
                    };
                    for x in 0..w {
                        let column = (x * stride + tap % k).checked_sub(left);
                        if let Some(column) = column.filter(|x| *x < src.w) {
                            out.data[(n * h + y) * w + x] += weight * plane[row * src.w + column];
                        }
                    }
                }
            }
        }
    }
    out
}

fn downsample(src: &Map, aa: AntiAlias) -> Map {
    let s = AntiAlias::STRIDE;
    let at = |c: usize, y: usize, x: usize| {
        if y < src.h && x < src.w { src.plane(c)[y * src.w + x] } else { 0.0 }
    };
    let (h, w) = match aa {
        AntiAlias::Avg => (src.h / s, src.w / s),
        AntiAlias::Blur => (src.h.div_ceil(s), src.w.div_ceil(s)),
    };
    let mut out = Map::zeros([src.chs, h, w]);
    for (i, value) in out.data.iter_mut().enumerate() {
        let (c, y, x) = (i / (h * w), i / w % h * s, i % w * s);
        let line = [(0, 0.25), (1, 0.5), (2, 0.25)];
        *value = match aa {
            AntiAlias::Avg => {
                [(0, 0), (0, 1), (1, 0), (1, 1)]
                    .map(|(i, j)| at(c, y + i, x + j))
                    .iter()
                    .sum::<f32>()
                    / 4.0
            }
            // The window begins one position earlier.
            AntiAlias::Blur => line
                .iter()
                .flat_map(|&(i, v)| line.iter().map(move |&(j, u)| (i, j, u * v)))
                .map(|(i, j, weight)| {
                    weight * at(c, (y + i).wrapping_sub(1), (x + j).wrapping_sub(1))
                })
                .sum(),
        };
    }
    out
}

fn softmax(scores: &[f32]) -> Vec<f32> {
    let max = scores.iter().copied().fold(f32::MIN, f32::max);
    let powers: Vec<f32> = scores.iter().map(|score| (score - max).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn activate(x: f32, act: Activation) -> f32 {
    let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
    match act {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::Silu => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::HardSigmoid => (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => sigmoid(x),
        Activation::Gelu => x * 0.5 * (1.0 + erf(x / std::f32::consts::SQRT_2)),
        Activation::Mish => x * x.exp().ln_1p().tanh(),
    }
}

/// Within 2e-7: Abramowitz and Stegun, 7.1.26.
fn erf(x: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let a = [0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4];
    let sum = a.iter().rev().fold(0.0, |sum, a| (sum + a) * t);
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

/// The largest difference of any tap, over the largest value of the modules'.
fn difference(network: &arch::Network, source: &dyn TensorSource) -> f32 {
    let fused = fuse(&network.graph()).unwrap();
    let shape = [1, network.in_chans, 39, 50];
    let images = seeded::images(0, &shape);
    let image = Map { chs: shape[1], h: shape[2], w: shape[3], data: images.clone() };
    let mut run = Run { fused: &fused, source, maps: HashMap::from([(Value::IMAGES, image)]) };
    for layer in &fused.layers {
        run.layer(layer);
    }
    let vb = seeded::var_builder(0, DType::F32, &Device::Cpu);
    let model = EfficientNet::new(network, &vb).unwrap();
    let xs = Tensor::from_vec(images, &shape, &Device::Cpu).unwrap();
    let (features, stages) = model.forward_intermediates(&xs, false, false).unwrap();
    let logits = model.forward_head(&features, false, false).unwrap();
    let stages = stages.into_iter().enumerate().map(|(i, map)| (format!("stages.{i}"), map));
    let named = [("features".to_owned(), features), ("logits".to_owned(), logits)];
    let mut worst = 0f32;
    for (name, expected) in stages.chain(named) {
        let tap = fused.taps.iter().find(|tap| tap.name == name).unwrap();
        let ours = &run.maps[&tap.value].data;
        let theirs: Vec<f32> = expected.flatten_all().unwrap().to_vec1().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{}: {name}", network.name);
        let scale = theirs.iter().fold(0f32, |max, x| max.max(x.abs()));
        let worse = ours.iter().zip(&theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs()));
        worst = worst.max(worse / scale);
    }
    worst
}

/// Every architecture; those with more than 12 million parameters get fewer channels and blocks.
pub(in crate::engine) fn small_networks() -> impl Iterator<Item = arch::Network> {
    arch::all().iter().map(|arch| {
        let network = arch.network(&NetworkOptions::default()).unwrap();
        let tensors = network.graph().tensors();
        let parameters = tensors.iter().map(|(_, shape)| shape.iter().product::<usize>());
        if parameters.sum::<usize>() <= 12_000_000 {
            return network;
        }
        let depth_multiplier = DepthMultiplier::Uniform(0.3);
        let channel_multiplier = 0.4 * arch.channel_multiplier;
        let small = Arch { channel_multiplier, depth_multiplier, ..*arch };
        small.network(&NetworkOptions::default()).unwrap()
    })
}

#[test]
fn equals_the_modules_on_every_architecture() {
    for network in small_networks() {
        let difference = difference(&network, &seeded::Source::new(0));
        assert!(difference <= 1e-4, "{}: {difference}", network.name);
    }
}

#[test]
fn a_tensor_that_is_taken_for_another_is_noticed() {
    struct Swapped;
    impl TensorSource for Swapped {
        fn name(&self) -> String {
            "two tensors swapped".to_owned()
        }

        fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
            seeded::Source::new(0)
                .get(&name.replace("blocks.1.0.bn2.running_mean", "blocks.1.0.bn2.bias"), shape)
        }
    }
    let network = arch::find("efficientnet_b0").unwrap().network(&NetworkOptions::default());
    let network = network.unwrap();
    assert!(difference(&network, &seeded::Source::new(0)) <= 1e-4);
    assert!(difference(&network, &Swapped) > 1e-4);
}
