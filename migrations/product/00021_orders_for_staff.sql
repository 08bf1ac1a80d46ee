-- How staff find orders: by trace id, by line, and those that failed or were cancelled. What is live is found along
-- change_orders_live, what is completed along the primary key, and a user's along change_orders_history_states.
-- The line is indexed as an expression, which only the lists of staff ask by: the history of a customer keeps its own index.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_trace; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_trace ON change_orders (trace_id) WHERE trace_id <> '';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_of_line;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_of_line ON change_orders (substr(line_index, 1), requested_at DESC, id DESC);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS change_orders_ended;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS change_orders_ended ON change_orders (state, requested_at DESC, id DESC)
WHERE state IN ('FAILED', 'CANCELLED');
RESET lock_timeout;
RESET statement_timeout;
