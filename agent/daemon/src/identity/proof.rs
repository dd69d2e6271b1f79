//! Why a pod cannot prove where it runs.

/// Why a pod cannot prove where it runs (yet).
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// There is no cluster to prove anything of.
    #[error(
        "expected the cluster whose pod this is beside --service-account-token, found none; give --in-cluster, or leave \
         the token out"
    )]
    NoCluster,
    /// The token cannot be read.
    #[error(
        "expected a service account token at {path}, found: {found}; mount a projected one with the audience \
         nimbus-control-plane, as the chart nimbus-agent does"
    )]
    Token {
        /// The file.
        path: std::path::PathBuf,
        /// What came instead.
        found: String,
    },
    /// The API server does not say what it has to.
    #[error("expected {expected} from the API server, found: {found}; it is tried again")]
    ApiServer {
        /// What was asked for.
        expected: &'static str,
        /// What came instead.
        found: String,
    },
}
