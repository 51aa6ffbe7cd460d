//! Which alerts open an incident. A document of kind `IncidentRule`.

use serde::{Deserialize, Serialize};

use super::TITLE_CHARACTERS_LIMIT;
use crate::document::{Document, Fault};
use crate::monitoring::alert::Alert;
use crate::selector::Selector;
use crate::severity::Severity;

/// The `spec` of an `IncidentRule` document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IncidentRule {
    /// Over an alert's labels: `alertname`, `kind`, `service`, `environment`, `severity`.
    #[serde(default)]
    pub matchers: Selector,
    /// Alerts below it open nothing.
    pub minimum: Severity,
    /// What the incident is called; the alert's own line where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

impl IncidentRule {
    /// Reads an `IncidentRule` document; a fault names the line of what is wrong.
    pub fn from_document(document: &Document) -> Result<IncidentRule, Fault> {
        let rule: IncidentRule = document.spec_as()?;
        if !document.scope.matchers().is_empty() {
            let message = "an incident rule has no `scope`: choose alerts by `matchers`";
            return Err(document.fault("", message));
        }
        if let Some(title) = &rule.title
            && (title.trim().is_empty() || title.chars().count() > TITLE_CHARACTERS_LIMIT)
        {
            let message = format!("is empty or has more than {TITLE_CHARACTERS_LIMIT} characters");
            return Err(document.fault("title", message));
        }
        Ok(rule)
    }

    /// Whether an alert is bad enough, and one of those that the rule is about.
    pub fn takes(&self, alert: &Alert) -> bool {
        alert.severity >= self.minimum && self.matchers.matches(&alert.labels())
    }

    /// What an incident is called that this alert opens.
    pub fn title(&self, alert: &Alert) -> String {
        let title = self.title.as_deref().unwrap_or(&alert.summary);
        let title = if title.trim().is_empty() { alert.group.subject.as_str() } else { title };
        title.chars().take(TITLE_CHARACTERS_LIMIT).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert;
    use super::*;
    use crate::document;

    fn read(spec: &str) -> Result<IncidentRule, String> {
        let text = format!("kind: IncidentRule\nname: severe\nspec: {spec}\n");
        let documents = document::parse("r.yaml", &text).map_err(|faults| faults[0].to_string())?;
        IncidentRule::from_document(&documents[0]).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_rule_takes_alerts_from_its_minimum_on_that_its_matchers_choose() {
        let rule = read("{minimum: high, matchers: ['environment=prod']}").unwrap();
        let table = [
            (Severity::Medium, "prod", false),
            (Severity::High, "prod", true),
            (Severity::Critical, "prod", true),
            (Severity::Critical, "dev", false),
        ];
        for (severity, environment, takes) in table {
            let mut alert = alert(1, severity);
            alert.group.environment = environment.to_owned();
            assert_eq!(rule.takes(&alert), takes, "{severity} in {environment}");
        }
    }

    #[test]
    fn an_incident_is_called_by_the_rule_or_by_the_alert() {
        let alert = alert(1, Severity::High);
        assert_eq!(read("{minimum: low}").unwrap().title(&alert), alert.summary);
        assert_eq!(read("{minimum: low, title: Break-in}").unwrap().title(&alert), "Break-in");
    }

    #[test]
    fn a_rule_that_says_too_little_or_too_much_is_refused() {
        for wrong in ["{}", "{minimum: grave}", "{minimum: low, title: ' '}", "{minimum: low, teh: x}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let text = "kind: IncidentRule\nname: n\nscope: [service=web]\nspec: {minimum: low}\n";
        let documents = document::parse("r.yaml", text).unwrap();
        assert!(IncidentRule::from_document(&documents[0]).is_err());
    }
}
