-- How staff find inquiries: by trace id, by line, and those that are not completed. What is completed is found along the primary key, and a
-- user's along inquiries_history_pages.
-- The line is indexed as an expression, which only the lists of staff ask by: the history of a customer keeps its own index.

-- +goose NO TRANSACTION
-- +goose Up
SET lock_timeout = '5s';
SET statement_timeout = '10min';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS inquiries_trace; -- half built by a run that was cut off
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS inquiries_trace ON inquiries (trace_id) WHERE trace_id <> '';
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS inquiries_of_line;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS inquiries_of_line ON inquiries (substr(line_index, 1), requested_at DESC, id DESC);
-- squawk-ignore ban-concurrent-index-creation-in-transaction
DROP INDEX CONCURRENTLY IF EXISTS inquiries_uncompleted;
-- squawk-ignore ban-concurrent-index-creation-in-transaction
CREATE INDEX CONCURRENTLY IF NOT EXISTS inquiries_uncompleted ON inquiries (status, requested_at DESC, id DESC) WHERE status <> 'COMPLETED';
RESET lock_timeout;
RESET statement_timeout;
