//! The stories: tests of what the store promises, shared by both databases. Each runs against an empty SQLite or
//! PostgreSQL database, here and in the tests that cross crates, and fails with what it found.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a story is a test that other crates tell too: it ends where it finds something else than it says"
)]

mod access_tokens;
mod audit;
mod damage;
mod documents;
mod log;
mod portable;
mod retention;
mod state;
pub mod things;

pub use access_tokens::a_name_has_one_access_token;
pub use audit::{
    a_changed_a_removed_and_a_cut_off_row_are_found, audit_rows_are_found_by_filter,
    two_writers_extend_one_chain,
};
pub use damage::{
    a_changed_value_in_any_small_table_or_in_the_log_is_found, rows_without_a_checksum_get_one,
};
pub use documents::{
    a_conflict_leaves_nothing_behind, a_document_without_a_list_of_its_own_is_kept, a_token_is_used_once,
    an_id_that_cannot_be_kept_is_refused, answered_approvals_are_not_read_again, lists_page_over_equal_times,
    odd_texts_survive, one_open_incident_for_one_cause,
};
pub use log::{
    appended_batches_and_marks_outlive_a_restart, concurrent_appends_become_visible_in_order,
    gaps_are_taken_and_overlaps_refused, large_rows_are_read_in_portions,
};
pub use portable::an_export_shows_one_moment;
pub use retention::{agents_of_gone_pods_go_and_the_others_stay, finished_documents_go_and_the_rest_stays};
pub use state::{
    a_later_epoch_ends_the_earlier_one, a_newer_schema_is_refused_untouched,
    an_older_schema_is_refused_untouched, cursors_never_move_back, epochs_grow_at_each_start,
    one_control_plane_on_a_database, snapshots_survive_and_damage_is_noticed,
    two_start_at_once_on_an_empty_database,
};

use crate::{Store, StoreUrl};

/// The stories, by name.
pub const NAMES: &[&str] = &[
    "appended_batches_and_marks_outlive_a_restart",
    "gaps_are_taken_and_overlaps_refused",
    "concurrent_appends_become_visible_in_order",
    "large_rows_are_read_in_portions",
    "a_conflict_leaves_nothing_behind",
    "one_open_incident_for_one_cause",
    "a_token_is_used_once",
    "lists_page_over_equal_times",
    "odd_texts_survive",
    "an_id_that_cannot_be_kept_is_refused",
    "answered_approvals_are_not_read_again",
    "a_document_without_a_list_of_its_own_is_kept",
    "a_changed_a_removed_and_a_cut_off_row_are_found",
    "two_writers_extend_one_chain",
    "audit_rows_are_found_by_filter",
    "a_newer_schema_is_refused_untouched",
    "an_older_schema_is_refused_untouched",
    "two_start_at_once_on_an_empty_database",
    "epochs_grow_at_each_start",
    "a_later_epoch_ends_the_earlier_one",
    "one_control_plane_on_a_database",
    "cursors_never_move_back",
    "snapshots_survive_and_damage_is_noticed",
    "finished_documents_go_and_the_rest_stays",
    "agents_of_gone_pods_go_and_the_others_stay",
    "a_changed_value_in_any_small_table_or_in_the_log_is_found",
    "rows_without_a_checksum_get_one",
    "an_export_shows_one_moment",
    "a_name_has_one_access_token",
];

/// Tells one story against an empty database.
///
/// # Panics
/// When the store does not keep what the story says, or there is no such story.
pub async fn tell(name: &str, url: &StoreUrl) {
    match name {
        "appended_batches_and_marks_outlive_a_restart" => {
            appended_batches_and_marks_outlive_a_restart(url).await;
        }
        "gaps_are_taken_and_overlaps_refused" => gaps_are_taken_and_overlaps_refused(url).await,
        "concurrent_appends_become_visible_in_order" => concurrent_appends_become_visible_in_order(url).await,
        "large_rows_are_read_in_portions" => large_rows_are_read_in_portions(url).await,
        "a_conflict_leaves_nothing_behind" => a_conflict_leaves_nothing_behind(url).await,
        "one_open_incident_for_one_cause" => one_open_incident_for_one_cause(url).await,
        "a_token_is_used_once" => a_token_is_used_once(url).await,
        "lists_page_over_equal_times" => lists_page_over_equal_times(url).await,
        "odd_texts_survive" => odd_texts_survive(url).await,
        "an_id_that_cannot_be_kept_is_refused" => an_id_that_cannot_be_kept_is_refused(url).await,
        "answered_approvals_are_not_read_again" => answered_approvals_are_not_read_again(url).await,
        "a_document_without_a_list_of_its_own_is_kept" => {
            a_document_without_a_list_of_its_own_is_kept(url).await;
        }
        "a_changed_a_removed_and_a_cut_off_row_are_found" => {
            a_changed_a_removed_and_a_cut_off_row_are_found(url).await;
        }
        "two_writers_extend_one_chain" => two_writers_extend_one_chain(url).await,
        "audit_rows_are_found_by_filter" => audit_rows_are_found_by_filter(url).await,
        "a_newer_schema_is_refused_untouched" => a_newer_schema_is_refused_untouched(url).await,
        "an_older_schema_is_refused_untouched" => an_older_schema_is_refused_untouched(url).await,
        "two_start_at_once_on_an_empty_database" => two_start_at_once_on_an_empty_database(url).await,
        "epochs_grow_at_each_start" => epochs_grow_at_each_start(url).await,
        "a_later_epoch_ends_the_earlier_one" => a_later_epoch_ends_the_earlier_one(url).await,
        "one_control_plane_on_a_database" => one_control_plane_on_a_database(url).await,
        "cursors_never_move_back" => cursors_never_move_back(url).await,
        "snapshots_survive_and_damage_is_noticed" => snapshots_survive_and_damage_is_noticed(url).await,
        "agents_of_gone_pods_go_and_the_others_stay" => agents_of_gone_pods_go_and_the_others_stay(url).await,
        "a_name_has_one_access_token" => a_name_has_one_access_token(url).await,
        "finished_documents_go_and_the_rest_stays" => finished_documents_go_and_the_rest_stays(url).await,
        "a_changed_value_in_any_small_table_or_in_the_log_is_found" => {
            a_changed_value_in_any_small_table_or_in_the_log_is_found(url).await;
        }
        "rows_without_a_checksum_get_one" => rows_without_a_checksum_get_one(url).await,
        "an_export_shows_one_moment" => an_export_shows_one_moment(url).await,
        other => panic!("expected one of the stories in NAMES, found {other:?}"),
    }
}

/// Opens the store of a story.
async fn open(url: &StoreUrl) -> Store {
    Store::open(url).await.expect("the story's database opens")
}

/// Runs a statement that the store itself would never run.
async fn tamper(store: &Store, sql: &'static str) {
    let mut tx = store.db.begin().await.unwrap();
    let outcome = tx.execute(sql, &[]).await;
    tx.finish(outcome).await.expect("the statement runs");
}
