//! The signatures, before their bodies.
#![allow(missing_docs, unused_variables, clippy::unused_async)]
use crate::*;
use jiff::Timestamp;
use nimbus_control_core::model::*;
use nimbus_protocol::ids::*;
use std::collections::HashMap;

/// The store; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store;

fn none<T>() -> Result<T, StoreError> {
    Err(StoreError::Database { at: String::new(), detail: "not built yet".into() })
}

impl Store {
    pub async fn open(url: &StoreUrl) -> Result<Self, StoreError> {
        none()
    }
    pub async fn ping(&self) -> Result<(), StoreError> {
        none()
    }
    pub async fn close(&self) {}
    pub fn address(&self) -> String {
        String::new()
    }
    pub async fn append(&self, batches: &[NewBatch]) -> Result<i64, StoreError> {
        none()
    }
    pub async fn high_water_marks(&self) -> Result<HashMap<AgentId, u64>, StoreError> {
        none()
    }
    pub async fn read_log(&self, after: i64, limit: u32) -> Result<Vec<LogBatch>, StoreError> {
        none()
    }
    pub async fn log_span(&self) -> Result<LogSpan, StoreError> {
        none()
    }
    /// Removes rows with position < before, at most 1,000 in one call; how many.
    pub async fn trim_log(&self, before: i64) -> Result<u64, StoreError> {
        none()
    }
    pub async fn commit(&self, changes: &ChangeSet) -> Result<Committed, StoreError> {
        none()
    }
    pub async fn get<T: Document>(&self, id: &str) -> Result<Option<Versioned<T>>, StoreError> {
        none()
    }
    pub async fn many<T: Document>(&self, ids: &[&str]) -> Result<Vec<Versioned<T>>, StoreError> {
        none()
    }
    pub async fn all<T: Document>(&self) -> Result<Vec<Versioned<T>>, StoreError> {
        none()
    }
    pub async fn list<T: Document>(&self, filter: &Filter) -> Result<Page<T>, StoreError> {
        none()
    }
    /// Documents by state.
    pub async fn counts<T: Document>(&self) -> Result<Vec<(String, u64)>, StoreError> {
        none()
    }
    pub async fn open_incidents(&self) -> Result<Vec<Versioned<Incident>>, StoreError> {
        none()
    }
    pub async fn plans_of(&self, plans: &[PlanId]) -> Result<Vec<Versioned<Plan>>, StoreError> {
        none()
    }
    pub async fn approvals_of(
        &self,
        incidents: &[IncidentId],
    ) -> Result<Vec<Versioned<Approval>>, StoreError> {
        none()
    }
    pub async fn jobs_active_or_since(&self, since: Timestamp) -> Result<Vec<Versioned<Job>>, StoreError> {
        none()
    }
    pub async fn audit(&self, filter: &AuditFilter) -> Result<AuditPage, StoreError> {
        none()
    }
    pub async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        none()
    }
    pub async fn audit_rows(&self, from_seq: u64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        none()
    }
    pub async fn cursor(&self, name: &str) -> Result<i64, StoreError> {
        none()
    }
    /// Keeps the newest two; returns the position up to which (inclusive) the log is no longer needed.
    pub async fn save_snapshot(&self, position: i64, bytes: &[u8]) -> Result<i64, StoreError> {
        none()
    }
    pub async fn load_snapshot(&self) -> Result<Option<(i64, Vec<u8>)>, StoreError> {
        none()
    }
    pub async fn next_epoch(&self) -> Result<u64, StoreError> {
        none()
    }
    pub async fn meta_get(&self, name: &str) -> Result<Option<String>, StoreError> {
        none()
    }
    pub async fn meta_set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        none()
    }
    pub async fn trim_documents(&self, before: Timestamp) -> Result<Trimmed, StoreError> {
        none()
    }
}
