//! API keys made and revoked.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Standing;
use crate::support::dice::Dice;
use crate::support::site::{Site, bearer};

/// More are forgotten once they have ended.
const REMEMBERED: usize = 6;

pub(super) struct Keys {
    owner: String,
    made: Vec<Key>,
    /// A key was asked for and not answered: it may exist, and nobody has its text.
    making: bool,
}

struct Key {
    id: String,
    text: String,
    standing: Standing,
}

impl Keys {
    pub(super) fn new(owner: &str) -> Self {
        Self { owner: owner.to_owned(), made: Vec::new(), making: false }
    }

    /// One change; none when the gateway goes before it has answered.
    pub(super) async fn change(&mut self, site: &mut Site, dice: &mut Dice) -> Option<()> {
        let good = self.made.iter_mut().filter(|key| key.standing == Standing::Good);
        let mut good: Vec<&mut Key> = good.collect();
        if good.len() < 2 || dice.below(2) == 0 {
            self.making = true;
            let new = json!({
                "command": "create_key", "owner": self.owner, "name": "", "scopes": [],
            });
            let reply = &site.manage(&new).await?["reply"]["new_key"];
            let (id, text) = (text(&reply["key"]["id"]), text(&reply["text"]));
            self.made.push(Key { id, text, standing: Standing::Good });
            self.making = false;
        } else {
            let index = dice.below(good.len());
            let key = &mut *good[index];
            key.standing = Standing::Unknown;
            site.manage(&revocation(&key.id)).await?;
            key.standing = Standing::Ended;
        }
        Some(())
    }

    pub(super) async fn verify(&mut self, site: &mut Site) {
        for key in &mut self.made {
            let status = site.status(&bearer(&key.text)).await;
            if key.standing == Standing::Unknown {
                key.standing = if status == 200 { Standing::Good } else { Standing::Ended };
            }
            let expected = if key.standing == Standing::Good { 200 } else { 401 };
            assert_eq!(status, expected, "key {} of {}", key.id, self.owner);
        }
        let list = json!({ "command": "list_keys", "owner": self.owner });
        let reply = site.manage(&list).await.expect("the gateway runs");
        let listed = reply["reply"]["page"]["items"].as_array().expect("a list of keys");
        let mut listed: BTreeSet<String> =
            listed.iter().map(|item| text(&item["key"]["id"])).collect();
        for key in &self.made {
            assert_eq!(listed.remove(&key.id), key.standing == Standing::Good, "key {}", key.id);
        }
        assert!(listed.len() <= usize::from(self.making), "keys of nobody's: {listed:?}");
        for stray in listed {
            site.manage(&revocation(&stray)).await.expect("the gateway runs");
        }
        self.making = false;
        let mut surplus = self.made.len().saturating_sub(REMEMBERED);
        self.made.retain(|key| {
            let forgotten = surplus > 0 && key.standing == Standing::Ended;
            surplus -= usize::from(forgotten);
            !forgotten
        });
    }
}

fn revocation(id: &str) -> Value {
    json!({ "command": "revoke_key", "id": id })
}

fn text(value: &Value) -> String {
    value.as_str().expect("a member of text").to_owned()
}
