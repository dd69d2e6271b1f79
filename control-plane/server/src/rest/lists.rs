//! What every list endpoint shares: paging, and the values that it can be filtered by.

use nimbus_control_core::model::{Cluster, Document, Versioned};
use nimbus_store::{Filter, Page};

use super::error::ApiError;
use crate::app::App;

/// A filter for one page of a list, newest first.
pub fn newest(limit: Option<u32>, after: Option<String>) -> Filter {
    Filter {
        limit: limit.unwrap_or(nimbus_api::DEFAULT_LIMIT),
        after,
        newest_first: true,
        ..Filter::default()
    }
}

/// The name by which documents know a cluster, from its name or UID; a host's name is its own.
pub async fn cluster_name(app: &App, text: Option<String>) -> Result<Option<String>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let known: Option<Versioned<Cluster>> = app.store().get(&text).await?;
    Ok(Some(known.map_or(text, |cluster| cluster.doc.name)))
}

/// One document by its id, or by its name where names are keys and exactly one in `state` has it.
pub async fn by_id_or_name<T: Document>(
    app: &App,
    text: &str,
    state: Option<&str>,
    what: &str,
    remedy: &str,
) -> Result<Versioned<T>, ApiError> {
    if let Some(found) = app.store().get::<T>(text).await? {
        return Ok(found);
    }
    let filter = Filter {
        key: Some(text.to_owned()),
        states: state.map(ToOwned::to_owned).into_iter().collect(),
        limit: 2,
        ..Filter::default()
    };
    let Page { mut items, .. } = app.store().list::<T>(&filter).await?;
    match (items.pop(), items.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => {
            let detail = format!("more than one {what} is called {text}");
            Err(ApiError::conflict("ambiguous", detail).expected("one").found("several").remedy("use its id"))
        }
        (None, _) => Err(ApiError::not_found(what, text, remedy)),
    }
}
