//! What the benchmarks share: results as one JSON object, percentiles, and the resource usage of a process.

pub mod clusters;
pub mod drains;
pub mod fleet;
pub mod healing;
pub mod observed;
pub mod open_files;
pub mod peers;
pub mod probe;
pub mod saturation;
pub mod usage;

use serde::{Deserialize, Serialize};

/// One benchmark's result, printed as the last line of its standard output.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Heading in BENCHMARKS.md.
    pub title: String,
    /// What to type to get it again.
    pub command: String,
    /// The figures.
    pub rows: Vec<Row>,
    /// How it was measured and what limits it.
    pub notes: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: String,
    /// What we aim at, in the same unit.
    pub aim: Option<String>,
    /// What a peer did in the same run.
    pub peer: Option<String>,
}

impl Report {
    /// A report without figures yet.
    pub fn new(title: &str, command: &str) -> Self {
        Self { title: title.into(), command: command.into(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Adds a figure.
    pub fn row(
        &mut self,
        what: impl Into<String>,
        value: f64,
        unit: &str,
        aim: Option<&str>,
        peer: Option<String>,
    ) {
        let (what, aim) = (what.into(), aim.map(str::to_owned));
        eprintln!("{what}: {value:.3} {unit}");
        self.rows.push(Row { what, value, unit: unit.into(), aim, peer });
    }

    /// Adds a sentence.
    pub fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// Prints it as the benchmark's last line.
    pub fn print(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// The value below which `percent` of the samples lie (nearest rank); 0 without samples.
pub fn percentile(samples: &mut [f64], percent: f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rank among at most some thousand samples"
    )]
    let rank = (percent / 100.0 * samples.len() as f64).ceil() as usize;
    samples.get(rank.max(1) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::percentile;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut samples: Vec<f64> = (1..=200).map(f64::from).collect();
        assert!((percentile(&mut samples, 50.0) - 100.0).abs() < f64::EPSILON);
        assert!((percentile(&mut samples, 99.0) - 198.0).abs() < f64::EPSILON);
        assert!((percentile(&mut [], 99.0)).abs() < f64::EPSILON);
    }
}
