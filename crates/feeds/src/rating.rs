//! Ratings out of CVSS vectors and of the words that distributions use instead.

use bartizan_core::severity::Severity;
use bartizan_core::vulnerability::advisory::Rating;
use cvss::Cvss;

/// The longest vector that is looked at, in bytes; a full one of version 4 has some 200.
const VECTOR_BYTES: usize = 1_000;

/// The rating of a CVSS vector of version 3.0, 3.1 or 4.0; none for another, or for no vector at all.
pub(crate) fn of_vector(vector: &str, source: &str) -> Option<Rating> {
    if vector.len() > VECTOR_BYTES {
        return None;
    }
    let parsed: Cvss = vector.parse().ok()?;
    // A base score needs all base metrics: 8 in version 3, 11 in version 4.
    let (version, metrics) = match parsed {
        Cvss::CvssV30(_) => ("3.0", 8),
        Cvss::CvssV31(_) => ("3.1", 8),
        Cvss::CvssV40(_) => ("4.0", 11),
        _ => return None,
    };
    if parsed.metrics().count() < metrics {
        return None;
    }
    let tenths = tenths(parsed.score())?;
    Some(Rating {
        rating: of_tenths(tenths),
        score_tenths: Some(tenths),
        vector: Some(vector.to_owned()),
        version: Some(version.to_owned()),
        source: source.to_owned(),
    })
}

/// The rating of a distribution's word.
pub(crate) fn of_word(word: &str, source: &str) -> Option<Rating> {
    let rating = match word.to_lowercase().as_str() {
        "negligible" | "none" => Severity::None,
        "low" => Severity::Low,
        "medium" | "moderate" => Severity::Medium,
        "high" | "important" => Severity::High,
        "critical" => Severity::Critical,
        _ => return None,
    };
    Some(Rating { rating, score_tenths: None, vector: None, version: None, source: source.to_owned() })
}

/// The scale of CVSS 3.1 section 5 and 4.0 section 6.
const fn of_tenths(tenths: u32) -> Severity {
    match tenths {
        0 => Severity::None,
        1..=39 => Severity::Low,
        40..=69 => Severity::Medium,
        70..=89 => Severity::High,
        _ => Severity::Critical,
    }
}

/// A score from 0.0 to 10.0 as an integer of tenths.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
fn tenths(score: f64) -> Option<u32> {
    (0.0..=10.0).contains(&score).then(|| (score * 10.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_of_three_versions_are_scored_and_others_are_not() {
        for (vector, expected) in [
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Some((98, Severity::Critical, "3.1"))),
            ("CVSS:3.0/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L", Some((33, Severity::Low, "3.0"))),
            ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", Some((0, Severity::None, "3.1"))),
            (
                "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
                Some((93, Severity::Critical, "4.0")),
            ),
            ("AV:N/AC:L/Au:N/C:P/I:P/A:P", None),
            ("CVSS:3.1/AV:N", None),
            ("", None),
        ] {
            let rating = of_vector(vector, "osv");
            let is =
                rating.as_ref().map(|r| (r.score_tenths.unwrap(), r.rating, r.version.as_deref().unwrap()));
            assert_eq!(is, expected, "{vector}");
        }
    }

    #[test]
    fn words_of_distributions_become_ratings() {
        assert_eq!(of_word("Moderate", "x").map(|r| r.rating), Some(Severity::Medium));
        assert_eq!(of_word("untriaged", "x"), None);
    }
}
