//! Compiles the `.proto` files in pure Rust: no installed `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files =
        ["proto/nimbus/v1/observation.proto", "proto/nimbus/v1/job.proto", "proto/nimbus/v1/session.proto"];
    println!("cargo:rerun-if-changed=proto");
    let set = protox::compile(files, ["proto"])?;
    prost_build::Config::new().compile_fds(set)?;
    Ok(())
}
