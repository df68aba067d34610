-- +goose Up
-- Ids are 16 bytes, times microseconds since 1970 UTC.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

-- One row per workspace, and one under the nil id for the installation (workspaces and
-- platform keys). Every change of configuration bumps version in its own transaction;
-- publishing compares it, so that it sees every change that returned before it.
CREATE TABLE config_versions (
    scope_id    BLOB PRIMARY KEY,
    version     INTEGER NOT NULL,
    last_number INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;

INSERT INTO config_versions (scope_id, version) VALUES (zeroblob(16), 1);

CREATE TABLE workspaces (
    id                 BLOB PRIMARY KEY,
    code               TEXT NOT NULL,
    code_key           TEXT NOT NULL,
    name               TEXT NOT NULL,
    strict             INTEGER NOT NULL,
    retention          INTEGER NOT NULL,
    events_per_second  INTEGER NOT NULL,
    pending_deliveries INTEGER NOT NULL,
    metadata           TEXT NOT NULL,
    version            INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    deleted_at         INTEGER
);
CREATE UNIQUE INDEX workspaces_code ON workspaces (code_key) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    code         TEXT NOT NULL,
    code_key     TEXT NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    platform     INTEGER NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BLOB NOT NULL,
    metadata     TEXT NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE UNIQUE INDEX api_keys_code ON api_keys (workspace_id, code_key);

CREATE TABLE event_types (
    id                BLOB PRIMARY KEY,
    workspace_id      BLOB NOT NULL,
    name              TEXT NOT NULL,
    description       TEXT NOT NULL,
    schema            BLOB,
    mode              TEXT NOT NULL,
    sample            BLOB,
    archived          INTEGER NOT NULL,
    metadata          TEXT NOT NULL,
    last_published_at INTEGER,
    version           INTEGER NOT NULL,
    created_at        INTEGER NOT NULL,
    updated_at        INTEGER NOT NULL
);
CREATE UNIQUE INDEX event_types_name ON event_types (workspace_id, name);

-- A deleted webhook stays as a tombstone while its history is readable; its code and
-- name are free at once. config is everything of the specification without a column,
-- and without any secret value.
CREATE TABLE webhooks (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    number       INTEGER NOT NULL,
    code         TEXT NOT NULL,
    code_key     TEXT NOT NULL,
    name         TEXT NOT NULL,
    enabled      INTEGER NOT NULL,
    paused       INTEGER NOT NULL,
    suspended    TEXT NOT NULL,
    state_since  INTEGER NOT NULL,
    config       TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER
);
CREATE UNIQUE INDEX webhooks_code ON webhooks (workspace_id, code_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_name ON webhooks (workspace_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_number ON webhooks (workspace_id, number);

-- Write-only values, sealed with workspace|secrets|id|field as associated data. owner_id
-- is the resource; field says which of its fields, name which of several (a header).
CREATE TABLE secrets (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    owner_id     BLOB NOT NULL,
    field        TEXT NOT NULL,
    name         TEXT NOT NULL,
    ciphertext   BLOB NOT NULL,
    hint         TEXT NOT NULL,
    short        INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER
);
CREATE INDEX secrets_owner ON secrets (workspace_id, owner_id);

-- Answers to POSTs with an Idempotency-Key, sealed. id is a hash of the scope and the
-- key's value; answer is NULL while the first request still runs.
CREATE TABLE idempotency (
    id           BLOB PRIMARY KEY,
    workspace_id BLOB NOT NULL,
    fingerprint  BLOB NOT NULL,
    answer       BLOB,
    started_at   INTEGER NOT NULL,
    expires_at   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX idempotency_expires ON idempotency (expires_at);
