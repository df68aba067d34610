-- +goose Up
-- What happened in each workspace, counted in slots of ten seconds, which are kept for an
-- hour.
CREATE TABLE workspace_rates (
    slot              integer NOT NULL,                         -- its beginning, seconds since 1970
    workspace_id      blob    NOT NULL,
    accepted          integer NOT NULL,                         -- events
    created           integer NOT NULL,                         -- deliveries
    attempts          integer NOT NULL,
    finished          integer NOT NULL,                         -- deliveries, however they ended
    failed            integer NOT NULL,                         -- of them
    requests_accepted integer NOT NULL,
    requests_refused  integer NOT NULL,
    PRIMARY KEY (slot, workspace_id)
) WITHOUT ROWID;

-- How many deliveries the node has in hand. Those born claimed have no row in due.
CREATE TABLE node_running (
    node_id      integer NOT NULL,
    workspace_id blob    NOT NULL,
    running      integer NOT NULL,
    PRIMARY KEY (node_id, workspace_id)
) WITHOUT ROWID;

-- Why a large request does not go on; NULL: it does.
ALTER TABLE expansions ADD COLUMN reason text;

-- +goose Down
ALTER TABLE expansions DROP COLUMN reason;
DROP TABLE node_running;
DROP TABLE workspace_rates;
