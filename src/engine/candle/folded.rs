//! A network's tensors with its batch norms folded into them, for modules that only infer.

use std::collections::HashMap;

use crate::arch::Graph;
use crate::engine::fuse::{CannotFuse, Conv, Kind, Weights, fuse};
use crate::weights::{TensorSource, WeightsError};

/// The tensors that [`EfficientNet::folded`](crate::models::EfficientNet::folded) asks for.
pub(crate) struct Folded<'a> {
    source: &'a dyn TensorSource,
    roles: HashMap<String, Role>,
    /// Names and shapes.
    tensors: Vec<(String, Vec<usize>)>,
}

/// What a tensor is made of.
enum Role {
    /// The weight of a convolution, times the norm's factors of its output channels. `first` is
    /// the first of these.
    Weight { conv: Weights, first: usize, out_chs: usize },
    /// The factors of a norm that no convolution takes in.
    Scale(Weights),
    /// A norm's summands.
    Shift(Weights),
}

impl<'a> Folded<'a> {
    /// The tensors of `graph`, which `source` gives.
    ///
    /// # Errors
    ///
    /// A graph that does not fuse.
    pub(crate) fn new(graph: &Graph, source: &'a dyn TensorSource) -> Result<Self, CannotFuse> {
        let mut roles = HashMap::new();
        // Names below a norm's path.
        let mut norms: Vec<String> = Vec::new();
        for layer in fuse(graph)?.layers {
            match layer.kind {
                Kind::Conv(conv) => take_in(&conv, &mut roles, &mut norms),
                Kind::ScaleShift(Weights { norm: Some((at, Some(eps))), chs, .. }) => {
                    let weights =
                        Weights { norm: Some((at.clone(), Some(eps))), chs, ..Weights::default() };
                    roles.insert(format!("{at}.weight"), Role::Scale(weights.clone()));
                    roles.insert(format!("{at}.bias"), Role::Shift(weights));
                    norms.push(at);
                }
                _ => {}
            }
        }
        let is_left = |name: &str| match name.rsplit_once('.') {
            Some((at, _)) => !norms.iter().any(|norm| norm == at) || roles.contains_key(name),
            None => true,
        };
        let tensors = graph.tensors().into_iter().filter(|(name, _)| is_left(name)).collect();
        Ok(Self { source, roles, tensors })
    }

    /// The names and shapes of all tensors.
    pub(crate) fn tensors(&self) -> &[(String, Vec<usize>)] {
        &self.tensors
    }
}

/// Notes what a convolution's norm makes of its weights, if it has a norm with running statistics.
fn take_in(conv: &Conv, roles: &mut HashMap<String, Role>, norms: &mut Vec<String>) {
    let Some((at, Some(_))) = &conv.weights.norm else { return };
    // What else fusing takes in stays with the modules.
    let norm_only = |weights| Weights {
        weights,
        bias: None,
        norm: conv.weights.norm.clone(),
        gamma: None,
        factor: None,
        chs: conv.weights.chs,
    };
    let mut first = 0;
    for (own, named) in conv.convs.iter().zip(&conv.weights.weights) {
        let out_chs = own.out_chs;
        let conv = norm_only(vec![named.clone()]);
        roles.insert(named.0.clone(), Role::Weight { conv, first, out_chs });
        first += out_chs;
    }
    roles.insert(format!("{at}.bias"), Role::Shift(norm_only(Vec::new())));
    norms.push(at.clone());
}

impl TensorSource for Folded<'_> {
    fn name(&self) -> String {
        self.source.name()
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        match self.roles.get(name) {
            None => self.source.get(name, shape),
            Some(Role::Scale(norm)) => {
                Ok(norm.read(self.source)?.scale.into_iter().map(|scale| scale as f32).collect())
            }
            Some(Role::Shift(norm)) => Ok(norm.read(self.source)?.shift),
            Some(&Role::Weight { ref conv, first, out_chs }) => {
                let folded = conv.read(self.source)?;
                let scale = &folded.scale[first..first + out_chs];
                let mut weight = folded.weights.into_iter().next().unwrap_or_default();
                // A kernel that is mixed has all its experts' weights, one's after the other's.
                let experts = if shape.len() == 2 { shape[0] } else { 1 };
                let inputs = weight.len() / (experts * out_chs);
                for (row, values) in weight.chunks_exact_mut(inputs).enumerate() {
                    let scale = scale[row % out_chs];
                    values.iter_mut().for_each(|w| *w = (f64::from(*w) * scale) as f32);
                }
                Ok(weight)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::arch::{self, Network};
    use crate::engine::fuse::reference::small_networks;
    use crate::models::EfficientNet;
    use crate::weights::{seeded, var_builder};

    /// The logits' largest difference to those of the unfolded modules, over their largest value.
    fn difference(
        network: &Network,
        folded: &dyn TensorSource,
        names: &[(String, Vec<usize>)],
    ) -> f32 {
        let (dtype, device) = (DType::F32, Device::Cpu);
        let shape = [1, network.in_chans, 39, 50];
        let xs = Tensor::from_vec(seeded::images(0, &shape), &shape, &device).unwrap();
        let logits = |model: candle_core::Result<EfficientNet>| {
            let logits = model.unwrap().forward(&xs, false).unwrap();
            logits.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let vb = var_builder(folded, names, dtype, &device).unwrap();
        let ours = logits(EfficientNet::folded(network, &vb));
        let theirs = logits(EfficientNet::new(network, &seeded::var_builder(0, dtype, &device)));
        let scale = theirs.iter().fold(0f32, |max, x| max.max(x.abs()));
        ours.iter().zip(&theirs).fold(0f32, |max, (a, b)| max.max((a - b).abs())) / scale
    }

    #[test]
    fn folded_modules_equal_the_others_on_every_architecture() {
        let seeded = seeded::Source::new(0);
        for network in small_networks() {
            let folded = Folded::new(&network.graph(), &seeded).unwrap();
            let difference = difference(&network, &folded, folded.tensors());
            assert!(difference <= 1e-4, "{}: {difference}", network.name);
        }
    }

    #[test]
    fn a_weight_that_is_not_folded_is_noticed() {
        struct Planted<'a>(Folded<'a>);
        impl TensorSource for Planted<'_> {
            fn name(&self) -> String {
                self.0.name()
            }

            fn get(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
                let folded: &dyn TensorSource = &self.0;
                let source =
                    if name == "blocks.1.0.conv_dw.weight" { self.0.source } else { folded };
                source.get(name, shape)
            }
        }
        let network = arch::find("efficientnet_b0").unwrap().network(&Default::default()).unwrap();
        let seeded = seeded::Source::new(0);
        let planted = Planted(Folded::new(&network.graph(), &seeded).unwrap());
        let names = planted.0.tensors().to_vec();
        assert!(difference(&network, &planted, &names) > 1e-3);
    }

    #[test]
    fn folded_modules_do_not_train() {
        let network = arch::find("efficientnet_b0").unwrap().network(&Default::default()).unwrap();
        let seeded = seeded::Source::new(0);
        let folded = Folded::new(&network.graph(), &seeded).unwrap();
        let vb = var_builder(&folded, folded.tensors(), DType::F32, &Device::Cpu).unwrap();
        let model = EfficientNet::folded(&network, &vb).unwrap();
        let xs = Tensor::zeros((1, 3, 32, 32), DType::F32, &Device::Cpu).unwrap();
        let error = model.forward(&xs, true).unwrap_err().to_string();
        assert!(error.contains("folded batch norms do not train"), "{error}");
    }
}
