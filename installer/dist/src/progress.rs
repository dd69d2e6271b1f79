//! One line for each step that is done, with its time.

use std::time::{Duration, Instant};

/// Does a step and says so.
pub fn step<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let begun = Instant::now();
    let done = work()?;
    eprintln!("  {:>10}  {what}", seconds(begun.elapsed()));
    Ok(done)
}

/// Says that a step has nothing to do, and why.
pub fn none(what: &str, why: &str) {
    let time = "-";
    eprintln!("  {time:>10}  {what}: {why}");
}

fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_gives_what_its_work_gives() {
        assert_eq!(step("good", || Ok(7)).unwrap(), 7);
        assert!(step::<()>("bad", || anyhow::bail!("no")).is_err());
        assert_eq!(seconds(Duration::from_millis(1_300)), "1.3 s");
        assert_eq!(seconds(Duration::from_secs(61)), "1 min 1 s");
    }
}
