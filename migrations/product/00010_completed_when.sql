-- The line's changes of this month are those that were done in it, whenever they were requested (optional rule). The index serves the
-- comparison of the books, too, which looks for later orders of a line. The one by request time stays for the release before; one of the
-- next releases can drop it.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_done; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_done ON change_orders (line_index, processed_at) WHERE state = 'COMPLETED';
RESET lock_timeout;
RESET statement_timeout;
