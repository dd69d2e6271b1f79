//! The steps: cut off, gone on with, undone, and what they leave.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use nimbus_cli::config::Config;
use nimbus_cli::deploy::directory::Directory;
use nimbus_deploy::drive::Stop;

use crate::site::{ALL, Site, anywhere, names, planned};

#[test]
fn cut_off_at_every_program_it_goes_on_and_undoes_all_that_it_did() {
    let plan = planned(&[("acting.actions", "restart_pod"), ("acting.namespaces", "shop")]);
    let whole = Site::new();
    whole.apply(&plan).unwrap();
    assert_eq!(whole.there(), names(&ALL));
    let calls = whole.calls();
    let mut cuts = 0;
    for call in 1..=calls {
        let site = Site::new();
        site.fail_at(call);
        if let Err(stop) = site.apply(&plan) {
            cuts += 1;
            let Stop::Failed { error, .. } = stop else { panic!("after {call}: {stop:?}") };
            assert!(error.found.contains("cut off"), "{error}");
        }
        site.fail_at(0);
        site.apply(&plan).unwrap_or_else(|stop| panic!("after {call}: {stop:?}"));
        assert_eq!(site.there(), names(&ALL), "after {call}");
        assert_eq!(site.contexts(), ["nimbus-control-plane"]);
        assert!(!anywhere(&site.out, "SECRET"), "the token is in no file");
        site.undo(true).unwrap();
        assert_eq!(site.there(), BTreeSet::new(), "after {call}");
        assert!(site.contexts().is_empty() && !site.out.join("keys").exists(), "after {call}");
    }
    assert!(cuts >= 18, "{cuts} of {calls}");
}

#[test]
fn without_being_told_it_keeps_keys_and_secrets_and_comes_back_with_them() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    let key = std::fs::read(site.out.join("keys/ca.key")).unwrap();
    site.undo(false).unwrap();
    assert_eq!(site.there(), names(&["namespace-nimbus", "namespace-nimbus-system", "secret-nimbus-keys"]));
    site.apply(&plan).unwrap();
    assert_eq!(site.there(), names(&ALL));
    assert_eq!(std::fs::read(site.out.join("keys/ca.key")).unwrap(), key);
}

#[test]
fn what_it_writes_is_its_owners_alone_and_no_secret_is_in_the_journal_or_on_a_command_line() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    for file in ["state.json", "answers.toml", "GUIDE.md"] {
        let mode = std::fs::metadata(site.out.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    for file in [site.out.join("state.json"), site.world.join("log")] {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("SECRET"), "{}", file.display());
    }
}

#[test]
fn the_context_is_made_again_where_it_is_gone_and_goes_with_a_directory_that_was_moved() {
    let (mut site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    std::fs::remove_file(site.around.contexts.as_deref().unwrap()).unwrap();
    site.apply(&plan).unwrap();
    assert_eq!(site.contexts(), ["nimbus-control-plane"]);

    let moved = site.out.with_file_name("moved");
    std::fs::rename(&site.out, &moved).unwrap();
    site.out = moved;
    site.apply(&plan).unwrap();
    let config = Config::read(site.around.contexts.as_deref().unwrap()).unwrap();
    let token = config.contexts["nimbus-control-plane"].token_file.clone().unwrap();
    assert!(token.starts_with(&site.out), "{}", token.display());
    site.undo(false).unwrap();
    assert!(site.contexts().is_empty());
}

#[test]
fn another_way_to_the_same_directory_is_the_same_installation() {
    let (mut site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    let real = site.out.clone();
    let link = real.with_file_name("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    for way in [link, real.join("../out"), real.join("keys/..")] {
        site.out = way;
        site.apply(&plan).unwrap_or_else(|stop| panic!("{}: {stop:?}", site.out.display()));
        let config = Config::read(site.around.contexts.as_deref().unwrap()).unwrap();
        let token = config.contexts["nimbus-control-plane"].token_file.clone().unwrap();
        assert_eq!(token, real.join("keys/operator.token"), "{}", site.out.display());
    }
    site.undo(false).unwrap();
    assert!(site.contexts().is_empty());
    // One that is not there yet has its name from what is above it.
    let new = Directory::new(&real.join("../new/inst")).unwrap();
    assert_eq!(new.path(), real.with_file_name("new").join("inst"));
    Directory::new(&real.join("../new/../inst")).unwrap_err();
}

#[test]
fn keys_that_are_gone_or_others_than_the_clusters_stop_the_run_and_nothing_takes_their_place() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    let (keys, safe) = (site.out.join("keys"), site.out.with_file_name("safe"));
    std::fs::rename(&keys, &safe).unwrap();
    let stop = site.apply(&plan).unwrap_err();
    let Stop::Lost { files, copy, .. } = stop else { panic!("{stop:?}") };
    assert_eq!((files.len(), copy.as_str()), (4, "the Secret nimbus-keys"));
    assert!(!keys.exists(), "none were made");

    std::fs::rename(&safe, &keys).unwrap();
    std::fs::rename(keys.join("ca.key"), &safe).unwrap();
    let stop = site.apply(&plan).unwrap_err();
    assert!(matches!(&stop, Stop::Lost { files, .. } if files == &["keys/ca.key"]), "{stop:?}");
    std::fs::write(keys.join("ca.key"), "another one").unwrap();
    let stop = site.apply(&plan).unwrap_err();
    assert!(matches!(stop, Stop::Differs { .. }), "{stop:?}");
    assert_eq!(site.there(), names(&ALL));

    std::fs::rename(&safe, keys.join("ca.key")).unwrap();
    site.apply(&plan).unwrap();
    std::fs::remove_dir_all(&keys).unwrap();
    site.undo(true).unwrap();
    site.apply(&plan).unwrap();
    assert!(keys.join("ca.key").is_file() && site.there() == names(&ALL));
}

#[test]
fn keys_come_into_an_empty_directory_and_a_file_of_ones_own_there_stops_nothing() {
    let (site, plan) = (Site::new(), planned(&[]));
    std::fs::create_dir_all(site.out.join("keys")).unwrap();
    std::fs::write(site.out.join("answers.toml"), "name = \"nimbus\"\n").unwrap();
    site.apply(&plan).unwrap();
    std::fs::write(site.out.join("keys/README"), "mine").unwrap();
    site.undo(true).unwrap();
    assert_eq!(site.there(), BTreeSet::new());
    assert_eq!(std::fs::read_to_string(site.out.join("keys/README")).unwrap(), "mine");
    assert!(!site.out.join("keys/ca.key").exists());
    let left = std::fs::read_dir(&site.out).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(
        !left.into_iter().any(|name| name.to_string_lossy().starts_with(".keys")),
        "nothing is left of making them"
    );
}

/// A control plane that never leads is looked for no longer than that, and what waiting does not mend is said at once.
#[test]
fn waiting_has_an_end() {
    let (mut site, plan) = (Site::new(), planned(&[]));
    let answers = |site: &Site, code: u8| {
        let text = std::fs::read_to_string(site.around.nimbus.with_file_name("kubectl")).unwrap();
        let broken = text.replace(
            "nimbus*\"token create\"*)",
            &format!("nimbus*status*) echo waits >&2; exit {code} ;;\nx)"),
        );
        assert_ne!(text, broken);
        std::fs::write(&site.around.nimbus, broken).unwrap();
    };
    let rounds = |site: &Site| {
        let log = std::fs::read_to_string(site.world.join("log")).unwrap();
        log.lines().filter(|line| line.ends_with("status")).count()
    };
    // There is no such context: one look.
    answers(&site, 7);
    site.around.patience = Duration::from_hours(1);
    let stop = site.apply(&plan).unwrap_err();
    assert!(matches!(&stop, Stop::Failed { error, .. } if error.found.contains("waits")), "{stop:?}");
    assert_eq!(rounds(&site), 1);
    // It cannot be reached: looks until the time is over.
    answers_again(&site, 6);
    site.around.patience = Duration::from_millis(300);
    site.apply(&plan).unwrap_err();
    assert!(rounds(&site) > 1);
    site.around.patience = Duration::ZERO;
    let before = rounds(&site);
    site.apply(&plan).unwrap_err();
    assert_eq!(rounds(&site), before + 1, "once in any case");
}

/// The same program with another exit code.
fn answers_again(site: &Site, code: u8) {
    let text = std::fs::read_to_string(&site.around.nimbus).unwrap();
    std::fs::write(&site.around.nimbus, text.replace("exit 7 ;;", &format!("exit {code} ;;"))).unwrap();
}
