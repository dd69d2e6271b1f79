//! Makes room for many sockets in this process and in those that it starts.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit of open files to `needed` where it is lower; processes that are started later inherit it.
///
/// # Errors
/// When neither the hard limit nor the right to raise it allows as many.
pub fn make_room_for(needed: u64) -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    // No figure means that there is no limit.
    if now.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let maximum = now.maximum.map(|maximum| maximum.max(needed));
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum }).map_err(|error| {
        let hard = now.maximum.map_or_else(|| "no limit".to_owned(), |most| most.to_string());
        anyhow::anyhow!(
            "expected room for {needed} open files, found a hard limit of {hard} that this user may not raise ({error}); \
             run it as root, raise the limit (`ulimit -Hn {needed}` as root, or LimitNOFILE), or take fewer with --agents"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_there_is_room_for_is_left_alone_and_what_nobody_may_have_is_refused_with_the_figure() {
        let before = getrlimit(Resource::Nofile);
        make_room_for(1).unwrap();
        assert_eq!(getrlimit(Resource::Nofile), before);
        // More than any kernel lets one process have.
        let error = make_room_for(1 << 62).unwrap_err().to_string();
        assert!(error.contains(&(1_u64 << 62).to_string()) && error.contains("--agents"), "{error}");
    }
}
