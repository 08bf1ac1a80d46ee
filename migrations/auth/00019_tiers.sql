-- How many requests an account may make. The previous release goes on writing rows without it, and leaves it as it is.

-- +goose Up
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '60s';

ALTER TABLE users ADD COLUMN tier text NOT NULL DEFAULT 'DEFAULT';
