//! `GET /api/v1/openapi.json`: the OpenAPI document, generated from the same list as the routes.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use nimbus_api::Problem;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref};
use utoipa::{Modify, OpenApi};

use super::error::ApiError;
use super::extract::{Nothing, Params};

/// The name of the security scheme.
const SCHEME: &str = "operator";

/// What the document says before its paths.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Nimbus",
        description = "The operator's interface of a Nimbus control plane. The token is in `operator.token` in the \
                       data directory; whoever holds it is the principal `operator`. Lists are pages of at most \
                       500 items; `next` leads on. Every refusal is `application/problem+json` (RFC 9457) and \
                       says what was expected, what was found and what to do. Single items have an `ETag`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(Problem)),
    security(("operator" = [])),
    modifiers(&Common),
    tags(
        (name = "fleet", description = "The whole fleet"),
        (name = "clusters", description = "Clusters that agents watch"),
        (name = "agents", description = "Agents and the tokens they join with"),
        (name = "incidents", description = "What is wrong, one incident for each root cause"),
        (name = "approvals", description = "An operator's decision on one exact plan"),
        (name = "access", description = "People, by the tokens that stand for them"),
        (name = "plans", description = "What would be done, and why that"),
        (name = "jobs", description = "Signed orders and what became of them"),
        (name = "autonomous", description = "What Nimbus may do by itself, and what it did"),
        (name = "drift", description = "Watched files that differ from their baseline"),
        (name = "audit", description = "The tamper-evident log of everything decided and done"),
        (name = "process", description = "For whoever keeps the process running"),
    )
)]
pub struct ApiDocument;

struct Common;

impl Modify for Common {
    fn modify(&self, document: &mut Document) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("The operator's token, or an access token of a person".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(SCHEME, SecurityScheme::Http(bearer));
    }
}

/// The contract as a document.
pub static DOCUMENT: LazyLock<Document> = LazyLock::new(|| {
    let mut document = super::routes().split_for_parts().1;
    for item in document.paths.paths.values_mut() {
        operations(item).for_each(add_refusals);
    }
    document
});

/// The contract as JSON.
static JSON: LazyLock<Result<String, serde_json::Error>> = LazyLock::new(|| DOCUMENT.to_json());

/// Every operation on one path.
pub fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch].into_iter().flatten()
}

/// Any operation may be refused, always with the same kind of document.
fn add_refusals(operation: &mut Operation) {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let refusal = ResponseBuilder::new()
        .description("Refused; `code` says which kind of refusal")
        .content("application/problem+json", content())
        .build();
    operation.responses.responses.insert("default".to_owned(), refusal.into());
}

/// This document
#[utoipa::path(
    get, path = "/api/v1/openapi.json", operation_id = "openapi", tag = "fleet", security(()),
    responses((status = 200, description = "The OpenAPI document", body = std::collections::BTreeMap<String, serde_json::Value>))
)]
pub async fn openapi(_: Params<Nothing>) -> Result<Response, ApiError> {
    match &*JSON {
        Ok(json) => Ok(([(header::CONTENT_TYPE, "application/json")], json.as_str()).into_response()),
        Err(error) => Err(ApiError::internal("the OpenAPI document cannot be written", error)),
    }
}
