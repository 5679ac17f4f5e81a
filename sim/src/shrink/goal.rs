//! What a smaller plan has to find.

use crate::report::{Finding, Found, PLAN, Report, STUCK};
use crate::violation::{INSTANT_BUDGET, STEP_BUDGET};

/// The finding that has to stay while a plan gets smaller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    property: String,
    /// The site, unless any will do.
    site: Option<String>,
    /// When it was found: a cluster that did not converge is another matter than a check that
    /// found something at some time.
    found: Found,
}

impl Goal {
    /// The same property at the same site, or with `any_site` at another one. `None` where no
    /// smaller plan can be looked for: one that cannot be run has no run, and each run that gets
    /// stuck costs a thread that never ends.
    pub(crate) fn new(finding: &Finding, any_site: bool) -> Option<Self> {
        let is_possible = ![STUCK, PLAN].contains(&&*finding.property);
        is_possible.then(|| Self {
            property: finding.property.clone(),
            site: (!any_site).then(|| finding.site.clone()),
            found: finding.found,
        })
    }

    /// Whether it is about a property.
    pub(crate) fn is_of(&self, property: &str) -> bool {
        self.property == property
    }

    /// Whether a run found it.
    pub(super) fn is_met(&self, report: &Report) -> bool {
        let is_converging = |found| found == Found::Converging;
        report.finding.as_ref().is_some_and(|finding| {
            finding.property == self.property
                && self.site.as_ref().is_none_or(|site| *site == finding.site)
                // How long a cluster may take says nothing of what it did until then.
                && is_converging(finding.found) == is_converging(self.found)
        })
    }

    /// Whether the finding is that the cluster did not converge: then nothing may be changed that
    /// would keep a sound one from it, such as the time that it has.
    pub(super) fn is_converging(&self) -> bool {
        self.found == Found::Converging
    }

    /// Whether the finding is a bound on steps, which no other bound may hide.
    pub(super) fn is_budget(&self) -> bool {
        [STEP_BUDGET, INSTANT_BUDGET].contains(&&*self.property)
    }
}
