//! The relay's one port: the page, the bridge, the lab session, liveness. Everything that can be
//! refused is refused here, before a WebSocket exists. It never looks inside a message.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use percent_encoding::percent_decode_str;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;
use wire::{Role, SUBPROTOCOL, Transport};

use crate::bridge::Bridge;
use crate::carrier::Carrier;
use crate::clock::Clock;
use crate::config::{CONNECTION_LIMIT, Config, STOP_TIMEOUT};
use crate::lab::Lab;
use crate::page::{self, Asset};
use crate::policy::Refusal;
use crate::practice::Practice;
use crate::resolve::resolve;
use crate::session::Session;
use crate::sessions::{Full as SessionsFull, Place, Sessions};
use crate::socket::Udp;

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may last that does not become a session: a page is loaded in less, and a
/// client that reads nothing holds its place no longer.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
/// The largest head of a request, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// Unsent bytes that the system may hold for a client before the socket counts as full: what lies
/// there cannot be dropped for being old.
#[cfg(any(target_os = "linux", target_os = "android"))]
const UNSENT_BYTES: u32 = 128 * 1024;

type Body = Full<Bytes>;

/// A running relay, as its connections see it.
struct Relay {
    config: Config,
    clock: Clock,
    practice: Practice,
    sessions: Sessions,
}

/// Serves on `listener` until `shutdown` is done; then tells every session, waits for them at most
/// [`STOP_TIMEOUT`], and returns. The caller has bound the listener and started `practice`.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    clock: Clock,
    practice: Practice,
    shutdown: impl Future<Output = ()>,
) {
    let sessions = Sessions::new(&config.limits);
    let relay = Arc::new(Relay { config, clock, practice, sessions });
    let connections = Arc::new(tokio::sync::Semaphore::new(CONNECTION_LIMIT));
    let accepting = async {
        loop {
            let permit = connections.clone().acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let relay = relay.clone();
                    tokio::spawn(async move {
                        connection(relay, stream).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    // Mostly too many open files; accepting at once again would only spin.
                    tracing::warn!(%error, "accept");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown => {}
    }
    relay.sessions.stop();
    if tokio::time::timeout(STOP_TIMEOUT, relay.sessions.ended()).await.is_err() {
        tracing::warn!(seconds = STOP_TIMEOUT.as_secs(), "sessions did not end in time");
    }
    relay.practice.stop().await;
}

async fn connection(relay: Arc<Relay>, stream: TcpStream) {
    let (Ok(client), Ok(local)) = (stream.peer_addr(), stream.local_addr()) else { return };
    prepare(&stream);
    let service = service_fn(|request| {
        let relay = relay.clone();
        async move { Ok::<_, Infallible>(relay.answer(request, client, local).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        result = served => {
            if let Err(error) = result {
                tracing::debug!(%client, %error, "connection");
            }
        }
        () = relay.sessions.stopping() => {}
        () = tokio::time::sleep(CONNECTION_TIMEOUT) => {
            tracing::debug!(%client, seconds = CONNECTION_TIMEOUT.as_secs(), "connection too long");
        }
    }
}

/// A datagram does not wait for the acknowledgement of an earlier one (Nagle, RFC 1122 §4.2.3.4).
fn prepare(stream: &TcpStream) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY");
    }
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES) {
        tracing::debug!(%error, "TCP_NOTSENT_LOWAT");
    }
}

/// A refusal before the upgrade: a status, and a text that says what, why and what would help.
struct Refused {
    status: StatusCode,
    text: String,
}

impl Refused {
    fn new(status: StatusCode, what: impl std::fmt::Display, advice: Option<String>) -> Self {
        let text = match advice {
            Some(advice) => format!("{what}\n{advice}\n"),
            None => format!("{what}\n"),
        };
        Self { status, text }
    }

    fn bad_request(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what, None)
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::PortZero => StatusCode::BAD_REQUEST,
            _ => StatusCode::FORBIDDEN,
        };
        Self::new(status, &refusal, refusal.advice())
    }
}

impl From<SessionsFull> for Refused {
    fn from(full: SessionsFull) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, full, Some(full.advice().to_owned()))
    }
}

impl Relay {
    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        client: SocketAddr,
        local: SocketAddr,
    ) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let answer = if path == "/healthz" {
            Ok(text(StatusCode::OK, "ok\n"))
        } else {
            self.route(request, &path, client, local).await
        };
        answer.unwrap_or_else(|refused| {
            tracing::info!(%client, path, status = refused.status.as_u16(), why = refused.text.trim_end(), "refused");
            text(refused.status, refused.text)
        })
    }

    async fn route(
        self: Arc<Self>,
        request: Request<Incoming>,
        path: &str,
        client: SocketAddr,
        local: SocketAddr,
    ) -> Result<Response<Body>, Refused> {
        let hosts = values(request.headers(), &header::HOST);
        self.config
            .access
            .judge_host(&hosts, local)
            .map_err(|denied| Refused::new(StatusCode::FORBIDDEN, &denied, denied.advice()))?;
        if let Some(target) = path.strip_prefix("/udp/") {
            self.check_handshake(request.headers(), local, "the raw bridge")?;
            return self.raw_bridge(request, target, client).await;
        }
        if path == "/lab" {
            self.check_handshake(request.headers(), local, "the lab session")?;
            return self.lab_session(request, client);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(Refused::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("method is {}, here are GET and HEAD", request.method()),
                None,
            ));
        }
        match page::asset(path) {
            Some(asset) => Ok(asset_response(asset, request.headers())),
            None if path == "/" => Ok(text(StatusCode::SERVICE_UNAVAILABLE, page::NOT_BUILT)),
            None => Err(Refused::new(
                StatusCode::NOT_FOUND,
                format!("{path:?} is not here"),
                Some("here are /, /lab, /udp/HOST/PORT and /healthz".to_owned()),
            )),
        }
    }

    fn check_handshake(
        &self,
        headers: &HeaderMap,
        local: SocketAddr,
        what: &str,
    ) -> Result<(), Refused> {
        let (hosts, origins) = (values(headers, &header::HOST), values(headers, &header::ORIGIN));
        self.config
            .access
            .judge_origin(&origins, &hosts, local)
            .map_err(|denied| Refused::new(StatusCode::FORBIDDEN, &denied, denied.advice()))?;
        let upgrade = headers.get(header::UPGRADE).and_then(|value| value.to_str().ok());
        if upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket")) {
            return Ok(());
        }
        Err(Refused::new(
            StatusCode::UPGRADE_REQUIRED,
            format!("{what} is a WebSocket, and this request does not ask for one"),
            None,
        ))
    }

    async fn raw_bridge(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        target: &str,
        client: SocketAddr,
    ) -> Result<Response<Body>, Refused> {
        let (host, port) = split_target(target)?;
        let response = handshake(&request)?;
        let place = self.sessions.enter(client.ip())?;
        let found = resolve(&host, port).await.map_err(|error| match error {
            crate::resolve::ResolveError::Malformed(_) => Refused::bad_request(error),
            crate::resolve::ResolveError::NotResolved { .. } => {
                Refused::new(StatusCode::BAD_GATEWAY, error, None)
            }
        })?;
        let target = self.first_permitted(&found)?;
        let udp = Udp::connected(target).map_err(|error| {
            let error = crate::errno::socket_error(&error);
            Refused::new(StatusCode::BAD_GATEWAY, format!("{target}: {error}"), None)
        })?;
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Some((stream, read)) = upgraded(upgrade).await else { return };
            let limits = self.config.limits;
            let carrier = Carrier::new(stream, read, self.clock, limits.queue, limits.idle).await;
            let bridge = Bridge::new(carrier, udp, target, limits.sends_per_second, self.clock);
            bridge.run(place.stopping()).await;
        });
        Ok(response)
    }

    /// Every address is judged; the first that is permitted is the one that is used.
    fn first_permitted(&self, found: &[SocketAddr]) -> Result<SocketAddr, Refusal> {
        let mut judged =
            found.iter().map(|address| self.config.targets.judge(*address, Transport::Udp));
        let first = judged.next().expect("a resolved host has an address");
        first.or_else(|refusal| judged.find_map(Result::ok).ok_or(refusal))
    }

    fn lab_session(
        self: Arc<Self>,
        mut request: Request<Incoming>,
        client: SocketAddr,
    ) -> Result<Response<Body>, Refused> {
        let offered = values(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL);
        if !offered.iter().flat_map(|list| list.split(',')).any(|name| name.trim() == SUBPROTOCOL) {
            return Err(Refused::bad_request(format!(
                "the lab session needs the WebSocket subprotocol {SUBPROTOCOL}, offered was {:?}",
                offered.join(", ")
            )));
        }
        let mut response = handshake(&request)?;
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let place = self.sessions.enter(client.ip())?;
        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let Some((stream, read)) = upgraded(upgrade).await else { return };
            self.run_lab(stream, read, client, place).await;
        });
        Ok(response)
    }

    async fn run_lab(&self, stream: TcpStream, read: Bytes, client: SocketAddr, place: Place) {
        let limits = self.config.limits;
        // A connection from this machine to itself has one address at both ends.
        let is_own_machine = stream.local_addr().is_ok_and(|local| local.ip() == client.ip())
            || client.ip().to_canonical().is_loopback();
        let may_control = is_own_machine || self.config.share_servers;
        let role = if may_control { Role::Teacher } else { Role::Learner };
        let carrier = Carrier::new(stream, read, self.clock, limits.queue, limits.idle).await;
        let session = Session::new(
            place.name(),
            role,
            limits,
            Arc::new(self.config.targets.clone()),
            self.clock.now(),
        );
        let lab = Lab::new(carrier, session, self.practice.clone(), self.clock);
        lab.run(place.stopping()).await;
    }
}

/// The connection behind an upgrade, and what has been read of it already.
async fn upgraded(upgrade: OnUpgrade) -> Option<(TcpStream, Bytes)> {
    let upgraded = match upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "upgrade");
            return None;
        }
    };
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().ok()?;
    Some((parts.io.into_inner(), parts.read_buf))
}

/// The answer to a WebSocket handshake (RFC 6455 §4.2.2).
fn handshake(request: &Request<Incoming>) -> Result<Response<Body>, Refused> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    create_response_with_body(&head, Body::default)
        .map_err(|error| Refused::bad_request(format!("not a WebSocket handshake: {error}")))
}

/// `{host}/{port}`, the host percent-decoded, a trailing slash allowed as in RFC 9298's template.
fn split_target(path: &str) -> Result<(String, u16), Refused> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let Some((host, port)) = path.rsplit_once('/') else {
        return Err(Refused::bad_request(format!(
            "{path:?} is not HOST/PORT, as in /udp/127.0.0.1/9999"
        )));
    };
    let host = percent_decode_str(host)
        .decode_utf8()
        .map_err(|_| Refused::bad_request(format!("host {host:?} is not UTF-8")))?;
    let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port =
        port.parse::<u16>().ok().filter(|port| is_number && *port != 0).ok_or_else(|| {
            Refused::bad_request(format!("port is {port:?}, a target's port is 1 to 65535"))
        })?;
    Ok((host.into_owned(), port))
}

fn values<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap_or("\u{fffd}")).collect()
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::new(text.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn asset_response(asset: &'static Asset, request: &HeaderMap) -> Response<Body> {
    let lists = |name: HeaderName, wanted: &str| {
        values(request, &name)
            .iter()
            .flat_map(|list| list.split(','))
            .any(|item| item.split(';').next().is_some_and(|item| item.trim() == wanted))
    };
    let is_known = lists(header::IF_NONE_MATCH, asset.tag);
    let gzipped = lists(header::ACCEPT_ENCODING, "gzip");
    let content = match (is_known, gzipped) {
        (true, _) => &[],
        (false, true) => asset.gzip,
        (false, false) => asset.plain,
    };
    let mut response = Response::new(Body::new(Bytes::from_static(content)));
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &'static str| {
        headers.insert(name, HeaderValue::from_static(value));
    };
    put(header::CONTENT_TYPE, asset.media_type());
    put(header::ETAG, asset.tag);
    put(header::VARY, "accept-encoding");
    put(header::CACHE_CONTROL, "no-cache");
    put(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    put(header::REFERRER_POLICY, "no-referrer");
    put(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    put(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    if gzipped && !is_known {
        put(header::CONTENT_ENCODING, "gzip");
    }
    if let Some(policy) = content_security_policy(request) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What the page may load: itself. The WebSocket's origin is spelled out, because browsers do not
/// agree that `'self'` covers it (CSP 3 §6.7.2.8).
fn content_security_policy(request: &HeaderMap) -> Option<HeaderValue> {
    let host = values(request, &header::HOST).first().copied()?.to_owned();
    HeaderValue::from_str(&format!(
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
         img-src 'self'; connect-src 'self' ws://{host} wss://{host}; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'"
    ))
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(path: &str) -> Result<(String, u16), String> {
        split_target(path).map_err(|refused| refused.text)
    }

    #[test]
    fn a_target_is_a_host_and_a_port() {
        let good = [
            ("127.0.0.1/9999", "127.0.0.1"),
            ("127.0.0.1/9999/", "127.0.0.1"),
            ("[::1]/9999", "[::1]"),
            ("%5B%3A%3A1%5D/9999", "[::1]"),
            ("%3A%3A1/9999", "::1"),
            ("localhost/9999", "localhost"),
        ];
        for (path, host) in good {
            assert_eq!(target(path), Ok((host.to_owned(), 9999)), "{path}");
        }
        for path in ["", "127.0.0.1", "h/0", "h/65536", "h/+1", "h/", "h/x", "%ff/9"] {
            assert!(target(path).is_err(), "{path}");
        }
    }

    #[test]
    fn the_largest_message_read_is_larger_than_a_datagram() {
        const { assert!(wire::MESSAGE_LIMIT > wire::PAYLOAD_LIMIT_IPV6 + 64) };
    }
}
