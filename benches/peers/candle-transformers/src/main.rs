//! Times candle-transformers' EfficientNet: `candle-transformers-bench efficientnet_b0 SIZE BATCH SECONDS`
//! prints the milliseconds of each pass, one per line. `RAYON_NUM_THREADS` limits its threads.

use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use candle_nn::{Module, VarBuilder, VarMap};
use candle_transformers::models::efficientnet::{EfficientNet, MBConvConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [model, size, batch, seconds] = args.as_slice() else {
        return Err("usage: candle-transformers-bench MODEL SIZE BATCH SECONDS".into());
    };
    let configs = [
        MBConvConfig::b0,
        MBConvConfig::b1,
        MBConvConfig::b2,
        MBConvConfig::b3,
        MBConvConfig::b4,
        MBConvConfig::b5,
        MBConvConfig::b6,
        MBConvConfig::b7,
    ];
    let number = model.strip_prefix("efficientnet_b").and_then(|n| n.parse::<usize>().ok());
    let config = number.and_then(|n| configs.get(n)).ok_or("models are efficientnet_b0 to b7")?;
    let (size, batch): (usize, usize) = (size.parse()?, batch.parse()?);
    let seconds = Duration::from_secs_f64(seconds.parse()?);

    let weights = VarMap::new();
    let vb = VarBuilder::from_varmap(&weights, DType::F32, &Device::Cpu);
    let model = EfficientNet::new(vb, config(), 1000)?;
    let images = Tensor::randn(0f32, 1., (batch, 3, size, size), &Device::Cpu)?;
    model.forward(&images)?;
    let end = Instant::now() + seconds;
    loop {
        let start = Instant::now();
        model.forward(&images)?;
        println!("{}", start.elapsed().as_secs_f64() * 1e3);
        if Instant::now() >= end {
            break;
        }
    }
    Ok(())
}
