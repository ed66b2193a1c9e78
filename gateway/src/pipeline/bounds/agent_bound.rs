//! The bounds of agents.

/// Whose agents are too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentBound {
    Server,
    Key,
    Owner,
}
