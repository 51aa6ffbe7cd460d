//! Curves: figures over time, with a table of the same for whoever does not see them.

use askama::Template;
use askama::filters::HtmlSafe;
use bartizan_core::time::Timestamp;

use super::super::part;
use super::DAY_MS;

/// How wide a curve's ground is, and how high, in its own units.
const WIDTH: i64 = 1_000;
const HEIGHT: u64 = 120;

/// The most rows of the table: the newest.
const ROWS_LIMIT: usize = 60;

/// One figure over time.
#[derive(Clone, Debug)]
pub(in super::super) struct Series {
    /// Its colour: a class of the sheet.
    pub(in super::super) class: &'static str,
    pub(in super::super) name: &'static str,
    pub(in super::super) figures: Vec<u64>,
}

/// How the figures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// Each as a line of its own.
    Lines,
    /// One above the other, as parts of a whole.
    Bands,
}

/// A straight line that the first figure is held against: from a time and a figure down to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Guide {
    pub(in super::super) from: Timestamp,
    pub(in super::super) start: u64,
    pub(in super::super) to: Timestamp,
}

/// Figures over time, as they are drawn.
#[derive(Debug, Template)]
#[template(path = "chart/curve.svg.html")]
pub(in super::super) struct Curve {
    /// Names its parts on the page.
    id: &'static str,
    title: &'static str,
    /// What it shows, in a sentence.
    words: String,
    most: u64,
    /// Class and points of each area, the lowest first.
    bands: Vec<(&'static str, String)>,
    lines: Vec<(&'static str, String)>,
    /// Where now is, where the ground goes on beyond it.
    now: Option<i64>,
    from: String,
    to: String,
    keys: Vec<(&'static str, String)>,
    header: Vec<&'static str>,
    rows: Vec<(String, Vec<u64>)>,
}

impl HtmlSafe for Curve {}

impl Guide {
    /// What it allows at a time.
    pub(in super::super) fn at(&self, at: Timestamp) -> u64 {
        let span = self.to.since(self.from).as_millis().max(1).unsigned_abs();
        let left = self.to.since(at).as_millis().unsigned_abs().min(span);
        // A figure of a fleet times a span of years: more than 64 bits hold.
        let allowed = (u128::from(self.start) * u128::from(left)).div_ceil(u128::from(span));
        u64::try_from(allowed).unwrap_or(self.start)
    }
}

/// What a curve says of itself.
#[derive(Debug)]
pub(in super::super) struct Words {
    pub(in super::super) id: &'static str,
    pub(in super::super) title: &'static str,
    pub(in super::super) words: String,
}

/// Draws figures over these times, the oldest first. A guide makes the ground reach as far as it does.
pub(in super::super) fn draw(
    said: Words,
    times: &[Timestamp],
    now: Timestamp,
    series: &[Series],
    way: Way,
    guide: Option<Guide>,
) -> Curve {
    let first = times.first().copied().unwrap_or(now).min(now);
    let last = guide.map_or(now, |guide| guide.to.max(now));
    let span = last.since(first).as_millis().max(1);
    let x = |at: Timestamp| {
        (i128::from(at.since(first).as_millis()) * i128::from(WIDTH) / i128::from(span)) as i64
    };
    // A sample says how things stood at the end of its step, and the newest how they stand.
    let ends: Vec<i64> = times.iter().skip(1).map(|next| x(*next)).chain([x(now)]).collect();
    let sums: Vec<u64> =
        (0..times.len()).map(|place| series.iter().map(|one| at(one, place)).sum()).collect();
    let highest = match way {
        Way::Bands => sums.iter().copied().max(),
        Way::Lines => series.iter().flat_map(|one| one.figures.iter().copied()).max(),
    };
    let most = highest.unwrap_or(0).max(guide.map_or(0, |guide| guide.start));
    let y = |figure: u64| HEIGHT - (u128::from(figure) * u128::from(HEIGHT) / u128::from(most.max(1))) as u64;
    let (mut bands, mut lines) = (Vec::new(), Vec::new());
    let mut floor = vec![0; times.len()];
    for one in series {
        match way {
            Way::Lines => lines.push((one.class, points(&ends, |place| y(at(one, place))))),
            Way::Bands => {
                let roof: Vec<u64> =
                    floor.iter().enumerate().map(|(place, low)| low + at(one, place)).collect();
                let top = points(&ends, |place| y(roof.get(place).copied().unwrap_or(0)));
                let bottom = points(&ends, |place| y(floor.get(place).copied().unwrap_or(0)));
                let back: Vec<&str> = bottom.split(' ').rev().collect();
                bands.push((one.class, format!("{top} {}", back.join(" "))));
                floor = roof;
            }
        }
    }
    if let Some(guide) = guide {
        // Where it began before the ground does, it comes in at the edge as low as it is by then.
        let from = guide.from.max(first);
        lines.push(("guide", format!("{},{} {},{HEIGHT}", x(from), y(guide.at(from)), x(guide.to))));
    }
    let keys = series.iter().map(|one| {
        let newest = one.figures.last().copied().unwrap_or(0);
        (one.class, format!("{} {}", part::thousands(&newest), one.name))
    });
    let keys = keys.chain(guide.map(|_| ("guide", "the line to its deadline".to_owned())));
    let whole = times.iter().all(|at| at.as_millis().rem_euclid(DAY_MS) == 0);
    let rows = times.iter().enumerate().rev().take(ROWS_LIMIT);
    Curve {
        id: said.id,
        title: said.title,
        words: said.words,
        most,
        bands,
        lines,
        now: guide.map(|_| x(now)).filter(|now| *now < WIDTH),
        from: stamp(first, whole),
        to: if last > now { stamp(last, whole) } else { "now".to_owned() },
        keys: keys.collect(),
        header: series.iter().map(|one| one.name).collect(),
        rows: rows
            .map(|(place, start)| (stamp(*start, whole), series.iter().map(|one| at(one, place)).collect()))
            .collect(),
    }
}

fn at(series: &Series, place: usize) -> u64 {
    series.figures.get(place).copied().unwrap_or(0)
}

/// A line through a figure for each step, from the left edge on.
fn points(ends: &[i64], y: impl Fn(usize) -> u64) -> String {
    let each = ends.iter().enumerate().map(|(place, x)| format!("{x},{}", y(place)));
    let first = std::iter::once(format!("0,{}", y(0)));
    first.chain(each).collect::<Vec<_>>().join(" ")
}

/// `2026-03-04 05:06 UTC`, or the day alone where every step is a day.
fn stamp(at: Timestamp, whole: bool) -> String {
    let text = at.to_string();
    if whole {
        return text.get(..10).unwrap_or(&text).to_owned();
    }
    text.get(..16).map_or_else(|| text.clone(), |text| format!("{} UTC", text.replace('T', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(count: u32) -> Vec<Timestamp> {
        (0..i64::from(count)).map(|hour| Timestamp::from_millis(hour * 3_600_000)).collect()
    }

    fn series(figures: &[u64]) -> Series {
        Series { class: "met", name: "met", figures: figures.to_vec() }
    }

    fn said() -> Words {
        Words { id: "curve", title: "A curve", words: "What it shows.".to_owned() }
    }

    #[test]
    fn a_line_ends_now_at_the_newest_figure() {
        let now = Timestamp::from_millis(2 * 3_600_000);
        let drawn = draw(said(), &times(2), now, &[series(&[4, 1])], Way::Lines, None);
        assert_eq!(drawn.lines, [("met", "0,0 500,0 1000,90".to_owned())]);
        assert_eq!((drawn.most, drawn.now, drawn.to.as_str()), (4, None, "now"));
    }

    #[test]
    fn bands_lie_one_upon_the_other() {
        let now = Timestamp::from_millis(3_600_000);
        let drawn = draw(said(), &times(1), now, &[series(&[1]), series(&[3])], Way::Bands, None);
        assert_eq!(drawn.bands[0].1, "0,90 1000,90 1000,120 0,120");
        assert_eq!(drawn.bands[1].1, "0,0 1000,0 1000,90 0,90");
    }

    #[test]
    fn a_guide_stretches_the_ground_to_its_end_and_now_is_marked() {
        let (now, to) = (Timestamp::from_millis(3_600_000), Timestamp::from_millis(4 * 3_600_000));
        let guide = Guide { from: Timestamp::from_millis(0), start: 8, to };
        let drawn = draw(said(), &times(1), now, &[series(&[6])], Way::Lines, Some(guide));
        assert_eq!(drawn.lines[0].1, "0,30 250,30");
        assert_eq!(drawn.lines[1], ("guide", "0,0 1000,120".to_owned()));
        assert_eq!((drawn.now, guide.at(now), guide.at(to)), (Some(250), 6, 0));
        let late = Guide { from: Timestamp::from_millis(-4 * 3_600_000), ..guide };
        let drawn = draw(said(), &times(1), now, &[series(&[6])], Way::Lines, Some(late));
        assert_eq!(drawn.lines[1].1, "0,60 1000,120", "it comes in as low as it is by then");
    }

    #[test]
    fn nothing_and_figures_of_nothing_are_drawn_too() {
        let now = Timestamp::from_millis(0);
        assert_eq!(draw(said(), &[], now, &[series(&[])], Way::Lines, None).most, 0);
        let drawn = draw(said(), &times(1), now, &[series(&[0])], Way::Bands, None);
        assert_eq!(drawn.bands[0].1, "0,120 0,120 0,120 0,120");
    }
}
