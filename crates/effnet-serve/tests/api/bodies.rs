//! Every kind of body, and the same JSON as the library's.

use effnet::batcher::{BatcherOptions, Batching};
use effnet_serve::Limits;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::support::{Running, error, library, loaded, photograph, spec};

const IMAGES: [&str; 4] = ["coffee.png", "rocket.jpg", "camera.png", "chelsea.png"];

/// Standard base64.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn form<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Form {
    files.into_iter().fold(Form::new(), |form, (name, bytes)| {
        form.part("file", Part::bytes(bytes).file_name(name.to_owned()))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_and_every_batch_give_the_librarys_json() {
    let library = library("tiny");
    let record = |name: &str, file: &str| {
        let record = library.record(name, library.classify(photograph(file), 3));
        serde_json::to_string(&record).unwrap()
    };
    let embedding = |name: &str, file: &str| {
        let record = library.embedding_record(name, library.embed(photograph(file)));
        serde_json::to_string(&record).unwrap()
    };
    type Records<'a> = &'a dyn Fn(&str, &str) -> String;
    let list = |of: Records<'_>| {
        let records: Vec<String> = IMAGES.iter().map(|file| of(file, file)).collect();
        format!("[{}]", records.join(","))
    };
    for batching in [Batching::Never, Batching::Always] {
        let mut options = BatcherOptions::default();
        options.batching = batching;
        let running = Running::with(loaded(options, [spec("tiny")]).await, Limits::default()).await;
        let of: [(&str, Records<'_>); 2] =
            [("/classify?k=3", &record), ("/embed?model=tiny", &embedding)];
        for (path, of) in of {
            let text = async |request: reqwest::RequestBuilder| {
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200);
                let timing = response.headers()["server-timing"].to_str().unwrap().to_owned();
                let parts: Vec<&str> =
                    timing.split(", ").map(|part| part.split(";dur=").next().unwrap()).collect();
                assert_eq!(parts, ["queue", "decode", "preprocess", "infer"], "{timing}");
                response.text().await.unwrap()
            };
            let coffee = photograph("coffee.png");
            let raw = text(running.post(path).body(coffee.clone())).await;
            assert_eq!(raw, of("image", "coffee.png"));
            let typed = running.post(path).header("Content-Type", "image/png").body(coffee.clone());
            assert_eq!(text(typed).await, raw);
            let one = json!({ "image": base64(&coffee) });
            assert_eq!(text(running.post(path).json(&one)).await, raw);
            let files = form(IMAGES.map(|file| (file, photograph(file))));
            assert_eq!(text(running.post(path).multipart(files)).await, list(of));
            let images = IMAGES
                .map(|file| json!({ "name": file, "data": base64(&photograph(file)) }))
                .to_vec();
            let many = json!({ "images": images });
            assert_eq!(text(running.post(path).json(&many)).await, list(of));
            let unnamed = json!({ "images": [base64(&coffee)] });
            assert_eq!(text(running.post(path).json(&unnamed)).await, format!("[{raw}]"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_images_than_the_queue_holds_are_answered_in_order() {
    let library = library("tiny");
    let files: Vec<&str> = IMAGES.into_iter().cycle().take(11).collect();
    let broken = 5;
    for (queue, batch) in [(1, 16), (3, 2), (2, 4)] {
        let mut options = BatcherOptions::default();
        (options.max_queue_size, options.max_batch_size) = (queue, batch);
        let running = Running::with(loaded(options, [spec("tiny")]).await, Limits::default()).await;
        let images = files.iter().enumerate().map(|(place, file)| {
            let bytes = if place == broken { b"text".to_vec() } else { photograph(file) };
            json!({ "name": format!("{place} {file}"), "data": base64(&bytes) })
        });
        let body = json!({ "images": images.collect::<Vec<_>>() });
        let answer = running.post("/classify?k=3").json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let records: Vec<effnet::Record> = answer.json().await.unwrap();
        assert_eq!(records.len(), files.len());
        for (place, (record, file)) in records.iter().zip(&files).enumerate() {
            assert_eq!(record.image, format!("{place} {file}"));
            match &record.outcome {
                effnet::Outcome::Error(_) => assert_eq!(place, broken),
                effnet::Outcome::Predictions(found) => {
                    assert_ne!(place, broken);
                    assert_eq!(found, &library.classify(photograph(file), 3).unwrap().classes);
                }
            }
        }
    }
}

#[tokio::test]
async fn settings_come_from_the_query_the_form_or_the_json() {
    let running = Running::tiny().await;
    let rocket = || photograph("rocket.jpg");
    let classes = async |request: reqwest::RequestBuilder| {
        let mut body: Value = request.send().await.unwrap().json().await.unwrap();
        if body.is_array() {
            body = body[0].take();
        }
        body["predictions"].as_array().unwrap_or_else(|| panic!("{body}")).len()
    };
    let form = || form([("a", rocket())]);
    assert_eq!(classes(running.post("/classify").body(rocket())).await, 5);
    assert_eq!(classes(running.post("/classify?model=tiny&k=2").body(rocket())).await, 2);
    assert_eq!(classes(running.post("/classify?k=99999").body(rocket())).await, 1000);
    let asked = form().text("k", "3").text("model", "tiny");
    assert_eq!(classes(running.post("/classify").multipart(asked)).await, 3);
    let asked = json!({ "image": base64(&rocket()), "k": 4, "model": "tiny" });
    assert_eq!(classes(running.post("/classify").json(&asked)).await, 4);
}

#[tokio::test]
async fn one_broken_image_of_many_has_its_own_error() {
    let running = Running::tiny().await;
    let coffee = photograph("coffee.png");
    let cut = coffee[..coffee.len() / 2].to_vec();
    let files = form([("a.png", coffee), ("b.txt", b"text".to_vec()), ("c.png", cut)]);
    let response = running.post("/classify").multipart(files).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let body: Value = response.json().await.unwrap();
    let names: Vec<&str> =
        body.as_array().unwrap().iter().map(|one| one["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.png", "b.txt", "c.png"]);
    assert!(body[0]["predictions"].is_array() && body[0].get("error").is_none());
    assert!(body[1]["error"].as_str().unwrap().contains("not an image of a known format"));
    let says =
        "image: the PNG file is truncated: it ends before its last pixel; send the whole file";
    assert_eq!(body[2], json!({ "image": "c.png", "model": "tiny", "error": says }));
}

#[tokio::test]
async fn a_wrong_request_says_what_is_wrong_with_it() {
    let mut limits = Limits::default();
    (limits.max_body, limits.max_images) = (100_000, 2);
    let models = loaded(BatcherOptions::default(), [spec("tiny"), headless()]).await;
    let running = Running::with(models, limits).await;
    let post = |path: &str| running.post(path);
    let json = |body: Value| post("/classify").json(&body);
    let three = || form([("a", vec![0]), ("b", vec![1]), ("c", vec![2])]);
    let broken = |body: &'static str| {
        post("/classify").header("Content-Type", "multipart/form-data; boundary=x").body(body)
    };
    for (request, status, says) in [
        (
            post("/classify?k=0").body("x"),
            400,
            r#"the query: k is "0", but must be a whole number from 1"#,
        ),
        (post("/classify?k=-1").body("x"), 400, r#"k is "-1""#),
        (post("/classify?top=3").body("x"), 400, r#"the query has "top", which is not a setting"#),
        (post("/classify?k=1&k=2").body("x"), 400, "the query gives k a second time"),
        (post("/embed?k=1").body("x"), 400, "an embedding has no k"),
        (
            post("/classify?model=b0").body("x"),
            404,
            r#"no model "b0": the server was started with headless, tiny"#,
        ),
        (post("/classify?model=headless").body("x"), 400, "has no classifier: POST /embed"),
        (json(json!({})), 400, "has no image: give `image`"),
        (json(json!({ "images": [] })), 400, "has no image"),
        (json(json!({ "image": "", "images": [""] })), 400, "give one of them"),
        (json(json!({ "image": "", "top_k": 3 })), 400, "unknown field `top_k`"),
        (json(json!({ "image": "", "k": 0 })), 400, "invalid value: integer `0`"),
        (json(json!({ "image": 3 })), 400, "expected base64, or an object with `data`"),
        (json(json!({ "images": ["", "a b"] })), 400, "images[1] is not standard base64"),
        (json(json!({ "image": { "data": "?" } })), 400, "image.data is not standard base64"),
        (json(json!({ "images": ["", "", ""] })), 413, "more than 2 images"),
        (
            post("/classify?k=1").json(&json!({ "image": "", "k": 1 })),
            400,
            "the JSON body gives k a second time",
        ),
        (
            post("/classify").header("Content-Type", "application/json").body("{"),
            400,
            "line 1 column 1",
        ),
        (post("/classify").multipart(Form::new().text("k", "3")), 400, "the form has no image"),
        (
            post("/classify").multipart(Form::new().text("file", "3")),
            400,
            r#"(an image's part needs a file name) has "file""#,
        ),
        (post("/classify").multipart(three()), 413, "more than 2 images"),
        (broken("--x\r\n"), 400, "the form is broken"),
        (broken("--y\r\n"), 400, "the form is broken"),
        (post("/classify").header("Content-Type", "multipart/form-data").body(""), 400, "boundary"),
        (post("/classify").body("x".repeat(100_001)), 413, "limit of 100000 bytes"),
        (
            post("/classify").multipart(form([("a", vec![0; 100_001])])),
            413,
            "limit of 100000 bytes",
        ),
        (post("/classify").body("text"), 422, "image: not an image of a known format"),
        (post("/classify").body(""), 422, "image: the file is empty"),
        (post("/classify").body("P6 65535 65535 255\n"), 413, "send a smaller image"),
        (running.get("/classify"), 405, "/classify takes no GET"),
        (running.get("/clasify"), 404, "nothing is at /clasify"),
    ] {
        let (found, error) = error(request.send().await.unwrap()).await;
        assert_eq!(found, status, "{says}: {error}");
        assert!(error.contains(says) && error.lines().count() == 1, "{says}: {error}");
        assert!(!error.contains("::"), "{error} names the library's settings");
    }
    // Nothing announces the length of these.
    for kind in ["image/png", "multipart/form-data; boundary=x", "application/json"] {
        let body = match kind {
            "image/png" | "application/json" => "x".repeat(200_000),
            _ => format!(
                "--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n{}",
                "x".repeat(200_000)
            ),
        };
        let answer = running.chunked("/classify", kind, body.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{kind}: {answer}");
        assert!(answer.contains("limit of 100000 bytes"), "{kind}: {answer}");
    }
}

fn headless() -> effnet_serve::ModelSpec {
    let mut spec = spec("headless");
    spec.num_classes = Some(0);
    spec
}

#[tokio::test]
async fn what_an_error_quotes_is_short() {
    let running = Running::tiny().await;
    let long = "\0".repeat(100_000);
    for request in [
        running.post("/classify").json(&json!({ "image": "", "model": long })),
        running.post("/classify").multipart(Form::new().text("model", long.clone())),
        running.post("/classify").multipart(Form::new().text("k", long.clone())),
        running.post("/classify").json(&json!({ (long.clone()): "" })),
    ] {
        let response = request.send().await.unwrap();
        assert!(response.status().is_client_error());
        let body = response.bytes().await.unwrap();
        assert!(body.len() < 20_000, "{} bytes", body.len());
    }
}

#[tokio::test]
async fn the_head_of_a_part_has_a_size() {
    let running = Running::tiny().await;
    let form = |name: usize, preamble: usize| {
        let (name, preamble) = ("n".repeat(name), "p".repeat(preamble));
        let head = format!(
            "{preamble}\r\n--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n"
        );
        [head.as_bytes(), &photograph("rocket.jpg"), b"\r\n--x--\r\n"].concat()
    };
    let kind = "multipart/form-data; boundary=x";
    for (form, status) in [
        (form(10_000, 0), "200"),
        (form(0, 10_000), "200"),
        (form(1_000_000, 0), "400"),
        (form(0, 1_000_000), "400"),
    ] {
        let answer = running.chunked("/classify?k=1", kind, &form).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        let says = "the form is broken: a part's head has more than 16384 bytes";
        assert_eq!(answer.contains(says), status == "400", "{answer}");
    }
}
