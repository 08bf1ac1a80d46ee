-- History can be narrowed by status, as that of bills: the index of its pages holds what the status follows from, so that counting rows
-- still reads the index alone. It takes the place of change_orders_history_pages, of which it is an extension.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_history_states; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_history_states ON change_orders (user_id, requested_at DESC, id DESC)
INCLUDE (line_index, state, sends);
DROP INDEX CONCURRENTLY IF EXISTS change_orders_history_pages;
RESET lock_timeout;
RESET statement_timeout;
