-- Bill versions (what KOS told us) and inquiries (what customers asked): request history, queue and outbox in one row.
-- *_sealed columns are ciphertext (AES-256-GCM), *_index columns are keyed HMACs for equality search.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE bill_versions (
    id uuid PRIMARY KEY,
    line_index bytea NOT NULL,
    month text NOT NULL CHECK (month ~ '^[0-9]{4}-[0-9]{2}$'),
    told_at timestamptz NOT NULL,
    sealed bytea NOT NULL
);
CREATE INDEX bill_versions_latest ON bill_versions (line_index, month, told_at DESC);

CREATE TABLE inquiries (
    id uuid PRIMARY KEY,
    user_id text NOT NULL,
    customer_id text NOT NULL,
    line_sealed bytea NOT NULL,
    line_index bytea NOT NULL,
    month text NOT NULL CHECK (month ~ '^[0-9]{4}-[0-9]{2}$'),
    status text NOT NULL CHECK (status IN ('PROCESSING', 'COMPLETED', 'FAILED')),
    source text NOT NULL CHECK (source IN ('', 'KOS', 'CACHE', 'STALE')),
    requested_at timestamptz NOT NULL,
    processed_at timestamptz,
    as_of timestamptz,
    version_id uuid, -- no foreign key: a cached answer must be recordable whatever bill_versions is doing (ADR 24)
    summary_sealed bytea,
    failure_code text NOT NULL DEFAULT '',
    attempts bigint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    fence bigint NOT NULL DEFAULT 0,
    delivery_state text NOT NULL CHECK (delivery_state IN ('NONE', 'PENDING', 'DELIVERED', 'PARKED')),
    delivery_sequence bigint,
    delivery_attempts bigint NOT NULL DEFAULT 0,
    delivery_next_at timestamptz,
    delivery_fence bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz
);
CREATE INDEX inquiries_history ON inquiries (user_id, requested_at DESC, id DESC);
CREATE INDEX inquiries_due ON inquiries (next_attempt_at) WHERE status = 'PROCESSING';
CREATE INDEX inquiries_undelivered ON inquiries (delivery_next_at) WHERE delivery_state = 'PENDING';
CREATE INDEX inquiries_line_order ON inquiries (line_index, delivery_sequence, id) WHERE delivery_state = 'PENDING';

-- The last sequence number given per line; events are told in this order.
CREATE TABLE delivery_sequences (
    line_index bytea PRIMARY KEY,
    last bigint NOT NULL
);

-- Delivery history, append-only.
CREATE TABLE delivery_attempts (
    event_id uuid NOT NULL,
    fence bigint NOT NULL,
    at timestamptz NOT NULL,
    state text NOT NULL,
    note text NOT NULL,
    PRIMARY KEY (event_id, fence)
);

GRANT SELECT, INSERT, UPDATE ON inquiries, delivery_sequences TO phonebill_bill;
GRANT SELECT, INSERT ON bill_versions, delivery_attempts TO phonebill_bill;
