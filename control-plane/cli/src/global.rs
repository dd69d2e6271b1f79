//! The flags that several commands share: those that every command has, and the paging flags of lists.

use clap::Args;
use nimbus_api::PageQuery;

use crate::format::Format;

/// The flags that hold everywhere.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Everywhere")]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent switches is what a command line is")]
pub struct Global {
    /// How to print: table or wide (nothing cut) to read, json or yaml for a program, name for ids alone
    #[arg(
        short = 'o',
        long = "output-format",
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORMAT"
    )]
    pub format: Format,
    /// Address of the control plane [default: the context's, else http://127.0.0.1:7070]
    #[arg(long, global = true, env = "NIMBUS_SERVER", hide_env_values = true, value_name = "URL")]
    pub server: Option<String>,
    /// Which context of the configuration to use [default: its current one]
    #[arg(long, global = true, env = "NIMBUS_CONTEXT", hide_env_values = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Answer yes to every question
    #[arg(short = 'y', long, global = true)]
    pub yes: bool,
    /// Say what would happen, write nothing
    #[arg(long, global = true)]
    pub dry_run: bool,
    /// No colour (as with NO_COLOR set)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// No hints, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; given twice, say even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Which page of a list.
#[derive(Debug, Clone, Default, Args)]
pub struct Page {
    /// At most so many items, 1 to 500 [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    pub limit: Option<u32>,
    /// Continue after this cursor: the `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
}

impl Page {
    /// As a list without filters takes it.
    pub fn query(self) -> PageQuery {
        PageQuery { limit: self.limit, after: self.after }
    }
}
