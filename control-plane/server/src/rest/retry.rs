//! Retries an operator's decision after a conflicting commit.

use super::error::ApiError;

/// Most times that a decision is made; then the client is told to look again.
const ATTEMPTS: usize = 5;

/// The same for a document that agents write, too: each status of an agent is such a writer, and a hostile one may say another
/// all the time; a token that leaked may be in use by many.
pub const AMONG_AGENTS: usize = 100;

/// Reads, decides and commits through `attempt` until no other writer came between, at most [`ATTEMPTS`] times.
pub async fn until_alone<T, F, Fut>(attempt: F) -> Result<T, ApiError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ApiError>>,
{
    until_alone_within(ATTEMPTS, attempt).await
}

/// As [`until_alone`], at most so many times: for a document that many others write.
pub async fn until_alone_within<T, F, Fut>(attempts: usize, mut attempt: F) -> Result<T, ApiError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, ApiError>>,
{
    for _ in 1..attempts {
        match attempt().await {
            Err(refusal) if refusal.is_conflict() => {
                tracing::debug!("another writer was first, deciding anew");
            }
            answer => return answer,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use nimbus_store::StoreError;

    use super::*;

    #[tokio::test]
    async fn only_a_conflict_is_tried_again_and_not_for_ever() {
        let conflict = || StoreError::Conflict { table: "incidents", id: "x".into(), detail: String::new() };
        let mut calls = 0;
        let answer = until_alone(|| {
            calls += 1;
            std::future::ready(if calls < 3 { Err(conflict().into()) } else { Ok(calls) })
        });
        assert_eq!(answer.await.unwrap(), 3);
        let mut calls = 0;
        let refused: Result<(), _> = until_alone(|| {
            calls += 1;
            std::future::ready(Err(conflict().into()))
        })
        .await;
        assert!(refused.unwrap_err().is_conflict());
        assert_eq!(calls, ATTEMPTS);
        let mut calls = 0;
        let refused: Result<(), _> = until_alone(|| {
            calls += 1;
            std::future::ready(Err(ApiError::overloaded("x")))
        })
        .await;
        assert!(refused.is_err());
        assert_eq!(calls, 1);
    }
}
