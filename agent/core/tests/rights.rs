//! Compares `docs/rights.md` with the rights that the actions declare; `NIMBUS_BLESS=1` rewrites it.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::fs;
use std::path::Path;

#[test]
fn the_page_of_rights_is_made_from_the_actions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rights.md");
    let page = nimbus_agent_core::action::rights::page();
    if std::env::var_os("NIMBUS_BLESS").is_some() {
        fs::write(&path, &page).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), page, "run this test with NIMBUS_BLESS=1");
}
