//! Administration: what is changed, looked at, listed and taken away.

use serde_json::{Value, json};

use super::super::likeness::Likeness;
use super::{Call, Draw, LIMIT_KEYS, TIERS, USERS};

/// The catalogue at the start.
pub(super) fn catalogue() -> Value {
    json!({
        "limitKeys": {
            "seats": {"kind": "count", "default": {"max": 5}},
            "bots": {"kind": "count", "default": {"max": 40}},
            "posts": {"kind": "count", "per": "project", "default": {"max": 4}},
            "calls": {"kind": "quota", "window": "day", "label": "Call", "perRequest": true, "default": {"max": 60}},
            "mails": {"kind": "quota", "window": "month", "label": "Mail", "default": {"max": 100}},
            "pings": {"kind": "quota", "window": "minute", "label": "Ping", "default": {"max": 6}},
            "bursts": {"kind": "rate", "windowSeconds": 3600, "bucket": "bursts", "default": {"max": 10}},
            "history": {"kind": "retention", "default": {"days": 7}},
            "polling": {"kind": "interval", "unit": "hour", "default": {"min": 6}},
            "sso": {"kind": "feature", "default": {"enabled": false}},
        },
        "tiers": {
            "free": {"name": "Free", "limits": {"seats": {"max": 5}, "history": {"days": 30}}},
            "pro": {"name": "Pro", "limits": {"seats": {"max": 50}, "sso": {"enabled": true}}},
            "pro-2": {"name": "Pro again", "limits": {"bots": {"unlimited": true}}},
            "pro_2": {"name": "And again", "limits": {}},
        },
    })
}

impl Draw {
    pub(super) fn administration(&mut self, likeness: &Likeness) -> Call {
        match self.chance.below(26) {
            0..=2 => self.limit_key(),
            3..=5 => self.tier(),
            6..=8 => self.org_itself(),
            9..=11 => self.override_of(likeness),
            12..=14 => self.api_key(likeness),
            15..=16 => self.others(likeness),
            17 => self.whole_catalogue(),
            18 => self.what_if(),
            _ => self.list(likeness),
        }
    }

    fn limit_key(&mut self) -> Call {
        let (name, form) = *self.chance.pick(&LIMIT_KEYS);
        let path = format!("/v1/admin/limit-keys/{name}");
        match self.chance.below(8) {
            0..=1 => Call::get(path),
            2..=3 => {
                let (kind, default) = (if name == "extra" { "count" } else { "feature" }, self.value(form));
                Call::put(path, &json!({"kind": kind, "default": default, "description": "Another é ß 漢"}))
            }
            4..=5 => Call::put("/v1/admin/limit-keys/extra", &json!({"kind": "count", "default": {"max": 9}})),
            6 => Call::delete(path),
            _ => Call::post("/v1/admin/limit-keys/extra/archive", &json!({"replacement": "seats"})),
        }
    }

    fn tier(&mut self) -> Call {
        let tier = *self.chance.pick(&TIERS);
        let (name, form) = *self.chance.pick(&LIMIT_KEYS);
        let value = self.value(form);
        match self.chance.below(10) {
            0..=4 => Call::put(format!("/v1/admin/tiers/{tier}/limits/{name}"), &value),
            5 => Call::delete(format!("/v1/admin/tiers/{tier}/limits/{name}")),
            6..=7 => Call::put(format!("/v1/admin/tiers/{tier}"), &json!({"name": format!("Named {}", self.chance.below(3))})),
            8 => Call::put(format!("/v1/admin/retention-windows/history/{tier}"), &json!({"days": self.chance.below(90)})),
            _ => Call::delete(format!("/v1/admin/tiers/{tier}")),
        }
    }

    fn org_itself(&mut self) -> Call {
        let org = self.org();
        let path = format!("/v1/admin/orgs/{org}");
        match self.chance.below(16) {
            0..=7 => {
                let metadata = json!({"b": 1, "a": [null, 2.5, "ü"], "c": {"z": true}});
                Call::put(path, &json!({"tier": self.chance.pick(&TIERS), "name": "Ärger & Söhne", "metadata": metadata}))
            }
            8..=9 => Call::get(path),
            10 => Call::post(format!("{path}/ban"), &json!({"reason": "tests"})),
            11..=13 => Call::post(format!("{path}/unban"), &json!({})),
            14 => Call::delete(path),
            _ => Call::put(path, &json!({"tier": "nowhere"})),
        }
    }

    fn override_of(&mut self, likeness: &Likeness) -> Call {
        let path = format!("/v1/admin/orgs/{}/overrides", self.registered());
        let (name, form) = *self.chance.pick(&LIMIT_KEYS);
        let made = self.made("ovr", likeness);
        match (self.chance.below(8), made) {
            (0, Some(id)) => Call::get(format!("{path}/{id}")),
            (1..=3, Some(id)) => Call::delete(format!("{path}/{id}")),
            (4, _) => Call::get(format!("{path}?limit=2")),
            (_, _) => {
                let mode = *self.chance.pick(&["set", "add"]);
                let mut body = json!({"limitKey": name, "mode": mode, "value": self.value(form), "reason": "a test"});
                if self.chance.percent(40) {
                    body["expiresAt"] = json!(self.chance.pick(&["2027-04-01T06:00:00Z", "2027-04-02T00:00:00.5Z"]));
                }
                Call::post(path, &body)
            }
        }
    }

    fn api_key(&mut self, likeness: &Likeness) -> Call {
        let made = self.made("key", likeness);
        match (self.chance.below(10), made) {
            (0, Some(id)) => Call::get(format!("/v1/admin/api-keys/{id}")),
            (1, Some(id)) => Call::delete(format!("/v1/admin/api-keys/{id}")),
            (2, Some(id)) => {
                Call { method: "PATCH", ..Call::put(format!("/v1/admin/api-keys/{id}"), &json!({"name": "Renamed"})) }
            }
            (3, Some(id)) => {
                Call { method: "PATCH", ..Call::put(format!("/v1/admin/api-keys/{id}"), &json!({"revoked": true})) }
            }
            (4..=5, Some(id)) => {
                Call::post(format!("/v1/admin/api-keys/{id}/rotate"), &json!({"overlapSeconds": self.chance.below(3) * 600}))
            }
            (_, _) => {
                let scopes =
                    *self.chance.pick(&[&["read"][..], &["read", "write"], &["admin"], &["reports"], &["read", "read"]]);
                let mut body = json!({"name": "A key", "scopes": scopes});
                if self.chance.percent(70) {
                    body["org"] = json!(self.org());
                }
                if self.chance.percent(30) {
                    body["user"] = json!(self.chance.pick(&USERS));
                }
                if self.chance.percent(20) {
                    body["rateLimits"] = json!({"bursts": {"max": 3}});
                }
                if self.chance.percent(20) {
                    body["expiresAt"] = json!("2027-04-01T03:00:00Z");
                }
                Call::post("/v1/admin/api-keys", &body)
            }
        }
    }

    fn others(&mut self, likeness: &Likeness) -> Call {
        let user = *self.chance.pick(&USERS);
        let made = self.made("rem", likeness).or_else(|| self.made("end", likeness));
        match self.chance.below(10) {
            0 => Call::post(format!("/v1/admin/users/{user}/ban"), &json!({"reason": "a test"})),
            1..=2 => Call::post(format!("/v1/admin/users/{user}/unban"), &json!({})),
            3 => Call::get(format!("/v1/admin/users/{user}")),
            4..=5 => Call::put("/v1/admin/scopes/reports", &json!({"description": "Monthly"})),
            6 => Call::delete("/v1/admin/scopes/reports"),
            7..=8 => {
                let path = *self.chance.pick(&["/a/{id}", "/b", "/c"]);
                Call::post("/v1/admin/removed-endpoints", &json!({"method": "GET", "path": path, "replacement": "/d"}))
            }
            _ => made.map_or_else(
                || Call::get("/v1/admin/removed-endpoints"),
                |id| Call::delete(format!("/v1/admin/removed-endpoints/{id}")),
            ),
        }
    }

    fn whole_catalogue(&mut self) -> Call {
        let dry = *self.chance.pick(&["", "?dryRun=true"]);
        let seats = self.value(super::Form::Max);
        let tiers = json!({"free": {"name": "Free", "description": "To try", "limits": {"seats": seats}}});
        let limit_keys = json!({"bots": {"kind": "count", "default": {"max": 20 + self.chance.below(30)}}});
        Call::put(format!("/v1/admin/catalog{dry}"), &json!({"limitKeys": limit_keys, "tiers": tiers}))
    }

    fn what_if(&mut self) -> Call {
        match self.chance.below(2) {
            0 => Call::post("/v1/admin/what-if/tier", &json!({"org": self.org(), "tier": self.chance.pick(&TIERS)})),
            _ => Call::post("/v1/admin/what-if/limit", &json!({"tier": "free", "limitKey": "seats", "value": {"max": 1}})),
        }
    }

    fn list(&mut self, likeness: &Likeness) -> Call {
        const LISTS: [&str; 8] = [
            "/v1/admin/audit",
            "/v1/admin/orgs",
            "/v1/admin/api-keys",
            "/v1/admin/limit-keys",
            "/v1/admin/tiers",
            "/v1/admin/scopes",
            "/v1/admin/retention-windows",
            "/v1/admin/removed-endpoints",
        ];
        let list = if self.chance.percent(40) { LISTS[0] } else { *self.chance.pick(&LISTS) };
        let filter = match list {
            "/v1/admin/audit" => {
                *self.chance.pick(&["", "&object=org", "&org=acme", "&action=delete", "&from=2027-04-01T00:00:00Z"])
            }
            "/v1/admin/orgs" => *self.chance.pick(&["", "&tier=pro", "&banned=true"]),
            "/v1/admin/api-keys" => *self.chance.pick(&["", "&org=acme", "&user=ann"]),
            _ => "",
        };
        // A cursor of another list is refused, or understood, by both.
        let cursor = if self.chance.percent(40) { self.made("cursor", likeness) } else { None };
        let cursor = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        Call::get(format!("{list}?limit={}{filter}{cursor}", self.chance.between(1, 6)))
    }
}
