//! What callers do while the store is in trouble: each has an account of its own, and
//! goes from replica to replica.

use super::caller::{Caller, Credential};
use super::fleet::REPLICAS;
use super::history::{Event, Outcome};
use crate::support::client::basic;
use crate::support::dice::Dice;
use crate::support::site::bearer;

pub(super) const PASSWORD: &str = "a password to begin with";

#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    Sessions,
    Passwords,
    Keys,
    Tickets,
    Registrations,
}

pub(super) struct Worker {
    task: Task,
    name: String,
    password: String,
    /// May be the password by now: its change had no answer.
    perhaps: Option<String>,
    /// Counts what it has made.
    made: u32,
    refresh: Option<Credential>,
    /// The ids of keys that have not ended.
    keys: Vec<String>,
    /// What it has proved itself with in this round, or tried to.
    known: Vec<Credential>,
}

impl Worker {
    pub(super) fn new(task: Task, name: &str) -> Self {
        Self {
            task,
            name: name.to_owned(),
            password: PASSWORD.to_owned(),
            perhaps: None,
            made: 0,
            refresh: None,
            keys: Vec::new(),
            known: Vec::new(),
        }
    }

    /// In a new record, which knows nothing of what was before.
    pub(super) fn begin(&mut self, caller: &Caller) {
        self.refresh = None;
        self.keys.clear();
        self.known = vec![self.own()];
        for replica in 0..REPLICAS {
            caller.note(replica, caller.now(), Event::Made(self.own().name));
        }
    }

    /// Looks at everything again, where the store is well and everybody has heard of
    /// everything; answers what was put off all the same.
    pub(super) async fn finish(&mut self, caller: &mut Caller) -> Vec<String> {
        let mut put_off = Vec::new();
        if let Some(new) = self.perhaps.take() {
            let former = std::mem::replace(&mut self.password, new);
            if caller.try_out(0, &self.own()).await != Outcome::Done {
                self.password = former;
                if caller.try_out(0, &self.own()).await != Outcome::Done {
                    put_off.push(format!("{} has no password left", self.name));
                }
            }
        }
        for credential in &self.known {
            for replica in 0..REPLICAS {
                if caller.try_out(replica, credential).await == Outcome::Unknown {
                    put_off.push(format!("{} at {replica}", credential.name));
                }
            }
        }
        if let Some(token) = &self.refresh {
            caller.refresh(&[0, 1, 2], token).await;
        }
        put_off
    }

    pub(super) async fn turn(&mut self, caller: &mut Caller, dice: &mut Dice) {
        let replica = dice.below(REPLICAS);
        if !self.known.is_empty() && dice.below(2) == 0 {
            let credential = self.known[dice.below(self.known.len())].clone();
            caller.try_out(replica, &credential).await;
            return;
        }
        self.made += 1;
        match self.task {
            Task::Sessions => self.sessions(replica, caller, dice).await,
            Task::Passwords => self.change_password(replica, caller).await,
            Task::Keys => self.keys(replica, caller, dice).await,
            Task::Tickets => {
                if let Some(ticket) = caller.ticket(replica, &self.own()).await {
                    caller.redeem(&ticket).await;
                }
            }
            Task::Registrations => {
                let name = format!("{}-{}", self.name, self.made);
                let other = (replica + 1) % REPLICAS;
                let began = caller.now();
                let registered = if dice.below(2) == 0 {
                    caller.register(&[replica, other], &name, PASSWORD).await
                } else {
                    let registered = caller.insist(replica, &name, PASSWORD).await;
                    registered.map(|replica| (replica, PASSWORD.to_owned()))
                };
                if let Some((replica, password)) = registered {
                    let own = Worker { password, ..Worker::new(self.task, &name) }.own();
                    caller.note(replica, began, Event::Made(own.name.clone()));
                    self.known.push(own);
                }
            }
        }
    }

    /// Its name and password, as a credential.
    fn own(&self) -> Credential {
        let name = format!("{:?} of {}", self.password, self.name);
        Credential { name, field: basic(&self.name, &self.password) }
    }

    fn numbered(&self, kind: &str, field: String) -> Credential {
        Credential { name: format!("{kind} {} of {}", self.made, self.name), field }
    }

    async fn sign_in(&mut self, replica: usize, caller: &mut Caller) {
        let began = caller.now();
        let words = [self.name.as_str(), &self.password];
        if let Some(pair) = caller.login(replica, &self.own(), words).await {
            let access = self.numbered("token", bearer(&pair.access));
            caller.note(replica, began, Event::Made(access.name.clone()));
            caller.note(replica, began, Event::Made(pair.refresh.clone()));
            self.known.push(access);
            self.refresh = Some(refresh_token(pair.refresh));
        }
    }

    async fn sessions(&mut self, replica: usize, caller: &mut Caller, dice: &mut Dice) {
        match (self.refresh.clone(), dice.below(3)) {
            (None, _) => self.sign_in(replica, caller).await,
            (Some(token), 0) => {
                let other = (replica + 1) % REPLICAS;
                let began = caller.now();
                if let Some((replica, pair)) = caller.refresh(&[replica, other], &token).await {
                    let access = self.numbered("token", bearer(&pair.access));
                    caller.note(replica, began, Event::Made(access.name.clone()));
                    caller.note(replica, began, Event::Made(pair.refresh.clone()));
                    self.known.push(access);
                    self.refresh = Some(refresh_token(pair.refresh));
                }
            }
            (Some(_), 1) => self.refresh = None,
            (Some(_), _) => {
                if let Some(access) = self.known.last() {
                    caller.logout(replica, access).await;
                }
            }
        }
    }

    /// With every change end the old password and all sessions.
    async fn change_password(&mut self, replica: usize, caller: &mut Caller) {
        if self.perhaps.is_some() {
            return;
        }
        if self.refresh.is_none() {
            self.sign_in(replica, caller).await;
            return;
        }
        let old = self.own();
        let new = format!("password {} of {}", self.made, self.name);
        let began = caller.now();
        let outcome = caller.change_password(replica, &old, [&self.password, &new]).await;
        let ended = self.known.iter().map(|credential| credential.name.clone());
        for name in ended.chain(self.refresh.take().map(|token| token.name)) {
            caller.note(replica, began, Event::Ended(name, outcome));
        }
        match outcome {
            Outcome::Done => {
                self.password = new;
                caller.note(replica, began, Event::Made(self.own().name));
                self.known.push(self.own());
            }
            Outcome::Refused => {}
            Outcome::Held | Outcome::Unknown => self.perhaps = Some(new),
        }
    }

    async fn keys(&mut self, replica: usize, caller: &mut Caller, dice: &mut Dice) {
        if self.keys.len() < 2 || dice.below(2) == 0 {
            if let Some((id, key)) = caller.make_key(replica, &self.own()).await {
                self.keys.push(id);
                self.known.push(key);
            }
        } else {
            let id = self.keys.swap_remove(dice.below(self.keys.len()));
            caller.delete_key(replica, &self.own(), &id).await;
        }
    }
}

/// Known by itself in the record: it is a successor's name as well.
fn refresh_token(text: String) -> Credential {
    Credential { name: text.clone(), field: text }
}
