//! Several processes on one PostgreSQL, and what becomes of their answers when one of them, the server or the way to it fails.

mod backends;
mod bystander;
mod failover;
mod hangups;
mod load;
mod migrations;
mod network;
mod processes;
mod readiness;
mod rolling;
mod scene;
mod server;
mod watch;
