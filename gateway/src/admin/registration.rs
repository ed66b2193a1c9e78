//! Whether anybody may make an account.

use super::Reply;
use super::record::{Record, Registering, Registration};
use crate::auth::Core;
use crate::auth::error::Error;

pub(super) fn show(core: &Core) -> Reply {
    Reply::Found(Record::Registration(Registration {
        state: core.registration().into(),
        configured: core.configured_registration().into(),
        stored: core.standing().registration().into(),
    }))
}

pub(super) async fn set(core: &Core, state: Registering) -> Result<Reply, Error> {
    core.store().set_registration(state.into()).await?;
    Ok(show(core))
}
