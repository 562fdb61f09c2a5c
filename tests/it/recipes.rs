//! The recipes for reverse proxies, as they are in `openapi/recipes`: in a real nginx and a real HAProxy between a customer and a
//! product, and by what Traefik and Envoy are documented to send.

mod asked;
mod closed;
mod documented;
mod front;
mod identity;
mod product;
mod proxy;
mod refusals;

use proxy::Kind;

/// What runs here for real.
const BOTH: [Kind; 2] = [Kind::Nginx, Kind::HaProxy];
