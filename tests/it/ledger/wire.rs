//! How the model's requests are sent, and how their answers are read. What is wrong by itself is said here.

use serde_json::{Value, json};

use super::calendar::{millis, text};
use super::model::{End, Place, Request, Seen, Shown};
use super::plan::{KEYS, written};
use crate::harness::{Actor, Answer};

/// Whose answer is read, and what the server's clock may have shown meanwhile, in milliseconds.
pub(super) struct Reader<'a> {
    pub(super) org: &'a str,
    pub(super) between: (i64, i64),
}

type Read<T> = Result<T, String>;

fn taking(org: &str, place: Place, amount: u64) -> Value {
    let mut body = item(place, amount);
    body["org"] = json!(org);
    body
}

fn item(place: Place, amount: u64) -> Value {
    let mut item = json!({"limitKey": KEYS[place.key].name, "amount": amount});
    if let Some(project) = place.project {
        item["resource"] = json!(project);
    }
    item
}

/// Sends a request. `id` is what the server calls the reservation that it is about, if any.
pub(super) async fn send(actor: &Actor, org: &str, request: &Request, id: &str) -> Answer {
    match request {
        Request::Check(place, amount) => actor.check(taking(org, *place, *amount)).await,
        Request::Consume(place, amount) | Request::Part { place, amount, .. } => {
            actor.post("/v1/consume", taking(org, *place, *amount)).await
        }
        Request::Batch(items) => {
            let items: Vec<Value> = items.iter().map(|(place, amount)| item(*place, *amount)).collect();
            actor.post("/v1/consume/batch", json!({"org": org, "items": items})).await
        }
        Request::Release(place, amount) => actor.post("/v1/release", taking(org, *place, *amount)).await,
        Request::Reserve { place, amount, ttl, .. } => {
            let mut body = taking(org, *place, *amount);
            body["ttlSeconds"] = json!(ttl);
            actor.post("/v1/reservations", body).await
        }
        Request::Confirm(_, amount) => {
            let body = amount.map_or_else(|| json!({}), |amount| json!({"amount": amount}));
            actor.post(&format!("/v1/reservations/{id}/confirm"), body).await
        }
        Request::Cancel(_) => actor.post(&format!("/v1/reservations/{id}/release"), json!({})).await,
        Request::Look(_) => actor.get(&format!("/v1/reservations/{id}")).await,
        Request::Reconcile { place, actual, dry_run } => {
            let mut body = json!({"current": actual, "dryRun": dry_run});
            if let Some(project) = place.project {
                body["resource"] = json!(project);
            }
            actor.put(&format!("/v1/orgs/{org}/usage/{}", KEYS[place.key].name), body).await
        }
        Request::Usage(place) => actor.get(&format!("/v1/orgs/{org}/usage?limitKey={}", KEYS[place.key].name)).await,
    }
}

impl Reader<'_> {
    /// What an answer says.
    pub(super) fn read(&self, request: &Request, answer: &Answer) -> Seen {
        let seen = match (answer.status, answer.code()) {
            (200 | 201, _) => self.data(request, answer),
            (409, "state_conflict") => Ok(Seen::Conflict),
            (400, "invalid_body") => Ok(Seen::Invalid),
            (404, "not_found") => Ok(Seen::Missing),
            _ => Err("an answer that nothing may have".to_owned()),
        };
        seen.unwrap_or_else(|why| Seen::Wrong(format!("{why}: {} {} {}", answer.asked, answer.status, answer.text)))
    }

    fn data(&self, request: &Request, answer: &Answer) -> Read<Seen> {
        let data = answer.data();
        match request {
            Request::Reserve { place, .. } if answer.status == 201 => self.reserved(*place, data),
            Request::Check(place, _)
            | Request::Consume(place, _)
            | Request::Part { place, .. }
            | Request::Release(place, _)
            | Request::Reserve { place, .. } => self.decision(*place, data).map(Seen::Decision),
            Request::Batch(items) => self.batch(items, data),
            Request::Confirm(..) | Request::Cancel(_) | Request::Look(_) => self.reservation(data),
            Request::Reconcile { place, .. } => self.reconciled(*place, data),
            Request::Usage(place) => usage(*place, data),
        }
    }

    fn decision(&self, place: Place, data: &Value) -> Read<Shown> {
        let key = &KEYS[place.key];
        let shown = figures(place, data)?;
        let (kind, refusal) = if key.unit.is_some() { ("quota", "rate_limit_exceeded") } else { ("count", "limit_reached") };
        same("kind", &data["kind"], &json!(kind))?;
        same("org", &data["org"], &json!(self.org))?;
        same("resource", &data["resource"], &json!(place.project))?;
        same("limitKey", &data["limitKey"], &json!(key.name))?;
        same("decision", &data["decision"], &json!(if shown.allowed { "allowed" } else { refusal }))?;
        self.denial(&shown, &data["denial"])?;
        Ok(shown)
    }

    /// The response for the product's customer, to the letter.
    fn denial(&self, shown: &Shown, denial: &Value) -> Read<()> {
        if shown.allowed {
            return same("denial", denial, &Value::Null);
        }
        let key = &KEYS[shown.place.key];
        let Some(unit) = key.unit else {
            let meta = json!({"code": "limit_reached", "limitKey": key.name, "current": shown.current, "max": shown.max});
            let body = json!({"data": null, "error": format!("Limit reached: {}", key.name), "meta": meta});
            return same("denial", denial, &json!({"status": 402, "headers": {}, "body": body}));
        };
        let error = format!("{} {} label limit exceeded", unit.adjective(), key.name);
        let body = json!({"data": null, "error": error, "meta": {"code": "rate_limit_exceeded"}});
        same("denial's body", &denial["body"], &body)?;
        same("denial's status", &denial["status"], &json!(429))?;
        let end = shown.window.map_or(0, |(_, end)| end);
        let left = |now: i64| (end - now + 999).div_euclid(1_000).max(1);
        let wait: Option<i64> = denial["headers"]["Retry-After"].as_str().and_then(|wait| wait.parse().ok());
        let fits = wait.is_some_and(|wait| (left(self.between.1)..=left(self.between.0)).contains(&wait));
        if fits { Ok(()) } else { Err("not the seconds until the next window".to_owned()) }
    }

    fn reserved(&self, place: Place, data: &Value) -> Read<Seen> {
        same("status", &data["status"], &json!("held"))?;
        let shown = self.decision(place, data)?;
        Ok(Seen::Reserved { created_at: moment(data, "createdAt")?, expires_at: moment(data, "expiresAt")?, shown })
    }

    fn batch(&self, items: &[(Place, u64)], data: &Value) -> Read<Seen> {
        let results =
            data["results"].as_array().filter(|results| results.len() == items.len()).ok_or("not one result per item")?;
        let shown = items.iter().zip(results).map(|((place, _), result)| self.decision(*place, result));
        let shown = shown.collect::<Read<Vec<Shown>>>()?;
        let of = |result: &&Value, status: u64| result["denial"]["status"] == json!(status);
        // A quota's refusal stands above a count's; of quotas the one that ends last, of counts the first.
        let mut first = results.iter().find(|one| of(one, 402));
        for quota in results.iter().filter(|one| of(one, 429)) {
            let wait = |one: &Value| one["denial"]["headers"]["Retry-After"].as_str().and_then(|text| text.parse::<u64>().ok());
            if first.is_none_or(|first| wait(quota) > wait(first)) {
                first = Some(quota);
            }
        }
        same("org", &data["org"], &json!(self.org))?;
        same("allowed", &data["allowed"], &json!(first.is_none()))?;
        same("denial", &data["denial"], first.map_or(&Value::Null, |first| &first["denial"]))?;
        same("decision", &data["decision"], first.map_or(&json!("allowed"), |first| &first["decision"]))?;
        Ok(Seen::Batch(first.is_none(), shown))
    }

    fn reservation(&self, data: &Value) -> Read<Seen> {
        same("org", &data["org"], &json!(self.org))?;
        let place = KEYS.iter().position(|key| data["limitKey"] == json!(key.name)).ok_or("not a limit key")?;
        let place =
            Place { key: place, project: super::world::PROJECTS.into_iter().find(|one| data["resource"] == json!(one)) };
        let known = ["held", "confirmed", "released", "expired"].into_iter().find(|status| data["status"] == json!(status));
        let status = known.ok_or("not a status")?;
        let (confirmed, settled_at) = (data["confirmed"].as_u64(), data["settledAt"].as_str().and_then(millis));
        let end = match (status, confirmed, settled_at) {
            ("confirmed", Some(amount), Some(at)) => Some(End::Confirmed(amount, at)),
            ("released", None, Some(at)) => Some(End::Released(at)),
            ("held" | "expired", None, None) => None,
            _ => return Err("a status without what belongs to it".to_owned()),
        };
        let (created_at, expires_at) = (moment(data, "createdAt")?, moment(data, "expiresAt")?);
        Ok(Seen::Reservation { place, amount: number(data, "amount")?, status, created_at, expires_at, end })
    }

    fn reconciled(&self, place: Place, data: &Value) -> Read<Seen> {
        let (recorded, actual) = (number(data, "recorded")?, number(data, "actual")?);
        let drift = i128::from(actual) - i128::from(recorded);
        same("drift", &data["drift"], &json!(i64::try_from(drift).expect("a difference of two numbers")))?;
        same("org", &data["org"], &json!(self.org))?;
        same("resource", &data["resource"], &json!(place.project))?;
        same("limitKey", &data["limitKey"], &json!(KEYS[place.key].name))?;
        Ok(Seen::Reconciled { recorded, actual, applied: data["applied"] == json!(true) })
    }
}

/// What is listed of one place.
fn usage(place: Place, data: &Value) -> Read<Seen> {
    let items = data.as_array().ok_or("not a list")?;
    let Some(item) = items.iter().find(|item| item["resource"] == json!(place.project)) else { return Ok(Seen::Unlisted) };
    let mut shown = item.clone();
    (shown["allowed"], shown["requested"], shown["tier"]) = (json!(true), json!(0), json!(""));
    let shown = figures(place, &shown)?;
    same("over", &item["over"], &json!(shown.max.is_some_and(|max| shown.current > max)))?;
    Ok(Seen::Usage { used: number(item, "used")?, shown })
}

fn figures(place: Place, data: &Value) -> Read<Shown> {
    let max = data["max"].as_u64();
    same("unlimited", &data["unlimited"], &json!(max.is_none()))?;
    let window = match (moment(data, "windowStart"), moment(data, "resetsAt")) {
        (Ok(start), Ok(end)) => Some((start, end)),
        _ if KEYS[place.key].unit.is_none() && data["resetsAt"].is_null() => None,
        _ => return Err("not a window".to_owned()),
    };
    let field = |name: &str| data[name].as_str().unwrap_or_default().to_owned();
    Ok(Shown {
        place,
        allowed: data["allowed"] == json!(true),
        current: number(data, "current")?,
        held: number(data, "held")?,
        max,
        requested: number(data, "requested")?,
        remaining: data["remaining"].as_u64(),
        window,
        tier: field("tier"),
        source: field("source"),
    })
}

fn same(name: &str, found: &Value, expected: &Value) -> Read<()> {
    if found == expected { Ok(()) } else { Err(format!("{name} must be {expected}, not {found}")) }
}

fn number(data: &Value, name: &str) -> Read<u64> {
    data[name].as_u64().ok_or_else(|| format!("{name} must be a number"))
}

fn moment(data: &Value, name: &str) -> Read<i64> {
    data[name].as_str().and_then(millis).ok_or_else(|| format!("{name} must be a timestamp"))
}

/// An override as it is written.
pub(super) fn override_body(one: &super::plan::Override) -> Value {
    let mode = if one.is_set { "set" } else { "add" };
    let mut body = json!({"limitKey": KEYS[one.key].name, "mode": mode, "value": written(one.cap)});
    if let Some(until) = one.until {
        body["expiresAt"] = json!(text(until));
    }
    body
}
