//! Scopes, API keys and removed endpoints.

use entity::{api_key, api_key_rate, api_key_scope, api_key_secret, org, removed_endpoint, scope, user_ban};
use sea_orm::sea_query::{Expr, JoinType, Query, SelectStatement};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryResult, QuerySelect};

use super::super::rows::{moment, optional, stored, text, value};
use super::super::{
    ApiKeyFilter, ApiKeyInfo, Listing, Object, PageRequest, RemovedEndpoint, ScopeInfo, Store, StoreError, Stored, queries,
};
use crate::domain::api_key::{ApiKey, OwnRates};
use crate::domain::names::{LimitKeyName, OrgId, RecordId, ScopeName};
use crate::domain::scope::BUILT_IN;
use crate::domain::time::UtcMillis;
use crate::domain::value::Value;

impl Store {
    /// The names of all scopes: the built-in ones, then the product's own by name.
    pub async fn scope_names(&self) -> Result<Vec<ScopeName>, StoreError> {
        queries::scope_names(self.reader()).await
    }

    /// The scopes: the built-in ones, then the product's own by name.
    pub async fn scopes(&self, page: &PageRequest) -> Result<Listing<Stored<ScopeInfo>>, StoreError> {
        let position = page.after.as_deref().map(|after| BUILT_IN.iter().position(|(name, _)| *name == after));
        let skipped = match position {
            None => 0,
            Some(Some(position)) => position.saturating_add(1),
            Some(None) => BUILT_IN.len(),
        };
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let built_in = BUILT_IN.iter().skip(skipped).map(|(name, description)| built_in(name, description));
        let mut items = built_in.collect::<Result<Vec<_>, _>>()?;
        let after = page.after.clone().filter(|_| matches!(position, Some(None)));
        let rest = page.limit.saturating_sub(u64::try_from(items.len()).unwrap_or(u64::MAX));
        let own = PageRequest { limit: rest, after };
        let own: Listing<Stored<ScopeInfo>> =
            queries::page(self.reader(), scope::Entity::find(), scope::Column::Name, &own, |row: &scope::Model| &row.name)
                .await?;
        let has_more = items.len() > limit || own.next.is_some() || (rest == 0 && self.has_own_scopes().await?);
        items.truncate(limit);
        items.extend(own.items);
        let next = items.last().filter(|_| has_more).map(|scope| scope.value.name.to_string());
        Ok(Listing { items, next })
    }

    /// A scope, built-in or the product's own.
    pub async fn scope(&self, name: &ScopeName) -> Result<Stored<ScopeInfo>, StoreError> {
        match BUILT_IN.iter().find(|(built_in, _)| *built_in == name.as_str()) {
            Some((name, description)) => built_in(name, description),
            None => self.existing(name.as_str()).await,
        }
    }

    async fn has_own_scopes(&self) -> Result<bool, StoreError> {
        Ok(scope::Entity::find().limit(1).one(self.reader()).await?.is_some())
    }

    /// The API keys, oldest first, each with its secrets that are still good at `now`.
    pub async fn api_keys(
        &self,
        page: &PageRequest,
        filter: &ApiKeyFilter,
        now: UtcMillis,
    ) -> Result<Listing<Stored<ApiKeyInfo>>, StoreError> {
        let mut found = api_key::Entity::find();
        if let Some(org) = &filter.org {
            found = found.filter(api_key::Column::Org.eq(org.as_str()));
        }
        if let Some(user) = &filter.user {
            found = found.filter(api_key::Column::UserId.eq(user.as_str()));
        }
        let by = api_key::Column::Id;
        let (rows, next) = queries::page_of_rows(self.reader(), found, by, page, |row: &api_key::Model| &row.id).await?;
        Ok(Listing { items: queries::api_keys(self.reader(), &rows, now).await?, next })
    }

    /// An API key, with its secrets that are still good at `now`.
    pub async fn api_key(&self, id: &RecordId, now: UtcMillis) -> Result<Stored<ApiKeyInfo>, StoreError> {
        let found = queries::api_key(self.reader(), id.as_str(), now).await?;
        found.ok_or(StoreError::NotFound(Object::ApiKey))
    }

    /// Whether there is any API key at all.
    pub async fn has_api_keys(&self) -> Result<bool, StoreError> {
        Ok(api_key::Entity::find().limit(1).one(self.reader()).await?.is_some())
    }

    /// The API key of the secret with this SHA-256 hash, with all that says whether it is good; nothing when there is none,
    /// or when a rotation's overlap had ended for the secret at `now`.
    pub async fn api_key_by_hash(&self, hash: &[u8; 32], now: UtcMillis) -> Result<Option<ApiKey>, StoreError> {
        let rows = self.reader().query_all(&by_hash(hash, now)).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let scopes = rows.iter().filter_map(|row| row.try_get::<Option<String>>("", "scope").transpose());
        let scopes = scopes.map(|name| text(&name?)).collect::<Result<_, StoreError>>()?;
        let rates = rows.iter().filter_map(|row| own_rate(row).transpose()).collect::<Result<_, StoreError>>()?;
        Ok(Some(ApiKey { scopes, rates, ..without_lists(first)? }))
    }

    /// The org of an API key, and the rates that are its own; nothing when there is no such key.
    pub async fn rates_of_key(&self, id: &RecordId) -> Result<Option<(Option<OrgId>, OwnRates)>, StoreError> {
        let Some(row) = api_key::Entity::find_by_id(id.as_str()).one(self.reader()).await? else { return Ok(None) };
        let rates = queries::rates_of(self.reader(), std::iter::once(id.as_str())).await?.remove(id.as_str());
        Ok(Some((optional(row.org.as_deref())?, rates.unwrap_or_default())))
    }

    /// The removed endpoints, oldest first.
    pub async fn removed_endpoints(&self, page: &PageRequest) -> Result<Listing<Stored<RemovedEndpoint>>, StoreError> {
        let (all, by) = (removed_endpoint::Entity::find(), removed_endpoint::Column::Id);
        queries::page(self.reader(), all, by, page, |row: &removed_endpoint::Model| &row.id).await
    }

    /// A removed endpoint.
    pub async fn removed_endpoint(&self, id: &RecordId) -> Result<Stored<RemovedEndpoint>, StoreError> {
        self.existing(id.as_str()).await
    }

    /// All removed endpoints, for a gate that compares every request with them.
    pub async fn all_removed_endpoints(&self) -> Result<Vec<RemovedEndpoint>, StoreError> {
        let rows = removed_endpoint::Entity::find().all(self.reader()).await?;
        rows.iter().map(|row| stored(row).map(|stored| stored.value)).collect()
    }
}

/// Built-in scopes were never made nor changed.
fn built_in(name: &str, description: &str) -> Result<Stored<ScopeInfo>, StoreError> {
    let value = ScopeInfo { name: text(name)?, description: description.to_owned(), built_in: true };
    Ok(Stored { value, revision: 0, created_at: UtcMillis::new(0), updated_at: UtcMillis::new(0) })
}

/// One row for each scope and rate of the key; all that the key, its org and its user say, in one statement.
fn by_hash(hash: &[u8; 32], now: UtcMillis) -> SelectStatement {
    let key = |column| Expr::col((api_key::Entity, column));
    let secret = |column| Expr::col((api_key_secret::Entity, column));
    let alive = secret(api_key_secret::Column::ExpiresAt);
    let alive = alive.clone().is_null().or(alive.gt(now.get()));
    Query::select()
        .expr(key(api_key::Column::Id))
        .expr(key(api_key::Column::Org))
        .expr(key(api_key::Column::UserId))
        .expr_as(key(api_key::Column::ExpiresAt), "key_end")
        .expr(key(api_key::Column::RevokedAt))
        .expr_as(secret(api_key_secret::Column::ExpiresAt), "secret_end")
        .expr_as(Expr::col((org::Entity, org::Column::BannedAt)), "org_banned_at")
        .expr_as(Expr::col((user_ban::Entity, user_ban::Column::BannedAt)), "user_banned_at")
        .expr(Expr::col((api_key_scope::Entity, api_key_scope::Column::Scope)))
        .expr(Expr::col((api_key_rate::Entity, api_key_rate::Column::LimitKey)))
        .expr(Expr::col((api_key_rate::Entity, api_key_rate::Column::Max)))
        .from(api_key_secret::Entity)
        .inner_join(api_key::Entity, key(api_key::Column::Id).equals((api_key_secret::Entity, api_key_secret::Column::KeyId)))
        .join(JoinType::LeftJoin, org::Entity, key(api_key::Column::Org).equals((org::Entity, org::Column::Id)))
        .left_join(user_ban::Entity, key(api_key::Column::UserId).equals((user_ban::Entity, user_ban::Column::Id)))
        .left_join(
            api_key_scope::Entity,
            key(api_key::Column::Id).equals((api_key_scope::Entity, api_key_scope::Column::KeyId)),
        )
        .left_join(api_key_rate::Entity, key(api_key::Column::Id).equals((api_key_rate::Entity, api_key_rate::Column::KeyId)))
        .and_where(secret(api_key_secret::Column::Hash).eq(hash.to_vec()))
        .and_where(alive)
        .take()
}

/// The rate that a row names, if the key has any of its own.
fn own_rate(row: &QueryResult) -> Result<Option<(LimitKeyName, Value)>, StoreError> {
    let Some(limit_key) = row.try_get::<Option<String>>("", "limit_key")? else { return Ok(None) };
    Ok(Some((text(&limit_key)?, value(queries::RATE_FORM, row.try_get("", "max")?)?)))
}

fn without_lists(row: &QueryResult) -> Result<ApiKey, StoreError> {
    let get_text = |column: &str| row.try_get::<Option<String>>("", column);
    let get_moment = |column: &str| row.try_get::<Option<i64>>("", column).map(moment);
    let ends = [get_moment("key_end")?, get_moment("secret_end")?];
    Ok(ApiKey {
        id: text(&row.try_get::<String>("", "id")?)?,
        org: optional(get_text("org")?.as_deref())?,
        user: optional(get_text("user_id")?.as_deref())?,
        scopes: std::iter::empty().collect(),
        expires_at: ends.into_iter().flatten().min(),
        revoked: get_moment("revoked_at")?.is_some(),
        org_banned: get_moment("org_banned_at")?.is_some(),
        user_banned: get_moment("user_banned_at")?.is_some(),
        rates: OwnRates::new(),
    })
}
