//! What replicas of a shared store have to do whatever store it is: say what they change
//! (`change`), and bring what others say to memory in order (`memory`).

pub(crate) mod change;
pub(crate) mod memory;
