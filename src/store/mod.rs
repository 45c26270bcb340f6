//! (room store: header to be written by its author: Owns / Never / See)
