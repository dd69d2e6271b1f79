//! Checks on paths as text: whether a path is absolute and normalised, and whether it lies below another. The executor
//! deals with symbolic links: it opens files without following any.

/// Is `path` absolute and written plainly: no empty, `.` or `..` component, no NUL, no slash at the end?
pub fn is_plain(path: &str) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    if path.contains('\0') {
        return false;
    }
    rest.is_empty() || rest.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Is `path` the same as `root` or below it, by whole components? False unless both are plain.
pub fn within(root: &str, path: &str) -> bool {
    if !is_plain(root) || !is_plain(path) {
        return false;
    }
    let Some(rest) = path.strip_prefix(root.trim_end_matches('/')) else { return false };
    rest.is_empty() || rest.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_whole_components_count() {
        for (root, path) in [("/etc", "/etc"), ("/etc", "/etc/a/b"), ("/", "/x"), ("/", "/")] {
            assert!(within(root, path), "{path} is under {root}");
        }
        for (root, path) in [
            ("/etc", "/etcetera"),
            ("/etc", "/etc/../root/.ssh"),
            ("/etc", "/etc/./a"),
            ("/etc", "/etc//a"),
            ("/etc", "/etc/"),
            ("/etc", "etc/a"),
            ("/etc/", "/etc/a"),
            ("", "/etc"),
            ("/etc", "/etc/a\0b"),
            ("/etc/a", "/etc"),
        ] {
            assert!(!within(root, path), "{path:?} is not under {root:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_within_keeps_all_components_of_its_root(root in "(/[a-c.]{1,2}){1,3}", path in "(/[a-c.]{0,2}){1,5}") {
            if within(&root, &path) {
                let components = |p: &str| p.split('/').map(str::to_owned).collect::<Vec<_>>();
                prop_assert!(components(&path).starts_with(&components(&root)));
                prop_assert!(!components(&path).iter().any(|c| c == ".."));
            }
        }
    }
}
