//! Accepted findings: what acceptances in force lie over, laid over lists when they are read.
//!
//! An accepted finding is open still: it is counted apart, and never as mended.

use bartizan_core::acceptance::Acceptance;
use bartizan_core::asset::Asset;
use roaring::RoaringBitmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Finding, Group};
use crate::acceptance::{Fault, Look};
use crate::api::person::Names;
use crate::problem::Problem;
use crate::web::Web;

/// By which acceptance, by whom, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    pub acceptance: String,
    /// Who answers for the risk.
    pub owner: String,
    pub until: String,
}

/// The acceptances in force, for one answer.
pub(crate) struct Overlay<'a> {
    web: &'a Web,
    acceptances: Vec<(Acceptance, Accepted)>,
    look: Look<'a>,
}

impl<'a> Overlay<'a> {
    /// Reads which acceptances are in force.
    pub(crate) async fn read(web: &'a Web) -> Result<Self, Problem> {
        let (now, mut names) = (web.ambient.now(), Names::default());
        let mut acceptances = Vec::new();
        for acceptance in web.store.acceptances(true).await? {
            if acceptance.is_in_force(now) {
                let told = Accepted {
                    acceptance: acceptance.id.to_string(),
                    owner: names.name(web, acceptance.owner).await?,
                    until: acceptance.until.to_string(),
                };
                acceptances.push((acceptance, told));
            }
        }
        Ok(Self { web, acceptances, look: Look::new(&web.store) })
    }

    /// Of the assets that have a fault, those where it is accepted, and by which acceptances.
    async fn over(&mut self, fault: &Fault) -> Result<(RoaringBitmap, Vec<Accepted>), Problem> {
        let (mut covered, mut by) = (RoaringBitmap::new(), Vec::new());
        let mut having = None;
        for (acceptance, told) in &self.acceptances {
            if !acceptance.scope.concerns(&fault.anywhere()) {
                continue;
            }
            let assets: RoaringBitmap = match &having {
                Some(assets) => RoaringBitmap::clone(assets),
                None => having.insert(self.look.with(fault).await?).clone(),
            };
            let inside = self.look.within(&acceptance.scope, fault, assets).await?;
            if !inside.is_empty() {
                covered |= inside;
                by.push(told.clone());
            }
        }
        Ok((covered, by))
    }

    /// Takes what is accepted out of the open ones of each group, and tells of it beside them.
    pub(crate) async fn lay_over(&mut self, groups: &mut [Group]) -> Result<(), Problem> {
        if self.acceptances.is_empty() {
            return Ok(());
        }
        for group in groups {
            let Some(fault) = Fault::named(&group.kind, &group.subject, &group.object) else { continue };
            let (covered, by) = self.over(&fault).await?;
            group.accepted = covered.len().min(group.assets);
            group.assets -= group.accepted;
            group.accepted_by = by;
        }
        Ok(())
    }

    /// The acceptance of a finding on one asset, where one lies over it.
    pub(crate) fn of(&self, fault: &Fault, asset: &Asset) -> Option<Accepted> {
        let (subject, labels, now) = (fault.on(asset.id), asset.labels(), self.web.ambient.now());
        let covers = |(acceptance, _): &&(Acceptance, Accepted)| acceptance.covers(&subject, &labels, now);
        self.acceptances.iter().find(covers).map(|(_, told)| told.clone())
    }

    /// Tells of each finding of an asset whether it is accepted.
    pub(crate) fn mark<'b>(&self, asset: &Asset, findings: impl Iterator<Item = &'b mut Finding>) {
        if self.acceptances.is_empty() {
            return;
        }
        for finding in findings {
            let fault = Fault::named(&finding.kind, &finding.subject, &finding.object);
            finding.accepted = fault.and_then(|fault| self.of(&fault, asset));
        }
    }

    /// How many findings are accepted over the fleet: each counts once for each asset that has it.
    pub(crate) async fn count(&mut self) -> Result<u64, Problem> {
        let mut all: std::collections::BTreeMap<Fault, RoaringBitmap> = Default::default();
        for (acceptance, _) in &self.acceptances {
            for (fault, assets) in self.look.covered(&acceptance.scope).await? {
                *all.entry(fault).or_default() |= assets;
            }
        }
        Ok(all.values().map(RoaringBitmap::len).sum())
    }
}
