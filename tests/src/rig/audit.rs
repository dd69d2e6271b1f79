//! The outside witness of what an agent did: the API server's own audit log.
//!
//! The policy (`tests/rig/audit-policy.yaml`) writes down every change that the user [`AGENT_USER`] asks for, with its
//! body. Only an agent that uses this user is seen.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// The user that the audit log watches: the agent's service account, as its pod would have it.
pub const AGENT_USER: &str = "system:serviceaccount:nimbus-system:nimbus-agent";

/// One change that the agent asked the API server for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The plural of the kind, with `/` and the subresource where there is one (`pods/eviction`).
    pub resource: String,
    /// Its namespace; empty for a node.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Asked as a dry run: it changed nothing.
    pub dry_run: bool,
    /// The HTTP status of the answer.
    pub status: u64,
    /// What was sent, as JSON text.
    pub body: String,
}

impl Change {
    /// Did it change something?
    pub fn took_effect(&self) -> bool {
        !self.dry_run && (200..300).contains(&self.status)
    }

    /// Is it an eviction?
    pub fn is_eviction(&self) -> bool {
        self.resource == "pods/eviction"
    }
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dry = if self.dry_run { ", dry run" } else { "" };
        let Self { verb, resource, namespace, name, status, .. } = self;
        write!(f, "{verb} {resource} {namespace}/{name} ({status}{dry})")
    }
}

/// The audit log of one API server.
#[derive(Debug, Clone)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log in this file.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Everything that the agent asked for so far, oldest first.
    ///
    /// # Errors
    /// When a line is not an audit event; a last line that is still being written is passed over.
    pub fn changes(&self) -> anyhow::Result<Vec<Change>> {
        // The API server makes the file with the first event.
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.with_context(|| self.path.display().to_string())?,
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| change(&serde_json::from_str(line).context("an audit event")?)).collect()
    }
}

fn change(event: &Value) -> anyhow::Result<Change> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &event["objectRef"];
    let sub = text(&object["subresource"]);
    let body = &event["requestObject"];
    let options = [&body["deleteOptions"]["dryRun"], &body["dryRun"]];
    let asked_in_body = options.iter().any(|option| option.as_array().is_some_and(|list| !list.is_empty()));
    Ok(Change {
        verb: text(&event["verb"]),
        resource: if sub.is_empty() {
            text(&object["resource"])
        } else {
            format!("{}/{sub}", text(&object["resource"]))
        },
        namespace: text(&object["namespace"]),
        name: text(&object["name"]),
        dry_run: asked_in_body || text(&event["requestURI"]).contains("dryRun=All"),
        status: event["responseStatus"]["code"].as_u64().context("an event without an answer")?,
        body: body.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_a_refusal_and_an_eviction_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let log = AuditLog::at(&path);
        assert_eq!(log.changes().unwrap(), []);
        let lines = [
            r#"{"verb":"create","requestURI":"/x","objectRef":{"resource":"pods","subresource":"eviction","namespace":"a","name":"p"},"requestObject":{"deleteOptions":{"dryRun":["All"]}},"responseStatus":{"code":201}}"#,
            r#"{"verb":"create","requestURI":"/x","objectRef":{"resource":"pods","subresource":"eviction","namespace":"a","name":"p"},"requestObject":{},"responseStatus":{"code":429}}"#,
            r#"{"verb":"create","requestURI":"/x","objectRef":{"resource":"pods","subresource":"eviction","namespace":"a","name":"p"},"requestObject":{},"responseStatus":{"code":201}}"#,
            r#"{"verb":"patch","requestURI":"/x?dryRun=All","objectRef":{"resource":"nodes","name":"n"},"responseStatus":{"code":200}}"#,
            r#"{"verb":"patch","requestURI":"/x","objec"#,
        ];
        std::fs::write(&path, lines.join("\n")).unwrap();
        let changes = log.changes().unwrap();
        let effects: Vec<bool> = changes.iter().map(Change::took_effect).collect();
        assert_eq!(effects, [false, false, true, false], "the unfinished line is no event yet");
        assert!(changes[2].is_eviction() && !changes[3].is_eviction());
        assert_eq!(changes[3].to_string(), "patch nodes /n (200, dry run)");
    }
}
