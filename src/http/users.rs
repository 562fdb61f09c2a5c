//! Users, who are known for being banned only.

use serde::Serialize;
use utoipa::ToSchema;

use super::document::Doc;
use super::envelope::{Changed, Resource};
use super::error::ApiError;
use super::extract::{Admin, OptionalBody, Path, Permit};
use super::orgs::{BanBody, EmptyBody};
use super::routes::USERS;
use super::service::App;
use super::texts::{MAX_REASON, Text, checked};
use super::writer::{Once, View, Writer};
use crate::domain::names::UserId;
use crate::domain::time::UtcMillis;
use crate::store::commands::{BanUser, UnbanUser};
use crate::store::{Ban, Stored, User};

/// A user.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = User)]
pub struct UserView {
    /// The user's id.
    user: UserId,
    /// Whether the user is banned.
    banned: bool,
    /// Since when; null when not.
    #[schema(required)]
    banned_at: Option<UtcMillis>,
    /// Why; null when nothing was said.
    #[schema(required)]
    ban_reason: Option<String>,
}

impl From<&Stored<User>> for UserView {
    fn from(stored: &Stored<User>) -> Self {
        let User { id, ban } = stored.value.clone();
        let (banned_at, ban_reason) = ban.map_or((None, None), |Ban { at, reason }| (Some(at), reason));
        Self { user: id, banned: banned_at.is_some(), banned_at, ban_reason }
    }
}

/// How one is documented.
pub const GET: Doc = Doc {
    id: "getUser",
    tag: USERS,
    summary: "Whether a user is banned",
    text: "Users are the callers' own and are not registered: one that was never heard of is one that is not banned.",
    examples: &[],
    errors: &[],
};

/// Whether a user is banned.
pub async fn get(_: Permit<Admin>, service: App, path: Path<UserId>) -> Result<Resource<UserView>, ApiError> {
    let stored = service.store.user(&path.0).await?;
    Ok(Resource { data: (&stored).into(), revision: stored.revision })
}

/// How banning is documented.
pub const BAN: Doc = Doc {
    id: "banUser",
    tag: USERS,
    summary: "Refuse a user's API keys",
    text: "Every API key whose `user` this is answers 403 `user_banned` from the next request on.",
    examples: &[("with a reason", r#"{"reason":"abuse"}"#)],
    errors: &[],
};

/// Bans a user.
pub async fn ban(
    permit: Permit<Admin>,
    path: Path<UserId>,
    writer: Writer<Once>,
    body: OptionalBody<BanBody>,
) -> Result<Changed<UserView>, ApiError> {
    let reason = body.0.value.reason;
    checked([Text("reason", reason.as_deref(), MAX_REASON)])?;
    writer.run(&permit, &body.0.bytes, BanUser { id: path.0, reason }, View::changed).await
}

/// How lifting a ban is documented.
pub const UNBAN: Doc = Doc {
    id: "unbanUser",
    tag: USERS,
    summary: "Lift the ban of a user",
    text: "",
    examples: &[("nothing to say", "{}")],
    errors: &[],
};

/// Lifts the ban of a user.
pub async fn unban(
    permit: Permit<Admin>,
    path: Path<UserId>,
    writer: Writer<Once>,
    body: OptionalBody<EmptyBody>,
) -> Result<Changed<UserView>, ApiError> {
    writer.run(&permit, &body.0.bytes, UnbanUser { id: path.0 }, View::changed).await
}
