-- What the requests of every product have in common: the requests themselves, their events to the MVNO AP server, and
-- idempotency keys (docs/adding-a-product.md). This set is applied to the database of each product, after the product's
-- own. A product whose requests have a table of their own shows it as the view "requests" (migrations/bill and
-- migrations/product do); a product that has none gets the table from here.
-- *_sealed columns are ciphertext (AES-256-GCM), *_index columns are keyed HMACs for equality search.
-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

-- The row is history, queue and outbox in one. A request is about a subject (a line, a member, an event), known here by
-- its blind index alone.
CREATE TABLE IF NOT EXISTS requests (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    user_id text NOT NULL,
    subject_sealed bytea NOT NULL,
    subject_index bytea NOT NULL,
    payload_sealed bytea NOT NULL,
    result_sealed bytea,
    state text NOT NULL CHECK (state IN ('PROCESSING', 'PARKED', 'COMPLETED', 'FAILED', 'CANCELLED')),
    -- The next four follow from the state. Where requests is a view they are expressions that its partial indexes match.
    stored_state text GENERATED ALWAYS AS (state) STORED,
    uncompleted boolean GENERATED ALWAYS AS (state <> 'COMPLETED') STORED,
    waiting boolean GENERATED ALWAYS AS (state = 'PROCESSING') STORED,
    parked boolean GENERATED ALWAYS AS (state = 'PARKED') STORED,
    -- What customers are told the state is, in lists.
    status text GENERATED ALWAYS AS (CASE WHEN state = 'PARKED' THEN 'PROCESSING' ELSE state END) STORED,
    code text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    requested_at timestamptz NOT NULL,
    processed_at timestamptz,
    next_attempt_at timestamptz,
    attempts bigint NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    trace_id text NOT NULL DEFAULT '',
    delivery_state text NOT NULL DEFAULT 'NONE'
    CHECK (delivery_state IN ('NONE', 'PENDING', 'DELIVERED', 'PARKED')),
    delivery_sequence bigint,
    delivery_attempts bigint NOT NULL DEFAULT 0,
    delivery_next_at timestamptz,
    delivery_fence bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    delivery_replayed_at timestamptz
);

-- The last sequence number given to the events of a subject; they are delivered in this order.
CREATE TABLE IF NOT EXISTS delivery_sequences (
    line_index bytea PRIMARY KEY,
    last bigint NOT NULL
);

-- Every attempt to deliver an event, append-only.
CREATE TABLE IF NOT EXISTS delivery_attempts (
    event_id uuid NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL,
    state text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (event_id, fence)
);

-- Keys are digests. A key is new again after 24 h; rows older than that are dropped.
CREATE TABLE IF NOT EXISTS idempotency_keys (
    user_id text NOT NULL,
    key_hash bytea NOT NULL,
    payload_hash bytea NOT NULL,
    request_id uuid NOT NULL,
    used_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, key_hash)
);
CREATE INDEX IF NOT EXISTS idempotency_keys_used ON idempotency_keys (used_at);

-- Indexes and rights of the table. A view has those of the table below it, and its own file grants what it needs.
-- +goose StatementBegin
DO $$
DECLARE
    service name;
BEGIN
    IF (SELECT relkind FROM pg_catalog.pg_class WHERE oid = 'public.requests'::regclass) <> 'r' THEN
        RETURN;
    END IF;
    CREATE INDEX requests_history ON requests (user_id, requested_at DESC, id DESC) INCLUDE (subject_index, status);
    CREATE INDEX requests_due ON requests (next_attempt_at) WHERE waiting;
    CREATE INDEX requests_parked ON requests (id) WHERE parked;
    CREATE INDEX requests_uncompleted ON requests (stored_state, requested_at DESC, id DESC) WHERE uncompleted;
    CREATE INDEX requests_trace ON requests (trace_id) WHERE trace_id <> '';
    CREATE INDEX requests_of_subject ON requests (substr(subject_index, 1), requested_at DESC, id DESC);
    CREATE INDEX requests_undelivered ON requests (delivery_next_at) WHERE delivery_state = 'PENDING';
    CREATE INDEX requests_subject_order ON requests (subject_index, delivery_sequence, id) WHERE delivery_state = 'PENDING';
    CREATE INDEX requests_unaccepted ON requests (id) WHERE delivery_state = 'PARKED';
    -- The roles of services that may connect to this database: its own alone (adapters/postgres, Seal).
    FOR service IN
        SELECT r.rolname FROM pg_catalog.pg_roles r
        WHERE r.rolname LIKE 'phonebill\_%' AND NOT r.rolsuper AND r.rolname <> current_user
            AND has_database_privilege(r.oid, current_database(), 'CONNECT')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON requests, delivery_attempts TO %I', service);
        EXECUTE format('GRANT UPDATE (result_sealed, state, code, note, processed_at, next_attempt_at, attempts, fence,
            delivery_state, delivery_sequence, delivery_attempts, delivery_next_at, delivery_fence, delivered_at,
            delivery_replayed_at) ON requests TO %I', service);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE ON delivery_sequences TO %I', service);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO %I', service);
    END LOOP;
END
$$;
-- +goose StatementEnd
