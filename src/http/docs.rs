//! The OpenAPI document, and Swagger UI from the binary. Nothing here leaves the origin.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LOCATION, REFERRER_POLICY,
};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use sha2::{Digest, Sha256};
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::{openapi, routes};

/// Scripts, styles and requests of the page's own origin only. Swagger UI sets style attributes.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
/// Kept by the browser, asked about each time: a new binary shows its own page at once.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// The page itself; the vendored one loads the same files.
const INDEX: &str = include_str!("docs.html");

/// Bytes of a file that are written at a time: what is not sent yet is copied for each reader, also for one that never reads.
const SLICE: usize = 16_384;

struct File {
    bytes: Bytes,
    content_type: String,
    etag: String,
}

impl File {
    fn new(bytes: Bytes, content_type: String) -> Self {
        let digest = Sha256::digest(&bytes);
        let etag: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self { bytes, content_type, etag: format!("\"{etag}\"") }
    }

    fn respond(&self, request: &HttpRequest) -> HttpResponse {
        let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).unwrap_or_default();
        let is_known = known.split(',').any(|tag| tag.trim() == self.etag);
        let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        response.insert_header((ETAG, self.etag.as_str())).insert_header((CACHE_CONTROL, REVALIDATE));
        response.insert_header((CONTENT_SECURITY_POLICY, POLICY)).insert_header((REFERRER_POLICY, "no-referrer"));
        if is_known {
            return response.finish();
        }
        response.insert_header((CONTENT_TYPE, self.content_type.as_str())).body(Sliced(self.bytes.clone()))
    }
}

/// A file on its way to a reader.
struct Sliced(Bytes);

impl MessageBody for Sliced {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let length = self.0.len().min(SLICE);
        Poll::Ready((length > 0).then(|| Ok(self.0.split_to(length))))
    }
}

fn config() -> Config<'static> {
    let config = Config::new(["/openapi.json"]).persist_authorization(true).try_it_out_enabled(true);
    let config = config.display_request_duration(true).display_operation_id(true).deep_linking(true);
    // The base layout has no bar with a logo and a field for other documents' addresses.
    let config = config.use_base_layout().default_model_expand_depth(3);
    config.validator_url("none").doc_expansion("list").default_models_expand_depth(0)
}

/// Every file of the page, read once.
fn files() -> &'static HashMap<&'static str, File> {
    static FILES: OnceLock<HashMap<&'static str, File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let config = Arc::new(config());
        let names = [
            "swagger-ui.css",
            "index.css",
            "swagger-ui-bundle.js",
            "swagger-ui-standalone-preset.js",
            "swagger-initializer.js",
            "favicon-32x32.png",
            "favicon-16x16.png",
        ];
        let file_of = |name: &'static str| {
            let file = utoipa_swagger_ui::serve(name, Arc::clone(&config)).ok().flatten()?;
            Some((name, File::new(Bytes::from(file.bytes.into_owned()), file.content_type)))
        };
        let mut files: HashMap<_, _> = names.into_iter().filter_map(file_of).collect();
        files.insert("", File::new(Bytes::from_static(INDEX.as_bytes()), "text/html; charset=utf-8".to_owned()));
        files
    })
}

/// The document of every operation. It is written when it is asked for first: most processes never are.
fn document() -> &'static File {
    static DOCUMENT: OnceLock<File> = OnceLock::new();
    DOCUMENT.get_or_init(|| File::new(Bytes::from(openapi::text(&routes::table())), "application/json".to_owned()))
}

/// `GET /openapi.json`
pub async fn openapi(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    // It takes some time to write: nobody else on this thread waits for it.
    let file = web::block(document).await.map_err(|_| ApiError::Unavailable)?;
    Ok(file.respond(&request))
}

/// `GET /docs`, which has relative links.
pub async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/docs/")).finish()
}

/// `GET /docs/…`
pub async fn page(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().get("file").unwrap_or_default();
    let file = files().get(name).ok_or(ApiError::NotFound("page"))?;
    Ok(file.respond(&request))
}
