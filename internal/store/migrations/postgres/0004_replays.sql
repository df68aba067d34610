-- +goose NO TRANSACTION
-- +goose Up
-- Statement by statement, so that the index can be built while nodes of the schema before
-- go on writing; each may be run again after an interruption.

-- Deliveries made to wait again, or made after the fact. Whoever works on one advances its
-- cursor in the transaction that changes deliveries. Times are microseconds since 1970 UTC.
CREATE TABLE IF NOT EXISTS replays (
    id            uuid     PRIMARY KEY,
    workspace_id  uuid     NOT NULL,
    target_kind   smallint NOT NULL,
    target_id     uuid,                                          -- NULL: all webhooks of the workspace
    spec          text     NOT NULL,                             -- JSON: what is replayed, and how fast
    since         bigint,                                        -- NULL: all that is kept
    until         bigint   NOT NULL,
    state         text     NOT NULL,
    reason        text     NOT NULL DEFAULT '',
    total         integer,                                       -- NULL: not counted
    done          integer  NOT NULL DEFAULT 0,
    skipped       integer  NOT NULL DEFAULT 0,
    created_by    uuid,                                          -- API key
    cursor_target uuid,                                          -- of a walk from target to target
    cursor_id     uuid,                                          -- where the next piece begins
    started_at    bigint,
    finished_at   bigint,
    failures      integer  NOT NULL DEFAULT 0,                   -- in a row
    retry_at      bigint   NOT NULL DEFAULT 0,                   -- not taken before: it failed
    node          bigint                                         -- that works on it
);
CREATE INDEX IF NOT EXISTS replays_workspace ON replays (workspace_id, id);
CREATE INDEX IF NOT EXISTS replays_open ON replays (id) WHERE finished_at IS NULL;

-- What the message's id has at its end, -r2 and so on, so that a receiver which drops what
-- it has seen takes a replay; 0 is nothing.
ALTER TABLE deliveries ADD COLUMN IF NOT EXISTS fresh smallint NOT NULL DEFAULT 0;

-- The successful path changes neither column: its second write stays HOT. One that an
-- interruption left half built is of no use.
DROP INDEX IF EXISTS deliveries_replay;
CREATE INDEX CONCURRENTLY deliveries_replay ON deliveries (replay_id, id) WHERE replay_id IS NOT NULL;

-- +goose Down
DROP INDEX deliveries_replay;
ALTER TABLE deliveries DROP COLUMN fresh;
DROP TABLE replays;
