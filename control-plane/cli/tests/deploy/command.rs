//! The command itself, without a terminal.

use std::path::Path;

use nimbus_cli::Here;
use nimbus_cli::cli::Cli;
use nimbus_cli::context::Context;
use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::error::Failure;
use nimbus_cli::exit::Exit;
use nimbus_deploy::journal::{Entry, State};

use crate::site::{Site, planned};

/// The command itself, without a terminal.
async fn nimbus(words: &[&str]) -> Result<Exit, Failure> {
    let here = Here {
        up: |_, _| Box::pin(async { Ok(Exit::Done) }),
        protocol: (1, 1),
        schema: 1,
        look_at_database: |_| unreachable!("no database is looked at"),
        key_files: ["ca.pem", "ca.key", "job.key", "operator.token"],
        make_keys: |_| Err("no keys are made here".to_owned()),
    };
    let start = ["nimbus", "-q", "-o", "name", "enterprise", "deploy", "--mode", "on-premise", "--out"];
    let words: Vec<_> = start.iter().chain(words).map(std::ffi::OsString::from).collect();
    let cli = Cli::read(&words).unwrap_or_else(|error| panic!("{error}"));
    let context = Context::new(&cli.global);
    cli.command.run(&context, &here).await
}

#[tokio::test]
async fn without_a_terminal_everything_that_is_missing_is_named_at_once_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    let out = out.to_str().unwrap();
    let failure = nimbus(&[out, "--answer", "cloud.kind=aws", "--answer", "name=prod"]).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Usage);
    for key in ["registry", "database.kind", "cloud.region"] {
        assert!(failure.expected.contains(key), "{failure}");
    }
    let wrong = nimbus(&[out, "--answer", "nmae=prod", "--answer", "registry"]).await.unwrap_err();
    assert!(wrong.expected.contains("nmae") && wrong.expected.contains("KEY=VALUE"), "{wrong}");
    assert!(!Path::new(out).exists());
}

/// It would be waited for without end.
#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = |name: &str| {
        let path = dir.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        path.to_str().unwrap().to_owned()
    };
    let out = dir.path().join("prod");
    let out = out.to_str().unwrap();
    let good = ["--answer", "registry=registry.example.internal", "--answer", "database.kind=sqlite"];
    nimbus(&[&[out][..], &good].concat()).await.unwrap();
    let answers = nimbus(&[out, "--file", &pipe("answers")]).await.unwrap_err();
    assert!(answers.title.contains("the file of answers") && answers.found.contains("pipe"), "{answers}");
    let values = pipe("values");
    for answer in ["extra.control_plane_values", "extra.agent_values"] {
        let answer = format!("{answer}={values}");
        let refused = nimbus(&[out, "--answer", &answer]).await.unwrap_err();
        assert!(refused.found.contains("pipe"), "{refused}");
    }
    pipe("prod/state.json");
    let state = nimbus(&[out, "--undo", "--yes"]).await.unwrap_err();
    assert!(state.title.contains("what was done so far") && state.found.contains("pipe"), "{state}");
}

#[tokio::test]
async fn it_writes_the_plan_reads_its_own_answers_again_and_does_nothing_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    let out = out.to_str().unwrap();
    let answers = ["--answer", "registry=registry.example.internal", "--answer", "database.kind=sqlite"];
    nimbus(&[&[out, "--dry-run"][..], &answers].concat()).await.unwrap();
    assert!(!Path::new(out).exists(), "a dry run writes nothing");
    nimbus(&[&[out][..], &answers].concat()).await.unwrap();
    let guide = std::fs::read_to_string(Path::new(out).join("GUIDE.md")).unwrap();
    assert!(guide.contains("nimbus-control-plane") && !Path::new(out).join("state.json").exists());

    nimbus(&[out, "--answer", "name=other"]).await.unwrap();
    let again = std::fs::read_to_string(Path::new(out).join("answers.toml")).unwrap();
    assert!(again.contains("name = \"other\"") && again.contains("registry.example.internal"), "{again}");

    let no_charts = nimbus(&[out, "--apply"]).await.unwrap_err();
    assert_eq!(no_charts.exit, Exit::NotFound, "{no_charts}");
    let nothing_done = nimbus(&[out, "--undo", "--yes"]).await.unwrap_err();
    assert_eq!(nothing_done.exit, Exit::NotFound, "{nothing_done}");
}

#[tokio::test]
async fn it_asks_before_it_changes_anything() {
    let dir = tempfile::tempdir().unwrap();
    let (out, charts) = (dir.path().join("prod"), dir.path().join("charts"));
    for chart in ["nimbus-control-plane", "nimbus-agent"] {
        std::fs::create_dir_all(charts.join(chart)).unwrap();
        std::fs::write(charts.join(chart).join("Chart.yaml"), "").unwrap();
    }
    let charts = format!("charts={}", charts.display());
    let words = [
        "--answer",
        "registry=r.example.internal",
        "--answer",
        "database.kind=sqlite",
        "--answer",
        &charts,
        "--apply",
    ];
    let failure = nimbus(&[&[out.to_str().unwrap()][..], &words].concat()).await.unwrap_err();
    assert!(failure.exit == Exit::Usage && failure.next.contains("--yes"), "{failure}");
    assert!(
        !out.join("state.json").exists() && !out.join("answers.toml").exists(),
        "it asks before it writes"
    );
}

#[tokio::test]
async fn the_answers_of_another_installation_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    let plan = planned(&[]);
    let directory = Directory::new(&out).unwrap();
    drop(directory.take().unwrap());
    directory.write(&plan).unwrap();
    let step = plan.steps[3].clone();
    let mut journal = directory.journal_of(&plan.identity).unwrap();
    journal.note(Entry { state: State::Made, mark: None, at: 0, step });
    directory.save(&journal).unwrap();
    let before = std::fs::read_to_string(out.join("answers.toml")).unwrap();
    let words = [out.to_str().unwrap(), "--answer", "name=other"];
    for more in [&[][..], &["--dry-run"]] {
        let failure = nimbus(&[&words[..], more].concat()).await.unwrap_err();
        assert!(failure.exit == Exit::Refused && failure.title.contains("another installation"), "{failure}");
    }
    assert_eq!(std::fs::read_to_string(out.join("answers.toml")).unwrap(), before);
}

#[tokio::test]
async fn somebody_elses_files_are_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("prod");
    std::fs::create_dir(&out).unwrap();
    std::fs::write(out.join("state.json"), "{\"theirs\": true}").unwrap();
    std::fs::write(out.join("GUIDE.md"), "mine").unwrap();
    let answers = ["--answer", "registry=registry.example.internal", "--answer", "database.kind=sqlite"];
    let words = [&[out.to_str().unwrap()][..], &answers].concat();
    assert!(nimbus(&words).await.unwrap_err().title.contains("something else"));

    std::fs::remove_file(out.join("state.json")).unwrap();
    std::fs::write(out.join("answers.toml"), "name = \"nimbus\"\n").unwrap();
    let failure = nimbus(&words).await.unwrap_err();
    assert!(failure.exit == Exit::Refused && failure.found == "GUIDE.md", "{failure}");
    assert_eq!(std::fs::read_to_string(out.join("GUIDE.md")).unwrap(), "mine");
    assert_eq!(
        std::fs::read_to_string(out.join("answers.toml")).unwrap(),
        "name = \"nimbus\"\n",
        "nothing was written"
    );

    std::fs::remove_file(out.join("GUIDE.md")).unwrap();
    nimbus(&words).await.unwrap();
    let values = format!("extra.agent_values={}", out.join("values-agent.yaml").display());
    let failure = nimbus(&[&words[..], &["--answer", &values]].concat()).await.unwrap_err();
    assert!(failure.exit == Exit::Usage && failure.found == "values-agent.yaml", "{failure}");
}

/// Nobody goes on with the installation while an undo asks.
#[tokio::test]
async fn an_undo_takes_the_directory_before_it_asks() {
    let (site, plan) = (Site::new(), planned(&[]));
    site.apply(&plan).unwrap();
    let lock = Directory::new(&site.out).unwrap().take().unwrap();
    let failure = nimbus(&[site.out.to_str().unwrap(), "--undo"]).await.unwrap_err();
    assert!(failure.title.contains("cannot be taken"), "{failure}");
    drop(lock);
    let failure = nimbus(&[site.out.to_str().unwrap(), "--undo"]).await.unwrap_err();
    assert!(failure.next.contains("--yes"), "{failure}");
}

#[tokio::test]
async fn other_contents_of_values_charts_and_terraform_of_ones_own_are_another_plan() {
    let dir = tempfile::tempdir().unwrap();
    let (out, charts, values) =
        (dir.path().join("prod"), dir.path().join("charts"), dir.path().join("mine.yaml"));
    for chart in ["nimbus-control-plane", "nimbus-agent"] {
        std::fs::create_dir_all(charts.join(chart).join("templates")).unwrap();
        std::fs::write(charts.join(chart).join("Chart.yaml"), "version: 1").unwrap();
    }
    std::fs::write(&values, "a: 1").unwrap();
    let given = [
        "registry=registry.example.internal".to_owned(),
        "database.kind=sqlite".to_owned(),
        "cloud.kind=aws".to_owned(),
        "cloud.region=eu-central-1".to_owned(),
        format!("charts={}", charts.display()),
        format!("extra.agent_values={}", values.display()),
    ];
    let mut words = vec![out.to_str().unwrap()];
    words.extend(given.iter().flat_map(|answer| ["--answer", answer.as_str()]));
    nimbus(&words).await.unwrap();
    let planned = || std::fs::read_to_string(out.join("plan.json")).unwrap();
    let mut before = planned();
    for (file, is_used) in [
        (values.clone(), true),
        (charts.join("nimbus-agent/templates/more.yaml"), true),
        (charts.join("nimbus-control-plane/Chart.yaml"), true),
        (out.join("terraform/mine_override.tf"), true),
        (out.join("terraform/terraform.tfstate"), false),
        (out.join("terraform/.terraform.lock.hcl"), false),
    ] {
        std::fs::write(&file, "other").unwrap();
        nimbus(&words).await.unwrap();
        assert_eq!(planned() != before, is_used, "{}", file.display());
        before = planned();
    }
    std::fs::remove_file(&values).unwrap();
    let failure = nimbus(&words).await.unwrap_err();
    assert!(failure.title.contains("extra.agent_values"), "{failure}");
}
