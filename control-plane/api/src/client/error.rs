//! What can go wrong between the command and the control plane, and which exit code says so.

use crate::Problem;

/// A call that did not give its answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers at the address, or not in time.
    #[error("cannot reach the control plane at {server}: {detail}; is it running? `nimbus up` starts one")]
    Unreachable {
        /// The address.
        server: String,
        /// What the network said.
        detail: String,
    },
    /// The control plane refuses, and says why.
    #[error("{0}")]
    Problem(Box<Problem>),
    /// Something answered, but not this contract.
    #[error("expected an answer of a Nimbus control plane from {server}, found {found}; check the address")]
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

impl ClientError {
    /// The exit code of the command: 1 an error, 5 refused by policy or permission, 6 not reached, 7 not found.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } => 6,
            Self::Problem(problem) => match problem.status {
                404 => 7,
                401 | 403 => 5,
                _ => 1,
            },
            Self::Unreadable { .. }
            | Self::BadAddress(_)
            | Self::PlainHttp(_)
            | Self::BadToken
            | Self::BadCertificate(_) => 1,
        }
    }

    /// The same as problem+json, for `-o json`.
    pub fn to_problem(&self) -> Problem {
        let (code, title, status) = match self {
            Self::Problem(problem) => return (**problem).clone(),
            Self::Unreachable { .. } => ("unreachable", "The control plane cannot be reached", 503),
            Self::Unreadable { .. } => ("unreadable_answer", "The answer is not one of a control plane", 502),
            Self::BadAddress(_) => ("bad_address", "The address cannot be used", 400),
            Self::PlainHttp(_) => ("plain_http", "Plain HTTP to another machine", 400),
            Self::BadToken => ("bad_token", "The token cannot be used", 400),
            Self::BadCertificate(_) => ("bad_certificate", "The CA certificate cannot be used", 400),
        };
        Problem {
            kind: format!("urn:nimbus:problem:{code}"),
            title: title.to_owned(),
            status,
            detail: self.to_string(),
            code: code.to_owned(),
            ..Problem::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_exit_code() {
        let code =
            |status| ClientError::Problem(Box::new(Problem { status, ..Problem::default() })).exit_code();
        assert_eq!([404, 403, 401, 409, 500].map(code), [7, 5, 5, 1, 1]);
        let lost = ClientError::Unreachable { server: "http://127.0.0.1:1".into(), detail: "refused".into() };
        assert_eq!(lost.exit_code(), 6);
        assert_eq!(lost.to_problem().code, "unreachable");
        assert!(lost.to_problem().detail.contains("nimbus up"));
    }
}
