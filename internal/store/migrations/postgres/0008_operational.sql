-- +goose Up
-- Operational events and alert mail.

-- Who is mailed, as JSON; '' is whom the installation names.
ALTER TABLE workspaces ADD COLUMN alerts text NOT NULL DEFAULT '';

-- What happens once in a while: an hourly mail about a target, an event about a door.
CREATE TABLE marks (
    workspace_id uuid   NOT NULL,
    key          text   NOT NULL,
    taken_at     bigint NOT NULL,                                -- microseconds since 1970
    PRIMARY KEY (workspace_id, key)
);

-- A workspace's alert mail is a target as others are, under the workspace's id.
CREATE VIEW alert_mails AS
    SELECT id, id AS workspace_id, 'alert-mail'::text AS code, 'Alert mail'::text AS name, '{}'::text AS config, true AS enabled, created_at, deleted_at
    FROM workspaces;

-- Own types that workspaces made before do not have: their ids begin as the workspace's.
INSERT INTO event_types (id, workspace_id, name, description, mode, archived, metadata, version, created_at, updated_at)
    SELECT (substr(w.id::text, 1, 19) || '8' || substr(gen_random_uuid()::text, 21))::uuid, w.id, n.name, '', 'reject', false, '{}'::jsonb, 1, w.created_at, w.created_at
    FROM workspaces w CROSS JOIN (VALUES ('Webhook.Resumed'), ('IncomingWebhook.Refusing')) n(name)
    ON CONFLICT (workspace_id, name) DO NOTHING;

-- +goose Down
DROP VIEW alert_mails;
DROP TABLE marks;
ALTER TABLE workspaces DROP COLUMN alerts;
