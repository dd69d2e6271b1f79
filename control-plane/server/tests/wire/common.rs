//! Fixtures: a control plane in a temporary directory, and a small agent that implements the wire protocol by itself,
//! so that the gateway is tested against the contract rather than against the product's own agent.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nimbus_control_core::model::AgentKind;
use nimbus_control_plane::tokens::NewAgent;
use nimbus_control_plane::{Config, ControlPlane};
use nimbus_protocol::frame::{self, HEADER, Header};
use nimbus_protocol::v1::agent_frame::Body as ToServer;
use nimbus_protocol::v1::server_frame::Body as FromServer;
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION, v1};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};

/// Nothing in these tests takes longer unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// `future`, or a failure that says what did not happen.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// Asks until the answer is there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, asking).await
}

/// A configuration on free ports.
pub fn config(dir: &Path) -> Config {
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    Config { listen: any, quic: any, ..Config::new(dir) }
}

/// A control plane with its data in `dir`.
pub async fn start(dir: &Path) -> ControlPlane {
    ControlPlane::start(config(dir)).await.unwrap()
}

/// What an agent keeps after it joined.
pub struct Identity {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub chain: Vec<CertificateDer<'static>>,
    pub key: KeyPair,
    pub job_keys: Vec<Vec<u8>>,
    pub ca: CertificateDer<'static>,
}

pub fn csr(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

pub fn ca(plane: &ControlPlane) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(plane.ca_pem_path()).unwrap()
}

/// Where clients come from; all of 127.0.0.0/8 is this host.
pub const HERE: [u8; 4] = [127, 0, 0, 1];
pub const ELSEWHERE: [u8; 4] = [127, 0, 0, 2];

/// A QUIC client that trusts `ca`, with an identity or without.
pub fn client(
    ca: &CertificateDer<'static>,
    alpn: &[u8],
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Endpoint {
    client_from(HERE, ca, alpn, identity, quinn::TransportConfig::default())
}

/// As [`client`], from another address and with other bounds.
pub fn client_from(
    address: [u8; 4],
    ca: &CertificateDer<'static>,
    alpn: &[u8],
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    transport: quinn::TransportConfig,
) -> Endpoint {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).unwrap(),
        None => builder.with_no_client_auth(),
    };
    tls.alpn_protocols = vec![alpn.to_vec()];
    let mut endpoint = Endpoint::client(SocketAddr::from((address, 0))).unwrap();
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(config);
    endpoint
}

/// One frame off a stream.
pub async fn read(stream: &mut RecvStream) -> Result<FromServer, String> {
    let mut head = [0; HEADER];
    stream.read_exact(&mut head).await.map_err(|error| error.to_string())?;
    let header = Header::parse(&head).unwrap();
    let mut body = vec![0; header.length];
    stream.read_exact(&mut body).await.map_err(|error| error.to_string())?;
    Ok(header.decode::<v1::ServerFrame>(&body).unwrap().body.unwrap())
}

pub async fn write(stream: &mut SendStream, body: ToServer) {
    let bytes = frame::encode(&v1::AgentFrame { body: Some(body) }).unwrap();
    stream.write_all(&bytes).await.unwrap();
}

/// Joins with a token (as text) as it stands.
pub async fn enrol(plane: &ControlPlane, token: &str) -> Result<Identity, v1::Refusal> {
    enrol_from(HERE, plane, token).await
}

/// As [`enrol`], from another address.
pub async fn enrol_from(
    address: [u8; 4],
    plane: &ControlPlane,
    token: &str,
) -> Result<Identity, v1::Refusal> {
    let request = v1::EnrolRequest { token: token.to_owned(), ..Default::default() };
    enrol_as(address, plane, KeyPair::generate().unwrap(), request).await
}

/// Asks for an identity with this key and what else is in the request.
pub async fn enrol_as(
    address: [u8; 4],
    plane: &ControlPlane,
    key: KeyPair,
    request: v1::EnrolRequest,
) -> Result<Identity, v1::Refusal> {
    let (ca, to) = (ca(plane), plane.quic_addr());
    try_enrol(address, &ca, to, key, request).await.unwrap()
}

/// As [`enrol_as`]; `None` where the connection broke before there was an answer, as under a load that it refuses.
pub async fn try_enrol(
    address: [u8; 4],
    ca: &CertificateDer<'static>,
    to: SocketAddr,
    key: KeyPair,
    request: v1::EnrolRequest,
) -> Option<Result<Identity, v1::Refusal>> {
    let endpoint = client_from(address, ca, ALPN_ENROL, None, quinn::TransportConfig::default());
    let connection = endpoint.connect(to, "nimbus-control-plane").unwrap().await.ok()?;
    let (mut send, mut recv) = connection.open_bi().await.ok()?;
    let request = v1::EnrolRequest {
        lowest_version: 1,
        highest_version: 1,
        csr_der: csr(&key),
        hostname: "host".into(),
        ..request
    };
    let bytes = frame::encode(&v1::AgentFrame { body: Some(ToServer::Enrol(request)) }).unwrap();
    // A refusal may be there although nothing could be sent.
    let _ = send.write_all(&bytes).await;
    let answer = within("an answer to the enrolment", read(&mut recv)).await.ok()?;
    connection.close(0u32.into(), b"");
    Some(match answer {
        FromServer::Enrolled(response) => Ok(Identity {
            id: response.agent_id,
            name: response.agent_name,
            kind: response.kind,
            chain: response.certificate_chain_der.into_iter().map(CertificateDer::from).collect(),
            key,
            job_keys: response.job_keys,
            ca: ca.clone(),
        }),
        FromServer::Refusal(refusal) => Err(refusal),
        other => panic!("expected an answer to the enrolment, found {other:?}"),
    })
}

/// An agent of a host that is to join.
pub fn host(name: &str) -> NewAgent<'_> {
    NewAgent { name, kind: AgentKind::Host, cluster: None, uses: 1 }
}

/// Makes a token and joins with it.
pub async fn join(plane: &ControlPlane, name: &str, kind: AgentKind) -> Identity {
    join_as(plane, NewAgent { name, kind, cluster: None, uses: 1 }).await
}

/// Makes a token for this agent and joins with it.
pub async fn join_as(plane: &ControlPlane, new_agent: NewAgent<'_>) -> Identity {
    let token = plane.create_join_token(new_agent, Duration::from_mins(1), "operator").await.unwrap();
    enrol(plane, &token.to_string()).await.unwrap()
}

impl Identity {
    pub fn tls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), PrivateKeyDer::try_from(self.key.serialize_der()).unwrap())
    }

    pub fn hello(&self) -> v1::Hello {
        v1::Hello {
            lowest_version: 1,
            highest_version: 1,
            agent_id: self.id.clone(),
            agent_version: "1.0".into(),
            kind: self.kind.clone(),
            hostname: "host".into(),
            next_sequence: 1,
            ..Default::default()
        }
    }

    pub async fn dial(&self, plane: &ControlPlane) -> Connection {
        let endpoint = client(&self.ca, ALPN_SESSION, Some(self.tls()));
        endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await.unwrap()
    }

    pub async fn connect(&self, plane: &ControlPlane) -> Session {
        self.connect_with(plane, self.hello()).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    pub async fn connect_with(&self, plane: &ControlPlane, hello: v1::Hello) -> Result<Session, v1::Refusal> {
        Self::greet(self.dial(plane).await, hello).await
    }

    /// As [`Identity::connect`], from another address or with other bounds.
    pub async fn connect_from(
        &self,
        address: [u8; 4],
        plane: &ControlPlane,
        transport: quinn::TransportConfig,
    ) -> Session {
        let endpoint = client_from(address, &self.ca, ALPN_SESSION, Some(self.tls()), transport);
        let connection = endpoint.connect(plane.quic_addr(), "nimbus-control-plane").unwrap().await.unwrap();
        Self::greet(connection, self.hello()).await.unwrap_or_else(|refusal| panic!("{refusal:?}"))
    }

    async fn greet(connection: Connection, hello: v1::Hello) -> Result<Session, v1::Refusal> {
        let (mut send, mut recv) = connection.open_bi().await.unwrap();
        write(&mut send, ToServer::Hello(hello)).await;
        match within("a welcome", read(&mut recv)).await.unwrap() {
            FromServer::Welcome(welcome) => {
                let (data_send, data_recv) = connection.open_bi().await.unwrap();
                Ok(Session { connection, welcome, send, recv, data_send, data_recv, next: 1 })
            }
            FromServer::Refusal(refusal) => Err(refusal),
            other => panic!("expected a welcome or a refusal, found {other:?}"),
        }
    }
}

/// A welcome agent.
pub struct Session {
    pub connection: Connection,
    pub welcome: v1::Welcome,
    pub send: SendStream,
    pub recv: RecvStream,
    pub data_send: SendStream,
    pub data_recv: RecvStream,
    pub next: u64,
}

/// An observation without any content.
pub fn blank(sequence: u64) -> v1::Observation {
    v1::Observation { sequence, ..Default::default() }
}

impl Session {
    /// Sends observations with these sequence numbers.
    pub async fn send_blank(&mut self, sequences: impl IntoIterator<Item = u64>) {
        let observations: Vec<_> = sequences.into_iter().map(blank).collect();
        self.send_batch(observations).await;
    }

    pub async fn send_batch(&mut self, observations: Vec<v1::Observation>) {
        let first_sequence = observations[0].sequence;
        let batch = v1::ObservationBatch { first_sequence, observations };
        write(&mut self.data_send, ToServer::Batch(batch)).await;
    }

    /// Sends facts with the next sequence numbers and waits until they are stored.
    pub async fn tell(&mut self, cluster_uid: &str, bodies: Vec<v1::observation::Body>) {
        self.send(bodies.into_iter().map(|body| (cluster_uid, body))).await;
        assert_eq!(self.ack().await, self.next - 1);
    }

    /// Sends facts, each of a cluster, with the next sequence numbers.
    pub async fn send(&mut self, facts: impl IntoIterator<Item = (&str, v1::observation::Body)>) {
        let number = |(cluster_uid, body): (&str, _)| {
            let sequence = self.next;
            self.next += 1;
            let cluster_uid = cluster_uid.to_owned();
            v1::Observation { sequence, cluster_uid, body: Some(body), observed_at_us: 1 }
        };
        let observations = facts.into_iter().map(number).collect();
        self.send_batch(observations).await;
    }

    /// Reports on a job and waits for the acknowledgement.
    pub async fn report(&mut self, report: v1::JobReport) {
        let (job, phase) = (report.job_id.clone(), report.phase);
        write(&mut self.send, ToServer::JobReport(report)).await;
        loop {
            match self.control().await {
                FromServer::JobReportAck(ack) => {
                    assert_eq!((ack.job_id, ack.phase), (job, phase));
                    return;
                }
                FromServer::Job(_) | FromServer::Heartbeat(_) | FromServer::Resync(_) => {}
                other => panic!("expected an acknowledgement, found {other:?}"),
            }
        }
    }

    /// The sequence number that the server acknowledges next.
    pub async fn ack(&mut self) -> u64 {
        match within("an acknowledgement", read(&mut self.data_recv)).await {
            Ok(FromServer::Ack(ack)) => ack.sequence,
            Ok(other) => panic!("expected an acknowledgement, found {other:?}"),
            // The stream says only that it ended; the connection says why.
            Err(error) => {
                panic!("expected an acknowledgement, found {error}; closed: {:?}", self.closed().await)
            }
        }
    }

    /// The next message on the control stream that is not about pauses: every session begins with one that is.
    pub async fn control(&mut self) -> FromServer {
        loop {
            match self.next_control().await {
                FromServer::Pause(_) => {}
                other => return other,
            }
        }
    }

    /// The next message on the control stream.
    pub async fn next_control(&mut self) -> FromServer {
        within("a message on the control stream", read(&mut self.recv)).await.unwrap()
    }

    /// The next message about pauses.
    pub async fn pause(&mut self) -> v1::Pause {
        loop {
            if let FromServer::Pause(pause) = self.next_control().await {
                return pause;
            }
        }
    }

    /// The code and reason with which the server closes.
    pub async fn closed(&self) -> (u64, String) {
        closed(&self.connection).await
    }
}

/// The code and reason with which the server closes `connection`.
pub async fn closed(connection: &Connection) -> (u64, String) {
    match within("the end of the connection", connection.closed()).await {
        ConnectionError::ApplicationClosed(close) => {
            (close.error_code.into_inner(), String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => panic!("expected the server to close with a reason, found {other}"),
    }
}

/// A good agent is served from joining to an acknowledgement.
pub async fn serves_a_good_agent(plane: &ControlPlane) {
    let identity = join(plane, "good", AgentKind::Host).await;
    let mut session = identity.connect(plane).await;
    session.send_blank([1, 2, 3]).await;
    assert_eq!(session.ack().await, 3);
    session.connection.close(0u32.into(), b"");
}
