//! One step of the writer.

use crate::auth::standing::Standing;

/// What a change answers, whether it wrote anything, and what to publish once
/// it is durable.
pub(super) struct Step<T> {
    pub answer: T,
    pub publish: Option<Publication>,
}

type Publication = Box<dyn FnOnce(&Standing) + Send>;

impl<T> Step<T> {
    /// Nothing was written; nothing needs to be made durable.
    pub(super) fn unchanged(answer: T) -> Self {
        Self { answer, publish: None }
    }

    pub(super) fn changed(answer: T, publish: impl FnOnce(&Standing) + Send + 'static) -> Self {
        Self { answer, publish: Some(Box::new(publish)) }
    }
}
