//! Recorded outputs of timm, and how ours are compared with them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use effnet::arch::{self, Network, NetworkOptions, Norm};
use effnet::models::EfficientNet;
use effnet::weights::{seeded, tensor_shapes};
use safetensors::SafeTensors;

/// One file of `tests/goldens`.
pub struct Golden {
    /// The file's name without its extension.
    pub name: String,
    /// Parameters (without running statistics), as timm counts them.
    pub parameters: usize,
    seed: u64,
    shape: Vec<usize>,
    network: Network,
    tensors: HashMap<String, Vec<f32>>,
}

/// Our outputs for a golden's input.
pub struct Outputs {
    logits: Vec<f32>,
    pre_logits: Vec<f32>,
    maps: Vec<(String, Tensor)>,
}

/// How many samples of each feature map are recorded.
const SAMPLES: usize = 256;

impl Golden {
    /// The goldens of an architecture: at an odd size and, if recorded, at its native size and with
    /// other numbers of channels and classes.
    pub fn all_of(architecture: &str) -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens");
        let mut goldens =
            vec![Self::read(&folder.join(format!("{architecture}.safetensors")), architecture)];
        let others = ["native", "in1", "in4"]
            .map(|suffix| folder.join(format!("{architecture}.{suffix}.safetensors")));
        let recorded = others.iter().filter(|path| path.exists());
        goldens.extend(recorded.map(|path| Self::read(path, architecture)));
        goldens
    }

    fn read(path: &PathBuf, architecture: &str) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap();
        assert_eq!(metadata["architecture"], architecture);
        let floats = |data: &[u8]| {
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
        };
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors =
            file.iter().map(|(name, view)| (name.to_owned(), floats(view.data()))).collect();
        let shape: Vec<usize> = metadata["input"].split('x').map(|n| n.parse().unwrap()).collect();
        let options = NetworkOptions {
            in_chans: shape[1],
            num_classes: metadata.get("num_classes").map_or(1000, |n| n.parse().unwrap()),
            ..NetworkOptions::default()
        };
        Self {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            parameters: metadata["parameters"].parse().unwrap(),
            seed: metadata["seed"].parse().unwrap(),
            shape,
            network: arch::find(architecture).unwrap().network(&options).unwrap(),
            tensors,
        }
    }

    /// The names of the architecture's tensors.
    pub fn tensor_names(&self) -> Vec<String> {
        self.shapes().into_iter().map(|(name, _)| name).collect()
    }

    /// Parameters of our network, without running statistics.
    pub fn parameter_count(&self) -> usize {
        let shapes = self.shapes();
        let parameters = shapes.iter().filter(|(name, _)| !name.contains("running_"));
        parameters.map(|(_, shape)| shape.iter().product::<usize>()).sum()
    }

    fn shapes(&self) -> Vec<(String, Vec<usize>)> {
        tensor_shapes(|vb| EfficientNet::new(&self.network, &vb)).unwrap()
    }

    fn input(&self) -> Tensor {
        Tensor::from_vec(seeded::images(self.seed, &self.shape), &*self.shape, &Device::Cpu)
            .unwrap()
    }

    fn weights(&self, mut edit: impl FnMut(&str, &mut [f32])) -> HashMap<String, Tensor> {
        let make = |(name, shape): (String, Vec<usize>)| {
            let mut values = seeded::tensor(self.seed, &name, &shape);
            edit(&name, &mut values);
            let tensor = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            (name, tensor)
        };
        self.shapes().into_iter().map(make).collect()
    }

    fn model(&self, weights: HashMap<String, Tensor>) -> EfficientNet {
        let vb = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        EfficientNet::new(&self.network, &vb).unwrap()
    }

    /// How far the logits are from the reference's when each of the tensors `names` is scaled, one at
    /// a time: the largest difference divided by the largest absolute value of the reference.
    ///
    /// If a norm would undo a scaling of the whole tensor before it, every other element is scaled.
    pub fn logits_moved_by_each<'a>(&self, names: &[&'a str], factor: f32) -> Vec<(&'a str, f64)> {
        let weights = self.weights(|_, _| {});
        let input = self.input();
        let normalizes = matches!(self.network.norm, Norm::GroupNorm { .. } | Norm::LayerNorm);
        let run = |&name: &&'a str| {
            let mut weights = weights.clone();
            let shape = weights[name].dims().to_vec();
            let undone = normalizes && shape.len() == 4 && !name.contains(".se.");
            let mut values: Vec<f32> = weights[name].flatten_all().unwrap().to_vec1().unwrap();
            values.iter_mut().step_by(if undone { 2 } else { 1 }).for_each(|v| *v *= factor);
            let scaled = Tensor::from_vec(values, shape, &Device::Cpu).unwrap();
            weights.insert(name.to_owned(), scaled);
            let logits = self.model(weights).forward(&input, false).unwrap();
            let logits: Vec<f32> = logits.flatten_all().unwrap().to_vec1().unwrap();
            let reference = &self.tensors["logits"];
            (name, max_difference(&logits, reference) / max_abs(reference))
        };
        names.iter().map(run).collect()
    }

    /// Compares all outputs, in the order of computation, and names the first that is off.
    pub fn compare(&self, outputs: &Outputs, tolerance: f64) -> Result<(), String> {
        for (name, map) in &outputs.maps {
            self.compare_map(name, map, tolerance)?;
        }
        let reference = max_abs(&self.tensors["pre_logits"]);
        self.check("pre_logits", &outputs.pre_logits, reference, tolerance)?;
        let reference = max_abs(&self.tensors["logits"]);
        self.check("logits", &outputs.logits, reference, tolerance)
    }

    fn compare_map(&self, name: &str, map: &Tensor, tolerance: f64) -> Result<(), String> {
        let reference = f64::from(self.tensors[&format!("{name}.max_abs")][0]);
        let (n, c, h, w) = map.dims4().unwrap();
        let flat: Vec<f32> = map.flatten_all().unwrap().to_vec1().unwrap();
        let places = seeded::Uniform::new(0, name);
        let samples: Vec<f32> = (0..SAMPLES)
            .map(|i| flat[((places.at(i) + 1.0) / 2.0 * flat.len() as f64) as usize])
            .collect();
        let mut channels = vec![0f64; c];
        let mut positions = vec![0f64; h * w];
        for (i, &value) in flat.iter().enumerate() {
            channels[i / (h * w) % c] += f64::from(value);
            positions[i % (h * w)] += f64::from(value);
        }
        let mean = |sums: Vec<f64>, count: usize| -> Vec<f32> {
            sums.into_iter().map(|sum| (sum / count as f64) as f32).collect()
        };
        self.check(&format!("{name}.samples"), &samples, reference, tolerance)?;
        let channels = mean(channels, n * h * w);
        self.check(&format!("{name}.channel_means"), &channels, reference, tolerance)?;
        let positions = mean(positions, n * c);
        self.check(&format!("{name}.position_means"), &positions, reference, tolerance)
    }

    fn check(&self, key: &str, ours: &[f32], scale: f64, tolerance: f64) -> Result<(), String> {
        let theirs = &self.tensors[key];
        if ours.len() != theirs.len() {
            let (a, b) = (ours.len(), theirs.len());
            return Err(format!("{}: first diverges at {key}: {a} values for {b}", self.name));
        }
        let difference = max_difference(ours, theirs);
        if difference <= tolerance * scale {
            return Ok(());
        }
        Err(format!(
            "{}: first diverges at {key}: by {difference:e} where {:e} is allowed",
            self.name,
            tolerance * scale
        ))
    }
}

impl Outputs {
    /// Our outputs on seeded weights, each tensor passed through `edit` first.
    pub fn seeded(golden: &Golden, edit: impl FnMut(&str, &mut [f32])) -> Self {
        let model = golden.model(golden.weights(edit));
        let (features, stages) = model.forward_intermediates(&golden.input(), true, false).unwrap();
        let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
        let head = |pre_logits| values(model.forward_head(&features, pre_logits, false).unwrap());
        let (logits, pre_logits) = (head(false), head(true));
        let mut maps: Vec<(String, Tensor)> =
            stages.into_iter().enumerate().map(|(i, s)| (format!("stages.{i}"), s)).collect();
        maps.push(("features".to_owned(), features));
        Self { logits, pre_logits, maps }
    }
}

fn max_abs(values: &[f32]) -> f64 {
    values.iter().fold(0.0, |max, v| f64::from(v.abs()).max(max))
}

/// The largest absolute difference; infinite if one is not a number.
fn max_difference(ours: &[f32], theirs: &[f32]) -> f64 {
    let differences = ours.iter().zip(theirs).map(|(a, b)| f64::from((a - b).abs()));
    differences.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { worst.max(d) })
}
