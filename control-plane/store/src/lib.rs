//! Every SQL statement of the product, on SQLite and PostgreSQL.
#![deny(missing_docs)]

mod document;
mod error;
mod skeleton;
mod types;
mod url;

pub use document::{Columns, Document};
pub use error::StoreError;
pub use skeleton::Store;
pub use types::{
    AuditFilter, AuditHead, AuditPage, Committed, DEFAULT_PAGE, Filter, LogBatch, LogSpan, MAX_PAGE,
    NewBatch, Page, Trimmed,
};
pub use url::StoreUrl;
