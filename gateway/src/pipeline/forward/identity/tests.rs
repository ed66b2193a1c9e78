use proptest::prelude::*;

use super::{ALIASES, StrippedNames};
use crate::config::IdentityHeaders;
use crate::config::identity::{PRESETS, preset};

fn all_names() -> Vec<String> {
    let presets = PRESETS.iter().filter_map(|name| preset(name));
    let configured: Vec<String> = presets
        .flat_map(|headers| headers.names().map(ToString::to_string).collect::<Vec<_>>())
        .collect();
    configured.into_iter().chain(ALIASES.iter().map(ToString::to_string)).collect()
}

proptest! {
    #[test]
    fn every_spelling_of_every_identity_name_is_stripped(
        index in 0..64usize,
        separators in proptest::collection::vec(prop_oneof!["-", "_", "\\."], 8),
    ) {
        let names = all_names();
        let name = &names[index % names.len()];
        let mut separators = separators.into_iter();
        let spelled: String = name
            .chars()
            .map(|c| if c == '-' { separators.next().unwrap_or("-".into()) } else { c.into() })
            .collect();
        let stripped = StrippedNames::new(&IdentityHeaders::default());
        prop_assert!(stripped.contains(&spelled), "{}", spelled);
    }
}

#[test]
fn ordinary_fields_are_not_identity() {
    let stripped = StrippedNames::new(&preset("grafana").unwrap());
    for name in ["accept", "cookie", "user-agent", "x-custom", "remote", "x-webauth", "x-forwarded"]
    {
        assert!(!stripped.contains(name), "{name}");
    }
}
