//! What every store promises, as one list of tests that runs over each of them; then what a file promises besides.

#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod deliveries;
mod file;
mod forgetting;
mod full;
mod killed;
mod life;
mod places;
mod readings;

/// Runs every test of the list over every store.
macro_rules! every_store {
    ($($module:ident: $($test:ident),+;)+) => {
        mod memory {
            $($(#[tokio::test] async fn $test() {
                super::$module::$test(&super::places::Memory::default()).await;
            })+)+
        }
        mod sqlite {
            $($(#[tokio::test] async fn $test() {
                super::$module::$test(&super::places::Sqlite::default()).await;
            })+)+
        }
    };
}

every_store! {
    life:
        an_upload_becomes_a_captcha_and_has_an_answer,
        an_id_without_an_upload_or_given_twice_is_refused_and_changes_nothing,
        an_upload_that_was_kept_already_is_not_refused,
        by_what_an_upload_is_known_again_and_whether_its_id_was_told_is_kept,
        an_upload_without_an_outcome_is_unknown_after_a_restart,
        an_outcome_that_comes_after_a_restart_is_kept_all_the_same,
        a_price_needs_an_answer_and_the_last_report_stays,
        answers_of_any_bytes_come_back_as_they_were,
        ids_are_as_large_as_the_upstream_makes_them,
        what_is_said_of_unknown_captchas_is_passed_over,
        pingback_addresses_belong_to_their_client,
        the_last_budgets_stay,
        a_client_that_an_operator_stopped_is_stopped_until_it_may_go_on,
        many_commits_at_once_are_all_kept_and_a_wrong_one_fails_alone;
    deliveries:
        a_delivery_is_wanted_then_due_then_over_or_dead,
        what_is_due_says_all_of_a_delivery_and_comes_in_any_order,
        what_is_said_of_unknown_deliveries_is_passed_over,
        a_thousand_dead_deliveries_stay_and_not_one_more,
        a_dead_delivery_stays_seven_days_and_what_is_not_over_stays;
    forgetting:
        what_is_forgotten_stays_as_usage,
        usage_is_the_same_before_and_after_forgetting,
        usage_adds_up_by_client_method_and_day,
        usage_stays_400_days_and_not_one_more,
        usage_stays_as_many_days_as_the_store_was_told_and_not_one_more,
        what_can_have_no_answer_any_more_is_not_open,
        only_an_answer_costs_anything;
    readings:
        the_last_reading_is_there_after_a_restart,
        of_each_hour_the_first_reading_stays_and_the_last,
        readings_are_those_of_the_days_that_are_asked_for,
        readings_stay_as_long_as_usage_and_not_an_hour_more;
}
