//! What a release of Nimbus is, and whether a directory is one.
//!
//! A release is a directory of artefacts (archives, packages, images, charts, bills of materials), a file `SHA256SUMS`
//! that names each of them, and a DSSE envelope over that file, signed by a release key. [`verify`] reads such a
//! directory without a network and says of each file whether it is what was signed. [`sums`], [`dsse`], [`key`],
//! [`image`] and [`bill`] are pure; [`verify`] and [`seal`] touch files, and never hold more than a small part of one in
//! memory.
//!
//! | bound | value | at it |
//! | --- | ---: | --- |
//! | files in a release, beside `SHA256SUMS` and its envelope | 4,096 | refused |
//! | `SHA256SUMS`, an image's index or manifest | 1 MiB each | refused |
//! | an envelope | 2 MiB | refused |
//! | a bill of materials | 64 MiB | refused |
//! | folders inside each other | 8 | refused, with the folder's name |

pub mod bill;
pub mod dsse;
pub mod image;
pub mod key;
pub mod seal;
pub mod sums;
pub mod verify;
mod walk;

/// The file that names every other file of a release with its SHA-256, as `sha256sum` writes and reads it.
pub const SUMS: &str = "SHA256SUMS";

/// The signature over [`SUMS`]: a DSSE envelope.
pub const ENVELOPE: &str = "SHA256SUMS.dsse.json";

/// The most files that a release may have, beside [`SUMS`] and [`ENVELOPE`].
pub const MOST_FILES: usize = 4_096;

/// The most bytes that is read of a list, or an image's index or manifest; of an envelope, which has a list in base64,
/// twice as many.
pub const MOST_BYTES: u64 = 1 << 20;

/// The most bytes that is read of a bill of materials.
pub const MOST_BILL_BYTES: u64 = 64 << 20;
