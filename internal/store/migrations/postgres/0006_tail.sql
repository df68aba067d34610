-- +goose Up
-- The log of accepted events, from which they can be read in an order that no later commit
-- changes: keys of events are times of acceptance, and transactions commit in another order.
-- A row has the events of one workspace that one statement stored. seq is given while the
-- transaction holds a lock on the table, so whoever sees that everybody is gone who held one
-- when seq was the highest has seen all rows up to it: see LogHeads.
CREATE TABLE event_log (
    workspace_id uuid   NOT NULL,
    seq          bigint GENERATED ALWAYS AS IDENTITY,
    at           bigint NOT NULL DEFAULT (extract(epoch FROM now()) * 1000000)::bigint, -- microseconds since 1970
    keys         uuid[] NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);
-- Keys do not compress.
ALTER TABLE event_log ALTER COLUMN keys SET STORAGE EXTERNAL;

-- How far retention has removed the log of a workspace: the last row that went.
CREATE TABLE event_log_swept (
    workspace_id uuid    PRIMARY KEY,
    seq          bigint  NOT NULL,
    count        integer NOT NULL, -- events in it
    key          uuid    NOT NULL, -- of its last event
    at           bigint  NOT NULL
);

-- A trigger, so that every way to store events is in the log, that of nodes older than this
-- schema too. It costs about two microseconds an event in batches of 16.
-- +goose StatementBegin
CREATE FUNCTION log_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event_log (workspace_id, keys) SELECT workspace_id, array_agg(key ORDER BY key) FROM fresh GROUP BY workspace_id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER events_log AFTER INSERT ON events
    REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION log_events();

-- +goose Down
DROP TRIGGER events_log ON events;
DROP FUNCTION log_events;
DROP TABLE event_log_swept, event_log;
