//! How bad an incident is: three axes that people judge one by one, and the level they give.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::monitoring::alert::Alert;
use crate::severity::Severity;

/// What the incident does to whoever relies on what it touches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Impact {
    /// Nobody notices yet.
    #[default]
    Unnoticed,
    /// Slower, or with errors that people work around.
    Degraded,
    /// A function is lost, or a host's integrity is in doubt.
    Serious,
    /// The service is lost, or somebody else controls it.
    Lost,
}

/// How far it reaches.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Spread {
    #[default]
    OneAsset,
    OneService,
    ManyServices,
}

/// The most sensitive data within its reach.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Sensitivity {
    /// None, or what anybody may see.
    #[default]
    Public,
    /// What only the organisation may see.
    Internal,
    /// Secrets and credentials: who reads them can reach further.
    Secret,
    /// Customers' data or data about persons.
    Customer,
}

/// The three axes together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rating {
    pub impact: Impact,
    pub spread: Spread,
    pub sensitivity: Sensitivity,
}

impl Rating {
    /// The one level that the axes give: the worse of impact and sensitivity, one higher where
    /// several services are touched.
    pub fn level(self) -> Severity {
        let impact = match self.impact {
            Impact::Unnoticed => Severity::Low,
            Impact::Degraded => Severity::Medium,
            Impact::Serious => Severity::High,
            Impact::Lost => Severity::Critical,
        };
        let sensitivity = match self.sensitivity {
            Sensitivity::Public => Severity::Low,
            Sensitivity::Internal => Severity::Medium,
            Sensitivity::Secret => Severity::High,
            Sensitivity::Customer => Severity::Critical,
        };
        let worse = impact.max(sensitivity);
        match (self.spread, worse) {
            (Spread::OneAsset | Spread::OneService, worse) => worse,
            (Spread::ManyServices, Severity::None | Severity::Low) => Severity::Medium,
            (Spread::ManyServices, Severity::Medium) => Severity::High,
            (Spread::ManyServices, Severity::High | Severity::Critical) => Severity::Critical,
        }
    }

    /// What an alert alone tells; whose data it is, people have to say.
    pub fn of(alert: &Alert) -> Rating {
        let impact = match alert.severity {
            Severity::None | Severity::Low => Impact::Unnoticed,
            Severity::Medium => Impact::Degraded,
            Severity::High => Impact::Serious,
            Severity::Critical => Impact::Lost,
        };
        let places = alert.counts.firing.saturating_add(alert.counts.unknown);
        let spread = if places > 1 { Spread::OneService } else { Spread::OneAsset };
        Rating { impact, spread, sensitivity: Sensitivity::default() }
    }

    /// The worse of both on each axis.
    #[must_use]
    pub fn worse(self, other: Rating) -> Rating {
        Rating {
            impact: self.impact.max(other.impact),
            spread: self.spread.max(other.spread),
            sensitivity: self.sensitivity.max(other.sensitivity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMPACTS: [Impact; 4] = [Impact::Unnoticed, Impact::Degraded, Impact::Serious, Impact::Lost];
    const SPREADS: [Spread; 3] = [Spread::OneAsset, Spread::OneService, Spread::ManyServices];
    const SENSITIVITIES: [Sensitivity; 4] =
        [Sensitivity::Public, Sensitivity::Internal, Sensitivity::Secret, Sensitivity::Customer];

    fn every() -> Vec<Rating> {
        let mut all = Vec::new();
        for impact in IMPACTS {
            for spread in SPREADS {
                for sensitivity in SENSITIVITIES {
                    all.push(Rating { impact, spread, sensitivity });
                }
            }
        }
        all
    }

    #[test]
    fn a_worse_axis_never_lowers_the_level() {
        for one in every() {
            for other in every() {
                let worse = one.worse(other);
                assert!(worse.level() >= one.level().max(other.level()), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_table_of_levels() {
        let table = [
            ((0, 0, 0), Severity::Low),
            ((0, 1, 0), Severity::Low),
            ((0, 2, 0), Severity::Medium),
            ((1, 0, 0), Severity::Medium),
            ((1, 2, 1), Severity::High),
            ((2, 1, 0), Severity::High),
            ((2, 2, 0), Severity::Critical),
            ((0, 0, 2), Severity::High),
            ((0, 0, 3), Severity::Critical),
            ((3, 0, 0), Severity::Critical),
        ];
        for ((impact, spread, sensitivity), level) in table {
            let rating = Rating {
                impact: IMPACTS[impact],
                spread: SPREADS[spread],
                sensitivity: SENSITIVITIES[sensitivity],
            };
            assert_eq!(rating.level(), level, "{rating:?}");
        }
    }
}
