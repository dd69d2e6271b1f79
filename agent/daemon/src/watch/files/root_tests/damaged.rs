//! Tests of a drift of which the kept copy is damaged.

use super::*;

/// Flips a bit of the kept copy of a path's baseline.
fn damage(site: &Site, relative: &str) -> [u8; 32] {
    let hash = site.root.baseline(relative).sha256.unwrap();
    let copy = site.dir.path().join("baseline/blobs").join(crate::identity::hex(&hash));
    let mut content = std::fs::read(&copy).unwrap();
    content[0] ^= 1;
    std::fs::write(copy, content).unwrap();
    hash
}

fn obstacle(file: &v1::File) -> &str {
    file.restore.as_ref().map_or("nothing said", |restore| &restore.obstacle)
}

#[test]
fn a_drift_says_at_once_that_its_kept_copy_is_damaged() {
    let mut site = Site::new();
    site.pass();
    damage(&site, "a");
    std::fs::write(site.file("a"), "changed\n").unwrap();
    let told = site.pass();
    assert_eq!((names(&told), obstacle(&told[0])), (vec!["a".to_owned()], "copy_damaged"));
    assert!(told[0].restore.as_ref().unwrap().reason.contains("kept copy"), "{:?}", told[0].restore);
    assert!(site.pass().is_empty(), "told once");
}

#[test]
fn what_is_found_damaged_later_is_told_anew() {
    let mut site = Site::new();
    site.pass();
    std::fs::write(site.file("a"), "changed\n").unwrap();
    assert_eq!(obstacle(&site.pass()[0]), "");
    let hash = damage(&site, "a");
    assert_eq!(site.root.baselines().blob(&hash).unwrap(), None, "as the look over all copies finds it");
    assert_eq!(obstacle(&site.pass()[0]), "copy_damaged");
    // The same content comes back by another way.
    std::fs::write(site.file("sub/b"), "alpha\n").unwrap();
    let examined = site.root.look("sub/b");
    assert!(site.root.baselines().keep(&examined).unwrap());
    let told = site.pass();
    let a = told.iter().find(|file| file.path.ends_with("/a")).unwrap();
    assert_eq!(obstacle(a), "", "and it can be put back again");
}
