use bartizan_core::id::{AlertId, AssetId};
use bartizan_core::monitoring::alert::{Alert, Counts, Group, Member, Stage};
use bartizan_core::monitoring::notification::Occasion;
use bartizan_core::monitoring::signal::Kind;
use bartizan_core::severity::Severity;
use bartizan_core::time::Timestamp;
use bartizan_store::alert::Place;
use proptest::prelude::*;

use super::*;

/// What a hostile agent would call a place: more headers, a body of its own, a script.
const HOSTILE: &str = "x\r\nBcc: eve@example.org\r\n\r\n<script>alert(1)</script>\u{1b}[2J\u{202e}";

fn message(summary: &str, number: u32) -> Message {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let group = Group {
        kind: Kind::Health,
        subject: "disk-space".to_owned(),
        service: "shop".to_owned(),
        environment: "prod".to_owned(),
    };
    let key = |number: u32| bartizan_core::digest::Digest::of_bytes(&number.to_be_bytes()).to_string();
    let place = Place {
        member: bartizan_core::digest::Digest::of_bytes(b"place"),
        asset: AssetId::mint(at, [2; 10]),
        object: "/srv".to_owned(),
        summary: summary.to_owned(),
        standing: Member::Firing { since: at },
    };
    Message {
        occasion: Occasion::Opened,
        number,
        idempotency_key: key(number),
        first_key: key(1),
        at,
        ended: None,
        alert: Alert {
            id: AlertId::mint(at, [1; 10]),
            group,
            severity: Severity::High,
            summary: summary.to_owned(),
            opened_at: at,
            grown_at: at,
            counts: Counts { firing: 1, unknown: 0, resolved: 0 },
            acknowledged: None,
            stage: Stage::Open,
            opened_by: None,
            surplus: 0,
        },
        places: vec![place],
    }
}

fn written(message: &Message) -> String {
    let relay = Relay::parse("smtp://127.0.0.1:25", "bartizan@example.org", None).unwrap();
    let to = ["ada@example.org".to_owned(), "grace@example.org".to_owned()];
    let bytes = Email::new(&relay).unwrap().write(&to, message, "https://watch.example").unwrap();
    String::from_utf8(bytes).unwrap()
}

/// The names of the headers, a folded one once.
fn headers(written: &str) -> Vec<&str> {
    let head = written.split("\r\n\r\n").next().unwrap();
    let own = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    own.map(|line| line.split(':').next().unwrap()).collect()
}

const HEADERS: [&str; 8] =
    ["From", "Date", "Message-ID", "Subject", "Auto-Submitted", "To", "MIME-Version", "Content-Type"];

#[test]
fn what_an_agent_told_adds_no_header_and_no_script() {
    let mail = written(&message(HOSTILE, 1));
    assert_eq!(headers(&mail), HEADERS, "{mail}");
    let (plain, html) = mail.split_once("text/html").unwrap();
    assert!(plain.contains("- firing: x Bcc: eve@example.org <script>"), "text shows what was told: {plain}");
    assert!(html.contains("&#60;script&#62;") && !html.contains("<script>"), "{html}");
    assert!(!mail.contains(['\u{1b}', '\u{202e}']), "{mail}");
}

#[test]
fn every_attempt_writes_the_same_bytes_and_a_later_notification_hangs_below_the_first() {
    assert_eq!(written(&message("full", 1)), written(&message("full", 1)));
    let (first, second) = (written(&message("full", 1)), written(&message("full", 2)));
    let value = |mail: &str, name: &str| {
        let line = mail.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        line.and_then(|line| line.split_once(": ").map(|(_, value)| value.to_owned()))
    };
    assert_ne!(value(&first, "Message-ID"), value(&second, "Message-ID"));
    assert_eq!(value(&first, "In-Reply-To"), None);
    assert_eq!(value(&second, "In-Reply-To"), value(&first, "Message-ID"));
}

/// A relay that greets and says yes to everything, once.
fn polite() -> String {
    use std::io::{BufRead as _, BufReader, Write as _};
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        stream.write_all(b"220 sink\r\n").unwrap();
        for line in BufReader::new(stream.try_clone().unwrap()).lines() {
            let quits = line.unwrap().starts_with("QUIT");
            stream.write_all(if quits { b"221 bye\r\n" } else { b"250 yes\r\n" }).unwrap();
            if quits {
                return;
            }
        }
    });
    address
}

#[tokio::test]
async fn a_relay_is_asked_whether_it_answers_and_one_that_is_away_is_told_of() {
    let email = |address: &str| {
        let relay = Relay::parse(&format!("smtp://{address}"), "bartizan@example.org", None);
        Email::new(&relay.unwrap()).unwrap()
    };
    let there = polite();
    assert_eq!((email(&there).relay(), email(&there).reach().await), (there.as_str(), Ok(())));
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = closed.local_addr().unwrap().to_string();
    drop(closed);
    assert!(email(&away).reach().await.unwrap_err().contains("onnection"), "{away}");
}

#[test]
fn a_long_text_is_cut_between_letters() {
    assert_eq!(text::line("ääää", 6), "ä…");
    assert_eq!(text::line("  a \n b ", 6), "a b");
    assert_eq!(text::line("abcdef", 6), "abcdef");
}

proptest! {
    #[test]
    fn no_text_adds_a_header_or_an_endless_line(summary in "\\PC*|[\\r\\n\\t a-z:<>\\x00-\\x1f]{0,400}") {
        let message = message(&summary, 1);
        let mail = written(&message);
        prop_assert_eq!(headers(&mail), HEADERS);
        prop_assert!(text::Text::new(&message, "https://x").subject().len() <= text::SUBJECT_BYTES_LIMIT);
        // RFC 5322, section 2.1.1.
        prop_assert!(mail.split("\r\n").all(|line| line.len() <= 998));
        prop_assert!(!mail.replace("\r\n", "").contains(['\r', '\n']));
    }
}
