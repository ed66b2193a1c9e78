//! Login, refresh, the replay of a spent refresh token, logout.

use super::{PASSWORD, Standing};
use crate::support::client::Pair;
use crate::support::dice::Dice;
use crate::support::site::{Site, bearer};

/// More are forgotten, so that a look at all of them stays short.
const FAMILIES: usize = 3;
const ACCESS_TOKENS: usize = 3;

pub(super) struct Sessions {
    name: String,
    rotate: bool,
    families: Vec<Family>,
}

/// One sign-in and what followed from it.
struct Family {
    current: Pair,
    /// Refresh tokens that were replaced, the last one by `current`.
    spent: Vec<String>,
    access: Vec<(String, Standing)>,
    standing: Standing,
    /// A refresh was asked for and not answered.
    renewing: bool,
}

impl Family {
    fn new(pair: Pair) -> Self {
        Self {
            access: vec![(pair.access.clone(), Standing::Good)],
            current: pair,
            spent: Vec::new(),
            standing: Standing::Good,
            renewing: false,
        }
    }

    fn renew(&mut self, pair: Pair, rotate: bool) {
        if rotate {
            assert_ne!(pair.refresh, self.current.refresh, "a refresh token has a successor");
            self.spent.push(self.current.refresh.clone());
        } else {
            assert_eq!(pair.refresh, self.current.refresh, "a refresh token stays");
        }
        self.access.push((pair.access.clone(), Standing::Good));
        if self.access.len() > ACCESS_TOKENS {
            self.access.remove(0);
        }
        self.current = pair;
        self.renewing = false;
    }

    /// The newest token that must end the family when it comes back.
    fn replayable(&self) -> Option<String> {
        let older = self.spent.len().checked_sub(2)?;
        Some(self.spent[older].clone())
    }
}

impl Sessions {
    pub(super) fn new(name: &str, rotate: bool) -> Self {
        Self { name: name.to_owned(), rotate, families: Vec::new() }
    }

    /// One change; none when the gateway goes before it has answered.
    pub(super) async fn change(&mut self, site: &mut Site, dice: &mut Dice) -> Option<()> {
        let good: Vec<usize> = (0..self.families.len())
            .filter(|&index| self.families[index].standing == Standing::Good)
            .collect();
        let action = dice.below(8);
        if good.is_empty() || action == 0 {
            self.families.push(Family::new(site.login(&self.name, PASSWORD).await?));
            return Some(());
        }
        let family = &mut self.families[good[dice.below(good.len())]];
        let chosen = dice.below(family.access.len());
        match (action, family.replayable()) {
            (1, Some(replayed)) => {
                family.standing = Standing::Unknown;
                site.refresh(&replayed).await?.refused(401, "INVALID_REFRESH_TOKEN");
                family.standing = Standing::Ended;
            }
            (2 | 3, _) => {
                let (token, standing) = &mut family.access[chosen];
                if *standing == Standing::Good {
                    *standing = Standing::Unknown;
                    site.logout(token).await?.expect(200);
                    *standing = Standing::Ended;
                }
            }
            _ => {
                family.renewing = true;
                let pair = site.refresh(&family.current.refresh).await?.pair();
                family.renew(pair, self.rotate);
            }
        }
        Some(())
    }

    /// Looks at every family and settles what was not known.
    pub(super) async fn verify(&mut self, site: &mut Site, dice: &mut Dice) {
        for family in &mut self.families {
            verify_family(family, site, self.rotate).await;
            verify_access(family, site).await;
        }
        // A replay ends its family, so that only one is tried now and then.
        let replayed = self.families.iter_mut().find_map(|family| {
            let token = family.replayable().filter(|_| family.standing == Standing::Good)?;
            Some((family, token))
        });
        if let Some((family, token)) = replayed.filter(|_| dice.below(4) == 0) {
            refused(site, &token).await;
            refused(site, &family.current.refresh).await;
            family.standing = Standing::Ended;
            verify_access(family, site).await;
        }
        let surplus = self.families.len().saturating_sub(FAMILIES);
        self.families.drain(..surplus);
    }
}

async fn verify_family(family: &mut Family, site: &mut Site, rotate: bool) {
    if family.standing == Standing::Unknown {
        let answer = site.refresh(&family.current.refresh).await.expect("the gateway runs");
        if answer.status == 200 {
            family.standing = Standing::Good;
            family.renew(answer.pair(), rotate);
        } else {
            family.standing = Standing::Ended;
        }
    }
    if family.standing == Standing::Ended {
        refused(site, &family.current.refresh).await;
    } else if family.renewing {
        // It happened or it did not; either way it can be asked for again, and has one outcome.
        let pair = renewed(site, &family.current.refresh).await;
        let again = renewed(site, &family.current.refresh).await;
        assert_eq!((pair == again, &pair.refresh), (rotate, &again.refresh), "one successor");
        family.renew(again, rotate);
    } else if let Some(spent) = family.spent.last() {
        let pair = renewed(site, spent).await;
        assert_eq!(pair, family.current, "the pair that was acknowledged");
    } else if !rotate {
        let pair = renewed(site, &family.current.refresh).await;
        family.renew(pair, rotate);
    }
}

async fn verify_access(family: &mut Family, site: &mut Site) {
    for (token, standing) in &mut family.access {
        let status = site.status(&bearer(token)).await;
        if *standing == Standing::Unknown {
            *standing = if status == 200 { Standing::Good } else { Standing::Ended };
        }
        let good = *standing == Standing::Good && family.standing == Standing::Good;
        assert_eq!(status, if good { 200 } else { 401 }, "{standing:?} in {:?}", family.standing);
    }
}

async fn renewed(site: &mut Site, token: &str) -> Pair {
    site.refresh(token).await.expect("the gateway runs").pair()
}

pub(super) async fn refused(site: &mut Site, token: &str) {
    let answer = site.refresh(token).await.expect("the gateway runs");
    answer.refused(401, "INVALID_REFRESH_TOKEN");
}
