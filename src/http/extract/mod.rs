//! What handlers take from a request, each checked and documented by its type.

mod body;
mod conditional;
mod fresh;
mod idempotency;
mod path;
mod permit;
mod query;

pub use body::{Body, HotBody, OptionalBody};
pub use conditional::Preconditions;
pub use fresh::{Demand, Fresh};
pub use idempotency::IdempotencyKey;
pub use path::Path;
pub use permit::{Admin, Anyone, Permission, Permit, Public, Read, Scope, Write};
pub use query::{Cursor, DenyStatus, Flag, PageLimit, Paging, Query, Seconds, Sequence, WithoutQuery, flag, page_of};
