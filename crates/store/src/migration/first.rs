//! The first schema.

pub(super) const STATEMENTS: &[&str] = &[
    // Logs are numbered from here: the row is updated last before a commit, so that the order
    // of numbers is the order of commits on both engines.
    "CREATE TABLE log_head (
        log TEXT NOT NULL, shard {int} NOT NULL, next {int} NOT NULL,
        PRIMARY KEY (log, shard)) {strict}",
    "CREATE TABLE stage_cursor (
        stage TEXT NOT NULL, shard {int} NOT NULL, position {int} NOT NULL,
        PRIMARY KEY (stage, shard)) {strict}",
    // Assets and how they come.
    "CREATE TABLE enrolment_key (
        id TEXT NOT NULL PRIMARY KEY, secret {bytes} NOT NULL UNIQUE, uses_left {int} NOT NULL,
        expires_at {int} NOT NULL, grants TEXT NOT NULL, created_at {int} NOT NULL) {strict}",
    "CREATE TABLE asset (
        number {int} NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
        class TEXT NOT NULL, service TEXT NOT NULL, environment TEXT NOT NULL, labels TEXT NOT NULL,
        life TEXT NOT NULL, enrolled_at {int} NOT NULL, public_key {bytes} NOT NULL,
        machine TEXT NOT NULL,
        CHECK (life IN ('enrolled', 'quarantined', 'retired')),
        CHECK (class IN ('server', 'database', 'network_device', 'hardware'))) {strict}",
    "CREATE INDEX asset_by_name ON asset (name)",
    // Where an asset's agent stands: written when a report is, never by a heartbeat.
    "CREATE TABLE asset_report (
        number {int} NOT NULL PRIMARY KEY, epoch {int} NOT NULL, sequence {int} NOT NULL,
        digest {bytes} NOT NULL, root {bytes} NOT NULL, observed_at {int} NOT NULL,
        recorded_at {int} NOT NULL, reports {int} NOT NULL) {strict}",
    // One array of times for each replica and shard, every 30 s: what heartbeats cost.
    "CREATE TABLE last_seen (
        shard {int} NOT NULL, replica TEXT NOT NULL, seen {bytes} NOT NULL, at {int} NOT NULL,
        PRIMARY KEY (shard, replica)) {strict}",
    "CREATE TABLE section (hash {bytes} NOT NULL PRIMARY KEY, body {bytes} NOT NULL) {strict}",
    "CREATE TABLE asset_section (
        number {int} NOT NULL, name TEXT NOT NULL, hash {bytes} NOT NULL,
        observed_at {int} NOT NULL, recorded_at {int} NOT NULL,
        PRIMARY KEY (number, name)) {strict}",
    "CREATE INDEX asset_section_by_hash ON asset_section (hash)",
    // Posture: the truth, and the index derived from it.
    "CREATE TABLE asset_state (number {int} NOT NULL PRIMARY KEY, record {bytes} NOT NULL) {strict}",
    "CREATE TABLE transition (
        shard {int} NOT NULL, seq {int} NOT NULL, number {int} NOT NULL, at {int} NOT NULL,
        first_sight {int} NOT NULL, changes {bytes} NOT NULL,
        PRIMARY KEY (shard, seq)) {strict}",
    "CREATE INDEX transition_by_asset ON transition (number, at)",
    "CREATE TABLE subject (
        id {int} NOT NULL PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, digest {bytes} NOT NULL,
        UNIQUE (kind, key, digest)) {strict}",
    "CREATE TABLE tuple (
        id {int} NOT NULL PRIMARY KEY, digest {bytes} NOT NULL UNIQUE, ecosystem TEXT NOT NULL,
        source TEXT NOT NULL, body TEXT NOT NULL) {strict}",
    "CREATE INDEX tuple_by_source ON tuple (ecosystem, source)",
    "CREATE TABLE posture (
        about TEXT NOT NULL, id {int} NOT NULL, shard {int} NOT NULL, plane TEXT NOT NULL,
        since_hour {int} NOT NULL, bitmap {bytes} NOT NULL,
        PRIMARY KEY (about, id, shard, plane, since_hour)) {strict}",
    "CREATE TABLE summary (
        name TEXT NOT NULL PRIMARY KEY, value {int} NOT NULL, at {int} NOT NULL) {strict}",
    // Vulnerabilities.
    "CREATE TABLE feed (
        name TEXT NOT NULL PRIMARY KEY, digest {bytes} NOT NULL, records {int} NOT NULL,
        imported_at {int} NOT NULL, published_at {int}, problem TEXT, problem_at {int}) {strict}",
    "CREATE TABLE vulnerability_match (
        tuple {int} NOT NULL, vulnerability TEXT NOT NULL, verdict TEXT NOT NULL,
        known_at {int} NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (tuple, vulnerability)) {strict}",
    "CREATE INDEX match_by_vulnerability ON vulnerability_match (vulnerability)",
    "CREATE TABLE tuple_matched (
        tuple {int} NOT NULL PRIMARY KEY, feeds {bytes} NOT NULL, at {int} NOT NULL) {strict}",
    // What people write, and decide.
    "CREATE TABLE document (
        environment TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, digest {bytes} NOT NULL,
        written TEXT NOT NULL, applied_at {int} NOT NULL, change TEXT,
        PRIMARY KEY (environment, kind, name)) {strict}",
    "CREATE TABLE decision (
        seq {int} NOT NULL PRIMARY KEY, at {int} NOT NULL, person TEXT NOT NULL, act TEXT NOT NULL,
        target TEXT NOT NULL, body TEXT NOT NULL, outcome TEXT, ruled_at {int}) {strict}",
    "CREATE INDEX decision_by_target ON decision (target)",
    "CREATE TABLE change (
        id TEXT NOT NULL PRIMARY KEY, service TEXT NOT NULL, digest {bytes} NOT NULL,
        open {int} NOT NULL, proposed_at {int} NOT NULL, body TEXT NOT NULL) {strict}",
    "CREATE TABLE acceptance (
        id TEXT NOT NULL PRIMARY KEY, open {int} NOT NULL, ends_at {int} NOT NULL,
        body TEXT NOT NULL) {strict}",
    // Monitoring.
    "CREATE TABLE signal (
        seq {int} NOT NULL PRIMARY KEY, number {int} NOT NULL, at {int} NOT NULL, body TEXT NOT NULL) {strict}",
    "CREATE TABLE alert (
        id TEXT NOT NULL PRIMARY KEY, group_key {bytes} NOT NULL, open {int} NOT NULL,
        opened_at {int} NOT NULL, changed_at {int} NOT NULL, body TEXT NOT NULL) {strict}",
    "CREATE INDEX alert_by_group ON alert (group_key, open)",
    "CREATE INDEX alert_by_time ON alert (open, opened_at)",
    "CREATE TABLE alert_member (
        alert TEXT NOT NULL, member {bytes} NOT NULL, asset TEXT NOT NULL, object TEXT NOT NULL,
        summary TEXT NOT NULL, standing TEXT NOT NULL,
        PRIMARY KEY (alert, member)) {strict}",
    "CREATE TABLE silence (
        id TEXT NOT NULL PRIMARY KEY, ends_at {int} NOT NULL, body TEXT NOT NULL) {strict}",
    // A row is written before the attempt and completed after it.
    "CREATE TABLE notification (
        alert TEXT NOT NULL, receiver TEXT NOT NULL, number {int} NOT NULL, occasion TEXT NOT NULL,
        severity TEXT NOT NULL, at {int} NOT NULL, idempotency_key TEXT NOT NULL,
        state TEXT NOT NULL, attempts {int} NOT NULL, next_at {int} NOT NULL, problem TEXT,
        PRIMARY KEY (alert, receiver, number),
        CHECK (state IN ('claimed', 'delivered', 'failed'))) {strict}",
    "CREATE INDEX notification_by_state ON notification (state, next_at)",
    // Incidents.
    "CREATE TABLE incident (
        id TEXT NOT NULL PRIMARY KEY, open {int} NOT NULL, opened_at {int} NOT NULL,
        body TEXT NOT NULL) {strict}",
    "CREATE TABLE incident_event (
        incident TEXT NOT NULL, seq {int} NOT NULL, at {int} NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (incident, seq)) {strict}",
    // People.
    "CREATE TABLE person (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL) {strict}",
    "CREATE TABLE sign_in_link (
        token {bytes} NOT NULL PRIMARY KEY, person TEXT NOT NULL, expires_at {int} NOT NULL) {strict}",
    "CREATE TABLE session (
        token {bytes} NOT NULL PRIMARY KEY, person TEXT NOT NULL, created_at {int} NOT NULL,
        expires_at {int} NOT NULL) {strict}",
    "CREATE TABLE secret (name TEXT NOT NULL PRIMARY KEY, sealed {bytes} NOT NULL) {strict}",
    // The ledger: what waits for its number, the leaves, the tree's nodes, the signed heads.
    "CREATE TABLE ledger_source (source TEXT NOT NULL PRIMARY KEY, last {int} NOT NULL) {strict}",
    "CREATE TABLE ledger_staged (
        source TEXT NOT NULL, counter {int} NOT NULL, kind TEXT NOT NULL, at {int} NOT NULL,
        body TEXT NOT NULL, salt {bytes},
        PRIMARY KEY (source, counter)) {strict}",
    "CREATE TABLE ledger_leaf (
        leaf {int} NOT NULL PRIMARY KEY, envelope TEXT NOT NULL, kind TEXT NOT NULL, at {int} NOT NULL,
        body TEXT, salt {bytes}) {strict}",
    "CREATE TABLE ledger_node (
        level {int} NOT NULL, place {int} NOT NULL, hash {bytes} NOT NULL,
        PRIMARY KEY (level, place)) {strict}",
    "CREATE TABLE ledger_checkpoint (
        size {int} NOT NULL PRIMARY KEY, at {int} NOT NULL, note TEXT NOT NULL) {strict}",
];
