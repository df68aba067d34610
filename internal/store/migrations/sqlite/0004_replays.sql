-- +goose Up
-- Deliveries made to wait again, or made after the fact. Whoever works on one advances its
-- cursor in the transaction that changes deliveries. Times are microseconds since 1970 UTC.
CREATE TABLE replays (
    id            blob    PRIMARY KEY,
    workspace_id  blob    NOT NULL,
    target_kind   integer NOT NULL,
    target_id     blob,                                          -- NULL: all webhooks of the workspace
    spec          text    NOT NULL,                              -- JSON: what is replayed, and how fast
    since         integer,                                       -- NULL: all that is kept
    until         integer NOT NULL,
    state         text    NOT NULL,
    reason        text    NOT NULL DEFAULT '',
    total         integer,                                       -- NULL: not counted
    done          integer NOT NULL DEFAULT 0,
    skipped       integer NOT NULL DEFAULT 0,
    created_by    blob,                                          -- API key
    cursor_target blob,                                          -- of a walk from target to target
    cursor_id     blob,                                          -- where the next piece begins
    started_at    integer,
    finished_at   integer,
    failures      integer NOT NULL DEFAULT 0,                    -- in a row
    retry_at      integer NOT NULL DEFAULT 0,                    -- not taken before: it failed
    node          integer                                        -- that works on it
);
CREATE INDEX replays_workspace ON replays (workspace_id, id);
CREATE INDEX replays_open ON replays (id) WHERE finished_at IS NULL;

-- What the message's id has at its end, -r2 and so on, so that a receiver which drops what
-- it has seen takes a replay; 0 is nothing.
ALTER TABLE deliveries ADD COLUMN fresh integer NOT NULL DEFAULT 0;

CREATE INDEX deliveries_replay ON deliveries (replay_id, id) WHERE replay_id IS NOT NULL;

-- +goose Down
DROP INDEX deliveries_replay;
ALTER TABLE deliveries DROP COLUMN fresh;
DROP TABLE replays;
