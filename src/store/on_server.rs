//! A store at a database server: its connections, and what is known of its health.

use std::sync::Arc;

use sea_orm::DbErr;

use super::answers::Answers;
use super::health::Health;
use super::lane::{LaneState, Link};
use super::open::{Access, OpenError, StoreSettings, Trouble, started};
use super::postgres::{Purpose, Server};
use super::reader::Reader;
use super::versions::check_applied;
use super::watch::LastSeen;
use super::{Home, Inner, Store};

/// Opens the database at a server, and for [`Access::ReadWrite`] brings its schema up to date.
pub(super) async fn open(server: Server, access: Access, settings: StoreSettings) -> Result<Store, OpenError> {
    let name = server.name.clone();
    connected(Arc::new(server), access, settings).await.map_err(|trouble| trouble.at_server(&name))
}

async fn connected(server: Arc<Server>, access: Access, settings: StoreSettings) -> Result<Store, Trouble> {
    if access == Access::ReadWrite {
        server.migrate().await?;
    }
    let health = Arc::new(Health::new(settings.server.deadline));
    let lane = async |purpose| {
        let connection = match access {
            Access::ReadWrite => Some(server.pool(purpose).await?),
            Access::ReadOnly => None,
        };
        let link = Link::Server(Arc::clone(&server), purpose, Arc::clone(&health));
        Ok::<_, DbErr>(LaneState::new(link, Answers::none(settings.answers), connection))
    };
    let (changes, takings) = (lane(Purpose::Changes).await?, lane(Purpose::Takings).await?);
    let reader = Reader::of_server(Arc::clone(&server), Arc::clone(&health)).await?;
    check_applied(&reader).await?;
    let home = Home::Server { server, health, seen: LastSeen::new() };
    Ok(started(Inner::new(reader.clone(), reader, changes, Some(takings), Arc::default(), home)).await?)
}
