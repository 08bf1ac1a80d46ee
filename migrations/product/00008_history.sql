-- One index for pages of history and for their count, as bill has: everything that the filters ask for is in it, so that only the rows
-- shown are read from the table, however deep the page. It takes the place of change_orders_history, of which it is an extension.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_history_pages; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_history_pages ON change_orders (user_id, requested_at DESC, id DESC)
INCLUDE (line_index);
ALTER TABLE change_orders SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
DROP INDEX CONCURRENTLY IF EXISTS change_orders_history;
RESET lock_timeout;
RESET statement_timeout;
