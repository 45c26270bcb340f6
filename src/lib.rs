//! urbanmine: a traceability ledger for recycled metal.
//!
//! The house, in reading order. An arrow never turns: a room uses only rooms above it.
//!
//! | room | the question it answers |
//! |---|---|
//! | [`limits`] | how much is too much? |
//! | [`domain`] | what do the words mean, and what is allowed? |
//! | [`wire`] | how are the words spelled in bytes? |
//! | [`ledger`] | what makes a record impossible to change quietly? |
//! | [`provenance`] | where did this metal come from, where did it go? |
//! | [`insight`] | what adds up, and what cannot be true? |
//! | [`verify`] | how does a stranger check us? |
//! | [`store`] | where does it lie on disk? |
//! | [`witness`] | who else sees that we do not fork? |
//! | [`node`] | who decides the order? |
//! | [`api`] | how do machines talk to it? |
//! | [`cli`] | how do operators and auditors drive it? |

pub mod api;
pub mod cli;
pub mod domain;
pub mod insight;
pub mod ledger;
pub mod limits;
pub mod node;
pub mod provenance;
pub mod store;
pub mod verify;
pub mod wire;
pub mod witness;
