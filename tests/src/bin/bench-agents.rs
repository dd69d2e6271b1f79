//! Measures many agents at one control plane: what enrolling, connecting and holding each of them costs as their number
//! grows, beside idle connections that nats-server and mosquitto hold with mutual TLS in the same minutes.

use std::time::Duration;

use clap::Parser;
use nimbus_tests::bench::fleet::{Fleet, HEARTBEAT, Held, Step};
use nimbus_tests::bench::peers::{Holding, Peer, Took};
use nimbus_tests::bench::{Report, open_files, percentile, usage};
use nimbus_tests::plane::Plane;
use nimbus_tests::postgres::Postgres;

/// Rest before the memory of a control plane without agents is read.
const SETTLE: Duration = Duration::from_secs(8);
/// Open files beside the sockets of agents and clients.
const OTHER_FILES: usize = 500;
/// Memory on this machine that one more simulated agent may take, at both ends and with what the kernel buffers.
const EACH_KIB: u64 = 600;

/// Many agents at one control plane, on loopback. Ends by itself.
#[derive(Parser)]
#[command(name = "bench-agents")]
struct Options {
    /// Agents that are held for --minutes, and connections that each peer holds beside them
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(20..=50_000))]
    agents: u32,
    /// For how long
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=120))]
    minutes: u64,
    /// Agents to which it grows afterwards, for a minute
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(0..=50_000))]
    then: u32,
    /// Agents after which their cost is looked at again
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(10..))]
    step: u32,
    /// On PostgreSQL instead of SQLite
    #[arg(long)]
    postgres: bool,
    /// Without nats-server and mosquitto
    #[arg(long)]
    no_peers: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let (agents, then) = (usize::try_from(options.agents)?, usize::try_from(options.then)?);
    let sockets = if options.no_peers { agents } else { agents * 3 };
    open_files::make_room_for(u64::try_from(sockets.max(then) + OTHER_FILES)?)?;
    let postgres = options.postgres.then(Postgres::start).transpose()?;
    let database = postgres.as_ref().map(Postgres::fresh_database).transpose()?;
    let mut report = Report::new("Many agents", "cargo xtask bench agents");

    let plane = Plane::start_for(database, agents.max(then) + 100).await?;
    tokio::time::sleep(SETTLE).await;
    let idle = usage::resident_bytes(plane.pid())?;
    let (mut fleet, mut steps) = (Fleet::default(), Vec::new());
    grow(&mut fleet, &plane, agents, options.step, &mut steps).await?;
    let mut peers = Vec::new();
    for peer in Peer::ALL.into_iter().filter(|_| !options.no_peers) {
        eprintln!("{} takes {agents} connections", peer.name());
        peers.push(Holding::start(peer, agents).await?);
    }
    let held = fleet.hold(&plane, Duration::from_secs(options.minutes * 60).max(HEARTBEAT)).await?;
    let took: Vec<Took> = peers.iter().map(Holding::took).collect::<anyhow::Result<_>>()?;
    drop(peers);
    holding(&mut report, agents, options.minutes, (idle, &held), &took)?;

    let grown = if then > agents && has_memory_for(then - agents)? {
        grow(&mut fleet, &plane, then, options.step, &mut steps).await?;
        Some(fleet.hold(&plane, Duration::from_mins(1)).await?)
    } else {
        None
    };
    after(&mut report, (agents, then), idle, &held, grown.as_ref());
    growth(&mut report, &mut steps);
    notes(&mut report, &options, took.len());
    report.print()
}

async fn grow(
    fleet: &mut Fleet,
    plane: &Plane,
    to: usize,
    step: u32,
    steps: &mut Vec<Step>,
) -> anyhow::Result<()> {
    while fleet.len() < to {
        let next = (fleet.len() + usize::try_from(step)?).min(to);
        let mut step = fleet.grow(plane, next).await?;
        eprintln!(
            "{} to {}: {:.0} enrolments/s and {:.0} connections/s, {:.2} and {:.2} ms of processor time each; one by one p50 \
             {:.1} ms and {:.1} ms",
            step.from,
            step.to,
            step.enrolled_a_second,
            step.connected_a_second,
            step.enrolling_took_ms,
            step.connecting_took_ms,
            percentile(&mut step.enrol_ms, 50.0),
            percentile(&mut step.connect_ms, 50.0)
        );
        steps.push(step);
    }
    Ok(())
}

/// Whether the machine has room for so many more.
fn has_memory_for(more: usize) -> anyhow::Result<bool> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).unwrap_or_default();
    let kib: u64 = line.split_whitespace().next().unwrap_or("0").parse()?;
    Ok(kib > u64::try_from(more)? * EACH_KIB)
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process, and some thousand agents")]
fn bytes_each(resident: u64, idle: u64, agents: usize) -> f64 {
    resident.saturating_sub(idle) as f64 / agents.max(1) as f64
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process, and some thousand agents")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[allow(clippy::cast_precision_loss, reason = "some thousand agents")]
fn holding(
    report: &mut Report,
    agents: usize,
    minutes: u64,
    (idle, held): (u64, &Held),
    took: &[Took],
) -> anyhow::Result<()> {
    let beside = |what: &dyn Fn(&Took) -> String| {
        let all: Vec<String> = took.iter().map(|took| format!("{} {}", took.name, what(took))).collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let open = beside(&|took| took.open.to_string());
    let what = format!("{agents} agents for {minutes} min: still connected");
    report.row(what, held.connected as f64, "", Some(&agents.to_string()), open);
    let each = bytes_each(held.resident, idle, agents);
    let peers = beside(&|took| format!("{:.1}", took.bytes_each / 1e3));
    report.row("resident memory for each, without what an idle one has", each / 1e3, "kB", None, peers);
    for took in took {
        report.row(
            format!("times the memory of {} for each", took.name),
            each / took.bytes_each,
            "x",
            None,
            None,
        );
    }
    let peers = beside(&|took| format!("{:.0}", megabytes(took.resident)));
    report.row("resident memory in all", megabytes(held.resident), "MB", None, peers);
    report.row("of which before the first agent", megabytes(idle), "MB", None, None);
    let peers = beside(&|took| format!("{:.2}", took.processor_percent));
    report.row(
        "processor while nothing but heartbeats came",
        held.processor_percent,
        "% of a core",
        None,
        peers,
    );
    anyhow::ensure!(
        held.ended == 0,
        "{} of {agents} sessions ended by themselves: the figures mean nothing",
        held.ended
    );
    Ok(())
}

/// What more agents need: measured where they had room, else by what each of the held ones took.
#[allow(clippy::cast_precision_loss, reason = "some thousand agents")]
fn after(report: &mut Report, (agents, then): (usize, usize), idle: u64, held: &Held, grown: Option<&Held>) {
    if then <= agents {
        return;
    }
    if let Some(grown) = grown {
        let what = format!("{then} agents for 1 min: still connected");
        report.row(what, grown.connected as f64, "", Some(&then.to_string()), None);
        report.row(format!("{then} agents: resident memory"), megabytes(grown.resident), "MB", None, None);
        let each = bytes_each(grown.resident, idle, then);
        report.row(format!("{then} agents: resident memory for each"), each / 1e3, "kB", None, None);
        report.row(format!("{then} agents: processor"), grown.processor_percent, "% of a core", None, None);
    } else {
        let resident = idle as f64 + bytes_each(held.resident, idle, agents) * then as f64;
        let what = format!("{then} agents: resident memory, not measured but extrapolated from {agents}");
        report.row(what, resident / 1e6, "MB", None, None);
    }
}

/// Reads a cost from a step, in milliseconds.
type Cost = fn(&mut Step) -> f64;

/// What it costs to take one agent in, in six ways.
const COSTS: [(&str, Cost); 6] = [
    ("an enrolment, 16 at once, by the clock", |step| 1e3 / step.enrolled_a_second),
    ("a connection, 16 at once, by the clock", |step| 1e3 / step.connected_a_second),
    ("an enrolment, the control plane's processor time", |step| step.enrolling_took_ms),
    ("a connection, the control plane's processor time", |step| step.connecting_took_ms),
    ("an enrolment alone, p50", |step| percentile(&mut step.enrol_ms, 50.0)),
    ("a connection alone, p50", |step| percentile(&mut step.connect_ms, 50.0)),
];

/// The first step against the last one.
fn growth(report: &mut Report, steps: &mut [Step]) {
    let [first, .., last] = &*steps else { return };
    let (begin, end) = (format!("1 to {}", first.to), format!("{} to {}", last.from + 1, last.to));
    for (what, cost) in COSTS {
        let all: Vec<f64> = steps.iter_mut().map(cost).collect();
        let [early, .., late] = all.as_slice() else { return };
        report.row(format!("{what}, agents {begin}"), *early, "ms", None, None);
        report.row(format!("{what}, agents {end}"), *late, "ms", None, None);
        let (ratio, error) = last_by_first(&all);
        report.row(format!("{what}: the last by the first"), ratio, "x", Some("1"), None);
        let by_steps: Vec<String> = all.iter().map(|ms| format!("{ms:.2}")).collect();
        let missed = if ratio - 2.0 * error > 1.0 { "Missed: " } else { "" };
        report.note(format!(
            "{missed}{what}, ms by steps: {}; the last is {ratio:.2} +- {error:.2} times the first.",
            by_steps.join(", ")
        ));
    }
}

/// The last by the first on the straight line that fits all best (least squares), and its standard error: one step alone is off
/// by a tenth.
#[allow(clippy::cast_precision_loss, reason = "some dozen steps")]
fn last_by_first(all: &[f64]) -> (f64, f64) {
    let count = all.len() as f64;
    let (middle, half) = (all.iter().sum::<f64>() / count, (count - 1.0) / 2.0);
    let places: Vec<f64> = (0..all.len()).map(|n| n as f64 - half).collect();
    let squares: f64 = places.iter().map(|place| place * place).sum();
    let rise: f64 = places.iter().zip(all).map(|(place, value)| place * (value - middle)).sum();
    let slope = rise / squares;
    let off = |(place, value): (&f64, &f64)| (value - middle - place * slope).powi(2);
    let scatter = places.iter().zip(all).map(off).sum::<f64>() / (count - 2.0).max(1.0);
    let (first, last) = (middle - half * slope, middle + half * slope);
    (last / first, (scatter / squares).sqrt() * 2.0 * half / first)
}

fn notes(report: &mut Report, options: &Options, peers: usize) {
    let database = if options.postgres { "PostgreSQL" } else { "SQLite" };
    report.note(format!(
        "Simulated agents on loopback with {database}, each with a socket, a key and a certificate of its own, mutual TLS \
         1.3 over QUIC; they watch nothing, and a heartbeat every {} s, which is answered, keeps the session. They run on the same \
         cores as the control plane. An enrolment is a join token made over REST and redeemed over QUIC; a connection goes from the \
         first packet until the agent's first facts (its status and its host's) are stored.",
        HEARTBEAT.as_secs()
    ));
    report.note(format!(
        "By {} agents: 50 come one after another, then the others enrol and then connect. Meanwhile those that are connected skip \
         their heartbeats: what these take, at both ends and from the same cores, is what it costs to hold them. The last by the \
         first is read from the straight line through all steps, with its standard error.",
        options.step
    ));
    if peers > 0 {
        report.note(format!(
            "The peers, as Debian packages them, held as many connections in the same minutes: mutual TLS 1.3 over TCP on \
             loopback, one certificate for all clients, a ping every {} s, nothing subscribed. Their clients are of this \
             benchmark and speak as much of NATS (CONNECT, PING) and MQTT 3.1.1 (CONNECT, PINGREQ) as that takes. Memory is \
             that of the process; what the kernel keeps for a TCP connection is not in it.",
            HEARTBEAT.as_secs()
        ));
    }
}
