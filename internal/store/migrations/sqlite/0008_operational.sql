-- +goose Up
-- Operational events and alert mail.

-- Who is mailed, as JSON; '' is whom the installation names.
ALTER TABLE workspaces ADD COLUMN alerts text NOT NULL DEFAULT '';

-- What happens once in a while: an hourly mail about a target, an event about a door.
CREATE TABLE marks (
    workspace_id blob    NOT NULL,
    key          text    NOT NULL,
    taken_at     integer NOT NULL,                               -- microseconds since 1970
    PRIMARY KEY (workspace_id, key)
) WITHOUT ROWID;

-- A workspace's alert mail is a target as others are, under the workspace's id.
CREATE VIEW alert_mails AS
    SELECT id, id AS workspace_id, 'alert-mail' AS code, 'Alert mail' AS name, '{}' AS config, 1 AS enabled, created_at, deleted_at
    FROM workspaces;

-- Own types that workspaces made before do not have: their ids begin as the workspace's.
INSERT INTO event_types (id, workspace_id, name, description, mode, archived, metadata, version, created_at, updated_at)
    SELECT substr(w.id, 1, 8) || x'80' || randomblob(7), w.id, n.name, '', 'reject', 0, '{}', 1, w.created_at, w.created_at
    FROM workspaces w CROSS JOIN (SELECT 'Webhook.Resumed' AS name UNION ALL SELECT 'IncomingWebhook.Refusing') n
    WHERE true
    ON CONFLICT (workspace_id, name) DO NOTHING;

-- +goose Down
DROP VIEW alert_mails;
DROP TABLE marks;
ALTER TABLE workspaces DROP COLUMN alerts;
