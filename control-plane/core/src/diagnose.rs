//! From findings to causes: one diagnosis for each root cause.

use crate::detect::Finding;
use crate::model::{IncidentKind, ObjectRef, Severity};
use crate::snapshot::Scope;
use crate::world::World;

/// One root cause and what suffers from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// Same cause, same key.
    pub key: String,
    /// What kind of cause.
    pub kind: IncidentKind,
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub scope: Scope,
    /// The cause's object.
    pub object: ObjectRef,
    /// The workload on which attempts are counted.
    pub owner: Option<ObjectRef>,
    /// One line.
    pub title: String,
    /// What shows it.
    pub evidence: Vec<String>,
    /// Objects that suffer from it.
    pub symptoms: Vec<ObjectRef>,
    /// Keys of causes that this one explains: they are no incidents of their own.
    pub explains: Vec<String>,
}

/// One diagnosis for each root cause, in order of key.
pub fn diagnose(_world: &World, _findings: &[Finding]) -> Vec<Diagnosis> {
    Vec::new()
}
