use proptest::prelude::*;

use super::{MAX_BYTES, MIN_CHARS, PasswordRule, Unacceptable};

const FLOOR: PasswordRule = PasswordRule { special: false };
const SPECIAL: PasswordRule = PasswordRule { special: true };

#[test]
fn a_contract_may_ask_for_a_character_that_is_neither_letter_digit_nor_space() {
    for password in ["passw0rd", "pass word", "Zoë Zoë 7", "密码密码密码密码", "pass\u{a0}word\t"]
    {
        assert_eq!(FLOOR.check(password), Ok(()), "{password}");
        assert_eq!(SPECIAL.check(password), Err(Unacceptable::NoSpecial), "{password}");
    }
    for password in ["passw0rd!", "-pass word", "pass_word", "密码密码-密码密码", "password🦀"]
    {
        assert_eq!(FLOOR.check(password), Ok(()), "{password}");
        assert_eq!(SPECIAL.check(password), Ok(()), "{password}");
    }
}

#[test]
fn the_floor_stands_under_every_contract_and_is_named_first() {
    for (password, expected) in [
        ("short", Unacceptable::TooShort),
        ("short!", Unacceptable::TooShort),
        (&"a".repeat(MAX_BYTES + 1), Unacceptable::TooLong),
        (&"!".repeat(MAX_BYTES + 1), Unacceptable::TooLong),
        ("password\0", Unacceptable::HoldsNul),
        ("password!\0", Unacceptable::HoldsNul),
    ] {
        for rule in [FLOOR, SPECIAL] {
            assert_eq!(rule.check(password), Err(expected), "{password:?} {rule:?}");
        }
    }
}

proptest! {
    #[test]
    fn one_special_character_anywhere_is_enough(
        before in "[\\p{Alphabetic}\\p{N}\\s]{4,8}",
        special in "[\\p{P}\\p{S}--\\p{Alphabetic}]",
        after in "[\\p{Alphabetic}\\p{N}\\s]{4,8}",
    ) {
        let without = format!("{before}{after}");
        prop_assert_eq!(FLOOR.check(&without), Ok(()));
        prop_assert_eq!(SPECIAL.check(&without), Err(Unacceptable::NoSpecial));
        prop_assert_eq!(SPECIAL.check(&format!("{before}{special}{after}")), Ok(()));
    }
}

/// Logs are searched for these words, and alerts wait for them.
#[test]
fn the_words_for_a_password_that_cannot_be_set_stay_as_they_are() {
    for (unacceptable, code) in [
        (Unacceptable::TooShort, "password_too_short"),
        (Unacceptable::TooLong, "password_too_long"),
        (Unacceptable::HoldsNul, "password_holds_nul"),
        (Unacceptable::NoSpecial, "password_no_special"),
        (Unacceptable::ForeignHash, "password_foreign_hash"),
    ] {
        assert_eq!(unacceptable.code(), code);
    }
}

#[test]
fn a_user_is_told_the_bound_that_the_password_broke() {
    let told = |password: &str| SPECIAL.check(password).map_err(Unacceptable::rule).unwrap_err();
    assert!(told("a").contains(&format!("at least {MIN_CHARS} characters")));
    assert!(told(&"a".repeat(MAX_BYTES + 1)).contains(&format!("at most {MAX_BYTES} bytes")));
    assert!(told("password\0").contains("NUL"));
    assert!(told("password").contains("neither letter, digit nor space"));
    assert!(Unacceptable::ForeignHash.rule().contains("bcrypt"));
}
