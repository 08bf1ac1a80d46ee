-- What one order's timeline tells beside its states: why KOS could not be asked, when it is looked at again, and when its customer was
-- told. Expand only: the release before leaves the columns empty.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE order_steps ADD COLUMN note text NOT NULL DEFAULT '';
ALTER TABLE order_steps ADD COLUMN next_at timestamptz;
ALTER TABLE change_orders ADD COLUMN notified_at timestamptz;

-- No new grants: the role may already insert into order_steps, and read and update change_orders.
