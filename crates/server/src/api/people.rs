//! The names of people, each asked for once.

use std::collections::BTreeMap;

use bartizan_core::id::PersonId;

use crate::problem::Problem;
use crate::web::Web;

/// Names that were asked for before.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<PersonId, String>);

impl Names {
    /// A person's name; their identifier where nobody knows them any more.
    pub(crate) async fn name(&mut self, web: &Web, id: PersonId) -> Result<String, Problem> {
        if let Some(name) = self.0.get(&id) {
            return Ok(name.clone());
        }
        let person = web.store.person(id).await?;
        let name = person.map_or_else(|| id.to_string(), |person| person.name);
        self.0.insert(id, name.clone());
        Ok(name)
    }
}
