//! The query parameters of lists. An unknown parameter is refused, never ignored.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

macro_rules! query {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
        #[serde(default, deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub struct $name {
            $(
                $(#[$fdoc])*
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
            /// Items in a page, 1 to 500; 100 when it is not given.
            #[serde(skip_serializing_if = "Option::is_none")]
            #[param(minimum = 1, maximum = 500)]
            pub limit: Option<u32>,
            /// The `next` of the page before.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub after: Option<String>,
        }
    };
}

query! {
    /// A page of a list that has no filter.
    PageQuery {}
}

query! {
    /// Which agents.
    AgentQuery {
        /// False: without those of pods that are gone, which are kept for a day.
        gone: bool,
    }
}

query! {
    /// Which join tokens.
    JoinTokenQuery {
        /// One join token state.
        state: String,
    }
}

query! {
    /// Which incidents.
    IncidentQuery {
        /// One incident state, or `active` for every incident that is not resolved.
        state: String,
        /// Name or UID of a cluster, or name of a host.
        cluster: String,
    }
}

query! {
    /// Which nodes.
    NodeQuery {
        /// One node state.
        state: String,
        /// Name or UID of a cluster.
        cluster: String,
    }
}

query! {
    /// Which approvals.
    ApprovalQuery {
        /// One approval state.
        state: String,
        /// Name of a cluster or host, or UID of a cluster.
        cluster: String,
        /// `owed`: only those that somebody gave alone where several people had to, and that nobody reviewed.
        review: String,
    }
}

query! {
    /// Which jobs.
    JobQuery {
        /// One job state.
        state: String,
        /// Name of a cluster or host, or UID of a cluster.
        cluster: String,
    }
}

query! {
    /// Which drifted files.
    DriftQuery {
        /// One incident state, or `active` for every file that still differs; `active` when it is not given.
        state: String,
        /// Name of a host.
        cluster: String,
    }
}

query! {
    /// Which remedies that were tried.
    HistoryQuery {
        /// Name of a cluster or host, or UID of a cluster.
        cluster: String,
    }
}

query! {
    /// Which audit rows; all conditions hold together.
    AuditQuery {
        /// Who.
        user: String,
        /// What: a whole word such as `approval.approved`, or a group such as `approval`.
        action: String,
        /// Not before (RFC 3339).
        #[param(value_type = String, format = DateTime)]
        since: String,
        /// Before (RFC 3339).
        #[param(value_type = String, format = DateTime)]
        until: String,
    }
}

/// Which audit rows to export, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `json` (one document), `jsonl` (one object a line), `csv` or `cef`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What: a whole word or a group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// Not before (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = String, format = DateTime)]
    pub since: Option<String>,
    /// Before (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[param(value_type = String, format = DateTime)]
    pub until: Option<String>,
}

/// Whether an order without a body is only tried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRunQuery {
    /// True: says what would happen, writes nothing.
    pub dry_run: bool,
}
