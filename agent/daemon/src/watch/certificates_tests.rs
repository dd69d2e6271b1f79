use super::*;

fn pem(name: &str) -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

fn names(files: &[v1::CertificateFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.rsplit_once('/').unwrap().1).collect()
}

#[test]
fn a_directory_stands_for_the_certificates_directly_in_it_and_a_file_for_itself() {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    put("web.pem", &pem("web"));
    put("api.crt", &pem("api"));
    put("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    put("notes.txt", &pem("notes"));
    put("authorities.pem", &pem("a").repeat(11));
    std::fs::create_dir(dir.path().join("more.pem")).unwrap();
    std::os::unix::fs::symlink(dir.path().join("web.pem"), dir.path().join("live.cer")).unwrap();
    let (found, problems) = look(&[dir.path().to_owned()], nimbus_platform::now());
    assert_eq!(names(&found), ["api.crt", "live.cer", "web.pem"]);
    assert!(problems.is_empty(), "{problems:?}");
    // What was named by itself has to be one, whatever it is called.
    let (found, problems) = look(
        &[dir.path().join("notes.txt"), dir.path().join("key.pem"), dir.path().join("gone.pem")],
        nimbus_platform::now(),
    );
    assert_eq!(names(&found), ["notes.txt"]);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("key.pem: expected a certificate in PEM, found none"), "{problems:?}");
    assert!(
        problems[1].contains("gone.pem: expected a file that can be read, found: No such file"),
        "{problems:?}"
    );
}

#[test]
fn what_is_no_plain_file_or_too_large_is_said_and_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo.pem");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let large = dir.path().join("large.pem");
    std::fs::write(&large, vec![b'a'; 300 << 10]).unwrap();
    let (found, problems) = look(&[fifo, large], nimbus_platform::now());
    assert!(found.is_empty());
    assert!(problems[0].contains("something else than a file"), "{problems:?}");
    assert!(problems[1].contains("more than 262144 bytes"), "{problems:?}");
}

#[test]
fn of_many_problems_the_first_are_told() {
    assert_eq!(said(&[]), None);
    let many: Vec<String> = (0..7).map(|n| format!("/{n}: odd")).collect();
    let told = said(&many).unwrap();
    assert!(told.starts_with("/0: odd; /1: odd") && told.contains("/4: odd; and 2 more; until"), "{told}");
}

#[tokio::test]
async fn a_renewed_file_is_told_at_the_next_look() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("web.pem");
    std::fs::write(&path, pem("web")).unwrap();
    let (observations, mut items) = ObservationQueue::new();
    let (cancel, resync) = (CancellationToken::new(), watch::Sender::new(0));
    let running = tokio::spawn(run(Watch {
        paths: vec![path.clone()],
        every: Duration::from_millis(50),
        observations,
        status: Arc::new(SharedStatus::new()),
        resync: resync.subscribe(),
        cancel: cancel.clone(),
    }));
    let mut next = async || {
        let item =
            tokio::time::timeout(Duration::from_secs(10), items.recv()).await.expect("in time").unwrap();
        let Some(observation::Body::CertificateFiles(told)) = item.observation.body else { panic!() };
        told.files[0].sha256.clone()
    };
    let first = next().await;
    std::fs::write(&path, pem("web")).unwrap();
    let second = next().await;
    assert_ne!(first, second);
    resync.send_replace(1);
    assert_eq!(next().await, second);
    cancel.cancel();
    running.await.unwrap();
}
