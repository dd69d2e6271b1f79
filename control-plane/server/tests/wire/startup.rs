//! Tests of starting: what prevents it is named with what to do, and nothing is damaged.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;

use crate::common::{config, serves_a_good_agent, start, within};
use nimbus_control_plane::{AgentTcp, Config, ControlPlane, StartError};
use nimbus_protocol::ids::AgentId;
use nimbus_protocol::{frame, v1};
use nimbus_store::{NewBatch, Store};
use prost::Message as _;

async fn refused(config: Config) -> String {
    match ControlPlane::start(config).await {
        Ok(_) => panic!("expected a refusal to start"),
        Err(error) => error.to_string(),
    }
}

/// Status and text of a plain GET.
async fn get(address: SocketAddr, path: &'static str, token: Option<String>) -> (u16, String) {
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{token}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer)
    });
    asked.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named_with_its_option_and_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = tcp.local_addr().unwrap();
    let said = refused(Config { listen: taken, ..config(dir.path()) }).await;
    assert!(
        said.contains(&taken.to_string()) && said.contains("--listen") && said.contains("REST"),
        "{said}"
    );
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let taken = udp.local_addr().unwrap();
    let said = refused(Config { quic: taken, ..config(dir.path()) }).await;
    assert!(said.contains(&taken.to_string()) && said.contains("--quic") && said.contains("QUIC"), "{said}");
    let taken = tcp.local_addr().unwrap();
    let beside = Config { quic: taken, ..config(dir.path()) };
    let apart = Config { tcp: AgentTcp::At(taken), ..config(dir.path()) };
    for (config, option) in [(beside, "--quic"), (apart, "--tcp")] {
        let said = refused(config).await;
        let address = taken.to_string();
        assert!(said.contains(&address) && said.contains(option) && said.contains("TCP"), "{said}");
    }
    let plane = start(dir.path()).await;
    assert_eq!(plane.app().epoch, 1);
    assert_eq!(plane.tcp_addr(), Some(plane.quic_addr()), "one address serves both");
    plane.stop().await;
    let plane = ControlPlane::start(Config { tcp: AgentTcp::Off, ..config(dir.path()) }).await.unwrap();
    assert_eq!(plane.tcp_addr(), None);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_data_directory_is_for_one_process() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let said = refused(config(dir.path())).await;
    assert!(said.contains(&std::process::id().to_string()) && said.contains("--data-dir"), "{said}");
    serves_a_good_agent(&plane).await;
    plane.stop().await;
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_database_file_is_for_one_control_plane_from_whichever_data_directory() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let database = Some(format!("sqlite://{}", one.path().join("nimbus.db").display()));
    let plane = start(one.path()).await;
    // The same keys, as a second replica has them: the database would be its own.
    for key in ["ca.pem", "ca.key", "job.key", "operator.token"] {
        std::fs::copy(one.path().join(key), two.path().join(key)).unwrap();
    }
    let said = refused(Config { database: database.clone(), ..config(two.path()) }).await;
    assert!(said.contains("only control plane") && said.contains("nimbus.db"), "{said}");
    assert_eq!(
        plane.app().store().check_epoch().await,
        Ok(()),
        "it did not cost the one that runs its epoch"
    );
    serves_a_good_agent(&plane).await;
    plane.stop().await;
    ControlPlane::start(Config { database, ..config(two.path()) }).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_ends_in_an_error_when_another_control_plane_took_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_nimbus-control-plane"));
    command.arg("--data-dir").arg(dir.path()).args(["--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut process = command.spawn().unwrap();
    // What it prints when it is up.
    let mut stdout = process.stdout.take().unwrap();
    let up = tokio::task::spawn_blocking(move || (stdout.read(&mut [0; 64]).unwrap(), stdout));
    let (printed, _stdout) = within("the start", up).await.unwrap();
    assert!(printed > 0);
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let later = Store::open(&url.parse().unwrap()).await.unwrap();
    later.next_epoch().await.unwrap();
    let ended = tokio::task::spawn_blocking(move || process.wait_with_output().unwrap());
    let ended = within("the end", ended).await.unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: ") && last.contains("started later"), "{said}");
    later.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secrets_are_private_and_stay_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    let secrets = ["ca.key", "job.key", "operator.token"].map(|name| dir.path().join(name));
    let read = || secrets.clone().map(|path| std::fs::read(path).unwrap());
    for path in &secrets {
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let before = read();
    plane.stop().await;
    start(dir.path()).await.stop().await;
    assert_eq!(read(), before);
    std::fs::set_permissions(&secrets[1], std::fs::Permissions::from_mode(0o640)).unwrap();
    let said = refused(config(dir.path())).await;
    assert!(said.contains("job.key") && said.contains("chmod 600"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_make_no_sense_and_a_strange_database_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut senseless = config(dir.path());
    senseless.settings.attempts = 0;
    let said = refused(senseless).await;
    assert!(said.contains("attempts"), "{said}");
    let said = refused(Config { database: Some("mysql://u:hush@h/d".into()), ..config(dir.path()) }).await;
    assert!(said.contains("sqlite:") && !said.contains("hush"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nimbus.db");
    std::fs::write(&path, "this is not a database, and it is long enough to be looked at".repeat(40))
        .unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = ControlPlane::start(config(dir.path())).await.err().unwrap();
    assert!(matches!(error, StartError::Store(_)), "{error}");
    assert!(error.to_string().contains("nimbus.db"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_the_figures_are_shown_on_loopback() {
    let dir = tempfile::tempdir().unwrap();
    let plane = start(dir.path()).await;
    assert!(plane.rest_url().starts_with("http://127.0.0.1:"), "{}", plane.rest_url());
    let address = plane.rest_addr();
    assert_eq!(get(address, "/healthz", None).await.0, 200);
    assert_eq!(get(address, "/readyz", None).await.0, 200);
    let (status, text) = get(address, "/metrics", None).await;
    assert!(status == 200 && text.contains("nimbus_agents_connected"), "{text}");
    assert_eq!(get(address, "/api/v1/agents", None).await.0, 401);
    let token = std::fs::read_to_string(plane.operator_token_path()).unwrap().trim().to_owned();
    assert_eq!(get(address, "/api/v1/agents", Some(token)).await.0, 200);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_any_other_address_rest_is_tls_with_the_own_ca() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), ..config(dir.path()) };
    let plane = ControlPlane::start(config).await.unwrap();
    assert!(plane.rest_url().starts_with("https://"), "{}", plane.rest_url());
    let address = SocketAddr::from(([127, 0, 0, 1], plane.rest_addr().port()));
    let ca = crate::common::ca(&plane);
    let asked = tokio::task::spawn_blocking(move || {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut tls = rustls::ClientConnection::new(tls.into(), "localhost".try_into().unwrap()).unwrap();
        let mut tcp = TcpStream::connect(address).unwrap();
        let mut stream = rustls::Stream::new(&mut tls, &mut tcp);
        write!(stream, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = [0; 15];
        stream.read_exact(&mut answer).unwrap();
        // Plain HTTP gets no HTTP answer.
        let mut plain = TcpStream::connect(address).unwrap();
        write!(plain, "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut rest = Vec::new();
        let _ = plain.read_to_end(&mut rest);
        (String::from_utf8_lossy(&answer).into_owned(), rest)
    });
    let (answer, plain) = asked.await.unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK");
    assert!(!plain.starts_with(b"HTTP/"), "{plain:?}");
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_start_replayed_for_long_the_next_one_does_not_replay_again() {
    const ROWS: u64 = 300;
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await;
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let open = || async { Store::open(&url.parse().unwrap()).await.unwrap() };
    let store = open().await;
    let agent = AgentId::from(uuid::Uuid::from_u128(1));
    let rows = (1..=ROWS).map(|n| NewBatch {
        agent,
        first: n,
        last: n,
        count: 1,
        received_at: jiff::Timestamp::UNIX_EPOCH,
        payload: frame::compress(&v1::ObservationBatch::default().encode_to_vec()),
    });
    let last = store.append(&rows.collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.load_snapshot().await.unwrap(), None);
    let plane = start(dir.path()).await;
    // As a kill right now would leave it: the world is kept, and nothing of the log is lost yet.
    assert_eq!(store.load_snapshot().await.unwrap().map(|(position, _)| position), Some(last));
    assert_eq!(store.cursor("ingest").await.unwrap(), last);
    assert_eq!(store.log_span().await.unwrap().rows, ROWS);
    store.close().await;
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_a_newer_nimbus_is_not_touched() {
    use sqlx::Connection as _;
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await;
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let mut newer = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let sql = "INSERT INTO schema_version (version, build) VALUES (999, 'nimbus 9.0')";
    sqlx::query(sql).execute(&mut newer).await.unwrap();
    let epoch = "SELECT MAX(value) FROM counters";
    let before: i64 = sqlx::query_scalar(epoch).fetch_one(&mut newer).await.unwrap();
    let said = refused(config(dir.path())).await;
    assert!(said.contains("newer Nimbus") && said.contains("999") && said.contains("nimbus 9.0"), "{said}");
    let after: i64 = sqlx::query_scalar(epoch).fetch_one(&mut newer).await.unwrap();
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_an_older_nimbus_is_refused_with_what_to_do() {
    use sqlx::Connection as _;
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await;
    let url = format!("sqlite://{}", dir.path().join("nimbus.db").display());
    let mut older = sqlx::SqliteConnection::connect(&url).await.unwrap();
    for sql in ["DELETE FROM schema_version WHERE version > 2", "UPDATE schema_version SET version = 1"] {
        sqlx::query(sql).execute(&mut older).await.unwrap();
    }
    let said = refused(config(dir.path())).await;
    for word in ["older Nimbus", "schema 1", "new data directory", "join"] {
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_or_empty_beside_keys_is_no_silent_new_history() {
    let dir = tempfile::tempdir().unwrap();
    let database = dir.path().join("nimbus.db");
    start(dir.path()).await.stop().await;
    let before = std::fs::read(dir.path().join("job.key")).unwrap();
    for lost in ["gone", "of no length", "without its tables"] {
        for file in ["nimbus.db", "nimbus.db-wal", "nimbus.db-shm"] {
            let _ = std::fs::remove_file(dir.path().join(file));
        }
        match lost {
            "gone" => {}
            "of no length" => std::fs::write(&database, "").unwrap(),
            _ => {
                let url = format!("sqlite://{}", database.display());
                Store::open(&url.parse().unwrap()).await.unwrap().close().await;
            }
        }
        let said = refused(config(dir.path())).await;
        for word in ["backup", "--new-history", "join again", "nimbus.db"] {
            assert!(said.contains(word), "{lost}: {said}");
        }
        assert_eq!(database.exists(), lost != "gone", "nothing was made");
    }
    // The note of the epoch is lost with it.
    let (epoch, aside) = (dir.path().join("epoch"), dir.path().join("epoch.aside"));
    std::fs::rename(&epoch, &aside).unwrap();
    assert!(refused(config(dir.path())).await.contains("--new-history"));
    std::fs::rename(&aside, &epoch).unwrap();
    // On purpose: with the same keys, and with epochs that no agent has seen.
    let plane = ControlPlane::start(Config { new_history: true, ..config(dir.path()) }).await.unwrap();
    assert_eq!(plane.app().epoch, 2);
    serves_a_good_agent(&plane).await;
    plane.stop().await;
    assert_eq!(std::fs::read(dir.path().join("job.key")).unwrap(), before);
    start(dir.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_serves_no_other_keys_and_stays_with_its_own() {
    let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    start(own.path()).await.stop().await;
    let url = format!("sqlite://{}", own.path().join("nimbus.db").display());
    let on_it = |new_history| Config { database: Some(url.clone()), new_history, ..config(other.path()) };
    // A directory without keys, as one that was mistyped; then one with keys of its own.
    for new_history in [false, true] {
        let said = refused(on_it(new_history)).await;
        for word in ["none yet", "nimbus.db", "data directory that holds those keys"] {
            assert!(said.contains(word), "{said}");
        }
        assert!(!other.path().join("ca.key").exists(), "nothing was made");
    }
    start(other.path()).await.stop().await;
    let said = refused(on_it(true)).await;
    assert!(!said.contains("none yet") && said.contains("those keys"), "{said}");
    start(own.path()).await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_restored_from_a_backup_goes_on_with_epochs_that_no_agent_has_seen() {
    let dir = tempfile::tempdir().unwrap();
    start(dir.path()).await.stop().await;
    let database = dir.path().join("nimbus.db");
    let backup = std::fs::read(&database).unwrap();
    for _ in 0..3 {
        start(dir.path()).await.stop().await;
    }
    std::fs::write(&database, backup).unwrap();
    let plane = start(dir.path()).await;
    assert_eq!(plane.app().epoch, 5);
    plane.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_that_failed_at_its_database_can_be_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = Some("sqlite:///no/such/directory/nimbus.db".to_owned());
    refused(Config { database: nowhere, ..config(dir.path()) }).await;
    start(dir.path()).await.stop().await;
}
