//! Routes and their documentation, registered in one call.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, guard, web};
use futures_util::FutureExt;
use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::Schema;
use utoipa::openapi::{Components, Paths, RefOr};

use super::document::{Describe, Description, Doc, NamedSchema, close};
use super::error::ApiError;
use super::extract::{Permission, WithoutQuery};

/// A handler's arguments: the first says who may call it, all of them document themselves.
pub trait Signature: FromRequest {
    /// Adds every argument's part of the operation.
    fn describe(description: &mut Description<'_>);
}

macro_rules! signatures {
    ($(($($argument:ident),*)),* $(,)?) => {$(
        impl<P: Permission + FromRequest + Describe + 'static, $($argument: FromRequest + Describe + 'static),*> Signature for (P, $($argument,)*) {
            fn describe(description: &mut Description<'_>) {
                P::describe(description);
                $($argument::describe(description);)*
            }
        }
    )*};
}

signatures!((), (A), (A, B), (A, B, C), (A, B, C, D), (A, B, C, D, E));

impl<T: Describe> Describe for Result<T, ApiError> {
    fn describe(description: &mut Description<'_>) {
        T::describe(description);
    }
}

/// A handler whose panic is answered like any other error, instead of closing the connection.
#[derive(Clone)]
struct Caught<F>(F);

type CaughtFuture<F> = futures_util::future::Map<
    futures_util::future::CatchUnwind<AssertUnwindSafe<F>>,
    fn(std::thread::Result<<F as Future>::Output>) -> Result<<F as Future>::Output, ApiError>,
>;

impl<F: Handler<Args>, Args> Handler<Args> for Caught<F> {
    type Output = Result<F::Output, ApiError>;
    type Future = CaughtFuture<F::Future>;

    fn call(&self, args: Args) -> Self::Future {
        // A handler owns what it touches, so nothing half-changed outlives its panic.
        AssertUnwindSafe(self.0.call(args)).catch_unwind().map(|outcome| {
            outcome.map_err(|_| {
                tracing::error!("a handler panicked");
                ApiError::Internal
            })
        })
    }
}

/// A route for `GET`: whoever may get a thing may ask for its head.
pub fn readable() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

/// What an operation is documented with: itself, the schemas that it speaks of, and which of them take no other fields.
type Described = (Operation, Vec<NamedSchema>, Vec<String>);

/// One operation: where it is served, how it is documented.
struct Entry {
    method: Method,
    path: &'static str,
    doc: &'static Doc,
    /// Made anew each time: all of them together are some megabytes, which a process that is never asked for them does not keep.
    describe: fn(&Method, &'static str, &'static Doc) -> Described,
    route: Box<dyn Fn() -> Route + Send + Sync>,
    /// Whether it answers every method, and every path that begins like its own.
    is_for_all: bool,
}

impl Entry {
    fn described(&self) -> Described {
        (self.describe)(&self.method, self.path, self.doc)
    }

    fn takes_query(&self) -> bool {
        let is_in_query = |parameter: &RefOr<Parameter>| match parameter {
            RefOr::T(parameter) => parameter.parameter_in == ParameterIn::Query,
            RefOr::Ref(_) => false,
        };
        let (operation, ..) = self.described();
        operation.parameters.iter().flatten().any(is_in_query)
    }
}

/// Every operation there is.
#[derive(Default)]
pub struct Table {
    entries: Vec<Entry>,
}

/// By their names, each once.
type Schemas = BTreeMap<String, RefOr<Schema>>;

/// What an operation says of itself, by its handler's arguments and by what it answers.
fn described<Output: Describe, Args: Signature>(method: &Method, path: &'static str, doc: &'static Doc) -> Described {
    let mut description = Description::new(method, path, doc);
    Args::describe(&mut description);
    Output::describe(&mut description);
    description.finish()
}

fn add_schemas(all: &mut Schemas, schemas: Vec<NamedSchema>, strict: &[String]) {
    for (name, mut schema) in schemas {
        if strict.contains(&name) || name.ends_with("Body") || name.ends_with("Document") {
            close(&mut schema);
        }
        all.insert(name, schema);
    }
}

impl Table {
    /// Serves `handler` at `method` and `path`.
    #[must_use]
    pub fn on<F, Args>(self, method: Method, path: &'static str, doc: &'static Doc, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: Signature + 'static,
        F::Output: Responder + Describe + 'static,
        F::Future: Future<Output = F::Output>,
    {
        let served = method.clone();
        let handler = Caught(handler);
        let route = Box::new(move || match served {
            Method::GET => readable().to(handler.clone()),
            _ => web::method(served.clone()).to(handler.clone()),
        });
        self.enter::<F::Output, Args>(method, path, doc, route)
    }

    /// Serves `handler` at `path` for every method but TRACE. The document shows it under `GET`. A variable part at the end of the
    /// path holds all that follows.
    #[must_use]
    pub fn any<F, Args>(self, path: &'static str, doc: &'static Doc, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: Signature + 'static,
        F::Output: Responder + Describe + 'static,
        F::Future: Future<Output = F::Output>,
    {
        let handler = Caught(handler);
        // TRACE asks to have credentials repeated (RFC 9110, 9.3.8).
        let route = Box::new(move || web::route().guard(guard::Not(guard::Trace())).to(handler.clone()));
        let mut table = self.enter::<F::Output, Args>(Method::GET, path, doc, route);
        table.entries.iter_mut().filter(|entry| entry.path == path).for_each(|entry| entry.is_for_all = true);
        table
    }

    fn enter<Output: Describe, Args: Signature>(
        mut self,
        method: Method,
        path: &'static str,
        doc: &'static Doc,
        route: Box<dyn Fn() -> Route + Send + Sync>,
    ) -> Self {
        let describe = described::<Output, Args>;
        self.entries.push(Entry { method, path, doc, describe, route, is_for_all: false });
        self
    }

    /// Serves every operation, and answers 405 with `Allow` for the other methods of its path.
    pub fn mount(&self, config: &mut web::ServiceConfig) {
        // The router tries resources in turn: fixed paths before patterns, and what services ask before what admins do.
        let mut by_path: BTreeMap<(bool, bool, &str), Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            let is_pattern = entry.path.contains('{');
            let is_admin = entry.path.starts_with("/v1/admin");
            by_path.entry((is_pattern, is_admin, entry.path)).or_default().push(entry);
        }
        for ((.., path), entries) in by_path {
            let mut allowed: Vec<&str> = entries.iter().map(|entry| entry.method.as_str()).collect();
            if allowed.contains(&"GET") {
                allowed.push("HEAD");
            }
            if entries.iter().any(|entry| entry.is_for_all) {
                allowed.extend(["POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
            }
            let allowed: Arc<str> = allowed.join(", ").into();
            let refuse = move |_: HttpRequest| {
                let error = ApiError::MethodNotAllowed(allowed.to_string());
                async move { Err::<actix_web::HttpResponse, _>(error) }
            };
            let tail = entries.iter().any(|entry| entry.is_for_all);
            let pattern = if tail { path.replace('}', ":.*}") } else { path.to_owned() };
            let without_query = entries.iter().filter(|entry| !entry.takes_query()).map(|entry| entry.method.clone()).collect();
            let mut resource =
                web::resource(pattern).app_data(WithoutQuery(without_query)).default_service(web::route().to(refuse));
            for entry in entries {
                resource = resource.route((entry.route)());
            }
            config.service(resource);
        }
    }

    /// The operations as the document shows them, and the schemas that they speak of.
    pub fn describe(&self) -> (Paths, Components) {
        let (mut paths, mut schemas) = (Paths::new(), Schemas::new());
        for entry in &self.entries {
            let (operation, named, strict) = entry.described();
            add_schemas(&mut schemas, named, &strict);
            paths.add_path_operation(entry.path, vec![documented(&entry.method)], operation);
        }
        let mut components = Components::new();
        components.schemas.extend(schemas);
        (paths, components)
    }
}

fn documented(method: &Method) -> HttpMethod {
    match method.as_str() {
        "PUT" => HttpMethod::Put,
        "POST" => HttpMethod::Post,
        "DELETE" => HttpMethod::Delete,
        "PATCH" => HttpMethod::Patch,
        _ => HttpMethod::Get,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::super::edge;
    use super::super::envelope::Data;
    use super::super::extract::Public;
    use super::*;

    const DOC: Doc = Doc { id: "x", tag: "x", summary: "x", text: "", examples: &[], errors: &[] };

    async fn fails_at_once(_: Public) -> Result<Data<String>, ApiError> {
        panic!("a secret that a caller must not see")
    }

    async fn fails_later(_: Public) -> Result<Data<String>, ApiError> {
        tokio::task::yield_now().await;
        panic!("a secret that a caller must not see")
    }

    async fn answers(_: Public) -> Result<Data<String>, ApiError> {
        Ok(Data("fine".to_owned()))
    }

    #[tokio::test]
    async fn a_handler_that_panics_is_answered_with_an_enveloped_500() {
        let table = Table::default()
            .on(Method::GET, "/at-once", &DOC, fails_at_once)
            .on(Method::GET, "/later", &DOC, fails_later)
            .on(Method::GET, "/fine", &DOC, answers);
        let app = App::new().wrap(from_fn(edge::pass)).configure(|config| table.mount(config));
        let app = init_service(app).await;
        for path in ["/at-once", "/later"] {
            let response = call_service(&app, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(response.status().as_u16(), 500);
            assert_eq!(
                response.headers().get(CONTENT_TYPE).map(actix_web::http::header::HeaderValue::as_bytes),
                Some(&b"application/json"[..])
            );
            assert!(response.headers().contains_key("x-request-id"));
            let body = r#"{"data":null,"error":"Something went wrong here. The request id finds it in the log","meta":{"code":"internal_error"}}"#;
            assert_eq!(read_body(response).await, body);
            let next = call_service(&app, TestRequest::get().uri("/fine").to_request()).await;
            assert_eq!(next.status().as_u16(), 200, "the worker goes on");
        }
    }
}
