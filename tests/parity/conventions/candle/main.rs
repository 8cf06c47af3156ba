//! Records the tensors that candle-transformers' EfficientNet requests, as `record_names.py` does
//! for the Python libraries: `cargo run >> ../../../data/conventions/names.txt`.

use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use candle_transformers::models::efficientnet::{EfficientNet, MBConvConfig};
use sha2::{Digest, Sha256};

struct Probe(Arc<Mutex<Vec<String>>>);

impl SimpleBackend for Probe {
    fn get(&self, s: Shape, name: &str, _: Init, dtype: DType, on: &Device) -> Result<Tensor> {
        let sizes: Vec<_> = s.dims().iter().map(usize::to_string).collect();
        self.0.lock().unwrap().push(format!("{name} {}\n", sizes.join(" ")));
        Tensor::ones((), dtype, on)?.broadcast_as(s)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

fn main() -> Result<()> {
    type Config = fn() -> Vec<MBConvConfig>;
    let configs: [Config; 8] = [
        MBConvConfig::b0,
        MBConvConfig::b1,
        MBConvConfig::b2,
        MBConvConfig::b3,
        MBConvConfig::b4,
        MBConvConfig::b5,
        MBConvConfig::b6,
        MBConvConfig::b7,
    ];
    for (i, config) in configs.iter().enumerate() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let vb = VarBuilder::from_backend(Box::new(Probe(asked.clone())), DType::F32, Device::Cpu);
        EfficientNet::new(vb, config(), 1000)?;
        let mut lines = asked.lock().unwrap().clone();
        lines.sort();
        let digest = Sha256::digest(lines.concat().as_bytes());
        println!("candle-transformers efficientnet-b{i} {} {digest:x}", lines.len());
    }
    Ok(())
}
