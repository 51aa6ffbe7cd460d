//! The schema as the engine has it, for the dumps that are checked in.

use crate::Store;
use crate::engine::Error;

impl Store {
    /// Every table with its columns and keys, one a line, sorted: what a reviewer reads when a
    /// migration changes something.
    pub async fn schema(&self) -> Result<String, Error> {
        let reading = self.reading("read its schema");
        let sql = match self.engine() {
            "postgres" => {
                "SELECT table_name || '.' || column_name || ' ' || data_type ||
                    CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
                 FROM information_schema.columns WHERE table_schema = current_schema()
                 UNION ALL
                 SELECT replace(indexdef, current_schema() || '.', '') FROM pg_indexes WHERE schemaname = current_schema() ORDER BY 1"
            }
            _ => "SELECT sql || ';' FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name",
        };
        let mut dump = String::new();
        for row in reading.all(sql, []).await? {
            let line: String = row.get(0)?;
            dump.push_str(&line);
            dump.push('\n');
        }
        Ok(dump)
    }

    /// How many rows were ever written through this store's writing connection (SQLite) or into this schema
    /// (PostgreSQL, whose statistics come within a second), and how many bytes it takes on disk.
    pub async fn volume(&self) -> Result<(u64, u64), Error> {
        let (rows, bytes) = match self.engine() {
            "postgres" => (
                "SELECT COALESCE(SUM(n_tup_ins + n_tup_upd + n_tup_del), 0)::BIGINT FROM pg_stat_user_tables
                 WHERE schemaname = current_schema()",
                "SELECT COALESCE(SUM(pg_total_relation_size(relid)), 0)::BIGINT FROM pg_stat_user_tables
                 WHERE schemaname = current_schema()",
            ),
            _ => (
                "SELECT total_changes()",
                "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
            ),
        };
        let writing = self.writing("tell its volume");
        let mut found = [0, 0];
        for (place, sql) in found.iter_mut().zip([rows, bytes]) {
            *place = writing.one(sql, []).await?.map(|row| row.number(0)).transpose()?.unwrap_or(0);
        }
        Ok(found.into())
    }
}
