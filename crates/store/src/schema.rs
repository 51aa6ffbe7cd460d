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
}
