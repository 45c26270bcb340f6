//! (room api: header to be written by its author: Owns / Never / See)
