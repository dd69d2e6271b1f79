//! Tests of the audit log: lists, filters, complete exports, and verification over many pages. Tampering is tested
//! beside `verify`.

use jiff::Timestamp;
use nimbus_api::{AuditDocument, AuditRow};
use nimbus_control_core::model::{AuditDraft, ChangeSet};

use super::TestApi;
use super::site::at;

fn draft(n: i64) -> AuditDraft {
    AuditDraft {
        at: at(n),
        actor: if n % 2 == 0 { "operator" } else { "nimbus" }.into(),
        action: if n % 2 == 0 { "approval.approved" } else { "plan.made" }.into(),
        subject: format!("apr_{n}"),
        cluster: "prod".into(),
        detail: format!("=row {n}, with \"quotes\""),
    }
}

async fn chain(rows: i64) -> TestApi {
    TestApi::with(ChangeSet { audit: (1..=rows).map(draft).collect(), ..ChangeSet::default() }).await
}

#[tokio::test]
async fn rows_are_listed_newest_first_and_filtered_by_who_what_and_when() {
    let api = chain(10).await;
    let seqs = async |query: &str| -> Vec<u64> {
        let page = api.get(&format!("/api/v1/audit?{query}")).await.ok();
        page["items"].as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect()
    };
    assert_eq!(seqs("limit=3").await, [10, 9, 8]);
    assert_eq!(seqs("user=operator").await, [10, 8, 6, 4, 2]);
    assert_eq!(seqs("action=plan").await, [9, 7, 5, 3, 1]);
    assert_eq!(seqs(&format!("since={}&until={}", at(4), at(6))).await, [5, 4]);
    let first = api.get("/api/v1/audit?limit=1").await.ok();
    let next = first["next"].as_str().unwrap();
    assert_eq!(seqs(&format!("limit=1&after={next}")).await, [9]);
    assert_eq!(
        (&first["items"][0]["id"], &first["items"][0]["created_at"]),
        (&"10".into(), &at(10).to_string().into())
    );
}

#[tokio::test]
async fn an_export_is_whole_over_many_pages_in_every_format() {
    let rows = 1_203_i64;
    let api = chain(rows).await;
    let export = async |query: &str| api.get(&format!("/api/v1/audit/export?{query}")).await;
    let json = export("").await;
    assert_eq!(json.header("content-type"), "application/json");
    let document: AuditDocument = serde_json::from_str(&json.text).unwrap();
    let seqs: Vec<i64> = document.items.iter().map(|row| i64::try_from(row.seq).unwrap()).collect();
    assert_eq!(seqs, (1..=rows).collect::<Vec<_>>());
    let lines = export("format=jsonl").await.text;
    let read: Vec<AuditRow> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, document.items);
    let csv = export("format=csv").await;
    assert!(csv.header("content-disposition").contains("nimbus-audit.csv"));
    assert_eq!(csv.text.matches("\r\n").count(), usize::try_from(rows).unwrap() + 1);
    assert!(csv.text.contains(",\"'=row 7, with \"\"quotes\"\"\","));
    let cef = export("format=cef&user=operator").await.text;
    assert_eq!(cef.lines().count(), 601);
    assert!(cef.lines().all(|line| line.starts_with("CEF:0|Nimbus|") && line.contains("suser=operator ")));
    let none = export("user=nobody").await.text;
    assert!(serde_json::from_str::<AuditDocument>(&none).unwrap().items.is_empty());
}

#[tokio::test]
async fn a_whole_chain_verifies_over_many_pages_and_an_empty_one_too() {
    let api = chain(1_203).await;
    let verified = api.get("/api/v1/audit/verify").await.ok();
    let last = api.get("/api/v1/audit?limit=1").await.ok();
    assert_eq!((&verified["valid"], &verified["rows"]), (&true.into(), &1_203.into()));
    assert_eq!(verified["head"], last["items"][0]["hash"]);
    assert!(verified["verified_at"].as_str().unwrap().parse::<Timestamp>().is_ok());
    let empty = TestApi::new().await.get("/api/v1/audit/verify").await.ok();
    assert_eq!((&empty["valid"], &empty["rows"]), (&true.into(), &0.into()));
}
