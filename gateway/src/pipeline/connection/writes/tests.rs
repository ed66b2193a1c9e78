use std::time::Duration;

use super::*;

#[test]
fn the_time_in_which_a_socket_has_no_room_is_told_while_it_lasts_and_after() {
    // An hour's, in milliseconds.
    let half = 1_800_000;
    let mut writes = Writes::default();
    grow_older(&mut writes, 2 * half);
    writes.note_writable();
    assert!(!writes.is_blocked());
    let Flow { age_ms, blocked_ms, .. } = writes.flow();
    assert!(age_ms >= 2 * half && blocked_ms == 0, "{age_ms} {blocked_ms}");
    writes.note_blocked();
    // It has had none for the last half of the hour.
    writes.blocked_since.fetch_sub(half, Ordering::AcqRel);
    writes.note_blocked();
    assert!(writes.is_blocked());
    assert!(writes.flow().blocked_ms >= half);
    writes.note_writable();
    assert!(!writes.is_blocked());
    let blocked = writes.flow().blocked_ms;
    assert!(blocked >= half);
    grow_older(&mut writes, half);
    assert_eq!(writes.flow().blocked_ms, blocked, "no longer");
}

/// As if it had been opened so much earlier.
fn grow_older(writes: &mut Writes, ms: u64) {
    writes.opened = writes.opened.checked_sub(Duration::from_millis(ms)).expect("such a time was");
}

#[test]
fn the_bytes_that_a_socket_took_are_added_up() {
    let writes = Writes::default();
    writes.note_written(3);
    writes.note_written(4);
    assert_eq!(writes.flow().written, 7);
}
