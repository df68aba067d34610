-- +goose Up
-- Incoming webhooks, actions, the requests that hit doors, and records. Times are
-- microseconds since 1970 UTC.

-- As webhooks: config is everything of the specification without a column, and without
-- any secret value; a deleted one stays as a tombstone while its history is readable.
CREATE TABLE actions (
    id           blob PRIMARY KEY,
    workspace_id blob NOT NULL,
    code         text NOT NULL,
    code_key     text NOT NULL,
    name         text NOT NULL,
    type         text NOT NULL,
    enabled      integer NOT NULL,
    config       text NOT NULL,
    metadata     text NOT NULL,
    version      integer NOT NULL,
    created_at   integer NOT NULL,
    updated_at   integer NOT NULL,
    deleted_at   integer
);
CREATE UNIQUE INDEX actions_code ON actions (workspace_id, code_key) WHERE deleted_at IS NULL;

CREATE TABLE incoming_webhooks (
    id           blob PRIMARY KEY,
    workspace_id blob NOT NULL,
    code         text NOT NULL,
    code_key     text NOT NULL,
    name         text NOT NULL,
    enabled      integer NOT NULL,
    config       text NOT NULL,
    metadata     text NOT NULL,
    version      integer NOT NULL,
    created_at   integer NOT NULL,
    updated_at   integer NOT NULL,
    deleted_at   integer
);
CREATE UNIQUE INDEX incoming_webhooks_code ON incoming_webhooks (workspace_id, code_key) WHERE deleted_at IS NULL;

-- What hit a door. The events made of it have keys that begin as its id does, so they are
-- a range of events. A body that is the entity of the first of them is kept only there.
-- An accepted one costs entries in two indexes; the others are for what was not.
CREATE TABLE requests (
    workspace_id  blob     NOT NULL,
    id            blob     NOT NULL,
    incoming_id   blob,                                         -- NULL: no door has the code
    code          text     NOT NULL,
    verdict       integer NOT NULL,                            -- 0 accepted 1 duplicate 2 handshake 3 refused
    reason        text,
    status        integer NOT NULL,                            -- answered
    duration      integer   NOT NULL,                            -- microseconds
    events        integer  NOT NULL,
    deliveries    integer  NOT NULL,
    duplicate_of  blob,
    replay_of     blob,
    detail        blob    NOT NULL,                            -- JSON: everything else
    body          blob,
    body_in_event integer  NOT NULL,
    sealed        blob,                                        -- credentials that were in it
    PRIMARY KEY (workspace_id, id)
);
CREATE INDEX requests_incoming ON requests (incoming_id, id) WHERE incoming_id IS NOT NULL;
CREATE INDEX requests_verdict ON requests (workspace_id, verdict, id) WHERE verdict <> 0;
CREATE INDEX requests_unaccepted ON requests (incoming_id, verdict, id) WHERE verdict <> 0;
CREATE INDEX requests_unknown ON requests (workspace_id, id) WHERE incoming_id IS NULL;

-- What was accepted at a door, for as long as a repeat is to be recognised.
CREATE TABLE dedupe_keys (
    incoming_id blob   NOT NULL,
    hash        blob  NOT NULL,
    request_id  blob   NOT NULL,
    expires_at  integer NOT NULL,
    PRIMARY KEY (incoming_id, hash)
) WITHOUT ROWID;
CREATE INDEX dedupe_keys_expires ON dedupe_keys (expires_at);

-- Large requests whose items become events piece by piece.
CREATE TABLE expansions (
    request_id   blob    PRIMARY KEY,
    workspace_id blob    NOT NULL,
    incoming_id  blob    NOT NULL,
    total        integer NOT NULL,
    done         integer NOT NULL,
    retry_at     integer  NOT NULL DEFAULT 0,                     -- not taken before: it failed
    node         integer                                         -- that works on it
) WITHOUT ROWID;

CREATE TABLE records (
    workspace_id blob   NOT NULL,
    collection   text   NOT NULL,
    key          text   NOT NULL,
    document     blob  NOT NULL,                               -- JSON
    version      integer NOT NULL,
    created_at   integer NOT NULL,
    updated_at   integer NOT NULL,
    PRIMARY KEY (workspace_id, collection, key)
) WITHOUT ROWID;

-- How many members of an action set have run. What led to a delivery its event says.
ALTER TABLE deliveries ADD COLUMN step integer NOT NULL DEFAULT 0;
ALTER TABLE deliveries DROP COLUMN request_id;

-- +goose Down
ALTER TABLE deliveries DROP COLUMN step; ALTER TABLE deliveries ADD COLUMN request_id blob;
DROP TABLE records; DROP TABLE expansions; DROP TABLE dedupe_keys; DROP TABLE requests; DROP TABLE incoming_webhooks; DROP TABLE actions;
