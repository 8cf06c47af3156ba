//! The protocol's part of the description of the HTTP API.

use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::{ObjectBuilder, PathItem, Required, Type};

#[derive(OpenApi)]
#[openapi(
    tags((name = "inference", description = "The Open Inference Protocol (KServe v2)")),
    paths(
        super::about::server_metadata, super::about::live, super::about::ready,
        super::about::model_metadata, super::about::model_ready, super::run,
        super::repository::index, super::repository::load, super::repository::unload,
    ),
)]
struct Protocol;

/// Paths that may name a version of the model too.
const VERSIONED: [&str; 3] =
    ["/v2/models/{name}", "/v2/models/{name}/ready", "/v2/models/{name}/infer"];

pub(crate) fn document() -> utoipa::openapi::OpenApi {
    let mut document = Protocol::openapi();
    let paths = &mut document.paths.paths;
    for path in VERSIONED {
        if let Some(item) = paths.get(path).map(versioned) {
            paths.insert(path.replace("{name}", "{name}/versions/{version}"), item);
        }
    }
    document
}

/// The same operations on one version of a model.
fn versioned(item: &PathItem) -> PathItem {
    let mut item = item.clone();
    for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
        let Operation { operation_id, parameters, .. } = operation;
        if let Some(id) = operation_id {
            id.push_str("_of_version");
        }
        let version = ParameterBuilder::new()
            .name("version")
            .parameter_in(ParameterIn::Path)
            .required(Required::True)
            .description(Some("The version of the model"))
            .example(Some("1".into()))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)));
        parameters.get_or_insert_default().push(version.build().into());
    }
    item
}
