//! `GET /api/v1/audit/export`: streams the audit log as a file, page by page.
//!
//! What is exported is the chain as it was when the export began. A database that fails half-way breaks the
//! connection off, so that a short file is never taken for a whole one.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures::stream;
use nimbus_api::{AuditRow, ExportQuery};
use nimbus_store::{AuditFilter, StoreError};
use tokio::sync::OwnedSemaphorePermit;

use super::format::Format;
use crate::app::App;
use crate::rest::error::ApiError;
use crate::rest::extract::{Params, word};
use crate::rest::limits::Limits;
use crate::rest::view;

/// Rows that are read, and sent, at once.
const PAGE: u32 = 500;

/// Export the audit chain
#[utoipa::path(
    get, path = "/api/v1/audit/export", operation_id = "export_audit", tag = "audit", params(ExportQuery),
    description = "Oldest first, streamed. `json` is one document, `jsonl` one object a line, `csv` is safe to open \
                   in a spreadsheet, `cef` is for a SIEM. At most four walks at once.",
    responses((status = 200, description = "The rows", content(
        (nimbus_api::AuditDocument = "application/json"), (AuditRow = "application/x-ndjson"),
        (String = "text/csv"), (String = "text/plain")
    )))
)]
pub async fn export(
    State(app): State<Arc<App>>,
    Extension(limits): Extension<Limits>,
    Params(query): Params<ExportQuery>,
) -> Result<Response, ApiError> {
    let format: Format = word("format", query.format.as_deref().unwrap_or("json"))?;
    let filter = AuditFilter {
        limit: PAGE,
        ..super::filter(query.user, query.action, query.since.as_deref(), query.until.as_deref())?
    };
    let walk = limits.walk()?;
    let until = app.store().audit_head().await?.seq;
    let export = Export { app, filter, format, until, stage: Stage::Begin, _walk: walk };
    let body = Body::from_stream(stream::try_unfold(export, Export::step));
    let (media, file) = format.media();
    let attachment = format!("attachment; filename=\"{file}\"");
    let headers = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_DISPOSITION, &attachment),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, body).into_response())
}

enum Stage {
    Begin,
    Rows { first: bool },
    Done,
}

struct Export {
    app: Arc<App>,
    filter: AuditFilter,
    format: Format,
    /// The last row of the chain when the export began.
    until: u64,
    stage: Stage,
    _walk: OwnedSemaphorePermit,
}

#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a row cannot be written: {0}")]
    Row(#[from] serde_json::Error),
}

impl Export {
    async fn step(mut self) -> Result<Option<(String, Self)>, ExportError> {
        match self.stage {
            Stage::Begin => {
                self.stage = Stage::Rows { first: true };
                Ok(Some((self.format.begin().to_owned(), self)))
            }
            Stage::Rows { first } => match self.page(first).await {
                Ok(chunk) => Ok(Some((chunk, self))),
                Err(error) => {
                    tracing::warn!(%error, "an export of the audit log broke off");
                    Err(error)
                }
            },
            Stage::Done => Ok(None),
        }
    }

    async fn page(&mut self, first: bool) -> Result<String, ExportError> {
        let page = self.app.store().audit(&self.filter).await?;
        let mut chunk = String::new();
        let mut wrote = !first;
        let mut past = false;
        for row in &page.rows {
            past = row.seq > self.until;
            if past {
                break;
            }
            self.format.row(&mut chunk, &view::audit_row(row), !wrote)?;
            wrote = true;
        }
        if past || page.next.is_none() {
            chunk.push_str(self.format.end());
            self.stage = Stage::Done;
        } else {
            self.filter.after = page.next;
            self.stage = Stage::Rows { first: !wrote };
        }
        Ok(chunk)
    }
}
