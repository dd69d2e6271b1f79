//! Takes secrets out of logs, of what kubectl prints and of JSON documents, and leaves what a maintainer reads.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nimbus_redaction::{MASK, Redactor};
use serde_json::{Value, json};

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

/// What becomes of a line, and that it is one value that went.
fn line(text: &str) -> String {
    redactor().text(text).text
}

#[test]
fn ordinary_words_survive() {
    for text in [
        "nimbus-control-plane-0   1/1   Running   0   3h12m   10.244.1.17   node-2",
        "Image: registry.example/nimbus/agent:0.1.0@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "uid: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5c resolved after 12.5 s, job_019b5c2d3e477f6a8b9c0d1e2f3a4b5d",
        "plan digest 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae approved",
        "2026-11-27T20:15:30.123456Z  INFO nimbus_agent::session: connected to 10.0.0.5:7071 over QUIC",
        "Nov 27 20:15:30 host-7 nimbus-agent[812]: status=connected spool=0 sent=1812",
        "nimbus_agent_sessions{transport=\"quic\"} 12",
        "# HELP nimbus_join_tokens_total How many join tokens were made",
        "Normal  Scheduled  3m  default-scheduler  Successfully assigned nimbus/nimbus-agent-x7k2p to node-1",
        "Back-off restarting failed container agent in pod nimbus-agent-x7k2p_nimbus(5b1c9f7e-0c58-4d8b-8a3e-9c1f8b1a2c3d)",
        "  Requests:  cpu: 100m, memory: 64Mi",
        "Mounts:  /var/run/secrets/kubernetes.io/serviceaccount from kube-api-access-q8x2d (ro)",
        "SecretName:  nimbus-join",
        "      DB_PASSWORD:  <set to the key 'password' in secret 'nimbus-database'>  Optional: false",
        "TokenExpirationSeconds:  3607",
        "user-password:  17 bytes",
        "etag: W/\"1a2b3c\", bytes=512, took 3 ms",
        "containerd://4c01db0b339c4e5f6a7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b",
        "the operator's token was refused by this control plane",
    ] {
        let redacted = redactor().text(text);
        assert_eq!((redacted.text.as_str(), redacted.count), (text, 0));
    }
}

#[test]
fn what_is_said_around_a_secret_stays() {
    for (text, left) in [
        ("password=hunter2x user=ops", "password=[redacted] user=ops"),
        ("dsn postgres://app:hunter2@db.example/app ok", "dsn postgres://app:[redacted]@db.example/app ok"),
        ("x Authorization: Bearer abcdefgh12345 y", "x Authorization: [redacted]"),
        ("token nbo_AAAAAAAAAAAAAAAAAAAAAAAAAAAA refused", "token [redacted] refused"),
        ("key AKIAEXAMPLE123456789 is used", "key [redacted] is used"),
        ("Cookie: session=abcdef; theme=dark", "Cookie: [redacted]"),
        (
            r#"msg="sent {\"password\":\"hunter2x\",\"port\":1}""#,
            r#"msg="sent {\"password\":\"[redacted]\",\"port\":1}""#,
        ),
    ] {
        assert_eq!(line(text), left, "{text}");
    }
}

#[test]
fn private_keys_go_and_certificates_stay() {
    let certificate = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUEXAMPLEexampleEXAMPLE0123456789wCgYIKoZIzj0E\n-----END CERTIFICATE-----";
    let body = "MHcCAQEEIEXAMPLEexampleEXAMPLE0123456789abcdefghijklmnopqrstuvwxyz";
    for key in [
        format!("-----BEGIN EC PRIVATE KEY-----\n{body}\n{body}\nAwEHoUQDQgAE\n-----END EC PRIVATE KEY-----"),
        format!("-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----"),
        format!("-----BEGIN RSA PRIVATE KEY-----\n{body}\n{body}\nAwEHoUQDQgAE"),
    ] {
        let text = format!("before\n{certificate}\n{key}\n(after)\n");
        let redacted = redactor().text(&text);
        assert_eq!(redacted.text, format!("before\n{certificate}\n{MASK}\n(after)\n"));
        let coded = redactor().text(&format!("a {} b", STANDARD.encode(&text)));
        assert_eq!(coded.text, format!("a {MASK} b"));
    }
}

#[test]
fn a_pod_loses_its_secrets_and_keeps_its_story() {
    let applied = json!({"kind": "Pod", "spec": {"containers": [{"env": [{"name": "API_KEY", "value": "a1b2c3d4e5"}]}]}});
    let pod = json!({
        "kind": "Pod",
        "metadata": {
            "name": "web-7c9d8f6b5-x2k4q",
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": applied.to_string(), "team": "shop"},
        },
        "spec": {
            "containers": [{
                "image": "shop/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "args": ["--port", "8080", "--db-password", "hunter2x", "--token=tok12345x"],
                "env": [
                    {"name": "DB_PASSWORD", "value": "hunter2y"},
                    {"name": "DATABASE_URL", "value": "postgres://app:hunter2z@db/app"},
                    {"name": "LOG_LEVEL", "value": "debug"},
                    {"name": "FROM", "valueFrom": {"secretKeyRef": {"key": "password", "name": "db"}}},
                ],
            }],
            "volumes": [{"name": "v", "secret": {"defaultMode": 420, "secretName": "nimbus-join"}}],
            "serviceAccountName": "web", "automountServiceAccountToken": false,
        },
    });
    let (left, count) = redactor().json(pod.clone());
    let text = left.to_string();
    for secret in ["hunter2", "tok12345x", "a1b2c3d4e5"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert_eq!(count, 5);
    let container = &left["spec"]["containers"][0];
    assert_eq!(container["image"], pod["spec"]["containers"][0]["image"]);
    assert_eq!(container["args"][3], MASK);
    assert_eq!(container["env"][2], pod["spec"]["containers"][0]["env"][2]);
    assert_eq!(container["env"][3], pod["spec"]["containers"][0]["env"][3]);
    for kept in ["volumes", "serviceAccountName", "automountServiceAccountToken"] {
        assert_eq!(left["spec"][kept], pod["spec"][kept]);
    }
    assert_eq!(left["metadata"]["name"], pod["metadata"]["name"]);
}

#[test]
fn digests_and_ids_of_a_document_stay() {
    let digest = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
    let document = json!({
        "head": digest, "digest": digest, "imageID": format!("sha256:{digest}"), "valid": true, "rows": 4_211,
        "containerID": format!("containerd://{digest}"), "uid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "id": "inc_019b5c2d3e477f6a8b9c0d1e2f3a4b5c", "created_at": "2026-11-27T20:15:30.123456Z",
        "involvedObject": {"kind": "Secret", "name": "nimbus-join", "namespace": "nimbus"},
        "authorization": "required", "password": "<none>", "token": "| ",
        "args": ["run", "-u", "ops", "-p", "8080:80"], "command": ["cargo", "test", "-p", "nimbus-agent"],
        "managedFields": [{"fieldsV1": {"f:metadata": {"f:labels": {".": {}}}}, "manager": "helm"}],
    });
    assert_eq!(redactor().json(document.clone()), (document, 0));
}

#[test]
fn nothing_of_a_secret_but_its_names_is_left() {
    let secret = json!({
        "kind": "Secret", "type": "Opaque", "metadata": {"name": "db"},
        "data": {"user": STANDARD.encode("app")}, "stringData": {"plain": "abc"},
    });
    let (left, count) = redactor().json(json!({"items": [secret]}));
    let left = &left["items"][0];
    assert_eq!(
        (left["data"]["user"].as_str(), left["stringData"]["plain"].as_str()),
        (Some(MASK), Some(MASK))
    );
    assert_eq!((left["metadata"]["name"].as_str(), count), (Some("db"), 2));
}

#[test]
fn a_value_that_was_found_once_is_found_everywhere() {
    let mut redactor = redactor();
    let before = redactor.text("started with Zx81!kq77 as usual");
    assert_eq!(before.count, 0, "nothing tells what it is");
    let (_, count) = redactor.json(json!({"env": [{"name": "DB_PASSWORD", "value": "Zx81!kq77"}]}));
    assert_eq!(count, 1);
    assert_eq!(redactor.again(&before.text).text, format!("started with {MASK} as usual"));
    for shift in ["", "a", "ab"] {
        let coded = STANDARD.encode(format!("{shift}Zx81!kq77 and more"));
        assert_eq!(redactor.text(&format!("x {coded} y")).text, format!("x {MASK} y"), "{shift}");
    }
}

#[test]
fn a_given_value_goes_whatever_it_looks_like() {
    let mut redactor = Redactor::new(&["plainword"]).unwrap();
    assert_eq!(redactor.text("a plainword b").text, format!("a {MASK} b"));
    assert_eq!(redactor.json(Value::from("a plainword")).0, json!(format!("a {MASK}")));
}
