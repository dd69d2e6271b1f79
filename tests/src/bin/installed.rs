//! Installs both charts on a real node, and lives with them: see `nimbus_tests::installed`.

use std::process::ExitCode;

use nimbus_tests::installed;
use nimbus_tests::rig::real_node::INSIDE;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.as_slice() {
        [first, inside @ ..] if first == INSIDE => installed::inside(inside).await,
        [] => tokio::task::block_in_place(|| {
            let left_out = installed::play(&std::env::current_exe()?)?;
            if let Some(why) = left_out {
                eprintln!("left out: {why}");
            }
            Ok(())
        }),
        _ => Err(anyhow::anyhow!("usage: installed")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
