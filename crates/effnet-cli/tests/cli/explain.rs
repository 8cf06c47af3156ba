//! `effnet explain`, and pictures of answers.

use std::path::Path;

use serde_json::Value;

use super::{ROOT, effnet, str};

const COFFEE: &str = "examples/images/coffee.png";

/// A PNG's width, height and RGB bytes.
fn png(path: &Path) -> (usize, usize, Vec<u8>) {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut data).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb);
    (info.width as usize, info.height as usize, data)
}

/// The commands at the top of docs/explain.md, with their outputs in a folder of the test.
#[test]
fn the_documents_commands_do_what_they_say() {
    let document = std::fs::read_to_string(Path::new(ROOT).join("docs/explain.md")).unwrap();
    let commands: Vec<&str> =
        document.lines().filter_map(|line| line.strip_prefix("    effnet explain ")).collect();
    assert_eq!(commands.len(), 8);
    let folder = tempfile::tempdir().unwrap();
    for command in commands {
        let mut arguments = vec!["explain".to_owned()];
        let mut is_output = false;
        for (i, part) in command.split('"').enumerate() {
            let words: Vec<&str> =
                if i % 2 == 1 { vec![part] } else { part.split_whitespace().collect() };
            for word in words {
                let path = folder.path().join(word);
                arguments.push(if is_output { str(&path).to_owned() } else { word.to_owned() });
                is_output = word == "-o";
            }
        }
        let run = effnet(&arguments);
        assert_eq!(run.code, 0, "{command}: {}", run.stderr);
        assert!(run.stderr.lines().all(|line| line.starts_with("note: skipped")), "{}", run.stderr);
        if command.ends_with("--format json") {
            let rows: Value = serde_json::from_str(&run.stdout).unwrap();
            assert_eq!(rows[0]["explanation"]["class"]["label"], "espresso");
        } else {
            assert_eq!(run.stdout, "", "{command}");
        }
    }
    let made = |name: &str| folder.path().join(name);
    for name in ["coffee.png", "tabby.png", "why.png", "fine.png", "hidden.png"] {
        png(&made(name));
    }
    let (width, height, whole) = png(&made("coffee.png"));
    assert_eq!(width, 600);
    assert!(height > 400, "there is room for text below the 400 rows of the image");
    // The same map, in a folder; other maps differ.
    assert_eq!(png(&made("maps/examples/images/coffee.png.png")).2, whole);
    assert_ne!(png(&made("why.png")).2, whole);
    assert_ne!(png(&made("fine.png")).2, whole);
    let sheet = std::fs::read_to_string(made("maps.html")).unwrap();
    let images = std::fs::read_dir(made("maps/examples/images")).unwrap().count();
    assert_eq!(sheet.matches("<article>").count(), images);
    assert_eq!(sheet.matches("data:image/jpeg;base64,").count(), 2 * images);
    assert!(!sheet.contains("http"), "the sheet needs nothing else");
}

fn explanation(arguments: &[&str]) -> Value {
    let run = effnet([&["explain", "--format", "jsonl"], arguments].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let row: Value = serde_json::from_str(run.stdout.trim()).unwrap();
    row["explanation"].clone()
}

fn numbers(explanation: &Value) -> Vec<f64> {
    explanation["map"].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn the_numbers_of_a_cam_sum_up_to_the_logit() {
    for more in [&[][..], &["--class", "967"], &["--class", "n07920052", "--versus", "soup bowl"]] {
        let made = explanation(&[&[COFFEE], more].concat());
        let map = numbers(&made);
        let mean = map.iter().sum::<f64>() / map.len() as f64;
        let (score, bias) = (made["score"].as_f64().unwrap(), made["bias"].as_f64().unwrap());
        assert!((mean + bias - score).abs() < 1e-3, "{mean} + {bias} != {score}");
        assert_eq!(made["class"]["index"], 967);
        let versus = made["versus"]["logit"].as_f64().unwrap_or(0.0);
        assert!((made["class"]["logit"].as_f64().unwrap() - versus - score).abs() < 1e-4);
    }
}

/// Three methods, which share little code, agree on where the cup is.
#[test]
fn methods_agree_on_the_place() {
    for method in ["cam", "grad-cam", "occlusion"] {
        let made = explanation(&[COFFEE, "--method", method]);
        let (map, width) = (numbers(&made), made["width"].as_u64().unwrap() as usize);
        let at = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0;
        let place = |side: &str, number: usize| {
            let places = &made[side];
            places["first"].as_f64().unwrap() + places["step"].as_f64().unwrap() * number as f64
        };
        let (x, y) = (place("columns", at % width), place("rows", at / width));
        // The coffee in the cup.
        assert!((220.0..390.0).contains(&x) && (90.0..290.0).contains(&y), "{method}: ({x}, {y})");
    }
}

#[test]
fn what_cannot_be_explained_is_said() {
    let error = |arguments: &[&str], code: i32| {
        let run = effnet([&["explain", COFFEE], arguments].concat());
        assert_eq!((run.code, &*run.stdout), (code, ""), "{}", run.stderr);
        run.only_error().to_owned()
    };
    assert!(error(&[], 2).contains("--output"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.png");
    let png = ["-o", str(&out)];
    assert!(error(&["examples/images", "-o", str(&out)], 2).contains("name a folder"));
    let small = ["-m", "mobilenetv3_small_050", "--weights", "seeded:0"];
    let text = error(&[&small[..], &["--method", "cam"], &png].concat(), 2);
    assert!(text.ends_with("use the method grad-cam"), "{text}");
    let text = error(&[&["--class", "expresso"], &png[..]].concat(), 2);
    assert!(text.contains("did you mean \"espresso\"?"), "{text}");
    let text = error(&[&["--class", "espresso", "--versus", "967"], &png[..]].concat(), 2);
    assert!(text.contains("compared with itself"), "{text}");
    let text = error(&[&["--stage", "stages.7"], &png[..]].concat(), 2);
    assert!(text.contains("stages.0, stages.1"), "{text}");
    let text = error(&[&["--stage", "stages.1", "--method", "cam"], &png[..]].concat(), 2);
    assert!(text.contains("--stage goes with --method grad-cam"), "{text}");
    assert!(!out.exists());
    // The others go on.
    let sheet = folder.path().join("out.html");
    let broken = "examples/images/README.md";
    let run = effnet(["explain", broken, COFFEE, "-o", str(&sheet)]);
    assert_eq!(run.code, 1);
    assert!(run.only_error().contains("README.md"));
    let html = std::fs::read_to_string(&sheet).unwrap();
    assert_eq!((html.matches("class=\"error\"").count(), html.matches("<ol>").count()), (1, 1));
}

#[test]
fn answers_are_drawn_on_images() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = folder.path().join("pictures");
    let run = effnet(["classify", COFFEE, "--save-images", str(&pictures), "--format", "jsonl"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("espresso"));
    let (width, height, data) = png(&pictures.join("examples/images/coffee.png.png"));
    assert_eq!(width, 600);
    assert!(height > 500);
    // Above the answer, the image itself.
    let preprocessed = folder.path().join("pixels.safetensors");
    let whole = ["--img-size", "400x600", "--crop-pct", "1", "--crop-mode", "squash"];
    let run = effnet([&["preprocess", COFFEE, "-o", str(&preprocessed)], &whole[..]].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    let bytes = std::fs::read(&preprocessed).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let pixels = tensors.tensor("pixels").unwrap();
    assert_eq!(pixels.data(), &data[..600 * 400 * 3]);
    assert!(data[600 * 400 * 3..].chunks_exact(3).any(|pixel| pixel == [0xF2, 0xF4, 0xF7]));
    // Pictures go with files of results too.
    let rows = folder.path().join("rows.csv");
    let again = folder.path().join("again");
    let run = effnet(["classify", COFFEE, "-o", str(&rows), "--save-images", str(&again)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(png(&again.join("examples/images/coffee.png.png")).2, data);
}

#[test]
fn a_contact_sheet_is_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("<b>&.html");
    let arguments = ["classify", COFFEE, "examples/images/README.md", "-k", "2"];
    let run = effnet([&arguments[..], &["-o", str(&file)]].concat());
    assert_eq!((run.code, &*run.stdout), (1, ""), "{}", run.stderr);
    let html = std::fs::read_to_string(&file).unwrap();
    let stdout = effnet([&arguments[..], &["--format", "html"]].concat()).stdout;
    assert_eq!(html, stdout);
    assert_eq!(html.matches("<article>").count(), 2);
    assert_eq!(html.matches("data:image/jpeg;base64,").count(), 1);
    assert_eq!(html.matches("<li>").count(), 2);
    assert!(html.contains("<span>espresso</span><b>95.1%</b>"), "the label and its probability");
    assert!(html.contains("2 images, 1 failed"));
    assert!(!html.contains("http"), "the sheet needs nothing else");
    for more in [["--resume"].as_slice(), &["--shard", "1/2"]] {
        let run = effnet([&["classify", COFFEE, "-o", str(&file)], more].concat());
        assert_eq!(run.code, 2);
        assert!(run.only_error().contains("cannot be resumed or split"));
    }
}

/// Names and labels come from files: in a page they are text.
#[test]
fn a_sheet_shows_markup_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let image = std::fs::read(Path::new(ROOT).join(COFFEE)).unwrap();
    let path = super::write(&folder, "<script>alert(1)<b>.png", image);
    let labels = super::write(&folder, "labels.txt", "<i>a\nb\" & c");
    let model = ["-m", "efficientnet_lite0", "--weights", "seeded:0", "--num-classes", "2"];
    let labels = ["--labels", str(&labels), "--format", "html"];
    let run = effnet([&["classify", str(&path)], &model[..], &labels].concat());
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("&lt;script&gt;alert(1)&lt;b&gt;.png"));
    assert!(run.stdout.contains("&lt;i&gt;a") && run.stdout.contains("b&quot; &amp; c"));
    assert!(!run.stdout.contains("<script"));
}
