//! The shell around every page: what it is called, where it is, who is signed in.

use askama::Template;
use askama::filters::HtmlSafe;
use bartizan_core::person::Person;

use super::demo::Seats;
use super::file;

/// Where the navigation leads.
const NAVIGATION: [(Section, &str, &str); 14] = [
    (Section::Overview, "Overview", "/"),
    (Section::Alerts, "Alerts", "/alerts"),
    (Section::Incidents, "Incidents", "/incidents"),
    (Section::Silences, "Silences", "/silences"),
    (Section::Findings, "Findings", "/findings"),
    (Section::Vulnerabilities, "Vulnerabilities", "/vulnerabilities"),
    (Section::Acceptances, "Acceptances", "/acceptances"),
    (Section::Baselines, "Baselines", "/baselines"),
    (Section::Changes, "Changes", "/changes"),
    (Section::Environments, "Environments", "/environments"),
    (Section::Assets, "Assets", "/assets"),
    (Section::Documents, "Documents", "/documents"),
    (Section::People, "People", "/people"),
    (Section::Ledger, "Ledger", "/ledger"),
];

/// A place in the navigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Alerts,
    Incidents,
    Silences,
    Findings,
    Vulnerabilities,
    Acceptances,
    Baselines,
    Changes,
    Environments,
    Assets,
    Documents,
    People,
    Ledger,
    /// A page that the navigation does not name.
    Elsewhere,
}

/// What a page is called, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    section: Section,
    title: String,
    lead: String,
    /// The pages above it: what they are called, and where they are.
    trail: Vec<(String, String)>,
    /// Whether it is drawn anew when there is news.
    live: bool,
}

impl Place {
    pub(super) fn new(section: Section, title: impl Into<String>) -> Self {
        Self { section, title: title.into(), lead: String::new(), trail: Vec::new(), live: true }
    }

    /// One sentence on what the page is for.
    pub(super) fn lead(mut self, lead: impl Into<String>) -> Self {
        self.lead = lead.into();
        self
    }

    /// A page above it.
    pub(super) fn below(mut self, title: impl Into<String>, path: impl Into<String>) -> Self {
        self.trail.push((title.into(), path.into()));
        self
    }

    /// It stays as it is.
    pub(super) fn still(mut self) -> Self {
        self.live = false;
        self
    }
}

/// What the shell shows.
#[derive(Clone, Debug)]
pub(super) struct Shell {
    pub(super) place: Place,
    /// Who is signed in, and as what.
    pub(super) person: Option<(String, String)>,
    pub(super) location: String,
    pub(super) style: String,
    pub(super) icon: String,
    pub(super) scripts: [String; 2],
    /// The people of a demo; none where this is none.
    pub(super) seats: Option<Seats>,
}

impl Shell {
    pub(super) fn new(place: Place, person: Option<&Person>, location: String, seats: Option<Seats>) -> Self {
        let person = person.map(|person| {
            let roles: Vec<&str> = person.roles.iter().map(|role| role.as_str()).collect();
            (person.name.clone(), roles.join(", "))
        });
        Self {
            place,
            person,
            location,
            style: file::path("bartizan.css"),
            icon: file::path("icon.svg"),
            scripts: [file::path("htmx.js"), file::path("bartizan.js")],
            seats,
        }
    }

    /// The navigation: what a link says, where it leads, and whether this page is there.
    fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let here = self.place.section;
        NAVIGATION.iter().map(move |(section, name, path)| (*name, *path, *section == here))
    }
}

/// A whole page.
#[derive(Template)]
#[template(path = "page.html")]
pub(super) struct Page<A: Template + HtmlSafe, P: Template + HtmlSafe> {
    pub(super) shell: Shell,
    pub(super) above: A,
    pub(super) part: P,
}

/// Nothing at all.
#[derive(Template)]
#[template(source = "", ext = "html")]
pub(super) struct Nothing;

impl HtmlSafe for Nothing {}
