//! The arithmetic of second factors: secrets, codes (RFC 6238 over HMAC-SHA-1, the one that every
//! device knows), recovery codes, and the picture that a device reads.

use bartizan_core::digest::Digest;
use bartizan_core::factor::{RECOVERY_CODES, SLACK_STEPS, STEP_SECONDS, Shown};
use bartizan_core::time::Timestamp;
use qrcode::{Color, EcLevel, QrCode};
use totp_rs::{Algorithm, TOTP};

use crate::ambient::Ambient;

/// The length of a secret, in bytes (RFC 4226, section 4: 160 bits are recommended).
const SECRET_BYTES: usize = 20;

/// How many digits a code has.
const DIGITS: usize = 6;

/// The bytes of a recovery code: 80 bits, so that its digest can't be searched.
const RECOVERY_BYTES: usize = 10;

/// The letters of base 32 (RFC 4648, section 6).
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The light border that a reader needs around a QR code, in modules (ISO/IEC 18004).
const BORDER: usize = 4;

/// A shared secret. It is never printed.
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// A QR code as a drawing: the length of its side in modules, and the path of the dark ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    pub side: usize,
    pub path: String,
}

impl Secret {
    /// A fresh secret.
    pub fn mint(ambient: &Ambient) -> Self {
        Self(ambient.random::<SECRET_BYTES>().to_vec())
    }

    /// A secret that was opened.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn codes(&self) -> TOTP {
        TOTP::new_unchecked(Algorithm::SHA1, DIGITS, 0, STEP_SECONDS, self.0.clone())
    }

    /// The secret as a person types it into a device, in groups of four.
    pub fn groups(&self) -> String {
        groups(&base32(&self.0))
    }

    /// What a device reads from the picture (Key URI format).
    pub fn uri(&self, name: &str) -> String {
        let secret = base32(&self.0);
        let name = escaped(name);
        format!(
            "otpauth://totp/Bartizan:{name}?secret={secret}&issuer=Bartizan&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}"
        )
    }

    /// What a person showed: the code of a step near now, or something else. Spaces count for nothing.
    pub fn read(&self, text: &str, now: Timestamp) -> Shown {
        let text: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '-').collect();
        let seconds = u64::try_from(now.as_millis() / 1_000).unwrap_or_default();
        let (codes, step) = (self.codes(), seconds / STEP_SECONDS);
        let near = step.saturating_sub(SLACK_STEPS)..=step.saturating_add(SLACK_STEPS);
        // Compared in constant time; the newest that fits is taken, so that it is not shown again.
        let found = near.rev().find(|step| codes.check(&text, step * STEP_SECONDS));
        match found {
            Some(step) => Shown::Code { step },
            None => Shown::Other { digest: recovery_digest(&text) },
        }
    }

    /// The code of a time, as a device shows it.
    pub fn code(&self, at: Timestamp) -> String {
        self.codes().generate(u64::try_from(at.as_millis() / 1_000).unwrap_or_default())
    }
}

/// Fresh recovery codes as they are shown, once.
pub fn recovery_codes(ambient: &Ambient) -> Vec<String> {
    (0..RECOVERY_CODES)
        .map(|_| groups(&base32(&ambient.random::<RECOVERY_BYTES>())).replace(' ', "-"))
        .collect()
}

/// What is kept of a recovery code.
pub fn recovery_digest(code: &str) -> Digest {
    let letters = code.chars().filter(char::is_ascii_alphanumeric);
    let letters: String = letters.map(|letter| letter.to_ascii_uppercase()).collect();
    Digest::of_bytes(format!("bartizan/recovery/v1\n{letters}").as_bytes())
}

fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in bytes {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
            held &= (1 << bits) - 1;
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(value: u32) -> char {
    let place = usize::try_from(value & 31).unwrap_or_default();
    BASE32.get(place).map_or('A', |letter| char::from(*letter))
}

fn groups(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(4).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join(" ")
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let letters = text
        .bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") });
    letters.collect()
}

/// Draws a text as a QR code; none where it is too long for one.
pub fn draw(text: &str) -> Option<Drawing> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let mut path = String::new();
    for (row, line) in colors.chunks(width).enumerate() {
        let dark = line.iter().enumerate().filter(|(_, color)| **color == Color::Dark);
        for (column, _) in dark {
            path.push_str(&format!("M{} {}h1v1h-1z", column + BORDER, row + BORDER));
        }
    }
    Some(Drawing { side: width + 2 * BORDER, path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng as _;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn rfc() -> Secret {
        Secret::from_bytes(b"12345678901234567890".to_vec())
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code(at(seconds)), code);
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(rfc().read(code, at(seconds)), Shown::Code { step });
        }
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_no_more() {
        let step = |seconds| match rfc().read("287082", at(seconds)) {
            Shown::Code { step } => Some(step),
            Shown::Other { .. } => None,
        };
        // The code is of step 1, from second 30 on to 59.
        let seen = [0, 29, 30, 59, 89, 90].map(step);
        assert_eq!(seen, [Some(1), Some(1), Some(1), Some(1), Some(1), None]);
        assert!(step(120).is_none());
        assert!(matches!(rfc().read("287 082", at(59)), Shown::Code { .. }), "spaces count for nothing");
        for nonsense in ["", "28708", "2870822", "28708a", "-287081"] {
            assert!(matches!(rfc().read(nonsense, at(59)), Shown::Other { .. }), "{nonsense}");
        }
    }

    #[test]
    fn secrets_are_typed_and_read_as_the_standard_has_them() {
        // RFC 4648, section 10.
        for (bytes, text) in
            [("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("fooba", "MZXW6YTB"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(rfc().groups(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        let uri = rfc().uri("ada@example.org");
        assert!(uri.starts_with("otpauth://totp/Bartizan:ada%40example.org?secret=GEZDGNBV"), "{uri}");
        assert!(!format!("{:?}", rfc()).contains("GEZ"));
    }

    #[test]
    fn recovery_codes_differ_and_are_read_whichever_way_they_are_typed() {
        let ambient = Ambient::new(|| at(0), rand::rngs::StdRng::seed_from_u64(3));
        let codes = recovery_codes(&ambient);
        assert_eq!(codes.len(), RECOVERY_CODES);
        let digests: std::collections::BTreeSet<Digest> =
            codes.iter().map(|code| recovery_digest(code)).collect();
        assert_eq!(digests.len(), RECOVERY_CODES);
        let code = &codes[0];
        assert_eq!((code.len(), code.matches('-').count()), (19, 3), "{code}");
        assert_eq!(recovery_digest(&code.to_lowercase().replace('-', " ")), recovery_digest(code));
        assert_eq!(rfc().read(code, at(0)), Shown::Other { digest: recovery_digest(code) });
    }

    #[test]
    fn a_drawing_holds_the_three_corners_that_a_reader_looks_for() {
        let drawing = draw(&rfc().uri("ada")).unwrap();
        let last = drawing.side - BORDER - 7;
        for (x, y) in [(BORDER, BORDER), (last, BORDER), (BORDER, last)] {
            assert!(drawing.path.contains(&format!("M{x} {y}h1v1h-1z")), "{x} {y}");
            assert!(!drawing.path.contains(&format!("M{} {}h1v1h-1z", x + 1, y + 1)), "the light ring");
        }
        assert_eq!(draw(&"x".repeat(5_000)), None);
    }
}
