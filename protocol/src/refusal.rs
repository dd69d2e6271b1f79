//! Words of `Refusal.code` on which the peer does more than say them. All words are listed at the message itself.

/// From a control plane that stands by for the one that leads: the next try may reach that one.
pub const STANDBY: &str = "standby";
/// The certificate of the session ended by the control plane's clock, and was not renewed over it.
pub const CERTIFICATE_ENDED: &str = "certificate_ended";
/// The control plane does not know the agent, or knows it with another key.
pub const UNKNOWN_AGENT: &str = "unknown_agent";
