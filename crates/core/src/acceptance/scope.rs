//! What an acceptance lies over: findings chosen by what they are about and by their asset.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::finding::Subject;
use crate::selector::{Labels, Matcher, Selector};

/// The labels that a finding's subject gives. An asset's own label of such a name is not looked
/// at: nobody widens an acceptance by labelling a host.
const SUBJECT_LABELS: [&str; 14] = [
    "kind",
    "baseline",
    "rule",
    "vulnerability",
    "package",
    "object",
    "scope",
    "period",
    "class",
    "clock",
    "engagement",
    "location",
    "weakness",
    "asset",
];

/// The labels that say which obligation is accepted: a scope has to pin one of them.
const PINS: [&str; 8] =
    ["rule", "vulnerability", "package", "object", "clock", "location", "weakness", "scope"];

/// A selector over the labels of findings and their assets that says which obligation it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Scope(Selector);

impl Scope {
    /// A scope, unless the selector would take in nearly anything.
    pub fn new(selector: Selector) -> Result<Scope, Refusal> {
        let pins = |matcher: &Matcher| PINS.contains(&matcher.label()) && matcher.pins();
        if selector.matchers().iter().any(pins) { Ok(Scope(selector)) } else { Err(Refusal::Unbounded) }
    }

    /// Whether a finding lies in it; `asset` are its asset's labels, none where it is about none.
    pub fn contains(&self, subject: &Subject, asset: &Labels) -> bool {
        self.0.matches(&labels(subject, asset))
    }

    /// Whether a finding about this could lie in it, on whichever asset: what the scope says of
    /// assets is not looked at.
    pub fn concerns(&self, subject: &Subject) -> bool {
        let labels = subject.labels();
        let ours = |matcher: &&Matcher| !of_asset(matcher.label(), subject);
        self.0.matchers().iter().filter(ours).all(|matcher| matcher.matches(&labels))
    }

    /// Whether it chooses among the assets that have such a finding, too.
    pub fn chooses_assets(&self, subject: &Subject) -> bool {
        self.0.matchers().iter().any(|matcher| of_asset(matcher.label(), subject))
    }

    /// The one vulnerability that it is about, where it names one.
    pub fn vulnerability(&self) -> Option<&str> {
        let named = self.0.matchers().iter().filter(|matcher| matcher.label() == "vulnerability");
        named.filter_map(Matcher::exactly).next()
    }

    /// The selector, as written.
    pub const fn selector(&self) -> &Selector {
        &self.0
    }
}

/// The labels that a scope looks at: the subject's, and those of the asset.
fn labels(subject: &Subject, asset: &Labels) -> Labels {
    let own = |name: &String| subject.asset().is_some() && name == "class";
    let theirs = asset.iter().filter(|(name, _)| own(name) || !SUBJECT_LABELS.contains(&name.as_str()));
    let mut labels: Labels = theirs.map(|(name, value)| (name.clone(), value.clone())).collect();
    labels.extend(subject.labels());
    if let Some(asset) = subject.asset() {
        labels.insert("asset".to_owned(), asset.to_string());
    }
    labels
}

/// Whether a label is one of the asset's, for a finding like this.
fn of_asset(label: &str, subject: &Subject) -> bool {
    let own = subject.asset().is_some() && matches!(label, "asset" | "class");
    own || !SUBJECT_LABELS.contains(&label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::AssetId;
    use crate::time::Timestamp;

    fn scope(matchers: &[&str]) -> Result<Scope, Refusal> {
        Scope::new(Selector::new(matchers.iter().map(|matcher| matcher.parse().unwrap()).collect()))
    }

    #[test]
    fn a_scope_that_takes_in_nearly_anything_is_refused() {
        let unbounded: [&[&str]; 13] = [
            &[],
            &["service=web"],
            &["kind=vulnerability"],
            &["rule!=x"],
            &["rule=~.*"],
            &["vulnerability=~.+", "service=web"],
            &["vulnerability=~CVE-.*"],
            &["package=~[a-z]+"],
            &["rule=~.*e.*"],
            &["vulnerability=~CVE-20.*"],
            &["rule=~ssh-.*", "service!=web"],
            &["rule="],
            &["baseline=debian-12", "environment=dev"],
        ];
        for matchers in unbounded {
            assert_eq!(scope(matchers).unwrap_err(), Refusal::Unbounded, "{matchers:?}");
        }
        for matchers in [
            &["vulnerability=CVE-2024-1"][..],
            &["rule=~ssh-root|ssh-port", "service!=web"],
            &["package=openssl"],
        ] {
            assert!(scope(matchers).is_ok(), "{matchers:?}");
        }
    }

    #[test]
    fn what_a_scope_says_of_the_finding_and_of_its_asset_are_told_apart() {
        let asset = AssetId::mint(Timestamp::from_millis(1), [1; 10]);
        let subject = |id: &str| Subject::Vulnerability {
            asset,
            id: id.to_owned(),
            source_package: "openssl".to_owned(),
        };
        let ours = subject("CVE-2024-1");
        for (matchers, concerns, chooses) in [
            (&["vulnerability=CVE-2024-1"][..], true, false),
            (&["vulnerability=CVE-2024-1", "service=web"], true, true),
            (&["vulnerability=CVE-2024-1", "class=server"], true, true),
            (&["vulnerability=CVE-2024-1", "package=zlib"], false, false),
            (&["vulnerability=CVE-2024-1", "rule=x"], false, false),
        ] {
            let scope = scope(matchers).unwrap();
            assert_eq!(
                (scope.concerns(&ours), scope.chooses_assets(&ours)),
                (concerns, chooses),
                "{matchers:?}"
            );
            assert_eq!(scope.vulnerability(), Some("CVE-2024-1"));
            assert!(!scope.concerns(&subject("CVE-2024-2")));
        }
        assert_eq!(scope(&["vulnerability=~CVE-2024-1"]).unwrap().vulnerability(), None);
    }

    #[test]
    fn an_asset_that_calls_itself_a_rule_is_in_no_scope_by_that() {
        let asset = AssetId::mint(Timestamp::from_millis(1), [1; 10]);
        let subject = Subject::Vulnerability {
            asset,
            id: "CVE-2024-1".to_owned(),
            source_package: "openssl".to_owned(),
        };
        let labels = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let ssh = scope(&["rule=ssh-root"]).unwrap();
        assert!(!ssh.contains(&subject, &labels(&[("rule", "ssh-root")])));
        let servers = scope(&["vulnerability=CVE-2024-1", "class=server"]).unwrap();
        assert!(servers.contains(&subject, &labels(&[("class", "server")])));
        assert!(!servers.contains(&subject, &labels(&[("class", "device")])));
        let here = format!("asset={asset}");
        assert!(scope(&["package=openssl", &here]).unwrap().contains(&subject, &Labels::new()));
    }
}
