//! Whether a file is a static program for a processor, from the head of its ELF file.

use std::path::Path;

use anyhow::Context as _;

use crate::target::Arch;

/// Says what is wrong with the program at `path`, if it is not a static one for `arch`, or with `dynamic` one of any kind.
pub fn check(path: &Path, arch: Arch, dynamic: bool) -> anyhow::Result<()> {
    let bytes = std::fs::read(path)
        .with_context(|| format!("expected the program {}, found none that can be read", path.display()))?;
    look(&bytes, arch, dynamic).map_err(|found| {
        anyhow::anyhow!(
            "{}: expected a static program for {}, found {found}; build it for {}",
            path.display(),
            arch.name(),
            arch.triple()
        )
    })
}

/// The kind of a program header that names a dynamic linker.
const INTERPRETER: usize = 3;

fn look(bytes: &[u8], arch: Arch, dynamic: bool) -> Result<(), String> {
    // 64 bits, little-endian.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Err("something else than a 64-bit ELF file".to_owned());
    }
    let short = || "an ELF file that is cut off".to_owned();
    let machine = number(bytes, 18, 2).ok_or_else(short)?;
    if machine != usize::from(arch.elf()) {
        return Err(format!("one for another processor (number {machine})"));
    }
    if dynamic {
        return Ok(());
    }
    let (first, size, count) = (number(bytes, 32, 8), number(bytes, 54, 2), number(bytes, 56, 2));
    let (first, size, count) = (first.ok_or_else(short)?, size.ok_or_else(short)?, count.ok_or_else(short)?);
    for at in 0..count {
        let kind = size.checked_mul(at).and_then(|skip| number(bytes, first.checked_add(skip)?, 4));
        if kind.ok_or_else(short)? == INTERPRETER {
            return Err("one that needs a dynamic linker".to_owned());
        }
    }
    Ok(())
}

/// The little-endian number of `size` bytes at `at`.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<usize> {
    let part = bytes.get(at..at.checked_add(size)?)?;
    let value = part.iter().rev().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head for `machine` with one program header of this kind.
    fn head(machine: u8, kind: u8) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = machine;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = kind;
        bytes
    }

    #[test]
    fn a_static_program_of_the_right_processor_passes_and_nothing_else() {
        assert_eq!(look(&head(62, 1), Arch::X86, false), Ok(()));
        assert_eq!(look(&head(183, 1), Arch::Arm, false), Ok(()));
        assert!(look(&head(62, 1), Arch::Arm, false).unwrap_err().contains("another processor"));
        assert_eq!(look(&head(62, 3), Arch::X86, true), Ok(()));
        assert!(look(&head(183, 3), Arch::X86, true).unwrap_err().contains("another processor"));
        assert!(look(&head(62, 3), Arch::X86, false).unwrap_err().contains("dynamic linker"));
        assert!(look(b"#!/bin/sh", Arch::X86, false).unwrap_err().contains("something else"));
        for short in [8, 20, 57, 66] {
            assert!(
                look(&head(62, 1)[..short], Arch::X86, false).unwrap_err().contains("cut off"),
                "{short}"
            );
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let wrong = format!("{:#}", check(Path::new("/no/such/nimbus"), Arch::X86, false).unwrap_err());
        assert!(wrong.contains("/no/such/nimbus"), "{wrong}");
    }

    #[test]
    fn this_very_program_is_read() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        // Tests are linked dynamically, on whatever they run.
        let found = Arch::ALL.map(|arch| look(&own, arch, false));
        assert!(
            found.iter().all(|found| !matches!(found, Err(what) if what.contains("cut off"))),
            "{found:?}"
        );
    }
}
