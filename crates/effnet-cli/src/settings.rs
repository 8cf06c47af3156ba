//! The library's errors name its own settings; users of the command have options instead.

/// What errors of the library name, and what the command has instead.
const OPTIONS: [(&str, &str); 26] = [
    ("`Limits::max_pixels`", "--max-pixels"),
    ("raise `Limits::max_alloc` if the file is to be trusted", "make the image smaller"),
    ("`DecodeOptions::lenient`", "--lenient"),
    ("`ModelBuilder::model(folder)`", "-m DIR"),
    ("`ModelBuilder::weights`", "--weights"),
    ("`ModelBuilder::num_classes`", "--num-classes"),
    ("`ModelBuilder::labels`", "--labels"),
    ("`Conversion::with_labels`", "--labels"),
    ("`ModelBuilder::activation`", "--activation"),
    ("`AnswerOptions::calibration`", "--calibration"),
    ("`AnswerOptions::coverage`", "--coverage"),
    ("`AnswerOptions::min_probability`", "--min-probability"),
    ("`AnswerOptions::roll_up`", "--roll-up"),
    ("`ModelBuilder::crop_mode`", "--crop-mode"),
    ("`ModelBuilder::crop_pct`", "--crop-pct"),
    ("`ModelBuilder::interpolation`", "--interpolation"),
    ("`ModelBuilder::mean`", "--mean"),
    ("`ModelBuilder::std`", "--std"),
    ("`Model::embed` returns them", "`effnet embed` writes them"),
    ("`Model::run` takes tensors", "`effnet forward` takes tensors"),
    ("write the file alone, with `Conversion::write`", "convert it without --folder"),
    ("`HubBuilder::cache_dir`", "--cache-dir"),
    ("`HubBuilder::offline`", "--offline"),
    ("`SourceOptions::image_column`", "--image-column"),
    ("no hub was given: set `Sources::hub`", "the hub cannot be opened: `effnet doctor` says why"),
    ("`SourceOptions::label_column`", "--label-column"),
];

/// A message with the command's options in place of the library's settings.
pub(super) fn as_options(message: &str) -> String {
    let mut message = message.to_owned();
    for (setting, option) in OPTIONS {
        if message.contains(setting) {
            message = message.replace(setting, option);
        }
    }
    message
}
