-- +goose Up
-- The log of accepted events, in the order of their commits; see the one of Postgres.
CREATE TABLE event_log (
    seq          integer PRIMARY KEY AUTOINCREMENT, -- never used again
    workspace_id blob    NOT NULL,
    at           integer NOT NULL,                  -- microseconds since 1970
    keys         blob    NOT NULL                   -- 16 bytes each
);
CREATE INDEX event_log_workspace ON event_log (workspace_id, seq);

-- How far retention has removed the log of a workspace: the last row that went.
CREATE TABLE event_log_swept (
    workspace_id blob    PRIMARY KEY,
    seq          integer NOT NULL,
    count        integer NOT NULL, -- events in it
    key          blob    NOT NULL, -- of its last event
    at           integer NOT NULL
) WITHOUT ROWID;

-- +goose Down
DROP TABLE event_log_swept; DROP TABLE event_log;
