//! What is said of a secret in a sentence, in an address, and in the quotes of JSON is taken out as well.
#![allow(clippy::unwrap_used, reason = "a test ends where it finds something else")]

use nimbus_redaction::Redactor;

const SECRET: &str = "tr0ub4dor-and-3-x";

fn left(text: &str) -> String {
    Redactor::new(&[]).unwrap().text(text).text
}

#[test]
fn a_value_behind_words_that_lead_to_it_goes() {
    for sentence in [
        "DB_PASSWORD is set to {}",
        "password: expected '{}', found nothing",
        "password = changed from a-1 to {}",
        "level=warn msg=\"DB_PASSWORD was {}\"",
        "DB_PASSWORD now {}",
    ] {
        let text = sentence.replace("{}", SECRET);
        assert!(!left(&text).contains(SECRET), "{text} -> {}", left(&text));
    }
}

#[test]
fn a_value_in_an_address_goes_also_where_its_sign_is_a_number() {
    for address in ["GET /login?user=a%26password%3D{}&x=1", "next=%2Fcb%3Faccess_key%3D{}%26y"] {
        let text = address.replace("{}", SECRET);
        assert!(!left(&text).contains(SECRET), "{text} -> {}", left(&text));
    }
}

#[test]
fn a_value_that_was_found_is_found_again_in_the_quotes_of_json() {
    let value = "a\"b\\c-\u{1}12345";
    let mut redactor = Redactor::new(&[value]).unwrap();
    let document =
        serde_json::to_string(&serde_json::json!({"note": format!("it said {value} then")})).unwrap();
    let again = redactor.again(&document).text;
    assert!(!again.contains("12345") && again.contains("then"), "{again}");
}

#[test]
fn a_value_that_was_found_is_found_again_where_its_signs_are_numbers() {
    let mut redactor = Redactor::new(&["p@ss/9Xwo+rd!"]).unwrap();
    for text in [
        "GET /x?y=p%40ss%2F9Xwo%2Brd%21 200",
        "<td>p&#64;ss&#x2F;9Xwo+rd!</td> 200",
        r#"{"said": "p\u0040ss/9Xwo+rd!", "code": 200}"#,
    ] {
        let again = redactor.again(text).text;
        assert!(!again.contains("9Xwo") && again.contains("200"), "{again}");
    }
}

#[test]
fn where_time_runs_out_nothing_is_left_that_was_not_judged() {
    let text = format!("started\n{}a last line\n", "a plain line of a log\n".repeat(50));
    let mut redactor = Redactor::new(&[]).unwrap();
    redactor.bound(|| true);
    assert!(redactor.text(&text).text == text && !redactor.is_late());
    for looks in [0, 1, 2, 5, 20] {
        let left = std::sync::atomic::AtomicUsize::new(looks);
        redactor.bound(move || {
            let order = std::sync::atomic::Ordering::Relaxed;
            left.fetch_update(order, order, |left| left.checked_sub(1)).is_ok()
        });
        assert_eq!(redactor.text(&text).text, "[redacted]", "after {looks} looks");
        assert!(redactor.is_late());
        let (document, _) = redactor.json(serde_json::json!({"said": ["started", 1, {"a": text}]}));
        assert!(!document.to_string().contains("started"), "{document}");
    }
    redactor.bound(|| true);
    assert_eq!(redactor.text("started").text, "started");
}

#[test]
fn fields_that_have_one_name_once_they_are_redacted_stay_apart() {
    let token = |letter: &str| format!("nbo_{}", letter.repeat(28));
    let document = serde_json::json!({token("A"): 1, token("B"): 2, token("C"): 3, "[redacted] 2": 4});
    let (left, _) = Redactor::new(&[]).unwrap().json(document);
    let left = left.as_object().unwrap();
    assert_eq!(left.len(), 4, "{left:?}");
    let mut values: Vec<u64> = left.values().filter_map(serde_json::Value::as_u64).collect();
    values.sort_unstable();
    assert_eq!(values, [1, 2, 3, 4]);
    assert!(left.contains_key("[redacted]") && left.contains_key("[redacted] 3"), "{left:?}");
}

#[test]
fn what_stands_deep_below_a_name_that_tells_goes_as_well() {
    let mut redactor = Redactor::new(&[]).unwrap();
    for document in [
        serde_json::json!({"password": {"valueFrom": {"text": SECRET}}}),
        serde_json::json!({"tokens": {"y": [SECRET]}}),
        serde_json::json!({"k": "password", "v": SECRET}),
        serde_json::json!([["password", SECRET]]),
        serde_json::json!({"name": "DB_PASSWORD", "value": {"s": SECRET}}),
        serde_json::json!({"password": format!("&{SECRET}")}),
        serde_json::json!({"password": format!("getenv('DB', '{SECRET}')")}),
        serde_json::json!({"password": format!("<{SECRET}")}),
        serde_json::json!({"header": "Authorization", "value": format!("Digest username=\"joe\", response=\"{SECRET}\"")}),
        serde_json::json!({"headers": {"Authorization": [format!("Digest username=\"joe\", response=\"{SECRET}\"")]}}),
        serde_json::json!({"args": ["--password", SECRET]}),
        serde_json::json!({"args": ["-u", "ops", "-h", "db", "-p", SECRET]}),
        serde_json::json!({"command": ["mysql", "-uroot", format!("-p{SECRET}"), "app"]}),
        serde_json::json!({"command": ["sshpass", "-p", SECRET, "ssh", "db"]}),
    ] {
        let (left, count) = redactor.json(document.clone());
        assert!(count > 0 && !left.to_string().contains(SECRET), "{document} -> {left}");
    }
}

#[test]
fn a_line_that_is_too_long_to_be_looked_at_is_masked_as_a_whole() {
    let text = format!("before\n{} {SECRET}\nbehind\n", "word ".repeat(10_000));
    let text = left(&text);
    assert!(text.starts_with("before\n[redacted]: a line of 50") && text.ends_with("\nbehind\n"), "{text}");
}

#[test]
fn what_programs_put_around_a_value_does_not_stand_for_it() {
    for line in
        ["password: Some(\"{}\")", "secret = b\"{}\"", "Config { password: String::from(\"{}\"), n: 1 }"]
    {
        let text = line.replace("{}", SECRET);
        assert!(!left(&text).contains(SECRET), "{text} -> {}", left(&text));
    }
}
