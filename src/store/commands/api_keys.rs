//! Changes of API keys.

use entity::api_key_scope;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::super::{ApiKeyInfo, Command, Object, Org, StoreError, Stored, WriteTx, queries};
use super::api_key_rates::{self, WrittenRates};
use super::api_key_secrets::{NewSecret, add_secret, check_unused};
use super::new_id;
use crate::domain::api_key::OwnRates;
use crate::domain::issue::Issue;
use crate::domain::names::{OrgId, RecordId, ScopeName, UserId};
use crate::domain::scope::Scopes;
use crate::domain::time::UtcMillis;

/// Makes an API key.
#[derive(Clone, Debug)]
pub struct CreateApiKey {
    /// For people.
    pub name: String,
    /// The org that it belongs to; a platform key has none.
    pub org: Option<OrgId>,
    /// The user that it belongs to.
    pub user: Option<UserId>,
    /// What it may do.
    pub scopes: Vec<ScopeName>,
    /// The first moment that it is no longer good at.
    pub expires_at: Option<UtcMillis>,
    /// The rates that are its own.
    pub rates: WrittenRates,
    /// Its secret.
    pub secret: NewSecret,
}

impl Command for CreateApiKey {
    type Output = Stored<ApiKeyInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        tx.expect::<ApiKeyInfo>(None)?;
        let mut issues = scope_issues(tx, &self.scopes, self.org.as_ref()).await?;
        issues.extend(org_issue(tx, self.org.as_ref()).await?);
        issues.extend(end_issue(self.expires_at, tx.now()));
        let (rates, unfit) = api_key_rates::checked(tx, &self.rates, &OwnRates::new()).await?;
        issues.extend(unfit);
        issues.extend(platform_issue(self.org.as_ref(), &rates));
        if !issues.is_empty() {
            return Err(StoreError::Invalid(issues));
        }
        check_unused(tx, &self.secret).await?;
        let Self { name, org, user, scopes, expires_at, secret, .. } = self;
        let scopes: Scopes = scopes.into_iter().collect();
        let (id, shown) = (new_id("key")?, vec![secret.shown.clone()]);
        let (revoked_at, last_used_at) = (None, None);
        let key = ApiKeyInfo { id, name, org, user, scopes, shown, expires_at, revoked_at, rates, last_used_at };
        let made = tx.create(key).await?;
        insert_scopes(tx, &made.value).await?;
        api_key_rates::insert(tx, &made.value).await?;
        add_secret(tx, &made.value.id, secret).await?;
        Ok(made)
    }
}

/// Changes some of what is known of an API key. What is not given stays.
#[derive(Clone, Debug)]
pub struct PatchApiKey {
    /// Which.
    pub id: RecordId,
    /// For people.
    pub name: Option<String>,
    /// The user that it belongs to, or that it belongs to none.
    pub user: Option<Option<UserId>>,
    /// What it may do.
    pub scopes: Option<Vec<ScopeName>>,
    /// The first moment that it is no longer good at, or that there is none.
    pub expires_at: Option<Option<UtcMillis>>,
    /// All of the rates that are its own; empty for none.
    pub rates: Option<WrittenRates>,
    /// True revokes it. A revocation is final.
    pub revoked: Option<bool>,
}

impl Command for PatchApiKey {
    type Output = Stored<ApiKeyInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = find_target(tx, &self.id).await?;
        let mut issues = self.issues(tx, &before.value).await?;
        let rates = match &self.rates {
            Some(written) => {
                let (rates, unfit) = api_key_rates::checked(tx, written, &before.value.rates).await?;
                issues.extend(unfit);
                issues.extend(platform_issue(before.value.org.as_ref(), &rates));
                Some(rates)
            }
            None => None,
        };
        if !issues.is_empty() {
            return Err(StoreError::Invalid(issues));
        }
        let has_new_scopes = self.scopes.is_some();
        let action = if self.revoked == Some(true) { "revoke" } else { "update" };
        let has_new_rates = rates.is_some();
        let rates = rates.unwrap_or_else(|| before.value.rates.clone());
        let after = ApiKeyInfo { rates, ..self.patched(before.value.clone(), tx.now()) };
        let changed = tx.replace(before, after, action).await?;
        if has_new_scopes {
            let own = api_key_scope::Column::KeyId.eq(changed.value.id.as_str());
            api_key_scope::Entity::delete_many().filter(own).exec(tx.db()).await?;
            insert_scopes(tx, &changed.value).await?;
        }
        if has_new_rates {
            api_key_rates::replace(tx, &changed.value).await?;
        }
        Ok(changed)
    }
}

/// A platform key has no org, and so no plan whose rates it could have of its own.
fn platform_issue(org: Option<&OrgId>, rates: &OwnRates) -> Option<Issue> {
    let message = "is taken by an org's key only: a platform key has no windows";
    (org.is_none() && !rates.is_empty()).then(|| Issue::new("rateLimits", message))
}

impl PatchApiKey {
    async fn issues(&self, tx: &WriteTx, before: &ApiKeyInfo) -> Result<Vec<Issue>, StoreError> {
        let mut issues = match &self.scopes {
            Some(scopes) => scope_issues(tx, scopes, before.org.as_ref()).await?,
            None => Vec::new(),
        };
        issues.extend(self.expires_at.and_then(|end| end_issue(end, tx.now())));
        if self.revoked == Some(false) {
            issues.push(Issue::new("revoked", "must be true: a revocation is final"));
        }
        Ok(issues)
    }

    fn patched(self, before: ApiKeyInfo, now: UtcMillis) -> ApiKeyInfo {
        let revoked_at = before.revoked_at.or_else(|| self.revoked.map(|_| now));
        ApiKeyInfo {
            name: self.name.unwrap_or(before.name),
            user: self.user.unwrap_or(before.user),
            scopes: self.scopes.map_or(before.scopes, |scopes| scopes.into_iter().collect()),
            expires_at: self.expires_at.unwrap_or(before.expires_at),
            revoked_at,
            ..before
        }
    }
}

/// Deletes an API key with its secrets: it is no longer good at once.
#[derive(Clone, Debug)]
pub struct DeleteApiKey {
    /// Which.
    pub id: RecordId,
}

impl Command for DeleteApiKey {
    type Output = Stored<ApiKeyInfo>;

    async fn apply(self, tx: &mut WriteTx) -> Result<Self::Output, StoreError> {
        let before = find_target(tx, &self.id).await?;
        tx.delete(&before.value).await?;
        Ok(before)
    }
}

/// The API key that the path names: it must exist, and be as the caller expects.
pub(super) async fn find_target(tx: &WriteTx, id: &RecordId) -> Result<Stored<ApiKeyInfo>, StoreError> {
    let found = queries::api_key(tx.db(), id.as_str(), tx.now()).await?;
    tx.expect(found.as_ref())?;
    found.ok_or(StoreError::NotFound(Object::ApiKey))
}

async fn insert_scopes(tx: &WriteTx, key: &ApiKeyInfo) -> Result<(), StoreError> {
    for scope in key.scopes.iter() {
        let row = api_key_scope::Model { key_id: key.id.to_string(), scope: scope.to_string() };
        let row = sea_orm::IntoActiveModel::into_active_model(row);
        api_key_scope::Entity::insert(row).exec_without_returning(tx.db()).await?;
    }
    Ok(())
}

/// Scopes must exist, and what belongs to an org never administers.
async fn scope_issues(tx: &WriteTx, scopes: &[ScopeName], org: Option<&OrgId>) -> Result<Vec<Issue>, StoreError> {
    let known = queries::scope_names(tx.db()).await?;
    let finding = |scope: &ScopeName| match scope.as_str() {
        "admin" if org.is_some() => Some("an API key of an org never holds admin"),
        _ if !known.contains(scope) => Some("there is no such scope"),
        _ => None,
    };
    let findings = scopes.iter().enumerate().filter_map(|(at, scope)| Some((at, finding(scope)?)));
    Ok(findings.map(|(at, message)| Issue::new(format!("scopes[{at}]"), message)).collect())
}

async fn org_issue(tx: &WriteTx, org: Option<&OrgId>) -> Result<Option<Issue>, StoreError> {
    let Some(org) = org else { return Ok(None) };
    let found = tx.find::<Org>(org.as_str()).await?;
    Ok(found.is_none().then(|| Issue::new("org", "there is no such org")))
}

fn end_issue(expires_at: Option<UtcMillis>, now: UtcMillis) -> Option<Issue> {
    let end = expires_at?;
    (end <= now).then(|| Issue::new("expiresAt", "must be in the future"))
}
