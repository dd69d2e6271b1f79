//! What a new agent and an operator meet: enrolments now and then, and requests at a steady rate.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::plane::Plane;
use crate::sim::{SimSession, enrol};

/// What operators look at, in turn.
const LOOKS: [&str; 3] = ["/status", "/incidents", "/agents"];
/// Longest time that one enrolment or one request is waited for; it then counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long each took, and how many came to nothing.
#[derive(Default)]
pub struct Taken {
    /// Milliseconds; those that failed are in it with the time after which they did.
    pub ms: Vec<f64>,
    /// What did not come about, and why.
    pub failures: Vec<String>,
}

impl Taken {
    fn of(all: Vec<(f64, Option<String>)>) -> Self {
        let (ms, failures): (Vec<f64>, Vec<Option<String>>) = all.into_iter().unzip();
        Self { ms, failures: failures.into_iter().flatten().collect() }
    }
}

/// Fresh agents come in, `count` of them spread over `time`; each makes a token, enrols and is welcomed.
///
/// None waits for the one before it: a slow one must not make the next one come later.
pub async fn enrolments(plane: &Plane, count: u32, time: Duration, prefix: &str) -> Taken {
    let one = |n: u32| {
        at(time / count * n, async move {
            let token = plane.join_token(&format!("{prefix}-{n}"), "host").await?;
            let identity = enrol(plane.quic(), &token).await?;
            SimSession::start(plane.quic(), &identity, 1).await.map(drop)
        })
    };
    Taken::of(join_all((0..count).map(one)).await)
}

/// An operator looks, `a_second` times a second for `time`, whether the looks before are answered or not.
pub async fn requests(plane: &Plane, a_second: u32, time: Duration) -> Taken {
    let looks = u32::try_from(time.as_secs()).unwrap_or(u32::MAX).saturating_mul(a_second);
    let one = |(n, path): (u32, &'static str)| {
        at(Duration::from_secs(1) / a_second * n, async move { plane.get(path).await.map(drop) })
    };
    Taken::of(join_all((0..looks).zip(LOOKS.into_iter().cycle()).map(one)).await)
}

/// Does it `wait` from now on. Returns the milliseconds since then, also those until it was begun too late, and why it failed.
async fn at(wait: Duration, what: impl Future<Output = anyhow::Result<()>>) -> (f64, Option<String>) {
    let planned = Instant::now() + wait;
    tokio::time::sleep_until(planned.into()).await;
    let failure = match tokio::time::timeout(PATIENCE, what).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(format!("{error:#}")),
        Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    (planned.elapsed().as_secs_f64() * 1e3, failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_is_counted_with_its_time_and_its_reason() {
        let refused = at(Duration::ZERO, async { anyhow::bail!("refused") });
        let taken = Taken::of(vec![refused.await, at(Duration::ZERO, async { Ok(()) }).await]);
        assert_eq!((taken.ms.len(), taken.failures), (2, vec!["refused".to_owned()]));
    }
}
