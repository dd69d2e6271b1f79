//! Compiles every `.proto` file below `proto/` in pure Rust: no installed `protoc` is needed.

use std::path::{Path, PathBuf};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    collect(Path::new("proto"), &mut files)?;
    files.sort();
    let set = protox::compile(files, ["proto"])?;
    let mut config = prost_build::Config::new();
    readable(&mut config, &set);
    // Nearly all that a cluster's agent tells are pods, the largest of all: boxed they would cost an allocation each.
    config.type_attribute(".nimbus.v1.Observation.body", "#[allow(clippy::large_enum_variant)]");
    // Pieces pass through without a copy.
    config.bytes([".nimbus.v1.FramePiece"]);
    config.compile_fds(set)?;
    Ok(())
}

/// Actions are shown to people as JSON before they approve them: every message that an action is made of can be
/// serialised, its hashes as hex. An action that is added needs nothing more for it.
fn readable(config: &mut prost_build::Config, set: &prost_types::FileDescriptorSet) {
    const BYTES: i32 = prost_types::field_descriptor_proto::Type::Bytes as i32;
    let shown = |name: &str| name.starts_with("nimbus/v1/action") || name == "nimbus/v1/object.proto";
    for file in set.file.iter().filter(|file| shown(file.name())) {
        for message in &file.message_type {
            let path = format!(".nimbus.v1.{}", message.name());
            let derive =
                "#[derive(serde::Serialize, serde::Deserialize)] #[serde(rename_all = \"snake_case\")]";
            config.type_attribute(&path, derive);
            // What was stored before a field came is read all the same.
            for field in message.field.iter().filter(|field| field.oneof_index.is_none()) {
                config.field_attribute(format!("{path}.{}", field.name()), "#[serde(default)]");
            }
            for field in message.field.iter().filter(|field| field.r#type == Some(BYTES)) {
                let hex = "#[serde(with = \"crate::action::hex\")]";
                config.field_attribute(format!("{path}.{}", field.name()), hex);
            }
        }
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
