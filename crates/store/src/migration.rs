//! The schema, as steps that are only ever added to. A shipped step is never edited.
//!
//! The statements are written once for both engines: `{int}`, `{bytes}` and `{serial}` stand
//! for what each calls a 64-bit integer, a byte string and a key that counts by itself.

use sea_orm::{ConnectionTrait, DatabaseBackend, DbErr};
use sea_orm_migration::prelude::*;

mod access;
mod environment;
mod first;
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
            ],
            _ => [
                ("{int}", "INTEGER"),
                ("{bytes}", "BLOB"),
                ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
                ("{strict}", "STRICT"),
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
