//! Measures how long it takes until another control plane leads, after something happened to the one that led while an agent
//! streams to it; what has to hold then (nothing acknowledged is lost, each takeover is an epoch of its own) ends it where it
//! does not.

use clap::Parser;
use nimbus_tests::bench::{Report, percentile};
use nimbus_tests::standby::{Blow, PROMISE, play};

/// Takeovers of two control planes on one PostgreSQL database, on loopback. Ends by itself.
#[derive(Parser)]
#[command(name = "bench-takeover")]
struct Options {
    /// How often each thing happens, some 25 s for the three of them
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rounds: u32,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let played = play(options.rounds as usize).await?;
    let mut report = Report::new("Until another control plane leads", "cargo xtask bench takeover");
    let aim = PROMISE.as_secs().to_string();
    for blow in Blow::ALL {
        let mut seconds: Vec<f64> =
            played.took.iter().filter(|(of, _)| *of == blow).map(|(_, took)| took.as_secs_f64()).collect();
        let what = blow.what();
        for (name, percent) in [("p50", 50.0), ("p99", 99.0), ("longest", 100.0)] {
            let aim = (percent > 50.0).then_some(aim.as_str());
            report.row(
                format!("{what}: {name} of {}", seconds.len()),
                percentile(&mut seconds, percent),
                "s",
                aim,
                None,
            );
        }
    }
    report.note(format!(
        "Two control planes on one PostgreSQL server, on the same cores. One agent streams without an end to whichever leads: \
         {} observations were acknowledged, and each was found stored, once.",
        played.acknowledged
    ));
    report
        .note("Of each takeover up to 5 s are the lease, which has to run out before anybody else may lead.");
    report.print()
}
