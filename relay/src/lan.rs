//! What to say when others on the network may join: addresses, a QR code, and what that exposes. It
//! never opens anything.

use std::net::{IpAddr, SocketAddr};

use qrcode::{Color, EcLevel, QrCode};

/// Modules of blank space around a QR code (ISO/IEC 18004 §9.1).
const QUIET_ZONE: usize = 4;
/// Black on white, whatever the terminal's own colours are: a scanner wants dark modules on light.
/// These two of the 256 colours are never themed.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";
/// Whether a TCP socket that listens on `::` hears IPv4 too, as systems set it (RFC 3493 §5.3); one
/// on Windows does not.
const HEARS_IPV4: bool = !cfg!(windows);

/// The addresses by which others reach a server that listens on `listen`, the likeliest first: for
/// an unspecified address those of this machine's interfaces.
pub fn addresses(listen: SocketAddr) -> Vec<SocketAddr> {
    if !listen.ip().is_unspecified() {
        return vec![listen];
    }
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let own = interfaces.into_iter().map(|interface| interface.ip());
    reachable(listen.ip(), own).map(|ip| SocketAddr::new(ip, listen.port())).collect()
}

/// Those of `own` that others on the network can use, private IPv4 first.
fn reachable(listen: IpAddr, own: impl Iterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
    let mut found: Vec<_> = own
        .filter(|ip| match ip {
            IpAddr::V4(v4) => (listen.is_ipv4() || HEARS_IPV4) && !v4.is_link_local(),
            IpAddr::V6(v6) => listen.is_ipv6() && !v6.is_unicast_link_local(),
        })
        .filter(|ip| !ip.is_loopback() && !ip.is_unspecified() && !ip.is_multicast())
        .collect();
    found.sort_by_key(|ip| (!is_private_ipv4(*ip), ip.is_ipv6(), *ip));
    found.dedup();
    found.into_iter()
}

fn is_private_ipv4(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V4(v4) if v4.is_private())
}

/// A QR code as text for a terminal, two rows of modules in a line, in black on white by escape
/// sequences of its own. Empty if `text` is longer than a QR code holds.
pub fn qr(text: &str) -> String {
    let Ok(code) = QrCode::with_error_correction_level(text, EcLevel::M) else {
        return String::new();
    };
    let width = code.width();
    let modules = code.to_colors();
    let side = width + 2 * QUIET_ZONE;
    let is_dark = |x: usize, y: usize| {
        let inside = (QUIET_ZONE..QUIET_ZONE + width).contains(&x)
            && (QUIET_ZONE..QUIET_ZONE + width).contains(&y);
        inside && modules[(y - QUIET_ZONE) * width + x - QUIET_ZONE] == Color::Dark
    };
    let mut lines = String::new();
    for y in (0..side).step_by(2) {
        lines.push_str(BLACK_ON_WHITE);
        lines.extend((0..side).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (false, false) => ' ',
            (true, false) => '▀',
            (false, true) => '▄',
            (true, true) => '█',
        }));
        lines.push_str(RESET);
        lines.push('\n');
    }
    lines
}

/// What is printed when the relay listens beyond loopback: how to join, and what that exposes.
/// `permitted` are the targets in words; the QR code is for a `terminal` only.
pub fn announcement(listen: SocketAddr, permitted: &[String], terminal: bool) -> String {
    let urls: Vec<_> =
        addresses(listen).iter().map(|address| format!("http://{address}")).collect();
    let mut lines = vec!["Others on this network can join at".to_owned()];
    lines.extend(urls.iter().map(|url| format!("    {url}")));
    match urls.first() {
        Some(first) if terminal => lines.push(format!("\n{}", qr(first))),
        Some(_) => {}
        None => {
            let port = listen.port();
            lines.push(format!("    port {port} (no network interface has an address)"));
        }
    }
    lines.push(
        "Warning: anyone on this network can open the page, and send UDP from this machine to"
            .into(),
    );
    if permitted.is_empty() {
        lines.push("    nothing: no target is permitted".into());
    }
    lines.extend(permitted.iter().map(|target| format!("    {target}")));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_address_is_the_one_to_join() {
        let listen = "192.168.1.5:8080".parse().unwrap();
        assert_eq!(addresses(listen), [listen]);
    }

    #[test]
    fn private_ipv4_comes_first_and_what_no_one_can_reach_is_left_out() {
        let own = [
            "127.0.0.1",
            "203.0.113.9",
            "169.254.3.4",
            "192.168.1.5",
            "10.0.0.7",
            "::1",
            "fe80::1",
            "2001:db8::1",
            "10.0.0.7",
        ]
        .map(|ip| ip.parse::<IpAddr>().unwrap());
        let reached = |listen: &str| {
            let listen = listen.parse().unwrap();
            reachable(listen, own.into_iter()).map(|ip| ip.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(reached("0.0.0.0"), ["10.0.0.7", "192.168.1.5", "203.0.113.9"]);
        let both = ["10.0.0.7", "192.168.1.5", "203.0.113.9", "2001:db8::1"];
        assert_eq!(reached("::"), if HEARS_IPV4 { &both[..] } else { &both[3..] });
    }

    #[test]
    fn a_decoder_reads_the_qr_code_that_the_terminal_shows() {
        /// Pixels of one module, as a camera would see it.
        const SCALE: usize = 4;
        let url = "http://192.168.178.123:8080";
        let shown = qr(url);
        let rows: Vec<Vec<char>> = shown
            .lines()
            .map(|line| {
                let inner = line.strip_prefix(BLACK_ON_WHITE).unwrap();
                inner.strip_suffix(RESET).unwrap().chars().collect()
            })
            .collect();
        let (columns, lines) = (rows[0].len(), rows.len());
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(
            columns * SCALE,
            lines * 2 * SCALE,
            |x, y| {
                let (module_x, module_y) = (x / SCALE, y / SCALE);
                let dark = match rows[module_y / 2][module_x] {
                    '█' => true,
                    '▀' => module_y % 2 == 0,
                    '▄' => module_y % 2 == 1,
                    _ => false,
                };
                if dark { 0 } else { 255 }
            },
        );
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        assert_eq!(grids[0].decode().unwrap().1, url);
        assert_eq!(qr(&"x".repeat(10_000)), "");
    }

    #[test]
    fn the_announcement_names_addresses_and_what_is_exposed() {
        let listen = "192.168.1.5:8080".parse().unwrap();
        let permitted = ["127.0.0.1 udp 9999".to_owned()];
        let text = announcement(listen, &permitted, false);
        assert!(text.contains("    http://192.168.1.5:8080\n"));
        assert!(text.contains("Warning: anyone on this network can open the page"));
        assert!(text.ends_with("    127.0.0.1 udp 9999\n"));
        assert!(!text.contains('\x1b'));
        assert!(announcement(listen, &permitted, true).contains('▀'));
        assert!(announcement(listen, &[], false).contains("no target is permitted"));
    }
}
