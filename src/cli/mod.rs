//! (room cli: header to be written by its author: Owns / Never / See)

pub mod event_json;
