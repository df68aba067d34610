-- +goose Up
-- Events, deliveries and attempts. Ids are UUIDv7 stamped with the database's time,
-- so the time of acceptance is in the key and needs no column of its own.

CREATE TABLE nodes (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- fresh per process start, never used again
    instance   text        NOT NULL,                            -- id kept in the data directory
    name       text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    beat_at    timestamptz NOT NULL DEFAULT now(),
    floor_id   uuid        NOT NULL                             -- no born-claimed row in flight has a smaller id
) WITH (fillfactor = 50);

CREATE TABLE events (
    workspace_id     uuid     NOT NULL,
    key              uuid     NOT NULL,
    id               text,                                      -- NULL: the key in text
    type             text     NOT NULL,
    entity_id        text,
    entity_id_number boolean  NOT NULL DEFAULT false,
    entity           bytea,                                     -- JSON exactly as received: jsonb would reorder it
    entity_url       text,
    occurred_at      bigint   NOT NULL,                         -- microseconds since 1970
    source_kind      smallint NOT NULL,
    source_id        uuid,
    request_id       uuid,
    hops             smallint NOT NULL DEFAULT 0,
    matched          integer  NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX events_entity ON events (workspace_id, entity_id, key) WHERE entity_id IS NOT NULL;

-- A client's id is unique here, not on events, so that events can be partitioned.
CREATE TABLE event_keys (
    workspace_id uuid  NOT NULL,
    id           text  NOT NULL,
    event_key    uuid  NOT NULL,
    content_hash bytea NOT NULL,
    PRIMARY KEY (workspace_id, id)
);

-- No index and no index predicate names a column that the successful path changes
-- (state, reason, attempts, node, finished_at): the second write stays HOT.
CREATE TABLE deliveries (
    id           uuid     PRIMARY KEY,
    workspace_id uuid     NOT NULL,
    event_key    uuid     NOT NULL,
    target_kind  smallint NOT NULL,
    target_id    uuid     NOT NULL,
    state        smallint NOT NULL,                             -- 0 running 1 pending 2 succeeded 3 failed 4 skipped
    reason       smallint NOT NULL DEFAULT 0,
    attempts     smallint NOT NULL DEFAULT 0,
    base         smallint NOT NULL DEFAULT 0,                   -- attempts before the present budget began
    test         boolean  NOT NULL DEFAULT false,
    node         bigint,
    replay_id    uuid,
    request_id   uuid,
    finished_at  bigint                                         -- microseconds since 1970
) WITH (fillfactor = 50);
CREATE INDEX deliveries_target ON deliveries (target_id, id);
CREATE INDEX deliveries_event ON deliveries (event_key);

-- Only deliveries that wait have a row here.
CREATE TABLE due (
    target_id    uuid        NOT NULL,
    due_at       timestamptz NOT NULL,
    delivery_id  uuid        NOT NULL,
    workspace_id uuid        NOT NULL,
    held_by      bigint,                                        -- the node that claimed it
    claims       smallint    NOT NULL DEFAULT 0,                -- times it was rescued from a dead node
    trigger_kind smallint    NOT NULL DEFAULT 1,
    seq          bigint,                                        -- for ordered targets
    order_key    text,
    PRIMARY KEY (target_id, due_at, delivery_id)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, vacuum_truncate = off);
CREATE UNIQUE INDEX due_delivery ON due (delivery_id);
CREATE INDEX due_held ON due (held_by) WHERE held_by IS NOT NULL;

-- The dead letter, so that listing what failed needs no index on state.
CREATE TABLE dead (
    target_id   uuid NOT NULL,
    delivery_id uuid NOT NULL,
    PRIMARY KEY (target_id, delivery_id)
);

CREATE TABLE attempts (
    delivery_id uuid     NOT NULL,
    id          uuid     NOT NULL,
    n           smallint NOT NULL,
    outcome     smallint NOT NULL,
    error_class smallint NOT NULL,
    status      smallint NOT NULL,
    started_at  bigint   NOT NULL,                              -- microseconds since 1970
    duration    bigint   NOT NULL,                              -- microseconds
    detail      bytea    NOT NULL,                              -- JSON: everything else
    req_head    bytea,                                          -- request body up to the entity, or all of it
    req_tail    bytea,                                          -- request body after the entity
    resp_body   bytea,
    PRIMARY KEY (delivery_id, id)
);

-- Targets with limits are sent to by one node.
CREATE TABLE homes (
    target_id uuid   PRIMARY KEY,
    node_id   bigint NOT NULL
);
CREATE INDEX homes_node ON homes (node_id);

CREATE TABLE target_health (
    target_id       uuid     PRIMARY KEY,
    workspace_id    uuid     NOT NULL,
    failures        integer  NOT NULL DEFAULT 0,                -- in a row
    failing_since   bigint,
    last_success_at bigint,
    last_failure_at bigint,
    last_status     smallint NOT NULL DEFAULT 0,
    last_class      smallint NOT NULL DEFAULT 0,
    breaker         smallint NOT NULL DEFAULT 0,                -- 0 closed 1 open 2 half open
    opened_at       bigint,
    next_probe_at   bigint,
    probe_wait      bigint   NOT NULL DEFAULT 0,
    latency_p50     bigint   NOT NULL DEFAULT 0,
    latency_p99     bigint   NOT NULL DEFAULT 0
) WITH (fillfactor = 50);

-- What the pipeline's statements take as arrays. One array of a composite type costs a
-- fifteenth of one array per column: unnest keeps each of its arrays in a store of its
-- own. Types apart from the tables, so that a new column does not change what an older
-- node sends; a changed list of fields gets a new type.
CREATE TYPE pipeline_event AS (
    workspace_id uuid, key uuid, id text, type text, entity_id text, entity_id_number boolean, entity bytea, entity_url text,
    occurred_at bigint, source_kind smallint, source_id uuid, request_id uuid, hops smallint, matched integer
);
CREATE TYPE pipeline_delivery AS (
    id uuid, workspace_id uuid, event_key uuid, target_kind smallint, target_id uuid, state smallint, test boolean, keyed boolean
);
CREATE TYPE pipeline_finish AS (
    id uuid, workspace_id uuid, target_id uuid, before smallint, state smallint, reason smallint, after smallint, finished_at bigint,
    claimed boolean, wait bigint, trigger_kind smallint,
    attempt uuid, n smallint, outcome smallint, error_class smallint, status smallint, started_at bigint, duration bigint,
    detail bytea, req_head bytea, req_tail bytea, resp_body bytea
);

-- +goose Down
DROP TYPE pipeline_finish, pipeline_delivery, pipeline_event;
DROP TABLE target_health, homes, attempts, dead, due, deliveries, event_keys, events, nodes;
