//! The view of keys that were made.

use std::path::Path;

use super::View;
use super::layout::Layout;
use crate::output::plain;
use crate::output::theme::Tone;

/// What was made, and what to do with it.
pub fn made(view: &View, directory: &Path, files: &[&str], fingerprint: &str) -> String {
    let mut layout = Layout::new(view);
    let directory = directory.display().to_string();
    let directory = plain(&directory);
    layout.line(&view.theme.paint(Tone::Good, "New keys are made."));
    layout
        .fact("directory", &directory)
        .fact("files", &files.join(", "))
        .fact("CA", &format!("sha256:{fingerprint}"));
    layout.gap().paragraph(
        "Give the same directory to every control plane that stands by, as --keys. In Kubernetes it is a Secret:",
    );
    layout.command(&format!("kubectl create secret generic nimbus-keys --from-file={directory}"));
    layout.gap().paragraph(
        "Whoever has these files is the control plane to every agent, and its operator: keep one copy where you keep such \
         things, and nowhere else.",
    );
    layout.end()
}

/// What would be made.
pub fn planned(view: &View, directory: &Path, files: &[&str]) -> String {
    let mut layout = Layout::new(view);
    layout.line("New keys would be made; nothing was written.");
    layout.fact("directory", &plain(&directory.display().to_string())).fact("files", &files.join(", "));
    layout.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample::view;

    #[test]
    fn keys_with_what_to_do_with_them() {
        let (directory, files) =
            (Path::new("/home/op/keys"), ["ca.pem", "ca.key", "job.key", "operator.token"]);
        insta::assert_snapshot!("made", made(&view(80), directory, &files, &"ab".repeat(32)));
        insta::assert_snapshot!("planned", planned(&view(80), directory, &files));
    }
}
