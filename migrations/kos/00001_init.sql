-- The KOS link, shared by bill and product: quota ledger, call log, last good copies, line epochs (ADR 6, ADR 23, ADR 27).
-- *_sealed columns are ciphertext (AES-256-GCM), *_index columns are keyed HMACs for equality search.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- One row per call admitted; rows older than the window are dead.
CREATE TABLE quota_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    spent_at timestamptz NOT NULL
);
CREATE INDEX quota_ledger_spent ON quota_ledger (spent_at);

-- Processing history, append-only.
CREATE TABLE kos_calls (
    id uuid PRIMARY KEY,
    operation text NOT NULL,
    line_index bytea,
    request_id uuid,
    asked_at timestamptz NOT NULL,
    answered_at timestamptz NOT NULL,
    result text NOT NULL,
    http_status bigint NOT NULL,
    request_sealed bytea,
    answer_sealed bytea
);
CREATE INDEX kos_calls_asked ON kos_calls (asked_at);
CREATE INDEX kos_calls_request ON kos_calls (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE customer_copies (
    line_index bytea PRIMARY KEY,
    told_at timestamptz NOT NULL,
    sealed bytea NOT NULL
);

-- One row: the plan list of all operators.
CREATE TABLE plan_copies (
    list text PRIMARY KEY CHECK (list = 'all'),
    told_at timestamptz NOT NULL,
    sealed bytea NOT NULL
);

-- Nothing told about a line before its epoch may be shown (ADR 6).
CREATE TABLE line_epochs (
    line_index bytea PRIMARY KEY,
    at timestamptz NOT NULL
);

GRANT SELECT, INSERT, DELETE ON quota_ledger TO phonebill_kos;
GRANT SELECT, INSERT ON kos_calls TO phonebill_kos;
GRANT SELECT, INSERT, UPDATE ON customer_copies, plan_copies, line_epochs TO phonebill_kos;
