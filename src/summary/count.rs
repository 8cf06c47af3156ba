//! Figures of single layers.

use super::{BlockSummary, Figures, Layer};
use crate::arch::{Activation, AntiAlias, Conv, Network, Norm, PadType};

/// Goes through a network, layer by layer.
pub(super) struct Counter {
    pad_type: PadType,
    norm: Norm,
    /// Shape of the last output.
    pub(super) shape: [usize; 3],
    layers: Vec<Layer>,
}

impl Counter {
    pub(super) fn new(network: &Network, input: [usize; 3]) -> Self {
        let Network { pad_type, norm, .. } = *network;
        Self { pad_type, norm, shape: input, layers: Vec::new() }
    }

    /// Elements of the last output.
    fn len(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    pub(super) fn push(&mut self, name: &str, kind: impl Into<String>, figures: Figures) {
        let (name, kind) = (name.to_owned(), kind.into());
        self.layers.push(Layer { name, kind, output: self.shape, figures });
    }

    /// The layers since the last block, as a block.
    pub(super) fn block(
        &mut self,
        name: &str,
        kind: &str,
        detail: String,
        has_skip: bool,
    ) -> BlockSummary {
        let layers = std::mem::take(&mut self.layers);
        let total = layers.iter().map(|layer| layer.figures).sum();
        let (name, kind) = (name.to_owned(), kind.to_owned());
        BlockSummary { name, kind, detail, has_skip, output: self.shape, total, layers }
    }

    pub(super) fn conv(&mut self, name: &str, conv: Conv, bias: bool) {
        self.convolve(conv);
        let weights = conv.weight_len() as u64;
        let positions = (self.shape[1] * self.shape[2]) as u64;
        let figures = Figures {
            parameters: weights + if bias { conv.out_chs as u64 } else { 0 },
            macs: weights * positions,
            activations: self.len(),
        };
        self.push(name, conv_kind(&conv), figures);
    }

    /// Convolutions side by side, of the shares of one input.
    pub(super) fn mixed(&mut self, name: &str, convs: &[Conv]) {
        if let [conv] = convs {
            return self.conv(name, *conv, false);
        }
        let input = self.shape;
        for (i, &conv) in convs.iter().enumerate() {
            self.shape = input;
            self.conv(&format!("{name}.{i}"), conv, false);
        }
        self.shape[0] = convs.iter().map(|conv| conv.out_chs).sum();
    }

    /// A convolution whose kernel is a sum over experts.
    pub(super) fn cond(&mut self, name: &str, conv: Conv, num_experts: usize) {
        self.convolve(conv);
        let weights = conv.weight_len() as u64;
        let positions = (self.shape[1] * self.shape[2]) as u64;
        let figures = Figures {
            parameters: weights * num_experts as u64,
            macs: weights * (num_experts as u64 + positions),
            activations: weights + self.len(),
        };
        let kind = conv_kind(&conv).replacen("Conv2d", "CondConv2d", 1);
        self.push(name, format!("{kind} of {num_experts}"), figures);
    }

    fn convolve(&mut self, conv: Conv) {
        let [_, h, w] = self.shape;
        let size = |n| conv.output_size(self.pad_type, n);
        self.shape = [conv.out_chs, size(h), size(w)];
    }

    pub(super) fn norm(&mut self, name: &str, act: Option<Activation>) {
        let channels = self.shape[0] as u64;
        let (kind, each, parameters) = match self.norm {
            Norm::BatchNorm => ("BatchNorm", 2, 2),
            Norm::GroupNorm { .. } => ("GroupNorm", 5, 2),
            Norm::LayerNorm => ("LayerNorm", 5, 2),
            Norm::EvoNormS0 { .. } => ("EvoNormS0", 0, if act.is_some() { 3 } else { 2 }),
        };
        let figures =
            Figures { parameters: parameters * channels, macs: each * self.len(), activations: 0 };
        let act = match (self.norm, act) {
            (Norm::EvoNormS0 { .. }, _) | (_, None) => String::new(),
            (_, Some(act)) => format!(" + {act:?}"),
        };
        self.push(name, format!("{kind}{act}"), figures);
    }

    pub(super) fn downsample(&mut self, name: &str, aa: AntiAlias) {
        let [channels, h, w] = self.shape;
        match aa {
            AntiAlias::Avg => {
                self.shape = [channels, h / AntiAlias::STRIDE, w / AntiAlias::STRIDE];
                self.push(name, "AvgPool2d 2x2 /2", Figures::default());
            }
            AntiAlias::Blur => {
                let half = |n: usize| n.div_ceil(AntiAlias::STRIDE);
                self.shape = [channels, half(h), half(w)];
                let figures =
                    Figures { parameters: 0, macs: 9 * self.len(), activations: self.len() };
                self.push(name, "BlurPool2d 3x3 /2", figures);
            }
        }
    }

    /// The mean over all positions, as a layer that is counted.
    pub(super) fn pool(&mut self, name: &str) {
        let macs = self.len();
        self.shape = [self.shape[0], 1, 1];
        self.push(name, "AvgPool2d", Figures { macs, ..Figures::default() });
    }

    pub(super) fn linear(&mut self, name: &str, inputs: usize, outputs: usize) {
        self.shape = [outputs, 1, 1];
        let macs = (inputs * outputs) as u64;
        let activations = outputs as u64;
        self.push(name, "Linear", Figures { parameters: macs + activations, macs, activations });
    }
}

fn conv_kind(conv: &Conv) -> String {
    let Conv { in_chs, out_chs, kernel_size, stride, groups } = *conv;
    let stride = if stride > 1 { format!(" /{stride}") } else { String::new() };
    let groups = match groups {
        1 => String::new(),
        n if n == in_chs && n == out_chs => " depthwise".to_owned(),
        n => format!(" in {n} groups"),
    };
    format!("Conv2d {kernel_size}x{kernel_size}{stride}{groups}")
}
