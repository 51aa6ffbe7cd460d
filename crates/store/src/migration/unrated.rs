//! What no feed rates is unrated (-1), and no more medium.

pub(super) const STATEMENTS: &[&str] = &[
    "UPDATE vulnerability_match SET severity = -1 WHERE {body.severity.rating} IS NULL",
    // Figures took what was unrated for medium, and what affects nobody for harmless. A row that no rated
    // build explains is unrated; the stage counts it anew at the next change.
    "UPDATE vulnerability_count SET severity = COALESCE((
        SELECT MAX(found.severity) FROM vulnerability_match found
        WHERE found.vulnerability = vulnerability_count.vulnerability
            AND found.source = vulnerability_count.source AND found.verdict = 'affected'
            AND found.severity <= 2), -1)
     WHERE severity = 2",
    "UPDATE vulnerability_summary SET severity = COALESCE((
        SELECT MAX(found.severity) FROM vulnerability_match found
        WHERE found.vulnerability = vulnerability_summary.vulnerability
            AND found.source = vulnerability_summary.source AND found.verdict = 'affected'
            AND found.severity <= 2), -1)
     WHERE severity = 2",
    "UPDATE vulnerability_count SET severity = -1 WHERE affected = 0",
    "UPDATE vulnerability_summary SET severity = -1 WHERE affected = 0",
    // Pages list what is unrated among what is medium.
    "DROP INDEX vulnerability_summary_by_rank",
    "CREATE INDEX vulnerability_summary_by_rank ON vulnerability_summary (
        (CASE WHEN severity < 0 THEN 2 ELSE severity END) DESC, affected DESC, vulnerability, source)",
];
