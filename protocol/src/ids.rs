//! Identifiers: a prefix that names the type, and a UUIDv7 in hexadecimal that sorts by time.
//!
//! The randomness and the clock come from the caller through [`IdSource`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where new UUIDs come from; a test passes a counter, a daemon passes `Uuid::now_v7`.
pub trait IdSource {
    /// A UUID that was never given out before.
    fn next_uuid(&mut self) -> uuid::Uuid;
}

impl<F: FnMut() -> uuid::Uuid> IdSource for F {
    fn next_uuid(&mut self) -> uuid::Uuid {
        self()
    }
}

/// An id that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id such as {prefix}_0190b5c2d3e47f6a8b9c0d1e2f3a4b5c, found {found:?}")]
pub struct IdError {
    /// The prefix that was expected.
    pub prefix: &'static str,
    /// What was found, cut to 64 characters.
    pub found: String,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(uuid::Uuid);

        impl $name {
            /// The prefix before the underscore.
            pub const PREFIX: &'static str = $prefix;

            /// A new id from `source`.
            pub fn new(source: &mut dyn IdSource) -> Self {
                Self(source.next_uuid())
            }

            /// The id of something that is known by a hash.
            pub const fn of_bytes(bytes: [u8; 16]) -> Self {
                Self(uuid::Uuid::from_bytes(bytes))
            }

            /// The id as a number.
            pub const fn to_u128(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl From<uuid::Uuid> for $name {
            fn from(uuid: uuid::Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = [0; uuid::fmt::Simple::LENGTH];
                f.pad(&[$prefix, "_", self.0.simple().encode_lower(&mut text)].concat())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                parse($prefix, text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.to_string()
            }
        }
    };
}

fn parse(prefix: &'static str, text: &str) -> Result<uuid::Uuid, IdError> {
    let error = || IdError { prefix, found: text.chars().take(64).collect() };
    let hex = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or_else(error)?;
    // One text for each id: upper case, hyphens and braces, which a UUID may have elsewhere, are refused.
    let lower = hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if hex.len() != 32 || !lower {
        return Err(error());
    }
    uuid::Uuid::try_parse(hex).map_err(|_| error())
}

id!(
    /// One agent, from its enrolment on.
    AgentId, "agt"
);
id!(
    /// One thing that is wrong.
    IncidentId, "inc"
);
id!(
    /// One planned remedy.
    PlanId, "pln"
);
id!(
    /// One request for approval.
    ApprovalId, "apr"
);
id!(
    /// One signed order to one agent.
    JobId, "job"
);
id!(
    /// One join token (not its secret).
    TokenId, "tok"
);
id!(
    /// One access token of a person (not its secret).
    AccessTokenId, "acc"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_text_and_json() {
        let mut source = || uuid::Uuid::from_u128(7);
        let id = JobId::new(&mut source);
        assert_eq!(id.to_string(), "job_00000000000000000000000000000007");
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
        assert_eq!(format!("{id:>38}|{id:?}"), format!("  {id}|{id}"));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(serde_json::from_str::<JobId>(&json).unwrap(), id);
    }

    #[test]
    fn another_things_id_is_refused_by_name() {
        let error = "inc_00000000000000000000000000000007".parse::<JobId>().unwrap_err();
        assert!(error.to_string().contains("job_"), "{error}");
        assert!("job_0000000000000000000000000000000G".parse::<JobId>().is_err());
        assert!("job_".parse::<JobId>().is_err());
    }
}
