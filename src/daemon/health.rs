//! The HTTP endpoint that tells how a daemon is: `/live`, `/ready`, `/status`.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::status::SharedStatus;

/// The endpoint; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct HealthServer {
    pub(super) address: SocketAddr,
    _running: DropGuard,
}

impl HealthServer {
    pub(super) async fn start(address: SocketAddr, status: SharedStatus) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/live", get(live))
            .route("/ready", get(ready))
            .route("/status", get(whole))
            .with_state(status);
        let serve = axum::serve(listener, router);
        let stopped = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                served = serve => if let Err(error) = served {
                    tracing::error!(%error, "the health endpoint has ended");
                },
                () = stopped.cancelled() => {}
            }
        });
        Ok(Self { address, _running: stop.drop_guard() })
    }
}

async fn live(State(status): State<SharedStatus>) -> Response {
    answer(status.is_live(), "live", "the loop has not turned for a while")
}

async fn ready(State(status): State<SharedStatus>) -> Response {
    answer(status.is_ready(), "ready", "not everything was looked at lately; /status tells more")
}

async fn whole(State(status): State<SharedStatus>) -> Response {
    let text = crate::text::to_json(&status.picture()).unwrap_or_default();
    ([(CONTENT_TYPE, "application/json")], text).into_response()
}

fn answer(well: bool, yes: &str, no: &str) -> Response {
    let (code, text) = if well { (StatusCode::OK, yes) } else { (StatusCode::SERVICE_UNAVAILABLE, no) };
    (code, format!("{text}\n")).into_response()
}
