//! Signatures: what the cluster's key made is read, whatever else is not.

use jsonwebtoken::{EncodingKey, Header, encode};
use rcgen::KeyPair;
use serde_json::json;

use super::*;

fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

fn set(key: &KeyPair, id: &str) -> String {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    // An uncompressed point: a byte 4, then 32 bytes for each coordinate.
    let point = key.public_key_raw();
    let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
    json!({"keys": [{"use": "sig", "kty": "EC", "kid": id, "crv": "P-256", "alg": "ES256", "x": x, "y": y}]})
        .to_string()
}

fn token(key: &KeyPair, id: Option<&str>, claims: &serde_json::Value) -> String {
    let header = Header { kid: id.map(str::to_owned), ..Header::new(Algorithm::ES256) };
    encode(&header, claims, &EncodingKey::from_ec_der(&key.serialize_der())).unwrap()
}

fn claims() -> serde_json::Value {
    json!({
        "aud": ["nimbus-control-plane"], "exp": 5, "iss": "i", "sub": "s",
        "kubernetes.io": {"namespace": "n", "serviceaccount": {"name": "a", "uid": "u"}, "pod": {"name": "p", "uid": "q"}}
    })
}

#[test]
fn what_a_key_of_the_cluster_signed_is_read_whatever_its_times_are() {
    let key = key();
    let keys = keys(&set(&key, "k1")).unwrap();
    for id in [Some("k1"), None] {
        let read = verified(&token(&key, id, &claims()), &keys).unwrap();
        assert_eq!((read.exp, read.kubernetes.pod.unwrap().uid.as_str()), (5, "q"));
    }
}

#[test]
fn another_key_a_changed_text_and_no_signature_prove_nothing() {
    let (its, other) = (key(), key());
    let keys = keys(&set(&its, "k1")).unwrap();
    assert_eq!(verified(&token(&other, Some("k1"), &claims()), &keys), Err(ProofError::Signature));
    assert_eq!(verified(&token(&its, Some("k2"), &claims()), &keys), Err(ProofError::Signature));
    let good = token(&its, Some("k1"), &claims());
    let mut parts: Vec<String> = good.split('.').map(str::to_owned).collect();
    parts[1] = token(&its, None, &json!({"exp": 9})).split('.').nth(1).unwrap().to_owned();
    assert_eq!(verified(&parts.join("."), &keys), Err(ProofError::Signature));
    // {"alg":"none"} and a shared secret, the old ways to forge a token.
    for forged in [format!("eyJhbGciOiJub25lIn0.{}.", parts[1]), {
        let header = Header::new(Algorithm::HS256);
        encode(&header, &claims(), &EncodingKey::from_secret(b"k1")).unwrap()
    }] {
        assert!(matches!(verified(&forged, &keys), Err(ProofError::Token(_))), "{forged}");
    }
    for text in ["", "a.b.c", &"a".repeat(MOST_SERVICE_ACCOUNT_TOKEN + 1)] {
        assert!(matches!(verified(text, &keys), Err(ProofError::Token(_))));
    }
    let bare = token(&its, Some("k1"), &json!({"exp": 5, "iss": "i", "sub": "s", "aud": "x"}));
    assert!(matches!(verified(&bare, &keys), Err(ProofError::Token(_))));
}

#[test]
fn keys_are_a_set_of_a_few() {
    for bad in ["", "{}", r#"{"keys": []}"#, "[]", &" ".repeat(MOST_CLUSTER_KEYS + 1)] {
        assert!(matches!(keys(bad), Err(ProofError::Keys(_))), "{:?}", &bad[..bad.len().min(20)]);
    }
}

#[test]
fn a_key_of_an_unknown_kind_says_nothing_about_the_others_and_a_token_of_one_is_refused_by_its_name() {
    let its = key();
    let mut read: serde_json::Value = serde_json::from_str(&set(&its, "k1")).unwrap();
    read["keys"].as_array_mut().unwrap().insert(0, json!({"kty": "AKP", "kid": "k0", "alg": "ML-DSA-65"}));
    let some = keys(&read.to_string()).unwrap();
    assert!(verified(&token(&its, Some("k1"), &claims()), &some).is_ok());
    let none = keys(r#"{"keys": [{"kty": "AKP"}]}"#).unwrap_err();
    assert!(none.to_string().contains("none of them RSA"), "{none}");
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES512","kid":"k1"}"#);
    let error = verified(&format!("{head}.e30.AAAA"), &some).unwrap_err().to_string();
    assert!(error.contains("signed by ES512") && error.contains("P-384"), "{error}");
}
