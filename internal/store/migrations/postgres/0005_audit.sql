-- +goose Up
-- Who changed what, when and how. A row is written in the transaction of the change it
-- tells of, and never changed. workspace_id is zero for what is the installation's:
-- workspaces, platform keys. Nothing in it is secret.
CREATE TABLE audit_log (
    id           uuid PRIMARY KEY,                              -- of the time when it happened
    workspace_id uuid NOT NULL,
    action       text NOT NULL,
    kind         text NOT NULL,
    resource_id  uuid,
    resource_key text NOT NULL,                                 -- its code in lower case
    actor_kind   text NOT NULL,
    actor_id     uuid,
    actor_key    text NOT NULL,                                 -- the code of the API key in lower case
    request_id   uuid,
    detail       text NOT NULL                                  -- JSON: everything else
);
-- With all that is searched for: what a filter passes over is not looked up in the table,
-- whose rows are wide.
CREATE INDEX audit_log_workspace ON audit_log (workspace_id, id, kind, action, actor_kind, actor_id, actor_key, resource_id, resource_key, request_id);
CREATE INDEX audit_log_all ON audit_log (id, kind, action, actor_kind, actor_id, actor_key, resource_id, resource_key, request_id);
CREATE INDEX audit_log_resource ON audit_log (workspace_id, resource_id, id) WHERE resource_id IS NOT NULL;

ALTER TABLE workspaces ADD COLUMN audit_retention bigint NOT NULL DEFAULT 0;  -- nanoseconds; 0: the installation's

-- +goose Down
ALTER TABLE workspaces DROP COLUMN audit_retention;
DROP TABLE audit_log;
