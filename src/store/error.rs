//! What can go wrong with stored data, and which trouble of the database is which.

use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlxError};

use super::records::Object;
use crate::domain::issue::{Invalid, Issue};
use crate::domain::time::UtcMillis;

/// Why a read or a write was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// What the path names does not exist.
    #[error("There is no such {}", .0.noun())]
    NotFound(Object),
    /// What the path names is no reservation, or no longer one that is kept.
    #[error("There is no such reservation")]
    NoReservation,
    /// What the path names is nothing that a webhook is told, or no longer kept.
    #[error("There is no such delivery")]
    NoDelivery,
    /// It exists already.
    #[error("{0}")]
    Duplicate(String),
    /// The present state does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// What is to be deleted is in use, each with its path.
    #[error("What is to be deleted is in use")]
    InUse(Vec<Issue>),
    /// The caller's picture of the present state no longer holds.
    #[error("The record has changed since it was read")]
    PreconditionFailed,
    /// What the body says cannot be.
    #[error("The request does not fit what is stored")]
    Invalid(Vec<Issue>),
    /// It was archived.
    #[error("The limit key is archived")]
    Gone {
        /// What to use instead.
        replacement: Option<String>,
    },
    /// The idempotency key was used for another request.
    #[error("The idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The first request with this idempotency key is still running.
    #[error("The first request with this idempotency key is still running")]
    IdempotencyInProgress,
    /// What was before this moment is no longer kept.
    #[error("What was before {0} is no longer kept")]
    NotKept(UtcMillis),
    /// The caller has as many kept answers as it may have.
    #[error("The caller has too many idempotency keys")]
    TooManyAnswers {
        /// Seconds until the oldest of them may be kept no longer, at least one.
        retry_after: u64,
    },
    /// Another process was faster. Nothing was done; it is to be done again with what is there now.
    #[error("Another process was faster, again and again")]
    Overtaken,
    /// The storage is busy, full, read-only or failing.
    #[error("{0}")]
    Unavailable(String),
    /// A fault in the program or in the data.
    #[error("{0}")]
    Internal(String),
}

impl StoreError {
    /// One finding about the body.
    pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Issue::new(path, message)])
    }

    /// A stored text that its type does not accept: somebody else wrote to the database.
    pub(super) fn corrupt(invalid: &Invalid) -> Self {
        Self::Internal(format!("A stored value is not valid: it {}", invalid.0))
    }

    /// Whether asking again would find the same answer, so that it may be kept for repeated requests.
    pub const fn is_answer(&self) -> bool {
        match self {
            Self::NotFound(_)
            | Self::NoReservation
            | Self::NoDelivery
            | Self::Duplicate(_)
            | Self::Conflict(_)
            | Self::InUse(_)
            | Self::PreconditionFailed
            | Self::Invalid(_)
            | Self::Gone { .. } => true,
            Self::IdempotencyKeyReused
            | Self::IdempotencyInProgress
            | Self::TooManyAnswers { .. }
            | Self::NotKept(_)
            | Self::Overtaken
            | Self::Unavailable(_)
            | Self::Internal(_) => false,
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        if is_outage(&error) {
            Self::Unavailable(format!("The database cannot be used: {error}"))
        } else {
            Self::Internal(format!("The database refused a statement: {error}"))
        }
    }
}

/// Whether the storage is busy, full, read-only or failing.
pub(super) fn is_outage(error: &DbErr) -> bool {
    if let DbErr::Conn(RuntimeErr::SqlxError(cause))
    | DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause)) = error
    {
        is_driver_outage(cause)
    } else {
        // The first is what a server's health says; the rest are of types, missing rows and faults of the program.
        matches!(error, DbErr::Conn(RuntimeErr::Internal(_)) | DbErr::ConnectionAcquire(_))
    }
}

fn is_driver_outage(error: &SqlxError) -> bool {
    if let SqlxError::Database(cause) = error {
        return match cause.try_downcast_ref::<PgDatabaseError>() {
            Some(cause) => is_postgres_outage(cause.code()),
            None => is_sqlite_outage(cause.as_ref()),
        };
    }
    // The rest are faults of the program or of the settings.
    matches!(
        error,
        SqlxError::Io(_)
            | SqlxError::Tls(_)
            | SqlxError::Protocol(_)
            | SqlxError::BeginFailed
            | SqlxError::PoolTimedOut
            | SqlxError::PoolClosed
            | SqlxError::WorkerCrashed
    )
}

/// The classes of states that speak of the server, not of the statement: connection, invalid authorization, resources, operator
/// intervention, system; and read-only transactions, locks and timeouts.
const POSTGRES_OUTAGES: [&str; 5] = ["08", "28", "53", "57", "58"];
const POSTGRES_OUTAGE_STATES: [&str; 5] = ["25006", "25P03", "40001", "40P01", "55P03"];

fn is_postgres_outage(state: &str) -> bool {
    POSTGRES_OUTAGES.iter().any(|class| state.starts_with(class)) || POSTGRES_OUTAGE_STATES.contains(&state)
}

/// The primary result codes that speak of the storage, not of the statement:
/// busy, locked, read-only, I/O error, full, cannot open.
const SQLITE_OUTAGES: [u32; 6] = [5, 6, 8, 10, 13, 14];

fn is_sqlite_outage(error: &dyn DatabaseError) -> bool {
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| SQLITE_OUTAGES.contains(&(code & 0xff)))
}
