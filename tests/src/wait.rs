//! Waits until a condition is true, with a time limit and an error that says what was seen last.
//!
//! A test that sleeps for a fixed time is either slow or flaky; a test that waits without saying what
//! it saw is a riddle on a busy machine. Every wait of the tests goes through here.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// What one look found.
#[derive(Debug)]
pub enum Seen<T> {
    /// It is so; the value goes to the test.
    Yes(T),
    /// Not yet; the text says what is there instead and ends up in the error.
    NotYet(String),
}

impl<T> Seen<T> {
    /// `Yes` with the value, or `NotYet` with what `otherwise` describes.
    pub fn when(found: Option<T>, otherwise: impl Display) -> Self {
        found.map_or_else(|| Self::NotYet(otherwise.to_string()), Self::Yes)
    }
}

/// How long to rest between two looks: short enough to not blur a test, long enough to leave a small
/// machine its processor.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks again and again until it is so, at most for `limit`.
///
/// An error of a look counts as "not yet" (a server that is being restarted refuses connections).
///
/// # Errors
/// After `limit`: what was awaited, for how long, and what was seen last.
pub async fn wait_for<T, Look, Answer>(what: &str, limit: Duration, mut look: Look) -> anyhow::Result<T>
where
    Look: FnMut() -> Answer,
    Answer: Future<Output = anyhow::Result<Seen<T>>>,
{
    let begun = Instant::now();
    let mut last = "nothing".to_owned();
    loop {
        // A look that hangs must not outlive the limit either.
        let left = limit.saturating_sub(begun.elapsed()).max(Duration::from_secs(1));
        last = match tokio::time::timeout(left, look()).await {
            Ok(Ok(Seen::Yes(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(text))) => text,
            Ok(Err(error)) => format!("error: {error:#}"),
            // What the look before it saw says more.
            Err(_) => format!("no answer in time; before that: {last}"),
        };
        if begun.elapsed() >= limit {
            anyhow::bail!("waited {} s for {what}; last seen: {last}", limit.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The same for code without an async runtime.
///
/// # Errors
/// As [`wait_for`].
pub fn wait_for_blocking<T>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> anyhow::Result<Seen<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let last = match look() {
            Ok(Seen::Yes(value)) => return Ok(value),
            Ok(Seen::NotYet(text)) => text,
            Err(error) => format!("error: {error:#}"),
        };
        if begun.elapsed() >= limit {
            anyhow::bail!("waited {} s for {what}; last seen: {last}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_error_says_what_was_seen_last() {
        let mut looks = 0;
        let error = wait_for::<(), _, _>("the third look", Duration::from_millis(120), || {
            looks += 1;
            let seen = format!("look {looks}");
            async move { Ok(Seen::NotYet(seen)) }
        })
        .await
        .unwrap_err()
        .to_string();
        assert!(error.contains("the third look") && error.contains(&format!("look {looks}")), "{error}");
    }

    #[test]
    fn an_error_is_not_the_end_of_waiting() {
        let mut looks = 0;
        let value = wait_for_blocking("a value", Duration::from_secs(5), || {
            looks += 1;
            if looks < 3 {
                anyhow::bail!("refused")
            }
            Ok(Seen::Yes(looks))
        });
        assert_eq!(value.unwrap(), 3);
    }
}
