//! Objects that a step makes in the cluster: each carries the mark of the directory that made it, from its first moment on.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::command::{Command, Program, Through, quoted};

/// The annotation with the mark. Whoever goes on with a step that was only begun, or undoes it, owns what carries the mark
/// of its entry in the journal, and nothing else of that name.
pub const ANNOTATION: &str = "nimbus.dev/deploy-mark";
/// The annotation of a Secret with the digest of its values, so that others are noticed without reading them.
pub const DIGEST: &str = "nimbus.dev/deploy-digest";

/// Where a value of a Secret comes from. It goes from there to kubectl's input, and through no file and no command line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// A file of the installation's directory.
    File(String),
    /// What a command prints.
    Printed {
        /// The command.
        command: Command,
        /// Only this field of the JSON document that it prints.
        field: Option<String>,
    },
}

/// One value of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Datum {
    /// Its key.
    pub key: String,
    /// Its value.
    pub from: Source,
}

/// An object; `kubectl` is what names the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A namespace.
    Namespace {
        /// What names the cluster.
        kubectl: Vec<String>,
        /// The file of the plan that a person would use.
        file: String,
        /// What that file says.
        manifest: Value,
    },
    /// A Secret of type Opaque.
    Secret {
        /// What names the cluster.
        kubectl: Vec<String>,
        /// Where it is made.
        namespace: String,
        /// Its name.
        name: String,
        /// Its values.
        data: Vec<Datum>,
    },
}

impl Object {
    /// The words of kubectl that make what is on its input, and refuse where something of that name is there.
    pub fn create(&self) -> Vec<String> {
        let (Self::Namespace { kubectl, .. } | Self::Secret { kubectl, .. }) = self;
        kubectl.iter().cloned().chain(["create", "-f", "-"].map(str::to_owned)).collect()
    }

    /// Where its values come from.
    pub fn data(&self) -> &[Datum] {
        match self {
            Self::Namespace { .. } => &[],
            Self::Secret { data, .. } => data,
        }
    }

    /// As kubectl takes it, with the mark and the values, each by its key.
    pub fn manifest(&self, mark: &str, values: &[(String, String)]) -> Value {
        match self {
            Self::Namespace { manifest, .. } => {
                let mut manifest = manifest.clone();
                manifest["metadata"]["annotations"] = json!({ANNOTATION: mark});
                manifest
            }
            Self::Secret { namespace, name, .. } => {
                let texts: Map<String, Value> =
                    values.iter().map(|(key, text)| (key.clone(), json!(text))).collect();
                json!({
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "type": "Opaque",
                    "metadata": {"namespace": namespace, "name": name, "annotations": {ANNOTATION: mark, DIGEST: digest(values)}},
                    "stringData": texts,
                })
            }
        }
    }

    /// As a person would make it in a shell; without a mark, which only a later run of the command would look for.
    pub fn shell(&self) -> String {
        let typed = |kubectl: &[String], words: &[&str]| {
            let args = kubectl.iter().cloned().chain(words.iter().map(|&word| word.to_owned())).collect();
            Command { program: Program::Kubectl, args, through: None }.shell()
        };
        match self {
            Self::Namespace { kubectl, file, .. } => typed(kubectl, &["create", "-f", file]),
            Self::Secret { kubectl, namespace, name, data } => {
                let mut words =
                    vec!["--namespace", namespace.as_str(), "create", "secret", "generic", name.as_str()];
                let (mut from, mut printed) = (Vec::new(), String::new());
                for Datum { key, from: source } in data {
                    match source {
                        Source::File(file) => from.push(format!("--from-file={key}={file}")),
                        Source::Printed { command, field } => {
                            from.push(format!("--from-file={key}=/dev/stdin"));
                            printed = command.shell() + " | ";
                            if let Some(field) = field {
                                printed.push_str("jq -j ");
                                printed.push_str(&quoted(&format!(".{field}")));
                                printed.push_str(" | ");
                            }
                        }
                    }
                }
                words.extend(from.iter().map(String::as_str));
                printed + &typed(kubectl, &words)
            }
        }
    }

    /// The way that a command of its values needs.
    pub fn through(&self) -> Option<&Through> {
        self.data().iter().find_map(|datum| match &datum.from {
            Source::File(_) => None,
            Source::Printed { command, .. } => command.through.as_ref(),
        })
    }
}

/// The digest of a Secret's values.
pub fn digest(values: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    for (key, text) in values {
        for part in [key, text] {
            // With its length before it, no part can be taken for another one's end.
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}

/// What is known of an object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marked {
    /// The mark that it carries.
    pub mark: Option<String>,
    /// The digest that it carries.
    pub digest: Option<String>,
}

/// What kubectl printed as JSON about an object; nothing where it is not there.
///
/// # Errors
/// What was printed instead, without a word of it: it may be a secret.
pub fn marked(printed: &[u8]) -> Result<Option<Marked>, String> {
    if printed.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let document: Value = serde_json::from_slice(printed).map_err(|_| "no JSON document".to_owned())?;
    if !document["metadata"].is_object() {
        return Err("a JSON document without metadata".to_owned());
    }
    let annotation = |name: &str| document["metadata"]["annotations"][name].as_str().map(str::to_owned);
    Ok(Some(Marked { mark: annotation(ANNOTATION), digest: annotation(DIGEST) }))
}
