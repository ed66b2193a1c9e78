//! Passwords changed and reset, accounts disabled and enabled, and the sessions that
//! end with either.

use serde_json::{Value, json};

use super::PASSWORD;
use super::sessions::refused;
use crate::support::client::{Pair, basic};
use crate::support::dice::Dice;
use crate::support::site::{Site, bearer};

/// More are forgotten, so that a look at all of them stays short.
const REMEMBERED: usize = 3;

pub(super) struct Accounts {
    name: String,
    rotate: bool,
    password: String,
    former: Option<String>,
    enabled: bool,
    sessions: Vec<Pair>,
    ended: Vec<Pair>,
    passwords_made: u32,
    /// Asked for and not answered.
    pending: Option<Change>,
}

enum Change {
    /// Ends every session but the one it came with.
    Password {
        new: String,
        keep: Option<Pair>,
    },
    Disable,
    Enable,
}

impl Accounts {
    pub(super) fn new(name: &str, rotate: bool) -> Self {
        Self {
            name: name.to_owned(),
            rotate,
            password: PASSWORD.to_owned(),
            former: None,
            enabled: true,
            sessions: Vec::new(),
            ended: Vec::new(),
            passwords_made: 0,
            pending: None,
        }
    }

    /// One change; none when the gateway goes before it has answered.
    pub(super) async fn change(&mut self, site: &mut Site, dice: &mut Dice) -> Option<()> {
        let action = dice.below(6);
        if !self.enabled {
            self.pending = Some(Change::Enable);
            site.manage(&change_state(&self.name, "enabled")).await?;
        } else if action == 0 {
            self.pending = Some(Change::Disable);
            site.manage(&change_state(&self.name, "disabled")).await?;
        } else if action < 4 {
            self.sessions.push(site.login(&self.name, &self.password).await?);
        } else {
            self.passwords_made += 1;
            let new = format!("password {} of {}", self.passwords_made, self.name);
            self.change_password(new, action == 4, site, dice).await?;
        }
        self.settle();
        Some(())
    }

    async fn change_password(
        &mut self,
        new: String,
        by_admin: bool,
        site: &mut Site,
        dice: &mut Dice,
    ) -> Option<()> {
        if by_admin {
            self.pending = Some(Change::Password { new: new.clone(), keep: None });
            let reset = json!({ "command": "set_password", "user": self.name, "password": new });
            site.manage(&reset).await?;
            return Some(());
        }
        let keep = self.sessions.get(dice.below(REMEMBERED)).cloned();
        let credential = match &keep {
            Some(session) => bearer(&session.access),
            None => basic(&self.name, &self.password),
        };
        self.pending = Some(Change::Password { new: new.clone(), keep });
        site.change_password(&credential, &self.password, &new).await?.expect(200);
        Some(())
    }

    /// The pending change has happened.
    fn settle(&mut self) {
        match self.pending.take() {
            None => {}
            Some(Change::Password { new, keep }) => {
                self.former = Some(std::mem::replace(&mut self.password, new));
                self.ended.append(&mut self.sessions);
                self.ended.retain(|session| Some(session) != keep.as_ref());
                self.sessions.extend(keep);
            }
            Some(Change::Disable) => {
                self.enabled = false;
                self.ended.append(&mut self.sessions);
            }
            Some(Change::Enable) => self.enabled = true,
        }
    }

    /// Whether the pending change has happened is told by one sign, and everything
    /// else must agree with it.
    pub(super) async fn verify(&mut self, site: &mut Site) {
        let signs_in = async |site: &mut Site, password: &str| {
            site.status(&basic(&self.name, password)).await == 200
        };
        let happened = match &self.pending {
            Some(Change::Password { new, .. }) => signs_in(site, new).await,
            Some(Change::Disable) => !signs_in(site, &self.password).await,
            Some(Change::Enable) => signs_in(site, &self.password).await,
            None => false,
        };
        if happened {
            self.settle();
        }
        let undone = match self.pending.take() {
            Some(Change::Password { new, .. }) => Some(new),
            _ => None,
        };
        let name = &self.name;
        assert_eq!(site.status(&basic(name, &self.password)).await == 200, self.enabled, "{name}");
        for other in [&self.former, &undone].into_iter().flatten() {
            assert_eq!(site.status(&basic(name, other)).await, 401, "{name}: {other}");
        }
        for session in &self.sessions {
            assert_eq!(site.status(&bearer(&session.access)).await, 200, "{name}");
        }
        if let Some(session) = self.sessions.last_mut() {
            let answer = site.refresh(&session.refresh).await.expect("the gateway runs");
            let pair = answer.pair();
            assert_eq!(pair.refresh != session.refresh, self.rotate);
            *session = pair;
        }
        for session in &self.ended {
            assert_eq!(site.status(&bearer(&session.access)).await, 401, "{name}");
            refused(site, &session.refresh).await;
        }
        for sessions in [&mut self.sessions, &mut self.ended] {
            let surplus = sessions.len().saturating_sub(REMEMBERED);
            sessions.drain(..surplus);
        }
    }
}

fn change_state(user: &str, state: &str) -> Value {
    json!({ "command": "change_user", "user": user, "state": state })
}
