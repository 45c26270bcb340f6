//! (room api: to be merged)
