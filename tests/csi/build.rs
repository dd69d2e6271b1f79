//! Compiles the two `.proto` files in pure Rust: no installed `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let set = protox::compile(["proto/csi.proto", "proto/registration.proto"], ["proto"])?;
    prost_build::Config::new().compile_fds(set)?;
    Ok(())
}
