//! Looks at a database for `nimbus preflight`: the command knows no SQL, the control plane's store does.

use nimbus_checks::preflight::{Database, NoDatabase};
use nimbus_control_plane::{Probed, StoreError, StoreUrl, probe, schema_version};

/// What the PostgreSQL server at `address` says of itself, or why nothing could be said. Nothing is written, and no word
/// holds the password.
pub(super) async fn look(address: &str) -> Result<Database, NoDatabase> {
    let url: StoreUrl = address.parse().map_err(|error: StoreError| NoDatabase::Other(error.to_string()))?;
    match probe(&url).await {
        Ok(probed) => Ok(read(probed)),
        Err(StoreError::Unreachable { at, detail }) => {
            Err(NoDatabase::Unreachable(format!("{at}: {detail}")))
        }
        Err(StoreError::Denied { at, detail }) => Err(NoDatabase::Refused(format!("{at}: {detail}"))),
        Err(error) => Err(NoDatabase::Other(error.to_string())),
    }
}

fn read(probed: Probed) -> Database {
    Database {
        at: probed.at,
        version_number: u32::try_from(probed.version_number).unwrap_or(0),
        version: probed.version,
        encoding: probed.encoding,
        may_create: probed.may_create,
        is_read_only: probed.is_read_only,
        free_connections: u32::try_from(probed.free_connections).unwrap_or(u32::MAX),
        schema: probed.schema,
        known_schema: schema_version(),
    }
}
