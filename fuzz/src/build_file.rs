//! The build file's types, from the program.

#![allow(dead_code, reason = "the program uses what the target does not")]

#[path = "../../bins/img/src/build/file/schema.rs"]
pub(crate) mod schema;
#[path = "../../bins/img/src/build/file/value.rs"]
mod value;
