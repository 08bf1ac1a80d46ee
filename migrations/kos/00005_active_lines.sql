-- Lines whose customers have been here of late: what is worth fetching before it is asked for, and when it is due.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

CREATE TABLE active_lines (
    line_index bytea NOT NULL,
    kind text NOT NULL CHECK (kind IN ('bill', 'customer')),
    line_sealed bytea NOT NULL,
    seen_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    PRIMARY KEY (line_index, kind)
);
CREATE INDEX active_lines_due ON active_lines (kind, due_at);

GRANT SELECT, INSERT, UPDATE, DELETE ON active_lines TO phonebill_kos;
