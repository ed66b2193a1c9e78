use super::*;

const LONG: Over = Over::Idle(Duration::from_secs(1));
const SHORT: Over = Over::Idle(Duration::from_millis(1));
const LEAVING: Reached = Reached::Unprocessed(Unprocessed::Leaving);
const FAILING: Reached = Reached::Unprocessed(Unprocessed::Failing);
const REFUSED: Reached = Reached::Unprocessed(Unprocessed::Refused);

fn get() -> Retries {
    Retries::new(&Method::GET, false)
}

fn post() -> Retries {
    Retries::new(&Method::POST, true)
}

#[test]
fn what_the_upstream_has_not_looked_at_is_sent_again_whatever_it_is() {
    for (reached, over, expected) in [
        (Reached::Gateway, Over::New, None),
        (Reached::Gateway, SHORT, Some(ConnectionChoice::Any)),
        (Reached::Gateway, LONG, Some(ConnectionChoice::Any)),
        (Reached::Gateway, Over::Shared, Some(ConnectionChoice::Any)),
        (LEAVING, Over::Shared, Some(ConnectionChoice::Any)),
        (FAILING, Over::Shared, Some(ConnectionChoice::Any)),
        (REFUSED, Over::Shared, Some(ConnectionChoice::Any)),
        (Reached::Upstream, Over::New, None),
        (Reached::Upstream, LONG, None),
        (Reached::Upstream, Over::Shared, None),
    ] {
        assert_eq!(get().next_try(reached, over), expected, "GET: {reached:?} over {over:?}");
        assert_eq!(post().next_try(reached, over), expected, "POST: {reached:?} over {over:?}");
    }
}

/// Without a body, too, a request may do something each time it comes.
#[test]
fn what_may_have_been_carried_out_is_sent_again_only_if_it_changes_nothing() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        let mut retries = Retries::new(&method, false);
        assert_eq!(
            retries.next_try(Reached::Connection, LONG),
            Some(ConnectionChoice::New),
            "{method}"
        );
        let mut retries = Retries::new(&method, true);
        assert_eq!(retries.next_try(Reached::Connection, LONG), None, "{method} with a body");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::TRACE] {
        let mut retries = Retries::new(&method, false);
        assert_eq!(retries.next_try(Reached::Connection, LONG), None, "{method}");
    }
}

#[test]
fn a_connection_that_closes_while_it_is_in_use_is_no_reason_to_send_again() {
    for over in [Over::New, SHORT, Over::Shared] {
        assert_eq!(get().next_try(Reached::Connection, over), None, "{over:?}");
    }
}

#[test]
fn a_request_under_which_two_connections_failed_is_sent_no_more() {
    let mut retries = get();
    assert_eq!(retries.next_try(FAILING, Over::Shared), Some(ConnectionChoice::Any));
    assert_eq!(retries.next_try(LEAVING, Over::Shared), Some(ConnectionChoice::Any));
    assert_eq!(retries.next_try(FAILING, Over::Shared), None);
}

#[test]
fn a_request_is_sent_five_times_at_most() {
    for reached in [Reached::Gateway, LEAVING, REFUSED] {
        let mut retries = post();
        let again = std::iter::from_fn(|| retries.next_try(reached, Over::Shared)).count();
        assert_eq!(again, 4, "{reached:?}");
    }
}

#[test]
fn a_copy_is_kept_where_it_may_be_of_use() {
    for (retries, over, expected) in [
        (get(), Over::New, false),
        (get(), SHORT, false),
        (get(), LONG, true),
        (get(), Over::Shared, true),
        (post(), LONG, false),
        (post(), Over::Shared, true),
    ] {
        assert_eq!(retries.want_copy(over), expected, "{retries:?} over {over:?}");
    }
}
