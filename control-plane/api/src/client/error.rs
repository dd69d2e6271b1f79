//! Errors of the API client, from a connection that fails to a problem document from the control plane.

use crate::Problem;

/// A call that did not give its answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers at the address, or not in time.
    #[error("cannot reach the control plane at {server}: {detail}; is it running? `nimbus up` starts one")]
    Unreachable {
        /// The address.
        server: String,
        /// What stands in the way.
        why: Silence,
        /// What the network said.
        detail: String,
    },
    /// The control plane refuses, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Something answered, but not this contract.
    #[error(
        "expected an answer of a Nimbus control plane of this version from {server}, found {found}; check the address and \
         its version"
    )]
    Unreadable {
        /// The address.
        server: String,
        /// What came instead.
        found: String,
    },
    /// The address cannot be used.
    #[error("expected an address such as https://nimbus.example:8443 or http://127.0.0.1:8080, found {0:?}")]
    BadAddress(String),
    /// The token would travel in the clear.
    #[error(
        "{0} is plain HTTP to another machine, and the token would travel in the clear; expected https:// there \
         (plain http:// only to a loopback address)"
    )]
    PlainHttp(String),
    /// The token cannot be a header.
    #[error(
        "expected an operator token of visible ASCII characters, found another one; read it from its file again"
    )]
    BadToken,
    /// The CA certificate cannot be read.
    #[error("expected a CA certificate in PEM, found {0}")]
    BadCertificate(String),
}

/// Why no answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// The machine is there, and nothing listens at the port: stopped, or never started.
    Stopped,
    /// There is no such machine, or no way to it.
    Absent,
    /// Something listens and did not answer in time, or ended the connection: it has more to do than it can.
    Crowded,
    /// The answer began and broke off.
    BrokenOff,
    /// What answers says that the control plane takes no requests now (502, 503, 504 without a problem document): it is
    /// starting, has more to do than it can, or cannot be reached from a proxy before it.
    Unready,
    /// Its certificate is not to be trusted: another CA signed it, it is expired, or of another name.
    Untrusted,
    /// Something else.
    Other,
}
