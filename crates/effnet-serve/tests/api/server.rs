//! What the server says about itself.

use serde_json::{Value, json};

use crate::support::{Running, photograph};

#[tokio::test]
async fn info_says_what_the_server_is() {
    let running = Running::tiny().await;
    let info = running.json("/info").await;
    assert_eq!(
        (&info["name"], &info["version"]),
        (&json!("effnet"), &json!(env!("CARGO_PKG_VERSION")))
    );
    assert_eq!((&info["engine"], &info["device"]), (&json!("cpu"), &json!("cpu")));
    assert!(info["threads"].as_u64().unwrap() >= 1 && info["uptime"].as_f64().unwrap() > 0.0);
    let limits = json!({ "max_body": 32 << 20, "max_images": 64, "timeout": 30.0 });
    assert_eq!(info["limits"], limits);
    assert_eq!(running.json("/health/live").await, json!({ "status": "live" }));
}

#[tokio::test]
async fn metrics_count_requests_by_route_and_images_by_outcome() {
    // Two servers in one process share its recorder.
    let (running, _other) = (Running::tiny().await, Running::tiny().await);
    let post = |body: Vec<u8>| running.post("/classify?k=1").body(body).send();
    assert_eq!(post(photograph("rocket.jpg")).await.unwrap().status(), 200);
    assert_eq!(post(b"text".to_vec()).await.unwrap().status(), 422);
    assert_eq!(running.get("/nowhere/1").send().await.unwrap().status(), 404);
    let response = running.get("/metrics").send().await.unwrap();
    let kind = response.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    let text = response.text().await.unwrap();
    for line in [
        r#"effnet_http_requests_total{method="POST",route="/classify",status="200"}"#,
        r#"effnet_http_requests_total{method="POST",route="/classify",status="422"}"#,
        r#"effnet_http_requests_total{method="GET",route="none",status="404"}"#,
        r#"effnet_http_request_seconds_bucket{method="POST",route="/classify",le="0.001"}"#,
        r#"effnet_requests_total{model="tiny",outcome="ok"}"#,
        r#"effnet_requests_total{model="tiny",outcome="image"}"#,
        r#"effnet_infer_seconds_bucket{model="tiny",le="30"}"#,
        r#"effnet_batch_size_bucket{model="tiny",le="1"}"#,
        "# HELP effnet_queue_length Images that wait for a model",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("/nowhere"), "a client can invent labels:\n{text}");
}

#[tokio::test]
async fn openapi_describes_every_route_and_every_kind_of_body() {
    let running = Running::tiny().await;
    let description = running.json("/openapi.json").await;
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut ids = std::collections::BTreeSet::new();
    let paths: Vec<&str> = description["paths"].as_object().unwrap().keys().map(|k| &**k).collect();
    for path in [
        "/classify",
        "/embed",
        "/models",
        "/info",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/openapi.json",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/{name}",
        "/v2/models/{name}/ready",
        "/v2/models/{name}/infer",
        "/v2/models/{name}/versions/{version}",
        "/v2/models/{name}/versions/{version}/ready",
        "/v2/models/{name}/versions/{version}/infer",
        "/v2/repository/index",
        "/v2/repository/models/{name}/load",
        "/v2/repository/models/{name}/unload",
    ] {
        assert!(paths.contains(&path), "{path}: {paths:?}");
        // What is described is there.
        let method = if description["paths"][path].get("post").is_some() { "post" } else { "get" };
        let operation = &description["paths"][path][method];
        assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{path}");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let named = parameters.filter(|each| each["in"] == "path").count();
        assert_eq!(named, path.matches('{').count(), "{path}");
        let filled = path.replace("{name}", "tiny").replace("{version}", "1");
        let request = if method == "post" { running.post(&filled) } else { running.get(&filled) };
        assert!(!matches!(request.send().await.unwrap().status().as_u16(), 404 | 405), "{path}");
    }
    for path in ["/classify", "/embed"] {
        let post = &description["paths"][path]["post"];
        let kinds: Vec<&String> =
            post["requestBody"]["content"].as_object().unwrap().keys().collect();
        assert_eq!(
            kinds,
            ["application/json", "application/octet-stream", "image/*", "multipart/form-data"]
        );
        let statuses: Vec<&String> = post["responses"].as_object().unwrap().keys().collect();
        assert_eq!(
            statuses,
            ["200", "400", "401", "404", "408", "413", "422", "429", "500", "503", "504"]
        );
    }
    // What is asked for a key says how to send it; only health is not.
    let ways = json!([{}, { "bearer": [] }, { "header": [] }]);
    for (path, item) in description["paths"].as_object().unwrap() {
        let operation = item.get("post").unwrap_or(&item["get"]);
        let statuses = operation["responses"].as_object().unwrap();
        let has = |status: &str| statuses.contains_key(status);
        let is_open = path.contains("/health/");
        assert_eq!(operation.get("security"), (!is_open).then_some(&ways), "{path}");
        assert_eq!((has("401"), has("429")), (!is_open, !is_open), "{path}");
        let has_body = operation.get("requestBody").is_some();
        assert_eq!((has("408"), has("413")), (has_body, has_body), "{path}");
        assert!(has("503") || !has_body, "{path}");
        for (status, response) in statuses.iter().filter(|(status, _)| *status >= &"400".to_owned())
        {
            let schema = &response["content"]["application/json"]["schema"]["$ref"];
            let is_state = path == "/v2/health/ready";
            let name = if is_state { "ServerReady" } else { "ErrorBody" };
            assert_eq!(schema, &format!("#/components/schemas/{name}"), "{path} {status}");
        }
    }
    let schemes = &description["components"]["securitySchemes"];
    assert_eq!(
        (&schemes["bearer"]["type"], &schemes["bearer"]["scheme"]),
        (&json!("http"), &json!("bearer"))
    );
    assert_eq!(
        (&schemes["header"]["in"], &schemes["header"]["name"]),
        (&json!("header"), &json!("x-api-key"))
    );
    let record = &description["components"]["schemas"]["Record"];
    assert_ne!(record, &Value::Null);
}
