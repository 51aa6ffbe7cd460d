//! The two engines behind one face: connections, transactions, statements and rows.

use std::path::PathBuf;
use std::time::Duration;

use bartizan_core::error::Class;
use sea_orm::{
    ConnectionTrait, DatabaseBackend, DatabaseConnection, DatabaseTransaction, DbErr, QueryResult,
    RuntimeErr, SqliteTransactionMode, SqlxPostgresConnector, SqlxSqliteConnector, Statement,
    TransactionOptions, TransactionTrait, TryGetable, Value,
};
use sea_orm_migration::MigratorTrait;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::migration::Migrator;
use crate::numbers::Known;

/// How long a statement waits for another process's lock on a SQLite file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a request waits for a connection before it is told that the store is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long the first connection to PostgreSQL may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections that read at once on SQLite; writing has one of its own.
const SQLITE_READERS: u32 = 4;

/// Connections of one replica to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;

/// The most rows that one statement writes. Fewer go in halves of it, so that the statements an engine
/// keeps prepared are few.
const ROWS_LIMIT: usize = 64;

/// How many rows a SQLite connection reads ahead of whoever takes them: each hand-over wakes a thread.
const ROWS_AHEAD: usize = 512;

/// How many pages of its log SQLite gathers before it writes them into the file: 32 MiB, so that pages which
/// are written again and again while a fleet enrols are copied seldom.
const LOG_PAGES: &str = "8192";

/// Where the state is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// One file; it is made where it is missing.
    Sqlite(PathBuf),
    /// `postgres://USER@HOST/DATABASE`; `schema` keeps several stores apart in one database.
    Postgres { url: String, schema: Option<String> },
}

/// All state, on one of the two engines.
#[derive(Clone, Debug)]
pub struct Store {
    /// On SQLite the one connection that writes: its queue is the order of writes.
    writer: DatabaseConnection,
    readers: DatabaseConnection,
    pub(crate) numbers: Known,
    /// Whether it refuses to write.
    reads_only: bool,
}

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't open the store at {place}: {source}")]
    Open { place: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the store could not {doing}: {source}")]
    Database { doing: &'static str, source: DbErr },
    /// The engine is set so that a commit may be lost.
    #[error("PostgreSQL has synchronous_commit={0}; set it to on: what is acknowledged must be durable")]
    NotDurable(String),
    #[error("the store holds {what} that can't be read: {problem}")]
    Corrupt { what: &'static str, problem: String },
    #[error("there is no {what} `{name}`")]
    NotFound { what: &'static str, name: String },
    #[error("{0}")]
    Conflict(String),
    /// It was asked to write, and only reads: whoever asked wanted to know whether it would come to that.
    #[error("it only reads, and would have had to {0}")]
    ReadsOnly(&'static str),
    #[error("{what} {found}; the limit is {limit}")]
    Limit { what: &'static str, found: usize, limit: usize },
}

impl Error {
    /// What class of error this is.
    pub const fn class(&self) -> Class {
        match self {
            Error::Open { .. } | Error::Database { .. } | Error::NotDurable(_) => Class::Unavailable,
            Error::Corrupt { .. } => Class::Bug,
            Error::NotFound { .. } => Class::NotFound,
            Error::Conflict(_) | Error::ReadsOnly(_) => Class::Conflict,
            Error::Limit { .. } => Class::Limit,
        }
    }

    /// Whether what was asked may be to blame, and not the way to the database: the rest of a batch may do well
    /// without it.
    pub fn is_of_content(&self) -> bool {
        match self {
            Error::Database { source, .. } => refusal(source).is_some(),
            Error::Open { .. } | Error::NotDurable(_) | Error::ReadsOnly(_) => false,
            Error::Corrupt { .. } | Error::NotFound { .. } | Error::Conflict(_) | Error::Limit { .. } => true,
        }
    }

    pub(crate) fn corrupt(what: &'static str, problem: impl std::fmt::Display) -> Self {
        Error::Corrupt { what, problem: problem.to_string() }
    }
}

impl Store {
    /// Opens the store, and brings its schema to this program's.
    pub async fn open(place: &Place) -> Result<Store, Error> {
        let store = match place {
            Place::Sqlite(path) => sqlite(path).await?,
            Place::Postgres { url, schema } => postgres(url, schema.as_deref()).await?,
        };
        let failed = |source| Error::Database { doing: "bring its schema up to date", source };
        Migrator::up(&store.writer, None).await.map_err(failed)?;
        Ok(store)
    }

    /// Closes every connection. On SQLite the last one folds the log into the file, so that whoever copies the
    /// file has all of it.
    pub async fn close(&self) {
        for connection in [&self.readers, &self.writer] {
            match connection.get_database_backend() {
                DatabaseBackend::Postgres => connection.get_postgres_connection_pool().close().await,
                _ => connection.get_sqlite_connection_pool().close().await,
            }
        }
    }

    /// The same state for whoever may not change it: every transaction that would write is refused.
    #[must_use]
    pub fn reads_only(&self) -> Store {
        Store { reads_only: true, ..self.clone() }
    }

    /// Whether it refuses to write.
    pub const fn is_read_only(&self) -> bool {
        self.reads_only
    }

    /// Which engine it runs on: `sqlite` or `postgres`.
    pub fn engine(&self) -> &'static str {
        match self.writer.get_database_backend() {
            DatabaseBackend::Postgres => "postgres",
            _ => "sqlite",
        }
    }

    /// Starts a transaction that writes. What is not committed is gone.
    pub(crate) async fn begin(&self, doing: &'static str) -> Result<Transaction, Error> {
        if self.reads_only {
            return Err(Error::ReadsOnly(doing));
        }
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let begun = self.writer.begin_with_options(options).await;
        let inner = begun.map_err(|source| Error::Database { doing, source })?;
        Ok(Transaction { inner, doing })
    }

    /// Reads what the connection that writes knows of itself.
    pub(crate) fn writing(&self, doing: &'static str) -> Reading<'_, DatabaseConnection> {
        Reading { connection: &self.writer, doing }
    }

    /// Reads outside a transaction.
    pub(crate) fn reading(&self, doing: &'static str) -> Reading<'_, DatabaseConnection> {
        Reading { connection: &self.readers, doing }
    }
}

/// Makes the file where it is missing, for its owner alone: it holds sessions' digests and sealed keys.
/// The files that SQLite keeps beside it take its mode.
fn private(path: &std::path::Path) -> std::io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let file = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

async fn sqlite(path: &std::path::Path) -> Result<Store, Error> {
    let refused =
        |source: std::io::Error| Error::Open { place: path.display().to_string(), source: source.into() };
    private(path).map_err(refused)?;
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("cache_size", "-65536")
        .pragma("mmap_size", "0")
        .pragma("wal_autocheckpoint", LOG_PAGES)
        .row_buffer_size(ROWS_AHEAD)
        .statement_cache_capacity(500);
    let failed =
        |source: sqlx::Error| Error::Open { place: path.display().to_string(), source: source.into() };
    let pool = |connections, options| async move {
        let pool = SqlitePoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT);
        pool.connect_with(options).await.map_err(failed)
    };
    let writer = pool(1, options.clone()).await?;
    let readers = pool(SQLITE_READERS, options).await?;
    Ok(Store {
        writer: SqlxSqliteConnector::from_sqlx_sqlite_pool(writer),
        readers: SqlxSqliteConnector::from_sqlx_sqlite_pool(readers),
        numbers: Known::default(),
        reads_only: false,
    })
}

async fn postgres(url: &str, schema: Option<&str>) -> Result<Store, Error> {
    // The URL may hold a password: a message names the place without it.
    let shown = || url.rsplit('@').next().unwrap_or_default().to_owned();
    let failed = |source: sqlx::Error| Error::Open { place: shown(), source: source.into() };
    let mut options: PgConnectOptions = url.parse().map_err(failed)?;
    if let Some(schema) = schema {
        options = options.options([("search_path", schema)]);
    }
    // One by itself first: a pool tries on until it is out of time, and then says no more than that.
    let first = tokio::time::timeout(CONNECT_TIMEOUT, options.connect()).await;
    let first = first
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
        .map_err(failed)?;
    drop(first);
    let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.connect_with(options).await.map_err(failed)?;
    let connection = SqlxPostgresConnector::from_sqlx_postgres_pool(pool);
    let numbers = Known::default();
    let store = Store { writer: connection.clone(), readers: connection, numbers, reads_only: false };
    if let Some(schema) = schema {
        let quoted = schema.replace('"', "\"\"");
        let made =
            store.writer.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS \"{quoted}\"")).await;
        made.map_err(|source| Error::Database { doing: "make its schema", source })?;
    }
    let reading = store.reading("read synchronous_commit");
    let row = reading.one("SELECT current_setting('synchronous_commit')", []).await?;
    let setting: String = row.map(|row| row.get(0)).transpose()?.unwrap_or_default();
    if !matches!(setting.as_str(), "on" | "remote_apply") {
        return Err(Error::NotDurable(setting));
    }
    Ok(store)
}

/// A transaction, and what it is for in the words of an error.
pub(crate) struct Transaction {
    inner: DatabaseTransaction,
    doing: &'static str,
}

impl Transaction {
    pub(crate) async fn commit(self) -> Result<(), Error> {
        let doing = self.doing;
        self.inner.commit().await.map_err(|source| Error::Database { doing, source })
    }

    /// `($1, $2, …)` for values that a statement takes in their order and once. SQLite looks for a name, even
    /// a numbered one, through all names before it: with hundreds that took longer than the writing.
    fn in_order(&self, from: usize, count: usize) -> String {
        match self.inner.get_database_backend() {
            DatabaseBackend::Postgres => places(from, count),
            _ => format!("({})", vec!["?"; count].join(", ")),
        }
    }

    /// What ends a statement that reads rows to hold them until the end; SQLite has one writer at a time
    /// anyhow, and no word for it.
    pub(crate) fn for_update(&self) -> &'static str {
        match self.inner.get_database_backend() {
            DatabaseBackend::Postgres => " FOR UPDATE",
            _ => "",
        }
    }

    /// The same for rows that others may hold, too, but nobody may take away.
    pub(crate) fn for_share(&self) -> &'static str {
        match self.inner.get_database_backend() {
            DatabaseBackend::Postgres => " FOR SHARE",
            _ => "",
        }
    }

    pub(crate) fn reading(&self) -> Reading<'_, DatabaseTransaction> {
        Reading { connection: &self.inner, doing: self.doing }
    }

    /// Runs a statement; gives how many rows it changed.
    pub(crate) async fn run(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Result<u64, Error> {
        let values = values.into_iter().map(storable);
        let statement = Statement::from_sql_and_values(self.inner.get_database_backend(), sql, values);
        let done = self.inner.execute_raw(statement).await;
        done.map(|done| done.rows_affected()).map_err(|source| self.failed(source))
    }

    /// Inserts rows, many in one statement; gives how many it changed. `tail` follows the values.
    ///
    /// With `ON CONFLICT DO UPDATE` no two rows may have the same key.
    pub(crate) async fn insert(&self, into: &str, rows: &[Vec<Value>], tail: &str) -> Result<u64, Error> {
        let mut changed = 0;
        let mut rest = rows;
        while let Some(first) = rest.first() {
            let count = ROWS_LIMIT.min(1 << rest.len().ilog2());
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let groups: Vec<String> =
                (0..now.len()).map(|row| self.in_order(1 + row * first.len(), first.len())).collect();
            let sql = format!("INSERT INTO {into} VALUES {} {tail}", groups.join(", "));
            changed += self.run(&sql, now.iter().flatten().cloned()).await?;
            rest = later;
        }
        Ok(changed)
    }

    pub(crate) async fn one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Row>, Error> {
        self.reading().one(sql, values).await
    }

    pub(crate) async fn all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Error> {
        self.reading().all(sql, values).await
    }

    fn failed(&self, source: DbErr) -> Error {
        failed(self.doing, source)
    }
}

/// Statements that read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'a, C> {
    connection: &'a C,
    doing: &'static str,
}

impl<C: ConnectionTrait> Reading<'_, C> {
    pub(crate) async fn one(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Option<Row>, Error> {
        let found = self.connection.query_one_raw(self.statement(sql, values)).await;
        found.map(|row| row.map(Row)).map_err(|source| failed(self.doing, source))
    }

    pub(crate) async fn all(
        &self,
        sql: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<Row>, Error> {
        let found = self.connection.query_all_raw(self.statement(sql, values)).await;
        found.map(|rows| rows.into_iter().map(Row).collect()).map_err(|source| failed(self.doing, source))
    }

    fn statement(&self, sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
        let values = values.into_iter().map(storable);
        Statement::from_sql_and_values(self.connection.get_database_backend(), sql, values)
    }
}

/// PostgreSQL has no U+0000 in a text, and would refuse the whole statement. What hosts tell may hold one: it
/// becomes U+FFFD, on both engines alike.
fn storable(value: Value) -> Value {
    match value {
        Value::String(Some(text)) if text.contains('\0') => {
            Value::String(Some(text.replace('\0', "\u{fffd}")))
        }
        other => other,
    }
}

/// A clash of two writers is a conflict that the caller may try again; all else is unavailable.
fn failed(doing: &'static str, source: DbErr) -> Error {
    let code = refusal(&source).and_then(|error| error.code()).map(|code| code.into_owned());
    // PostgreSQL: serialization failure, deadlock, unique violation; SQLite: a unique or primary key.
    match code.as_deref() {
        Some("40001" | "40P01" | "23505" | "2067" | "1555") => {
            Error::Conflict(format!("somebody else was quicker to {doing}; look again"))
        }
        _ => Error::Database { doing, source },
    }
}

/// What the database itself answered, where it answered at all.
fn refusal(source: &DbErr) -> Option<&dyn sqlx::error::DatabaseError> {
    match source {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            error.as_database_error()
        }
        _ => None,
    }
}

/// One row; columns are read by their place.
pub(crate) struct Row(QueryResult);

impl Row {
    pub(crate) fn get<T: TryGetable>(&self, column: usize) -> Result<T, Error> {
        self.0.try_get_by_index(column).map_err(|error| Error::corrupt("a row", error))
    }

    /// A number that is never negative where we write it.
    pub(crate) fn number<T: TryFrom<i64>>(&self, column: usize) -> Result<T, Error> {
        let raw: i64 = self.get(column)?;
        T::try_from(raw).map_err(|_| Error::corrupt("a number", raw))
    }

    pub(crate) fn time(&self, column: usize) -> Result<bartizan_core::time::Timestamp, Error> {
        self.get(column).map(bartizan_core::time::Timestamp::from_millis)
    }

    /// A word or identifier that its type reads back.
    pub(crate) fn parse<T: std::str::FromStr>(&self, column: usize, what: &'static str) -> Result<T, Error>
    where
        T::Err: std::fmt::Display,
    {
        let word: String = self.get(column)?;
        word.parse().map_err(|problem| Error::corrupt(what, problem))
    }

    /// A digest, kept as its 32 bytes.
    pub(crate) fn digest(&self, column: usize) -> Result<bartizan_core::digest::Digest, Error> {
        let bytes: Vec<u8> = self.get(column)?;
        let bytes = <[u8; 32]>::try_from(bytes).map_err(|bytes| Error::corrupt("a digest", bytes.len()))?;
        Ok(bartizan_core::digest::Digest::from_bytes(bytes))
    }

    /// A value kept as JSON text.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        column: usize,
        what: &'static str,
    ) -> Result<T, Error> {
        let text: String = self.get(column)?;
        serde_json::from_str(&text).map_err(|problem| Error::corrupt(what, problem))
    }
}

/// A value as JSON text, for a column that only its own type reads.
pub(crate) fn json<T: serde::Serialize>(value: &T, what: &'static str) -> Result<Value, Error> {
    serde_json::to_string(value).map(Value::from).map_err(|problem| Error::corrupt(what, problem))
}

/// A digest as its 32 bytes.
pub(crate) fn bytes(digest: &bartizan_core::digest::Digest) -> Value {
    Value::from(digest.as_bytes().to_vec())
}

/// A time as milliseconds.
pub(crate) fn ms(time: bartizan_core::time::Timestamp) -> Value {
    Value::from(time.as_millis())
}

/// `($1, $2, …)` from a number on, for a list of values.
pub(crate) fn places(from: usize, count: usize) -> String {
    let places: Vec<String> = (from..from + count).map(|place| format!("${place}")).collect();
    format!("({})", places.join(", "))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_file_is_its_owners_alone_also_where_it_was_there_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bartizan.db");
        let mode = || std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        super::private(&path).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        super::private(&path).unwrap();
        assert_eq!(mode(), 0o600);
    }
}
