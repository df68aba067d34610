-- +goose Up
-- Times are microseconds since 1970 UTC.

CREATE TABLE settings (
    key   TEXT PRIMARY KEY,
    value BYTEA NOT NULL
);

-- One row per workspace, and one under the nil id for the installation (workspaces and
-- platform keys). Every change of configuration bumps version in its own transaction;
-- publishing compares it, so that it sees every change that returned before it.
CREATE TABLE config_versions (
    scope_id    UUID PRIMARY KEY,
    version     BIGINT NOT NULL,
    last_number BIGINT NOT NULL DEFAULT 0
);

INSERT INTO config_versions (scope_id, version) VALUES ('00000000-0000-0000-0000-000000000000', 1);

CREATE TABLE workspaces (
    id                 UUID PRIMARY KEY,
    code               TEXT NOT NULL,
    code_key           TEXT NOT NULL,
    name               TEXT NOT NULL,
    strict             BOOLEAN NOT NULL,
    retention          BIGINT NOT NULL,
    events_per_second  BIGINT NOT NULL,
    pending_deliveries BIGINT NOT NULL,
    metadata           JSONB NOT NULL,
    version            BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    deleted_at         BIGINT
);
CREATE UNIQUE INDEX workspaces_code ON workspaces (code_key) WHERE deleted_at IS NULL;

CREATE TABLE api_keys (
    id           UUID PRIMARY KEY,
    workspace_id UUID NOT NULL,
    code         TEXT NOT NULL,
    code_key     TEXT NOT NULL,
    name         TEXT NOT NULL,
    role         TEXT NOT NULL,
    platform     BOOLEAN NOT NULL,
    prefix       TEXT NOT NULL,
    hash         BYTEA NOT NULL,
    metadata     JSONB NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_keys_hash ON api_keys (hash);
CREATE UNIQUE INDEX api_keys_code ON api_keys (workspace_id, code_key);

CREATE TABLE event_types (
    id                UUID PRIMARY KEY,
    workspace_id      UUID NOT NULL,
    name              TEXT NOT NULL,
    description       TEXT NOT NULL,
    schema            BYTEA,
    mode              TEXT NOT NULL,
    sample            BYTEA,
    archived          BOOLEAN NOT NULL,
    metadata          JSONB NOT NULL,
    last_published_at BIGINT,
    version           BIGINT NOT NULL,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL
);
CREATE UNIQUE INDEX event_types_name ON event_types (workspace_id, name);

-- A deleted webhook stays as a tombstone while its history is readable; its code and
-- name are free at once. config is everything of the specification without a column,
-- and without any secret value.
CREATE TABLE webhooks (
    id           UUID PRIMARY KEY,
    workspace_id UUID NOT NULL,
    number       BIGINT NOT NULL,
    code         TEXT NOT NULL,
    code_key     TEXT NOT NULL,
    name         TEXT NOT NULL,
    enabled      BOOLEAN NOT NULL,
    paused       BOOLEAN NOT NULL,
    suspended    TEXT NOT NULL,
    state_since  BIGINT NOT NULL,
    config       TEXT NOT NULL,
    metadata     JSONB NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT
);
CREATE UNIQUE INDEX webhooks_code ON webhooks (workspace_id, code_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_name ON webhooks (workspace_id, name) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX webhooks_number ON webhooks (workspace_id, number);

-- Write-only values, sealed with workspace|secrets|id|field as associated data. owner_id
-- is the resource; field says which of its fields, name which of several (a header).
CREATE TABLE secrets (
    id           UUID PRIMARY KEY,
    workspace_id UUID NOT NULL,
    owner_id     UUID NOT NULL,
    field        TEXT NOT NULL,
    name         TEXT NOT NULL,
    ciphertext   BYTEA NOT NULL,
    hint         TEXT NOT NULL,
    short        BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT
);
CREATE INDEX secrets_owner ON secrets (workspace_id, owner_id);

-- Answers to POSTs with an Idempotency-Key, sealed. id is a hash of the scope and the
-- key's value; answer is NULL while the first request still runs.
CREATE TABLE idempotency (
    id           BYTEA PRIMARY KEY,
    workspace_id UUID NOT NULL,
    fingerprint  BYTEA NOT NULL,
    answer       BYTEA,
    started_at   BIGINT NOT NULL,
    expires_at   BIGINT NOT NULL
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
