-- name: SealingForm :one
SELECT form FROM sealing;

-- name: RaiseSealing :exec
SELECT raise_sealing(@to_form::bigint);

-- Rows are read along the primary key, whatever their form, so that no statement takes long however many are done.
-- name: CallsToReseal :many
SELECT id, operation, line_index, request_id, request_sealed, answer_sealed FROM kos_calls WHERE id > @after ORDER BY id
LIMIT @n::bigint;

-- name: ResealCallRequests :one
SELECT reseal_call_requests(@ids::uuid[], @olds::bytea[], @news::bytea[])::bigint;

-- name: ResealCallAnswers :one
SELECT reseal_call_answers(@ids::uuid[], @olds::bytea[], @news::bytea[])::bigint;

-- name: CountCalls :one
SELECT count(*) FROM kos_calls;

-- name: CustomerCopiesToReseal :many
SELECT line_index, sealed FROM customer_copies WHERE line_index > @after ORDER BY line_index LIMIT @n::bigint;

-- name: ResealCustomerCopy :execrows
UPDATE customer_copies SET sealed = @new WHERE line_index = @line_index AND sealed = @old;

-- name: CountCustomerCopies :one
SELECT count(*) FROM customer_copies;

-- name: MonthsCopiesToReseal :many
SELECT line_index, sealed FROM month_copies WHERE line_index > @after ORDER BY line_index LIMIT @n::bigint;

-- name: ResealMonthsCopy :execrows
UPDATE month_copies SET sealed = @new WHERE line_index = @line_index AND sealed = @old;

-- name: CountMonthsCopies :one
SELECT count(*) FROM month_copies;

-- name: PlanCopiesToReseal :many
SELECT list, sealed FROM plan_copies WHERE list > @after ORDER BY list LIMIT @n::bigint;

-- name: ResealPlanCopy :execrows
UPDATE plan_copies SET sealed = @new WHERE list = @list AND sealed = @old;

-- name: ActiveLinesToReseal :many
SELECT line_index, kind, line_sealed FROM active_lines
WHERE (line_index, kind) > (@line_index::bytea, @kind::text) ORDER BY line_index, kind LIMIT @n::bigint;

-- name: ResealActiveLine :execrows
UPDATE active_lines SET line_sealed = @new WHERE line_index = @line_index AND kind = @kind AND line_sealed = @old;

-- name: CountActiveLines :one
SELECT count(*) FROM active_lines;
