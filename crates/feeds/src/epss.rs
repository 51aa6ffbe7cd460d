//! FIRST's EPSS: how likely each CVE is to be exploited within 30 days
//! (<https://www.first.org/epss/data_stats>), as CSV, plain or gzipped.

use std::io::{BufRead, BufReader, Read};

use serde::Serialize;

use crate::error::Error;

/// The feed's name.
pub const FEED: &str = "epss";

/// The most bytes of CSV: today's has 10 MB.
pub const BYTES: u64 = 512 << 20;

/// The longest line, in bytes.
const LINE_BYTES: u64 = 1 << 10;

/// What begins a gzip file (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// One CVE's scores, as integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// The probability in millionths: 33,510 is 0.03351.
    pub probability_millionths: u32,
    /// The share of CVEs with the same or a lower probability, in millionths; files before September
    /// 2021 have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percentile_millionths: Option<u32>,
}

/// The day's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    /// The `score_date` of the first line, where it has one.
    pub scored: Option<String>,
    /// Sorted by CVE, each once.
    pub rows: Vec<(Cve, Estimate)>,
}

/// A CVE's name as numbers: year and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cve {
    pub year: u16,
    pub number: u32,
}

impl Cve {
    /// The CVE that this names: `CVE-2026-0001`.
    pub fn parse(name: &str) -> Option<Cve> {
        let (year, number) = name.strip_prefix("CVE-")?.split_once('-')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(year) || !digits(number) || year.len() != 4 || number.len() < 4 {
            return None;
        }
        Some(Cve { year: year.parse().ok()?, number: number.parse().ok()? })
    }
}

/// Reads the file, gzipped or not.
pub fn read(reader: impl Read, file: &str) -> Result<Scores, Error> {
    let mut reader = BufReader::with_capacity(64 << 10, reader);
    let beginning = reader.fill_buf().map_err(|source| unreadable(file, source))?;
    if beginning.starts_with(&GZIP) {
        let unpacked = flate2::read::MultiGzDecoder::new(reader);
        read_plain(BufReader::with_capacity(64 << 10, unpacked), file)
    } else {
        read_plain(reader, file)
    }
}

fn read_plain(mut reader: impl BufRead, file: &str) -> Result<Scores, Error> {
    let mut scores = Scores::default();
    let mut line = String::new();
    let (mut number, mut bytes, mut is_headed) = (0u64, 0u64, false);
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES).read_line(&mut line);
        let read = read.map_err(|source| match source.kind() {
            std::io::ErrorKind::InvalidData
            | std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::UnexpectedEof => {
                Error::broken(file, format_args!("line {}", number + 1), source)
            }
            _ => unreadable(file, source),
        })?;
        if read == 0 {
            break;
        }
        number += 1;
        bytes += read as u64;
        if bytes > BYTES {
            return Err(Error::Limit { file: file.to_owned(), what: "bytes unpacked", limit: BYTES });
        }
        let text = line.trim_end();
        let broken = |problem: &str| Error::broken(file, format_args!("line {number}"), problem);
        match (text.strip_prefix('#'), is_headed) {
            (Some(comment), false) => scores.scored = date(comment),
            (None, false) if text.starts_with("cve,epss") => is_headed = true,
            (_, false) => return Err(broken("the header `cve,epss` is missing")),
            _ if text.is_empty() => {}
            _ if !line.ends_with('\n') && read as u64 == LINE_BYTES => return Err(broken("it is too long")),
            _ => scores.rows.push(row(text).map_err(broken)?),
        }
    }
    if !is_headed {
        return Err(Error::broken(file, "", "the header `cve,epss` is missing"));
    }
    scores.rows.sort_unstable_by_key(|(cve, _)| *cve);
    scores.rows.dedup_by_key(|(cve, _)| *cve);
    Ok(scores)
}

/// `model_version:v2026.06.15,score_date:2026-09-29T12:00:22Z`
fn date(comment: &str) -> Option<String> {
    let date = comment.split(',').find_map(|field| field.strip_prefix("score_date:"))?;
    // Older files write UTC as an offset without a colon.
    Some(date.strip_suffix("+0000").map_or_else(|| date.to_owned(), |date| format!("{date}Z")))
}

fn row(text: &str) -> Result<(Cve, Estimate), &'static str> {
    let mut fields = text.split(',');
    let cve = fields.next().and_then(Cve::parse).ok_or("its first field is no CVE")?;
    let probability_millionths =
        fields.next().and_then(millionths).ok_or("its second field is no probability from 0 to 1")?;
    let percentile_millionths = match fields.next() {
        None => None,
        Some(field) => Some(millionths(field).ok_or("its third field is no percentile from 0 to 1")?),
    };
    Ok((cve, Estimate { probability_millionths, percentile_millionths }))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range was checked")]
fn millionths(field: &str) -> Option<u32> {
    let share: f64 = field.parse().ok()?;
    (0.0..=1.0).contains(&share).then(|| (share * 1e6).round() as u32)
}

fn unreadable(file: &str, source: std::io::Error) -> Error {
    Error::File { doing: "read", path: file.into(), source }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const CSV: &str = "#model_version:v2026.06.15,score_date:2026-09-29T12:00:22Z\ncve,epss,percentile\n\
                       CVE-2026-12345,0.94,0.999\nCVE-1999-0001,9.7e-4,0.5\n";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[test]
    fn scores_are_read_plain_and_gzipped_as_millionths() {
        let plain = read(CSV.as_bytes(), "epss.csv").unwrap();
        assert_eq!(plain.scored.as_deref(), Some("2026-09-29T12:00:22Z"));
        let estimate = |p, q| Estimate { probability_millionths: p, percentile_millionths: Some(q) };
        assert_eq!(
            plain.rows,
            [
                (Cve { year: 1999, number: 1 }, estimate(970, 500_000)),
                (Cve { year: 2026, number: 12_345 }, estimate(940_000, 999_000)),
            ]
        );
        assert_eq!(read(gzip(CSV.as_bytes()).as_slice(), "epss.csv.gz").unwrap(), plain);
    }

    #[test]
    fn an_old_file_without_model_or_percentile_is_read() {
        let old = read(b"cve,epss\nCVE-2020-5902,0.65117\n".as_slice(), "epss.csv").unwrap();
        assert_eq!(old.scored, None);
        assert_eq!(old.rows.first().unwrap().1.percentile_millionths, None);
    }

    #[test]
    fn a_broken_file_names_the_line() {
        let mut cut = gzip(CSV.as_bytes());
        cut.truncate(cut.len() - 12);
        for (bytes, expected) in [
            (CSV.replace("0.94", "94").into_bytes(), "epss at line 3: its second field"),
            (CSV.replace("CVE-1999-0001", "x").into_bytes(), "epss at line 4: its first field"),
            (b"<html>".to_vec(), "epss at line 1: the header"),
            (Vec::new(), "epss: the header"),
            (cut, "epss at line "),
            (b"cve,epss\n\xff\n".to_vec(), "epss at line 2: "),
        ] {
            let error = read(bytes.as_slice(), "epss").unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
