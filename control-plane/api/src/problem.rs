//! The problem document (RFC 9457) of every refused request, with what was expected, what was found and what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:nimbus:problem:plan_changed", "title": "The plan changed since it was shown", "status": 409,
    "detail": "the plan of approval apr_0190b5c2d3e47f6a8b9c0d1e2f3a4b5c is another one now", "code": "plan_changed",
    "expected": "plan digest 9f2c…", "found": "plan digest 11ab…", "remedy": "look at it again, then approve it"
}))]
pub struct Problem {
    /// Names the kind of problem: `urn:nimbus:problem:` and `code`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words; the same for each occurrence.
    pub title: String,
    /// The HTTP status, again.
    pub status: u16,
    /// This occurrence, one sentence.
    pub detail: String,
    /// A stable word for scripts.
    pub code: String,
    /// What would have been right; `null` where nothing helps to say.
    #[serde(default)]
    pub expected: Option<String>,
    /// What was there instead; never a secret.
    #[serde(default)]
    pub found: Option<String>,
    /// What to do next.
    #[serde(default)]
    pub remedy: Option<String>,
}

impl std::fmt::Display for Problem {
    /// The detail, what was expected and found, and what to do, in one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.detail.is_empty() { &self.title } else { &self.detail })?;
        match (&self.expected, &self.found) {
            (Some(expected), Some(found)) => write!(f, " (expected {expected}, found {found})")?,
            (Some(expected), None) => write!(f, " (expected {expected})")?,
            (None, Some(found)) => write!(f, " (found {found})")?,
            (None, None) => {}
        }
        self.remedy.as_ref().map_or(Ok(()), |remedy| write!(f, "; {remedy}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_as_a_sentence_and_leaves_out_what_it_does_not_know() {
        let mut problem = Problem { title: "No such thing".into(), status: 404, ..Problem::default() };
        assert_eq!(problem.to_string(), "No such thing");
        problem.detail = "there is no incident inc_1".into();
        problem.found = Some("inc_1".into());
        problem.remedy = Some("list them".into());
        assert_eq!(problem.to_string(), "there is no incident inc_1 (found inc_1); list them");
        problem.expected = Some("an id".into());
        assert!(problem.to_string().contains("(expected an id, found inc_1)"));
    }

    #[test]
    fn a_problem_of_another_server_without_the_extensions_is_still_read() {
        let text = r#"{"type":"about:blank","title":"Nope","status":500,"detail":"","code":"x"}"#;
        let problem: Problem = serde_json::from_str(text).unwrap();
        assert_eq!((problem.status, problem.expected), (500, None));
    }
}
