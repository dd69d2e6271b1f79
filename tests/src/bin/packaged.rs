//! Installs the packages on a real systemd host, and lives with them: see `nimbus_tests::packaged`.

use std::path::Path;
use std::process::ExitCode;

use nimbus_tests::packaged;
use nimbus_tests::rig::real_node::INSIDE;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.as_slice() {
        [first, into] if first == INSIDE => packaged::inside(Path::new(into)),
        [] => std::env::current_exe().map_err(anyhow::Error::from).and_then(|own| {
            if let Some(why) = packaged::play(&own)? {
                eprintln!("left out: {why}");
            }
            Ok(())
        }),
        _ => Err(anyhow::anyhow!("usage: packaged")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
