//! An import that is killed goes on where it was.

use super::{account, done, elsewhere, export_of, refused};
use crate::support::eventually;

const ACCOUNTS: u128 = 20_000;

#[tokio::test]
async fn an_import_that_was_killed_goes_on_and_ends_as_if_it_had_not_been() {
    let place = elsewhere();
    let text = export_of((1..=ACCOUNTS).map(|number| account(number, &format!("user{number}"))));
    place.write("moving.jsonl", &text);
    let import = place.start(&["store", "import", "moving.jsonl"], None);
    let store = place.path("data/portcullis.redb");
    let length = || std::fs::metadata(&store).map_or(0, |file| file.len());
    eventually("the store to be made", async || (length() > 0).then_some(())).await;
    let begun = length();
    eventually("the store to grow", async || (length() > begun).then_some(())).await;
    drop(import);

    let left = done(place.run(&["store", "export"], None).await);
    let imported = left.lines().count() - 2;
    assert!((1..ACCOUNTS as usize).contains(&imported), "{imported} were there at the kill");
    refused(&place.run(&["store", "import", "moving.jsonl"], None).await, &["--resume"]);
    let said = done(place.run(&["store", "import", "--resume", "moving.jsonl"], None).await);
    let added = ACCOUNTS as usize - imported;
    assert!(said.starts_with(&format!("{added} records added, {imported} were")), "{said}");
    done(place.run(&["store", "check"], None).await);
    let unbroken = elsewhere();
    unbroken.write("moving.jsonl", &text);
    done(unbroken.run(&["store", "import", "moving.jsonl"], None).await);
    let export = ["store", "export"];
    let (whole, wanted) = (place.run(&export, None).await, unbroken.run(&export, None).await);
    assert!(done(whole) == done(wanted), "the same records");
}
