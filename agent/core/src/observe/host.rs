//! The host's health samples, and the decision which change of them is worth an observation.
//!
//! A sample is sent when a figure moved by more than its threshold since the last one sent, and after
//! [`AT_LEAST_EVERY`] anyway, so that a quiet host is not taken for a silent one.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;

/// A sample is sent after so long whatever it says.
pub const AT_LEAST_EVERY: SignedDuration = SignedDuration::from_mins(5);
/// CPU use: a change of so many hundredths of a percent.
pub const CPU_CENTIPERCENT: u32 = 1_000;
/// Memory, swap and disks: a change of so many thousandths of the total.
pub const SHARE_PERMILLE: u64 = 20;
/// One-minute load: a change of so many hundredths for each core.
pub const LOAD_CENTI_PER_CORE: u32 = 50;
/// Most disks and processes in a message; the largest are kept.
pub const MAX_LISTED: usize = 64;

/// What the system says of the host, as it says it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostSample {
    /// Host name.
    pub hostname: String,
    /// Operating system and its version.
    pub os: String,
    /// Kernel release.
    pub kernel: String,
    /// The boot id as text; only its hash leaves.
    pub boot_id: String,
    /// Logical cores.
    pub cores: u32,
    /// Percent of all cores, 0 to 100.
    pub cpu_percent: f64,
    /// Bytes.
    pub memory_total_bytes: u64,
    /// Bytes that could be used without swapping.
    pub memory_available_bytes: u64,
    /// Bytes.
    pub swap_total_bytes: u64,
    /// Bytes.
    pub swap_used_bytes: u64,
    /// Load averages of one, five and fifteen minutes.
    pub load: [f64; 3],
    /// How many processes.
    pub processes: u32,
    /// Mounted disks.
    pub disks: Vec<v1::Disk>,
    /// Seconds since boot.
    pub uptime_seconds: u64,
    /// The processes with the most memory, by name; no arguments.
    pub top_memory: Vec<v1::Process>,
}

impl HostSample {
    fn into_message(mut self) -> v1::Host {
        self.disks.sort_by(|a, b| b.total_bytes.cmp(&a.total_bytes).then_with(|| a.mount.cmp(&b.mount)));
        self.disks.truncate(MAX_LISTED);
        self.top_memory.sort_by(|a, b| b.memory_bytes.cmp(&a.memory_bytes).then(a.pid.cmp(&b.pid)));
        self.top_memory.truncate(MAX_LISTED);
        let boot = nimbus_protocol::sha256(self.boot_id.as_bytes());
        v1::Host {
            hostname: self.hostname,
            os: self.os,
            kernel: self.kernel,
            boot_id_hash: u64::from_be_bytes(*boot.first_chunk().unwrap_or(&[0; 8])),
            cores: self.cores,
            cpu_centipercent: centi(self.cpu_percent).min(10_000),
            memory_total_bytes: self.memory_total_bytes,
            memory_available_bytes: self.memory_available_bytes,
            swap_total_bytes: self.swap_total_bytes,
            swap_used_bytes: self.swap_used_bytes,
            load1_centi: centi(self.load[0]),
            load5_centi: centi(self.load[1]),
            load15_centi: centi(self.load[2]),
            processes: self.processes,
            disks: self.disks,
            uptime_seconds: self.uptime_seconds,
            top_memory: self.top_memory,
        }
    }
}

/// Hundredths, rounded; what is negative or no number is 0.
fn centi(value: f64) -> u32 {
    // The cast saturates and takes NaN for 0; only the sign and the fraction are cut, and both are meant.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, as wanted")]
    let hundredths = (value * 100.0).round().max(0.0) as u32;
    hundredths
}

/// Decides which samples are worth sending.
#[derive(Debug, Default)]
pub struct HostSender {
    sent: Option<(Timestamp, v1::Host)>,
}

impl HostSender {
    /// The message to send, or `None` while nothing changed enough.
    pub fn offer(&mut self, sample: HostSample, now: Timestamp) -> Option<v1::Host> {
        let host = sample.into_message();
        if let Some((at, before)) = &self.sent {
            let age = now.duration_since(*at);
            // A negative age is a clock that was set back: then age says nothing.
            let quiet = age >= SignedDuration::ZERO && age < AT_LEAST_EVERY;
            if quiet && !worth_sending(before, &host) {
                return None;
            }
        }
        self.sent = Some((now, host.clone()));
        Some(host)
    }

    /// Sends the next sample whatever it says: the control plane has nothing to compare with.
    pub fn reset(&mut self) {
        self.sent = None;
    }
}

fn worth_sending(before: &v1::Host, now: &v1::Host) -> bool {
    let same_host = (&before.hostname, &before.os, &before.kernel, before.boot_id_hash, before.cores)
        == (&now.hostname, &now.os, &now.kernel, now.boot_id_hash, now.cores);
    let moved =
        |a: u64, b: u64, total: u64| a.abs_diff(b).saturating_mul(1_000) >= total.max(1) * SHARE_PERMILLE;
    let load = LOAD_CENTI_PER_CORE.saturating_mul(now.cores.max(1));
    !same_host
        || before.memory_total_bytes != now.memory_total_bytes
        || before.swap_total_bytes != now.swap_total_bytes
        || before.cpu_centipercent.abs_diff(now.cpu_centipercent) >= CPU_CENTIPERCENT
        || before.load1_centi.abs_diff(now.load1_centi) >= load
        || moved(before.memory_available_bytes, now.memory_available_bytes, now.memory_total_bytes)
        || moved(before.swap_used_bytes, now.swap_used_bytes, now.swap_total_bytes)
        || disks_moved(&before.disks, &now.disks)
}

fn disks_moved(before: &[v1::Disk], now: &[v1::Disk]) -> bool {
    let known: BTreeMap<&str, &v1::Disk> = before.iter().map(|d| (d.mount.as_str(), d)).collect();
    known.len() != now.len()
        || now.iter().any(|disk| {
            known.get(disk.mount.as_str()).is_none_or(|old| {
                let moved = old.available_bytes.abs_diff(disk.available_bytes).saturating_mul(1_000);
                old.total_bytes != disk.total_bytes || moved >= disk.total_bytes.max(1) * SHARE_PERMILLE
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HostSample {
        HostSample {
            hostname: "web-1".into(),
            boot_id: "boot".into(),
            cores: 4,
            cpu_percent: 12.345,
            memory_total_bytes: 1_000_000,
            memory_available_bytes: 500_000,
            load: [0.5, f64::NAN, -1.0],
            disks: vec![v1::Disk {
                mount: "/".into(),
                total_bytes: 1_000,
                available_bytes: 500,
                ..Default::default()
            }],
            ..Default::default()
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn figures_are_taken_over_and_the_boot_id_is_not() {
        let host = HostSender::default().offer(sample(), at(0)).unwrap();
        assert_eq!((host.cpu_centipercent, host.load1_centi), (1_235, 50));
        assert_eq!((host.load5_centi, host.load15_centi), (0, 0), "no number is no load");
        assert_ne!(host.boot_id_hash, 0);
        let rebooted = HostSample { boot_id: "other".into(), ..sample() };
        assert_ne!(rebooted.into_message().boot_id_hash, host.boot_id_hash);
    }

    #[test]
    fn a_quiet_host_speaks_every_five_minutes() {
        let mut sender = HostSender::default();
        assert!(sender.offer(sample(), at(0)).is_some());
        assert_eq!(sender.offer(sample(), at(299)), None);
        assert!(sender.offer(sample(), at(300)).is_some());
        assert!(sender.offer(sample(), at(200)).is_some(), "the clock was set back");
        assert_eq!(sender.offer(sample(), at(201)), None);
        sender.reset();
        assert!(sender.offer(sample(), at(202)).is_some());
    }

    #[test]
    fn each_threshold_counts_and_what_is_below_it_does_not() {
        type Change = fn(&mut HostSample);
        let quiet: [Change; 5] = [
            |s| s.cpu_percent += 9.9,
            |s| s.memory_available_bytes += 19_999,
            |s| s.load[0] += 1.99,
            |s| s.disks[0].available_bytes -= 19,
            |s| s.uptime_seconds += 60,
        ];
        let loud: [Change; 7] = [
            |s| s.cpu_percent += 10.0,
            |s| s.memory_available_bytes -= 20_000,
            |s| s.load[0] += 2.0,
            |s| s.disks[0].available_bytes -= 20,
            |s| s.disks.clear(),
            |s| s.boot_id = "other".into(),
            |s| s.disks[0].mount = "/data".into(),
        ];
        for (change, worth) in quiet.map(|c| (c, false)).into_iter().chain(loud.map(|c| (c, true))) {
            let mut sender = HostSender::default();
            sender.offer(sample(), at(0));
            let mut changed = sample();
            change(&mut changed);
            assert_eq!(sender.offer(changed.clone(), at(1)).is_some(), worth, "{changed:?}");
        }
    }

    #[test]
    fn slow_drift_is_measured_from_what_was_sent() {
        let mut sender = HostSender::default();
        sender.offer(sample(), at(0));
        let mut changed = sample();
        let mut sent = 0;
        for second in 1..=10 {
            changed.cpu_percent += 2.0;
            sent += u32::from(sender.offer(changed.clone(), at(second)).is_some());
        }
        assert_eq!(sent, 2);
    }
}
