//! WebSocket tickets issued and redeemed.

use super::{PASSWORD, Standing};
use crate::support::client::basic;
use crate::support::dice::Dice;
use crate::support::site::Site;

/// More are forgotten, so that a look at all of them stays short.
const REMEMBERED: usize = 6;

pub(super) struct Tickets {
    name: String,
    tickets: Vec<(String, Standing)>,
}

impl Tickets {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned(), tickets: Vec::new() }
    }

    /// One change; none when the gateway goes before it has answered.
    pub(super) async fn change(&mut self, site: &mut Site, dice: &mut Dice) -> Option<()> {
        let good = self.tickets.iter_mut().filter(|(_, standing)| *standing == Standing::Good);
        let mut good: Vec<_> = good.collect();
        if good.len() < 2 || dice.below(2) == 0 {
            let answer = site.get("/api/ws-token", &basic(&self.name, PASSWORD)).await?;
            let body = answer.expect(200).json();
            let ticket = body["token"].as_str().expect("a ticket is text").to_owned();
            self.tickets.push((ticket, Standing::Good));
        } else {
            let index = dice.below(good.len());
            let (ticket, standing) = &mut *good[index];
            *standing = Standing::Unknown;
            site.open_socket(ticket).await?.expect(101);
            *standing = Standing::Ended;
        }
        Some(())
    }

    pub(super) async fn verify(&mut self, site: &mut Site) {
        let mut redeemed = false;
        for (ticket, standing) in &mut self.tickets {
            if *standing == Standing::Unknown || (*standing == Standing::Good && !redeemed) {
                let answer = site.open_socket(ticket).await.expect("the gateway runs");
                if *standing == Standing::Good {
                    answer.expect(101);
                    redeemed = true;
                }
                *standing = Standing::Ended;
            }
            if *standing == Standing::Ended {
                let answer = site.open_socket(ticket).await.expect("the gateway runs");
                answer.refused(401, "INVALID_CREDENTIALS");
            }
        }
        let surplus = self.tickets.len().saturating_sub(REMEMBERED);
        self.tickets.drain(..surplus);
    }
}
