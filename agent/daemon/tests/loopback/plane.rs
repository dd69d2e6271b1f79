//! A small test control plane on loopback: it enrols agents, welcomes sessions, acknowledges batches and sends jobs. It
//! makes no decisions.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ed25519_dalek::SigningKey;
use nimbus_protocol::join::JoinToken;
use nimbus_protocol::v1::{self, agent_frame, observation, server_frame};
use nimbus_protocol::{ALPN_ENROL, ALPN_SESSION, frame};
use quinn::crypto::rustls::{HandshakeData, QuicServerConfig};
use quinn::{Connection, Endpoint, RecvStream, SendStream, ServerConfig};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::sync::{broadcast, mpsc};

pub const AGENT: &str = "agt_00000000000000000000000000000001";

pub struct Plane {
    pub addr: SocketAddr,
    pub ca: CertificateDer<'static>,
    pub job_key: SigningKey,
    /// Its end of TLS.
    pub tls: rustls::ServerConfig,
    pub heard: mpsc::UnboundedReceiver<v1::Observation>,
    reports: mpsc::UnboundedReceiver<v1::JobReport>,
    state: Arc<State>,
    _endpoint: Endpoint,
}

struct State {
    ca: CertifiedIssuer<'static, KeyPair>,
    job_key: SigningKey,
    heard: mpsc::UnboundedSender<v1::Observation>,
    reports: mpsc::UnboundedSender<v1::JobReport>,
    /// Reports are heard and not acknowledged.
    silent: AtomicBool,
    /// Observations are not even read.
    deaf: AtomicBool,
    /// Encoded frames, also of messages that this version does not know.
    frames: broadcast::Sender<Vec<u8>>,
    acknowledged: AtomicU64,
    refuse: Mutex<Option<v1::Refusal>>,
    /// Enrolments that are still told that this one stands by.
    stands_by: AtomicU32,
    secrets: Mutex<Vec<String>>,
    renewed: Mutex<Option<Vec<u8>>>,
    life: Duration,
}

impl Plane {
    pub fn start() -> Self {
        Self::with_life(Duration::from_hours(90 * 24))
    }

    /// A control plane whose certificates live so long.
    pub fn with_life(life: Duration) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "nimbus test CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let ca_der: CertificateDer<'static> = CertificateDer::from(ca.as_ref().der().to_vec());

        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["nimbus-control-plane".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &ca).unwrap();

        let mut roots = rustls::RootCertStore::empty();
        roots.add(ca_der.clone()).unwrap();
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from(leaf.der().to_vec()), ca_der.clone()],
                PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        tls.alpn_protocols = vec![ALPN_SESSION.to_vec(), ALPN_ENROL.to_vec()];
        let config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls.clone()).unwrap()));
        let endpoint = Endpoint::server(config, "127.0.0.1:0".parse().unwrap()).unwrap();

        let (heard_sender, heard) = mpsc::unbounded_channel();
        let (report_sender, reports) = mpsc::unbounded_channel();
        let job_key = SigningKey::from_bytes(&[9; 32]);
        let state = Arc::new(State {
            ca,
            job_key: job_key.clone(),
            heard: heard_sender,
            reports: report_sender,
            silent: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
            frames: broadcast::channel(64).0,
            acknowledged: AtomicU64::new(0),
            refuse: Mutex::default(),
            stands_by: AtomicU32::default(),
            secrets: Mutex::default(),
            renewed: Mutex::default(),
            life,
        });
        let addr = endpoint.local_addr().unwrap();
        let (accepting, shared) = (endpoint.clone(), state.clone());
        tokio::spawn(async move {
            while let Some(incoming) = accepting.accept().await {
                let state = shared.clone();
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        state.serve(connection).await;
                    }
                });
            }
        });
        Self { addr, ca: ca_der, job_key, tls, heard, reports, state, _endpoint: endpoint }
    }

    pub fn server(&self) -> String {
        format!("localhost:{}", self.addr.port())
    }

    pub fn token(&self) -> JoinToken {
        JoinToken {
            id: "tok_00000000000000000000000000000001".parse().unwrap(),
            secret: [7; 32],
            ca_sha256: nimbus_protocol::sha256(&self.ca),
        }
    }

    /// Enrolments are refused with this from now on.
    pub fn refuse(&self, code: &str) {
        let refusal = v1::Refusal {
            code: code.to_owned(),
            expected: "a new token".to_owned(),
            found: "a used one".to_owned(),
            remedy: "make another".to_owned(),
            retry_after_ms: 0,
        };
        *self.state.refuse.lock().unwrap() = Some(refusal);
    }

    /// The next enrolments, so many, are told that this one stands by.
    pub fn stand_by(&self, times: u32) {
        self.state.stands_by.store(times, Ordering::SeqCst);
    }

    /// Token texts that reached this control plane.
    pub fn secrets(&self) -> Vec<String> {
        self.state.secrets.lock().unwrap().clone()
    }

    /// The certificate that was signed last to renew another one.
    pub fn renewed(&self) -> Option<Vec<u8>> {
        self.state.renewed.lock().unwrap().clone()
    }

    /// Sends a signed job to every agent that is connected.
    pub fn send(&self, envelope: v1::Envelope) {
        self.send_frame(&v1::ServerFrame { body: Some(server_frame::Body::Job(envelope)) });
    }

    /// Sends this message as a frame to every agent that is connected.
    pub fn send_frame<M: prost::Message>(&self, message: &M) {
        self.state.frames.send(frame::encode(message).unwrap()).unwrap();
    }

    /// Signs and sends a job; gives the envelope.
    pub fn job(&self, job: &v1::Job) -> v1::Envelope {
        let envelope = nimbus_protocol::signed::sign(job, &self.job_key).envelope().clone();
        self.send(envelope.clone());
        envelope
    }

    pub fn resync(&self) {
        let request = v1::ResyncRequest { reason: "a test".to_owned() };
        self.send_frame(&v1::ServerFrame { body: Some(server_frame::Body::Resync(request)) });
    }

    /// The next observation that `pick` takes, within 20 s.
    pub async fn hear<T>(&mut self, what: &str, mut pick: impl FnMut(observation::Body) -> Option<T>) -> T {
        let wait = async {
            loop {
                let heard = self.heard.recv().await.expect("the plane runs");
                if let Some(found) = heard.body.and_then(&mut pick) {
                    return found;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap_or_else(|_| panic!("never heard: {what}"))
    }

    /// The next report that `pick` takes, within 20 s.
    pub async fn hear_report(&mut self, what: &str, pick: impl Fn(&v1::JobReport) -> bool) -> v1::JobReport {
        let wait = async {
            loop {
                let heard = self.reports.recv().await.expect("the plane runs");
                if pick(&heard) {
                    return heard;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait)
            .await
            .unwrap_or_else(|_| panic!("never reported: {what}"))
    }

    /// The report of this phase about this job.
    pub async fn report(&mut self, job_id: &str, phase: v1::job_report::Phase) -> v1::JobReport {
        let it = |report: &v1::JobReport| report.job_id == job_id && report.phase() == phase;
        self.hear_report(&format!("{phase:?} of {job_id}"), it).await
    }

    /// Observations are not heard from now on, or are again.
    pub fn hear_nothing(&self, deaf: bool) {
        self.state.deaf.store(deaf, Ordering::SeqCst);
    }

    /// Reports are acknowledged from now on, or only heard.
    pub fn acknowledge_reports(&self, acknowledge: bool) {
        self.state.silent.store(!acknowledge, Ordering::SeqCst);
    }
}

impl State {
    async fn serve(&self, connection: Connection) {
        let data = connection.handshake_data().unwrap().downcast::<HandshakeData>().unwrap();
        let Ok((send, receive)) = connection.accept_bi().await else { return };
        if data.protocol.as_deref() == Some(ALPN_ENROL) {
            self.enrol(send, receive).await;
            connection.closed().await;
        } else {
            assert!(connection.peer_identity().is_some(), "a session without a certificate");
            self.session(&connection, send, receive).await;
        }
    }

    async fn enrol(&self, mut send: SendStream, mut receive: RecvStream) {
        let Some(v1::AgentFrame { body: Some(agent_frame::Body::Enrol(request)) }) = read(&mut receive).await
        else {
            return;
        };
        self.secrets.lock().unwrap().push(request.token.clone());
        let less = |left: u32| left.checked_sub(1);
        let stands_by = self.stands_by.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        let standby = || v1::Refusal {
            code: nimbus_protocol::refusal::STANDBY.to_owned(),
            retry_after_ms: 300,
            ..Default::default()
        };
        let refusal = if stands_by { Some(standby()) } else { self.refuse.lock().unwrap().clone() };
        let body = match refusal {
            Some(refusal) => server_frame::Body::Refusal(refusal),
            None => server_frame::Body::Enrolled(v1::EnrolResponse {
                agent_id: AGENT.to_owned(),
                certificate_chain_der: self.sign(&request.csr_der),
                job_keys: vec![self.job_key.verifying_key().to_bytes().to_vec()],
                agent_name: "test".to_owned(),
                // The word that older control planes have for a host.
                kind: "vpc".to_owned(),
            }),
        };
        write(&mut send, &v1::ServerFrame { body: Some(body) }).await;
        let _ = send.finish();
    }

    fn sign(&self, csr_der: &[u8]) -> Vec<Vec<u8>> {
        let mut request = CertificateSigningRequestParams::from_der(&csr_der.into()).unwrap();
        request.params.distinguished_name.push(rcgen::DnType::CommonName, AGENT);
        request.params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        // A certificate in the middle of its life is due for renewal in a sixth of it.
        let now = std::time::SystemTime::now();
        request.params.not_before = (now - Duration::from_secs(5)).into();
        request.params.not_after = (now + self.life).into();
        let leaf = request.signed_by(&self.ca).unwrap();
        vec![leaf.der().to_vec(), self.ca.as_ref().der().to_vec()]
    }

    async fn session(&self, connection: &Connection, mut send: SendStream, mut receive: RecvStream) {
        let Some(v1::AgentFrame { body: Some(agent_frame::Body::Hello(hello)) }) = read(&mut receive).await
        else {
            return;
        };
        assert_eq!(hello.agent_id, AGENT);
        let mut frames = self.frames.subscribe();
        let welcome = v1::Welcome {
            version: hello.highest_version,
            acknowledged: self.acknowledged.load(Ordering::SeqCst),
            epoch: 1,
            heartbeat_ms: 500,
            max_batch_observations: 100,
            server_version: "test".to_owned(),
        };
        write(&mut send, &v1::ServerFrame { body: Some(server_frame::Body::Welcome(welcome)) }).await;
        let data = async {
            let Ok((send, receive)) = connection.accept_bi().await else { return };
            self.data(send, receive).await;
        };
        let control = async {
            loop {
                tokio::select! {
                    frame = frames.recv() => drop(send.write_all(&frame.unwrap()).await),
                    frame = read(&mut receive) => match frame.and_then(|frame| frame.body) {
                        None => return,
                        Some(agent_frame::Body::Renew(request)) => {
                            let chain = self.sign(&request.csr_der);
                            *self.renewed.lock().unwrap() = chain.first().cloned();
                            let response = v1::RenewResponse {
                                certificate_chain_der: chain,
                                job_keys: vec![self.job_key.verifying_key().to_bytes().to_vec()],
                            };
                            let body = server_frame::Body::Renewed(response);
                            write(&mut send, &v1::ServerFrame { body: Some(body) }).await;
                        }
                        Some(agent_frame::Body::JobReport(report)) => {
                            let ack = v1::JobReportAck {
                                job_id: report.job_id.clone(),
                                phase: report.phase,
                                envelope_sha256: report.envelope_sha256.clone(),
                            };
                            let _ = self.reports.send(report);
                            if !self.silent.load(Ordering::SeqCst) {
                                let body = server_frame::Body::JobReportAck(ack);
                                write(&mut send, &v1::ServerFrame { body: Some(body) }).await;
                            }
                        }
                        Some(_) => {
                            let body = server_frame::Body::Heartbeat(v1::Heartbeat { at_us: 0 });
                            write(&mut send, &v1::ServerFrame { body: Some(body) }).await;
                        }
                    },
                }
            }
        };
        tokio::join!(data, control);
    }

    async fn data(&self, mut send: SendStream, mut receive: RecvStream) {
        while let Some(frame) = read(&mut receive).await {
            let Some(agent_frame::Body::Batch(batch)) = frame.body else { continue };
            while self.deaf.load(Ordering::SeqCst) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let mark = self.acknowledged.load(Ordering::SeqCst);
            let last = batch.observations.last().map_or(0, |o| o.sequence);
            for observation in batch.observations.into_iter().filter(|o| o.sequence > mark) {
                let _ = self.heard.send(observation);
            }
            self.acknowledged.fetch_max(last, Ordering::SeqCst);
            let body = server_frame::Body::Ack(v1::Ack { sequence: last });
            write(&mut send, &v1::ServerFrame { body: Some(body) }).await;
        }
    }
}

async fn read(stream: &mut RecvStream) -> Option<v1::AgentFrame> {
    let mut head = [0; frame::HEADER];
    stream.read_exact(&mut head).await.ok()?;
    let header = frame::Header::parse(&head).unwrap();
    let mut body = vec![0; header.length];
    stream.read_exact(&mut body).await.ok()?;
    Some(header.decode(&body).unwrap())
}

async fn write(stream: &mut SendStream, message: &v1::ServerFrame) {
    let _ = stream.write_all(&frame::encode(message).unwrap()).await;
}
