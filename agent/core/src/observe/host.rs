//! Host.
use jiff::Timestamp;
use nimbus_protocol::v1;
/// Raw figures; the fields of `v1::Host` with floats as the system gives them.
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
    /// Bytes.
    pub memory_available_bytes: u64,
    /// Bytes.
    pub swap_total_bytes: u64,
    /// Bytes.
    pub swap_used_bytes: u64,
    /// One, five and fifteen minutes.
    pub load: [f64; 3],
    /// How many.
    pub processes: u32,
    /// Mounted disks.
    pub disks: Vec<v1::Disk>,
    /// Seconds since boot.
    pub uptime_seconds: u64,
    /// The largest first; no arguments.
    pub top_memory: Vec<v1::Process>,
}
/// Decides which samples are worth sending.
#[derive(Debug, Default)]
pub struct HostSender {}
impl HostSender {
    /// The message to send, or `None` while nothing changed enough.
    pub fn offer(&mut self, _sample: HostSample, _now: Timestamp) -> Option<v1::Host> {
        todo!()
    }
    /// Send the next sample whatever it is (after a resync).
    pub fn reset(&mut self) {}
}
