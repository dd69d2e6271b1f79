//! Compares the OpenAPI document with the routes.

use std::collections::BTreeSet;
use std::path::Path;

use axum::body::Body;
use serde_json::Value;

use super::TestApi;
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
    let api = TestApi::new().await;
    let documented = documented();
    for operation in &documented {
        let (method, path) = operation.split_once(' ').unwrap();
        for tried in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let request = api.request(tried, &path.replace(['{', '}'], "")).body(Body::empty()).unwrap();
            let answer = api.send(request).await;
            if documented.contains(&format!("{tried} {path}")) {
                assert_ne!(answer.status, 405, "{tried} {path}");
                let no_route = answer.status == 404 && answer.text.contains("there is no path");
                assert!(!no_route, "{tried} {path}: {}", answer.text);
            } else if answer.status != 405 {
                panic!("{tried} {path} is served but not documented ({method} is): {}", answer.text);
            }
        }
    }
}

/// The document as it is kept beside the contract's types, so that every change of it is seen in review and by
/// whoever makes a client from it.
#[test]
fn the_kept_document_is_the_one_that_is_served() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api/openapi.json");
    let served = openapi::DOCUMENT.to_pretty_json().unwrap() + "\n";
    if std::env::var_os("NIMBUS_BLESS").is_some() {
        std::fs::write(&kept, &served).unwrap();
    }
    let text = std::fs::read_to_string(&kept).unwrap();
    let differs = text.lines().zip(served.lines()).position(|(kept, served)| kept != served);
    assert!(text == served, "differs from line {differs:?} on; NIMBUS_BLESS=1 writes the served one");
}

#[test]
fn the_document_says_who_may_ask_and_how_a_refusal_looks() {
    let document = document();
    assert_eq!(document["components"]["securitySchemes"]["operator"]["scheme"], "bearer");
    assert_eq!(document["security"][0]["operator"], serde_json::json!([]));
    let mut names = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "two operations are called {name}");
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
    assert_eq!(schemas["Incident"]["properties"]["object"]["$ref"], "#/components/schemas/ObjectRef");
}

/// The contract does not know the core: that both use the same words is held here.
#[test]
fn the_documents_words_are_the_ones_that_are_decided_with() {
    use nimbus_control_core::model as m;
    use nimbus_control_core::nodes::Verdict;

    use crate::rest::clusters;
    fn words<T: ToString>(all: &[T]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }
    let document = document();
    let schemas = &document["components"]["schemas"];
    for (name, words) in [
        ("Source", words(nimbus_control_core::investigation::Source::ALL)),
        ("Severity", words(m::Severity::ALL)),
        ("IncidentState", words(m::IncidentState::ALL)),
        ("IncidentKind", words(m::IncidentKind::ALL)),
        ("UndoBy", words(m::UndoBy::ALL)),
        ("Action", words(m::ActionKind::ALL)),
        ("ApprovalState", words(m::ApprovalState::ALL)),
        ("JobState", words(m::JobState::ALL)),
        ("AgentKind", words(m::AgentKind::ALL)),
        ("JoinTokenState", words(m::JoinTokenState::ALL)),
        ("AccessTokenState", words(m::AccessTokenState::ALL)),
        ("Mode", words(m::Mode::ALL)),
        (
            "DrainVerdict",
            words(&[Verdict::Finishes, Verdict::Blocked, Verdict::NotKnown].map(clusters::drain::word)),
        ),
    ] {
        assert_eq!(schemas[name]["enum"], serde_json::json!(words), "{name}");
    }
}
