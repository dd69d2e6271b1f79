use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

use super::*;

/// A certificate for this common name and this other name, until the first of March of that year.
fn pem((common, other): (&str, &str), until: i32) -> String {
    let key = KeyPair::generate().unwrap();
    let names = if other.is_empty() { Vec::new() } else { vec![other.to_owned()] };
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if !common.is_empty() {
        params.distinguished_name.push(DnType::CommonName, common);
    }
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 3, 1);
    params.self_signed(&key).unwrap().pem()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-01-01T00:00:00Z")
}

fn until(file: &v1::CertificateFile) -> Timestamp {
    nimbus_protocol::from_micros(file.not_after_us)
}

#[test]
fn until_when_a_certificate_is_valid_and_for_what_is_told_and_nothing_of_the_key_beside_it() {
    let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    let text = format!("Bag Attributes\n{key}{}", pem(("web", "web.example.com"), 2027));
    let told = read("/tls/web.pem", &text, now()).unwrap();
    assert_eq!((told.path.as_str(), told.name.as_str()), ("/tls/web.pem", "web.example.com"));
    assert_eq!(until(&told), at("2027-03-01T00:00:00Z"));
    assert!(!told.expired && told.sha256.len() == 32);
    assert!(!format!("{told:?}").contains("c2VjcmV0"));
    assert_eq!(read("/a", &pem(("web", ""), 2027), now()).unwrap().name, "web");
    assert_eq!(read("/a", &pem(("", ""), 2027), now()).unwrap().name, "");
    assert!(read("/a", &pem(("web", ""), 2025), now()).unwrap().expired);
}

#[test]
fn where_one_of_its_chain_ends_first_the_file_does() {
    let chain = pem(("web", ""), 2029) + &pem(("intermediate", ""), 2027) + &pem(("root", ""), 2031);
    let told = read("/a", &chain, now()).unwrap();
    assert_eq!((until(&told), told.name.as_str()), (at("2027-03-01T00:00:00Z"), "web"));
}

#[test]
fn what_is_no_certificate_and_what_is_a_bundle_of_authorities_is_said() {
    let read = |text: &str| read("/a", text, now());
    assert_eq!(read(""), Err(NoCertificate::None));
    assert_eq!(read("-----BEGIN CERTIFICATE-----\nMIIB"), Err(NoCertificate::None), "it is cut off");
    let broken = format!("{BEGIN}\nbm90IGEgY2VydGlmaWNhdGU=\n{END}\n");
    assert_eq!(read(&broken), Err(NoCertificate::Unreadable));
    let one = pem(("a", ""), 2027);
    assert!(read(&one.repeat(10)).is_ok());
    assert_eq!(read(&one.repeat(11)), Err(NoCertificate::Bundle));
}

#[test]
fn the_picture_is_told_when_it_changes_and_every_five_minutes() {
    let file = |path: &str, name: &str, until| read(path, &pem((name, ""), until), now()).unwrap();
    let web = file("/tls/web.pem", "web", 2027);
    let mut picture = CertificatePicture::default();
    let later = |seconds: i64| now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    assert_eq!(picture.offer(vec![web.clone()], now()).unwrap().files, std::slice::from_ref(&web));
    assert_eq!(picture.offer(vec![web.clone()], later(299)), None);
    assert!(picture.offer(vec![web.clone()], later(300)).is_some());
    let renewed = file("/tls/web.pem", "web", 2028);
    assert_eq!(
        picture.offer(vec![renewed.clone()], later(301)).unwrap().files,
        std::slice::from_ref(&renewed)
    );
    picture.reset();
    assert!(picture.offer(vec![renewed], later(302)).is_some());
    // That nothing is watched is told once.
    assert!(picture.offer(Vec::new(), later(303)).is_some());
    assert_eq!(picture.offer(Vec::new(), later(9_000)), None);
}

#[test]
fn one_certificate_in_several_files_of_a_directory_is_told_once_and_of_many_those_that_end_first() {
    let text = pem(("web", ""), 2027);
    let read = |path: &str| read(path, &text, now()).unwrap();
    let told = CertificatePicture::default()
        .offer(vec![read("/a/full.pem"), read("/b/x.pem"), read("/a/cert.pem")], now());
    let paths: Vec<String> = told.unwrap().files.into_iter().map(|file| file.path).collect();
    assert_eq!(paths, ["/a/cert.pem", "/b/x.pem"]);

    let many = (0..70_u8).map(|n| v1::CertificateFile {
        path: format!("/tls/{n:02}.pem"),
        sha256: vec![n; 32],
        not_after_us: 1_000 - i64::from(n),
        ..v1::CertificateFile::default()
    });
    let told = CertificatePicture::default().offer(many.collect(), now()).unwrap();
    assert_eq!((told.files.len(), told.not_listed), (64, 6));
    assert_eq!(told.files[0].path, "/tls/06.pem", "the six that end last are left out");
}
