//! The written forms that HTTP bodies and catalogue files share: strict parsing that names every
//! issue at once, and the schemas that document them.

pub mod difference;
pub mod document;
pub mod entries;
mod issues;
pub mod limit_key;
mod limit_key_schema;
pub mod logged;
pub mod patch;
pub mod plan;
mod scalars;
pub mod schedule;
pub mod schema;
pub mod value;

pub use issues::{Issues, parse};
