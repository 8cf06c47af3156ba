//! Names, versions, loads and unloads, swaps under load, the memory budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use effnet::Model;
use effnet::batcher::{BatcherOptions, Request};
use effnet_serve::{ApiError, Limits, LoadError, ModelSpec, ModelState, Models, ModelsOptions};
use serde_json::{Value, json};

use crate::support::{
    Gate, Running, TINY, builder, error, library, loaded, photograph, spec, write_weights,
};

#[tokio::test]
async fn a_model_has_its_full_name_or_the_one_that_it_is_given() {
    let mut unnamed: ModelSpec = TINY.parse().unwrap();
    unnamed.weights = Some("seeded:1".into());
    let running = Running::with(
        loaded(BatcherOptions::default(), [spec("mine"), unnamed]).await,
        Limits::default(),
    )
    .await;
    let models = running.json("/models").await;
    let full = builder("").describe().unwrap().model;
    assert!(full.starts_with("test_efficientnet."), "{full}");
    assert_eq!(
        models,
        json!([
            { "name": "mine", "version": "1", "state": "ready", "default": true, "architecture": TINY,
              "tag": "r160_in1k", "classes": 1000, "features": 256, "input_size": [3, 160, 160],
              "labels": true, "error": null },
            { "name": full, "version": "1", "state": "ready", "default": false, "architecture": TINY,
              "tag": "r160_in1k", "classes": 1000, "features": 256, "input_size": [3, 160, 160],
              "labels": true, "error": null },
        ])
    );
    let rocket = photograph("rocket.jpg");
    for (path, name) in
        [("/embed", "mine".to_owned()), (&*format!("/embed?model={full}"), full.clone())]
    {
        let record: Value =
            running.post(path).body(rocket.clone()).send().await.unwrap().json().await.unwrap();
        assert_eq!(record["model"], json!(name));
    }
}

#[tokio::test]
async fn the_same_name_again_is_the_next_version() {
    let mut second = spec("a");
    second.weights = Some("seeded:1".into());
    let models = loaded(BatcherOptions::default(), [spec("a"), second]).await;
    let versions = |models: &Models| -> Vec<String> {
        models.all().iter().map(|loaded| loaded.version.clone()).collect()
    };
    let embedding = async |version: Option<&str>| {
        let loaded = models.get(Some("a"), version).unwrap();
        loaded.batcher.embed(Request::encoded(photograph("rocket.jpg"))).await.unwrap().0
    };
    assert_eq!(versions(&models), ["1", "2"]);
    let (first, second) = (embedding(Some("1")).await, embedding(Some("2")).await);
    assert_ne!(first, second);
    assert_eq!(embedding(None).await, second);
    let error = models.get(Some("a"), Some("3")).unwrap_err().to_string();
    assert_eq!(error, "model a has no version \"3\": it has 1, 2");
    // The same again, as the next two versions.
    models.load("a").await.unwrap();
    assert_eq!(versions(&models), ["3", "4"]);
    assert_eq!((embedding(Some("3")).await, embedding(None).await), (first, second));
    let defaults: Vec<bool> = models.status().iter().map(|status| status.is_default).collect();
    assert_eq!(defaults, [false, true]);
}

#[tokio::test]
async fn only_what_was_configured_can_be_loaded_and_a_failure_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    let mut later = spec("later");
    (later.weights, later.on_demand) = (Some((&file).into()), true);
    let models = loaded(BatcherOptions::default(), [spec("first"), later]).await;
    let running = Running::with(models.clone(), Limits::default()).await;
    let state =
        |models: &Models| models.status().into_iter().find(|model| model.name == "later").unwrap();
    let rocket = photograph("rocket.jpg");
    let ask = async || {
        let request = running.post("/classify?model=later").body(rocket.clone());
        error(request.send().await.unwrap()).await
    };
    assert_eq!(state(&models).state, ModelState::Unloaded);
    assert!(models.is_ready(), "it is for later");
    assert_eq!(ask().await.0, 404);

    let unknown = models.load("other").await.unwrap_err();
    assert!(matches!(&unknown, LoadError::Unknown { name, .. } if name == "other"), "{unknown}");
    assert_eq!(ApiError::from(unknown).status, 404);
    let missing = models.load("later").await.unwrap_err();
    assert!(missing.to_string().contains(file.to_str().unwrap()), "{missing}");
    let failed = state(&models);
    assert_eq!(failed.state, ModelState::Failed);
    let says = failed.error.unwrap();
    assert!(says.contains("weights.safetensors"), "{says}");
    assert!(
        !says.contains(folder.path().to_str().unwrap()),
        "{says} says where the server's files are"
    );
    let says = ask().await;
    assert_eq!(says, (503, "model later could not be loaded: GET /models says why".to_owned()));

    write_weights(&file, 3);
    models.load("later").await.unwrap();
    std::fs::write(&file, "no weights").unwrap();
    models.load("later").await.unwrap_err();
    let kept = state(&models);
    assert_eq!((kept.state, kept.error.is_some()), (ModelState::Ready, true));
    assert_eq!(kept.loaded.unwrap().version, "1");
    let answer = running.post("/classify?model=later").body(rocket.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 200);

    models.unload("later").await.unwrap();
    assert_eq!(state(&models).state, ModelState::Unloaded);
    assert_eq!(ask().await.0, 404);
    write_weights(&file, 3);
    let again = models.load("later").await.unwrap();
    assert_eq!(again[0].version, "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_finish_on_a_model_that_was_unloaded() {
    let gate = Gate::default();
    let running = Arc::new(Running::of_engine(gate.clone(), |_, _| ()).await);
    let asked = tokio::spawn({
        let running = Arc::clone(&running);
        async move {
            let request = running.post("/classify").body(photograph("coffee.png"));
            request.send().await.unwrap().status()
        }
    });
    gate.is_reached().await;
    let models = running.server.models();
    models.unload("mock").await.unwrap();
    assert!(models.all().is_empty());
    gate.open();
    assert_eq!(asked.await.unwrap(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_under_load_loses_no_request_and_gives_no_wrong_answer() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("weights.safetensors");
    write_weights(&file, 0);
    let mut swapped = spec("tiny");
    swapped.weights = Some((&file).into());
    let running =
        Running::with(loaded(BatcherOptions::default(), [swapped]).await, Limits::default()).await;
    let rocket = photograph("rocket.jpg");
    let answers = [0, 1].map(|seed| {
        let model = builder("tiny").weights(format!("seeded:{seed}")).build_classifier().unwrap();
        let record = model.record("image", model.classify(&rocket, 5));
        serde_json::to_string(&record).unwrap()
    });
    assert_ne!(answers[0], answers[1]);
    let (running, answers) = (Arc::new(running), Arc::new(answers));
    // How many loads have begun and have ended.
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (running, answers, rocket) =
                (Arc::clone(&running), Arc::clone(&answers), rocket.clone());
            let (begun, ended) = (Arc::clone(&begun), Arc::clone(&ended));
            let is_over = Arc::clone(&is_over);
            tokio::spawn(async move {
                let mut seen = [0, 0];
                while !is_over.load(SeqCst) {
                    let first = ended.load(SeqCst);
                    let response =
                        running.post("/classify").body(rocket.clone()).send().await.unwrap();
                    assert_eq!(response.status(), 200);
                    let answer = response.text().await.unwrap();
                    let last = begun.load(SeqCst);
                    // Load n gives the weights of seed n % 2.
                    let right = (first..=last).find(|load| answers[load % 2] == answer);
                    let right = right.unwrap_or_else(|| panic!("{first} to {last}: {answer}"));
                    seen[right % 2] += 1;
                }
                seen
            })
        })
        .collect();
    for load in 1..=8 {
        write_weights(&file, load % 2);
        begun.fetch_add(1, SeqCst);
        let new = running.server.models().load("tiny").await.unwrap();
        assert_eq!(new[0].version, (load + 1).to_string());
        ended.fetch_add(1, SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    is_over.store(true, SeqCst);
    let mut seen = [0, 0];
    for client in clients {
        let of_one = client.await.unwrap();
        seen = [seen[0] + of_one[0], seen[1] + of_one[1]];
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[tokio::test]
async fn the_threads_of_a_swapped_model_end() {
    let models = loaded(BatcherOptions::default(), [spec("tiny")]).await;
    let old = models.get(None, None).unwrap();
    let weak = Arc::downgrade(&old);
    models.load("tiny").await.unwrap();
    // A request that still has the old one is answered.
    let request = Request::encoded(photograph("rocket.jpg"));
    let (predictions, _) = old.batcher.classify(request, 5).await.unwrap();
    assert_eq!(predictions, library("tiny").classify(photograph("rocket.jpg"), 5).unwrap());
    drop(old);
    assert!(weak.upgrade().is_none());
}

#[tokio::test]
async fn a_load_over_the_budget_is_refused_before_anything_is_read() {
    let mut options = ModelsOptions::default();
    // Enough for two of them.
    (options.max_memory, options.batcher.max_batch_size) = (Some(6_000_000), 1);
    let mut broken = spec("broken");
    broken.on_demand = true;
    let models = loaded(options, [spec("a"), spec("b"), broken]).await;
    let refused = models.load("broken").await.unwrap_err();
    let LoadError::Memory { bytes, used, most: 6_000_000, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(used, 2 * bytes);
    let says = refused.to_string();
    let numbers = [bytes, used, 6_000_000].map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    assert!(numbers.iter().all(|number| says.contains(number)), "{says}");
    assert_eq!(ApiError::from(refused).status, 409);
    // Both versions of a model that is loaded anew count.
    assert!(matches!(models.load("a").await.unwrap_err(), LoadError::Memory { .. }));
    models.unload("b").await.unwrap();
    models.load("a").await.unwrap();
    models.load("broken").await.unwrap();
}

#[tokio::test]
async fn a_folder_gives_a_name_without_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("flowers");
    std::fs::create_dir(&model).unwrap();
    let config = json!({ "architecture": TINY, "num_classes": 1000 });
    std::fs::write(model.join("config.json"), config.to_string()).unwrap();
    write_weights(&model.join("model.safetensors"), 0);
    let spec: ModelSpec = model.to_str().unwrap().parse().unwrap();
    let models = loaded(ModelsOptions::default(), [spec]).await;
    assert_eq!(
        models.get(Some("flowers"), Some("1")).unwrap().batcher.model().provenance().model,
        "flowers"
    );
}

#[tokio::test]
async fn a_drain_answers_what_waits_and_takes_no_more() {
    let models = loaded(BatcherOptions::default(), [spec("tiny")]).await;
    let running = Running::with(models.clone(), Limits::default()).await;
    let ready = async || running.get("/health/ready").send().await.unwrap().status().as_u16();
    assert_eq!(ready().await, 200);
    models.begin_drain();
    assert_eq!(ready().await, 503);
    let rocket = photograph("rocket.jpg");
    let ask = || running.post("/classify").body(rocket.clone()).send();
    assert_eq!(ask().await.unwrap().status(), 200);
    models.drain().await;
    let refused = ask().await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(error(refused).await.0, 503);
    assert!(matches!(models.load("tiny").await.unwrap_err(), LoadError::Draining));
    assert_eq!(running.get("/health/live").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_server_is_ready_when_its_models_are_loaded() {
    let models = Models::new(BatcherOptions::default());
    models.add(spec("tiny")).unwrap();
    let running = Running::with(models.clone(), Limits::default()).await;
    let (status, says) = error(running.get("/health/ready").send().await.unwrap()).await;
    assert_eq!(status, 503);
    assert!(says.starts_with("not ready"), "{says}");
    models.load_all().await.unwrap();
    assert_eq!(running.json("/health/ready").await, json!({ "status": "ready" }));
    // Whoever unloads a model knows that it is gone.
    models.unload("tiny").await.unwrap();
    assert!(models.is_ready());
}

#[tokio::test]
async fn settings_of_all_models_reach_each() {
    let mut options = ModelsOptions::default();
    options.builder = Model::builder().threads(1);
    let models = loaded(options, [spec("a"), spec("b")]).await;
    for loaded in models.all() {
        assert_eq!(loaded.batcher.model().engine().capabilities().threads, 1);
    }
}
