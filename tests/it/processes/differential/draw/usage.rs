//! Operations that take usage, and questions about it.

use serde_json::{Value, json};

use super::super::likeness::Likeness;
use super::{Call, Draw, LIMIT_KEYS, ORGS, PER_PROJECT, RESOURCES, TAKEN};

/// For so many milliseconds at least a reservation is remembered.
const REMEMBERED: i64 = 80_000_000;

impl Draw {
    pub(super) fn usage(&mut self, likeness: &Likeness, now: i64) -> Call {
        let enforced = if self.chance.percent(15) { "?enforce=true" } else { "" };
        match self.chance.below(52) {
            0..=16 => Call::post(format!("/v1/consume{enforced}"), &self.taking()),
            17..=24 => {
                let items: Vec<Value> = (0..self.chance.between(1, 4)).map(|_| self.item()).collect();
                Call::post(format!("/v1/consume/batch{enforced}"), &json!({"org": self.org(), "items": items}))
            }
            25..=31 => Call::post("/v1/release", &self.taking()),
            32..=38 => {
                let mut body = self.taking();
                if self.chance.percent(70) {
                    body["ttlSeconds"] = json!(self.chance.pick(&[1, 30, 600, 86_400]));
                }
                Call::post(format!("/v1/reservations{enforced}"), &body)
            }
            39..=46 => self.settlement(likeness, now),
            _ => self.reconciliation(),
        }
    }

    fn item(&mut self) -> Value {
        let limit_key = *self.chance.pick(&TAKEN);
        let mut item = json!({"limitKey": limit_key});
        if self.chance.percent(80) {
            item["amount"] = json!(if self.chance.percent(4) { 9_007_199_254_740_991 } else { self.chance.between(1, 6) });
        }
        // Sometimes where there is to be none, and sometimes not where there is to be one.
        if (limit_key == PER_PROJECT) != self.chance.percent(4) {
            item["resource"] = json!(self.chance.pick(&RESOURCES));
        }
        item
    }

    fn taking(&mut self) -> Value {
        let mut taking = self.item();
        taking["org"] = json!(self.org());
        taking
    }

    fn settlement(&mut self, likeness: &Likeness, now: i64) -> Call {
        let all = likeness.pairs.get("res").map_or(&[][..], Vec::as_slice);
        let first = all.partition_point(|pair| now - pair.since > REMEMBERED);
        if first == all.len() {
            return Call::get(format!("/v1/reservations/res_{}_acme", "0".repeat(32)));
        }
        let few = if self.chance.percent(75) { all.len().saturating_sub(6).max(first) } else { first };
        let id = format!("/v1/reservations/<res:{}>", few + self.chance.index(all.len() - few));
        match self.chance.below(10) {
            0..=2 => Call::post(format!("{id}/confirm"), &json!({})),
            3..=4 => Call::post(format!("{id}/confirm"), &json!({"amount": self.chance.between(1, 4)})),
            5..=7 => Call::post(format!("{id}/release"), &json!({})),
            _ => Call::get(id),
        }
    }

    fn reconciliation(&mut self) -> Call {
        let limit_key = *self.chance.pick(&TAKEN);
        let mut body = json!({"current": self.chance.below(12), "dryRun": self.chance.percent(30)});
        if limit_key == PER_PROJECT {
            body["resource"] = json!(self.chance.pick(&RESOURCES));
        }
        Call::put(format!("/v1/orgs/{}/usage/{limit_key}", self.org()), &body)
    }

    pub(super) fn question(&mut self, likeness: &Likeness) -> Call {
        let org = self.org();
        let call = match self.chance.below(20) {
            0..=6 => {
                let enforced = if self.chance.percent(25) { "?enforce=true" } else { "" };
                Call::post(format!("/v1/check{enforced}"), &self.check())
            }
            7..=8 => {
                let checks: Vec<Value> = (0..self.chance.between(1, 8)).map(|_| self.check()).collect();
                Call::post("/v1/check/batch", &json!({"checks": checks}))
            }
            9..=11 => Call::get(format!("/v1/orgs/{org}/entitlements")),
            12..=13 => Call::get(format!("/v1/orgs/{org}/usage?limit={}", self.chance.between(1, 4))),
            14 => Call::get(format!("/v1/orgs/{org}/usage?limitKey={}", self.chance.pick(&TAKEN))),
            15 => Call::post("/ofrep/v1/evaluate/flags", &json!({"context": {"targetingKey": org}})),
            16 => Call::get("/v1/whoami"),
            _ => self.gate(likeness),
        };
        // Here everybody is one process, which every answer knows what it did.
        match self.chance.below(20) {
            0 => Call { headers: vec![("Plimsoll-Max-Stale", "60000".to_owned())], ..call },
            1 => Call { headers: vec![("Plimsoll-At-Least", "3".to_owned())], ..call },
            _ => call,
        }
    }

    fn check(&mut self) -> Value {
        let (limit_key, _) = *self.chance.pick(&LIMIT_KEYS);
        let mut check = json!({"org": self.org(), "limitKey": limit_key});
        match limit_key {
            "history" => check["from"] = json!("2027-03-20"),
            "polling" => check["requested"] = json!(self.chance.below(12)),
            "sso" | "bursts" => {}
            _ => {
                if self.chance.percent(25) {
                    check["current"] = json!(self.chance.below(30));
                }
                if limit_key == PER_PROJECT {
                    check["resource"] = json!(self.chance.pick(&RESOURCES));
                }
            }
        }
        if self.chance.percent(3) {
            check["limitKey"] = json!("unknown");
        }
        check
    }

    fn gate(&mut self, likeness: &Likeness) -> Call {
        let mut body = json!({"method": self.chance.pick(&["GET", "POST"]), "path": self.chance.pick(&["/a", "/a/7", "/b"])});
        if let Some(secret) = self.made("plm", likeness) {
            body["apiKey"] = json!(secret);
        }
        if self.chance.percent(60) {
            body["consume"] = json!([self.item()]);
        }
        if self.chance.percent(30) {
            body["check"] = json!([{"limitKey": "sso"}]);
        }
        Call::post("/v1/authorize", &body)
    }

    /// An org that is there from the start.
    pub(super) fn registered(&mut self) -> &'static str {
        let org: &&str = self.chance.pick(&ORGS[..5]);
        org
    }
}
