//! Plans: what is proposed, whether it is safe now, and an independent judge of both.

pub mod check;
mod digest;

pub use digest::digest;
