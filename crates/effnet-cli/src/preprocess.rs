use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use effnet::unstable::file_name;
use effnet::weights::{NamedTensor, Values, write_safetensors};

use super::Status;
use super::found::ImageArgs;
use super::images::DecodeArgs;
use super::model_args::ModelArgs;
use super::output::complain;
use super::preprocessing::PreprocessingArgs;

/// Write images as a network would see them
///
/// `pixels` (N, H, W, C) u8 after resize and crop, `input` (N, C, H, W) f32 after normalization.
/// If one image fails, nothing is written.
#[derive(Debug, Args)]
pub(super) struct Preprocess {
    #[command(flatten)]
    images: ImageArgs,
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
        let found = self.images.find();
        let images = &found.images;
        let options = self.decode.options();
        let preprocessor =
            self.model.preprocessor(|b| self.preprocessing.apply(b.decode_options(options)))?;
        let transform = preprocessor.transform();
        let (channels, height, width) = transform.config().input_size;
        let (mut pixels, mut input) = (Vec::new(), Vec::new());
        let mut done = Status::All;
        for failed in found.failed() {
            done = Status::Some;
            complain(&format!("error: {}", failed.error()));
        }
        for image in images {
            match preprocessor.pixels(image) {
                Ok(image) => {
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
        if done == Status::Some {
            complain(&format!("error: {} is not written", file_name(&self.output)));
            return Ok(done);
        }
        let n = images.len();
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
