//! The processors that a release is built for, and what each system calls them.

use clap::ValueEnum;

/// A processor. All programs are for Linux and linked statically with musl.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Arch {
    /// AMD64.
    #[value(name = "x86_64")]
    X86,
    /// 64-bit Arm.
    #[value(name = "aarch64")]
    Arm,
}

impl Arch {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::X86, Self::Arm];

    /// The name that Linux, RPM and the names of archives have for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86 => "x86_64",
            Self::Arm => "aarch64",
        }
    }

    /// Rust's name of the target.
    pub const fn triple(self) -> &'static str {
        match self {
            Self::X86 => "x86_64-unknown-linux-musl",
            Self::Arm => "aarch64-unknown-linux-musl",
        }
    }

    /// The name that an image's platform and a Debian package have for it.
    pub const fn go(self) -> &'static str {
        match self {
            Self::X86 => "amd64",
            Self::Arm => "arm64",
        }
    }

    /// The number in the head of an ELF file (`e_machine`).
    pub const fn elf(self) -> u16 {
        match self {
            Self::X86 => 62,
            Self::Arm => 183,
        }
    }
}
