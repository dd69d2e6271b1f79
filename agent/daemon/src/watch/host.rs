//! The watcher of the host's health: samples memory, load and disks with few system calls.
//!
//! Which samples are worth sending is decided by `nimbus_agent_core::observe::host`.

use std::sync::Arc;
use std::time::Duration;

use nimbus_agent_core::observe::host::{HostSample, HostSender};
use nimbus_protocol::v1::{self, observation};
use sysinfo::{
    CpuRefreshKind, DiskRefreshKind, Disks, MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::observation_queue::ObservationQueue;
use crate::status::SharedStatus;

/// Processes named in a sample.
const TOP: usize = 5;
/// Processes are read with every fourth sample only: that costs more than all the rest together.
const PROCESSES_EVERY: u32 = 4;
/// Most disks in a sample; containers mount many.
const MAX_DISKS: usize = 64;

/// Samples until cancelled.
pub async fn run(
    hostname: String,
    interval: Duration,
    observations: ObservationQueue,
    status: Arc<SharedStatus>,
    mut resync: watch::Receiver<u64>,
    cancel: CancellationToken,
) {
    let mut sender = HostSender::default();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sampler = match tokio::task::spawn_blocking(|| Sampler::new(hostname)).await {
        Ok(Ok(sampler)) => Some(sampler),
        Ok(Err(error)) => {
            let text = format!("expected to read this host's health from the system, found: {error}");
            status.problem("host", Some(text));
            return;
        }
        Err(_) => return,
    };
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = ticks.tick() => {}
            asked = resync.changed() => {
                if asked.is_err() { return }
                sender.reset();
            }
        }
        let Some(mut taken) = sampler.take() else { return };
        let done = tokio::task::spawn_blocking(move || {
            let sample = taken.sample();
            (taken, sample)
        });
        let Ok((taken, sample)) = done.await else { return };
        sampler = Some(taken);
        if let Some(host) = sender.offer(sample, nimbus_platform::now()) {
            observations.observe("", observation::Body::Host(host)).await;
        }
    }
}

/// Keeps what the next sample is computed from (CPU time), and the facts that do not change.
struct Sampler {
    system: System,
    disks: Disks,
    fixed: HostSample,
    processes: (u32, Vec<v1::Process>),
    taken: u32,
}

impl Sampler {
    fn new(hostname: String) -> Result<Self, String> {
        let mut system = System::new().map_err(|error| error.to_string())?;
        system.refresh_cpu_list(CpuRefreshKind::nothing().with_usage());
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let fixed = HostSample {
            hostname,
            os: System::long_os_version().unwrap_or_default(),
            kernel: System::kernel_version().unwrap_or_default(),
            boot_id: boot_id.trim().to_owned(),
            cores: u32::try_from(system.cpus().len()).unwrap_or(u32::MAX),
            ..HostSample::default()
        };
        let disks = Disks::new().map_err(|error| error.to_string())?;
        Ok(Self { system, disks, fixed, processes: (0, Vec::new()), taken: 0 })
    }

    fn sample(&mut self) -> HostSample {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram().with_swap());
        self.disks.refresh_specifics(true, DiskRefreshKind::nothing().with_storage());
        let load = System::load_average().map_or([0.0; 3], |load| [load.one, load.five, load.fifteen]);
        if self.taken.is_multiple_of(PROCESSES_EVERY) {
            self.processes = processes();
        }
        self.taken = self.taken.wrapping_add(1);
        let (processes, top_memory) = self.processes.clone();
        HostSample {
            cpu_percent: f64::from(self.system.global_cpu_usage()),
            memory_total_bytes: self.system.total_memory(),
            memory_available_bytes: self.system.available_memory(),
            swap_total_bytes: self.system.total_swap(),
            swap_used_bytes: self.system.used_swap(),
            load,
            processes,
            disks: self.disks(),
            uptime_seconds: System::uptime().unwrap_or_default(),
            top_memory,
            ..self.fixed.clone()
        }
    }

    fn disks(&self) -> Vec<v1::Disk> {
        let mut disks: Vec<v1::Disk> = self
            .disks
            .iter()
            .map(|disk| v1::Disk {
                mount: disk.mount_point().to_string_lossy().into_owned(),
                filesystem: disk.file_system().to_string_lossy().into_owned(),
                total_bytes: disk.total_space(),
                available_bytes: disk.available_space(),
            })
            .collect();
        disks.sort_by(|a, b| a.mount.cmp(&b.mount));
        disks.dedup_by(|a, b| a.mount == b.mount);
        disks.truncate(MAX_DISKS);
        disks
    }
}

/// The number of processes, and the largest ones. What is read is dropped at once: kept for the next sample, each process
/// would cost an open file and about a kilobyte.
fn processes() -> (u32, Vec<v1::Process>) {
    let Ok(mut system) = System::new() else { return (0, Vec::new()) };
    let memory_only = ProcessRefreshKind::nothing().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, memory_only);
    let mut all: Vec<_> = system.processes().values().collect();
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX);
    all.sort_by_key(|process| std::cmp::Reverse(process.memory()));
    let top = all.iter().take(TOP).map(|process| v1::Process {
        pid: process.pid().as_u32(),
        name: process.name().to_string_lossy().chars().take(64).collect(),
        memory_bytes: process.memory(),
    });
    (count, top.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_this_machine_is_complete() {
        let mut sampler = Sampler::new("here".to_owned()).unwrap();
        let sample = sampler.sample();
        assert_eq!(sample.hostname, "here");
        assert!(sample.cores > 0 && sample.memory_total_bytes >= sample.memory_available_bytes);
        assert!(sample.processes > 0 && !sample.top_memory.is_empty());
        assert!(sample.top_memory.windows(2).all(|pair| pair[0].memory_bytes >= pair[1].memory_bytes));
        assert!(sample.top_memory.len() <= TOP);
        assert!(sample.disks.windows(2).all(|pair| pair[0].mount < pair[1].mount));
    }
}
