//! The messages of the public interfaces, generated from `proto/`.

#![allow(missing_docs, clippy::pedantic, reason = "generated from the .proto files")]

/// The Container Storage Interface.
pub mod csi {
    include!(concat!(env!("OUT_DIR"), "/csi.v1.rs"));
}

/// A kubelet's plugin registration.
pub mod registration {
    include!(concat!(env!("OUT_DIR"), "/pluginregistration.rs"));
}
