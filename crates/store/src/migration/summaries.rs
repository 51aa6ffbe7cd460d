//! Figures that pages show, kept as rows; what a feed changed, kept as a log.

pub(super) const STATEMENTS: &[&str] = &[
    // A build is found by what a record names: its release and either of its names.
    "ALTER TABLE tuple ADD COLUMN release TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE tuple ADD COLUMN package TEXT NOT NULL DEFAULT ''",
    "UPDATE tuple SET release = {body.release}, package = {body.package}",
    "CREATE INDEX tuple_by_package ON tuple (ecosystem, package)",
    // A match is found by what is counted: the vulnerability of a source package.
    "ALTER TABLE vulnerability_match ADD COLUMN source TEXT NOT NULL DEFAULT ''",
    "ALTER TABLE vulnerability_match ADD COLUMN severity {int} NOT NULL DEFAULT 2",
    "UPDATE vulnerability_match SET source = {body.source}, severity = CASE {body.severity.rating}
        WHEN 'none' THEN 0 WHEN 'low' THEN 1 WHEN 'high' THEN 3 WHEN 'critical' THEN 4 ELSE 2 END",
    "DROP INDEX match_by_vulnerability",
    "CREATE INDEX match_by_pair ON vulnerability_match (vulnerability, source)",
    "ALTER TABLE tuple_matched ADD COLUMN covered {int} NOT NULL DEFAULT 1",
    // One row for each build whose matches changed: the stages that follow read it.
    "CREATE TABLE match_change (
        seq {int} NOT NULL PRIMARY KEY, tuple {int} NOT NULL, source TEXT NOT NULL, at {int} NOT NULL,
        first {int} NOT NULL, body TEXT NOT NULL) {strict}",
    // The feeds by which every build below the cursor was judged.
    "CREATE TABLE matched_feeds (
        one {int} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, at {int} NOT NULL,
        CHECK (one = 1)) {strict}",
    // Moved by the posture stage, in the transaction that moves its bitmaps.
    "CREATE TABLE subject_count (
        subject {int} NOT NULL PRIMARY KEY, assigned {int} NOT NULL, met {int} NOT NULL,
        not_met {int} NOT NULL, unknown {int} NOT NULL) {strict}",
    "CREATE TABLE vulnerability_count (
        vulnerability TEXT NOT NULL, source TEXT NOT NULL, shard {int} NOT NULL,
        affected {int} NOT NULL, unknown {int} NOT NULL, severity {int} NOT NULL, shown {int},
        PRIMARY KEY (vulnerability, source, shard)) {strict}",
    "CREATE TABLE vulnerability_summary (
        vulnerability TEXT NOT NULL, source TEXT NOT NULL, affected {int} NOT NULL,
        unknown {int} NOT NULL, severity {int} NOT NULL, title TEXT NOT NULL DEFAULT '',
        fixed TEXT, fix_state TEXT, text TEXT NOT NULL DEFAULT '',
        PRIMARY KEY (vulnerability, source)) {strict}",
    "CREATE INDEX vulnerability_summary_by_rank ON vulnerability_summary (
        severity DESC, affected DESC, vulnerability, source)",
    "CREATE TABLE release_count (
        ecosystem TEXT NOT NULL, release TEXT NOT NULL, shard {int} NOT NULL, assets {int} NOT NULL,
        bitmap {bytes} NOT NULL,
        PRIMARY KEY (ecosystem, release, shard)) {strict}",
    // The index has no such figures yet: the stage builds it anew from the first transition.
    "DELETE FROM posture",
    "DELETE FROM stage_cursor WHERE stage = 'posture'",
];
