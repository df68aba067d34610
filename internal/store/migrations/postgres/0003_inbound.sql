-- +goose Up
-- Incoming webhooks, actions, the requests that hit doors, and records. Times are
-- microseconds since 1970 UTC.

-- As webhooks: config is everything of the specification without a column, and without
-- any secret value; a deleted one stays as a tombstone while its history is readable.
CREATE TABLE actions (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    code         text NOT NULL,
    code_key     text NOT NULL,
    name         text NOT NULL,
    type         text NOT NULL,
    enabled      boolean NOT NULL,
    config       text NOT NULL,
    metadata     jsonb NOT NULL,
    version      bigint NOT NULL,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    deleted_at   bigint
);
CREATE UNIQUE INDEX actions_code ON actions (workspace_id, code_key) WHERE deleted_at IS NULL;

CREATE TABLE incoming_webhooks (
    id           uuid PRIMARY KEY,
    workspace_id uuid NOT NULL,
    code         text NOT NULL,
    code_key     text NOT NULL,
    name         text NOT NULL,
    enabled      boolean NOT NULL,
    config       text NOT NULL,
    metadata     jsonb NOT NULL,
    version      bigint NOT NULL,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    deleted_at   bigint
);
CREATE UNIQUE INDEX incoming_webhooks_code ON incoming_webhooks (workspace_id, code_key) WHERE deleted_at IS NULL;

-- What hit a door. The events made of it have keys that begin as its id does, so they are
-- a range of events. A body that is the entity of the first of them is kept only there.
-- An accepted one costs entries in two indexes; the others are for what was not.
CREATE TABLE requests (
    workspace_id  uuid     NOT NULL,
    id            uuid     NOT NULL,
    incoming_id   uuid,                                         -- NULL: no door has the code
    code          text     NOT NULL,
    verdict       smallint NOT NULL,                            -- 0 accepted 1 duplicate 2 handshake 3 refused
    reason        text,
    status        smallint NOT NULL,                            -- answered
    duration      bigint   NOT NULL,                            -- microseconds
    events        integer  NOT NULL,
    deliveries    integer  NOT NULL,
    duplicate_of  uuid,
    replay_of     uuid,
    detail        bytea    NOT NULL,                            -- JSON: everything else
    body          bytea,
    body_in_event boolean  NOT NULL,
    sealed        bytea,                                        -- credentials that were in it
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX requests_incoming ON requests (incoming_id, id) WHERE incoming_id IS NOT NULL;
CREATE INDEX requests_verdict ON requests (workspace_id, verdict, id) WHERE verdict <> 0;
CREATE INDEX requests_unaccepted ON requests (incoming_id, verdict, id) WHERE verdict <> 0;
CREATE INDEX requests_unknown ON requests (workspace_id, id) WHERE incoming_id IS NULL;

-- What was accepted at a door, for as long as a repeat is to be recognised.
CREATE TABLE dedupe_keys (
    incoming_id uuid   NOT NULL,
    hash        bytea  NOT NULL,
    request_id  uuid   NOT NULL,
    expires_at  bigint NOT NULL,
    PRIMARY KEY (incoming_id, hash)
);
CREATE INDEX dedupe_keys_expires ON dedupe_keys (expires_at);

-- Large requests whose items become events piece by piece.
CREATE TABLE expansions (
    request_id   uuid    PRIMARY KEY,
    workspace_id uuid    NOT NULL,
    incoming_id  uuid    NOT NULL,
    total        integer NOT NULL,
    done         integer NOT NULL,
    retry_at     bigint  NOT NULL DEFAULT 0,                     -- not taken before: it failed
    node         bigint                                         -- that works on it
);

CREATE TABLE records (
    workspace_id uuid   NOT NULL,
    collection   text   COLLATE "C" NOT NULL,
    key          text   COLLATE "C" NOT NULL,
    document     bytea  NOT NULL,                               -- JSON
    version      bigint NOT NULL,
    created_at   bigint NOT NULL,
    updated_at   bigint NOT NULL,
    PRIMARY KEY (workspace_id, collection, key)
);

-- How many members of an action set have run. What led to a delivery its event says.
ALTER TABLE deliveries ADD COLUMN step smallint NOT NULL DEFAULT 0, DROP COLUMN request_id;

-- Nothing was released with the shorter list of fields, so the type keeps its name.
DROP TYPE pipeline_finish;
CREATE TYPE pipeline_finish AS (
    id uuid, workspace_id uuid, target_id uuid, before smallint, state smallint, reason smallint, after smallint, finished_at bigint,
    claimed boolean, wait bigint, trigger_kind smallint, step smallint, base smallint,
    attempt uuid, n smallint, outcome smallint, error_class smallint, status smallint, started_at bigint, duration bigint,
    detail bytea, req_head bytea, req_tail bytea, resp_body bytea
);
CREATE TYPE pipeline_request AS (
    workspace_id uuid, id uuid, incoming_id uuid, code text, verdict smallint, reason text, status smallint, duration bigint,
    events integer, deliveries integer, duplicate_of uuid, replay_of uuid, detail bytea, body bytea, body_in_event boolean, sealed bytea,
    dedupe bytea, dedupe_until bigint, expand integer
);

-- +goose Down
DROP TYPE pipeline_request, pipeline_finish;
CREATE TYPE pipeline_finish AS (
    id uuid, workspace_id uuid, target_id uuid, before smallint, state smallint, reason smallint, after smallint, finished_at bigint,
    claimed boolean, wait bigint, trigger_kind smallint,
    attempt uuid, n smallint, outcome smallint, error_class smallint, status smallint, started_at bigint, duration bigint,
    detail bytea, req_head bytea, req_tail bytea, resp_body bytea
);
ALTER TABLE deliveries DROP COLUMN step, ADD COLUMN request_id uuid;
DROP TABLE records, expansions, dedupe_keys, requests, incoming_webhooks, actions;
