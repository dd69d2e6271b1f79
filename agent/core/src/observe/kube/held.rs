//! The taint by which Nimbus holds a node back: its key, its effect, and what its value says.
//!
//! The value names the job and the second since 1970 until which the taint may stay, so that whoever finds it later needs
//! nothing else to know whose it is and when it is stale.

pub use nimbus_protocol::kind::{HELD as KEY, HELD_EFFECT as EFFECT};
use nimbus_protocol::v1;

/// Whose a taint of ours is, and until when it may stay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The job; whatever the value says, where it is not one of ours.
    pub by: String,
    /// Seconds since 1970; 0 where the value does not say it.
    pub until_s: i64,
}

/// The value of the taint of `job`, which may stay until then.
pub fn value(job: &str, until_s: i64) -> String {
    format!("{job}.{until_s}")
}

/// What the value of such a taint says.
pub fn parse(value: &str) -> Held {
    let parts = value.rsplit_once('.').and_then(|(job, until)| Some((job, until.parse().ok()?)));
    let (by, until_s) = parts.unwrap_or((value, 0));
    // A taint without a value is held by somebody all the same.
    let by = if by.is_empty() { "unknown" } else { by };
    Held { by: by.to_owned(), until_s }
}

/// The taint of ours among `taints`.
pub fn of(taints: &[v1::Taint]) -> Option<Held> {
    taints.iter().find(|taint| taint.key == KEY).map(|taint| parse(&taint.value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_says_whose_it_is_and_until_when_and_is_one_that_kubernetes_accepts() {
        let job = format!("job_{:032x}", 7);
        let value = value(&job, 1_800_000_000);
        assert_eq!(parse(&value), Held { by: job, until_s: 1_800_000_000 });
        assert!(value.len() <= 63 && value.ends_with(|c: char| c.is_ascii_alphanumeric()), "{value}");
    }

    #[test]
    fn what_is_not_said_is_held_by_somebody_and_never_in_date() {
        assert_eq!(parse(""), Held { by: "unknown".into(), until_s: 0 });
        assert_eq!(parse("somebody"), Held { by: "somebody".into(), until_s: 0 });
        assert_eq!(parse("job.soon"), Held { by: "job.soon".into(), until_s: 0 });
        assert_eq!(of(&[]), None);
        let other = v1::Taint { key: "gpu".into(), ..v1::Taint::default() };
        assert_eq!(of(&[other]), None);
    }
}
