//! Tests that the catalogue of scenes and their code agree. Needs no server.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use std::collections::BTreeMap;
use std::path::Path;

use nimbus_tests::scenes::catalogue::{Catalogue, Place, Right, directory};
use nimbus_tests::scenes::runner::all;

#[test]
fn every_file_of_the_catalogue_has_code_and_all_code_has_a_file() {
    let catalogue = Catalogue::read(&directory()).unwrap();
    let written: BTreeMap<&str, Place> =
        catalogue.entries.values().map(|entry| (entry.name.as_str(), entry.place)).collect();
    let played: BTreeMap<&str, Place> = all().into_iter().collect();
    assert_eq!(played.len(), all().len(), "a name is used once");
    assert_eq!(written, played);
    // A file that no list names is not compiled, and would look like a scene.
    for place in Place::ALL {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/scenes").join(place.word());
        for file in std::fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            let listed = played.get(name.as_str()) == Some(&place);
            assert!(listed || name == "mod", "{name}.rs is in no list of {}", place.word());
        }
    }
}

#[test]
fn about_half_of_the_scenes_are_of_restraint() {
    let catalogue = Catalogue::read(&directory()).unwrap();
    let acts = catalogue.entries.values().filter(|entry| entry.right == Right::Act).count();
    let all = catalogue.entries.len();
    assert!(acts * 3 >= all && acts * 3 <= 2 * all, "{acts} of {all} scenes act");
}
