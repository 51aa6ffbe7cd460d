//! Figures over time, and what of them is backlog.

pub(super) const STATEMENTS: &[&str] = &[
    // How the fleet stood at the end of each minute, hour and day in which that changed.
    "CREATE TABLE trend (
        step TEXT NOT NULL, start {int} NOT NULL, at {int} NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (step, start), CHECK (step IN ('minute', 'hour', 'day'))) {strict}",
    // What the figures of now don't say of the backlog: how much of it ended, and when assets came.
    "CREATE TABLE backlog (
        one {int} NOT NULL PRIMARY KEY, ended {int} NOT NULL, first_at {int}, last_at {int},
        CHECK (one = 1)) {strict}",
    // Whether a match was there when its build was first judged.
    "ALTER TABLE vulnerability_match ADD COLUMN quiet {int} NOT NULL DEFAULT 0",
    "UPDATE vulnerability_match SET quiet = 1 WHERE verdict = 'affected'
        AND (tuple, known_at) IN (SELECT tuple, at FROM match_change WHERE first = 1)",
    "ALTER TABLE subject_count ADD COLUMN backlog {int} NOT NULL DEFAULT 0",
    "ALTER TABLE vulnerability_count ADD COLUMN backlog {int} NOT NULL DEFAULT 0",
    "ALTER TABLE vulnerability_summary ADD COLUMN backlog {int} NOT NULL DEFAULT 0",
    // The index has no such figures yet: the stage builds it anew from the first transition.
    "DELETE FROM posture",
    "DELETE FROM subject_count",
    "DELETE FROM vulnerability_count",
    "DELETE FROM vulnerability_summary",
    "DELETE FROM release_count",
    "DELETE FROM stage_cursor WHERE stage IN ('posture', 'posture/match')",
    "INSERT INTO stage_cursor (stage, shard, position)
        SELECT 'posture/rebuilt', shard, next FROM log_head WHERE log = 'transition'",
    // Nobody ever wrote to it.
    "DROP TABLE summary",
];
