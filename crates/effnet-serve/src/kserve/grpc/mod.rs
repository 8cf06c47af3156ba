//! The protocol over gRPC, and gRPC's health checks.

mod codec;
mod convert;
pub(super) mod proto;
mod status;

use std::any::Any;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::middleware::from_fn;
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::service::Routes;
use tonic::{Request, Response, Status, async_trait};
use tower_http::catch_panic::CatchPanicLayer;

pub(super) use codec::CountingCodec;
use proto::health::health_server::{Health, HealthServer};
use proto::health::{HealthCheckRequest, HealthCheckResponse};
use proto::inference::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer, SERVICE_NAME,
};
use proto::inference::*;

use super::infer::infer;
use super::metadata::{EXTENSIONS, PLATFORM, SERVER, Signature, versions};
use super::repository;
use crate::guard::{self, Account};
use crate::{ApiError, Server, meters};

/// The gRPC side: the Open Inference Protocol and gRPC's health checks, as an axum router for a
/// listener that speaks HTTP/2.
pub fn grpc(server: &Server) -> Router {
    let service = Service(server.clone());
    let inference = GrpcInferenceServiceServer::new(service.clone())
        .max_decoding_message_size(server.limits().max_body)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate);
    let routes = Routes::new(inference).add_service(HealthServer::new(service));
    guarded(routes.prepare().into_axum_router())
}

/// Routes whose panics are answers, as a panic would end all calls of its connection, and whose
/// calls are counted.
fn guarded(routes: Router) -> Router {
    let fault = |_: Box<dyn Any + Send>| Status::from(ApiError::fault()).into_http::<Body>();
    routes.layer(CatchPanicLayer::custom(fault)).layer(from_fn(meters::count_grpc))
}

#[derive(Debug, Clone)]
struct Service(Server);

type Answer<T> = Result<Response<T>, Status>;

/// The latest version is asked for by an empty one.
fn named(version: &str) -> Option<&str> {
    Some(version).filter(|version| !version.is_empty())
}

#[async_trait]
impl GrpcInferenceService for Service {
    async fn server_live(&self, _: Request<ServerLiveRequest>) -> Answer<ServerLiveResponse> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(&self, _: Request<ServerReadyRequest>) -> Answer<ServerReadyResponse> {
        Ok(Response::new(ServerReadyResponse { ready: self.0.models().is_ready() }))
    }

    async fn model_ready(&self, request: Request<ModelReadyRequest>) -> Answer<ModelReadyResponse> {
        let asked = request.into_inner();
        let found = self.0.models().get(Some(&asked.name), named(&asked.version));
        Ok(Response::new(ModelReadyResponse { ready: found.is_ok() }))
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Answer<ServerMetadataResponse> {
        let (name, version) = SERVER;
        Ok(Response::new(ServerMetadataResponse {
            name: name.to_owned(),
            version: version.to_owned(),
            extensions: EXTENSIONS.map(str::to_owned).to_vec(),
        }))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Answer<ModelMetadataResponse> {
        let asked = request.into_inner();
        let loaded = self.0.models().get(Some(&asked.name), named(&asked.version))?;
        let Signature { inputs, outputs } = Signature::of(loaded.batcher.model());
        Ok(Response::new(ModelMetadataResponse {
            name: loaded.name.clone(),
            versions: versions(&self.0, &loaded.name),
            platform: PLATFORM.to_owned(),
            inputs: convert::metadata(inputs),
            outputs: convert::metadata(outputs),
        }))
    }

    async fn model_infer(&self, request: Request<ModelInferRequest>) -> Answer<ModelInferResponse> {
        let deadline = match status::timeout(request.metadata())? {
            Some(timeout) => self.0.deadline().min(Instant::now() + timeout),
            None => self.0.deadline(),
        };
        // Its bytes were counted as they came, which may be compressed.
        let account = request.extensions().get::<Arc<Account>>().cloned();
        let mut request = request.into_inner();
        if let Some(account) = &account {
            account.hold(request.encoded_len()).map_err(|_| guard::crowded())?;
            for bytes in &mut request.raw_input_contents {
                *bytes = account.keep(std::mem::take(bytes));
            }
        }
        let id = std::mem::take(&mut request.id);
        let is_raw = !request.raw_input_contents.is_empty();
        let request = convert::request(request, self.0.limits().max_images, deadline)?;
        let answer = infer(&self.0, request).await?;
        Ok(Response::new(convert::response(answer, id, is_raw)))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Answer<RepositoryIndexResponse> {
        let RepositoryIndexRequest { repository_name, ready } = request.into_inner();
        the_only(&repository_name)?;
        let models = repository::index(&self.0, ready).into_iter().map(|entry| {
            repository_index_response::ModelIndex {
                name: entry.name,
                version: entry.version,
                state: entry.state.to_owned(),
                reason: entry.reason,
            }
        });
        Ok(Response::new(RepositoryIndexResponse { models: models.collect() }))
    }

    async fn repository_model_load(
        &self,
        request: Request<RepositoryModelLoadRequest>,
    ) -> Answer<RepositoryModelLoadResponse> {
        let asked = request.into_inner();
        the_only(&asked.repository_name)?;
        let parameters = convert::repository_parameters(asked.parameters)?;
        repository::load(&self.0, &asked.model_name, parameters).await?;
        Ok(Response::new(RepositoryModelLoadResponse {}))
    }

    async fn repository_model_unload(
        &self,
        request: Request<RepositoryModelUnloadRequest>,
    ) -> Answer<RepositoryModelUnloadResponse> {
        let asked = request.into_inner();
        the_only(&asked.repository_name)?;
        let parameters = convert::repository_parameters(asked.parameters)?;
        repository::unload(&self.0, &asked.model_name, parameters).await?;
        Ok(Response::new(RepositoryModelUnloadResponse {}))
    }
}

/// There is one repository, without a name.
fn the_only(repository: &str) -> Result<(), ApiError> {
    if repository.is_empty() {
        return Ok(());
    }
    let message = format!("no repository {repository:?}: there is one, without a name");
    Err(ApiError::not_found(message))
}

#[async_trait]
impl Health for Service {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        use proto::health::health_check_response::ServingStatus;

        let service = request.into_inner().service;
        if !service.is_empty() && service != SERVICE_NAME {
            return Err(ApiError::not_found(format!("no service {service:?}")).into());
        }
        let status = if self.0.models().is_ready() {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }
}

#[cfg(test)]
mod tests {
    use axum::http;
    use axum::routing::post;
    use tonic::Code;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        let routes =
            Router::new().route("/a/b", post(async || -> &'static str { panic!("planted") }));
        let request = http::Request::post("/a/b").body(Body::empty()).unwrap();
        let answer = guarded(routes).oneshot(request).await.unwrap();
        let status = Status::from_header_map(answer.headers()).unwrap();
        assert_eq!((answer.status(), status.code()), (http::StatusCode::OK, Code::Internal));
        assert_eq!(status.message(), crate::error::FAULT);
    }
}
