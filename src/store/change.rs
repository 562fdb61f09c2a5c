//! One line of the log: which object changed, how, and what it was before and after.

use entity::change_log;
use sea_orm::ActiveValue::Set;
use serde::Serialize;

use super::rows::Record;
use super::write::WriteContext;

/// What happened to one object.
pub(super) struct Change {
    action: &'static str,
    object: &'static str,
    object_id: String,
    org: Option<String>,
    before: Option<String>,
    after: Option<String>,
}

impl Change {
    pub(super) fn of<R: Record>(record: &R, action: &'static str) -> Self {
        let (object, object_id) = (R::OBJECT.as_str(), record.object_id());
        Self { action, object, object_id, org: record.org().map(ToString::to_string), before: None, after: None }
    }

    pub(super) fn before(mut self, value: &impl Serialize) -> Self {
        self.before = json(value);
        self
    }

    pub(super) fn after(mut self, value: &impl Serialize) -> Self {
        self.after = json(value);
        self
    }

    pub(super) fn line(self, revision: i64, context: &WriteContext) -> change_log::ActiveModel {
        change_log::ActiveModel {
            revision: Set(revision),
            at: Set(context.now.get()),
            actor_kind: Set(context.actor.kind().to_owned()),
            actor_id: Set(context.actor.id().map(str::to_owned)),
            action: Set(self.action.to_owned()),
            object: Set(self.object.to_owned()),
            object_id: Set(self.object_id),
            org: Set(self.org),
            before: Set(self.before),
            after: Set(self.after),
            request_id: Set(context.request_id.clone()),
        }
    }
}

/// Records are structs and maps with text keys, which always have a JSON form.
fn json(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value).ok()
}
