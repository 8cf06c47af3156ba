use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use effnet::unstable::file_name;
use effnet::weights::{NamedTensor, Values, write_safetensors};

use super::Status;
use super::decoding::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::complain;
use super::preprocessing::PreprocessingArgs;
use super::sources::{SourceArgs, tell_passed_over};

/// Write images as a network would see them
///
/// `pixels` (N, H, W, C) u8 after resize and crop, `input` (N, C, H, W) f32 after normalization.
/// If one image fails, nothing is written.
#[derive(Debug, Args)]
pub(super) struct Preprocess {
    #[command(flatten)]
    images: SourceArgs,
    /// File to write
    #[arg(short, long, value_name = "FILE.safetensors")]
    output: PathBuf,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    preprocessing: PreprocessingArgs,
    #[command(flatten)]
    decode: DecodeArgs,
}

impl Preprocess {
    pub(super) fn run(self) -> Result<Status> {
        let images = self.images.with_hub_of(&self.model);
        let options = self.decode.options();
        let preprocessor =
            self.model.preprocessor(|b| self.preprocessing.apply(b.decode_options(options)))?;
        let transform = preprocessor.transform();
        let (channels, height, width) = transform.config().input_size;
        let (mut pixels, mut input) = (Vec::new(), Vec::new());
        let mut done = Status::All;
        let mut n = 0;
        let mut images = images.open();
        for image in &mut images {
            match preprocessor.pixels(&image) {
                Ok(image) => {
                    n += 1;
                    let start = input.len();
                    input.resize(start + transform.input_len(), 0.0);
                    transform.normalize(&image, &mut input[start..])?;
                    pixels.extend_from_slice(image.data());
                }
                Err(error) => {
                    done = Status::Some;
                    complain(&format!("error: {error}"));
                }
            }
        }
        tell_passed_over(&images);
        if done == Status::Some {
            complain(&format!("error: {} is not written", file_name(&self.output)));
            return Ok(done);
        }
        let tensors = [
            NamedTensor {
                name: "pixels",
                shape: &[n, height, width, channels],
                values: Values::U8(&pixels),
            },
            NamedTensor {
                name: "input",
                shape: &[n, channels, height, width],
                values: Values::F32(&input),
            },
        ];
        write_safetensors(&self.output, &tensors, &BTreeMap::new())?;
        Ok(done)
    }
}
