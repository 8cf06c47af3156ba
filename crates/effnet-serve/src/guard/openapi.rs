//! What stands before the routes, in the description of the HTTP API.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{Components, ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::{is_open, keys};

/// The ways to send a key, by their names in the description.
const BEARER: &str = "bearer";
const HEADER: &str = "header";

/// Adds the ways to send a key, and the answers that a guard gives in place of the routes.
pub(crate) fn describe(document: &mut OpenApi) {
    let about = "A key of the server, if it was started with --api-key-file";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
    let header = ApiKeyValue::with_description(keys::HEADER, about);
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    components.add_security_scheme(HEADER, SecurityScheme::ApiKey(ApiKey::Header(header)));
    for (path, item) in &mut document.paths.paths {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            if !is_open(path) {
                needs_key(operation);
            }
            if operation.request_body.is_some() {
                has_body(operation);
            }
        }
    }
}

fn needs_key(operation: &mut Operation) {
    let way = |name: &str| SecurityRequirement::new::<_, [&str; 0], &str>(name, []);
    // Without a file of keys, none is asked for.
    operation.security = Some(vec![SecurityRequirement::default(), way(BEARER), way(HEADER)]);
    add(operation, "401", "No key, or a wrong one");
    add(operation, "429", "The key's rate is used up; see Retry-After");
}

fn has_body(operation: &mut Operation) {
    add(operation, "408", "The body comes too slowly");
    add(operation, "413", "Too many bytes");
    add(operation, "503", "The bodies of all requests together are too large; see Retry-After");
}

/// An answer with an error, unless the route itself describes one of this status.
fn add(operation: &mut Operation, status: &str, description: &str) {
    let schema = Ref::from_schema_name("ErrorBody");
    let content = ContentBuilder::new().schema(Some(schema)).build();
    let response: Response = ResponseBuilder::new()
        .description(description)
        .content("application/json", content)
        .build();
    let responses = &mut operation.responses.responses;
    responses.entry(status.to_owned()).or_insert(RefOr::T(response));
}
