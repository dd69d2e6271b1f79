//! Links a development build of the command without looking for sections that nothing uses: that search is a fifth of the
//! time of linking, which is most of what a developer waits for after a change. Releases are searched as usual.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "debug") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,--no-gc-sections");
    }
}
