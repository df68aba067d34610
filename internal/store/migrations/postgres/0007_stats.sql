-- +goose Up
-- What happened in each workspace, counted by all nodes in slots of ten seconds, which
-- are kept for an hour. Nodes add to the rows every other second: no index but the key,
-- so that this stays HOT.
CREATE TABLE workspace_rates (
    slot              bigint NOT NULL,                          -- its beginning, seconds since 1970
    workspace_id      uuid   NOT NULL,
    accepted          bigint NOT NULL,                          -- events
    created           bigint NOT NULL,                          -- deliveries
    attempts          bigint NOT NULL,
    finished          bigint NOT NULL,                          -- deliveries, however they ended
    failed            bigint NOT NULL,                          -- of them
    requests_accepted bigint NOT NULL,
    requests_refused  bigint NOT NULL,
    PRIMARY KEY (slot, workspace_id)
) WITH (fillfactor = 50);

-- How many deliveries each node has in hand. Those born claimed have no row in due.
CREATE TABLE node_running (
    node_id      bigint  NOT NULL,
    workspace_id uuid    NOT NULL,
    running      integer NOT NULL,
    PRIMARY KEY (node_id, workspace_id)
) WITH (fillfactor = 50);

-- Why a large request does not go on; NULL: it does.
ALTER TABLE expansions ADD COLUMN reason text;

-- +goose Down
ALTER TABLE expansions DROP COLUMN reason;
DROP TABLE node_running, workspace_rates;
