-- Change orders: request history, queue and outbox in one row.
-- *_sealed columns are ciphertext (AES-256-GCM), *_index columns are keyed HMACs for equality search.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE change_orders (
    id uuid PRIMARY KEY,
    transaction_id uuid NOT NULL UNIQUE,
    user_id text NOT NULL,
    customer_id text NOT NULL,
    line_sealed bytea NOT NULL,
    line_index bytea NOT NULL,
    from_code text NOT NULL,
    from_name text NOT NULL,
    to_code text NOT NULL,
    to_name text NOT NULL,
    effective_date date NOT NULL,
    state text NOT NULL CHECK (state IN (
        'REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED', 'COMPLETED', 'FAILED', 'CANCELLED'
    )),
    requested_at timestamptz NOT NULL,
    processed_at timestamptz,
    result_code text NOT NULL DEFAULT '',
    result_message text NOT NULL DEFAULT '',
    failure_reason text NOT NULL DEFAULT '',
    kos_order text NOT NULL DEFAULT '',
    sends bigint NOT NULL DEFAULT 0,
    reconciles bigint NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL,
    fence bigint NOT NULL DEFAULT 0,
    delivery_state text NOT NULL CHECK (delivery_state IN ('NONE', 'PENDING', 'DELIVERED', 'PARKED')),
    delivery_sequence bigint,
    delivery_attempts bigint NOT NULL DEFAULT 0,
    delivery_next_at timestamptz,
    delivery_fence bigint NOT NULL DEFAULT 0,
    delivered_at timestamptz
);
-- One live change per line (ADR 22).
CREATE UNIQUE INDEX change_orders_live ON change_orders (line_index)
WHERE state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN', 'PARKED');
CREATE INDEX change_orders_history ON change_orders (user_id, requested_at DESC, id DESC);
CREATE INDEX change_orders_due ON change_orders (next_attempt_at)
WHERE state IN ('REQUESTED', 'VALIDATED', 'DISPATCHED', 'UNKNOWN');
CREATE INDEX change_orders_undelivered ON change_orders (delivery_next_at) WHERE delivery_state = 'PENDING';
CREATE INDEX change_orders_line_order ON change_orders (line_index, delivery_sequence, id) WHERE delivery_state = 'PENDING';

-- What happened to an order and when, append-only.
CREATE TABLE order_steps (
    order_id uuid NOT NULL,
    step bigint GENERATED ALWAYS AS IDENTITY,
    at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL,
    result_code text NOT NULL,
    sends bigint NOT NULL,
    PRIMARY KEY (order_id, step)
);

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

GRANT SELECT, INSERT, UPDATE ON change_orders, delivery_sequences TO phonebill_product;
GRANT SELECT, INSERT ON order_steps, delivery_attempts TO phonebill_product;
