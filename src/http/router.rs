//! Routes and their documentation, registered in one call.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, Responder, Route, web};
use futures_util::FutureExt;
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::{Components, Paths};

use super::document::{Describe, Description, Doc, NamedSchema, close};
use super::error::ApiError;
use super::extract::Permission;

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

impl<T: 'static> Describe for web::Data<T> {
    fn describe(_: &mut Description<'_>) {}
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

/// One operation: where it is served, how it is documented.
struct Entry {
    method: Method,
    path: &'static str,
    operation: Operation,
    route: Box<dyn Fn() -> Route + Send + Sync>,
}

/// Every operation there is.
#[derive(Default)]
pub struct Table {
    entries: Vec<Entry>,
    schemas: BTreeMap<String, utoipa::openapi::RefOr<utoipa::openapi::schema::Schema>>,
}

impl Table {
    /// Serves `handler` at `method` and `path`.
    #[must_use]
    pub fn on<F, Args>(mut self, method: Method, path: &'static str, doc: &Doc, handler: F) -> Self
    where
        F: Handler<Args> + Send + Sync,
        Args: Signature + 'static,
        F::Output: Responder + Describe + 'static,
        F::Future: Future<Output = F::Output>,
    {
        let mut description = Description::new(&method, path, doc);
        Args::describe(&mut description);
        F::Output::describe(&mut description);
        let (operation, schemas, strict) = description.finish();
        self.add_schemas(schemas, &strict);
        let served = method.clone();
        let handler = Caught(handler);
        let route = Box::new(move || web::method(served.clone()).to(handler.clone()));
        self.entries.push(Entry { method, path, operation, route });
        self
    }

    fn add_schemas(&mut self, schemas: Vec<NamedSchema>, strict: &[String]) {
        for (name, mut schema) in schemas {
            if strict.contains(&name) || name.ends_with("Body") || name.ends_with("Document") {
                close(&mut schema);
            }
            self.schemas.insert(name, schema);
        }
    }

    /// Serves every operation, and answers 405 with `Allow` for the other methods of its path.
    pub fn mount(&self, config: &mut web::ServiceConfig) {
        let mut by_path: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            by_path.entry(entry.path).or_default().push(entry);
        }
        for (path, entries) in by_path {
            let allowed: Vec<&str> = entries.iter().map(|entry| entry.method.as_str()).collect();
            let allowed: Arc<str> = allowed.join(", ").into();
            let refuse = move |_: HttpRequest| {
                let error = ApiError::MethodNotAllowed(allowed.to_string());
                async move { Err::<actix_web::HttpResponse, _>(error) }
            };
            let mut resource = web::resource(path).default_service(web::route().to(refuse));
            for entry in entries {
                resource = resource.route((entry.route)());
            }
            config.service(resource);
        }
    }

    /// The operations as the document shows them, and the schemas that they speak of.
    pub fn describe(&self) -> (Paths, Components) {
        let mut paths = Paths::new();
        for Entry { method, path, operation, .. } in &self.entries {
            paths.add_path_operation(*path, vec![documented(method)], operation.clone());
        }
        let mut components = Components::new();
        components.schemas.extend(self.schemas.clone());
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
