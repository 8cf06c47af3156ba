//! The library's errors name its own settings; whoever runs the command has options.

/// What errors of the library name, and what the command has in its place.
const OPTIONS: [(&str, &str); 19] = [
    ("`Limits::max_pixels`", "--max-pixels"),
    ("raise `Limits::max_alloc` if the file is to be trusted", "make the image smaller"),
    ("`DecodeOptions::lenient`", "--lenient"),
    ("`ClassifierBuilder::model(folder)`", "-m DIR"),
    ("`ClassifierBuilder::weights`", "--weights"),
    ("`ClassifierBuilder::num_classes`", "--num-classes"),
    ("`ClassifierBuilder::labels`", "--labels"),
    ("`Conversion::with_labels`", "--labels"),
    ("`ClassifierBuilder::activation`", "--activation"),
    ("`ClassifierBuilder::crop_mode`", "--crop-mode"),
    ("`ClassifierBuilder::crop_pct`", "--crop-pct"),
    ("`ClassifierBuilder::interpolation`", "--interpolation"),
    ("`ClassifierBuilder::mean`", "--mean"),
    ("`ClassifierBuilder::std`", "--std"),
    ("`Classifier::embed` returns them", "`effnet embed` writes them"),
    ("`Classifier::run` takes tensors", "`effnet forward` takes tensors"),
    ("write the file alone, with `Conversion::write`", "convert it without --folder"),
    ("`HubBuilder::cache_dir`", "--cache-dir"),
    ("`HubBuilder::offline`", "--offline"),
];

/// A message in the words of the command.
pub(super) fn as_options(message: &str) -> String {
    let mut message = message.to_owned();
    for (setting, option) in OPTIONS {
        if message.contains(setting) {
            message = message.replace(setting, option);
        }
    }
    message
}
