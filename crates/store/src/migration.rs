//! The schema, as steps that are only ever added to. A shipped step is never edited.
//!
//! The statements are written once for both engines: `{int}`, `{bytes}` and `{serial}` stand
//! for what each calls a 64-bit integer, a byte string and a key that counts by itself,
//! `{body.…}` for a field of the JSON text in the column `body`.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};
use sea_orm_migration::prelude::*;

mod access;
mod acknowledged;
mod count;
mod declared;
mod drift;
mod environment;
mod finding;
mod first;
mod hand;
mod life;
mod order;
mod place;
mod review;
mod revoked;
mod summaries;
mod trend;
mod unrated;
mod way;

pub(crate) struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Step { name: "0001_first", statements: first::STATEMENTS }),
            Box::new(Step { name: "0002_way", statements: way::STATEMENTS }),
            Box::new(Step { name: "0003_environment", statements: environment::STATEMENTS }),
            Box::new(Step { name: "0004_access", statements: access::STATEMENTS }),
            Box::new(Step { name: "0005_summaries", statements: summaries::STATEMENTS }),
            Box::new(Step { name: "0006_declared", statements: declared::STATEMENTS }),
            Box::new(Step { name: "0007_acknowledged", statements: acknowledged::STATEMENTS }),
            Box::new(Step { name: "0008_life", statements: life::STATEMENTS }),
            Box::new(Step { name: "0010_trend", statements: trend::STATEMENTS }),
            Box::new(Step { name: "0011_count", statements: count::STATEMENTS }),
            Box::new(Step { name: "0013_order", statements: order::STATEMENTS }),
            Box::new(Step { name: "0014_review", statements: review::STATEMENTS }),
            Box::new(Step { name: "0015_place", statements: place::STATEMENTS }),
            Box::new(Step { name: "0016_hand", statements: hand::STATEMENTS }),
            Box::new(Step { name: "0017_unrated", statements: unrated::STATEMENTS }),
            Box::new(Step { name: "0018_finding", statements: finding::STATEMENTS }),
            Box::new(Step { name: "0019_drift", statements: drift::STATEMENTS }),
            Box::new(Step { name: "0020_revoked", statements: revoked::STATEMENTS }),
        ]
    }
}

/// One step: its name in the table of migrations, and its statements.
struct Step {
    name: &'static str,
    statements: &'static [&'static str],
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let connection = manager.get_connection();
        let words = match connection.get_database_backend() {
            DatabaseBackend::Postgres => [
                ("{int}", "BIGINT"),
                ("{bytes}", "BYTEA"),
                ("{serial}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
                ("{strict}", ""),
                ("{body.acknowledged}", "body::json->>'acknowledged'"),
                ("{body.release}", "body::json->>'release'"),
                ("{body.package}", "body::json->>'package'"),
                ("{body.source}", "body::json->>'source'"),
                ("{body.severity.rating}", "body::json->'severity'->>'rating'"),
            ],
            _ => [
                ("{int}", "INTEGER"),
                ("{bytes}", "BLOB"),
                ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
                ("{strict}", "STRICT"),
                ("{body.acknowledged}", "json_extract(body, '$.acknowledged')"),
                ("{body.release}", "json_extract(body, '$.release')"),
                ("{body.package}", "json_extract(body, '$.package')"),
                ("{body.source}", "json_extract(body, '$.source')"),
                ("{body.severity.rating}", "json_extract(body, '$.severity.rating')"),
            ],
        };
        for statement in self.statements {
            let statement =
                words.iter().fold((*statement).to_owned(), |text, (word, own)| text.replace(word, own));
            connection.execute_unprepared(&statement).await?;
        }
        Ok(())
    }

    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Err(DbErr::Migration("a step back loses data: restore a backup instead".to_owned()))
    }
}
