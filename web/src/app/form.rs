//! The fields as typed and the settings they amount to. What was typed is never changed by an error.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use wire::{Family, Kind, ServerStatus, Transport};

use super::compose::{Compose, Notation, Template};
use super::target::{self, Host};
use super::text;

/// Most sends of one press.
pub const TIMES_LIMIT: u32 = 10_000;
/// Longest gap between sends, in milliseconds.
pub const GAP_LIMIT_MS: u32 = 60_000;
/// Longest timeout, in seconds: an hour.
pub const TIMEOUT_LIMIT_S: u32 = 3_600;
/// Largest receive buffer, in bytes; no datagram is larger.
pub const BUFFER_LIMIT: u32 = 65_535;

/// The hello server, as long as no relay has said where it is.
const HELLO: (IpAddr, u16) = (IpAddr::V4(Ipv4Addr::LOCALHOST), 20_001);

/// The practice servers chosen to start with.
const FIRST_UDP: &str = "hello";
const FIRST_TCP: &str = "ack-tcp";

/// The page's choice of socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SocketKind {
    /// UDP: sendto and recvfrom.
    #[default]
    Udp,
    /// UDP: connect, send and recv.
    UdpConnected,
    /// TCP: connect, send and recv.
    Tcp,
    /// UDP: bind, recvfrom and sendto.
    UdpServer,
    /// TCP: bind, listen and accept.
    TcpServer,
}

impl SocketKind {
    /// All, with the words the markup has for them.
    pub const ALL: [(Self, &str); 5] = [
        (Self::Udp, "udp"),
        (Self::UdpConnected, "udp-connected"),
        (Self::Tcp, "tcp"),
        (Self::UdpServer, "udp-server"),
        (Self::TcpServer, "tcp-server"),
    ];

    /// The kind that the markup calls so.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == word).map(|(kind, _)| *kind)
    }

    /// As the markup calls it.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("udp", |(_, word)| word)
    }

    /// Whether others call this socket.
    pub fn is_server(self) -> bool {
        matches!(self, Self::UdpServer | Self::TcpServer)
    }

    /// Whether it has one peer.
    pub fn is_connected(self) -> bool {
        matches!(self, Self::UdpConnected | Self::Tcp)
    }

    /// Whether it carries a stream.
    pub fn is_stream(self) -> bool {
        self.transport() == Transport::Tcp
    }

    /// What it runs over.
    pub fn transport(self) -> Transport {
        match self {
            Self::Udp | Self::UdpConnected | Self::UdpServer => Transport::Udp,
            Self::Tcp | Self::TcpServer => Transport::Tcp,
        }
    }

    /// As `open` names it.
    pub fn wire(self) -> Kind {
        match self.transport() {
            Transport::Udp => Kind::Udp,
            Transport::Tcp => Kind::Tcp,
        }
    }
}

/// What a page that is a server answers with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerMode {
    /// A person answers.
    #[default]
    ByHand,
    /// `ack:` and the bytes that came.
    Ack,
    /// The message, each time.
    Fixed,
}

/// What is sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A practice server, by its name.
    Practice(String),
    /// Host and port as typed.
    Other,
}

/// A field that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Which socket.
    SocketKind,
    /// Which practice server.
    Target,
    /// Another host.
    Host,
    /// Its port.
    Port,
    /// The port to listen on.
    ListenPort,
    /// The message.
    Message,
    /// How many sends.
    Times,
    /// The gap between them.
    Gap,
    /// How long to wait.
    Timeout,
    /// The receive buffer.
    Buffer,
    /// The socket's own port.
    LocalPort,
}

impl Field {
    /// All fields, in the order of the page.
    pub const ALL: [Self; 11] = [
        Self::SocketKind,
        Self::Target,
        Self::Host,
        Self::Port,
        Self::ListenPort,
        Self::Message,
        Self::Times,
        Self::Gap,
        Self::Timeout,
        Self::Buffer,
        Self::LocalPort,
    ];

    /// Whether it stands under “More”.
    pub fn is_under_more(self) -> bool {
        matches!(self, Self::Times | Self::Gap | Self::Timeout | Self::Buffer | Self::LocalPort)
    }
}

/// Fields and what is wrong with them, in the order of the page.
pub type Errors = Vec<(Field, String)>;

/// Everything that decides what Send does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Which socket.
    pub kind: SocketKind,
    /// The target, or for a server the address to listen on.
    pub host: Host,
    /// The target's port; a server's own is `local_port`.
    pub port: u16,
    /// The socket's own port; 0 lets the system choose.
    pub local_port: u16,
    /// The message, or a server's answer.
    pub message: Template,
    /// How many sends.
    pub times: u32,
    /// The time between them.
    pub gap: Duration,
    /// How long to wait for a reply; none is without end.
    pub timeout: Option<Duration>,
    /// The receive buffer, in bytes.
    pub buffer: u32,
    /// What a server answers with.
    pub answer: AnswerMode,
}

/// The fields as typed.
#[derive(Clone, Debug)]
pub struct Form {
    /// Which socket.
    pub kind: SocketKind,
    /// The UDP target, kept while another kind is chosen.
    pub udp_choice: Choice,
    /// The TCP target, kept likewise.
    pub tcp_choice: Choice,
    /// Another host.
    pub host: String,
    /// Its port.
    pub port: String,
    /// The port to listen on.
    pub listen_port: String,
    /// What a server answers with.
    pub answer: AnswerMode,
    /// A client's message.
    pub message: Compose,
    /// A server's answer.
    pub reply: Compose,
    /// How many sends.
    pub times: String,
    /// Milliseconds between them.
    pub gap: String,
    /// Seconds to wait.
    pub timeout: String,
    /// The receive buffer, in bytes.
    pub buffer: String,
    /// The socket's own port.
    pub local_port: String,
    /// The address a server listens on.
    pub here: Host,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            kind: SocketKind::Udp,
            udp_choice: Choice::Practice(FIRST_UDP.to_owned()),
            tcp_choice: Choice::Practice(FIRST_TCP.to_owned()),
            host: "127.0.0.1".to_owned(),
            port: "9999".to_owned(),
            listen_port: "20010".to_owned(),
            answer: AnswerMode::ByHand,
            message: Compose::default(),
            reply: Compose {
                typed: "Hello UDP Client".to_owned(),
                notation: Notation::Text,
                refused: None,
            },
            times: "1".to_owned(),
            gap: "0".to_owned(),
            timeout: "2".to_owned(),
            buffer: "4096".to_owned(),
            local_port: "0".to_owned(),
            here: Host::Ip(HELLO.0),
        }
    }
}

impl Form {
    /// What is sent to, of the kind chosen.
    pub fn choice(&self) -> &Choice {
        match self.kind.transport() {
            Transport::Udp => &self.udp_choice,
            Transport::Tcp => &self.tcp_choice,
        }
    }

    /// Chooses what is sent to. Another host is another host over either transport; a practice
    /// server of the one leaves the other its own.
    pub fn choose(&mut self, choice: Choice) {
        let (here, there, first_there) = match self.kind.transport() {
            Transport::Udp => (&mut self.udp_choice, &mut self.tcp_choice, FIRST_TCP),
            Transport::Tcp => (&mut self.tcp_choice, &mut self.udp_choice, FIRST_UDP),
        };
        if choice == Choice::Other {
            *there = Choice::Other;
        } else if *there == Choice::Other {
            *there = Choice::Practice(first_there.to_owned());
        }
        *here = choice;
    }

    /// The message that the field shows.
    pub fn compose(&self) -> &Compose {
        if self.kind.is_server() { &self.reply } else { &self.message }
    }

    /// The same, to be changed.
    pub fn compose_mut(&mut self) -> &mut Compose {
        if self.kind.is_server() { &mut self.reply } else { &mut self.message }
    }

    /// The field that a refused target belongs to.
    pub fn target_field(&self) -> Field {
        match self.choice() {
            Choice::Practice(_) => Field::Target,
            Choice::Other => Field::Host,
        }
    }

    /// Where to send, or what is wrong.
    ///
    /// # Errors
    /// Each wrong field with its reason.
    pub fn target(&self, servers: &[ServerStatus]) -> Result<(Host, u16), Errors> {
        match self.choice() {
            Choice::Practice(name) => {
                if let Some(status) = servers.iter().find(|status| status.server == *name) {
                    let address = reachable(status.address);
                    return Ok((Host::Ip(address.ip()), address.port()));
                }
                if servers.is_empty() {
                    return Ok((Host::Ip(HELLO.0), if name == "hello" { HELLO.1 } else { 9_999 }));
                }
                Err(vec![(Field::Target, format!("This relay has no {name} server."))])
            }
            Choice::Other => {
                match (target::parse_host(&self.host), target::parse_port(&self.port)) {
                    (Ok(host), Ok(port)) => Ok((host, port)),
                    (host, port) => Err(host
                        .err()
                        .map(|why| (Field::Host, why))
                        .into_iter()
                        .chain(port.err().map(|why| (Field::Port, why)))
                        .collect()),
                }
            }
        }
    }

    /// What all fields amount to.
    ///
    /// # Errors
    /// Each wrong field with its reason.
    pub fn settings(&self, servers: &[ServerStatus]) -> Result<Settings, Errors> {
        let mut errors = Errors::new();
        let is_server = self.kind.is_server();
        let (host, port) = if is_server {
            (self.here.clone(), 0)
        } else {
            self.target(servers).unwrap_or_else(|wrong| {
                errors.extend(wrong);
                (Host::Ip(HELLO.0), HELLO.1)
            })
        };
        let mut take = |field, parsed: Result<u32, String>| {
            parsed.unwrap_or_else(|why| {
                errors.push((field, why));
                0
            })
        };
        let (field, typed) = if is_server {
            (Field::ListenPort, &self.listen_port)
        } else {
            (Field::LocalPort, &self.local_port)
        };
        let mut local_port = target::parse_local_port(typed).map(u32::from);
        if is_server {
            local_port = Ok(take(field, local_port));
        }
        let times = take(Field::Times, whole(&self.times, 1, TIMES_LIMIT, "sends"));
        let gap = take(Field::Gap, whole(&self.gap, 0, GAP_LIMIT_MS, "ms"));
        let timeout_ms = take(Field::Timeout, timeout_ms(&self.timeout));
        let buffer = take(Field::Buffer, whole(&self.buffer, 0, BUFFER_LIMIT, "bytes"));
        let local_port = take(field, local_port);
        let message = match self.compose().template() {
            Ok(message) => message,
            Err(why) => {
                let place = errors.iter().position(|(field, _)| field.is_under_more());
                errors.insert(place.unwrap_or(errors.len()), (Field::Message, why));
                return Err(errors);
            }
        };
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Settings {
            kind: self.kind,
            host,
            port,
            local_port: u16::try_from(local_port).unwrap_or(0),
            message,
            times,
            gap: Duration::from_millis(gap.into()),
            timeout: (timeout_ms > 0).then(|| Duration::from_millis(timeout_ms.into())),
            buffer,
            answer: self.answer,
        })
    }

    /// The settings under “More” in a few words.
    pub fn more_summary(&self) -> String {
        let mut out = match whole(&self.times, 1, TIMES_LIMIT, "sends") {
            Ok(1) => "once".to_owned(),
            Ok(times) => {
                let mut out = format!("{} times", text::count(times.into()));
                if let Ok(gap @ 1..) = whole(&self.gap, 0, GAP_LIMIT_MS, "ms") {
                    out.push_str(&format!(", {} ms apart", text::count(gap.into())));
                }
                out
            }
            Err(_) => "times ?".to_owned(),
        };
        out.push_str(&match timeout_ms(&self.timeout) {
            Ok(0) => " · no timeout".to_owned(),
            Ok(ms) => {
                format!(" · timeout {} s", text::seconds(Duration::from_millis(ms.into())))
            }
            Err(_) => " · timeout ?".to_owned(),
        });
        match whole(&self.buffer, 0, BUFFER_LIMIT, "bytes") {
            Ok(buffer) => out.push_str(&format!(" · buffer {}", text::count(buffer.into()))),
            Err(_) => out.push_str(" · buffer ?"),
        }
        match target::parse_local_port(&self.local_port) {
            Ok(0) => {}
            Ok(port) => out.push_str(&format!(" · from port {port}")),
            Err(_) => out.push_str(" · local port ?"),
        }
        out
    }
}

/// A server that listens everywhere is called at home.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
        }
        IpAddr::V6(ip) if ip.is_unspecified() => {
            SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), address.port())
        }
        _ => address,
    }
}

/// The family of an address, as `open` names it.
pub fn family(ip: IpAddr) -> Family {
    if ip.is_ipv4() { Family::Ipv4 } else { Family::Ipv6 }
}

/// A whole number; commas may stand in it.
fn whole(typed: &str, least: u32, most: u32, unit: &str) -> Result<u32, String> {
    let bare: String = typed.trim().chars().filter(|c| *c != ',').collect();
    let is_number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    match bare.parse::<u32>() {
        Ok(number) if is_number && (least..=most).contains(&number) => Ok(number),
        _ => Err(format!(
            "Type a whole number from {least} to {} ({unit}).",
            text::count(most.into())
        )),
    }
}

/// Seconds with at most three decimals, as milliseconds.
fn timeout_ms(typed: &str) -> Result<u32, String> {
    let wrong = || {
        Err(format!(
            "Type seconds from 0 to {}, such as 2 or 0.5; 0 waits without end.",
            text::count(TIMEOUT_LIMIT_S.into())
        ))
    };
    let typed = typed.trim().replace(',', ".");
    let (whole, part) = typed.split_once('.').unwrap_or((&typed, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 3 {
        return wrong();
    }
    let seconds = if whole.is_empty() { Ok(0) } else { whole.parse::<u32>() };
    let part = if part.is_empty() { Ok(0) } else { format!("{part:0<3}").parse::<u32>() };
    match (seconds, part) {
        (Ok(seconds), Ok(part))
            if seconds < TIMEOUT_LIMIT_S || (seconds == TIMEOUT_LIMIT_S && part == 0) =>
        {
            Ok(seconds * 1_000 + part)
        }
        _ => wrong(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_as_it_first_stands_is_the_lesson() {
        let settings = Form::default().settings(&[]).expect("nothing is wrong with it");
        assert_eq!(settings.host, Host::Ip(HELLO.0));
        assert_eq!((settings.port, settings.times, settings.buffer), (20_001, 1, 4_096));
        assert_eq!(settings.timeout, Some(Duration::from_secs(2)));
        assert_eq!(Form::default().more_summary(), "once · timeout 2 s · buffer 4,096");
    }

    #[test]
    fn timeouts_are_seconds_with_decimals() {
        for (typed, ms) in [("2", 2_000), ("0.5", 500), (".25", 250), ("0,5", 500), ("0", 0)] {
            assert_eq!(timeout_ms(typed), Ok(ms), "{typed}");
        }
        for typed in ["", ".", "-1", "1e3", "3601", "3600.001", "0.0001", "NaN"] {
            assert!(timeout_ms(typed).is_err(), "{typed}");
        }
    }

    #[test]
    fn every_wrong_field_is_named_and_keeps_what_was_typed() {
        let form = Form {
            udp_choice: Choice::Other,
            host: "no host".to_owned(),
            port: "x".to_owned(),
            times: "10001".to_owned(),
            gap: "-1".to_owned(),
            buffer: "65536".to_owned(),
            local_port: "65536".to_owned(),
            ..Form::default()
        };
        let wrong = form.settings(&[]).expect_err("six fields are wrong");
        let fields: Vec<Field> = wrong.into_iter().map(|(field, _)| field).collect();
        assert!(fields.is_sorted_by_key(|field| Field::ALL.iter().position(|it| it == field)));
        assert_eq!(fields.len(), 6);
        assert_eq!(form.host, "no host");
    }

    proptest! {
        #[test]
        fn no_typing_panics(typed in any::<String>()) {
            let form = Form {
                times: typed.clone(),
                gap: typed.clone(),
                timeout: typed.clone(),
                buffer: typed.clone(),
                local_port: typed,
                ..Form::default()
            };
            let _ = (form.settings(&[]), form.more_summary());
        }
    }
}
