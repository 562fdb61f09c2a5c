//! The steps that build the schema. Each one is in a file of its own and runs in a transaction.

mod columns;
mod m0001_catalogue;
mod m0002_orgs;
mod m0003_api_keys;
mod m0004_removed_endpoints;
mod m0005_changes;
mod m0006_idempotency;
mod m0007_usage;
mod m0008_answers;
mod m0009_api_key_use;
mod m0010_events;
mod m0011_decisions;
mod m0012_thresholds;
mod m0013_webhooks;
mod m0014_schedules;
mod stamp;

pub use sea_orm_migration::MigratorTrait;
use sea_orm_migration::prelude::*;

/// What an embedded database's header says instead of a file name extension: `Plim`.
pub const APPLICATION_ID: u32 = 0x506c_696d;

/// The version of the schema that this build reads and writes: the number of its steps.
pub const SCHEMA_VERSION: u32 = 14;

/// The steps, in order.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_catalogue::Step),
            Box::new(m0002_orgs::Step),
            Box::new(m0003_api_keys::Step),
            Box::new(m0004_removed_endpoints::Step),
            Box::new(m0005_changes::Step),
            Box::new(m0006_idempotency::Step),
            Box::new(m0007_usage::Step),
            Box::new(m0008_answers::Step),
            Box::new(m0009_api_key_use::Step),
            Box::new(m0010_events::Step),
            Box::new(m0011_decisions::Step),
            Box::new(m0012_thresholds::Step),
            Box::new(m0013_webhooks::Step),
            Box::new(m0014_schedules::Step),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_version_counts_the_steps() {
        assert_eq!(Migrator::migrations().len().try_into(), Ok(SCHEMA_VERSION));
    }
}
