//! Links a development build of the command without looking for strings that are alike: linking is most of what a developer
//! waits for after a change. Releases are linked as usual.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    if is("PROFILE", "debug") && is("CARGO_CFG_TARGET_OS", "linux") {
        println!("cargo::rustc-link-arg-bins=-Wl,-O0");
    }
}
