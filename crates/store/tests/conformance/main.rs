//! One suite on both engines: each test of `suite` runs on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

use std::hash::{BuildHasher as _, RandomState};

use bartizan_store::{Place, Store};

mod acceptance;
mod access;
mod asset;
mod document;
mod drift;
mod enrolment;
mod finding;
mod matching;
mod notification;
mod order;
mod posture;
mod retention;
mod review;
mod suite;
mod trend;
mod turn;

/// A store of its own on SQLite; it goes with its folder.
async fn sqlite() -> (Store, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&Place::Sqlite(folder.path().join("bartizan.db"))).await.unwrap();
    (store, folder)
}

/// A store of its own on PostgreSQL, in a schema of its own; none where no server was given.
async fn postgres() -> Option<Store> {
    let Some(url) = std::env::var_os("BARTIZAN_TEST_POSTGRES") else {
        eprintln!("left out: PostgreSQL, since BARTIZAN_TEST_POSTGRES names no server");
        return None;
    };
    // Not by the process's number: numbers come again, and a run that was cut off leaves its schemas.
    let schema = format!("conformance_{:016x}", RandomState::new().hash_one(0));
    let url = url.into_string().unwrap();
    Some(Store::open(&Place::Postgres { url, schema: Some(schema) }).await.unwrap())
}

macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test]
            async fn $name() {
                let (store, _folder) = super::sqlite().await;
                super::suite::$name(store).await;
            })*
        }
        mod postgres {
            $(#[tokio::test]
            async fn $name() {
                if let Some(store) = super::postgres().await {
                    super::suite::$name(store).await;
                }
            })*
        }
    };
}

on_both! {
    the_schema_is_the_one_checked_in,
    a_report_is_committed_once_and_its_repeat_writes_nothing,
    the_same_place_with_another_digest_is_a_clone,
    an_older_report_overwrites_nothing,
    a_section_whose_body_the_asset_never_sent_is_wanted,
    what_a_whole_report_leaves_out_is_withdrawn,
    the_index_follows_the_transitions_and_can_be_rebuilt,
    looks_that_meet_take_in_each_transition_once,
    figures_equal_a_full_count_after_any_moves,
    vulnerabilities_are_paged_the_worst_first,
    a_backlog_is_what_first_sight_brought_and_ends_by_what_is_seen,
    the_last_figures_of_a_step_are_kept_and_hold_on,
    a_store_that_only_reads_changes_nothing,
    a_key_with_one_use_enrols_one_host,
    an_expired_key_uses_nothing_up,
    a_revoked_key_is_listed_as_such_and_enrols_nobody,
    retiring_clears_the_posture,
    declared_assets_are_listed_until_they_are_retired,
    a_sign_in_link_works_once,
    one_code_passes_one_of_two_that_show_it_at_once,
    who_is_disabled_has_no_session_and_no_link_any_more,
    documents_are_put_deleted_and_digested,
    an_object_has_the_last_explanation_until_it_is_old,
    alerts_and_rulings_are_one_transaction,
    what_a_host_tells_is_kept_whatever_characters_it_holds,
    open_alerts_are_counted_and_searched_beyond_a_page,
    an_incident_its_timeline_and_its_alerts_are_one_transaction,
    an_alert_is_taken_by_one_incident_alone,
    an_acceptance_that_has_ended_stays_so,
    what_an_owner_has_to_be_told_is_written_with_the_acceptance_or_not_at_all,
    an_alert_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost,
    an_acceptance_that_another_replica_wrote_meanwhile_is_read_anew_and_nothing_is_lost,
    a_notification_is_claimed_once_and_reclaimed_after_a_crash,
    the_ledger_numbers_each_sources_entries_in_order_and_verifies,
    replicas_that_number_at_once_lose_nothing,
    an_order_is_open_until_its_end_is_written_with_the_cursor,
    the_last_order_of_an_asset_is_remembered_however_old,
    old_orders_go_and_the_last_of_an_asset_stays,
    an_order_ends_once_whichever_replica_was_first,
    a_finding_and_its_history_are_one_transaction,
    findings_are_found_by_owner_asset_and_what_they_are_about,
    an_asset_lies_in_the_backlog_of_what_its_first_sight_brought,
    what_was_reviewed_is_kept_until_the_next_review_is_concluded,
    matches_keep_their_first_time,
    a_match_that_comes_back_is_known_since_it_came_back,
    a_partial_report_takes_no_package_away_that_it_does_not_replace,
    changed_matches_are_logged_once,
    a_section_that_nobody_has_is_swept_and_another_stays,
    old_signals_go_when_their_alert_has_ended,
    sessions_and_links_go_when_they_have_expired,
    old_changes_of_matches_go_when_every_stage_has_passed_them,
    old_transitions_are_folded_and_the_index_is_built_from_them_anew,
    concurrent_reports_of_many_assets_number_their_transitions_in_order,
}
