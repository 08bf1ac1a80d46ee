-- Users, their rights, sessions, lockout counters, login history, signing keys.
-- *_sealed columns are ciphertext (AES-256-GCM), *_index columns are keyed HMACs for equality search.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE users (
    user_id text PRIMARY KEY CHECK (user_id ~ '^[a-zA-Z0-9_-]{3,20}$'),
    password_hash text NOT NULL,
    name_sealed bytea NOT NULL,
    phone_sealed bytea NOT NULL,
    phone_index bytea NOT NULL,
    email_sealed bytea NOT NULL,
    email_index bytea NOT NULL,
    customer_id text NOT NULL,
    status text NOT NULL CHECK (status IN ('ACTIVE', 'SUSPENDED', 'INACTIVE')),
    last_login_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX users_phone ON users (phone_index);
CREATE INDEX users_email ON users (email_index);
CREATE INDEX users_customer ON users (customer_id);

CREATE TABLE user_lines (
    user_id text NOT NULL REFERENCES users (user_id),
    position bigint NOT NULL,
    line_sealed bytea NOT NULL,
    line_index bytea NOT NULL,
    PRIMARY KEY (user_id, position)
);
CREATE INDEX user_lines_line ON user_lines (line_index);

CREATE TABLE user_roles (
    user_id text NOT NULL REFERENCES users (user_id),
    role text NOT NULL CHECK (role IN ('CUSTOMER', 'OPERATOR', 'ADMIN')),
    PRIMARY KEY (user_id, role)
);

CREATE TABLE user_grants (
    user_id text NOT NULL REFERENCES users (user_id),
    permission text NOT NULL CHECK (permission IN ('BILL_INQUIRY', 'PRODUCT_CHANGE', 'USER_ADMIN', 'OPERATIONS')),
    expires_at timestamptz,
    PRIMARY KEY (user_id, permission)
);

-- One row per submitted id, known or not: subject is a keyed hash of it.
CREATE TABLE login_attempts (
    subject bytea PRIMARY KEY,
    failures bigint NOT NULL,
    locked_until timestamptz,
    updated_at timestamptz NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id text NOT NULL REFERENCES users (user_id),
    auto_login boolean NOT NULL,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    generation bigint NOT NULL,
    rotated_at timestamptz NOT NULL,
    revoked_at timestamptz,
    ip text NOT NULL,
    user_agent text NOT NULL
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);
CREATE INDEX sessions_revoked ON sessions (revoked_at) WHERE revoked_at IS NOT NULL;

-- Append-only, and without a foreign key to users (ADR 26).
CREATE TABLE login_history (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL,
    user_id text,
    subject bytea NOT NULL,
    type text NOT NULL,
    success boolean NOT NULL,
    reason text NOT NULL,
    ip text NOT NULL,
    user_agent text NOT NULL
);
CREATE INDEX login_history_user ON login_history (user_id, at DESC);

CREATE TABLE signing_keys (
    kid text PRIMARY KEY,
    seed_sealed bytea NOT NULL,
    created_at timestamptz NOT NULL
);

GRANT SELECT, INSERT, UPDATE ON users, sessions, login_attempts TO phonebill_auth;
GRANT SELECT, INSERT, UPDATE, DELETE ON user_lines, user_roles, user_grants TO phonebill_auth;
GRANT DELETE ON login_attempts TO phonebill_auth;
GRANT SELECT, INSERT ON login_history, signing_keys TO phonebill_auth;
