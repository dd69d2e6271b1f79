//! The OpenAPI document says what the routes do, and nothing else.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use serde_json::Value;

use super::Bench;
use crate::rest::openapi;

fn document() -> Value {
    serde_json::to_value(&*openapi::DOCUMENT).unwrap()
}

/// `GET /path` for everything in the document.
fn documented() -> BTreeSet<String> {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let operations = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| format!("{} {path}", method.to_uppercase()))
    });
    operations.collect()
}

/// Every `get, path = "…"` written beside a handler in this room.
fn written(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("tests") {
            written(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for part in text.split("#[utoipa::path(").skip(1) {
                let method = part.trim_start().split(',').next().unwrap().to_uppercase();
                let at = part.split("path = \"").nth(1).unwrap().split('"').next().unwrap();
                found.insert(format!("{method} {at}"));
            }
        }
    }
}

#[test]
fn every_handler_is_in_the_document_and_every_operation_has_a_handler() {
    let mut handlers = BTreeSet::new();
    written(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest"), &mut handlers);
    assert_eq!(handlers, documented());
    assert!(handlers.len() >= 35, "{}", handlers.len());
}

#[test]
fn no_route_goes_around_the_list_that_the_document_is_made_from() {
    let room = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rest/mod.rs");
    let text = std::fs::read_to_string(room).unwrap();
    assert!(!text.contains(".route(") && !text.contains(".nest(") && !text.contains(".merge("));
}

#[tokio::test]
async fn every_documented_operation_is_served_and_no_other_method_is() {
    let bench = Bench::new().await;
    let documented = documented();
    for operation in &documented {
        let (method, path) = operation.split_once(' ').unwrap();
        for tried in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = bench.request(tried, &path.replace(['{', '}'], "")).body(Body::empty()).unwrap();
            let answer = bench.send(request).await;
            if documented.contains(&format!("{tried} {path}")) {
                assert_ne!(answer.status, 405, "{tried} {path}");
                let no_route = answer.status == 404 && answer.text.contains("there is no path");
                assert!(!no_route, "{tried} {path}: {}", answer.text);
            } else if answer.status != 405 {
                // A fixed word and a parameter may share a place: `agents/tokens` also reads as an agent.
                panic!("{tried} {path} is served but not documented ({method} is): {}", answer.text);
            }
        }
    }
}

#[test]
fn the_document_says_who_may_ask_and_how_a_refusal_looks() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["operator"]["scheme"], "bearer");
    assert_eq!(document["security"][0]["operator"], serde_json::json!([]));
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let refusal = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"];
            assert_eq!(refusal["$ref"], "#/components/schemas/Problem", "{path}");
            assert!(operation["summary"].is_string(), "{path} has no summary");
            let open = crate::rest::auth::OPEN.contains(&path.as_str());
            assert_eq!(operation.get("security").is_some(), open, "{path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_described() {
    let document = document();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for part in document.to_string().split("\"$ref\":\"#/components/schemas/").skip(1) {
        let name = part.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is referred to and not there");
    }
    for name in ["Incident", "IncidentDetail", "ApprovalDetail", "Job", "Drift", "Status", "Problem"] {
        assert!(schemas.contains_key(name), "no schema {name}: {:?}", schemas.keys());
    }
    let states = &schemas["IncidentState"];
    assert!(states.to_string().contains("waiting_approval"), "{states}");
}
