//! Terraform's plan is made, looked at, and only then applied: that one, and no other that it might make meanwhile.

use nimbus_deploy::command::{Command, Program};
use nimbus_deploy::operation::TERRAFORM_PLAN;
use nimbus_deploy::terraform::losses;
use nimbus_platform::write_atomic;

use super::directory::terraform_plan;
use super::program::Programs;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files;

/// The most resources that are named.
const MOST_NAMED: usize = 20;

/// Applies what is in the directory terraform.
pub(super) fn apply(programs: &Programs<'_>, program: Program) -> Result<(), Failure> {
    // The plan holds the database's password, as the state does. The program writes into the file that is there, whose mode
    // stays.
    let path = terraform_plan(programs.directory.path());
    write_atomic(&path, b"", 0o600).map_err(|error| files::unwritable(&path, &error))?;
    let applied = looked_at(programs, program);
    let removed = files::gone(&path, |path| std::fs::remove_file(path));
    applied.and(removed)
}

fn looked_at(programs: &Programs<'_>, program: Program) -> Result<(), Failure> {
    let run =
        |words: &[&str]| programs.printed(&Command::new(program, &[&["-chdir=terraform"], words].concat()));
    run(&["plan", "-input=false", &format!("-out={TERRAFORM_PLAN}")])?;
    let lost = losses(&run(&["show", "-json", TERRAFORM_PLAN])?).map_err(|why| {
        Failure::new("the plan of Terraform cannot be understood, and was not applied")
            .expected(format!("what `{} show -json` prints of a plan", program.as_str()))
            .found(why)
            .next("look at `plan` in the directory terraform, and apply it by hand")
    })?;
    if !lost.is_empty() && !programs.around.may_lose {
        let more = if lost.len() > MOST_NAMED { ", and more" } else { "" };
        let named: Vec<&str> = lost.iter().take(MOST_NAMED).map(String::as_str).collect();
        return Err(Failure::new("Terraform would delete what cannot be made again; nothing was applied")
            .exit(Exit::Refused)
            .expected("a plan that deletes and replaces nothing but DNS records")
            .found(format!("deleted or replaced: {}{more}", named.join(", ")))
            .next(
                "look at `plan` in the directory terraform; if what these hold may be lost, add --with-data",
            ));
    }
    run(&["apply", "-input=false", TERRAFORM_PLAN]).map(drop)
}
