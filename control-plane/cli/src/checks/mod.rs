//! What `nimbus preflight` and `nimbus doctor` do to find out: they run kubectl and helm, send datagrams, and ask the control
//! plane. What it means is judged by `nimbus_checks`. Everything here has a bound in time and size, and nothing is written.

pub mod certificate;
pub mod disk;
pub mod doctor;
pub mod greeting;
pub mod kubectl;
pub mod listener;
pub mod preflight;
pub mod program;
pub mod redacted;
pub mod secrets;
pub mod values;
