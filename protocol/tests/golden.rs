//! Compares the encoding of every message with recorded bytes: a change that an older peer could not read fails here.
//!
//! `tests/golden/NAME.hex` is what version 1 put on the wire. A field may be added to a message (the old bytes must
//! still decode to the old values); a number, type or meaning never changes. `NIMBUS_BLESS=1 cargo test -p
//! nimbus-protocol --test golden` writes files that do not exist yet and never overwrites one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends where it finds something else"
)]

mod examples;

use std::fs;
use std::path::{Path, PathBuf};

use nimbus_protocol::{frame, signed, v1};
use prost::Message;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let text: String = text.split_whitespace().collect();
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

/// Compares with the golden file, or writes it when asked and absent.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = folder().join(format!("{name}.hex"));
    if !path.exists() && std::env::var_os("NIMBUS_BLESS").is_some() {
        let lines: Vec<String> =
            hex(bytes).as_bytes().chunks(100).map(|c| String::from_utf8_lossy(c).into()).collect();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text =
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}; see this file's head", path.display()));
    let kept = unhex(&text);
    assert_eq!(hex(bytes), hex(&kept), "{name}: today's bytes differ from those that version 1 sends");
    kept
}

fn check<M: Message + Default + PartialEq>(name: &str, example: &M, seen: &mut Vec<String>) {
    assert!(example != &M::default(), "{name}: an empty example shows nothing");
    let kept = golden(name, &example.encode_to_vec());
    assert!(&M::decode(kept.as_slice()).unwrap() == example, "{name}: the old bytes now mean something else");
    seen.push(name.to_owned());
}

/// The names of the messages that are declared below `folder`.
fn collect(folder: &Path, declared: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, declared);
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let names = text.lines().filter_map(|l| l.strip_prefix("message ")?.split_whitespace().next());
        declared.extend(names.map(str::to_owned));
    }
}

#[test]
fn every_message_keeps_its_bytes() {
    let mut seen = Vec::new();
    examples::each(&mut seen);
    let mut declared = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("proto"), &mut declared);
    declared.sort();
    seen.sort();
    assert_eq!(seen, declared, "each message needs its example and its golden bytes");
}

#[test]
fn the_request_of_a_pod_keeps_its_bytes() {
    let request = examples::enrol_pod();
    let kept = golden("EnrolRequest_pod", &request.encode_to_vec());
    assert_eq!(v1::EnrolRequest::decode(kept.as_slice()).unwrap(), request);
}

#[test]
fn a_message_that_has_grown_keeps_its_bytes() {
    for (name, message) in examples::grown() {
        let kept = golden(name, &message.encode_to_vec());
        assert_eq!(v1::Observation::decode(kept.as_slice()).unwrap(), message, "{name}");
    }
}

#[test]
fn fields_of_files_that_came_later_keep_their_bytes() {
    let (file, facts) = examples::later_fields_of_files();
    let kept = golden("later_file", &file.encode_to_vec());
    assert_eq!(v1::File::decode(kept.as_slice()).unwrap(), file);
    let kept = golden("later_file_facts", &facts.encode_to_vec());
    assert_eq!(v1::FileFacts::decode(kept.as_slice()).unwrap(), facts);
}

#[test]
fn a_field_that_was_added_keeps_its_bytes() {
    let file = examples::file_with_lines();
    let kept = golden("File_lines", &file.encode_to_vec());
    assert_eq!(v1::File::decode(kept.as_slice()).unwrap(), file);
}

#[test]
fn an_agents_budget_keeps_its_bytes() {
    let status = examples::agent_status_with_budget();
    let kept = golden("AgentStatus_budget", &status.encode_to_vec());
    assert_eq!(v1::AgentStatus::decode(kept.as_slice()).unwrap(), status);
}

#[test]
fn an_agents_pause_keeps_its_bytes() {
    let status = examples::agent_status_paused();
    let kept = golden("AgentStatus_paused", &status.encode_to_vec());
    assert_eq!(v1::AgentStatus::decode(kept.as_slice()).unwrap(), status);
}

#[test]
fn what_a_rules_word_is_enough_for_keeps_its_bytes() {
    let status = examples::agent_status_with_automatic_actions();
    let kept = golden("AgentStatus_automatic", &status.encode_to_vec());
    assert_eq!(v1::AgentStatus::decode(kept.as_slice()).unwrap(), status);
}

#[test]
fn an_agents_transport_keeps_its_bytes() {
    let status = examples::agent_status_with_transport();
    let kept = golden("AgentStatus_transport", &status.encode_to_vec());
    assert_eq!(v1::AgentStatus::decode(kept.as_slice()).unwrap(), status);
}

#[test]
fn what_a_pod_refers_to_in_full_keeps_its_bytes() {
    let facts = examples::pod_facts_complete();
    let kept = golden("PodFacts_complete", &facts.encode_to_vec());
    assert_eq!(v1::PodFacts::decode(kept.as_slice()).unwrap(), facts);
}

#[test]
fn what_keeps_pods_apart_keeps_its_bytes() {
    let placement = examples::placement_apart();
    let kept = golden("Placement_apart", &placement.encode_to_vec());
    assert_eq!(v1::Placement::decode(kept.as_slice()).unwrap(), placement);
}

#[test]
fn a_frame_keeps_its_bytes() {
    let refusal = v1::Refusal { code: "malformed".into(), ..Default::default() };
    let message = v1::ServerFrame { body: Some(v1::server_frame::Body::Refusal(refusal)) };
    let kept = golden("frame_plain", &frame::encode(&message).unwrap());
    assert_eq!(frame::decode::<v1::ServerFrame>(&kept).unwrap().unwrap().0, message);
}

#[test]
fn a_compressed_frame_of_version_1_is_still_read() {
    let ack = v1::Refusal { code: "malformed".into(), found: "x".repeat(600), ..Default::default() };
    let message = v1::ServerFrame { body: Some(v1::server_frame::Body::Refusal(ack)) };
    // Compressors may choose other bytes tomorrow; what must stay is that yesterday's bytes are understood.
    let path = folder().join("frame_lz4.hex");
    if !path.exists() && std::env::var_os("NIMBUS_BLESS").is_some() {
        fs::write(&path, hex(&frame::encode(&message).unwrap()) + "\n").unwrap();
    }
    let kept = unhex(&fs::read_to_string(path).unwrap());
    assert_eq!(frame::decode::<v1::ServerFrame>(&kept).unwrap().unwrap().0, message);
}

#[test]
fn a_signed_job_of_version_1_still_verifies() {
    let key = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let envelope = signed::sign(&examples::job(), &key).envelope().encode_to_vec();
    let kept = golden("signed_job", &envelope);
    let envelope = v1::Envelope::decode(kept.as_slice()).unwrap();
    let believed = signed::Signed::<v1::Job>::from_envelope(envelope).verify(&[key.verifying_key()]).unwrap();
    assert_eq!(believed.get(), &examples::job());
}
