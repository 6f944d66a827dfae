//! The addresses of one server: the configured one, and those of its standbys.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::{HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Url};

use super::settings::{self, HttpSettings};
use super::{HttpError, HttpErrorKind};
use crate::text::sanitize;

/// One address.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) client: Client,
    /// As configured, for messages.
    pub(super) address: String,
    /// What request paths are appended to: without a slash at its end.
    pub(super) base: String,
    /// The `Host` header, where the URL names the TLS server name instead of the address.
    pub(super) host: Option<HeaderValue>,
    /// Its scheme, host and port are what a redirect must point to.
    url: Url,
}

/// All addresses, the configured one first. Requests go to the one that worked last.
#[derive(Debug)]
pub(super) struct Nodes {
    all: Vec<Node>,
    current: AtomicUsize,
}

impl Nodes {
    pub(super) fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        let addresses = [&settings.address].into_iter().chain(&settings.standby_addresses);
        let node = |address: &String| {
            let settings::Prepared { client, base, host } = settings::prepare(address, settings)?;
            let url = Url::parse(address)
                .map_err(|error| HttpError::new(HttpErrorKind::InvalidUrl, format!("the address: {error}")))?;
            Ok(Node { client, address: address.clone(), base, host, url })
        };
        Ok(Self { all: addresses.map(node).collect::<Result<_, HttpError>>()?, current: AtomicUsize::new(0) })
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// The one that requests go to first.
    pub(super) fn current(&self) -> usize {
        self.current.load(Ordering::Relaxed)
    }

    pub(super) fn get(&self, at: usize) -> &Node {
        &self.all[at % self.all.len()]
    }

    /// The one to try when this one does not work.
    pub(super) fn after(&self, at: usize) -> usize {
        (at + 1) % self.all.len()
    }

    /// The one that requests go to now knows of no leader: another one may.
    pub(super) fn turn_away(&self) {
        self.current.store(self.after(self.current()), Ordering::Relaxed);
    }

    /// This one works: later requests go there.
    pub(super) fn prefer(&self, at: usize) {
        if self.len() > 1 && self.current.swap(at, Ordering::Relaxed) != at {
            let (server, node) = (self.all[0].address.as_str(), self.get(at).address.as_str());
            tracing::warn!(server, node, "another node of the cluster answers: requests go there from now on");
        }
    }

    /// The one that a redirect points to, if it is among them. Only scheme, host and port count: what is sent there is
    /// the same request, and nothing that the server made up.
    ///
    /// # Errors
    /// [`HttpErrorKind::Redirect`], which names the place.
    pub(super) fn target(&self, from: &Node, headers: &HeaderMap) -> Result<usize, HttpError> {
        let target = headers
            .get(LOCATION)
            .and_then(|location| location.to_str().ok())
            // a relative one stays where it is
            .and_then(|location| from.url.join(location).ok());
        let Some(target) = target else {
            return Err(HttpError::new(HttpErrorKind::Redirect, "the server redirects to an unknown place"));
        };
        let found = self.all.iter().position(|node| node.url.origin() == target.origin());
        found.ok_or_else(|| HttpError::redirect(&sanitize(&target.origin().ascii_serialization())))
    }
}
