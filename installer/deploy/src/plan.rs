//! The plan: every file and every step, from answers alone.

use serde::Serialize;
use serde_json::Value;

use crate::answers::Answers;
pub use crate::files::{AGENT_VALUES, ANSWERS, CONTROL_PLANE_VALUES, Charts, File, WRITER};
use crate::files::{namespace_file, namespaces};
use crate::step::{Step, Used};
use crate::{guide, steps, terraform, values};

/// Everything that is written, and everything that is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it is a plan of.
    pub identity: String,
    /// In the order in which they are written.
    pub files: Vec<File>,
    /// In the order in which they are done.
    pub steps: Vec<Step>,
}

/// The plan as `plan.json` has it.
#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    by: &'a str,
    identity: &'a str,
    steps: &'a [Step],
}

/// Makes the plan; `answers_file` is the text of the answers, which is kept with it, and `outside` are the files that are not of
/// the plan and that its steps use, by the names that the answers give them, or as `terraform/NAME`.
///
/// # Errors
/// What the serialiser says; values of plain texts and numbers always have a text.
pub fn plan(
    answers: &Answers,
    charts: &Charts,
    answers_file: &str,
    outside: &[Used],
) -> Result<Plan, String> {
    let mut files = Vec::new();
    let mut add = |path: &str, text: String| files.push(File { path: path.to_owned(), text });
    add(ANSWERS, format!("{}{answers_file}", values::ANSWERS_HEAD));
    add(CONTROL_PLANE_VALUES, format!("{}{}", values::HEAD, yaml(&values::control_plane(answers))?));
    add(AGENT_VALUES, format!("{}{}", values::HEAD, yaml(&values::agent(answers))?));
    for namespace in namespaces(answers) {
        add(&namespace_file(namespace), format!("{}{}", values::HEAD, yaml(&steps::namespace(namespace))?));
    }
    for (name, text) in terraform::files(answers) {
        add(&format!("terraform/{name}"), text);
    }
    let steps = steps::steps(answers, charts, &files, outside);
    let identity = answers.identity();
    files.push(File { path: "GUIDE.md".to_owned(), text: guide::guide(answers, &steps) });
    let document = Document { version: 2, by: WRITER, identity: &identity, steps: &steps };
    let text = serde_json::to_string_pretty(&document).map_err(|error| error.to_string())?;
    files.push(File { path: "plan.json".to_owned(), text: text + "\n" });
    Ok(Plan { identity, files, steps })
}

fn yaml(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}
