//! The keys of the cluster that this agent leads, on their way to the control plane, which lets new agents of the cluster in by
//! them.

use std::sync::Arc;

use nimbus_protocol::v1;
use tokio::sync::watch;

/// The keys of the cluster that this agent leads, which go with a renewal until the control plane knows them.
#[derive(Debug, Default)]
pub struct BroughtKeys {
    /// As the API server publishes them; `None` while this agent does not lead.
    published: Arc<watch::Sender<Option<String>>>,
    /// Those in the last request.
    asked: Option<String>,
    /// Those that need not be brought again.
    done: Option<String>,
}

impl BroughtKeys {
    /// Where they are put.
    pub fn published(&self) -> Arc<watch::Sender<Option<String>>> {
        self.published.clone()
    }

    /// A session began: what its control plane knows may be older, as after a restore.
    pub fn welcomed(&mut self) {
        self.done = None;
    }

    /// Those that are to be brought.
    pub fn due(&mut self) -> Option<String> {
        let published = self.published.borrow().clone();
        if published.is_none() {
            // Another leader may bring others meanwhile.
            self.done = None;
        }
        published.filter(|keys| self.done.as_ref() != Some(keys))
    }

    /// These go with a request, or none.
    pub fn asks(&mut self, keys: Option<String>) {
        self.asked = keys;
    }

    /// Takes the answer; returns what is wrong with them.
    pub fn take(&mut self, answer: v1::ClusterKeys) -> Option<String> {
        let asked = self.asked.take()?;
        match answer {
            // A control plane that does not say what became of them is older than them.
            v1::ClusterKeys::Known | v1::ClusterKeys::Unspecified => self.done = Some(asked),
            v1::ClusterKeys::NotYet => {}
            v1::ClusterKeys::Unreadable => {
                self.done = Some(asked);
                return Some(
                    "expected keys of the cluster that the control plane can use at /openid/v1/jwks (RSA, P-256 or P-384, 32 at \
                     most), found others: new agents of this cluster may not be able to join; look at the API server's \
                     --service-account-key-file"
                        .to_owned(),
                );
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_go_with_renewals_until_they_are_known_and_again_when_they_change() {
        use v1::ClusterKeys::{Known, NotYet, Unreadable, Unspecified};
        let keys = &mut BroughtKeys::default();
        let published = keys.published();
        assert_eq!(keys.due(), None, "it does not lead");
        let mut brings = |set: &str, answer| {
            published.send_replace(Some(set.to_owned()));
            let due = keys.due();
            keys.asks(due.clone());
            (due.is_some(), keys.take(answer).is_some())
        };
        assert_eq!(brings("a", NotYet), (true, false));
        assert_eq!(brings("a", Known), (true, false));
        assert_eq!(brings("a", Unspecified), (false, false), "it renews its certificate alone");
        assert_eq!(brings("b", Unreadable), (true, true));
        assert_eq!(brings("b", Known), (false, false));
        assert_eq!(brings("a", Unspecified), (true, false), "an older control plane");
        assert_eq!(brings("a", Known), (false, false));
        keys.welcomed();
        let due = keys.due();
        assert_eq!(due, Some("a".to_owned()), "a control plane that was restored");
        keys.asks(due);
        keys.take(Known);
        published.send_replace(None);
        assert_eq!(keys.due(), None);
        published.send_replace(Some("a".to_owned()));
        assert_eq!(keys.due(), Some("a".to_owned()), "another agent led meanwhile");
    }
}
