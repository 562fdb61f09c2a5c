//! The OpenAPI document as a whole.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use super::router::Table;
use super::routes::TAGS;

const ABOUT: &str = "Plimsoll knows what the orgs of a SaaS product may do: their tier's limits, their history retention, their features. Other services ask it before they act; \
admins run it here.\n\n\
**Start here.** Press Authorize and enter an API key; after the quick start, the admin key that it printed. The groups stand in the order in which a plan is made: \
what is limited, on which tier how much, who is on which tier, who may ask. The questions themselves are under Asking. The examples run on the quick start's data, but for ids, which Plimsoll makes, and values, of which each kind has its own.\n\n\
**Envelope.** Every response but OpenFeature's is `{\"data\": …, \"error\": …, \"meta\": …}`: on success `error` is null; on an error `data` is null, `error` is a sentence, and `meta.code` is for programs. \
A refusal by a limit is not an error: it is an answer with HTTP 200.\n\n\
**Authentication.** A bearer API key (`<prefix>_<64 lowercase hex>`), or a JWT when the service is set up for it. Scope `read` for questions, `admin` for `/v1/admin/*`. \
A platform key may ask about every org; an org's key sees its own only, and another org is the same 404 as one that does not exist.\n\n\
**Freshness.** Every admin write answers with `meta.revision`. A question that carries `Plimsoll-At-Least: <revision>` is answered from a catalogue that has it.\n\n\
**Safety.** Admin resources carry an `ETag`; `If-Match` makes a write conditional. POSTs take an `Idempotency-Key`. Unknown fields, fields given twice, wrong types and numbers out of range are a 400 \
whose `meta.issues` names each. `X-Request-Id` is taken over if it is well-formed, and is on every response.";

/// The document of all operations in the table.
pub fn document(table: &Table) -> OpenApi {
    let (paths, mut components) = table.describe();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("API key or JWT");
    let bearer = bearer.description(Some("An API key such as `plm_…`, or a JWT. Operations name the scope that they need."));
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer.build()));
    let tags = TAGS.map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build());
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE"))).build();
    let info = InfoBuilder::new()
        .license(Some(license))
        .title("Plimsoll API")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).tags(Some(tags)).build()
}

/// The document as it is served and committed.
pub fn text(table: &Table) -> String {
    let mut text = document(table).to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
