//! Runs another program, within bounds of time and size.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

use nimbus_checks::check::{Gathered, Unread};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::files;

/// Longest that a program may take; then it is killed.
const LIMIT: Duration = Duration::from_secs(30);
/// The most bytes of what it prints; what prints more is not read. A list of 5,000 nodes has some 50 MB.
const MOST_PRINTED: u64 = 128 << 20;
/// The most bytes of what it writes to standard error.
const MOST_COMPLAINED: u64 = 4 << 20;

/// What a program printed, and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Did it end with code 0?
    pub is_well: bool,
    /// On standard output.
    pub printed: Vec<u8>,
    /// On standard error.
    pub complained: String,
}

impl Ran {
    /// The last line that it wrote to standard error: what comes before it often is the same again, or a hint.
    pub fn complaint(&self) -> String {
        let mut lines = self.complained.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.next_back().map_or_else(|| "it ended without a word".to_owned(), str::to_owned)
    }

    /// What it printed, if it ended well.
    pub fn well(self, program: &str) -> Gathered<Vec<u8>> {
        if self.is_well {
            return Ok(self.printed);
        }
        let complaint = self.complaint();
        let remedy = if complaint.contains("Forbidden") || complaint.contains("forbidden") {
            "let a user run this who may read it, or ask for that right"
        } else {
            "run it by hand to see more, then run this again"
        };
        Err(Unread::new(format!("`{program}` failed: {complaint}"), remedy))
    }
}

/// Runs `program` with `args`, giving it `input`; `search` is the PATH on which it is looked for, none: this command's own.
pub async fn run(
    program: &str,
    args: &[String],
    input: Option<Vec<u8>>,
    search: Option<&OsString>,
) -> Gathered<Ran> {
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
    if let Some(search) = search {
        command.env("PATH", search);
    }
    let child = command.spawn().map_err(|error| {
        Unread::new(
            format!("{program} cannot be run: {}", files::reason(&error)),
            format!("install {program}, or put it on the PATH"),
        )
    })?;
    match timeout(LIMIT, attend(child, input)).await {
        Ok(Ok(ran)) => Ok(ran),
        Ok(Err(error)) => Err(Unread::new(
            format!("what {program} printed cannot be read: {}", files::reason(&error)),
            format!("run {program} by hand, then run this again"),
        )),
        Err(_) => Err(Unread::new(
            format!("{program} {} did not end within {} s", args.join(" "), LIMIT.as_secs()),
            format!("run {program} by hand to see what it waits for"),
        )),
    }
}

async fn attend(mut child: Child, input: Option<Vec<u8>>) -> std::io::Result<Ran> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let give = async {
        if let (Some(mut stdin), Some(input)) = (stdin, input) {
            // One that ends before it has read everything says why on standard error.
            let _ = stdin.write_all(&input).await;
        }
    };
    let ((), printed, complained) =
        tokio::join!(give, read(stdout, MOST_PRINTED), read(stderr, MOST_COMPLAINED));
    let (printed, complained) = (printed?, complained?);
    let status = child.wait().await?;
    Ok(Ran {
        is_well: status.success(),
        printed,
        complained: String::from_utf8_lossy(&complained).into_owned(),
    })
}

async fn read(from: Option<impl AsyncRead + Unpin>, most: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > most {
        return Err(std::io::Error::other(format!("more than {most} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_is_run_with_its_input_and_one_that_is_missing_is_named() {
        let args = ["-c".to_owned(), "cat; echo first >&2; echo 'it failed' >&2; exit 3".to_owned()];
        let ran = run("sh", &args, Some(b"given".to_vec()), None).await.unwrap();
        assert_eq!((ran.is_well, ran.printed.as_slice()), (false, b"given".as_slice()));
        assert_eq!(ran.complaint(), "it failed");
        assert!(ran.well("sh -c").unwrap_err().why.contains("it failed"));
        let missing = run("no-such-program-anywhere", &[], None, None).await.unwrap_err();
        assert!(missing.why.contains("no-such-program-anywhere"), "{missing:?}");
        assert!(missing.remedy.contains("install"), "{missing:?}");
    }
}
