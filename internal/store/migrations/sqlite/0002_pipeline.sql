-- +goose Up
-- Events, deliveries and attempts. Ids are UUIDv7 stamped with the database's time,
-- so the time of acceptance is in the key and needs no column of its own.

CREATE TABLE nodes (
    id         integer PRIMARY KEY AUTOINCREMENT,                 -- fresh per process start, never used again
    instance   text        NOT NULL,                            -- id kept in the data directory
    name       text        NOT NULL,
    started_at integer NOT NULL,
    beat_at    integer NOT NULL,
    floor_id   blob        NOT NULL                             -- no born-claimed row in flight has a smaller id
);

CREATE TABLE events (
    workspace_id     blob     NOT NULL,
    key              blob     NOT NULL,
    id               text,                                      -- NULL: the key in text
    type             text     NOT NULL,
    entity_id        text,
    entity_id_number integer  NOT NULL DEFAULT 0,
    entity           blob,                                     -- JSON exactly as received
    entity_url       text,
    occurred_at      integer   NOT NULL,                         -- microseconds since 1970
    source_kind      integer NOT NULL,
    source_id        blob,
    request_id       blob,
    hops             integer NOT NULL DEFAULT 0,
    matched          integer  NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX events_entity ON events (workspace_id, entity_id, key) WHERE entity_id IS NOT NULL;

-- A client's id is unique here, not on events, so that events can be partitioned.
CREATE TABLE event_keys (
    workspace_id blob  NOT NULL,
    id           text  NOT NULL,
    event_key    blob  NOT NULL,
    content_hash blob NOT NULL,
    PRIMARY KEY (workspace_id, id)
) WITHOUT ROWID;

-- No index names a column that the successful path changes (state, reason,
-- attempts, node, finished_at): the second write touches one page.
CREATE TABLE deliveries (
    id           blob     PRIMARY KEY,
    workspace_id blob     NOT NULL,
    event_key    blob     NOT NULL,
    target_kind  integer NOT NULL,
    target_id    blob     NOT NULL,
    state        integer NOT NULL,                             -- 0 running 1 pending 2 succeeded 3 failed 4 skipped
    reason       integer NOT NULL DEFAULT 0,
    attempts     integer NOT NULL DEFAULT 0,
    base         integer NOT NULL DEFAULT 0,                   -- attempts before the present budget began
    test         integer  NOT NULL DEFAULT 0,
    node         integer,
    replay_id    blob,
    request_id   blob,
    finished_at  integer                                         -- microseconds since 1970
) WITHOUT ROWID;
CREATE INDEX deliveries_target ON deliveries (target_id, id);
CREATE INDEX deliveries_event ON deliveries (event_key);

-- Only deliveries that wait have a row here.
CREATE TABLE due (
    target_id    blob        NOT NULL,
    due_at       integer     NOT NULL,
    delivery_id  blob        NOT NULL,
    workspace_id blob        NOT NULL,
    held_by      integer,                                        -- the node that claimed it
    claims       integer    NOT NULL DEFAULT 0,                -- times it was rescued from a dead node
    trigger_kind integer    NOT NULL DEFAULT 1,
    seq          integer,                                        -- for ordered targets
    order_key    text,
    PRIMARY KEY (target_id, due_at, delivery_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX due_delivery ON due (delivery_id);
CREATE INDEX due_held ON due (held_by) WHERE held_by IS NOT NULL;

-- The dead letter, so that listing what failed needs no index on state.
CREATE TABLE dead (
    target_id   blob NOT NULL,
    delivery_id blob NOT NULL,
    PRIMARY KEY (target_id, delivery_id)
) WITHOUT ROWID;

CREATE TABLE attempts (
    delivery_id blob     NOT NULL,
    id          blob     NOT NULL,
    n           integer NOT NULL,
    outcome     integer NOT NULL,
    error_class integer NOT NULL,
    status      integer NOT NULL,
    started_at  integer   NOT NULL,                              -- microseconds since 1970
    duration    integer   NOT NULL,                              -- microseconds
    detail      blob    NOT NULL,                              -- JSON: everything else
    req_head    blob,                                          -- request body up to the entity, or all of it
    req_tail    blob,                                          -- request body after the entity
    resp_body   blob,
    PRIMARY KEY (delivery_id, id)
);

-- Targets with limits are sent to by one node.
CREATE TABLE homes (
    target_id blob   PRIMARY KEY,
    node_id   integer NOT NULL
) WITHOUT ROWID;
CREATE INDEX homes_node ON homes (node_id);

CREATE TABLE target_health (
    target_id       blob     PRIMARY KEY,
    workspace_id    blob     NOT NULL,
    failures        integer  NOT NULL DEFAULT 0,                -- in a row
    failing_since   integer,
    last_success_at integer,
    last_failure_at integer,
    last_status     integer NOT NULL DEFAULT 0,
    last_class      integer NOT NULL DEFAULT 0,
    breaker         integer NOT NULL DEFAULT 0,                -- 0 closed 1 open 2 half open
    opened_at       integer,
    next_probe_at   integer,
    probe_wait      integer   NOT NULL DEFAULT 0,
    latency_p50     integer   NOT NULL DEFAULT 0,
    latency_p99     integer   NOT NULL DEFAULT 0
) WITHOUT ROWID;

-- +goose Down
DROP TABLE target_health; DROP TABLE homes; DROP TABLE attempts; DROP TABLE dead; DROP TABLE due; DROP TABLE deliveries; DROP TABLE event_keys; DROP TABLE events; DROP TABLE nodes;
