//! Reads all pages of a list by following its `next` cursor, up to a bound.

use super::{Answer, ClientError};
use crate::List;

/// Reads page after page until `bound` items, the last page, or a cursor that repeats.
///
/// `page` gets the cursor (`None` for the first page). The answer's `next` is `null` when everything was read, and
/// otherwise the cursor at which reading stopped; more than `bound` items are never kept, except for the rest of
/// the page in which the bound was met. At most `bound` pages are asked for.
pub async fn collect<T>(
    bound: usize,
    mut page: impl AsyncFnMut(Option<String>) -> Result<Answer<List<T>>, ClientError>,
) -> Result<List<T>, ClientError> {
    let mut items = Vec::new();
    let mut after = None;
    for _ in 0..bound {
        let mut got = page(after.clone()).await?.typed;
        items.append(&mut got.items);
        if got.next.is_none() || got.next == after {
            return Ok(List { items, next: None });
        }
        after = got.next;
        if items.len() >= bound {
            break;
        }
    }
    Ok(List { items, next: after })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls a future that never has to wait.
    fn now<T>(future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(value) => value,
            std::task::Poll::Pending => panic!("a page that is at hand must not wait"),
        }
    }

    fn answer(items: Vec<u32>, next: Option<String>) -> Answer<List<u32>> {
        Answer { raw: serde_json::Value::Null, typed: List { items, next } }
    }

    fn pages(after: Option<&str>) -> Answer<List<u32>> {
        let at: u32 = after.map_or(0, |text| text.parse().unwrap());
        answer(vec![at, at + 1], (at < 8).then(|| (at + 2).to_string()))
    }

    #[test]
    fn every_page_is_read_once_and_the_bound_leaves_its_cursor() {
        let read = |bound| now(collect(bound, async |after| Ok(pages(after.as_deref())))).unwrap();
        assert_eq!(read(100), List { items: (0..10).collect(), next: None });
        assert_eq!(read(4), List { items: (0..4).collect(), next: Some("4".into()) });
    }

    #[test]
    fn a_server_that_repeats_its_cursor_does_not_hold_the_client() {
        let stuck = async |_| Ok(answer(vec![1], Some("x".into())));
        assert_eq!(now(collect(1_000, stuck)).unwrap().items.len(), 2);
        let mut turn = 0;
        let endless = async |_| {
            turn += 1;
            Ok(answer(Vec::new(), Some(turn.to_string())))
        };
        assert_eq!(now(collect(50, endless)).unwrap().items.len(), 0);
        assert_eq!(turn, 50);
    }
}
